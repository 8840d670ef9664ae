/* The null stack over a pair in memory, on virtual time: each frame is counted once, and as many
 * connections are under way after a stall or a loss as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/null/report.h"
#include "bench/null/worker.h"

#define IN_FLIGHT 32u
#define MTU 1500u
#define SLOTS 256u
#define STEP_NS (10 * NS_PER_US)

/* A client and a server at the two ends. */
struct ends {
    struct null_worker client;
    struct null_worker server;
    uint64_t now_ns;
};

/* Puts faults over the server's end when there are any. */
static void open_ends(struct ends *ends, uint32_t slots, const struct link_faults *faults)
{
    struct link *links[2];
    struct null_config config = {
        .own = 0x0a090002, .peer = 0x0a090001, .workers = 1, .in_flight = IN_FLIGHT};
    assert_int_equal(link_memory_pair(links, MTU, slots), 0);
    if (faults != NULL) {
        assert_int_equal(link_faults_open(&links[1], links[1], faults), 0);
    }
    ends->now_ns = NS_PER_SEC;
    null_worker_init(&ends->server, &config, links[1]);
    config.is_client = true;
    null_worker_init(&ends->client, &config, links[0]);
    null_worker_begin(&ends->client, ends->now_ns);
}

static void close_ends(struct ends *ends)
{
    null_worker_close(&ends->client);
    null_worker_close(&ends->server);
}

/* Lets both ends turn so many times. */
static void run(struct ends *ends, uint32_t turns)
{
    for (uint32_t i = 0; i < turns; i++) {
        ends->now_ns += STEP_NS;
        null_worker_turn(&ends->server, ends->now_ns);
        null_worker_turn(&ends->client, ends->now_ns);
    }
}

static void assert_sums(const struct ends *ends)
{
    assert_true(null_worker_adds_up(&ends->client));
    assert_true(null_worker_adds_up(&ends->server));
}

static void without_loss_every_frame_that_is_awaited_arrives(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, SLOTS, NULL);
    run(&ends, 3000);
    const struct lockstep_counts *counts = &ends.client.lockstep.counts;
    assert_int_equal(counts->completed, 1000 * IN_FLIGHT); /* three round trips each */
    assert_int_equal(counts->failed + counts->given_up + counts->late, 0);
    assert_int_equal(counts->arrived, 3 * 1000 * IN_FLIGHT);
    assert_int_equal(lockstep_in_flight(&ends.client.lockstep), IN_FLIGHT);
    assert_int_equal(ends.server.last_acks, 999 * IN_FLIGHT); /* the newest are on their way */
    assert_sums(&ends);
    close_ends(&ends);
}

static void frames_that_come_after_a_stall_are_late_and_do_not_multiply(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, SLOTS, NULL);
    run(&ends, 100);
    for (uint32_t stall = 1; stall <= 3; stall++) {
        /* The server stands still, so that the client gives up what it will answer later. */
        ends.now_ns += NS_PER_SEC;
        null_worker_turn(&ends.client, ends.now_ns);
        run(&ends, 100);
        const struct lockstep_counts *counts = &ends.client.lockstep.counts;
        assert_int_equal(counts->given_up, stall * IN_FLIGHT);
        assert_int_equal(counts->failed, stall * IN_FLIGHT);
        assert_int_equal(counts->late, stall * IN_FLIGHT);
        assert_int_equal(lockstep_in_flight(&ends.client.lockstep), IN_FLIGHT);
        assert_sums(&ends);
    }
    /* As fast as before: a turn brings as many frames as there are connections. */
    uint64_t before = ends.client.received;
    run(&ends, 300);
    assert_int_equal(ends.client.received - before, 300 * IN_FLIGHT);
    close_ends(&ends);
}

static void a_lost_frame_costs_its_own_connection_and_the_lockstep_stays(void **state)
{
    (void)state;
    struct ends ends;
    const struct link_faults faults = {.seed = 7, .loss = 0.01};
    open_ends(&ends, SLOTS, &faults);
    run(&ends, 100000);
    const struct lockstep_counts *counts = &ends.client.lockstep.counts;
    assert_true(counts->given_up > 100);
    assert_int_equal(counts->late, 0); /* nothing was late here: all were lost */
    assert_int_equal(counts->failed, counts->given_up);
    assert_int_equal(lockstep_in_flight(&ends.client.lockstep), IN_FLIGHT);
    assert_int_equal(counts->begun, counts->completed + counts->failed + IN_FLIGHT);
    /* All that the server answered, less the lost, came here. */
    assert_true(ends.server.sent > ends.client.received);
    assert_sums(&ends);
    close_ends(&ends);
}

static void what_a_full_ring_has_no_room_for_is_begun_again(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, IN_FLIGHT / 2, NULL);
    assert_int_equal(ends.client.no_room, IN_FLIGHT / 2);
    assert_int_equal(lockstep_in_flight(&ends.client.lockstep), IN_FLIGHT / 2);
    run(&ends, 100000);
    const struct lockstep_counts *counts = &ends.client.lockstep.counts;
    assert_true(counts->completed > 1000);
    assert_true(counts->failed >= IN_FLIGHT / 2);
    assert_sums(&ends);
    close_ends(&ends);
}

static void a_frame_that_comes_twice_breaks_the_sums(void **state)
{
    (void)state;
    struct ends ends;
    const struct link_faults faults = {.seed = 7, .duplication = 0.1};
    open_ends(&ends, 4 * SLOTS, &faults);
    run(&ends, 300);
    assert_true(ends.client.lockstep.counts.late > 0);
    assert_int_equal(ends.client.lockstep.counts.given_up, 0);
    assert_false(null_worker_adds_up(&ends.client));
    assert_int_equal(lockstep_in_flight(&ends.client.lockstep), IN_FLIGHT);
    close_ends(&ends);
}

static void a_worker_that_had_no_time_has_no_rate(void **state)
{
    (void)state;
    struct ends ends;
    open_ends(&ends, SLOTS, NULL);
    run(&ends, 30);
    json_t *report = null_report_make("client", "packet:lab0");
    null_report_add(report, &ends.client);
    assert_true(json_is_null(json_object_get(report, "completed_per_sec")));
    json_decref(report);
    ends.client.elapsed_ns = NS_PER_SEC / 2;
    report = null_report_make("client", "packet:lab0");
    null_report_add(report, &ends.client);
    null_report_add(report, &ends.client);
    double rate = json_real_value(json_object_get(report, "completed_per_sec"));
    assert_true(rate > 4.0 * 10 * IN_FLIGHT - 1 && rate < 4.0 * 10 * IN_FLIGHT + 1);
    assert_int_equal(json_integer_value(json_object_get(report, "completed")), 2 * 10 * IN_FLIGHT);
    assert_int_equal(json_integer_value(json_object_get(report, "frames_in_flight")),
                     2 * IN_FLIGHT);
    assert_true(json_is_true(json_object_get(report, "sums_hold")));
    json_decref(report);
    close_ends(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_loss_every_frame_that_is_awaited_arrives),
        cmocka_unit_test(frames_that_come_after_a_stall_are_late_and_do_not_multiply),
        cmocka_unit_test(a_lost_frame_costs_its_own_connection_and_the_lockstep_stays),
        cmocka_unit_test(what_a_full_ring_has_no_room_for_is_begun_again),
        cmocka_unit_test(a_frame_that_comes_twice_breaks_the_sums),
        cmocka_unit_test(a_worker_that_had_no_time_has_no_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
