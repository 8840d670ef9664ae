/* Accepting on the io_uring engine.
 *
 * As long as there is plenty of room, one multishot request a listener accepts everything. It takes
 * connections faster than we can stop it, and closes those that find no slot, so when room gets
 * short it is cancelled and single accepts take over, never more of them than there are connections
 * and slots left; what must wait stays in the listener's backlog, whole. When a ring's table fills,
 * the next ring accepts.
 *
 * An armed accept takes a connection whether or not the quota, which other transports share, has a
 * place for it by then. Such a socket is parked: nobody sees it, as if it were in the backlog
 * still. As long as one is parked no accept is armed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "transport/quota.h"
#include "transport/uring_engine.h"

/* An accept's word: the listener in the low 32 bits, then whether it goes on, and where it puts
 * sockets. */
#define ACCEPT_MULTISHOT_BIT (UINT64_C(1) << 32)
#define ACCEPT_PLAIN_BIT (UINT64_C(1) << 33)

/* Room for parked sockets at first: what one listener's single accepts may take. */
#define PARKED_FIRST URING_SINGLE_ACCEPTS

static uint64_t accept_user_data(const struct uring_listener *listener, uint32_t index,
                                 bool multishot)
{
    return uring_user_data(URING_OP_ACCEPT, (multishot ? ACCEPT_MULTISHOT_BIT : 0) |
                                                (listener->plain ? ACCEPT_PLAIN_BIT : 0) | index);
}

static uint32_t singles_armed(const struct uring_engine *engine)
{
    uint32_t armed = 0;
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        armed += engine->listeners[i].singles;
    }
    return armed;
}

/* Counts the slots that a ring has left for accepts. */
static uint32_t ring_room(const struct uring_engine *engine, uint32_t ring)
{
    return engine->rings[ring]->slots_free;
}

/* Counts the connections that a listener may still accept: by conns_max, and by the accepting
 * ring's table where they go there. */
static uint32_t accept_room(const struct uring_engine *engine,
                            const struct uring_listener *listener)
{
    uint32_t conns = engine->head.config.conns_max - engine->head.conns.live_count;
    uint32_t slots = listener->plain ? UINT32_MAX : ring_room(engine, engine->accept_ring);
    return conns < slots ? conns : slots;
}

/* Tells whether a multishot accept may run: it is stopped a whole backlog before the room ends. */
static bool has_plenty(const struct uring_engine *engine, const struct uring_listener *listener)
{
    uint32_t room = accept_room(engine, listener);
    if (engine->head.config.quota != NULL) {
        uint32_t places = quota_room(engine->head.config.quota);
        room = room < places ? room : places;
    }
    return uring_has(engine, URING_FEATURE_ACCEPT_MULTISHOT) &&
           room / engine->listener_count > listener->backlog;
}

/* Moves accepting to the ring with the most room, or to a new one, before the table is full. */
static void accept_ring_choose(struct uring_engine *engine)
{
    uint32_t room = ring_room(engine, engine->accept_ring);
    if (engine->table_wanted == 0 || room > engine->table_wanted / 8 + URING_SINGLE_ACCEPTS) {
        return;
    }
    for (uint32_t i = 0; i < engine->ring_count; i++) {
        if (ring_room(engine, i) > 2 * room && ring_room(engine, i) > engine->table_wanted / 4) {
            engine->accept_ring = i;
            return;
        }
    }
    struct failure failure;
    uint64_t slots = (uint64_t)engine->ring_count * engine->table_wanted;
    if (slots < (uint64_t)engine->head.config.conns_max + engine->ring_count &&
        engine->ring_count < URING_RINGS_MAX && uring_rings_add(engine, &failure) == 0) {
        engine->accept_ring = engine->ring_count - 1;
    }
}

