/* The simulator's network: every packet's fate by the plan's faults, the router's ICMP, ghosts.
 *
 * Layer: tests. See sim.h. Slots of packets are kept in a list and used again. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "sim/sim_private.h"

#define SLOT_NONE UINT32_MAX

void net_reset(struct sim *sim)
{
    sim->slot_free = SLOT_NONE;
    for (uint32_t i = 0; i < sim->slot_count; i++) {
        sim->slots[i].next_free = sim->slot_free;
        sim->slot_free = i;
    }
    memset(sim->nets, 0, sizeof(sim->nets));
}

static uint32_t slot_take(struct sim *sim, const uint8_t *bytes, uint32_t count)
{
    if (sim->slot_free == SLOT_NONE) {
        uint32_t more = sim->slot_count ? sim->slot_count : 64;
        struct slot *slots = realloc(sim->slots, (sim->slot_count + more) * sizeof(*slots));
        ASSERT(slots != NULL);
        memset(slots + sim->slot_count, 0, more * sizeof(*slots));
        sim->slots = slots;
        for (uint32_t i = sim->slot_count; i < sim->slot_count + more; i++) {
            slots[i].next_free = sim->slot_free;
            sim->slot_free = i;
        }
        sim->slot_count += more;
    }
    uint32_t index = sim->slot_free;
    struct slot *slot = &sim->slots[index];
    sim->slot_free = slot->next_free;
    if (slot->capacity < count) {
        free(slot->data);
        slot->capacity = count < 2048 ? 2048 : SIM_PACKET_MAX;
        slot->data = malloc(slot->capacity);
        ASSERT(slot->data != NULL);
    }
    memcpy(slot->data, bytes, count);
    slot->bytes = count;
    slot->damaged = false;
    slot->is_icmp = false;
    slot->is_late = false;
    return index;
}

void net_release(struct sim *sim, uint32_t slot)
{
    sim->slots[slot].next_free = sim->slot_free;
    sim->slot_free = slot;
}

static void deliver_at(struct sim *sim, uint32_t slot, uint64_t at_ns)
{
    uint64_t batch_ns = sim->plan->settings[PLAN_batch_ns];
    if (batch_ns > 1) {
        at_ns = (at_ns + batch_ns - 1) / batch_ns * batch_ns;
    }
    heap_push(&sim->heap,
              (struct heap_event){.at_ns = at_ns, .kind = EVENT_DELIVER, .index = slot});
}

static bool joins(const struct sim *sim, const struct net_state *net, uint32_t a, uint32_t b)
{
    const struct entry *entry = &sim->plan->entries[net->entry];
    return net->active &&
           ((entry->host == a && entry->peer == b) || (entry->host == b && entry->peer == a));
}

/* What the network does with a packet between two hosts now; PARTITION drops it. */
static const struct entry *net_between(struct sim *sim, uint32_t a, uint32_t b, uint32_t bytes)
{
    for (uint32_t i = 0; i < SIM_PARTITIONS; i++) {
        const struct entry *entry = &sim->plan->entries[sim->nets[i].entry];
        if (joins(sim, &sim->nets[i], a, b) &&
            (entry->op == NET_PARTITION || bytes > entry->arg2)) {
            return entry;
        }
    }
    return NULL;
}

void net_switch(struct sim *sim, uint32_t entry, bool on)
{
    for (uint32_t i = 0; i < SIM_PARTITIONS; i++) {
        struct net_state *net = &sim->nets[i];
        if (on ? !net->active : net->active && net->entry == entry) {
            *net = (struct net_state){on, entry};
            sim->totals.nets[sim->plan->entries[entry].op] += on;
            return;
        }
    }
}

/* The router's word on a packet: type 3 with a code, the header and eight bytes quoted. */
static void send_icmp(struct sim *sim, uint32_t host, const uint8_t *bytes, uint32_t code_mtu)
{
    uint8_t icmp[PACKET_IP_BYTES + 8 + PACKET_IP_BYTES + 8] = {0x45};
    uint8_t *body = icmp + PACKET_IP_BYTES;
    packet_put16(icmp + 2, sizeof(icmp));
    icmp[8] = 64;
    icmp[9] = 1;
    packet_put32(icmp + 12, PLAN_ROUTER_ADDRESS);
    memcpy(icmp + 16, bytes + 12, 4); /* to the quoted packet's sender */
    body[0] = 3;
    body[1] = code_mtu ? 4 : 1;
    packet_put16(body + 6, code_mtu);
    memcpy(body + 8, bytes, PACKET_IP_BYTES + 8);
    packet_put16(body + 2, packet_fold(packet_sum(body, sizeof(icmp) - PACKET_IP_BYTES, 0)));
    packet_finish(icmp);
    uint32_t slot = slot_take(sim, icmp, sizeof(icmp));
    sim->slots[slot].host = (uint8_t)host;
    sim->slots[slot].damaged = true;
    sim->slots[slot].is_icmp = true;
    sim->totals.icmp++;
    deliver_at(sim, slot, sim->now_ns + sim->plan->settings[PLAN_delay_ns]);
}

