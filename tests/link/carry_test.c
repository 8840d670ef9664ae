/* Links over a veth pair in namespaces of the test's own. The argument chooses their kind:
 * AF_PACKET with a ring of "slots" or of "blocks", or "xdp", for which the test needs root's
 * rights. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"
#include "wire/wire.h"

#define SLOTS 256u
#define FRAME_MAX 1514u

struct rig {
    struct cable cable;
    struct link *ends[2];
    enum link_kind kind;
    bool blocks;
    atomic_bool stream_sent;
};

static struct link_config small_config(const struct rig *rig)
{
    return (struct link_config){
        .kind = rig->kind, .receive_slots = SLOTS, .transmit_slots = SLOTS, .blocks = rig->blocks};
}

static int set_up(void **state)
{
    struct rig *rig = *state;
    cable_make(&rig->cable);
    const struct link_config config = small_config(rig);
    for (int i = 0; i < 2; i++) {
        rig->ends[i] = cable_open(&rig->cable, i, &config);
    }
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    link_destroy(rig->ends[0]);
    link_destroy(rig->ends[1]);
    cable_close(&rig->cable);
    return 0;
}

static struct frame_plan plan_to(const struct rig *rig, int end, uint32_t number)
{
    return (struct frame_plan){.target_mac = link_interface_of(rig->ends[end])->mac,
                               .target_address = cable_address(end),
                               .number = number,
                               .bytes = frame_length(number, FRAME_MAX)};
}

/* Sends frames first.. to an end and receives them there. */
static void pass(const struct rig *rig, int to, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct frame_plan plan = plan_to(rig, to, first + i);
        assert_true(frame_send(rig->ends[1 - to], &plan, i + 1 == count));
    }
    const struct drain drain = {
        .plan = plan_to(rig, to, first), .length_max = FRAME_MAX, .wanted = count};
    assert_int_equal(drain_in_order(rig->ends[to], &drain), count);
}

static void batches_cross_in_order_both_ways_many_times_around_the_ring(void **state)
{
    const struct rig *rig = *state;
    for (uint32_t first = 0; first < 8 * SLOTS; first += 48) {
        pass(rig, 0, first, 48);
        pass(rig, 1, first, 48);
    }
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_receive_ring_full), 0);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_transmit_no_buffers), 0);
}

static void a_batch_leaves_by_few_calls(void **state)
{
    const struct rig *rig = *state;
    pass(rig, 1, 0, 64);
    const uint64_t calls = link_counter_read(rig->ends[0], LINK_COUNTER_transmit_calls);
    assert_in_range(calls, 1, rig->kind == LINK_XDP ? 3 : 1); /* AF_XDP's send 32 frames each */
    assert_int_equal(link_flush(rig->ends[0], 0), 0);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_transmit_calls), calls);
}

/* Frames that the second end did not get: its ring was full, or, with AF_XDP, the veth's own queue
 * in front of it was, which the sender is told. */
static uint64_t count_lost(const struct rig *rig)
{
    return link_counter_read(rig->ends[1], LINK_COUNTER_receive_ring_full) +
           link_counter_read(rig->ends[0], LINK_COUNTER_transmit_dropped);
}

static void a_full_receive_ring_drops_and_counts(void **state)
{
    const struct rig *rig = *state;
    /* More than the ring has: a ring of blocks packs short frames closer. */
    const uint32_t sent = rig->blocks ? 16 * SLOTS : 2 * SLOTS;
    for (uint32_t i = 0; i < sent; i++) {
        struct frame_plan plan = plan_to(rig, 1, i);
        plan.bytes = rig->blocks ? 1000 : 60;
        assert_true(frame_send(rig->ends[0], &plan, i % 64 == 63));
    }
    struct link_frame frames[LINK_BATCH_MAX];
    uint32_t received = 0;
    while (received + count_lost(rig) < sent && link_wait(rig->ends[1])) {
        const size_t count = link_receive(rig->ends[1], 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            /* The first ones stay, at least as many as the ring holds. */
            assert_true(received + i >= SLOTS || frame_number(&frames[i]) == received + i);
        }
        link_release(rig->ends[1]);
        received += (uint32_t)count;
    }
    assert_true(received >= SLOTS && received < sent);
    assert_int_equal(received + count_lost(rig), sent);
    assert_true(link_counter_read(rig->ends[1], LINK_COUNTER_receive_ring_full) > 0);
    pass(rig, 1, 0, 48);
}

static void a_full_transmit_ring_lends_less_until_a_flush(void **state)
{
    const struct rig *rig = *state;
    for (uint32_t i = 0; i < SLOTS; i++) {
        const struct frame_plan plan = plan_to(rig, 1, i);
        assert_true(frame_send(rig->ends[0], &plan, false));
    }
    struct frame_plan plan = plan_to(rig, 1, SLOTS);
    assert_false(frame_send(rig->ends[0], &plan, false));
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_transmit_ring_full), 1);
    assert_int_equal(link_flush(rig->ends[0], clock_now_ns()), 0);
    const struct drain drain = {
        .plan = plan_to(rig, 1, 0), .length_max = FRAME_MAX, .wanted = SLOTS};
    assert_true(drain_in_order(rig->ends[1], &drain) > 0);
    assert_true(frame_send(rig->ends[0], &plan, true));
}

