#include "loadgen/verdict.h"

#include <inttypes.h>

#include "base/clock.h"

/* What stopped the generator from doing what it was asked to do. */
static int judge_arrivals(struct result *result, const struct verdict_facts *facts)
{
    int rc = 0;
    if (facts->interrupted) {
        rc = result_add_limit(result, RESULT_INVALID, "interrupted",
                              "A signal ended the run before its time.");
    }
    if (rc == 0 && facts->attempted == 0) {
        rc = result_add_limit(result, RESULT_INVALID, "nothing", "No connection was attempted.");
    }
    if (rc == 0 && facts->shed > 0) {
        rc = result_add_limit(
            result, RESULT_INVALID, "conns-max",
            "%" PRIu64 " arrivals were shed, since --conns-max %" PRIu64
            " connections or the engine's limit was reached; lower --rate or raise it.",
            facts->shed, facts->conns_max);
    }
    if (rc == 0 && facts->no_tuple > 0) {
        rc = result_add_limit(result, RESULT_INVALID, "4-tuples",
                              "%" PRIu64 " attempts found no free 4-tuple; give more addresses to "
                              "--sources, more --ports, or a --reuse-after under %.1f s.",
                              facts->no_tuple, (double)facts->reuse_after_ns / (double)NS_PER_SEC);
    }
    if (rc == 0 && facts->no_descriptors > 0) {
        rc = result_add_limit(result, RESULT_INVALID, "descriptors",
                              "%" PRIu64 " attempts found no free descriptor; raise RLIMIT_NOFILE "
                              "(ulimit -n) or keep fewer connections open.",
                              facts->no_descriptors);
    }
    return rc;
}

static int judge_setup(struct result *result, const struct verdict_facts *facts)
{
    uint64_t named =
        facts->no_tuple + facts->tuple_taken + facts->tuple_early + facts->no_descriptors;
    int rc = 0;
    if (facts->tuple_taken > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "ports-taken",
                              "%" PRIu64
                              " planned ports belonged to sockets of other programs; they "
                              "were left alone and the attempts counted as failed.",
                              facts->tuple_taken);
    }
    if (rc == 0 && facts->tuple_early > 0) {
        rc = result_add_limit(result, RESULT_INVALID, "4-tuples",
                              "%" PRIu64 " attempts came too early for their 4-tuple: its last "
                              "connection, one of this run's, was still in TIME_WAIT or closing; "
                              "give more addresses to --sources, more --ports, or a --reuse-after "
                              "over %.1f s.",
                              facts->tuple_early,
                              (double)facts->reuse_after_ns / (double)NS_PER_SEC);
    }
    if (rc == 0 && facts->failed_before_syn > named) {
        rc = result_add_limit(result, RESULT_INVALID, "setup",
                              "%" PRIu64 " attempts failed on this host before anything was sent.",
                              facts->failed_before_syn - named);
    }
    return rc;
}

static int judge_schedule(struct result *result, const struct verdict_facts *facts)
{
    uint64_t started = facts->attempted + facts->shed;
    uint64_t missing = facts->offered > started ? facts->offered - started : 0;
    double slip_ms = (double)facts->slip_p99_ns / (double)NS_PER_MS;
    int rc = 0;
    if (!facts->open_loop) {
        return 0;
    }
    if ((double)missing > VERDICT_MISSING_MAX * (double)facts->offered) {
        rc = result_add_limit(result, RESULT_INVALID, "schedule",
                              "%" PRIu64 " of %" PRIu64
                              " arrivals were not started in time: the rate "
                              "is more than this generator can offer.",
                              missing, facts->offered);
    } else if (facts->slip_p99_ns > VERDICT_SLIP_INVALID_NS) {
        rc = result_add_limit(result, RESULT_INVALID, "schedule",
                              "1%% of the arrivals were started %.1f ms late or later: the rate is "
                              "more than this generator can keep to.",
                              slip_ms);
    } else if (facts->slip_p99_ns > VERDICT_SLIP_NOTE_NS) {
        rc = result_add_limit(
            result, RESULT_NOTE, "schedule",
            "1%% of the arrivals were started %.1f ms late or later; latencies count "
            "from when they were due.",
            slip_ms);
    }
    return rc;
}

