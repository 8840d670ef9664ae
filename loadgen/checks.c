#include "loadgen/checks.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "loadgen/checks_stack.h"

/* No TIME_WAIT of the run has ended before this. */
#define TIME_WAIT_MIN_NS (60 * NS_PER_SEC)

/* What every check needs. */
struct ledger {
    const struct run *run;
    const struct stats *stats;
    uint64_t attempted;
    uint64_t completed;
    uint64_t failed;
    uint64_t open_at_end;
    bool both_ends; /* the targets' sockets are in our namespace as well */
};

static int64_t delta(const struct ledger *ledger, enum watch_field field)
{
    return watch_series_delta(&ledger->run->kernel, field);
}

static struct result_number measured(int64_t value)
{
    return value < 0 ? result_unknown() : result_count((uint64_t)value);
}

/* Loopback is in our namespace for sure; of other targets the kernel's own count of taken
 * connections tells. */
static bool are_both_ends_here(const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    bool loopback = true;
    for (uint32_t i = 0; i < plan->target_count; i++) {
        loopback = loopback && ip_is_loopback(&plan->targets[i].ip);
    }
    int64_t taken = delta(ledger, WATCH_passive_opens);
    return loopback || (taken > 0 && (uint64_t)taken >= ledger->stats->connected / 2 + 1);
}

static uint64_t sum_errors(const struct ledger *ledger, enum conn_phase phase)
{
    uint64_t sum = 0;
    for (int error = 0; error < STATS_ERRNO_COUNT; error++) {
        sum += ledger->stats->errors[phase][error];
    }
    return sum;
}

static int add_active_opens(struct result *result, const struct ledger *ledger)
{
    char *note =
        "attempts that sent a SYN, against Tcp.ActiveOpens; a difference means that others use "
        "this network namespace too";
    return result_add_check(
        result, &(struct result_check){
                    .name = "active_opens",
                    .expected = result_count(ledger->attempted - ledger->stats->failed_before_syn),
                    .measured = measured(delta(ledger, WATCH_active_opens)),
                    .note = note,
                });
}

static int add_passive_opens(struct result *result, const struct ledger *ledger)
{
    char *note = "connections that came through, against Tcp.PassiveOpens";
    if (!ledger->both_ends) {
        return 0;
    }
    return result_add_check(result, &(struct result_check){
                                        .name = "passive_opens",
                                        .expected = result_count(ledger->stats->connected),
                                        .measured = measured(delta(ledger, WATCH_passive_opens)),
                                        .tolerance = (double)(ledger->failed + ledger->open_at_end),
                                        .note = note,
                                    });
}

static int add_attempt_fails(struct result *result, const struct ledger *ledger)
{
    uint64_t refused = ledger->stats->errors[CONN_PHASE_CONNECT][ECONNREFUSED];
    uint64_t others = sum_errors(ledger, CONN_PHASE_CONNECT) - refused;
    char *note = "refused connections, against Tcp.AttemptFails";
    return result_add_check(result, &(struct result_check){
                                        .name = "attempt_fails",
                                        .expected = result_count(refused),
                                        .measured = measured(delta(ledger, WATCH_attempt_fails)),
                                        .tolerance = (double)(others + ledger->open_at_end),
                                        .note = note,
                                    });
}

/* A reset is sent by the side that closes by one; for fin-no-timewait the kernel answers the peer's
 * FIN by a reset or not, as timing has it. */
static int add_out_rsts(struct result *result, const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    bool ours = plan->closer != CLOSER_SERVER || ledger->both_ends;
    struct result_number expected = result_count(0);
    if (plan->close_how == CLOSE_RST && ours) {
        expected = result_count(ledger->completed);
    }
    if (plan->close_how == CLOSE_FIN_NO_TIMEWAIT || plan->closer == CLOSER_BOTH) {
        expected = result_unknown();
    }
    char *note =
        "resets that --close asks for, against Tcp.OutRsts; failed connections may add some";
    return result_add_check(result,
                            &(struct result_check){
                                .name = "out_rsts",
                                .expected = expected,
                                .measured = measured(delta(ledger, WATCH_out_rsts)),
                                .tolerance = (double)(2 * (ledger->failed + ledger->open_at_end)),
                                .note = note,
                            });
}

/* TIME_WAIT records that the close table puts into this namespace; unknown when FINs may cross. */
static struct result_number time_wait_by_table(const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    int client = close_time_wait_client(plan->closer, plan->close_how);
    int server = close_time_wait_server(plan->closer, plan->close_how);
    if (client < 0 || (ledger->both_ends && server < 0)) {
        return result_unknown();
    }
    uint64_t per_conn = (uint64_t)client + (ledger->both_ends ? (uint64_t)server : 0);
    return result_count(per_conn * ledger->completed);
}

static int add_time_wait_made(struct result *result, const struct ledger *ledger)
{
    /* At the cap of tcp_max_tw_buckets a close makes none and is counted as an overflow. */
    int64_t made = delta(ledger, WATCH_time_wait_made) + delta(ledger, WATCH_time_wait_killed) +
                   delta(ledger, WATCH_time_wait_overflows);
    char *note = "completed connections by the close table, against TcpExt.TW, TWKilled and "
                 "TCPTimeWaitOverflow";
    return result_add_check(result, &(struct result_check){
                                        .name = "time_wait_made",
                                        .expected = time_wait_by_table(ledger),
                                        .measured = measured(made),
                                        .tolerance = (double)(ledger->failed + ledger->open_at_end),
                                        .note = note,
                                    });
}

