/* A recording as a feed: a timer becomes readable when the next sample is due. Lines that are
 * broken are passed over and counted: what is whole is shown, the rest named at the end. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "stat/feed.h"
#include "stat/recording.h"

/* A line of a recording is some 3 kB, with 64 owners and listeners 30 kB. */
#define LINE_BYTES_MAX (UINT64_C(1) << 20)

struct replay_feed {
    struct feed feed; /* first: a pointer to it is a pointer to this */
    const char *path;
    double speed; /* 0: as fast as it goes */
    FILE *in;
    char *line; /* LINE_BYTES_MAX */
    uint64_t line_bytes;
    uint64_t line_number;

    struct sample pending; /* the next to be given, if has_pending */
    bool has_pending;
    struct sample_end end;

    uint64_t ticks; /* given */
    uint64_t broken_lines;
    uint64_t broken_first; /* the first one's number */
    uint64_t broken_bytes;
    bool ends_within_line;
    bool was_read_through;

    uint64_t started_ns; /* when sample 0 was due; moved on by pauses */
    uint64_t paused_at_ns;
    bool paused;
};

static void count_broken(struct replay_feed *replay, uint64_t bytes)
{
    if (replay->broken_lines++ == 0) {
        replay->broken_first = replay->line_number;
    }
    replay->broken_bytes += bytes;
}

/* Reads up to the next newline, keeps what fits, and passes over the rest. Returns the bytes
 * passed; 0 at the end of the file. */
static uint64_t read_bytes(struct replay_feed *replay)
{
    uint64_t bytes = 0;
    int byte = 0;
    while (byte != '\n' && (byte = getc_unlocked(replay->in)) != EOF) {
        if (bytes < LINE_BYTES_MAX) {
            replay->line[bytes] = (char)byte;
        }
        bytes++;
    }
    if (bytes > 0) {
        replay->ends_within_line = byte != '\n';
    }
    return bytes;
}