#define STREAM_FRAMES 200000u

/* Sends short frames 0.. as fast as it goes; for a thread, so it asserts nothing. */
static void *send_stream(void *context)
{
    struct rig *rig = context;
    struct link *link = rig->ends[0];
    uint32_t number = 0;
    while (number < STREAM_FRAMES) {
        struct link_slot slots[16];
        const uint32_t left = STREAM_FRAMES - number;
        const size_t room = link_reserve(link, slots, left < 16 ? left : 16);
        for (size_t i = 0; i < room; i++) {
            struct frame_plan plan = plan_to(rig, 1, number++);
            plan.bytes = 60;
            frame_write(slots[i].data, &plan);
            slots[i].bytes = plan.bytes;
        }
        link_send(link, 0, slots, room);
        (void)link_flush(link, 0);
    }
    while (link_flush(link, 0) != 0) {
    }
    atomic_store(&rig->stream_sent, true);
    return NULL;
}

/* The kernel writes while we read: what is given back must be free to be given back. */
static void a_stream_between_threads_arrives_in_order_but_for_what_is_counted(void **state)
{
    struct rig *rig = *state;
    struct link_frame frames[LINK_BATCH_MAX];
    pthread_t sender;
    uint32_t received = 0, next = 0;
    atomic_store(&rig->stream_sent, false);
    assert_int_equal(pthread_create(&sender, NULL, send_stream, rig), 0);
    /* The last frames may be among the lost: then it is the sum that tells the end. */
    bool ended = false;
    const uint64_t patience_ns = clock_now_ns() + 60 * NS_PER_SEC;
    while (!ended && clock_now_ns() < patience_ns) {
        const size_t count = link_receive(rig->ends[1], 0, frames, LINK_BATCH_MAX);
        for (size_t i = 0; i < count; i++) {
            const uint32_t number = frame_number(&frames[i]);
            assert_in_range(number, next, STREAM_FRAMES - 1);
            next = number + 1;
        }
        link_release(rig->ends[1]);
        received += (uint32_t)count;
        ended = count == 0 && atomic_load(&rig->stream_sent) &&
                received + count_lost(rig) >= STREAM_FRAMES;
    }
    pthread_join(sender, NULL);
    assert_int_equal(received + count_lost(rig), STREAM_FRAMES);
}

static void frames_of_the_full_mtu_cross_and_longer_ones_have_no_room(void **state)
{
    const struct rig *rig = *state;
    struct link_slot slot;
    assert_int_equal(link_reserve(rig->ends[0], &slot, 1), 1);
    assert_int_equal(slot.capacity, FRAME_MAX);
    link_send(rig->ends[0], 0, &slot, 0);
    struct frame_plan plan = plan_to(rig, 1, 5);
    plan.bytes = FRAME_MAX;
    assert_true(frame_send(rig->ends[0], &plan, true));
    struct link_frame frame;
    assert_true(link_wait(rig->ends[1]));
    assert_int_equal(link_receive(rig->ends[1], 0, &frame, 1), 1);
    frame_check(&frame, &plan);
    link_release(rig->ends[1]);
}

/* Receives one frame that is there or comes. */
static struct link_frame receive_one(struct link *link)
{
    struct link_frame frame;
    assert_true(link_wait(link));
    assert_int_equal(link_receive(link, 0, &frame, 1), 1);
    return frame;
}

static void only_frames_to_our_addresses_are_received(void **state)
{
    struct rig *rig = *state;
    struct link_config config = small_config(rig);
    config.address_first = CABLE_NETWORK + 20;
    config.address_last = CABLE_NETWORK + 22;
    link_destroy(rig->ends[1]);
    rig->ends[1] = NULL;
    rig->ends[1] = cable_open(&rig->cable, 1, &config);
    static const uint32_t others[] = {CABLE_NETWORK + 19, CABLE_NETWORK + 23, 0, UINT32_MAX,
                                      CABLE_NETWORK + 2};
    struct frame_plan plan = plan_to(rig, 1, 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        plan.target_address = others[i];
        assert_true(frame_send(rig->ends[0], &plan, true));
    }
    for (plan.number = 20; plan.number <= 22; plan.number++) {
        plan.target_address = CABLE_NETWORK + plan.number;
        assert_true(frame_send(rig->ends[0], &plan, true));
        const struct link_frame frame = receive_one(rig->ends[1]);
        frame_check(&frame, &plan);
        link_release(rig->ends[1]);
    }
    assert_int_equal(link_counter_read(rig->ends[1], LINK_COUNTER_frames_received), 3);
}

/* Sends bytes as they are. */
static void send_bytes(struct link *link, const uint8_t *bytes, uint32_t count)
{
    struct link_slot slot;
    assert_int_equal(link_reserve(link, &slot, 1), 1);
    memcpy(slot.data, bytes, count);
    slot.bytes = count;
    link_send(link, 0, &slot, 1);
    assert_int_equal(link_flush(link, 0), 0);
}

