/* Runs judged apart: see judge.h.
 *
 * Layer: tests. The only wall clock is the alarm that ends a child which hangs. */
#include "sim/judge.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "sim/sim_private.h"

#define HANG_SECONDS 120u
#define SHRINK_SECONDS 15u

static void *shared_take(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void silence_stderr(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        (void)dup2(null, STDERR_FILENO);
    }
}

static _Noreturn void judge_child(struct outcome *outcome, const struct plan *plan,
                                  const char *pcap_path)
{
    struct sim sim;
    sim_init(&sim);
    if (pcap_path) {
        sim.pcap = fopen(pcap_path, "wbe");
        if (sim.pcap) {
            pcap_begin(sim.pcap);
        }
    }
    sim_run(&sim, plan);
    if (sim.pcap) {
        (void)fclose(sim.pcap);
    }
    outcome->violation = sim.violation;
    outcome->trace_hash = sim.trace_hash;
    outcome->totals = sim.totals;
    _exit(0);
}

static void note_death(struct violation *violation, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        violate(violation, RULE_hang, "no end within %u s of real time", HANG_SECONDS);
    } else if (WIFSIGNALED(status)) {
        violate(violation, RULE_crash, "signal %d: %s", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    } else if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        violate(violation, RULE_crash, "exit code %d", WEXITSTATUS(status));
    }
}

static int wait_for(pid_t child, int *status)
{
    while (waitpid(child, status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int judge_plan(struct outcome *outcome, const struct plan *plan, const char *pcap_path, bool quiet)
{
    struct outcome *shared = shared_take(sizeof(*shared));
    int status = 0;
    int error = 0;
    if (!shared) {
        return -errno;
    }
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (quiet) {
            silence_stderr();
        }
        alarm(quiet ? SHRINK_SECONDS : HANG_SECONDS);
        judge_child(shared, plan, pcap_path);
    }
    if (child < 0) {
        error = -errno;
        goto err_unmap;
    }
    error = wait_for(child, &status);
    note_death(&shared->violation, status);
    *outcome = *shared;
err_unmap:
    munmap(shared, sizeof(*shared));
    return error;
}

/* The plan without entries [from, to). */
static void plan_without(struct plan *smaller, const struct plan *plan, uint32_t from, uint32_t to)
{
    memcpy(smaller->settings, plan->settings, sizeof(plan->settings));
    memcpy(smaller->hosts, plan->hosts, sizeof(plan->hosts));
    smaller->count = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        if (i < from || i >= to) {
            plan_add(smaller, plan->entries[i]);
        }
    }
}

uint32_t judge_shrink(struct plan *plan, enum rule rule, uint32_t runs_max)
{
    struct plan smaller = {0};
    struct outcome outcome = {0};
    uint32_t runs = 0;
    uint32_t chunk = plan->count / 2;
    while (chunk > 0 && runs < runs_max) {
        bool any = false;
        for (uint32_t from = 0; from < plan->count && runs < runs_max;) {
            uint32_t to = from + chunk < plan->count ? from + chunk : plan->count;
            plan_without(&smaller, plan, from, to);
            runs++;
            if (judge_plan(&outcome, &smaller, NULL, true) == 0 && outcome.violation.rule == rule) {
                struct plan swap = *plan;
                *plan = smaller;
                smaller = swap;
                any = true;
            } else {
                from = to;
            }
        }
        chunk = any && chunk > 1 ? chunk : chunk / 2;
        chunk = chunk > plan->count ? plan->count / 2 : chunk;
    }
    plan_destroy(&smaller);
    return runs;
}

/* What the processes of a campaign share. */
struct shared_campaign {
    _Atomic uint64_t next_seed;
    _Atomic uint32_t failure_count;
    struct seed_failure failures[FAILURES_MAX];
    struct {
        _Atomic uint64_t seed; /* under way, + 1 */
        uint64_t seeds_done;
        struct totals totals;
    } jobs[JOBS_MAX];
};

static void note_failure(struct shared_campaign *shared, uint64_t seed,
                         const struct violation *violation)
{
    uint32_t place = atomic_fetch_add(&shared->failure_count, 1);
    if (place < FAILURES_MAX) {
        shared->failures[place] = (struct seed_failure){seed, *violation};
    }
}

static _Noreturn void campaign_child(struct shared_campaign *shared,
                                     const struct campaign *campaign, uint32_t job)
{
    struct sim sim;
    struct plan plan = {0};
    struct plan_wish wish = campaign->wish;
    sim_init(&sim);
    while (atomic_load(&shared->failure_count) < campaign->failures_max) {
        uint64_t seed = atomic_fetch_add(&shared->next_seed, 1);
        if (seed > campaign->seed_last) {
            break;
        }
        atomic_store(&shared->jobs[job].seed, seed + 1);
        alarm(campaign->wish.hours ? 0 : HANG_SECONDS);
        wish.seed = seed;
        plan_make(&plan, &wish);
        sim_run(&sim, &plan);
        totals_add(&shared->jobs[job].totals, &sim.totals);
        sim.totals = (struct totals){0};
        shared->jobs[job].seeds_done++;
        if (sim.violation.rule != RULE_NONE) {
            note_failure(shared, seed, &sim.violation);
        }
        atomic_store(&shared->jobs[job].seed, 0);
    }
    plan_destroy(&plan);
    sim_destroy(&sim);
    _exit(0);
}

static pid_t campaign_fork(struct shared_campaign *shared, const struct campaign *campaign,
                           uint32_t job)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        campaign_child(shared, campaign, job);
    }
    return child;
}

