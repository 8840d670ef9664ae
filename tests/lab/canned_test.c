/* The null stack's segments: their order, and how they are told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/null/canned.h"
#include "wire/wire.h"

static void a_connection_is_seven_segments_each_the_answer_to_the_one_before(void **state)
{
    (void)state;
    struct canned canned;
    uint8_t frame[CANNED_BYTES_MAX];
    uint32_t sent = 0, sent_bytes = 0;
    canned_make(&canned, 0x0a090002, 0x0a090001);
    for (enum canned_segment next = CANNED_SYN; next != CANNED_NONE;) {
        struct canned_id id = {.number = 0xfedcba98, .client_port = 12345};
        uint32_t bytes = canned_write(frame, &canned, next, id);
        enum canned_segment seen = canned_recognise(frame, bytes);
        assert_int_equal(seen, next);
        assert_int_equal(canned_id_of(frame, seen).client_port, 12345);
        assert_int_equal(canned_id_of(frame, seen).number, 0xfedcba98);
        next = canned_answer(seen);
        sent++;
        sent_bytes += bytes;
    }
    assert_int_equal(sent, 7);
    assert_int_equal(sent_bytes, 2 * 74 + 2 * 130 + 3 * 66);
}

static void frames_are_ipv4_between_the_two_addresses(void **state)
{
    (void)state;
    struct canned canned;
    canned_make(&canned, 0x0a090002, 0x0a090001);
    for (int i = 0; i < CANNED_COUNT; i++) {
        struct wire_ipv4 ip;
        uint32_t bytes = canned.bytes[i] - WIRE_ETHER_BYTES;
        assert_int_equal(wire_ipv4_parse(&ip, canned.frames[i] + WIRE_ETHER_BYTES, bytes), WIRE_OK);
        assert_int_equal(ip.source ^ ip.target, 0x0a090002 ^ 0x0a090001);
    }
}

static void what_is_none_of_ours_is_not_recognised(void **state)
{
    (void)state;
    struct canned canned;
    uint8_t frame[CANNED_BYTES_MAX];
    canned_make(&canned, 0x0a090002, 0x0a090001);
    const struct canned_id id = {.number = 1, .client_port = 12345};
    uint32_t bytes = canned_write(frame, &canned, CANNED_SYN, id);
    assert_int_equal(canned_recognise(frame, 20), CANNED_NONE);
    frame[12] = 0x86; /* IPv6 */
    assert_int_equal(canned_recognise(frame, bytes), CANNED_NONE);
    canned_write(frame, &canned, CANNED_SYN, id);
    frame[WIRE_ETHER_BYTES + 20 + 13] = WIRE_RST;
    assert_int_equal(canned_recognise(frame, bytes), CANNED_NONE);
    canned_write(frame, &canned, CANNED_SYN, id);
    frame[WIRE_ETHER_BYTES + 20 + 3] ^= 1; /* another server's port */
    assert_int_equal(canned_recognise(frame, bytes), CANNED_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_seven_segments_each_the_answer_to_the_one_before),
        cmocka_unit_test(frames_are_ipv4_between_the_two_addresses),
        cmocka_unit_test(what_is_none_of_ours_is_not_recognised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
