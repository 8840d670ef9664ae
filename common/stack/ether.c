/* Ether: see the header for the rules and the states of a neighbour.
 *
 * Layer: stack (L3). */
#include "stack/ether.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "stack/neighbour.h"

#define TICK_NS (10u * NS_PER_MS) /* of timers that count in seconds */
#define ARP_FRAME_BYTES (WIRE_ETHER_BYTES + WIRE_ARP_BYTES)

static const struct wire_mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
static const struct wire_mac nobody = {{0}};

const struct counter_info ether_counter_infos[ETHER_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "stack/ether.def"
#undef COUNTER
};

static void count(struct ether *ether, enum ether_counter counter)
{
    ether->counters[counter]++;
}

static bool is_same_mac(const struct wire_mac *a, const struct wire_mac *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool is_ours(const struct ether *ether, uint32_t address)
{
    return address >= ether->config.address_first && address <= ether->config.address_last;
}

static uint32_t link_mask(const struct ether *ether)
{
    return ether->config.prefix_bits == 0 ? 0 : UINT32_MAX << (32u - ether->config.prefix_bits);
}

static bool is_on_link(const struct ether *ether, uint32_t address)
{
    return ((address ^ ether->config.address_first) & link_mask(ether)) == 0;
}

/* Broadcasts of the link, multicast and {0, any}: addresses that no one station has. RFC 3021: a
 * prefix of 31 bits or more has no broadcast addresses. */
static bool is_for_many(const struct ether *ether, uint32_t address)
{
    const uint32_t host = address & ~link_mask(ether);
    const bool is_link_broadcast = ether->config.prefix_bits < 31 && is_on_link(ether, address) &&
                                   (host == 0 || host == ~link_mask(ether));
    return is_link_broadcast || address >> 28 == 0xeu || address >> 24 == 0 ||
           address == UINT32_MAX;
}

void ether_init(struct ether *ether, const struct ether_config *config, struct memory *memory,
                uint64_t now_ns)
{
    ASSERT(config->address_first <= config->address_last);
    ASSERT(config->prefix_bits <= 32);
    *ether = (struct ether){.config = *config, .memory = memory, .now_ns = now_ns};
    wheel_init(&ether->timers, now_ns, TICK_NS);
    frames_init(&ether->due);
}

void ether_release(struct ether *ether)
{
    for (uint32_t i = 0; i < ETHER_BUCKETS; i++) {
        while (ether->buckets[i] != NULL) {
            neighbour_forget(ether, ether->buckets[i]);
        }
    }
    struct ether_frame *frame;
    while ((frame = frames_take(&ether->due)) != NULL) {
        frame_release(ether, frame);
    }
}

static struct ether_frame *make_frame(struct ether *ether, size_t bytes)
{
    struct ether_frame *frame = memory_alloc(ether->memory, sizeof(*frame) + bytes);
    if (frame == NULL) {
        count(ether, ETHER_COUNTER_no_memory);
        return NULL;
    }
    frame->bytes = bytes;
    return frame;
}

static void write_header(const struct ether *ether, uint8_t *frame, const struct wire_mac *target,
                         uint16_t type)
{
    wire_ether_emit(
        frame, &(struct wire_ether){.target = *target, .source = ether->config.mac, .type = type});
}

/* Puts an ARP packet of ours among the due frames. */
static void send_arp(struct ether *ether, struct wire_arp *arp, const struct wire_mac *to)
{
    if (ether->arp_count >= ETHER_ARP_MAX) {
        count(ether, ETHER_COUNTER_frames_not_fetched);
        return;
    }
    struct ether_frame *frame = make_frame(ether, ARP_FRAME_BYTES);
    if (frame == NULL) {
        return;
    }
    arp->sender_mac = ether->config.mac;
    write_header(ether, frame->data, to, WIRE_ETHERTYPE_ARP);
    wire_arp_emit(frame->data + WIRE_ETHER_BYTES, arp);
    frames_put(&ether->due, frame);
    ether->arp_count++;
    count(ether, arp->operation == WIRE_ARP_REQUEST ? ETHER_COUNTER_arp_requests_sent
                                                    : ETHER_COUNTER_arp_replies_sent);
}

void ether_announce(struct ether *ether, uint32_t address)
{
    struct wire_arp arp = {
        .operation = WIRE_ARP_REQUEST, .sender_ip = address, .target_ip = address};
    ether->probing = false;
    send_arp(ether, &arp, &broadcast);
}

void ether_probe(struct ether *ether, uint32_t address)
{
    struct wire_arp arp = {.operation = WIRE_ARP_REQUEST, .target_ip = address};
    ether->probing = true;
    send_arp(ether, &arp, &broadcast);
}

/* Asks for a neighbour, by unicast one whose address is to be confirmed (RFC 1122 section 2.3.2.1,
 * method 2), but no more often than once a second. */
static void ask(struct ether *ether, struct neighbour *neighbour)
{
    if (neighbour->asks != 0 && ether->now_ns - neighbour->asked_ns < NEIGHBOUR_ASK_NS) {
        return;
    }
    const bool is_known = neighbour->state == NEIGHBOUR_KNOWN;
    struct wire_arp arp = {
        .operation = WIRE_ARP_REQUEST,
        .sender_ip = ether->config.address_first,
        .target_mac = is_known ? neighbour->mac : nobody,
        .target_ip = neighbour->address,
    };
    neighbour->asked_ns = ether->now_ns;
    neighbour->asks++;
    send_arp(ether, &arp, is_known ? &neighbour->mac : &broadcast);
}

/* Sends on what waited for a neighbour that has become known. */
static void flush_waiting(struct ether *ether, struct neighbour *neighbour)
{
    struct ether_frame *frame;
    while ((frame = frames_take(&neighbour->waiting)) != NULL) {
        write_header(ether, frame->data, &neighbour->mac, WIRE_ETHERTYPE_IPV4);
        frames_put(&ether->due, frame);
    }
}

/* A neighbour said who it is. */
static void learn(struct ether *ether, struct neighbour *neighbour, const struct wire_mac *mac)
{
    if (neighbour->state == NEIGHBOUR_STATIC) {
        return;
    }
    neighbour->state = NEIGHBOUR_KNOWN;
    neighbour->mac = *mac;
    neighbour->asks = 0;
    neighbour->expires_ns = ether->now_ns + NEIGHBOUR_LIFETIME_NS;
    neighbour_touch(ether, neighbour);
    wheel_arm(&ether->timers, &neighbour->timer, neighbour->expires_ns);
    flush_waiting(ether, neighbour);
}

int ether_add_static(struct ether *ether, uint32_t address, const struct wire_mac *mac)
{
    struct neighbour *neighbour = neighbour_find(ether, address);
    if (neighbour == NULL) {
        neighbour = neighbour_add(ether, address);
    }
    if (neighbour == NULL) {
        return -ENOMEM;
    }
    neighbour_pin(ether, neighbour);
    neighbour->mac = *mac;
    flush_waiting(ether, neighbour);
    return 0;
}

/* Adds one that asks for us, since an answer to it is likely to follow (RFC 826). Strangers find
 * no place in a full table: a flood of them must not displace those that we talk to. */
static void learn_stranger(struct ether *ether, const struct wire_arp *arp)
{
    if (ether->neighbour_count >= ETHER_NEIGHBOURS_MAX) {
        count(ether, ETHER_COUNTER_neighbours_not_learned);
        return;
    }
    struct neighbour *neighbour = neighbour_add(ether, arp->sender_ip);
    if (neighbour != NULL) {
        learn(ether, neighbour, &arp->sender_mac);
    }
}

static void note_conflict(struct ether *ether, uint32_t address, const struct wire_mac *mac)
{
    count(ether, ETHER_COUNTER_arp_conflicts);
    ether->conflict_address = address;
    ether->conflict_mac = *mac;
}

/* Takes note of who sent an ARP packet. */
static void note_sender(struct ether *ether, const struct wire_arp *arp, bool asks_for_us)
{
    if (arp->sender_ip == 0) { /* RFC 5227 section 2.1.1: a probe has no sender yet */
        if (asks_for_us && ether->probing) {
            note_conflict(ether, arp->target_ip, &arp->sender_mac);
        }
        return;
    }
    if (is_ours(ether, arp->sender_ip)) {
        note_conflict(ether, arp->sender_ip, &arp->sender_mac);
        return;
    }
    struct neighbour *neighbour = neighbour_find(ether, arp->sender_ip);
    if (neighbour != NULL) {
        learn(ether, neighbour, &arp->sender_mac);
    } else if (asks_for_us && is_on_link(ether, arp->sender_ip) &&
               !is_for_many(ether, arp->sender_ip)) {
        learn_stranger(ether, arp);
    }
}

/* RFC 826, "Packet Reception", in its order: the sender first, then what it wants. */
static void input_arp(struct ether *ether, const struct wire_ether *frame)
{
    struct wire_arp arp;
    if (wire_arp_parse(&arp, frame->payload, frame->payload_bytes) != WIRE_OK ||
        (arp.sender_mac.bytes[0] & 1u) != 0 || is_same_mac(&arp.sender_mac, &nobody)) {
        count(ether, ETHER_COUNTER_arp_malformed);
        return;
    }
    if (is_same_mac(&arp.sender_mac, &ether->config.mac)) {
        return; /* our own frame has come back */
    }
    const bool asks_for_us = arp.operation == WIRE_ARP_REQUEST && is_ours(ether, arp.target_ip);
    count(ether, arp.operation == WIRE_ARP_REPLY ? ETHER_COUNTER_arp_replies_received
                 : asks_for_us                   ? ETHER_COUNTER_arp_requests_received
                                                 : ETHER_COUNTER_arp_others);
    note_sender(ether, &arp, asks_for_us);
    if (asks_for_us && !ether->config.silent && !ether->probing) {
        struct wire_arp reply = {
            .operation = WIRE_ARP_REPLY,
            .sender_ip = arp.target_ip,
            .target_mac = arp.sender_mac,
            .target_ip = arp.sender_ip,
        };
        send_arp(ether, &reply, &arp.sender_mac);
    }
}

bool ether_input(struct ether *ether, const uint8_t *frame, size_t bytes, const uint8_t **packet,
                 size_t *packet_bytes)
{
    struct wire_ether header;
    if (wire_ether_parse(&header, frame, bytes) != WIRE_OK) {
        count(ether, ETHER_COUNTER_frames_short);
        return false;
    }
    const bool is_for_us = is_same_mac(&header.target, &ether->config.mac);
    const bool is_arp = header.type == WIRE_ETHERTYPE_ARP;
    /* RFC 1122 section 3.3.6: an IP packet for one host that comes in a broadcast frame is dropped
     * in silence; TCP wants no others. */
    if (!is_for_us && !(is_arp && is_same_mac(&header.target, &broadcast))) {
        count(ether, ETHER_COUNTER_frames_not_ours);
        return false;
    }
    if (is_arp) {
        input_arp(ether, &header);
        return false;
    }
    if (header.type != WIRE_ETHERTYPE_IPV4) {
        count(ether, ETHER_COUNTER_frames_other_type);
        return false;
    }
    *packet = header.payload;
    *packet_bytes = header.payload_bytes;
    return true;
}

/* Keeps a copy of a packet for when its neighbour answers. */
static enum ether_sent wait_for(struct ether *ether, struct neighbour *neighbour,
                                const uint8_t *packet, size_t bytes)
{
    if (neighbour->waiting.count >= ETHER_WAITING_MAX) {
        frame_release(ether, frames_take(&neighbour->waiting));
        count(ether, ETHER_COUNTER_packets_queue_full);
    }
    if (ether->waiting_bytes + WIRE_ETHER_BYTES + bytes > ETHER_WAITING_BYTES_MAX) {
        count(ether, ETHER_COUNTER_packets_queue_full);
        return ETHER_DROPPED;
    }
    struct ether_frame *frame = make_frame(ether, WIRE_ETHER_BYTES + bytes);
    if (frame == NULL) {
        return ETHER_DROPPED;
    }
    frame->is_packet = true;
    memcpy(frame->data + WIRE_ETHER_BYTES, packet, bytes);
    frames_put(&neighbour->waiting, frame);
    ether->waiting_bytes += frame->bytes;
    count(ether, ETHER_COUNTER_packets_queued);
    return ETHER_WAITS;
}

static struct neighbour *find_or_ask(struct ether *ether, uint32_t address)
{
    struct neighbour *neighbour = ether->used_last;
    if (neighbour != NULL && neighbour->address == address) {
        return neighbour;
    }
    neighbour = neighbour_find(ether, address);
    if (neighbour == NULL) {
        neighbour = neighbour_add(ether, address);
        if (neighbour == NULL) {
            return NULL;
        }
        ask(ether, neighbour);
        wheel_arm(&ether->timers, &neighbour->timer, ether->now_ns + NEIGHBOUR_ASK_NS);
    }
    ether->used_last = neighbour;
    return neighbour;
}

/* The address to ask for, or 0. */
static uint32_t next_hop(const struct ether *ether, uint32_t target)
{
    if (is_for_many(ether, target) || is_ours(ether, target)) {
        return 0;
    }
    return is_on_link(ether, target) ? target : ether->config.gateway;
}

bool ether_has_route(const struct ether *ether, uint32_t target)
{
    return next_hop(ether, target) != 0;
}

enum ether_sent ether_output(struct ether *ether, uint8_t *frame, size_t packet_bytes)
{
    ASSERT(packet_bytes >= WIRE_IPV4_BYTES);
    ASSERT(packet_bytes <= ETHER_PACKET_MAX);
    const uint8_t *packet = frame + WIRE_ETHER_BYTES;
    const uint32_t target = (uint32_t)packet[16] << 24 | (uint32_t)packet[17] << 16 |
                            (uint32_t)packet[18] << 8 | packet[19];
    const uint32_t hop = next_hop(ether, target);
    if (hop == 0) {
        count(ether, ETHER_COUNTER_packets_no_route);
        return ETHER_DROPPED;
    }
    struct neighbour *neighbour = find_or_ask(ether, hop);
    if (neighbour == NULL) {
        return ETHER_DROPPED;
    }
    if (neighbour->state == NEIGHBOUR_ASKED) {
        return wait_for(ether, neighbour, packet, packet_bytes);
    }
    if (neighbour->state == NEIGHBOUR_KNOWN &&
        neighbour->expires_ns - ether->now_ns <= NEIGHBOUR_REFRESH_NS) {
        ask(ether, neighbour);
    }
    write_header(ether, frame, &neighbour->mac, WIRE_ETHERTYPE_IPV4);
    return ETHER_SEND;
}

size_t ether_fetch(struct ether *ether, uint8_t *frame)
{
    struct ether_frame *due = frames_take(&ether->due);
    if (due == NULL) {
        return 0;
    }
    const size_t bytes = due->bytes;
    memcpy(frame, due->data, bytes);
    frame_release(ether, due);
    return bytes;
}

static void expire(struct ether *ether, struct neighbour *neighbour)
{
    if (neighbour->state == NEIGHBOUR_KNOWN) {
        count(ether, ETHER_COUNTER_neighbours_expired);
    }
    if (neighbour->state == NEIGHBOUR_KNOWN && neighbour->asks != 0) {
        neighbour->state = NEIGHBOUR_ASKED; /* it did not answer its old address: ask all */
        neighbour->asks = 1;
    }
    const bool goes_on = neighbour->asks != 0 && neighbour->asks < NEIGHBOUR_ASKS_MAX;
    if (!goes_on) {
        neighbour_forget(ether, neighbour);
        return;
    }
    ask(ether, neighbour);
    wheel_arm(&ether->timers, &neighbour->timer, ether->now_ns + NEIGHBOUR_ASK_NS);
}

void ether_advance(struct ether *ether, uint64_t now_ns)
{
    struct wheel_timer *timer;
    ether->now_ns = now_ns > ether->now_ns ? now_ns : ether->now_ns;
    while ((timer = wheel_expire(&ether->timers, ether->now_ns)) != NULL) {
        expire(ether, (struct neighbour *)((char *)timer - offsetof(struct neighbour, timer)));
    }
}

uint64_t ether_deadline_ns(const struct ether *ether)
{
    return wheel_next_ns(&ether->timers);
}
