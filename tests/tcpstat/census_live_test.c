/* A census, by the method that is the program's argument, against sockets that the test made: in a
 * namespace of its own, every state that Linux shows, over IPv4 and IPv6, in known numbers. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
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
#include "base/rng.h"
#include "tcpstat/census.h"
#include "tcpstat/counters.h"
#include "tcpstat/namespace.h"
#include "tcpstat/population.h"

#define PORT_GROWING 7003

/* How often each state is made in each family. */
#define V4_TIMES 20
#define V6_TIMES 15

/* Connections that the table grows by, where the descriptors suffice. */
#define GROWN_PAIRS_MAX 3000
#define GROWTH_NS (UINT64_C(30) * NS_PER_SEC)

/* How long the kernel may take to bring the sockets where the test put them. */
#define SETTLE_NS (UINT64_C(30) * NS_PER_SEC)

/* What the tests share. */
struct fixture {
    struct census *census;
    struct census *reference; /* procfs, which reads every socket and filters by itself */
    struct population v4;
    struct population v6;
    struct tcpstat_counters *counters;
};

static bool counts_equal(const struct tcp_state_counts *a, const struct tcp_state_counts *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static void print_counts(const char *name, const struct tcp_state_counts *counts)
{
    fprintf(stderr, "%s:", name);
    for (int state = 1; state < TCP_STATE_COUNT; state++) {
        fprintf(stderr, " %s %llu", tcp_state_name((enum tcp_state)state),
                (unsigned long long)counts->n[state]);
    }
    fprintf(stderr, "\n");
}

/* Counts until the sockets are where they were put, since a segment may be under way. */
static void census_settled(const struct fixture *fixture, struct census_result *result)
{
    const struct census_request request = {0};
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    do {
        assert_int_equal(census_run(fixture->census, &request, result), 0);
        if (counts_equal(&result->v4, &fixture->v4.expected) &&
            counts_equal(&result->v6, &fixture->v6.expected)) {
            return;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    } while (clock_now_ns() < deadline_ns);
    print_counts("expected v4", &fixture->v4.expected);
    print_counts("counted v4", &result->v4);
    print_counts("expected v6", &fixture->v6.expected);
    print_counts("counted v6", &result->v6);
    fail_msg("the census differs from the sockets that were made");
}

static void test_every_state_is_counted_in_both_families(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result result = {0};
    census_settled(fixture, &result);
    struct tcp_state_counts sum = fixture->v4.expected;
    tcp_state_counts_add(&sum, &fixture->v6.expected);
    assert_memory_equal(&result.total, &sum, sizeof(sum));
    assert_int_equal(result.stamp.rows, tcp_state_total(&sum));
    assert_int_equal(result.stamp.rows_repeated, 0);
    assert_int_equal(result.stamp.lines_malformed, 0);
    assert_int_equal(result.stamp.lines_truncated, 0);
    assert_true(result.stamp.cpu_ns > 0);
    assert_true(result.stamp.wall_ns >= result.stamp.cpu_ns / 2);
    census_result_free(&result);
}

static void test_port_filters_divide_the_sockets(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result whole = {0};
    census_settled(fixture, &whole);
    struct port_set deferred = {0};
    port_set_add(&deferred, PORT_DEFERRED);
    struct census_result result = {0};

    const struct census_request local = {.local_ports = &deferred};
    assert_int_equal(census_run(fixture->census, &local, &result), 0);
    assert_int_equal(result.total.n[TCP_STATE_LISTEN], 2);
    assert_int_equal(result.total.n[TCP_STATE_SYN_RECEIVED], 2);
    assert_int_equal(tcp_state_total(&result.total), 4);

    const struct census_request remote = {.remote_ports = &deferred};
    assert_int_equal(census_run(fixture->census, &remote, &result), 0);
    assert_int_equal(result.total.n[TCP_STATE_ESTABLISHED], 2);
    assert_int_equal(tcp_state_total(&result.total), 2);

    const struct census_request either = {.either_ports = &deferred};
    assert_int_equal(census_run(fixture->census, &either, &result), 0);
    assert_int_equal(tcp_state_total(&result.total), 6);

    port_set_add_range(&deferred, (struct port_range){PORT_PLAIN, PORT_FULL});
    assert_int_equal(census_run(fixture->census, &either, &result), 0);
    assert_memory_equal(&result.total, &whole.total, sizeof(whole.total));
    census_result_free(&result);
    census_result_free(&whole);
}

static void test_groups_by_local_port_add_up(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result result = {0};
    census_settled(fixture, &result);
    const struct census_request request = {.grouping = CENSUS_BY_LOCAL_PORT};
    assert_int_equal(census_run(fixture->census, &request, &result), 0);
    struct tcp_state_counts sum = {0};
    for (uint32_t i = 0; i < result.groups.count; i++) {
        tcp_state_counts_add(&sum, &result.groups.groups[i].counts);
    }
    assert_memory_equal(&sum, &result.total, sizeof(sum));
    const struct tcp_state_counts *full = census_groups_find(&result.groups, PORT_FULL);
    assert_non_null(full);
    assert_int_equal(full->n[TCP_STATE_LISTEN], 2);
    assert_int_equal(full->n[TCP_STATE_ESTABLISHED], 2);
    assert_null(census_groups_find(&result.groups, 1));
    census_result_free(&result);
}

static void assert_results_agree(const struct census_result *a, const struct census_result *b)
{
    assert_memory_equal(&a->v4, &b->v4, sizeof(a->v4));
    assert_memory_equal(&a->v6, &b->v6, sizeof(a->v6));
    assert_memory_equal(&a->total, &b->total, sizeof(a->total));
    assert_int_equal(a->groups.count, b->groups.count);
    for (uint32_t i = 0; i < a->groups.count; i++) {
        const struct census_group *group = &a->groups.groups[i];
        const struct tcp_state_counts *other = census_groups_find(&b->groups, group->port);
        assert_non_null(other);
        assert_memory_equal(&group->counts, other, sizeof(*other));
    }
}

/* Fills a set with ranges spread over all ports. Very many are more than the kernel's filter takes.
 */
static void fill_set(struct port_set *set, uint32_t ranges, struct rng *rng)
{
    *set = (struct port_set){0};
    const uint32_t room = CENSUS_PORTS / ranges;
    for (uint32_t i = 0; i < ranges; i++) {
        const uint32_t first = i * room + 1;
        const uint32_t length = 1 + (uint32_t)rng_below(rng, room - 1);
        for (uint32_t port = first; port < first + length && port < CENSUS_PORTS; port++) {
            port_set_add(set, (uint16_t)port);
        }
    }
}

static void test_every_filter_and_grouping_agrees_with_the_reference(void **state)
{
    const struct fixture *fixture = *state;
    static const uint32_t ranges[] = {1, 2, 60, 128, 129, 256, 257, 4000};
    struct census_result result = {0};
    struct census_result expected = {0};
    census_settled(fixture, &result);
    struct rng rng;
    rng_seed(&rng, 5);
    struct port_set sets[3];
    for (uint32_t i = 0; i < 8 * sizeof(ranges) / sizeof(ranges[0]); i++) {
        for (uint32_t set = 0; set < 3; set++) {
            fill_set(&sets[set], ranges[i / 8], &rng);
        }
        const struct census_request request = {
            .local_ports = (i & 1) != 0 ? &sets[0] : NULL,
            .remote_ports = (i & 2) != 0 ? &sets[1] : NULL,
            .either_ports = (i & 4) != 0 ? &sets[2] : NULL,
            .grouping = (enum census_grouping)(i % 3),
        };
        assert_int_equal(census_run(fixture->census, &request, &result), 0);
        assert_int_equal(census_run(fixture->reference, &request, &expected), 0);
        assert_results_agree(&result, &expected);
    }
    census_result_free(&result);
    census_result_free(&expected);
}

static struct addr_set addrs_of(const char *first, const char *second)
{
    struct addr_set set = {.count = second == NULL ? 1 : 2};
    struct failure failure;
    assert_int_equal(ip_range_parse(&set.ranges[0], first, &failure), 0);
    if (second != NULL) {
        assert_int_equal(ip_range_parse(&set.ranges[1], second, &failure), 0);
    }
    return set;
}

/* Everything is on 127.0.0.1 or ::1; listeners and what has no peer have none. */
static void test_address_filters_divide_the_families(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result whole = {0};
    struct census_result result = {0};
    census_settled(fixture, &whole);
    const struct addr_set v4 = addrs_of("127.0.0.0/8", NULL);
    const struct addr_set v6 = addrs_of("::1", NULL);
    const struct addr_set all = addrs_of("0.0.0.0/0", "::/0");
    const struct addr_set none = addrs_of("127.0.0.2-127.0.0.9", "fe80::/10");

    const struct census_request local_4 = {.local_addrs = &v4};
    assert_int_equal(census_run(fixture->census, &local_4, &result), 0);
    assert_memory_equal(&result.total, &whole.v4, sizeof(whole.v4));
    const struct census_request local_6 = {.local_addrs = &v6};
    assert_int_equal(census_run(fixture->census, &local_6, &result), 0);
    assert_memory_equal(&result.total, &whole.v6, sizeof(whole.v6));
    const struct census_request either = {.either_addrs = &all};
    assert_int_equal(census_run(fixture->census, &either, &result), 0);
    assert_memory_equal(&result.total, &whole.total, sizeof(whole.total));
    const struct census_request remote = {.remote_addrs = &v6, .local_addrs = &all};
    assert_int_equal(census_run(fixture->census, &remote, &result), 0);
    assert_int_equal(result.total.n[TCP_STATE_LISTEN], 0);
    assert_int_equal(result.total.n[TCP_STATE_TIME_WAIT], whole.v6.n[TCP_STATE_TIME_WAIT]);
    const struct census_request nobody = {.either_addrs = &none};
    assert_int_equal(census_run(fixture->census, &nobody, &result), 0);
    assert_int_equal(tcp_state_total(&result.total), 0);
    census_result_free(&result);
    census_result_free(&whole);
}

static void test_each_state_can_be_counted_alone(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result whole = {0};
    struct census_result result = {0};
    census_settled(fixture, &whole);
    for (int named = TCP_STATE_ESTABLISHED; named < TCP_STATE_COUNT; named++) {
        const struct census_request request = {.states = UINT32_C(1) << named};
        assert_int_equal(census_run(fixture->census, &request, &result), 0);
        assert_int_equal(result.total.n[named], whole.total.n[named]);
        assert_int_equal(tcp_state_total(&result.total), whole.total.n[named]);
    }
    census_result_free(&result);
    census_result_free(&whole);
}

/* An empty set's ports and addresses are none. */
static void test_an_empty_filter_passes_nothing(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result result = {0};
    const struct port_set none = {0};
    const struct census_request request = {.either_ports = &none};
    assert_int_equal(census_run(fixture->census, &request, &result), 0);
    assert_int_equal(tcp_state_total(&result.total), 0);
    const struct addr_set nowhere = {0};
    const struct census_request by_address = {.either_addrs = &nowhere};
    assert_int_equal(census_run(fixture->census, &by_address, &result), 0);
    assert_int_equal(tcp_state_total(&result.total), 0);
    census_result_free(&result);
}

/* A cancelled run is in between, since it may leave something that must be made anew. */
static void test_the_namespace_is_the_opening_threads_wherever_it_goes(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result result = {0};
    census_settled(fixture, &result);
    const struct tcp_state_counts expected = result.total;
    const int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_true(home >= 0);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    atomic_bool cancel = true;
    const struct census_request cancelled = {.cancel = &cancel};
    const struct census_request request = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(census_run(fixture->census, &request, &result), 0);
        assert_memory_equal(&result.total, &expected, sizeof(expected));
        assert_int_equal(census_run(fixture->census, &cancelled, &result), -ECANCELED);
    }
    assert_int_equal(setns(home, CLONE_NEWNET), 0);
    close(home);
    census_result_free(&result);
}

/* sockstat's tw is the other source: TIME_WAIT and the orphaned FIN_WAIT_2, half of which have a
 * socket. */
static void test_sockstat_agrees_on_time_wait(void **state)
{
    const struct fixture *fixture = *state;
    struct census_result result = {0};
    census_settled(fixture, &result);
    uint64_t time_wait;
    assert_int_equal(tcpstat_counters_read_time_wait(fixture->counters, &time_wait), 0);
    const uint64_t orphaned = result.total.n[TCP_STATE_TIME_WAIT]; /* made as often */
    assert_int_equal(time_wait, result.total.n[TCP_STATE_TIME_WAIT] + orphaned);
    census_result_free(&result);
}

/* Makes connections as fast as it can, which stay, until the parent ends the pipe. */
static _Noreturn void run_grower(int family, uint64_t pairs, int end_fd)
{
    struct population population = {.family = family};
    char byte;
    population.plain = population_listen(&population, PORT_GROWING, 128);
    for (uint64_t i = 0; i < pairs; i++) {
        const int fd = population_connect(&population, PORT_GROWING, 0);
        if (accept4(population.plain, NULL, NULL, SOCK_CLOEXEC) < 0 || fd < 0) {
            _exit(1);
        }
    }
    _exit(read(end_fd, &byte, 1) == 0 ? 0 : 1);
}

static uint64_t read_in_use(struct tcpstat_counters *counters, int family)
{
    struct tcpstat_counters_snapshot snapshot;
    assert_int_equal(tcpstat_counters_read(counters, &snapshot), 0);
    const int index = tcpstat_counters_find(counters, family == AF_INET6 ? "sockstat6.TCP6.inuse"
                                                                         : "sockstat.TCP.inuse");
    return tcpstat_counters_value(&snapshot, index);
}

/* Counts over and over until a family's sockets have grown to the goal. sockstat leaves out request
 * sockets and TIME_WAIT. A request socket that goes while the walk rests in its bucket makes the
 * kernel pass over one row, which nobody can see: hence the slack downwards. */
static void assert_growth_is_followed(const struct fixture *fixture, int family, uint64_t goal)
{
    const struct census_request request = {0};
    struct census_result result = {0};
    const uint64_t deadline_ns = clock_now_ns() + GROWTH_NS;
    uint64_t after = 0;
    while (after < goal && clock_now_ns() < deadline_ns) {
        const uint64_t before = read_in_use(fixture->counters, family);
        assert_int_equal(census_run(fixture->census, &request, &result), 0);
        after = read_in_use(fixture->counters, family);
        const struct tcp_state_counts *counts = family == AF_INET6 ? &result.v6 : &result.v4;
        const uint64_t records = 2 * (family == AF_INET6 ? V6_TIMES : V4_TIMES);
        const uint64_t counted =
            tcp_state_total(counts) - counts->n[TCP_STATE_SYN_RECEIVED] - records;
        assert_in_range(counted, before - 2, after);
        assert_false(result.stamp.repeats_remain);
    }
    assert_int_equal(after, goal);
    census_result_free(&result);
}

/* How many connections one process may hold, with some descriptors to spare. */
static uint64_t pairs_to_grow(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const uint64_t pairs = (limit.rlim_cur - 512) / 2;
    return pairs < GROWN_PAIRS_MAX ? pairs : GROWN_PAIRS_MAX;
}

/* Growth is what makes the kernel repeat the table's tail. */
static void test_a_growing_table_is_never_counted_too_high(void **state)
{
    const struct fixture *fixture = *state;
    static const int families[] = {AF_INET, AF_INET6};
    const uint64_t pairs = pairs_to_grow();
    for (size_t i = 0; i < 2; i++) {
        /* The pairs and their listener. */
        const uint64_t goal = read_in_use(fixture->counters, families[i]) + 2 * pairs + 1;
        int end[2];
        assert_int_equal(pipe(end), 0);
        const pid_t grower = fork();
        assert_true(grower >= 0);
        if (grower == 0) {
            close(end[1]);
            run_grower(families[i], pairs, end[0]);
        }
        close(end[0]);
        assert_growth_is_followed(fixture, families[i], goal);
        close(end[1]);
        int status;
        assert_int_equal(waitpid(grower, &status, 0), grower);
        assert_int_equal(status, 0);
    }
}

static void test_a_cancelled_census_ends_at_once(void **state)
{
    const struct fixture *fixture = *state;
    atomic_bool cancel = true;
    const struct census_request request = {.cancel = &cancel};
    struct census_result result = {0};
    assert_int_equal(census_run(fixture->census, &request, &result), -ECANCELED);
    census_result_free(&result);
}

/* A method's way to be opened. */
struct method {
    const char *name;
    int (*open)(struct census **census, struct failure *failure);
    CMFixtureFunction set_up;
};

static int set_up(void **state, int (*open_census)(struct census **, struct failure *))
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->v4.family = AF_INET;
    fixture->v6.family = AF_INET6;
    populate(&fixture->v4, V4_TIMES);
    populate(&fixture->v6, V6_TIMES);
    *state = fixture;
    struct failure failure;
    if (tcpstat_counters_open(&fixture->counters, &failure) < 0) {
        return -1;
    }
    if (census_open_procfs(&fixture->reference, &failure) < 0) {
        return -1;
    }
    return open_census(&fixture->census, &failure);
}

