/* The command line: defaults, what excludes what, and one clear line for bad input. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "loadgen/options.h"

#define ARGS_MAX 24

/* Splits a line at blanks and makes a plan of it. Returns what main would judge by. */
static int make(struct plan *plan, const char *line, struct failure *failure)
{
    static const char name[] = "finwait-loadgen";
    char words[512];
    char *argv[ARGS_MAX + 1];
    char *rest = NULL;
    int argc = 1;
    struct loadgen_options options;
    struct cli_given given;
    assert_true(strlen(line) < sizeof(words));
    memcpy(words, line, strlen(line) + 1);
    argv[0] = (char *)(uintptr_t)name;
    for (char *word = strtok_r(words, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest)) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    failure->text[0] = '\0';
    memset(plan, 0, sizeof(*plan));
    if (cli_parse(&loadgen_program, argv, &options, &given, failure) != CLI_RUN) {
        return -EINVAL;
    }
    return plan_make(plan, &options, &given, failure);
}

static void bad_input_gets_one_line_that_names_it(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *part;
    } cases[] = {
        {"", "--target"},
        {"--target 127.0.0.1", "127.0.0.1"},
        {"--target 127.0.0.1:70000", "70000"},
        {"--target 127.0.0.1:0", "0"},
        {"--target 8.8.8.8:53", "--allow-target"},
        {"--target 127.0.0.1:1 --allow-target 10.0.0.0/99", "10.0.0.0/99"},
        {"--target 127.0.0.1:1 --speed 9", "--speed"},
        {"--target 127.0.0.1:1 --rate 0", "--rate 0"},
        {"--target 127.0.0.1:1 --rate 10k/x", "10k/x"},
        {"--target 127.0.0.1:1 --duration 10", "--duration 10"},
        {"--target 127.0.0.1:1 --duration 5parsecs", "5parsecs"},
        {"--target 127.0.0.1:1 --duration 0", "--count"},
        {"--target 127.0.0.1:1 --rate 1k --in-flight 5", "--in-flight"},
        {"--target 127.0.0.1:1 --in-flight 0", "--in-flight 0"},
        {"--target 127.0.0.1:1 --in-flight 10 --conns-max 5", "--conns-max 5"},
        {"--target 127.0.0.1:1 --payload 17MiB", "17MiB"},
        {"--target 127.0.0.1:1 --payload 0", "--payload 0"},
        {"--target 127.0.0.1:1 --send x", "--expect"},
        {"--target 127.0.0.1:1 --expect 5", "--send"},
        {"--target 127.0.0.1:1 --send x --expect 5 --payload 5", "--payload"},
        {"--target 127.0.0.1:1 --send x --expect 0", "--expect 0"},
        {"--target 127.0.0.1:1 --send x --expect much", "much"},
        {"--target 127.0.0.1:1 --send x --expect until-close --closer client", "--closer server"},
        {"--target 127.0.0.1:1 --send x --expect until-close --echoes 2", "--echoes"},
        {"--target 127.0.0.1:1 --send x --expect until-close --close rst", "rst"},
        {"--target 127.0.0.1:1 --send /nowhere/at-all --expect 5", "/nowhere/at-all"},
        {"--target 127.0.0.1:1 --closer nobody", "nobody"},
        {"--target 127.0.0.1:1 --close slam", "slam"},
        {"--target 127.0.0.1:1 --hold 5ms --closer server", "--closer client"},
        {"--target 127.0.0.1:1 --hold 5ms --close half", "half"},
        {"--target 127.0.0.1:1 --timeout 0", "--timeout 0"},
        {"--target 127.0.0.1:1 --sources 10.0.0.9-10.0.0.1", "10.0.0.9-10.0.0.1"},
        {"--target 127.0.0.1:1 --sources ::1", "family"},
        {"--target 127.0.0.1:1 --sources ::1 --sources 127.0.0.1 --ports kernel", "--ports kernel"},
        {"--target 127.0.0.1:1 --ports 65000-10000", "65000-10000"},
        {"--target 127.0.0.1:1 --ports 0-5", "0-5"},
        {"--target 127.0.0.1:1 --ports automatic", "automatic"},
        {"--target 127.0.0.1:1 --cpus 1-0", "1-0"},
        {"--target 127.0.0.1:1 --cpus 1000", "1000"},
        {"--target 127.0.0.1:1 --quickack maybe", "maybe"},
        {"--target 127.0.0.1:1 --without-feature magic", "magic"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan;
        struct failure failure;
        if (make(&plan, cases[i].line, &failure) == 0) {
            fail_msg("accepted: %s", cases[i].line);
        }
        if (strstr(failure.text, cases[i].part) == NULL) {
            fail_msg("%s: \"%s\" lacks \"%s\"", cases[i].line, failure.text, cases[i].part);
        }
        assert_null(strchr(failure.text, '\n'));
    }
}

