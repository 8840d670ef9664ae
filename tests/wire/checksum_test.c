/* Rules of wire/checksum, against RFC 1071 done byte by byte. */
#include "wire/wire_test.h"

#define BYTES_MAX 200u

/* RFC 1071 section 4.1, from the definition: 16-bit words in network order, odd ends padded. */
static uint16_t expected_checksum(const uint8_t *bytes, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
        sum = (sum & 0xffffu) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* A finished sum as it lies in memory, read in network order. */
static uint16_t finished(uint64_t sum)
{
    const uint16_t field = wire_sum_finish(sum);
    uint8_t bytes[2];
    memcpy(bytes, &field, sizeof(bytes));
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void test_the_example_of_rfc_1071_gives_its_sum(void **state)
{
    (void)state;
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(finished(wire_sum_add(0, example, sizeof(example))), 0xffff - 0xddf2);
}

static void test_every_length_sums_like_the_definition(void **state)
{
    (void)state;
    struct guard_page guard;
    struct rng rng;
    uint8_t bytes[BYTES_MAX];
    guard_page_map(&guard, sizeof(bytes));
    rng_seed(&rng, 1);
    for (size_t count = 0; count <= BYTES_MAX; count++) {
        rng_fill(&rng, bytes, count);
        const uint8_t *copy = at_guard(&guard, bytes, count);
        assert_int_equal(finished(wire_sum_add(0, copy, count)), expected_checksum(bytes, count));
    }
    guard_page_unmap(&guard);
}

static void test_carries_out_of_the_top_come_back_in(void **state)
{
    (void)state;
    uint8_t bytes[BYTES_MAX];
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t count = 0; count <= BYTES_MAX; count++) {
        assert_int_equal(finished(wire_sum_add(0, bytes, count)), expected_checksum(bytes, count));
    }
    assert_int_equal(wire_sum_finish(UINT64_MAX), 0);
    assert_int_equal(wire_sum_finish(0), 0xffff);
    assert_int_equal(wire_sum_finish(UINT64_C(0xffffffff00000001)), 0xfffe);
    assert_int_equal(wire_sum_finish(UINT64_C(0x00010000ffffffff)), 0xfffe);
}

static void test_even_parts_add_up_to_the_whole_in_any_order(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t bytes[BYTES_MAX];
    rng_seed(&rng, 2);
    for (int run = 0; run < 2000; run++) {
        const size_t count = rng_below(&rng, BYTES_MAX + 1);
        const size_t cut = rng_below(&rng, count / 2 + 1) * 2;
        rng_fill(&rng, bytes, count);
        uint64_t forward = wire_sum_add(0, bytes, cut);
        forward = wire_sum_add(forward, bytes + cut, count - cut);
        uint64_t backward = wire_sum_add(0, bytes + cut, count - cut);
        backward = wire_sum_add(backward, bytes, cut);
        assert_int_equal(finished(forward), expected_checksum(bytes, count));
        assert_int_equal(finished(backward), expected_checksum(bytes, count));
    }
}

static void test_a_copy_is_exact_and_sums_like_its_source(void **state)
{
    (void)state;
    struct guard_page from;
    struct guard_page to;
    struct rng rng;
    uint8_t bytes[BYTES_MAX];
    guard_page_map(&from, sizeof(bytes));
    guard_page_map(&to, sizeof(bytes));
    rng_seed(&rng, 3);
    for (size_t count = 0; count <= BYTES_MAX; count++) {
        rng_fill(&rng, bytes, count);
        const uint8_t *source = at_guard(&from, bytes, count);
        uint8_t *target = room_at_guard(&to, count);
        const uint64_t start = rng_next(&rng);
        const uint64_t sum = wire_sum_copy(start, target, source, count);
        assert_memory_equal(target, bytes, count);
        assert_int_equal(wire_sum_finish(sum), wire_sum_finish(wire_sum_add(start, bytes, count)));
    }
    guard_page_unmap(&to);
    guard_page_unmap(&from);
}

static void test_a_sum_with_its_own_checksum_finishes_as_zero(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t bytes[BYTES_MAX];
    rng_seed(&rng, 4);
    for (int run = 0; run < 2000; run++) {
        const size_t count = 2 + rng_below(&rng, BYTES_MAX - 1);
        rng_fill(&rng, bytes, count);
        memset(bytes, 0, 2);
        const uint16_t checksum = wire_sum_finish(wire_sum_add(0, bytes, count));
        memcpy(bytes, &checksum, sizeof(checksum));
        assert_int_equal(wire_sum_finish(wire_sum_add(0, bytes, count)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_of_rfc_1071_gives_its_sum),
        cmocka_unit_test(test_every_length_sums_like_the_definition),
        cmocka_unit_test(test_carries_out_of_the_top_come_back_in),
        cmocka_unit_test(test_even_parts_add_up_to_the_whole_in_any_order),
        cmocka_unit_test(test_a_copy_is_exact_and_sums_like_its_source),
        cmocka_unit_test(test_a_sum_with_its_own_checksum_finishes_as_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
