/* A running stack as a feed: at each tick its program is asked by its local socket, and the answer
 * is a sample. One descriptor stands for both, the timer and the socket. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "stat/feed.h"
#include "tcpstat/watch_keep.h"
#include "transport/stack_socket.h"
#include "transport/stack_watch.h"

/* How long the first answer may take: the thread that gives it does nothing else. */
#define ANSWER_MS 2000

/* And the last one. */
#define LAST_ANSWER_MS 500

/* Samples that the TIME_WAIT model sees: thinned evenly when there are more. */
#define MODEL_SAMPLES_MAX 4096

struct stack_feed {
    struct feed feed; /* first: a pointer to it is a pointer to this */
    const char *path;
    int socket_fd;
    int timer_fd;
    bool asked;     /* and not answered yet */
    bool has_first; /* the answer of the start is the first sample */
    uint64_t taken;
    uint64_t missed; /* ticks whose answer had not come when the next was due */
    uint64_t origin_ns;
    uint64_t origin_wall_ns;
    struct watch_keep model;
    struct stack_message message;
};

static uint64_t counted(const void *message, const char *name)
{
    return stack_message_counter(message, "stack", name);
}

static void fill_values(const struct stack_feed *stack, uint64_t values[WATCH_FIELD_COUNT])
{
    const struct stack_message *message = &stack->message;
    stack_watch_values(&(struct stack_watch_source){.counts = &message->counts,
                                                    .transitions = &message->transitions,
                                                    .counted = counted,
                                                    .from = message},
                       values);
}

/* The stack's records come from CLOSED or from their listener; a sample's from nothing, as the
 * kernel's, whose listeners stay what they are. */
static void fill_transitions(const struct stack_feed *stack, struct sample *sample)
{
    struct tcp_transitions *matrix = &sample->transitions;
    *matrix = stack->message.transitions;
    for (int to = 0; to < TCP_STATE_COUNT; to++) {
        matrix->n[TCP_STATE_NONE][to] += matrix->n[TCP_STATE_CLOSED][to];
        matrix->n[TCP_STATE_CLOSED][to] = 0;
    }
    matrix->n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] +=
        matrix->n[TCP_STATE_LISTEN][TCP_STATE_SYN_RECEIVED];
    matrix->n[TCP_STATE_LISTEN][TCP_STATE_SYN_RECEIVED] = 0;
    sample->has_transitions = true;
    sample->matrix_has_time_wait = true;
    sample->transitions_ns = sample->elapsed_ns;
}

static void fill_census(const struct stack_feed *stack, struct sample *sample)
{
    const struct stack_message *message = &stack->message;
    struct watch_census *census = &sample->census;
    uint64_t begun_ns = message->oldest_ns < message->now_ns ? message->oldest_ns : message->now_ns;
    sample->census_count = sample->number + 1;
    census->v4 = message->counts;
    census->total = message->counts;
    census->stamp.rows = tcp_state_total(&message->counts);
    census->stamp.passes = 1;
    census->stamp.started_ns = begun_ns > stack->origin_ns ? begun_ns - stack->origin_ns : 0;
    sample->peak = message->counts;
    sample->census_age_ns = message->now_ns - begun_ns;
    sample->census_every_ns = stack->feed.head.interval_ns;
}

/* The stack tells its 2MSL, which need be neither assumed nor measured first. */
static void estimate_time_wait(struct stack_feed *stack, struct sample *sample)
{
    struct watch_tick tick = {.at_ns = stack->message.now_ns};
    const struct timewait_config config = {.lifetime_told_ns = stack->message.two_msl_ns};
    memcpy(tick.values, sample->values, sizeof(tick.values));
    const struct timewait_sample seen = watch_tick_time_wait(&tick);
    (void)watch_keep_add(&stack->model, &seen, false);
    if (stack->model.count > 0) {
        timewait_estimate(stack->model.items, stack->model.count, &config, &sample->time_wait);
    }
    sample->time_wait.live = seen.live;
}

static void make_sample(struct stack_feed *stack, struct sample *sample)
{
    const uint64_t now_ns = stack->message.now_ns;
    sample_clear(sample);
    sample->number = stack->taken++;
    sample->elapsed_ns = now_ns > stack->origin_ns ? now_ns - stack->origin_ns : 0;
    sample->wall_ns = stack->origin_wall_ns + sample->elapsed_ns;
    fill_values(stack, sample->values);
    fill_census(stack, sample);
    fill_transitions(stack, sample);
    estimate_time_wait(stack, sample);
}

/* Asks at a tick. One that finds the last answer missing is missed: the program is stopped, or too
 * busy. */
static void take_tick(struct stack_feed *stack)
{
    uint64_t ticks;
    if (read(stack->timer_fd, &ticks, sizeof(ticks)) != (ssize_t)sizeof(ticks)) {
        return;
    }
    stack->missed += stack->asked ? ticks : ticks - 1;
    if (!stack->asked) {
        stack->asked = stack_socket_ask(stack->socket_fd) == 0;
    }
}