static void the_defaults_are_a_closed_loop_of_ten_seconds(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    assert_int_equal(make(&plan, "--target 127.0.0.1:7000", &failure), 0);
    assert_false(plan.open_loop);
    assert_int_equal(plan.in_flight, 32 * plan.cpus.count);
    assert_int_equal(plan.duration_ns, 10 * NS_PER_SEC);
    assert_true(plan.arrivals_max == UINT64_MAX);
    assert_int_equal(plan.options.conns_max, 100000);
    assert_int_equal(plan.options.echoes, 1);
    assert_int_equal(plan.payload.size, 64);
    assert_int_equal(plan.expect, EXPECT_ECHO);
    assert_int_equal(plan.options.timeout_ns, 5 * NS_PER_SEC);
    assert_int_equal(plan.drain_ns, 6 * NS_PER_SEC);
    assert_int_equal(plan.options.reuse_after_ns, 65 * NS_PER_SEC);
    assert_int_equal(plan.ports.first, 10000);
    assert_int_equal(plan.ports.last, 65000);
    assert_int_equal(plan.closer, CLOSER_CLIENT);
    assert_int_equal(plan.close_how, CLOSE_FIN);
    assert_true(plan.options.quickack);
    assert_false(plan.conn_options.quickack_off);
    plan_destroy(&plan);
}

static void a_count_alone_lifts_the_duration(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --count 5", &failure), 0);
    assert_int_equal(plan.duration_ns, 0);
    assert_int_equal(plan.arrivals_max, 5);
    plan_destroy(&plan);
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --count 5 --duration 2s", &failure), 0);
    assert_int_equal(plan.duration_ns, 2 * NS_PER_SEC);
    plan_destroy(&plan);
}

static void no_worker_is_without_a_part_of_the_load(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --in-flight 1", &failure), 0);
    assert_int_equal(plan.cpus.count, 1);
    plan_destroy(&plan);
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --rate 5 --conns-max 1", &failure), 0);
    assert_int_equal(plan.cpus.count, 1);
    plan_destroy(&plan);
}

static void receives_are_pulled_only_where_close_must_find_none(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool pull;
    } cases[] = {
        {"--target 127.0.0.1:1 --close fin", false},
        {"--target 127.0.0.1:1 --close half", false},
        {"--target 127.0.0.1:1 --close close", true},
        {"--target 127.0.0.1:1 --close rst", true},
        {"--target 127.0.0.1:1 --close fin-no-timewait", true},
        {"--target 127.0.0.1:1 --close rst --hold 1ms", false},
        {"--target 127.0.0.1:1 --close rst --closer server", false},
        {"--target 127.0.0.1:1 --close close --closer both", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan;
        struct failure failure;
        assert_int_equal(make(&plan, cases[i].line, &failure), 0);
        assert_int_equal(plan.conn_options.pull, cases[i].pull);
        plan_destroy(&plan);
    }
}

static void a_drain_of_zero_is_not_the_default(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --drain 0", &failure), 0);
    assert_int_equal(plan.drain_ns, 0);
    plan_destroy(&plan);
}

static void automatic_ports_need_no_sources(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    assert_int_equal(make(&plan, "--target 127.0.0.1:1 --ports kernel", &failure), 0);
    assert_true(plan.ports_by_kernel);
    assert_false(plan.sources_given);
    assert_int_equal(plan.sources.address_count, 0);
    plan_destroy(&plan);
}

