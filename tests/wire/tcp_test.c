/* Rules of wire/tcp. */
#include "wire/wire_test.h"

#include "wire/captured.h"

#define FLAGS_OFFSET 13u
#define HEADER_WORDS_OFFSET 12u
#define TCP_OFFSET 20u /* in a packet without IPv4 options */

struct packet {
    uint8_t frame[CAPTURED_BYTES_MAX];
    size_t bytes; /* of the IPv4 packet */
    struct wire_ipv4 ip;
};

static uint8_t *ipv4_of(struct packet *packet)
{
    return packet->frame + WIRE_ETHER_BYTES;
}

static void load(struct packet *packet, const char *hex)
{
    packet->bytes = captured_bytes(packet->frame, hex) - WIRE_ETHER_BYTES;
    assert_int_equal(wire_ipv4_parse(&packet->ip, ipv4_of(packet), packet->bytes), WIRE_OK);
}

/* As tshark reads them. */
static const struct {
    const char *frame;
    struct wire_tcp tcp;
} kernel_segments[] = {
    {CAPTURED_SYN,
     {.source_port = 45066,
      .target_port = 7,
      .seq = 1713776733,
      .flags = WIRE_SYN,
      .window = 64240,
      .options = {.mss = 1460,
                  .sack_permitted = true,
                  .has_wscale = true,
                  .wscale = 10,
                  .has_timestamp = true,
                  .ts_val = 2860538284}}},
    {CAPTURED_SYN_ACK,
     {.source_port = 7,
      .target_port = 45066,
      .seq = 1913810766,
      .ack = 1713776734,
      .flags = WIRE_SYN | WIRE_ACK,
      .window = 65160,
      .options = {.mss = 1460,
                  .sack_permitted = true,
                  .has_wscale = true,
                  .wscale = 10,
                  .has_timestamp = true,
                  .ts_val = 460842606,
                  .ts_ecr = 2860538284}}},
    {CAPTURED_DATA,
     {.source_port = 45066,
      .target_port = 7,
      .seq = 1713776734,
      .ack = 1913810767,
      .flags = WIRE_PSH | WIRE_ACK,
      .window = 63,
      .payload_bytes = 7,
      .options = {.has_timestamp = true, .ts_val = 2860538284, .ts_ecr = 460842606}}},
    {CAPTURED_FIN,
     {.source_port = 45066,
      .target_port = 7,
      .seq = 1713776741,
      .ack = 1913810774,
      .flags = WIRE_FIN | WIRE_ACK,
      .window = 63,
      .options = {.has_timestamp = true, .ts_val = 2860538284, .ts_ecr = 460842606}}},
    {CAPTURED_RST,
     {.source_port = 45074,
      .target_port = 7,
      .seq = 1593428648,
      .ack = 4160304681,
      .flags = WIRE_RST | WIRE_ACK,
      .window = 63,
      .options = {.has_timestamp = true, .ts_val = 781929415, .ts_ecr = 3922771413}}},
    {CAPTURED_REFUSAL,
     {.source_port = 9, .target_port = 53338, .ack = 3190108191, .flags = WIRE_RST | WIRE_ACK}},
    {CAPTURED_SACK,
     {.source_port = 7,
      .target_port = 45080,
      .seq = 899236787,
      .ack = 3715348249,
      .flags = WIRE_ACK,
      .window = 64,
      .options = {.has_timestamp = true,
                  .ts_val = 2297087273,
                  .ts_ecr = 1539694534,
                  .sack_count = 1,
                  .sack = {{.start = 3715348809, .end = 3715348909}}}}},
};

static void test_kernel_segments_parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(kernel_segments); i++) {
        struct packet packet;
        struct wire_tcp tcp;
        load(&packet, kernel_segments[i].frame);
        assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_OK);
        assert_same_tcp(&tcp, &kernel_segments[i].tcp);
        assert_int_equal(tcp.payload_bytes, kernel_segments[i].tcp.payload_bytes);
        assert_ptr_equal(tcp.payload + tcp.payload_bytes, ipv4_of(&packet) + packet.bytes);
    }
}

static void test_kernel_segments_come_out_byte_for_byte(void **state)
{
    (void)state;
    static const char *const frames[] = {CAPTURED_SYN, CAPTURED_SYN_ACK, CAPTURED_DATA,
                                         CAPTURED_FIN, CAPTURED_RST,     CAPTURED_REFUSAL,
                                         CAPTURED_SACK};
    for (size_t i = 0; i < TABLE_COUNT(frames); i++) {
        struct packet packet;
        struct wire_tcp tcp;
        uint8_t made[CAPTURED_BYTES_MAX];
        load(&packet, frames[i]);
        assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_OK);
        const struct wire_payload payload = {.first = tcp.payload,
                                             .first_bytes = tcp.payload_bytes};
        assert_int_equal(wire_tcp_emit(made, &packet.ip, &tcp, &payload), packet.bytes);
        assert_memory_equal(made, ipv4_of(&packet), packet.bytes);
    }
}

