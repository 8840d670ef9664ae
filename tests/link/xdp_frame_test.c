/* Which frames count as having a checksum that was left to a device. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "link/xdp_frame.h"
#include "wire/wire.h"

#define PAYLOAD_BYTES 33u
#define FRAME_BYTES (WIRE_ETHER_BYTES + WIRE_IPV4_BYTES + WIRE_TCP_BYTES + PAYLOAD_BYTES)
#define CHECKSUM_AT (WIRE_ETHER_BYTES + WIRE_IPV4_BYTES + 16)

/* A segment between random addresses as a kernel leaves it: the pseudo-header's sum alone. */
static void write_unfinished(uint8_t *frame, struct rng *rng)
{
    static const uint8_t payload[PAYLOAD_BYTES] = {1, 2, 3};
    const struct wire_ipv4 ip = {.source = (uint32_t)rng_next(rng),
                                 .target = (uint32_t)rng_next(rng),
                                 .protocol = WIRE_PROTO_TCP,
                                 .ttl = 64};
    const struct wire_tcp segment = {.source_port = (uint16_t)rng_next(rng),
                                     .seq = (uint32_t)rng_next(rng)};
    const struct wire_payload whole = {.first = payload, .first_bytes = PAYLOAD_BYTES};
    uint8_t *packet = frame + WIRE_ETHER_BYTES;
    memset(frame, 0, WIRE_ETHER_BYTES);
    assert_int_equal(wire_tcp_emit(packet, &ip, &segment, &whole), FRAME_BYTES - WIRE_ETHER_BYTES);
    const uint8_t rest[4] = {0, WIRE_PROTO_TCP, 0, WIRE_TCP_BYTES + PAYLOAD_BYTES};
    const uint16_t finished =
        wire_sum_finish(wire_sum_add(wire_sum_add(0, packet + 12, 8), rest, sizeof(rest)));
    const uint16_t sum = (uint16_t)~finished;
    memcpy(frame + CHECKSUM_AT, &sum, sizeof(sum));
}

/* The frame in memory of exactly its length, so that a read behind it is found. */
static bool is_unfinished(const uint8_t *frame, uint32_t bytes)
{
    uint8_t *exact = malloc(bytes);
    memcpy(exact, frame, bytes);
    const bool result = xdp_frame_is_unfinished(exact, bytes);
    free(exact);
    return result;
}

static void the_sum_of_the_pseudo_header_alone_is_unfinished(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t frame[FRAME_BYTES];
    rng_seed(&rng, 1);
    for (uint32_t i = 0; i < 10000; i++) {
        write_unfinished(frame, &rng);
        assert_true(is_unfinished(frame, FRAME_BYTES));
        frame[CHECKSUM_AT + i % 2] ^= (uint8_t)(1u << (i % 8));
        assert_false(is_unfinished(frame, FRAME_BYTES));
    }
}

static void a_frame_that_is_cut_short_is_not(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t frame[FRAME_BYTES];
    rng_seed(&rng, 2);
    write_unfinished(frame, &rng);
    for (uint32_t bytes = 1; bytes < FRAME_BYTES; bytes++) {
        assert_false(is_unfinished(frame, bytes));
    }
}

/* Each case sets one byte of the IPv4 header to what no whole TCP segment has. */
static void what_is_no_whole_tcp_segment_is_not(void **state)
{
    (void)state;
    static const struct {
        uint32_t at;
        uint8_t value;
    } cases[] = {
        {0, 0x65},            /* version 6 */
        {0, 0x44}, {0, 0x4f}, /* a header too short, and one that leaves no room for TCP's */
        {2, 0x01},            /* longer than the frame */
        {3, 39},              /* too short for both headers */
        {6, 0x20}, {7, 0x01}, /* fragments */
        {9, 17},              /* UDP */
    };
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t frame[FRAME_BYTES];
        write_unfinished(frame, &rng);
        frame[WIRE_ETHER_BYTES + cases[i].at] = cases[i].value;
        assert_false(is_unfinished(frame, FRAME_BYTES));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_of_the_pseudo_header_alone_is_unfinished),
        cmocka_unit_test(a_frame_that_is_cut_short_is_not),
        cmocka_unit_test(what_is_no_whole_tcp_segment_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
