/* Rules of wire/ipv4. */
#include "wire/wire_test.h"

#include "wire/captured.h"

#define IPV4_HEADER_MAX 60u

/* A header of a given length with a small payload, for tests that spoil it. Returns its length. */
static size_t make_packet(uint8_t *packet, size_t header_bytes, size_t payload_bytes)
{
    memset(packet, 0, header_bytes + payload_bytes);
    packet[0] = (uint8_t)(0x40u | header_bytes / 4);
    packet[3] = (uint8_t)(header_bytes + payload_bytes);
    packet[8] = 64;
    packet[9] = WIRE_PROTO_TCP;
    static const uint8_t addresses[] = {192, 0, 2, 1, 192, 0, 2, 2};
    memcpy(packet + 12, addresses, sizeof(addresses));
    mend_ipv4(packet);
    return header_bytes + payload_bytes;
}

static enum wire_verdict verdict(const uint8_t *packet, size_t bytes)
{
    struct wire_ipv4 ip;
    return wire_ipv4_parse(&ip, packet, bytes);
}

static void test_a_kernel_packet_parses(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    const uint8_t *packet = frame + WIRE_ETHER_BYTES;
    struct wire_ipv4 ip;
    const size_t bytes = captured_bytes(frame, CAPTURED_SYN) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_ipv4_parse(&ip, packet, bytes), WIRE_OK);
    const struct wire_ipv4 expected = {
        .source = 0xc0000201u,
        .target = 0xc0000202u,
        .protocol = WIRE_PROTO_TCP,
        .ttl = 64,
        .id = 0xc27e,
        .dont_fragment = true,
    };
    assert_same_ipv4(&ip, &expected);
    assert_ptr_equal(ip.header, packet);
    assert_int_equal(ip.header_bytes, 20);
    assert_ptr_equal(ip.payload, packet + 20);
    assert_int_equal(ip.payload_bytes, 40);
}

static void test_kernel_fragments_say_where_they_belong(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    struct wire_ipv4 ip;
    size_t bytes = captured_bytes(frame, CAPTURED_FRAGMENT_FIRST) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_ipv4_parse(&ip, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
    assert_true(ip.more_fragments);
    assert_int_equal(ip.fragment_offset, 0);
    assert_int_equal(ip.payload_bytes, 80);
    bytes = captured_bytes(frame, CAPTURED_FRAGMENT_LAST) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_ipv4_parse(&ip, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
    assert_false(ip.more_fragments);
    assert_int_equal(ip.fragment_offset, 80);
    assert_int_equal(ip.payload_bytes, 49);
}

static void test_options_are_skipped(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    struct wire_ipv4 ip;
    const size_t bytes = captured_bytes(frame, CAPTURED_RECORD_ROUTE) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_ipv4_parse(&ip, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
    assert_int_equal(ip.header_bytes, 60);
    assert_ptr_equal(ip.payload, frame + WIRE_ETHER_BYTES + 60);
    assert_int_equal(ip.payload_bytes, bytes - 60);
}

static void test_every_truncation_is_refused(void **state)
{
    (void)state;
    static const char *const frames[] = {CAPTURED_SYN, CAPTURED_RECORD_ROUTE, CAPTURED_PING};
    struct guard_page guard;
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    for (size_t i = 0; i < TABLE_COUNT(frames); i++) {
        uint8_t frame[CAPTURED_BYTES_MAX];
        const size_t bytes = captured_bytes(frame, frames[i]) - WIRE_ETHER_BYTES;
        for (size_t cut = 0; cut <= bytes; cut++) {
            const uint8_t *packet = at_guard(&guard, frame + WIRE_ETHER_BYTES, cut);
            assert_int_equal(verdict(packet, cut), cut < bytes ? WIRE_IPV4_SHORT : WIRE_OK);
        }
    }
    guard_page_unmap(&guard);
}

static void test_padding_behind_the_total_length_is_cut_off(void **state)
{
    (void)state;
    uint8_t packet[60] = {0};
    struct wire_ipv4 ip;
    make_packet(packet, 20, 7);
    assert_int_equal(wire_ipv4_parse(&ip, packet, 46), WIRE_OK); /* Ethernet's least payload */
    assert_int_equal(ip.payload_bytes, 7);
}

static void test_impossible_lengths_and_versions_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        uint8_t total;
        enum wire_verdict verdict;
    } cases[] = {
        {0x45, 20, WIRE_OK},           {0x44, 20, WIRE_IPV4_HEADER},  {0x40, 20, WIRE_IPV4_HEADER},
        {0x45, 19, WIRE_IPV4_HEADER},  {0x45, 0, WIRE_IPV4_HEADER},   {0x46, 23, WIRE_IPV4_HEADER},
        {0x46, 24, WIRE_OK},           {0x45, 61, WIRE_IPV4_SHORT},   {0x65, 20, WIRE_IPV4_VERSION},
        {0x05, 20, WIRE_IPV4_VERSION}, {0xf5, 20, WIRE_IPV4_VERSION},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        uint8_t packet[60];
        make_packet(packet, 20, 40);
        packet[0] = cases[i].first;
        packet[3] = cases[i].total;
        mend_ipv4(packet);
        assert_int_equal(verdict(packet, sizeof(packet)), cases[i].verdict);
    }
}

static void test_any_flipped_bit_of_the_header_is_refused(void **state)
{
    (void)state;
    struct guard_page guard;
    guard_page_map(&guard, 64);
    for (size_t bit = 0; bit < 20u * 8u; bit++) {
        uint8_t packet[64];
        const size_t bytes = make_packet(packet, 20, 44);
        packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(verdict(at_guard(&guard, packet, bytes), bytes), WIRE_OK);
    }
    guard_page_unmap(&guard);
}

static void test_sources_that_nobody_may_have_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t source[4];
        bool allowed;
    } cases[] = {
        {{0, 0, 0, 0}, false},         {{0, 1, 2, 3}, false},        {{1, 0, 0, 0}, true},
        {{223, 255, 255, 255}, true},  {{224, 0, 0, 0}, false},      {{239, 255, 255, 255}, false},
        {{255, 255, 255, 255}, false}, {{255, 255, 255, 254}, true}, {{240, 0, 0, 1}, true},
        {{127, 0, 0, 1}, true},        {{10, 0, 0, 1}, true},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        uint8_t packet[60];
        const size_t bytes = make_packet(packet, 20, 40);
        memcpy(packet + 12, cases[i].source, 4);
        mend_ipv4(packet);
        assert_int_equal(verdict(packet, bytes), cases[i].allowed ? WIRE_OK : WIRE_IPV4_HEADER);
    }
}

