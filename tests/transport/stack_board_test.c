/* The board: what workers publish adds up, says how old it is, and is a census. */
#include <errno.h>
#include <string.h>

#include "transport/stack_board.h"
#include "transport/stack_pair.h"

/* Both sides of a pair publish as two workers of one program would. */
static void publish_both(struct stack_board *board, struct pair *pair, uint64_t now_ns)
{
    stack_board_publish(board, 0, pair->ends[PAIR_CLIENT].transport, now_ns);
    stack_board_publish(board, 1, pair->ends[PAIR_SERVER].transport, now_ns + 5);
}

static void a_board_that_nobody_wrote_to_is_empty(void **state)
{
    (void)state;
    struct stack_board *board;
    struct stack_totals totals;
    assert_int_equal(stack_board_make(&board, 2), 0);
    stack_board_read(board, &totals);
    assert_int_equal(totals.workers, 0);
    assert_int_equal(totals.oldest_ns, CLOCK_NEVER);
    assert_int_equal(tcp_state_total(&totals.counts), 0);
    assert_int_equal(stack_totals_counter(&totals, "stack", "segments_sent"), 0);
    stack_board_free(board);
}

static void states_transitions_and_counters_of_all_workers_add_up(void **state)
{
    (void)state;
    struct pair pair;
    struct stack_board *board;
    struct stack_totals totals;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    assert_int_equal(stack_board_make(&board, 2), 0);
    publish_both(board, &pair, 100);
    stack_board_read(board, &totals);
    assert_int_equal(totals.workers, 2);
    assert_int_equal(totals.oldest_ns, 100);
    assert_int_equal(totals.counts.n[TCP_STATE_ESTABLISHED], 2);
    assert_int_equal(totals.counts.n[TCP_STATE_LISTEN], 1);
    assert_int_equal(totals.transitions.n[TCP_STATE_SYN_SENT][TCP_STATE_ESTABLISHED], 1);
    assert_int_equal(totals.transitions.n[TCP_STATE_SYN_RECEIVED][TCP_STATE_ESTABLISHED], 1);
    uint64_t sent = pair_counter(&pair, PAIR_CLIENT, "stack", "segments_sent") +
                    pair_counter(&pair, PAIR_SERVER, "stack", "segments_sent");
    assert_true(sent >= 3);
    assert_int_equal(stack_totals_counter(&totals, "stack", "segments_sent"), sent);
    assert_int_equal(stack_totals_counter(&totals, "stack", "no_such_counter"), 0);
    assert_int_equal(stack_totals_counter(&totals, "no_such_module", "segments_sent"), 0);
    pair_close(&pair);
    /* What was published, names too, outlives the transports. */
    stack_board_read(board, &totals);
    assert_int_equal(stack_totals_counter(&totals, "stack", "segments_sent"), sent);
    stack_board_free(board);
}

static void a_turn_publishes_when_an_interval_has_passed(void **state)
{
    (void)state;
    struct pair pair;
    struct stack_board *board;
    struct stack_totals totals;
    const uint64_t start_ns = clock_now_ns();
    pair_init(&pair);
    pair_open(&pair);
    assert_int_equal(stack_board_make(&board, 1), 0);
    struct transport *client = pair.ends[PAIR_CLIENT].transport;
    uint64_t next_ns = stack_board_turn(board, 0, client, start_ns);
    assert_int_equal(next_ns, start_ns + STACK_BOARD_INTERVAL_NS);
    pair_establish(&pair);
    assert_int_equal(stack_board_turn(board, 0, client, next_ns - 1), next_ns);
    stack_board_read(board, &totals);
    assert_int_equal(totals.counts.n[TCP_STATE_ESTABLISHED], 0);
    assert_int_equal(stack_board_turn(board, 0, client, next_ns),
                     next_ns + STACK_BOARD_INTERVAL_NS);
    stack_board_read(board, &totals);
    assert_int_equal(totals.counts.n[TCP_STATE_ESTABLISHED], 1);
    stack_board_free(board);
    pair_close(&pair);
}

static void its_census_counts_the_whole_and_refuses_ports(void **state)
{
    (void)state;
    struct pair pair;
    struct stack_board *board;
    struct census *census;
    struct census_result result = {0};
    struct port_set ports = {0};
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    assert_int_equal(stack_board_make(&board, 2), 0);
    publish_both(board, &pair, clock_now_ns());
    assert_int_equal(stack_board_census(&census, board, NULL), 0);
    assert_string_equal(census_method(census), "stack");
    assert_int_equal(census_run(census, &(struct census_request){0}, &result), 0);
    assert_int_equal(result.total.n[TCP_STATE_ESTABLISHED], 2);
    assert_int_equal(result.v4.n[TCP_STATE_ESTABLISHED], 2);
    assert_int_equal(result.stamp.rows, 3);
    port_set_add(&ports, PAIR_PORT);
    assert_int_equal(census_run(census, &(struct census_request){.local_ports = &ports}, &result),
                     -ENOTSUP);
    assert_int_equal(
        census_run(census, &(struct census_request){.grouping = CENSUS_BY_LOCAL_PORT}, &result),
        -ENOTSUP);
    census_result_free(&result);
    census_close(census);
    stack_board_free(board);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_board_that_nobody_wrote_to_is_empty),
        cmocka_unit_test(states_transitions_and_counters_of_all_workers_add_up),
        cmocka_unit_test(a_turn_publishes_when_an_interval_has_passed),
        cmocka_unit_test(its_census_counts_the_whole_and_refuses_ports),
    };
    return cmocka_run_group_tests_name("transport/stack_board", tests, NULL, NULL);
}
