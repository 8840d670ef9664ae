/* Data on the io_uring engine: receives into the kernel's choice of buffer, sends from it.
 *
 * A received buffer is lent to the handler and, when it is sent, goes to the kernel from where it
 * is. The sends of a connection form a queue, linked through the buffers themselves; one is in the
 * kernel at a time. A connection that holds its whole credit of buffers stops receiving until it
 * gives some back.
 *
 * Receives are single. A multishot receive may fill every buffer of its group before its first
 * completion is seen, so no credit could bound it, and for churn it gains nothing that can be
 * measured. */
#include <errno.h>

#include "base/assert.h"
#include "transport/uring_engine.h"

static void starved_append(struct uring_engine *engine, struct uring_conn *conn)
{
    struct uring_ring *ring = uring_conn_ring(engine, conn);
    conn->recv_starved = true;
    conn->starved_next = SLAB_HANDLE_NONE;
    struct uring_conn *last = slab_get(&engine->head.conns, ring->starved_last);
    if (last != NULL && last->recv_starved && ring->starved_first != SLAB_HANDLE_NONE) {
        last->starved_next = conn->head.handle;
    } else {
        ring->starved_first = conn->head.handle;
    }
    ring->starved_last = conn->head.handle;
}

/* Lets the connection that has waited longest for a buffer receive: one that is being closed does
 * not take it. */
static void starved_resume(struct uring_engine *engine, struct uring_ring *ring)
{
    bool taken = false;
    while (!taken && ring->starved_first != SLAB_HANDLE_NONE) {
        struct uring_conn *conn = slab_get(&engine->head.conns, ring->starved_first);
        ASSERT(conn != NULL);
        ring->starved_first = conn->starved_next;
        conn->recv_starved = false;
        uring_recv_arm(engine, conn);
        taken = conn->recv_armed || conn->recv_starved;
    }
}

/* A connection that leaves while it waits for a buffer must not break the list. */
static void starved_remove(struct uring_engine *engine, struct uring_conn *conn)
{
    struct uring_ring *ring = uring_conn_ring(engine, conn);
    uint64_t *link = &ring->starved_first;
    uint64_t before = SLAB_HANDLE_NONE;
    while (*link != SLAB_HANDLE_NONE && *link != conn->head.handle) {
        struct uring_conn *at = slab_get(&engine->head.conns, *link);
        ASSERT(at != NULL);
        before = *link;
        link = &at->starved_next;
    }
    if (*link == conn->head.handle) {
        *link = conn->starved_next;
        ring->starved_last = ring->starved_last == conn->head.handle ? before : ring->starved_last;
    }
    conn->recv_starved = false;
}

static bool may_receive(const struct uring_engine *engine, const struct uring_conn *conn)
{
    return conn->state == URING_CONN_OPEN && !conn->recv_armed && !conn->recv_starved &&
           !conn->peer_fin && (!conn->pull || conn->recv_wanted) &&
           conn->held < engine->head.config.read_credit;
}

void uring_recv_arm(struct uring_engine *engine, struct uring_conn *conn)
{
    if (!may_receive(engine, conn)) {
        return;
    }
    struct uring_ring *ring = uring_conn_ring(engine, conn);
    if (!uring_group_choose(engine, ring)) {
        ENGINE_COUNT(&engine->head, buffers_short);
        starved_append(engine, conn);
        return;
    }
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_recv(sqe, conn->file, NULL, 0, 0);
    uring_conn_sqe_set(sqe, conn, URING_OP_RECV);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    /* Behind our FIN the peer's is what comes next, and often has by the time of the submission. */
    if (conn->recv_dry && !conn->shut) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    sqe->buf_group = (uint16_t)ring->group;
    conn->recv_group = ring->group;
    conn->recv_armed = true;
}

static void buffer_give(struct uring_engine *engine, uint32_t id)
{
    uint32_t index;
    struct uring_buffers *group = uring_group_of(engine, id, &index);
    uring_buffers_give(group, index);
    struct uring_ring *ring = engine->rings[id >> URING_ID_RING_SHIFT];
    if (ring->starved_first != SLAB_HANDLE_NONE) {
        starved_resume(engine, ring);
    }
}

/* Gives a connection's buffer back, and lets the connection receive again. */
static void conn_give(struct uring_engine *engine, struct uring_conn *conn, uint32_t id)
{
    ASSERT(conn->held > 0);
    conn->held--;
    buffer_give(engine, id);
    uring_recv_arm(engine, conn);
}

