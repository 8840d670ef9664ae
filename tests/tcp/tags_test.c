/* Rules of tcp/tags. */
#include "tcp/test.h"

#include "base/rng.h"
#include "tcp/tags.h"

/* Compares byte by byte. */
static uint32_t match_plainly(const uint8_t *line, uint8_t tag)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < TAGS_COUNT; i++) {
        bits |= line[i] == tag ? UINT32_C(1) << i : 0;
    }
    return bits;
}

static void test_both_ways_match_as_a_plain_loop_does(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t line[16];
    rng_seed(&rng, 4);
    for (int i = 0; i < 200000; i++) {
        rng_fill(&rng, line, sizeof line);
        if (i % 2 == 0) { /* neighbours of a match are where borrows and carries would show */
            for (unsigned j = 0; j < sizeof line; j++) {
                line[j] = (uint8_t)(rng_below(&rng, 3) * 127u + (line[j] & 1u));
            }
        }
        uint8_t tag = i % 3 == 0 ? (uint8_t)rng_next(&rng) : line[rng_below(&rng, sizeof line)];
        assert_int_equal(tags_match(line, tag), match_plainly(line, tag));
        assert_int_equal(tags_match_words(line, tag), match_plainly(line, tag));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways_match_as_a_plain_loop_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
