/* 100,000 sockets, IPv4 and IPv6 together, in five states: the census gives their numbers to the
 * unit.
 *
 * Six children make a sixth each, since one process may not hold as many descriptors as the whole
 * needs. TIME_WAIT needs none, and lasts 60 s: the test is done long before. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/census.h"
#include "tcpstat/counters.h"
#include "tcpstat/namespace.h"

#define CHILDREN 6
#define PORT_FIRST 7000 /* each child listens on one of its own */

/* Connections of a child. With its listener it has 16,666 sockets; four more listeners are the
 * test's. */
#define ESTABLISHED_PAIRS 5000
#define HALF_CLOSED_PAIRS 2300
#define TIME_WAIT_PAIRS 2065
#define EXTRA_LISTENERS 4
#define SOCKETS_ALL 100000

#define DESCRIPTORS_MIN (2 * (ESTABLISHED_PAIRS + HALF_CLOSED_PAIRS) + 64)

/* How long the kernel may take until the last segments have arrived. */
#define SETTLE_NS (UINT64_C(30) * NS_PER_SEC)

struct child {
    pid_t pid;
    int done_fd; /* readable when the child's sockets are made */
    int end_fd;  /* closed: the child ends */
};

static int family_of(int child)
{
    return child % 2 == 0 ? AF_INET : AF_INET6;
}

static socklen_t loopback(int family, uint16_t port, struct sockaddr_storage *address)
{
    *address = (struct sockaddr_storage){0};
    if (family == AF_INET6) {
        *(struct sockaddr_in6 *)address = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
        return sizeof(struct sockaddr_in6);
    }
    *(struct sockaddr_in *)address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return sizeof(struct sockaddr_in);
}

/* What fails in a child ends it, and the parent sees its exit code. */
static void require(int condition, const char *what)
{
    if (!condition) {
        perror(what);
        _exit(1);
    }
}

static int make_listener(int family, uint16_t port)
{
    struct sockaddr_storage address;
    const socklen_t length = loopback(family, port, &address);
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0, "socket");
    require(bind(fd, (const struct sockaddr *)&address, length) == 0, "bind");
    require(listen(fd, 16) == 0, "listen");
    return fd;
}

