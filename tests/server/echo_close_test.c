/* Echo: closing of our own accord, in each way of the close table, and responses from a file. */
#include <errno.h>
#include <string.h>

#include "base/test.h"
#include "server/echo.h"
#include "server/fake_transport.h"

static struct echo_config bytes_config(uint64_t bytes, enum echo_close how)
{
    return (struct echo_config){.limit = {ECHO_LIMIT_BYTES, bytes}, .how = how};
}

static struct echo_config respond_config(uint64_t requests, enum echo_close how)
{
    static const char page[] = "0123456789";
    struct echo_config config = {.how = how,
                                 .respond = {.data = (uint8_t *)(uintptr_t)page, .size = 10}};
    config.limit =
        (struct echo_limit){requests > 0 ? ECHO_LIMIT_ECHOES : ECHO_LIMIT_NONE, requests};
    return config;
}

/* What each way does from the accept to the close, for an echo of four bytes with a limit of four.
 */
static const struct close_case {
    enum echo_close how;
    bool pulls;
    enum transport_close_how prepared;
    const char *until_sent;
    const char *after_sent; /* up to the peer's FIN, where it is waited for */
    const char *after_fin;  /* NULL: not waited for */
} close_cases[] = {
    {ECHO_CLOSE_FIN, false, TRANSPORT_CLOSE_PLAIN, "send(4)", "shutdown", "close(plain)"},
    {ECHO_CLOSE_HALF, false, TRANSPORT_CLOSE_PLAIN, "send(4)", "shutdown", "close(plain)"},
    {ECHO_CLOSE_CLOSE, true, TRANSPORT_CLOSE_PLAIN, "recv send(4)", "close(plain)", NULL},
    {ECHO_CLOSE_RST, true, TRANSPORT_CLOSE_RST, "recv send(4)", "close(rst)", NULL},
    {ECHO_CLOSE_FIN_NO_TIMEWAIT, true, TRANSPORT_CLOSE_NO_TIMEWAIT, "recv send(4)",
     "close(no-timewait)", NULL},
};

static void each_way_closes_once_the_last_byte_was_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < TABLE_COUNT(close_cases); i++) {
        const struct close_case *row = &close_cases[i];
        struct echo_config config = bytes_config(4, row->how);
        struct fake fake;
        assert_int_equal(echo_pulls(&config), row->pulls);
        assert_int_equal(echo_close_how(&config), row->prepared);
        fake_begin(&fake, &config);
        fake_data(&fake, "abcd");
        fake_expect(&fake, row->until_sent);
        fake_sent(&fake, 4);
        fake_expect(&fake, row->after_sent);
        if (row->after_fin != NULL) {
            fake_event(&fake, TRANSPORT_PEER_FIN);
            fake_expect(&fake, row->after_fin);
        }
        fake_closed(&fake, 0);
        assert_int_equal(fake_counter(&fake, ECHO_COUNTER_completed), 1);
        assert_int_equal(fake_counter(&fake, ECHO_COUNTER_closed_by_server), 1);
        assert_int_equal(fake_counter(&fake, ECHO_COUNTER_peer_closed_first), 0);
        fake_end(&fake);
    }
}

static void a_limit_in_bytes_is_exact_however_the_stream_was_cut(void **state)
{
    (void)state;
    struct echo_config config = bytes_config(6, ECHO_CLOSE_HALF);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "a");
    fake_data(&fake, "bcd");
    fake_data(&fake, "efghi"); /* two fit */
    fake_data(&fake, "jk");
    fake_expect(&fake, "send(1) send(3) send(2) release");
    fake_sent(&fake, 1);
    fake_sent(&fake, 3);
    fake_expect(&fake, "");
    fake_sent(&fake, 2);
    fake_expect(&fake, "shutdown");
    fake_data(&fake, "lmn"); /* half: the peer goes on */
    fake_expect(&fake, "release");
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_bytes_echoed), 6);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_surplus_bytes), 3 + 2 + 3);
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_closed(&fake, 0);
    fake_end(&fake);
}

static void a_limit_in_echoes_counts_buffers(void **state)
{
    (void)state;
    struct echo_config config = {.limit = {ECHO_LIMIT_ECHOES, 2}, .how = ECHO_CLOSE_CLOSE};
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "aaaa");
    fake_sent(&fake, 4);
    fake_data(&fake, "b");
    fake_sent(&fake, 1);
    fake_expect(&fake, "recv send(4) recv send(1) close(plain)");
    fake_closed(&fake, 0);
    fake_end(&fake);
}

