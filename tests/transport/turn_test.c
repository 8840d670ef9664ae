/* Several calls in one turn of the loop, and what a call has put off to the turn's end when the
 * connection, or the transport, goes before that. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/rig.h"

/* Connections that will be shut down: io_uring makes those calls itself, at the turn's end. */
static const struct transport_conn_options shuts_down = {.shuts_down = true};

static const enum transport_close_how all_hows[] = {
    TRANSPORT_CLOSE_PLAIN,
    TRANSPORT_CLOSE_RST,
    TRANSPORT_CLOSE_NO_TIMEWAIT,
};

#define HOW_COUNT (sizeof(all_hows) / sizeof(all_hows[0]))

/* After a FIN and a close that may be a reset: which of them the peer reads is a matter of time. */
static void expect_end(struct rig *rig, int fd, enum transport_close_how how)
{
    char byte;
    ssize_t got = peer_recv(rig, fd, &byte, 1);
    assert_true(got == 0 || (got == -ECONNRESET && how != TRANSPORT_CLOSE_PLAIN));
}

/* The next connection is opened in the same turn and may get the descriptor of the one that goes:
 * a shutdown that came too late would shut it down instead. */
static void test_a_close_behind_a_shutdown_harms_nobody_else(void **state)
{
    struct rig *rig = *state;
    for (size_t i = 0; i < HOW_COUNT; i++) {
        struct rig_conn *conn;
        struct endpoint address = rig_peer_end(rig, 0);
        int fd = rig_open_connected(rig, &shuts_down, &conn);
        int listener = peer_listen(&address);
        assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
        assert_int_equal(transport_close(rig->transport, conn->handle, all_hows[i]), 0);
        struct rig_conn *next = rig_connect(rig, NULL, &address, &shuts_down);
        RIG_UNTIL(rig,
                  conn->counts[TRANSPORT_CLOSED] == 1 && next->counts[TRANSPORT_CONNECTED] == 1);
        assert_int_equal(conn->counts[TRANSPORT_FAILED], 0);
        assert_int_equal(conn->closed_error, 0);
        expect_end(rig, fd, all_hows[i]);
        int next_fd = peer_accept(listener);
        assert_int_equal(transport_send(rig->transport, next->handle, "alive", 5), 0);
        RIG_UNTIL(rig, next->counts[TRANSPORT_SENT] == 1);
        peer_expect(rig, next_fd, "alive", 5);
        close(next_fd);
        close(listener);
        close(fd);
        rig_close(rig);
    }
}

/* As the server does that closes after so many bytes: all in the handler of one event. */
static void test_an_accepted_connection_may_be_shut_and_closed_in_one_handler(void **state)
{
    struct rig *rig = *state;
    struct transport_listen_options options = {.backlog = 8, .conn = shuts_down};
    rig->accept_as.shut_on_fin = true;
    rig->accept_as.close_on[TRANSPORT_PEER_FIN] = true;
    rig_open(rig, 4);
    struct endpoint address = rig_listen(rig, &options);
    for (unsigned i = 0; i < 20; i++) {
        int fd = peer_connect(rig, &address);
        peer_send(rig, fd, "ping", 4);
        RIG_UNTIL(rig, rig->conn_count == 1 && rig->conns[0].sent_bytes == 4);
        peer_expect(rig, fd, "ping", 4);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        RIG_UNTIL(rig, transport_conn_count(rig->transport) == 0);
        assert_int_equal(rig->conns[0].counts[TRANSPORT_FAILED], 0);
        expect_end(rig, fd, TRANSPORT_CLOSE_PLAIN);
        close(fd);
        rig_forget_closed(rig);
    }
}

static void test_destroy_with_a_shutdown_put_off_ends_the_connection(void **state)
{
    struct rig *rig = *state;
    uint32_t before = descriptor_count();
    struct rig_conn *conn;
    int fd = rig_open_connected(rig, &shuts_down, &conn);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    rig_close(rig);
    expect_end(rig, fd, TRANSPORT_CLOSE_RST);
    close(fd);
    assert_int_equal(descriptor_count(), before);
}

/* The descriptor is closed once, by whom transport_close gave it to: another thread may have its
 * number by the second time. */
static void test_destroy_leaves_to_its_end_what_was_closed(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    char byte;
    uint32_t before = descriptor_count();
    int fd = rig_open_connected(rig, NULL, &conn);
    assert_int_equal(transport_close(rig->transport, conn->handle, TRANSPORT_CLOSE_PLAIN), 0);
    rig_close(rig);
    assert_int_equal(peer_recv(rig, fd, &byte, 1), 0);
    close(fd);
    assert_int_equal(descriptor_count(), before);
}

