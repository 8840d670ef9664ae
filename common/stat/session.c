#include "stat/session.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/assert.h"
#include "stat/feed.h"
#include "stat/live_view.h"
#include "stat/namespace.h"
#include "stat/sink.h"

#define SINKS_MAX 8

struct session {
    const struct stat_settings *settings;
    struct feed *feed;
    struct sink *sinks[SINKS_MAX];
    uint32_t sink_count;
    struct live_view *view;    /* one of the sinks, which takes keys too; or NULL */
    struct exporter *exporter; /* until its sink has it */
    int signal_fd;
    struct sample before;
    struct sample now;
    uint64_t samples;
};

static int open_signals(struct session *session, struct failure *failure)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGQUIT);
    sigaddset(&signals, SIGWINCH);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    session->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (session->signal_fd < 0) {
        return failure_set(failure, errno, "no descriptor for signals: %s", strerror(errno));
    }
    return 0;
}

/* Tells whether a signal that ends the session came; resizes the screen on the way. */
static bool take_signals(struct session *session)
{
    struct signalfd_siginfo info;
    bool ends = false;
    while (read(session->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo != SIGWINCH) {
            ends = true;
        } else if (session->view != NULL) {
            live_view_resize(session->view);
        }
    }
    return ends;
}

static int give_sinks(struct session *session, struct failure *failure)
{
    if (session->samples == 0) {
        sample_copy(&session->before, &session->now);
    }
    session->samples++;
    for (uint32_t i = 0; i < session->sink_count; i++) {
        struct sink *sink = session->sinks[i];
        const int error = sink->ops->take(sink, &session->now, &session->before, failure);
        if (error < 0) {
            return error;
        }
    }
    sample_copy(&session->before, &session->now);
    return 0;
}

/* Takes one sample if there is one. Returns an enum feed_step or -errno. */
static int step(struct session *session, struct failure *failure)
{
    const int got = session->feed->ops->next(session->feed, &session->now, failure);
    if (got != FEED_SAMPLE) {
        return got;
    }
    const int error = give_sinks(session, failure);
    const uint64_t count = session->settings->options->count;
    if (error < 0) {
        return error;
    }
    /* Sample 0 is what the others are counted from: no line, so not one of the count. */
    return count > 0 && session->samples > count ? FEED_DONE : FEED_SAMPLE;
}

/* Lets the screen take its keys. Returns true when one ends the session. */
static bool take_keys(struct session *session)
{
    const struct live_view_keys keys = live_view_take_keys(session->view);
    if (keys.pause_changed && session->feed->ops->pause != NULL) {
        session->feed->ops->pause(session->feed, keys.paused);
    }
    return keys.quit;
}

/* Waits for samples and hands them on until something ends it. */
static int follow(struct session *session, struct failure *failure)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = session->signal_fd, .events = POLLIN},
            {.fd = session->feed->fd, .events = POLLIN},
            {.fd = session->view == NULL ? -1 : live_view_key_fd(session->view), .events = POLLIN},
        };
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0) {
            continue; /* EINTR only: the descriptors are ours */
        }
        if (fds[0].revents != 0 && take_signals(session)) {
            return 0;
        }
        if (fds[2].revents != 0 && take_keys(session)) {
            return 0;
        }
        if (fds[1].revents == 0) {
            continue;
        }
        const int got = step(session, failure);
        if (got < 0 || got == FEED_DONE) {
            return got < 0 ? got : 0;
        }
    }
}

/* Samples that were queued when the session ended are still samples. */
static int drain(struct session *session, struct failure *failure)
{
    const uint64_t count = session->settings->options->count;
    int got = FEED_SAMPLE;
    while (got == FEED_SAMPLE && (count == 0 || session->samples <= count)) {
        got = step(session, failure);
    }
    return got < 0 ? got : 0;
}

static int end_sinks(struct session *session, struct failure *failure)
{
    struct sample_end end = {0};
    int error = 0;
    if (session->feed->ops->finish(session->feed, &session->now, &end)) {
        error = give_sinks(session, failure);
    }
    for (uint32_t i = 0; error == 0 && i < session->sink_count; i++) {
        struct sink *sink = session->sinks[i];
        if (sink->ops->end != NULL) {
            error = sink->ops->end(sink, &end, failure);
        }
    }
    const uint64_t errors = end.tick_errors + end.census_errors;
    if (error == 0 && end.cut[0] != '\0') {
        return failure_set(failure, EBADMSG, "%s", end.cut);
    }
    if (error == 0 && errors > 0) {
        const int last = end.last_error != 0 ? -end.last_error : EIO; /* not in recordings */
        error = failure_set(failure, last,
                            "the kernel's tables could not be read %" PRIu64 " times, last: %s",
                            errors, strerror(last));
    }
    return error;
}

