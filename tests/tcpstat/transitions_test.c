/* Transitions against connections that the test makes itself, in a namespace of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/account.h"
#include "tcpstat/namespace.h"
#include "tcpstat/owners_names.h"
#include "tcpstat/pairs.h"
#include "tcpstat/transitions_ready.h"

#define PORT 7000
#define SETTLE_NS (10 * NS_PER_SEC)

struct fixture {
    struct account_sources sources;
    struct transitions_snapshot snapshot;
    struct owners_result result;
    struct account_reading begin;
    struct account_reading end;
};

static void open_with(struct fixture *fixture, const struct transitions_config *config)
{
    struct failure failure;
    *fixture = (struct fixture){0};
    if (transitions_open(&fixture->sources.transitions, config, &failure) < 0 ||
        owners_open(&fixture->sources.owners, fixture->sources.transitions, &failure) < 0 ||
        tcpstat_counters_open(&fixture->sources.counters, &failure) < 0) {
        fail_msg("%s", failure.text);
    }
    assert_int_equal(
        account_read(&fixture->sources, &fixture->snapshot, &fixture->result, &fixture->begin), 0);
}

static void close_all(struct fixture *fixture)
{
    transitions_snapshot_free(&fixture->snapshot);
    owners_result_free(&fixture->result);
    tcpstat_counters_close(fixture->sources.counters);
    owners_close(fixture->sources.owners);
    transitions_close(fixture->sources.transitions);
    *fixture = (struct fixture){0};
}

static uint64_t risen(const struct fixture *fixture, enum tcp_state from, enum tcp_state to)
{
    return fixture->end.matrix.n[from][to] - fixture->begin.matrix.n[from][to];
}

static uint64_t counter(const struct fixture *fixture, enum transitions_counter counter)
{
    return fixture->end.counters[counter] - fixture->begin.counters[counter];
}

/* Reads until a transition was seen so often, since a segment may be under way. */
static void await(struct fixture *fixture, enum tcp_state from, enum tcp_state to, uint64_t times)
{
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    do {
        assert_int_equal(
            account_read(&fixture->sources, &fixture->snapshot, &fixture->result, &fixture->end),
            0);
        if (risen(fixture, from, to) >= times) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    } while (clock_now_ns() < deadline_ns);
    assert_int_equal(risen(fixture, from, to), times);
}

static void assert_account_closed(struct fixture *fixture)
{
    struct account account;
    char text[ACCOUNT_TEXT_MAX];
    assert_int_equal(
        account_read(&fixture->sources, &fixture->snapshot, &fixture->result, &fixture->end), 0);
    state_account(&fixture->begin, &fixture->end, &account);
    if (account_difference(&account, 0, text)) {
        fail_msg("%s", text);
    }
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_gaps), 0);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_unstored), 0);
}

static void test_every_step_of_a_connections_life_is_counted(void **state)
{
    struct fixture *fixture = *state;
    const int listener = pair_listen(PORT, 128);
    for (int i = 0; i < 10; i++) {
        pair_close(pair_open(listener, PORT));
    }
    await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 10);
    assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_LISTEN), 1);
    assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_SENT), 10);
    assert_int_equal(risen(fixture, TCP_STATE_SYN_SENT, TCP_STATE_ESTABLISHED), 10);
    assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_RECEIVED), 10);
    assert_int_equal(risen(fixture, TCP_STATE_SYN_RECEIVED, TCP_STATE_ESTABLISHED), 10);
    assert_int_equal(risen(fixture, TCP_STATE_ESTABLISHED, TCP_STATE_FIN_WAIT_1), 10);
    assert_int_equal(risen(fixture, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSE_WAIT), 10);
    assert_int_equal(risen(fixture, TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2), 10);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_fin_wait_2_records) +
                         counter(fixture, TRANSITIONS_COUNTER_time_wait_closes),
                     10);
    assert_account_closed(fixture);
    close(listener);
    await(fixture, TCP_STATE_LISTEN, TCP_STATE_CLOSED, 1);
    assert_account_closed(fixture);
}

