/* Output files that appear whole or not at all; see file.h. */
#include "report/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Temporary names that are tried before giving up; more are taken only by leftovers of ours. */
#define TEMPORARY_TRIES 100

static int write_failed(const char *path, int error, struct failure *failure)
{
    return failure_set(failure, error, "%s: cannot be written: %s; name a place that can be",
                       path, strerror(error));
}

/* Tells whether a path is to be written through: it exists and is not a regular file. */
static bool is_special(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static int open_through(struct report_file *file, struct failure *failure)
{
    file->out = fopen(file->path, "we");
    return file->out == NULL ? write_failed(file->path, errno, failure) : 0;
}

/* Makes a new file beside the path. O_EXCL rather than mkstemp, whose 0600 would hide a report from the
 * people it is for. Returns the descriptor or -errno. */
static int open_beside(char *temporary, size_t size, const char *path)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        snprintf(temporary, size, "%s.%ld.%d.tmp", path, (long)getpid(), i);
        int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            return fd;
        }
        if (errno != EEXIST) {
            return -errno;
        }
    }
    return -EEXIST;
}

int report_file_open(struct report_file *file, const char *path, struct failure *failure)
{
    *file = (struct report_file){.path = path};
    if (strcmp(path, "-") == 0) {
        file->out = stdout;
        return 0;
    }
    if (is_special(path)) {
        return open_through(file, failure);
    }
    size_t size = strlen(path) + 64;
    file->temporary = malloc(size);
    if (file->temporary == NULL) {
        return write_failed(path, ENOMEM, failure);
    }
    int fd = open_beside(file->temporary, size, path);
    if (fd < 0) {
        free(file->temporary);
        return write_failed(path, -fd, failure);
    }
    file->out = fdopen(fd, "w");
    if (file->out == NULL) {
        int error = errno;
        close(fd);
        unlink(file->temporary);
        free(file->temporary);
        return write_failed(path, error, failure);
    }
    return 0;
}

/* Flushes and closes; stdout stays open for the program. The first error counts. */
static int finish_stream(FILE *out)
{
    int error = 0;
    errno = 0;
    if (fflush(out) != 0 || ferror(out)) {
        error = errno == 0 ? -EIO : -errno;
    }
    if (out != stdout && fclose(out) != 0 && error == 0) {
        error = -errno;
    }
    return error;
}

int report_file_commit(struct report_file *file, int error, struct failure *failure)
{
    int finished = finish_stream(file->out);
    error = error == 0 ? finished : error;
    if (file->temporary != NULL) {
        if (error == 0 && rename(file->temporary, file->path) != 0) {
            error = -errno;
        }
        if (error != 0) {
            unlink(file->temporary);
        }
        free(file->temporary);
    }
    const char *path = strcmp(file->path, "-") == 0 ? "standard output" : file->path;
    *file = (struct report_file){.out = NULL};
    return error == 0 ? 0 : write_failed(path, -error, failure);
}
