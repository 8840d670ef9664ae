/* Rules of base/cpu. */
#include "base/test.h"

#include <errno.h>
#include <sched.h>

#include "base/cpu.h"

struct list_case {
    const char *text;
    uint32_t count;
    uint16_t cpus[6];
};

static void test_list_is_read_in_the_kernels_form_and_kept_ascending(void **state)
{
    (void)state;
    static const struct list_case cases[] = {
        {"0", 1, {0}},           {"1023", 1, {1023}},
        {"0-1", 2, {0, 1}},      {"3-3", 1, {3}},
        {"0,2-3", 3, {0, 2, 3}}, {"8,0-2", 4, {0, 1, 2, 8}},
        {"007", 1, {7}},         {"5,4,3,2,1,0", 6, {0, 1, 2, 3, 4, 5}},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct cpu_list list;
        assert_int_equal(cpu_list_parse(&list, text.text, NULL), 0);
        assert_int_equal(list.count, cases[i].count);
        assert_memory_equal(list.cpus, cases[i].cpus, list.count * sizeof list.cpus[0]);
        guarded_text_free(&text);
    }
}

static void test_whole_range_of_cpus_fits(void **state)
{
    (void)state;
    struct cpu_list list;
    assert_int_equal(cpu_list_parse(&list, "0-1023", NULL), 0);
    assert_int_equal(list.count, CPU_LIST_MAX);
    assert_int_equal(list.cpus[1023], 1023);
}

struct refused_case {
    const char *text;
    const char *part; /* of the failure's text */
};

static void test_bad_list_is_refused_with_what_to_do(void **state)
{
    (void)state;
    static const struct refused_case cases[] = {
        {"", "use 0, 0-1"},
        {"a", "not a list"},
        {"0,", "not a list"},
        {",0", "not a list"},
        {"0-", "not a list"},
        {"-1", "not a list"},
        {"0 1", "not a list"},
        {"0-1-2", "not a list"},
        {"0,0", "CPU 0 is named twice"},
        {"0-3,2", "CPU 2 is named twice"},
        {"3-1", "use 1-3"},
        {"1024", "use 0 to 1023"},
        {"0-1024", "use 0 to 1023"},
        {"4294967296", "use 0 to 1023"},
        {"99999999999999999999999", "use 0 to 1023"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct guarded_text text = guarded_text_make(cases[i].text);
        struct failure failure = {0};
        struct cpu_list list;
        assert_int_equal(cpu_list_parse(&list, text.text, &failure), -EINVAL);
        assert_int_equal(failure.error, EINVAL);
        assert_contains(failure.text, cases[i].part);
        assert_contains(failure.text, cases[i].text);
        guarded_text_free(&text);
    }
}

static void test_has_tells_members_from_others(void **state)
{
    (void)state;
    struct cpu_list list;
    assert_int_equal(cpu_list_parse(&list, "0,2-3", NULL), 0);
    assert_true(cpu_list_has(&list, 0));
    assert_false(cpu_list_has(&list, 1));
    assert_true(cpu_list_has(&list, 3));
    assert_false(cpu_list_has(&list, 65536 + 2));
}

static void test_pinned_thread_is_allowed_one_cpu_and_runs_there(void **state)
{
    (void)state;
    cpu_set_t before;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    struct cpu_list all;
    assert_int_equal(cpu_list_allowed(&all), 0);
    assert_int_equal(all.count, CPU_COUNT(&before));
    for (uint32_t i = 0; i < all.count; i++) {
        struct cpu_list one;
        assert_int_equal(cpu_pin_self(all.cpus[i]), 0);
        assert_int_equal(sched_getcpu(), all.cpus[i]);
        assert_int_equal(cpu_list_allowed(&one), 0);
        assert_int_equal(one.count, 1);
        assert_int_equal(one.cpus[0], all.cpus[i]);
        assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    }
}

static void test_pinning_to_a_cpu_that_is_not_there_is_refused(void **state)
{
    (void)state;
    assert_int_equal(cpu_pin_self(CPU_LIST_MAX), -EINVAL);
    assert_int_equal(cpu_pin_self(UINT32_MAX), -EINVAL);
    struct cpu_list all;
    assert_int_equal(cpu_list_allowed(&all), 0);
    if (!cpu_list_has(&all, CPU_LIST_MAX - 1u)) {
        assert_int_equal(cpu_pin_self(CPU_LIST_MAX - 1u), -EINVAL);
    }
}

static void test_without_a_choice_all_allowed_cpus_are_taken(void **state)
{
    (void)state;
    struct cpu_list all;
    struct cpu_list list;
    assert_int_equal(cpu_list_allowed(&all), 0);
    assert_int_equal(cpu_list_choose(&list, NULL, NULL), 0);
    assert_int_equal(list.count, all.count);
    assert_memory_equal(list.cpus, all.cpus, all.count * sizeof all.cpus[0]);
}

static void test_a_chosen_cpu_must_be_allowed(void **state)
{
    (void)state;
    struct cpu_list all;
    struct cpu_list list;
    struct failure failure;
    char text[16];
    assert_int_equal(cpu_list_allowed(&all), 0);
    snprintf(text, sizeof text, "%u", all.cpus[0]);
    assert_int_equal(cpu_list_choose(&list, text, &failure), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.cpus[0], all.cpus[0]);
    assert_int_equal(cpu_list_choose(&list, "1-0", &failure), -EINVAL);
    assert_non_null(strstr(failure.text, "--cpus \"1-0\": range 1-0 is the wrong way round"));
    if (!cpu_list_has(&all, CPU_LIST_MAX - 1u)) {
        assert_int_equal(cpu_list_choose(&list, "1023", &failure), -EINVAL);
        assert_non_null(strstr(failure.text, "--cpus 1023: CPU 1023 is not there or not allowed"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_is_read_in_the_kernels_form_and_kept_ascending),
        cmocka_unit_test(test_whole_range_of_cpus_fits),
        cmocka_unit_test(test_bad_list_is_refused_with_what_to_do),
        cmocka_unit_test(test_has_tells_members_from_others),
        cmocka_unit_test(test_without_a_choice_all_allowed_cpus_are_taken),
        cmocka_unit_test(test_a_chosen_cpu_must_be_allowed),
        cmocka_unit_test(test_pinned_thread_is_allowed_one_cpu_and_runs_there),
        cmocka_unit_test(test_pinning_to_a_cpu_that_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
