/* Rules of tcp/ring. */
#include "tcp/test.h"

#include <errno.h>

#include "base/rng.h"
#include "tcp/ring.h"

enum { MODEL_BYTES = 20000 };

static void test_empty_ring_is_16_bytes_and_holds_no_block(void **state)
{
    (void)state;
    struct ring ring = {0};
    assert_true(sizeof ring == 16);
    assert_int_equal(ring_capacity(&ring), 0);
    assert_int_equal(ring_view(&ring, 0, 0).first_bytes, 0);
}

static void test_block_is_the_least_power_of_two_that_holds(void **state)
{
    (void)state;
    static const uint32_t cases[][2] = {{1, 256},     {256, 256},     {257, 512},
                                        {512, 512},   {513, 1024},    {4096, 4096},
                                        {4097, 8192}, {65535, 65536}, {65537, 131072}};
    struct test_memory test;
    struct ring_store store;
    test_memory_init(&test, 0);
    ring_store_init(&store, &test.memory);
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct ring ring = {0};
        assert_int_equal(ring_reserve(&store, &ring, cases[i][0], 0), 0);
        assert_int_equal(ring_capacity(&ring), cases[i][1]);
        assert_int_equal(store.used_bytes, cases[i][1]);
        ring_clear(&store, &ring);
        assert_int_equal(store.used_bytes, 0);
    }
    struct ring ring = {0};
    assert_int_equal(ring_reserve(&store, &ring, (UINT32_C(1) << 30) + 1u, 0), -ENOMEM);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