static void test_options_must_fit_the_header(void **state)
{
    (void)state;
    static const struct {
        uint8_t options[8];
        bool allowed;
    } cases[] = {
        {{0}, true},
        {{1, 1, 1, 1, 1, 1, 1, 1}, true},
        {{7, 8, 4, 0, 0, 0, 0, 0}, true},
        {{7, 9, 4, 0, 0, 0, 0, 0}, false},
        {{7, 0}, false},
        {{7, 1}, false},
        {{7, 2, 1, 1, 1, 1, 1, 1}, true},
        {{1, 1, 1, 1, 1, 1, 1, 7}, false},
        {{1, 1, 1, 1, 1, 1, 7, 2}, true},
        {{1, 1, 1, 1, 1, 1, 7, 3}, false},
        {{0, 7, 0, 7, 1, 255, 1, 1}, true}, /* behind the end nothing is looked at */
        {{0x94, 4, 0, 0, 7, 4, 4, 0}, true},
        {{0x94, 4, 0, 0, 7, 5, 4, 0}, false},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        uint8_t packet[48];
        const size_t bytes = make_packet(packet, 28, 20);
        memcpy(packet + 20, cases[i].options, 8);
        mend_ipv4(packet);
        assert_int_equal(verdict(packet, bytes), cases[i].allowed ? WIRE_OK : WIRE_IPV4_HEADER);
    }
}

static void test_random_options_never_lead_outside(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, IPV4_HEADER_MAX);
    rng_seed(&rng, 7);
    for (int run = 0; run < 20000; run++) {
        uint8_t packet[IPV4_HEADER_MAX];
        const size_t bytes = make_packet(packet, 24 + rng_below(&rng, 10) * 4, 0);
        rng_fill(&rng, packet + 20, bytes - 20);
        for (size_t i = 20; i < bytes; i++) {
            packet[i] = (uint8_t)(packet[i] % 12u); /* small lengths, so that many walk far */
        }
        mend_ipv4(packet);
        const enum wire_verdict got = verdict(at_guard(&guard, packet, bytes), bytes);
        assert_true(got == WIRE_OK || got == WIRE_IPV4_HEADER);
    }
    guard_page_unmap(&guard);
}

static void test_what_is_emitted_parses_to_the_same(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, PACKET_MAX);
    rng_seed(&rng, 8);
    for (int run = 0; run < 20000; run++) {
        struct wire_ipv4 sent;
        struct wire_ipv4 got;
        random_ipv4(&sent, &rng);
        sent.more_fragments = rng_below(&rng, 2) != 0;
        sent.fragment_offset = (uint16_t)(rng_below(&rng, 8192) * 8);
        const uint32_t payload_bytes = (uint32_t)rng_below(&rng, run % 100 == 0 ? 65516 : 100);
        uint8_t *packet = room_at_guard(&guard, 20 + payload_bytes);
        wire_ipv4_emit(packet, &sent, payload_bytes);
        assert_int_equal(wire_ipv4_parse(&got, packet, 20 + payload_bytes), WIRE_OK);
        assert_same_ipv4(&got, &sent);
        assert_int_equal(got.payload_bytes, payload_bytes);
    }
    guard_page_unmap(&guard);
}

static void test_kernel_headers_come_out_byte_for_byte(void **state)
{
    (void)state;
    static const char *const frames[] = {CAPTURED_SYN, CAPTURED_FRAGMENT_LAST, CAPTURED_PONG};
    for (size_t i = 0; i < TABLE_COUNT(frames); i++) {
        uint8_t frame[CAPTURED_BYTES_MAX];
        uint8_t made[20];
        struct wire_ipv4 ip;
        const size_t bytes = captured_bytes(frame, frames[i]) - WIRE_ETHER_BYTES;
        assert_int_equal(wire_ipv4_parse(&ip, frame + WIRE_ETHER_BYTES, bytes), WIRE_OK);
        wire_ipv4_emit(made, &ip, ip.payload_bytes);
        assert_memory_equal(made, frame + WIRE_ETHER_BYTES, sizeof(made));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kernel_packet_parses),
        cmocka_unit_test(test_kernel_fragments_say_where_they_belong),
        cmocka_unit_test(test_options_are_skipped),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_padding_behind_the_total_length_is_cut_off),
        cmocka_unit_test(test_impossible_lengths_and_versions_are_refused),
        cmocka_unit_test(test_any_flipped_bit_of_the_header_is_refused),
        cmocka_unit_test(test_sources_that_nobody_may_have_are_refused),
        cmocka_unit_test(test_options_must_fit_the_header),
        cmocka_unit_test(test_random_options_never_lead_outside),
        cmocka_unit_test(test_what_is_emitted_parses_to_the_same),
        cmocka_unit_test(test_kernel_headers_come_out_byte_for_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