/* Tells the handler about the bytes that came, or takes the buffer back when nobody wants them. */
static void recv_data(struct uring_engine *engine, struct uring_conn *conn,
                      const struct io_uring_cqe *cqe, uint32_t group_index)
{
    uint32_t index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    struct uring_buffers *group = &uring_conn_ring(engine, conn)->groups[group_index];
    struct transport_buffer buffer = {.data = uring_buffers_data(group, index),
                                      .size = (uint32_t)cqe->res,
                                      .id = uring_buffer_id(conn->ring, group_index, index)};
    group->lent++;
    group->sizes[index] = buffer.size;
    conn->held++;
    conn->recv_wanted = false;
    if (conn->held >= engine->head.config.read_credit) {
        ENGINE_COUNT(&engine->head, credit_paused);
    }
    if (!engine_data(&engine->head, &conn->head, &buffer)) {
        conn_give(engine, conn, buffer.id);
    }
}

/* A buffer that was picked and came back without bytes. */
static void recv_empty(struct uring_engine *engine, struct uring_conn *conn,
                       const struct io_uring_cqe *cqe)
{
    uint32_t index = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
    uring_conn_ring(engine, conn)->groups[conn->recv_group].lent++;
    buffer_give(engine, uring_buffer_id(conn->ring, conn->recv_group, index));
}

/* Handles the end of a receive: end of file, or an error. */
static void recv_end(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    struct uring_ring *ring = uring_conn_ring(engine, conn);
    switch (-result) {
    case 0:
        conn->peer_fin = true;
        engine_event(&engine->head, &conn->head, TRANSPORT_PEER_FIN);
        break;
    case ENOBUFS:
        /* The group ran empty under us: mark it so, and go on with another. */
        ENGINE_COUNT(&engine->head, buffers_short);
        ring->group = (ring->group + 1) % ring->group_count;
        break;
    case ECANCELED: /* closing */
    case EINTR:
    case EAGAIN:
        break;
    default:
        conn->peer_fin = true; /* nothing more will come */
        engine_failed(&engine->head, &conn->head, TRANSPORT_PHASE_RECV, -result);
        break;
    }
}

