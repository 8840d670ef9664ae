/* Runs judged apart: a plan in a child process, so that a crash or an endless loop is a verdict
 * too; cutting a failing plan down; seeds spread over processes.
 *
 * Layer: tests. Owner: the caller. Uses fork and shared memory; a child never returns. */
#ifndef FINWAIT_TESTS_SIM_JUDGE_H
#define FINWAIT_TESTS_SIM_JUDGE_H

#include <stdint.h>

#include "sim/plan.h"
#include "sim/rules.h"
#include "sim/sim.h"

#define JOBS_MAX 64u
#define FAILURES_MAX 64u

/* What a run came to. */
struct outcome {
    struct violation violation;
    uint64_t trace_hash;
    struct totals totals;
};

struct seed_failure {
    uint64_t seed;
    struct violation violation;
};

struct campaign {
    struct plan_wish wish; /* its seed is not used */
    uint64_t seed_first;
    uint64_t seed_last;
    uint32_t jobs;
    uint32_t failures_max; /* stop at so many */
};

/* What a campaign came to. */
struct campaign_result {
    struct totals totals;
    uint64_t seeds_done;
    uint32_t failure_count;
    struct seed_failure failures[FAILURES_MAX];
};

/* Runs a plan in a child; RULE_crash and RULE_hang when it does not come back. A capture is written
 * when `pcap_path` is not NULL. With `quiet` the child's stderr is dropped. Returns 0 or -errno. */
int judge_plan(struct outcome *outcome, const struct plan *plan, const char *pcap_path, bool quiet);

/* Deletes entries as long as the plan still breaks the same rule (delta debugging), within
 * `runs_max` runs. Returns how many runs it took. */
uint32_t judge_shrink(struct plan *plan, enum rule rule, uint32_t runs_max);

/* Runs all seeds of a campaign. Returns 0 or -errno. */
int judge_campaign(struct campaign_result *result, const struct campaign *campaign);

#endif
