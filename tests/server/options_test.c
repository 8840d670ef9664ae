/* Options: what a command line becomes, and the line that a wrong one gets. */
#include "server/options.h"

#include <errno.h>
#include <string.h>

#include "base/test.h"

#define ARGUMENTS_MAX 16

/* Parses a command line that is written as one text, words apart by blanks. */
static enum cli_outcome parse(struct server_options *options, const char *line,
                              struct failure *failure)
{
    char text[256];
    char name[] = SERVER_NAME;
    char *argv[ARGUMENTS_MAX + 1] = {name};
    int argc = 1;
    assert_true(strlen(line) < sizeof(text));
    memcpy(text, line, strlen(line) + 1);
    char *rest = text;
    char *word;
    while ((word = strtok_r(rest, " ", &rest)) != NULL) {
        assert_true(argc < ARGUMENTS_MAX);
        argv[argc++] = word;
    }
    failure->text[0] = '\0';
    enum cli_outcome outcome = options_parse(options, argv, failure);
    /* The lists of the options point into this text; the tests look only at what was made of them.
     */
    return outcome;
}

static void defaults_are_those_that_the_help_names(void **state)
{
    (void)state;
    struct server_options options;
    struct failure failure;
    assert_int_equal(parse(&options, "", &failure), CLI_RUN);
    char text[ENDPOINT_TEXT_MAX];
    assert_int_equal(options.address_count, 1);
    assert_string_equal(endpoint_format(&options.addresses[0], text), "127.0.0.1:7000");
    struct cpu_list allowed;
    assert_int_equal(cpu_list_allowed(&allowed), 0);
    assert_int_equal(options.cpu_list.count, allowed.count);
    assert_int_equal(options.engine, TRANSPORT_AUTO);
    assert_int_equal(options.backlog, 4096);
    assert_int_equal(options.conns_max, 100000);
    assert_int_equal(options.idle_timeout_ns, 0);
    assert_int_equal(options.drain_ns, 5 * UINT64_C(1000000000));
    assert_true(options.quickack);
    assert_int_equal(options.limit.unit, ECHO_LIMIT_NONE);
    assert_int_equal(options.features_off, 0);
}

static void several_addresses_of_both_families_are_taken(void **state)
{
    (void)state;
    struct server_options options;
    struct failure failure;
    const char *line =
        "--listen 127.0.0.1:0 --listen [::1]:0 --listen 127.0.0.1:0 --listen=0.0.0.0:80";
    assert_int_equal(parse(&options, line, &failure), CLI_RUN);
    assert_int_equal(options.address_count, 4);
    assert_int_equal(options.addresses[0].port, 0);
    assert_int_equal(options.addresses[1].ip.family, AF_INET6);
    assert_int_equal(options.addresses[1].port, 0);
    assert_int_equal(options.addresses[3].port, 80);
}

static const struct limit_case {
    const char *text;
    enum echo_limit_unit unit;
    uint64_t count;
} limit_cases[] = {
    {"64B", ECHO_LIMIT_BYTES, 64},       {"1KiB", ECHO_LIMIT_BYTES, 1024},
    {"2kB", ECHO_LIMIT_BYTES, 2000},     {"1echo", ECHO_LIMIT_ECHOES, 1},
    {"3echoes", ECHO_LIMIT_ECHOES, 3},   {"1echoes", ECHO_LIMIT_ECHOES, 1},
    {"007echoes", ECHO_LIMIT_ECHOES, 7}, {"1GiB", ECHO_LIMIT_BYTES, 1u << 30},
};

static void a_limit_is_read_with_its_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(limit_cases); i++) {
        const struct limit_case *row = &limit_cases[i];
        struct echo_limit limit;
        struct failure failure;
        assert_int_equal(options_parse_limit(&limit, row->text, &failure), 0);
        assert_int_equal(limit.unit, row->unit);
        assert_int_equal(limit.count, row->count);
    }
}

