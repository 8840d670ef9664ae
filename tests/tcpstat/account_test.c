/* The account of states: sums that close, and differences that have names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tcpstat/account.h"

/* What 100 connections over loopback, closed by the client, leave behind: both ends in one
 * namespace, three of them still open. */
static struct account_reading after_churn(void)
{
    struct account_reading reading = {0};
    uint64_t(*n)[TCP_STATE_COUNT] = reading.matrix.n;
    n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] = 100;
    n[TCP_STATE_SYN_SENT][TCP_STATE_ESTABLISHED] = 100;
    n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] = 100;
    n[TCP_STATE_SYN_RECEIVED][TCP_STATE_ESTABLISHED] = 100;
    n[TCP_STATE_ESTABLISHED][TCP_STATE_FIN_WAIT_1] = 97;
    n[TCP_STATE_FIN_WAIT_1][TCP_STATE_FIN_WAIT_2] = 97;
    n[TCP_STATE_FIN_WAIT_2][TCP_STATE_TIME_WAIT] = 97;
    n[TCP_STATE_ESTABLISHED][TCP_STATE_CLOSE_WAIT] = 97;
    n[TCP_STATE_CLOSE_WAIT][TCP_STATE_LAST_ACK] = 97;
    n[TCP_STATE_LAST_ACK][TCP_STATE_CLOSED] = 97;
    reading.counters[TRANSITIONS_COUNTER_time_wait_closes] = 97;
    reading.sockets.n[TCP_STATE_ESTABLISHED] = 6;
    reading.time_wait_records = 90;
    reading.time_wait_made = 97;
    reading.active_opens = 100;
    reading.passive_opens = 100;
    return reading;
}

static void assert_closed(const struct account *account)
{
    char text[ACCOUNT_TEXT_MAX];
    if (account_difference(account, 0, text)) {
        fail_msg("%s", text);
    }
    assert_true(account->closed);
}

static void test_an_account_of_a_finished_churn_is_closed(void **state)
{
    (void)state;
    const struct account_reading begin = {0};
    const struct account_reading end = after_churn();
    struct account account;
    state_account(&begin, &end, &account);
    assert_closed(&account);
    assert_int_equal(account.rows[TCP_STATE_ESTABLISHED].entered, 200);
    assert_int_equal(account.rows[TCP_STATE_ESTABLISHED].left, 194);
    assert_int_equal(account.rows[TCP_STATE_TIME_WAIT].entered, 97);
    assert_int_equal(account.rows[TCP_STATE_TIME_WAIT].left, 7);
}

static void test_an_account_begins_with_what_was_there(void **state)
{
    (void)state;
    struct account_reading begin = after_churn();
    struct account_reading end = after_churn();
    begin.sockets.n[TCP_STATE_LISTEN] = 4;
    end.sockets.n[TCP_STATE_LISTEN] = 3;
    end.matrix.n[TCP_STATE_LISTEN][TCP_STATE_CLOSED] = 1;
    end.time_wait_records = 20;
    struct account account;
    state_account(&begin, &end, &account);
    assert_closed(&account);
    assert_int_equal(account.rows[TCP_STATE_ESTABLISHED].before, 6);
    assert_int_equal(account.rows[TCP_STATE_ESTABLISHED].entered, 0);
    assert_int_equal(account.rows[TCP_STATE_TIME_WAIT].before, 90);
    assert_int_equal(account.rows[TCP_STATE_TIME_WAIT].left, 70);
}

static void test_a_socket_that_is_not_found_is_a_difference_of_its_state(void **state)
{
    (void)state;
    const struct account_reading begin = {0};
    struct account_reading end = after_churn();
    end.sockets.n[TCP_STATE_ESTABLISHED] = 4;
    struct account account;
    state_account(&begin, &end, &account);
    assert_false(account.closed);
    assert_int_equal(account.rows[TCP_STATE_ESTABLISHED].difference, 2);
    char text[ACCOUNT_TEXT_MAX];
    assert_true(account_difference(&account, 0, text));
    assert_non_null(strstr(text, "ESTABLISHED"));
    assert_non_null(strstr(text, "200 entered"));
    assert_non_null(strstr(text, "but 4 are there (-2)"));
    assert_false(account_difference(&account, 1, text));
    assert_string_equal(text, "");
}

static void test_closes_at_the_bucket_limit_are_accounted_by_their_counter(void **state)
{
    (void)state;
    const struct account_reading begin = {0};
    struct account_reading end = after_churn();
    end.time_wait_made = 90;
    end.time_wait_overflows = 7;
    struct account account;
    state_account(&begin, &end, &account);
    assert_closed(&account);
    assert_int_equal(account.rows[TCP_STATE_TIME_WAIT].entered, 90);
}

static void test_counters_that_disagree_are_named(void **state)
{
    (void)state;
    const struct account_reading begin = {0};
    struct account_reading end = after_churn();
    end.time_wait_made = 96;
    end.active_opens = 101;
    end.passive_opens = 99;
    struct account account;
    state_account(&begin, &end, &account);
    assert_false(account.closed);
    char text[ACCOUNT_TEXT_MAX];
    assert_true(account_difference(&account, 0, text));
    assert_non_null(strstr(text, "TW + TWKilled"));
    assert_true(account_difference(&account, 1, text));
    assert_non_null(strstr(text, "ActiveOpens rose by 101"));
    assert_true(account_difference(&account, 2, text));
    assert_non_null(strstr(text, "PassiveOpens rose by 99"));
    assert_false(account_difference(&account, 3, text));
}

static void test_connects_without_a_syn_are_not_active_opens(void **state)
{
    (void)state;
    const struct account_reading begin = {0};
    struct account_reading end = after_churn();
    end.matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_SENT] += 5;
    end.matrix.n[TCP_STATE_SYN_SENT][TCP_STATE_CLOSED] += 5;
    end.counters[TRANSITIONS_COUNTER_unsent] = 5;
    struct account account;
    state_account(&begin, &end, &account);
    assert_closed(&account);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_account_of_a_finished_churn_is_closed),
        cmocka_unit_test(test_an_account_begins_with_what_was_there),
        cmocka_unit_test(test_a_socket_that_is_not_found_is_a_difference_of_its_state),
        cmocka_unit_test(test_closes_at_the_bucket_limit_are_accounted_by_their_counter),
        cmocka_unit_test(test_counters_that_disagree_are_named),
        cmocka_unit_test(test_connects_without_a_syn_are_not_active_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
