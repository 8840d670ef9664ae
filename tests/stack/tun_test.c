/* Interoperation with a TCP that is not ours: the host on a TUN device against this machine's
 * kernel, both roles, all bytes checked. It makes a user and a network namespace of its own, so it
 * needs no right but to open /dev/net/tun. The kernel's side runs in a thread with blocking
 * sockets; the host is pumped by the test. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "stack/finwait-stack.h"

#define SKIPPED 77
#define KERNEL_IP "10.9.0.1"
#define HOST_IP "10.9.0.2"
#define PORT 7000
#define PACKET_BYTES 2048u
#define PATIENCE_NS (60 * NS_PER_SEC)

/* What each side of a test does with a connection. */
struct plan {
    uint64_t bytes;    /* sent by the kernel's side, and by the host's */
    uint32_t conns;    /* one after the other */
    bool kernel_opens; /* else the host does */
    bool kernel_closes_first;
};

struct rig {
    struct plan plan; /* here, since the kernel's thread outlives a test that fails */
    int listener;     /* the kernel's */
    int tun;
    struct fws_host *host;
    atomic_bool peer_done;
    int peer_result; /* of the kernel's side: 0, or a line number */
};

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t count = write(fd, text, strlen(text));
    close(fd);
    return count == (ssize_t)strlen(text) ? 0 : -EIO;
}

/* Root in a user namespace of our own: enough for a TUN device in a network namespace of our own.
 */
static int enter_namespaces(void)
{
    char map[64];
    snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        return -errno;
    }
    (void)write_text("/proc/self/setgroups", "deny");
    return write_text("/proc/self/uid_map", map);
}

static int set_address(const char *name)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_flags = 0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (fd < 0) {
        return -errno;
    }
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    inet_pton(AF_INET, KERNEL_IP, &address.sin_addr);
    memcpy(&request.ifr_addr, &address, sizeof(address));
    int error = ioctl(fd, SIOCSIFADDR, &request);
    inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
    memcpy(&request.ifr_netmask, &address, sizeof(address));
    error |= ioctl(fd, SIOCSIFNETMASK, &request);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    error |= ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
    return error == 0 ? 0 : -EIO;
}

static int open_tun(void)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "tun0");
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (ioctl(fd, TUNSETIFF, &request) < 0 || set_address("tun0") < 0) {
        close(fd);
        return -EIO;
    }
    return fd;
}

static struct fws_host *make_host(void)
{
    struct fws_config config = {
        .size = sizeof(config),
        .address = {.version = 4, .bytes = {10, 9, 0, 2}},
        .now_ns = clock_now_ns(),
        .time_wait_ns = 200 * NS_PER_MS,
        .seed = "finwait on tun",
    };
    struct fws_host *host = NULL;
    assert_int_equal(fws_host_create(&host, &config), 0);
    return host;
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->tun = open_tun();
    assert_true(rig->tun >= 0);
    rig->host = make_host();
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    fws_host_destroy(rig->host);
    close(rig->tun);
    free(rig);
    return 0;
}

/* Carries packets both ways once, waiting a little when there is nothing to do. */
static void pump(struct rig *rig)
{
    uint8_t bytes[PACKET_BYTES];
    struct fws_buffer buffer = {.data = bytes, .capacity = sizeof(bytes)};
    struct pollfd wait = {.fd = rig->tun, .events = POLLIN};
    fws_advance(rig->host, clock_now_ns());
    while (fws_output(rig->host, &buffer, 1) == 1) {
        assert_int_equal(write(rig->tun, bytes, buffer.bytes), buffer.bytes);
    }
    poll(&wait, 1, 1);
    ssize_t count;
    while ((count = read(rig->tun, bytes, sizeof(bytes))) > 0) {
        struct fws_packet packet = {.data = bytes, .bytes = (uint32_t)count};
        fws_input(rig->host, &packet, 1);
    }
}

/* Bytes whose value tells their place, so that a shift or a repetition shows. */
static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(rng_mix(offset / 8) >> (offset % 8 * 8));
}

static void fill(uint8_t *bytes, uint64_t offset, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = byte_at(offset + i);
    }
}

