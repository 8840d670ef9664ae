/* Transitions told apart by port, matrix and times, in a namespace of the test's own. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/namespace.h"
#include "tcpstat/pairs.h"
#include "tcpstat/transitions.h"
#include "tcpstat/transitions_ready.h"

#define PORT 7100
#define SETTLE_NS (10 * NS_PER_SEC)

/* A group has one bin for so many of the whole's. */
#define FINE_BINS 8

struct fixture {
    struct transitions *transitions;
    struct transitions_snapshot snapshot;
    struct hist whole;
    struct hist groups; /* all of them together */
};

static void open_with(struct fixture *fixture, const struct transitions_config *config)
{
    struct failure failure;
    if (transitions_open(&fixture->transitions, config, &failure) < 0) {
        fail_msg("%s", failure.text);
    }
}

/* Makes connections to a port one after the other, each held so long. */
static void churn(uint16_t port, int count, uint64_t hold_ns)
{
    const int listener = pair_listen(port, 128);
    for (int i = 0; i < count; i++) {
        struct pair pair = pair_open(listener, port);
        nanosleep(&(struct timespec){.tv_nsec = (long)hold_ns}, NULL);
        pair_close(pair);
    }
    close(listener);
}

/* Reads until so many accepted sockets have ended, since a segment may be under way. */
static void settle(struct fixture *fixture, uint64_t times)
{
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    const uint64_t *ended = &fixture->snapshot.matrix.n[TCP_STATE_LAST_ACK][TCP_STATE_CLOSED];
    do {
        assert_int_equal(transitions_read(fixture->transitions, &fixture->snapshot), 0);
        if (*ended >= times) {
            break;
        }
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    } while (clock_now_ns() < deadline_ns);
    assert_int_equal(*ended, times);
}

static uint64_t sum_of(const struct tcp_transitions *matrix)
{
    uint64_t sum = 0;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        sum += tcp_transitions_left(matrix, (enum tcp_state)state);
    }
    return sum;
}

/* Each step of the whole is in one group, or in none. */
static void assert_matrices_add_up(const struct transitions_snapshot *snapshot)
{
    struct tcp_transitions rest = snapshot->matrix;
    for (uint32_t i = 0; i < snapshot->group_count; i++) {
        tcp_transitions_subtract(&rest, &snapshot->groups[i].matrix);
    }
    assert_memory_equal(&rest, &snapshot->other, sizeof(rest));
}

static void add_group(struct fixture *fixture, uint32_t number, enum tcp_state state)
{
    assert_int_equal(
        transitions_read_group_lasted(fixture->transitions, number, state, &fixture->groups), 0);
}

/* Each time of the whole is in one group, or in none, and in the bin that its own lies in. */
static void assert_times_add_up(struct fixture *fixture)
{
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        hist_init(&fixture->whole);
        hist_init(&fixture->groups);
        assert_int_equal(
            transitions_read_lasted(fixture->transitions, (enum tcp_state)state, &fixture->whole),
            0);
        add_group(fixture, TRANSITIONS_GROUP_OTHER, (enum tcp_state)state);
        for (uint32_t i = 0; i < snapshot->group_count; i++) {
            add_group(fixture, snapshot->groups[i].number, (enum tcp_state)state);
        }
        assert_int_equal(fixture->groups.count, fixture->whole.count);
        for (uint32_t bin = 0; bin < HIST_BINS; bin += FINE_BINS) {
            uint64_t fine = 0;
            for (uint32_t i = 0; i < FINE_BINS; i++) {
                fine += fixture->whole.bins[bin + i];
            }
            assert_int_equal(fixture->groups.bins[bin + FINE_BINS / 2], fine);
        }
    }
}

static void assert_all_adds_up(struct fixture *fixture)
{
    assert_matrices_add_up(&fixture->snapshot);
    assert_times_add_up(fixture);
}

/* The two ends of each connection are in one group, and the listener. */
static void assert_both_ends(const struct transitions_group *group, uint16_t port, uint64_t count)
{
    assert_int_equal(group->port, port);
    assert_int_equal(group->matrix.n[TCP_STATE_NONE][TCP_STATE_LISTEN], 1);
    assert_int_equal(group->matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], count);
    assert_int_equal(group->matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], count);
    assert_int_equal(tcp_transitions_left(&group->matrix, TCP_STATE_ESTABLISHED), 2 * count);
}

