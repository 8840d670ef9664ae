#include "server/respond.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a byte leads. A request ends when an EOL state meets \n, which the caller looks at first.
 */
static enum respond_scan_state scan_next(enum respond_scan_state state, uint8_t byte)
{
    switch (state) {
    case RESPOND_SCAN_LEAD:
        return byte == '\r' || byte == '\n' ? RESPOND_SCAN_LEAD : RESPOND_SCAN_LINE;
    case RESPOND_SCAN_LINE:
        return byte == '\n' ? RESPOND_SCAN_EOL : RESPOND_SCAN_LINE;
    case RESPOND_SCAN_EOL:
        return byte == '\r' ? RESPOND_SCAN_EOL_CR : RESPOND_SCAN_LINE;
    case RESPOND_SCAN_EOL_CR:
        return RESPOND_SCAN_LINE;
    }
    return state;
}

uint32_t respond_scan(enum respond_scan_state *state, const uint8_t *data, size_t size)
{
    uint32_t requests = 0;
    const uint8_t *end = data + size;
    while (data < end) {
        if (*state == RESPOND_SCAN_LINE) {
            /* Only a line's end matters within a line, and most bytes are within one. */
            const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
            if (newline == NULL) {
                return requests;
            }
            data = newline;
        }
        bool ends = *state == RESPOND_SCAN_EOL || *state == RESPOND_SCAN_EOL_CR;
        if (ends && *data == '\n') {
            requests++;
            *state = RESPOND_SCAN_LEAD;
        } else {
            *state = scan_next(*state, *data);
        }
        data++;
    }
    return requests;
}

static int check_kind(const struct stat *info, const char *path, struct failure *failure)
{
    if (!S_ISREG(info->st_mode)) {
        return failure_set(failure, EINVAL, "--respond %s: not a regular file", path);
    }
    if (info->st_size == 0) {
        return failure_set(failure, EINVAL,
                           "--respond %s: the file is empty; it must hold a whole response", path);
    }
    if ((uint64_t)info->st_size > RESPOND_BYTES_MAX) {
        return failure_set(failure, EFBIG,
                           "--respond %s: %lld bytes are too many; at most %llu MiB", path,
                           (long long)info->st_size, (unsigned long long)(RESPOND_BYTES_MAX >> 20));
    }
    return 0;
}

/* Reads until the buffer is full. A file that shrank meanwhile is an error: half a response is
 * none. */
static int read_whole(int fd, uint8_t *data, uint64_t size)
{
    uint64_t done = 0;
    while (done < size) {
        ssize_t n = read(fd, data + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        done += (uint64_t)n;
    }
    return 0;
}

int respond_load(struct respond_file *file, const char *path, struct failure *failure)
{
    /* O_NONBLOCK: a pipe that nobody writes to must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return failure_set(failure, errno, "--respond %s: %s", path, strerror(errno));
    }
    struct stat info;
    uint8_t *data = NULL;
    int rc = fstat(fd, &info) == 0
                 ? check_kind(&info, path, failure)
                 : failure_set(failure, errno, "--respond %s: %s", path, strerror(errno));
    if (rc != 0) {
        goto err_close;
    }
    data = malloc((size_t)info.st_size);
    rc = data != NULL ? read_whole(fd, data, (uint64_t)info.st_size) : -ENOMEM;
    if (rc != 0) {
        rc = failure_set(failure, -rc, "--respond %s: cannot be read: %s", path, strerror(-rc));
        goto err_free;
    }
    close(fd);
    *file = (struct respond_file){data, (uint64_t)info.st_size};
    return 0;

err_free:
    free(data);
err_close:
    close(fd);
    return rc;
}

void respond_unload(struct respond_file *file)
{
    free(file->data);
    *file = (struct respond_file){0};
}
