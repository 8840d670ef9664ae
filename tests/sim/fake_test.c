/* The simulator judges the fake host: sound, it keeps every rule; each of its faults breaks the
 * rule that the fault is against, a failing plan is cut down, and its replay fails alike.
 *
 * Layer: tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "sim/fake.h"
#include "sim/judge.h"

#define SEEDS 40u
#define CONNS 60u

/* Which rules a fault may be caught by: what it breaks first depends on the seed. */
struct fault_case {
    enum fake_bug bug;
    enum rule rules[5];
};

static const struct fault_case table[] = {
    {FAKE_BAD_CHECKSUM, {RULE_packet_checksum}},
    {FAKE_RST_FOR_RST, {RULE_rst_for_rst, RULE_rst_form}},
    {FAKE_RST_FORM, {RULE_rst_form}},
    {FAKE_SHORT_TIME_WAIT, {RULE_time_wait_short}},
    {FAKE_NO_RESTART, {RULE_time_wait_short}},
    {FAKE_NO_LAST_ACK_AGAIN, {RULE_fin_unanswered}},
    {FAKE_SHRINK_WINDOW, {RULE_window_shrunk, RULE_edge_info}},
    {FAKE_ACK_UNSENT, {RULE_ack_unsent}},
    {FAKE_ACK_BACK, {RULE_ack_back}},
    {FAKE_BEYOND_WINDOW, {RULE_beyond_window}},
    {FAKE_OTHER_BYTES, {RULE_content}},
    {FAKE_KEEP_RECORD,
     {RULE_stuck, RULE_handle, RULE_state_wire, RULE_time_wait_long, RULE_livelock}},
    {FAKE_EAT_BYTE, {RULE_delivered, RULE_fin_delivered, RULE_stuck, RULE_window_shrunk}},
    {FAKE_EARLY_END, {RULE_fin_delivered}},
    {FAKE_NO_CHECKSUM,
     {RULE_delivered, RULE_ack_unsent, RULE_state_wire, RULE_rst_form, RULE_ack_storm}},
    {FAKE_WRONG_ARROW, {RULE_transition, RULE_state_wire}},
    {FAKE_LEAK, {RULE_memory}},
    {FAKE_ECT_ON_ACK, {RULE_ecn}},
    {FAKE_MSS_IN_ACK, {RULE_option_place}},
    {FAKE_URGENT_JUNK, {RULE_urgent_pointer}},
    {FAKE_ACK_LOOP, {RULE_ack_storm}},
    {FAKE_TIMER_LEFT, {RULE_left_over}},
    {FAKE_DEADLINE_STUCK, {RULE_deadline}},
    {FAKE_CRASH, {RULE_crash}},
    {FAKE_FIN_ONCE, {RULE_stuck, RULE_state_wire, RULE_time_wait_short, RULE_fin_unanswered}},
    {FAKE_NO_USER_WORD, {RULE_handle}},
    {FAKE_CENSUS_SUM, {RULE_census_sum}},
    {FAKE_RESET_AT_ONCE, {RULE_spurious_error}},
    {FAKE_FIN_MOVES, {RULE_fin_place, RULE_seq_gap}},
    {FAKE_STATE_LIES, {RULE_state_wire}},
    {FAKE_KEEPS_TIME_WAIT, {RULE_time_wait_unwanted}},
    {FAKE_LATE_ACK, {RULE_ack_late}},
    {FAKE_NO_MARKS, {RULE_packet_marks}},
    {FAKE_OTHER_PORT, {RULE_port_choice}},
    {FAKE_EAGER_SYN, {RULE_resend_early}},
    {FAKE_COUNTS_SHORT, {RULE_counters}},
    {FAKE_TELLS_FIN, {RULE_readiness}},
    {FAKE_NO_LIMITS, {RULE_limit}},
    {FAKE_NO_TROUBLE, {RULE_trouble}},
    {FAKE_FALSE_TROUBLE, {RULE_trouble}},
};

