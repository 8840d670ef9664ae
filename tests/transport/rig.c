#include "transport/rig.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"
#include "transport/rig_stack.h"
#include "transport/veth.h"

static struct rig_conn *conn_find(struct rig *rig, uint64_t handle)
{
    for (uint32_t i = 0; i < rig->conn_count; i++) {
        if (rig->conns[i].handle == handle) {
            return &rig->conns[i];
        }
    }
    return NULL;
}

/* Within a handler nothing may jump out of transport_poll: a broken rule is noted and fails the
 * test when poll has returned. */
#define CHECK(rig, condition) check((rig), (condition), #condition)

static void check(struct rig *rig, bool holds, const char *condition)
{
    if (!holds && rig->broken == NULL) {
        rig->broken = condition;
    }
}

static struct rig_conn *conn_add(struct rig *rig, uint64_t handle)
{
    CHECK(rig, conn_find(rig, handle) == NULL);
    CHECK(rig, rig->conn_count < RIG_CONNS_MAX);
    if (rig->conn_count == RIG_CONNS_MAX) {
        return &rig->conns[0];
    }
    struct rig_conn *conn = &rig->conns[rig->conn_count++];
    conn->handle = handle;
    conn->known = true;
    return conn;
}

static void collect(struct rig *rig, const struct transport_buffer *buffer)
{
    if (rig->collected_bytes + buffer->size > rig->collected_room) {
        rig->collected_room = 2 * (rig->collected_bytes + buffer->size);
        rig->collected = realloc(rig->collected, rig->collected_room);
        assert_non_null(rig->collected);
    }
    memcpy(rig->collected + rig->collected_bytes, buffer->data, buffer->size);
    rig->collected_bytes += buffer->size;
}

static void on_data(struct rig *rig, struct rig_conn *conn, const struct transport_buffer *buffer)
{
    CHECK(rig, buffer->size > 0);
    conn->received_bytes += buffer->size;
    switch (rig->mode) {
    case RIG_ECHO:
        CHECK(rig,
              transport_send_buffer(rig->transport, conn->handle, buffer) == 0 || rig->tolerant);
        break;
    case RIG_COLLECT:
        collect(rig, buffer);
        transport_buffer_release(rig->transport, conn->handle, buffer);
        break;
    case RIG_HOLD:
        CHECK(rig, rig->held_count < RIG_BUFFERS_MAX);
        if (rig->held_count == RIG_BUFFERS_MAX) {
            transport_buffer_release(rig->transport, conn->handle, buffer);
            break;
        }
        rig->held_by[rig->held_count] = conn->handle;
        rig->held[rig->held_count++] = *buffer;
        break;
    }
    if (conn->recv_on_data) {
        CHECK(rig, transport_recv(rig->transport, conn->handle) == 0 || rig->tolerant);
    }
}

/* What holds on every connection, always. */
static void check_order(struct rig *rig, const struct rig_conn *conn,
                        const struct transport_event *event)
{
    CHECK(rig, conn->counts[TRANSPORT_CLOSED] == 0);
    if (event->type != TRANSPORT_TIMER && event->type != TRANSPORT_CLOSED) {
        CHECK(rig, conn->counts[TRANSPORT_FAILED] == 0);
    }
    if (event->type == TRANSPORT_DATA) {
        CHECK(rig, conn->counts[TRANSPORT_PEER_FIN] == 0);
        CHECK(rig, conn->counts[TRANSPORT_ACCEPTED] + conn->counts[TRANSPORT_CONNECTED] == 1);
    }
    if (event->type == TRANSPORT_PEER_FIN || event->type == TRANSPORT_FAILED ||
        event->type == TRANSPORT_CONNECTED || event->type == TRANSPORT_CONNECTING) {
        CHECK(rig, conn->counts[event->type] == 0);
    }
    if (event->type == TRANSPORT_CONNECTED) {
        CHECK(rig, conn->counts[TRANSPORT_CONNECTING] == 1);
    }
}

/* Gives back what is held of a connection whose CLOSED is being handled. */
static void release_held(struct rig *rig, uint64_t handle)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rig->held_count; i++) {
        if (rig->held_by[i] == handle) {
            transport_buffer_release(rig->transport, handle, &rig->held[i]);
        } else {
            rig->held_by[kept] = rig->held_by[i];
            rig->held[kept++] = rig->held[i];
        }
    }
    rig->held_count = kept;
}

static void connect_again(struct rig *rig)
{
    const struct transport_conn_options plain = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct rig_conn *next;
    rig->connects_left--;
    CHECK(rig, rig_try_connect(rig, rig->connect_on_failed, &plain, &next) == 0);
}

