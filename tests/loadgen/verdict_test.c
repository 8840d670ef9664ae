/* What limits a run, and the exit code that follows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/verdict.h"

/* A run without a blemish; each test spoils one thing. */
static struct verdict_facts good(void)
{
    return (struct verdict_facts){.open_loop = true,
                                  .offered = 10000,
                                  .attempted = 10000,
                                  .completed = 10000,
                                  .slip_p99_ns = 100000,
                                  .cpu_share = 0.4,
                                  .conns_max = 100,
                                  .reuse_after_ns = UINT64_C(65000000000)};
}

struct judged {
    struct result result;
    int exit_code;
};

static struct judged judge(const struct verdict_facts *facts)
{
    struct judged judged;
    assert_int_equal(result_init(&judged.result, "test"), 0);
    assert_int_equal(verdict_judge(&judged.result, facts), 0);
    judged.exit_code = result_exit_code(&judged.result);
    return judged;
}

/* Asserts that the facts give one limit of this code and this exit code. */
static void expect(const struct verdict_facts *facts, const char *code, int exit_code)
{
    struct judged judged = judge(facts);
    assert_int_equal(judged.result.limit_count, 1);
    assert_string_equal(judged.result.limits[0].code, code);
    assert_int_equal(judged.exit_code, exit_code);
    result_destroy(&judged.result);
}

/* Asserts that they make the run invalid for its 4-tuples, in a text that says both. */
static void expect_4_tuples(const struct verdict_facts *facts, const char *said, const char *too)
{
    struct judged judged = judge(facts);
    assert_int_equal(judged.result.limit_count, 1);
    assert_string_equal(judged.result.limits[0].code, "4-tuples");
    assert_non_null(strstr(judged.result.limits[0].text, said));
    assert_non_null(strstr(judged.result.limits[0].text, too));
    assert_int_equal(judged.exit_code, 3);
    result_destroy(&judged.result);
}

static void a_run_without_a_blemish_has_no_limit(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    struct judged judged = judge(&facts);
    assert_int_equal(judged.result.limit_count, 0);
    assert_int_equal(judged.exit_code, 0);
    result_destroy(&judged.result);
}

static void a_signal_makes_the_run_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.interrupted = true;
    expect(&facts, "interrupted", 3);
}

static void shed_arrivals_make_the_run_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.shed = 1;
    facts.offered++;
    expect(&facts, "conns-max", 3);
}

static void a_missing_4_tuple_makes_the_run_invalid_and_names_the_options(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = facts.failed_before_syn = facts.no_tuple = 5;
    facts.completed -= 5;
    expect_4_tuples(&facts, "--sources", "--reuse-after");
}

static void missing_descriptors_make_the_run_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = facts.failed_before_syn = facts.no_descriptors = 5;
    facts.completed -= 5;
    expect(&facts, "descriptors", 3);
}

static void ports_of_other_programs_are_worth_a_note(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = facts.failed_before_syn = facts.tuple_taken = 5;
    facts.completed -= 5;
    expect(&facts, "ports-taken", 0);
}

static void a_4_tuple_whose_last_connection_is_not_over_makes_the_run_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = facts.failed_before_syn = facts.tuple_early = 5;
    facts.completed -= 5;
    expect_4_tuples(&facts, "TIME_WAIT", "--reuse-after over 65.0 s");
}

static void other_failures_of_our_own_make_the_run_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = facts.failed_before_syn = 5;
    facts.completed -= 5;
    expect(&facts, "setup", 3);
}

static void arrivals_not_started_break_the_schedule_from_a_thousandth_on(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.attempted = facts.completed = 9990;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.exit_code, 0);
    result_destroy(&judged.result);
    facts.attempted = facts.completed = 9989;
    expect(&facts, "schedule", 3);
}

static void slip_is_noted_and_then_breaks_the_schedule(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.slip_p99_ns = VERDICT_SLIP_NOTE_NS + 1;
    expect(&facts, "schedule", 0);
    facts.slip_p99_ns = VERDICT_SLIP_INVALID_NS + 1;
    expect(&facts, "schedule", 3);
}

static void a_saturated_generator_spoils_an_open_loop_that_slips(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.cpu_share = VERDICT_CPU_SHARE;
    expect(&facts, "generator-cpu", 0);
    facts.slip_p99_ns = VERDICT_SLIP_NOTE_NS + 1;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.result.limit_count, 2); /* beside the note on the schedule */
    assert_string_equal(judged.result.limits[1].code, "generator-cpu");
    assert_int_equal(judged.exit_code, 3);
    result_destroy(&judged.result);
    facts.open_loop = false;
    facts.slip_p99_ns = 0;
    expect(&facts, "generator-cpu", 0);
}

