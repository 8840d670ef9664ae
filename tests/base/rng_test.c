/* Rules of base/rng. */
#include "base/test.h"

#include "base/rng.h"

static void test_next_gives_the_published_sequence(void **state)
{
    (void)state;
    /* xoshiro256** from the state 1, 2, 3, 4: the reference implementation's first outputs. */
    static const uint64_t expected[] = {UINT64_C(11520),
                                        UINT64_C(0),
                                        UINT64_C(1509978240),
                                        UINT64_C(1215971899390074240),
                                        UINT64_C(1216172134540287360),
                                        UINT64_C(607988272756665600),
                                        UINT64_C(16172922978634559625),
                                        UINT64_C(8476171486693032832),
                                        UINT64_C(10595114339597558777),
                                        UINT64_C(2904607092377533576)};
    struct rng rng = {.s = {1, 2, 3, 4}};
    for (size_t i = 0; i < TABLE_COUNT(expected); i++) {
        assert_true(rng_next(&rng) == expected[i]);
    }
}

static void test_seed_is_spread_by_splitmix64(void **state)
{
    (void)state;
    /* splitmix64's first outputs from 0. */
    struct rng rng;
    rng_seed(&rng, 0);
    assert_true(rng.s[0] == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(rng.s[1] == UINT64_C(0x6e789e6aa1b965f4));
    assert_true(rng.s[2] == UINT64_C(0x06c45d188009454f));
    assert_true(rng.s[3] == UINT64_C(0xf88bb8a8724c81ec));
}

static void test_seeds_that_are_near_give_sequences_that_are_not(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_seed(&a, 1);
    rng_seed(&b, 2);
    int differing = 0;
    for (int i = 0; i < 64; i++) {
        differing += __builtin_popcountll(rng_next(&a) ^ rng_next(&b));
    }
    assert_in_range(differing, 64 * 32 - 200, 64 * 32 + 200);
}

static void test_below_stays_below_its_bound(void **state)
{
    (void)state;
    static const uint64_t bounds[] = {
        1, 2, 3, 10, 64, UINT64_C(1) << 63, (UINT64_C(1) << 63) + 1, UINT64_MAX};
    struct rng rng;
    rng_seed(&rng, 7);
    for (size_t i = 0; i < TABLE_COUNT(bounds); i++) {
        for (int draw = 0; draw < 1000; draw++) {
            assert_true(rng_below(&rng, bounds[i]) < bounds[i]);
        }
    }
}

static void test_below_has_no_bias(void **state)
{
    (void)state;
    /* 3 * 2^62 is where a plain remainder would give the lowest third twice as often. */
    uint64_t bound = UINT64_C(3) << 62;
    uint32_t thirds[3] = {0};
    struct rng rng;
    rng_seed(&rng, 11);
    for (int draw = 0; draw < 30000; draw++) {
        thirds[rng_below(&rng, bound) >> 62]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(thirds[i], 9600, 10400); /* 10,000 +- 4.9 standard deviations */
    }
}

static void test_fill_writes_exactly_its_count_and_the_same_bytes(void **state)
{
    (void)state;
    unsigned char whole[64];
    struct rng rng;
    rng_seed(&rng, 5);
    rng_fill(&rng, whole, sizeof whole);
    rng_seed(&rng, 5);
    uint64_t first = rng_next(&rng);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(whole[i], first >> (8u * i) & 0xffu);
    }
    for (size_t count = 0; count < sizeof whole; count++) {
        unsigned char part[sizeof whole];
        memset(part, 0x5a, sizeof part);
        rng_seed(&rng, 5);
        rng_fill(&rng, part, count);
        assert_memory_equal(part, whole, count);
        for (size_t i = count; i < sizeof part; i++) {
            assert_int_equal(part[i], 0x5a);
        }
    }
}

static void test_mix_is_one_to_one_on_what_it_is_given(void **state)
{
    (void)state;
    assert_true(rng_mix(0) == 0);
    /* Neighbours spread: about half of all bits change. */
    int changed = 0;
    for (uint64_t i = 0; i < 256; i++) {
        assert_true(rng_mix(i) != rng_mix(i + 1u));
        changed += __builtin_popcountll(rng_mix(i) ^ rng_mix(i + 1u));
    }
    assert_in_range(changed, 256 * 30, 256 * 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_gives_the_published_sequence),
        cmocka_unit_test(test_seed_is_spread_by_splitmix64),
        cmocka_unit_test(test_seeds_that_are_near_give_sequences_that_are_not),
        cmocka_unit_test(test_below_stays_below_its_bound),
        cmocka_unit_test(test_below_has_no_bias),
        cmocka_unit_test(test_fill_writes_exactly_its_count_and_the_same_bytes),
        cmocka_unit_test(test_mix_is_one_to_one_on_what_it_is_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