static void test_a_fin_that_is_read_before_the_close_is_time_wait(void **state)
{
    struct fixture *fixture = *state;
    const int listener = pair_listen(PORT, 128);
    struct pair pair = pair_open(listener, PORT);
    char byte;
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    assert_int_equal(read(pair.server, &byte, 1), 0);
    close(pair.server);
    assert_int_equal(read(pair.client, &byte, 1), 0);
    await(fixture, TCP_STATE_FIN_WAIT_2, TCP_STATE_TIME_WAIT, 1);
    close(pair.client);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_time_wait_closes), 1);
    close(listener);
    assert_account_closed(fixture);
}

/* A close() that finds its FIN acknowledged already leaves a record at once, in FIN_WAIT_2. When
 * the peer's FIN comes to the record, no tracepoint is passed. */
static void test_an_orphan_in_fin_wait_2_is_a_record_from_then_on(void **state)
{
    struct fixture *fixture = *state;
    const int listener = pair_listen(PORT, 128);
    struct pair pair = pair_open(listener, PORT);
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    await(fixture, TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2, 1);
    close(pair.client);
    await(fixture, TCP_STATE_FIN_WAIT_2, TCP_STATE_NONE, 1);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_fin_wait_2_records), 1);
    assert_int_equal(fixture->end.fin_wait_2_records, 1);
    assert_account_closed(fixture);
    close(pair.server);
    await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 1);
    assert_int_equal(fixture->end.fin_wait_2_records, 0);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_time_wait_closes), 0);
    close(listener);
    assert_account_closed(fixture);
}

static void test_resets_go_to_closed(void **state)
{
    struct fixture *fixture = *state;
    const struct linger reset = {.l_onoff = 1};
    const int listener = pair_listen(PORT, 128);
    struct pair pair = pair_open(listener, PORT);
    assert_int_equal(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(pair.client);
    await(fixture, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSED, 2);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_resets), 1); /* the peer's */
    close(pair.server);
    close(listener);
    assert_account_closed(fixture);
}

/* Its children that nobody accepted are reset; and who connects where nobody listens is refused. */
static void test_a_listener_that_closes_resets_its_queue(void **state)
{
    struct fixture *fixture = *state;
    const int listener = pair_listen(PORT, 128);
    const int waiting = pair_connect(PORT);
    assert_true(waiting >= 0);
    close(listener);
    await(fixture, TCP_STATE_ESTABLISHED, TCP_STATE_CLOSED, 2);
    assert_int_equal(pair_connect(PORT), -ECONNREFUSED);
    await(fixture, TCP_STATE_SYN_SENT, TCP_STATE_CLOSED, 1);
    close(waiting);
    assert_account_closed(fixture);
}

static void test_a_connect_without_a_port_sent_no_syn(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(namespace_set_sysctl("net/ipv4/ip_local_port_range", "40000 40001"), 0);
    const int listener = pair_listen(PORT, 128);
    const int first = pair_connect(PORT);
    const int second = pair_connect(PORT);
    assert_true(first >= 0 && second >= 0);
    assert_int_equal(pair_connect(PORT), -EADDRNOTAVAIL);
    await(fixture, TCP_STATE_SYN_SENT, TCP_STATE_CLOSED, 1);
    assert_int_equal(counter(fixture, TRANSITIONS_COUNTER_unsent), 1);
    assert_account_closed(fixture);
    close(first);
    close(second);
    close(listener);
    assert_account_closed(fixture);
    assert_int_equal(namespace_set_sysctl("net/ipv4/ip_local_port_range", "32768 60999"), 0);
}

static void test_at_the_bucket_limit_the_account_still_closes(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(namespace_set_sysctl("net/ipv4/tcp_max_tw_buckets", "0"), 0);
    const int listener = pair_listen(PORT, 128);
    for (int i = 0; i < 10; i++) {
        pair_close(pair_open(listener, PORT));
    }
    close(listener);
    await(fixture, TCP_STATE_CLOSE_WAIT, TCP_STATE_LAST_ACK, 10);
    assert_account_closed(fixture);
    assert_true(fixture->end.time_wait_overflows - fixture->begin.time_wait_overflows >= 10);
    assert_int_equal(fixture->end.time_wait_made - fixture->begin.time_wait_made, 0);
    assert_int_equal(namespace_set_sysctl("net/ipv4/tcp_max_tw_buckets", "262144"), 0);
}

