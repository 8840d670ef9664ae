#include "loadgen/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "link/link.h"

/* Arrivals that one turn of the loop starts before it looks at completions again. */
#define STARTS_PER_TURN 32u

/* A closed loop whose try has failed at once (no 4-tuple, no descriptors) waits for so long: the
 * cause does not go away sooner, and the processor is the target's as well. */
#define RETRY_NS (10 * NS_PER_MS)

/* Arrivals that fell due within the window but were late at its end are started for so long. */
#define LATE_GRACE_NS (10 * NS_PER_MS)

/* Resets at the end are the kernel's business for this long at most. */
#define ABORT_NS NS_PER_SEC

/* What the stack has closed goes on being said for so long at most, where TIME_WAIT is not waited
 * for: two round trips on most networks, and a lost FIN or two. */
#define SETTLE_NS NS_PER_SEC

/* Who interrupts a run does not want to wait for a long drain. */
#define STOP_DRAIN_NS NS_PER_SEC

/* The kernel's default of 50 us would show in the schedule slip. */
#define TIMER_SLACK_NS 1000ul

static enum worker_order order_of(const struct worker_team *team)
{
    return (enum worker_order)atomic_load_explicit(&team->order, memory_order_acquire);
}

static void tell_news(struct worker_team *team, _Atomic uint32_t *count)
{
    atomic_fetch_add(count, 1);
    /* Fails only when 2^64 - 1 news wait, and then one more is not needed. */
    (void)eventfd_write(team->news_fd, 1);
}

/* This worker's part of a number that is for all workers. */
static uint32_t part_of(const struct worker *worker, uint64_t whole)
{
    return (uint32_t)schedule_share_count(whole, worker->share, worker->team->workers);
}

/* How many records a worker may need: in open loop any worker may have all connections. */
static uint32_t conns_max_of(const struct worker *worker)
{
    const struct plan *plan = worker->team->plan;
    uint32_t part =
        plan->open_loop ? (uint32_t)plan->options.conns_max : part_of(worker, plan->in_flight);
    return part > 0 ? part : 1;
}

/* A worker of the stack gives its rights up once its link is open. */
static int drop_rights(const struct worker *worker, struct failure *failure)
{
    return worker->team->board != NULL ? link_drop_rights(failure) : 0;
}

static int open_transport(struct worker *worker, struct transport **transport)
{
    const struct plan *plan = worker->team->plan;
    struct transport_stack_config stack = transport_stack_config_of(
        &plan->stack, worker->share, worker->team->workers, LINK_STEER_LOCAL_PORT);
    int rc = transport_open(transport,
                            &(struct transport_config){
                                .engine = plan->engine,
                                .conns_max = conns_max_of(worker),
                                .features_off = plan->features_off,
                                .connects = true,
                                .wake_fd = worker->wake_fd,
                                .stack = &stack,
                                .handler = conn_handle,
                                .context = &worker->env,
                            },
                            &worker->failure);
    if (rc == 0) {
        worker->env.transport = *transport;
        pthread_mutex_lock(&worker->wake_lock);
        worker->wakes = *transport;
        pthread_mutex_unlock(&worker->wake_lock);
    }
    return rc;
}

static int set_up(struct worker *worker, struct transport **transport)
{
    struct worker_team *team = worker->team;
    uint32_t cpu = team->plan->cpus.cpus[worker->share];
    int rc = cpu_pin_self(cpu);
    if (rc != 0) {
        return failure_set(&worker->failure, -rc, "cannot run on CPU %u: %s", cpu, strerror(-rc));
    }
    /* Not fatal: without it the schedule slip is larger, and the report shows that. */
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0, 0, 0);
    rc =
        conn_env_init(&worker->env, team->plan, worker->share, team->workers, conns_max_of(worker));
    if (rc != 0) {
        return failure_set(&worker->failure, -rc, "no memory for connection records");
    }
    worker->env.stats = worker->stats;
    if (team->plan->open_loop && team->workers > 1) {
        worker->env.quota = &team->quota;
    }
    rc = open_transport(worker, transport);
    return rc != 0 ? rc : drop_rights(worker, &worker->failure);
}

