/* The part that all links share: what callers must keep to, and frame counts; see link.h. */
#include "link/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "link/link_ops.h"

static const struct counter_info counter_infos[LINK_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "link/counters.def"
#undef COUNTER
};

const char *link_kind_name(enum link_kind kind)
{
    switch (kind) {
    case LINK_PACKET:
        return "packet";
    case LINK_XDP:
        return "xdp";
    case LINK_MEMORY:
        return "memory";
    }
    return "?";
}

int link_parse(const char *text, enum link_kind *kind, const char **interface,
               struct failure *failure)
{
    static const enum link_kind parsed[] = {LINK_PACKET, LINK_XDP};
    for (size_t i = 0; i < sizeof(parsed) / sizeof(parsed[0]); i++) {
        const char *name = link_kind_name(parsed[i]);
        const size_t length = strlen(name);
        if (strncmp(text, name, length) == 0 && text[length] == ':' && text[length + 1] != '\0') {
            *kind = parsed[i];
            *interface = text + length + 1;
            return 0;
        }
    }
    return failure_set(failure, EINVAL,
                       "link \"%s\": neither packet:INTERFACE nor xdp:INTERFACE; use packet:veth0",
                       text);
}

static bool is_power_of_two(uint32_t number)
{
    return number != 0 && (number & (number - 1)) == 0;
}

static int check_slots(const char *name, uint32_t slots, struct failure *failure)
{
    if (is_power_of_two(slots) && slots >= LINK_BATCH_MAX && slots <= LINK_SLOTS_MAX) {
        return 0;
    }
    return failure_set(failure, EINVAL, "link: %u %s slots; use a power of two from %u to %u",
                       slots, name, LINK_BATCH_MAX, LINK_SLOTS_MAX);
}

static uint32_t transmit_slots_of(enum link_kind kind)
{
    return kind == LINK_PACKET ? LINK_TRANSMIT_SLOTS_PACKET : LINK_TRANSMIT_SLOTS;
}

static int check_config(const struct link_config *config, struct failure *failure)
{
    if (config->workers > LINK_WORKERS_MAX) {
        return failure_set(failure, EINVAL, "link %s: %u workers; use 1 to %u", config->interface,
                           config->workers, LINK_WORKERS_MAX);
    }
    if (config->worker >= config->workers) {
        return failure_set(failure, EINVAL, "link %s: worker %u of %u; they count from 0",
                           config->interface, config->worker, config->workers);
    }
    if (config->address_first > config->address_last) {
        return failure_set(failure, EINVAL, "link %s: the address range ends before it begins",
                           config->interface);
    }
    const int error = check_slots("receive", config->receive_slots, failure);
    return error < 0 ? error : check_slots("transmit", config->transmit_slots, failure);
}

int link_open(struct link **opened, const struct link_config *config, struct failure *failure)
{
    struct link_config whole = *config;
    whole.workers = config->workers == 0 ? 1 : config->workers;
    whole.receive_slots = config->receive_slots == 0 ? LINK_RECEIVE_SLOTS : config->receive_slots;
    whole.transmit_slots =
        config->transmit_slots == 0 ? transmit_slots_of(config->kind) : config->transmit_slots;
    int error = check_config(&whole, failure);
    struct link_interface facts;
    if (error == 0) {
        error = link_interface_read(config->interface, &facts, failure);
    }
    if (error != 0) {
        return error;
    }
    if (!facts.up) {
        return failure_set(failure, ENETDOWN, "link %s: the interface is down; ip link set %s up",
                           config->interface, config->interface);
    }
    switch (config->kind) {
    case LINK_PACKET:
        return packet_open(opened, &whole, &facts, failure);
    case LINK_XDP:
        return xdp_open(opened, &whole, &facts, failure);
    case LINK_MEMORY:
        break;
    }
    return failure_set(failure, EINVAL, "link %s: a link in memory has no interface",
                       config->interface);
}

void link_destroy(struct link *link)
{
    while (link != NULL) {
        struct link *inner = link->inner;
        link->ops->destroy(link);
        link = inner;
    }
}

const struct link_interface *link_interface_of(const struct link *link)
{
    return &link->facts;
}

size_t link_receive(struct link *link, uint64_t now_ns, struct link_frame *frames, size_t max)
{
    ASSERT(max <= LINK_BATCH_MAX);
    ASSERT(!link->frames_lent);
    const size_t count = link->ops->receive(link, now_ns, frames, max);
    link->frames_lent = true;
    uint64_t *counters = link->counters;
    for (size_t i = 0; i < count; i++) {
        counters[LINK_COUNTER_bytes_received] += frames[i].bytes;
        counters[LINK_COUNTER_checksums_done] += (frames[i].flags & LINK_CHECKSUM_DONE) != 0;
    }
    counters[LINK_COUNTER_frames_received] += count;
    return count;
}

void link_release(struct link *link)
{
    if (link->frames_lent) {
        link->frames_lent = false;
        link->ops->release(link);
    }
}

size_t link_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    ASSERT(max <= LINK_BATCH_MAX);
    ASSERT(link->slots_lent == 0);
    const size_t count = link->ops->reserve(link, slots, max);
    link->counters[LINK_COUNTER_transmit_ring_full] += count < max;
    link->slots_lent = count;
    return count;
}

void link_send(struct link *link, uint64_t now_ns, const struct link_slot *slots, size_t count)
{
    ASSERT(count <= link->slots_lent);
    for (size_t i = 0; i < count; i++) {
        ASSERT(slots[i].bytes >= LINK_ETHER_BYTES);
        ASSERT(slots[i].bytes <= slots[i].capacity);
        link->counters[LINK_COUNTER_bytes_sent] += slots[i].bytes;
    }
    link->counters[LINK_COUNTER_frames_sent] += count;
    link->slots_lent = 0;
    link->ops->send(link, now_ns, slots, count);
}

int link_flush(struct link *link, uint64_t now_ns)
{
    return link->ops->flush(link, now_ns);
}

size_t link_fds(const struct link *link, int *fds)
{
    return link->ops->fds == NULL ? 0 : link->ops->fds(link, fds);
}

uint64_t link_deadline_ns(const struct link *link)
{
    return link->ops->deadline_ns(link);
}

struct counter_view link_counters(struct link *link)
{
    if (link->ops->read_counters != NULL) {
        link->ops->read_counters(link);
    }
    return (struct counter_view){
        .infos = counter_infos, .values = link->counters, .count = LINK_COUNTER_COUNT};
}

struct link *link_inner(struct link *link)
{
    return link->inner;
}

uint64_t link_memory_bytes(const struct link *link)
{
    uint64_t bytes = 0;
    for (; link != NULL; link = link->inner) {
        bytes += link->ops->memory_bytes(link);
    }
    return bytes;
}
