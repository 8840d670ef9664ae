/* What the tests of TCP's tables include: cmocka, and an allocator that counts, refuses the n-th
 * call when it is told to, and hands out dirty blocks of the least alignment that is promised. */
#ifndef FINWAIT_TESTS_TCP_TEST_H
#define FINWAIT_TESTS_TCP_TEST_H

#include <stdlib.h>

#include "base/test.h"

#include "tcp/memory.h"

#define TEST_BLOCK_SHIFT 16u /* malloc aligns to 16; a line is 64 */

struct test_memory {
    struct memory memory;
    uint64_t calls_until_failure; /* 0: never; counts down */
    uint64_t allocation_count;
    uint64_t block_count; /* held */
    bool aligned;         /* hand out blocks that begin on a cache line */
};

static inline void *test_memory_allocate(void *context, size_t bytes)
{
    struct test_memory *test = context;
    if (test->calls_until_failure == 1) {
        return NULL;
    }
    test->calls_until_failure -= test->calls_until_failure > 0 ? 1u : 0u;
    size_t room = (bytes + TEST_BLOCK_SHIFT + 63u) / 64u * 64u;
    unsigned char *block = aligned_alloc(64, room + 64u);
    assert_non_null(block);
    block += test->aligned ? 0 : TEST_BLOCK_SHIFT;
    memset(block, 0xa5, bytes);
    test->allocation_count++;
    test->block_count++;
    return block;
}

static inline void test_memory_free(void *context, void *block, size_t bytes)
{
    struct test_memory *test = context;
    memset(block, 0x5a, bytes); /* a wrong size or a stale pointer shows */
    test->block_count--;
    free((unsigned char *)block - (test->aligned ? 0 : TEST_BLOCK_SHIFT));
}

/* Prepares the allocator; from `failing_call` on (1 is the first) every call is refused, 0: none.
 */
static inline void test_memory_init(struct test_memory *test, uint64_t failing_call)
{
    *test = (struct test_memory){
        .memory = {.allocate = test_memory_allocate, .release = test_memory_free, .context = test},
        .calls_until_failure = failing_call,
    };
}

/* Requires that all has been given back. */
static inline void test_memory_check_empty(const struct test_memory *test)
{
    assert_int_equal(test->memory.bytes, 0);
    assert_int_equal(test->block_count, 0);
}

#endif
