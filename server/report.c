#include "server/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "report/report.h"
#include "transport/stack_result.h"

#define COUNTER_NAME_MAX 64

/* With fewer connections the chunks that memory comes in, and not the connections, are what is
 * measured. */
#define MEMORY_CONNS_MIN 1000u

/* Everything that the workers left, added up. */
struct totals {
    struct echo_stats stats;
    uint64_t transport[WORKER_COUNTERS_MAX];
    struct hist turns;
    uint64_t open_at_end;
    uint64_t memory_bytes;
    uint64_t allocated_bytes; /* before the first worker gave its memory back */
};

static void add_up(const struct server *server, struct totals *totals)
{
    memset(totals, 0, sizeof(*totals));
    echo_stats_init(&totals->stats);
    hist_init(&totals->turns);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const struct worker *worker = &server->workers[i];
        echo_stats_merge(&totals->stats, &worker->echo.stats);
        hist_merge(&totals->turns, &worker->result.turns);
        totals->open_at_end += worker->result.open_at_end;
        totals->memory_bytes += worker->result.memory_bytes;
        if (worker->result.allocated_bytes > totals->allocated_bytes) {
            totals->allocated_bytes = worker->result.allocated_bytes;
        }
        for (size_t k = 0; k < worker->result.counters.count; k++) {
            totals->transport[k] += worker->result.values[k];
        }
    }
}

static uint64_t timeval_ns(struct timeval value)
{
    return (uint64_t)value.tv_sec * NS_PER_SEC + (uint64_t)value.tv_usec * NS_PER_US;
}

static void set_cpu(struct result *result, const struct rusage *before)
{
    struct rusage now;
    getrusage(RUSAGE_SELF, &now);
    result->cpu.user_ns = result_count(timeval_ns(now.ru_utime) - timeval_ns(before->ru_utime));
    result->cpu.system_ns = result_count(timeval_ns(now.ru_stime) - timeval_ns(before->ru_stime));
}

/* The run's numbers. Its duration is that of the traffic: a server that waits for its client does
 * not get slower by waiting. */
static void set_numbers(const struct server *server, struct result *result,
                        const struct totals *totals)
{
    const struct echo_stats *stats = &totals->stats;
    result->attempted = result_count(stats->counters[ECHO_COUNTER_accepted]);
    result->completed = result_count(stats->counters[ECHO_COUNTER_completed]);
    result->failed = result_count(stats->counters[ECHO_COUNTER_failed]);
    result->open_at_end = result_count(totals->open_at_end);
    result->start_wall_ns = result_count(server->start_wall_ns);
    if (stats->last_close_ns > stats->first_accept_ns) {
        result->duration_ns = result_count(stats->last_close_ns - stats->first_accept_ns);
    }
    if (server->worker_count == 1) {
        result->open_max = result_count(stats->open_max);
    }
    uint64_t before = server->start_memory_bytes;
    if (before != 0 && totals->allocated_bytes > before && stats->open_max >= MEMORY_CONNS_MIN) {
        /* Memory is kept at its peak, and each worker's peak is its own: so these may be divided.
         */
        double grown = (double)(totals->allocated_bytes - before);
        result->bytes_per_conn = result_real(grown / (double)stats->open_max);
    }
}

static int set_strings(const struct server *server, struct result *result)
{
    static const char *const hows[] = {"fin", "close", "half", "rst", "fin-no-timewait"};
    bool closes = server->echo.limit.unit != ECHO_LIMIT_NONE;
    const char *why = server->engine_why.text[0] != '\0' ? server->engine_why.text : NULL;
    int rc = result_set(&result->engine, transport_engine_name(server->engine));
    rc = rc != 0 ? rc : result_set(&result->engine_why, why);
    rc = rc != 0 ? rc : result_set(&result->closer, closes ? "server" : "client");
    return rc != 0 ? rc : result_set(&result->close_how, closes ? hows[server->echo.how] : NULL);
}

static int add_errors(struct result *result, const struct echo_stats *stats)
{
    int rc = 0;
    for (uint32_t phase = 0; phase < ECHO_PHASE_COUNT; phase++) {
        for (int error = 1; error < ECHO_ERRNO_COUNT && rc == 0; error++) {
            rc = result_add_error(result, echo_phase_name(phase), error,
                                  stats->errors[phase][error]);
        }
    }
    return rc;
}

