/* Rules of tcp/ranges. */
#include "tcp/test.h"

#include "base/rng.h"
#include "tcp/ranges.h"
#include "tcp/seq.h"

/* The model: a flag for each of some sequence numbers from `base` on. */
enum { SPACE = 300 };

struct model {
    uint32_t base;
    bool has[SPACE];
};

static uint32_t model_count(const struct model *model, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        count += model->has[i] ? 1u : 0u;
    }
    return count;
}

static uint32_t model_blocks(const struct model *model)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SPACE; i++) {
        count += model->has[i] && (i == 0 || !model->has[i - 1u]) ? 1u : 0u;
    }
    return count;
}

static void check_lookups(const struct ranges *ranges, const struct model *model, uint32_t i)
{
    uint32_t seq = model->base + i;
    const struct range *block = ranges_find(ranges, seq);
    assert_int_equal(block != NULL, model->has[i]);
    if (block != NULL) {
        assert_true(seq_le(block->start, seq));
        assert_true(seq_lt(seq, block->end));
    }
    assert_int_equal(ranges_above(ranges, seq), model_count(model, i, SPACE));
}

static void check_gap(const struct ranges *ranges, const struct model *model, uint32_t from,
                      uint32_t limit)
{
    uint32_t start = from;
    while (start < limit && model->has[start]) {
        start++;
    }
    uint32_t end = start;
    while (end < limit && !model->has[end]) {
        end++;
    }
    struct range gap;
    bool found = ranges_gap(ranges, model->base + from, model->base + limit, &gap);
    assert_int_equal(found, start < limit);
    if (found) {
        assert_int_equal(gap.start, model->base + start);
        assert_int_equal(gap.end, model->base + end);
    }
}

static void check_form(const struct ranges *ranges, const struct model *model)
{
    assert_int_equal(ranges->count, model_blocks(model));
    assert_int_equal(ranges->total, model_count(model, 0, SPACE));
    for (uint32_t i = 0; i + 1u < ranges->count; i++) {
        assert_true(seq_lt(ranges->items[i].end, ranges->items[i + 1u].start));
    }
}

/* Adds to both, and says what the model expects. */
static void add(struct ranges *ranges, struct model *model, uint32_t from, uint32_t to)
{
    struct model grown = *model;
    memset(&grown.has[from], 1, to - from);
    enum ranges_result expected = RANGES_ADDED;
    if (model_count(model, from, to) == to - from) {
        expected = RANGES_KNOWN;
    } else if (model_blocks(&grown) > RANGES_MAX) {
        expected = RANGES_REFUSED;
    }
    struct range range = {model->base + from, model->base + to};
    assert_int_equal(ranges_cover(ranges, range), expected == RANGES_KNOWN);
    assert_int_equal(ranges_add(ranges, range), expected);
    if (expected == RANGES_ADDED) {
        *model = grown;
    }
}

static void test_random_blocks_agree_with_a_flag_for_each_byte(void **state)
{
    (void)state;
    static const uint32_t bases[] = {0, 1000, UINT32_MAX - SPACE / 2, UINT32_C(0x7fffff80)};
    struct rng rng;
    rng_seed(&rng, 61);
    for (size_t i = 0; i < TABLE_COUNT(bases); i++) {
        for (int round = 0; round < 60; round++) {
            struct ranges ranges = {0};
            struct model model = {.base = bases[i]};
            for (int step = 0; step < 120; step++) {
                uint32_t from = (uint32_t)rng_below(&rng, SPACE - 1);
                uint32_t most = round % 2 == 0 ? 2 : 40;
                uint32_t to = from + 1u + (uint32_t)rng_below(&rng, most);
                add(&ranges, &model, from, to < SPACE ? to : SPACE);
                check_form(&ranges, &model);
                check_lookups(&ranges, &model, (uint32_t)rng_below(&rng, SPACE));
                uint32_t limit = (uint32_t)rng_below(&rng, SPACE);
                check_gap(&ranges, &model, (uint32_t)rng_below(&rng, limit + 1u), limit);
                if (step % 40 == 39) {
                    uint32_t cut = (uint32_t)rng_below(&rng, SPACE / 2);
                    ranges_trim(&ranges, model.base + cut);
                    memset(model.has, 0, cut);
                    check_form(&ranges, &model);
                }
            }
        }
    }
}

static void test_block_too_many_is_refused_and_one_that_merges_is_not(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    struct model model = {.base = 77};
    for (uint32_t i = 0; i < RANGES_MAX; i++) {
        add(&ranges, &model, 4u * i, 4u * i + 2u);
    }
    assert_int_equal(ranges.count, RANGES_MAX);
    struct ranges before = ranges;
    assert_int_equal(ranges_add(&ranges, (struct range){77 + 200, 77 + 201}), RANGES_REFUSED);
    assert_memory_equal(&ranges, &before, sizeof ranges);
    assert_int_equal(ranges_add(&ranges, (struct range){77 + 2, 77 + 4}), RANGES_ADDED);
    assert_int_equal(ranges.count, RANGES_MAX - 1u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks_agree_with_a_flag_for_each_byte),
        cmocka_unit_test(test_block_too_many_is_refused_and_one_that_merges_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