/* Polls. A worker of the stack publishes what the stack knows, also while nothing happens. */
static int poll_transport(struct worker *worker, uint64_t until_ns)
{
    struct stack_board *board = worker->team->board;
    if (board != NULL) {
        uint64_t next_ns =
            stack_board_turn(board, worker->share, worker->env.transport, clock_now_ns());
        until_ns = until_ns < next_ns ? until_ns : next_ns;
    }
    return transport_poll(worker->env.transport, until_ns);
}

static uint64_t count_memory(const struct worker *worker)
{
    return transport_memory_bytes(worker->env.transport) + slab_memory_bytes(&worker->env.conns);
}

static int wait_for_start(struct worker *worker)
{
    int rc = 0;
    while (order_of(worker->team) == WORKER_WAIT && rc == 0) {
        rc = poll_transport(worker, CLOCK_NEVER);
    }
    return rc;
}

static void begin(struct worker *worker)
{
    const struct plan *plan = worker->team->plan;
    uint64_t start_ns = atomic_load(&worker->team->start_ns);
    if (plan->duration_ns != 0) {
        worker->env.window_end_ns = start_ns + plan->duration_ns;
    }
    worker->next_index = worker->share;
    worker->retry_ns = start_ns;
    if (plan->open_loop) {
        schedule_init(&worker->schedule, &(struct schedule_config){
                                             .rate = plan->options.rate,
                                             .start_ns = start_ns,
                                             .duration_ns = plan->duration_ns,
                                             .arrivals_max = plan->arrivals_max,
                                             .share = worker->share,
                                             .shares = worker->team->workers,
                                         });
    }
}

/* Starts arrivals that are due. Returns when to come back at the latest. */
static uint64_t start_by_schedule(struct worker *worker)
{
    struct stats *stats = worker->stats;
    uint64_t index;
    uint64_t due_ns;
    uint64_t now_ns = clock_now_ns();
    for (uint32_t i = 0; i < STARTS_PER_TURN; i++) {
        if (!schedule_due(&worker->schedule, now_ns, &index, &due_ns)) {
            uint64_t next_ns = schedule_next_ns(&worker->schedule);
            worker->started_all = next_ns == CLOCK_NEVER;
            return next_ns;
        }
        uint64_t shed = stats_read(&stats->live.shed);
        conn_start(&worker->env, index, due_ns, now_ns);
        if (stats_read(&stats->live.shed) == shed) {
            hist_record(&stats->slip, now_ns - due_ns);
        }
        now_ns = clock_now_ns();
    }
    return now_ns;
}

/* After a try that failed at once: for want of a 4-tuple until there is one, else for a while. */
static uint64_t retry_at(struct worker *worker, uint64_t now_ns)
{
    uint64_t retry_ns = now_ns + RETRY_NS;
    if (!worker->team->plan->ports_by_kernel) {
        uint64_t tuple_ns = planner_next_ns(&worker->env.planner);
        if (tuple_ns != CLOCK_NEVER && tuple_ns > retry_ns) {
            atomic_store_explicit(&worker->stats->live.tuple_ns, tuple_ns, memory_order_relaxed);
            return tuple_ns;
        }
    }
    return retry_ns;
}

/* Tells whether nothing may be started now, since only failures have come back. */
static bool is_backing_off(struct worker *worker, uint32_t wanted, uint64_t now_ns)
{
    const struct stats_live *live = &worker->stats->live;
    if (now_ns >= worker->retry_ns && wanted > 0) {
        uint64_t pause_ns = backoff_look(&worker->backoff, stats_read(&live->completed),
                                         stats_read(&live->failed), wanted);
        worker->stats->backoffs += pause_ns > 0;
        worker->retry_ns = pause_ns > 0 ? now_ns + pause_ns : worker->retry_ns;
    }
    return now_ns < worker->retry_ns;
}

/* Keeps our part of the connections in flight. A connection is in flight until its socket is gone:
 * a successor that does not wait for that finds the socket's memory still taken, and keeps more
 * sockets open than were asked for. Returns when to come back at the latest. */