/* Cuts a packet that may be cut into fragments that fit; all but the last carry nothing to judge,
 * nor does that where the host refuses fragments. */
static void send_fragments(struct sim *sim, uint32_t slot, uint32_t mtu, uint64_t at_ns)
{
    struct slot whole = sim->slots[slot];
    uint32_t part = (mtu - PACKET_IP_BYTES) / 8 * 8;
    uint32_t bytes = whole.bytes - PACKET_IP_BYTES;
    bool is_refused = (sim->plan->hosts[whole.host][HOST_features_off] & FWS_REASSEMBLY) != 0;
    for (uint32_t offset = 0; offset < bytes; offset += part) {
        uint32_t length = bytes - offset < part ? bytes - offset : part;
        bool is_last = offset + length == bytes;
        uint8_t header[PACKET_IP_BYTES];
        memcpy(header, whole.data, sizeof(header));
        packet_put16(header + 2, PACKET_IP_BYTES + length);
        packet_put16(header + 6, offset / 8 | (is_last ? 0 : 0x2000u));
        packet_put16(header + 10, 0);
        packet_put16(header + 10, packet_fold(packet_sum(header, sizeof(header), 0)));
        uint32_t piece = slot_take(sim, whole.data, PACKET_IP_BYTES + length);
        struct slot *of = &sim->slots[piece];
        memcpy(of->data, header, sizeof(header));
        memcpy(of->data + PACKET_IP_BYTES, whole.data + PACKET_IP_BYTES + offset, length);
        of->host = whole.host;
        of->damaged = !is_last || is_refused;
        of->checked = whole.checked;
        sim->totals.fragments++;
        deliver_at(sim, piece, at_ns);
    }
    net_release(sim, slot);
}

static void keep_ghost(struct sim *sim, const struct conn *conn, uint32_t slot, uint64_t delay_ns)
{
    for (uint32_t i = 0; i < SIM_GHOSTS; i++) {
        uint32_t *place = &sim->ghosts[conn->flow * SIM_GHOSTS + i];
        if (*place == 0) {
            const struct slot *of = &sim->slots[slot];
            uint32_t copy = slot_take(sim, of->data, of->bytes);
            struct slot *ghost = &sim->slots[copy];
            ghost->host = sim->slots[slot].host;
            ghost->checked = sim->slots[slot].checked;
            ghost->is_late = true;
            /* The delay waits in the list's place of a free slot. */
            ghost->next_free = (uint32_t)(delay_ns / NS_PER_US);
            *place = copy + 1;
            return;
        }
    }
}

void net_inject_ghosts(struct sim *sim, const struct conn *conn)
{
    for (uint32_t i = 0; i < SIM_GHOSTS; i++) {
        uint32_t *place = &sim->ghosts[conn->flow * SIM_GHOSTS + i];
        if (*place) {
            uint32_t slot = *place - 1;
            sim->totals.faults[FAULT_GHOST]++;
            deliver_at(sim, slot, sim->now_ns + sim->slots[slot].next_free * NS_PER_US);
            *place = 0;
        }
    }
}

bool net_is_safe(struct sim *sim, const struct slot *slot)
{
    if (slot->is_icmp || slot->checked.ref.flow == FLOW_NONE) {
        return true;
    }
    const struct flow *flow = &sim->checker.table.flows[slot->checked.ref.flow];
    const struct half *from = &flow->half[slot->checked.ref.side];
    if (slot->checked.instance == from->now.instance) {
        return true;
    }
    const struct packet *packet = &slot->checked.packet;
    if (seq_distance(packet->seq + packet_length(packet), from->now.iss) <= 0) {
        return true; /* old by its sequence numbers */
    }
    bool both = from->timestamps_on && (packet->options & PACKET_HAS_TIMESTAMPS);
    return both && !(packet->flags & (PACKET_RST | PACKET_SYN)) &&
           seq_distance(packet->tsval, from->now.tsval) < 0; /* old by PAWS */
}

/* Finds the fault that the plan has for this packet, if any. */
static const struct entry *fault_of(struct sim *sim, struct conn *conn, uint32_t side)
{
    uint32_t nth = conn->nth[side];
    while (conn->fault[side] < conn->fault_end[side]) {
        const struct entry *fault = &sim->plan->entries[sim->faults[conn->fault[side]]];
        if (fault->nth > nth) {
            return NULL;
        }
        conn->fault[side]++;
        if (fault->nth == nth) {
            return fault;
        }
    }
    return NULL;
}

static void flip(struct slot *slot, uint64_t bit)
{
    bit %= (uint64_t)slot->bytes * 8;
    slot->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    slot->damaged = true;
}

