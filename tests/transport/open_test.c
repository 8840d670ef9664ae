/* How connections begin: planned 4-tuples, failures by phase, listeners, limits, steering. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/cpu.h"
#include "transport/rig.h"

static struct endpoint endpoint_of(const char *text)
{
    struct endpoint endpoint;
    struct failure failure;
    if (endpoint_parse(&endpoint, text, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return endpoint;
}

static void expect_failed(struct rig *rig, struct rig_conn *conn, enum transport_phase phase,
                          int error)
{
    RIG_UNTIL(rig, conn->counts[TRANSPORT_FAILED] == 1);
    assert_int_equal(conn->phase, phase);
    assert_int_equal(conn->error, error);
    assert_int_equal(conn->counts[TRANSPORT_CONNECTED], 0);
    rig_finish(rig, conn, TRANSPORT_CLOSE_PLAIN);
}

static void test_the_peer_sees_the_planned_source(void **state)
{
    struct rig *rig = *state;
    struct endpoint source = rig_own_end(rig, 2, 23456);
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, &source, &address, NULL);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    int fd = peer_accept(listener);
    struct endpoint seen = peer_name(fd, true);
    assert_true(endpoint_equal(&seen, &source));
    assert_true(conn->times_ns[TRANSPORT_CONNECTED] >= conn->times_ns[TRANSPORT_CONNECTING]);
    close(fd);
    close(listener);
}

static void test_a_source_without_a_port_gets_one(void **state)
{
    struct rig *rig = *state;
    struct endpoint source = rig_own_end(rig, 3, 0);
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, &source, &address, NULL);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    int fd = peer_accept(listener);
    struct endpoint seen = peer_name(fd, true);
    assert_true(ip_equal(&seen.ip, &source.ip));
    assert_true(seen.port != 0);
    close(fd);
    close(listener);
}

static void test_a_source_that_another_socket_holds_fails_in_setup(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct endpoint source = endpoint_of("127.0.0.2:20000");
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    int holder = peer_listen(&source);
    struct rig_conn *conn = rig_connect(rig, &source, &address, NULL);
    expect_failed(rig, conn, TRANSPORT_PHASE_SETUP, EADDRINUSE);
    assert_int_equal(conn->counts[TRANSPORT_CONNECTING], 0);
    close(holder);
    close(listener);
}

static void test_a_4_tuple_in_use_fails_to_connect(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct endpoint source = endpoint_of("127.0.0.2:20000");
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    struct rig_conn *first = rig_connect(rig, &source, &address, NULL);
    RIG_UNTIL(rig, first->counts[TRANSPORT_CONNECTED] == 1);
    struct rig_conn *second = rig_connect(rig, &source, &address, NULL);
    expect_failed(rig, second, TRANSPORT_PHASE_CONNECT, EADDRNOTAVAIL);
    assert_int_equal(second->counts[TRANSPORT_CONNECTING], 1);
    close(listener);
}

static void test_a_source_that_is_not_ours_fails_in_setup(void **state)
{
    struct rig *rig = *state;
    struct endpoint source = endpoint_of("192.0.2.1:20000");
    struct endpoint address = rig_peer_end(rig, 7);
    rig_open(rig, 0);
    struct rig_conn *conn = rig_connect(rig, &source, &address, NULL);
    expect_failed(rig, conn, TRANSPORT_PHASE_SETUP, EADDRNOTAVAIL);
}

static void test_a_closed_port_refuses(void **state)
{
    struct rig *rig = *state;
    struct endpoint nobody = rig_peer_end(rig, 9);
    rig_open(rig, 0);
    struct rig_conn *conn = rig_connect(rig, NULL, &nobody, NULL);
    expect_failed(rig, conn, TRANSPORT_PHASE_CONNECT, ECONNREFUSED);
    assert_int_equal(conn->counts[TRANSPORT_CONNECTING], 1);
}

static void test_a_target_without_a_route_fails_to_connect(void **state)
{
    struct rig *rig = *state;
    struct endpoint far = endpoint_of("192.0.2.1:80");
    rig_open(rig, 0);
    struct rig_conn *conn = rig_connect(rig, NULL, &far, NULL);
    expect_failed(rig, conn, TRANSPORT_PHASE_CONNECT, ENETUNREACH);
}

static void test_ipv6_listens_connects_and_echoes(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct transport_listen_options options = {.backlog = 8};
    struct endpoint address = endpoint_of("[::1]:1");
    struct failure failure;
    uint32_t listener;
    address.port = 0;
    rig_open(rig, 0);
    assert_int_equal(transport_listen(rig->transport, &address, &options, &listener, &failure), 0);
    assert_int_equal(address.ip.family, AF_INET6);
    struct endpoint source = endpoint_of("[::1]:23456");
    struct rig_conn *conn = rig_connect(rig, &source, &address, NULL);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    assert_int_equal(transport_send(rig->transport, conn->handle, "six", 3), 0);
    RIG_UNTIL(rig, conn->received_bytes >= 3);
}

static void test_listening_on_port_0_reports_the_port(void **state)
{
    struct rig *rig = *state;
    rig_open(rig, 0);
    struct endpoint first = rig_listen(rig, NULL);
    struct endpoint second = rig_listen(rig, NULL);
    assert_true(first.port != 0 && second.port != 0 && first.port != second.port);
    int fd = peer_connect(rig, &second);
    RIG_UNTIL(rig, rig_accepted(rig) != NULL);
    assert_int_equal(rig_accepted(rig)->listener, 1);
    close(fd);
}

static void test_a_listener_address_in_use_says_so(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct transport_listen_options options = {.backlog = 8};
    struct endpoint address = rig_peer_end(rig, 0);
    struct failure failure;
    uint32_t listener;
    char text[ENDPOINT_TEXT_MAX];
    rig_open(rig, 0);
    int holder = peer_listen(&address);
    uint32_t before = descriptor_count();
    assert_int_equal(transport_listen(rig->transport, &address, &options, &listener, &failure),
                     -EADDRINUSE);
    assert_int_equal(failure.error, EADDRINUSE);
    assert_non_null(strstr(failure.text, endpoint_format(&address, text)));
    assert_int_equal(descriptor_count(), before);
    close(holder);
}

static void test_above_conns_max_accepting_waits_for_a_close(void **state)
{
    struct rig *rig = *state;
    int fds[5];
    rig_open(rig, 3);
    struct endpoint address = rig_listen(rig, NULL);
    for (size_t i = 0; i < 5; i++) {
        fds[i] = peer_connect(rig, &address);
        peer_send(rig, fds[i], "ping", 4);
    }
    RIG_UNTIL(rig, rig->conn_count == 3);
    rig_poll_for(rig, 20);
    assert_int_equal(rig->conn_count, 3);
    assert_true(rig_counter(rig, "accept_paused") >= 1);
    for (uint32_t i = 0; i < 2; i++) {
        rig_finish(rig, &rig->conns[i], TRANSPORT_CLOSE_PLAIN);
        RIG_UNTIL(rig, rig->conn_count == 4 + i);
    }
    for (size_t i = 2; i < 5; i++) {
        RIG_UNTIL(rig, rig->conns[i].sent_bytes == 4);
        peer_expect(rig, fds[i], "ping", 4);
    }
    assert_int_equal(rig_counter(rig, "accept_no_record"), 0);
    assert_int_equal(rig_counter(rig, "accept_no_slot"), 0);
    for (size_t i = 0; i < 5; i++) {
        close(fds[i]);
    }
}

static void test_above_conns_max_connecting_is_refused(void **state)
{
    struct rig *rig = *state;
    struct transport_conn_options options = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct endpoint address = rig_peer_end(rig, 0);
    struct flow flow;
    uint64_t handle;
    rig_open(rig, 2);
    int listener = peer_listen(&address);
    flow = (struct flow){.target = address};
    struct rig_conn *first = rig_connect(rig, NULL, &address, NULL);
    (void)rig_connect(rig, NULL, &address, NULL);
    assert_int_equal(transport_connect(rig->transport, &flow, &options, 0, &handle), -ENOBUFS);
    assert_int_equal(transport_conn_count(rig->transport), 2);
    rig_finish(rig, first, TRANSPORT_CLOSE_PLAIN);
    struct rig_conn *third = rig_connect(rig, NULL, &address, NULL);
    RIG_UNTIL(rig, third->counts[TRANSPORT_CONNECTED] == 1);
    close(listener);
}

/* Leaves the process no free descriptor; returns the limit as it was. */
static struct rlimit descriptors_exhaust(void)
{
    struct rlimit was;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    int lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    struct rlimit none = {.rlim_cur = (rlim_t)lowest, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return was;
}

/* Connections wait in the backlog, or live in the ring's own table; either way nothing spins, and
 * all are served in the end. */
static void test_without_descriptors_accepting_waits_and_does_not_spin(void **state)
{
    struct rig *rig = *state;
    int fds[3];
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, NULL);
    for (size_t i = 0; i < 3; i++) {
        fds[i] = peer_connect(rig, &address);
        peer_send(rig, fds[i], "ping", 4);
    }
    struct rlimit was = descriptors_exhaust();
    uint64_t syscalls = rig_counter(rig, "syscalls");
    uint64_t end_ns = clock_now_ns() + 100 * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
        assert_int_equal(transport_poll(rig->transport, end_ns), 0);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(rig_counter(rig, "syscalls") - syscalls < 200);
    RIG_UNTIL(rig, rig->conn_count == 3);
    for (size_t i = 0; i < 3; i++) {
        RIG_UNTIL(rig, rig->conns[i].sent_bytes == 4);
        peer_expect(rig, fds[i], "ping", 4);
        close(fds[i]);
    }
}