static void on_event(void *context, const struct transport_event *event)
{
    struct rig *rig = context;
    struct rig_conn *conn = conn_find(rig, event->conn);
    if (event->type == TRANSPORT_ACCEPTED) {
        conn = conn_add(rig, event->conn);
        memcpy(conn->close_on, rig->accept_as.close_on, sizeof(conn->close_on));
        conn->close_how = rig->accept_as.close_how;
        conn->shut_on_fin = rig->accept_as.shut_on_fin;
        conn->recv_on_data = rig->accept_as.recv_on_data;
        conn->listener = event->listener;
    }
    CHECK(rig, conn != NULL);
    if (conn == NULL) {
        return;
    }
    check_order(rig, conn, event);
    conn->counts[event->type]++;
    conn->times_ns[event->type] = event->time_ns;
    if (event->type == TRANSPORT_DATA) {
        on_data(rig, conn, &event->buffer);
    } else if (event->type == TRANSPORT_SENT) {
        conn->sent_bytes += event->bytes;
    } else if (event->type == TRANSPORT_FAILED) {
        conn->phase = event->phase;
        conn->error = event->error;
        if (rig->connects_left > 0) {
            connect_again(rig);
        }
    } else if (event->type == TRANSPORT_CLOSED) {
        conn->closed_error = event->error;
        if (rig->release_on_closed) {
            release_held(rig, event->conn);
        }
    } else if (event->type == TRANSPORT_PEER_FIN && conn->shut_on_fin) {
        CHECK(rig, transport_shutdown_write(rig->transport, conn->handle) == 0 || rig->tolerant);
    }
    if (conn->close_on[event->type]) {
        CHECK(rig,
              transport_close(rig->transport, conn->handle, conn->close_how) == 0 || rig->tolerant);
    }
}

void rig_open_config(struct rig *rig, struct transport_config config)
{
    struct failure failure;
    enum transport_engine chosen;
    if (transport_choose(rig->variant->engine, &chosen, rig->variant->features_off, &failure) !=
        0) {
        print_message("%s\n", failure.text);
        skip();
    }
    config.engine = chosen;
    config.features_off = rig->variant->features_off;
    config.listens = true;
    config.connects = true;
    config.handler = on_event;
    config.context = rig;
    struct transport_stack_config stack =
        rig->loops ? rig_stack_looped(&rig->router) : rig_stack_on_cable();
    config.stack = &stack;
    if (transport_open(&rig->transport, &config, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
}

void rig_open(struct rig *rig, uint32_t conns_max)
{
    rig_open_config(rig, (struct transport_config){.conns_max = conns_max ? conns_max : 64});
}

void rig_close(struct rig *rig)
{
    transport_destroy(rig->transport);
    link_destroy(rig->router);
    rig->transport = NULL;
    rig->router = NULL;
    rig->conn_count = 0;
    rig->held_count = 0;
    memset(rig->conns, 0, sizeof(rig->conns));
}

static bool is_stack(const struct rig *rig)
{
    return rig->variant->engine == TRANSPORT_STACK;
}

struct endpoint rig_own_end(const struct rig *rig, uint8_t last, uint16_t port)
{
    struct endpoint own = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, last}}, .port = port};
    if (is_stack(rig)) {
        own.ip.bytes[0] = 10;
        own.ip.bytes[1] = rig->loops ? 10 : 9;
    }
    return own;
}

struct endpoint rig_peer_end(const struct rig *rig, uint16_t port)
{
    return rig_own_end(rig, 1, port);
}

void rig_needs_kernel(const struct rig *rig)
{
    if (is_stack(rig)) {
        skip();
    }
}

void rig_needs_loopback(struct rig *rig)
{
    rig->loops = is_stack(rig);
}