/* Waits for the job's child; one that died leaves a failure behind and is followed by another. */
static int campaign_join(struct shared_campaign *shared, const struct campaign *campaign,
                         uint32_t job, pid_t child)
{
    for (;;) {
        int status = 0;
        struct violation violation = {0};
        int error = wait_for(child, &status);
        if (error) {
            return error;
        }
        note_death(&violation, status);
        if (violation.rule == RULE_NONE) {
            return 0;
        }
        uint64_t seed = atomic_load(&shared->jobs[job].seed);
        note_failure(shared, seed ? seed - 1 : campaign->seed_last, &violation);
        if (atomic_load(&shared->failure_count) >= campaign->failures_max) {
            return 0;
        }
        child = campaign_fork(shared, campaign, job);
        if (child < 0) {
            return -errno;
        }
    }
}

int judge_campaign(struct campaign_result *result, const struct campaign *campaign)
{
    ASSERT(campaign->jobs > 0 && campaign->jobs <= JOBS_MAX);
    struct shared_campaign *shared = shared_take(sizeof(*shared));
    pid_t children[JOBS_MAX];
    int error = 0;
    if (!shared) {
        return -errno;
    }
    atomic_store(&shared->next_seed, campaign->seed_first);
    for (uint32_t job = 0; job < campaign->jobs; job++) {
        children[job] = campaign_fork(shared, campaign, job);
        error = children[job] < 0 ? -errno : error;
    }
    for (uint32_t job = 0; job < campaign->jobs; job++) {
        int joined = children[job] < 0 ? 0 : campaign_join(shared, campaign, job, children[job]);
        error = joined ? joined : error;
    }
    *result = (struct campaign_result){0};
    for (uint32_t job = 0; job < campaign->jobs; job++) {
        totals_add(&result->totals, &shared->jobs[job].totals);
        result->seeds_done += shared->jobs[job].seeds_done;
    }
    uint32_t count = atomic_load(&shared->failure_count);
    result->failure_count = count < FAILURES_MAX ? count : FAILURES_MAX;
    memcpy(result->failures, shared->failures, sizeof(result->failures));
    munmap(shared, sizeof(*shared));
    return error;
}
