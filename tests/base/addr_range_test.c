/* Rules of base/addr for ranges of addresses and of ports. */
#include "base/test.h"

#include <errno.h>

#include "base/addr.h"

struct range_case {
    const char *text;
    const char *first;
    const char *last;
    uint64_t count;
};

static const struct range_case ranges[] = {
    {"10.0.0.1", "10.0.0.1", "10.0.0.1", 1},
    {"10.0.0.1-10.0.0.1", "10.0.0.1", "10.0.0.1", 1},
    {"127.0.0.2-127.0.0.250", "127.0.0.2", "127.0.0.250", 249},
    {"10.0.0.255-10.0.1.0", "10.0.0.255", "10.0.1.0", 2},
    {"10.0.0.0/24", "10.0.0.0", "10.0.0.255", 256},
    {"10.0.0.77/24", "10.0.0.0", "10.0.0.255", 256}, /* host bits: the prefix's whole range */
    {"10.0.0.77/32", "10.0.0.77", "10.0.0.77", 1},
    {"10.0.0.77/31", "10.0.0.76", "10.0.0.77", 2},
    {"10.1.2.3/9", "10.0.0.0", "10.127.255.255", UINT64_C(1) << 23},
    {"1.2.3.4/0", "0.0.0.0", "255.255.255.255", UINT64_C(1) << 32},
    {"0.0.0.0-255.255.255.255", "0.0.0.0", "255.255.255.255", UINT64_C(1) << 32},
    {"::1", "::1", "::1", 1},
    {"::ffff:ffff:ffff:ffff-0:0:0:1::", "::ffff:ffff:ffff:ffff", "0:0:0:1::", 2}, /* a carry */
    {"2001:db8::/120", "2001:db8::", "2001:db8::ff", 256},
    {"2001:db8::5/65", "2001:db8::", "2001:db8::7fff:ffff:ffff:ffff", UINT64_C(1) << 63},
    {"2001:db8::5/64", "2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", UINT64_MAX},
    {"::-::ffff:ffff:ffff:fffe", "::", "::ffff:ffff:ffff:fffe", UINT64_MAX},
    {"::-::ffff:ffff:ffff:fffd", "::", "::ffff:ffff:ffff:fffd", UINT64_MAX - 1},
    {"::5/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", UINT64_MAX},
    {"::1-0:0:0:2::", "::1", "0:0:0:2::", UINT64_MAX},
    {"fe80::1%1-fe80::9%1", "fe80::1%1", "fe80::9%1", 9},
    {"fe80::1%1/128", "fe80::1%1", "fe80::1%1", 1},
};

static void test_address_span_or_prefix_gives_first_last_and_count(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(ranges); i++) {
        struct guarded_text text = guarded_text_make(ranges[i].text);
        struct ip_range range;
        struct ip_addr first;
        struct ip_addr last;
        assert_int_equal(ip_range_parse(&range, text.text, NULL), 0);
        assert_int_equal(ip_parse(&first, ranges[i].first, NULL), 0);
        assert_int_equal(ip_parse(&last, ranges[i].last, NULL), 0);
        assert_true(ip_equal(&range.first, &first));
        assert_true(ip_equal(&range.last, &last));
        if (ip_range_count(&range) != ranges[i].count) {
            fail_msg("%s: %lu", ranges[i].text, (unsigned long)ip_range_count(&range));
        }
        guarded_text_free(&text);
    }
}

static void test_at_walks_from_first_to_last(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(ranges); i++) {
        struct ip_range range;
        assert_int_equal(ip_range_parse(&range, ranges[i].text, NULL), 0);
        struct ip_addr at = ip_range_at(&range, 0);
        assert_true(ip_equal(&at, &range.first));
        uint64_t count = ip_range_count(&range);
        at = ip_range_at(&range, count - 1u);
        if (count != UINT64_MAX) {
            assert_true(ip_equal(&at, &range.last));
        }
        assert_true(ip_range_has(&range, &at));
        for (uint64_t j = 1; j < count && j < 300; j++) {
            struct ip_addr before = ip_range_at(&range, j - 1u);
            at = ip_range_at(&range, j);
            assert_true(ip_compare(&before, &at) < 0);
        }
    }
}

struct at_case {
    const char *range;
    uint64_t index;
    const char *address;
};

