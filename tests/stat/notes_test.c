/* The warnings of a run, and how long states lasted, condensed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stat/lasted.h"
#include "stat/notes.h"

static uint32_t add(struct notes *notes, struct sample *sample, uint64_t second, const char *text)
{
    sample->elapsed_ns = second * NS_PER_SEC;
    sample->note_count = 0;
    sample_add_note(sample, "%s", text);
    return notes_add(notes, sample);
}

static void test_a_warning_whose_numbers_move_is_one(void **state)
{
    (void)state;
    struct notes *notes = calloc(1, sizeof(*notes));
    struct sample *sample = calloc(1, sizeof(*sample));
    assert_int_equal(add(notes, sample, 1, "nginx (7) holds 532, 40.0/s more"), 1);
    assert_int_equal(add(notes, sample, 2, "nginx (7) holds 1,572, 41.25/s more"), 0);
    assert_int_equal(add(notes, sample, 3, "nginx holds 1,572"), 1);
    assert_int_equal(add(notes, sample, 9, "nginx (8) holds 9, 1/s more"), 0);
    assert_int_equal(notes->count, 2);
    assert_int_equal(notes->items[0].first_ns, NS_PER_SEC);
    assert_int_equal(notes->items[0].last_ns, 9 * NS_PER_SEC);
    assert_int_equal(notes->items[0].times, 3);
    assert_string_equal(notes->items[0].text, "nginx (8) holds 9, 1/s more");
    free(sample);
    free(notes);
}

static void test_warnings_beyond_the_room_are_counted(void **state)
{
    (void)state;
    struct notes *notes = calloc(1, sizeof(*notes));
    struct sample *sample = calloc(1, sizeof(*sample));
    for (int i = 0; i < NOTES_MAX + 5; i++) {
        char text[NOTES_MAX + 8] = "";
        memset(text, 'x', (size_t)i + 1);
        add(notes, sample, 1, text);
    }
    assert_int_equal(notes->count, NOTES_MAX);
    assert_int_equal(notes->left_out, 5);
    free(sample);
    free(notes);
}

static void test_times_are_counted_below_powers_of_two(void **state)
{
    (void)state;
    struct hist *hist = calloc(1, sizeof(*hist));
    struct sample_lasted lasted;
    hist_init(hist);
    static const uint64_t times[] = {0, 1, 2, 3, 4, 1023, 1024, UINT64_C(1) << 43, UINT64_MAX / 2};
    static const uint32_t powers[] = {0, 1, 2, 2, 3, 10, 11, 44, 44};
    uint64_t expected[SAMPLE_POWERS] = {0};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        hist_record(hist, times[i]);
        expected[powers[i]]++;
    }
    lasted_condense(hist, &lasted);
    assert_memory_equal(lasted.powers, expected, sizeof(expected));
    assert_int_equal(lasted.count, 9);
    assert_int_equal(lasted.p50_ns, 4);
    free(hist);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warning_whose_numbers_move_is_one),
        cmocka_unit_test(test_warnings_beyond_the_room_are_counted),
        cmocka_unit_test(test_times_are_counted_below_powers_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
