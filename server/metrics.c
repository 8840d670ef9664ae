#include "server/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "exporter/kernel.h"
#include "server/server.h"
#include "transport/stack_watch.h"

/* How long a scrape waits for all workers. One that is busier than that is a little behind. */
#define WAIT_NS (500 * NS_PER_MS)

#define NAME_MAX_BYTES 96

/* All workers, added up; large. */
struct totals {
    struct echo_stats stats;
    struct counter_view transport; /* its values are `values` */
    uint64_t values[WORKER_COUNTERS_MAX];
    struct hist turns;
    uint64_t open;
    uint32_t workers;
    struct worker_snapshot snapshot; /* of one */
    struct stack_totals stack;       /* with --engine stack */
};

static void add_up(struct server *server, struct totals *totals)
{
    const uint64_t until_ns = clock_now_ns() + WAIT_NS;
    echo_stats_init(&totals->stats);
    hist_init(&totals->turns);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        struct worker_snapshot *snapshot = &totals->snapshot;
        if (!worker_read(&server->workers[i], until_ns, snapshot)) {
            continue;
        }
        echo_stats_merge(&totals->stats, &snapshot->stats);
        hist_merge(&totals->turns, &snapshot->turns);
        totals->transport = snapshot->counters;
        for (size_t k = 0; k < snapshot->counters.count; k++) {
            totals->values[k] += snapshot->values[k];
        }
        totals->open += snapshot->open;
        totals->workers++;
    }
    totals->transport.values = totals->values;
}

static void add_failures(struct openmetrics *out, const struct echo_stats *stats)
{
    static const struct openmetrics_family family = {
        "finwait_server_failures", OPENMETRICS_COUNTER, "",
        "connections that failed, by the phase and the errno"};
    openmetrics_begin(out, &family);
    for (uint32_t phase = 0; phase < ECHO_PHASE_COUNT; phase++) {
        for (int error = 1; error < ECHO_ERRNO_COUNT; error++) {
            const struct openmetrics_label labels[] = {
                {"phase", echo_phase_name(phase)},
                {"errno", failure_errno_name(error)},
            };
            if (stats->errors[phase][error] > 0) {
                openmetrics_count(out, &family, (struct openmetrics_labels){labels, 2},
                                  stats->errors[phase][error]);
            }
        }
    }
}

static void add_latencies(struct openmetrics *out, const struct totals *totals)
{
    static const struct openmetrics_family lifetime = {
        "finwait_server_connection_lifetime_seconds", OPENMETRICS_HISTOGRAM, "seconds",
        "time from accept to close of connections that were closed in order"};
    static const struct openmetrics_family turn = {
        "finwait_server_turn_seconds", OPENMETRICS_HISTOGRAM, "seconds",
        "length of the workers' loop turns: how long an event may wait for them"};
    openmetrics_begin(out, &lifetime);
    openmetrics_hist(out, &lifetime, (struct openmetrics_labels){0}, &totals->stats.lifetime);
    openmetrics_begin(out, &turn);
    openmetrics_hist(out, &turn, (struct openmetrics_labels){0}, &totals->turns);
}

static double timeval_sec(struct timeval value)
{
    return (double)value.tv_sec + (double)value.tv_usec / 1e6;
}

static void add_process(struct openmetrics *out, const struct server *server,
                        const struct totals *totals)
{
    static const struct openmetrics_family cpu = {"finwait_server_cpu_seconds", OPENMETRICS_COUNTER,
                                                  "seconds",
                                                  "CPU time of the server, user and system"};
    static const struct openmetrics_family start = {
        "finwait_server_start_time_seconds", OPENMETRICS_GAUGE, "seconds",
        "when the server began to listen, in seconds since 1970"};
    static const struct openmetrics_family open = {"finwait_server_open_connections",
                                                   OPENMETRICS_GAUGE, "",
                                                   "connections that have not ended"};
    static const struct openmetrics_family workers = {"finwait_server_workers", OPENMETRICS_GAUGE,
                                                      "", "workers that answered the scrape"};
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    openmetrics_one(out, &cpu, timeval_sec(usage.ru_utime) + timeval_sec(usage.ru_stime));
    openmetrics_one(out, &start, (double)server->start_wall_ns / (double)NS_PER_SEC);
    openmetrics_one(out, &open, (double)totals->open);
    openmetrics_one(out, &workers, (double)totals->workers);
}

/* What the stack holds goes up and down. */
static void add_held(struct openmetrics *out, const char *prefix, const struct counter_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof(name), "%s%s", prefix, view->infos[i].name);
        const struct openmetrics_family family = {name, OPENMETRICS_GAUGE, "", view->infos[i].help};
        openmetrics_begin(out, &family);
        openmetrics_count(out, &family, (struct openmetrics_labels){0}, view->values[i]);
    }
}

/* Adds what the stack and what is below it count: finwait_stack_..., finwait_ether_... and so on.
 */
static void add_stack(struct openmetrics *out, const struct stack_totals *stack)
{
    uint64_t values[WATCH_FIELD_COUNT];
    stack_totals_watch(stack, values);
    exporter_add_kernel(out, values);
    for (uint32_t i = 0; i < stack->view_count; i++) {
        const struct transport_view *view = &stack->views[i];
        char prefix[NAME_MAX_BYTES];
        snprintf(prefix, sizeof(prefix), "finwait_%s_", view->module);
        if (strcmp(view->module, "stack_memory") == 0) {
            add_held(out, prefix, &view->counters);
        } else {
            openmetrics_counters(out, prefix, &view->counters);
        }
    }
}

/* The states are the kernel's or the stack's; of the stack the kernel knows nothing. */
static void add_states(struct openmetrics *out, struct server *server, struct totals *totals)
{
    struct watch_latest latest;
    watch_latest(server->watch, &latest);
    const uint64_t now_ns = clock_now_ns();
    const uint64_t begun_ns = latest.census.stamp.started_ns;
    exporter_add_census(out, &latest.census, latest.censuses,
                        now_ns > begun_ns ? now_ns - begun_ns : 0);
    if (server->board == NULL) {
        exporter_add_kernel(out, latest.tick.values);
    } else {
        stack_board_read(server->board, &totals->stack);
        add_stack(out, &totals->stack);
    }
}

void metrics_fill(void *context, struct openmetrics *out)
{
    struct server *server = context;
    struct totals *totals = calloc(1, sizeof(*totals));
    if (totals == NULL) {
        out->failed = true;
        return;
    }
    add_up(server, totals);
    const struct counter_view own = echo_counters(&totals->stats);
    exporter_add_build(out);
    add_process(out, server, totals);
    openmetrics_counters(out, "finwait_server_", &own);
    openmetrics_counters(out, "finwait_transport_", &totals->transport);
    add_failures(out, &totals->stats);
    add_latencies(out, totals);
    add_states(out, server, totals);
    free(totals);
}