static uint64_t start_in_flight(struct worker *worker)
{
    const struct plan *plan = worker->team->plan;
    uint32_t wanted = part_of(worker, plan->in_flight);
    uint64_t now_ns = clock_now_ns();
    if (is_backing_off(worker, wanted, now_ns)) {
        return worker->retry_ns;
    }
    while (conn_live_count(&worker->env) < wanted) {
        if (worker->next_index >= plan->arrivals_max || now_ns >= worker->env.window_end_ns) {
            worker->started_all = true;
            break;
        }
        enum conn_start outcome = conn_start(&worker->env, worker->next_index, now_ns, now_ns);
        worker->next_index += worker->team->workers;
        if (outcome != CONN_STARTED) {
            worker->retry_ns = retry_at(worker, now_ns);
            return worker->retry_ns;
        }
        now_ns = clock_now_ns();
    }
    return worker->env.window_end_ns;
}

/* Runs the offered window: until all has been started, the time is over, or we are told to stop. */
static int run_window(struct worker *worker)
{
    const struct plan *plan = worker->team->plan;
    uint64_t start_ns = atomic_load(&worker->team->start_ns);
    uint64_t end_ns = worker->env.window_end_ns;
    uint64_t late_end_ns = end_ns == CLOCK_NEVER ? CLOCK_NEVER : end_ns + LATE_GRACE_NS;
    uint64_t cpu_ns = clock_thread_cpu_ns();
    uint64_t now_ns = clock_now_ns();
    int rc = 0;
    while (rc == 0 && order_of(worker->team) == WORKER_RUN && !worker->started_all &&
           now_ns < (plan->open_loop ? late_end_ns : end_ns)) {
        uint64_t until_ns = plan->open_loop ? start_by_schedule(worker) : start_in_flight(worker);
        if (worker->started_all) {
            break;
        }
        rc = poll_transport(worker, until_ns < late_end_ns ? until_ns : late_end_ns);
        now_ns = clock_now_ns();
    }
    /* All may be started before the window ends: completions until then still count in it. */
    while (rc == 0 && order_of(worker->team) == WORKER_RUN && end_ns != CLOCK_NEVER &&
           conn_live_count(&worker->env) > 0 && now_ns < end_ns) {
        rc = poll_transport(worker, end_ns);
        now_ns = clock_now_ns();
    }
    worker->cpu_ns = clock_thread_cpu_ns() - cpu_ns;
    worker->window_ns = now_ns > start_ns ? now_ns - start_ns : 0;
    worker->stats->offered = stats_read(&worker->stats->live.attempted);
    if (plan->open_loop) {
        worker->stats->offered = schedule_offered(&worker->schedule, now_ns);
    }
    return rc;
}

static int drain(struct worker *worker)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t drain_ns = worker->team->plan->drain_ns;
    if (order_of(worker->team) == WORKER_STOP && drain_ns > STOP_DRAIN_NS) {
        drain_ns = STOP_DRAIN_NS;
    }
    uint64_t end_ns = now_ns + drain_ns;
    int rc = 0;
    if (worker->env.window_end_ns > now_ns) {
        worker->env.window_end_ns = now_ns;
    }
    while (rc == 0 && order_of(worker->team) != WORKER_ABORT && conn_live_count(&worker->env) > 0 &&
           now_ns < end_ns) {
        rc = poll_transport(worker, end_ns);
        now_ns = clock_now_ns();
    }
    return rc;
}

static int cut_off(struct worker *worker)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t end_ns = now_ns + ABORT_NS;
    int rc = 0;
    conn_abort_all(&worker->env);
    while (rc == 0 && conn_live_count(&worker->env) > 0 && now_ns < end_ns) {
        rc = poll_transport(worker, end_ns);
        now_ns = clock_now_ns();
    }
    return rc;
}

/* Has the stack say what is left to say of connections that are done: with --linger-time-wait until
 * TIME_WAIT is over too. The kernel does that by itself. */
static int linger(struct worker *worker)
{
    const struct plan *plan = worker->team->plan;
    bool for_time_wait = plan->stack.linger;
    uint64_t start_ns = clock_now_ns();
    uint64_t now_ns = start_ns;
    int rc = 0;
    while (rc == 0 && order_of(worker->team) != WORKER_ABORT) {
        struct transport_lingering left = transport_lingering(worker->env.transport);
        if (left.closing == 0 && (left.time_wait == 0 || !for_time_wait)) {
            break;
        }
        if (!for_time_wait && now_ns - start_ns >= SETTLE_NS) {
            break;
        }
        rc = poll_transport(worker, for_time_wait ? CLOCK_NEVER : start_ns + SETTLE_NS);
        now_ns = clock_now_ns();
    }
    worker->lingering_ns = now_ns - start_ns;
    worker->abandoned = transport_lingering(worker->env.transport);
    return rc;
}

