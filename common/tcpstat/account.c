/* The account of states: sums, and words for what does not add up. */
#include "tcpstat/account.h"

#include <inttypes.h>
#include <stdio.h>

/* Full sockets: what the tracepoint saw enter and leave, and what the two censuses found. */
static void account_sockets(const struct account_reading *begin, const struct account_reading *end,
                            enum tcp_state state, struct account_row *row)
{
    row->before = begin->sockets.n[state];
    row->entered = tcp_transitions_entered(&end->matrix, state) -
                   tcp_transitions_entered(&begin->matrix, state);
    row->left =
        tcp_transitions_left(&end->matrix, state) - tcp_transitions_left(&begin->matrix, state);
    row->present = end->sockets.n[state];
}

/* Records, by the kernel's counters. What ended is what was made and is not there any more; that
 * more ended than the counters can explain would show as a negative count. */
static void account_time_wait(const struct account_reading *begin,
                              const struct account_reading *end, struct account_row *row)
{
    row->before = begin->time_wait_records;
    row->entered = end->time_wait_made - begin->time_wait_made;
    row->present = end->time_wait_records;
    const uint64_t sum = row->before + row->entered;
    row->left = sum > row->present ? sum - row->present : 0;
}

static uint64_t counter_rise(const struct account_reading *begin, const struct account_reading *end,
                             enum transitions_counter counter)
{
    return end->counters[counter] - begin->counters[counter];
}

static void check_counters(const struct account_reading *begin, const struct account_reading *end,
                           struct account *account)
{
    const uint64_t overflows = end->time_wait_overflows - begin->time_wait_overflows;
    account->checks[ACCOUNT_TIME_WAIT_MADE] = (struct account_check_result){
        .seen = counter_rise(begin, end, TRANSITIONS_COUNTER_time_wait_closes) +
                counter_rise(begin, end, TRANSITIONS_COUNTER_fin_wait_2_records),
        .counted = account->rows[TCP_STATE_TIME_WAIT].entered + overflows,
    };
    /* A connect() that found no port or no route leaves SYN_SENT without a SYN, for CLOSED; so does
     * one that was refused. Only the former are not in ActiveOpens, so the two bracket it. */
    account->checks[ACCOUNT_ACTIVE_OPENS] = (struct account_check_result){
        .seen = account->rows[TCP_STATE_SYN_SENT].entered -
                counter_rise(begin, end, TRANSITIONS_COUNTER_unsent),
        .counted = end->active_opens - begin->active_opens,
    };
    account->checks[ACCOUNT_PASSIVE_OPENS] = (struct account_check_result){
        .seen = end->matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED] -
                begin->matrix.n[TCP_STATE_NONE][TCP_STATE_SYN_RECEIVED],
        .counted = end->passive_opens - begin->passive_opens,
    };
}

static bool is_closed(const struct account *account)
{
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        if (account->rows[state].difference != 0) {
            return false;
        }
    }
    for (int check = 0; check < ACCOUNT_CHECK_COUNT; check++) {
        if (account->checks[check].seen != account->checks[check].counted) {
            return false;
        }
    }
    return true;
}

void state_account(const struct account_reading *begin, const struct account_reading *end,
                   struct account *account)
{
    *account = (struct account){0};
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        struct account_row *row = &account->rows[state];
        if (state == TCP_STATE_CLOSED) {
            continue;
        }
        if (state == TCP_STATE_TIME_WAIT) {
            account_time_wait(begin, end, row);
        } else {
            account_sockets(begin, end, (enum tcp_state)state, row);
        }
        row->difference = (int64_t)(row->before + row->entered - row->left - row->present);
    }
    check_counters(begin, end, account);
    account->closed = is_closed(account);
}

static void write_row(const struct account *account, enum tcp_state state,
                      char text[ACCOUNT_TEXT_MAX])
{
    const struct account_row *row = &account->rows[state];
    snprintf(text, ACCOUNT_TEXT_MAX,
             "%s: %" PRIu64 " at the start + %" PRIu64 " entered - %" PRIu64 " left = %" PRId64
             ", but %" PRIu64 " are there (%+" PRId64
             "): sockets moved while they were counted, or transitions were missed",
             tcp_state_name(state), row->before, row->entered, row->left,
             (int64_t)(row->before + row->entered - row->left), row->present, -row->difference);
}

static void write_check(const struct account *account, enum account_check check,
                        char text[ACCOUNT_TEXT_MAX])
{
    static const char *const words[ACCOUNT_CHECK_COUNT] = {
        [ACCOUNT_TIME_WAIT_MADE] = "closes into TIME_WAIT seen, but TW + TWKilled + "
                                   "TCPTimeWaitOverflow rose by",
        [ACCOUNT_ACTIVE_OPENS] = "SYN_SENT entered with a SYN, but ActiveOpens rose by",
        [ACCOUNT_PASSIVE_OPENS] = "SYN_RECEIVED entered by a new socket, but PassiveOpens rose by",
    };
    const struct account_check_result *result = &account->checks[check];
    snprintf(text, ACCOUNT_TEXT_MAX, "%" PRIu64 " %s %" PRIu64, result->seen, words[check],
             result->counted);
}

bool account_difference(const struct account *account, uint32_t index, char text[ACCOUNT_TEXT_MAX])
{
    uint32_t found = 0;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        if (account->rows[state].difference != 0 && found++ == index) {
            write_row(account, (enum tcp_state)state, text);
            return true;
        }
    }
    for (int check = 0; check < ACCOUNT_CHECK_COUNT; check++) {
        const struct account_check_result *result = &account->checks[check];
        if (result->seen != result->counted && found++ == index) {
            write_check(account, (enum account_check)check, text);
            return true;
        }
    }
    text[0] = '\0';
    return false;
}
