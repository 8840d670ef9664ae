/* The live view: the watch's ticks wake the main thread, which prints; signals wake it too. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "stat/display.h"
#include "stat/document.h"
#include "stat/run.h"
#include "tcpstat/tcpstat.h"

struct live {
    const struct stat_settings *settings;
    struct watch *watch;
    struct display display;
    uint64_t origin_ns; /* the first tick's time */
    int tick_fd;        /* eventfd: ticks since it was last read */
    int signal_fd;
};

static void wake_main(void *context, const struct watch_latest *latest)
{
    const struct live *live = context;
    (void)latest;
    /* It can fail only at 2^64 - 1 ticks that nobody read. */
    const uint64_t one = 1;
    const ssize_t written = write(live->tick_fd, &one, sizeof(one));
    (void)written;
}

static bool prints_lines(const struct live *live)
{
    const char *json = live->settings->options->json;
    return json == NULL || strcmp(json, "-") != 0;
}

static double rise_per_sec(const struct watch_latest *latest, enum watch_field field)
{
    const uint64_t span_ns = latest->tick.at_ns - latest->previous.at_ns;
    if (span_ns == 0) {
        return 0;
    }
    const uint64_t rise = latest->tick.values[field] - latest->previous.values[field];
    return (double)rise * (double)NS_PER_SEC / (double)span_ns;
}

/* Tells from when to when the budget lets censuses begin; 0 when it is not known, or never. */
static uint64_t census_interval(const struct watch_latest *latest)
{
    const uint64_t due_ns = latest->census_due_ns;
    const uint64_t started_ns = latest->census.stamp.started_ns;
    return due_ns <= started_ns || due_ns >= CLOCK_NEVER / 2 ? 0 : due_ns - started_ns;
}

static struct display_line make_line(const struct live *live, const struct watch_latest *latest)
{
    struct display_line line = {
        .elapsed_ns = latest->tick.at_ns - live->origin_ns,
        .has_census = latest->censuses > 0,
        .time_wait_live = latest->tick.values[WATCH_time_wait],
        .time_wait_made_per_sec = rise_per_sec(latest, WATCH_time_wait_made) +
                                  rise_per_sec(latest, WATCH_time_wait_killed),
        .listen_drops_per_sec = rise_per_sec(latest, WATCH_listen_drops),
    };
    if (line.has_census) {
        line.counts = latest->census.total;
        line.age_ns = clock_now_ns() - latest->census.stamp.started_ns;
        line.cost_ns = latest->census.stamp.cpu_ns;
        line.every_ns = census_interval(latest);
    }
    return line;
}

static void print_latest(struct live *live)
{
    if (!prints_lines(live)) {
        return;
    }
    struct watch_latest latest;
    watch_latest(live->watch, &latest);
    const struct display_line line = make_line(live, &latest);
    display_print_line(&live->display, &line, stdout);
    fflush(stdout);
}

/* Waits for ticks and prints them, until the count is reached or a signal comes. */
static void follow(struct live *live)
{
    uint64_t lines = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = live->signal_fd, .events = POLLIN},
                               {.fd = live->tick_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            continue; /* EINTR only: both descriptors are ours */
        }
        if (fds[0].revents != 0) {
            return;
        }
        uint64_t ticks;
        if (read(live->tick_fd, &ticks, sizeof(ticks)) != (ssize_t)sizeof(ticks)) {
            continue;
        }
        print_latest(live);
        lines++;
        if (lines == live->settings->options->count) {
            return;
        }
    }
}

/* Prints the last line, whose states are the last census's. */
static void print_end(struct live *live, const struct watch_series *series,
                      const struct timewait_estimate *estimate)
{
    if (!prints_lines(live)) {
        return;
    }
    const uint32_t last = series->tick_count - 1;
    struct watch_latest latest = {
        .tick = series->ticks[last],
        .previous = series->ticks[last == 0 ? 0 : last - 1],
    };
    if (series->census_count > 0) {
        latest.censuses = 1;
        latest.census = series->censuses[series->census_count - 1];
    }
    const struct display_line line = make_line(live, &latest);
    display_print_line(&live->display, &line, stdout);
    if (estimate != NULL) {
        display_print_time_wait(estimate, stdout);
    }
    fflush(stdout);
}

/* Takes what the watch kept, shows the end of it, and writes the document. */
static int finish(struct live *live, struct failure *failure)
{
    struct watch_series series;
    struct timewait_estimate estimate;
    watch_stop(live->watch, &series);
    struct timewait_config config = {0};
    if (tcpstat_read_time_wait_max(&config.buckets_max) < 0) {
        config.buckets_max = 0; /* the forecast is then without a cap */
    }
    const bool has_estimate = watch_series_time_wait(&series, CLOCK_NEVER, &config, &estimate) == 0;
    print_end(live, &series, has_estimate ? &estimate : NULL);
    int error = 0;
    if (live->settings->options->json != NULL) {
        error = document_write_series(live->settings, &series, has_estimate ? &estimate : NULL,
                                      failure);
    }
    const uint64_t errors = series.tick_errors + series.census_errors;
    if (error == 0 && errors > 0) {
        error = failure_set(failure, -series.last_error,
                            "the kernel's tables could not be read %" PRIu64 " times, last: %s",
                            errors, strerror(-series.last_error));
    }
    watch_series_free(&series);
    return error;
}

static int open_signals(struct live *live)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    live->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return live->signal_fd < 0 ? -errno : 0;
}

static int start_watch(struct live *live, struct failure *failure)
{
    const struct watch_config config = {
        .interval_ns = live->settings->options->interval_ns,
        .budget_permille = live->settings->budget_permille,
        .payer = WATCH_PAYS_FOR_PROCESS,
        .final = WATCH_FINAL_WITHIN_BUDGET,
        .method = (enum census_method)live->settings->options->method,
        .request = stat_settings_request(live->settings),
        .on_tick = wake_main,
        .context = live,
    };
    const int error = watch_start(&live->watch, &config, failure);
    if (error < 0) {
        return error;
    }
    struct watch_latest latest;
    watch_latest(live->watch, &latest);
    live->origin_ns = latest.started_ns;
    if (prints_lines(live) && watch_passed_over(live->watch)[0] != '\0') {
        display_print_method(latest.census_method, watch_passed_over(live->watch), stderr);
    }
    return 0;
}

int run_live(const struct stat_settings *settings, struct failure *failure)
{
    struct live live = {.settings = settings};
    int error = open_signals(&live);
    if (error < 0) {
        return failure_set(failure, -error, "no descriptor for signals: %s", strerror(-error));
    }
    live.tick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (live.tick_fd < 0) {
        error = failure_set(failure, errno, "no descriptor for ticks: %s", strerror(errno));
        goto err_close_signals;
    }
    error = start_watch(&live, failure);
    if (error == 0) {
        follow(&live);
        error = finish(&live, failure);
    }
    close(live.tick_fd);
err_close_signals:
    close(live.signal_fd);
    return error;
}
