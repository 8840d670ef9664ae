/* The buffer pool of the engines that copy from a socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/buffer_pool.h"

static void test_buffers_do_not_overlap_and_are_found_by_id(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 100, 4096};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct buffer_pool pool;
        struct pool_buffer *taken[20 * BUFFER_POOL_CHUNK]; /* past the table's first size */
        buffer_pool_init(&pool, sizes[s]);
        assert_int_equal(pool.memory_bytes, 0);
        for (uint32_t i = 0; i < 20 * BUFFER_POOL_CHUNK; i++) {
            taken[i] = buffer_pool_take(&pool);
            assert_non_null(taken[i]);
            assert_int_equal(taken[i]->state, POOL_BUFFER_LENT);
            memset(taken[i]->bytes, (int)(i & 0xff), sizes[s]);
        }
        for (uint32_t i = 0; i < 20 * BUFFER_POOL_CHUNK; i++) {
            assert_ptr_equal(buffer_pool_find(&pool, taken[i]->piece.buffer_id), taken[i]);
            assert_int_equal(taken[i]->bytes[0], i & 0xff);
            assert_int_equal(taken[i]->bytes[sizes[s] - 1], i & 0xff);
        }
        buffer_pool_destroy(&pool);
    }
}

static void test_the_buffer_that_came_back_last_goes_out_first(void **state)
{
    (void)state;
    struct buffer_pool pool;
    buffer_pool_init(&pool, 64);
    struct pool_buffer *first = buffer_pool_take(&pool);
    struct pool_buffer *second = buffer_pool_take(&pool);
    assert_ptr_not_equal(first, second);
    buffer_pool_put(&pool, second);
    buffer_pool_put(&pool, first);
    assert_ptr_equal(buffer_pool_take(&pool), first);
    assert_ptr_equal(buffer_pool_take(&pool), second);
    buffer_pool_destroy(&pool);
}

static void test_a_pool_grows_by_chunks_and_then_holds_its_size(void **state)
{
    (void)state;
    struct buffer_pool pool;
    struct pool_buffer *taken[BUFFER_POOL_CHUNK];
    buffer_pool_init(&pool, 4096);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < BUFFER_POOL_CHUNK; i++) {
            taken[i] = buffer_pool_take(&pool);
        }
        assert_int_equal(pool.chunk_count, 1);
        for (uint32_t i = 0; i < BUFFER_POOL_CHUNK; i++) {
            buffer_pool_put(&pool, taken[i]);
        }
    }
    assert_in_range(pool.memory_bytes, BUFFER_POOL_CHUNK * 4096, BUFFER_POOL_CHUNK * 4300);
    buffer_pool_destroy(&pool);
    assert_int_equal(pool.memory_bytes, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers_do_not_overlap_and_are_found_by_id),
        cmocka_unit_test(test_the_buffer_that_came_back_last_goes_out_first),
        cmocka_unit_test(test_a_pool_grows_by_chunks_and_then_holds_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