void uring_on_recv(struct uring_engine *engine, struct uring_conn *conn,
                   const struct io_uring_cqe *cqe)
{
    conn->recv_armed = false;
    conn->pending--;
    /* True of receives that are armed from here on until this function ends. */
    conn->recv_dry = cqe->res > 0 && (cqe->flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
    if (cqe->flags & IORING_CQE_F_BUFFER && cqe->res > 0) {
        recv_data(engine, conn, cqe, conn->recv_group);
    } else {
        if (cqe->flags & IORING_CQE_F_BUFFER) {
            recv_empty(engine, conn, cqe);
        }
        recv_end(engine, conn, cqe->res);
    }
    if (!conn->recv_armed) {
        uring_recv_arm(engine, conn);
    }
    conn->recv_dry = false;
    uring_conn_settle(engine, conn);
}

void uring_recv(struct transport *transport, struct transport_conn *base)
{
    struct uring_conn *conn = (struct uring_conn *)base;
    conn->recv_wanted = true;
    uring_recv_arm(uring_engine_of(transport), conn);
}

void uring_buffer_release(struct transport *transport, struct transport_conn *base,
                          const struct transport_buffer *buffer)
{
    struct uring_engine *engine = uring_engine_of(transport);
    if (base != NULL) {
        conn_give(engine, (struct uring_conn *)base, buffer->id);
    } else {
        buffer_give(engine, buffer->id);
    }
}

static uint32_t *queue_link(struct uring_engine *engine, struct uring_conn *conn, uint32_t id)
{
    if (id == URING_QUEUE_STATIC) {
        return &conn->data_next;
    }
    uint32_t index;
    struct uring_buffers *group = uring_group_of(engine, id, &index);
    return &group->next[index];
}

/* Finds what is left to send of the queue's first entry. */
static const uint8_t *queue_first(struct uring_engine *engine, const struct uring_conn *conn,
                                  uint64_t *bytes)
{
    if (conn->queue_first == URING_QUEUE_STATIC) {
        *bytes = conn->data_bytes - conn->sent;
        return conn->data + conn->sent;
    }
    uint32_t index;
    struct uring_buffers *group = uring_group_of(engine, conn->queue_first, &index);
    *bytes = group->sizes[index] - conn->sent;
    return uring_buffers_data(group, index) + conn->sent;
}

/* The kernel takes a length as 32 bits and a result as an int. */
#define SEND_BYTES_MAX (UINT64_C(1) << 30)

static void send_issue(struct uring_engine *engine, struct uring_conn *conn)
{
    uint64_t bytes;
    const uint8_t *data = queue_first(engine, conn, &bytes);
    struct io_uring_sqe *sqe = uring_conn_sqe(engine, conn);
    io_uring_prep_send(sqe, conn->file, data, bytes < SEND_BYTES_MAX ? bytes : SEND_BYTES_MAX,
                       MSG_WAITALL | MSG_NOSIGNAL);
    uring_conn_sqe_set(sqe, conn, URING_OP_SEND);
    conn->sending = true;
}

static void queue_append(struct uring_engine *engine, struct uring_conn *conn, uint32_t id)
{
    *queue_link(engine, conn, id) = URING_QUEUE_END;
    if (conn->queue_first == URING_QUEUE_END) {
        conn->queue_first = id;
        conn->sent = 0;
    } else {
        *queue_link(engine, conn, conn->queue_last) = id;
    }
    conn->queue_last = id;
    if (!conn->sending) {
        send_issue(engine, conn);
    }
}

int uring_send(struct transport *transport, struct transport_conn *base, const void *data,
               uint64_t bytes)
{
    struct uring_conn *conn = (struct uring_conn *)base;
    if (conn->state != URING_CONN_OPEN || conn->shut) {
        return conn->shut ? -EPIPE : -ENOTCONN;
    }
    if (conn->data != NULL) {
        return -EBUSY;
    }
    conn->data = data;
    conn->data_bytes = bytes;
    queue_append(uring_engine_of(transport), conn, URING_QUEUE_STATIC);
    return 0;
}

int uring_send_buffer(struct transport *transport, struct transport_conn *base,
                      const struct transport_buffer *buffer)
{
    struct uring_engine *engine = uring_engine_of(transport);
    struct uring_conn *conn = (struct uring_conn *)base;
    if (conn->state != URING_CONN_OPEN || conn->shut) {
        conn_give(engine, conn, buffer->id);
        return conn->shut ? -EPIPE : -ENOTCONN;
    }
    uint32_t index;
    struct uring_buffers *group = uring_group_of(engine, buffer->id, &index);
    ASSERT(buffer->size > 0 && buffer->size <= group->sizes[index]);
    group->sizes[index] = buffer->size;
    queue_append(engine, conn, buffer->id);
    return 0;
}

/* Takes the first entry off the queue; returns how many bytes it was. */
static uint64_t queue_shift(struct uring_engine *engine, struct uring_conn *conn)
{
    uint32_t id = conn->queue_first;
    conn->queue_first = *queue_link(engine, conn, id);
    conn->sent = 0;
    if (id == URING_QUEUE_STATIC) {
        conn->data = NULL;
        return conn->data_bytes;
    }
    uint32_t index;
    uint32_t bytes = uring_group_of(engine, id, &index)->sizes[index];
    conn_give(engine, conn, id);
    return bytes;
}

static void queue_drop(struct uring_engine *engine, struct uring_conn *conn)
{
    while (conn->queue_first != URING_QUEUE_END) {
        queue_shift(engine, conn);
    }
}

void uring_data_stop(struct uring_engine *engine, struct uring_conn *conn)
{
    if (conn->recv_starved) {
        starved_remove(engine, conn);
    }
    if (!conn->sending) {
        queue_drop(engine, conn);
    }
}

void uring_send_next(struct uring_engine *engine, struct uring_conn *conn)
{
    if (conn->state != URING_CONN_OPEN || conn->sending) {
        return;
    }
    if (conn->queue_first != URING_QUEUE_END) {
        send_issue(engine, conn);
    } else if (conn->shut && !conn->shut_done) {
        uring_shutdown_issue(engine, conn);
    }
}

void uring_on_send(struct uring_engine *engine, struct uring_conn *conn, int result)
{
    conn->pending--;
    conn->sending = false;
    if (conn->state == URING_CONN_CLOSING) {
        queue_drop(engine, conn);
        uring_conn_settle(engine, conn);
        return;
    }
    if (result < 0 && result != -EINTR && result != -EAGAIN) {
        engine_failed(&engine->head, &conn->head, TRANSPORT_PHASE_SEND, -result);
        return;
    }
    conn->sent += result > 0 ? (uint64_t)result : 0;
    uint64_t left;
    (void)queue_first(engine, conn, &left);
    if (left == 0) {
        engine_sent(&engine->head, &conn->head, queue_shift(engine, conn));
    }
    uring_send_next(engine, conn);
    uring_conn_settle(engine, conn);
}
