#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tcpstat/watch_keep.h"

static uint64_t item_at(const struct watch_keep *keep, uint32_t index)
{
    return ((const uint64_t *)keep->items)[index];
}

static void test_everything_is_kept_below_the_limit(void **state)
{
    (void)state;
    struct watch_keep keep;
    watch_keep_init(&keep, sizeof(uint64_t), 1000);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(watch_keep_add(&keep, &i, false), 0);
    }
    assert_int_equal(keep.count, 1000);
    assert_int_equal(watch_keep_thinned(&keep), 0);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(item_at(&keep, i), i);
    }
    watch_keep_free(&keep);
}

/* At any length the series spans all that was offered, in equal steps, within its limit. */
static void test_a_full_series_is_thinned_evenly(void **state)
{
    (void)state;
    static const uint32_t limits[] = {2, 3, 7, 64, 100};
    for (size_t l = 0; l < sizeof(limits) / sizeof(limits[0]); l++) {
        struct watch_keep keep;
        watch_keep_init(&keep, sizeof(uint64_t), limits[l]);
        for (uint64_t i = 0; i < 5000; i++) {
            assert_int_equal(watch_keep_add(&keep, &i, false), 0);
            assert_true(keep.count <= limits[l]);
            assert_int_equal(watch_keep_thinned(&keep), i + 1 - keep.count);
        }
        for (uint32_t i = 0; i < keep.count; i++) {
            assert_int_equal(item_at(&keep, i), i * keep.stride);
        }
        assert_true((keep.count + 1) * keep.stride > 4999);
        watch_keep_free(&keep);
    }
}

static void test_the_last_item_is_kept_at_any_length(void **state)
{
    (void)state;
    for (uint64_t offered = 1; offered < 300; offered++) {
        struct watch_keep keep;
        watch_keep_init(&keep, sizeof(uint64_t), 8);
        for (uint64_t i = 0; i < offered; i++) {
            assert_int_equal(watch_keep_add(&keep, &i, i + 1 == offered), 0);
        }
        assert_true(keep.count <= 8);
        assert_int_equal(item_at(&keep, keep.count - 1), offered - 1);
        watch_keep_free(&keep);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_kept_below_the_limit),
        cmocka_unit_test(test_a_full_series_is_thinned_evenly),
        cmocka_unit_test(test_the_last_item_is_kept_at_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