static void a_pulled_connection_is_asked_again_only_when_all_is_sent(void **state)
{
    (void)state;
    struct echo_config config = bytes_config(100, ECHO_CLOSE_RST);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "abcd");
    fake_sent(&fake, 1);
    fake_expect(&fake, "recv send(4)");
    fake_sent(&fake, 3);
    fake_expect(&fake, "recv");
    fake_end(&fake);
}

static void a_peer_that_closes_first_is_answered_by_default_and_counted(void **state)
{
    (void)state;
    struct echo_config config = bytes_config(100, ECHO_CLOSE_RST);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "abcd");
    fake_sent(&fake, 4);
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "recv send(4) recv close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_peer_closed_first), 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_closed_by_server), 0);
    fake_end(&fake);
}

static void fins_that_are_both_due_need_no_wait(void **state)
{
    (void)state;
    struct echo_config config = bytes_config(4, ECHO_CLOSE_FIN);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "abcd");
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "send(4)");
    fake_sent(&fake, 4);
    fake_expect(&fake, "close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_peer_closed_first), 1);
    fake_end(&fake);
}

static void a_reset_while_we_wait_for_the_fin_is_a_failure(void **state)
{
    (void)state;
    struct echo_config config = bytes_config(4, ECHO_CLOSE_FIN);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "abcd");
    fake_sent(&fake, 4);
    fake_failed(&fake, TRANSPORT_PHASE_RECV, ECONNRESET);
    fake_expect(&fake, "send(4) shutdown close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_failed), 1);
    fake_end(&fake);
}

static void each_request_gets_one_response_one_after_another(void **state)
{
    (void)state;
    struct echo_config config = respond_config(0, ECHO_CLOSE_FIN);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "GET /\r\n");
    fake_expect(&fake, "recv release recv");
    fake_data(&fake, "\r\nGET /\n\nGET /\n\nGE");
    fake_expect(&fake, "release respond(10)");
    fake_sent(&fake, 10);
    fake_sent(&fake, 10);
    fake_expect(&fake, "respond(10) respond(10)");
    fake_sent(&fake, 10);
    fake_expect(&fake, "recv");
    fake_data(&fake, "T\n\n");
    fake_sent(&fake, 10);
    fake_expect(&fake, "release respond(10) recv");
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_requests), 4);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_responses), 4);
    fake_end(&fake);
}

static void requests_beyond_the_limit_get_no_response(void **state)
{
    (void)state;
    struct echo_config config = respond_config(2, ECHO_CLOSE_FIN);
    struct fake fake;
    fake_begin(&fake, &config);
    fake_data(&fake, "a\n\nb\n\nc\n\n");
    fake_sent(&fake, 10);
    fake_expect(&fake, "recv release respond(10) respond(10)");
    fake_sent(&fake, 10);
    fake_expect(&fake, "shutdown recv");
    fake_data(&fake, "d\n\n");
    fake_expect(&fake, "release recv");
    fake_event(&fake, TRANSPORT_PEER_FIN);
    fake_expect(&fake, "close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_surplus_requests), 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_surplus_bytes), 3);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_responses), 2);
    fake_end(&fake);
}

static void a_response_that_cannot_be_sent_is_a_failure(void **state)
{
    (void)state;
    struct echo_config config = respond_config(1, ECHO_CLOSE_CLOSE);
    struct fake fake;
    fake_begin(&fake, &config);
    fake.transport.send_error = -EPIPE;
    fake_data(&fake, "a\n\n");
    fake_expect(&fake, "recv release respond(10) close(plain)");
    fake_closed(&fake, 0);
    assert_int_equal(fake.echo.stats.errors[TRANSPORT_PHASE_SEND][EPIPE], 1);
    assert_int_equal(fake_counter(&fake, ECHO_COUNTER_responses), 0);
    fake_end(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_closes_once_the_last_byte_was_sent),
        cmocka_unit_test(a_limit_in_bytes_is_exact_however_the_stream_was_cut),
        cmocka_unit_test(a_limit_in_echoes_counts_buffers),
        cmocka_unit_test(a_pulled_connection_is_asked_again_only_when_all_is_sent),
        cmocka_unit_test(a_peer_that_closes_first_is_answered_by_default_and_counted),
        cmocka_unit_test(fins_that_are_both_due_need_no_wait),
        cmocka_unit_test(a_reset_while_we_wait_for_the_fin_is_a_failure),
        cmocka_unit_test(each_request_gets_one_response_one_after_another),
        cmocka_unit_test(requests_beyond_the_limit_get_no_response),
        cmocka_unit_test(a_response_that_cannot_be_sent_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