static void test_block_comes_from_the_free_list(void **state)
{
    (void)state;
    struct test_memory test;
    struct ring_store store;
    test_memory_init(&test, 0);
    ring_store_init(&store, &test.memory);
    for (int i = 0; i < 100; i++) {
        struct ring ring = {0};
        assert_int_equal(ring_reserve(&store, &ring, 64, 0), 0);
        ring_write_at(&ring, 0, "ab", 2);
        ring_extend(&ring, 2);
        ring_consume(&store, &ring, 2, 0);
        assert_null(ring.block);
    }
    assert_int_equal(test.allocation_count, 1);
    assert_int_equal(store.kept_bytes, 256);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

static void test_free_lists_keep_no_more_than_their_limit(void **state)
{
    (void)state;
    enum { RINGS = 100 };
    struct ring rings[RINGS] = {0};
    struct test_memory test;
    struct ring_store store;
    test_memory_init(&test, 0);
    ring_store_init(&store, &test.memory);
    for (int i = 0; i < RINGS; i++) {
        assert_int_equal(ring_reserve(&store, &rings[i], 65536, 0), 0);
    }
    for (int i = 0; i < RINGS; i++) {
        ring_clear(&store, &rings[i]);
    }
    assert_int_equal(store.kept_bytes, RING_KEPT_BYTES_MAX);
    assert_int_equal(test.memory.bytes, RING_KEPT_BYTES_MAX);
    ring_store_trim(&store, 100000);
    assert_int_equal(test.memory.bytes, 65536);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

static void test_bytes_beyond_a_gap_survive_growth_and_consumption(void **state)
{
    (void)state;
    struct test_memory test;
    struct ring_store store;
    struct ring ring = {0};
    char out[8] = {0};
    test_memory_init(&test, 0);
    ring_store_init(&store, &test.memory);
    assert_int_equal(ring_reserve(&store, &ring, 200, 0), 0);
    ring_write_at(&ring, 0, "ab", 2);
    ring_extend(&ring, 2);
    ring_write_at(&ring, 4, "ef", 2); /* "cd" is missing */
    ring_consume(&store, &ring, 2, 6);
    assert_non_null(ring.block);
    assert_int_equal(ring.count, 0);
    assert_int_equal(ring_reserve(&store, &ring, 1000, 4), 0);
    ring_write_at(&ring, 0, "cd", 2);
    ring_extend(&ring, 4);
    ring_copy(&ring, 0, out, 4);
    assert_string_equal(out, "cdef");
    ring_clear(&store, &ring);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

static void test_ring_that_is_drained_gives_its_block_back_when_reach_counts_what_is_dropped(
    void **state)
{
    (void)state;
    struct test_memory test;
    struct ring_store store;
    struct ring ring = {0};
    test_memory_init(&test, 0);
    ring_store_init(&store, &test.memory);
    assert_int_equal(ring_reserve(&store, &ring, 64, 0), 0);
    ring_write_at(&ring, 0, "abcd", 4);
    ring_extend(&ring, 4);
    ring_consume(&store, &ring, 1, ring.count); /* as an acknowledgement does */
    assert_non_null(ring.block);
    ring_consume(&store, &ring, 3, ring.count);
    assert_null(ring.block);
    assert_int_equal(store.used_bytes, 0);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

static void test_refused_growth_changes_nothing(void **state)
{
    (void)state;
    struct test_memory test;
    struct ring_store store;
    struct ring ring = {0};
    test_memory_init(&test, 2);
    ring_store_init(&store, &test.memory);
    assert_int_equal(ring_reserve(&store, &ring, 256, 0), 0);
    ring_write_at(&ring, 0, "abc", 3);
    ring_extend(&ring, 3);
    struct ring before = ring;
    assert_int_equal(ring_reserve(&store, &ring, 257, 3), -ENOMEM);
    assert_memory_equal(&ring, &before, sizeof ring);
    assert_int_equal(store.used_bytes, 256);
    ring_clear(&store, &ring);
    ring_store_destroy(&store);
    test_memory_check_empty(&test);
}

/* The model: the bytes from the head on, and which of them have been written. */
struct model {
    uint8_t bytes[MODEL_BYTES];
    bool written[MODEL_BYTES];
    uint32_t reach;
};

static uint32_t pick(struct rng *rng, uint32_t bound)
{
    return (uint32_t)rng_below(rng, bound);
}

static void model_write(struct model *model, struct ring *ring, uint32_t offset, struct rng *rng)
{
    uint8_t bytes[1500];
    uint32_t count = 1u + pick(rng, sizeof bytes);
    count = count < ring_capacity(ring) - offset ? count : ring_capacity(ring) - offset;
    rng_fill(rng, bytes, count);
    ring_write_at(ring, offset, bytes, count);
    memcpy(model->bytes + offset, bytes, count);
    memset(model->written + offset, 1, count);
    model->reach = offset + count > model->reach ? offset + count : model->reach;
    uint32_t order = ring->count;
    while (order < model->reach && model->written[order]) {
        order++;
    }
    ring_extend(ring, order - ring->count);
}

static void model_consume(struct model *model, struct ring_store *store, struct ring *ring,
                          uint32_t count)
{
    memmove(model->bytes, model->bytes + count, MODEL_BYTES - count);
    memmove(model->written, model->written + count, MODEL_BYTES - count);
    memset(model->written + MODEL_BYTES - count, 0, count);
    ring_consume(store, ring, count, model->reach);
    model->reach -= count;
}

static void model_compare(const struct model *model, const struct ring *ring, struct rng *rng)
{
    uint32_t offset = pick(rng, ring->count + 1u);
    uint32_t count = pick(rng, ring->count - offset + 1u);
    struct ring_view view = ring_view(ring, offset, count);
    uint8_t copy[MODEL_BYTES];
    ring_copy(ring, offset, copy, count);
    assert_memory_equal(copy, model->bytes + offset, count);
    assert_int_equal(view.first_bytes + view.second_bytes, count);
    if (count > 0) {
        assert_memory_equal(view.first, copy, view.first_bytes);
        assert_memory_equal(view.second, copy + view.first_bytes, view.second_bytes);
    }
}

static void test_random_operations_agree_with_a_plain_array(void **state)
{
    (void)state;
    static const uint64_t refusals[] = {0, 1, 2, 3, 5};
    for (size_t i = 0; i < TABLE_COUNT(refusals); i++) {
        struct test_memory test;
        struct ring_store store;
        struct ring ring = {0};
        struct rng rng;
        struct model *model = calloc(1, sizeof *model);
        assert_non_null(model);
        test_memory_init(&test, refusals[i]);
        ring_store_init(&store, &test.memory);
        rng_seed(&rng, 31 + i);
        for (int step = 0; step < 20000; step++) {
            uint32_t wanted = pick(&rng, step % 1000 == 0 ? 16000 : 1000);
            if (ring_reserve(&store, &ring, wanted, model->reach) == 0 && wanted > 0) {
                model_write(model, &ring, pick(&rng, wanted), &rng);
            }
            model_compare(model, &ring, &rng);
            model_consume(model, &store, &ring, pick(&rng, ring.count + 1u));
            assert_true((ring.block == NULL) == (model->reach == 0));
            assert_int_equal(store.used_bytes, ring_capacity(&ring));
            assert_int_equal(store.used_bytes + store.kept_bytes, test.memory.bytes);
            test.calls_until_failure = step > 10000 ? 0 : test.calls_until_failure;
        }
        ring_clear(&store, &ring);
        ring_store_destroy(&store);
        test_memory_check_empty(&test);
        free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_ring_is_16_bytes_and_holds_no_block),
        cmocka_unit_test(test_block_is_the_least_power_of_two_that_holds),
        cmocka_unit_test(test_block_comes_from_the_free_list),
        cmocka_unit_test(test_free_lists_keep_no_more_than_their_limit),
        cmocka_unit_test(test_bytes_beyond_a_gap_survive_growth_and_consumption),
        cmocka_unit_test(
            test_ring_that_is_drained_gives_its_block_back_when_reach_counts_what_is_dropped),
        cmocka_unit_test(test_refused_growth_changes_nothing),
        cmocka_unit_test(test_random_operations_agree_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
