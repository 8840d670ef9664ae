#include "loadgen/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/link.h"
#include "loadgen/outputs.h"

/* Until the first arrival: time for every worker to hear of it. */
#define RUN_LEAD_NS (5 * NS_PER_MS)

/* A connection that ended by close() is complete when that returns, while its last segments still
 * go back and forth. The kernel's counters are read after this, so that they can agree to the unit.
 */
#define RUN_SETTLE_MS 100

static void give_order(struct run *run, enum worker_order order)
{
    if (atomic_load(&run->team.order) < (int)order) {
        atomic_store_explicit(&run->team.order, (int)order, memory_order_release);
    }
    for (uint32_t i = 0; i < run->worker_count; i++) {
        worker_wake(&run->workers[i]);
    }
}

/* Adds up the workers' live counts. Outcomes are read before attempts, so that a connection that
 * ends in between cannot make the sum of in-flight connections negative. */
static struct run_sample sample_workers(const struct run *run, uint64_t now_ns)
{
    struct run_sample sample = {.at_ns = now_ns};
    for (uint32_t i = 0; i < run->worker_count; i++) {
        const struct stats_live *live = &run->workers[i].stats->live;
        sample.completed += stats_read(&live->completed);
        sample.failed += stats_read(&live->failed);
        sample.shed += stats_read(&live->shed);
        sample.attempted += stats_read(&live->attempted);
    }
    return sample;
}

static void keep_sample(struct run *run, const struct run_sample *sample)
{
    if (run->sample_count == run->sample_capacity) {
        uint32_t capacity = run->sample_capacity == 0 ? 256 : run->sample_capacity * 2;
        struct run_sample *samples = capacity <= RUN_SAMPLES_MAX * 2
                                         ? realloc(run->samples, capacity * sizeof(*run->samples))
                                         : NULL;
        if (samples == NULL) {
            run->samples_left_out++;
            return;
        }
        run->samples = samples;
        run->sample_capacity = capacity;
    }
    run->samples[run->sample_count++] = *sample;
}

/* Says how long it is to the next 4-tuple, when all workers wait for one; else says nothing. */
static void tell_wait(const struct run *run, uint64_t now_ns, char *text, size_t size)
{
    uint64_t next_ns = CLOCK_NEVER;
    text[0] = '\0';
    for (uint32_t i = 0; i < run->worker_count; i++) {
        uint64_t tuple_ns = stats_read(&run->workers[i].stats->live.tuple_ns);
        if (tuple_ns <= now_ns) {
            return;
        }
        next_ns = tuple_ns < next_ns ? tuple_ns : next_ns;
    }
    snprintf(text, size, "  4-tuples are used up: the next is free in %.0f s",
             (double)(next_ns - now_ns) / (double)NS_PER_SEC);
}

static void print_progress(const struct run *run, const struct run_sample *now,
                           const struct run_sample *last)
{
    double elapsed_sec = (double)(now->at_ns - run->start_ns) / (double)NS_PER_SEC;
    double step_sec = (double)(now->at_ns - last->at_ns) / (double)NS_PER_SEC;
    double rate = step_sec > 0 ? (double)(now->completed - last->completed) / step_sec : 0;
    char wait[80];
    tell_wait(run, now->at_ns, wait, sizeof(wait));
    log_line("finwait-loadgen",
             "%5.1f s  %8.0f conn/s  in flight %" PRIu64 "  failed %" PRIu64 "  shed %" PRIu64
             "  TIME_WAIT %" PRIu64 "%s",
             elapsed_sec, rate, now->attempted - now->completed - now->failed, now->failed,
             now->shed, now->time_wait, wait);
}

/* Reads what the stack has counted, and warns of who else has its addresses. */
static void read_stack(struct run *run)
{
    char text[STACK_ALARM_TEXT_MAX];
    stack_board_read(run->board, run->stack);
    while (stack_alarm_look(&run->alarm, &run->plan->stack.config, run->stack, text)) {
        log_line("finwait-loadgen", "warning: %s", text);
    }
}

