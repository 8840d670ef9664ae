/* One end of the lockstep; see worker.h. Layer: bench/null.
 *
 * The client begins `in_flight` connections; from then on every frame that arrives is answered by
 * the next one, and a connection's last by the first of a new one. The server knows nothing of any
 * connection; the client knows of each the one frame that it awaits, and gives it up when that does
 * not come (lockstep.h). The first frames are broadcast, all others go to where the one answered
 * came from. */
#include "worker.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"

/* A client answers with two frames at most: its last ACK and the next SYN. */
#define BATCH_MAX (LINK_BATCH_MAX / 2)
#define PORT_FIRST 10000u
#define PORT_LAST 64999u
/* How long a frame is awaited: as TCP's shortest retransmission time-out, and longer than a thread
 * is kept from its CPU on a machine that is not much too busy. */
#define PATIENCE_NS (200 * NS_PER_MS)
#define SPIN_TURNS 2000u /* without a frame, before the thread waits */
#define WAIT_MS 5

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* Gives us a MAC that the interface does not have, locally administered: the kernel's IP then drops
 * our frames at first sight, instead of looking for a route for each (a third of all the work). A
 * veth passes every frame on, whoever it is for. */
static void choose_mac(struct null_worker *worker)
{
    memcpy(worker->mac, link_interface_of(worker->link)->mac, sizeof(worker->mac));
    worker->mac[0] = (uint8_t)((worker->mac[0] & 0xfcu) | 2u);
    worker->mac[5] ^= 1u;
}

void null_worker_init(struct null_worker *worker, const struct null_config *config,
                      struct link *link)
{
    memset(worker, 0, sizeof(*worker));
    worker->config = *config;
    worker->link = link;
    worker->next_port = (uint16_t)(PORT_FIRST + config->worker);
    memcpy(worker->peer_mac, broadcast, sizeof(worker->peer_mac));
    canned_make(&worker->canned, config->is_client ? config->own : config->peer,
                config->is_client ? config->peer : config->own);
    choose_mac(worker);
    if (config->is_client) {
        lockstep_init(&worker->lockstep, config->in_flight, PATIENCE_NS);
    }
}

int null_worker_open(struct null_worker *worker, const struct null_config *config,
                     struct failure *failure)
{
    struct link *link = NULL;
    struct link_config link_config = {
        .kind = config->link,
        .interface = config->interface,
        .address_first = config->own,
        .address_last = config->own,
        .worker = config->worker,
        .workers = config->workers,
        .group = 1, /* one process of ours on an interface */
        .steer = config->is_client ? LINK_STEER_LOCAL_PORT : LINK_STEER_REMOTE_PORT,
    };
    worker->link = NULL;
    int error = link_open(&link, &link_config, failure);
    if (error == 0) {
        null_worker_init(worker, config, link);
    }
    return error;
}

void null_worker_close(struct null_worker *worker)
{
    link_destroy(worker->link);
    worker->link = NULL;
}

/* Gives the next source port of those that the link steers to this worker. */
static uint16_t take_port(struct null_worker *worker)
{
    uint32_t workers = worker->config.workers, port = worker->next_port;
    uint32_t next = port + workers;
    worker->next_port =
        (uint16_t)(next <= PORT_LAST ? next : PORT_FIRST + (next - PORT_FIRST) % workers);
    return (uint16_t)port;
}

/* Frames to be sent while a batch is answered. */
struct outgoing {
    struct link_slot slots[LINK_BATCH_MAX];
    size_t room;
    size_t count;
    uint64_t now_ns;
};

/* Returns false when there is no room for one more. */
static bool put(struct null_worker *worker, struct outgoing *out, enum canned_segment segment,
                struct canned_id id)
{
    if (out->count == out->room) {
        worker->no_room++;
        return false;
    }
    struct link_slot *slot = &out->slots[out->count++];
    slot->bytes = canned_write(slot->data, &worker->canned, segment, id);
    canned_address(slot->data, worker->peer_mac, worker->mac);
    return true;
}

/* Sends a client's frame, whose answer is awaited if it has one. */
static void put_and_await(struct null_worker *worker, struct outgoing *out,
                          enum canned_segment segment, struct canned_id id)
{
    enum canned_segment awaited = canned_answer(segment);
    if (put(worker, out, segment, id) && awaited != CANNED_NONE) {
        lockstep_await(&worker->lockstep, id.number, awaited, out->now_ns);
    }
}

static void begin_in_slot(struct null_worker *worker, struct outgoing *out, uint32_t slot)
{
    struct canned_id id = {.number = lockstep_begin(&worker->lockstep, slot),
                           .client_port = take_port(worker)};
    put_and_await(worker, out, CANNED_SYN, id);
}

static void answer_as_client(struct null_worker *worker, struct outgoing *out,
                             enum canned_segment segment, struct canned_id id)
{
    struct lockstep *lockstep = &worker->lockstep;
    if (!lockstep_arrive(lockstep, id.number, segment)) {
        return;
    }
    enum canned_segment next = canned_answer(segment);
    put_and_await(worker, out, next, id);
    if (next == CANNED_LAST_ACK) {
        lockstep_complete(lockstep, id.number);
        begin_in_slot(worker, out, lockstep_slot_of(lockstep, id.number));
    }
}

