/* finwait-stat's command line: what it takes, and the one line that bad input gets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "stat/options.h"

#define ARGUMENTS_MAX 8

/* Parses a NULL-ended command line. Returns 0 or -EINVAL. */
static int parse(const char *const *arguments, struct stat_options *options,
                 struct stat_settings *settings, struct failure *failure)
{
    char *argv[ARGUMENTS_MAX + 1] = {(char[]){"finwait-stat"}};
    char texts[ARGUMENTS_MAX][64];
    for (int argc = 1; *arguments != NULL; arguments++, argc++) {
        strncpy(texts[argc], *arguments, sizeof(texts[argc]) - 1);
        texts[argc][sizeof(texts[argc]) - 1] = '\0';
        argv[argc] = texts[argc];
    }
    if (cli_parse(&stat_program, argv, options, NULL, failure) != CLI_RUN) {
        return -EINVAL;
    }
    /* The budget is taken before the texts go; the ports become sets. */
    return stat_settings_make(settings, options, failure);
}

static void test_a_budget_is_in_tenths_of_a_percent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t permille;
    } cases[] = {{"2%", 20},   {"0.5%", 5},      {"0%", 0},  {"100%", 1000},
                 {"7.3%", 73}, {"100.0%", 1000}, {".5%", 5}, {"0.1%", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure failure;
        uint32_t permille = 12345;
        assert_int_equal(stat_parse_budget(&permille, cases[i].text, &failure), 0);
        assert_int_equal(permille, cases[i].permille);
    }
}

static void test_a_bad_budget_is_named(void **state)
{
    (void)state;
    static const char *const texts[] = {"",    "%",           "2",     "2.%",    "0.25%",
                                        "2 %", "-1%",         "101%",  "100.1%", "1e2%",
                                        "2%%", "4294967298%", "1.2.3%"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct failure failure = {0};
        uint32_t permille;
        assert_int_equal(stat_parse_budget(&permille, texts[i], &failure), -EINVAL);
        assert_non_null(strstr(failure.text, "--budget"));
    }
}

static void test_a_method_is_taken_by_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum census_method method;
    } cases[] = {{"auto", CENSUS_AUTO},
                 {"procfs", CENSUS_PROCFS},
                 {"sock_diag", CENSUS_SOCK_DIAG},
                 {"bpf", CENSUS_BPF}};
    struct stat_options options;
    struct stat_settings settings;
    struct failure failure = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const arguments[] = {"--method", cases[i].name, NULL};
        assert_int_equal(parse(arguments, &options, &settings, &failure), 0);
        assert_int_equal(options.method, cases[i].method);
    }
    const char *const none[] = {NULL};
    assert_int_equal(parse(none, &options, &settings, &failure), 0);
    assert_int_equal(options.method, CENSUS_AUTO);
    const char *const unknown[] = {"--method", "ebpf", NULL};
    assert_int_equal(parse(unknown, &options, &settings, &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "sock_diag"));
}

static void test_ports_and_ranges_become_filters(void **state)
{
    (void)state;
    const char *const arguments[] = {"--port", "7000", "--port=80-82", "--local-port", "1", NULL};
    struct stat_options options;
    struct stat_settings settings;
    struct failure failure = {0};
    assert_int_equal(parse(arguments, &options, &settings, &failure), 0);
    const struct census_request request = stat_settings_request(&settings);
    assert_non_null(request.either_ports);
    assert_non_null(request.local_ports);
    assert_null(request.remote_ports);
    assert_true(port_set_has(request.either_ports, 7000));
    assert_true(port_set_has(request.either_ports, 81));
    assert_false(port_set_has(request.either_ports, 83));
    assert_true(port_set_has(request.local_ports, 1));
    assert_int_equal(settings.budget_permille, 10);
    assert_int_equal(options.interval_ns, 1000000000);
}

static void test_addresses_states_and_pids_become_filters(void **state)
{
    (void)state;
    const char *const arguments[] = {"--local-address", "10.0.0.0/8", "--state", "CLOSE_WAIT",
                                     "--state=listen",  "--pid",      "1",       NULL};
    struct stat_options options;
    struct stat_settings settings;
    struct failure failure = {0};
    assert_int_equal(parse(arguments, &options, &settings, &failure), 0);
    const struct census_request request = stat_settings_request(&settings);
    assert_null(request.either_addrs);
    assert_non_null(request.local_addrs);
    struct ip_addr inside;
    struct ip_addr mapped;
    struct ip_addr outside;
    assert_int_equal(ip_parse(&inside, "10.1.2.3", NULL), 0);
    assert_int_equal(ip_parse(&mapped, "::ffff:10.1.2.3", NULL), 0);
    assert_int_equal(ip_parse(&outside, "11.0.0.0", NULL), 0);
    assert_true(addr_set_has(request.local_addrs, &inside));
    assert_true(addr_set_has(request.local_addrs, &mapped));
    assert_false(addr_set_has(request.local_addrs, &outside));
    assert_int_equal(request.states, 1u << TCP_STATE_CLOSE_WAIT | 1u << TCP_STATE_LISTEN);
    assert_true(stat_settings_names_owner(&settings));
    assert_true(settings.has_by); /* auto: by pid */
}

static void test_bad_input_gets_a_line_that_names_the_option(void **state)
{
    (void)state;
    static const struct {
        const char *const arguments[4];
        const char *named;
    } cases[] = {
        {{"--port", "70000", NULL}, "--port"},
        {{"--port", "0", NULL}, "--port"},
        {{"--local-port", "82-80", NULL}, "--local-port"},
        {{"--remote-port", "http", NULL}, "--remote-port"},
        {{"--interval", "0", NULL}, "--interval"},
        {{"--interval", "1", NULL}, "--interval"},
        {{"--count", "0", NULL}, "--count"},
        {{"--budget", "200%", NULL}, "--budget"},
        {{"--once", "--count=3", NULL}, "--count"},
        {{"--json", "", NULL}, "--json"},
        {{"--prot", "7000", NULL}, "--port"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stat_options options;
        struct stat_settings settings;
        struct failure failure = {0};
        assert_int_equal(parse(cases[i].arguments, &options, &settings, &failure), -EINVAL);
        if (strstr(failure.text, cases[i].named) == NULL || strchr(failure.text, '\n') != NULL) {
            fail_msg("%s: %s", cases[i].arguments[0], failure.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_budget_is_in_tenths_of_a_percent),
        cmocka_unit_test(test_a_bad_budget_is_named),
        cmocka_unit_test(test_a_method_is_taken_by_its_name),
        cmocka_unit_test(test_ports_and_ranges_become_filters),
        cmocka_unit_test(test_addresses_states_and_pids_become_filters),
        cmocka_unit_test(test_bad_input_gets_a_line_that_names_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
