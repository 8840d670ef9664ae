/* The pile-up, the plateau and the drain of TIME_WAIT against forecast; see timewait.h.
 *
 * Layer: bench/lab. The kernel's under the programs' load, in real time; the stack's between two
 * hosts in memory on virtual time, with a 2MSL that is the kernel's lifetime as it was measured.
 * One model (tcpstat/timewait.h) forecasts both. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "cell.h"
#include "memory_wire.h"
#include "socket_stage.h"
#include "tcpstat/timewait.h"
#include "timewait.h"

#define CHURN_SEC 100   /* past a lifetime of at most 64 s, with a plateau to look at */
#define FORECAST_SEC 30 /* when the plateau is forecast: before any TIME_WAIT has ended */
#define SAMPLES_MAX 256
#define DRAIN_SEC_MAX 75
#define ERROR_MAX 0.02     /* of pile-up, plateau and forecast */
#define GRANULE_SEC_MAX 5. /* of the kernel's timer (4 s at HZ 1000), and a sample's second */

/* What was seen, a sample a second. */
struct churn {
    const char *who;
    struct timewait_config config;
    double rate_per_sec;
    struct timewait_sample samples[SAMPLES_MAX];
    size_t count;
    size_t churn_count; /* of these, while connections were closed at the full rate */
};

static void add_sample(struct churn *churn, const struct timewait_sample *sample)
{
    if (churn->count < SAMPLES_MAX) {
        churn->samples[churn->count++] = *sample;
    }
}

static double seconds_since_first(const struct churn *churn, size_t i)
{
    return (double)(churn->samples[i].at_ns - churn->samples[0].at_ns) / (double)NS_PER_SEC;
}

/* Finds the last sample at or before a time. */
static size_t sample_at(const struct churn *churn, double seconds)
{
    size_t at = 0;
    while (at + 1 < churn->churn_count && seconds_since_first(churn, at + 1) <= seconds) {
        at++;
    }
    return at;
}

static bool is_within(double value, double expected, double share)
{
    return value >= expected * (1 - share) && value <= expected * (1 + share);
}

static void check_pile_up(struct timewait *timewait, const struct churn *churn)
{
    size_t at = sample_at(churn, FORECAST_SEC);
    const struct timewait_sample *sample = &churn->samples[at];
    double closed = (double)(sample->made - churn->samples[0].made);
    double seconds = seconds_since_first(churn, at);
    timewait_check(timewait,
                   (double)sample->live == closed &&
                       is_within(closed, churn->rate_per_sec * seconds, ERROR_MAX),
                   "%s, pile-up: after %.1f s at %.0f/s %" PRIu64
                   " are there, every one that was made; none has ended",
                   churn->who, seconds, churn->rate_per_sec, sample->live);
}

static void check_plateau(struct timewait *timewait, const struct churn *churn)
{
    struct timewait_estimate estimate;
    size_t forecast_at = sample_at(churn, FORECAST_SEC);
    const struct timewait_sample *then = &churn->samples[churn->churn_count - 1];
    uint64_t ahead_ns = then->at_ns - churn->samples[forecast_at].at_ns;
    struct timewait_forecast forecast =
        timewait_forecast_live(churn->samples, forecast_at + 1, &churn->config, ahead_ns);
    double error = 1;
    bool known = timewait_forecast_error(&forecast, churn->samples, churn->churn_count, &error);
    timewait_check(timewait, known && error > -ERROR_MAX && error < ERROR_MAX,
                   "%s, forecast after %.0f s for %.0f s: %.0f; there are %" PRIu64 ": %+.2f%%",
                   churn->who, seconds_since_first(churn, forecast_at),
                   seconds_since_first(churn, churn->churn_count - 1), forecast.live, then->live,
                   error * 100);
    timewait_estimate(churn->samples, churn->churn_count, &churn->config, &estimate);
    timewait_check(
        timewait,
        estimate.at_plateau && estimate.lifetime_is_measured &&
            is_within(estimate.plateau_measured,
                      estimate.made_per_sec * (double)estimate.lifetime_ns / (double)NS_PER_SEC,
                      ERROR_MAX),
        "%s, plateau: %.0f on average = %.1f/s x %.2f s, the lifetime as measured", churn->who,
        estimate.plateau_measured, estimate.made_per_sec,
        (double)estimate.lifetime_ns / (double)NS_PER_SEC);
}

/* Finds the first sample by which all closes were made. */
static const struct timewait_sample *last_close(const struct churn *churn)
{
    size_t at = churn->count - 1;
    while (at > 0 && churn->samples[at - 1].made == churn->samples[churn->count - 1].made) {
        at--;
    }
    return &churn->samples[at];
}

