/* The kernel as a feed: the watch's ticks are queued by its thread and taken by ours, which adds
 * what only the screen needs: the listeners and the TIME_WAIT model. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "stat/feed.h"
#include "stat/observer.h"
#include "stat/warnings.h"
#include "tcpstat/watch_keep.h"

/* Ticks that may wait while a sink is slow; further ones are missed, and counted. */
#define QUEUE_MAX 64

/* A census need not come more often than the shortest tick: the budget is what bounds it. */
#define CENSUS_GAP_NS (10 * NS_PER_MS)

/* Samples that the TIME_WAIT model sees: thinned evenly when there are more. */
#define MODEL_SAMPLES_MAX 4096

struct kernel_feed {
    struct feed feed; /* first: a pointer to it is a pointer to this */
    const struct stat_settings *settings;
    struct watch *watch; /* NULL once it was stopped */
    struct tcpstat_listeners *listeners;
    struct observer *observer;
    struct watch_keep model;
    uint64_t origin_ns;
    uint64_t origin_wall_ns;
    uint64_t taken;
    struct sample before; /* the last one that was given, for warnings */
    struct sample_delta *deltas;

    pthread_mutex_t lock; /* guards the queue */
    struct watch_latest queue[QUEUE_MAX];
    uint32_t queue_first;
    uint32_t queue_count;
    uint64_t queue_missed;
};

/* Queues a tick. In the watch's thread. */
static void on_tick(void *context, const struct watch_latest *latest)
{
    struct kernel_feed *kernel = context;
    pthread_mutex_lock(&kernel->lock);
    if (kernel->queue_count < QUEUE_MAX) {
        kernel->queue[(kernel->queue_first + kernel->queue_count) % QUEUE_MAX] = *latest;
        kernel->queue_count++;
    } else {
        kernel->queue_missed++;
    }
    pthread_mutex_unlock(&kernel->lock);
    /* It can fail only at 2^64 - 1 ticks that nobody read. */
    const uint64_t one = 1;
    const ssize_t written = write(kernel->feed.fd, &one, sizeof(one));
    (void)written;
}

/* Takes the oldest tick of the queue; the descriptor stays readable while there are more. */
static bool take_tick(struct kernel_feed *kernel, struct watch_latest *latest)
{
    uint64_t one;
    if (read(kernel->feed.fd, &one, sizeof(one)) != (ssize_t)sizeof(one)) {
        return false;
    }
    pthread_mutex_lock(&kernel->lock);
    const bool has_tick = kernel->queue_count > 0;
    if (has_tick) {
        *latest = kernel->queue[kernel->queue_first];
        kernel->queue_first = (kernel->queue_first + 1) % QUEUE_MAX;
        kernel->queue_count--;
    }
    pthread_mutex_unlock(&kernel->lock);
    return has_tick;
}

/* The model wants all samples so far; without memory for them it goes by fewer. */
static void estimate_time_wait(struct kernel_feed *kernel, const struct watch_tick *tick,
                               struct timewait_estimate *estimate)
{
    const struct timewait_sample sample = watch_tick_time_wait(tick);
    (void)watch_keep_add(&kernel->model, &sample, false);
    const struct timewait_config config = {.buckets_max = kernel->feed.head.time_wait_max};
    if (kernel->model.count > 0) {
        timewait_estimate(kernel->model.items, kernel->model.count, &config, estimate);
    }
    /* A thinned series ends a little before the present. */
    estimate->live = sample.live;
}

static void read_listeners(struct kernel_feed *kernel, struct sample *sample)
{
    if (tcpstat_listeners_read(kernel->listeners) < 0) {
        return; /* shown as none; the next tick tries again */
    }
    uint32_t count;
    const struct tcpstat_listener *items = tcpstat_listeners_get(kernel->listeners, &count);
    sample->listener_count = count < SAMPLE_LISTENERS_MAX ? count : SAMPLE_LISTENERS_MAX;
    sample->listeners_left_out = count - sample->listener_count;
    if (count > 0) {
        memcpy(sample->listeners, items, sample->listener_count * sizeof(*items));
    }
}

/* Tells from when to when the budget lets censuses begin; 0 when it is not known, or never. */
static uint64_t census_interval(const struct watch_latest *latest)
{
    const uint64_t due_ns = latest->census_due_ns;
    const uint64_t started_ns = latest->census.stamp.started_ns;
    return due_ns <= started_ns || due_ns >= CLOCK_NEVER / 2 ? 0 : due_ns - started_ns;
}