static void test_data_before_a_shutdown_go_out_before_the_fin_and_those_behind_are_refused(
    void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    char byte;
    rig->mode = RIG_HOLD;
    int fd = rig_open_connected(rig, &shuts_down, &conn);
    for (uint32_t i = 1; i <= 2; i++) {
        peer_send(rig, fd, "x", 1);
        RIG_UNTIL(rig, rig->held_count == i);
    }
    assert_int_equal(transport_send(rig->transport, conn->handle, "first ", 6), 0);
    rig_give_back(rig, true);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    assert_int_equal(transport_send(rig->transport, conn->handle, "late", 4), -EPIPE);
    assert_int_equal(transport_send_buffer(rig->transport, conn->handle, &rig->held[0]), -EPIPE);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_SENT] == 2);
    rig_poll_for(rig, 5); /* the FIN may have to wait for a turn's end */
    peer_expect(rig, fd, "first x", 7);
    assert_int_equal(peer_recv(rig, fd, &byte, 1), 0);
    assert_int_equal(conn->counts[TRANSPORT_FAILED], 0);
    close(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
}

#define CHAIN 4 /* connections: each but the first is begun in the handler of the one before */
#define CHAIN_TRIES 5

/* Runs a chain of connections that fail in set-up; returns how long it took. */
static uint64_t run_chain(struct rig *rig, const struct flow *flow)
{
    const struct transport_conn_options options = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct rig_conn *first;
    rig->connect_on_failed = flow;
    rig->connects_left = CHAIN - 1;
    assert_int_equal(rig_try_connect(rig, flow, &options, &first), 0);
    uint64_t begin_ns = clock_now_ns();
    while (rig->conn_count < CHAIN || rig->conns[CHAIN - 1].counts[TRANSPORT_FAILED] == 0) {
        rig_poll_until(rig, clock_now_ns() + 90 * NS_PER_MS);
    }
    uint64_t took_ns = clock_now_ns() - begin_ns;
    for (uint32_t i = 0; i < CHAIN; i++) {
        rig_finish(rig, &rig->conns[i], TRANSPORT_CLOSE_PLAIN);
    }
    rig_forget_closed(rig);
    return took_ns;
}

/* Nothing else is under way that would end a wait, and a chain of waits takes three times 90 ms.
 * The quickest of some tells, whatever else the machine does. */
static void test_what_a_handler_begins_does_not_wait_for_the_end_of_a_wait(void **state)
{
    struct rig *rig = *state;
    struct flow bad = {.source = {.ip = {.family = AF_INET, .bytes = {192, 0, 2, 1}}, .port = 9},
                       .target = rig_peer_end(rig, 7)};
    uint64_t quickest_ns = CLOCK_NEVER;
    rig_open(rig, 0);
    for (unsigned i = 0; i < CHAIN_TRIES; i++) {
        uint64_t took_ns = run_chain(rig, &bad);
        quickest_ns = took_ns < quickest_ns ? took_ns : quickest_ns;
    }
    assert_true(quickest_ns < 90 * NS_PER_MS);
}

/* Has a shutdown fail and polls once; returns how long the poll took. Nothing of the reset is under
 * way that would end a wait by itself: the connection's read credit is used up, so nobody receives.
 */
static uint64_t poll_with_a_failed_shutdown(struct rig *rig, uint64_t until_ns)
{
    const struct transport_config config = {.conns_max = 4, .buffer_bytes = 4, .read_credit = 1};
    struct endpoint address = rig_peer_end(rig, 0);
    rig->mode = RIG_HOLD;
    rig_open_config(rig, config);
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, NULL, &address, &shuts_down);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    int fd = peer_accept(listener);
    peer_send(rig, fd, "onceonce", 8);
    RIG_UNTIL(rig, rig->held_count == 1);
    rig_poll_for(rig, 5);
    peer_reset(fd);
    rig_poll_for(rig, 5);
    assert_int_equal(conn->counts[TRANSPORT_FAILED], 0);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    uint64_t begin_ns = clock_now_ns();
    rig_poll_until(rig, begin_ns + until_ns);
    uint64_t took_ns = clock_now_ns() - begin_ns;
    assert_int_equal(conn->counts[TRANSPORT_FAILED], 1);
    close(listener);
    rig_close(rig);
    return took_ns;
}

/* The caller may have to act on it. As above, the quickest of some tells. */
static void test_a_poll_that_told_of_a_failed_shutdown_does_not_wait(void **state)
{
    struct rig *rig = *state;
    uint64_t quickest_ns = CLOCK_NEVER;
    rig_needs_kernel(rig); /* the stack hears of the reset by itself */
    for (unsigned i = 0; i < CHAIN_TRIES; i++) {
        uint64_t took_ns = poll_with_a_failed_shutdown(rig, 90 * NS_PER_MS);
        quickest_ns = took_ns < quickest_ns ? took_ns : quickest_ns;
    }
    assert_true(quickest_ns < 90 * NS_PER_MS);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_close_behind_a_shutdown_harms_nobody_else),
        cmocka_unit_test(test_an_accepted_connection_may_be_shut_and_closed_in_one_handler),
        cmocka_unit_test(test_destroy_with_a_shutdown_put_off_ends_the_connection),
        cmocka_unit_test(test_destroy_leaves_to_its_end_what_was_closed),
        cmocka_unit_test(
            test_data_before_a_shutdown_go_out_before_the_fin_and_those_behind_are_refused),
        cmocka_unit_test(test_what_a_handler_begins_does_not_wait_for_the_end_of_a_wait),
        cmocka_unit_test(test_a_poll_that_told_of_a_failed_shutdown_does_not_wait),
    };
    return rig_run("turn", tests, sizeof(tests) / sizeof(tests[0]));
}