static void answer_as_server(struct null_worker *worker, struct outgoing *out,
                             enum canned_segment segment, struct canned_id id)
{
    enum canned_segment next = canned_answer(segment);
    if (next == CANNED_NONE) {
        worker->last_acks++;
    } else if (put(worker, out, next, id)) {
        worker->answered++;
    }
}

/* Answers a frame, unless it is none of ours, or one of our own end's. */
static void answer(struct null_worker *worker, struct outgoing *out, const struct link_frame *frame)
{
    enum canned_segment segment = canned_recognise(frame->data, frame->bytes);
    bool is_client = worker->config.is_client;
    if (segment == CANNED_NONE || canned_is_of_client(segment) == is_client) {
        worker->foreign++;
        return;
    }
    struct canned_id id = canned_id_of(frame->data, segment);
    memcpy(worker->peer_mac, frame->data + 6, sizeof(worker->peer_mac));
    if (is_client) {
        answer_as_client(worker, out, segment, id);
    } else {
        answer_as_server(worker, out, segment, id);
    }
}

static void send_all(struct null_worker *worker, struct outgoing *out)
{
    link_send(worker->link, out->now_ns, out->slots, out->count);
    link_flush(worker->link, out->now_ns);
    worker->sent += out->count;
}

/* Begins a client's connections: in every slot, at the beginning. */
static void begin_all(struct null_worker *worker, uint64_t now_ns)
{
    for (uint32_t begun = 0; begun < worker->config.in_flight;) {
        struct outgoing out = {.now_ns = now_ns};
        uint32_t left = worker->config.in_flight - begun;
        uint32_t wanted = left < LINK_BATCH_MAX ? left : LINK_BATCH_MAX;
        out.room = link_reserve(worker->link, out.slots, wanted);
        for (uint32_t i = 0; i < wanted; i++) {
            begin_in_slot(worker, &out, begun++);
        }
        send_all(worker, &out);
    }
}

/* Begins anew where a frame did not come in time. */
static void renew_overdue(struct null_worker *worker, uint64_t now_ns)
{
    uint32_t slots[LINK_BATCH_MAX];
    uint32_t count = lockstep_give_up(&worker->lockstep, now_ns, slots, LINK_BATCH_MAX);
    if (count > 0) {
        struct outgoing out = {.now_ns = now_ns};
        out.room = link_reserve(worker->link, out.slots, count);
        for (uint32_t i = 0; i < count; i++) {
            begin_in_slot(worker, &out, slots[i]);
        }
        send_all(worker, &out);
    }
}

size_t null_worker_turn(struct null_worker *worker, uint64_t now_ns)
{
    struct link_frame frames[BATCH_MAX];
    size_t count = link_receive(worker->link, now_ns, frames, BATCH_MAX);
    if (count > 0) {
        struct outgoing out = {.now_ns = now_ns};
        size_t wanted = worker->config.is_client ? 2 * count : count;
        out.room = link_reserve(worker->link, out.slots, wanted);
        for (size_t i = 0; i < count; i++) {
            answer(worker, &out, &frames[i]);
        }
        send_all(worker, &out);
        worker->received += count;
    } else {
        link_flush(worker->link, now_ns);
    }
    link_release(worker->link);
    if (worker->config.is_client) {
        renew_overdue(worker, now_ns);
    }
    return count;
}

void null_worker_begin(struct null_worker *worker, uint64_t now_ns)
{
    if (worker->config.is_client) {
        begin_all(worker, now_ns);
    }
}

bool null_worker_adds_up(const struct null_worker *worker)
{
    if (!worker->config.is_client) {
        return worker->received ==
               worker->answered + worker->last_acks + worker->no_room + worker->foreign;
    }
    const struct lockstep_counts *counts = &worker->lockstep.counts;
    return worker->received == counts->arrived + counts->late + worker->foreign &&
           lockstep_adds_up(counts, lockstep_in_flight(&worker->lockstep),
                            worker->config.in_flight);
}

static void wait_for_frames(const struct null_worker *worker)
{
    int fds[LINK_FDS_MAX];
    struct pollfd polled[LINK_FDS_MAX];
    size_t count = link_fds(worker->link, fds);
    for (size_t i = 0; i < count; i++) {
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    }
    poll(polled, count, WAIT_MS);
}

void null_worker_run(struct null_worker *worker, const volatile sig_atomic_t *stop)
{
    const struct null_config *config = &worker->config;
    uint64_t start_ns = clock_now_ns(), now_ns = start_ns;
    uint32_t idle_turns = 0;
    null_worker_begin(worker, now_ns);
    while (!*stop && (!config->is_client || now_ns - start_ns < config->duration_ns)) {
        now_ns = clock_now_ns();
        idle_turns = null_worker_turn(worker, now_ns) > 0 ? 0 : idle_turns + 1;
        if (idle_turns > SPIN_TURNS) {
            wait_for_frames(worker);
            idle_turns = 0;
        }
    }
    worker->elapsed_ns = now_ns - start_ns;
}
