/* The epoll engine's sending half of a connection: a queue of lent buffers and of the caller's
 * memory, sent at once where the kernel takes it, else when EPOLLOUT comes. */
#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "transport/epoll_engine.h"

void epoll_conn_put_buffer(struct epoll_engine *engine, struct epoll_conn *conn,
                           struct epoll_buffer *buffer)
{
    epoll_pool_put(&engine->pool, buffer);
    ASSERT(conn->held > 0);
    conn->held--;
    if (conn->paused) {
        conn->paused = false;
        epoll_conn_enqueue(engine, conn);
    }
}

static void send_finish(struct epoll_engine *engine, struct epoll_conn *conn,
                        struct epoll_send *send)
{
    if (send == &conn->memory) {
        conn->memory_pending = false;
    } else {
        epoll_conn_put_buffer(engine, conn, epoll_pool_find(&engine->pool, send->buffer_id));
    }
}

static void drop_list(struct epoll_engine *engine, struct epoll_conn *conn, struct epoll_send *send)
{
    while (send != NULL) {
        struct epoll_send *next = send->next;
        send_finish(engine, conn, send);
        send = next;
    }
}

void epoll_conn_drop_unsent(struct epoll_engine *engine, struct epoll_conn *conn)
{
    struct epoll_send **link = &conn->sends;
    while (*link != conn->unsent) {
        conn->last = *link;
        link = &(*link)->next;
    }
    struct epoll_send *unsent = conn->unsent;
    *link = NULL;
    conn->unsent = NULL;
    drop_list(engine, conn, unsent);
}

void epoll_conn_drop_sends(struct epoll_engine *engine, struct epoll_conn *conn)
{
    struct epoll_send *sends = conn->sends;
    conn->sends = NULL;
    conn->unsent = NULL;
    drop_list(engine, conn, sends);
}

void epoll_conn_deliver_sent(struct epoll_engine *engine, struct epoll_conn *conn)
{
    struct epoll_send *send = conn->sends;
    uint64_t bytes = send->bytes;
    conn->sends = send->next;
    send_finish(engine, conn, send);
    engine_sent(&engine->base, &conn->base, bytes);
}

/* Marks the first `bytes` of the unsent pieces as taken by the kernel. */
static void consume(struct epoll_conn *conn, uint64_t bytes)
{
    while (bytes > 0) {
        struct epoll_send *send = conn->unsent;
        ASSERT(send != NULL);
        uint64_t taken = bytes < send->left_bytes ? bytes : send->left_bytes;
        send->data += taken;
        send->left_bytes -= taken;
        bytes -= taken;
        if (send->left_bytes == 0) {
            conn->unsent = send->next;
        }
    }
}

/* Lists unsent pieces, `bytes_max` at most, as sendmsg takes them; returns how many bytes they are.
 */
static uint64_t gather(const struct epoll_conn *conn, uint64_t bytes_max, struct msghdr *message)
{
    uint64_t bytes = 0;
    struct epoll_send *send = conn->unsent;
    while (send != NULL && bytes < bytes_max && message->msg_iovlen < EPOLL_SEND_PIECES_MAX) {
        uint64_t room = bytes_max - bytes;
        struct iovec *piece = &message->msg_iov[message->msg_iovlen++];
        piece->iov_base = (void *)(uintptr_t)send->data; /* sendmsg only reads it */
        piece->iov_len = send->left_bytes < room ? send->left_bytes : room;
        bytes += piece->iov_len;
        send = send->next;
    }
    return bytes;
}

/* Sends once. What the kernel takes only in part has filled the socket's buffer, and EPOLLOUT will
 * come; so it will where it says EAGAIN, or EINPROGRESS on a Fast Open whose SYN could carry no
 * data. */
