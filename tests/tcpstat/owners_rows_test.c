/* The sockets of a walk to rows: grouped, filtered, sorted, cut; and a CLOSE_WAIT that grows. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/owners_rows.h"

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;
    struct failure failure;
    assert_int_equal(endpoint_parse(&endpoint, text, &failure), 0);
    return endpoint;
}

struct fixture {
    struct owners_result result;
    struct owners_index index;
};

static void add(struct fixture *fixture, const struct owners_request *request, uint32_t pid,
                enum tcp_state state, uint64_t age_sec)
{
    const struct owners_socket socket = {
        .state = state,
        .local = endpoint_of("10.0.0.1:40000"),
        .remote = {.ip = endpoint_of("10.9.0.1:1").ip, .port = (uint16_t)(7000 + pid % 2)},
        .pid = pid,
        .cgroup_id = pid / 10,
        .age_ns = age_sec * NS_PER_SEC,
    };
    assert_int_equal(owners_rows_add(&fixture->result, &fixture->index, request, &socket), 0);
}

static void test_sockets_are_counted_by_owner_and_state(void **state)
{
    struct fixture *fixture = *state;
    const struct owners_request request = {.key = OWNERS_BY_PID};
    add(fixture, &request, 7, TCP_STATE_TIME_WAIT, 3);
    add(fixture, &request, 9, TCP_STATE_ESTABLISHED, 1);
    add(fixture, &request, 7, TCP_STATE_TIME_WAIT, 8);
    add(fixture, &request, 0, TCP_STATE_TIME_WAIT, 0);
    owners_rows_finish(&fixture->result, &request);
    const struct owners_row *rows = fixture->result.rows;
    assert_int_equal(fixture->result.row_count, 3);
    assert_int_equal(rows[0].pid, 7);
    assert_int_equal(rows[0].counts.n[TCP_STATE_TIME_WAIT], 2);
    assert_int_equal(rows[0].oldest_ns[TCP_STATE_TIME_WAIT], 8 * NS_PER_SEC);
    assert_false(rows[1].is_known);
    assert_int_equal(rows[2].pid, 9);
    assert_int_equal(fixture->result.sockets, 4);
    assert_int_equal(fixture->result.sockets_unknown, 1);
}

static void test_rows_beyond_the_top_are_added_up(void **state)
{
    struct fixture *fixture = *state;
    const struct owners_request request = {
        .key = OWNERS_BY_PID, .top = 2, .sort_by = TCP_STATE_TIME_WAIT};
    for (uint32_t pid = 1; pid <= 5; pid++) {
        for (uint32_t i = 0; i < pid; i++) {
            add(fixture, &request, pid, TCP_STATE_TIME_WAIT, pid);
        }
    }
    add(fixture, &request, 1, TCP_STATE_ESTABLISHED, 0);
    owners_rows_finish(&fixture->result, &request);
    assert_int_equal(fixture->result.row_count, 2);
    assert_int_equal(fixture->result.groups, 5);
    assert_int_equal(fixture->result.rows[0].pid, 5);
    assert_int_equal(fixture->result.rows[1].pid, 4);
    assert_int_equal(fixture->result.other.counts.n[TCP_STATE_TIME_WAIT], 6);
    assert_int_equal(fixture->result.other.total, 7);
    assert_int_equal(fixture->result.other.oldest_ns[TCP_STATE_TIME_WAIT], 3 * NS_PER_SEC);
}

static void test_thousands_of_owners_keep_their_own_rows(void **state)
{
    struct fixture *fixture = *state;
    const struct owners_request request = {.key = OWNERS_BY_PID};
    for (uint32_t pid = 1; pid <= 5000; pid++) {
        add(fixture, &request, pid, TCP_STATE_ESTABLISHED, 0);
    }
    for (uint32_t pid = 1; pid <= 5000; pid++) {
        add(fixture, &request, pid, TCP_STATE_CLOSE_WAIT, 0);
    }
    owners_rows_finish(&fixture->result, &request);
    assert_int_equal(fixture->result.row_count, 5000);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(fixture->result.rows[i].total, 2);
    }
}

static void test_filters_leave_sockets_out(void **state)
{
    struct fixture *fixture = *state;
    struct port_set ports = {0};
    port_set_add(&ports, 7001);
    const struct census_request filter = {.remote_ports = &ports};
    const struct owners_request by_port = {.key = OWNERS_BY_REMOTE, .filter = &filter};
    add(fixture, &by_port, 10, TCP_STATE_ESTABLISHED, 0); /* to port 7000 */
    add(fixture, &by_port, 11, TCP_STATE_ESTABLISHED, 0);
    assert_int_equal(fixture->result.sockets, 1);
    const struct owners_request by_owner = {.key = OWNERS_BY_LOCAL_PORT, .pid = 12};
    assert_int_equal(owners_rows_begin(&fixture->result, &fixture->index), 0);
    add(fixture, &by_owner, 11, TCP_STATE_ESTABLISHED, 0);
    add(fixture, &by_owner, 12, TCP_STATE_ESTABLISHED, 0);
    uint64_t ids[] = {2, 7};
    const struct cgroup_set cgroups = {.ids = ids, .count = 2};
    const struct owners_request by_cgroup = {.key = OWNERS_BY_LOCAL_PORT, .cgroups = &cgroups};
    add(fixture, &by_cgroup, 11, TCP_STATE_ESTABLISHED, 0);
    add(fixture, &by_cgroup, 21, TCP_STATE_ESTABLISHED, 0);
    assert_int_equal(fixture->result.sockets, 2);
    assert_int_equal(fixture->result.row_count, 1);
    assert_int_equal(fixture->result.rows[0].local_port, 40000);
    assert_int_equal(fixture->result.v4.n[TCP_STATE_ESTABLISHED], 2);
    assert_int_equal(tcp_state_total(&fixture->result.v6), 0);
    assert_int_equal(fixture->result.rows_walked, 4);
}

