/* Data through the transport: echo, order, half-close, credit, receiving on demand. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/rng.h"
#include "transport/rig.h"

#define MIB ((size_t)1 << 20)

static uint8_t *random_bytes(size_t count)
{
    struct rng rng;
    rng_seed(&rng, 7);
    uint8_t *bytes = malloc(count);
    assert_non_null(bytes);
    rng_fill(&rng, bytes, count);
    return bytes;
}

/* Moves what the kernel takes and gives between a peer and the transport until `want` bytes came
 * back. The peer never blocks. */
struct exchange {
    int fd;
    const uint8_t *out;
    size_t out_bytes;
    size_t out_done;
    uint8_t *in;
    size_t in_done;
};

static void exchange_send(struct exchange *exchange)
{
    while (exchange->out_done < exchange->out_bytes) {
        ssize_t n = send(exchange->fd, exchange->out + exchange->out_done,
                         exchange->out_bytes - exchange->out_done, MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            return;
        }
        exchange->out_done += (size_t)n;
    }
}

static void exchange_receive(struct exchange *exchange, size_t want)
{
    while (exchange->in_done < want) {
        ssize_t n =
            recv(exchange->fd, exchange->in + exchange->in_done, want - exchange->in_done, 0);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            return;
        }
        assert_true(n > 0);
        exchange->in_done += (size_t)n;
    }
}

static bool exchange_step(struct exchange *exchange, size_t want)
{
    exchange_send(exchange);
    exchange_receive(exchange, want);
    return exchange->in_done == want;
}

static void test_client_and_server_in_one_transport_echo(void **state)
{
    struct rig *rig = *state;
    rig_needs_loopback(rig);
    static const char text[] = "over and back";
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, NULL);
    struct rig_conn *client = rig_connect(rig, NULL, &address, NULL);
    RIG_UNTIL(rig, client->counts[TRANSPORT_CONNECTED] == 1 && rig_accepted(rig) != NULL);
    assert_int_equal(transport_send(rig->transport, client->handle, text, sizeof(text)), 0);
    RIG_UNTIL(rig, client->sent_bytes >= 10 * sizeof(text));
    assert_true(client->received_bytes >= 9 * sizeof(text));
}

static void test_a_mebibyte_comes_back_as_it_was(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    struct exchange exchange = {.out = random_bytes(MIB), .out_bytes = MIB, .in = malloc(MIB)};
    exchange.fd = rig_open_accepted(rig, &conn);
    peer_nonblocking(exchange.fd);
    RIG_UNTIL(rig, exchange_step(&exchange, MIB));
    assert_memory_equal(exchange.in, exchange.out, MIB);
    RIG_UNTIL(rig, conn->sent_bytes == MIB);
    assert_int_equal(conn->received_bytes, MIB);
    close(exchange.fd);
    free((void *)(uintptr_t)exchange.out);
    free(exchange.in);
}

static void test_single_bytes_come_back_one_by_one(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    for (unsigned i = 0; i < 300; i++) {
        uint8_t byte = (uint8_t)i;
        peer_send(rig, fd, &byte, 1);
        RIG_UNTIL(rig, conn->sent_bytes == i + 1);
        peer_expect(rig, fd, &byte, 1);
    }
    close(fd);
}

static void test_a_large_send_ends_in_one_sent(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    uint8_t *bytes = random_bytes(8 * MIB);
    struct exchange exchange = {.in = malloc(8 * MIB)};
    exchange.fd = rig_open_connected(rig, NULL, &conn);
    peer_nonblocking(exchange.fd);
    assert_int_equal(transport_send(rig->transport, conn->handle, bytes, 8 * MIB), 0);
    assert_int_equal(transport_send(rig->transport, conn->handle, bytes, 1), -EBUSY);
    rig_poll_for(rig, 20);
    assert_int_equal(conn->counts[TRANSPORT_SENT], 0);
    RIG_UNTIL(rig, exchange_step(&exchange, 8 * MIB));
    RIG_UNTIL(rig, conn->counts[TRANSPORT_SENT] == 1);
    assert_int_equal(conn->sent_bytes, 8 * MIB);
    assert_memory_equal(exchange.in, bytes, 8 * MIB);
    assert_int_equal(transport_send(rig->transport, conn->handle, bytes, 1), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_SENT] == 2);
    close(exchange.fd);
    free(exchange.in);
    free(bytes);
}

