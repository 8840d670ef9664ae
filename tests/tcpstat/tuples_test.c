/* 4-tuples: the count by source and destination, the forecast, and its words. */
#include <math.h>
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
#include "tcpstat/namespace.h"
#include "tcpstat/tuples.h"

#define LIFETIME_NS (UINT64_C(61) * NS_PER_SEC)

struct fixture {
    struct tuples_ports ports;
    struct tuples_use earlier;
    struct tuples_use later;
};

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;
    struct failure failure;
    assert_int_equal(endpoint_parse(&endpoint, text, &failure), 0);
    return endpoint;
}

static void add(struct tuples_use *use, struct endpoint local, const char *remote,
                enum tcp_state state, uint64_t rest_ns)
{
    const struct endpoint peer = endpoint_of(remote);
    const struct tuples_socket socket = {
        .local = &local,
        .remote = &peer,
        .state = state,
        .is_record = state == TCP_STATE_TIME_WAIT,
        .rest_ns = rest_ns,
    };
    tuples_use_add(use, &socket);
}

/* As if connections had been closed at a steady rate for some time: TIME_WAIT of every age up to
 * that, each on a port of its own. */
static void add_time_wait(struct tuples_use *use, const char *source, uint32_t per_sec,
                          uint32_t seconds)
{
    struct endpoint local = {.ip = endpoint_of(source).ip, .port = use->ports->range.first};
    for (uint32_t i = 0; i < per_sec * seconds; i++) {
        const uint64_t age_ns = i * NS_PER_SEC / per_sec;
        add(use, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, LIFETIME_NS - age_ns);
        local.port++;
    }
}

static void test_only_clients_ports_count(void **state)
{
    struct fixture *fixture = *state;
    struct tuples_use *use = &fixture->later;
    port_set_add(&fixture->ports.reserved, 40000);
    add(use, endpoint_of("10.0.0.1:32768"), "10.9.0.1:7000", TCP_STATE_ESTABLISHED, 0);
    add(use, endpoint_of("10.0.0.1:60999"), "10.9.0.1:7000", TCP_STATE_SYN_SENT, 0);
    add(use, endpoint_of("10.0.0.1:7000"), "10.9.0.1:40001", TCP_STATE_ESTABLISHED, 0);
    add(use, endpoint_of("10.0.0.1:40000"), "10.9.0.1:7000", TCP_STATE_ESTABLISHED, 0);
    add(use, endpoint_of("10.0.0.1:40002"), "10.9.0.1:7000", TCP_STATE_TIME_WAIT, NS_PER_SEC * 5);
    add(use, (struct endpoint){.ip = endpoint_of("10.0.0.1:1").ip, .port = 40004}, "0.0.0.0:1",
        TCP_STATE_LISTEN, 0);
    assert_int_equal(use->pair_count, 1);
    assert_int_equal(use->pairs[0].taken, 3);
    assert_int_equal(use->pairs[0].syn_sent, 1);
    assert_int_equal(use->pairs[0].time_wait, 1);
    assert_int_equal(use->pairs[0].ends[5], 1);
    static const uint32_t taken[TUPLES_QUARTERS] = {2, 0, 0, 1};
    assert_memory_equal(use->pairs[0].taken_of_quarter, taken, sizeof(taken));
}

static void test_more_pairs_than_places_are_counted(void **state)
{
    struct fixture *fixture = *state;
    for (uint16_t port = 1; port <= TUPLES_PAIRS_MAX + 3; port++) {
        char remote[32];
        snprintf(remote, sizeof(remote), "10.9.0.1:%u", port);
        add(&fixture->later, endpoint_of("10.0.0.1:40000"), remote, TCP_STATE_ESTABLISHED, 0);
    }
    assert_int_equal(fixture->later.pair_count, TUPLES_PAIRS_MAX);
    assert_int_equal(fixture->later.left_out, 3);
}

/* Two walks ten seconds apart, while TIME_WAIT still only grows. */
static void churn(struct fixture *fixture, uint32_t per_sec, uint32_t seconds)
{
    tuples_use_reset(&fixture->earlier, 0);
    tuples_use_reset(&fixture->later, 10 * NS_PER_SEC);
    add_time_wait(&fixture->earlier, "10.0.0.1:1", per_sec, seconds - 10);
    add_time_wait(&fixture->later, "10.0.0.1:1", per_sec, seconds);
}

static void test_a_rate_below_ports_by_lifetime_never_runs_out(void **state)
{
    struct fixture *fixture = *state;
    churn(fixture, 400, 20); /* 400 x 61 = 24,400 of 28,232 */
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_true(fabs(forecast.opens_per_sec - 400) < 1);
    assert_true(fabs(forecast.plateau - 24400) < 100);
    assert_true(isinf(forecast.seconds_left));
    assert_int_equal(forecast.verdict, TUPLES_ENOUGH);
    char text[TUPLES_TEXT_MAX];
    assert_false(tuples_warning(&forecast, &fixture->ports, text));
    assert_string_equal(text, "");
}

