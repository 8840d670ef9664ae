#include "loadgen/checks_stack.h"

#include "base/clock.h"

/* What every check needs. */
struct ledger {
    const struct run *run;
    const struct stats *stats;
    const struct stack_totals *stack;
    uint64_t attempted;
    uint64_t completed;
    uint64_t unsure; /* failed, or open at the end: how far these got is not known */
};

static uint64_t counted(const struct ledger *ledger, const char *name)
{
    return stack_totals_counter(ledger->stack, "stack", name);
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
    char *note = "attempts that sent a SYN, against the stack's opens_active";
    return result_add_check(
        result, &(struct result_check){
                    .name = "active_opens",
                    .expected = result_count(ledger->attempted - ledger->stats->failed_before_syn),
                    .measured = result_count(counted(ledger, "opens_active")),
                    .note = note,
                });
}

static int add_attempt_fails(struct result *result, const struct ledger *ledger)
{
    const struct tcp_transitions *transitions = &ledger->stack->transitions;
    uint64_t failed = stats_read(&ledger->stats->live.failed);
    char *note = "connections that did not come through, against the stack's transitions from "
                 "SYN_SENT to CLOSED";
    return result_add_check(
        result, &(struct result_check){
                    .name = "attempt_fails",
                    .expected = result_count(sum_errors(ledger, CONN_PHASE_CONNECT)),
                    .measured = result_count(transitions->n[TCP_STATE_SYN_SENT][TCP_STATE_CLOSED]),
                    .tolerance = (double)(ledger->attempted - ledger->completed - failed),
                    .note = note,
                });
}

/* Counts what may come behind its own connection's end for what was done on our side: a copy, or a
 * segment sent again that had arrived, draws one answer too many, and so does the copy of an
 * answer; what a fault held back is overtaken. Copies that others made are not known here. */
static uint64_t late_segments(const struct ledger *ledger)
{
    return stack_totals_counter(ledger->stack, "link_faults", "faults_duplicated") +
           stack_totals_counter(ledger->stack, "link_faults", "faults_reordered") +
           counted(ledger, "segments_resent");
}

/* Counts the resets in answer to segments that met no connection, as far as such had to come. Where
 * a reset ended a TIME_WAIT (the danger that RFC 1337 tells of: a server that stops may do that),
 * all that the peer had sent before it comes so. Else, where it was the server that closed, what
 * comes late by our own doing finds no TIME_WAIT here; and nothing of a peer that obeys comes
 * beyond that. */
static uint64_t answers_without_connection(const struct ledger *ledger)
{
    uint64_t answers = counted(ledger, "resets_no_connection");
    uint64_t late = late_segments(ledger);
    if (counted(ledger, "time_wait_reset") > 0) {
        return answers;
    }
    return answers < late ? answers : late;
}

/* A reset is sent by the side that closes by one; for fin-no-timewait the peer's last segments may
 * be answered by one or not, as timing has it. One more answers each ACK that a SYN of ours got
 * from an earlier incarnation's TIME_WAIT. */
static int add_out_rsts(struct result *result, const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    bool ours = plan->closer != CLOSER_SERVER;
    uint64_t asked = plan->close_how == CLOSE_RST && ours ? ledger->completed : 0;
    struct result_number expected = result_count(asked + answers_without_connection(ledger));
    if (plan->close_how == CLOSE_FIN_NO_TIMEWAIT || plan->closer == CLOSER_BOTH) {
        expected = result_unknown();
    }
    char *note = "resets that --close asks for, and answers to what came behind a reset that ended "
                 "TIME_WAIT or late for our own resends and --faults, against the stack's "
                 "resets_sent; failed connections, answers by an earlier incarnation's TIME_WAIT "
                 "and copies that the network made may add some";
    return result_add_check(
        result, &(struct result_check){
                    .name = "out_rsts",
                    .expected = expected,
                    .measured = result_count(counted(ledger, "resets_sent")),
                    .tolerance = (double)(2 * ledger->unsure + counted(ledger, "segments_bad_ack")),
                    .note = note,
                });
}

/* TIME_WAIT records that the close table puts on our side; unknown when FINs may cross. */
static struct result_number time_wait_by_table(const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    int client = close_time_wait_client(plan->closer, plan->close_how);
    return client < 0 ? result_unknown() : result_count((uint64_t)client * ledger->completed);
}

static int add_time_wait_made(struct result *result, const struct ledger *ledger)
{
    char *note = "completed connections by the close table, against the stack's time_wait_started, "
                 "which counts those that found no room too";
    return result_add_check(result,
                            &(struct result_check){
                                .name = "time_wait_made",
                                .expected = time_wait_by_table(ledger),
                                .measured = result_count(counted(ledger, "time_wait_started")),
                                .tolerance = (double)ledger->unsure,
                                .note = note,
                            });
}