static void test_without_descriptors_connecting_is_refused_or_works(void **state)
{
    struct rig *rig = *state;
    struct transport_conn_options options = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct flow flow = {.target = rig_peer_end(rig, 0)};
    struct rig_conn *first;
    rig_open(rig, 0);
    int listener = peer_listen(&flow.target);
    struct rlimit was = descriptors_exhaust();
    int rc = rig_try_connect(rig, &flow, &options, &first);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_true(rc == 0 || rc == -EMFILE);
    assert_int_equal(transport_conn_count(rig->transport), rc == 0 ? 1 : 0);
    if (rc == 0) {
        RIG_UNTIL(rig, first->counts[TRANSPORT_CONNECTED] == 1);
    }
    struct rig_conn *second = rig_connect(rig, NULL, &flow.target, NULL);
    RIG_UNTIL(rig, second->counts[TRANSPORT_CONNECTED] == 1);
    close(listener);
}

static void test_deferred_accept_waits_for_data(void **state)
{
    struct rig *rig = *state;
    struct transport_listen_options options = {.backlog = 8, .defer_accept_ns = 60 * NS_PER_SEC};
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, &options);
    int fd = peer_connect(rig, &address);
    rig_poll_for(rig, 20);
    assert_null(rig_accepted(rig));
    for (unsigned i = 1; i <= 3; i++) {
        peer_send(rig, fd, "ping", 4);
        RIG_UNTIL(rig, rig_accepted(rig) && rig_accepted(rig)->sent_bytes == 4 * i);
        peer_expect(rig, fd, "ping", 4);
    }
    close(fd);
    RIG_UNTIL(rig, rig_accepted(rig)->counts[TRANSPORT_PEER_FIN] == 1);
}

