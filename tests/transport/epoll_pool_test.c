/* The epoll engine's buffer pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/epoll_pool.h"

static void test_buffers_do_not_overlap_and_are_found_by_id(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 100, 4096};
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        struct epoll_pool pool;
        struct epoll_buffer *taken[20 * EPOLL_POOL_CHUNK]; /* past the table's first size */
        epoll_pool_init(&pool, sizes[s]);
        assert_int_equal(pool.memory_bytes, 0);
        for (uint32_t i = 0; i < 20 * EPOLL_POOL_CHUNK; i++) {
            taken[i] = epoll_pool_take(&pool);
            assert_non_null(taken[i]);
            assert_int_equal(taken[i]->state, EPOLL_BUFFER_LENT);
            memset(taken[i]->bytes, (int)(i & 0xff), sizes[s]);
        }
        for (uint32_t i = 0; i < 20 * EPOLL_POOL_CHUNK; i++) {
            assert_ptr_equal(epoll_pool_find(&pool, taken[i]->send.buffer_id), taken[i]);
            assert_int_equal(taken[i]->bytes[0], i & 0xff);
            assert_int_equal(taken[i]->bytes[sizes[s] - 1], i & 0xff);
        }
        epoll_pool_destroy(&pool);
    }
}

static void test_the_buffer_that_came_back_last_goes_out_first(void **state)
{
    (void)state;
    struct epoll_pool pool;
    epoll_pool_init(&pool, 64);
    struct epoll_buffer *first = epoll_pool_take(&pool);
    struct epoll_buffer *second = epoll_pool_take(&pool);
    assert_ptr_not_equal(first, second);
    epoll_pool_put(&pool, second);
    epoll_pool_put(&pool, first);
    assert_ptr_equal(epoll_pool_take(&pool), first);
    assert_ptr_equal(epoll_pool_take(&pool), second);
    epoll_pool_destroy(&pool);
}

static void test_a_pool_grows_by_chunks_and_then_holds_its_size(void **state)
{
    (void)state;
    struct epoll_pool pool;
    struct epoll_buffer *taken[EPOLL_POOL_CHUNK];
    epoll_pool_init(&pool, 4096);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < EPOLL_POOL_CHUNK; i++) {
            taken[i] = epoll_pool_take(&pool);
        }
        assert_int_equal(pool.chunk_count, 1);
        for (uint32_t i = 0; i < EPOLL_POOL_CHUNK; i++) {
            epoll_pool_put(&pool, taken[i]);
        }
    }
    assert_in_range(pool.memory_bytes, EPOLL_POOL_CHUNK * 4096, EPOLL_POOL_CHUNK * 4300);
    epoll_pool_destroy(&pool);
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
