/* What needs no interface: link names, configurations that no link has, the interface's facts, and
 * the pair in memory. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "link/link.h"

static void a_link_is_named_by_kind_and_interface(void **state)
{
    (void)state;
    enum link_kind kind;
    const char *interface;
    assert_int_equal(link_parse("packet:veth0", &kind, &interface, NULL), 0);
    assert_int_equal(kind, LINK_PACKET);
    assert_string_equal(interface, "veth0");
    assert_int_equal(link_parse("xdp:eth1", &kind, &interface, NULL), 0);
    assert_int_equal(kind, LINK_XDP);
    assert_string_equal(interface, "eth1");
}

static void other_names_are_refused_with_the_text(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "veth0", "packet", "packet:", "memory:a", "raw:veth0"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        enum link_kind kind;
        const char *interface;
        struct failure failure;
        assert_int_equal(link_parse(wrong[i], &kind, &interface, &failure), -EINVAL);
        assert_non_null(strstr(failure.text, wrong[i]));
        assert_non_null(strstr(failure.text, "packet:veth0"));
    }
}

static void a_config_that_no_link_has_is_refused(void **state)
{
    (void)state;
    static const struct link_config wrong[] = {
        {.interface = "lo", .workers = 65},
        {.interface = "lo", .workers = 2, .worker = 2},
        {.interface = "lo", .address_first = 2, .address_last = 1},
        {.interface = "lo", .receive_slots = 1000},
        {.interface = "lo", .receive_slots = 128},
        {.interface = "lo", .transmit_slots = 1u << 21},
        {.interface = "lo", .kind = LINK_MEMORY},
        {.interface = "lo"}, /* loopback: not Ethernet */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct link *link;
        struct failure failure;
        assert_int_equal(link_open(&link, &wrong[i], &failure), -EINVAL);
        assert_non_null(strstr(failure.text, "link"));
    }
}

static void an_interface_that_is_not_there_is_told(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "nosuch0", "a-name-longer-than-any-interface-has"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct link_interface interface;
        struct failure failure;
        assert_int_equal(link_interface_read(wrong[i], &interface, &failure), -ENODEV);
        assert_non_null(strstr(failure.text, "no such interface"));
    }
}

static void a_pair_takes_sane_sizes_only(void **state)
{
    (void)state;
    struct link *ends[2];
    assert_int_equal(link_memory_pair(ends, 575, 64), -EINVAL);
    assert_int_equal(link_memory_pair(ends, 65536, 64), -EINVAL);
    assert_int_equal(link_memory_pair(ends, 1500, 0), -EINVAL);
    assert_int_equal(link_memory_pair(ends, 1500, 48), -EINVAL);
}

#define PAIR_MTU 1500u
#define PAIR_SLOTS 64u

static int make_pair(void **state)
{
    struct link **ends = test_malloc(2 * sizeof(*ends));
    assert_int_equal(link_memory_pair(ends, PAIR_MTU, PAIR_SLOTS), 0);
    *state = ends;
    return 0;
}

static int drop_pair(void **state)
{
    struct link **ends = *state;
    link_destroy(ends[0]);
    link_destroy(ends[1]);
    test_free(ends);
    return 0;
}

static void a_pair_carries_frames_both_ways_in_order(void **state)
{
    struct link **ends = *state;
    for (uint32_t number = 0; number < 10 * PAIR_SLOTS; number += 16) {
        for (uint32_t i = 0; i < 16; i++) {
            for (size_t from = 0; from < 2; from++) {
                const struct frame_plan plan = {
                    .target_mac = link_interface_of(ends[1 - from])->mac,
                    .number = number + i,
                    .bytes = frame_length(number + i, LINK_ETHER_BYTES + PAIR_MTU)};
                assert_true(frame_send(ends[from], &plan, i % 4 == 3));
            }
        }
        for (size_t to = 0; to < 2; to++) {
            const struct drain drain = {
                .plan = {.target_mac = link_interface_of(ends[to])->mac, .number = number},
                .length_max = LINK_ETHER_BYTES + PAIR_MTU,
                .wanted = 16};
            assert_int_equal(drain_in_order(ends[to], &drain), 16);
        }
    }
    assert_int_equal(link_counter_read(ends[0], LINK_COUNTER_frames_sent), 10 * PAIR_SLOTS);
    assert_int_equal(link_counter_read(ends[1], LINK_COUNTER_frames_received), 10 * PAIR_SLOTS);
    assert_int_equal(link_counter_read(ends[1], LINK_COUNTER_bytes_received),
                     link_counter_read(ends[0], LINK_COUNTER_bytes_sent));
}

