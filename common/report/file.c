/* Output files that appear whole or not at all; see file.h. */
#include "report/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/report.h"

/* Temporary names that are tried before giving up; more are taken only by leftovers of ours. */
#define TEMPORARY_TRIES 100

/* What a temporary name adds to a path. */
#define TEMPORARY_SUFFIX_MAX 64

static int write_failed(const char *path, int error, struct failure *failure)
{
    const char *name = strcmp(path, "-") == 0 ? "standard output" : path;
    return failure_set(failure, -error, "%s: cannot be written: %s; name a place that can be", name,
                       strerror(-error));
}

/* Tells whether a path is to be written through: it exists and is not a regular file. */
static bool is_special(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

/* Makes a new file beside the path. O_EXCL rather than mkstemp, whose 0600 would hide a report from
 * the people it is for. Returns the descriptor or -errno. */
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

static int write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, text, size);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        size_t step = written < 0 ? 0 : (size_t)written;
        text += step;
        size -= step;
    }
    return 0;
}

/* Closes, too, since a file system over a network tells of a full disk only then. */
static int write_and_close(int fd, const struct report_file *file)
{
    int error = write_all(fd, file->text, file->size);
    if (close(fd) != 0 && error == 0) {
        error = -errno;
    }
    return error;
}

static int write_through(const struct report_file *file)
{
    int fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : write_and_close(fd, file);
}

static int write_beside(const struct report_file *file)
{
    size_t size = strlen(file->path) + TEMPORARY_SUFFIX_MAX;
    char *temporary = malloc(size);
    if (temporary == NULL) {
        return -ENOMEM;
    }
    int fd = open_beside(temporary, size, file->path);
    int error = fd < 0 ? fd : write_and_close(fd, file);
    if (error == 0 && rename(temporary, file->path) != 0) {
        error = -errno;
    }
    if (error != 0 && fd >= 0) {
        unlink(temporary);
    }
    free(temporary);
    return error;
}

static int write_stdout(const struct report_file *file)
{
    /* What the program printed before comes first. */
    return fflush(stdout) != 0 ? -errno : write_all(STDOUT_FILENO, file->text, file->size);
}

int report_file_begin(struct report_file *file, const char *path, struct failure *failure)
{
    *file = (struct report_file){.path = path};
    file->out = open_memstream(&file->text, &file->size);
    return file->out == NULL ? write_failed(path, -ENOMEM, failure) : 0;
}

static int put_in_place(const struct report_file *file)
{
    if (strcmp(file->path, "-") == 0) {
        return write_stdout(file);
    }
    return is_special(file->path) ? write_through(file) : write_beside(file);
}

int report_file_commit(struct report_file *file, int error, struct failure *failure)
{
    bool is_cut = ferror(file->out) != 0;
    if (fclose(file->out) != 0 || is_cut) {
        error = -ENOMEM;
    }
    if (error == 0) {
        error = put_in_place(file);
    }
    free(file->text);
    return error == 0 ? 0 : write_failed(file->path, error, failure);
}

/* A pipe may have no reader yet, and a link may point at what is still to be made: only what can be
 * told without opening it is. */
static int check_special(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (S_ISDIR(status.st_mode)) {
        return -EISDIR;
    }
    return access(path, W_OK) == 0 ? 0 : -errno;
}

static int check_beside(const char *path)
{
    size_t size = strlen(path) + TEMPORARY_SUFFIX_MAX;
    char *temporary = malloc(size);
    if (temporary == NULL) {
        return -ENOMEM;
    }
    int fd = open_beside(temporary, size, path);
    if (fd >= 0) {
        close(fd);
        unlink(temporary);
    }
    free(temporary);
    return fd < 0 ? fd : 0;
}

int result_path_check(const char *path, struct failure *failure)
{
    if (strcmp(path, "-") == 0) {
        return 0;
    }
    int error = is_special(path) ? check_special(path) : check_beside(path);
    return error == 0 ? 0 : write_failed(path, error, failure);
}
