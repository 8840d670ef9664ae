/* Set-up of the io_uring engine's client sockets.
 *
 * A socket is made by plain calls and keeps its descriptor as long as there are plenty: that is
 * quicker than a chain of operations, and lets shutdown() be a plain call too. When descriptors get
 * short, sockets are made in the ring's own table, which RLIMIT_NOFILE bounds for each ring, not
 * for the process. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "transport/uring_engine.h"

static void connect_issue(struct uring_engine *engine, struct uring_conn *conn)
{
    uring_conn_state_set(conn, URING_CONN_CONNECTING);
    engine_connecting(&engine->head, &conn->head, clock_now_ns());
    if (conn->state == URING_CONN_CLOSING) {
        return;
    }
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    socklen_t length =
        conn->target.any.sa_family == AF_INET ? sizeof(conn->target.v4) : sizeof(conn->target.v6);
    io_uring_prep_connect(sqe, conn->file, &conn->target.any, length);
    uring_conn_sqe_set(sqe, conn, URING_OP_CONNECT);
    conn->connecting = true;
}

static void setup_link(struct io_uring_sqe *sqe, struct uring_conn *conn, bool last)
{
    uring_conn_sqe_set(sqe, conn, URING_OP_SETUP);
    if (!last) {
        sqe->flags |= IOSQE_IO_LINK;
    }
}

/* Queues socket, options and bind as a chain: the first that fails ends it, with its own errno. */
static void setup_in_ring(struct uring_engine *engine, struct uring_conn *conn)
{
    struct socket_option list[SOCKET_OPTIONS_MAX];
    bool bound = conn->source.any.sa_family != AF_UNSPEC;
    size_t count = socket_connect_options(&conn->options, bound, list);
    uring_reserve(&uring_conn_ring(engine, conn)->uring, (uint32_t)count + 2);
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_socket_direct(sqe, conn->target.any.sa_family, SOCK_STREAM, IPPROTO_TCP,
                                (unsigned)conn->file, 0);
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_SOCKET, conn->head.handle));
    sqe->flags |= IOSQE_IO_LINK;
    for (size_t i = 0; i < count; i++) {
        sqe = uring_conn_sqe(engine, conn);
        uring_prep_setsockopt(sqe, conn->file, &list[i]);
        setup_link(sqe, conn, i + 1 == count && !bound);
    }
    if (bound) {
        socklen_t length = conn->source.any.sa_family == AF_INET ? sizeof(conn->source.v4)
                                                                 : sizeof(conn->source.v6);
        sqe = uring_conn_sqe(engine, conn);
        uring_prep_bind(sqe, conn->file, &conn->source.any, length);
        setup_link(sqe, conn, true);
    }
}

static bool setup_fits_ring(const struct uring_engine *engine)
{
    return uring_has(engine, URING_FEATURE_SOCKET_OP) &&
           uring_has(engine, URING_FEATURE_SETSOCKOPT_OP) &&
           uring_has(engine, URING_FEATURE_BIND_OP);
}

/* Lets connect be issued from the next poll: events come from there and nowhere else. */
static void defer(struct uring_engine *engine, struct uring_conn *conn)
{
    conn->deferred = true;
    conn->deferred_next = SLAB_HANDLE_NONE;
    struct uring_conn *last = slab_get(&engine->head.conns, engine->deferred_last);
    if (engine->deferred_first != SLAB_HANDLE_NONE && last != NULL) {
        last->deferred_next = conn->head.handle;
    } else {
        engine->deferred_first = conn->head.handle;
    }
    engine->deferred_last = conn->head.handle;
}

static void setup_done(struct uring_engine *engine, struct uring_conn *conn)
{
    if (conn->state == URING_CONN_CLOSING) {
        uring_conn_settle(engine, conn);
    } else if (conn->error != 0) {
        int error = conn->error;
        conn->error = 0;
        engine_failed(&engine->head, &conn->head, TRANSPORT_PHASE_SETUP, error);
    } else {
        connect_issue(engine, conn);
    }
}

bool uring_setup_deferred(struct uring_engine *engine)
{
    bool failed = false;
    uint64_t last = engine->deferred_last;
    uint64_t handle = engine->deferred_first;
    while (handle != SLAB_HANDLE_NONE) {
        struct uring_conn *conn = slab_get(&engine->head.conns, handle);
        bool is_last = handle == last; /* what a handler adds meanwhile waits for the next poll */
        engine->deferred_first = conn->deferred_next;
        conn->deferred = false;
        handle = is_last ? SLAB_HANDLE_NONE : conn->deferred_next;
        failed = failed || conn->error != 0;
        setup_done(engine, conn);
    }
    return failed;
}

void uring_on_socket(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->has_file = result >= 0;
    uring_on_setup(engine, conn, result);
}

void uring_on_setup(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->pending--;
    if (result < 0 && conn->error == 0 && result != -ECANCELED) {
        conn->error = -result;
    }
    if (conn->pending == 0) {
        setup_done(engine, conn);
    }
}

static bool is_short_of_descriptors(int rc)
{
    return rc == -EMFILE || rc == -ENFILE;
}

/* Takes a slot in a ring's table and puts the socket there: `fd`, or, when that is none, one that
 * the ring makes. */
static int connect_direct(struct uring_engine *engine, struct uring_conn *conn, int fd)
{
    if (fd < 0 && !setup_fits_ring(engine)) {
        return fd;
    }
    int rc = uring_rings_for_connect(engine);
    if (rc != 0) {
        return rc;
    }
    struct uring_ring *ring = engine->rings[engine->connect_ring];
    conn->direct = true;
    conn->ring = (uint8_t)engine->connect_ring;
    conn->file = uring_slot_take(ring);
    if (setup_fits_ring(engine)) {
        setup_in_ring(engine, conn);
        return 0;
    }
    rc = io_uring_register_files_update(&ring->uring.ring, (unsigned)conn->file, &fd, 1);
    conn->has_file = rc == 1;
    conn->error = rc < 0 ? -rc : 0;
    defer(engine, conn);
    return 0;
}

static int connect_plain(struct uring_engine *engine, struct uring_conn *conn, int fd)
{
    conn->has_file = fd >= 0;
    conn->file = fd;
    conn->error = fd < 0 ? -fd : 0;
    engine->plain_count += fd >= 0;
    defer(engine, conn);
    return 0;
}

int uring_connect(struct transport *transport, struct transport_conn *base, const struct flow *flow,
                  const struct transport_conn_options *options)
{
    struct uring_engine *engine = uring_engine_of(transport);
    struct uring_conn *conn = (struct uring_conn *)base;
    bool may_direct = uring_has(engine, URING_FEATURE_DIRECT);
    uring_conn_init(conn, 0, options);
    socket_address_set(&conn->source, &flow->source);
    socket_address_set(&conn->target, &flow->target);
    if (may_direct && engine->plain_count >= engine->plain_max && setup_fits_ring(engine)) {
        return connect_direct(engine, conn, -EMFILE);
    }
    int fd = socket_open_client(flow, options, 0);
    ENGINE_ADD(&engine->head, syscalls, 4);
    if (fd == -ENOMEM || (is_short_of_descriptors(fd) && !may_direct)) {
        return fd;
    }
    bool is_short = is_short_of_descriptors(fd) || fd >= engine->descriptors_plenty;
    if (!may_direct || !is_short) {
        return connect_plain(engine, conn, fd);
    }
    engine->plain_max = engine->plain_count;
    int rc = connect_direct(engine, conn, fd);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}