/* The drain is over one lifetime, and at most a granule of the timer, after the last close. */
static void check_drain(struct timewait *timewait, const struct churn *churn)
{
    const struct timewait_sample *closed = last_close(churn);
    const struct timewait_sample *last = &churn->samples[churn->count - 1];
    struct timewait_estimate estimate;
    timewait_estimate(churn->samples, churn->churn_count, &churn->config, &estimate);
    double lifetime_sec = (double)estimate.lifetime_ns / (double)NS_PER_SEC;
    double took_sec = (double)(last->at_ns - closed->at_ns) / (double)NS_PER_SEC;
    timewait_check(timewait,
                   last->live == 0 && took_sec > lifetime_sec - GRANULE_SEC_MAX &&
                       took_sec < lifetime_sec + GRANULE_SEC_MAX,
                   "%s, drain: from %" PRIu64 " to %" PRIu64 " in %.1f s after the last close",
                   churn->who, closed->live, last->live, took_sec);
}

static void check_all(struct timewait *timewait, const struct churn *churn)
{
    check_pile_up(timewait, churn);
    check_plateau(timewait, churn);
    check_drain(timewait, churn);
}

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
    add_sample(&kernel->churn, &sample);
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
        struct timewait_estimate estimate;
        check_all(timewait, &kernel->churn);
        timewait_estimate(kernel->churn.samples, kernel->churn.churn_count, &kernel->churn.config,
                          &estimate);
        timewait->lifetime_ns = estimate.lifetime_ns;
    }
}

static double rate_of(const struct cli_rate *rate)
{
    return (double)rate->events * (double)NS_PER_SEC / (double)rate->per_ns;
}

static void show_kernel(struct timewait *timewait)
{
    struct kernel_churn *kernel = calloc(1, sizeof(*kernel));
    struct socket_stage stage;
    char rate[32];
    if (kernel == NULL || !timewait_open_stage(timewait, &stage)) {
        free(kernel);
        return;
    }
    kernel->churn.who = "kernel";
    kernel->churn.rate_per_sec = rate_of(&timewait->options->rate);
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

/* Opens and closes connections at the rate for a second of virtual time. Returns 0 or -errno. */
static int churn_second(struct memory_wire *wire, uint32_t per_sec, uint32_t *number)
{
    for (uint32_t i = 0; i < per_sec; i++) {
        fws_handle client, server;
        int error = memory_wire_connect(wire, (*number)++, &client, &server);
        if (error != 0) {
            return error;
        }
        fws_close(wire->client, client);
        memory_wire_run(wire, 0);
        fws_close(wire->server, server);
        memory_wire_run(wire, NS_PER_SEC / per_sec);
    }
    return 0;
}

static void sample_stack(struct churn *churn, const struct memory_wire *wire)
{
    struct timewait_sample sample = {
        .at_ns = wire->now_ns,
        .made = memory_wire_time_wait_made(wire->client),
        .live = memory_wire_time_wait(wire->client),
    };
    add_sample(churn, &sample);
}

static int run_stack(struct churn *churn, struct memory_wire *wire)
{
    uint32_t number = 0;
    int error = 0;
    sample_stack(churn, wire);
    for (int i = 0; error == 0 && i < CHURN_SEC; i++) {
        error = churn_second(wire, (uint32_t)churn->rate_per_sec, &number);
        sample_stack(churn, wire);
    }
    churn->churn_count = churn->count;
    for (int i = 0; i < DRAIN_SEC_MAX && memory_wire_time_wait(wire->client) > 0; i++) {
        memory_wire_run(wire, NS_PER_SEC);
        sample_stack(churn, wire);
    }
    return error;
}

static void show_stack(struct timewait *timewait)
{
    bool measured = timewait->lifetime_ns != 0;
    uint64_t time_wait_ns = measured ? timewait->lifetime_ns : 60 * NS_PER_SEC;
    struct memory_wire_config config = {.time_wait_ns = time_wait_ns, .timestamps = true};
    struct memory_wire wire;
    struct churn *churn = calloc(1, sizeof(*churn));
    if (churn == NULL || memory_wire_open(&wire, &config) != 0) {
        timewait_check(timewait, false, "no hosts in memory");
        free(churn);
        return;
    }
    churn->who = "stack";
    churn->rate_per_sec = rate_of(&timewait->options->rate);
    churn->config.lifetime_assumed_ns = time_wait_ns;
    int error = run_stack(churn, &wire);
    timewait_check(timewait, error == 0, "stack, 2MSL %.2f s%s: %zu connections closed in %d s",
                   (double)time_wait_ns / (double)NS_PER_SEC,
                   measured ? ", the kernel's lifetime" : "",
                   (size_t)churn->samples[churn->churn_count - 1].made, CHURN_SEC);
    check_all(timewait, churn);
    memory_wire_close(&wire);
    free(churn);
}

void timewait_show_churn(struct timewait *timewait)
{
    timewait_head(
        "pile-up, plateau, drain",
        timewait->options->is_short
            ? "(stack, in memory) rate x lifetime is all that ever wait; the kernel's takes "
              "3 minutes: without --short"
            : "rate x lifetime is all that ever wait; (kernel, over a link, 3 minutes; then "
              "the stack, in memory, with the kernel's lifetime as its 2MSL)");
    if (!timewait->options->is_short) {
        show_kernel(timewait);
    }
    if (!timewait->stopped) {
        show_stack(timewait);
    }
}
