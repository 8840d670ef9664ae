/* Rules of tcp/pool. */
#include "tcp/test.h"

#include "base/rng.h"
#include "tcp/pool.h"

static struct pool make_pool(struct test_memory *test, uint32_t record_bytes, uint32_t shift,
                             uint32_t records_max)
{
    struct pool pool;
    pool_init(&pool, &(struct pool_config){.memory = &test->memory,
                                           .record_bytes = record_bytes,
                                           .chunk_shift = shift,
                                           .records_max = records_max});
    return pool;
}

static void test_record_comes_zeroed_and_aligned_to_a_line_when_it_is_of_lines(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {8, 24, 48, 64, 128, 192};
    for (size_t i = 0; i < TABLE_COUNT(sizes); i++) {
        struct test_memory test;
        test_memory_init(&test, 0);
        struct pool pool = make_pool(&test, sizes[i], 4, 1000);
        assert_int_equal(test.memory.bytes, 0);
        for (int round = 0; round < 3; round++) {
            uint32_t indexes[100];
            for (int j = 0; j < 100; j++) {
                unsigned char *record = pool_alloc(&pool, &indexes[j]);
                assert_non_null(record);
                assert_int_equal((uintptr_t)record % (sizes[i] % 64u == 0 ? 64u : 8u), 0);
                assert_int_equal(record[0], 0);
                assert_memory_equal(record, record + 1, sizes[i] - 1u);
                memset(record, 0xee, sizes[i]); /* the next user must not see it */
                assert_ptr_equal(pool_at(&pool, indexes[j]), record);
            }
            for (int j = 0; j < 100; j++) {
                pool_release(&pool, indexes[j]);
            }
        }
        assert_int_equal(pool.memory_bytes, test.memory.bytes);
        pool_destroy(&pool);
        test_memory_check_empty(&test);
    }
}

static void test_limit_is_exact(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 15, 16, 17, 1000};
    for (size_t i = 0; i < TABLE_COUNT(limits); i++) {
        struct test_memory test;
        uint32_t index = 0;
        test_memory_init(&test, 0);
        struct pool pool = make_pool(&test, 64, 4, limits[i]);
        for (uint32_t j = 0; j < limits[i]; j++) {
            assert_non_null(pool_alloc(&pool, &index));
            assert_int_equal(index, j);
        }
        assert_null(pool_alloc(&pool, &index));
        pool_release(&pool, 0);
        assert_non_null(pool_alloc(&pool, &index));
        assert_int_equal(index, 0);
        assert_null(pool_alloc(&pool, &index));
        pool_destroy(&pool);
        test_memory_check_empty(&test);
    }
}

static void test_lowest_chunk_with_room_is_taken_first(void **state)
{
    (void)state;
    struct test_memory test;
    uint32_t index;
    test_memory_init(&test, 0);
    struct pool pool = make_pool(&test, 64, 4, 1u << 20);
    for (uint32_t i = 0; i < 200u * 16u; i++) {
        assert_non_null(pool_alloc(&pool, &index));
    }
    static const uint32_t freed[] = {199 * 16, 64 * 16 + 3, 63 * 16 + 15, 130 * 16, 5};
    static const uint32_t taken[] = {5, 63 * 16 + 15, 64 * 16 + 3, 130 * 16, 199 * 16, 200 * 16};
    for (size_t i = 0; i < TABLE_COUNT(freed); i++) {
        pool_release(&pool, freed[i]);
    }
    for (size_t i = 0; i < TABLE_COUNT(taken); i++) {
        assert_non_null(pool_alloc(&pool, &index));
        assert_int_equal(index, taken[i]);
    }
    pool_destroy(&pool);
    test_memory_check_empty(&test);
}

static void test_chunks_go_back_but_for_one_that_is_kept(void **state)
{
    (void)state;
    enum { COUNT = 10000, RECORDS = 256 };
    struct test_memory test;
    uint32_t index;
    test_memory_init(&test, 0);
    struct pool pool = make_pool(&test, 64, 8, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_non_null(pool_alloc(&pool, &index));
    }
    size_t full = test.memory.bytes;
    assert_true(full >= COUNT * (size_t)64);
    assert_true(full <= (COUNT + RECORDS) * (size_t)64 * 102u / 100u + 8192u);
    for (uint32_t i = COUNT; i-- > RECORDS;) {
        pool_release(&pool, i);
        assert_true(pool.chunk_count <= i / RECORDS + 3u);
    }
    assert_true(test.memory.bytes < 2u * (RECORDS + 2) * 64u + 8192u);
    for (uint32_t i = 0; i < RECORDS; i++) {
        pool_release(&pool, i);
    }
    assert_int_equal(pool.live_count, 0);
    assert_int_equal(pool.chunk_count, 1);
    pool_destroy(&pool);
    test_memory_check_empty(&test);
}