static bool matches(const uint8_t *bytes, uint64_t offset, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != byte_at(offset + i)) {
            return false;
        }
    }
    return true;
}

static int kernel_transfer(int fd, const struct plan *plan)
{
    uint8_t bytes[4096];
    uint64_t sent = 0;
    uint64_t got = 0;
    while (sent < plan->bytes || got < plan->bytes) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        wait.events |= sent < plan->bytes ? POLLOUT : 0;
        poll(&wait, 1, 1000);
        if (wait.revents & POLLOUT) {
            size_t count = plan->bytes - sent < sizeof(bytes) ? plan->bytes - sent : sizeof(bytes);
            fill(bytes, sent, count);
            ssize_t done = send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (done < 0 && errno != EAGAIN) {
                return __LINE__;
            }
            sent += done > 0 ? (uint64_t)done : 0;
        }
        if (wait.revents & POLLIN) {
            ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
            if (count <= 0 || !matches(bytes, got, (size_t)count)) {
                return __LINE__;
            }
            got += (uint64_t)count;
        }
    }
    return 0;
}

static int kernel_close(int fd, bool first)
{
    uint8_t byte;
    if (first && shutdown(fd, SHUT_WR) < 0) {
        return __LINE__;
    }
    if (recv(fd, &byte, 1, 0) != 0) {
        return __LINE__;
    }
    return close(fd) < 0 ? __LINE__ : 0;
}

