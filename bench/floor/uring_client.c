/* The io_uring client: keeps its connections in flight.
 *
 *   socket, options, bind --> connect --> send and receive the echo
 *     fin: shutdown, receive the end --> close        close, rst: close
 *
 * and then the slot's next connection. */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring.h"

enum client_op {
    CLIENT_SETUP, /* a call that matters only if it fails */
    CLIENT_BIND,
    CLIENT_CONNECT,
    CLIENT_SEND,
    CLIENT_RECV,
    CLIENT_INSTALL,
    CLIENT_CLOSE,
};

struct conn {
    int file;      /* a descriptor; direct: the connection's slot in the table */
    uint32_t left; /* bytes of the echo that are still to come */
    bool failed;
    bool closing;
    struct sockaddr_in source;
    uint8_t data[FLOOR_PAYLOAD_BYTES];
};

struct client {
    struct ring ring;
    const struct floor_options *options;
    struct floor_source source;
    struct sockaddr_in target;
    struct conn *conns;
    struct floor_counts counts;
};

static const int option_on = 1;
static const struct linger option_linger_zero = {.l_onoff = 1, .l_linger = 0};

static bool has(const struct client *client, enum floor_variant variant)
{
    return floor_has(client->options, variant);
}

/* Names the operation and the connection, and the kind of file. */
static void tag_set(const struct client *client, struct io_uring_sqe *sqe, const struct conn *conn,
                    enum client_op op)
{
    uint32_t index = (uint32_t)(conn - client->conns);
    io_uring_sqe_set_data64(sqe,
                            ring_tag_pack((struct ring_tag){.op = (uint8_t)op, .file = index}));
    if (has(client, FLOOR_VARIANT_DIRECT)) {
        sqe->flags |= IOSQE_FIXED_FILE;
    }
}

/* Names a call of which only a failure is of interest. */
static void tag_quiet(const struct client *client, struct io_uring_sqe *sqe,
                      const struct conn *conn, enum client_op op)
{
    tag_set(client, sqe, conn, op);
    if (has(client, FLOOR_VARIANT_SKIP)) {
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    }
}

static void link_set(const struct client *client, struct io_uring_sqe *sqe)
{
    if (!has(client, FLOOR_VARIANT_UNLINKED)) {
        sqe->flags |= IOSQE_IO_LINK;
    }
}

static void send_queue(struct client *client, struct conn *conn)
{
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    io_uring_prep_send(sqe, conn->file, conn->data, FLOOR_PAYLOAD_BYTES,
                       MSG_WAITALL | MSG_NOSIGNAL);
    tag_quiet(client, sqe, conn, CLIENT_SEND);
}

