/* Control: signals and ends of workers become events, together and in any number. */
#include "server/control.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/test.h"

static void add_ended(const struct control *control, uint64_t count)
{
    assert_int_equal(write(control->ended_fd, &count, sizeof(count)), sizeof(count));
}

static void a_wait_ends_at_its_time_without_events(void **state)
{
    (void)state;
    struct control control;
    struct control_events events;
    struct failure failure;
    assert_int_equal(control_open(&control, &failure), 0);
    assert_int_equal(control_wait(&control, 0, &events), 0);
    assert_int_equal(events.signals, 0);
    assert_int_equal(events.ended, 0);
    control_close(&control);
}

static void each_kind_of_signal_is_counted(void **state)
{
    (void)state;
    struct control control;
    struct control_events events;
    struct failure failure;
    assert_int_equal(control_open(&control, &failure), 0);
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(raise(SIGINT), 0);
    assert_int_equal(control_wait(&control, CLOCK_NEVER, &events), 0);
    assert_int_equal(events.signals, 2);
    assert_int_equal(control_wait(&control, 0, &events), 0);
    assert_int_equal(events.signals, 0);
    control_close(&control);
}

static void ends_of_workers_add_up_between_waits(void **state)
{
    (void)state;
    struct control control;
    struct control_events events;
    struct failure failure;
    assert_int_equal(control_open(&control, &failure), 0);
    add_ended(&control, 1);
    add_ended(&control, 1);
    assert_int_equal(control_wait(&control, CLOCK_NEVER, &events), 0);
    assert_int_equal(events.ended, 2);
    assert_int_equal(events.signals, 0);
    control_close(&control);
}

static void signals_are_let_through_again_after_the_close(void **state)
{
    (void)state;
    struct control control;
    struct failure failure;
    sigset_t blocked;
    assert_int_equal(control_open(&control, &failure), 0);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGTERM), 1);
    control_close(&control);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
    assert_int_equal(sigismember(&blocked, SIGINT), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wait_ends_at_its_time_without_events),
        cmocka_unit_test(each_kind_of_signal_is_counted),
        cmocka_unit_test(ends_of_workers_add_up_between_waits),
        cmocka_unit_test(signals_are_let_through_again_after_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