struct endpoint rig_listen(struct rig *rig, const struct transport_listen_options *options)
{
    struct transport_listen_options plain = {.backlog = 64};
    struct endpoint address = rig_own_end(rig, is_stack(rig) ? 2 : 1, 0);
    struct failure failure;
    uint32_t listener;
    if (transport_listen(rig->transport, &address, options ? options : &plain, &listener,
                         &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return address;
}

int rig_try_connect(struct rig *rig, const struct flow *flow,
                    const struct transport_conn_options *options, struct rig_conn **conn)
{
    uint64_t handle;
    int rc = transport_connect(rig->transport, flow, options, 0, &handle);
    *conn = rc == 0 ? conn_add(rig, handle) : NULL;
    return rc;
}

struct rig_conn *rig_connect(struct rig *rig, const struct endpoint *source,
                             const struct endpoint *target,
                             const struct transport_conn_options *options)
{
    struct transport_conn_options plain = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct flow flow = {.target = *target};
    struct rig_conn *conn;
    if (source != NULL) {
        flow.source = *source;
    }
    assert_int_equal(rig_try_connect(rig, &flow, options ? options : &plain, &conn), 0);
    return conn;
}

void rig_check(const struct rig *rig)
{
    if (rig->broken != NULL) {
        fail_msg("broken in the handler: %s (seed %" PRIu64 ")", rig->broken, rig->seed);
    }
}

void rig_poll_until(struct rig *rig, uint64_t until_ns)
{
    rig_router_run(rig->router);
    assert_int_equal(transport_poll(rig->transport, until_ns), 0);
    rig_check(rig);
}

void rig_poll(struct rig *rig)
{
    rig_poll_until(rig, clock_now_ns() + 5 * NS_PER_MS);
}

void rig_wait(struct rig *rig, uint64_t end_ns, const char *condition)
{
    if (clock_now_ns() > end_ns) {
        fail_msg("never came: %s (seed %" PRIu64 ")", condition, rig->seed);
    }
    rig_poll(rig);
}

#define RIG_POLLS_MIN 3

void rig_poll_for(struct rig *rig, uint64_t ms)
{
    uint64_t end_ns = clock_now_ns() + ms * NS_PER_MS;
    for (unsigned polls = 0; polls < RIG_POLLS_MIN || clock_now_ns() < end_ns; polls++) {
        rig_poll(rig);
    }
}

void rig_give_back(struct rig *rig, bool send)
{
    assert_true(rig->held_count > 0);
    struct transport_buffer buffer = rig->held[0];
    uint64_t handle = rig->held_by[0];
    rig->held_count--;
    memmove(rig->held, rig->held + 1, rig->held_count * sizeof(rig->held[0]));
    memmove(rig->held_by, rig->held_by + 1, rig->held_count * sizeof(rig->held_by[0]));
    if (send) {
        assert_int_equal(transport_send_buffer(rig->transport, handle, &buffer), 0);
    } else {
        transport_buffer_release(rig->transport, handle, &buffer);
    }
}

struct rig_conn *rig_accepted(struct rig *rig)
{
    struct rig_conn *found = NULL;
    for (uint32_t i = 0; i < rig->conn_count; i++) {
        if (rig->conns[i].counts[TRANSPORT_ACCEPTED] != 0) {
            assert_null(found);
            found = &rig->conns[i];
        }
    }
    return found;
}

void rig_forget_closed(struct rig *rig)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < rig->conn_count; i++) {
        if (rig->conns[i].counts[TRANSPORT_CLOSED] == 0) {
            rig->conns[kept++] = rig->conns[i];
        }
    }
    memset(&rig->conns[kept], 0, (rig->conn_count - kept) * sizeof(rig->conns[0]));
    rig->conn_count = kept;
}

uint64_t rig_counter(const struct rig *rig, const char *name)
{
    struct counter_view view = transport_counters(rig->transport);
    for (size_t i = 0; i < view.count; i++) {
        if (strcmp(view.infos[i].name, name) == 0) {
            return view.values[i];
        }
    }
    fail_msg("no counter %s", name);
    return 0;
}

void rig_finish(struct rig *rig, struct rig_conn *conn, enum transport_close_how how)
{
    assert_int_equal(transport_close(rig->transport, conn->handle, how), 0);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CLOSED] == 1);
    assert_int_equal(conn->closed_error, 0);
}

int rig_open_accepted(struct rig *rig, struct rig_conn **accepted)
{
    rig_open(rig, 0);
    struct endpoint address = rig_listen(rig, NULL);
    int fd = peer_connect(rig, &address);
    RIG_UNTIL(rig, rig_accepted(rig) != NULL);
    *accepted = rig_accepted(rig);
    return fd;
}

int rig_open_connected(struct rig *rig, const struct transport_conn_options *options,
                       struct rig_conn **client)
{
    struct endpoint address = rig_peer_end(rig, 0);
    rig_open(rig, 0);
    int listener = peer_listen(&address);
    struct rig_conn *conn = rig_connect(rig, NULL, &address, options);
    RIG_UNTIL(rig, conn->counts[TRANSPORT_CONNECTED] == 1);
    int fd = peer_accept(listener);
    close(listener);
    *client = conn;
    return fd;
}

