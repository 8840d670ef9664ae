/* Captures; see capture.h. Layer: bench/lab. */
#include "capture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Enough for the lines that a program ends with. */
#define TAIL_MAX 4096

int capture_open(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

const char *capture_path(int fd, char path[CAPTURE_PATH_MAX])
{
    snprintf(path, CAPTURE_PATH_MAX, "/proc/self/fd/%d", fd);
    return path;
}

void capture_last_line(int fd, char *line, size_t size)
{
    char tail[TAIL_MAX];
    struct stat status;
    line[0] = '\0';
    if (fstat(fd, &status) != 0) {
        return;
    }
    off_t place = status.st_size > TAIL_MAX ? status.st_size - TAIL_MAX : 0;
    ssize_t count = pread(fd, tail, sizeof(tail), place);
    while (count > 0 && (tail[count - 1] == '\n' || tail[count - 1] == '\0')) {
        count--;
    }
    ssize_t start = count;
    while (start > 0 && tail[start - 1] != '\n') {
        start--;
    }
    if (count > start) {
        snprintf(line, size, "%.*s", (int)(count - start), &tail[start]);
    }
}

json_t *capture_json(int fd)
{
    return lseek(fd, 0, SEEK_SET) == 0 ? json_loadfd(fd, 0, NULL) : NULL;
}