static void multishot_cancel(struct uring_engine *engine, uint32_t index)
{
    struct uring_listener *listener = &engine->listeners[index];
    if (listener->multishot && !listener->cancelling) {
        listener->cancelling = true;
        struct io_uring_sqe *sqe = uring_sqe(&engine->rings[listener->ring]->uring);
        io_uring_prep_cancel64(sqe, accept_user_data(listener, index, true), 0);
        io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_IGNORE, 0));
    }
}

static void accept_issue(struct uring_engine *engine, uint32_t index, bool multishot)
{
    struct uring_listener *listener = &engine->listeners[index];
    struct io_uring_sqe *sqe = uring_sqe(&engine->rings[engine->accept_ring]->uring);
    if (listener->plain) {
        io_uring_prep_accept(sqe, listener->fd, NULL, NULL, SOCK_CLOEXEC);
    } else {
        io_uring_prep_accept(sqe, listener->fd, NULL, NULL, 0);
        sqe->file_index = IORING_FILE_INDEX_ALLOC;
    }
    if (multishot) {
        sqe->ioprio |= IORING_ACCEPT_MULTISHOT;
        listener->multishot = true;
        listener->ring = engine->accept_ring;
    } else {
        listener->singles++;
        engine->rings[engine->accept_ring]->slots_free -= !listener->plain; /* kept for it */
    }
    io_uring_sqe_set_data64(sqe, accept_user_data(listener, index, multishot));
}

/* Connections that will be shut down are accepted to plain descriptors while there are plenty: a
 * ring hands every shutdown to a thread of the kernel's, which costs more than the call. */
static void listener_choose_table(struct uring_engine *engine, uint32_t index)
{
    struct uring_listener *listener = &engine->listeners[index];
    bool plain = listener->plain;
    if (!uring_has(engine, URING_FEATURE_DIRECT) || !listener->options.shuts_down) {
        return;
    }
    if (plain && engine->plain_count >= engine->plain_max) {
        plain = false;
    } else if (!plain && engine->plain_count < engine->plain_max / 2) {
        plain = true;
    }
    if (plain != listener->plain) {
        multishot_cancel(engine, index); /* by its old word */
        listener->plain = plain;
    }
}

/* Arms what one listener should have armed, given the room that is left. */
static void listener_arm(struct uring_engine *engine, uint32_t index, bool plenty)
{
    struct uring_listener *listener = &engine->listeners[index];
    if (listener->multishot) {
        if (!plenty || listener->ring != engine->accept_ring) {
            multishot_cancel(engine, index);
        }
        return;
    }
    if (plenty) {
        accept_issue(engine, index, true);
        return;
    }
    uint32_t share = URING_SINGLE_ACCEPTS;
    while (listener->singles < share &&
           engine->head.conns.live_count + singles_armed(engine) < engine->head.config.conns_max &&
           accept_room(engine, listener) > 0) {
        accept_issue(engine, index, false);
    }
}

/* Gives a socket back that was accepted and finds no record: closed, counted. */
static void taken_drop(struct uring_engine *engine, const struct uring_taken *taken)
{
    ENGINE_COUNT(&engine->head, accept_no_record);
    struct io_uring_sqe *sqe = uring_sqe(&engine->rings[taken->ring]->uring);
    if (taken->direct) {
        io_uring_prep_close_direct(sqe, (unsigned)taken->file);
        engine->rings[taken->ring]->slots_free++;
    } else {
        io_uring_prep_close(sqe, taken->file);
    }
    io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_IGNORE, 0));
}

/* Shows a socket that has a place. */
static void taken_admit(struct uring_engine *engine, const struct uring_taken *taken)
{
    struct uring_conn *conn = (struct uring_conn *)engine_conn_new(&engine->head);
    if (conn == NULL) {
        engine_place_give(&engine->head);
        taken_drop(engine, taken);
        return;
    }
    uring_conn_init(conn, taken->ring, &engine->listeners[taken->listener].options);
    conn->direct = taken->direct;
    conn->has_file = true;
    conn->file = taken->file;
    if (!taken->direct) {
        engine->plain_count++;
        if (taken->file >= engine->descriptors_plenty) {
            engine->plain_max = engine->plain_count;
        }
    }
    uring_conn_state_set(conn, URING_CONN_OPEN);
    engine_accepted(&engine->head, &conn->head, taken->listener);
    uring_recv_arm(engine, conn);
}

