/* Rules of base/addr for single addresses and endpoints. */
#include "base/test.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/addr.h"

struct text_case {
    const char *text;
    const char *printed; /* NULL: as it was read */
};

static void test_address_is_read_and_printed(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"127.0.0.1", NULL},
        {"0.0.0.0", NULL},
        {"255.255.255.255", NULL},
        {"::", NULL},
        {"::1", NULL},
        {"2001:db8::1:0:0:1", NULL},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"::ffff:192.0.2.1", NULL},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
        {"fe80::1", NULL},
        {"fe80::1%lo", "fe80::1%1"},
        {"fe80::1%1", NULL},
        {"febf::1%4294967294", NULL},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        char printed[IP_TEXT_MAX];
        struct ip_addr ip;
        struct ip_addr again;
        assert_int_equal(ip_parse(&ip, text.text, NULL), 0);
        ip_format(&ip, printed);
        if (strchr(cases[i].text, '%') == NULL || if_nametoindex("lo") == 1) {
            assert_string_equal(printed, cases[i].printed ? cases[i].printed : cases[i].text);
        }
        assert_int_equal(ip_parse(&again, printed, NULL), 0);
        assert_true(ip_equal(&ip, &again));
        guarded_text_free(&text);
    }
}

static void test_bytes_are_in_network_order_and_the_rest_is_zero(void **state)
{
    (void)state;
    static const uint8_t expected[16] = {192, 0, 2, 7};
    struct ip_addr ip;
    memset(&ip, 0xff, sizeof ip);
    assert_int_equal(ip_parse(&ip, "192.0.2.7", NULL), 0);
    assert_int_equal(ip.family, AF_INET);
    assert_int_equal(ip.scope_id, 0);
    assert_memory_equal(ip.bytes, expected, sizeof expected);
    assert_int_equal(ip_parse(&ip, "::ffff:192.0.2.7", NULL), 0);
    assert_int_equal(ip.family, AF_INET6); /* mapped stays IPv6 */
}

struct bad_case {
    const char *text;
    const char *part; /* of the failure's text */
};

static void test_bad_address_is_refused_with_what_to_do(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"", "not an IP address"},
        {"localhost", "names are not resolved"},
        {"127.0.0.256", "use 127.0.0.1"},
        {"127.1", "not an IP address"},
        {"127.0.0.01", "not an IP address"},
        {" 127.0.0.1", "not an IP address"},
        {"127.0.0.1 ", "not an IP address"},
        {"::1::", "not an IP address"},
        {"12345::", "not an IP address"},
        {"[::1]", "not an IP address"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "not an IP address"},
        {"0000000000000000000000000000000000000000000000000000::1", "not an IP address"},
        {"127.0.0.1%lo", "only a link-local"},
        {"::1%lo", "use ::1"},
        {"fe80::1%", "no interface \"\""},
        {"fe80::1%0", "no interface \"0\""},
        {"fe80::1%4294967295", "no interface"},
        {"fe80::1%4294967296", "no interface"},
        {"fe80::1%no such one", "`ip link` lists them"},
        {"fe80::1%lo%lo", "no interface"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        struct ip_addr ip;
        assert_int_equal(ip_parse(&ip, text.text, &failure), -EINVAL);
        assert_int_equal(failure.error, EINVAL);
        assert_contains(failure.text, cases[i].text);
        assert_contains(failure.text, cases[i].part);
        guarded_text_free(&text);
    }
}

static void test_endpoint_is_read_and_printed(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "127.0.0.1:7000",
        "0.0.0.0:1",
        "255.255.255.255:65535",
        "[::1]:7000",
        "[::]:80",
        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
        "[fe80::1%4294967294]:65535",
        "[::ffff:1.2.3.4]:443",
    };
    for (size_t i = 0; i < TABLE_COUNT(texts); i++) {
        struct guarded_text text = guarded_text_make(texts[i]);
        char printed[ENDPOINT_TEXT_MAX];
        struct endpoint endpoint;
        assert_int_equal(endpoint_parse(&endpoint, text.text, NULL), 0);
        assert_string_equal(endpoint_format(&endpoint, printed), texts[i]);
        guarded_text_free(&text);
    }
}

