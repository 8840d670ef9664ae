/* The wire between two hosts in memory: what it carries, keeps back and drops. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/lab/memory_wire.h"

static void open_wire(struct memory_wire *wire)
{
    struct memory_wire_config config = {.time_wait_ns = NS_PER_SEC, .timestamps = true};
    assert_int_equal(memory_wire_open(wire, &config), 0);
}

static void time_wait_is_counted_at_the_closer_and_ends_after_two_msl(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    open_wire(&wire);
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

static void the_wanted_segment_is_copied_with_its_sequence_number(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    struct fws_info info = {.size = sizeof(info)};
    char bytes[6000];
    memset(bytes, 'x', sizeof(bytes));
    open_wire(&wire);
    wire.copy_after = 2;
    assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), 0);
    fws_info(wire.client, client, &info);
    uint32_t first_seq = info.snd_nxt;
    assert_int_equal(fws_send(wire.client, client, bytes, sizeof(bytes), 0), sizeof(bytes));
    memory_wire_run(&wire, NS_PER_MS);
    fws_info(wire.client, client, &info);
    assert_true(wire.copy_bytes >= 1000);
    assert_int_equal(memory_wire_copy_seq(&wire) - first_seq, info.mss - 12); /* timestamps: 12 */
    memory_wire_close(&wire);
}

static void what_the_client_sends_can_be_dropped_and_its_resets_are_counted(void **state)
{
    (void)state;
    struct memory_wire wire;
    fws_handle client, server;
    open_wire(&wire);
    wire.drop_of_client = true;
    assert_int_equal(memory_wire_connect(&wire, 0, &client, &server), -EAGAIN);
    assert_int_equal(wire.resets_of_client, 0);
    wire.drop_of_client = false;
    memory_wire_run(&wire, 3 * NS_PER_SEC);
    assert_int_equal(fws_accept(wire.server, wire.listener, &server), 0);
    fws_abort(wire.client, client);
    memory_wire_run(&wire, 0);
    assert_int_equal(wire.resets_of_client, 1);
    memory_wire_close(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_wait_is_counted_at_the_closer_and_ends_after_two_msl),
        cmocka_unit_test(the_wanted_segment_is_copied_with_its_sequence_number),
        cmocka_unit_test(what_the_client_sends_can_be_dropped_and_its_resets_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