/* Tells how long the budget lets the next walk over owners wait; 0: not known, or never. */
static uint64_t walk_wait(const struct watch_latest *latest)
{
    const uint64_t due_ns = latest->walk_due_ns;
    const uint64_t now_ns = latest->tick.at_ns;
    return due_ns <= now_ns || due_ns >= CLOCK_NEVER / 2 ? 0 : due_ns - now_ns;
}

/* In the watch's census thread. */
static void on_walk(void *context)
{
    observer_walk(((struct kernel_feed *)context)->observer);
}

/* Likewise. */
static void around_census(void *context, const struct tcp_state_counts *counted)
{
    observer_note_census(((struct kernel_feed *)context)->observer, counted);
}

static void make_sample(struct kernel_feed *kernel, const struct watch_latest *latest,
                        struct sample *sample)
{
    const struct watch_tick *tick = &latest->tick;
    sample_clear(sample);
    sample->number = kernel->taken++;
    sample->elapsed_ns = tick->at_ns - kernel->origin_ns;
    sample->wall_ns = kernel->origin_wall_ns + (tick->at_ns - kernel->origin_ns);
    sample->late_ns = tick->late_ns;
    sample->census_count = latest->censuses;
    memcpy(sample->values, tick->values, sizeof(sample->values));
    if (latest->censuses > 0) {
        sample->census = latest->census;
        sample->peak = latest->peak;
        sample->census_every_ns = census_interval(latest);
        sample->census_age_ns = tick->at_ns > latest->census.stamp.started_ns
                                    ? tick->at_ns - latest->census.stamp.started_ns
                                    : 0;
        /* From here on a census is dated as samples are: from the first one on. */
        sample->census.stamp.started_ns -= kernel->origin_ns;
    }
    estimate_time_wait(kernel, tick, &sample->time_wait);
    read_listeners(kernel, sample);
    observer_add(kernel->observer, kernel->origin_ns, sample);
    sample->owners_in_ns = walk_wait(latest);
    warnings_add(sample, sample->number == 0 ? sample : &kernel->before, &kernel->feed.head);
    sample_copy(&kernel->before, sample);
}

static int kernel_next(struct feed *feed, struct sample *sample, struct failure *failure)
{
    struct kernel_feed *kernel = (struct kernel_feed *)feed;
    (void)failure;
    struct watch_latest latest;
    if (!take_tick(kernel, &latest)) {
        return FEED_WAIT;
    }
    make_sample(kernel, &latest, sample);
    return FEED_SAMPLE;
}

static void keep_deltas(struct kernel_feed *kernel, const struct watch_series *series,
                        struct sample_end *end)
{
    const uint32_t count = tcpstat_counters_count(series->counters);
    kernel->deltas = calloc(count, sizeof(*kernel->deltas));
    if (kernel->deltas == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int64_t rise = tcpstat_counters_delta(&series->first, &series->last, (int)i);
        if (rise != 0) {
            struct sample_delta *delta = &kernel->deltas[end->delta_count++];
            delta->rise = rise;
            snprintf(delta->name, sizeof(delta->name), "%s",
                     tcpstat_counters_name(series->counters, i));
        }
    }
    end->deltas = kernel->deltas;
}

/* Stops the watch: its last tick and last census make the last sample. */
static bool kernel_finish(struct feed *feed, struct sample *last, struct sample_end *end)
{
    struct kernel_feed *kernel = (struct kernel_feed *)feed;
    struct watch_series series;
    watch_stop(kernel->watch, &series);
    kernel->watch = NULL;
    *end = (struct sample_end){
        .is_whole = true,
        .ticks_missed = series.ticks_missed + kernel->queue_missed,
        .tick_errors = series.tick_errors,
        .tick_cpu_ns = series.tick_cpu_ns,
        .census_errors = series.census_errors,
        .census_cpu_ns = series.census_cpu_ns,
        .walk_cpu_ns = series.walk_cpu_ns,
        .budget_cpu_ns = series.budget_cpu_ns,
        .last_error = series.last_error,
    };
    keep_deltas(kernel, &series, end);
    struct watch_latest latest = {.tick = series.ticks[series.tick_count - 1]};
    if (series.census_count > 0) {
        latest.censuses = series.census_count + series.censuses_thinned;
        latest.census = series.censuses[series.census_count - 1];
        latest.peak = latest.census.total;
    }
    make_sample(kernel, &latest, last);
    last->is_last = true;
    watch_series_free(&series);
    return true;
}