/* Applies a fault to a packet in its slot. Returns false when the packet is gone. */
static bool apply_fault(struct sim *sim, struct conn *conn, const struct entry *fault,
                        uint32_t slot, uint64_t *at_ns)
{
    struct slot *of = &sim->slots[slot];
    uint32_t side = of->checked.ref.side;
    conn->excuses |= EXCUSE_FAULT;
    switch ((enum fault_op)fault->op) {
    case FAULT_DROP:
        conn->drop_left[side] = (uint32_t)fault->arg2;
        break;
    case FAULT_UNREACHABLE:
        send_icmp(sim, conn_host(sim, conn, side), of->data, 0);
        break;
    case FAULT_DUPLICATE: {
        uint32_t copy = slot_take(sim, of->data, of->bytes);
        sim->slots[copy].host = sim->slots[slot].host;
        sim->slots[copy].checked = sim->slots[slot].checked;
        deliver_at(sim, copy, *at_ns + fault->arg);
        break;
    }
    case FAULT_DELAY:
        *at_ns += fault->arg;
        break;
    case FAULT_FLIP:
        flip(of, fault->arg);
        break;
    case FAULT_TRUNCATE:
        of->damaged = fault->arg < of->bytes;
        of->bytes = of->damaged ? (uint32_t)fault->arg : of->bytes;
        break;
    case FAULT_GHOST:
        keep_ghost(sim, conn, slot, fault->arg);
        return true; /* counted when it comes */
    case FAULT_CE:
        if (of->data[1] & 3) {
            of->data[1] |= 3;
            packet_finish(of->data);
            break;
        }
        return true;
    case FAULT_OP_COUNT:
        break;
    }
    sim->totals.faults[fault->op]++;
    return fault->op != FAULT_DROP && fault->op != FAULT_UNREACHABLE;
}

/* A packet of a connection of the plan: its number, its fault. Returns false when it is gone. */
static bool pass_faults(struct sim *sim, uint32_t slot, uint64_t *at_ns)
{
    const struct flow_ref ref = sim->slots[slot].checked.ref;
    const struct flow *flow = &sim->checker.table.flows[ref.flow];
    if (flow->conn == FLOW_NONE) {
        return true;
    }
    struct conn *conn = &sim->conns[flow->conn];
    const struct entry *fault = fault_of(sim, conn, ref.side);
    uint64_t key = ((uint64_t)flow->conn << 32) ^ ((uint64_t)conn->nth[ref.side] << 1) ^ ref.side;
    conn->nth[ref.side]++;
    uint64_t jitter_ns = sim->plan->settings[PLAN_jitter_ns];
    if (jitter_ns) {
        *at_ns += rng_mix(sim->plan->settings[PLAN_seed] * 31 + key) % jitter_ns;
    }
    if (sim->ending) {
        return true;
    }
    if (conn->drop_left[ref.side]) {
        conn->drop_left[ref.side]--;
        sim->totals.faults[FAULT_DROP]++;
        return false;
    }
    return !fault || apply_fault(sim, conn, fault, slot, at_ns);
}

void net_send(struct sim *sim, uint32_t host, const struct fws_buffer *buffer,
              const struct checked *checked)
{
    uint32_t target = buffer->bytes >= PACKET_IP_BYTES + 4
                          ? host_by_address(sim, packet_get32(buffer->data + 16),
                                            packet_get16(buffer->data + PACKET_IP_BYTES + 2))
                          : PLAN_HOSTS_MAX;
    if (target == PLAN_HOSTS_MAX ||
        host_address(sim->plan, target) == host_address(sim->plan, host)) {
        return; /* an answer to an address that was damaged */
    }
    uint32_t slot = slot_take(sim, buffer->data, buffer->bytes);
    sim->slots[slot].host = (uint8_t)target;
    sim->slots[slot].checked = *checked;
    uint64_t at_ns = sim->now_ns + sim->plan->settings[PLAN_delay_ns];
    const struct entry *net = sim->ending ? NULL : net_between(sim, host, target, buffer->bytes);
    bool is_open = checked->ref.flow == FLOW_NONE || pass_faults(sim, slot, &at_ns);
    bool may_cut = (packet_get16(sim->slots[slot].data + 6) & 0x4000) == 0;
    if (is_open && net && net->op == NET_MTU && may_cut && !sim->slots[slot].damaged) {
        send_fragments(sim, slot, (uint32_t)net->arg2, at_ns);
    } else if (is_open && !net) {
        deliver_at(sim, slot, at_ns);
    } else {
        if (is_open && net && net->op == NET_MTU) {
            send_icmp(sim, host, buffer->data, (uint32_t)net->arg2);
        }
        sim->totals.net_drops += net != NULL;
        net_release(sim, slot);
    }
}
