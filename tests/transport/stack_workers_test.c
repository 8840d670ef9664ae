/* Several stack engines share one interface and address, as workers do: each gets the segments that
 * are its own. The peer is the kernel. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/lab/netns.h"
#include "transport/stack_pair.h"
#include "transport/veth.h"

#define WORKERS 3u
#define CONNS 60u

struct worker {
    struct transport *transport;
    uint32_t index;
    uint32_t connected;
    uint32_t accepted;
    uint32_t echoed;
    uint32_t failed;
};

static int set_up(void **state)
{
    (void)state;
    return unshare(CLONE_NEWNET) == 0 ? veth_lay() : -1;
}

static void on_event(void *context, const struct transport_event *event)
{
    struct worker *worker = context;
    worker->connected += event->type == TRANSPORT_CONNECTED;
    worker->accepted += event->type == TRANSPORT_ACCEPTED;
    worker->failed += event->type == TRANSPORT_FAILED;
    if (event->type == TRANSPORT_DATA) {
        worker->echoed++;
        (void)transport_send_buffer(worker->transport, event->conn, &event->buffer);
    }
}

static void open_workers(struct worker *workers, enum link_steer steer)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct ip_addr own = pair_address(PAIR_SERVER, 0).ip;
        struct transport_stack_config stack = {
            .link = LINK_PACKET,
            .interface = VETH_STACK,
            .addresses = {own, own},
            .prefix_bits = 24,
            .probe_off = true,
            .worker = i,
            .workers = WORKERS,
            .group = (uint32_t)getpid(),
            .steer = steer,
        };
        struct transport_config config = {
            .engine = TRANSPORT_STACK,
            .conns_max = CONNS,
            .listens = true,
            .connects = true,
            .stack = &stack,
            .handler = on_event,
            .context = &workers[i],
        };
        struct failure failure;
        workers[i] = (struct worker){.index = i};
        if (transport_open(&workers[i].transport, &config, &failure) != 0) {
            fail_msg("%s", failure.text);
        }
    }
}

static void poll_workers(struct worker *workers, uint64_t end_ns)
{
    assert_true(clock_now_ns() < end_ns);
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(transport_poll(workers[i].transport, clock_now_ns() + NS_PER_MS), 0);
        assert_int_equal(workers[i].failed, 0);
    }
}

/* A segment that went to the wrong worker finds no connection there, and is reset. */
static void close_workers(struct worker *workers)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct pair pair = {.ends[0].transport = workers[i].transport};
        assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "stack", "segments_no_connection"), 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        transport_destroy(workers[i].transport);
    }
}

static void test_workers_that_connect_get_their_own_replies(void **state)
{
    (void)state;
    struct worker workers[WORKERS];
    struct sockaddr_storage name;
    struct endpoint address = pair_address(PAIR_CLIENT, PAIR_PORT); /* the kernel's end */
    socklen_t length = endpoint_to_sockaddr(&address, &name);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&name, length), 0);
    assert_int_equal(listen(listener, (int)(WORKERS * CONNS)), 0);
    open_workers(workers, LINK_STEER_LOCAL_PORT);
    for (uint32_t i = 0; i < WORKERS * CONNS; i++) {
        struct transport_conn_options options = {.quickack_off = true};
        struct flow flow = {.target = address};
        uint64_t handle;
        assert_int_equal(
            transport_connect(workers[i % WORKERS].transport, &flow, &options, 0, &handle), 0);
    }
    uint64_t end_ns = clock_now_ns() + PAIR_PATIENCE_NS;
    while (workers[0].connected + workers[1].connected + workers[2].connected < WORKERS * CONNS) {
        poll_workers(workers, end_ns);
    }
    close_workers(workers);
    close(listener);
}

static int connect_kernel(const struct endpoint *address)
{
    struct sockaddr_storage name;
    socklen_t length = endpoint_to_sockaddr(address, &name);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, length), -1);
    assert_int_equal(errno, EINPROGRESS);
    return fd;
}

static void test_workers_that_listen_share_the_clients_by_their_ports(void **state)
{
    (void)state;
    struct worker workers[WORKERS];
    int fds[CONNS];
    uint32_t expected[WORKERS] = {0};
    struct endpoint address = pair_address(PAIR_SERVER, PAIR_PORT);
    open_workers(workers, LINK_STEER_REMOTE_PORT);
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct transport_listen_options options = {.backlog = CONNS};
        uint32_t listener;
        assert_int_equal(
            transport_listen(workers[i].transport, &address, &options, &listener, NULL), 0);
    }
    for (uint32_t i = 0; i < CONNS; i++) {
        struct sockaddr_storage name;
        struct endpoint own;
        socklen_t length = sizeof(name);
        fds[i] = connect_kernel(&address);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&name, &length), 0);
        assert_int_equal(endpoint_from_sockaddr(&own, (struct sockaddr *)&name), 0);
        expected[own.port % WORKERS]++;
    }
    uint64_t end_ns = clock_now_ns() + PAIR_PATIENCE_NS;
    while (workers[0].accepted + workers[1].accepted + workers[2].accepted < CONNS) {
        poll_workers(workers, end_ns);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        assert_int_equal(workers[i].accepted, expected[i]);
    }
    for (uint32_t i = 0; i < CONNS; i++) {
        assert_int_equal(send(fds[i], "ping", 4, 0), 4);
    }
    while (workers[0].echoed + workers[1].echoed + workers[2].echoed < CONNS) {
        poll_workers(workers, end_ns);
    }
    close_workers(workers);
    for (uint32_t i = 0; i < CONNS; i++) {
        close(fds[i]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_workers_that_connect_get_their_own_replies, set_up),
        cmocka_unit_test_setup(test_workers_that_listen_share_the_clients_by_their_ports, set_up),
    };
    struct failure failure;
    if (netns_enter_holder(&failure) != 0) {
        print_message("%s: skipped\n", failure.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
