#include "bench/crowd/member.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel takes at most 255 s; a crowd does not last so long. */
#define DEFER_SEC 250
#define BACKLOG 65535

struct member_plan member_plan_make(uint32_t number, uint32_t sockets, enum member_mix mix)
{
    struct member_plan plan = {.number = number};
    if (mix == MEMBER_SIX_STATES) {
        plan.time_waits = sockets / 6;
        plan.half_closed_pairs = sockets / 6;
        plan.deferred = sockets / 12;
    }
    uint32_t rest = sockets - 2 - plan.time_waits - 2 * plan.half_closed_pairs - 2 * plan.deferred;
    plan.time_waits += rest % 2; /* what pairs cannot make up */
    rest -= rest % 2;
    plan.established_pairs = rest / 2;
    return plan;
}

void member_plan_count(const struct member_plan *plan, struct tcp_state_counts *counts)
{
    counts->n[TCP_STATE_LISTEN] += 2;
    counts->n[TCP_STATE_ESTABLISHED] += 2 * (uint64_t)plan->established_pairs + plan->deferred;
    counts->n[TCP_STATE_SYN_RECEIVED] += plan->deferred;
    counts->n[TCP_STATE_FIN_WAIT_2] += plan->half_closed_pairs;
    counts->n[TCP_STATE_CLOSE_WAIT] += plan->half_closed_pairs;
    counts->n[TCP_STATE_TIME_WAIT] += plan->time_waits;
}

static void require(bool condition, const char *what)
{
    if (!condition) {
        perror(what);
        _exit(1);
    }
}

/* A listener and how to reach it. */
struct door {
    int listener;
    struct sockaddr_storage address;
    socklen_t length;
};

static struct door open_door(const struct member_plan *plan, uint32_t which)
{
    const uint16_t port = (uint16_t)(MEMBER_PORT_FIRST + 2 * plan->number + which);
    struct door door = {0};
    if (plan->number % 2 != 0) {
        *(struct sockaddr_in6 *)&door.address = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
        door.length = sizeof(struct sockaddr_in6);
    } else {
        *(struct sockaddr_in *)&door.address = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        door.length = sizeof(struct sockaddr_in);
    }
    door.listener = socket(door.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(door.listener >= 0, "socket");
    require(bind(door.listener, (const struct sockaddr *)&door.address, door.length) == 0, "bind");
    require(listen(door.listener, BACKLOG) == 0, "listen");
    return door;
}

static int enter(const struct door *door)
{
    const int fd = socket(door->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0, "socket");
    require(connect(fd, (const struct sockaddr *)&door->address, door->length) == 0, "connect");
    return fd;
}

struct pair {
    int client;
    int server;
};

static struct pair make_pair(const struct door *door)
{
    struct pair pair = {.client = enter(door)};
    pair.server = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
    require(pair.server >= 0, "accept4");
    return pair;
}

static void make_time_wait(const struct door *door)
{
    const struct pair pair = make_pair(door);
    char byte;
    require(shutdown(pair.client, SHUT_WR) == 0, "shutdown");
    require(read(pair.server, &byte, 1) == 0, "read");
    close(pair.server);
    require(read(pair.client, &byte, 1) == 0, "read");
    close(pair.client);
}

static void step_done(int done_fd)
{
    require(write(done_fd, "", 1) == 1, "write");
}

_Noreturn void member_run(const struct member_plan *plan, int done_fd, int go_fd)
{
    const struct door plain = open_door(plan, 0);
    const struct door deferred = open_door(plan, 1);
    const int seconds = DEFER_SEC;
    require(setsockopt(deferred.listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
                       sizeof(seconds)) == 0,
            "TCP_DEFER_ACCEPT");
    for (uint32_t i = 0; i < plan->established_pairs; i++) {
        make_pair(&plain);
    }
    for (uint32_t i = 0; i < plan->half_closed_pairs; i++) {
        const struct pair pair = make_pair(&plain);
        require(shutdown(pair.client, SHUT_WR) == 0, "shutdown");
    }
    for (uint32_t i = 0; i < plan->deferred; i++) {
        enter(&deferred);
    }
    step_done(done_fd);
    char byte;
    require(read(go_fd, &byte, 1) == 1, "the parent");
    for (uint32_t i = 0; i < plan->time_waits; i++) {
        make_time_wait(&plain);
    }
    step_done(done_fd);
    _exit(read(go_fd, &byte, 1) == 0 ? 0 : 1);
}