/* In the watch's tick thread, once a second. */
static void on_tick(void *context, const struct watch_latest *latest)
{
    struct run *run = context;
    uint64_t now_ns = clock_now_ns();
    struct run_sample last = {.at_ns = run->start_ns};
    if (atomic_load_explicit(&run->team.order, memory_order_acquire) == WORKER_WAIT ||
        now_ns <= run->start_ns) {
        return;
    }
    if (run->sample_count > 0) {
        last = run->samples[run->sample_count - 1];
    }
    struct run_sample sample = sample_workers(run, now_ns);
    sample.time_wait = latest->tick.values[WATCH_time_wait];
    if (run->board != NULL) {
        read_stack(run);
        sample.time_wait = run->stack->counts.n[TCP_STATE_TIME_WAIT];
    }
    keep_sample(run, &sample);
    if (!run->plan->options.quiet) {
        print_progress(run, &sample, &last);
    }
}

static int start_watch(struct run *run, struct failure *failure)
{
    struct watch_config config = {
        .interval_ns = NS_PER_SEC,
        .budget_permille = run->plan->options.states ? WATCH_BUDGET_DEFAULT_PERMILLE : 0,
        .method = (enum census_method)run->plan->options.states_method,
        .on_tick = on_tick,
        .context = run,
    };
    int rc = run->board != NULL ? stack_board_census(&config.census, run->board, failure) : 0;
    if (rc == 0) {
        rc = watch_start(&run->watch, &config, failure);
        if (rc != 0) {
            census_close(config.census);
        }
    }
    return rc;
}

static int open_socket(struct run *run, struct failure *failure)
{
    const struct stack_socket_config config = {
        .path = run->plan->options.stack.socket,
        .program = "finwait-loadgen",
        .two_msl_ns = run->plan->stack.config.time_wait_ns,
        .board = run->board,
    };
    return stack_socket_open(&run->socket, &config, failure);
}

static int check_outputs(void *context, struct failure *failure)
{
    const struct run *run = context;
    return outputs_check_all(&run->plan->options, failure);
}

/* Makes what the stack's workers publish to. The report is written without rights: its files were
 * found to be writable with them, so they are looked at again, before anything is opened. */
static int make_board(struct run *run, struct failure *failure)
{
    if (run->plan->engine != TRANSPORT_STACK) {
        return 0;
    }
    int rc = link_call_without_rights(check_outputs, run, failure);
    if (rc != 0) {
        return rc;
    }
    run->stack = calloc(1, sizeof(*run->stack));
    if (run->stack == NULL || stack_board_make(&run->board, run->plan->cpus.count) != 0) {
        return failure_set(failure, ENOMEM, "no memory for the stack's board");
    }
    run->team.board = run->board;
    return run->plan->options.stack.socket != NULL ? open_socket(run, failure) : 0;
}

/* Tells whether nothing is left but to wait for TIME_WAIT. */
static bool is_lingering(const struct run *run)
{
    return run->plan->stack.linger && run->worker_count == run->team.workers &&
           atomic_load(&run->team.done_count) == run->team.workers;
}

/* A first signal stops the arrivals; a second one ends the run at once, and from then on signals
 * act as they do by default. When only TIME_WAIT is waited for, one ends that. */
static void hear_signal(struct run *run, int signal_fd)
{
    struct signalfd_siginfo info;
    while (read(signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (is_lingering(run)) {
            run->lingering_cut = true;
        } else if (!run->interrupted) {
            run->interrupted = true;
            give_order(run, WORKER_STOP);
            continue;
        }
        sigset_t set;
        give_order(run, WORKER_ABORT);
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

/* Waits until a count of the workers' has reached all of them. */
static int wait_for_all(struct run *run, const _Atomic uint32_t *count, int signal_fd)
{
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                           {.fd = run->team.news_fd, .events = POLLIN}};
    while (atomic_load(count) < run->worker_count) {
        eventfd_t news;
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return -errno;
        }
        hear_signal(run, signal_fd);
        (void)eventfd_read(run->team.news_fd, &news);
    }
    return 0;
}

static int first_error(const struct run *run, struct failure *failure)
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        if (run->workers[i].error != 0) {
            *failure = run->workers[i].failure;
            return run->workers[i].error;
        }
    }
    return 0;
}

/* Waits until every worker that was started has opened its transport. */
static int wait_until_ready(struct run *run, int signal_fd, struct failure *failure)
{
    int rc = wait_for_all(run, &run->team.ready_count, signal_fd);
    return rc != 0 ? failure_set(failure, -rc, "cannot wait for the workers: %s", strerror(-rc))
                   : first_error(run, failure);
}

