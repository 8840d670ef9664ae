/* The two threads of a watch.
 *
 * One mutex guards what both and the callers share: the stop flag and what was kept. The counters
 * belong to the tick thread, the census to the census thread; watch_start and watch_stop use them
 * only while the threads do not run. */
#include "tcpstat/watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "tcpstat/budget.h"
#include "tcpstat/watch_keep.h"

/* To look at the budget takes some 10 us of CPU, which it is charged: not to be done for the sake
 * of less than this. */
#define WAIT_MIN_NS (5 * NS_PER_MS)

/* What a walk may cost of which nothing is known but a census: 3.8 times as much at 100,000
 * sockets, by pid, and the first one more. */
#define WALK_FACTOR 4

struct watch {
    struct watch_config config;
    struct census *census;
    struct census_passed_over passed_over;
    struct tcpstat_counters *counters;
    int indexes[WATCH_FIELD_COUNT]; /* in a snapshot; negative: not there */
    uint64_t started_ns;
    pthread_t tick_thread;
    pthread_t census_thread;
    atomic_bool cancel;        /* gives a census under way up */
    struct budget budget;      /* the census thread's: for all that is spent */
    struct budget walk_budget; /* and what of it walks may take */
    uint64_t walk_cpu_ns;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* `stopping` was set */
    bool stopping;
    struct watch_keep ticks;
    struct watch_keep censuses;
    struct watch_latest latest;
    struct watch_series series; /* its counts and snapshots; the arrays come last */
};

/* Sleeps until a deadline of clock_now_ns, or until the watch stops, and tells which: true to stop.
 * Requires the lock. */
static bool wait_until(struct watch *watch, uint64_t deadline_ns)
{
    const struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_SEC),
        .tv_nsec = (long)(deadline_ns % NS_PER_SEC),
    };
    while (!watch->stopping) {
        const int error = pthread_cond_timedwait(&watch->wake, &watch->lock, &deadline);
        if (error == ETIMEDOUT) {
            break;
        }
    }
    return watch->stopping;
}

/* Keeps a tick from a snapshot. Requires the lock, or that no thread runs yet. */
static void keep_tick(struct watch *watch, const struct tcpstat_counters_snapshot *snapshot,
                      uint64_t due_ns)
{
    struct watch_latest *latest = &watch->latest;
    struct watch_tick tick = {.at_ns = snapshot->taken_ns};
    tick.late_ns = tick.at_ns > due_ns ? tick.at_ns - due_ns : 0;
    for (uint32_t i = 0; i < WATCH_FIELD_COUNT; i++) {
        tick.values[i] = tcpstat_counters_value(snapshot, watch->indexes[i]);
    }
    latest->previous = latest->ticks == 0 ? tick : latest->tick;
    latest->tick = tick;
    latest->ticks++;
    watch->series.last = *snapshot;
    const int error = watch_keep_add(&watch->ticks, &tick, watch->stopping);
    if (error < 0) {
        watch->series.last_error = error;
    }
}

/* Reads the counters and keeps them. */
static void take_tick(struct watch *watch, uint64_t due_ns)
{
    struct tcpstat_counters_snapshot snapshot;
    const uint64_t cpu_ns = clock_thread_cpu_ns();
    const int error = tcpstat_counters_read(watch->counters, &snapshot);
    pthread_mutex_lock(&watch->lock);
    if (error < 0) {
        watch->series.tick_errors++;
        watch->series.last_error = error;
    } else {
        keep_tick(watch, &snapshot, due_ns);
    }
    watch->series.tick_cpu_ns += clock_thread_cpu_ns() - cpu_ns;
    const struct watch_latest latest = watch->latest;
    watch->latest.peak = latest.census.total;
    pthread_mutex_unlock(&watch->lock);
    if (error == 0 && watch->config.on_tick != NULL) {
        watch->config.on_tick(watch->config.context, &latest);
    }
}

/* Gives the next deadline on the schedule's grid after now, and counts those that went by. */
static uint64_t next_deadline(struct watch *watch, uint64_t due_ns)
{
    const uint64_t interval_ns = watch->config.interval_ns;
    const uint64_t now_ns = clock_now_ns();
    const uint64_t next_ns = due_ns + interval_ns;
    if (next_ns > now_ns) {
        return next_ns;
    }
    const uint64_t missed = (now_ns - next_ns) / interval_ns + 1;
    pthread_mutex_lock(&watch->lock);
    watch->series.ticks_missed += missed;
    pthread_mutex_unlock(&watch->lock);
    return next_ns + missed * interval_ns;
}

