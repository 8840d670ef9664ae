#include "transport/rig.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/addr.h"

static struct rig_conn *conn_find(struct rig *rig, uint64_t handle)
{
    for (uint32_t i = 0; i < rig->conn_count; i++) {
        if (rig->conns[i].handle == handle) {
            return &rig->conns[i];
        }
    }
    return NULL;
}

static struct rig_conn *conn_add(struct rig *rig, uint64_t handle)
{
    assert_true(rig->conn_count < RIG_CONNS_MAX);
    assert_null(conn_find(rig, handle));
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
    assert_true(buffer->size > 0);
    conn->received_bytes += buffer->size;
    switch (rig->mode) {
    case RIG_ECHO:
        assert_int_equal(transport_send_buffer(rig->transport, conn->handle, buffer), 0);
        break;
    case RIG_COLLECT:
        collect(rig, buffer);
        transport_buffer_release(rig->transport, conn->handle, buffer);
        break;
    case RIG_HOLD:
        assert_true(rig->held_count < RIG_BUFFERS_MAX);
        rig->held_by[rig->held_count] = conn->handle;
        rig->held[rig->held_count++] = *buffer;
        break;
    }
    if (conn->recv_on_data) {
        assert_int_equal(transport_recv(rig->transport, conn->handle), 0);
    }
}

/* What holds on every connection, always. */
static void check_order(const struct rig_conn *conn, const struct transport_event *event)
{
    assert_int_equal(conn->counts[TRANSPORT_CLOSED], 0);
    if (event->type == TRANSPORT_DATA) {
        assert_int_equal(conn->counts[TRANSPORT_PEER_FIN], 0);
        assert_int_equal(conn->counts[TRANSPORT_FAILED], 0);
        assert_true(conn->counts[TRANSPORT_ACCEPTED] + conn->counts[TRANSPORT_CONNECTED] == 1);
    }
    if (event->type == TRANSPORT_PEER_FIN || event->type == TRANSPORT_FAILED ||
        event->type == TRANSPORT_CONNECTED || event->type == TRANSPORT_CONNECTING) {
        assert_int_equal(conn->counts[event->type], 0);
    }
    if (event->type == TRANSPORT_CONNECTED) {
        assert_int_equal(conn->counts[TRANSPORT_CONNECTING], 1);
    }
}

static void on_event(void *context, const struct transport_event *event)
{
    struct rig *rig = context;
    struct rig_conn *conn = conn_find(rig, event->conn);
    if (event->type == TRANSPORT_ACCEPTED) {
        assert_null(conn);
        conn = conn_add(rig, event->conn);
        memcpy(conn->close_on, rig->accept_as.close_on, sizeof(conn->close_on));
        conn->close_how = rig->accept_as.close_how;
        conn->shut_on_fin = rig->accept_as.shut_on_fin;
        conn->recv_on_data = rig->accept_as.recv_on_data;
        conn->listener = event->listener;
    }
    assert_non_null(conn);
    check_order(conn, event);
    conn->counts[event->type]++;
    conn->times_ns[event->type] = event->time_ns;
    if (event->type == TRANSPORT_DATA) {
        on_data(rig, conn, &event->buffer);
    } else if (event->type == TRANSPORT_SENT) {
        conn->sent_bytes += event->bytes;
    } else if (event->type == TRANSPORT_FAILED) {
        conn->phase = event->phase;
        conn->error = event->error;
    } else if (event->type == TRANSPORT_CLOSED) {
        conn->closed_error = event->error;
    } else if (event->type == TRANSPORT_PEER_FIN && conn->shut_on_fin) {
        assert_int_equal(transport_shutdown_write(rig->transport, conn->handle), 0);
    }
    if (conn->close_on[event->type]) {
        assert_int_equal(transport_close(rig->transport, conn->handle, conn->close_how), 0);
    }
}

void rig_open_config(struct rig *rig, struct transport_config config)
{
    struct failure failure;
    enum transport_engine chosen;
    if (transport_choose(rig->variant->engine, &chosen, rig->variant->features_off, &failure) != 0) {
        print_message("%s\n", failure.text);
        skip();
    }
    config.engine = chosen;
    config.features_off = rig->variant->features_off;
    config.listens = true;
    config.connects = true;
    config.handler = on_event;
    config.context = rig;
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
    rig->transport = NULL;
}

struct endpoint rig_loopback(uint16_t port)
{
    return (struct endpoint){.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}, .port = port};
}

struct endpoint rig_listen(struct rig *rig, const struct transport_listen_options *options)
{
    struct transport_listen_options plain = {.backlog = 64};
    struct endpoint address = rig_loopback(0);
    struct failure failure;
    uint32_t listener;
    if (transport_listen(rig->transport, &address, options ? options : &plain, &listener,
                         &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return address;
}

struct rig_conn *rig_connect(struct rig *rig, const struct endpoint *source,
                             const struct endpoint *target,
                             const struct transport_conn_options *options)
{
    struct transport_conn_options plain = {.close_how = TRANSPORT_CLOSE_PLAIN};
    struct flow flow = {.target = *target};
    uint64_t handle;
    if (source != NULL) {
        flow.source = *source;
    }
    int rc = transport_connect(rig->transport, &flow, options ? options : &plain, 0, &handle);
    assert_int_equal(rc, 0);
    return conn_add(rig, handle);
}

void rig_poll(struct rig *rig)
{
    assert_int_equal(transport_poll(rig->transport, clock_now_ns() + 5 * NS_PER_MS), 0);
}

void rig_poll_for(struct rig *rig, uint64_t ms)
{
    uint64_t end_ns = clock_now_ns() + ms * NS_PER_MS;
    while (clock_now_ns() < end_ns) {
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

uint64_t time_wait_count(void)
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
    return count;
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
    if (namespace_enter() != 0) {
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

static int run_variant(const char *name, struct CMUnitTest *tests, size_t count,
                       struct rig_variant *variant)
{
    char group[128];
    snprintf(group, sizeof(group), "%s, %s", name, variant->name);
    for (size_t i = 0; i < count; i++) {
        tests[i].setup_func = test_setup;
        tests[i].teardown_func = test_teardown;
        tests[i].initial_state = variant;
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

int rig_run(const char *name, const struct CMUnitTest *tests, size_t count)
{
    if (namespace_enter() != 0) {
        print_message("no network namespace can be made here: skipped\n");
        return 77;
    }
    struct CMUnitTest *own = calloc(count, sizeof(*own));
    memcpy(own, tests, count * sizeof(*own));
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t feature_count = transport_features(NULL, features, TRANSPORT_FEATURES_MAX);
    struct rig_variant variant = {.name = "epoll", .engine = TRANSPORT_EPOLL};
    int failed = run_variant(name, own, count, &variant);
    variant = (struct rig_variant){.name = "uring", .engine = TRANSPORT_URING};
    failed += run_variant(name, own, count, &variant);
    for (size_t i = 0; i < feature_count; i++) {
        variant.features_off = transport_feature_find(features[i].name);
        snprintf(variant.name, sizeof(variant.name), "uring without %s", features[i].name);
        failed += run_variant(name, own, count, &variant);
    }
    free(own);
    return failed == 0 ? 0 : 1;
}
