/* Which targets need --allow-target. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/guard.h"

static int check(const char *target_text, const char *allowed_text, struct failure *failure)
{
    struct endpoint target;
    struct ip_range allowed;
    assert_int_equal(endpoint_parse(&target, target_text, NULL), 0);
    if (allowed_text == NULL) {
        return guard_check(&target, NULL, 0, failure);
    }
    assert_int_equal(ip_range_parse(&allowed, allowed_text, NULL), 0);
    return guard_check(&target, &allowed, 1, failure);
}

static void local_use_addresses_pass(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "127.0.0.1:1",     "127.255.255.254:1", "10.0.0.1:1",     "172.16.0.1:1", "172.31.255.255:1",
        "192.168.255.1:1", "169.254.0.9:1",     "[::1]:1",        "[fd00::1]:1",  "[fe80::1]:1",
        "[::ffff:10.0.0.1]:1",
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        assert_int_equal(check(targets[i], NULL, NULL), 0);
    }
}

static void all_others_are_refused_with_the_option_that_allows_them(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "8.8.8.8:53",   "172.15.255.255:1",     "172.32.0.0:1",       "192.169.0.1:1",
        "11.0.0.1:1",   "126.255.255.255:1",    "128.0.0.1:1",        "0.0.0.0:1",
        "[2001:db8::1]:1", "[::ffff:8.8.8.8]:1", "255.255.255.255:1",
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        struct failure failure;
        assert_int_equal(check(targets[i], NULL, &failure), -EPERM);
        assert_non_null(strstr(failure.text, targets[i]));
        assert_non_null(strstr(failure.text, "--allow-target"));
    }
}

static void a_named_range_passes_and_its_neighbours_do_not(void **state)
{
    (void)state;
    assert_int_equal(check("203.0.113.0:80", "203.0.113.0/24", NULL), 0);
    assert_int_equal(check("203.0.113.255:80", "203.0.113.0/24", NULL), 0);
    assert_int_equal(check("203.0.114.0:80", "203.0.113.0/24", NULL), -EPERM);
    assert_int_equal(check("[2001:db8::5]:80", "2001:db8::/64", NULL), 0);
    assert_int_equal(check("[2001:db8:0:1::5]:80", "2001:db8::/64", NULL), -EPERM);
    assert_int_equal(check("8.8.8.8:80", "2001:db8::/64", NULL), -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_use_addresses_pass),
        cmocka_unit_test(all_others_are_refused_with_the_option_that_allows_them),
        cmocka_unit_test(a_named_range_passes_and_its_neighbours_do_not),
    };
    return cmocka_run_group_tests_name("loadgen/guard", tests, NULL, NULL);
}