/* With both sides closing, a TIME_WAIT beyond the first of a connection means that its FINs
 * crossed. */
static int add_crossed(struct result *result, const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    int64_t made = delta(ledger, WATCH_time_wait_made) + delta(ledger, WATCH_time_wait_killed);
    if (plan->closer != CLOSER_BOTH || close_time_wait_client(plan->closer, plan->close_how) == 0) {
        return 0;
    }
    struct result_number crossed = result_unknown();
    if (ledger->both_ends && ledger->failed == 0 && made >= (int64_t)ledger->completed) {
        crossed = result_count((uint64_t)made - ledger->completed);
    }
    return result_add_counter(result, "loadgen", "fins_crossed", crossed);
}

static void set_segments(struct result *result, const struct ledger *ledger)
{
    int64_t segments = delta(ledger, WATCH_out_segs) + delta(ledger, WATCH_retrans_segs);
    if (!ledger->both_ends) {
        segments += delta(ledger, WATCH_in_segs);
    }
    if (ledger->completed > 0 && segments > 0) {
        result->segments_per_conn = result_real((double)segments / (double)ledger->completed);
    }
}

/* Expects at the end what was there, and what the run made and the kernel has not ended yet: all of
 * it in a short run, and in a longer one what the last lifetime brought. */
static int set_time_wait_expected(struct result *result, const struct ledger *ledger,
                                  const struct timewait_estimate *estimate)
{
    const struct watch_series *kernel = &ledger->run->kernel;
    struct result_number table = time_wait_by_table(ledger);
    const struct watch_tick *first = &kernel->ticks[0];
    const struct watch_tick *last = &kernel->ticks[kernel->tick_count - 1];
    uint64_t span_ns = last->at_ns - first->at_ns;
    if (!result_is_known(table)) {
        return result_set(&result->time_wait.basis, "unknown: the FINs of both sides may cross");
    }
    uint64_t made = table.count;
    if (span_ns <= TIME_WAIT_MIN_NS) {
        int64_t recycled = delta(ledger, WATCH_time_wait_recycled);
        uint64_t there = first->values[WATCH_time_wait] + made;
        uint64_t taken = recycled > 0 ? (uint64_t)recycled : 0;
        result->time_wait.expected = result_count(there > taken ? there - taken : 0);
        return result_set(
            &result->time_wait.basis,
            "what was there at the start and one for each completed connection by the "
            "close table, less those that new connections took over");
    }
    uint64_t run_ns = ledger->stats->last_ns - ledger->run->start_ns;
    double per_ns = run_ns > 0 ? (double)made / (double)run_ns : 0;
    uint64_t lifetime_ns = estimate->lifetime_ns < run_ns ? estimate->lifetime_ns : run_ns;
    result->time_wait.expected = result_count((uint64_t)(per_ns * (double)lifetime_ns));
    return result_set(&result->time_wait.basis, estimate->lifetime_is_measured
                                                    ? "close rate x the lifetime that was measured"
                                                    : "close rate x an assumed lifetime of 61 s");
}

static int set_time_wait(struct result *result, const struct ledger *ledger)
{
    const struct watch_series *kernel = &ledger->run->kernel;
    struct timewait_estimate estimate;
    uint64_t peak = 0;
    if (kernel->tick_count == 0 ||
        watch_series_time_wait(kernel, CLOCK_NEVER, &(struct timewait_config){0}, &estimate) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < kernel->tick_count; i++) {
        uint64_t live = kernel->ticks[i].values[WATCH_time_wait];
        peak = live > peak ? live : peak;
    }
    result->time_wait.measured =
        result_count(kernel->ticks[kernel->tick_count - 1].values[WATCH_time_wait]);
    result->time_wait.peak = result_count(peak);
    if (estimate.lifetime_is_measured) {
        result->time_wait.lifetime_ns = result_count(estimate.lifetime_ns);
    }
    return set_time_wait_expected(result, ledger, &estimate);
}

int checks_add(struct result *result, const struct run *run)
{
    if (run->board != NULL) {
        return checks_stack_add(result, run);
    }
    const struct stats *stats = run->total;
    struct ledger ledger = {
        .run = run,
        .stats = stats,
        .attempted = stats_read(&stats->live.attempted),
        .completed = stats_read(&stats->live.completed),
        .failed = stats_read(&stats->live.failed),
    };
    ledger.open_at_end = ledger.attempted - ledger.completed - ledger.failed;
    ledger.both_ends = are_both_ends_here(&ledger);
    set_segments(result, &ledger);
    int rc = set_time_wait(result, &ledger);
    rc = rc != 0 ? rc : add_active_opens(result, &ledger);
    rc = rc != 0 ? rc : add_passive_opens(result, &ledger);
    rc = rc != 0 ? rc : add_attempt_fails(result, &ledger);
    rc = rc != 0 ? rc : add_out_rsts(result, &ledger);
    rc = rc != 0 ? rc : add_time_wait_made(result, &ledger);
    return rc != 0 ? rc : add_crossed(result, &ledger);
}