static int kernel_open(const struct rig *rig)
{
    if (!rig->plan.kernel_opens) {
        return accept(rig->listener, NULL, NULL);
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    inet_pton(AF_INET, HOST_IP, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void *kernel_side(void *context)
{
    struct rig *rig = context;
    int result = 0;
    for (uint32_t i = 0; i < rig->plan.conns && result == 0; i++) {
        int fd = kernel_open(rig);
        result = fd < 0 ? __LINE__ : kernel_transfer(fd, &rig->plan);
        if (result == 0) {
            result = kernel_close(fd, rig->plan.kernel_closes_first);
        }
    }
    rig->peer_result = result;
    atomic_store(&rig->peer_done, true);
    return NULL;
}

/* The host's side of one connection. */
struct flow {
    fws_handle conn;
    uint64_t sent;
    uint64_t got;
    bool shut;
    bool peer_fin;
};

static void host_transfer(struct rig *rig, struct flow *flow, const struct plan *plan)
{
    uint8_t bytes[4096];
    int64_t count;
    while (flow->sent < plan->bytes) {
        uint64_t want = plan->bytes - flow->sent;
        want = want < sizeof(bytes) ? want : sizeof(bytes);
        fill(bytes, flow->sent, want);
        count = fws_send(rig->host, flow->conn, bytes, want, 0);
        assert_true(count > 0 || count == -EAGAIN);
        if (count < 0) {
            break;
        }
        flow->sent += (uint64_t)count;
    }
    while ((count = fws_recv(rig->host, flow->conn, bytes, sizeof(bytes))) > 0) {
        assert_true(matches(bytes, flow->got, (size_t)count));
        flow->got += (uint64_t)count;
    }
    assert_true(count == 0 || count == -EAGAIN);
    flow->peer_fin = count == 0;
    bool may_shut = !plan->kernel_closes_first || flow->peer_fin;
    if (flow->sent == plan->bytes && flow->got == plan->bytes && may_shut && !flow->shut) {
        assert_int_equal(fws_shutdown(rig->host, flow->conn), 0);
        flow->shut = true;
    }
}

static struct fws_endpoint endpoint(const uint8_t ip[4])
{
    struct fws_endpoint made = {.addr = {.version = 4}, .port = PORT};
    memcpy(made.addr.bytes, ip, 4);
    return made;
}

static fws_handle host_open(struct rig *rig, const struct plan *plan, fws_handle listener)
{
    fws_handle conn = 0;
    if (!plan->kernel_opens) {
        struct fws_endpoint any = {.port = 0};
        struct fws_endpoint kernel = endpoint((const uint8_t[]){10, 9, 0, 1});
        assert_int_equal(fws_connect(rig->host, &any, &kernel, NULL, &conn), 0);
        return conn;
    }
    uint64_t until = clock_now_ns() + PATIENCE_NS;
    while (fws_accept(rig->host, listener, &conn) < 0) {
        assert_true(clock_now_ns() < until);
        pump(rig);
    }
    return conn;
}

static void host_side(struct rig *rig, const struct plan *plan)
{
    fws_handle listener = 0;
    struct fws_endpoint local = endpoint((const uint8_t[]){10, 9, 0, 2});
    uint64_t until = clock_now_ns() + PATIENCE_NS;
    assert_int_equal(fws_listen(rig->host, &local, 8, NULL, &listener), 0);
    for (uint32_t i = 0; i < plan->conns; i++) {
        struct flow flow = {.conn = host_open(rig, plan, listener)};
        while (!flow.shut || !flow.peer_fin) {
            assert_true(clock_now_ns() < until);
            pump(rig);
            host_transfer(rig, &flow, plan);
        }
        assert_int_equal(fws_close(rig->host, flow.conn), 0);
    }
    while (!atomic_load(&rig->peer_done)) {
        assert_true(clock_now_ns() < until);
        pump(rig);
    }
    assert_int_equal(fws_close(rig->host, listener), 0);
}

/* After 2MSL the host holds nothing. */
static void expect_nothing_left(struct rig *rig)
{
    struct fws_census census = {.size = sizeof(census)};
    uint64_t until = clock_now_ns() + PATIENCE_NS;
    do {
        assert_true(clock_now_ns() < until);
        pump(rig);
        fws_census(rig->host, &census);
    } while (census.index_entries > 0);
    assert_int_equal(census.live_records, 0);
    assert_int_equal(census.buffer_bytes, 0);
    assert_int_equal(census.timers_armed, 0);
}

static int listen_in_kernel(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    inet_pton(AF_INET, KERNEL_IP, &address.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void run(struct rig *rig, const struct plan *plan)
{
    rig->plan = *plan;
    rig->listener = listen_in_kernel();
    atomic_store(&rig->peer_done, false);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kernel_side, rig), 0);
    host_side(rig, plan);
    pthread_join(thread, NULL);
    close(rig->listener);
    assert_int_equal(rig->peer_result, 0);
    expect_nothing_left(rig);
}

static void kernel_opens_and_closes_first(void **state)
{
    run(*state, &(struct plan){
                    .bytes = 64, .conns = 100, .kernel_opens = true, .kernel_closes_first = true});
}

static void kernel_opens_and_host_closes_first(void **state)
{
    run(*state, &(struct plan){.bytes = 5000, .conns = 50, .kernel_opens = true});
}

static void host_opens_and_closes_first(void **state)
{
    run(*state, &(struct plan){.bytes = 64, .conns = 100});
}

static void host_opens_and_kernel_closes_first(void **state)
{
    run(*state, &(struct plan){.bytes = 5000, .conns = 50, .kernel_closes_first = true});
}

static void bulk_both_ways_arrives_unchanged(void **state)
{
    run(*state, &(struct plan){.bytes = 4u << 20, .conns = 2, .kernel_opens = true});
    run(*state, &(struct plan){.bytes = 4u << 20, .conns = 2});
}

static void connections_without_bytes_open_and_close(void **state)
{
    run(*state, &(struct plan){.bytes = 0, .conns = 50, .kernel_opens = true});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kernel_opens_and_closes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(kernel_opens_and_host_closes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_opens_and_closes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_opens_and_kernel_closes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bulk_both_ways_arrives_unchanged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_without_bytes_open_and_close, set_up,
                                        tear_down),
    };
    int error = enter_namespaces();
    if (error < 0 || access("/dev/net/tun", R_OK | W_OK) < 0) {
        fprintf(stderr, "skipped: no namespaces, or no /dev/net/tun, here: %s\n",
                strerror(error < 0 ? -error : errno));
        return SKIPPED;
    }
    return cmocka_run_group_tests_name("stack/tun", tests, NULL, NULL);
}