static void test_sends_keep_their_order(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    rig->mode = RIG_HOLD;
    uint8_t *memory = random_bytes(4 * MIB);
    struct exchange exchange = {.in = malloc(5 * MIB)};
    exchange.fd = rig_open_accepted(rig, &conn);
    peer_send(rig, exchange.fd, "one", 3);
    RIG_UNTIL(rig, rig->held_count == 1);
    peer_send(rig, exchange.fd, "three", 5);
    RIG_UNTIL(rig, rig->held_count == 2);
    peer_send(rig, exchange.fd, "four", 4);
    RIG_UNTIL(rig, rig->held_count == 3);
    rig_give_back(rig, true);
    assert_int_equal(transport_send(rig->transport, conn->handle, memory, 4 * MIB), 0);
    rig_give_back(rig, true);
    rig_give_back(rig, true);
    peer_nonblocking(exchange.fd);
    RIG_UNTIL(rig, exchange_step(&exchange, 4 * MIB + 12));
    RIG_UNTIL(rig, conn->counts[TRANSPORT_SENT] == 4);
    assert_memory_equal(exchange.in, "one", 3);
    assert_memory_equal(exchange.in + 3, memory, 4 * MIB);
    assert_memory_equal(exchange.in + 3 + 4 * MIB, "threefour", 9);
    close(exchange.fd);
    free(exchange.in);
    free(memory);
}

static void test_a_lent_buffer_may_be_sent_in_part(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    rig->mode = RIG_HOLD;
    int fd = rig_open_accepted(rig, &conn);
    peer_send(rig, fd, "partly", 6);
    RIG_UNTIL(rig, rig->held_count == 1);
    rig->held[0].size = 4;
    rig_give_back(rig, true);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_SENT] == 1);
    assert_int_equal(conn->sent_bytes, 4);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    peer_expect(rig, fd, "part", 4);
    assert_int_equal(peer_recv(rig, fd, &(char){0}, 1), 0);
    close(fd);
}

static void test_send_is_refused_before_connected_and_after_shutdown(void **state)
{
    struct rig *rig = *state;
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    rig->mode = RIG_HOLD;
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, NULL, &address, NULL);
    assert_int_equal(transport_send(rig->transport, conn->handle, "x", 1), -ENOTCONN);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    int fd = peer_accept(listener);
    peer_send(rig, fd, "y", 1);
    RIG_UNTIL(rig, rig->held_count == 1);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    assert_int_equal(transport_send(rig->transport, conn->handle, "x", 1), -EPIPE);
    assert_int_equal(transport_send_buffer(rig->transport, conn->handle, &rig->held[0]), -EPIPE);
    close(fd);
    close(listener);
}

static void test_everything_arrives_before_the_peers_fin(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    uint8_t *bytes = random_bytes(100000);
    rig->mode = RIG_COLLECT;
    int fd = rig_open_accepted(rig, &conn);
    peer_send(rig, fd, bytes, 100000);
    close(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    assert_int_equal(rig->collected_bytes, 100000);
    assert_memory_equal(rig->collected, bytes, 100000);
    free(bytes);
}

/* A receive stops short at urgent data, and what is behind it must not be taken for missing. */
static void test_urgent_data_hides_nothing(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    rig->mode = RIG_COLLECT;
    int fd = rig_open_accepted(rig, &conn);
    peer_send(rig, fd, "before", 6);
    assert_int_equal(send(fd, "!", 1, MSG_OOB), 1);
    peer_send(rig, fd, "behind", 6);
    close(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    /* The stack delivers urgent bytes in line (RFC 6093); the kernel keeps one byte aside. */
    bool in_line = rig->variant->engine == TRANSPORT_STACK;
    const char *expected = in_line ? "before!behind" : "beforebehind";
    assert_int_equal(rig->collected_bytes, strlen(expected));
    assert_memory_equal(rig->collected, expected, strlen(expected));
}

static void test_a_peer_that_half_closes_still_gets_its_echo_and_then_our_fin(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    char rest;
    uint8_t *bytes = random_bytes(64 * 1024);
    rig->accept_as.shut_on_fin = true;
    int fd = rig_open_accepted(rig, &conn);
    peer_send(rig, fd, bytes, 64 * 1024);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    RIG_UNTIL(rig, conn->sent_bytes == 64 * 1024);
    rig_poll_for(rig, 5);
    peer_expect(rig, fd, bytes, 64 * 1024);
    assert_int_equal(peer_recv(rig, fd, &rest, 1), 0);
    close(fd);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
    free(bytes);
}

static void test_after_our_fin_the_peer_may_still_send(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    char text[8];
    rig->mode = RIG_COLLECT;
    int fd = rig_open_connected(rig, NULL, &conn);
    assert_int_equal(transport_send(rig->transport, conn->handle, "last", 4), 0);
    assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    RIG_UNTIL(rig, conn->sent_bytes == 4);
    rig_poll_for(rig, 5);
    peer_expect(rig, fd, "last", 4);
    assert_int_equal(peer_recv(rig, fd, text, sizeof(text)), 0);
    peer_send(rig, fd, "answer", 6);
    RIG_UNTIL(rig, rig->collected_bytes == 6);
    close(fd);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
}

static void test_pull_receives_only_when_asked(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    struct transport_conn_options options = {.pull = true};
    rig->mode = RIG_COLLECT;
    int fd = rig_open_connected(rig, &options, &conn);
    peer_send(rig, fd, "first", 5);
    rig_poll_for(rig, 20);
    assert_int_equal(conn->counts[TRANSPORT_DATA], 0);
    assert_int_equal(transport_recv(rig->transport, conn->handle), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_DATA] == 1);
    assert_int_equal(transport_recv(rig->transport, conn->handle), 0); /* before there is any */
    rig_poll_for(rig, 10);
    peer_send(rig, fd, "second", 6);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_DATA] == 2);
    peer_send(rig, fd, "third", 5);
    close(fd);
    rig_poll_for(rig, 20);
    assert_int_equal(conn->counts[TRANSPORT_DATA], 2);
    assert_int_equal(conn->counts[TRANSPORT_PEER_FIN], 0);
    assert_int_equal(transport_recv(rig->transport, conn->handle), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_DATA] == 3);
    rig_poll_for(rig, 10);
    assert_int_equal(conn->counts[TRANSPORT_PEER_FIN], 0);
    assert_int_equal(transport_recv(rig->transport, conn->handle), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    assert_memory_equal(rig->collected, "firstsecondthird", 16);
}