static void test_at_carries_from_byte_to_byte(void **state)
{
    (void)state;
    static const struct at_case cases[] = {
        {"10.0.0.254-10.0.2.0", 2, "10.0.1.0"},
        {"10.0.0.0/8", 0xffffff, "10.255.255.255"},
        {"0.0.0.0/0", UINT32_MAX, "255.255.255.255"},
        {"2001:db8::ffff-2001:db8::2:0", 1, "2001:db8::1:0"},
        {"::ffff:ffff:ffff:ffff-0:0:0:2::", 1, "0:0:0:1::"},
        {"::1/0", UINT64_MAX - 1u, "::ffff:ffff:ffff:fffe"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct ip_range range;
        struct ip_addr expected;
        assert_int_equal(ip_range_parse(&range, cases[i].range, NULL), 0);
        assert_int_equal(ip_parse(&expected, cases[i].address, NULL), 0);
        struct ip_addr at = ip_range_at(&range, cases[i].index);
        assert_true(ip_equal(&at, &expected));
    }
}

struct has_case {
    const char *range;
    const char *address;
    bool has;
};

static void test_has_tells_members_from_neighbours(void **state)
{
    (void)state;
    static const struct has_case cases[] = {
        {"10.0.0.5-10.0.0.9", "10.0.0.4", false},
        {"10.0.0.5-10.0.0.9", "10.0.0.5", true},
        {"10.0.0.5-10.0.0.9", "10.0.0.9", true},
        {"10.0.0.5-10.0.0.9", "10.0.0.10", false},
        {"10.0.0.5-10.0.0.9", "::a00:7", false},
        {"0.0.0.0/0", "::ffff:10.0.0.1", false}, /* mapped stays IPv6 */
        {"2001:db8::/64", "2001:db8::ffff", true},
        {"2001:db8::/64", "2001:db8:0:1::", false},
        {"fe80::/10", "fe80::1%7", true}, /* no interface named: any */
        {"fe80::1%7-fe80::9%7", "fe80::5%7", true},
        {"fe80::1%7-fe80::9%7", "fe80::5%8", false},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct ip_range range;
        struct ip_addr ip;
        assert_int_equal(ip_range_parse(&range, cases[i].range, NULL), 0);
        assert_int_equal(ip_parse(&ip, cases[i].address, NULL), 0);
        if (ip_range_has(&range, &ip) != cases[i].has) {
            fail_msg("%s in %s", cases[i].address, cases[i].range);
        }
    }
}

struct bad_case {
    const char *text;
    const char *part; /* of the failure's text */
};

static void test_bad_range_is_refused_with_what_to_do(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"", "use 10.0.0.1, 10.0.0.1-10.0.0.9 or 10.0.0.0/24"},
        {"ten", "not an address, a range or a prefix"},
        {"10.0.0.9-10.0.0.1", "the wrong way round; use 10.0.0.1-10.0.0.9"},
        {"::2-::1", "the wrong way round; use ::1-::2"},
        {"10.0.0.1-::1", "one end is IPv4 and the other IPv6"},
        {"fe80::1%7-fe80::9%8", "different interfaces"},
        {"10.0.0.1-", "\"\": not an IP address"},
        {"-10.0.0.1", "\"\": not an IP address"},
        {"10.0.0.1-10.0.0.300", "\"10.0.0.300\": not an IP address"},
        {"10.0.0.1-2-3", "\"10.0.0.1-2\": not an IP address"},
        {"10.0.0.0/33", "prefix length \"33\" is out of range; use 0 to 32"},
        {"10.0.0.0/", "prefix length \"\" is out of range"},
        {"10.0.0.0/-1", "prefix length \"-1\" is out of range"},
        {"10.0.0.0/24/8", "prefix length \"24/8\" is out of range"},
        {"10.0.0.0/99999999999", "use 0 to 32"},
        {"::/129", "use 0 to 128"},
        {"/24", "\"\": not an IP address"},
        {"a name of more than the length that any address can have, with a / in it",
         "not a prefix"},
        {"a name of more than the length that any address can have, with a - in it", "not a range"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        struct ip_range range;
        assert_int_equal(ip_range_parse(&range, text.text, &failure), -EINVAL);
        assert_contains(failure.text, cases[i].text);
        assert_contains(failure.text, cases[i].part);
        guarded_text_free(&text);
    }
}

struct port_case {
    const char *text;
    uint16_t first;
    uint16_t last;
};

static void test_port_range_is_one_port_or_two(void **state)
{
    (void)state;
    static const struct port_case cases[] = {
        {"7000", 7000, 7000}, {"10000-65000", 10000, 65000}, {"1-65535", 1, 65535}, {"5-5", 5, 5}};
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct port_range range;
        assert_int_equal(port_range_parse(&range, text.text, NULL), 0);
        assert_int_equal(range.first, cases[i].first);
        assert_int_equal(range.last, cases[i].last);
        guarded_text_free(&text);
    }
}

static void test_bad_port_range_is_refused_with_what_to_do(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"", "use 7000 or 10000-65000"},
        {"-", "use 7000 or 10000-65000"},
        {"1-", "use 7000 or 10000-65000"},
        {"-1", "use 7000 or 10000-65000"},
        {"0", "port 0 is out of range; use 1 to 65535"},
        {"0-5", "port 0 is out of range"},
        {"70000", "port 70000 is out of range"},
        {"1-70000", "port 70000 is out of range"},
        {"9-5", "the wrong way round; use 5-9"},
        {"a-b", "port \"a\" is not a number"},
        {"1-2-3", "port \"2-3\" is not a number"},
        {"99999999999999999999", "use 7000 or 10000-65000"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        struct port_range range;
        assert_int_equal(port_range_parse(&range, text.text, &failure), -EINVAL);
        assert_contains(failure.text, cases[i].text);
        assert_contains(failure.text, cases[i].part);
        guarded_text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_span_or_prefix_gives_first_last_and_count),
        cmocka_unit_test(test_at_walks_from_first_to_last),
        cmocka_unit_test(test_at_carries_from_byte_to_byte),
        cmocka_unit_test(test_has_tells_members_from_neighbours),
        cmocka_unit_test(test_bad_range_is_refused_with_what_to_do),
        cmocka_unit_test(test_port_range_is_one_port_or_two),
        cmocka_unit_test(test_bad_port_range_is_refused_with_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