/* Adds the transitions of the connections' state machine that took place. */
static int add_transitions(struct result *result, const struct echo_stats *stats)
{
    int rc = 0;
    for (uint32_t from = 0; from < ECHO_STATE_COUNT; from++) {
        for (uint32_t to = 0; to < ECHO_STATE_COUNT && rc == 0; to++) {
            char name[COUNTER_NAME_MAX];
            snprintf(name, sizeof(name), "%s_to_%s", echo_state_name((enum echo_state)from),
                     echo_state_name((enum echo_state)to));
            if (stats->transitions[from][to] != 0) {
                rc = result_add_counter(result, "transitions", name,
                                        result_count(stats->transitions[from][to]));
            }
        }
    }
    return rc;
}

static int add_counters(const struct server *server, struct result *result,
                        const struct totals *totals)
{
    struct counter_view own = echo_counters(&totals->stats);
    struct counter_view transport = server->workers[0].result.counters;
    transport.values = totals->transport;
    int rc = result_add_counters(result, "server", &own);
    rc = rc != 0
             ? rc
             : result_add_counter(result, "server", "workers", result_count(server->worker_count));
    rc = rc != 0 ? rc
                 : result_add_counter(result, "server", "open_max_of_workers_added",
                                      result_count(totals->stats.open_max));
    rc = rc != 0 ? rc
                 : result_add_counter(result, "server", "transport_memory_bytes",
                                      result_count(totals->memory_bytes));
    rc = rc != 0 ? rc : result_add_counters(result, "transport", &transport);
    return rc != 0 ? rc : add_transitions(result, &totals->stats);
}

static int add_features(struct result *result, const struct worker_result *worker)
{
    int rc = 0;
    for (size_t i = 0; i < worker->feature_count && rc == 0; i++) {
        const struct transport_feature *feature = &worker->features[i];
        rc = result_add_feature(result, feature->name, transport_feature_state_name(feature->state),
                                feature->help);
    }
    return rc;
}

static int add_notes(const struct server *server, struct result *result,
                     const struct totals *totals)
{
    const uint64_t *counters = totals->stats.counters;
    int rc = 0;
    if (server->signal_count > 1 && !server->lingering_cut) {
        rc = result_add_limit(result, RESULT_INVALID, "interrupted",
                              "A second signal ended the server at once.");
    }
    if (rc == 0 && counters[ECHO_COUNTER_peer_reset] != 0) {
        rc = result_add_limit(result, RESULT_NOTE, "peer_reset",
                              "%" PRIu64
                              " connections were ended by their peer's reset, as one that "
                              "closes by RST does.",
                              counters[ECHO_COUNTER_peer_reset]);
    }
    if (rc == 0 && counters[ECHO_COUNTER_drain_aborted] != 0) {
        rc = result_add_limit(result, RESULT_NOTE, "drain",
                              "%" PRIu64
                              " connections were still open after --drain and were reset.",
                              counters[ECHO_COUNTER_drain_aborted]);
    }
    if (rc == 0 && server->series.left_out != 0) {
        rc = result_add_limit(result, RESULT_NOTE, "series",
                              "%" PRIu64 " seconds of the series were left out: it keeps %u.",
                              server->series.left_out, SERIES_ROWS_MAX);
    }
    return rc;
}

static int add_censuses(struct result *result, const struct watch_series *series, uint64_t start_ns)
{
    int rc = 0;
    for (uint32_t i = 0; i < series->census_count && rc == 0; i++) {
        const struct watch_census *census = &series->censuses[i];
        uint64_t end_ns = census->stamp.started_ns + census->stamp.wall_ns;
        struct result_census entry = {
            .elapsed_sec = ((double)end_ns - (double)start_ns) / (double)NS_PER_SEC,
            .cost_wall_ns = census->stamp.wall_ns,
            .cost_cpu_ns = census->stamp.cpu_ns,
            .counts = census->total,
        };
        rc = result_set(&entry.method, series->census_method);
        rc = rc != 0 ? rc : result_add_census(result, &entry);
        free(entry.method);
    }
    return rc;
}

static void set_time_wait(struct result *result, const struct watch_series *series)
{
    uint64_t peak = 0;
    for (uint32_t i = 0; i < series->tick_count; i++) {
        uint64_t live = series->ticks[i].values[WATCH_time_wait];
        peak = live > peak ? live : peak;
    }
    if (series->tick_count == 0) {
        return;
    }
    const struct watch_tick *last = &series->ticks[series->tick_count - 1];
    result->time_wait.measured = result_count(last->values[WATCH_time_wait]);
    result->time_wait.peak = result_count(peak);
    struct timewait_config config = {0};
    struct timewait_estimate estimate;
    if (watch_series_time_wait(series, CLOCK_NEVER, &config, &estimate) == 0 &&
        estimate.lifetime_is_measured) {
        result->time_wait.lifetime_ns = result_count(estimate.lifetime_ns);
    }
}

