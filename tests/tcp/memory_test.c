/* Rules of tcp/memory. */
#include "tcp/test.h"

static void test_alloc_zeroes_and_counts(void **state)
{
    (void)state;
    struct test_memory test;
    test_memory_init(&test, 0);
    unsigned char *a = memory_alloc(&test.memory, 100);
    unsigned char *b = memory_alloc_raw(&test.memory, 28);
    assert_int_equal(a[0], 0);
    assert_memory_equal(a, a + 1, 99);
    assert_int_equal(b[0], 0xa5); /* as it came */
    assert_int_equal(test.memory.bytes, 128);
    memory_release(&test.memory, a, 100);
    assert_int_equal(test.memory.bytes, 28);
    memory_release(&test.memory, NULL, 5);
    memory_release(&test.memory, b, 28);
    test_memory_check_empty(&test);
}

static void test_refusal_counts_nothing(void **state)
{
    (void)state;
    struct test_memory test;
    uint8_t before;
    test_memory_init(&test, 1);
    assert_null(memory_alloc(&test.memory, 1));
    assert_null(memory_alloc_raw(&test.memory, 1));
    assert_null(memory_alloc_lines(&test.memory, 64, &before));
    test_memory_init(&test, 2); /* the first try is not aligned, the second is refused */
    assert_null(memory_alloc_lines(&test.memory, 64, &before));
    test_memory_check_empty(&test);
}

static void test_lines_are_aligned_whatever_the_allocator_gives(void **state)
{
    (void)state;
    for (int aligned = 0; aligned < 2; aligned++) {
        struct test_memory test;
        uint8_t before;
        test_memory_init(&test, 0);
        test.aligned = aligned == 1;
        unsigned char *lines = memory_alloc_lines(&test.memory, 256, &before);
        assert_int_equal((uintptr_t)lines % 64u, 0);
        memset(lines, 1, 256);
        assert_int_equal(test.memory.bytes, aligned == 1 ? 256 : 256 + 64);
        assert_int_equal(test.memory.bytes, memory_lines_bytes(256, before));
        memory_release_lines(&test.memory, lines, 256, before);
        memory_release_lines(&test.memory, NULL, 256, before);
        test_memory_check_empty(&test);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_zeroes_and_counts),
        cmocka_unit_test(test_refusal_counts_nothing),
        cmocka_unit_test(test_lines_are_aligned_whatever_the_allocator_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
