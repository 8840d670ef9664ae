/* The stack engine, stack against stack: how many segments a connection takes, every way to close,
 * what the census says, what lingers, and what the stack refuses. */
#include <errno.h>
#include <string.h>

#include "transport/stack_pair.h"

static uint64_t segments(struct pair *pair)
{
    return pair_counter(pair, PAIR_CLIENT, "stack", "segments_sent") +
           pair_counter(pair, PAIR_SERVER, "stack", "segments_sent");
}

/* One connection: connect, echo, close by the client; then everything that is still to be said. */
static void churn_once(struct pair *pair)
{
    struct pair_end *client = &pair->ends[PAIR_CLIENT];
    struct pair_end *server = &pair->ends[PAIR_SERVER];
    client->say = "0123456789012345678901234567890123456789012345678901234567890123";
    client->close_on[TRANSPORT_DATA] = true;
    server->close_on[TRANSPORT_PEER_FIN] = true;
    pair_connect(pair, 0);
    PAIR_UNTIL(pair,
               client->counts[TRANSPORT_CLOSED] == 1 && server->counts[TRANSPORT_CLOSED] == 1);
    PAIR_UNTIL(pair, pair_counter(pair, PAIR_CLIENT, "stack", "time_wait_started") == 1 &&
                         transport_lingering(server->transport).closing == 0);
}

static void test_connect_echo_and_close_take_seven_segments(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    churn_once(&pair);
    assert_int_equal(segments(&pair), 7);
    assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "stack", "segments_sent"), 4);
    assert_int_equal(pair.ends[PAIR_CLIENT].received_bytes, 64);
    pair_close(&pair);
}

/* With TCP_QUICKACK as it comes, the kernel's way: the handshake's ACK, and those of the data and
 * of the echo, each go alone. */
static void test_with_acks_apart_they_take_the_kernels_ten(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.options.quickack_off = false;
    for (int side = 0; side < 2; side++) {
        pair.configs[side].acks_apart = true;
    }
    pair_open(&pair);
    churn_once(&pair);
    assert_int_equal(segments(&pair), 10);
    pair_close(&pair);
}

/* As with the kernel's linger 0: what was sent before goes out before the RST, and is read before
 * it, though both are there at once. */
static void test_a_reset_overtakes_nothing(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    pair.ends[PAIR_SERVER].close_on[TRANSPORT_SENT] = true;
    pair.ends[PAIR_SERVER].close_how = TRANSPORT_CLOSE_RST;
    client->say = "the last words";
    pair_open(&pair);
    pair_connect(&pair, 0);
    PAIR_UNTIL(&pair, client->counts[TRANSPORT_FAILED] > 0);
    assert_int_equal(client->received_bytes, strlen(client->say));
    assert_int_equal(client->error, ECONNRESET);
    assert_int_equal(pair_counter(&pair, PAIR_SERVER, "stack", "resets_sent"), 1);
    pair_close(&pair);
}

/* A row of DESIGN.md's table of closes. */
struct close_row {
    const char *name;
    enum transport_close_how how;
    bool shuts;     /* shutdown first, close when the peer's FIN is read */
    bool says_more; /* half: the other side sends on before it closes */
    bool by_server;
    uint64_t time_wait;   /* at the closer */
    uint64_t resets_seen; /* by the other */
};

static const struct close_row close_rows[] = {
    {"fin", TRANSPORT_CLOSE_PLAIN, true, false, false, 1, 0},
    {"fin", TRANSPORT_CLOSE_PLAIN, true, false, true, 1, 0},
    {"close", TRANSPORT_CLOSE_PLAIN, false, false, false, 1, 0},
    {"close", TRANSPORT_CLOSE_PLAIN, false, false, true, 1, 0},
    {"half", TRANSPORT_CLOSE_PLAIN, true, true, false, 1, 0},
    {"half", TRANSPORT_CLOSE_PLAIN, true, true, true, 1, 0},
    {"rst", TRANSPORT_CLOSE_RST, false, false, false, 0, 1},
    {"rst", TRANSPORT_CLOSE_RST, false, false, true, 0, 1},
    {"fin-no-timewait", TRANSPORT_CLOSE_NO_TIMEWAIT, false, false, false, 0, 0},
    {"fin-no-timewait", TRANSPORT_CLOSE_NO_TIMEWAIT, false, false, true, 0, 0},
};