#define STACK "--engine stack --link packet:veth0 --address 10.9.0.2/24 --cpus 0 "

static void what_the_stack_cannot_have_gets_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *part;
    } cases[] = {
        {"--target 10.9.0.1:1 --link packet:veth0", "--engine stack"},
        {"--target 10.9.0.1:1 --engine epoll --linger-time-wait", "--linger-time-wait"},
        {"--target 10.9.0.1:1 --engine epoll --rfc1337", "--rfc1337"},
        {"--target 10.9.0.1:1 --engine stack", "--link"},
        {"--target 10.9.0.1:1 --engine stack --link packet:veth0", "--address"},
        {"--target 10.9.0.1:1 --engine stack --link veth0 --address 10.9.0.2/24", "packet:veth0"},
        {"--target 10.9.0.1:1 --engine stack --link packet:v --address 10.9.0.2", "10.9.0.2/24"},
        {"--target 10.9.0.1:1 --engine stack --link packet:v --address 10.9.0.2/0", "prefix"},
        {"--target 10.9.0.1:1 --engine stack --link packet:v --address fd00::2/64", "IPv4 only"},
        {"--target 10.9.0.1:1 --engine stack --link packet:v --address 10.9.0.255/24", "broadcast"},
        {"--target 10.9.0.1:1 --mac 1:2:3 " STACK, "--mac 1:2:3"},
        {"--target 10.9.0.1:1 --mac 02:00:00:00:00:1x " STACK, "--mac"},
        {"--target 10.9.0.1:1 --mac 03:00:00:00:00:01 " STACK, "unicast"},
        {"--target 10.9.0.1:1 --gateway 10.9.1.1 " STACK, "10.9.1.1"},
        {"--target 10.9.0.1:1 --gateway 10.9.0.2 " STACK, "gateway 10.9.0.2"},
        {"--target 10.9.1.1:1 " STACK, "--gateway"},
        {"--target 10.9.0.2:1 " STACK, "own address"},
        {"--target [fd00::1]:1 " STACK, "IPv4 only"},
        {"--target 10.9.0.1:1 --fastopen " STACK, "--fastopen"},
        {"--target 10.9.0.1:1 --without-feature direct " STACK, "--without-feature"},
        {"--target 10.9.0.1:1 --states-method bpf " STACK, "--states-method"},
        {"--target 10.9.0.1:1 --ports kernel " STACK, "--ports kernel"},
        {"--target 10.9.0.1:1 --sources 10.9.0.3 " STACK, "--sources 10.9.0.3"},
        {"--target 10.9.0.1:1 --faults loss=101% " STACK, "101%"},
        {"--target 10.9.0.1:1 --faults loss=1%,,delay=1ms " STACK, "WHAT=N"},
        {"--target 10.9.0.1:1 --faults mood=1% " STACK, "mood"},
        {"--target 10.9.0.1:1 --faults delay=5 " STACK, "delay=5"},
        {"--target 10.9.0.1:1 --faults duplicate-delay=9% " STACK, "9%"},
        {"--target 10.9.0.1:1 --faults loss=1%,direction=out " STACK, "direction=out"},
        {"--target 10.9.0.1:1 --syn-cookies maybe " STACK, "maybe"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan;
        struct failure failure;
        assert_true(make(&plan, cases[i].line, &failure) < 0);
        if (strstr(failure.text, cases[i].part) == NULL) {
            fail_msg("%s: \"%s\" does not name %s", cases[i].line, failure.text, cases[i].part);
        }
        assert_null(strchr(failure.text, '\n'));
    }
}