static void test_an_account_begins_with_the_sockets_that_were_there(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    const int listener = pair_listen(PORT, 128);
    struct pair pair = pair_open(listener, PORT);
    open_with(fixture, &(struct transitions_config){0});
    assert_int_equal(fixture->begin.sockets.n[TCP_STATE_ESTABLISHED], 2);
    assert_account_closed(fixture);
    pair_close(pair);
    close(listener);
    await(fixture, TCP_STATE_LISTEN, TCP_STATE_CLOSED, 1);
    await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 1);
    assert_account_closed(fixture);
}

static uint64_t sum_of(const struct tcp_transitions *matrix)
{
    uint64_t sum = 0;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        sum += tcp_transitions_left(matrix, (enum tcp_state)state);
    }
    return sum;
}

static void test_another_namespace_is_not_counted(void **state)
{
    struct fixture *fixture = *state;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (namespace_enter() < 0) {
            _exit(1);
        }
        pair_close(pair_open(pair_listen(PORT, 1), PORT));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(transitions_read(fixture->sources.transitions, &fixture->snapshot), 0);
    assert_int_equal(sum_of(&fixture->snapshot.matrix), sum_of(&fixture->begin.matrix));
}

/* The kernel gives connect() its port after SYN_SENT, and a child its peer's after SYN_RECV: what
 * was counted before must wait for that, and be right then. */
static void test_filters_take_whole_lives(void **state)
{
    struct fixture *fixture = *state;
    struct port_set ports = {0};
    port_set_add(&ports, PORT);
    const struct census_request filters[] = {
        {.local_ports = &ports},
        {.remote_ports = &ports},
    };
    for (size_t i = 0; i < 2; i++) {
        close_all(fixture);
        open_with(fixture, &(struct transitions_config){.filter = &filters[i]});
        const int other = pair_listen(PORT + 1, 128);
        const int listener = pair_listen(PORT, 128);
        pair_close(pair_open(other, PORT + 1));
        pair_close(pair_open(listener, PORT));
        close(listener);
        close(other);
        const bool is_server = i == 0;
        if (is_server) {
            await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 1);
            assert_int_equal(risen(fixture, TCP_STATE_LISTEN, TCP_STATE_CLOSED), 1);
        } else {
            await(fixture, TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2, 1);
        }
        assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_RECEIVED), is_server);
        assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_SENT), !is_server);
        assert_int_equal(risen(fixture, TCP_STATE_SYN_SENT, TCP_STATE_ESTABLISHED), !is_server);
    }
}

static struct addr_set addrs_of(const char *text)
{
    struct addr_set set = {.count = 1};
    struct failure failure;
    assert_int_equal(ip_range_parse(&set.ranges[0], text, &failure), 0);
    return set;
}

/* Of two connections, one to PORT: how many of the four sockets' ends pass, and of the children. */
static void test_filters_by_either_port_address_and_owner(void **state)
{
    struct fixture *fixture = *state;
    struct port_set ports = {0};
    port_set_add(&ports, PORT);
    const struct addr_set here = addrs_of("127.0.0.0/8");
    const struct addr_set elsewhere = addrs_of("10.0.0.0/8");
    const struct census_request either_port = {.either_ports = &ports};
    const struct census_request to_here = {.remote_addrs = &here};
    const struct census_request from_elsewhere = {.local_addrs = &elsewhere};
    const struct census_request both = {.either_ports = &ports, .either_addrs = &here};
    const struct {
        struct transitions_config config;
        uint64_t clients;
        uint64_t children;
    } cases[] = {
        {{.filter = &either_port}, 1, 1},
        {{.filter = &to_here}, 2, 2},
        {{.filter = &from_elsewhere}, 0, 0},
        {{.filter = &both}, 1, 1},
        {{.pid = (uint32_t)getpid()}, 2, 2},
        {{.pid = 1}, 0, 0},
        {{.cgroup_id = 1, .cgroup_level = 0}, 2, 2}, /* the root's id, above every cgroup */
        {{.cgroup_id = UINT32_MAX, .cgroup_level = 0}, 0, 0},
        {{.cgroup_id = UINT32_MAX, .cgroup_level = 1000}, 0, 0},
    };
    const bool has_cgroups = owners_read_cgroup((uint32_t)getpid()) == 1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].config.cgroup_id != 0 && !has_cgroups) {
            continue;
        }
        close_all(fixture);
        open_with(fixture, &cases[i].config);
        const int other = pair_listen(PORT + 1, 128);
        const int listener = pair_listen(PORT, 128);
        pair_close(pair_open(other, PORT + 1));
        pair_close(pair_open(listener, PORT));
        close(listener);
        close(other);
        await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, cases[i].children);
        assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_SENT), cases[i].clients);
        assert_int_equal(risen(fixture, TCP_STATE_NONE, TCP_STATE_SYN_RECEIVED), cases[i].children);
        assert_int_equal(risen(fixture, TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2),
                         cases[i].clients);
    }
}

