/* The pile-up, the plateau and the drain of TIME_WAIT over a link; see churn.h.
 *
 * Layer: bench/lab. The kernel's and then the stack's, each under the programs' load in real time,
 * with a 2MSL that is the kernel's lifetime as it was measured; one model forecasts both. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cell.h"
#include "churn.h"
#include "socket_stage.h"
#include "table.h"

#define DRAIN_SEC_MAX 75

/* The kernel's churn: its samples come from an observer beside the cell's own. */
struct kernel_churn {
    struct churn churn;
    struct observer observer;
};

static void sample_kernel(struct kernel_churn *kernel)
{
    struct timewait_sample sample = {
        .at_ns = clock_now_ns(),
        .made = socket_stage_counter(&kernel->observer, "TcpExt.TW") +
                socket_stage_counter(&kernel->observer, "TcpExt.TWKilled"),
        .live = observer_time_wait(&kernel->observer),
        .recycled = socket_stage_counter(&kernel->observer, "TcpExt.TWRecycled"),
        .overflows = socket_stage_counter(&kernel->observer, "TcpExt.TCPTimeWaitOverflow"),
    };
    churn_add(&kernel->churn, &sample);
}

static void on_second(const struct cell_spec *spec, const struct cell_progress *progress,
                      void *user)
{
    (void)spec;
    struct kernel_churn *kernel = user;
    sample_kernel(kernel);
    /* The last two seconds are left out: the load may have ended within. */
    if (progress->elapsed_ns < (CHURN_SEC - 2) * NS_PER_SEC) {
        kernel->churn.churn_count = kernel->churn.count;
    }
    if (kernel->churn.count % 20 == 0) {
        printf("  %9.0f s  %" PRIu64 " TIME_WAIT\n", (double)progress->elapsed_ns / 1e9,
               progress->time_wait);
        fflush(stdout);
    }
}

/* Samples while TIME_WAIT goes down to nothing. */
static void drain_kernel(struct timewait *timewait, struct kernel_churn *kernel)
{
    for (int i = 0; i < DRAIN_SEC_MAX && observer_time_wait(&kernel->observer) > 0; i++) {
        if (!timewait_pause(timewait, NS_PER_SEC)) {
            return;
        }
        sample_kernel(kernel);
    }
}

static void run_kernel(struct timewait *timewait, struct kernel_churn *kernel, const char *rate,
                       const struct netns_pair *pair)
{
    struct cell_watcher watcher = {.progress = on_second, .user = kernel};
    struct cell_spec spec = {.client = LAB_KERNEL_URING,
                             .server = LAB_KERNEL_URING,
                             .closer = "client",
                             .close = "fin",
                             .rate = rate,
                             .duration_ns = CHURN_SEC * NS_PER_SEC,
                             .client_cpus = timewait->place.client_cpus,
                             .server_cpus = timewait->place.server_cpus,
                             .bin_dir = timewait->place.bin_dir};
    struct cell_result result;
    cell_run(&result, &spec, pair, timewait->keeper, &watcher);
    sample_kernel(kernel);
    if (result.outcome == CELL_DONE) {
        drain_kernel(timewait, kernel);
    } else if (result.outcome == CELL_INTERRUPTED) {
        timewait->stopped = true;
    } else {
        timewait_check(timewait, false, "%s", result.reason);
    }
    bool done = result.outcome == CELL_DONE && !timewait->stopped;
    cell_result_free(&result);
    if (done) {
        const struct churn *churn = &kernel->churn;
        const struct timewait_sample *last = &churn->samples[churn->count - 1];
        churn_check_pile_up(timewait, churn);
        churn_check_plateau(timewait, churn);
        churn_check_drain(timewait, churn, last->live,
                          (double)(last->at_ns - churn_last_close(churn)->at_ns) /
                              (double)NS_PER_SEC);
        timewait->lifetime_ns = churn_lifetime_ns(churn);
    }
}

void churn_show_kernel(struct timewait *timewait)
{
    struct kernel_churn *kernel = calloc(1, sizeof(*kernel));
    struct socket_stage stage;
    char rate[32];
    if (kernel == NULL || !timewait_open_stage(timewait, &stage)) {
        free(kernel);
        return;
    }
    kernel->churn.who = "kernel";
    kernel->churn.rate_per_sec = timewait_rate(timewait);
    snprintf(rate, sizeof(rate), "%.0f/s", kernel->churn.rate_per_sec);
    kernel->observer = stage.client;
    sample_kernel(kernel);
    /* The stage's own listener has the port that the server wants. */
    close(stage.listener);
    stage.listener = -1;
    run_kernel(timewait, kernel, rate, &stage.pair);
    socket_stage_close(&stage);
    free(kernel);
}