static void a_closed_loop_has_no_schedule_to_break(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.open_loop = false;
    facts.offered = 20000;
    facts.slip_p99_ns = VERDICT_SLIP_INVALID_NS + 1;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.result.limit_count, 0);
    result_destroy(&judged.result);
}

static void failures_of_the_target_exit_4(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = 1;
    facts.completed--;
    expect(&facts, "target", 4);
}

static void failures_while_the_own_link_was_down_are_not_the_targets(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.link_down = 1;
    facts.failed = 5;
    facts.completed -= 5;
    expect(&facts, "own-link", 3);
    facts.closer_is_server = true;
    facts.close_timed_out = 5;
    expect(&facts, "own-link", 3);
    facts = good();
    facts.link_down = 1;
    facts.completed = 0;
    facts.open_at_end = facts.attempted;
    struct judged judged = judge(&facts);
    assert_string_equal(judged.result.limits[0].code, "own-link");
    assert_int_equal(judged.exit_code, 3);
    result_destroy(&judged.result);
}

static void a_link_that_was_down_and_cost_nothing_spoils_no_run(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.link_down = 1;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.result.limit_count, 0);
    result_destroy(&judged.result);
    facts.failed = facts.failed_before_syn = facts.no_descriptors = 5; /* what else failed */
    facts.completed -= 5;
    expect(&facts, "descriptors", 3);
}

static void an_invalid_run_does_not_blame_the_target_in_its_exit_code(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.failed = 1;
    facts.completed--;
    facts.interrupted = true;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.result.limit_count, 2);
    assert_int_equal(judged.exit_code, 3);
    result_destroy(&judged.result);
}

static void a_server_that_does_not_close_is_told_its_option(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.closer_is_server = true;
    facts.failed = facts.close_timed_out = facts.attempted;
    facts.completed = 0;
    struct judged judged = judge(&facts);
    assert_string_equal(judged.result.limits[0].code, "no-close");
    assert_non_null(strstr(judged.result.limits[0].text, "--closes-after"));
    assert_int_equal(judged.exit_code, 4);
    result_destroy(&judged.result);
}

static void a_run_that_completes_nothing_fails_its_target(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.completed = 0;
    facts.open_at_end = facts.attempted;
    struct judged judged = judge(&facts);
    assert_int_equal(judged.exit_code, 4);
    result_destroy(&judged.result);
}

static void a_run_without_attempts_is_invalid(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.offered = facts.attempted = facts.completed = 0;
    expect(&facts, "nothing", 3);
}

static void what_the_host_did_is_noted(void **state)
{
    (void)state;
    struct verdict_facts facts = good();
    facts.listen_overflows = 1;
    expect(&facts, "backlog", 0);
    facts = good();
    facts.syn_queue_full = 1;
    expect(&facts, "syn-queue", 0);
    facts = good();
    facts.time_wait_overflows = 1;
    expect(&facts, "time-wait-cap", 0);
    facts = good();
    facts.steal_share = 2 * VERDICT_STEAL_SHARE;
    expect(&facts, "steal", 0);
    facts = good();
    facts.close_not_as_asked = 1;
    expect(&facts, "close", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_without_a_blemish_has_no_limit),
        cmocka_unit_test(a_signal_makes_the_run_invalid),
        cmocka_unit_test(shed_arrivals_make_the_run_invalid),
        cmocka_unit_test(a_missing_4_tuple_makes_the_run_invalid_and_names_the_options),
        cmocka_unit_test(missing_descriptors_make_the_run_invalid),
        cmocka_unit_test(ports_of_other_programs_are_worth_a_note),
        cmocka_unit_test(a_4_tuple_whose_last_connection_is_not_over_makes_the_run_invalid),
        cmocka_unit_test(other_failures_of_our_own_make_the_run_invalid),
        cmocka_unit_test(arrivals_not_started_break_the_schedule_from_a_thousandth_on),
        cmocka_unit_test(slip_is_noted_and_then_breaks_the_schedule),
        cmocka_unit_test(a_saturated_generator_spoils_an_open_loop_that_slips),
        cmocka_unit_test(a_closed_loop_has_no_schedule_to_break),
        cmocka_unit_test(failures_of_the_target_exit_4),
        cmocka_unit_test(failures_while_the_own_link_was_down_are_not_the_targets),
        cmocka_unit_test(a_link_that_was_down_and_cost_nothing_spoils_no_run),
        cmocka_unit_test(an_invalid_run_does_not_blame_the_target_in_its_exit_code),
        cmocka_unit_test(a_server_that_does_not_close_is_told_its_option),
        cmocka_unit_test(a_run_that_completes_nothing_fails_its_target),
        cmocka_unit_test(a_run_without_attempts_is_invalid),
        cmocka_unit_test(what_the_host_did_is_noted),
    };
    return cmocka_run_group_tests_name("loadgen/verdict", tests, NULL, NULL);
}
