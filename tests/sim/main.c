/* finwait-sim: runs finwait's TCP through simulated networks by seed, and replays what failed.
 *
 * Layer: tests. Exit codes: 0 all rules kept, 1 one was broken or something was never seen, 2
 * usage. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cli.h"
#include "sim/judge.h"
#include "sim/summary.h"

struct options {
    const char *seeds;
    const char *replay;
    const char *out;
    const char *pcap;
    uint64_t conns;
    uint64_t jobs;
    uint64_t hours;
    uint64_t loss;
    uint64_t failures;
    uint64_t shrink;
    uint64_t bug;
    bool coverage;
    bool print_plan;
};

#define FIELD(name) .offset = offsetof(struct options, name)

static const struct cli_option table[] = {
    {.name = "seeds",
     .type = CLI_STRING,
     FIELD(seeds),
     .metavar = "A-B",
     .initial = "1-100",
     .section = "Runs",
     .help = "seeds to run, one run each"},
    {.name = "conns",
     .type = CLI_COUNT,
     FIELD(conns),
     .metavar = "N",
     .initial = "500",
     .min = 1,
     .max = 1000000,
     .help = "connections of a run"},
    {.name = "jobs",
     .type = CLI_COUNT,
     FIELD(jobs),
     .metavar = "N",
     .initial = "1",
     .min = 1,
     .max = JOBS_MAX,
     .help = "processes that share the seeds"},
    {.name = "hours",
     .type = CLI_COUNT,
     FIELD(hours),
     .metavar = "N",
     .initial = "0",
     .max = 1000,
     .help = "spread a run's connections over so many hours of virtual time"},
    {.name = "loss",
     .type = CLI_COUNT,
     FIELD(loss),
     .metavar = "PERCENT",
     .initial = "5",
     .max = 50,
     .help = "with --hours: packets that meet a fault"},
    {.name = "coverage",
     .type = CLI_FLAG,
     FIELD(coverage),
     .help = "fail when a transition of figure 5 or a kind of fault was never seen"},
    {.name = "replay",
     .type = CLI_STRING,
     FIELD(replay),
     .metavar = "FILE",
     .section = "Failures",
     .help = "run a written plan instead of seeds"},
    {.name = "pcap",
     .type = CLI_STRING,
     FIELD(pcap),
     .metavar = "FILE",
     .help = "with --replay: capture every packet sent"},
    {.name = "out",
     .type = CLI_STRING,
     FIELD(out),
     .metavar = "DIR",
     .initial = "sim-failures",
     .help = "where a failing run's replay and capture go"},
    {.name = "failures",
     .type = CLI_COUNT,
     FIELD(failures),
     .metavar = "N",
     .initial = "1",
     .min = 1,
     .max = FAILURES_MAX,
     .help = "failing seeds after which to stop"},
    {.name = "shrink",
     .type = CLI_COUNT,
     FIELD(shrink),
     .metavar = "RUNS",
     .initial = "400",
     .max = 100000,
     .help = "runs to spend on cutting each failing plan down"},
    {.name = "fake-bug",
     .type = CLI_COUNT,
     FIELD(bug),
     .metavar = "N",
     .initial = "0",
     .max = 255,
     .help = "fault to turn on in the fake host of the self-test; no other host knows it"},
    {.name = "print-plan",
     .type = CLI_FLAG,
     FIELD(print_plan),
     .help = "print the first seed's plan and end"},
};

static const struct cli_program program = {
    .name = "finwait-sim",
    .summary = "runs finwait's TCP through simulated networks and judges every packet",
    .usage = "[options]",
    .epilogue =
        "Exit codes: 0 all rules kept, 1 a rule was broken or something never seen, 2 usage.\n",
    .options = table,
    .option_count = sizeof(table) / sizeof(*table),
    .struct_bytes = sizeof(struct options),
};

static bool parse_seeds(const char *text, uint64_t *first, uint64_t *last)
{
    char *end = NULL;
    errno = 0;
    *first = strtoull(text, &end, 10);
    *last = *first;
    if (end != text && *end == '-') {
        const char *second = end + 1;
        *last = strtoull(second, &end, 10);
        return end != second && *end == '\0' && errno == 0 && *first <= *last;
    }
    return end != text && *end == '\0' && errno == 0;
}

static void print_violation(const struct violation *violation)
{
    printf("  rule %s (%s)\n  at %" PRIu64 ".%09" PRIu64 " s: %s\n", rule_name(violation->rule),
           rule_help(violation->rule), violation->at_ns / 1000000000u,
           violation->at_ns % 1000000000u, violation->text);
}

static void write_plan(const struct plan *plan, const char *path, const struct violation *violation)
{
    FILE *file = fopen(path, "we");
    if (!file) {
        printf("  %s: %s\n", path, strerror(errno));
        return;
    }
    fprintf(file, "# %s: %s\n", rule_name(violation->rule), violation->text);
    plan_write(plan, file);
    (void)fclose(file);
}

/* Cuts a failing seed's plan down and writes it as a replay and a capture. */
static void keep_failure(const struct options *options, const struct plan_wish *wish,
                         const struct seed_failure *failure)
{
    struct plan plan = {0};
    struct outcome outcome;
    char replay[512];
    char pcap[512];
    (void)mkdir(options->out, 0777);
    (void)snprintf(replay, sizeof(replay), "%s/seed-%" PRIu64 ".replay", options->out,
                   failure->seed);
    (void)snprintf(pcap, sizeof(pcap), "%s/seed-%" PRIu64 ".pcap", options->out, failure->seed);
    struct plan_wish of_seed = *wish;
    of_seed.seed = failure->seed;
    plan_make(&plan, &of_seed);
    uint32_t before = plan.count;
    uint32_t runs = judge_shrink(&plan, failure->violation.rule, (uint32_t)options->shrink);
    (void)judge_plan(&outcome, &plan, pcap, true);
    write_plan(&plan, replay, &outcome.violation);
    printf("seed %" PRIu64 " broke a rule\n", failure->seed);
    print_violation(&failure->violation);
    printf("  cut down from %u to %u entries in %u runs:\n", before, plan.count, runs);
    print_violation(&outcome.violation);
    printf("  finwait-sim --replay %s    (packets: %s)\n", replay, pcap);
    plan_destroy(&plan);
}