static void test_groups_by_port_add_up_with_those_that_found_no_place(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    open_with(fixture,
              &(struct transitions_config){.grouping = TRANSITIONS_BY_LOCAL_PORT, .groups_max = 2});
    const int listener = pair_listen(PORT, 128);
    for (int i = 0; i < 5; i++) {
        pair_close(pair_open(listener, PORT));
    }
    await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 5);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 2);
    assert_int_equal(snapshot->groups[0].port, PORT);
    assert_int_equal(snapshot->groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 5);
    assert_int_equal(sum_of(&snapshot->groups[0].matrix) + sum_of(&snapshot->groups[1].matrix) +
                         sum_of(&snapshot->other),
                     sum_of(&snapshot->matrix));
    /* Four clients of five: each entered SYN_SENT, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, and ended.
     */
    assert_int_equal(sum_of(&snapshot->other), 20);
    assert_int_equal(snapshot->counters[TRANSITIONS_COUNTER_groups_full], 20);
    close(listener);
}

static void test_how_long_a_state_lasted_is_recorded_for_each_that_left(void **state)
{
    struct fixture *fixture = *state;
    const int listener = pair_listen(PORT, 128);
    const uint64_t begin_ns = clock_now_ns();
    struct pair pair = pair_open(listener, PORT);
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    pair_close(pair);
    close(listener);
    await(fixture, TCP_STATE_LAST_ACK, TCP_STATE_CLOSED, 1);
    const uint64_t elapsed_ns = clock_now_ns() - begin_ns;
    struct hist *lasted = malloc(sizeof(*lasted));
    assert_non_null(lasted);
    hist_init(lasted);
    assert_int_equal(
        transitions_read_lasted(fixture->sources.transitions, TCP_STATE_ESTABLISHED, lasted), 0);
    assert_int_equal(lasted->count, 2);
    assert_true(lasted->min >= 29 * NS_PER_MS);
    assert_true(hist_percentile(lasted, 50) <= elapsed_ns + elapsed_ns / 100);
    free(lasted);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL) {
        return -1;
    }
    open_with(fixture, &(struct transitions_config){0});
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    close_all(*state);
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (!namespace_enter_or_tell() || !transitions_ready_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        TEST(test_every_step_of_a_connections_life_is_counted),
        TEST(test_a_fin_that_is_read_before_the_close_is_time_wait),
        TEST(test_an_orphan_in_fin_wait_2_is_a_record_from_then_on),
        TEST(test_resets_go_to_closed),
        TEST(test_a_listener_that_closes_resets_its_queue),
        TEST(test_a_connect_without_a_port_sent_no_syn),
        TEST(test_at_the_bucket_limit_the_account_still_closes),
        TEST(test_an_account_begins_with_the_sockets_that_were_there),
        TEST(test_another_namespace_is_not_counted),
        TEST(test_filters_take_whole_lives),
        TEST(test_filters_by_either_port_address_and_owner),
        TEST(test_groups_by_port_add_up_with_those_that_found_no_place),
        TEST(test_how_long_a_state_lasted_is_recorded_for_each_that_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
