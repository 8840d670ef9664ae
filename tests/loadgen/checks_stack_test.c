/* What a run's resets on the stack are held against. */
#include <string.h>

#include "base/test.h"
#include "loadgen/checks_stack.h"

#define COMPLETED 1000

struct counts {
    enum close_how how;
    uint64_t failed;
    uint64_t resets_sent;
    uint64_t resets_no_connection;
    uint64_t time_wait_reset;
    uint64_t segments_resent;
    uint64_t time_wait_started;
    uint64_t time_wait_overflow;
    uint64_t duplicated; /* by our own faults, as is the next */
    uint64_t reordered;
};

/* Tells whether a check agreed. */
static bool check_agrees(const char *name, const struct counts *counts)
{
    static const struct counter_info infos[] = {
        {.name = "resets_sent"},       {.name = "resets_no_connection"},
        {.name = "time_wait_reset"},   {.name = "segments_resent"},
        {.name = "time_wait_started"}, {.name = "time_wait_overflow"}};
    static const struct counter_info fault_infos[] = {{.name = "faults_duplicated"},
                                                      {.name = "faults_reordered"}};
    const uint64_t values[] = {counts->resets_sent,       counts->resets_no_connection,
                               counts->time_wait_reset,   counts->segments_resent,
                               counts->time_wait_started, counts->time_wait_overflow};
    const uint64_t fault_values[] = {counts->duplicated, counts->reordered};
    struct plan *plan = test_calloc(1, sizeof(*plan));
    struct stats *stats = test_calloc(1, sizeof(*stats));
    struct stack_totals *totals = test_calloc(1, sizeof(*totals));
    *totals = (struct stack_totals){
        .view_count = 2,
        .views = {{.module = "stack", .counters = {infos, values, 6}},
                  {.module = "link_faults", .counters = {fault_infos, fault_values, 2}}}};
    plan->closer = CLOSER_CLIENT;
    plan->close_how = counts->how;
    stats->live.attempted = COMPLETED + counts->failed;
    stats->live.completed = COMPLETED;
    stats->live.failed = counts->failed;
    const struct run run = {.plan = plan, .total = stats, .stack = totals};
    struct result result;
    assert_int_equal(result_init(&result, "test"), 0);
    assert_int_equal(checks_stack_add(&result, &run), 0);
    bool agreed = false, found = false;
    for (uint32_t i = 0; i < result.check_count; i++) {
        if (strcmp(result.checks[i].name, name) == 0) {
            agreed = result.checks[i].outcome == RESULT_CHECK_OK;
            found = true;
        }
    }
    assert_true(found);
    result_destroy(&result);
    test_free(totals);
    test_free(stats);
    test_free(plan);
    return agreed;
}

/* Tells whether the check of the resets agreed. */
static bool agrees(const struct counts *counts)
{
    return check_agrees("out_rsts", counts);
}

static void resets_are_those_that_the_close_asks_for(void **state)
{
    (void)state;
    assert_true(agrees(&(struct counts){.how = CLOSE_RST, .resets_sent = COMPLETED}));
    assert_false(agrees(&(struct counts){.how = CLOSE_RST, .resets_sent = COMPLETED - 1}));
    assert_true(agrees(&(struct counts){.how = CLOSE_FIN}));
    assert_false(agrees(&(struct counts){.how = CLOSE_FIN, .resets_sent = 1}));
    assert_true(agrees(&(struct counts){.how = CLOSE_FIN, .failed = 1, .resets_sent = 2}));
    assert_false(agrees(&(struct counts){.how = CLOSE_FIN, .failed = 1, .resets_sent = 3}));
}

/* RFC 1337: a server that stopped reset some TIME_WAITs, and its last ACKs came behind that. */
static void answers_to_what_comes_behind_a_time_wait_that_was_reset_are_expected(void **state)
{
    (void)state;
    assert_true(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 14, .resets_no_connection = 14, .time_wait_reset = 9}));
    assert_false(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 15, .resets_no_connection = 14, .time_wait_reset = 9}));
    assert_false(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 13, .resets_no_connection = 14, .time_wait_reset = 9}));
    /* No TIME_WAIT was reset: a segment for no connection is nothing that should come. */
    assert_false(
        agrees(&(struct counts){.how = CLOSE_FIN, .resets_sent = 14, .resets_no_connection = 14}));
}

/* Where the server closes no TIME_WAIT is here to take what comes twice. What our own link copied
 * or held back, and what we sent again, may draw one answer each; not one more. */
static void answers_to_what_our_own_faults_made_late_are_expected(void **state)
{
    (void)state;
    assert_true(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 30, .resets_no_connection = 30, .duplicated = 30}));
    assert_true(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 30, .resets_no_connection = 30, .duplicated = 40}));
    assert_false(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 30, .resets_no_connection = 30, .duplicated = 29}));
    assert_true(agrees(&(struct counts){.how = CLOSE_FIN,
                                        .resets_sent = 30,
                                        .resets_no_connection = 30,
                                        .duplicated = 10,
                                        .reordered = 12,
                                        .segments_resent = 8}));
    /* Copies excuse no reset that answered something else. */
    assert_false(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 31, .resets_no_connection = 30, .duplicated = 40}));
    assert_false(agrees(&(struct counts){
        .how = CLOSE_FIN, .resets_sent = 29, .resets_no_connection = 30, .duplicated = 40}));
}

/* What finds no room for TIME_WAIT has entered it, and is counted as started already. */
static void a_time_wait_without_room_counts_once(void **state)
{
    (void)state;
    const char *made = "time_wait_made";
    assert_true(check_agrees(
        made, &(struct counts){.time_wait_started = COMPLETED, .time_wait_overflow = 300}));
    assert_false(check_agrees(
        made, &(struct counts){.time_wait_started = COMPLETED - 300, .time_wait_overflow = 300}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resets_are_those_that_the_close_asks_for),
        cmocka_unit_test(answers_to_what_comes_behind_a_time_wait_that_was_reset_are_expected),
        cmocka_unit_test(answers_to_what_our_own_faults_made_late_are_expected),
        cmocka_unit_test(a_time_wait_without_room_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
