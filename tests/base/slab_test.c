/* Rules of base/slab. */
#include "base/test.h"

#include <errno.h>

#include "base/rng.h"
#include "base/slab.h"

#define GENERATIONS ((UINT32_C(1) << 24) - 1u) /* 1..2^24 - 1 */

static void test_object_comes_zeroed_aligned_and_with_a_handle_of_56_bits(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 8, 9, 16, 56, 100, 4096, 300000, 1u << 20};
    for (size_t i = 0; i < TABLE_COUNT(sizes); i++) {
        struct slab slab;
        assert_int_equal(slab_init(&slab, sizes[i], 40), 0);
        for (int round = 0; round < 3; round++) {
            uint64_t handles[40];
            for (int j = 0; j < 40; j++) {
                unsigned char *object = slab_alloc(&slab, &handles[j]);
                assert_non_null(object);
                assert_int_equal((uintptr_t)object % 16u, 0);
                assert_int_equal(object[0], 0);
                assert_memory_equal(object, object + 1, sizes[i] - 1u);
                memset(object, 0xee, sizes[i]); /* the next user must not see it */
                assert_true(handles[j] != SLAB_HANDLE_NONE);
                assert_true(handles[j] >> SLAB_HANDLE_BITS == 0);
            }
            for (int j = 0; j < 40; j++) {
                slab_release(&slab, handles[j]);
            }
        }
        slab_destroy(&slab);
    }
}

static void test_objects_do_not_move_nor_overlap_as_the_slab_grows(void **state)
{
    (void)state;
    enum { COUNT = 20000, WORDS = 7 };
    uint64_t *objects[COUNT];
    uint64_t handles[COUNT];
    struct slab slab;
    assert_int_equal(slab_init(&slab, WORDS * sizeof(uint64_t), COUNT), 0);
    for (uint64_t i = 0; i < COUNT; i++) {
        objects[i] = slab_alloc(&slab, &handles[i]);
        assert_non_null(objects[i]);
        for (int j = 0; j < WORDS; j++) {
            objects[i][j] = rng_mix(i);
        }
    }
    assert_true(slab.chunk_count > 1);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_ptr_equal(slab_get(&slab, handles[i]), objects[i]);
        for (int j = 0; j < WORDS; j++) {
            assert_true(objects[i][j] == rng_mix(i));
        }
    }
    slab_destroy(&slab);
}

static void test_limit_is_exact_and_reaching_it_changes_nothing(void **state)
{
    (void)state;
    static const uint32_t limits[] = {1, 2, 3, 100, 1000, 5000};
    for (size_t i = 0; i < TABLE_COUNT(limits); i++) {
        struct slab slab;
        uint64_t first = 0;
        uint64_t handle = 0;
        assert_int_equal(slab_init(&slab, 64, limits[i]), 0);
        for (uint32_t j = 0; j < limits[i]; j++) {
            assert_non_null(slab_alloc(&slab, &handle));
            first = j == 0 ? handle : first;
        }
        struct slab before = slab;
        uint64_t untouched = 12345;
        assert_null(slab_alloc(&slab, &untouched));
        assert_int_equal(untouched, 12345);
        assert_memory_equal(&slab, &before, sizeof slab);
        slab_release(&slab, first);
        assert_non_null(slab_alloc(&slab, &handle));
        assert_null(slab_alloc(&slab, &handle));
        assert_int_equal(slab.live_count, limits[i]);
        assert_int_equal(slab.live_max, limits[i]);
        slab_destroy(&slab);
    }
}

static void test_freed_objects_handle_is_stale_for_good(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t old;
    uint64_t new;
    assert_int_equal(slab_init(&slab, 32, 8), 0);
    void *object = slab_alloc(&slab, &old);
    slab_release(&slab, old);
    assert_null(slab_get(&slab, old));
    assert_ptr_equal(slab_alloc(&slab, &new), object); /* the same place, ... */
    assert_true(new != old);                           /* ... another name */
    assert_null(slab_get(&slab, old));
    assert_ptr_equal(slab_get(&slab, new), object);
    slab_destroy(&slab);
}

static void test_handle_that_never_was_finds_nothing(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t live;
    uint64_t freed;
    assert_int_equal(slab_init(&slab, 32, 8), 0);
    assert_null(slab_get(&slab, SLAB_HANDLE_NONE));
    assert_null(slab_get(&slab, UINT64_C(1) << 32)); /* no object made yet */
    assert_non_null(slab_alloc(&slab, &live));
    assert_non_null(slab_alloc(&slab, &freed));
    slab_release(&slab, freed);
    const uint64_t wrong[] = {
        SLAB_HANDLE_NONE,
        UINT64_MAX,
        live + 2,                    /* an index not made */
        live | UINT64_C(1) << 56,    /* an operation's code left in */
        live + (UINT64_C(1) << 32),  /* a later generation */
        live & UINT32_MAX,           /* generation 0 */
        freed + (UINT64_C(1) << 32), /* the next generation of a free object */
        UINT32_MAX,
    };
    for (size_t i = 0; i < TABLE_COUNT(wrong); i++) {
        assert_null(slab_get(&slab, wrong[i]));
    }
    assert_non_null(slab_get(&slab, live));
    slab_destroy(&slab);
}