static void assert_lasted(struct fixture *fixture, uint32_t number, uint64_t count, uint64_t ns)
{
    struct hist *lasted = &fixture->groups;
    hist_init(lasted);
    add_group(fixture, number, TCP_STATE_ESTABLISHED);
    assert_int_equal(lasted->count, count);
    /* It lasts a little longer than the sleep, on a busy machine much; and bins are 1/16 wide. */
    assert_true(lasted->min >= ns - ns / 16);
    assert_true(hist_percentile(lasted, 0) < 8 * ns);
}

static void test_named_ports_have_both_ends_and_their_own_times(void **state)
{
    struct fixture *fixture = *state;
    struct port_set ports = {0};
    port_set_add(&ports, PORT);
    port_set_add(&ports, PORT + 1);
    const struct census_request filter = {.either_ports = &ports};
    open_with(fixture, &(struct transitions_config){.filter = &filter,
                                                    .grouping = TRANSITIONS_BY_NAMED_PORT,
                                                    .groups_max = 2});
    churn(PORT + 1, 2, 160 * NS_PER_MS);
    churn(PORT, 5, 10 * NS_PER_MS);
    churn(PORT + 2, 1, 1); /* passes no filter */
    settle(fixture, 7);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 2);
    assert_both_ends(&snapshot->groups[0], PORT, 5);
    assert_both_ends(&snapshot->groups[1], PORT + 1, 2);
    assert_int_equal(sum_of(&snapshot->other), 0);
    assert_lasted(fixture, snapshot->groups[0].number, 10, 10 * NS_PER_MS);
    assert_lasted(fixture, snapshot->groups[1].number, 4, 160 * NS_PER_MS);
    assert_all_adds_up(fixture);
}

static void test_a_connection_between_two_named_ports_has_an_end_in_each(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(namespace_set_sysctl("net/ipv4/ip_local_port_range", "7200 7201"), 0);
    struct port_set ports = {0};
    port_set_add(&ports, PORT);
    port_set_add(&ports, 7200);
    port_set_add(&ports, 7201);
    const struct census_request filter = {.either_ports = &ports};
    open_with(fixture, &(struct transitions_config){.filter = &filter,
                                                    .grouping = TRANSITIONS_BY_NAMED_PORT});
    churn(PORT, 1, 1);
    settle(fixture, 1);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 2);
    assert_int_equal(snapshot->groups[0].port, PORT);
    assert_int_equal(snapshot->groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 1);
    assert_int_equal(snapshot->groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], 0);
    assert_int_equal(snapshot->groups[1].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], 1);
    assert_all_adds_up(fixture);
    assert_int_equal(namespace_set_sysctl("net/ipv4/ip_local_port_range", "32768 60999"), 0);
}

/* Forty clients of forty ports would take all of four places, and leave none for the service that
 * comes last. */
static void test_by_local_port_only_services_take_places(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, &(struct transitions_config){.grouping = TRANSITIONS_BY_LOCAL_PORT,
                                                    .groups_max = 4,
                                                    .groups_services = true});
    churn(PORT, 40, 1);
    churn(PORT + 1, 1, 1);
    settle(fixture, 41);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 2);
    assert_int_equal(snapshot->groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 40);
    assert_int_equal(snapshot->groups[1].port, PORT + 1);
    assert_int_equal(snapshot->groups[1].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 1);
    assert_int_equal(snapshot->other.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], 41);
    assert_int_equal(snapshot->other.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 0);
    assert_int_equal(snapshot->counters[TRANSITIONS_COUNTER_groups_full], 0);
    assert_all_adds_up(fixture);
}

static void test_by_remote_port_only_who_connects_takes_places(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, &(struct transitions_config){.grouping = TRANSITIONS_BY_REMOTE_PORT,
                                                    .groups_max = 2,
                                                    .groups_services = true});
    churn(PORT, 5, 1);
    churn(PORT + 1, 2, 1);
    settle(fixture, 7);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 2);
    assert_int_equal(snapshot->groups[0].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], 5);
    assert_int_equal(snapshot->groups[1].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT], 2);
    assert_int_equal(snapshot->other.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED], 7);
    assert_int_equal(snapshot->other.n[TCP_STATE_NONE][TCP_STATE_LISTEN], 2);
    assert_all_adds_up(fixture);
}