static void test_population_that_hovers_allocates_nothing(void **state)
{
    (void)state;
    struct test_memory test;
    struct rng rng;
    uint32_t indexes[1400];
    test_memory_init(&test, 0);
    rng_seed(&rng, 6);
    struct pool pool = make_pool(&test, 64, 6, 1u << 20);
    uint32_t count = 0;
    for (; count < 1280; count++) { /* just at a chunk's edge */
        assert_non_null(pool_alloc(&pool, &indexes[count]));
    }
    uint64_t allocations = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        bool grows = count <= 1270 || (count < 1300 && rng_below(&rng, 2) == 0);
        if (grows) {
            assert_non_null(pool_alloc(&pool, &indexes[count++]));
        } else {
            uint64_t which = rng_below(&rng, count);
            pool_release(&pool, indexes[which]);
            indexes[which] = indexes[--count];
        }
        allocations = i == 1000 ? test.allocation_count : allocations;
    }
    assert_int_equal(test.allocation_count, allocations);
    pool_destroy(&pool);
    test_memory_check_empty(&test);
}

static void test_stale_and_impossible_indexes_do_not_live(void **state)
{
    (void)state;
    struct test_memory test;
    uint32_t index;
    test_memory_init(&test, 0);
    struct pool pool = make_pool(&test, 64, 4, 1000);
    assert_false(pool_is_live(&pool, 0));
    assert_non_null(pool_alloc(&pool, &index));
    assert_true(pool_is_live(&pool, 0));
    assert_false(pool_is_live(&pool, 1));
    assert_false(pool_is_live(&pool, 16));
    assert_false(pool_is_live(&pool, UINT32_MAX));
    pool_release(&pool, 0);
    assert_false(pool_is_live(&pool, 0));
    pool_destroy(&pool);
}

struct model {
    uint32_t index;
    uint64_t word;
};

/* Random takes and releases, in waves of growing and falling, against a plain list. */
static void run_against_model(struct pool *pool, struct rng *rng, uint32_t operations)
{
    enum { MODEL_MAX = 5000 };
    struct model *live = malloc(MODEL_MAX * sizeof *live);
    assert_non_null(live);
    uint32_t count = 0;
    for (uint32_t i = 0; i < operations; i++) {
        uint64_t bias = i / 10000u % 2u == 0 ? 6 : 3; /* of ten: takes */
        if (rng_below(rng, 10) < bias && count < MODEL_MAX) {
            uint32_t index;
            uint64_t *record = pool_alloc(pool, &index);
            if (record == NULL) {
                continue;
            }
            live[count] = (struct model){.index = index, .word = rng_next(rng)};
            record[0] = live[count].word;
            record[pool->record_bytes / 8u - 1u] = live[count++].word;
        } else if (count > 0) {
            uint64_t which = rng_below(rng, count);
            const uint64_t *record = pool_at(pool, live[which].index);
            assert_true(pool_is_live(pool, live[which].index));
            assert_true(record[0] == live[which].word);
            assert_true(record[pool->record_bytes / 8u - 1u] == live[which].word);
            pool_release(pool, live[which].index);
            assert_false(pool_is_live(pool, live[which].index));
            live[which] = live[--count];
        }
        assert_int_equal(pool->live_count, count);
    }
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += live[i].word;
    }
    uint32_t visited = 0;
    uint32_t index = 0;
    const uint64_t *record;
    while ((record = pool_next(pool, &index)) != NULL) {
        sum -= record[0];
        visited++;
    }
    assert_int_equal(visited, count);
    assert_true(sum == 0);
    free(live);
}

static void test_random_operations_agree_with_a_list(void **state)
{
    (void)state;
    static const uint32_t shifts[] = {4, 6, 10};
    for (size_t i = 0; i < TABLE_COUNT(shifts); i++) {
        struct test_memory test;
        struct rng rng;
        test_memory_init(&test, 0);
        rng_seed(&rng, 21 + i);
        struct pool pool = make_pool(&test, 40, shifts[i], 4000);
        run_against_model(&pool, &rng, 60000);
        assert_int_equal(pool.memory_bytes, test.memory.bytes);
        pool_destroy(&pool);
        test_memory_check_empty(&test);
    }
}

static void test_pool_survives_a_refusal_at_any_call(void **state)
{
    (void)state;
    for (uint64_t call = 1; call < 60; call++) {
        struct test_memory test;
        struct rng rng;
        test_memory_init(&test, call);
        rng_seed(&rng, call);
        struct pool pool = make_pool(&test, 64, 4, 4000);
        run_against_model(&pool, &rng, 3000);
        test.calls_until_failure = 0; /* memory has come back */
        uint32_t index;
        assert_non_null(pool_alloc(&pool, &index));
        assert_int_equal(pool.memory_bytes, test.memory.bytes);
        pool_destroy(&pool);
        test_memory_check_empty(&test);
    }
}

static void test_destroy_is_safe_on_a_zeroed_struct_and_twice(void **state)
{
    (void)state;
    struct pool pool = {0};
    pool_destroy(&pool);
    pool_destroy(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_comes_zeroed_and_aligned_to_a_line_when_it_is_of_lines),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_lowest_chunk_with_room_is_taken_first),
        cmocka_unit_test(test_chunks_go_back_but_for_one_that_is_kept),
        cmocka_unit_test(test_population_that_hovers_allocates_nothing),
        cmocka_unit_test(test_stale_and_impossible_indexes_do_not_live),
        cmocka_unit_test(test_random_operations_agree_with_a_list),
        cmocka_unit_test(test_pool_survives_a_refusal_at_any_call),
        cmocka_unit_test(test_destroy_is_safe_on_a_zeroed_struct_and_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