static void test_generation_wraps_at_24_bits_past_zero(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t first;
    uint64_t handle;
    assert_int_equal(slab_init(&slab, 1, 1), 0);
    assert_non_null(slab_alloc(&slab, &first));
    slab_release(&slab, first);
    bool wrong = false;
    for (uint32_t i = 1; i < GENERATIONS; i++) {
        wrong |= slab_alloc(&slab, &handle) == NULL;
        wrong |= handle == first || handle >> 32 == 0 || handle >> SLAB_HANDLE_BITS != 0;
        slab_release(&slab, handle);
    }
    assert_false(wrong);
    assert_true(handle >> 32 == GENERATIONS);
    assert_non_null(slab_alloc(&slab, &handle));
    assert_true(handle == first); /* every other generation has been used once */
    slab_destroy(&slab);
}

static void test_next_visits_every_live_object_once(void **state)
{
    (void)state;
    enum { COUNT = 9000 };
    uint64_t handles[COUNT];
    struct slab slab;
    uint32_t index = 0;
    uint64_t handle;
    assert_int_equal(slab_init(&slab, 100, COUNT), 0);
    assert_null(slab_next(&slab, &index, &handle));
    for (int i = 0; i < COUNT; i++) {
        *(int *)slab_alloc(&slab, &handles[i]) = i;
    }
    for (int i = 0; i < COUNT; i += 3) {
        slab_release(&slab, handles[i]);
    }
    int *object;
    int visited = 0;
    index = 0;
    while ((object = slab_next(&slab, &index, &handle)) != NULL) {
        assert_true(*object % 3 != 0);
        assert_true(handle == handles[*object]);
        assert_ptr_equal(slab_get(&slab, handle), object);
        visited++;
    }
    assert_int_equal(visited, COUNT - COUNT / 3);
    assert_int_equal(visited, slab.live_count);
    assert_null(slab_next(&slab, &index, &handle)); /* the end stays the end */
    slab_destroy(&slab);
}

static void test_objects_may_be_released_during_a_walk(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t handle;
    assert_int_equal(slab_init(&slab, 8, 100), 0);
    for (int i = 0; i < 100; i++) {
        assert_non_null(slab_alloc(&slab, &handle));
    }
    uint32_t index = 0;
    while (slab_next(&slab, &index, &handle) != NULL) {
        slab_release(&slab, handle);
    }
    assert_int_equal(slab.live_count, 0);
    assert_int_equal(slab.live_max, 100);
    slab_destroy(&slab);
}

static void test_steady_state_takes_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    uint64_t handles[COUNT];
    struct slab slab;
    struct rng rng;
    rng_seed(&rng, 3);
    assert_int_equal(slab_init(&slab, 200, 1u << 20), 0);
    size_t empty = slab_memory_bytes(&slab);
    for (int i = 0; i < COUNT; i++) {
        assert_non_null(slab_alloc(&slab, &handles[i]));
    }
    size_t full = slab_memory_bytes(&slab);
    assert_true(full - empty >= COUNT * (size_t)200);
    assert_true(full - empty <= COUNT * slab.stride_bytes + (UINT32_C(1) << 18));
    for (int i = 0; i < 100000; i++) {
        uint64_t which = rng_below(&rng, COUNT);
        slab_release(&slab, handles[which]);
        assert_non_null(slab_alloc(&slab, &handles[which]));
    }
    assert_int_equal(slab_memory_bytes(&slab), full);
    assert_int_equal(slab.made_count, COUNT);
    slab_destroy(&slab);
    assert_int_equal(slab_memory_bytes(&slab), 0);
}

static void test_small_limit_makes_a_small_chunk(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t handle;
    assert_int_equal(slab_init(&slab, 48, 4), 0);
    assert_non_null(slab_alloc(&slab, &handle));
    assert_true(slab_memory_bytes(&slab) <= 4u * 64u + sizeof(void *));
    slab_destroy(&slab);
}

static void test_largest_limit_is_accepted_and_absurd_objects_are_not(void **state)
{
    (void)state;
    struct slab slab;
    uint64_t handle;
    assert_int_equal(slab_init(&slab, 64, UINT32_C(1) << 31), 0);
    assert_non_null(slab_alloc(&slab, &handle));
    slab_destroy(&slab);
    assert_int_equal(slab_init(&slab, SIZE_MAX, 1), -ENOMEM);
    slab_destroy(&slab);
    assert_int_equal(slab_init(&slab, SIZE_MAX - 8u, 1), -ENOMEM);
    slab_destroy(&slab);
}

static void test_destroy_is_safe_on_a_zeroed_struct_and_twice(void **state)
{
    (void)state;
    struct slab slab = {0};
    slab_destroy(&slab);
    assert_int_equal(slab_init(&slab, 8, 8), 0);
    slab_destroy(&slab);
    slab_destroy(&slab);
    assert_null(slab_get(&slab, UINT64_C(1) << 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_object_comes_zeroed_aligned_and_with_a_handle_of_56_bits),
        cmocka_unit_test(test_objects_do_not_move_nor_overlap_as_the_slab_grows),
        cmocka_unit_test(test_limit_is_exact_and_reaching_it_changes_nothing),
        cmocka_unit_test(test_freed_objects_handle_is_stale_for_good),
        cmocka_unit_test(test_handle_that_never_was_finds_nothing),
        cmocka_unit_test(test_generation_wraps_at_24_bits_past_zero),
        cmocka_unit_test(test_next_visits_every_live_object_once),
        cmocka_unit_test(test_objects_may_be_released_during_a_walk),
        cmocka_unit_test(test_steady_state_takes_no_memory),
        cmocka_unit_test(test_small_limit_makes_a_small_chunk),
        cmocka_unit_test(test_largest_limit_is_accepted_and_absurd_objects_are_not),
        cmocka_unit_test(test_destroy_is_safe_on_a_zeroed_struct_and_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