static void test_the_time_until_they_run_out_is_what_is_free_by_the_rate(void **state)
{
    struct fixture *fixture = *state;
    churn(fixture, 600, 15); /* 9,000 taken of 28,232: 32 s at 600/s */
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_int_equal(forecast.taken, 9000);
    assert_int_equal(forecast.capacity, 28232);
    assert_true(fabs(forecast.seconds_left - 19232. / 600) < 0.2);
    assert_int_equal(forecast.verdict, TUPLES_SOON);
    char text[TUPLES_TEXT_MAX];
    assert_true(tuples_warning(&forecast, &fixture->ports, text));
    assert_non_null(strstr(text, "4-tuples to 10.9.0.1:7000 run out in 32 s"));
    assert_non_null(strstr(text, "9000 of 28232"));
}

/* A TIME_WAIT that ends meanwhile gives its 4-tuple back: the forecast reads their timers. */
static void test_records_that_end_before_put_the_time_off(void **state)
{
    struct fixture *fixture = *state;
    churn(fixture, 600, 15);
    struct tuples_forecast without;
    tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &without);
    struct endpoint local = {.ip = endpoint_of("10.0.0.1:1").ip, .port = 60000};
    for (int i = 0; i < 900; i++, local.port++) {
        add(&fixture->earlier, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, 30 * NS_PER_SEC);
        add(&fixture->later, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, 20 * NS_PER_SEC);
    }
    struct tuples_forecast with;
    tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &with);
    /* 900 more are taken now, and given back before it comes to that. */
    assert_int_equal(with.taken, without.taken + 900);
    assert_true(fabs(with.seconds_left - without.seconds_left) < 0.2);
}

static void test_sources_add_up(void **state)
{
    struct fixture *fixture = *state;
    churn(fixture, 600, 15);
    add_time_wait(&fixture->earlier, "10.0.0.2:1", 600, 5);
    add_time_wait(&fixture->later, "10.0.0.2:1", 600, 15);
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_int_equal(forecast.sources, 2);
    assert_int_equal(forecast.capacity, 2 * 28232);
    assert_true(fabs(forecast.opens_per_sec - 1200) < 2);
    assert_false(tuples_forecast(&fixture->earlier, &fixture->later, 1, LIFETIME_NS, &forecast));
}

/* As connect() without bind takes them: even ports first, spread over both halves, odd ones when
 * these are gone. */
static void add_as_the_kernel_chooses(struct tuples_use *use, uint32_t per_sec, uint32_t seconds)
{
    struct endpoint local = {.ip = endpoint_of("10.0.0.1:1").ip};
    for (uint32_t i = 0; i < per_sec * seconds; i++) {
        const uint64_t age_ns = i * NS_PER_SEC / per_sec;
        /* 14,116 = 4 x 3,529, so that steps of 4,987 meet each port once. */
        const uint32_t place = i * 4987 % 14116;
        local.port = (uint16_t)(use->ports->range.first + 2 * place + i / 14116);
        add(use, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, LIFETIME_NS - age_ns);
    }
}

static void forecast_kernel_chosen(struct fixture *fixture, uint32_t per_sec, uint32_t seconds,
                                   struct tuples_forecast *forecast)
{
    tuples_use_reset(&fixture->earlier, 0);
    tuples_use_reset(&fixture->later, 10 * NS_PER_SEC);
    add_as_the_kernel_chooses(&fixture->earlier, per_sec, seconds - 10);
    add_as_the_kernel_chooses(&fixture->later, per_sec, seconds);
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, forecast));
}

static void test_connect_will_crawl_when_the_first_parity_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct tuples_forecast forecast;
    forecast_kernel_chosen(fixture, 400, 20, &forecast); /* 8,000 of 14,116 even ones */
    assert_true(forecast.kernel_chooses);
    assert_true(isinf(forecast.seconds_left));
    assert_true(fabs(forecast.crawls_sec - 6116. / 400) < 0.2);
    assert_int_equal(forecast.verdict, TUPLES_SOON);
    char text[TUPLES_TEXT_MAX];
    assert_true(tuples_warning(&forecast, &fixture->ports, text));
    assert_non_null(strstr(text, "connect() to 10.9.0.1:7000 will crawl in 15 s"));
    assert_non_null(strstr(text, "8000 of 14116"));
}

static void test_a_first_parity_that_is_full_is_the_crawl(void **state)
{
    struct fixture *fixture = *state;
    struct tuples_forecast forecast;
    forecast_kernel_chosen(fixture, 250, 60, &forecast); /* 15,000: beyond the even ones */
    assert_int_equal(forecast.verdict, TUPLES_CRAWL);
    char text[TUPLES_TEXT_MAX];
    assert_true(tuples_warning(&forecast, &fixture->ports, text));
    assert_non_null(strstr(text, "connect() to 10.9.0.1:7000 crawls"));
    assert_non_null(strstr(text, "searches through 14116"));
    assert_non_null(strstr(text, "without an error"));
    assert_non_null(strstr(text, "set tcp_tw_reuse to 1"));
}