/* Each wrong text, and words that its line must hold. */
static const struct bad_limit_case {
    const char *text;
    const char *words;
} bad_limit_cases[] = {
    {"", "needs a number and its unit"},
    {"64", "needs a number and its unit; use 64B"},
    {"B", "needs a number and its unit"},
    {"echo", "needs a number"},
    {"-1echo", "needs a number"},
    {"0B", "use 1 at least"},
    {"0echoes", "use 1 at least"},
    {"5furlongs", "furlongs"},
    {"1 echo", "unknown unit"},
    {"99999999999999999999echoes", "too large"},
    {"99999999999999999999999999999999echoes", "needs a number"},
    {"99999999999999999999GiB", "too large"},
};

static void a_wrong_limit_is_refused_with_its_text_and_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(bad_limit_cases); i++) {
        const struct bad_limit_case *row = &bad_limit_cases[i];
        struct echo_limit limit;
        struct failure failure;
        assert_int_equal(options_parse_limit(&limit, row->text, &failure), -EINVAL);
        assert_contains(failure.text, "--closes-after");
        assert_contains(failure.text, row->text);
        assert_contains(failure.text, row->words);
    }
}

static const struct bad_case {
    const char *line;
    const char *words;
} bad_cases[] = {
    {"--bogus", "unknown option"},
    {"--listen 127.0.0.1", "port is missing"},
    {"--listen 127.0.0.1:70000", "70000"},
    {"--listen localhost:7000", "localhost"},
    {"--listen :0", "--listen"},
    {"--listen 127.0.0.1:9 --listen 127.0.0.1:9", "given twice"},
    {"--cpus 1-0", "wrong way round"},
    {"--cpus 1000", "CPU 1000 is not there or not allowed"},
    {"--close rst", "add --closes-after"},
    {"--closes-after 1echo --close maybe", "fin-no-timewait"},
    {"--closes-after 64", "64"},
    {"--respond page --closes-after 64B", "1echo"},
    {"--backlog 0", "--backlog"},
    {"--conns-max 0", "--conns-max"},
    {"--conns-max 5M", "--conns-max"},
    {"--drain 5", "unit"},
    {"--quickack perhaps", "on or off"},
    {"--engine dpdk", "uring"},
    {"--engine stack", "--link"},
    {"--engine stack --link packet:veth0", "--address"},
    {"--engine stack --link packet:veth0 --address 10.9.0.1", "10.9.0.2/24"},
    {"--engine stack --link packet:v --address 10.9.0.1/24 --listen 10.9.0.2:1", "10.9.0.2:1"},
    {"--engine stack --link packet:v --address 10.9.0.1/24 --listen [::1]:1", "IPv4 only"},
    {"--engine stack --link packet:v --address 10.9.0.1/24 --fastopen", "--fastopen"},
    {"--engine stack --link packet:v --address 10.9.0.1/24 --states-method bpf", "--states-method"},
    {"--engine epoll --address 10.9.0.1/24", "--engine stack"},
    {"--without-feature nonsense", "accept-multishot"},
    {"stray", "stray"},
};

static void a_wrong_command_line_gets_one_line_that_names_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(bad_cases); i++) {
        struct server_options options;
        struct failure failure;
        assert_int_equal(parse(&options, bad_cases[i].line, &failure), CLI_BAD);
        assert_contains(failure.text, bad_cases[i].words);
        assert_null(strchr(failure.text, '\n'));
    }
}

static void features_that_are_switched_off_add_up(void **state)
{
    (void)state;
    struct server_options options;
    struct failure failure;
    const char *line = "--without-feature direct --without-feature accept-multishot";
    assert_int_equal(parse(&options, line, &failure), CLI_RUN);
    assert_int_equal(options.features_off,
                     transport_feature_find("direct") | transport_feature_find("accept-multishot"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_that_the_help_names),
        cmocka_unit_test(several_addresses_of_both_families_are_taken),
        cmocka_unit_test(a_limit_is_read_with_its_unit),
        cmocka_unit_test(a_wrong_limit_is_refused_with_its_text_and_what_to_do),
        cmocka_unit_test(a_wrong_command_line_gets_one_line_that_names_it),
        cmocka_unit_test(features_that_are_switched_off_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
