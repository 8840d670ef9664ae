/* The epoll engine's sending half of a connection: a queue of lent buffers and of the caller's
 * memory, sent at once where the kernel takes it, else when EPOLLOUT comes. */
#include <errno.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "transport/epoll_engine.h"

/* Sends once. What the kernel takes only in part has filled the socket's buffer, and EPOLLOUT will
 * come; so it will where it says EAGAIN, or EINPROGRESS on a Fast Open whose SYN could carry no
 * data. */
static void send_some(struct epoll_engine *engine, struct epoll_conn *conn, uint64_t bytes_max)
{
    struct iovec pieces[EPOLL_SEND_PIECES_MAX];
    struct msghdr message = {.msg_iov = pieces};
    uint64_t bytes;
    message.msg_iovlen =
        send_queue_gather(&conn->io.sends, bytes_max, pieces, EPOLL_SEND_PIECES_MAX, &bytes);
    ENGINE_COUNT(&engine->base, syscalls);
    ssize_t sent = message.msg_iovlen == 1
                       ? send(conn->fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL)
                       : sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) {
        send_queue_consume(&conn->io.sends, (uint64_t)sent);
        conn->io.run_sent_bytes += (uint32_t)sent;
        conn->io.blocked = (uint64_t)sent < bytes;
    } else if (errno == EAGAIN || errno == EINPROGRESS) {
        conn->io.blocked = true;
    } else if (errno != EINTR) {
        ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_SEND, errno);
    }
}

static void shut_down(struct epoll_engine *engine, struct epoll_conn *conn)
{
    conn->io.shut_done = true;
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
    ready_fail(&engine->ready, &conn->io, TRANSPORT_PHASE_SHUTDOWN, error);
}

void epoll_conn_flush(struct epoll_engine *engine, struct epoll_conn *conn)
{
    while (ready_has_unsent(&conn->io)) {
        send_some(engine, conn, READY_SEND_BYTES_PER_RUN - conn->io.run_sent_bytes);
    }
    if (ready_shut_due(&conn->io)) {
        shut_down(engine, conn);
    }
}

/* Hands over what a call just added; what comes of it is delivered when the connection is run. */
static void flush_now(struct epoll_engine *engine, struct epoll_conn *conn)
{
    if (ready_may_flush(&conn->io)) {
        epoll_conn_flush(engine, conn);
        ready_enqueue(&engine->ready, &conn->io);
    }
}

int epoll_conn_send(struct transport *transport, struct transport_conn *head, const void *data,
                    uint64_t bytes)
{
    struct epoll_conn *conn = epoll_conn_of(head);
    int rc = ready_send(&conn->io, data, bytes);
    if (rc == 0) {
        flush_now(epoll_engine_of(transport), conn);
    }
    return rc;
}

int epoll_conn_send_buffer(struct transport *transport, struct transport_conn *head,
                           const struct transport_buffer *lent)
{
    struct epoll_engine *engine = epoll_engine_of(transport);
    struct epoll_conn *conn = epoll_conn_of(head);
    int rc = ready_send_buffer(&engine->ready, &conn->io, lent);
    if (rc == 0) {
        flush_now(engine, conn);
    }
    return rc;
}

void epoll_conn_shutdown_write(struct transport *transport, struct transport_conn *head)
{
    struct epoll_conn *conn = epoll_conn_of(head);
    conn->io.shut_wanted = true;
    flush_now(epoll_engine_of(transport), conn);
}
