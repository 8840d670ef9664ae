/* Server and client of blocking calls: one connection at a time in each process. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

#define SERVER_BUFFER_BYTES 4096u

static void serve(int fd)
{
    uint8_t data[SERVER_BUFFER_BYTES];
    ssize_t bytes;
    while ((bytes = recv(fd, data, sizeof(data), 0)) > 0) {
        if (send(fd, data, (size_t)bytes, MSG_WAITALL | MSG_NOSIGNAL) != bytes) {
            break;
        }
    }
    close(fd);
}

int floor_blocking_server(const struct floor_task *task)
{
    for (;;) {
        int fd = accept4(task->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            serve(fd);
        } else if (errno != ECONNABORTED && errno != EINTR) {
            return -errno;
        }
    }
}

static int client_open(const struct floor_options *options, struct floor_source *source)
{
    const int on = 1;
    const struct linger linger_zero = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in address;
    struct sockaddr_in target = floor_target(options);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return -errno;
    }
    floor_source_next(source, &address);
    if ((options->close == FLOOR_RST &&
         setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger_zero, sizeof(linger_zero)) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        connect(fd, (const struct sockaddr *)&target, sizeof(target)) != 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* Sends the payload and receives it back, then closes in the way asked for. */
static bool client_use(int fd, enum floor_close how)
{
    uint8_t data[FLOOR_PAYLOAD_BYTES] = {0};
    size_t left = sizeof(data);
    bool good = send(fd, data, sizeof(data), MSG_WAITALL | MSG_NOSIGNAL) == (ssize_t)sizeof(data);
    while (good && left > 0) {
        ssize_t bytes = recv(fd, data, left, 0);
        good = bytes > 0;
        left -= good ? (size_t)bytes : 0;
    }
    if (good && how == FLOOR_FIN) {
        good = shutdown(fd, SHUT_WR) == 0 && recv(fd, data, sizeof(data), 0) == 0;
    }
    close(fd);
    return good;
}

int floor_blocking_client(const struct floor_task *task)
{
    struct floor_counts counts = {0};
    struct floor_source source;
    floor_source_init(&source, task->client);
    uint64_t start_ns = floor_now_ns();
    while (!atomic_load_explicit(&task->share->stop, memory_order_relaxed)) {
        int fd = client_open(task->options, &source);
        if (fd >= 0 && client_use(fd, task->options->close)) {
            counts.completed++;
        } else {
            counts.failed++;
        }
    }
    counts.elapsed_ns = floor_now_ns() - start_ns;
    task->share->clients[task->client] = counts;
    return 0;
}