/* Makes room for one more at the end. Returns false when memory is out. */
static bool parked_grow(struct uring_parked *parked)
{
    if (parked->first + parked->count < parked->size) {
        return true;
    }
    if (parked->first > 0) {
        memmove(parked->taken, parked->taken + parked->first,
                parked->count * sizeof(*parked->taken));
        parked->first = 0;
        return true;
    }
    uint32_t size = parked->size == 0 ? PARKED_FIRST : parked->size * 2;
    struct uring_taken *taken = realloc(parked->taken, size * sizeof(*taken));
    if (taken == NULL) {
        return false;
    }
    parked->taken = taken;
    parked->size = size;
    return true;
}

static void park(struct uring_engine *engine, const struct uring_taken *taken)
{
    struct uring_parked *parked = &engine->parked;
    if (engine->accept_stopped || !parked_grow(parked)) {
        taken_drop(engine, taken);
        return;
    }
    parked->taken[parked->first + parked->count++] = *taken;
}

/* Shows the parked sockets that find a place; those behind them wait on. */
static void parked_admit(struct uring_engine *engine)
{
    struct uring_parked *parked = &engine->parked;
    while (parked->count > 0 && engine_place_take(&engine->head)) {
        struct uring_taken taken = parked->taken[parked->first++];
        parked->count--;
        taken_admit(engine, &taken);
    }
}

/* Ends the waiting with the listeners', whose backlogs the kernel gives up as well. */
static void parked_drop(struct uring_engine *engine)
{
    struct uring_parked *parked = &engine->parked;
    for (; parked->count > 0; parked->count--) {
        taken_drop(engine, &parked->taken[parked->first++]);
    }
}

void uring_parked_free(struct uring_engine *engine)
{
    struct uring_parked *parked = &engine->parked;
    for (uint32_t i = 0; i < parked->count; i++) {
        const struct uring_taken *taken = &parked->taken[parked->first + i];
        if (!taken->direct) {
            close(taken->file); /* the others go with their ring */
        }
    }
    free(parked->taken);
}

/* Takes back what would take more connections, until the parked ones have places. */
static void accept_hold(struct uring_engine *engine)
{
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        multishot_cancel(engine, i);
    }
    if (!engine->accept_paused) {
        ENGINE_COUNT(&engine->head, accept_paused);
    }
    engine->accept_paused = true;
    engine->accept_short = true;
    engine->accept_retry_ns = engine->head.now_ns + URING_ACCEPT_RETRY_NS;
}

void uring_accept_arm(struct uring_engine *engine)
{
    if (engine->accept_retry_ns > engine->head.now_ns) {
        return;
    }
    engine->accept_retry_ns = 0;
    engine->accept_short = false;
    if (engine->accept_stopped) {
        return;
    }
    parked_admit(engine);
    if (engine->parked.count > 0) {
        accept_hold(engine);
        return;
    }
    accept_ring_choose(engine);
    bool paused = engine->listener_count != 0 && singles_armed(engine) == 0;
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        struct uring_listener *listener = &engine->listeners[i];
        listener_choose_table(engine, i);
        listener_arm(engine, i, has_plenty(engine, listener));
        paused = paused && accept_room(engine, listener) == 0;
    }
    if (paused && !engine->accept_paused) {
        ENGINE_COUNT(&engine->head, accept_paused);
    }
    engine->accept_paused = paused;
}