/* MUST-3. */
static void test_any_flipped_bit_of_segment_or_addresses_is_refused(void **state)
{
    (void)state;
    struct packet packet;
    load(&packet, CAPTURED_DATA);
    for (size_t bit = 12u * 8u; bit < packet.bytes * 8; bit++) {
        struct wire_tcp tcp;
        uint8_t *bytes = ipv4_of(&packet);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        mend_ipv4(bytes);
        const enum wire_verdict ip = wire_ipv4_parse(&packet.ip, bytes, packet.bytes);
        if (ip == WIRE_OK) {
            assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_TCP_CHECKSUM);
        } else {
            assert_int_equal(ip, WIRE_IPV4_HEADER); /* the source became one that nobody has */
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void test_a_checksum_that_the_link_vouches_for_is_not_looked_at(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_tcp tcp;
    load(&packet, CAPTURED_DATA);
    ipv4_of(&packet)[TCP_OFFSET + 16] ^= 0xffu;
    assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_TCP_CHECKSUM);
    assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, true), WIRE_OK);
    assert_int_equal(tcp.payload_bytes, 7);
}

/* The segment is cut, IPv4's total length follows, the checksum is right or vouched for. */
static void test_every_truncation_is_refused_or_shorter_by_as_much(void **state)
{
    (void)state;
    static const char *const frames[] = {CAPTURED_SYN, CAPTURED_DATA, CAPTURED_SACK,
                                         CAPTURED_REFUSAL};
    struct guard_page guard;
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    for (size_t i = 0; i < TABLE_COUNT(frames); i++) {
        struct packet packet;
        load(&packet, frames[i]);
        const uint32_t header = (packet.ip.payload[HEADER_WORDS_OFFSET] >> 4) * 4u;
        for (uint32_t cut = 0; cut <= packet.ip.payload_bytes; cut++) {
            struct wire_ipv4 ip = packet.ip;
            struct wire_tcp tcp;
            ip.payload = at_guard(&guard, packet.ip.payload, cut);
            ip.payload_bytes = cut;
            const enum wire_verdict got = wire_tcp_parse(&tcp, &ip, true);
            assert_int_equal(got, cut < 20       ? WIRE_TCP_SHORT
                                  : cut < header ? WIRE_TCP_HEADER
                                                 : WIRE_OK);
            if (got == WIRE_OK) {
                assert_int_equal(tcp.payload_bytes, cut - header);
            }
            const enum wire_verdict checked = wire_tcp_parse(&tcp, &ip, false);
            assert_int_equal(checked, cut < 20                        ? WIRE_TCP_SHORT
                                      : cut < packet.ip.payload_bytes ? WIRE_TCP_CHECKSUM
                                                                      : WIRE_OK);
        }
    }
    guard_page_unmap(&guard);
}

static void test_an_impossible_data_offset_is_refused(void **state)
{
    (void)state;
    for (uint32_t words = 0; words < 16; words++) {
        struct packet packet;
        struct wire_tcp tcp;
        load(&packet, CAPTURED_DATA); /* 39 bytes */
        ipv4_of(&packet)[TCP_OFFSET + HEADER_WORDS_OFFSET] = (uint8_t)(words << 4);
        mend_payload(ipv4_of(&packet));
        assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false),
                         words < 5 || words > 9 ? WIRE_TCP_HEADER : WIRE_OK);
    }
}

static void test_port_0_is_refused(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 4; at += 2) {
        struct packet packet;
        struct wire_tcp tcp;
        load(&packet, CAPTURED_SYN);
        memset(ipv4_of(&packet) + TCP_OFFSET + at, 0, 2);
        mend_payload(ipv4_of(&packet));
        assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_TCP_HEADER);
    }
}

/* RFC 9293 section 3.1: reserved bits must be ignored in received segments. */
static void test_reserved_bits_and_unused_fields_are_ignored(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_tcp tcp;
    load(&packet, CAPTURED_SYN);
    ipv4_of(&packet)[TCP_OFFSET + HEADER_WORDS_OFFSET] |= 0x0fu;
    mend_payload(ipv4_of(&packet));
    assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_OK);
    assert_int_equal(tcp.flags, WIRE_SYN);
    assert_int_equal(tcp.options.mss, 1460);
}

static void test_every_flag_has_its_bit(void **state)
{
    (void)state;
    static const uint8_t flags[] = {WIRE_FIN, WIRE_SYN, WIRE_RST, WIRE_PSH,
                                    WIRE_ACK, WIRE_URG, WIRE_ECE, WIRE_CWR};
    for (size_t i = 0; i < TABLE_COUNT(flags); i++) {
        struct packet packet;
        struct wire_tcp tcp;
        assert_int_equal(flags[i], 1u << i);
        load(&packet, CAPTURED_SYN);
        ipv4_of(&packet)[TCP_OFFSET + FLAGS_OFFSET] = flags[i];
        mend_payload(ipv4_of(&packet));
        assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_OK);
        assert_int_equal(tcp.flags, flags[i]);
    }
}