static int run_replay(const struct options *options)
{
    struct plan plan = {0};
    struct outcome outcome;
    struct failure failure;
    FILE *file = fopen(options->replay, "re");
    if (!file) {
        fprintf(stderr, "finwait-sim: --replay %s: %s\n", options->replay, strerror(errno));
        return 2;
    }
    int error = plan_read(&plan, file, &failure);
    (void)fclose(file);
    if (error) {
        fprintf(stderr, "finwait-sim: --replay %s: %s\n", options->replay, failure.text);
        plan_destroy(&plan);
        return 2;
    }
    error = judge_plan(&outcome, &plan, options->pcap, false);
    summary_print(&outcome.totals, stdout);
    printf("trace hash %016" PRIx64 "\n", outcome.trace_hash);
    if (outcome.violation.rule != RULE_NONE) {
        print_violation(&outcome.violation);
    }
    plan_destroy(&plan);
    return error || outcome.violation.rule != RULE_NONE;
}

static int run_seeds(const struct options *options, const struct campaign *campaign)
{
    struct campaign_result *result = calloc(1, sizeof(*result));
    if (!result) {
        return 1;
    }
    int error = judge_campaign(result, campaign);
    summary_print(&result->totals, stdout);
    for (uint32_t i = 0; i < result->failure_count; i++) {
        keep_failure(options, &campaign->wish, &result->failures[i]);
    }
    if (options->coverage) {
        summary_matrix(&result->totals, stdout);
    }
    uint32_t gaps = options->coverage ? summary_gaps(&result->totals, stdout) : 0;
    int code = error || result->failure_count || gaps;
    free(result);
    return code;
}

int main(int argument_count, char **arguments)
{
    struct options options;
    struct failure failure;
    struct campaign campaign = {0};
    (void)argument_count;
    enum cli_outcome parsed = cli_parse(&program, arguments, &options, NULL, &failure);
    if (parsed == CLI_HELP) {
        cli_print_help(&program, stdout);
        return 0;
    }
    if (parsed != CLI_RUN ||
        !parse_seeds(options.seeds, &campaign.seed_first, &campaign.seed_last)) {
        fprintf(stderr, "finwait-sim: %s\n",
                parsed == CLI_BAD ? failure.text : "--seeds: not a range such as 1-100");
        return 2;
    }
    campaign.wish = (struct plan_wish){.seed = campaign.seed_first,
                                       .conns = (uint32_t)options.conns,
                                       .hours = (uint32_t)options.hours,
                                       .loss_percent = (uint32_t)options.loss,
                                       .fake_bug = (uint32_t)options.bug};
    campaign.jobs = (uint32_t)options.jobs;
    campaign.failures_max = (uint32_t)options.failures;
    if (options.print_plan) {
        struct plan plan = {0};
        plan_make(&plan, &campaign.wish);
        plan_write(&plan, stdout);
        plan_destroy(&plan);
        return 0;
    }
    return options.replay ? run_replay(&options) : run_seeds(&options, &campaign);
}
