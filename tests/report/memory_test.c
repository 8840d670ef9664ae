/* A result without memory: calloc, strdup and reallocarray are wrapped by the linker and fail on
 * demand, the first of a call, then the second, and so on until the call succeeds. Leaks show in
 * the sanitized build. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/result.h"

void *__real_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
void *__real_reallocarray(void *memory, size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);

/* Allocations that still succeed; -1: all of them. */
static int allowance = -1;

static int is_refused(void)
{
    if (allowance < 0) {
        return 0;
    }
    if (allowance == 0) {
        return 1;
    }
    allowance--;
    return 0;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
    return is_refused() ? NULL : __real_strdup(text);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size)
{
    return is_refused() ? NULL : __real_reallocarray(memory, count, size);
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

/* Fails each allocation of a call in turn; returns how many there were. */
static int fail_each(int (*call)(struct result *result), struct result *result)
{
    for (int i = 0;; i++) {
        uint32_t before = count_all(result);
        allowance = i;
        int error = call(result);
        allowance = -1;
        if (error == 0) {
            assert_true(count_all(result) > before);
            return i;
        }
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(count_all(result), before);
    }
}

static void without_memory_a_call_says_so_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        int (*call)(struct result *result);
        int allocations;
    } cases[] = {{add_option, 3},   {add_error, 2},  {add_hist, 2},
                 {add_counters, 4}, {add_census, 2}, {add_feature, 4},
                 {add_check, 3},    {add_limit, 3},  {add_columns, 3}};
    struct result result;
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(fail_each(cases[i].call, &result), cases[i].allocations);
    }
    result_destroy(&result);
}

static void without_memory_for_its_name_a_result_is_empty(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct result result;
        allowance = i;
        int error = result_init(&result, "finwait-test");
        allowance = -1;
        assert_int_equal(error, -ENOMEM);
        assert_null(result.program);
    }
}

static void without_memory_a_string_keeps_its_old_text(void **state)
{
    (void)state;
    char *field = NULL;
    assert_int_equal(result_set(&field, "old"), 0);
    allowance = 0;
    int error = result_set(&field, "new");
    allowance = -1;
    assert_int_equal(error, -ENOMEM);
    assert_string_equal(field, "old");
    assert_int_equal(result_set(&field, NULL), 0);
    assert_null(field);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_a_call_says_so_and_changes_nothing),
        cmocka_unit_test(without_memory_for_its_name_a_result_is_empty),
        cmocka_unit_test(without_memory_a_string_keeps_its_old_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
