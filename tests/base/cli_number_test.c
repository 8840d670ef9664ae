/* Rules of base/cli for single values: numbers, units, and what is refused. */
#include "base/test.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cli.h"
#include "base/clock.h"

struct value_case {
    const char *text;
    uint64_t value;
};

struct bad_case {
    const char *text;
    const char *message; /* whole, behind "--x TEXT: " */
};

typedef int parse_function(uint64_t *value, const char *text, const char *what,
                           struct failure *failure);

static void check_values(parse_function *parse, const struct value_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        uint64_t value = 1;
        if (parse(&value, text.text, "--x", &failure) != 0 || value != cases[i].value) {
            fail_msg("%s: %lu %s", cases[i].text, (unsigned long)value, failure.text);
        }
        guarded_text_free(&text);
    }
}

static void check_refusals(parse_function *parse, const struct bad_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        char what[128];
        char expected[FAILURE_TEXT_MAX];
        uint64_t value;
        snprintf(what, sizeof what, "--x %s", cases[i].text);
        snprintf(expected, sizeof expected, "--x %s: %s", cases[i].text, cases[i].message);
        assert_int_equal(parse(&value, text.text, what, &failure), -EINVAL);
        assert_int_equal(failure.error, EINVAL);
        assert_string_equal(failure.text, expected);
        assert_int_equal(parse(&value, text.text, what, NULL), -EINVAL);
        guarded_text_free(&text);
    }
}

static void test_count_takes_decimal_units(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"200", 200},
        {"007", 7},
        {"20k", 20000},
        {"3M", 3000000},
        {"2G", 2000000000},
        {"1.5k", 1500},
        {"0.001k", 1},
        {"1.0", 1},
        {"1.500000k", 1500},
        {"2.5M", 2500000},
        {"0.0k", 0},
        {"18446744073709551615", UINT64_MAX},
        {"18446744073.709551615G", UINT64_MAX},
    };
    check_values(cli_parse_count, cases, TABLE_COUNT(cases));
}

static void test_count_refuses_what_is_no_whole_number(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"", "the value is empty; use 200, 20k or 3M"},
        {"x", "not a number; use 200, 20k or 3M"},
        {"-5", "a negative number; use 200, 20k or 3M"},
        {"-", "not a number; use 200, 20k or 3M"},
        {"+5", "not a number; use 200, 20k or 3M"},
        {" 5", "not a number; use 200, 20k or 3M"},
        {".5", "not a number; use 200, 20k or 3M"},
        {"5.", "not a number; use 200, 20k or 3M"},
        {"5.k", "not a number; use 200, 20k or 3M"},
        {"k", "not a number; use 200, 20k or 3M"},
        {"5 k", "unknown unit \" k\"; use k, M or G"},
        {"5K", "unknown unit \"K\"; use k, M or G"},
        {"5kk", "unknown unit \"kk\"; use k, M or G"},
        {"0x10", "unknown unit \"x10\"; use k, M or G"},
        {"1e3", "unknown unit \"e3\"; use k, M or G"},
        {"1,000", "unknown unit \",000\"; use k, M or G"},
        {"1.2.3", "unknown unit \".3\"; use k, M or G"},
        {"1.5", "too fine a fraction; use 200, 20k or 3M"},
        {"1.0005k", "too fine a fraction; use 200, 20k or 3M"},
        {"0.5", "too fine a fraction; use 200, 20k or 3M"},
        {"18446744073709551616", "the number is too large; use 200, 20k or 3M"},
        {"18446744073709551615k", "the number is too large; use 200, 20k or 3M"},
        {"99999999999999999999999999999999999999", "the number is too large; use 200, 20k or 3M"},
        {"0.00000000000000000000000000000000001", "too fine a fraction; use 200, 20k or 3M"},
    };
    check_refusals(cli_parse_count, cases, TABLE_COUNT(cases));
}

static void test_bytes_take_decimal_and_binary_units(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"64", 64},
        {"64B", 64},
        {"2kB", 2000},
        {"2MB", 2000000},
        {"1GB", 1000000000},
        {"16KiB", 16384},
        {"1MiB", 1048576},
        {"1GiB", 1073741824},
        {"1.5KiB", 1536},
        {"0.125KiB", 128},
        {"0.0009765625KiB", 1},
        {"17179869183GiB", 17179869183ull << 30},
    };
    check_values(cli_parse_bytes, cases, TABLE_COUNT(cases));
}

static void test_bytes_refuse_other_units_by_naming_theirs(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"16k", "unknown unit \"k\"; use B, kB, MB, GB, KiB, MiB or GiB"},
        {"16KB", "unknown unit \"KB\"; use B, kB, MB, GB, KiB, MiB or GiB"},
        {"1.5", "too fine a fraction; use 64, 16KiB or 1MiB"},
        {"1.3KiB", "too fine a fraction; use 64, 16KiB or 1MiB"},
        {"17179869184GiB", "the number is too large; use 64, 16KiB or 1MiB"},
        {"-1KiB", "a negative number; use 64, 16KiB or 1MiB"},
    };
    check_refusals(cli_parse_bytes, cases, TABLE_COUNT(cases));
}