static void *run_ticks(void *context)
{
    struct watch *watch = context;
    uint64_t due_ns = watch->started_ns;
    for (;;) {
        due_ns = next_deadline(watch, due_ns);
        pthread_mutex_lock(&watch->lock);
        const bool stop = wait_until(watch, due_ns);
        pthread_mutex_unlock(&watch->lock);
        if (stop) {
            take_tick(watch, clock_now_ns());
            return NULL;
        }
        take_tick(watch, due_ns);
    }
}

/* Keeps a census. Requires the lock. */
static void keep_census(struct watch *watch, const struct census_result *result, bool is_final)
{
    struct watch_latest *latest = &watch->latest;
    latest->census = (struct watch_census){
        .stamp = result->stamp,
        .v4 = result->v4,
        .v6 = result->v6,
        .total = result->total,
        .is_final = is_final,
    };
    latest->censuses++;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        const uint64_t count = result->total.n[state];
        latest->peak.n[state] = count > latest->peak.n[state] ? count : latest->peak.n[state];
    }
    const int error = watch_keep_add(&watch->censuses, &latest->census, is_final);
    if (error < 0) {
        watch->series.last_error = error;
    }
}

static void call_around(const struct watch *watch, const struct tcp_state_counts *counted)
{
    if (watch->config.around != NULL) {
        watch->config.around(watch->config.context, counted);
    }
}

/* Takes one census and gives what it cost, whether it came to an end or not. */
static uint64_t take_census(struct watch *watch, struct census_result *result, bool is_final)
{
    struct census_request request = watch->config.request;
    request.cancel = is_final ? NULL : &watch->cancel;
    const uint64_t cpu_started_ns = clock_thread_cpu_ns();
    call_around(watch, NULL);
    const int error = census_run(watch->census, &request, result);
    if (error == 0) {
        call_around(watch, &result->total);
    }
    const uint64_t cpu_ns = clock_thread_cpu_ns() - cpu_started_ns;
    pthread_mutex_lock(&watch->lock);
    watch->series.census_cpu_ns += cpu_ns;
    if (error == 0) {
        keep_census(watch, result, is_final);
    } else if (error != -ECANCELED) {
        watch->series.census_errors++;
        watch->series.last_error = error;
    }
    pthread_mutex_unlock(&watch->lock);
    return cpu_ns;
}

/* Tells what the budget's payer has spent so far. */
static uint64_t spent_ns(struct watch *watch)
{
    if (watch->config.payer == WATCH_PAYS_FOR_PROCESS) {
        return clock_process_cpu_ns();
    }
    pthread_mutex_lock(&watch->lock);
    const uint64_t spent =
        watch->series.tick_cpu_ns + watch->series.census_cpu_ns + watch->series.walk_cpu_ns;
    pthread_mutex_unlock(&watch->lock);
    return spent;
}

/* What the census thread does by turns. A job's first time is an advance (cost 0), but for the
 * walk's, which is taken for WALK_FACTOR times a census. */
struct turn {
    uint64_t earliest_ns;
    uint64_t cost_ns; /* as of the last time */
};

struct turns {
    struct turn census;
    struct turn walk;
};

/* Gives what the next walk is expected to cost. */
static uint64_t walk_cost_ns(const struct watch *watch, const struct turns *turns)
{
    if (watch->config.walk == NULL) {
        return 0;
    }
    return turns->walk.cost_ns == 0 ? WALK_FACTOR * turns->census.cost_ns : turns->walk.cost_ns;
}

/* Gives what is kept back for the next walk. */
static uint64_t reserve_ns(const struct watch *watch)
{
    const int64_t credit_ns = watch->walk_budget.credit_ns;
    return watch->config.walk == NULL || credit_ns < 0 ? 0 : (uint64_t)credit_ns;
}

static uint64_t earned_after(uint64_t now_ns, uint64_t wait_ns)
{
    return now_ns + (wait_ns > 0 && wait_ns < WAIT_MIN_NS ? WAIT_MIN_NS : wait_ns);
}

/* Tells when a census may begin: not before its earliest time, nor before it is earned. */
static uint64_t census_due(struct watch *watch, const struct turns *turns)
{
    const uint64_t now_ns = clock_now_ns();
    const uint64_t cost_ns = turns->census.cost_ns;
    budget_update(&watch->budget, now_ns, spent_ns(watch), cost_ns + walk_cost_ns(watch, turns));
    if (cost_ns == 0) {
        return turns->census.earliest_ns;
    }
    uint64_t wait_ns = budget_wait_ns(&watch->budget, cost_ns + reserve_ns(watch));
    if (wait_ns > 0 && watch->config.walk != NULL) {
        wait_ns *= 2; /* the reserve grows by half of what is earned */
    }
    const uint64_t earned_ns = earned_after(now_ns, wait_ns);
    return earned_ns > turns->census.earliest_ns ? earned_ns : turns->census.earliest_ns;
}

