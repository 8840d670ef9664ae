/* The link between two hosts in memory: it carries all, but for what its faults lose, and brings
 * what they double when it is due. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/lab/memory_wire.h"

static void open_wire(struct memory_wire *wire, bool has_faults)
{
    struct memory_wire_config config = {
        .time_wait_ns = NS_PER_SEC, .timestamps = true, .faults = has_faults};
    assert_int_equal(memory_wire_open(wire, &config), 0);
}

static uint64_t received_by(struct link *link)
{
    return link_counters(link).values[LINK_COUNTER_frames_received];
}

static void time_wait_is_counted_at_the_closer_and_ends_after_two_msl(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    open_wire(&wire, false);
    /* The second number has another port, the third another address. */
    const uint32_t numbers[] = {0, 1, 50000};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(memory_wire_connect(&wire, numbers[i], &client, &server), 0);
        fws_close(wire.client, client);
        memory_wire_run(&wire, 0);
        fws_close(wire.server, server);
        memory_wire_run(&wire, 0);
    }
    assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), -EADDRINUSE);
    assert_int_equal(memory_wire_time_wait(wire.client), 3);
    assert_int_equal(memory_wire_time_wait(wire.server), 0);
    memory_wire_run(&wire, NS_PER_SEC + 10 * NS_PER_MS);
    assert_int_equal(memory_wire_time_wait(wire.client), 0);
    assert_int_equal(memory_wire_time_wait_made(wire.client), 3);
    memory_wire_close(&wire);
}

static void bytes_cross_a_link_that_is_shorter_than_what_is_sent_at_once(void **state)
{
    (void)state;
    static char sent[200000], received[sizeof(sent)];
    for (int i = 0; i < 2; i++) {
        struct memory_wire wire;
        fws_handle client, server;
        size_t count = 0, taken = 0;
        open_wire(&wire, i == 1);
        assert_true((link_inner(wire.client_link) != NULL) == (i == 1));
        for (size_t at = 0; at < sizeof(sent); at++) {
            sent[at] = (char)(at * 31 / 7);
        }
        memset(received, 0, sizeof(received));
        assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), 0);
        for (int turn = 0; count < sizeof(received) && turn < 1000; turn++) {
            int64_t more = fws_send(wire.client, client, sent + taken, sizeof(sent) - taken, 0);
            taken += more > 0 ? (size_t)more : 0;
            memory_wire_run(&wire, NS_PER_MS);
            more = fws_recv(wire.server, server, received + count, sizeof(received) - count);
            count += more > 0 ? (size_t)more : 0;
        }
        assert_int_equal(count, sizeof(sent));
        assert_memory_equal(sent, received, sizeof(sent));
        /* Whole frames, all of which arrived, and none again. */
        assert_int_equal(received_by(wire.server_link),
                         memory_wire_counter(wire.client, "packets_sent"));
        assert_int_equal(received_by(wire.client_link),
                         memory_wire_counter(wire.server, "packets_sent"));
        assert_int_equal(memory_wire_counter(wire.server, "packets_received"),
                         memory_wire_counter(wire.client, "packets_sent"));
        memory_wire_close(&wire);
    }
}

static void a_doubled_segment_comes_once_at_once_and_once_when_it_is_due(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    const struct link_faults doubling = {
        .duplication = 1, .duplicate_ns = 20 * NS_PER_SEC, .direction = LINK_FAULTS_SENT};
    open_wire(&wire, true);
    assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), 0);
    assert_true(memory_wire_due_ns(&wire) == CLOCK_NEVER);
    memory_wire_run(&wire, NS_PER_MS / 2); /* what is due need not be at a whole step */
    uint64_t sent_ns = wire.now_ns;
    memory_wire_set_faults(&wire, &doubling);
    assert_int_equal(fws_send(wire.client, client, "x", 1, 0), 1);
    memory_wire_run(&wire, 0);
    memory_wire_set_faults(&wire, NULL);
    assert_int_equal(memory_wire_link_counter(&wire, LINK_COUNTER_faults_duplicated), 1);
    assert_int_equal(memory_wire_due_ns(&wire), sent_ns + 20 * NS_PER_SEC);
    memory_wire_run(&wire, 20 * NS_PER_SEC - 1);
    uint64_t before = received_by(wire.server_link);
    memory_wire_run(&wire, 1);
    assert_int_equal(received_by(wire.server_link), before + 1);
    assert_true(memory_wire_due_ns(&wire) == CLOCK_NEVER);
    char bytes[2];
    assert_int_equal(fws_recv(wire.server, server, bytes, sizeof(bytes)), 1);
    memory_wire_close(&wire);
}

static void what_the_client_sends_can_be_lost_and_its_resets_are_counted(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    const struct link_faults losing = {.loss = 1, .direction = LINK_FAULTS_SENT};
    open_wire(&wire, true);
    memory_wire_set_faults(&wire, &losing);
    assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), -EAGAIN);
    assert_int_equal(memory_wire_link_counter(&wire, LINK_COUNTER_faults_lost), 1);
    assert_int_equal(memory_wire_counter(wire.client, "resets_sent"), 0);
    memory_wire_set_faults(&wire, NULL);
    memory_wire_run(&wire, 3 * NS_PER_SEC);
    assert_int_equal(fws_accept(wire.server, wire.listener, &server), 0);
    fws_abort(wire.client, client);
    memory_wire_run(&wire, 0);
    assert_int_equal(memory_wire_counter(wire.client, "resets_sent"), 1);
    assert_int_equal(memory_wire_link_counter(&wire, LINK_COUNTER_faults_lost), 1);
    memory_wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_wait_is_counted_at_the_closer_and_ends_after_two_msl),
        cmocka_unit_test(bytes_cross_a_link_that_is_shorter_than_what_is_sent_at_once),
        cmocka_unit_test(a_doubled_segment_comes_once_at_once_and_once_when_it_is_due),
        cmocka_unit_test(what_the_client_sends_can_be_lost_and_its_resets_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