static void recv_queue(struct client *client, struct conn *conn)
{
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    bool own_buffer = has(client, FLOOR_VARIANT_OWN_BUFFER);
    if (own_buffer) {
        io_uring_prep_recv(sqe, conn->file, conn->data, FLOOR_PAYLOAD_BYTES, 0);
    } else {
        io_uring_prep_recv(sqe, conn->file, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
    }
    if (!own_buffer && has(client, FLOOR_VARIANT_MULTISHOT) &&
        client->options->close == FLOOR_FIN) {
        sqe->ioprio |= IORING_RECV_MULTISHOT;
    }
    if (has(client, FLOOR_VARIANT_POLL_FIRST)) {
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    tag_set(client, sqe, conn, CLIENT_RECV);
}

static void connect_queue(struct client *client, struct conn *conn)
{
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    io_uring_prep_connect(sqe, conn->file, (const struct sockaddr *)&client->target,
                          sizeof(client->target));
    tag_set(client, sqe, conn, CLIENT_CONNECT);
}

static void option_queue(struct client *client, struct conn *conn, int level, int name)
{
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    ring_prep_setsockopt(sqe, conn->file, level, name);
    if (name == SO_LINGER && level == SOL_SOCKET) {
        ring_set_value(sqe, &option_linger_zero, sizeof(option_linger_zero));
    } else {
        ring_set_value(sqe, &option_on, sizeof(option_on));
    }
    tag_quiet(client, sqe, conn, CLIENT_SETUP);
    link_set(client, sqe);
}

static void setup_queue(struct client *client, struct conn *conn)
{
    ring_reserve(&client->ring, 7);
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    conn->file = (int)(conn - client->conns);
    io_uring_prep_socket_direct(sqe, AF_INET, SOCK_STREAM, IPPROTO_TCP, (unsigned)conn->file, 0);
    tag_quiet(client, sqe, conn, CLIENT_SETUP);
    sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
    link_set(client, sqe);
    if (client->options->close == FLOOR_RST) {
        option_queue(client, conn, SOL_SOCKET, SO_LINGER);
    }
    option_queue(client, conn, IPPROTO_TCP, TCP_NODELAY);
    option_queue(client, conn, SOL_SOCKET, SO_REUSEADDR);
    sqe = ring_sqe(&client->ring);
    ring_prep_bind(sqe, conn->file, &conn->source);
    if (has(client, FLOOR_VARIANT_AHEAD)) {
        tag_quiet(client, sqe, conn, CLIENT_SETUP);
        link_set(client, sqe);
        connect_queue(client, conn);
    } else {
        tag_set(client, sqe, conn, CLIENT_BIND);
    }
}

static int setup_by_calls(const struct client *client, struct conn *conn)
{
    const struct sockaddr *source = (const struct sockaddr *)&conn->source;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    conn->file = fd;
    if (fd < 0) {
        return -errno;
    }
    if ((client->options->close == FLOOR_RST &&
         setsockopt(fd, SOL_SOCKET, SO_LINGER, &option_linger_zero, sizeof(option_linger_zero)) !=
             0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &option_on, sizeof(option_on)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &option_on, sizeof(option_on)) != 0 ||
        bind(fd, source, sizeof(conn->source)) != 0) {
        return -errno;
    }
    return 0;
}

static void close_queue(struct client *client, struct conn *conn);

static void conn_start(struct client *client, struct conn *conn)
{
    conn->left = FLOOR_PAYLOAD_BYTES;
    conn->failed = false;
    conn->closing = false;
    floor_source_next(&client->source, &conn->source);
    if (has(client, FLOOR_VARIANT_DIRECT)) {
        setup_queue(client, conn);
    } else if (setup_by_calls(client, conn) == 0) {
        connect_queue(client, conn);
    } else {
        conn->failed = true;
        close_queue(client, conn);
    }
}

static void conn_end(struct client *client, struct conn *conn)
{
    if (conn->failed) {
        client->counts.failed++;
    } else {
        client->counts.completed++;
    }
    conn_start(client, conn);
}

static void close_queue(struct client *client, struct conn *conn)
{
    conn->closing = true;
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    if (!has(client, FLOOR_VARIANT_DIRECT)) {
        io_uring_prep_close(sqe, conn->file);
    } else {
        io_uring_prep_close_direct(sqe, (unsigned)conn->file);
    }
    tag_set(client, sqe, conn, CLIENT_CLOSE);
    sqe->flags &= (uint8_t)~IOSQE_FIXED_FILE;
}

static void conn_fail(struct client *client, struct conn *conn)
{
    conn->failed = true;
    if (!conn->closing) {
        close_queue(client, conn);
    }
}

static void shutdown_queue(struct client *client, struct conn *conn)
{
    if (!has(client, FLOOR_VARIANT_DIRECT)) {
        conn->failed = shutdown(conn->file, SHUT_WR) != 0;
        return;
    }
    struct io_uring_sqe *sqe = ring_sqe(&client->ring);
    if (has(client, FLOOR_VARIANT_INSTALL)) {
        ring_prep_install(sqe, conn->file);
        tag_set(client, sqe, conn, CLIENT_INSTALL);
        return;
    }
    io_uring_prep_shutdown(sqe, conn->file, SHUT_WR);
    tag_quiet(client, sqe, conn, CLIENT_SETUP);
}

static void on_recv(struct client *client, struct conn *conn, const struct io_uring_cqe *cqe)
{
    if (cqe->flags & IORING_CQE_F_BUFFER) {
        ring_give(&client->ring, (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
    }
    if (conn->closing) {
        return;
    }
    uint32_t bytes = cqe->res > 0 ? (uint32_t)cqe->res : 0;
    if (bytes > conn->left || (bytes == 0 && (cqe->res < 0 || conn->left > 0))) {
        conn_fail(client, conn);
        return;
    }
    conn->left -= bytes;
    bool is_fin = client->options->close == FLOOR_FIN;
    if (bytes == 0 || (conn->left == 0 && !is_fin)) {
        close_queue(client, conn); /* the last thing: the slot may have its next connection now */
        return;
    }
    if (conn->left == 0) {
        shutdown_queue(client, conn);
    }
    if (!(cqe->flags & IORING_CQE_F_MORE)) {
        recv_queue(client, conn);
    }
}

/* Goes on after a call that succeeded. */
static void on_success(struct client *client, struct conn *conn, enum client_op op, int result)
{
    switch (op) {
    case CLIENT_BIND:
        connect_queue(client, conn);
        break;
    case CLIENT_CONNECT:
        send_queue(client, conn);
        recv_queue(client, conn);
        break;
    case CLIENT_INSTALL:
        conn->failed = shutdown(result, SHUT_WR) != 0;
        close(result);
        break;
    case CLIENT_SETUP:
    case CLIENT_SEND:
    case CLIENT_RECV:
    case CLIENT_CLOSE:
        break;
    }
}

static void dispatch(struct client *client, const struct io_uring_cqe *cqe)
{
    struct ring_tag tag = ring_tag_unpack(cqe->user_data);
    struct conn *conn = &client->conns[tag.file];
    if (tag.op == CLIENT_CLOSE) {
        conn_end(client, conn);
    } else if (tag.op == CLIENT_RECV) {
        on_recv(client, conn, cqe);
    } else if (cqe->res >= 0) {
        on_success(client, conn, (enum client_op)tag.op, cqe->res);
    } else {
        conn_fail(client, conn);
    }
}

static int client_turn(struct client *client)
{
    uint32_t several = has(client, FLOOR_VARIANT_WAIT) ? client->options->in_flight / 8 : 1;
    int rc = ring_wait(&client->ring, several > 0 ? several : 1);
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned count = 0;
    io_uring_for_each_cqe(&client->ring.uring, head, cqe)
    {
        dispatch(client, cqe);
        count++;
    }
    io_uring_cq_advance(&client->ring.uring, count);
    return rc;
}

int floor_uring_client(const struct floor_task *task)
{
    struct client client = {.options = task->options, .target = floor_target(task->options)};
    client.conns = calloc(task->options->in_flight, sizeof(*client.conns));
    if (client.conns == NULL) {
        return -ENOMEM;
    }
    int rc = ring_open(&client.ring, task->options->in_flight);
    if (rc != 0) {
        goto err_free;
    }
    floor_source_init(&client.source, task->client);
    uint64_t start_ns = floor_now_ns();
    for (uint32_t i = 0; i < task->options->in_flight; i++) {
        conn_start(&client, &client.conns[i]);
    }
    while (rc == 0 && !atomic_load_explicit(&task->share->stop, memory_order_relaxed)) {
        rc = client_turn(&client);
    }
    client.counts.elapsed_ns = floor_now_ns() - start_ns;
    task->share->clients[task->client] = client.counts;
    io_uring_queue_exit(&client.ring.uring);
err_free:
    free(client.conns);
    return rc;
}