int uring_listen(struct transport *transport, struct endpoint *address,
                 const struct transport_listen_options *options, uint32_t *listener,
                 struct failure *failure)
{
    struct uring_engine *engine = uring_engine_of(transport);
    if (engine->listener_count == TRANSPORT_LISTENERS_MAX) {
        return failure_set(failure, ENOBUFS, "at most %u listeners a worker",
                           TRANSPORT_LISTENERS_MAX);
    }
    int fd = socket_listen(address, options, 0, failure);
    if (fd < 0) {
        return fd;
    }
    *listener = engine->listener_count++;
    engine->listeners[*listener] = (struct uring_listener){
        .fd = fd,
        .options = options->conn,
        .backlog = options->backlog,
        .plain = !uring_has(engine, URING_FEATURE_DIRECT) || options->conn.shuts_down};
    uring_accept_arm(engine);
    return 0;
}

void uring_listen_stop(struct transport *transport)
{
    struct uring_engine *engine = uring_engine_of(transport);
    if (engine->accept_stopped) {
        return;
    }
    engine->accept_stopped = true;
    parked_drop(engine);
    for (uint32_t i = 0; i < engine->listener_count; i++) {
        for (uint32_t ring = 0; ring < engine->ring_count; ring++) {
            struct io_uring_sqe *sqe = uring_sqe(&engine->rings[ring]->uring);
            io_uring_prep_cancel_fd(sqe, engine->listeners[i].fd, IORING_ASYNC_CANCEL_ALL);
            io_uring_sqe_set_data64(sqe, uring_user_data(URING_OP_IGNORE, 0));
            uring_flush(&engine->rings[ring]->uring);
        }
        close(engine->listeners[i].fd);
        engine->listeners[i].fd = -1;
    }
}

/* What is short (descriptors, slots, memory) does not come back by asking again at once. */
static void accept_back_off(struct uring_engine *engine)
{
    engine->accept_retry_ns = engine->head.now_ns + URING_ACCEPT_RETRY_NS;
    ENGINE_COUNT(&engine->head, accept_paused);
}

/* `direct` is where the accept that failed would have put its socket, not where the listener's next
 * ones go. */
static void accept_failed(struct uring_engine *engine, bool direct, int error)
{
    switch (error) {
    case ECANCELED:
        break;
    case ENFILE: /* the table is full, and the connection is gone; or the system is full */
    case EMFILE: /* no descriptor; the connection stays in the backlog */
        if (!direct && uring_has(engine, URING_FEATURE_DIRECT)) {
            engine->plain_max = engine->plain_count; /* on with the table */
            break;
        }
        ENGINE_COUNT(&engine->head, accept_no_slot);
        accept_back_off(engine);
        break;
    case ENOMEM:
    case ENOBUFS:
        ENGINE_COUNT(&engine->head, accept_failed);
        accept_back_off(engine);
        break;
    default: /* the connection's own failure: ECONNABORTED and what accept(2) lists beside it */
        ENGINE_COUNT(&engine->head, accept_failed);
        break;
    }
}

void uring_on_accept(struct uring_engine *engine, uint32_t ring, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data;
    bool direct = (cqe->user_data & ACCEPT_PLAIN_BIT) == 0;
    struct uring_listener *listener = &engine->listeners[index];
    ASSERT(index < engine->listener_count);
    if ((cqe->user_data & ACCEPT_MULTISHOT_BIT) == 0) {
        listener->singles--;
        engine->rings[ring]->slots_free += direct;
    } else if (!(cqe->flags & IORING_CQE_F_MORE)) {
        listener->multishot = false;
        listener->cancelling = false;
    }
    if (cqe->res >= 0) {
        engine->rings[ring]->slots_free -= direct;
        const struct uring_taken taken = {
            .file = cqe->res, .ring = ring, .listener = index, .direct = direct};
        if (engine->parked.count == 0 && engine_place_take(&engine->head)) {
            taken_admit(engine, &taken);
        } else {
            park(engine, &taken);
        }
    } else {
        accept_failed(engine, direct, -cqe->res);
    }
    engine->accept_short = true;
}