/* bind() of port 0 with SO_REUSEADDR begins with one parity of one half. */
static void test_bind_crawls_when_its_quarter_is_full(void **state)
{
    struct fixture *fixture = *state;
    struct endpoint local = {.ip = endpoint_of("10.0.0.1:1").ip, .port = 32769};
    tuples_use_reset(&fixture->earlier, 0);
    tuples_use_reset(&fixture->later, 10 * NS_PER_SEC);
    for (uint32_t i = 0; i < 5000; i++, local.port = (uint16_t)(local.port + 2)) {
        add(&fixture->later, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, LIFETIME_NS);
    }
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_int_equal(forecast.first_capacity, 7058);
    assert_true(fabs(forecast.crawls_sec - 2058. / 500) < 0.2);
    for (uint32_t i = 0; i < 2058; i++, local.port = (uint16_t)(local.port + 2)) {
        add(&fixture->later, local, "10.9.0.1:7000", TCP_STATE_TIME_WAIT, LIFETIME_NS);
    }
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_int_equal(forecast.verdict, TUPLES_CRAWL);
}

/* Ports that a program binds lie evenly: it does not search, it only runs out. */
static void test_ports_that_are_bound_never_crawl(void **state)
{
    struct fixture *fixture = *state;
    churn(fixture, 440, 40);
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_false(forecast.kernel_chooses);
    assert_true(isinf(forecast.crawls_sec));
}

static void test_a_range_that_is_full_is_gone(void **state)
{
    struct fixture *fixture = *state;
    tuples_use_reset(&fixture->earlier, 0);
    tuples_use_reset(&fixture->later, 10 * NS_PER_SEC);
    struct endpoint local = {.ip = endpoint_of("10.0.0.1:1").ip, .port = 32768};
    for (uint32_t i = 0; i < 28232; i++, local.port++) {
        add(&fixture->later, local, "10.9.0.1:7000", TCP_STATE_ESTABLISHED, 0);
    }
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_int_equal(forecast.verdict, TUPLES_GONE);
    char text[TUPLES_TEXT_MAX];
    assert_true(tuples_warning(&forecast, &fixture->ports, text));
    assert_non_null(strstr(text, "EADDRNOTAVAIL"));
}

/* What connect() may take over is not in its way, but for the second before it may. */
static void test_time_wait_that_may_be_reused_does_not_run_out(void **state)
{
    struct fixture *fixture = *state;
    fixture->ports.time_wait_reuse = 1;
    churn(fixture, 1500, 18);
    struct tuples_forecast forecast;
    assert_true(tuples_forecast(&fixture->earlier, &fixture->later, 0, LIFETIME_NS, &forecast));
    assert_true(forecast.reusable);
    assert_int_equal(forecast.verdict, TUPLES_ENOUGH);
}

static void test_the_kernels_ports_are_read(void **state)
{
    struct fixture *fixture = *state;
    if (namespace_enter() < 0 ||
        namespace_set_sysctl("net/ipv4/ip_local_port_range", "20000 29999") < 0) {
        skip();
    }
    assert_int_equal(
        namespace_set_sysctl("net/ipv4/ip_local_reserved_ports", "80,20000-20009,25000"), 0);
    assert_int_equal(namespace_set_sysctl("net/ipv4/tcp_tw_reuse", "1"), 0);
    assert_int_equal(namespace_set_sysctl("net/ipv4/tcp_max_tw_buckets", "1234"), 0);
    struct failure failure;
    assert_int_equal(tuples_ports_read(&fixture->ports, &failure), 0);
    assert_int_equal(fixture->ports.range.first, 20000);
    assert_int_equal(fixture->ports.range.last, 29999);
    assert_int_equal(fixture->ports.usable, 10000 - 11);
    static const uint32_t usable[TUPLES_QUARTERS] = {2500 - 5, 2500 - 5, 2500 - 1, 2500};
    assert_memory_equal(fixture->ports.usable_of_quarter, usable, sizeof(usable));
    assert_int_equal(fixture->ports.time_wait_reuse, 1);
    assert_int_equal(fixture->ports.time_wait_max, 1234);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL) {
        return -1;
    }
    fixture->ports.range = (struct port_range){32768, 60999};
    fixture->ports.usable = 28232;
    for (uint32_t quarter = 0; quarter < TUPLES_QUARTERS; quarter++) {
        fixture->ports.usable_of_quarter[quarter] = 7058;
    }
    fixture->earlier.ports = &fixture->ports;
    fixture->later.ports = &fixture->ports;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_only_clients_ports_count),
        TEST(test_more_pairs_than_places_are_counted),
        TEST(test_a_rate_below_ports_by_lifetime_never_runs_out),
        TEST(test_the_time_until_they_run_out_is_what_is_free_by_the_rate),
        TEST(test_records_that_end_before_put_the_time_off),
        TEST(test_sources_add_up),
        TEST(test_connect_will_crawl_when_the_first_parity_is_full),
        TEST(test_a_first_parity_that_is_full_is_the_crawl),
        TEST(test_bind_crawls_when_its_quarter_is_full),
        TEST(test_ports_that_are_bound_never_crawl),
        TEST(test_a_range_that_is_full_is_gone),
        TEST(test_time_wait_that_may_be_reused_does_not_run_out),
        TEST(test_the_kernels_ports_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