static void kernel_close(struct feed *feed)
{
    struct kernel_feed *kernel = (struct kernel_feed *)feed;
    if (kernel->watch != NULL) {
        struct watch_series series;
        watch_stop(kernel->watch, &series);
        watch_series_free(&series);
    }
    observer_close(kernel->observer);
    tcpstat_listeners_close(kernel->listeners);
    watch_keep_free(&kernel->model);
    pthread_mutex_destroy(&kernel->lock);
    free(kernel->deltas);
    if (kernel->feed.fd >= 0) {
        close(kernel->feed.fd);
    }
    free(kernel);
}

static const struct feed_ops kernel_ops = {
    .next = kernel_next,
    .finish = kernel_finish,
    .close = kernel_close,
};

static void fill_head(struct sample_head *head, const struct stat_settings *settings)
{
    struct utsname kernel;
    if (uname(&kernel) == 0) {
        snprintf(head->kernel, sizeof(head->kernel), "%s", kernel.release);
    }
    head->started_wall_ns = clock_wall_ns();
    head->interval_ns = settings->options->interval_ns;
    head->budget_permille = settings->budget_permille;
    if (tcpstat_read_time_wait_max(&head->time_wait_max) < 0) {
        head->time_wait_max = 0; /* the forecast is then without a cap */
    }
}

/* Puts the tick from before the threads ran at the head of the queue: it is what everything is
 * counted from. Our lock keeps the watch's thread from queuing more than a start goes by, so that
 * tick is the newest or the one before. */
static void queue_first_tick(struct kernel_feed *kernel)
{
    struct watch_latest latest;
    watch_latest(kernel->watch, &latest);
    kernel->origin_ns = latest.started_ns;
    kernel->origin_wall_ns = clock_wall_ns() - (clock_now_ns() - latest.started_ns);
    kernel->queue[0] = (struct watch_latest){
        .started_ns = latest.started_ns,
        .ticks = 1,
        .tick = latest.ticks == 1 ? latest.tick : latest.previous,
    };
    kernel->queue_count = 1;
    struct sample_head *head = &kernel->feed.head;
    snprintf(head->method, sizeof(head->method), "%s", latest.census_method);
    sample_head_add_missing(head, watch_passed_over(kernel->watch));
    const uint64_t one = 1;
    const ssize_t written = write(kernel->feed.fd, &one, sizeof(one));
    (void)written;
}

static int start_watch(struct kernel_feed *kernel, struct failure *failure)
{
    struct census *census;
    int error = observer_open_census(kernel->observer, &census, failure);
    if (error < 0) {
        return error;
    }
    const struct watch_config config = {
        .interval_ns = kernel->settings->options->interval_ns,
        .budget_permille = kernel->settings->budget_permille,
        .census_gap_ns = CENSUS_GAP_NS,
        .payer = WATCH_PAYS_FOR_PROCESS,
        .opened_cpu_ns = clock_process_cpu_ns(),
        .final = WATCH_FINAL_WITHIN_BUDGET,
        .method = (enum census_method)kernel->settings->options->method,
        .request = stat_settings_request(kernel->settings),
        .census = census,
        .on_tick = on_tick,
        .walk = observer_walks(kernel->observer) ? on_walk : NULL,
        .around = around_census,
        .context = kernel,
    };
    pthread_mutex_lock(&kernel->lock);
    error = watch_start(&kernel->watch, &config, failure);
    if (error == 0) {
        queue_first_tick(kernel);
    }
    pthread_mutex_unlock(&kernel->lock);
    if (error < 0) {
        census_close(census); /* still ours */
    }
    return error;
}

int feed_open_kernel(struct feed **feed, const struct stat_settings *settings,
                     struct failure *failure)
{
    struct kernel_feed *kernel = calloc(1, sizeof(*kernel));
    if (kernel == NULL) {
        return failure_set(failure, ENOMEM, "no memory to follow the kernel");
    }
    kernel->feed.ops = &kernel_ops;
    kernel->settings = settings;
    pthread_mutex_init(&kernel->lock, NULL);
    watch_keep_init(&kernel->model, sizeof(struct timewait_sample), MODEL_SAMPLES_MAX);
    fill_head(&kernel->feed.head, settings);
    int error = 0;
    kernel->feed.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
    if (kernel->feed.fd < 0) {
        error = failure_set(failure, errno, "no descriptor for ticks: %s", strerror(errno));
    }
    if (error == 0) {
        error = tcpstat_listeners_open(&kernel->listeners, failure);
    }
    if (error == 0) {
        error = observer_open(&kernel->observer, settings, &kernel->feed.head, failure);
    }
    if (error == 0) {
        error = start_watch(kernel, failure);
    }
    if (error < 0) {
        kernel_close(&kernel->feed);
        return error;
    }
    *feed = &kernel->feed;
    return 0;
}
