/* Rules of wire/icmp. */
#include "wire/wire_test.h"

#include "wire/captured.h"

#define ICMP_OFFSET 20u  /* in a packet without IPv4 options */
#define QUOTE_OFFSET 28u /* in a message: of the quoted TCP header, behind 8 + 20 bytes */
#define QUOTED_IP_OFFSET 8u

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

static enum wire_verdict parse(struct wire_icmp *icmp, struct packet *packet)
{
    memset(icmp, 0xa5, sizeof(*icmp)); /* the parser must set every field itself */
    return wire_icmp_parse(icmp, &packet->ip);
}

static void test_a_kernel_host_unreachable_says_which_segment_it_is_about(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_icmp icmp;
    load(&packet, CAPTURED_HOST_UNREACHABLE);
    assert_int_equal(parse(&icmp, &packet), WIRE_OK);
    assert_int_equal(icmp.type, WIRE_ICMP_UNREACHABLE);
    assert_int_equal(icmp.code, WIRE_UNREACHABLE_HOST);
    assert_true(icmp.quotes_tcp);
    assert_int_equal(icmp.quoted_source, 0xc0000201u);
    assert_int_equal(icmp.quoted_target, 0xcb007105u); /* 203.0.113.5 */
    assert_int_equal(icmp.quoted_source_port, 33994);
    assert_int_equal(icmp.quoted_target_port, 80);
    assert_int_equal(icmp.quoted_seq, 1157059355);
    assert_int_equal(icmp.quoted_bytes, 60);
    assert_int_equal(icmp.next_hop_mtu, 0);
}

static void test_a_kernel_fragmentation_needed_tells_the_mtu(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_icmp icmp;
    load(&packet, CAPTURED_TOO_BIG);
    assert_int_equal(parse(&icmp, &packet), WIRE_OK);
    assert_int_equal(icmp.type, WIRE_ICMP_UNREACHABLE);
    assert_int_equal(icmp.code, WIRE_UNREACHABLE_FRAGMENTATION_NEEDED);
    assert_int_equal(icmp.next_hop_mtu, 100);
    assert_true(icmp.quotes_tcp);
    assert_int_equal(icmp.quoted_source_port, 1234);
    assert_int_equal(icmp.quoted_target_port, 80);
    assert_int_equal(icmp.quoted_seq, 0x11223344);
    assert_int_equal(icmp.quoted_bytes, 120);
}

static void test_an_echo_gives_its_body_from_the_identifier_on(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_icmp icmp;
    load(&packet, CAPTURED_PING);
    assert_int_equal(parse(&icmp, &packet), WIRE_OK);
    assert_int_equal(icmp.type, WIRE_ICMP_ECHO);
    assert_ptr_equal(icmp.body, ipv4_of(&packet) + ICMP_OFFSET + 4);
    assert_int_equal(icmp.body_bytes, 60);
    assert_false(icmp.quotes_tcp);
}

static void test_the_reply_is_the_kernels_but_for_its_id(void **state)
{
    (void)state;
    struct packet ping;
    struct packet pong;
    struct wire_icmp icmp;
    struct guard_page guard;
    load(&ping, CAPTURED_PING);
    load(&pong, CAPTURED_PONG);
    assert_int_equal(parse(&icmp, &ping), WIRE_OK);
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    uint8_t *made = room_at_guard(&guard, 20 + 4 + icmp.body_bytes);
    assert_int_equal(wire_icmp_emit_echo_reply(made, &ping.ip, &icmp, pong.ip.id), pong.bytes);
    assert_memory_equal(made, ipv4_of(&pong), pong.bytes);
    guard_page_unmap(&guard);
}

