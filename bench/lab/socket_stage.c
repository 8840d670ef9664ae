/* Namespaces with plain sockets; see socket_stage.h. Layer: bench/lab. */
#include "socket_stage.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tcpstat/tcpstat.h"

#define PATIENCE_SEC 5 /* for what takes microseconds when it works */
#define LOOPBACK_IP "127.0.0.1"
#define SETTLE_NS NS_PER_SEC
#define SETTLE_POLL_NS NS_PER_MS

static const int option_on = 1;

/* Makes a socket in a namespace; the thread comes back. */
static int socket_in(int netns_fd)
{
    int own_fd = netns_open_own();
    if (own_fd < 0) {
        return own_fd;
    }
    int fd = netns_enter(netns_fd);
    if (fd == 0) {
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        fd = fd < 0 ? -errno : fd;
        int returned = netns_enter(own_fd);
        if (returned != 0 && fd >= 0) {
            close(fd);
            fd = returned;
        }
    }
    close(own_fd);
    return fd;
}

static struct sockaddr_in address_of(const char *ip, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &address.sin_addr);
    return address;
}

static int bind_to(int fd, const char *ip, uint16_t port)
{
    struct sockaddr_in address = address_of(ip, port);
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? 0 : -errno;
}

static int listen_in(int netns_fd, const char *ip, bool reuse_address)
{
    int fd = socket_in(netns_fd);
    if (fd < 0) {
        return fd;
    }
    int error = 0;
    if (reuse_address &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &option_on, sizeof(option_on)) != 0) {
        error = -errno;
    }
    error = error == 0 ? bind_to(fd, ip, STAGE_PORT) : error;
    if (error == 0 && listen(fd, 128) != 0) {
        error = -errno;
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    return fd;
}

int socket_stage_listen(const struct socket_stage *stage, bool reuse_address)
{
    return listen_in(stage->pair.server_fd, NETNS_SERVER_IP, reuse_address);
}

int socket_stage_open(struct socket_stage *stage, const struct netns_tuning *tuning,
                      struct failure *failure)
{
    memset(stage, 0, sizeof(*stage));
    stage->listener = stage->loopback_listener = -1;
    int error = netns_pair_make(&stage->pair, tuning, failure);
    if (error != 0) {
        return error;
    }
    error = observer_open(&stage->client, stage->pair.client_fd, failure);
    error = error == 0 ? observer_open(&stage->server, stage->pair.server_fd, failure) : error;
    if (error == 0) {
        stage->listener = socket_stage_listen(stage, true);
        stage->loopback_listener = listen_in(stage->pair.client_fd, LOOPBACK_IP, true);
        error = stage->listener < 0 ? stage->listener : 0;
        error = stage->loopback_listener < 0 ? stage->loopback_listener : error;
        if (error != 0) {
            failure_set(failure, -error, "no listener can be made: %s", strerror(-error));
        }
    }
    if (error != 0) {
        socket_stage_close(stage);
    }
    return error;
}

void socket_stage_close(struct socket_stage *stage)
{
    if (stage->listener >= 0) {
        close(stage->listener);
    }
    if (stage->loopback_listener >= 0) {
        close(stage->loopback_listener);
    }
    observer_close(&stage->client);
    observer_close(&stage->server);
    netns_pair_close(&stage->pair);
}

int socket_stage_set(const struct socket_stage *stage, bool at_client, const char *name,
                     const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "/proc/sys/%s", name);
    int own_fd = netns_open_own();
    if (own_fd < 0) {
        return own_fd;
    }
    int error = netns_enter(at_client ? stage->pair.client_fd : stage->pair.server_fd);
    if (error == 0) {
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        error = fd < 0 || write(fd, value, strlen(value)) < 0 ? -errno : 0;
        if (fd >= 0) {
            close(fd);
        }
        int returned = netns_enter(own_fd);
        error = error == 0 ? returned : error;
    }
    close(own_fd);
    return error;
}

int socket_stage_dial(const struct socket_stage *stage, const struct dial *dial)
{
    int fd = socket_in(stage->pair.client_fd);
    if (fd < 0) {
        return fd;
    }
    const struct timeval patience = {.tv_sec = PATIENCE_SEC};
    int error = 0;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (dial->reuse_address) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &option_on, sizeof(option_on));
    }
    if (dial->port != 0) {
        error = bind_to(fd, dial->loopback ? LOOPBACK_IP : NETNS_CLIENT_IP, dial->port);
    }
    struct sockaddr_in target =
        address_of(dial->loopback ? LOOPBACK_IP : NETNS_SERVER_IP, STAGE_PORT);
    if (error == 0 && connect(fd, (const struct sockaddr *)&target, sizeof(target)) != 0) {
        error = -errno;
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    return fd;
}

int socket_stage_open_pair(const struct socket_stage *stage, const struct dial *dial, int *client,
                           int *server)
{
    *client = socket_stage_dial(stage, dial);
    if (*client < 0) {
        return *client;
    }
    const struct timeval patience = {.tv_sec = PATIENCE_SEC};
    int listener = dial->loopback ? stage->loopback_listener : stage->listener;
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    *server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*server < 0) {
        int error = -errno;
        close(*client);
        return error;
    }
    setsockopt(*server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return 0;
}

/* Reads to the peer's FIN. */
static void read_to_end(int fd)
{
    char bytes[64];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
        /* Nothing was sent that anybody wants. */
    }
}

void socket_stage_close_pair(int first, int second)
{
    shutdown(first, SHUT_WR);
    read_to_end(second);
    close(second);
    read_to_end(first);
    close(first);
}

int socket_stage_churn(const struct socket_stage *stage, const struct dial *dial, bool server_first)
{
    int client, server;
    int error = socket_stage_open_pair(stage, dial, &client, &server);
    if (error == 0) {
        socket_stage_close_pair(server_first ? server : client, server_first ? client : server);
    }
    return error;
}

uint64_t socket_stage_await_time_wait(const struct observer *observer, uint64_t expected)
{
    const struct timespec pause = {.tv_nsec = (long)SETTLE_POLL_NS};
    uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    uint64_t count = observer_time_wait(observer);
    while (count != expected && clock_now_ns() < deadline_ns) {
        nanosleep(&pause, NULL);
        count = observer_time_wait(observer);
    }
    return count;
}

uint64_t socket_stage_counter(const struct observer *observer, const char *name)
{
    struct tcpstat_counters_snapshot snapshot;
    if (tcpstat_counters_read(observer->counters, &snapshot) != 0) {
        return 0;
    }
    return tcpstat_counters_value(&snapshot, tcpstat_counters_find(observer->counters, name));
}
