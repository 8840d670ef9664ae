/* The io_uring server: multishot accept to direct descriptors, multishot receive into the kernel's
 * choice of buffer, send from that buffer, close at the peer's end. It keeps nothing about a
 * connection: what a completion needs is in its tag. */
#include <errno.h>

#include "ring.h"

#define SERVER_FILES 8192u

enum server_op { SERVER_ACCEPT, SERVER_RECV, SERVER_SEND, SERVER_CLOSE };

struct server {
    struct ring ring;
    const struct floor_options *options;
    int listener;
    bool direct;
};

static void tag_set(const struct server *server, struct io_uring_sqe *sqe, struct ring_tag tag)
{
    io_uring_sqe_set_data64(sqe, ring_tag_pack(tag));
    if (server->direct && tag.op != SERVER_ACCEPT && tag.op != SERVER_CLOSE) {
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

static void accept_queue(struct server *server)
{
    struct io_uring_sqe *sqe = ring_sqe(&server->ring);
    io_uring_prep_accept(sqe, server->listener, NULL, NULL, server->direct ? 0 : SOCK_CLOEXEC);
    sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
    if (server->direct) {
        sqe->file_index = IORING_FILE_INDEX_ALLOC;
    }
    tag_set(server, sqe, (struct ring_tag){.op = SERVER_ACCEPT});
}

static void recv_queue(struct server *server, uint32_t file)
{
    struct io_uring_sqe *sqe = ring_sqe(&server->ring);
    io_uring_prep_recv(sqe, (int)file, NULL, 0, 0);
    sqe->ioprio |= IORING_RECV_MULTISHOT;
    if (floor_has(server->options, FLOOR_VARIANT_POLL_FIRST)) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    tag_set(server, sqe, (struct ring_tag){.op = SERVER_RECV, .file = file});
}

static void send_queue(struct server *server, uint32_t file, uint16_t buffer, uint32_t bytes)
{
    struct io_uring_sqe *sqe = ring_sqe(&server->ring);
    io_uring_prep_send(sqe, (int)file, ring_buffer(&server->ring, buffer), bytes,
                       MSG_WAITALL | MSG_NOSIGNAL);
    tag_set(server, sqe, (struct ring_tag){SERVER_SEND, file, buffer});
}

static void close_queue(struct server *server, uint32_t file)
{
    struct io_uring_sqe *sqe = ring_sqe(&server->ring);
    if (server->direct) {
        io_uring_prep_close_direct(sqe, file);
    } else {
        io_uring_prep_close(sqe, (int)file);
    }
    if (floor_has(server->options, FLOOR_VARIANT_SKIP)) {
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
    tag_set(server, sqe, (struct ring_tag){.op = SERVER_CLOSE, .file = file});
}

static void on_accept(struct server *server, const struct io_uring_cqe *cqe)
{
    if (cqe->res >= 0) {
        recv_queue(server, (uint32_t)cqe->res);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        accept_queue(server);
    }
}

static void on_recv(struct server *server, uint32_t file, const struct io_uring_cqe *cqe)
{
    uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    bool has_buffer = (cqe->flags & IORING_CQE_F_BUFFER) != 0;
    if (has_buffer && cqe->res > 0) {
        send_queue(server, file, buffer, (uint32_t)cqe->res);
    } else if (has_buffer) {
        ring_give(&server->ring, buffer);
    }
    if (cqe->flags & IORING_CQE_F_MORE) {
        return;
    }
    if (cqe->res > 0 || cqe->res == -ENOBUFS) {
        recv_queue(server, file);
    } else {
        close_queue(server, file);
    }
}

static void dispatch(struct server *server, const struct io_uring_cqe *cqe)
{
    struct ring_tag tag = ring_tag_unpack(cqe->user_data);
    switch ((enum server_op)tag.op) {
    case SERVER_ACCEPT:
        on_accept(server, cqe);
        break;
    case SERVER_RECV:
        on_recv(server, tag.file, cqe);
        break;
    case SERVER_SEND:
        ring_give(&server->ring, tag.buffer);
        break;
    case SERVER_CLOSE:
        break;
    }
}

int floor_uring_server(const struct floor_task *task)
{
    struct server server = {.options = task->options, .listener = task->listener};
    server.direct = !floor_has(task->options, FLOOR_VARIANT_SERVER_PLAIN);
    int rc = ring_open(&server.ring, SERVER_FILES);
    if (rc != 0) {
        return rc;
    }
    accept_queue(&server);
    while ((rc = ring_wait(&server.ring, 1)) == 0) {
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned count = 0;
        io_uring_for_each_cqe(&server.ring.uring, head, cqe)
        {
            dispatch(&server, cqe);
            count++;
        }
        io_uring_cq_advance(&server.ring.uring, count);
    }
    io_uring_queue_exit(&server.ring.uring);
    return rc;
}
