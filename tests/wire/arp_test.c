/* Rules of wire/arp. */
#include "wire/wire_test.h"

#include "wire/captured.h"

#define ASKER 0xc0000201u /* 192.0.2.1 */
#define OWNER 0xc0000202u

static void test_a_kernel_request_and_its_reply_parse(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    struct wire_arp arp;
    size_t bytes = captured_bytes(frame, CAPTURED_ARP_REQUEST) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_arp_parse(&arp, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
    assert_int_equal(arp.operation, WIRE_ARP_REQUEST);
    assert_memory_equal(arp.sender_mac.bytes, "\x02\0\0\0\0\x01", 6);
    assert_int_equal(arp.sender_ip, ASKER);
    assert_memory_equal(arp.target_mac.bytes, "\0\0\0\0\0\0", 6);
    assert_int_equal(arp.target_ip, OWNER);

    bytes = captured_bytes(frame, CAPTURED_ARP_REPLY) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_arp_parse(&arp, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
    assert_int_equal(arp.operation, WIRE_ARP_REPLY);
    assert_memory_equal(arp.sender_mac.bytes, "\x02\0\0\0\0\x02", 6);
    assert_int_equal(arp.sender_ip, OWNER);
    assert_memory_equal(arp.target_mac.bytes, "\x02\0\0\0\0\x01", 6);
    assert_int_equal(arp.target_ip, ASKER);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    struct guard_page guard;
    struct wire_arp arp;
    uint8_t frame[CAPTURED_BYTES_MAX];
    captured_bytes(frame, CAPTURED_ARP_REPLY);
    guard_page_map(&guard, WIRE_ARP_BYTES);
    for (size_t cut = 0; cut <= WIRE_ARP_BYTES; cut++) {
        const uint8_t *packet = at_guard(&guard, frame + WIRE_ETHER_BYTES, cut);
        assert_int_equal(wire_arp_parse(&arp, packet, cut),
                         cut < WIRE_ARP_BYTES ? WIRE_ARP_FORM : WIRE_OK);
    }
    guard_page_unmap(&guard);
}

static void test_other_hardware_and_protocols_are_refused(void **state)
{
    (void)state;
    struct wire_arp arp;
    for (size_t at = 0; at < 6; at++) { /* hardware, protocol, and their address lengths */
        uint8_t frame[CAPTURED_BYTES_MAX];
        captured_bytes(frame, CAPTURED_ARP_REPLY);
        frame[WIRE_ETHER_BYTES + at] ^= 1u;
        assert_int_equal(wire_arp_parse(&arp, frame + WIRE_ETHER_BYTES, WIRE_ARP_BYTES),
                         WIRE_ARP_FORM);
    }
}

static void test_what_is_emitted_parses_to_the_same(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, WIRE_ARP_BYTES);
    rng_seed(&rng, 6);
    for (int run = 0; run < 1000; run++) {
        struct wire_arp got;
        struct wire_arp sent = {
            .operation = (uint16_t)rng_next(&rng),
            .sender_ip = (uint32_t)rng_next(&rng),
            .target_ip = (uint32_t)rng_next(&rng),
        };
        rng_fill(&rng, &sent.sender_mac, sizeof(sent.sender_mac));
        rng_fill(&rng, &sent.target_mac, sizeof(sent.target_mac));
        uint8_t *packet = room_at_guard(&guard, WIRE_ARP_BYTES);
        wire_arp_emit(packet, &sent);
        assert_int_equal(wire_arp_parse(&got, packet, WIRE_ARP_BYTES), WIRE_OK);
        assert_int_equal(got.operation, sent.operation);
        assert_int_equal(got.sender_ip, sent.sender_ip);
        assert_int_equal(got.target_ip, sent.target_ip);
        assert_memory_equal(&got.sender_mac, &sent.sender_mac, sizeof(got.sender_mac));
        assert_memory_equal(&got.target_mac, &sent.target_mac, sizeof(got.target_mac));
    }
    guard_page_unmap(&guard);
}

static void test_the_kernels_reply_comes_out_byte_for_byte(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    uint8_t made[WIRE_ETHER_BYTES + WIRE_ARP_BYTES];
    struct wire_ether ether;
    struct wire_arp arp;
    const size_t bytes = captured_bytes(frame, CAPTURED_ARP_REPLY);
    assert_int_equal(bytes, sizeof(made));
    assert_int_equal(wire_ether_parse(&ether, frame, bytes), WIRE_OK);
    assert_int_equal(wire_arp_parse(&arp, ether.payload, ether.payload_bytes), WIRE_OK);
    wire_ether_emit(made, &ether);
    wire_arp_emit(made + WIRE_ETHER_BYTES, &arp);
    assert_memory_equal(made, frame, sizeof(made));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kernel_request_and_its_reply_parse),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_other_hardware_and_protocols_are_refused),
        cmocka_unit_test(test_what_is_emitted_parses_to_the_same),
        cmocka_unit_test(test_the_kernels_reply_comes_out_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
