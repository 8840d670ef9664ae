/* The stack engine's pump: frames from the link to the host, packets from the host to the link, and
 * waiting for either. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "transport/stack_engine.h"

void stack_pump_advance(struct stack_engine *engine, uint64_t now_ns)
{
    ether_advance(&engine->ether, now_ns);
    fws_advance(engine->host, now_ns);
}

/* What a packet is to the order of its batch. */
enum packet_kind {
    PACKET_OTHER, /* no segment, or malformed: not ours to tell */
    PACKET_SEGMENT,
    PACKET_RESET,
    PACKET_FRAGMENT, /* of whatever 4-tuple: the ports are only in the first */
};

static size_t header_bytes_of(const uint8_t *data)
{
    return (size_t)(data[0] & 15u) * 4;
}

/* `data` is a packet from its IPv4 header on. */
static enum packet_kind kind_of(const uint8_t *data, size_t bytes)
{
    if (bytes < WIRE_IPV4_BYTES || data[9] != IPPROTO_TCP) {
        return PACKET_OTHER;
    }
    size_t flags_at = header_bytes_of(data) + 13;
    bool is_first = ((data[6] & 0x1fu) | data[7]) == 0; /* of its fragments, or whole */
    if (!is_first) {
        return PACKET_FRAGMENT;
    }
    if (bytes <= flags_at) {
        return PACKET_OTHER;
    }
    if ((data[flags_at] & WIRE_RST) != 0) {
        return PACKET_RESET;
    }
    return (data[6] & 0x20u) != 0 ? PACKET_FRAGMENT : PACKET_SEGMENT; /* more fragments */
}

/* A set of 4-tuples by their hash, which may take one for another: 32 of them fill 3% of it. */
#define FLOW_BITS 1024u
#define FLOW_HASH_SHIFT 54u /* leaves 10 bits of 64 */

/* A batch as the host gets it. */
struct batch {
    struct fws_packet packets[LINK_BATCH_MAX];
    struct fws_packet resets[LINK_BATCH_MAX];
    uint64_t reset_flows[FLOW_BITS / 64]; /* the 4-tuples of `resets` */
    size_t packet_count;
    size_t reset_count;
};

static void batch_clear(struct batch *batch)
{
    batch->packet_count = batch->reset_count = 0;
    memset(batch->reset_flows, 0, sizeof(batch->reset_flows));
}

/* Finds a segment's bit in reset_flows. */
static uint32_t flow_bit(const uint8_t *data)
{
    uint64_t addresses;
    uint32_t ports;
    memcpy(&addresses, data + 12, sizeof(addresses));
    memcpy(&ports, data + header_bytes_of(data), sizeof(ports));
    return (uint32_t)(((addresses ^ ports) * UINT64_C(0x9e3779b97f4a7c15)) >> FLOW_HASH_SHIFT);
}

/* Tells whether a packet may belong to a 4-tuple that has a reset in the batch. */
static bool follows_reset(const struct batch *batch, const uint8_t *data, enum packet_kind kind)
{
    if (batch->reset_count == 0 || kind == PACKET_OTHER || kind == PACKET_RESET) {
        return false;
    }
    uint32_t bit = kind == PACKET_SEGMENT ? flow_bit(data) : 0;
    return kind == PACKET_FRAGMENT || (batch->reset_flows[bit / 64] >> bit % 64 & 1) != 0;
}

static void batch_add(struct batch *batch, const struct fws_packet *packet, enum packet_kind kind)
{
    if (kind != PACKET_RESET) {
        batch->packets[batch->packet_count++] = *packet;
        return;
    }
    uint32_t bit = flow_bit(packet->data);
    batch->reset_flows[bit / 64] |= UINT64_C(1) << bit % 64;
    batch->resets[batch->reset_count++] = *packet;
}

/* Hands a batch to the host. An RST throws away what its connection has not read, as RFC 9293 asks,
 * and would do so to data that came in the same batch: so the connections read first, which in the
 * kernel keep their data through a reset. */
static void batch_input(struct stack_engine *engine, struct batch *batch)
{
    if (batch->packet_count > 0) {
        fws_input(engine->host, batch->packets, batch->packet_count);
    }
    if (batch->reset_count > 0) {
        stack_handle_events(engine);
        fws_input(engine->host, batch->resets, batch->reset_count);
    }
    batch_clear(batch);
}

/* Hands frames to the host, resets behind the others, and each 4-tuple's in their order: one that
 * comes behind a reset of its own (a SYN, mostly) begins another batch. */
static void input_frames(struct stack_engine *engine, const struct link_frame *frames, size_t count)
{
    struct batch batch;
    batch_clear(&batch);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *data;
        size_t bytes;
        if (!ether_input(&engine->ether, frames[i].data, frames[i].bytes, &data, &bytes)) {
            continue;
        }
        struct fws_packet packet = {
            .data = data,
            .bytes = (uint32_t)bytes,
            .flags = (frames[i].flags & LINK_CHECKSUM_DONE) != 0 ? FWS_CHECKSUM_DONE : 0,
        };
        enum packet_kind kind = kind_of(data, bytes);
        if (follows_reset(&batch, data, kind)) {
            batch_input(engine, &batch);
        }
        batch_add(&batch, &packet, kind);
    }
    batch_input(engine, &batch);
}