static int stack_next(struct feed *feed, struct sample *sample, struct failure *failure)
{
    struct stack_feed *stack = (struct stack_feed *)feed;
    if (stack->has_first) {
        uint64_t ticks;
        const ssize_t bytes = read(stack->timer_fd, &ticks, sizeof(ticks));
        (void)bytes; /* the first tick, whose answer is there already */
        stack->has_first = false;
        make_sample(stack, sample);
        return FEED_SAMPLE;
    }
    take_tick(stack);
    int rc = stack_socket_take(stack->socket_fd, &stack->message);
    if (rc == -EAGAIN) {
        return FEED_WAIT;
    }
    if (rc == -EPIPE) {
        return FEED_DONE;
    }
    if (rc != 0) {
        return failure_set(failure, -rc, "--stack %s: what it says cannot be read: %s", stack->path,
                           strerror(-rc));
    }
    stack->asked = false;
    make_sample(stack, sample);
    return FEED_SAMPLE;
}

/* Waits for an answer, one that was asked for before or now. */
static int wait_for_answer(struct stack_feed *stack, int patience_ms)
{
    struct pollfd answer = {.fd = stack->socket_fd, .events = POLLIN};
    int rc = stack->asked ? 0 : stack_socket_ask(stack->socket_fd);
    stack->asked = false;
    if (rc != 0) {
        return rc;
    }
    return poll(&answer, 1, patience_ms) > 0 ? stack_socket_take(stack->socket_fd, &stack->message)
                                             : -ETIMEDOUT;
}

/* Gives what is true at the end, unless the program ended before. */
static bool stack_finish(struct feed *feed, struct sample *last, struct sample_end *end)
{
    struct stack_feed *stack = (struct stack_feed *)feed;
    *end = (struct sample_end){.is_whole = true, .ticks_missed = stack->missed};
    if (wait_for_answer(stack, LAST_ANSWER_MS) != 0) {
        return false;
    }
    make_sample(stack, last);
    last->is_last = true;
    return true;
}

static void close_if_open(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

static void stack_close(struct feed *feed)
{
    struct stack_feed *stack = (struct stack_feed *)feed;
    watch_keep_free(&stack->model);
    close_if_open(stack->socket_fd);
    close_if_open(stack->timer_fd);
    close_if_open(feed->fd);
    free(stack);
}

static const struct feed_ops stack_ops = {
    .next = stack_next,
    .finish = stack_finish,
    .close = stack_close,
};

/* Waits for the first answer: whoever is at the other end, if it gives none it is no stack. */
static int take_first(struct stack_feed *stack, struct failure *failure)
{
    int rc = wait_for_answer(stack, ANSWER_MS);
    if (rc != 0) {
        return failure_set(failure, EINVAL, "--stack %s: %s", stack->path,
                           rc == -EPROTO  ? "it is not the socket of a stack of this version"
                           : rc == -EPIPE ? "its program has ended"
                                          : "its program does not answer; is it stopped?");
    }
    stack->has_first = true;
    stack->origin_ns = stack->message.now_ns;
    stack->origin_wall_ns = clock_wall_ns() - (clock_now_ns() - stack->origin_ns);
    return 0;
}

/* The timer's first tick is at once, for the first sample, which is there already. */
static int open_timer(struct stack_feed *stack, uint64_t interval_ns, struct failure *failure)
{
    const struct timespec interval = {.tv_sec = (time_t)(interval_ns / NS_PER_SEC),
                                      .tv_nsec = (long)(interval_ns % NS_PER_SEC)};
    const struct itimerspec every = {.it_interval = interval, .it_value = {.tv_nsec = 1}};
    struct epoll_event readable = {.events = EPOLLIN};
    stack->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    stack->feed.fd = epoll_create1(EPOLL_CLOEXEC);
    if (stack->timer_fd < 0 || stack->feed.fd < 0 ||
        timerfd_settime(stack->timer_fd, 0, &every, NULL) != 0 ||
        epoll_ctl(stack->feed.fd, EPOLL_CTL_ADD, stack->timer_fd, &readable) != 0 ||
        epoll_ctl(stack->feed.fd, EPOLL_CTL_ADD, stack->socket_fd, &readable) != 0) {
        return failure_set(failure, errno, "no descriptors for --stack: %s", strerror(errno));
    }
    return 0;
}

static void fill_head(struct stack_feed *stack, const struct stat_settings *settings)
{
    struct sample_head *head = &stack->feed.head;
    snprintf(head->method, sizeof(head->method), "stack");
    head->started_wall_ns = clock_wall_ns();
    head->interval_ns = settings->options->interval_ns;
    head->budget_permille = settings->budget_permille;
}

int feed_open_stack(struct feed **feed, const struct stat_settings *settings,
                    struct failure *failure)
{
    struct stack_feed *stack = calloc(1, sizeof(*stack));
    if (stack == NULL) {
        return failure_set(failure, ENOMEM, "no memory to follow a stack");
    }
    stack->feed = (struct feed){.ops = &stack_ops, .fd = -1};
    stack->path = settings->options->stack;
    stack->socket_fd = stack->timer_fd = -1;
    watch_keep_init(&stack->model, sizeof(struct timewait_sample), MODEL_SAMPLES_MAX);
    fill_head(stack, settings);
    int rc = stack_socket_connect(&stack->socket_fd, "--stack", stack->path, failure);
    rc = rc != 0 ? -EINVAL : 0; /* whatever it is, another path was meant */
    rc = rc != 0 ? rc : take_first(stack, failure);
    rc = rc != 0 ? rc : open_timer(stack, settings->options->interval_ns, failure);
    if (rc != 0) {
        stack_close(&stack->feed);
        return rc;
    }
    *feed = &stack->feed;
    return 0;
}
