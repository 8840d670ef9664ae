#include "tcpstat/population.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A receiver's buffer, and what is sent at once to one that does not read: far more than the first
 * can take, and less than any sender's buffer holds. */
#define RECEIVE_BYTES 4096
#define FILL_BYTES 131072

/* One connection's two descriptors; -1: closed. */
struct pair {
    int client;
    int server;
};

static struct sockaddr_storage loopback(int family, uint16_t port)
{
    struct sockaddr_storage address = {0};
    if (family == AF_INET6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
        *v6 = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
    } else {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
        *v4 = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    }
    return address;
}

/* A socket that takes little, so that what is sent to it waits in the sender's buffer. */
static int make_socket(int family, int flags)
{
    const int receive_bytes = RECEIVE_BYTES;
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes)),
                     0);
    return fd;
}

int population_listen(struct population *population, uint16_t port, int backlog)
{
    const int fd = make_socket(population->family, 0);
    const int one = 1;
    if (population->family == AF_INET6) {
        assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
    }
    const struct sockaddr_storage address = loopback(population->family, port);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, backlog), 0);
    population->expected.n[TCP_STATE_LISTEN]++;
    return fd;
}

int population_connect(const struct population *population, uint16_t port, int flags)
{
    const int fd = make_socket(population->family, flags);
    const struct sockaddr_storage address = loopback(population->family, port);
    const int error = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    assert_true(error == 0 || errno == EINPROGRESS);
    return fd;
}

static struct pair make_pair(struct population *population)
{
    struct pair pair = {.client = population_connect(population, PORT_PLAIN, 0)};
    pair.server = accept4(population->plain, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pair.server >= 0);
    return pair;
}

/* Sends more than the peer's window takes, so that a FIN has to wait behind it. */
static void fill(int fd)
{
    static const char block[FILL_BYTES];
    const int send_bytes = 2 * FILL_BYTES;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes)), 0);
    assert_int_equal(send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL), FILL_BYTES);
}

static void count(struct population *population, enum tcp_state state)
{
    population->expected.n[state]++;
}

static void make_established(struct population *population)
{
    make_pair(population);
    count(population, TCP_STATE_ESTABLISHED);
    count(population, TCP_STATE_ESTABLISHED);
}

static void make_half_closed(struct population *population)
{
    const struct pair pair = make_pair(population);
    shutdown(pair.client, SHUT_WR);
    count(population, TCP_STATE_FIN_WAIT_2);
    count(population, TCP_STATE_CLOSE_WAIT);
}

/* The client is gone from its process, and Linux keeps it as a small record. */
static void make_orphaned_half_closed(struct population *population)
{
    const struct pair pair = make_pair(population);
    close(pair.client);
    count(population, TCP_STATE_FIN_WAIT_2);
    count(population, TCP_STATE_CLOSE_WAIT);
}

static void make_time_wait(struct population *population)
{
    const struct pair pair = make_pair(population);
    char byte;
    shutdown(pair.client, SHUT_WR);
    assert_int_equal(read(pair.server, &byte, 1), 0);
    close(pair.server);
    assert_int_equal(read(pair.client, &byte, 1), 0);
    close(pair.client);
    count(population, TCP_STATE_TIME_WAIT);
}

static void make_fin_wait_1(struct population *population)
{
    const struct pair pair = make_pair(population);
    fill(pair.client);
    shutdown(pair.client, SHUT_WR);
    count(population, TCP_STATE_FIN_WAIT_1);
    count(population, TCP_STATE_ESTABLISHED);
}

/* The server's FIN arrives while the client's waits behind its data. */
static void make_closing(struct population *population)
{
    const struct pair pair = make_pair(population);
    fill(pair.client);
    shutdown(pair.client, SHUT_WR);
    shutdown(pair.server, SHUT_WR);
    count(population, TCP_STATE_CLOSING);
    count(population, TCP_STATE_FIN_WAIT_2);
}

static void make_last_ack(struct population *population)
{
    const struct pair pair = make_pair(population);
    char byte;
    shutdown(pair.client, SHUT_WR);
    assert_int_equal(read(pair.server, &byte, 1), 0);
    fill(pair.server);
    shutdown(pair.server, SHUT_WR);
    count(population, TCP_STATE_LAST_ACK);
    count(population, TCP_STATE_FIN_WAIT_2);
}

/* A backlog of 0 takes one connection, which is established at both ends; the next SYNs are
 * dropped. */
static void make_syn_sent(struct population *population)
{
    population_connect(population, PORT_FULL, 0);
    count(population, TCP_STATE_ESTABLISHED);
    count(population, TCP_STATE_ESTABLISHED);
    population_connect(population, PORT_FULL, SOCK_NONBLOCK);
    count(population, TCP_STATE_SYN_SENT);
}

/* The handshake's last ACK is ignored until data comes. */
static void make_syn_received(struct population *population)
{
    population_connect(population, PORT_DEFERRED, 0);
    count(population, TCP_STATE_ESTABLISHED);
    count(population, TCP_STATE_SYN_RECEIVED);
}

void populate(struct population *population, int times)
{
    const int defer_sec = 60;
    population->plain = population_listen(population, PORT_PLAIN, 128);
    population->full = population_listen(population, PORT_FULL, 0);
    population->deferred = population_listen(population, PORT_DEFERRED, 128);
    assert_int_equal(setsockopt(population->deferred, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_sec,
                                sizeof(defer_sec)),
                     0);
    make_syn_sent(population);
    make_syn_received(population);
    for (int i = 0; i < times; i++) {
        make_established(population);
        make_half_closed(population);
        make_orphaned_half_closed(population);
        make_time_wait(population);
        make_fin_wait_1(population);
        make_closing(population);
        make_last_ack(population);
    }
}