/* Tells the same of a walk, which waits for the first census. */
static uint64_t walk_due(struct watch *watch, const struct turns *turns)
{
    const uint64_t now_ns = clock_now_ns();
    if (watch->config.walk == NULL || turns->census.cost_ns == 0) {
        return CLOCK_NEVER / 2;
    }
    const uint64_t cost_ns = walk_cost_ns(watch, turns);
    budget_update(&watch->walk_budget, now_ns, watch->walk_cpu_ns, cost_ns);
    const uint64_t earned_ns = earned_after(now_ns, budget_wait_ns(&watch->walk_budget, cost_ns));
    return earned_ns > turns->walk.earliest_ns ? earned_ns : turns->walk.earliest_ns;
}

/* Sleeps until a job may begin. What ticks spend meanwhile puts it off. Returns true to stop. */
static bool wait_for_turn(struct watch *watch, const struct turns *turns, bool *is_walk)
{
    for (;;) {
        const uint64_t walk_ns = walk_due(watch, turns);
        const uint64_t census_ns = census_due(watch, turns);
        *is_walk = walk_ns < census_ns;
        const uint64_t due_ns = *is_walk ? walk_ns : census_ns;
        const bool is_due = due_ns <= clock_now_ns();
        pthread_mutex_lock(&watch->lock);
        watch->latest.census_due_ns = census_ns;
        watch->latest.walk_due_ns = walk_ns;
        const bool stop = is_due ? watch->stopping : wait_until(watch, due_ns);
        pthread_mutex_unlock(&watch->lock);
        if (stop || is_due) {
            return stop;
        }
    }
}

static uint64_t take_walk(struct watch *watch)
{
    const uint64_t cpu_started_ns = clock_thread_cpu_ns();
    watch->config.walk(watch->config.context);
    const uint64_t cpu_ns = clock_thread_cpu_ns() - cpu_started_ns;
    watch->walk_cpu_ns += cpu_ns;
    pthread_mutex_lock(&watch->lock);
    watch->series.walk_cpu_ns += cpu_ns;
    pthread_mutex_unlock(&watch->lock);
    return cpu_ns;
}

static bool wants_final(struct watch *watch, uint64_t cost_ns)
{
    if (watch->config.final == WATCH_FINAL_ALWAYS || watch->latest.censuses == 0) {
        return true;
    }
    return budget_is_small(&watch->budget, cost_ns) || budget_wait_ns(&watch->budget, cost_ns) == 0;
}

static void *run_censuses(void *context)
{
    struct watch *watch = context;
    const struct watch_config *config = &watch->config;
    struct census_result result = {0};
    const uint64_t first_ns = config->budget_permille == 0 ? CLOCK_NEVER / 2 : watch->started_ns;
    struct turns turns = {.census.earliest_ns = first_ns, .walk.earliest_ns = first_ns};
    bool is_walk;
    while (!wait_for_turn(watch, &turns, &is_walk)) {
        const uint64_t now_ns = clock_now_ns();
        if (is_walk) {
            turns.walk.earliest_ns = now_ns + config->interval_ns;
            turns.walk.cost_ns = take_walk(watch);
        } else {
            turns.census.earliest_ns = now_ns + config->census_gap_ns;
            turns.census.cost_ns = take_census(watch, &result, false);
        }
    }
    census_due(watch, &turns);
    watch->series.budget_cpu_ns = watch->budget.charged_ns;
    if (wants_final(watch, turns.census.cost_ns)) {
        take_census(watch, &result, true);
    }
    census_result_free(&result);
    return NULL;
}

static int open_sources(struct watch *watch, struct failure *failure)
{
    int error = tcpstat_counters_open(&watch->counters, failure);
    if (error < 0) {
        return error;
    }
    for (uint32_t i = 0; i < WATCH_FIELD_COUNT; i++) {
        watch->indexes[i] =
            tcpstat_counters_find(watch->counters, watch_field_infos[i].kernel_name);
    }
    watch->census = watch->config.census;
    if (watch->census == NULL) {
        error = census_open(&watch->census, watch->config.method, &watch->passed_over, failure);
        if (error < 0) {
            tcpstat_counters_close(watch->counters);
        }
    }
    return error;
}

/* Closes what open_sources opened; a census that the caller gave stays the caller's, since this is
 * for a start that failed. */
static void close_sources(struct watch *watch)
{
    if (watch->config.census == NULL) {
        census_close(watch->census);
    }
    tcpstat_counters_close(watch->counters);
}