size_t stack_pump_receive(struct stack_engine *engine, uint64_t now_ns)
{
    struct link_frame frames[LINK_BATCH_MAX];
    size_t total = 0;
    for (uint32_t batch = 0; batch < STACK_BATCHES_PER_TURN; batch++) {
        size_t count = link_receive(engine->link, now_ns, frames, LINK_BATCH_MAX);
        input_frames(engine, frames, count);
        link_release(engine->link);
        total += count;
        if (count < LINK_BATCH_MAX) {
            break;
        }
    }
    return total;
}

/* Writes the next frame that is due into a slot: what ether has, then the host's packets, framed in
 * place. Returns false when there is none. */
static bool fill_slot(struct stack_engine *engine, struct link_slot *slot)
{
    slot->bytes = (uint32_t)ether_fetch(&engine->ether, slot->data);
    if (slot->bytes > 0) {
        return true;
    }
    struct fws_buffer buffer = {.data = slot->data + WIRE_ETHER_BYTES,
                                .capacity = slot->capacity - WIRE_ETHER_BYTES};
    while (fws_output(engine->host, &buffer, 1) == 1) {
        if (ether_output(&engine->ether, slot->data, buffer.bytes) == ETHER_SEND) {
            slot->bytes = WIRE_ETHER_BYTES + buffer.bytes;
            return true;
        }
    }
    /* What had to wait for its neighbour made ether ask. */
    slot->bytes = (uint32_t)ether_fetch(&engine->ether, slot->data);
    return slot->bytes > 0;
}

static size_t fill_slots(struct stack_engine *engine, struct link_slot *slots, size_t room)
{
    size_t filled = 0;
    while (filled < room && fill_slot(engine, &slots[filled])) {
        filled++;
    }
    return filled;
}

static bool has_output(const struct stack_engine *engine, uint64_t now_ns)
{
    return engine->ether.due.count > 0 || fws_next_deadline(engine->host) <= now_ns;
}

/* Hands to the link what is due, as far as it has room. */
static void send_due(struct stack_engine *engine, uint64_t now_ns)
{
    struct link_slot slots[STACK_SLOTS_PER_RESERVE];
    size_t room = STACK_SLOTS_PER_RESERVE;
    size_t filled = room;
    while (filled == room && has_output(engine, now_ns)) {
        room = link_reserve(engine->link, slots, STACK_SLOTS_PER_RESERVE);
        int error = room == 0 ? link_flush(engine->link, now_ns) : 0;
        if (room == 0 && error == 0) {
            room = link_reserve(engine->link, slots, STACK_SLOTS_PER_RESERVE);
        }
        if (room == 0) {
            ENGINE_COUNT(&engine->base, link_full);
            /* One that is down has no room before its own time. */
            engine->link_retry_ns =
                error == -ENETDOWN ? link_deadline_ns(engine->link) : now_ns + STACK_LINK_RETRY_NS;
            break;
        }
        filled = fill_slots(engine, slots, room);
        link_send(engine->link, now_ns, slots, filled);
        engine->turn_worked |= filled > 0;
    }
}

/* Resets what was closed that way since the last send. An abort drops what has not left, where the
 * kernel's linger 0 resets behind what its send put on the wire: so these wait for their data. */
static void abort_resets(struct stack_engine *engine)
{
    for (uint32_t i = 0; i < engine->reset_count; i++) {
        (void)fws_abort(engine->host, engine->resets[i]);
    }
    engine->reset_count = 0;
}

void stack_pump_send(struct stack_engine *engine, uint64_t now_ns)
{
    engine->link_retry_ns = CLOCK_NEVER;
    send_due(engine, now_ns);
    if (engine->reset_count > 0) {
        abort_resets(engine);
        send_due(engine, now_ns);
    }
    /* What could not leave stays in the link, which counts why and says when to try again. */
    (void)link_flush(engine->link, now_ns);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Tells when something of the engine's own is due. */
static uint64_t own_deadline_ns(const struct stack_engine *engine)
{
    uint64_t deadline_ns =
        earlier(ether_deadline_ns(&engine->ether), link_deadline_ns(engine->link));
    deadline_ns = earlier(deadline_ns, engine->ready.retry_ns);
    /* The host's is the present while it has packets: with a full link they have to wait. */
    return earlier(deadline_ns, engine->link_retry_ns != CLOCK_NEVER
                                    ? engine->link_retry_ns
                                    : fws_next_deadline(engine->host));
}

int stack_pump_wait(struct stack_engine *engine, uint64_t until_ns, uint64_t now_ns)
{
    uint64_t end_ns = earlier(until_ns, own_deadline_ns(engine));
    uint64_t wait_ns = end_ns > now_ns ? end_ns - now_ns : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait_ns / NS_PER_SEC),
                               .tv_nsec = (long)(wait_ns % NS_PER_SEC)};
    /* A link without descriptors is fed by this thread: nothing can come while it waits. */
    if (engine->fd_count == 1) {
        timeout = (struct timespec){0};
    }
    ENGINE_COUNT(&engine->base, syscalls);
    int ready = ppoll(engine->fds, engine->fd_count,
                      end_ns == CLOCK_NEVER && engine->fd_count > 1 ? NULL : &timeout, NULL);
    if (ready < 0) {
        return errno == EINTR ? 0 : -errno; /* a signal may be what the caller waits for */
    }
    if (engine->fds[0].revents != 0) {
        uint64_t count;
        ssize_t bytes = read(engine->wake_fd, &count, sizeof(count));
        (void)bytes; /* readable, and nobody else reads it */
        ENGINE_COUNT(&engine->base, wakeups);
        ENGINE_COUNT(&engine->base, syscalls);
    }
    return 0;
}
