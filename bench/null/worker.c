/* One end of the lockstep; see worker.h. Layer: bench/null.
 *
 * The client begins `in_flight` connections; from then on every frame that arrives is answered by
 * the next one, and a connection's last by the first of a new one. So nothing is known of any
 * connection; when nothing has arrived for a while, those under way are lost, and as many begin
 * anew. The first frames are broadcast, all others go to where the one answered came from. */
#include "worker.h"

#include <poll.h>
#include <string.h>

#include "base/clock.h"

/* A client answers with two frames at most: its last ACK and the next SYN. */
#define BATCH_MAX (LINK_BATCH_MAX / 2)
#define PORT_FIRST 10000u
#define PORT_LAST 64999u
#define SILENCE_NS (20 * NS_PER_MS)
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

int null_worker_open(struct null_worker *worker, const struct null_config *config,
                     struct failure *failure)
{
    memset(worker, 0, sizeof(*worker));
    worker->config = *config;
    worker->next_port = (uint16_t)(PORT_FIRST + config->worker);
    canned_make(&worker->canned, config->is_client ? config->own : config->peer,
                config->is_client ? config->peer : config->own);
    struct link_config link = {
        .kind = config->link,
        .interface = config->interface,
        .address_first = config->own,
        .address_last = config->own,
        .worker = config->worker,
        .workers = config->workers,
        .group = 1, /* one process of ours on an interface */
        .steer = config->is_client ? LINK_STEER_LOCAL_PORT : LINK_STEER_REMOTE_PORT,
    };
    int error = link_open(&worker->link, &link, failure);
    if (error == 0) {
        choose_mac(worker);
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
};

static void put(struct null_worker *worker, struct outgoing *out, enum canned_segment segment,
                uint16_t port, const uint8_t target[6])
{
    if (out->count == out->room) {
        worker->no_room++;
        return;
    }
    struct link_slot *slot = &out->slots[out->count++];
    slot->bytes = canned_write(slot->data, &worker->canned, segment, port);
    canned_address(slot->data, target, worker->mac);
}

static void answer(struct null_worker *worker, struct outgoing *out, const struct link_frame *frame)
{
    enum canned_segment segment = canned_recognise(frame->data, frame->bytes);
    enum canned_segment next = segment == CANNED_NONE ? CANNED_NONE : canned_answer(segment);
    if (next == CANNED_NONE) {
        return;
    }
    const uint8_t *sender = frame->data + 6;
    put(worker, out, next, canned_client_port(frame->data, segment), sender);
    if (next == CANNED_LAST_ACK) {
        worker->completed++;
        put(worker, out, CANNED_SYN, take_port(worker), sender);
    }
}

static void send_all(struct null_worker *worker, struct outgoing *out, uint64_t now_ns)
{
    link_send(worker->link, now_ns, out->slots, out->count);
    link_flush(worker->link, now_ns);
    worker->sent += out->count;
}

/* Begins as many connections as there shall be. */
static void begin_connections(struct null_worker *worker, uint64_t now_ns)
{
    uint32_t left = worker->config.in_flight;
    while (left > 0) {
        struct outgoing out = {.count = 0};
        uint32_t wanted = left < LINK_BATCH_MAX ? left : LINK_BATCH_MAX;
        out.room = link_reserve(worker->link, out.slots, wanted);
        for (uint32_t i = 0; i < wanted; i++) {
            put(worker, &out, CANNED_SYN, take_port(worker), broadcast);
        }
        send_all(worker, &out, now_ns);
        left -= wanted;
    }
    worker->last_frame_ns = now_ns;
}

/* Answers what has arrived. Returns how many frames there were. */
static size_t turn(struct null_worker *worker, uint64_t now_ns)
{
    struct link_frame frames[BATCH_MAX];
    size_t count = link_receive(worker->link, now_ns, frames, BATCH_MAX);
    if (count > 0) {
        struct outgoing out = {.count = 0};
        size_t wanted = worker->config.is_client ? 2 * count : count;
        out.room = link_reserve(worker->link, out.slots, wanted);
        for (size_t i = 0; i < count; i++) {
            answer(worker, &out, &frames[i]);
        }
        send_all(worker, &out, now_ns);
        worker->received += count;
        worker->last_frame_ns = now_ns;
    } else {
        link_flush(worker->link, now_ns);
    }
    link_release(worker->link);
    return count;
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
    if (config->is_client) {
        begin_connections(worker, now_ns);
    }
    while (!*stop && (!config->is_client || now_ns - start_ns < config->duration_ns)) {
        now_ns = clock_now_ns();
        idle_turns = turn(worker, now_ns) > 0 ? 0 : idle_turns + 1;
        if (config->is_client && now_ns - worker->last_frame_ns > SILENCE_NS) {
            worker->lost += config->in_flight;
            begin_connections(worker, now_ns);
        }
        if (idle_turns > SPIN_TURNS) {
            wait_for_frames(worker);
            idle_turns = 0;
        }
    }
    worker->elapsed_ns = now_ns - start_ns;
}