/* The other side answers the end: it reads FIN or reset, may say more, and closes. */
static void answer_end(struct pair *pair, const struct close_row *row, struct pair_end *other,
                       struct pair_end *closer)
{
    PAIR_UNTIL(pair, other->counts[TRANSPORT_PEER_FIN] + other->counts[TRANSPORT_FAILED] == 1);
    assert_int_equal(other->counts[TRANSPORT_FAILED], row->resets_seen);
    if (row->resets_seen) {
        assert_int_equal(other->phase, TRANSPORT_PHASE_RECV);
        assert_int_equal(other->error, ECONNRESET);
    }
    if (row->says_more) {
        assert_int_equal(transport_send(other->transport, other->conn, "more", 4), 0);
        PAIR_UNTIL(pair, other->counts[TRANSPORT_SENT] == 1);
        PAIR_UNTIL(pair, closer->received_bytes == 4);
    }
    assert_int_equal(transport_close(other->transport, other->conn, TRANSPORT_CLOSE_PLAIN), 0);
    PAIR_UNTIL(pair, other->counts[TRANSPORT_CLOSED] == 1);
}

static void check_close(struct pair *pair, const struct close_row *row)
{
    struct pair_end *closer = &pair->ends[row->by_server ? PAIR_SERVER : PAIR_CLIENT];
    struct pair_end *other = &pair->ends[row->by_server ? PAIR_CLIENT : PAIR_SERVER];
    closer->echoes = other->echoes = false;
    pair_establish(pair);
    if (row->shuts) {
        assert_int_equal(transport_shutdown_write(closer->transport, closer->conn), 0);
    } else {
        assert_int_equal(transport_close(closer->transport, closer->conn, row->how), 0);
        PAIR_UNTIL(pair, closer->counts[TRANSPORT_CLOSED] == 1);
    }
    answer_end(pair, row, other, closer);
    if (row->shuts) {
        PAIR_UNTIL(pair, closer->counts[TRANSPORT_PEER_FIN] == 1);
        assert_int_equal(transport_close(closer->transport, closer->conn, row->how), 0);
        PAIR_UNTIL(pair, closer->counts[TRANSPORT_CLOSED] == 1);
    }
    struct transport_lingering rest;
    PAIR_UNTIL(pair, (rest = transport_lingering(other->transport), rest.closing == 0));
    assert_int_equal(rest.time_wait, 0);
    PAIR_UNTIL(pair, (rest = transport_lingering(closer->transport), rest.closing == 0));
    assert_int_equal(rest.time_wait, row->time_wait);
}

static void test_every_way_to_close_leaves_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(close_rows) / sizeof(close_rows[0]); i++) {
        /* Given in advance, and at the last moment. */
        for (int prepared = 0; prepared < 2; prepared++) {
            struct pair pair;
            print_message("%s by the %s\n", close_rows[i].name,
                          close_rows[i].by_server ? "server" : "client");
            pair_init(&pair);
            pair.options.close_how = prepared ? close_rows[i].how : TRANSPORT_CLOSE_PLAIN;
            pair_open(&pair);
            check_close(&pair, &close_rows[i]);
            pair_close(&pair);
        }
    }
}

static void test_closes_of_both_that_cross_leave_time_wait_on_both(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    for (int side = 0; side < 2; side++) {
        struct pair_end *end = &pair.ends[side];
        assert_int_equal(transport_close(end->transport, end->conn, TRANSPORT_CLOSE_PLAIN), 0);
    }
    PAIR_UNTIL(&pair, pair_state(&pair, PAIR_CLIENT, TCP_STATE_TIME_WAIT) == 1);
    PAIR_UNTIL(&pair, pair_state(&pair, PAIR_SERVER, TCP_STATE_TIME_WAIT) == 1);
    struct tcp_transitions transitions;
    assert_int_equal(transport_census(pair.ends[0].transport, NULL, &transitions), 0);
    assert_int_equal(transitions.n[TCP_STATE_CLOSING][TCP_STATE_TIME_WAIT], 1);
    pair_close(&pair);
}