static int take_first_tick(struct watch *watch, struct failure *failure)
{
    const int error = tcpstat_counters_read(watch->counters, &watch->series.first);
    if (error < 0) {
        return failure_set(failure, -error, "the kernel's counters cannot be read: %s",
                           strerror(-error));
    }
    watch->started_ns = watch->series.first.taken_ns;
    watch->latest.started_ns = watch->started_ns;
    watch->latest.census_method = census_method(watch->census);
    keep_tick(watch, &watch->series.first, watch->started_ns);
    return 0;
}

/* Makes the lock, and the condition on the clock that deadlines are read from. */
static void init_lock(struct watch *watch)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&watch->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&watch->lock, NULL);
}

static void destroy_lock(struct watch *watch)
{
    pthread_mutex_destroy(&watch->lock);
    pthread_cond_destroy(&watch->wake);
}

static void tell_to_stop(struct watch *watch)
{
    atomic_store_explicit(&watch->cancel, true, memory_order_relaxed);
    pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    pthread_cond_broadcast(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
}

/* Starts both threads with all signals blocked: they are the program's to take. Returns 0 or -errno
 * with none running. */
static int start_threads(struct watch *watch)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->tick_thread, NULL, run_ticks, watch);
    if (error == 0) {
        error = pthread_create(&watch->census_thread, NULL, run_censuses, watch);
        if (error != 0) {
            tell_to_stop(watch);
            pthread_join(watch->tick_thread, NULL);
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static void apply_config(struct watch *watch, const struct watch_config *config)
{
    watch->config = *config;
    watch->config.request.grouping = CENSUS_WHOLE;
    if (watch->config.interval_ns == 0) {
        watch->config.interval_ns = WATCH_INTERVAL_DEFAULT_NS;
    }
    if (watch->config.census_gap_ns == 0) {
        watch->config.census_gap_ns = watch->config.interval_ns;
    }
    watch_keep_init(&watch->ticks, sizeof(struct watch_tick), WATCH_TICKS_MAX);
    watch_keep_init(&watch->censuses, sizeof(struct watch_census), WATCH_CENSUSES_MAX);
}

int watch_start(struct watch **watch, const struct watch_config *config, struct failure *failure)
{
    struct watch *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory to watch the TCP states");
    }
    apply_config(made, config);
    const bool pays_for_all = config->payer == WATCH_PAYS_FOR_PROCESS;
    const uint64_t cpu_before_ns = clock_process_cpu_ns();
    int error = open_sources(made, failure);
    if (error < 0) {
        goto err_free;
    }
    /* What opening costs is spent for watching too. */
    const uint64_t cpu_ns = clock_process_cpu_ns();
    budget_start(&made->budget, config->budget_permille, clock_now_ns(), pays_for_all ? cpu_ns : 0);
    budget_start(&made->walk_budget, (config->budget_permille + 1) / 2, clock_now_ns(), 0);
    const uint64_t debt_ns = config->opened_cpu_ns + (pays_for_all ? cpu_ns - cpu_before_ns : 0);
    budget_owe(&made->budget, debt_ns);
    budget_owe(&made->walk_budget, debt_ns / 2);
    error = take_first_tick(made, failure);
    if (error < 0) {
        goto err_close_sources;
    }
    init_lock(made);
    error = start_threads(made);
    if (error < 0) {
        failure_set(failure, -error, "no thread to watch the TCP states: %s", strerror(-error));
        goto err_destroy_lock;
    }
    *watch = made;
    return 0;

err_destroy_lock:
    destroy_lock(made);
err_close_sources:
    watch_keep_free(&made->ticks);
    watch_keep_free(&made->censuses);
    close_sources(made);
err_free:
    free(made);
    return error;
}

void watch_latest(struct watch *watch, struct watch_latest *latest)
{
    pthread_mutex_lock(&watch->lock);
    *latest = watch->latest;
    pthread_mutex_unlock(&watch->lock);
}

const char *watch_passed_over(const struct watch *watch)
{
    return watch->passed_over.text;
}

void watch_stop(struct watch *watch, struct watch_series *series)
{
    tell_to_stop(watch);
    pthread_join(watch->tick_thread, NULL);
    pthread_join(watch->census_thread, NULL);
    *series = watch->series;
    series->census_method = census_method(watch->census);
    series->passed_over = watch->passed_over;
    series->interval_ns = watch->config.interval_ns;
    series->ticks = watch->ticks.items;
    series->tick_count = watch->ticks.count;
    series->ticks_thinned = watch_keep_thinned(&watch->ticks);
    series->censuses = watch->censuses.items;
    series->census_count = watch->censuses.count;
    series->censuses_thinned = watch_keep_thinned(&watch->censuses);
    series->counters = watch->counters;
    census_close(watch->census);
    destroy_lock(watch);
    free(watch);
}