static void test_replies_of_every_length_parse_again(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t body[101];
    rng_seed(&rng, 11);
    rng_fill(&rng, body, sizeof(body));
    for (uint32_t bytes = 4; bytes <= sizeof(body); bytes++) {
        const struct wire_ipv4 ip = {.source = 0x0a000001, .target = 0x0a000002, .dscp = 46};
        const struct wire_icmp echo = {.body = body, .body_bytes = bytes};
        uint8_t packet[20 + 4 + sizeof(body)];
        struct wire_ipv4 got;
        struct wire_icmp icmp;
        const uint32_t size = wire_icmp_emit_echo_reply(packet, &ip, &echo, 77);
        assert_int_equal(size, 24 + bytes);
        assert_int_equal(wire_ipv4_parse(&got, packet, size), WIRE_OK);
        assert_int_equal(got.source, ip.target);
        assert_int_equal(got.target, ip.source);
        assert_int_equal(got.dscp, 46);
        assert_int_equal(got.id, 77);
        assert_int_equal(wire_icmp_parse(&icmp, &got), WIRE_OK);
        assert_int_equal(icmp.type, WIRE_ICMP_ECHO_REPLY);
        assert_int_equal(icmp.body_bytes, bytes);
        assert_memory_equal(icmp.body, body, bytes);
    }
}

