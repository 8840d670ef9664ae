/* Echo: what connections get, event by event, when the peer closes; failures, time-outs, drain. */
#include "server/echo.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/test.h"
#include "server/fake_transport.h"

static const struct echo_config plain = {0};

static void what_arrives_is_sent_back_as_it_is(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_data(&fake, "hello");
    fake_data(&fake, "you");
    fake_expect(&fake, "send(5) send(3)");
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_echoes), 2);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_bytes_echoed), 8);
    fake_end(&fake);
}

static void a_fin_with_nothing_to_send_is_answered_at_once(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_data(&fake, "hello");
    fake_sent(&fake, 5);
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "send(5) close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_completed), 1);
    assert_int_equal(echo_open_count(&fake.echo), 0);
    fake_end(&fake);
}

static void a_half_closed_peer_gets_its_echo_before_our_fin(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_data(&fake, "abc");
    fake_data(&fake, "defg");
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_sent(&fake, 3);
    fake_expect(&fake, "send(3) send(4)");
    fake_sent(&fake, 4);
    fake_expect(&fake, "close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_completed), 1);
    fake_end(&fake);
}

static void a_peer_that_says_nothing_completes(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_completed), 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_peer_closed_first), 0);
    fake_end(&fake);
}

static void a_reset_is_a_failure_with_phase_and_errno(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_data(&fake, "abc");
    fake_failed(&fake, TRANSPORT_PHASE_RECV, ECONNRESET);
    fake_expect(&fake, "send(3) close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_failed), 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_peer_reset), 1);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_RECV][ECONNRESET], 1);
    fake_end(&fake);
}

static void a_refused_send_is_a_failure(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake.transport.send_error = -EPIPE;
    fake_data(&fake, "abc");
    fake_expect(&fake, "send(3) close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_SEND][EPIPE], 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_echoes), 0);
    fake_end(&fake);
}

static void an_error_of_close_is_a_failure_unless_there_was_one_before(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_closed(&fake, EIO);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_CLOSE][EIO], 1);
    fake_end(&fake);

    fake_begin(&fake, &plain);
    fake_failed(&fake, TRANSPORT_PHASE_RECV, ETIMEDOUT);
    fake_closed(&fake, EIO);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_RECV][ETIMEDOUT], 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_failed), 1);
    fake_end(&fake);
}

static void an_errno_beyond_the_table_counts_in_its_last_entry(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_failed(&fake, TRANSPORT_PHASE_RECV, 4000);
    fake_closed(&fake, 0);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_RECV][ECHO_ERRNO_COUNT - 1], 1);
    fake_end(&fake);
}

static void idle_time_counts_from_the_last_byte_and_ends_in_a_reset(void **state)
{
    (void)state;
    const struct echo_config config = {.idle_ns = 100};
    struct fake fake;
    fake_begin(&fake, &config);
    assert_int_equal(fake.transport.timer_ns, 100);
    fake.now_ns = 60;
    fake_data(&fake, "a");
    fake.now_ns = 70;
    fake_sent(&fake, 1);
    fake_expect(&fake, "timer send(1)");
    fake.now_ns = 100;
    fake_event(&fake, TRANSPORT_TIMER);
    assert_int_equal(fake.transport.timer_ns, 170);
    fake_expect(&fake, "timer");
    fake.now_ns = 170;
    fake_event(&fake, TRANSPORT_TIMER);
    fake_expect(&fake, "close(rst)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_idle_timeouts), 1);
    assert_int_equal(fake.echo.stats.errors[ECHO_PHASE_IDLE][ETIMEDOUT], 1);
    fake_end(&fake);
}

static void the_end_of_a_drain_resets_what_is_open_and_nothing_else(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    fake_data(&fake, "abc");
    echo_abort_all(&fake.echo);
    fake_expect(&fake, "send(3) close(rst)");
    echo_abort_all(&fake.echo);
    fake_expect(&fake, "");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_drain_aborted), 1);
    assert_int_equal(fake.echo.stats.errors[ECHO_PHASE_DRAIN][ECANCELED], 1);
    fake_end(&fake);
}

static void a_connection_without_a_record_is_reset_and_accounted_for(void **state)
{
    (void)state;
    struct fake fake;
    fake_begin(&fake, &plain);
    uint64_t first = fake.transport.user;
    for (int i = 0; i < 3; i++) { /* the rest of the four records */
        fake.transport.user = 0;
        fake_event(&fake, TRANSPORT_ACCEPTED);
    }
    fake_expect(&fake, "");
    fake.transport.user = 0;
    fake_event(&fake, TRANSPORT_ACCEPTED);
    fake_expect(&fake, "close(rst)");
    fake_closed(&fake, 0);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_ACCEPT][ENOMEM], 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_accepted), 5);
    assert_int_equal(echo_open_count(&fake.echo), 4);
    assert_int_not_equal(first, 0);
    fake_end(&fake);
}

static void stats_of_workers_add_up(void **state)
{
    (void)state;
    struct echo_stats sum;
    struct echo_stats one;
    echo_stats_init(&sum);
    assert_true(sum.first_accept_ns == CLOCK_NEVER);
    for (uint64_t i = 1; i <= 2; i++) {
        echo_stats_init(&one);
        one.counters[ECHO_COUNTER_failed] = i;
        one.errors[TRANSPORT_PHASE_RECV][EPIPE] = 10 * i;
        one.transitions[ECHO_OPEN][ECHO_LAST] = 100 * i;
        one.open_max = 5 * i;
        one.first_accept_ns = 50 * i;
        one.last_close_ns = 70 * i;
        echo_stats_merge(&sum, &one);
    }
    assert_int_equal(sum.counters[ECHO_COUNTER_failed], 3);
    assert_int_equal(sum.errors[TRANSPORT_PHASE_RECV][EPIPE], 30);
    assert_int_equal(sum.transitions[ECHO_OPEN][ECHO_LAST], 300);
    assert_int_equal(sum.open_max, 15);
    assert_int_equal(sum.first_accept_ns, 50);
    assert_int_equal(sum.last_close_ns, 140);
    assert_string_equal(echo_phase_name(ECHO_PHASE_DRAIN), "drain");
    assert_string_equal(echo_phase_name(TRANSPORT_PHASE_RECV), "recv");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrives_is_sent_back_as_it_is),
        cmocka_unit_test(a_fin_with_nothing_to_send_is_answered_at_once),
        cmocka_unit_test(a_half_closed_peer_gets_its_echo_before_our_fin),
        cmocka_unit_test(a_peer_that_says_nothing_completes),
        cmocka_unit_test(a_reset_is_a_failure_with_phase_and_errno),
        cmocka_unit_test(a_refused_send_is_a_failure),
        cmocka_unit_test(an_error_of_close_is_a_failure_unless_there_was_one_before),
        cmocka_unit_test(an_errno_beyond_the_table_counts_in_its_last_entry),
        cmocka_unit_test(idle_time_counts_from_the_last_byte_and_ends_in_a_reset),
        cmocka_unit_test(the_end_of_a_drain_resets_what_is_open_and_nothing_else),
        cmocka_unit_test(a_connection_without_a_record_is_reset_and_accounted_for),
        cmocka_unit_test(stats_of_workers_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