/* As in the kernel: once both FINs have passed, TIME_WAIT stands. */
static void test_a_reset_after_both_fins_comes_too_late_and_is_counted(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    pair.ends[PAIR_SERVER].close_on[TRANSPORT_PEER_FIN] = true;
    assert_int_equal(transport_shutdown_write(client->transport, client->conn), 0);
    PAIR_UNTIL(&pair, client->counts[TRANSPORT_PEER_FIN] == 1);
    assert_int_equal(transport_close(client->transport, client->conn, TRANSPORT_CLOSE_RST), 0);
    PAIR_UNTIL(&pair, client->counts[TRANSPORT_CLOSED] == 1);
    assert_int_equal(pair_state(&pair, PAIR_CLIENT, TCP_STATE_TIME_WAIT), 1);
    pair_close(&pair);
}

static void test_the_census_tells_states_and_transitions(void **state)
{
    (void)state;
    struct pair pair;
    struct tcp_state_counts counts;
    struct tcp_transitions transitions;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    assert_int_equal(transport_census(pair.ends[PAIR_SERVER].transport, &counts, &transitions), 0);
    assert_int_equal(counts.n[TCP_STATE_LISTEN], 1);
    assert_int_equal(counts.n[TCP_STATE_ESTABLISHED], 1);
    assert_int_equal(transitions.n[TCP_STATE_LISTEN][TCP_STATE_SYN_RECEIVED], 1);
    assert_int_equal(transitions.n[TCP_STATE_SYN_RECEIVED][TCP_STATE_ESTABLISHED], 1);
    assert_int_equal(pair_state(&pair, PAIR_CLIENT, TCP_STATE_ESTABLISHED), 1);
    struct transport_lingering none = transport_lingering(pair.ends[PAIR_CLIENT].transport);
    assert_int_equal(none.closing + none.time_wait, 0);
    pair_close(&pair);
}

static void test_what_lingers_drains_while_it_is_polled(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.configs[PAIR_CLIENT].time_wait_ns = 30 * NS_PER_MS;
    pair_open(&pair);
    uint64_t began_ns = clock_now_ns();
    churn_once(&pair);
    PAIR_UNTIL(&pair, transport_lingering(pair.ends[PAIR_CLIENT].transport).time_wait == 0);
    assert_true(clock_now_ns() - began_ns >= 30 * NS_PER_MS);
    pair_close(&pair);
}

static void test_ipv6_is_refused_and_says_so(void **state)
{
    (void)state;
    struct pair pair;
    struct failure failure;
    struct endpoint address = {.ip = {.family = AF_INET6, .bytes = {[15] = 1}}, .port = 7001};
    struct transport_listen_options options = {.backlog = 8};
    uint32_t listener;
    pair_init(&pair);
    pair_open(&pair);
    struct transport *server = pair.ends[PAIR_SERVER].transport;
    assert_int_equal(transport_listen(server, &address, &options, &listener, &failure),
                     -EAFNOSUPPORT);
    assert_non_null(strstr(failure.text, "[::1]:7001"));
    struct flow flow = {.target = address};
    assert_int_equal(pair_try_connect(&pair, &flow), -EAFNOSUPPORT);
    flow = (struct flow){.source = address, .target = pair_address(PAIR_SERVER, PAIR_PORT)};
    assert_int_equal(pair_try_connect(&pair, &flow), -EAFNOSUPPORT);
    assert_int_equal(transport_conn_count(pair.ends[PAIR_CLIENT].transport), 0);
    pair_close(&pair);
}

static void test_a_listener_in_use_or_of_another_host_says_so(void **state)
{
    (void)state;
    struct pair pair;
    struct failure failure;
    uint32_t listener;
    struct transport_listen_options options = {.backlog = 8};
    pair_init(&pair);
    pair_open(&pair);
    struct transport *server = pair.ends[PAIR_SERVER].transport;
    struct endpoint address = pair_address(PAIR_SERVER, PAIR_PORT);
    assert_int_equal(transport_listen(server, &address, &options, &listener, &failure),
                     -EADDRINUSE);
    assert_non_null(strstr(failure.text, "10.9.0.2:7000"));
    address = pair_address(PAIR_CLIENT, PAIR_PORT);
    assert_int_equal(transport_listen(server, &address, &options, &listener, &failure),
                     -EADDRNOTAVAIL);
    assert_non_null(strstr(failure.text, "10.9.0.1:7000"));
    pair_close(&pair);
}