static void test_longest_texts_fit_their_buffers(void **state)
{
    (void)state;
    struct endpoint endpoint = {.ip = {.family = AF_INET6, .scope_id = UINT32_MAX}, .port = 65535};
    memset(endpoint.ip.bytes, 0xff, sizeof endpoint.ip.bytes);
    char ip[IP_TEXT_MAX];
    char text[ENDPOINT_TEXT_MAX];
    assert_string_equal(ip_format(&endpoint.ip, ip),
                        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295");
    assert_string_equal(endpoint_format(&endpoint, text),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void test_address_not_given_prints_as_a_star(void **state)
{
    (void)state;
    struct endpoint endpoint = {.port = 80};
    char text[ENDPOINT_TEXT_MAX];
    assert_string_equal(endpoint_format(&endpoint, text), "*:80");
}

static void test_bad_endpoint_is_refused_with_what_to_do(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"127.0.0.1:70000", "\"127.0.0.1:70000\": port 70000 is out of range; use 1 to 65535"},
        {"127.0.0.1:65536", "port 65536 is out of range"},
        {"127.0.0.1:0", "port 0 is out of range; use 1 to 65535"},
        {"127.0.0.1:99999999999999999999", "is out of range; use 1 to 65535"},
        {"127.0.0.1:-1", "port \"-1\" is not a number"},
        {"127.0.0.1:http", "port \"http\" is not a number"},
        {"127.0.0.1:80 ", "port \"80 \" is not a number"},
        {"127.0.0.1", "the port is missing; use 127.0.0.1:7000"},
        {"127.0.0.1:", "the port is missing"},
        {"[::1]", "the port is missing; use [::1]:7000"},
        {"[::1]:", "the port is missing"},
        {"[::1]:0", "port 0 is out of range"},
        {"::1:7000", "needs brackets; use [::1]:7000"},
        {"::1", "needs brackets"},
        {"[::1", "the brackets must hold the address alone"},
        {"[::1]7000", "the brackets must hold the address alone"},
        {"[::1:7000", "the brackets must hold the address alone"},
        {"[127.0.0.1]:80", "only an IPv6 address takes brackets; use 127.0.0.1:80"},
        {"[]:80", "\"\" is not an IP address"},
        {"", "\"\" is not an IP address"},
        {":80", "use 127.0.0.1:7000 or [::1]:7000"},
        {"localhost:80", "\"localhost\" is not an IP address (names are not resolved)"},
        {"[fe80::1%]:80", "no interface"},
        {"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27:1",
         "not an address and a port"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        struct endpoint endpoint;
        assert_int_equal(endpoint_parse(&endpoint, text.text, &failure), -EINVAL);
        assert_contains(failure.text, cases[i].text);
        assert_contains(failure.text, cases[i].part);
        guarded_text_free(&text);
    }
}

static void test_refused_text_leaves_the_result_alone(void **state)
{
    (void)state;
    struct endpoint endpoint = {.port = 5};
    assert_true(endpoint_parse(&endpoint, "127.0.0.1:0", NULL) < 0);
    assert_int_equal(endpoint.port, 5);
    assert_int_equal(endpoint.ip.family, AF_UNSPEC);
}

static void test_compare_orders_family_then_number_then_interface(void **state)
{
    (void)state;
    static const char *const ascending[] = {
        "0.0.0.0",         "1.0.0.0",   "9.255.255.255", "10.0.0.1",       "128.0.0.1",
        "255.255.255.255", "::",        "::1",           "::ffff:1.2.3.4", "2001:db8::1",
        "fe80::1",         "fe80::1%1", "fe80::1%2",     "ffff::",
    };
    for (size_t i = 0; i < TABLE_COUNT(ascending); i++) {
        for (size_t j = 0; j < TABLE_COUNT(ascending); j++) {
            struct ip_addr a;
            struct ip_addr b;
            assert_int_equal(ip_parse(&a, ascending[i], NULL), 0);
            assert_int_equal(ip_parse(&b, ascending[j], NULL), 0);
            int order = ip_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
            assert_int_equal(ip_equal(&a, &b), i == j);
        }
    }
}

static void test_endpoints_are_equal_when_address_and_port_are(void **state)
{
    (void)state;
    struct endpoint a;
    struct endpoint b;
    assert_int_equal(endpoint_parse(&a, "127.0.0.1:80", NULL), 0);
    b = a;
    assert_true(endpoint_equal(&a, &b));
    b.port = 81;
    assert_false(endpoint_equal(&a, &b));
    b.port = 80;
    b.ip.bytes[3] = 2;
    assert_false(endpoint_equal(&a, &b));
}

struct use_case {
    const char *text;
    bool local_use;
    bool loopback;
};

static void test_loopback_private_and_link_local_are_local_use(void **state)
{
    (void)state;
    static const struct use_case cases[] = {
        {"126.255.255.255", false, false},
        {"127.0.0.0", true, true},
        {"127.255.255.255", true, true},
        {"128.0.0.0", false, false},
        {"9.255.255.255", false, false},
        {"10.0.0.0", true, false},
        {"10.255.255.255", true, false},
        {"11.0.0.0", false, false},
        {"172.15.255.255", false, false},
        {"172.16.0.0", true, false},
        {"172.31.255.255", true, false},
        {"172.32.0.0", false, false},
        {"192.167.255.255", false, false},
        {"192.168.0.0", true, false},
        {"192.168.255.255", true, false},
        {"192.169.0.0", false, false},
        {"169.253.255.255", false, false},
        {"169.254.0.0", true, false},
        {"169.254.255.255", true, false},
        {"169.255.0.0", false, false},
        {"100.64.0.1", false, false},
        {"8.8.8.8", false, false},
        {"0.0.0.0", false, false},
        {"255.255.255.255", false, false},
        {"::1", true, true},
        {"::", false, false},
        {"::2", false, false},
        {"fbff::1", false, false},
        {"fc00::", true, false},
        {"fdff:ffff::1", true, false},
        {"fe00::1", false, false},
        {"fe80::", true, false},
        {"febf:ffff::1", true, false},
        {"fec0::", false, false},
        {"2001:db8::1", false, false},
        {"::ffff:127.0.0.1", true, true},
        {"::ffff:10.1.2.3", true, false},
        {"::ffff:8.8.8.8", false, false},
        {"::127.0.0.1", false, false},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct ip_addr ip;
        assert_int_equal(ip_parse(&ip, cases[i].text, NULL), 0);
        if (ip_is_local_use(&ip) != cases[i].local_use ||
            ip_is_loopback(&ip) != cases[i].loopback) {
            fail_msg("%s", cases[i].text);
        }
    }
    const struct ip_addr none = {0};
    assert_false(ip_is_local_use(&none));
    assert_false(ip_is_loopback(&none));
}

static void test_socket_form_carries_everything_both_ways(void **state)
{
    (void)state;
    static const char *const texts[] = {"192.0.2.1:7000", "[2001:db8::7]:65535", "[fe80::1%7]:1"};
    for (size_t i = 0; i < TABLE_COUNT(texts); i++) {
        struct endpoint endpoint;
        struct endpoint back;
        struct sockaddr_storage address;
        assert_int_equal(endpoint_parse(&endpoint, texts[i], NULL), 0);
        memset(&address, 0xff, sizeof address);
        socklen_t length = endpoint_to_sockaddr(&endpoint, &address);
        assert_int_equal(length, endpoint.ip.family == AF_INET ? sizeof(struct sockaddr_in)
                                                               : sizeof(struct sockaddr_in6));
        assert_int_equal(endpoint_from_sockaddr(&back, (const struct sockaddr *)&address), 0);
        assert_true(endpoint_equal(&endpoint, &back));
        assert_int_equal(back.ip.scope_id, endpoint.ip.scope_id);
    }
}

static void test_socket_form_is_in_network_order(void **state)
{
    (void)state;
    struct endpoint endpoint;
    struct sockaddr_storage address;
    assert_int_equal(endpoint_parse(&endpoint, "192.0.2.1:258", NULL), 0);
    endpoint_to_sockaddr(&endpoint, &address);
    struct sockaddr_in in;
    memcpy(&in, &address, sizeof in);
    assert_memory_equal(&in.sin_port, "\x01\x02", 2);
    assert_memory_equal(&in.sin_addr, "\xc0\x00\x02\x01", 4);
}

static void test_other_families_are_refused(void **state)
{
    (void)state;
    struct endpoint endpoint;
    const struct sockaddr address = {.sa_family = AF_UNIX};
    assert_int_equal(endpoint_from_sockaddr(&endpoint, &address), -EAFNOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_is_read_and_printed),
        cmocka_unit_test(test_bytes_are_in_network_order_and_the_rest_is_zero),
        cmocka_unit_test(test_bad_address_is_refused_with_what_to_do),
        cmocka_unit_test(test_endpoint_is_read_and_printed),
        cmocka_unit_test(test_longest_texts_fit_their_buffers),
        cmocka_unit_test(test_address_not_given_prints_as_a_star),
        cmocka_unit_test(test_bad_endpoint_is_refused_with_what_to_do),
        cmocka_unit_test(test_refused_text_leaves_the_result_alone),
        cmocka_unit_test(test_compare_orders_family_then_number_then_interface),
        cmocka_unit_test(test_endpoints_are_equal_when_address_and_port_are),
        cmocka_unit_test(test_loopback_private_and_link_local_are_local_use),
        cmocka_unit_test(test_socket_form_carries_everything_both_ways),
        cmocka_unit_test(test_socket_form_is_in_network_order),
        cmocka_unit_test(test_other_families_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