static void run_seeds(struct campaign_result *result, uint32_t bug, uint32_t seeds)
{
    struct campaign campaign = {.wish = {.conns = CONNS, .fake_bug = bug},
                                .seed_first = 1,
                                .seed_last = seeds,
                                .jobs = 1,
                                .failures_max = 1};
    assert_int_equal(judge_campaign(result, &campaign), 0);
}

static void a_sound_host_keeps_every_rule(void **state)
{
    (void)state;
    struct campaign_result result;
    run_seeds(&result, FAKE_SOUND, 2 * SEEDS);
    if (result.failure_count) {
        fail_msg("seed %lu: %s: %s", (unsigned long)result.failures[0].seed,
                 rule_name(result.failures[0].violation.rule), result.failures[0].violation.text);
    }
    assert_int_equal(result.seeds_done, 2 * SEEDS);
    assert_true(result.totals.completed > SEEDS * CONNS / 2);
}

static void each_fault_breaks_its_rule(void **state)
{
    (void)state;
    assert_int_equal(sizeof(table) / sizeof(*table), FAKE_BUG_COUNT - 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        struct campaign_result result;
        run_seeds(&result, table[i].bug, SEEDS);
        enum rule seen = result.failure_count ? result.failures[0].violation.rule : RULE_NONE;
        bool is_named = false;
        for (uint32_t rule = 0; rule < 5; rule++) {
            is_named |= seen != RULE_NONE && table[i].rules[rule] == seen;
        }
        if (!is_named) {
            fail_msg("fault %d: seed %lu broke %s: %s", (int)table[i].bug,
                     (unsigned long)result.failures[0].seed, rule_name(seen),
                     result.failures[0].violation.text);
        }
    }
}

static char *plan_text(const struct plan *plan)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    plan_write(plan, file);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void a_failing_plan_is_cut_down_and_its_replay_fails_alike(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct plan again = {0};
    struct outcome outcome;
    struct failure failure;
    plan_make(&plan,
              &(struct plan_wish){.seed = 3, .conns = CONNS, .fake_bug = FAKE_SHORT_TIME_WAIT});
    uint32_t before = plan.count;
    assert_int_equal(judge_plan(&outcome, &plan, NULL, true), 0);
    enum rule rule = outcome.violation.rule;
    assert_int_not_equal(rule, RULE_NONE);
    (void)judge_shrink(&plan, rule, 200);
    assert_true(plan.count < before / 10);
    char *text = plan_text(&plan);
    FILE *file = fmemopen(text, strlen(text), "r");
    assert_non_null(file);
    assert_int_equal(plan_read(&again, file, &failure), 0);
    (void)fclose(file);
    char *text_again = plan_text(&again);
    assert_string_equal(text, text_again);
    free(text);
    free(text_again);
    assert_memory_equal(again.hosts, plan.hosts, sizeof(plan.hosts));
    assert_int_equal(judge_plan(&outcome, &again, NULL, true), 0);
    assert_int_equal(outcome.violation.rule, rule);
    plan_destroy(&plan);
    plan_destroy(&again);
}

static void the_same_seed_gives_the_same_trace(void **state)
{
    (void)state;
    struct plan plan = {0};
    struct outcome first;
    struct outcome second;
    struct outcome other;
    plan_make(&plan, &(struct plan_wish){.seed = 11, .conns = CONNS});
    assert_int_equal(judge_plan(&first, &plan, NULL, true), 0);
    plan_make(&plan, &(struct plan_wish){.seed = 11, .conns = CONNS});
    assert_int_equal(judge_plan(&second, &plan, NULL, true), 0);
    plan_make(&plan, &(struct plan_wish){.seed = 12, .conns = CONNS});
    assert_int_equal(judge_plan(&other, &plan, NULL, true), 0);
    assert_true(first.trace_hash == second.trace_hash);
    assert_true(first.trace_hash != other.trace_hash);
    assert_memory_equal(&first.totals, &second.totals, sizeof(first.totals));
    plan_destroy(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_host_keeps_every_rule),
        cmocka_unit_test(each_fault_breaks_its_rule),
        cmocka_unit_test(a_failing_plan_is_cut_down_and_its_replay_fails_alike),
        cmocka_unit_test(the_same_seed_gives_the_same_trace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