/* The stack accepts at once and shows the connection when data come; the kernel keeps it back by
 * itself. Either way one that ends before that must not hold the only place for good. */
static void test_a_deferred_connection_that_ends_gives_its_place_to_the_next(void **state)
{
    struct rig *rig = *state;
    struct transport_listen_options options = {.backlog = 8, .defer_accept_ns = 60 * NS_PER_SEC};
    rig_open(rig, 1);
    struct endpoint address = rig_listen(rig, &options);
    int silent = peer_connect(rig, &address);
    rig_poll_for(rig, 5);
    int next = peer_connect(rig, &address);
    peer_send(rig, next, "ping", 4);
    if (rig->variant->engine == TRANSPORT_STACK) {
        RIG_UNTIL(rig, rig_counter(rig, "accept_paused") > 0);
        assert_null(rig_accepted(rig));
    }
    peer_reset(silent);
    RIG_UNTIL(rig, rig_accepted(rig) != NULL && rig_accepted(rig)->sent_bytes == 4);
    peer_expect(rig, next, "ping", 4);
    close(next);
}

static void enable_fast_open(void)
{
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_fastopen", "w");
    if (file == NULL) {
        skip(); /* an ordinary user's namespace may lack it */
    }
    assert_true(fputs("3", file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_fast_open_connects_with_and_without_a_cookie(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct transport_listen_options listen_options = {.backlog = 8, .conn.fastopen = true};
    struct transport_conn_options options = {.fastopen = true};
    enable_fast_open();
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, &listen_options);
    for (unsigned i = 0; i < 3; i++) {
        struct rig_conn *conn = rig_connect(rig, NULL, &address, &options);
        RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
        assert_int_equal(transport_send(rig->transport, conn->handle, "ping", 4), 0);
        RIG_UNTIL(rig, conn->received_bytes >= 4);
        rig_finish(rig, conn, TRANSPORT_CLOSE_RST);
    }
}

static void test_listen_stop_refuses_new_and_keeps_old(void **state)
{
    struct rig *rig = *state;
    struct rig_conn *conn;
    int fd = rig_open_accepted(rig, &conn);
    struct endpoint address = peer_name(fd, true);
    transport_listen_stop(rig->transport);
    rig_poll_for(rig, 10);
    assert_int_equal(peer_try_connect(rig, &address), -ECONNREFUSED);
    peer_send(rig, fd, "ping", 4);
    RIG_UNTIL(rig, conn->sent_bytes == 4);
    peer_expect(rig, fd, "ping", 4);
    close(fd);
    struct transport_listen_options options = {.backlog = 8};
    struct failure failure;
    uint32_t listener;
    assert_int_equal(transport_listen(rig->transport, &address, &options, &listener, &failure), 0);
    transport_listen_stop(rig->transport);
}

/* A worker of the steering test: its own transport on one shared address. */
struct steered {
    const struct rig_variant *variant;
    const struct cpu_list *cpus;
    struct endpoint address;
    struct transport *transport;
    uint32_t accepted;
    int rc;
};

static void on_steered(void *context, const struct transport_event *event)
{
    struct steered *worker = context;
    if (event->type == TRANSPORT_ACCEPTED) {
        worker->accepted++;
        transport_close(worker->transport, event->conn, TRANSPORT_CLOSE_RST);
    }
}

static int steered_open(struct steered *worker)
{
    struct transport_listen_options options = {.backlog = 64, .steer_cpus = worker->cpus};
    struct transport_config config = {
        .engine = worker->variant->engine,
        .features_off = worker->variant->features_off,
        .conns_max = 64,
        .listens = true,
        .handler = on_steered,
        .context = worker,
    };
    struct failure failure;
    uint32_t listener;
    int rc = transport_open(&worker->transport, &config, &failure);
    return rc != 0 ? rc
                   : transport_listen(worker->transport, &worker->address, &options, &listener,
                                      &failure);
}

#define STEERED_CONNECTS 10

/* Client of CPU 1, pinned there; the kernel works on the SYN where it was sent from. */
static void *steered_clients(void *argument)
{
    struct steered *worker = argument;
    worker->rc = cpu_pin_self(worker->cpus->cpus[1]);
    for (unsigned i = 0; i < STEERED_CONNECTS && worker->rc == 0; i++) {
        struct sockaddr_storage name;
        socklen_t length = endpoint_to_sockaddr(&worker->address, &name);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        worker->rc = connect(fd, (struct sockaddr *)&name, length) == 0 ? 0 : -errno;
        close(fd);
    }
    return NULL;
}

/* A transport belongs to the thread that opens it, so the second listener has a thread of its own,
 * which joins the group after the first. */
static void *steered_second(void *argument)
{
    struct steered *worker = argument;
    pthread_t clients;
    worker->rc = steered_open(worker);
    if (worker->rc == 0 && pthread_create(&clients, NULL, steered_clients, worker) == 0) {
        pthread_join(clients, NULL);
        uint64_t end_ns = clock_now_ns() + RIG_PATIENCE_NS;
        while (worker->accepted < STEERED_CONNECTS && clock_now_ns() < end_ns) {
            transport_poll(worker->transport, clock_now_ns() + 5 * NS_PER_MS);
        }
    }
    transport_destroy(worker->transport);
    return NULL;
}

static void test_a_connection_goes_to_the_listener_of_its_cpu(void **state)
{
    struct rig *rig = *state;
    rig_needs_kernel(rig);
    struct cpu_list cpus;
    pthread_t thread;
    assert_int_equal(cpu_list_allowed(&cpus), 0);
    if (cpus.count < 2) {
        skip();
    }
    cpus.count = 2;
    rig_open(rig, 0);
    struct transport_listen_options options = {.backlog = 64, .steer_cpus = &cpus};
    struct endpoint address = rig_listen(rig, &options);
    struct steered second = {.variant = rig->variant, .cpus = &cpus, .address = address};
    assert_int_equal(pthread_create(&thread, NULL, steered_second, &second), 0);
    pthread_join(thread, NULL);
    assert_int_equal(second.rc, 0);
    assert_int_equal(second.accepted, STEERED_CONNECTS);
    rig_poll_for(rig, 5);
    assert_int_equal(rig->conn_count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_peer_sees_the_planned_source),
        cmocka_unit_test(test_a_source_without_a_port_gets_one),
        cmocka_unit_test(test_a_source_that_another_socket_holds_fails_in_setup),
        cmocka_unit_test(test_a_4_tuple_in_use_fails_to_connect),
        cmocka_unit_test(test_a_source_that_is_not_ours_fails_in_setup),
        cmocka_unit_test(test_a_closed_port_refuses),
        cmocka_unit_test(test_a_target_without_a_route_fails_to_connect),
        cmocka_unit_test(test_ipv6_listens_connects_and_echoes),
        cmocka_unit_test(test_listening_on_port_0_reports_the_port),
        cmocka_unit_test(test_a_listener_address_in_use_says_so),
        cmocka_unit_test(test_above_conns_max_accepting_waits_for_a_close),
        cmocka_unit_test(test_above_conns_max_connecting_is_refused),
        cmocka_unit_test(test_without_descriptors_accepting_waits_and_does_not_spin),
        cmocka_unit_test(test_without_descriptors_connecting_is_refused_or_works),
        cmocka_unit_test(test_deferred_accept_waits_for_data),
        cmocka_unit_test(test_a_deferred_connection_that_ends_gives_its_place_to_the_next),
        cmocka_unit_test(test_fast_open_connects_with_and_without_a_cookie),
        cmocka_unit_test(test_listen_stop_refuses_new_and_keeps_old),
        cmocka_unit_test(test_a_connection_goes_to_the_listener_of_its_cpu),
    };
    return rig_run("open", tests, sizeof(tests) / sizeof(tests[0]));
}