static int set_up_procfs(void **state)
{
    return set_up(state, census_open_procfs);
}

static int set_up_sock_diag(void **state)
{
    return set_up(state, census_open_sock_diag);
}

static int set_up_bpf(void **state)
{
    return set_up(state, census_open_bpf);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    census_close(fixture->census);
    census_close(fixture->reference);
    tcpstat_counters_close(fixture->counters);
    free(fixture);
    return 0;
}

static const struct method methods[] = {
    {"procfs", census_open_procfs, set_up_procfs},
    {"sock_diag", census_open_sock_diag, set_up_sock_diag},
    {"bpf", census_open_bpf, set_up_bpf},
};

#define METHOD_COUNT (sizeof(methods) / sizeof(methods[0]))

static const struct method *find_method(const char *name)
{
    for (size_t i = 0; i < METHOD_COUNT; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

/* A build or a system may be without a method: then it says so, and there is nothing to test. */
static bool is_there(const struct method *method)
{
    struct census *census;
    struct failure failure;
    if (method->open(&census, &failure) < 0) {
        fprintf(stderr, "skipped: %s\n", failure.text);
        return false;
    }
    census_close(census);
    return true;
}

int main(int argc, char **argv)
{
    const struct method *method = argc == 2 ? find_method(argv[1]) : NULL;
    if (method == NULL) {
        fprintf(stderr, "which method? procfs, sock_diag or bpf\n");
        return 2;
    }
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    if (!is_there(method)) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_state_is_counted_in_both_families),
        cmocka_unit_test(test_port_filters_divide_the_sockets),
        cmocka_unit_test(test_groups_by_local_port_add_up),
        cmocka_unit_test(test_every_filter_and_grouping_agrees_with_the_reference),
        cmocka_unit_test(test_address_filters_divide_the_families),
        cmocka_unit_test(test_each_state_can_be_counted_alone),
        cmocka_unit_test(test_an_empty_filter_passes_nothing),
        cmocka_unit_test(test_the_namespace_is_the_opening_threads_wherever_it_goes),
        cmocka_unit_test(test_sockstat_agrees_on_time_wait),
        cmocka_unit_test(test_a_cancelled_census_ends_at_once),
        cmocka_unit_test(
            test_a_growing_table_is_never_counted_too_high), /* last: it adds sockets */
    };
    return cmocka_run_group_tests_name(method->name, tests, method->set_up, tear_down);
}
