#include "server/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "link/link.h"
#include "server/memory.h"

static void set_phase(struct worker *worker, enum worker_phase phase)
{
    pthread_mutex_lock(&worker->lock);
    worker->phase = phase;
    pthread_cond_signal(&worker->phase_changed);
    pthread_mutex_unlock(&worker->lock);
}

/* The transport may be woken from other threads only as long as it is here. */
static void set_transport(struct worker *worker, struct transport *transport)
{
    pthread_mutex_lock(&worker->lock);
    worker->transport = transport;
    pthread_mutex_unlock(&worker->lock);
    worker->echo.transport = transport;
}

static int open_transport(struct worker *worker)
{
    const struct worker_config *config = &worker->config;
    struct transport_stack_config stack = transport_stack_config_of(
        config->stack, config->index, config->workers, LINK_STEER_REMOTE_PORT);
    struct transport_config transport_config = {
        .engine = config->engine,
        .conns_max = config->conns_max,
        .features_off = config->features_off,
        .quota = config->quota,
        .listens = true,
        .wake_fd = worker->wake_fd,
        .stack = &stack,
        .handler = echo_handle,
        .context = &worker->echo,
    };
    struct transport *transport;
    int rc = cpu_pin_self(config->cpu);
    if (rc != 0) {
        return failure_set(&worker->failure, -rc, "cannot pin a worker to CPU %u: %s", config->cpu,
                           strerror(-rc));
    }
    rc = echo_init(&worker->echo, config->echo, config->conns_max);
    if (rc != 0) {
        return failure_set(&worker->failure, -rc, "no memory for %u connections",
                           config->conns_max);
    }
    rc = transport_open(&transport, &transport_config, &worker->failure);
    if (rc == 0) {
        set_transport(worker, transport);
        /* With its link open a worker of the stack needs no rights any more. */
        rc = config->board != NULL ? link_drop_rights(&worker->failure) : 0;
    }
    return rc;
}

static int listen_all(struct worker *worker)
{
    for (uint32_t i = 0; i < worker->address_count; i++) {
        uint32_t listener;
        int rc = transport_listen(worker->transport, &worker->addresses[i], &worker->config.listen,
                                  &listener, &worker->failure);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static void publish_progress(struct worker *worker)
{
    const uint64_t *counters = worker->echo.stats.counters;
    struct worker_progress *progress = &worker->progress;
    atomic_store_explicit(&progress->accepted, counters[ECHO_COUNTER_accepted],
                          memory_order_relaxed);
    atomic_store_explicit(&progress->completed, counters[ECHO_COUNTER_completed],
                          memory_order_relaxed);
    atomic_store_explicit(&progress->failed, counters[ECHO_COUNTER_failed], memory_order_relaxed);
    atomic_store_explicit(&progress->open, echo_open_count(&worker->echo), memory_order_relaxed);
}

/* Copies the counters for whoever waits for them; about 10 us, at each scrape. */
static void take_snapshot(struct worker *worker)
{
    struct worker_snapshot *snapshot = &worker->snapshot;
    pthread_mutex_lock(&worker->lock);
    snapshot->stats = worker->echo.stats;
    snapshot->counters = transport_counters(worker->transport);
    ASSERT(snapshot->counters.count <= WORKER_COUNTERS_MAX);
    memcpy(snapshot->values, snapshot->counters.values,
           snapshot->counters.count * sizeof(snapshot->values[0]));
    snapshot->counters.values = snapshot->values;
    transport_turns(worker->transport, &snapshot->turns);
    snapshot->open = echo_open_count(&worker->echo);
    atomic_store_explicit(&worker->snapshot_wanted, false, memory_order_relaxed);
    worker->snapshot_number++;
    pthread_cond_broadcast(&worker->snapshot_taken);
    pthread_mutex_unlock(&worker->lock);
}

bool worker_read(struct worker *worker, uint64_t until_ns, struct worker_snapshot *snapshot)
{
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / NS_PER_SEC),
        .tv_nsec = (long)(until_ns % NS_PER_SEC),
    };
    pthread_mutex_lock(&worker->lock);
    const uint64_t number = worker->snapshot_number;
    if (worker->transport != NULL) {
        atomic_store_explicit(&worker->snapshot_wanted, true, memory_order_relaxed);
        transport_wake(worker->transport);
    }
    int rc = 0;
    while (rc == 0 && worker->transport != NULL && worker->snapshot_number == number) {
        rc = pthread_cond_timedwait(&worker->snapshot_taken, &worker->lock, &until);
    }
    const bool has_one = worker->snapshot_number > 0;
    if (has_one) {
        *snapshot = worker->snapshot;
        snapshot->counters.values = snapshot->values;
    }
    pthread_mutex_unlock(&worker->lock);
    return has_one;
}