static void the_stacks_options_become_its_configuration(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    const char *line =
        "--target 10.9.0.1:1 --engine stack --link packet:veth0 --address 10.9.0.2-10.9.0.9/24 "
        "--mac 02:00:00:00:00:0a --time-wait 0 --rfc1337 --linger-time-wait --cpus 0 "
        "--faults loss=1%,delay=5ms,reordering=0.5,seed=9,duplicate-delay=2s,direction=sent";
    assert_int_equal(make(&plan, line, &failure), 0);
    struct transport_stack_config config =
        transport_stack_config_of(&plan.stack, 0, 1, LINK_STEER_LOCAL_PORT);
    assert_int_equal(config.link, LINK_PACKET);
    assert_int_equal(config.prefix_bits, 24);
    assert_int_equal(config.mac[5], 10);
    assert_int_equal(config.time_wait_ns, 1); /* 0 would be the default */
    assert_true(config.rfc1337);
    assert_true(plan.stack.linger);
    assert_float_equal(config.faults->loss, 0.01, 1e-9);
    assert_float_equal(config.faults->reordering, 0.5, 1e-9);
    assert_int_equal(config.faults->delay_ns, 5 * NS_PER_MS);
    assert_int_equal(config.faults->seed, 9);
    assert_int_equal(config.faults->duplicate_ns, 2 * NS_PER_SEC);
    assert_int_equal(config.faults->direction, LINK_FAULTS_SENT);
    /* Sources are the addresses, and segments are as few as can be unless asked for. */
    assert_int_equal(plan.sources.address_count, 8);
    assert_false(config.acks_apart);
    assert_true(plan.conn_options.quickack_off);
    plan_destroy(&plan);
    assert_int_equal(make(&plan, "--target 10.9.0.1:1 --quickack on " STACK, &failure), 0);
    assert_true(plan.stack.config.acks_apart && !plan.conn_options.quickack_off);
    assert_false(plan.stack.config.rfc1337);
    plan_destroy(&plan);
}

static void four_tuples_rest_as_long_as_whoever_keeps_time_wait(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint64_t rest_ns;
    } cases[] = {
        {"--target 10.9.0.1:1 " STACK, 65 * NS_PER_SEC},
        {"--target 10.9.0.1:1 --time-wait 1s " STACK, 6 * NS_PER_SEC},
        {"--target 10.9.0.1:1 --time-wait 600s " STACK, 605 * NS_PER_SEC},
        {"--target 10.9.0.1:1 --time-wait 1s --closer server " STACK, 65 * NS_PER_SEC},
        {"--target 10.9.0.1:1 --time-wait 1s --reuse-after 3s " STACK, 3 * NS_PER_SEC},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct plan plan;
        struct failure failure;
        assert_int_equal(make(&plan, cases[i].line, &failure), 0);
        assert_int_equal(plan.options.reuse_after_ns, cases[i].rest_ns);
        plan_destroy(&plan);
    }
}

static void a_routed_range_has_one_address_on_the_link(void **state)
{
    (void)state;
    struct plan plan;
    struct failure failure;
    const char *line = "--target 10.9.0.1:1 --engine stack --link packet:veth0 --cpus 0 "
                       "--address 10.200.0.0/16 --link-address 10.9.0.2/24 "
                       "--sources 10.200.1.0/24";
    assert_int_equal(make(&plan, line, &failure), 0);
    assert_int_equal(plan.sources.address_count, 256);
    assert_int_equal(plan.stack.config.link_address.bytes[3], 2);
    assert_int_equal(ip_range_count(&plan.stack.config.addresses), 65536);
    plan_destroy(&plan);
}

#undef STACK

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_input_gets_one_line_that_names_it),
        cmocka_unit_test(the_defaults_are_a_closed_loop_of_ten_seconds),
        cmocka_unit_test(a_count_alone_lifts_the_duration),
        cmocka_unit_test(no_worker_is_without_a_part_of_the_load),
        cmocka_unit_test(receives_are_pulled_only_where_close_must_find_none),
        cmocka_unit_test(a_drain_of_zero_is_not_the_default),
        cmocka_unit_test(automatic_ports_need_no_sources),
        cmocka_unit_test(what_the_stack_cannot_have_gets_one_line),
        cmocka_unit_test(four_tuples_rest_as_long_as_whoever_keeps_time_wait),
        cmocka_unit_test(the_stacks_options_become_its_configuration),
        cmocka_unit_test(a_routed_range_has_one_address_on_the_link),
    };
    return cmocka_run_group_tests_name("loadgen/options", tests, NULL, NULL);
}
