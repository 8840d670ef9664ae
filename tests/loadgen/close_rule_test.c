/* The close table, line by line: DESIGN.md, "Closing". */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen/close_rule.h"

struct line {
    enum closer closer;
    enum close_how how;
    enum close_opening opening;
    enum transport_close_how call;
    bool peer_resets;
    bool sends_after_fin;
    int time_wait_client;
    int time_wait_server;
};

#define PLAIN TRANSPORT_CLOSE_PLAIN
#define NO_TW TRANSPORT_CLOSE_NO_TIMEWAIT

static const struct line lines[] = {
    {CLOSER_CLIENT, CLOSE_FIN, CLOSE_OPENS_WITH_SHUTDOWN, PLAIN, false, false, 1, 0},
    {CLOSER_CLIENT, CLOSE_CLOSE, CLOSE_OPENS_WITH_CLOSE, PLAIN, false, false, 1, 0},
    {CLOSER_CLIENT, CLOSE_HALF, CLOSE_OPENS_EARLIER, PLAIN, false, false, 1, 0},
    {CLOSER_CLIENT, CLOSE_RST, CLOSE_OPENS_WITH_CLOSE, TRANSPORT_CLOSE_RST, false, false, 0, 0},
    {CLOSER_CLIENT, CLOSE_FIN_NO_TIMEWAIT, CLOSE_OPENS_WITH_CLOSE, NO_TW, false, false, 0, 0},
    {CLOSER_SERVER, CLOSE_FIN, CLOSE_OPENS_BY_PEER, PLAIN, false, false, 0, 1},
    {CLOSER_SERVER, CLOSE_CLOSE, CLOSE_OPENS_BY_PEER, PLAIN, false, false, 0, 1},
    {CLOSER_SERVER, CLOSE_HALF, CLOSE_OPENS_BY_PEER, PLAIN, false, true, 0, 1},
    {CLOSER_SERVER, CLOSE_RST, CLOSE_OPENS_BY_PEER, PLAIN, true, false, 0, 0},
    {CLOSER_SERVER, CLOSE_FIN_NO_TIMEWAIT, CLOSE_OPENS_BY_PEER, PLAIN, false, false, 0, 0},
    {CLOSER_BOTH, CLOSE_FIN, CLOSE_OPENS_WITH_SHUTDOWN, PLAIN, false, false, -1, -1},
    {CLOSER_BOTH, CLOSE_CLOSE, CLOSE_OPENS_WITH_CLOSE, PLAIN, false, false, -1, -1},
    {CLOSER_BOTH, CLOSE_HALF, CLOSE_OPENS_EARLIER, PLAIN, false, false, -1, -1},
    {CLOSER_BOTH, CLOSE_RST, CLOSE_OPENS_WITH_CLOSE, TRANSPORT_CLOSE_RST, false, false, 0, 0},
    {CLOSER_BOTH, CLOSE_FIN_NO_TIMEWAIT, CLOSE_OPENS_WITH_CLOSE, NO_TW, false, false, 0, 0},
};

static void each_closer_and_close_acts_by_its_line(void **state)
{
    (void)state;
    assert_int_equal(sizeof(lines) / sizeof(lines[0]), 3 * CLOSE_HOW_COUNT);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct line *line = &lines[i];
        struct close_rule rule = close_rule_of(line->closer, line->how);
        assert_int_equal(rule.opening, line->opening);
        assert_int_equal(rule.how, line->call);
        assert_int_equal(rule.peer_resets, line->peer_resets);
        assert_int_equal(rule.sends_after_fin, line->sends_after_fin);
    }
}

static void time_wait_is_where_the_table_puts_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        const struct line *line = &lines[i];
        assert_int_equal(close_time_wait_client(line->closer, line->how), line->time_wait_client);
        assert_int_equal(close_time_wait_server(line->closer, line->how), line->time_wait_server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_closer_and_close_acts_by_its_line),
        cmocka_unit_test(time_wait_is_where_the_table_puts_it),
    };
    return cmocka_run_group_tests_name("loadgen/close_rule", tests, NULL, NULL);
}