/* Keeps what the report wants to know of the transport before it goes. */
static void take_stock(struct worker *worker)
{
    struct transport *transport = worker->env.transport;
    transport_flush(transport);
    if (worker->team->board != NULL) {
        stack_board_publish(worker->team->board, worker->share, transport, clock_now_ns());
    }
    struct counter_view view = transport_counters(transport);
    worker->stats->tuples_used = worker->env.planner.used_count;
    worker->stats->tuples_reused = worker->env.planner.reuse_count;
    worker->memory_bytes = count_memory(worker);
    worker->feature_count =
        (uint32_t)transport_features(transport, worker->features, TRANSPORT_FEATURES_MAX);
    transport_turns(transport, &worker->stats->turn);
    worker->counter_values = malloc(view.count * sizeof(*view.values));
    if (worker->counter_values != NULL) {
        memcpy(worker->counter_values, view.values, view.count * sizeof(*view.values));
        worker->counters = view;
        worker->counters.values = worker->counter_values;
    }
}

static int run(struct worker *worker)
{
    int rc = wait_for_start(worker);
    if (rc == 0 && order_of(worker->team) == WORKER_RUN) {
        begin(worker);
        rc = run_window(worker);
    }
    if (rc == 0) {
        rc = drain(worker);
    }
    if (rc == 0) {
        rc = cut_off(worker);
    }
    tell_news(worker->team, &worker->team->done_count);
    if (rc == 0 && worker->team->board != NULL) {
        rc = linger(worker);
    }
    return rc;
}

/* The master may be about to wake the transport: it must not go meanwhile. */
static void close_transport(struct worker *worker, struct transport *transport)
{
    pthread_mutex_lock(&worker->wake_lock);
    worker->wakes = NULL;
    pthread_mutex_unlock(&worker->wake_lock);
    transport_destroy(transport);
}

static void *thread_main(void *argument)
{
    struct worker *worker = argument;
    struct transport *transport = NULL;
    /* Descriptors of its own: the workers' sockets then share no lock. Without it they are only
     * slower. */
    (void)unshare(CLONE_FILES);
    worker->error = set_up(worker, &transport);
    worker->memory_idle_bytes = worker->error == 0 ? count_memory(worker) : 0;
    tell_news(worker->team, &worker->team->ready_count);
    if (worker->error == 0) {
        worker->error = run(worker);
        if (worker->error != 0) {
            failure_set(&worker->failure, -worker->error, "the engine broke off: %s",
                        strerror(-worker->error));
        }
        take_stock(worker);
        close_transport(worker, transport);
    }
    conn_env_destroy(&worker->env);
    tell_news(worker->team, &worker->team->ended_count);
    return NULL;
}

int worker_start(struct worker *worker, struct worker_team *team, uint32_t share)
{
    memset(worker, 0, sizeof(*worker));
    worker->team = team;
    worker->share = share;
    worker->stats = malloc(sizeof(*worker->stats));
    if (worker->stats == NULL) {
        return -ENOMEM;
    }
    stats_init(worker->stats);
    pthread_mutex_init(&worker->wake_lock, NULL);
    worker->wake_fd = eventfd(0, EFD_CLOEXEC);
    int rc = worker->wake_fd < 0 ? -errno : 0;
    rc = rc != 0 ? rc : -pthread_create(&worker->thread, NULL, thread_main, worker);
    if (rc != 0) {
        worker_destroy(worker);
    }
    return rc;
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void worker_wake(struct worker *worker)
{
    pthread_mutex_lock(&worker->wake_lock);
    if (worker->wakes != NULL) {
        transport_wake(worker->wakes);
    }
    pthread_mutex_unlock(&worker->wake_lock);
}

void worker_destroy(struct worker *worker)
{
    if (worker->stats == NULL) {
        return;
    }
    if (worker->wake_fd >= 0) {
        close(worker->wake_fd);
    }
    pthread_mutex_destroy(&worker->wake_lock);
    free(worker->stats);
    free(worker->counter_values);
    worker->stats = NULL;
    worker->counter_values = NULL;
}