static void add_sink(struct session *session, struct sink *sink)
{
    ASSERT(session->sink_count < SINKS_MAX);
    session->sinks[session->sink_count++] = sink;
}

static bool is_stdout(const char *path)
{
    return path != NULL && strcmp(path, "-") == 0;
}

/* Opens what the options name. Files first: the screen hides what goes wrong. */
static int open_files(struct session *session, struct failure *failure)
{
    const struct stat_options *options = session->settings->options;
    const struct sample_head *head = &session->feed->head;
    struct sink *sink;
    int error = 0;
    if (options->record != NULL) {
        error = sink_open_record(&sink, session->settings, head, failure);
        if (error < 0) {
            return error;
        }
        add_sink(session, sink);
    }
    if (options->csv != NULL) {
        error = sink_open_csv(&sink, session->settings, head, failure);
        if (error < 0) {
            return error;
        }
        add_sink(session, sink);
    }
    if (options->json != NULL) {
        error = sink_open_json(&sink, session->settings, head, failure);
        if (error < 0) {
            return error;
        }
        add_sink(session, sink);
    }
    if (session->exporter != NULL) {
        error = sink_open_metrics(&sink, head, session->exporter, failure);
        if (error < 0) {
            return error;
        }
        session->exporter = NULL;
        add_sink(session, sink);
    }
    return 0;
}

static int open_shown(struct session *session, struct failure *failure)
{
    const struct stat_options *options = session->settings->options;
    if (is_stdout(options->json) || is_stdout(options->csv)) {
        return 0;
    }
    struct sink *sink;
    if (stat_settings_is_live(session->settings)) {
        const int error =
            live_view_open(&session->view, session->settings, &session->feed->head, failure);
        if (error == 0) {
            add_sink(session, live_view_sink(session->view));
        }
        if (error != -ENOTTY || options->view == STAT_VIEW_LIVE) {
            return error;
        }
        /* Nobody asked for a screen by name, and this terminal has none: lines will do. */
    }
    const int error = sink_open_lines(&sink, &session->feed->head, failure);
    if (error == 0) {
        add_sink(session, sink);
    }
    return error;
}

static void close_sinks(struct session *session)
{
    /* The screen came last and goes first. */
    while (session->sink_count > 0) {
        struct sink *sink = session->sinks[--session->sink_count];
        sink->ops->close(sink);
    }
}

static int run(struct session *session, struct failure *failure)
{
    int error = open_files(session, failure);
    if (error == 0) {
        error = open_shown(session, failure);
    }
    if (error == 0) {
        error = follow(session, failure);
    }
    if (error == 0) {
        error = drain(session, failure);
    }
    if (error == 0) {
        error = end_sinks(session, failure);
    }
    close_sinks(session);
    return error;
}

static int open_feed(struct session *session, struct failure *failure)
{
    const struct stat_options *options = session->settings->options;
    if (options->replay != NULL) {
        return feed_open_replay(&session->feed, session->settings, failure);
    }
    if (options->stack != NULL) {
        return feed_open_stack(&session->feed, session->settings, failure);
    }
    const int error = options->netns == NULL ? 0 : namespace_enter_named(options->netns, failure);
    return error < 0 ? error : feed_open_kernel(&session->feed, session->settings, failure);
}

int run_session(const struct stat_settings *settings, struct failure *failure)
{
    struct session session = {.settings = settings};
    int error = open_signals(&session, failure);
    if (error < 0) {
        return error;
    }
    if (settings->has_metrics) {
        /* In the namespace that we were started in, whichever is watched. */
        error = exporter_open(&session.exporter, &settings->metrics, failure);
    }
    if (error == 0) {
        error = open_feed(&session, failure);
    }
    if (error == 0) {
        error = run(&session, failure);
        session.feed->ops->close(session.feed);
    }
    exporter_close(session.exporter);
    close(session.signal_fd);
    return error;
}