/* MUST-7: the segment of an impossible option is kept. */
static void test_a_segment_with_spoilt_options_is_kept(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_tcp tcp;
    load(&packet, CAPTURED_SYN);
    ipv4_of(&packet)[TCP_OFFSET + 20 + 5] = 0; /* the length of SACK permitted */
    mend_payload(ipv4_of(&packet));
    assert_int_equal(wire_tcp_parse(&tcp, &packet.ip, false), WIRE_OK);
    assert_same_options(&tcp.options, &(struct wire_tcp_options){.mss = 1460});
}

/* As many blocks as fit: what emission leaves out of SACK is known. */
static void expect_sack_that_fits(struct wire_tcp_options *options)
{
    uint32_t used = (options->mss != 0 ? 4u : 0u) + (options->has_wscale ? 4u : 0u);
    used += options->has_timestamp ? 12u : options->sack_permitted ? 4u : 0u;
    while (options->sack_count > 0 && used + 4u + 8u * options->sack_count > 40u) {
        options->sack_count--;
        options->sack[options->sack_count] = (struct wire_sack){0};
    }
}

/* Emits and parses one random segment whose payload lies in two parts. */
static void check_round_trip(struct guard_page *guard, struct rng *rng, size_t payload_max)
{
    static const uint8_t bytes[PACKET_MAX] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233};
    struct wire_ipv4 ip;
    struct wire_ipv4 ip_got;
    struct wire_tcp tcp;
    struct wire_tcp got;
    random_ipv4(&ip, rng);
    random_tcp(&tcp, rng);
    const uint32_t count = (uint32_t)rng_below(rng, payload_max + 1);
    const uint32_t cut = (uint32_t)rng_below(rng, count + 1);
    const struct wire_payload payload = {.first = bytes + 3,
                                         .first_bytes = cut,
                                         .second = bytes + 3 + cut,
                                         .second_bytes = count - cut};
    const uint32_t size = 20 + 20 + wire_tcp_options_bytes(&tcp.options) + count;
    uint8_t *packet = room_at_guard(guard, size);
    memset(packet, 0xa5, size);
    assert_int_equal(wire_tcp_emit(packet, &ip, &tcp, count == 0 ? NULL : &payload), size);
    assert_int_equal(wire_ipv4_parse(&ip_got, packet, size), WIRE_OK);
    assert_int_equal(wire_tcp_parse(&got, &ip_got, false), WIRE_OK);
    expect_sack_that_fits(&tcp.options);
    assert_same_ipv4(&ip_got, &ip);
    assert_same_tcp(&got, &tcp);
    assert_int_equal(got.payload_bytes, count);
    assert_memory_equal(got.payload, bytes + 3, count);
}

static void test_what_is_emitted_parses_to_the_same(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, PACKET_MAX);
    rng_seed(&rng, 10);
    for (int run = 0; run < 30000; run++) {
        check_round_trip(&guard, &rng, run % 200 == 0 ? 65000 : 50);
    }
    guard_page_unmap(&guard);
}

/* RFC 1071: a sum of 0xffff and one of 0 are the same number; both must come out right. */
static void test_checksums_are_right_at_their_wrap(void **state)
{
    (void)state;
    struct wire_ipv4 ip = {.source = 0x01000000, .protocol = WIRE_PROTO_TCP};
    struct wire_tcp tcp = {.source_port = 1, .target_port = 1};
    for (uint32_t window = 0; window <= UINT16_MAX; window++) {
        uint8_t packet[40];
        uint8_t mended[40];
        struct wire_ipv4 ip_got;
        struct wire_tcp got;
        tcp.window = (uint16_t)window;
        ip.id = (uint16_t)window;
        wire_tcp_emit(packet, &ip, &tcp, NULL);
        memcpy(mended, packet, sizeof(packet));
        mend_payload(mended);
        mend_ipv4(mended);
        assert_memory_equal(packet, mended, sizeof(packet));
        assert_int_equal(wire_ipv4_parse(&ip_got, packet, sizeof(packet)), WIRE_OK);
        assert_int_equal(wire_tcp_parse(&got, &ip_got, false), WIRE_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel_segments_parse),
        cmocka_unit_test(test_kernel_segments_come_out_byte_for_byte),
        cmocka_unit_test(test_any_flipped_bit_of_segment_or_addresses_is_refused),
        cmocka_unit_test(test_a_checksum_that_the_link_vouches_for_is_not_looked_at),
        cmocka_unit_test(test_every_truncation_is_refused_or_shorter_by_as_much),
        cmocka_unit_test(test_an_impossible_data_offset_is_refused),
        cmocka_unit_test(test_port_0_is_refused),
        cmocka_unit_test(test_reserved_bits_and_unused_fields_are_ignored),
        cmocka_unit_test(test_every_flag_has_its_bit),
        cmocka_unit_test(test_a_segment_with_spoilt_options_is_kept),
        cmocka_unit_test(test_what_is_emitted_parses_to_the_same),
        cmocka_unit_test(test_checksums_are_right_at_their_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
