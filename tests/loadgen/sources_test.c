/* Source addresses as one list, and what is taken when none are named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/sources.h"

static void add(struct sources *sources, const char *text)
{
    struct ip_range range;
    assert_int_equal(ip_range_parse(&range, text, NULL), 0);
    assert_int_equal(sources_add(sources, &range, NULL), 0);
}

static void ranges_of_a_family_are_one_list_in_their_order(void **state)
{
    (void)state;
    struct sources sources = {0};
    static const char *const expected[] = {"10.0.0.9", "10.0.0.1", "10.0.0.2", "192.168.0.0",
                                           "192.168.0.1"};
    char text[IP_TEXT_MAX];
    add(&sources, "10.0.0.9");
    add(&sources, "::1");
    add(&sources, "10.0.0.1-10.0.0.2");
    add(&sources, "192.168.0.0/31");
    assert_int_equal(sources.address_count, 6);
    for (uint64_t i = 0; i < 5; i++) {
        struct ip_addr ip = sources_at(&sources, AF_INET, i);
        assert_string_equal(ip_format(&ip, text), expected[i]);
    }
    struct ip_addr six = sources_at(&sources, AF_INET6, 0);
    assert_string_equal(ip_format(&six, text), "::1");
    assert_int_equal(sources_of_family(&sources, AF_INET), 5);
    assert_int_equal(sources_of_family(&sources, AF_INET6), 1);
}

static void too_many_addresses_are_refused(void **state)
{
    (void)state;
    struct sources sources = {0};
    struct ip_range range;
    struct failure failure;
    add(&sources, "10.0.0.1");
    assert_int_equal(ip_range_parse(&range, "11.0.0.0/8", NULL), 0);
    assert_int_equal(sources_add(&sources, &range, &failure), -E2BIG);
    assert_int_equal(sources.address_count, 1);
    assert_int_equal(ip_range_parse(&range, "fd00::/16", NULL), 0);
    assert_int_equal(sources_add(&sources, &range, &failure), -E2BIG);
    assert_int_equal(sources.address_count, 1);
}

static void too_many_ranges_are_refused(void **state)
{
    (void)state;
    struct sources sources = {0};
    struct ip_range range;
    assert_int_equal(ip_range_parse(&range, "10.0.0.1", NULL), 0);
    for (int i = 0; i < SOURCES_RANGES_MAX; i++) {
        assert_int_equal(sources_add(&sources, &range, NULL), 0);
    }
    assert_int_equal(sources_add(&sources, &range, NULL), -E2BIG);
}

/* At 200 k connections/s, 65 s of churn must find a fresh 4-tuple each. */
static void loopback_gets_enough_sources_and_not_the_targets_own(void **state)
{
    (void)state;
    struct sources sources = {0};
    struct endpoint target;
    assert_int_equal(endpoint_parse(&target, "127.0.0.1:7000", NULL), 0);
    assert_int_equal(sources_add_default(&sources, &target, NULL), 0);
    assert_true(sources.address_count * 55001 > UINT64_C(200000) * 65);
    for (uint64_t i = 0; i < sources.address_count; i++) {
        struct ip_addr ip = sources_at(&sources, AF_INET, i);
        assert_true(ip_is_loopback(&ip));
        assert_false(ip_equal(&ip, &target.ip));
    }
    /* A second target on loopback adds nothing. */
    uint64_t count = sources.address_count;
    assert_int_equal(endpoint_parse(&target, "127.0.0.1:7001", NULL), 0);
    assert_int_equal(sources_add_default(&sources, &target, NULL), 0);
    assert_int_equal(sources.address_count, count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_of_a_family_are_one_list_in_their_order),
        cmocka_unit_test(too_many_addresses_are_refused),
        cmocka_unit_test(too_many_ranges_are_refused),
        cmocka_unit_test(loopback_gets_enough_sources_and_not_the_targets_own),
    };
    return cmocka_run_group_tests_name("loadgen/sources", tests, NULL, NULL);
}