static void make_pair(int listener, int family, uint16_t port, int pair[2])
{
    struct sockaddr_storage address;
    const socklen_t length = loopback(family, port, &address);
    pair[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(pair[0] >= 0, "socket");
    require(connect(pair[0], (const struct sockaddr *)&address, length) == 0, "connect");
    pair[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    require(pair[1] >= 0, "accept");
}

static void make_sockets(int family, uint16_t port)
{
    const int listener = make_listener(family, port);
    int pair[2];
    for (int i = 0; i < ESTABLISHED_PAIRS; i++) {
        make_pair(listener, family, port, pair);
    }
    for (int i = 0; i < HALF_CLOSED_PAIRS; i++) {
        make_pair(listener, family, port, pair);
        require(shutdown(pair[0], SHUT_WR) == 0, "shutdown");
    }
    for (int i = 0; i < TIME_WAIT_PAIRS; i++) {
        char byte;
        make_pair(listener, family, port, pair);
        require(shutdown(pair[0], SHUT_WR) == 0, "shutdown");
        require(read(pair[1], &byte, 1) == 0, "read");
        close(pair[1]);
        require(read(pair[0], &byte, 1) == 0, "read");
        close(pair[0]);
    }
}

static _Noreturn void run_child(int number, int done_fd, int end_fd)
{
    char byte = 0;
    make_sockets(family_of(number), (uint16_t)(PORT_FIRST + number));
    require(write(done_fd, &byte, 1) == 1, "write");
    require(read(end_fd, &byte, 1) == 0, "read");
    _exit(0);
}

static void start_child(struct child *children, int number)
{
    int done[2];
    int end[2];
    require(pipe(done) == 0 && pipe(end) == 0, "pipe");
    const pid_t pid = fork();
    require(pid >= 0, "fork");
    if (pid == 0) {
        close(done[0]);
        close(end[1]);
        /* Those of the children before, which would otherwise keep them from seeing the end. */
        for (int i = 0; i < number; i++) {
            close(children[i].done_fd);
            close(children[i].end_fd);
        }
        run_child(number, done[1], end[0]);
    }
    close(done[1]);
    close(end[0]);
    children[number] = (struct child){.pid = pid, .done_fd = done[0], .end_fd = end[1]};
}

static int set_up(void **state)
{
    struct child *children = calloc(CHILDREN, sizeof(*children));
    *state = children;
    for (int i = 0; i < EXTRA_LISTENERS; i++) {
        make_listener(family_of(i), (uint16_t)(PORT_FIRST + CHILDREN + i));
    }
    for (int i = 0; i < CHILDREN; i++) {
        start_child(children, i);
    }
    for (int i = 0; i < CHILDREN; i++) {
        char byte;
        if (read(children[i].done_fd, &byte, 1) != 1) {
            return -1; /* the child said why */
        }
    }
    return 0;
}

static int tear_down(void **state)
{
    struct child *children = *state;
    for (int i = 0; i < CHILDREN; i++) {
        close(children[i].end_fd);
        close(children[i].done_fd);
        waitpid(children[i].pid, NULL, 0);
    }
    free(children);
    return 0;
}

static struct tcp_state_counts expected_of_a_family(void)
{
    struct tcp_state_counts counts = {0};
    counts.n[TCP_STATE_ESTABLISHED] = CHILDREN / 2 * 2 * ESTABLISHED_PAIRS;
    counts.n[TCP_STATE_FIN_WAIT_2] = CHILDREN / 2 * HALF_CLOSED_PAIRS;
    counts.n[TCP_STATE_CLOSE_WAIT] = CHILDREN / 2 * HALF_CLOSED_PAIRS;
    counts.n[TCP_STATE_TIME_WAIT] = CHILDREN / 2 * TIME_WAIT_PAIRS;
    counts.n[TCP_STATE_LISTEN] = CHILDREN / 2 + EXTRA_LISTENERS / 2;
    return counts;
}

static void print_difference(const char *family, const struct tcp_state_counts *counts)
{
    const struct tcp_state_counts expected = expected_of_a_family();
    for (int state = 1; state < TCP_STATE_COUNT; state++) {
        if (counts->n[state] != expected.n[state]) {
            fprintf(stderr, "%s %s: counted %llu, made %llu\n", family,
                    tcp_state_name((enum tcp_state)state), (unsigned long long)counts->n[state],
                    (unsigned long long)expected.n[state]);
        }
    }
}

static bool as_expected(const struct census_result *result)
{
    const struct tcp_state_counts expected = expected_of_a_family();
    return memcmp(&result->v4, &expected, sizeof(expected)) == 0 &&
           memcmp(&result->v6, &expected, sizeof(expected)) == 0;
}

static void test_100000_sockets_are_counted_to_the_unit(void **state)
{
    (void)state;
    struct failure failure;
    struct census *census;
    assert_int_equal(census_open_procfs(&census, &failure), 0);
    const struct census_request request = {.grouping = CENSUS_BY_LOCAL_PORT};
    struct census_result result = {0};
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    do {
        assert_int_equal(census_run(census, &request, &result), 0);
    } while ((!as_expected(&result) || result.stamp.stability != CENSUS_STABLE) &&
             clock_now_ns() < deadline_ns);
    print_difference("IPv4", &result.v4);
    print_difference("IPv6", &result.v6);
    assert_true(as_expected(&result));
    assert_int_equal(tcp_state_total(&result.total), SOCKETS_ALL);
    assert_int_equal(result.stamp.rows, SOCKETS_ALL);
    assert_int_equal(result.stamp.rows_repeated, 0);
    assert_int_equal(result.stamp.lines_malformed, 0);
    assert_int_equal(result.stamp.stability, CENSUS_STABLE);
    for (int i = 0; i < CHILDREN; i++) {
        const struct tcp_state_counts *port =
            census_groups_find(&result.groups, (uint16_t)(PORT_FIRST + i));
        assert_int_equal(port->n[TCP_STATE_ESTABLISHED], ESTABLISHED_PAIRS);
        assert_int_equal(port->n[TCP_STATE_CLOSE_WAIT], HALF_CLOSED_PAIRS);
    }
    printf("one census of %d sockets: %.0f ms, %.0f ms of CPU\n", SOCKETS_ALL,
           (double)result.stamp.wall_ns / 1e6, (double)result.stamp.cpu_ns / 1e6);
    census_result_free(&result);
    census_close(census);
}

/* The second source: the kernel's own counters, which no walk is needed for. */
static void test_sockstat_agrees(void **state)
{
    (void)state;
    struct failure failure;
    struct tcpstat_counters *counters;
    struct tcpstat_counters_snapshot snapshot;
    assert_int_equal(tcpstat_counters_open(&counters, &failure), 0);
    assert_int_equal(tcpstat_counters_read(counters, &snapshot), 0);
    const struct tcp_state_counts family = expected_of_a_family();
    const uint64_t in_use = tcp_state_total(&family) - family.n[TCP_STATE_TIME_WAIT];
    const int v4 = tcpstat_counters_find(counters, "sockstat.TCP.inuse");
    const int v6 = tcpstat_counters_find(counters, "sockstat6.TCP6.inuse");
    uint64_t time_wait;
    assert_int_equal(tcpstat_counters_read_time_wait(counters, &time_wait), 0);
    assert_int_equal(tcpstat_counters_value(&snapshot, v4), in_use);
    assert_int_equal(tcpstat_counters_value(&snapshot, v6), in_use);
    assert_int_equal(time_wait, 2 * family.n[TCP_STATE_TIME_WAIT]);
    tcpstat_counters_close(counters);
}

/* Gives the process the descriptors that a child needs; false when it may not have them. */
static bool raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < DESCRIPTORS_MIN) {
        return false;
    }
    if (limit.rlim_cur < DESCRIPTORS_MIN) {
        limit.rlim_cur = DESCRIPTORS_MIN;
    }
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

int main(void)
{
    if (!raise_descriptors()) {
        fprintf(stderr, "skipped: RLIMIT_NOFILE is below %d\n", DESCRIPTORS_MIN);
        return EXIT_SKIPPED;
    }
    int error = namespace_enter();
    if (error == 0) {
        error = namespace_set_sysctl("net/ipv4/tcp_max_tw_buckets", "200000");
    }
    if (error == 0) {
        error = namespace_set_sysctl("net/ipv4/ip_local_port_range", "10000 65000");
    }
    if (error < 0) {
        fprintf(stderr, "skipped: no network namespace: %s\n", strerror(-error));
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_100000_sockets_are_counted_to_the_unit),
        cmocka_unit_test(test_sockstat_agrees),
    };
    return cmocka_run_group_tests_name("census_100k", tests, set_up, tear_down);
}