static int start_workers(struct run *run, int signal_fd, struct failure *failure)
{
    uint32_t wanted = run->plan->cpus.count;
    run->workers = calloc(wanted, sizeof(*run->workers));
    run->total = malloc(sizeof(*run->total));
    if (run->workers == NULL || run->total == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the workers");
    }
    stats_init(run->total);
    run->team.workers = wanted;
    for (uint32_t i = 0; i < wanted; i++) {
        int rc = worker_start(&run->workers[i], &run->team, i);
        if (rc != 0) {
            return failure_set(failure, -rc, "cannot start a thread: %s", strerror(-rc));
        }
        run->worker_count++;
        /* The stack's are numbered by the order in which their links are opened. */
        rc = run->board != NULL ? wait_until_ready(run, signal_fd, failure) : 0;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* All links are open: threads that start from here on have no rights, and neither has this one. */
static int drop_rights(const struct run *run, struct failure *failure)
{
    if (run->board == NULL) {
        return 0;
    }
    int rc = link_drop_rights(failure);
    return rc == 0 && run->socket != NULL ? stack_socket_start(run->socket, failure) : rc;
}

static int start_all(struct run *run, int signal_fd, struct failure *failure)
{
    int rc = wait_until_ready(run, signal_fd, failure);
    rc = rc != 0 ? rc : start_watch(run, failure);
    if (rc != 0) {
        return rc;
    }
    machine_read(&run->before);
    run->start_wall_ns = clock_wall_ns() + RUN_LEAD_NS;
    run->start_ns = clock_now_ns() + RUN_LEAD_NS;
    atomic_store(&run->team.start_ns, run->start_ns);
    give_order(run, WORKER_RUN);
    return 0;
}

static void join_all(struct run *run)
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        worker_join(&run->workers[i]);
        stats_merge(run->total, run->workers[i].stats);
    }
}

static int conduct(struct run *run, int signal_fd, struct failure *failure)
{
    int rc = make_board(run, failure);
    rc = rc != 0 ? rc : start_workers(run, signal_fd, failure);
    rc = rc != 0 ? rc : drop_rights(run, failure);
    rc = rc != 0 ? rc : start_all(run, signal_fd, failure);
    if (rc == 0) {
        /* What the stack still answers for TIME_WAIT is no part of what connections cost. */
        rc = wait_for_all(run, &run->team.done_count, signal_fd);
        machine_read(&run->after);
    }
    rc = rc != 0 ? rc : wait_for_all(run, &run->team.ended_count, signal_fd);
    if (rc != 0) {
        give_order(run, WORKER_ABORT);
    }
    join_all(run);
    if (run->watch != NULL) {
        if (run->board == NULL) {
            (void)poll(NULL, 0, RUN_SETTLE_MS);
        }
        watch_stop(run->watch, &run->kernel);
        run->watch = NULL;
    }
    if (rc == 0 && run->board != NULL) {
        read_stack(run);
    }
    return rc != 0 ? rc : first_error(run, failure);
}

int run_make(struct run *run, const struct plan *plan, struct failure *failure)
{
    sigset_t set;
    memset(run, 0, sizeof(*run));
    run->plan = plan;
    run->team.plan = plan;
    transport_quota_init(&run->team.quota, (uint32_t)plan->options.conns_max);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    run->team.news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    int rc = -ENOMEM;
    if (run->team.news_fd < 0 || signal_fd < 0) {
        rc =
            failure_set(failure, errno, "cannot open descriptors for control: %s", strerror(errno));
    } else {
        rc = conduct(run, signal_fd, failure);
    }
    if (signal_fd >= 0) {
        close(signal_fd);
    }
    return rc;
}

void run_destroy(struct run *run)
{
    for (uint32_t i = 0; i < run->worker_count; i++) {
        worker_destroy(&run->workers[i]);
    }
    free(run->workers);
    free(run->total);
    free(run->samples);
    free(run->stack);
    stack_socket_close(run->socket);
    stack_board_free(run->board);
    watch_series_free(&run->kernel);
    if (run->team.news_fd >= 0) {
        close(run->team.news_fd);
    }
}
