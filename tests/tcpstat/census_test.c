/* What all censuses share, with sockets that are added by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tcpstat/census.h"

static void add(struct census_result *result, const struct census_request *request,
                struct census_socket socket)
{
    assert_int_equal(census_result_add(result, request, &socket), 0);
}

static void test_a_port_set_has_what_was_added(void **state)
{
    (void)state;
    struct port_set set = {0};
    port_set_add(&set, 0);
    port_set_add(&set, 65535);
    port_set_add_range(&set, (struct port_range){63, 65});
    for (uint32_t port = 0; port < CENSUS_PORTS; port++) {
        const bool expected = port == 0 || port == 65535 || (port >= 63 && port <= 65);
        assert_int_equal(port_set_has(&set, (uint16_t)port), expected);
    }
}

static void test_all_filters_must_pass(void **state)
{
    (void)state;
    struct port_set local = {0};
    struct port_set remote = {0};
    port_set_add(&local, 7000);
    port_set_add(&remote, 80);
    const struct census_request request = {.local_ports = &local, .remote_ports = &remote};
    struct census_result result = {0};
    assert_int_equal(census_result_reset(&result, &request), 0);
    const struct census_socket passes = {AF_INET, TCP_STATE_ESTABLISHED, 7000, 80, 1, NULL, NULL};
    add(&result, &request, passes);
    add(&result, &request,
        (struct census_socket){AF_INET, TCP_STATE_ESTABLISHED, 7000, 81, 1, NULL, NULL});
    add(&result, &request,
        (struct census_socket){AF_INET, TCP_STATE_ESTABLISHED, 80, 7000, 1, NULL, NULL});
    assert_int_equal(result.total.n[TCP_STATE_ESTABLISHED], 1);
    census_result_free(&result);
}

static void test_sources_that_count_add_many_at_once(void **state)
{
    (void)state;
    const struct census_request request = {0};
    struct census_result result = {0};
    assert_int_equal(census_result_reset(&result, &request), 0);
    add(&result, &request,
        (struct census_socket){AF_INET, TCP_STATE_TIME_WAIT, 1, 2, 1000, NULL, NULL});
    add(&result, &request,
        (struct census_socket){AF_INET6, TCP_STATE_TIME_WAIT, 1, 2, 500, NULL, NULL});
    assert_int_equal(result.v4.n[TCP_STATE_TIME_WAIT], 1000);
    assert_int_equal(result.v6.n[TCP_STATE_TIME_WAIT], 500);
    assert_int_equal(result.total.n[TCP_STATE_TIME_WAIT], 1500);
    census_result_free(&result);
}

static void test_groups_hold_every_port(void **state)
{
    (void)state;
    const struct census_request request = {.grouping = CENSUS_BY_REMOTE_PORT};
    struct census_result result = {0};
    assert_int_equal(census_result_reset(&result, &request), 0);
    for (uint32_t i = 0; i < 2 * CENSUS_PORTS; i++) {
        const uint16_t port = (uint16_t)i;
        add(&result, &request,
            (struct census_socket){AF_INET, TCP_STATE_LISTEN, 7, port, 1, NULL, NULL});
    }
    assert_int_equal(result.groups.count, CENSUS_PORTS);
    for (uint32_t port = 0; port < CENSUS_PORTS; port++) {
        const struct tcp_state_counts *counts = census_groups_find(&result.groups, (uint16_t)port);
        assert_int_equal(counts->n[TCP_STATE_LISTEN], 2);
    }
    census_result_free(&result);
}

static void test_a_result_is_empty_after_a_reset(void **state)
{
    (void)state;
    const struct census_request grouped = {.grouping = CENSUS_BY_LOCAL_PORT};
    struct census_result result = {0};
    assert_int_equal(census_result_reset(&result, &grouped), 0);
    add(&result, &grouped,
        (struct census_socket){AF_INET, TCP_STATE_LISTEN, 7000, 0, 1, NULL, NULL});
    result.stamp.rows = 1;
    const struct census_request whole = {0};
    assert_int_equal(census_result_reset(&result, &whole), 0);
    assert_int_equal(tcp_state_total(&result.total), 0);
    assert_int_equal(result.stamp.rows, 0);
    assert_null(census_groups_find(&result.groups, 7000));
    assert_int_equal(census_result_reset(&result, &grouped), 0);
    add(&result, &grouped,
        (struct census_socket){AF_INET, TCP_STATE_LISTEN, 7001, 0, 1, NULL, NULL});
    assert_null(census_groups_find(&result.groups, 7000));
    assert_non_null(census_groups_find(&result.groups, 7001));
    census_result_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_port_set_has_what_was_added),
        cmocka_unit_test(test_all_filters_must_pass),
        cmocka_unit_test(test_sources_that_count_add_many_at_once),
        cmocka_unit_test(test_groups_hold_every_port),
        cmocka_unit_test(test_a_result_is_empty_after_a_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