/* Adds what the kernel counted over the run in our network namespace. */
static int add_kernel(struct result *result, const struct watch_series *series)
{
    int rc = 0;
    for (int i = 0; i < WATCH_FIELD_COUNT && rc == 0; i++) {
        int64_t delta = watch_series_delta(series, (enum watch_field)i);
        if (watch_field_infos[i].kind == WATCH_KIND_TOTAL && delta >= 0) {
            rc = result_add_counter(result, "kernel", watch_field_infos[i].name,
                                    result_count((uint64_t)delta));
        }
    }
    return rc;
}

/* Adds what the stack knew when it ended; the peak is the series'. */
static int add_stack(struct server *server, struct result *result, const struct totals *totals)
{
    struct stack_result_facts facts = {.settings = &server->options->stack_settings,
                                       .totals = server->stack};
    if (server->board == NULL) {
        return 0;
    }
    server_read_stack(server);
    for (uint32_t i = 0; i < server->worker_count; i++) {
        const struct worker_result *worker = &server->workers[i].result;
        facts.abandoned.closing += worker->abandoned.closing;
        facts.abandoned.time_wait += worker->abandoned.time_wait;
        facts.lingering_ns =
            worker->lingering_ns > facts.lingering_ns ? worker->lingering_ns : facts.lingering_ns;
    }
    uint64_t now = server->stack->counts.n[TCP_STATE_TIME_WAIT];
    result->time_wait.measured = result_count(now);
    result->time_wait.peak =
        result_count(now > server->series.time_wait_max ? now : server->series.time_wait_max);
    result->time_wait.lifetime_ns = result_count(facts.settings->config.time_wait_ns);
    if (result->time_wait.peak.count > totals->stats.open_max / 100) {
        result->bytes_per_conn = result_unknown(); /* TIME_WAIT is in it, of other connections */
    }
    uint64_t segments = stack_totals_counter(server->stack, "stack", "segments_sent") +
                        stack_totals_counter(server->stack, "stack", "segments_received");
    if (result->completed.count > 0) {
        result->segments_per_conn = result_real((double)segments / (double)result->completed.count);
    }
    facts.is_taken = server->alarm.is_taken;
    facts.taken = server->alarm.taken;
    return stack_result_add(result, &facts);
}

static int add_states(struct server *server, struct result *result)
{
    if (!server->options->states) {
        return 0; /* a watch for --metrics is no part of the report */
    }
    struct watch_series series;
    watch_stop(server->watch, &series);
    server->watch = NULL;
    int rc = add_censuses(result, &series, server->start_ns);
    if (rc == 0 && server->board == NULL) {
        set_time_wait(result, &series);
        rc = add_kernel(result, &series);
    }
    watch_series_free(&series);
    return rc;
}

static int fill(struct server *server, struct totals *totals)
{
    struct result *result = &server->result;
    add_up(server, totals);
    set_cpu(result, &server->start_usage);
    set_numbers(server, result, totals);
    int rc = set_strings(server, result);
    rc = rc != 0 ? rc : result_add_options(result, &server_program, server->options);
    rc = rc != 0 ? rc : add_errors(result, &totals->stats);
    rc = rc != 0 ? rc : add_counters(server, result, totals);
    rc = rc != 0 ? rc : result_add_hist(result, "turn", RESULT_PLAIN, &totals->turns);
    rc = rc != 0 ? rc : add_features(result, &server->workers[0].result);
    rc = rc != 0 ? rc : add_states(server, result);
    rc = rc != 0 ? rc : add_stack(server, result, totals);
    rc = rc != 0 ? rc : add_notes(server, result, totals);
    rc = rc != 0 ? rc : result_gather_host(result, "");
    if (rc == 0) {
        result_derive(result);
        rc = result_check_accounting(result);
    }
    return rc;
}

static int write_out(const struct server *server, struct failure *failure)
{
    const struct server_options *options = server->options;
    if (!options->quiet) {
        int rc = result_write_text(&server->result, stdout);
        if (rc != 0) {
            return failure_set(failure, -rc, "cannot write the summary to stdout");
        }
    }
    return options->json != NULL ? result_write_json(&server->result, options->json, failure) : 0;
}

int report_write(struct server *server, int argc, char *const *argv, struct failure *failure)
{
    struct totals *totals = malloc(sizeof(*totals));
    int rc = totals != NULL ? result_set_command_line(&server->result, argc, argv) : -ENOMEM;
    rc = rc != 0 ? rc : fill(server, totals);
    if (rc != 0) {
        failure_set(failure, -rc, "cannot make the report: %s", strerror(-rc));
    } else {
        rc = write_out(server, failure);
    }
    free(totals);
    return rc;
}