static void send_some(struct epoll_engine *engine, struct epoll_conn *conn, uint64_t bytes_max)
{
    struct iovec pieces[EPOLL_SEND_PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    uint64_t bytes = gather(conn, bytes_max, &message);
    ENGINE_COUNT(&engine->base, syscalls);
    ssize_t sent = message.msg_iovlen == 1
                       ? send(conn->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                       : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) {
        consume(conn, (uint64_t)sent);
        conn->run_sent_bytes += (uint32_t)sent;
        conn->blocked = (uint64_t)sent < bytes;
    } else if (errno == EAGAIN || errno == EINPROGRESS) {
        conn->blocked = true;
    } else if (errno != EINTR) {
        epoll_conn_fail(engine, conn, TRANSPORT_PHASE_SEND, errno);
    }
}

static void shut_down(struct epoll_engine *engine, struct epoll_conn *conn)
{
    conn->shut_done = true;
    ENGINE_COUNT(&engine->base, syscalls);
    if (shutdown(conn->fd, SHUT_WR) == 0) {
        return;
    }
    /* ENOTCONN: a reset came in meanwhile, and the socket keeps it as its error. */
    int error = errno;
    int reset = 0;
    socklen_t length = sizeof(reset);
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &reset, &length) == 0 && reset != 0) {
        error = reset;
    }
    epoll_conn_fail(engine, conn, TRANSPORT_PHASE_SHUTDOWN, error);
}

void epoll_conn_flush(struct epoll_engine *engine, struct epoll_conn *conn)
{
    while (conn->unsent != NULL && !conn->blocked &&
           conn->run_sent_bytes < EPOLL_SEND_BYTES_PER_RUN) {
        send_some(engine, conn, EPOLL_SEND_BYTES_PER_RUN - conn->run_sent_bytes);
    }
    if (conn->state == EPOLL_CONN_OPEN && conn->unsent == NULL && conn->shut_wanted &&
        !conn->shut_done) {
        shut_down(engine, conn);
    }
}

/* Puts a send at the queue's end; the first one goes to the kernel at once. */
static void send_append(struct epoll_engine *engine, struct epoll_conn *conn,
                        struct epoll_send *send)
{
    send->next = NULL;
    send->left_bytes = send->bytes;
    if (conn->sends == NULL) {
        conn->sends = send;
    } else {
        conn->last->next = send;
    }
    conn->last = send;
    if (conn->unsent == NULL) {
        conn->unsent = send;
        if (conn->state == EPOLL_CONN_OPEN) {
            epoll_conn_flush(engine, conn);
            epoll_conn_enqueue(engine, conn);
        }
    }
}

int epoll_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes)
{
    struct epoll_conn *conn = epoll_conn_of(head);
    if (conn->shut_wanted) {
        return -EPIPE;
    }
    if (conn->state < EPOLL_CONN_OPEN) {
        return -ENOTCONN;
    }
    if (conn->memory_pending) {
        return -EBUSY;
    }
    if (conn->state == EPOLL_CONN_FAILED) {
        return conn->failed_due ? 0 : -EPIPE;
    }
    conn->memory_pending = true;
    conn->memory =
        (struct epoll_send){.data = data, .bytes = bytes, .buffer_id = EPOLL_SEND_MEMORY};
    send_append(epoll_engine_of(transport), conn, &conn->memory);
    return 0;
}

int epoll_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent)
{
    struct epoll_conn *conn = epoll_conn_of(head);
    struct epoll_engine *engine = epoll_engine_of(transport);
    if (conn->shut_wanted || conn->state == EPOLL_CONN_FAILED) {
        epoll_conn_buffer_release(transport, head, lent);
        return conn->failed_due && !conn->shut_wanted ? 0 : -EPIPE;
    }
    struct epoll_buffer *buffer = epoll_pool_find(&engine->pool, lent->id);
    ASSERT(buffer->state == EPOLL_BUFFER_LENT);
    ASSERT(lent->size > 0 && lent->size <= engine->pool.buffer_bytes);
    buffer->state = EPOLL_BUFFER_SENDING;
    buffer->send.data = lent->data;
    buffer->send.bytes = lent->size;
    send_append(engine, conn, &buffer->send);
    return 0;
}

void epoll_conn_shutdown_write(struct transport *transport, struct transport_conn *head)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_conn *conn = epoll_conn_of(head);
    conn->shut_wanted = true;
    if (conn->state == EPOLL_CONN_OPEN && conn->unsent == NULL) {
        epoll_conn_flush(engine, conn);
        epoll_conn_enqueue(engine, conn);
    }
}