static void test_what_an_owner_made_counts_without_a_socket(void **state)
{
    struct fixture *fixture = *state;
    const struct owners_request request = {.key = OWNERS_BY_PID};
    const struct owners_socket owner = {.pid = 5};
    add(fixture, &request, 5, TCP_STATE_TIME_WAIT, 0);
    assert_int_equal(owners_rows_add_made(&fixture->result, &fixture->index, &request, &owner, 30),
                     0);
    const struct owners_socket gone = {.pid = 6};
    assert_int_equal(owners_rows_add_made(&fixture->result, &fixture->index, &request, &gone, 9),
                     0);
    owners_rows_finish(&fixture->result, &request);
    assert_int_equal(fixture->result.rows[0].time_wait_made, 30);
    assert_int_equal(fixture->result.rows[1].time_wait_made, 9);
    assert_int_equal(fixture->result.rows[1].total, 0);
}

/* Feeds one walk in which process 42 holds so many in CLOSE_WAIT. */
static bool feed(struct fixture *fixture, struct owners_growth *growth, uint64_t at_sec,
                 uint32_t count, char *text)
{
    const struct owners_request request = {.key = OWNERS_BY_PID};
    assert_int_equal(owners_rows_begin(&fixture->result, &fixture->index), 0);
    fixture->result.taken_ns = at_sec * NS_PER_SEC;
    for (uint32_t i = 0; i < count; i++) {
        add(fixture, &request, 42, TCP_STATE_CLOSE_WAIT, at_sec);
    }
    add(fixture, &request, 43, TCP_STATE_CLOSE_WAIT, 1);
    owners_rows_finish(&fixture->result, &request);
    for (uint32_t i = 0; i < fixture->result.row_count; i++) {
        struct owners_row *row = &fixture->result.rows[i];
        snprintf(row->name, sizeof(row->name), "leaky (%u)", row->pid);
    }
    return owners_growth_update(growth, &fixture->result, text);
}

static void test_a_close_wait_that_grows_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct owners_growth growth = {0};
    char text[OWNERS_GROWTH_TEXT_MAX];
    assert_false(feed(fixture, &growth, 10, 5, text));
    assert_false(feed(fixture, &growth, 11, 10, text));
    assert_false(feed(fixture, &growth, 12, 15, text));
    assert_true(feed(fixture, &growth, 13, 20, text));
    assert_string_equal(text,
                        "CLOSE_WAIT grows: leaky (42) holds 20, 5.0/s more for 3 s, the oldest "
                        "13 s old: it does not close what its peers closed");
    /* Standing still is no relief; falling is. */
    assert_true(feed(fixture, &growth, 14, 20, text));
    assert_false(feed(fixture, &growth, 15, 2, text));
    assert_false(feed(fixture, &growth, 16, 0, text));
    assert_string_equal(text, "");
}

static void test_a_close_wait_that_comes_and_goes_is_not(void **state)
{
    struct fixture *fixture = *state;
    struct owners_growth growth = {0};
    char text[OWNERS_GROWTH_TEXT_MAX];
    for (uint64_t at_sec = 1; at_sec < 40; at_sec++) {
        assert_false(feed(fixture, &growth, at_sec, at_sec % 3 == 0 ? 2 : 5, text));
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    *state = fixture;
    return fixture == NULL ? -1 : owners_rows_begin(&fixture->result, &fixture->index);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    owners_result_free(&fixture->result);
    owners_index_free(&fixture->index);
    free(fixture);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sockets_are_counted_by_owner_and_state),
        TEST(test_rows_beyond_the_top_are_added_up),
        TEST(test_thousands_of_owners_keep_their_own_rows),
        TEST(test_filters_leave_sockets_out),
        TEST(test_what_an_owner_made_counts_without_a_socket),
        TEST(test_a_close_wait_that_grows_is_named),
        TEST(test_a_close_wait_that_comes_and_goes_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