/* Takes the samples from a load generator's series: each row's rate and TIME_WAIT. The rows add up
 * to what was closed but for rounding. */
static void sample_report(struct churn *churn, const json_t *report)
{
    enum { COLUMN_ELAPSED = 0, COLUMN_COMPLETED = 2, COLUMN_TIME_WAIT = 6 };
    const json_t *series = json_object_get(report, "series");
    double made = 0, before_sec = 0;
    churn_add(churn, &(struct timewait_sample){.at_ns = 0});
    for (size_t i = 0; i < json_array_size(series); i++) {
        const json_t *row = json_array_get(series, i);
        double elapsed_sec = json_number_value(json_array_get(row, COLUMN_ELAPSED));
        double rate = json_number_value(json_array_get(row, COLUMN_COMPLETED));
        made += rate * (elapsed_sec - before_sec);
        before_sec = elapsed_sec;
        struct timewait_sample sample = {
            .at_ns = (uint64_t)(elapsed_sec * (double)NS_PER_SEC),
            .made = (uint64_t)(made + 0.5),
            .live = (uint64_t)json_integer_value(json_array_get(row, COLUMN_TIME_WAIT)),
        };
        churn_add(churn, &sample);
        if (elapsed_sec < CHURN_SEC - 2) {
            churn->churn_count = churn->count;
        }
    }
}

static void check_link_stack(struct timewait *timewait, const struct cell_spec *spec,
                             const struct cell_result *result)
{
    struct churn *churn = calloc(1, sizeof(*churn));
    if (churn == NULL) {
        return;
    }
    churn->who = "stack over a link";
    churn->rate_per_sec = timewait_rate(timewait);
    churn->config.lifetime_assumed_ns = spec->time_wait_ns;
    sample_report(churn, result->client);
    churn_check_pile_up(timewait, churn);
    churn_check_plateau(timewait, churn);
    double abandoned = table_number(result->client, "counters/stack_run/time_wait_abandoned");
    churn_check_drain(timewait, churn, (uint64_t)abandoned,
                      table_number(result->client, "counters/stack_run/lingering_ns") /
                          (double)NS_PER_SEC);
    free(churn);
}

void churn_show_link_stack(struct timewait *timewait)
{
    char rate[32];
    snprintf(rate, sizeof(rate), "%.0f/s", timewait_rate(timewait));
    struct cell_watcher watcher = {.progress = NULL};
    struct cell_spec spec = {.client = LAB_STACK_PACKET,
                             .server = LAB_STACK_PACKET,
                             .closer = "client",
                             .close = "fin",
                             .rate = rate,
                             .duration_ns = CHURN_SEC * NS_PER_SEC,
                             .time_wait_ns = timewait->lifetime_ns,
                             .client_cpus = timewait->place.client_cpus,
                             .server_cpus = timewait->place.server_cpus,
                             .bin_dir = timewait->place.bin_dir};
    struct netns_tuning tuning = {
        .hash_entries = 1 << 16, .time_wait_max = 1 << 20, .ipv4_only = true};
    struct cell_result result = {.outcome = CELL_FAILED};
    struct netns_pair pair;
    struct failure failure;
    cell_tune(&tuning, &spec);
    if (netns_pair_make(&pair, &tuning, &failure) != 0) {
        timewait_check(timewait, false, "%s", failure.text);
        return;
    }
    cell_run(&result, &spec, &pair, timewait->keeper, &watcher);
    if (result.outcome == CELL_DONE) {
        check_link_stack(timewait, &spec, &result);
    } else if (result.outcome == CELL_INTERRUPTED) {
        timewait->stopped = true;
    } else {
        timewait_check(timewait, false, "%s", result.reason);
    }
    cell_result_free(&result);
    netns_pair_close(&pair);
}

void timewait_show_churn_kernel(struct timewait *timewait)
{
    timewait_head("pile-up, plateau, drain: kernel",
                  "(over a link, 3 minutes) rate x lifetime is all that ever wait");
    churn_show_kernel(timewait);
}

void timewait_show_churn_stack(struct timewait *timewait)
{
    bool measured = timewait->lifetime_ns != 0;
    timewait_head("pile-up, plateau, drain: stack",
                  measured
                      ? "(over a link, 3 minutes) its 2MSL is the kernel's lifetime as measured"
                      : "(over a link, 3 minutes) its 2MSL is --lifetime, the kernel's");
    if (!measured) {
        timewait->lifetime_ns = timewait->options->lifetime_ns;
    }
    churn_show_link_stack(timewait);
}

void timewait_show_churn_memory(struct timewait *timewait)
{
    timewait_head(
        "pile-up, plateau, drain: in memory",
        "(stack over a link in memory, on virtual time) the same load, sample for sample");
    churn_show_memory_stack(timewait);
}