static void nothing_leaves_before_a_flush(void **state)
{
    struct link **ends = *state;
    struct link_frame frame;
    const struct frame_plan plan = {.target_mac = link_interface_of(ends[1])->mac, .bytes = 60};
    assert_true(frame_send(ends[0], &plan, false));
    assert_int_equal(link_receive(ends[1], 0, &frame, 1), 0);
    link_release(ends[1]);
    assert_int_equal(link_flush(ends[0], 0), 0);
    assert_int_equal(link_receive(ends[1], 0, &frame, 1), 1);
    frame_check(&frame, &plan);
    link_release(ends[1]);
}

static void a_full_ring_lends_less_and_counts_it(void **state)
{
    struct link **ends = *state;
    struct link_slot slots[LINK_BATCH_MAX];
    assert_int_equal(link_reserve(ends[0], slots, LINK_BATCH_MAX), PAIR_SLOTS);
    assert_int_equal(slots[0].capacity, LINK_ETHER_BYTES + PAIR_MTU);
    for (size_t i = 0; i < PAIR_SLOTS; i++) {
        slots[i].bytes = 60;
    }
    link_send(ends[0], 0, slots, PAIR_SLOTS);
    assert_int_equal(link_reserve(ends[0], slots, 1), 0);
    assert_int_equal(link_counter_read(ends[0], LINK_COUNTER_transmit_ring_full), 2);
    link_send(ends[0], 0, slots, 0);

    struct link_frame frames[8];
    assert_int_equal(link_flush(ends[0], 0), 0);
    assert_int_equal(link_receive(ends[1], 0, frames, 8), 8);
    assert_int_equal(link_reserve(ends[0], slots, 16), 0); /* lent, so not free yet */
    link_send(ends[0], 0, slots, 0);
    link_release(ends[1]);
    assert_int_equal(link_reserve(ends[0], slots, 16), 8);
}

static void slots_not_sent_are_lent_again(void **state)
{
    struct link **ends = *state;
    struct link_slot first[4], again[4];
    assert_int_equal(link_reserve(ends[0], first, 4), 4);
    first[0].bytes = 60;
    link_send(ends[0], 0, first, 1);
    assert_int_equal(link_reserve(ends[0], again, 4), 4);
    assert_ptr_equal(again[0].data, first[1].data);
    link_send(ends[0], 0, again, 0);
    assert_int_equal(link_counter_read(ends[0], LINK_COUNTER_frames_sent), 1);
}

static void a_pair_has_facts_and_memory_but_no_descriptor_and_no_deadline(void **state)
{
    struct link **ends = *state;
    int fds[LINK_FDS_MAX];
    assert_int_equal(link_fds(ends[0], fds), 0);
    assert_true(link_deadline_ns(ends[0]) == CLOCK_NEVER);
    assert_int_equal(link_interface_of(ends[0])->mtu_bytes, PAIR_MTU);
    assert_memory_not_equal(link_interface_of(ends[0])->mac, link_interface_of(ends[1])->mac, 6);
    assert_null(link_inner(ends[0]));
    const uint64_t both = link_memory_bytes(ends[0]) + link_memory_bytes(ends[1]);
    assert_in_range(both, 2 * PAIR_SLOTS * (LINK_ETHER_BYTES + PAIR_MTU),
                    2 * PAIR_SLOTS * (LINK_ETHER_BYTES + PAIR_MTU + 128));
}

static void an_end_outlives_the_other(void **state)
{
    (void)state;
    struct link *ends[2];
    assert_int_equal(link_memory_pair(ends, 576, 64), 0);
    const struct frame_plan plan = {.target_mac = link_interface_of(ends[1])->mac, .bytes = 60};
    assert_true(frame_send(ends[0], &plan, true));
    link_destroy(ends[0]);
    struct link_frame frame;
    assert_int_equal(link_receive(ends[1], 0, &frame, 1), 1);
    link_release(ends[1]);
    assert_true(frame_send(ends[1], &plan, true));
    link_destroy(ends[1]);
    link_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_is_named_by_kind_and_interface),
        cmocka_unit_test(other_names_are_refused_with_the_text),
        cmocka_unit_test(a_config_that_no_link_has_is_refused),
        cmocka_unit_test(an_interface_that_is_not_there_is_told),
        cmocka_unit_test(a_pair_takes_sane_sizes_only),
        cmocka_unit_test_setup_teardown(a_pair_carries_frames_both_ways_in_order, make_pair,
                                        drop_pair),
        cmocka_unit_test_setup_teardown(nothing_leaves_before_a_flush, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(a_full_ring_lends_less_and_counts_it, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(slots_not_sent_are_lent_again, make_pair, drop_pair),
        cmocka_unit_test_setup_teardown(
            a_pair_has_facts_and_memory_but_no_descriptor_and_no_deadline, make_pair, drop_pair),
        cmocka_unit_test(an_end_outlives_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