static void test_pull_asked_from_the_handler_receives_on(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    struct transport_conn_options options = {.pull = true};
    uint8_t *bytes = random_bytes(100000);
    rig->mode = RIG_COLLECT;
    int fd = rig_open_connected(rig, &options, &conn);
    conn->recv_on_data = true;
    peer_send(rig, fd, bytes, 100000);
    close(fd);
    assert_int_equal(transport_recv(rig->transport, conn->handle), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_PEER_FIN] == 1);
    assert_int_equal(rig->collected_bytes, 100000);
    assert_memory_equal(rig->collected, bytes, 100000);
    free(bytes);
}

static void test_a_connection_stops_receiving_at_its_credit_and_goes_on_after(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    size_t total = 32 * MIB;
    uint8_t *bytes = random_bytes(total);
    struct exchange exchange = {.out = bytes, .out_bytes = total};
    rig->mode = RIG_HOLD;
    exchange.fd = rig_open_accepted(rig, &conn);
    peer_nonblocking(exchange.fd);
    RIG_UNTIL(rig, (exchange_send(&exchange), rig->held_count == TRANSPORT_READ_CREDIT));
    for (unsigned i = 0; i < 10; i++) {
        exchange_send(&exchange);
        rig_poll(rig);
    }
    assert_int_equal(rig->held_count, TRANSPORT_READ_CREDIT);
    assert_true(rig_counter(rig, "credit_paused") >= 1);
    rig->mode = RIG_COLLECT;
    size_t held_bytes = conn->received_bytes;
    while (rig->held_count > 0) {
        rig_give_back(rig, false);
    }
    RIG_UNTIL(rig, (exchange_send(&exchange), conn->received_bytes == total));
    assert_memory_equal(rig->collected, bytes + held_bytes, total - held_bytes);
    close(exchange.fd);
    free(bytes);
}

/* The echo to a peer that never reads stops at bounded memory; another connection is served; and
 * when the peer reads at last, everything is there. */