static int judge_processor(struct result *result, const struct verdict_facts *facts)
{
    int rc = 0;
    /* A closed loop is meant to be as fast as its slower side. An open loop that kept its schedule
     * was not held up by its processor, however little was left of it. */
    bool late = facts->open_loop && facts->slip_p99_ns > VERDICT_SLIP_NOTE_NS;
    if (facts->cpu_share >= VERDICT_CPU_SHARE) {
        rc = result_add_limit(result, late ? RESULT_INVALID : RESULT_NOTE, "generator-cpu",
                              "A worker of the generator used %.0f%% of its CPU: the target may be "
                              "able to do more.",
                              100 * facts->cpu_share);
    }
    if (rc == 0 && facts->steal_share > VERDICT_STEAL_SHARE) {
        rc = result_add_limit(result, RESULT_NOTE, "steal",
                              "The hypervisor took %.0f%% of the CPU time for others.",
                              100 * facts->steal_share);
    }
    return rc;
}

/* What came to nothing while our own link was down tells nothing about the target. */
static int blame_link(struct result *result, const struct verdict_facts *facts)
{
    return result_add_limit(result, RESULT_INVALID, "own-link",
                            "This generator's own link was down or gone for a time: %" PRIu64
                            " of %" PRIu64 " connections failed and %" PRIu64
                            " were left open, and whether the target would have served them is "
                            "not known. Keep the link's interface up.",
                            facts->failed - facts->failed_before_syn, facts->attempted,
                            facts->open_at_end);
}

static int judge_target(struct result *result, const struct verdict_facts *facts)
{
    uint64_t of_target = facts->failed - facts->failed_before_syn;
    bool none_done = facts->completed == 0 && facts->open_at_end > 0 && !facts->interrupted;
    int rc = 0;
    if (facts->link_down > 0 && (of_target > 0 || none_done)) {
        return blame_link(result, facts);
    }
    if (facts->closer_is_server && facts->close_timed_out > 0) {
        rc = result_add_limit(result, RESULT_TARGET_FAILED, "no-close",
                              "%" PRIu64 " connections waited in vain for the server to close; a "
                              "finwait-server does so with --closes-after.",
                              facts->close_timed_out);
    }
    if (rc == 0 && of_target > 0) {
        rc = result_add_limit(result, RESULT_TARGET_FAILED, "target",
                              "The target failed %" PRIu64 " of %" PRIu64 " connections.",
                              of_target, facts->attempted);
    }
    if (rc == 0 && of_target == 0 && none_done) {
        rc = result_add_limit(result, RESULT_TARGET_FAILED, "target",
                              "No connection was completed.");
    }
    if (rc == 0 && facts->close_not_as_asked > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "close",
                              "%" PRIu64
                              " connections were closed by the server in another way than "
                              "--close says; give the server the same --close.",
                              facts->close_not_as_asked);
    }
    return rc;
}

static int judge_host(struct result *result, const struct verdict_facts *facts)
{
    int rc = 0;
    if (facts->open_at_end > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "drain",
                              "%" PRIu64
                              " connections were still open after --drain and were reset.",
                              facts->open_at_end);
    }
    if (rc == 0 && facts->listen_overflows > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "backlog",
                              "A listener's accept queue was full %" PRIu64
                              " times; connections that "
                              "met it were late or failed.",
                              facts->listen_overflows);
    }
    if (rc == 0 && facts->syn_queue_full > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "syn-queue",
                              "A listener's SYN queue was full %" PRIu64 " times.",
                              facts->syn_queue_full);
    }
    if (rc == 0 && facts->time_wait_overflows > 0) {
        rc = result_add_limit(result, RESULT_NOTE, "time-wait-cap",
                              "%" PRIu64 " closes left no TIME_WAIT, since tcp_max_tw_buckets was "
                              "reached.",
                              facts->time_wait_overflows);
    }
    return rc;
}

int verdict_judge(struct result *result, const struct verdict_facts *facts)
{
    int rc = judge_arrivals(result, facts);
    rc = rc != 0 ? rc : judge_setup(result, facts);
    rc = rc != 0 ? rc : judge_schedule(result, facts);
    rc = rc != 0 ? rc : judge_processor(result, facts);
    rc = rc != 0 ? rc : judge_target(result, facts);
    return rc != 0 ? rc : judge_host(result, facts);
}
