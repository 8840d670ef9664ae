/* A result without memory: calloc, strdup and reallocarray are wrapped by the linker, and every one
 * of their calls is told by cmocka's queue whether to fail: first the first of a call, then the
 * second, and so on. A call more or less than the tables say fails the test. Leaks show in the
 * sanitized build. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/result.h"

/* The names that the linker's --wrap gives to the wrapped functions and to those that take their
 * place. */
void *real_calloc(size_t count, size_t size) __asm__("__real_calloc");
char *real_strdup(const char *text) __asm__("__real_strdup");
void *real_reallocarray(void *memory, size_t count, size_t size) __asm__("__real_reallocarray");
void *wrap_calloc(size_t count, size_t size) __asm__("__wrap_calloc");
char *wrap_strdup(const char *text) __asm__("__wrap_strdup");
void *wrap_reallocarray(void *memory, size_t count, size_t size) __asm__("__wrap_reallocarray");

static bool is_refused(void)
{
    return mock() != 0;
}

/* Lets the next allocations of a call succeed, and the one after them fail. */
static void expect_allocations(int successes, bool then_refuse)
{
    if (successes > 0) {
        will_return_count(is_refused, 0, successes);
    }
    if (then_refuse) {
        will_return(is_refused, 1);
    }
}

void *wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : real_calloc(count, size);
}

char *wrap_strdup(const char *text)
{
    return is_refused() ? NULL : real_strdup(text);
}

void *wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return is_refused() ? NULL : real_reallocarray(memory, count, size);
}

static int add_option(struct result *result)
{
    return result_add_option(result, "name", "value");
}

static int add_error(struct result *result)
{
    return result_add_error(result, "connect", EPIPE, 1);
}

static int add_hist(struct result *result)
{
    static const struct hist hist;
    return result_add_hist(result, "connect", RESULT_PLAIN, &hist);
}

static int add_counters(struct result *result)
{
    static const struct counter_info infos[] = {{"a", "help"}};
    static const uint64_t values[] = {1};
    const struct counter_view view = {.infos = infos, .values = values, .count = 1};
    return result_add_counters(result, "group", &view);
}

static int add_census(struct result *result)
{
    char method[] = "proc";
    return result_add_census(result, &(struct result_census){.method = method});
}

static int add_feature(struct result *result)
{
    return result_add_feature(result, "name", "used", "why");
}

static int add_check(struct result *result)
{
    char name[] = "name", note[] = "note";
    return result_add_check(result, &(struct result_check){.name = name, .note = note});
}

static int add_limit(struct result *result)
{
    return result_add_limit(result, RESULT_NOTE, "code", "Sentence.");
}

static int add_columns(struct result *result)
{
    static const char *const names[] = {"a", "b"};
    return result_series_columns(result, names, 2);
}

static uint32_t count_all(const struct result *result)
{
    return result->option_count + result->error_count + result->hist_count + result->counter_count +
           result->census_count + result->feature_count + result->check_count +
           result->limit_count + result->series.column_count;
}

static void make(struct result *result)
{
    expect_allocations(2, false);
    assert_int_equal(result_init(result, "finwait-test"), 0);
}

struct call {
    int (*add)(struct result *result);
    int allocations;
};

/* Fails each allocation of a call in turn, then none. */
static void fail_each(const struct call *call, struct result *result)
{
    uint32_t before = count_all(result);
    for (int i = 0; i < call->allocations; i++) {
        expect_allocations(i, true);
        assert_int_equal(call->add(result), -ENOMEM);
        assert_int_equal(count_all(result), before);
    }
    expect_allocations(call->allocations, false);
    assert_int_equal(call->add(result), 0);
    assert_true(count_all(result) > before);
}

static void without_memory_a_call_says_so_and_changes_nothing(void **state)
{
    (void)state;
    static const struct call calls[] = {{add_option, 3},   {add_error, 2},  {add_hist, 2},
                                        {add_counters, 4}, {add_census, 2}, {add_feature, 4},
                                        {add_check, 3},    {add_limit, 3},  {add_columns, 3}};
    struct result result;
    make(&result);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        fail_each(&calls[i], &result);
    }
    result_destroy(&result);
}

static void without_memory_a_full_table_keeps_its_entries(void **state)
{
    (void)state;
    struct result result;
    make(&result);
    for (uint32_t i = 0; i < 8; i++) {
        expect_allocations(i == 0 ? 4 : 3, false);
        assert_int_equal(add_feature(&result), 0);
    }
    expect_allocations(3, true);
    assert_int_equal(add_feature(&result), -ENOMEM);
    assert_int_equal(result.feature_count, 8);
    assert_string_equal(result.features[7].why, "why");
    result_destroy(&result);
}

static void without_memory_a_row_is_not_added(void **state)
{
    (void)state;
    const struct result_number row[2] = {result_count(1), result_count(2)};
    struct result result;
    make(&result);
    expect_allocations(3, false);
    assert_int_equal(add_columns(&result), 0);
    expect_allocations(0, true);
    assert_int_equal(result_series_add_row(&result, row), -ENOMEM);
    assert_int_equal(result.series.row_count, 0);
    expect_allocations(1, false);
    assert_int_equal(result_series_add_row(&result, row), 0);
    assert_int_equal(result.series.cells[1].count, 2);
    result_destroy(&result);
}

static void without_memory_for_its_name_a_result_is_empty(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct result result;
        expect_allocations(i, true);
        assert_int_equal(result_init(&result, "finwait-test"), -ENOMEM);
        assert_null(result.program);
    }
}

static void without_memory_a_string_keeps_its_old_text(void **state)
{
    (void)state;
    char *field = NULL;
    expect_allocations(1, false);
    assert_int_equal(result_set(&field, "old"), 0);
    expect_allocations(0, true);
    assert_int_equal(result_set(&field, "new"), -ENOMEM);
    assert_string_equal(field, "old");
    assert_int_equal(result_set(&field, NULL), 0);
    assert_null(field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_call_says_so_and_changes_nothing),
        cmocka_unit_test(without_memory_a_full_table_keeps_its_entries),
        cmocka_unit_test(without_memory_a_row_is_not_added),
        cmocka_unit_test(without_memory_for_its_name_a_result_is_empty),
        cmocka_unit_test(without_memory_a_string_keeps_its_old_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