static void arp_is_received_whoever_it_asks_for(void **state)
{
    const struct rig *rig = *state;
    uint8_t frame[WIRE_ETHER_BYTES + WIRE_ARP_BYTES];
    const struct wire_ether ether = {.target = {{255, 255, 255, 255, 255, 255}},
                                     .source = {{2, 0, 0, 0, 0, 9}},
                                     .type = WIRE_ETHERTYPE_ARP};
    const struct wire_arp arp = {
        .operation = WIRE_ARP_REQUEST, .sender_ip = 1, .target_ip = 0xc0a80001};
    wire_ether_emit(frame, &ether);
    wire_arp_emit(frame + WIRE_ETHER_BYTES, &arp);
    send_bytes(rig->ends[0], frame, sizeof(frame));
    const struct link_frame got = receive_one(rig->ends[1]);
    assert_true(got.bytes >= sizeof(frame));
    assert_memory_equal(got.data, frame, sizeof(frame));
    link_release(rig->ends[1]);
}

static void what_we_send_is_not_received_by_us(void **state)
{
    const struct rig *rig = *state;
    struct frame_plan plan = plan_to(rig, 1, 0);
    plan.target_address = cable_address(0); /* the sender's own filter would take it */
    assert_true(frame_send(rig->ends[0], &plan, true));
    pass(rig, 0, 7, 1);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_frames_received), 1);
}

static void frames_of_a_vlan_are_not_taken_for_ours(void **state)
{
    const struct rig *rig = *state;
    uint8_t plain[100], tagged[104];
    struct frame_plan plan = plan_to(rig, 1, 3);
    plan.bytes = sizeof(plain);
    frame_write(plain, &plan);
    memcpy(tagged, plain, 12);
    memcpy(tagged + 12, (const uint8_t[]){0x81, 0x00, 0x00, 0x05}, 4); /* VLAN 5 */
    memcpy(tagged + 16, plain + 12, sizeof(plain) - 12);
    send_bytes(rig->ends[0], tagged, sizeof(tagged));
    pass(rig, 1, 9, 1);
    assert_int_equal(link_counter_read(rig->ends[1], LINK_COUNTER_frames_received), 1);
    /* The XDP program sees the tag and leaves such frames to the kernel. */
    assert_int_equal(link_counter_read(rig->ends[1], LINK_COUNTER_receive_other_vlan),
                     rig->kind == LINK_XDP ? 0 : 1);
}

static void a_link_has_descriptors_facts_and_memory(void **state)
{
    const struct rig *rig = *state;
    int fds[LINK_FDS_MAX];
    const size_t count = link_fds(rig->ends[0], fds);
    assert_in_range(count, 1, LINK_FDS_MAX);
    assert_true(link_deadline_ns(rig->ends[0]) == CLOCK_NEVER);
    const struct link_interface facts = cable_interface(&rig->cable, 0);
    assert_int_equal(link_interface_of(rig->ends[0])->index, facts.index);
    assert_memory_equal(link_interface_of(rig->ends[0])->mac, facts.mac, sizeof(facts.mac));
    assert_true(link_interface_of(rig->ends[0])->up);
    assert_int_equal(facts.mtu_bytes, 1500);
    assert_true(link_memory_bytes(rig->ends[0]) >= 2ull * SLOTS * 1514);
}

int main(int argc, char **argv)
{
    struct rig rig = {.kind = LINK_PACKET};
    if (argc == 2 && strcmp(argv[1], "xdp") == 0) {
        rig.kind = LINK_XDP;
    } else if (argc == 2 && strcmp(argv[1], "blocks") == 0) {
        rig.blocks = true;
    } else if (argc != 2 || strcmp(argv[1], "slots") != 0) {
        fprintf(stderr, "usage: %s slots|blocks|xdp\n", argv[0]);
        return EXIT_FAILURE;
    }
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    if (rig.kind == LINK_XDP && !cable_allows_xdp()) {
        fprintf(stderr, "skipped: no right to load an XDP program\n");
        return EXIT_SKIPPED;
    }
#define LINK_TEST(test) cmocka_unit_test_prestate_setup_teardown(test, set_up, tear_down, &rig)
    const struct CMUnitTest tests[] = {
        LINK_TEST(batches_cross_in_order_both_ways_many_times_around_the_ring),
        LINK_TEST(a_batch_leaves_by_few_calls),
        LINK_TEST(a_full_receive_ring_drops_and_counts),
        LINK_TEST(a_full_transmit_ring_lends_less_until_a_flush),
        LINK_TEST(a_stream_between_threads_arrives_in_order_but_for_what_is_counted),
        LINK_TEST(frames_of_the_full_mtu_cross_and_longer_ones_have_no_room),
        LINK_TEST(only_frames_to_our_addresses_are_received),
        LINK_TEST(arp_is_received_whoever_it_asks_for),
        LINK_TEST(what_we_send_is_not_received_by_us),
        LINK_TEST(frames_of_a_vlan_are_not_taken_for_ours),
        LINK_TEST(a_link_has_descriptors_facts_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