uint64_t time_wait_count(struct rig *rig)
{
    char line[256];
    uint64_t count = UINT64_MAX;
    FILE *file = fopen("/proc/self/net/sockstat", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *tw = strstr(line, " tw ");
        if (strncmp(line, "TCP:", 4) == 0 && tw != NULL) {
            count = strtoull(tw + 4, NULL, 10);
        }
    }
    fclose(file);
    assert_true(count != UINT64_MAX);
    return rig->transport != NULL ? count + transport_lingering(rig->transport).time_wait : count;
}

void time_wait_expect(struct rig *rig, uint64_t count)
{
    for (uint64_t end_ns = clock_now_ns() + RIG_PATIENCE_NS; time_wait_count(rig) != count;) {
        if (clock_now_ns() > end_ns) {
            fail_msg("%" PRIu64 " TIME_WAIT, not %" PRIu64, time_wait_count(rig), count);
        }
        if (is_stack(rig) && rig->transport != NULL) {
            rig_poll(rig);
        } else {
            usleep(1000);
        }
    }
}

uint32_t descriptor_count(void)
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* Enters a new namespace whose only interface is loopback, up. Returns 0 or -errno. */
static int namespace_enter(void)
{
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
        return -errno;
    }
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int rc = ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

static int test_setup(void **state)
{
    const struct rig_variant *variant = *state;
    if (namespace_enter() != 0 || (variant->engine == TRANSPORT_STACK && veth_lay() != 0)) {
        return -1;
    }
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->variant = variant;
    *state = rig;
    return 0;
}

static int test_teardown(void **state)
{
    struct rig *rig = *state;
    rig_close(rig);
    free(rig->collected);
    free(rig);
    return 0;
}

#define RIG_TESTS_MAX 64

/* Runs the tests under names that tell the variant. */
static int run_variant(const char *name, const struct CMUnitTest *tests, size_t count,
                       struct rig_variant *variant)
{
    struct CMUnitTest own[RIG_TESTS_MAX];
    char names[RIG_TESTS_MAX][160];
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "%.20s, %.50s: %.80s", name, variant->name,
                 tests[i].name);
        own[i] = tests[i];
        own[i].name = names[i];
        own[i].setup_func = test_setup;
        own[i].teardown_func = test_teardown;
        own[i].initial_state = variant;
    }
    return _cmocka_run_group_tests(names[0], own, count, NULL, NULL);
}

/* Adds an engine, and the engine without each of its features; returns how many there are then. */
static size_t add_variants(struct rig_variant *variants, size_t count, enum transport_engine engine,
                           const struct transport *transport)
{
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t feature_count = transport_features(transport, features, TRANSPORT_FEATURES_MAX);
    const char *name = transport_engine_name(engine);
    struct rig_variant *whole = &variants[count++];
    *whole = (struct rig_variant){.engine = engine};
    snprintf(whole->name, sizeof(whole->name), "%s", name);
    for (size_t i = 0; i < feature_count; i++) {
        struct rig_variant *variant = &variants[count++];
        *variant = (struct rig_variant){
            .engine = engine,
            .features_off = transport_feature_find(features[i].name),
        };
        snprintf(variant->name, sizeof(variant->name), "%s without %s", name, features[i].name);
    }
    return count;
}

static void ignore_event(void *context, const struct transport_event *event)
{
    (void)context;
    (void)event;
}

/* Makes the list of variants; returns how many. A probe tells io_uring's features; epoll's are told
 * by an open transport. */
static size_t list_variants(struct rig_variant *variants)
{
    struct transport_config config = {
        .engine = TRANSPORT_EPOLL, .conns_max = 1, .handler = ignore_event};
    struct transport *epoll;
    struct failure failure;
    assert_int_equal(transport_open(&epoll, &config, &failure), 0);
    size_t count = add_variants(variants, 0, TRANSPORT_EPOLL, epoll);
    transport_destroy(epoll);
    count = add_variants(variants, count, TRANSPORT_URING, NULL);
    variants[count++] = (struct rig_variant){.name = "stack", .engine = TRANSPORT_STACK};
    return count;
}

int rig_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    assert_true(count <= RIG_TESTS_MAX);
    if (namespace_enter() != 0) {
        print_message("no network namespace can be made here: skipped\n");
        return 77;
    }
    struct rig_variant variants[2 * (TRANSPORT_FEATURES_MAX + 1) + 1];
    size_t variant_count = list_variants(variants);
    const char *only = getenv("FINWAIT_TEST_VARIANT");
    int failed = 0;
    for (size_t i = 0; i < variant_count; i++) {
        if (only == NULL || strcmp(only, variants[i].name) == 0) {
            failed += run_variant(name, tests, count, &variants[i]);
        }
    }
    return failed == 0 ? 0 : 1;
}