static enum worker_stop stop_wanted(struct worker *worker)
{
    return (enum worker_stop)atomic_load_explicit(&worker->stop, memory_order_acquire);
}

/* Polls once. A worker of the stack publishes what the stack knows, also while nothing happens. */
static int poll_once(struct worker *worker, uint64_t until_ns)
{
    const struct worker_config *config = &worker->config;
    if (config->board != NULL) {
        uint64_t next_ns =
            stack_board_turn(config->board, config->index, worker->transport, clock_now_ns());
        until_ns = until_ns < next_ns ? until_ns : next_ns;
    }
    int rc = transport_poll(worker->transport, until_ns);
    publish_progress(worker);
    if (atomic_load_explicit(&worker->snapshot_wanted, memory_order_relaxed)) {
        take_snapshot(worker);
    }
    return rc;
}

/* Polls until `until_ns`, a stop that is stronger than `stop`, or, when `until_empty`, the last
 * connection's end. */
static int poll_on(struct worker *worker, enum worker_stop stop, uint64_t until_ns,
                   bool until_empty)
{
    int rc = 0;
    while (rc == 0 && stop_wanted(worker) <= stop) {
        if (until_empty && transport_conn_count(worker->transport) == 0) {
            break;
        }
        if (until_ns != CLOCK_NEVER && clock_now_ns() >= until_ns) {
            break;
        }
        rc = poll_once(worker, until_ns);
    }
    return rc;
}

/* Has the stack say what is left to say of connections that are done: with --linger-time-wait until
 * TIME_WAIT is over too. The kernel does that by itself. */
static int linger(struct worker *worker)
{
    bool for_time_wait = worker->config.stack->linger;
    uint64_t start_ns = clock_now_ns();
    uint64_t until_ns = for_time_wait ? CLOCK_NEVER : start_ns + WORKER_SETTLE_NS;
    int rc = 0;
    atomic_store(&worker->lingers, true);
    while (rc == 0 && stop_wanted(worker) != WORKER_STOP_NOW) {
        struct transport_lingering left = transport_lingering(worker->transport);
        if (left.closing == 0 && (left.time_wait == 0 || !for_time_wait)) {
            break;
        }
        if (!for_time_wait && clock_now_ns() >= until_ns) {
            break;
        }
        rc = poll_once(worker, until_ns);
    }
    worker->result.lingering_ns = clock_now_ns() - start_ns;
    return rc;
}

/* Serves, then drains: what is open may end by itself for a time, then it is reset. */
static int serve(struct worker *worker)
{
    int rc = poll_on(worker, WORKER_STOP_NOT, CLOCK_NEVER, false);
    if (rc != 0 || stop_wanted(worker) == WORKER_STOP_NOW) {
        return rc;
    }
    transport_listen_stop(worker->transport);
    /* Connections that were accepted before still come as events: without this turn, a worker that
     * was idle would end before it has seen them. */
    rc = transport_poll(worker->transport, 0);
    if (rc != 0) {
        return rc;
    }
    uint64_t until_ns = atomic_load_explicit(&worker->drain_until_ns, memory_order_relaxed);
    rc = poll_on(worker, WORKER_STOP_DRAIN, until_ns, true);
    if (rc != 0 || stop_wanted(worker) == WORKER_STOP_NOW) {
        return rc;
    }
    echo_abort_all(&worker->echo);
    return poll_on(worker, WORKER_STOP_DRAIN, clock_now_ns() + WORKER_ABORT_NS, true);
}

static int run(struct worker *worker)
{
    int rc = serve(worker);
    return rc == 0 && worker->config.board != NULL ? linger(worker) : rc;
}