/* Reads one line as JSON; NULL when it is broken (then it was counted) or the file has ended. */
static json_t *read_line(struct replay_feed *replay, bool *has_ended)
{
    const uint64_t bytes = read_bytes(replay);
    *has_ended = bytes == 0;
    if (bytes == 0) {
        return NULL;
    }
    replay->line_number++;
    replay->line_bytes = bytes;
    const bool is_whole = !replay->ends_within_line && bytes <= LINE_BYTES_MAX;
    json_t *value =
        is_whole ? json_loadb(replay->line, (size_t)bytes, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (value == NULL) {
        count_broken(replay, bytes);
    }
    return value;
}

/* Reads on to the next sample. */
static void load_next(struct replay_feed *replay)
{
    bool has_ended = false;
    replay->has_pending = false;
    while (!replay->has_pending && !has_ended) {
        json_t *line = read_line(replay, &has_ended);
        if (line == NULL) {
            continue;
        }
        switch (recording_decode(line, &replay->pending, &replay->end)) {
        case RECORDING_SAMPLE:
            replay->has_pending = true;
            break;
        case RECORDING_BAD:
            count_broken(replay, replay->line_bytes);
            break;
        case RECORDING_OTHER:
        case RECORDING_END:
            break;
        }
        json_decref(line);
    }
    replay->was_read_through = !replay->has_pending;
}

/* Arms the timer for the pending sample; for the end of the recording, at once. */
static void arm(struct replay_feed *replay)
{
    uint64_t due_ns = 1; /* the past; 0 would disarm it */
    if (replay->has_pending && replay->speed > 0) {
        due_ns =
            replay->started_ns + (uint64_t)((double)replay->pending.elapsed_ns / replay->speed);
    }
    const struct itimerspec at = {
        .it_value = {.tv_sec = (time_t)(due_ns / NS_PER_SEC),
                     .tv_nsec = (long)(due_ns % NS_PER_SEC)},
    };
    timerfd_settime(replay->feed.fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static int replay_next(struct feed *feed, struct sample *sample, struct failure *failure)
{
    struct replay_feed *replay = (struct replay_feed *)feed;
    (void)failure;
    uint64_t times;
    if (replay->paused || read(feed->fd, &times, sizeof(times)) != (ssize_t)sizeof(times)) {
        return FEED_WAIT;
    }
    if (!replay->has_pending) {
        return FEED_DONE;
    }
    sample_copy(sample, &replay->pending);
    replay->ticks++;
    load_next(replay);
    arm(replay);
    return FEED_SAMPLE;
}

static void replay_pause(struct feed *feed, bool paused)
{
    struct replay_feed *replay = (struct replay_feed *)feed;
    if (paused == replay->paused) {
        return;
    }
    replay->paused = paused;
    if (paused) {
        replay->paused_at_ns = clock_now_ns();
        const struct itimerspec never = {0};
        timerfd_settime(feed->fd, 0, &never, NULL);
    } else {
        replay->started_ns += clock_now_ns() - replay->paused_at_ns;
        arm(replay);
    }
}

/* Says what is not there of a recording that was read to its end. */
static void describe_cut(const struct replay_feed *replay, char *text, size_t size)
{
    size_t length =
        (size_t)snprintf(text, size, "--replay %s: cut short: %" PRIu64 " ticks are whole",
                         replay->path, replay->ticks);
    if (replay->broken_lines > 0 && length < size) {
        length += (size_t)snprintf(text + length, size - length,
                                   "; %" PRIu64 " line%s cannot be read (the first is line %" PRIu64
                                   ", %" PRIu64 " bytes in all)",
                                   replay->broken_lines, replay->broken_lines == 1 ? "" : "s",
                                   replay->broken_first, replay->broken_bytes);
    }
    if (replay->ends_within_line && length < size) {
        length += (size_t)snprintf(text + length, size - length, "; the file ends within a line");
    }
    if (!replay->end.is_whole && length < size) {
        snprintf(text + length, size - length, "; what is written at a run's end is not there");
    }
}

static bool replay_finish(struct feed *feed, struct sample *last, struct sample_end *end)
{
    struct replay_feed *replay = (struct replay_feed *)feed;
    (void)last;
    *end = replay->end;
    if (replay->was_read_through && (!end->is_whole || replay->broken_lines > 0)) {
        describe_cut(replay, end->cut, sizeof(end->cut));
    }
    return false;
}

static void replay_close(struct feed *feed)
{
    struct replay_feed *replay = (struct replay_feed *)feed;
    if (replay->in != NULL) {
        fclose(replay->in);
    }
    if (feed->fd >= 0) {
        close(feed->fd);
    }
    free(replay->line);
    free(replay->end.deltas);
    free(replay);
}

static const struct feed_ops replay_ops = {
    .next = replay_next,
    .pause = replay_pause,
    .finish = replay_finish,
    .close = replay_close,
};

static int read_head(struct replay_feed *replay, struct failure *failure)
{
    bool has_ended;
    json_t *line = read_line(replay, &has_ended);
    const int error = line == NULL ? -EINVAL : recording_decode_head(line, &replay->feed.head);
    json_decref(line);
    if (error == -ENOTSUP) {
        return failure_set(failure, EINVAL,
                           "--replay %s: a recording of another version; this is finwait %s, "
                           "which reads version %d",
                           replay->path, FINWAIT_VERSION, RECORDING_VERSION);
    }
    if (error < 0) {
        return failure_set(failure, EINVAL,
                           "--replay %s: not a recording; use a file that --record wrote",
                           replay->path);
    }
    return 0;
}

static int open_file(struct replay_feed *replay, struct failure *failure)
{
    replay->line = malloc(LINE_BYTES_MAX);
    if (replay->line == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --replay");
    }
    replay->in = fopen(replay->path, "re");
    if (replay->in == NULL) {
        return failure_set(failure, EINVAL, "--replay %s: cannot be read: %s", replay->path,
                           strerror(errno));
    }
    replay->feed.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (replay->feed.fd < 0) {
        return failure_set(failure, errno, "no timer for --replay: %s", strerror(errno));
    }
    return read_head(replay, failure);
}

int feed_open_replay(struct feed **feed, const struct stat_settings *settings,
                     struct failure *failure)
{
    struct replay_feed *replay = calloc(1, sizeof(*replay));
    if (replay == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --replay");
    }
    replay->feed = (struct feed){.ops = &replay_ops, .fd = -1};
    replay->path = settings->options->replay;
    replay->speed = settings->speed;
    const int error = open_file(replay, failure);
    if (error < 0) {
        replay_close(&replay->feed);
        return error;
    }
    replay->started_ns = clock_now_ns();
    load_next(replay);
    arm(replay);
    *feed = &replay->feed;
    return 0;
}