static void test_duration_takes_units_and_needs_one_but_for_zero(void **state)
{
    (void)state;
    static const struct value_case cases[] = {
        {"0", 0},
        {"0.0", 0},
        {"0ms", 0},
        {"7ns", 7},
        {"250us", 250000},
        {"5ms", 5000000},
        {"1.5s", 1500000000},
        {"2m", 120 * NS_PER_SEC},
        {"1h", 3600 * NS_PER_SEC},
        {"0.5h", 1800 * NS_PER_SEC},
        {"0.000000001s", 1},
        {"1.000000001s", NS_PER_SEC + 1},
        {"18446744073709551615ns", UINT64_MAX},
    };
    check_values(cli_parse_duration, cases, TABLE_COUNT(cases));
    static const struct bad_case refusals[] = {
        {"5", "the unit is missing; use ns, us, ms, s, m or h, as in 5ms, 1.5s or 2m"},
        {"1.5", "the unit is missing; use ns, us, ms, s, m or h, as in 5ms, 1.5s or 2m"},
        {"5min", "unknown unit \"min\"; use ns, us, ms, s, m or h"},
        {"5S", "unknown unit \"S\"; use ns, us, ms, s, m or h"},
        {"0x", "unknown unit \"x\"; use ns, us, ms, s, m or h"},
        {"1.5ns", "too fine a fraction; use 5ms, 1.5s or 2m"},
        {"0.0000000001s", "too fine a fraction; use 5ms, 1.5s or 2m"},
        {"18446744074s", "the number is too large; use 5ms, 1.5s or 2m"},
        {"-1s", "a negative number; use 5ms, 1.5s or 2m"},
        {"s", "not a number; use 5ms, 1.5s or 2m"},
    };
    check_refusals(cli_parse_duration, refusals, TABLE_COUNT(refusals));
}

struct rate_case {
    const char *text;
    uint64_t events;
    uint64_t per_s;
};

static void test_rate_is_events_per_period_exactly(void **state)
{
    (void)state;
    static const struct rate_case cases[] = {
        {"1", 1, 1},           {"10k", 10000, 1},
        {"10k/s", 10000, 1},   {"600k/min", 600000, 60},
        {"7/h", 7, 3600},      {"1.5k/s", 1500, 1},
        {"0.5", 5, 10},        {"0.5/min", 5, 600},
        {"2.25/s", 225, 100},  {"0.000001/h", 1, UINT64_C(3600000000)},
        {"1G", 1000000000, 1},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct cli_rate rate;
        assert_int_equal(cli_parse_rate(&rate, text.text, "--rate", NULL), 0);
        assert_true(rate.events == cases[i].events);
        assert_true(rate.per_ns == cases[i].per_s * NS_PER_SEC);
        guarded_text_free(&text);
    }
}

static int parse_rate(uint64_t *value, const char *text, const char *what, struct failure *failure)
{
    struct cli_rate rate;
    *value = 0;
    return cli_parse_rate(&rate, text, what, failure);
}

static void test_rate_refuses_zero_and_other_units(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"10k/x", "unknown unit \"x\"; use 10k, 10k/s or 600k/min"},
        {"10k/", "unknown unit \"\"; use 10k, 10k/s or 600k/min"},
        {"10x/s", "unknown unit \"x\"; use 10k, 10k/s or 600k/min"},
        {"10k/s/s", "unknown unit \"s/s\"; use 10k, 10k/s or 600k/min"},
        {"0", "a rate must be above 0; use 10k, 10k/s or 600k/min"},
        {"0/min", "a rate must be above 0; use 10k, 10k/s or 600k/min"},
        {"0.0k", "a rate must be above 0; use 10k, 10k/s or 600k/min"},
        {"-1/s", "a negative number; use 10k, 10k/s or 600k/min"},
        {"/s", "not a number; use 10k, 10k/s or 600k/min"},
        {"", "the value is empty; use 10k, 10k/s or 600k/min"},
        {"0.0000001", "too fine a fraction; use 10k, 10k/s or 600k/min"},
        {"99999999999999999999/s", "the number is too large; use 10k, 10k/s or 600k/min"},
    };
    check_refusals(parse_rate, cases, TABLE_COUNT(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_takes_decimal_units),
        cmocka_unit_test(test_count_refuses_what_is_no_whole_number),
        cmocka_unit_test(test_bytes_take_decimal_and_binary_units),
        cmocka_unit_test(test_bytes_refuse_other_units_by_naming_theirs),
        cmocka_unit_test(test_duration_takes_units_and_needs_one_but_for_zero),
        cmocka_unit_test(test_rate_is_events_per_period_exactly),
        cmocka_unit_test(test_rate_refuses_zero_and_other_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
