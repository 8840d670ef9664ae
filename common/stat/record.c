/* --record: a line per sample, each written by one append, so that a recording that is cut short
 * has lost no more than its last line. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stat/recording.h"
#include "stat/sink.h"

struct record_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const char *path;
    int fd;
    uint64_t census_known;
};

static int cannot_write(const struct record_sink *record, int error, struct failure *failure)
{
    return failure_set(failure, -error, "--record %s: cannot be written: %s", record->path,
                       strerror(-error));
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        bytes += written < 0 ? 0 : written;
        size -= written < 0 ? 0 : (size_t)written;
    }
    return 0;
}

/* Appends a line and drops its value; NULL: there was no memory for it. */
static int append_line(const struct record_sink *record, json_t *line, struct failure *failure)
{
    int error = -ENOMEM;
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
    json_decref(line);
    if (text != NULL) {
        const size_t length = strlen(text);
        text[length] = '\n'; /* in the NUL's place: the length is known */
        error = write_all(record->fd, text, length + 1);
        free(text);
    }
    return error < 0 ? cannot_write(record, error, failure) : 0;
}

static int record_take(struct sink *base, const struct sample *now, const struct sample *before,
                       struct failure *failure)
{
    struct record_sink *record = (struct record_sink *)base;
    (void)before;
    const int error =
        append_line(record, recording_encode_sample(now, record->census_known), failure);
    record->census_known = now->census_count;
    return error;
}

static int record_end(struct sink *base, const struct sample_end *end, struct failure *failure)
{
    const struct record_sink *record = (struct record_sink *)base;
    return append_line(record, recording_encode_end(end), failure);
}

static void record_close(struct sink *base)
{
    struct record_sink *record = (struct record_sink *)base;
    if (record->fd >= 0) {
        close(record->fd);
    }
    free(record);
}

static const struct sink_ops record_ops = {
    .take = record_take,
    .end = record_end,
    .close = record_close,
};

/* A recording is never written over, nor is one appended to another. */
static int open_new(const char *path, struct failure *failure)
{
    const int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return failure_set(failure, errno, "--record %s: cannot be written: %s", path,
                           strerror(errno));
    }
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        close(fd);
        return failure_set(failure, EINVAL,
                           "--record %s: is there already; remove it or name another file", path);
    }
    return fd;
}

int sink_open_record(struct sink **sink, const struct stat_settings *settings,
                     const struct sample_head *head, struct failure *failure)
{
    const char *path = settings->options->record;
    struct record_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --record");
    }
    made->sink.ops = &record_ops;
    made->path = path;
    made->fd = open_new(path, failure);
    int error = made->fd < 0 ? made->fd : 0;
    if (error == 0) {
        error = append_line(made, recording_encode_head(head), failure);
    }
    if (error < 0) {
        record_close(&made->sink);
        return error;
    }
    *sink = &made->sink;
    return 0;
}
