/* Rules of wire/ether. */
#include "wire/wire_test.h"

#include "wire/captured.h"

static void test_a_kernel_frame_parses(void **state)
{
    (void)state;
    uint8_t frame[CAPTURED_BYTES_MAX];
    const size_t bytes = captured_bytes(frame, CAPTURED_SYN);
    struct wire_ether ether;
    assert_int_equal(wire_ether_parse(&ether, frame, bytes), WIRE_OK);
    assert_int_equal(ether.type, WIRE_ETHERTYPE_IPV4);
    assert_memory_equal(ether.target.bytes, "\x02\0\0\0\0\x02", 6);
    assert_memory_equal(ether.source.bytes, "\x02\0\0\0\0\x01", 6);
    assert_ptr_equal(ether.payload, frame + WIRE_ETHER_BYTES);
    assert_int_equal(ether.payload_bytes, bytes - WIRE_ETHER_BYTES);
}

static void test_a_frame_shorter_than_its_header_is_refused(void **state)
{
    (void)state;
    struct guard_page guard;
    struct wire_ether ether;
    uint8_t frame[CAPTURED_BYTES_MAX];
    const size_t bytes = captured_bytes(frame, CAPTURED_ARP_REQUEST);
    guard_page_map(&guard, bytes);
    for (size_t cut = 0; cut <= bytes; cut++) {
        assert_int_equal(wire_ether_parse(&ether, at_guard(&guard, frame, cut), cut),
                         cut < WIRE_ETHER_BYTES ? WIRE_ETHER_SHORT : WIRE_OK);
    }
    guard_page_unmap(&guard);
}

static void test_what_is_emitted_parses_to_the_same(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    guard_page_map(&guard, WIRE_ETHER_BYTES);
    rng_seed(&rng, 5);
    for (int run = 0; run < 1000; run++) {
        struct wire_ether sent = {.type = (uint16_t)rng_next(&rng)};
        struct wire_ether got;
        rng_fill(&rng, &sent.target, sizeof(sent.target));
        rng_fill(&rng, &sent.source, sizeof(sent.source));
        uint8_t *frame = room_at_guard(&guard, WIRE_ETHER_BYTES);
        wire_ether_emit(frame, &sent);
        assert_int_equal(wire_ether_parse(&got, frame, WIRE_ETHER_BYTES), WIRE_OK);
        assert_memory_equal(&got.target, &sent.target, sizeof(sent.target));
        assert_memory_equal(&got.source, &sent.source, sizeof(sent.source));
        assert_int_equal(got.type, sent.type);
        assert_int_equal(got.payload_bytes, 0);
    }
    guard_page_unmap(&guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_kernel_frame_parses),
        cmocka_unit_test(test_a_frame_shorter_than_its_header_is_refused),
        cmocka_unit_test(test_what_is_emitted_parses_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