/* With both sides closing: FINs that crossed on the wire, which is what CLOSING means. */
static int add_crossed(struct result *result, const struct ledger *ledger)
{
    const struct plan *plan = ledger->run->plan;
    const struct tcp_transitions *transitions = &ledger->stack->transitions;
    if (plan->closer != CLOSER_BOTH || close_time_wait_client(plan->closer, plan->close_how) == 0) {
        return 0;
    }
    return result_add_counter(
        result, "loadgen", "fins_crossed",
        result_count(transitions->n[TCP_STATE_FIN_WAIT_1][TCP_STATE_CLOSING]));
}

static void set_segments(struct result *result, const struct ledger *ledger)
{
    uint64_t segments = counted(ledger, "segments_sent") + counted(ledger, "segments_received");
    if (ledger->completed > 0 && segments > 0) {
        result->segments_per_conn = result_real((double)segments / (double)ledger->completed);
    }
}

/* How long the stack lived after the last connection had ended. */
static uint64_t afterlife_ns(const struct ledger *ledger)
{
    uint64_t longest_ns = 0;
    for (uint32_t i = 0; i < ledger->run->worker_count; i++) {
        uint64_t worker_ns = ledger->run->workers[i].lingering_ns;
        longest_ns = worker_ns > longest_ns ? worker_ns : longest_ns;
    }
    return longest_ns;
}

/* Expects at the end what the run made and 2MSL has not ended yet: all of it in a short run, in a
 * longer one what the last 2MSL brought, and nothing when it was waited for. */
static int set_time_wait_expected(struct result *result, const struct ledger *ledger)
{
    const struct run *run = ledger->run;
    uint64_t lifetime_ns = run->plan->stack.config.time_wait_ns;
    struct result_number table = time_wait_by_table(ledger);
    if (!result_is_known(table)) {
        return result_set(&result->time_wait.basis, "unknown: the FINs of both sides may cross");
    }
    if (run->plan->stack.linger && !run->lingering_cut) {
        result->time_wait.expected = result_count(0);
        return result_set(&result->time_wait.basis, "TIME_WAIT was waited for");
    }
    uint64_t run_ns =
        ledger->stats->last_ns > run->start_ns ? ledger->stats->last_ns - run->start_ns : 0;
    uint64_t span_ns = run_ns + afterlife_ns(ledger);
    if (span_ns <= lifetime_ns) {
        uint64_t ended = counted(ledger, "time_wait_reopened") +
                         counted(ledger, "time_wait_reused") + counted(ledger, "time_wait_reset");
        result->time_wait.expected = result_count(table.count > ended ? table.count - ended : 0);
        return result_set(&result->time_wait.basis,
                          "one for each completed connection by the close table, less those that "
                          "new connections took over or a reset ended");
    }
    uint64_t after_ns = afterlife_ns(ledger);
    uint64_t left_ns = lifetime_ns > after_ns ? lifetime_ns - after_ns : 0;
    double per_ns = run_ns > 0 ? (double)table.count / (double)run_ns : 0;
    result->time_wait.expected = result_count((uint64_t)(per_ns * (double)left_ns));
    return result_set(&result->time_wait.basis,
                      "close rate x what of the last 2MSL lay within the run");
}

static int set_time_wait(struct result *result, const struct ledger *ledger)
{
    const struct run *run = ledger->run;
    uint64_t now = ledger->stack->counts.n[TCP_STATE_TIME_WAIT];
    uint64_t peak = now;
    for (uint32_t i = 0; i < run->sample_count; i++) {
        uint64_t live = run->samples[i].time_wait;
        peak = live > peak ? live : peak;
    }
    result->time_wait.measured = result_count(now);
    result->time_wait.peak = result_count(peak);
    result->time_wait.lifetime_ns = result_count(run->plan->stack.config.time_wait_ns);
    return set_time_wait_expected(result, ledger);
}

int checks_stack_add(struct result *result, const struct run *run)
{
    const struct stats *stats = run->total;
    struct ledger ledger = {
        .run = run,
        .stats = stats,
        .stack = run->stack,
        .attempted = stats_read(&stats->live.attempted),
        .completed = stats_read(&stats->live.completed),
    };
    ledger.unsure = ledger.attempted - ledger.completed;
    set_segments(result, &ledger);
    int rc = set_time_wait(result, &ledger);
    rc = rc != 0 ? rc : add_active_opens(result, &ledger);
    rc = rc != 0 ? rc : add_attempt_fails(result, &ledger);
    rc = rc != 0 ? rc : add_out_rsts(result, &ledger);
    rc = rc != 0 ? rc : add_time_wait_made(result, &ledger);
    return rc != 0 ? rc : add_crossed(result, &ledger);
}
