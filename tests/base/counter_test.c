/* Rules of base/counter: the pattern that its header describes. */
#include "base/test.h"

#include "base/counter.h"

enum test_counter {
#define COUNTER(name, help) TEST_COUNTER_##name,
#include "counter_test.def"
#undef COUNTER
    TEST_COUNTER_COUNT
};

static void test_one_list_gives_enum_and_table_in_one_order(void **state)
{
    (void)state;
    static const struct counter_info infos[] = {
#define COUNTER(name, help) {#name, help},
#include "counter_test.def"
#undef COUNTER
    };
    uint64_t values[TEST_COUNTER_COUNT] = {0};
    values[TEST_COUNTER_dropped] = 7;
    const struct counter_view view = {
        .infos = infos, .values = values, .count = TABLE_COUNT(infos)};

    assert_int_equal(view.count, TEST_COUNTER_COUNT);
    assert_string_equal(view.infos[TEST_COUNTER_stale].name, "stale");
    assert_string_equal(view.infos[1].help, "packets that found no room");
    assert_int_equal(view.values[1], 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_list_gives_enum_and_table_in_one_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