static void expect_failed(struct pair *pair, enum transport_phase phase, int error)
{
    struct pair_end *client = &pair->ends[PAIR_CLIENT];
    PAIR_UNTIL(pair, client->counts[TRANSPORT_FAILED] == 1);
    assert_int_equal(client->phase, phase);
    assert_int_equal(client->error, error);
    assert_int_equal(client->counts[TRANSPORT_CONNECTED], 0);
    assert_int_equal(transport_close(client->transport, client->conn, TRANSPORT_CLOSE_PLAIN), 0);
    PAIR_UNTIL(pair, client->counts[TRANSPORT_CLOSED] == 1);
}

static void test_a_4_tuple_that_lives_fails_in_setup(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    pair_connect(&pair, 20000);
    PAIR_UNTIL(&pair, pair.ends[PAIR_CLIENT].counts[TRANSPORT_CONNECTED] == 1);
    pair_connect(&pair, 20000);
    expect_failed(&pair, TRANSPORT_PHASE_SETUP, EADDRINUSE);
    assert_int_equal(pair.ends[PAIR_CLIENT].counts[TRANSPORT_CONNECTING], 0);
    pair_close(&pair);
}

static void test_our_own_address_has_no_route(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    struct flow flow = {.target = pair_address(PAIR_CLIENT, PAIR_PORT)};
    assert_int_equal(pair_try_connect(&pair, &flow), 0);
    expect_failed(&pair, TRANSPORT_PHASE_CONNECT, ENETUNREACH);
    pair_close(&pair);
}

/* What the link gives to another worker must not leave from here. */
static void test_a_workers_ports_are_those_that_the_link_steers_to_it(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.configs[PAIR_CLIENT].worker = 1;
    pair.configs[PAIR_CLIENT].workers = 4;
    pair.conns_max = 64;
    pair_open(&pair);
    for (unsigned i = 0; i < 20; i++) {
        pair_connect(&pair, 0);
        PAIR_UNTIL(&pair, pair.ends[PAIR_CLIENT].counts[TRANSPORT_CONNECTED] == 1);
    }
    pair_connect(&pair, 20001); /* 20001 % 4 == 1 */
    PAIR_UNTIL(&pair, pair.ends[PAIR_CLIENT].counts[TRANSPORT_CONNECTED] == 1);
    pair_connect(&pair, 20002);
    expect_failed(&pair, TRANSPORT_PHASE_SETUP, EADDRNOTAVAIL);
    pair_close(&pair);
}

static void test_a_deferred_accept_ends_with_its_time(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.defer_accept_ns = 30 * NS_PER_MS;
    pair_open(&pair);
    struct pair_end *server = &pair.ends[PAIR_SERVER];
    uint64_t began_ns = clock_now_ns();
    pair_connect(&pair, 0);
    PAIR_UNTIL(&pair, server->counts[TRANSPORT_ACCEPTED] == 1);
    assert_true(clock_now_ns() - began_ns >= 30 * NS_PER_MS);
    assert_int_equal(server->counts[TRANSPORT_TIMER], 0);
    assert_int_equal(transport_send(pair.ends[0].transport, pair.ends[0].conn, "ping", 4), 0);
    PAIR_UNTIL(&pair, pair.ends[PAIR_CLIENT].received_bytes == 4);
    pair_close(&pair);
}

static void test_a_deferred_connection_that_is_reset_is_never_shown(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair.defer_accept_ns = 60 * NS_PER_SEC;
    pair_open(&pair);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    struct transport *server = pair.ends[PAIR_SERVER].transport;
    pair_connect(&pair, 0);
    PAIR_UNTIL(&pair, transport_conn_count(server) == 1);
    assert_int_equal(transport_close(client->transport, client->conn, TRANSPORT_CLOSE_RST), 0);
    PAIR_UNTIL(&pair, transport_conn_count(server) == 0);
    assert_int_equal(pair.ends[PAIR_SERVER].counts[TRANSPORT_ACCEPTED], 0);
    pair_close(&pair);
}

static void test_destroy_resets_what_is_open(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    transport_destroy(pair.ends[PAIR_SERVER].transport);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    while (client->counts[TRANSPORT_FAILED] == 0) {
        assert_int_equal(transport_poll(client->transport, 0), 0);
        assert_int_equal(client->counts[TRANSPORT_PEER_FIN], 0);
    }
    assert_int_equal(client->error, ECONNRESET);
    transport_destroy(client->transport);
}