/* Copies what the report needs, before the transport goes. */
static void keep_result(struct worker *worker)
{
    struct worker_result *result = &worker->result;
    const struct worker_config *config = &worker->config;
    transport_flush(worker->transport);
    result->abandoned = transport_lingering(worker->transport);
    if (config->board != NULL) {
        stack_board_publish(config->board, config->index, worker->transport, clock_now_ns());
    }
    result->counters = transport_counters(worker->transport);
    ASSERT(result->counters.count <= WORKER_COUNTERS_MAX);
    memcpy(result->values, result->counters.values,
           result->counters.count * sizeof(result->values[0]));
    result->counters.values = result->values;
    transport_turns(worker->transport, &result->turns);
    result->feature_count =
        transport_features(worker->transport, result->features, TRANSPORT_FEATURES_MAX);
    result->memory_bytes =
        transport_memory_bytes(worker->transport) + slab_memory_bytes(&worker->echo.conns);
    result->allocated_bytes = memory_allocated_bytes();
    result->open_at_end = echo_open_count(&worker->echo);
}

static void *worker_main(void *context)
{
    struct worker *worker = context;
    char name[16]; /* the kernel's limit */
    snprintf(name, sizeof(name), "worker-%u", worker->config.cpu);
    pthread_setname_np(pthread_self(), name);
    /* Descriptors of its own: the workers' sockets then share no lock. Without it they are only
     * slower. */
    (void)unshare(CLONE_FILES);
    int rc = open_transport(worker);
    if (rc == 0) {
        rc = listen_all(worker);
    }
    if (rc == 0) {
        set_phase(worker, WORKER_LISTENING);
        rc = run(worker);
        if (rc != 0) {
            failure_set(&worker->failure, -rc,
                        "the worker on CPU %u gave up: its engine failed: %s", worker->config.cpu,
                        strerror(-rc));
        }
        keep_result(worker);
    }
    worker->error = rc;
    struct transport *transport = worker->transport;
    if (transport != NULL) {
        take_snapshot(worker); /* for scrapes to come: what they give must not fall */
    }
    set_transport(worker, NULL);
    transport_destroy(transport);
    set_phase(worker, WORKER_ENDED);
    uint64_t one = 1;
    /* Cannot fail: the counter is far from its limit. */
    ssize_t written = write(worker->config.ended_fd, &one, sizeof(one));
    ASSERT(written == (ssize_t)sizeof(one));
    return NULL;
}

/* Waits for the thread to listen or to fail. */
static enum worker_phase wait_started(struct worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (worker->phase == WORKER_STARTING) {
        pthread_cond_wait(&worker->phase_changed, &worker->lock);
    }
    enum worker_phase phase = worker->phase;
    pthread_mutex_unlock(&worker->lock);
    return phase;
}

/* Deadlines of worker_read are the monotonic clock's. */
static void init_snapshot_taken(struct worker *worker)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->snapshot_taken, &attributes);
    pthread_condattr_destroy(&attributes);
}

int worker_start(struct worker *worker, const struct worker_config *config,
                 struct endpoint *addresses, uint32_t address_count, struct failure *failure)
{
    memset(worker, 0, sizeof(*worker));
    worker->config = *config;
    worker->addresses = addresses;
    worker->address_count = address_count;
    hist_init(&worker->result.turns);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->phase_changed, NULL);
    init_snapshot_taken(worker);
    worker->wake_fd = eventfd(0, EFD_CLOEXEC);
    int rc = worker->wake_fd < 0 ? -errno : 0;
    rc = rc != 0 ? rc : -pthread_create(&worker->thread, NULL, worker_main, worker);
    if (rc != 0) {
        failure_set(failure, -rc, "cannot start a thread: %s", strerror(-rc));
        goto err_destroy;
    }
    if (wait_started(worker) == WORKER_ENDED && worker->error != 0) {
        pthread_join(worker->thread, NULL);
        *failure = worker->failure;
        rc = worker->error;
        goto err_destroy;
    }
    return 0;

err_destroy:
    worker_destroy(worker);
    return rc;
}

void worker_stop(struct worker *worker, enum worker_stop stop, uint64_t drain_until_ns)
{
    atomic_store_explicit(&worker->drain_until_ns, drain_until_ns, memory_order_relaxed);
    atomic_store_explicit(&worker->stop, (int)stop, memory_order_release);
    pthread_mutex_lock(&worker->lock);
    if (worker->transport != NULL) {
        transport_wake(worker->transport);
    }
    pthread_mutex_unlock(&worker->lock);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_destroy(struct worker *worker)
{
    echo_fini(&worker->echo);
    if (worker->wake_fd >= 0) {
        close(worker->wake_fd);
    }
    pthread_cond_destroy(&worker->snapshot_taken);
    pthread_cond_destroy(&worker->phase_changed);
    pthread_mutex_destroy(&worker->lock);
}