static void test_a_peer_that_does_not_read_costs_bounded_memory(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    size_t total = 64 * MIB;
    struct exchange exchange = {
        .out = random_bytes(total), .out_bytes = total, .in = malloc(total)};
    exchange.fd = rig_open_accepted(rig, &conn);
    struct endpoint address = peer_name(exchange.fd, true);
    peer_nonblocking(exchange.fd);
    uint64_t before = transport_memory_bytes(rig->transport);
    size_t last = SIZE_MAX;
    for (unsigned quiet = 0; quiet < 10; quiet = exchange.out_done == last ? quiet + 1 : 0) {
        last = exchange.out_done;
        exchange_send(&exchange);
        rig_poll(rig);
    }
    assert_true(exchange.out_done < total);
    /* The stack's own buffers count: 256 KiB each way, and those that they grew out of. */
    size_t bound = rig->variant->engine == TRANSPORT_STACK ? 2 * MIB : MIB;
    assert_true(transport_memory_bytes(rig->transport) - before <= bound);
    int other = peer_connect(rig, &address);
    peer_send(rig, other, "ping", 4);
    RIG_UNTIL(rig, rig->conn_count == 2 && rig->conns[1].sent_bytes == 4);
    peer_expect(rig, other, "ping", 4);
    size_t out = exchange.out_done;
    exchange.out_bytes = out;
    RIG_UNTIL(rig, exchange_step(&exchange, out));
    assert_memory_equal(exchange.in, exchange.out, out);
    close(other);
    close(exchange.fd);
    free((void *)(uintptr_t)exchange.out);
    free(exchange.in);
}

/* Both have data waiting when the loop turns; the bulk is a thousand buffers, far above a turn's
 * bounds. */
static void test_a_bulk_sender_does_not_starve_others(void **state)
{
    struct rig *rig = *state;
    struct transport_config config = {.conns_max = 4, .buffer_bytes = 64};
    size_t total = 60000;
    uint8_t *bytes = random_bytes(total);
    rig->mode = RIG_COLLECT;
    rig_open_config(rig, config);
    struct endpoint address = rig_listen(rig, NULL);
    int bulk_fd = peer_connect(rig, &address);
    RIG_UNTIL(rig, rig->conn_count == 1);
    int other_fd = peer_connect(rig, &address);
    RIG_UNTIL(rig, rig->conn_count == 2);
    peer_send(rig, bulk_fd, bytes, total);
    peer_send(rig, other_fd, "ping", 4);
    peer_wait_delivered(rig, bulk_fd);
    peer_wait_delivered(rig, other_fd);
    RIG_UNTIL(rig, rig->conns[1].received_bytes == 4);
    assert_true(rig->conns[0].received_bytes < total);
    RIG_UNTIL(rig, rig->conns[0].received_bytes == total);
    close(other_fd);
    close(bulk_fd);
    free(bytes);
}

static void test_small_buffers_and_a_credit_of_one_are_enough(void **state)
{
    struct rig *rig = *state;
    struct transport_config config = {.conns_max = 2, .buffer_bytes = 512, .read_credit = 1};
    struct exchange exchange = {
        .out = random_bytes(20000), .out_bytes = 20000, .in = malloc(20000)};
    rig_open_config(rig, config);
    struct endpoint address = rig_listen(rig, NULL);
    exchange.fd = peer_connect(rig, &address);
    peer_nonblocking(exchange.fd);
    RIG_UNTIL(rig, exchange_step(&exchange, 20000));
    assert_memory_equal(exchange.in, exchange.out, 20000);
    close(exchange.fd);
    free((void *)(uintptr_t)exchange.out);
    free(exchange.in);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_and_server_in_one_transport_echo),
        cmocka_unit_test(test_a_mebibyte_comes_back_as_it_was),
        cmocka_unit_test(test_single_bytes_come_back_one_by_one),
        cmocka_unit_test(test_a_large_send_ends_in_one_sent),
        cmocka_unit_test(test_sends_keep_their_order),
        cmocka_unit_test(test_a_lent_buffer_may_be_sent_in_part),
        cmocka_unit_test(test_send_is_refused_before_connected_and_after_shutdown),
        cmocka_unit_test(test_everything_arrives_before_the_peers_fin),
        cmocka_unit_test(test_urgent_data_hides_nothing),
        cmocka_unit_test(test_a_peer_that_half_closes_still_gets_its_echo_and_then_our_fin),
        cmocka_unit_test(test_after_our_fin_the_peer_may_still_send),
        cmocka_unit_test(test_pull_receives_only_when_asked),
        cmocka_unit_test(test_pull_asked_from_the_handler_receives_on),
        cmocka_unit_test(test_a_connection_stops_receiving_at_its_credit_and_goes_on_after),
        cmocka_unit_test(test_a_peer_that_does_not_read_costs_bounded_memory),
        cmocka_unit_test(test_a_bulk_sender_does_not_starve_others),
        cmocka_unit_test(test_small_buffers_and_a_credit_of_one_are_enough),
    };
    return rig_run("data", tests, sizeof(tests) / sizeof(tests[0]));
}