static void test_what_found_no_place_is_counted_among_the_rest(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, &(struct transitions_config){.grouping = TRANSITIONS_BY_LOCAL_PORT,
                                                    .groups_max = 1,
                                                    .groups_services = true});
    churn(PORT, 3, 1);
    churn(PORT + 1, 4, 1);
    settle(fixture, 7);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, 1);
    assert_int_equal(snapshot->groups[0].port, PORT);
    /* The second listener's two, and each child's five: SYN_RECEIVED, ESTABLISHED, CLOSE_WAIT,
     * LAST_ACK, CLOSED. */
    assert_int_equal(snapshot->counters[TRANSITIONS_COUNTER_groups_full], 2 + 4 * 5);
    assert_all_adds_up(fixture);
}

#define RACE_PORT 7400 /* clear of the other tests' TIME_WAIT */
#define RACE_PORTS 200
#define RACE_THREADS 4

struct race {
    pthread_barrier_t barrier;
    int clients[RACE_PORTS][RACE_THREADS];
    atomic_int threads; /* that have begun */
};

/* Connects to each port in the same moment as the others do. */
static void *run_race(void *context)
{
    struct race *race = context;
    const int own = atomic_fetch_add(&race->threads, 1);
    for (int i = 0; i < RACE_PORTS; i++) {
        pthread_barrier_wait(&race->barrier);
        race->clients[i][own] = pair_connect((uint16_t)(RACE_PORT + i));
    }
    return NULL;
}

/* Whoever makes a port's group first, everybody finds the one that was made. */
static void test_groups_that_several_make_at_once_are_one(void **state)
{
    struct fixture *fixture = *state;
    int listeners[RACE_PORTS];
    for (int i = 0; i < RACE_PORTS; i++) {
        listeners[i] = pair_listen((uint16_t)(RACE_PORT + i), 2 * RACE_THREADS);
    }
    open_with(fixture, &(struct transitions_config){.grouping = TRANSITIONS_BY_REMOTE_PORT,
                                                    .groups_max = 2 * RACE_PORTS,
                                                    .groups_services = true});
    struct race *race = calloc(1, sizeof(*race));
    assert_non_null(race);
    pthread_t threads[RACE_THREADS];
    assert_int_equal(pthread_barrier_init(&race->barrier, NULL, RACE_THREADS), 0);
    for (int i = 0; i < RACE_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_race, race), 0);
    }
    for (int i = 0; i < RACE_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&race->barrier);
    settle(fixture, 0);
    const struct transitions_snapshot *snapshot = &fixture->snapshot;
    assert_int_equal(snapshot->group_count, RACE_PORTS);
    for (int i = 0; i < RACE_PORTS; i++) {
        assert_int_equal(snapshot->groups[i].port, RACE_PORT + i);
        assert_int_equal(snapshot->groups[i].matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT],
                         RACE_THREADS);
        for (int k = 0; k < RACE_THREADS; k++) {
            close(race->clients[i][k]);
        }
        close(listeners[i]);
    }
    assert_int_equal(snapshot->counters[TRANSITIONS_COUNTER_groups_full], 0);
    free(race);
}

static void test_without_grouping_there_are_no_groups(void **state)
{
    struct fixture *fixture = *state;
    open_with(fixture, &(struct transitions_config){0});
    churn(PORT, 2, 1);
    settle(fixture, 2);
    assert_int_equal(fixture->snapshot.group_count, 0);
    assert_int_equal(sum_of(&fixture->snapshot.other), 0);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    transitions_snapshot_free(&fixture->snapshot);
    transitions_close(fixture->transitions);
    free(fixture);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    if (!namespace_enter_or_tell() || !transitions_ready_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        TEST(test_named_ports_have_both_ends_and_their_own_times),
        TEST(test_a_connection_between_two_named_ports_has_an_end_in_each),
        TEST(test_by_local_port_only_services_take_places),
        TEST(test_by_remote_port_only_who_connects_takes_places),
        TEST(test_what_found_no_place_is_counted_among_the_rest),
        TEST(test_groups_that_several_make_at_once_are_one),
        TEST(test_without_grouping_there_are_no_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
