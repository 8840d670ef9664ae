#include "tcpstat/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int source_open_net(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/thread-self/net/%s", name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

ssize_t source_read(int fd, void *buffer, size_t size, uint64_t offset)
{
    const ssize_t bytes = pread(fd, buffer, size, (off_t)offset);
    return bytes < 0 ? -errno : bytes;
}

ssize_t source_read_all(int fd, char *buffer, size_t size)
{
    size_t filled = 0;
    while (filled < size) {
        const ssize_t bytes = source_read(fd, buffer + filled, size - filled, filled);
        if (bytes == -EINTR) {
            continue;
        }
        if (bytes <= 0) {
            return bytes < 0 ? bytes : (ssize_t)filled;
        }
        filled += (size_t)bytes;
    }
    return -EMSGSIZE;
}

int source_read_text(const char *path, char *text, size_t size)
{
    text[0] = '\0';
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    const ssize_t bytes = source_read_all(fd, text, size - 1);
    close(fd);
    if (bytes < 0) {
        text[0] = '\0';
        return (int)bytes;
    }
    text[bytes] = '\0';
    return 0;
}

int source_read_number(const char *path, uint64_t *number)
{
    char text[32];
    const int error = source_read_text(path, text, sizeof(text));
    if (error < 0) {
        return error;
    }
    char *end;
    *number = strtoull(text, &end, 10);
    return end == text ? -EPROTO : 0;
}

void source_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}
