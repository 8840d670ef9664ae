/* Which numbers get a word of warning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "stat/warnings.h"

struct fixture {
    struct sample_head head;
    struct sample before;
    struct sample now;
};

static struct fixture *make(void)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    fixture->head.time_wait_max = 1000;
    fixture->now.elapsed_ns = NS_PER_SEC;
    fixture->now.listener_count = 1;
    fixture->now.listeners[0].has_backlog = true;
    fixture->now.listeners[0].backlog = 100;
    assert_int_equal(endpoint_parse(&fixture->now.listeners[0].local, "10.0.0.1:80", NULL), 0);
    return fixture;
}

/* Looks for exactly one note, with these words in it; NULL: for none. */
static void expect(struct fixture *fixture, const char *words)
{
    warnings_add(&fixture->now, &fixture->before, &fixture->head);
    assert_int_equal(fixture->now.note_count, words == NULL ? 0 : 1);
    if (words != NULL && strstr(fixture->now.notes[0], words) == NULL) {
        fail_msg("%s: %s", words, fixture->now.notes[0]);
    }
    free(fixture);
}

static void test_a_calm_sample_has_no_warning(void **state)
{
    (void)state;
    struct fixture *fixture = make();
    fixture->now.listeners[0].queued = 89;
    fixture->now.values[WATCH_time_wait] = 899;
    expect(fixture, NULL);
}

static void test_a_queue_is_nearly_full_and_then_full(void **state)
{
    (void)state;
    struct fixture *fixture = make();
    fixture->now.listeners[0].queued = 100;
    expect(fixture, "10.0.0.1:80: the accept queue is nearly full (100, backlog 100)");
    fixture = make();
    fixture->now.listeners[0].queued = 101;
    expect(fixture, "10.0.0.1:80: the accept queue is full (101, backlog 100)");
    fixture = make();
    fixture->now.listeners[0].queued = 101;
    fixture->now.listeners[0].has_backlog = false;
    expect(fixture, NULL);
}

static void test_time_wait_near_its_cap_and_beyond(void **state)
{
    (void)state;
    struct fixture *fixture = make();
    fixture->now.values[WATCH_time_wait] = 900;
    expect(fixture, "at 90% of tcp_max_tw_buckets (1000)");
    fixture = make();
    fixture->now.values[WATCH_time_wait] = 1000;
    fixture->now.values[WATCH_time_wait_overflows] = 7;
    expect(fixture, "7 connections/s close without a TIME_WAIT");
}

static void test_syn_queues_and_memory(void **state)
{
    (void)state;
    struct fixture *fixture = make();
    fixture->now.values[WATCH_syn_queue_drops] = 3;
    fixture->now.values[WATCH_syn_queue_cookies] = 4;
    expect(fixture, "drops 3 SYNs/s");
    fixture = make();
    fixture->now.values[WATCH_syn_queue_cookies] = 4;
    expect(fixture, "4 SYNs/s are answered by cookies");
    fixture = make();
    fixture->now.values[WATCH_abort_on_memory] = 2;
    expect(fixture, "2 connections/s are dropped");
}

static void test_notes_are_bounded_and_not_repeated(void **state)
{
    (void)state;
    struct fixture *fixture = make();
    sample_add_note(&fixture->now, "twice");
    sample_add_note(&fixture->now, "twice");
    assert_int_equal(fixture->now.note_count, 1);
    for (int i = 0; i < 2 * SAMPLE_NOTES_MAX; i++) {
        sample_add_note(&fixture->now, "note %d", i);
    }
    assert_int_equal(fixture->now.note_count, SAMPLE_NOTES_MAX);
    free(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_calm_sample_has_no_warning),
        cmocka_unit_test(test_a_queue_is_nearly_full_and_then_full),
        cmocka_unit_test(test_time_wait_near_its_cap_and_beyond),
        cmocka_unit_test(test_syn_queues_and_memory),
        cmocka_unit_test(test_notes_are_bounded_and_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