static void test_any_flipped_bit_is_refused(void **state)
{
    (void)state;
    struct packet packet;
    struct wire_icmp icmp;
    load(&packet, CAPTURED_HOST_UNREACHABLE);
    for (size_t bit = ICMP_OFFSET * 8u; bit < packet.bytes * 8; bit++) {
        ipv4_of(&packet)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(parse(&icmp, &packet), WIRE_ICMP_CHECKSUM);
        ipv4_of(&packet)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* Cuts a message to `cut` bytes at a guard page, with a right checksum. */
static enum wire_verdict parse_cut(struct wire_icmp *icmp, struct packet *packet, uint32_t cut,
                                   struct guard_page *guard)
{
    uint8_t *copy = room_at_guard(guard, ICMP_OFFSET + cut);
    memcpy(copy, ipv4_of(packet), ICMP_OFFSET + cut);
    copy[2] = 0;
    copy[3] = (uint8_t)(ICMP_OFFSET + cut);
    mend_ipv4(copy);
    if (cut >= 4) {
        mend_payload(copy);
    }
    struct wire_ipv4 ip;
    assert_int_equal(wire_ipv4_parse(&ip, copy, ICMP_OFFSET + cut), WIRE_OK);
    return wire_icmp_parse(icmp, &ip);
}

static void test_an_error_needs_8_bytes_of_what_it_quotes(void **state)
{
    (void)state;
    static const char *const frames[] = {CAPTURED_HOST_UNREACHABLE, CAPTURED_TOO_BIG};
    struct guard_page guard;
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    for (size_t i = 0; i < TABLE_COUNT(frames); i++) {
        struct packet packet;
        struct wire_icmp icmp;
        load(&packet, frames[i]);
        for (uint32_t cut = 0; cut <= packet.ip.payload_bytes; cut++) {
            const enum wire_verdict got = parse_cut(&icmp, &packet, cut, &guard);
            assert_int_equal(got, cut < QUOTE_OFFSET + 8 ? WIRE_ICMP_SHORT : WIRE_OK);
            assert_true(got != WIRE_OK || icmp.quotes_tcp);
        }
    }
    guard_page_unmap(&guard);
}

static void test_an_echo_needs_its_header(void **state)
{
    (void)state;
    struct guard_page guard;
    struct packet packet;
    struct wire_icmp icmp;
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    load(&packet, CAPTURED_PING);
    for (uint32_t cut = 0; cut <= packet.ip.payload_bytes; cut++) {
        const enum wire_verdict got = parse_cut(&icmp, &packet, cut, &guard);
        assert_int_equal(got, cut < 8 ? WIRE_ICMP_SHORT : WIRE_OK);
        assert_true(got != WIRE_OK || icmp.body_bytes == cut - 4);
    }
    guard_page_unmap(&guard);
}

static void test_quotes_with_options_are_read_behind_them(void **state)
{
    (void)state;
    struct guard_page guard;
    struct packet packet;
    struct wire_icmp icmp;
    guard_page_map(&guard, CAPTURED_BYTES_MAX);
    load(&packet, CAPTURED_HOST_UNREACHABLE);
    /* Four bytes of options: what stood at the quoted sequence number now holds the ports. */
    ipv4_of(&packet)[ICMP_OFFSET + QUOTED_IP_OFFSET] = 0x46;
    for (uint32_t cut = 0; cut <= packet.ip.payload_bytes; cut++) {
        const enum wire_verdict got = parse_cut(&icmp, &packet, cut, &guard);
        assert_int_equal(got, cut < QUOTE_OFFSET + 12 ? WIRE_ICMP_SHORT : WIRE_OK);
        if (got == WIRE_OK) {
            assert_int_equal((uint32_t)icmp.quoted_source_port << 16 | icmp.quoted_target_port,
                             1157059355);
        }
    }
    guard_page_unmap(&guard);
}

static void test_quotes_that_are_no_start_of_a_segment_are_left_alone(void **state)
{
    (void)state;
    static const struct {
        size_t at; /* in the quoted IPv4 header */
        uint8_t value;
    } cases[] = {
        {9, 17},              /* UDP */
        {0, 0x65},            /* IPv6 */
        {0, 0x44},            /* no header at all */
        {6, 0x00}, {7, 0x01}, /* DF alone is no fragment; one unit of offset is */
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct packet packet;
        struct wire_icmp icmp;
        load(&packet, CAPTURED_HOST_UNREACHABLE);
        ipv4_of(&packet)[ICMP_OFFSET + QUOTED_IP_OFFSET + cases[i].at] = cases[i].value;
        mend_payload(ipv4_of(&packet));
        assert_int_equal(parse(&icmp, &packet), WIRE_OK);
        assert_int_equal(icmp.quotes_tcp, cases[i].at == 6);
    }
}

static void test_every_error_quotes_and_nothing_else_does(void **state)
{
    (void)state;
    for (unsigned int type = 0; type <= UINT8_MAX; type++) {
        struct packet packet;
        struct wire_icmp icmp;
        load(&packet, CAPTURED_TOO_BIG);
        ipv4_of(&packet)[ICMP_OFFSET] = (uint8_t)type;
        mend_payload(ipv4_of(&packet));
        assert_int_equal(parse(&icmp, &packet), WIRE_OK);
        assert_int_equal(icmp.type, type);
        assert_int_equal(icmp.quotes_tcp,
                         type == WIRE_ICMP_UNREACHABLE || type == WIRE_ICMP_SOURCE_QUENCH ||
                             type == WIRE_ICMP_REDIRECT || type == WIRE_ICMP_TIME_EXCEEDED ||
                             type == WIRE_ICMP_PARAMETER_PROBLEM);
        assert_int_equal(icmp.next_hop_mtu, type == WIRE_ICMP_UNREACHABLE ? 100 : 0);
        assert_int_equal(icmp.body_bytes != 0,
                         type == WIRE_ICMP_ECHO || type == WIRE_ICMP_ECHO_REPLY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kernel_host_unreachable_says_which_segment_it_is_about),
        cmocka_unit_test(test_a_kernel_fragmentation_needed_tells_the_mtu),
        cmocka_unit_test(test_an_echo_gives_its_body_from_the_identifier_on),
        cmocka_unit_test(test_the_reply_is_the_kernels_but_for_its_id),
        cmocka_unit_test(test_replies_of_every_length_parse_again),
        cmocka_unit_test(test_any_flipped_bit_is_refused),
        cmocka_unit_test(test_an_error_needs_8_bytes_of_what_it_quotes),
        cmocka_unit_test(test_an_echo_needs_its_header),
        cmocka_unit_test(test_quotes_with_options_are_read_behind_them),
        cmocka_unit_test(test_quotes_that_are_no_start_of_a_segment_are_left_alone),
        cmocka_unit_test(test_every_error_quotes_and_nothing_else_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