#define MANY 1500u /* more than the host's queue of answers holds */

static void open_many(struct pair *pair, uint64_t conns[MANY])
{
    pair_init(pair);
    pair->conns_max = MANY;
    pair->slots = 4096;
    pair_open(pair);
    for (unsigned i = 0; i < MANY; i++) {
        pair_connect(pair, (uint16_t)(20000 + i));
        conns[i] = pair->ends[PAIR_CLIENT].conn;
    }
    PAIR_UNTIL(pair, pair->ends[PAIR_CLIENT].all[TRANSPORT_CONNECTED] == MANY &&
                         pair->ends[PAIR_SERVER].all[TRANSPORT_ACCEPTED] == MANY);
}

static void test_very_many_resets_at_once_all_arrive(void **state)
{
    (void)state;
    struct pair pair;
    uint64_t conns[MANY];
    open_many(&pair, conns);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    pair.ends[PAIR_SERVER].close_on[TRANSPORT_FAILED] = true;
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(transport_close(client->transport, conns[i], TRANSPORT_CLOSE_RST), 0);
    }
    PAIR_UNTIL(&pair, client->all[TRANSPORT_CLOSED] == MANY);
    PAIR_UNTIL(&pair, pair.ends[PAIR_SERVER].all[TRANSPORT_CLOSED] == MANY);
    assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "stack", "replies_dropped"), 0);
    pair_close(&pair);
}

static void test_destroy_resets_very_many(void **state)
{
    (void)state;
    struct pair pair;
    uint64_t conns[MANY];
    open_many(&pair, conns);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    transport_destroy(pair.ends[PAIR_SERVER].transport);
    for (uint64_t end_ns = clock_now_ns() + PAIR_PATIENCE_NS;
         client->all[TRANSPORT_FAILED] < MANY;) {
        assert_true(clock_now_ns() < end_ns);
        assert_int_equal(transport_poll(client->transport, 0), 0);
    }
    assert_int_equal(client->error, ECONNRESET);
    transport_destroy(client->transport);
}

static void test_each_module_shows_its_counters(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair);
    pair_open(&pair);
    pair_establish(&pair);
    assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "stack", "opens_active"), 1);
    assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "ether", "arp_requests_received"), 0);
    assert_true(pair_counter(&pair, PAIR_CLIENT, "link", "frames_sent") >= 2);
    uint64_t memory = transport_memory_bytes(pair.ends[PAIR_CLIENT].transport);
    assert_true(memory > (uint64_t)1024 * 1514); /* the link's slots are in it */
    pair_close(&pair);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect_echo_and_close_take_seven_segments),
        cmocka_unit_test(test_with_acks_apart_they_take_the_kernels_ten),
        cmocka_unit_test(test_a_reset_overtakes_nothing),
        cmocka_unit_test(test_every_way_to_close_leaves_what_the_table_says),
        cmocka_unit_test(test_closes_of_both_that_cross_leave_time_wait_on_both),
        cmocka_unit_test(test_a_reset_after_both_fins_comes_too_late_and_is_counted),
        cmocka_unit_test(test_the_census_tells_states_and_transitions),
        cmocka_unit_test(test_what_lingers_drains_while_it_is_polled),
        cmocka_unit_test(test_ipv6_is_refused_and_says_so),
        cmocka_unit_test(test_a_listener_in_use_or_of_another_host_says_so),
        cmocka_unit_test(test_a_4_tuple_that_lives_fails_in_setup),
        cmocka_unit_test(test_our_own_address_has_no_route),
        cmocka_unit_test(test_a_workers_ports_are_those_that_the_link_steers_to_it),
        cmocka_unit_test(test_a_deferred_accept_ends_with_its_time),
        cmocka_unit_test(test_a_deferred_connection_that_is_reset_is_never_shown),
        cmocka_unit_test(test_destroy_resets_what_is_open),
        cmocka_unit_test(test_very_many_resets_at_once_all_arrive),
        cmocka_unit_test(test_destroy_resets_very_many),
        cmocka_unit_test(test_each_module_shows_its_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
