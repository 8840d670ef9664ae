/* The AF_PACKET link; see link.h, and packet_socket.h for its parts.
 *
 * Three sockets: one receives IPv4 by a ring of slots or of blocks, in a fan-out when there are
 * several workers; one receives ARP, outside of the fan-out, which would give it to one worker
 * only; one sends. While it is set up the first refuses all, so that no frame for another worker or
 * another host gets in.
 *
 * Down and up again: the kernel takes receiving sockets off an interface that goes down, leaves
 * them an error, and puts them back when it comes up, a fan-out's in the order in which they were
 * opened. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "link/packet_socket.h"

/* An error that is left to a socket lets no poll wait any more. It is looked for when so many
 * receives in a row brought nothing: a system call that is far between for a loop that spins, and
 * soon for one that polls in vain. */
#define EMPTY_TURNS 64u

struct packet {
    struct link link;
    bool blocks; /* which of the two is in use */
    struct packet_ring ring;
    struct packet_blocks block_ring;
    struct packet_ring arp;
    struct packet_transmit transmit;
    uint32_t empty_turns;
};

static struct packet *packet_of(struct link *link)
{
    return (struct packet *)link;
}

static int receiving_fd(const struct packet *packet)
{
    return packet->blocks ? packet->block_ring.map.fd : packet->ring.map.fd;
}

static size_t packet_receive(struct link *link, uint64_t now_ns, struct link_frame *frames,
                             size_t max)
{
    (void)now_ns;
    struct packet *packet = packet_of(link);
    size_t count = packet_ring_receive(&packet->arp, link, frames, max);
    if (packet->blocks) {
        count += packet_blocks_receive(&packet->block_ring, link, frames + count, max - count);
    } else {
        count += packet_ring_receive(&packet->ring, link, frames + count, max - count);
    }
    packet->empty_turns = count > 0 ? 0 : packet->empty_turns + 1;
    if (packet->empty_turns == EMPTY_TURNS) {
        packet->empty_turns = 0;
        packet_socket_clear_error(receiving_fd(packet), link->counters);
        packet_socket_clear_error(packet->arp.map.fd, NULL);
    }
    return count;
}

static void packet_release(struct link *link)
{
    struct packet *packet = packet_of(link);
    packet_ring_release(&packet->arp);
    if (packet->blocks) {
        packet_blocks_release(&packet->block_ring);
    } else {
        packet_ring_release(&packet->ring);
    }
}

static size_t packet_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    return packet_transmit_reserve(&packet_of(link)->transmit, slots, max);
}

static void packet_send(struct link *link, uint64_t now_ns, const struct link_slot *slots,
                        size_t count)
{
    (void)now_ns;
    packet_transmit_send(&packet_of(link)->transmit, slots, count);
}

static int packet_flush(struct link *link, uint64_t now_ns)
{
    return packet_transmit_flush(&packet_of(link)->transmit, now_ns, link->counters);
}

static size_t packet_fds(const struct link *link, int *fds)
{
    const struct packet *packet = (const struct packet *)link;
    fds[0] = receiving_fd(packet);
    fds[1] = packet->arp.map.fd;
    return 2;
}

static uint64_t packet_deadline_ns(const struct link *link)
{
    return ((const struct packet *)link)->transmit.retry.at_ns;
}

static void packet_read_counters(struct link *link)
{
    struct packet *packet = packet_of(link);
    packet_ring_count(&packet->arp, link->counters);
    if (packet->blocks) {
        packet_blocks_count(&packet->block_ring, link->counters);
    } else {
        packet_ring_count(&packet->ring, link->counters);
    }
}

static uint64_t packet_memory_bytes(const struct link *link)
{
    const struct packet *packet = (const struct packet *)link;
    return sizeof(*packet) + packet_ring_memory(&packet->ring) + packet->block_ring.map.size +
           packet_ring_memory(&packet->arp) + packet->transmit.map.size;
}

static void packet_destroy(struct link *link)
{
    struct packet *packet = packet_of(link);
    packet_ring_close(&packet->ring);
    packet_blocks_close(&packet->block_ring);
    packet_ring_close(&packet->arp);
    packet_transmit_close(&packet->transmit);
    free(packet);
}

static const struct link_ops packet_ops = {
    .receive = packet_receive,
    .release = packet_release,
    .reserve = packet_reserve,
    .send = packet_send,
    .flush = packet_flush,
    .fds = packet_fds,
    .deadline_ns = packet_deadline_ns,
    .read_counters = packet_read_counters,
    .memory_bytes = packet_memory_bytes,
    .destroy = packet_destroy,
};

/* Makes the bound socket one of the workers, by the program that chooses among them. */
static int join_fan_out(int fd, const struct link_config *config, struct failure *failure)
{
    struct packet_program steer;
    packet_program_steer(&steer, config->steer, config->workers);
    const int group = (int)((config->group & 0xffffu) | (PACKET_FANOUT_CBPF << 16));
    const struct sock_fprog code = {.len = steer.count, .filter = steer.code};
    const struct packet_option options[] = {
        {PACKET_FANOUT, "a worker's place in a fan-out", &group, sizeof(group)},
        {PACKET_FANOUT_DATA, "a fan-out's program", &code, sizeof(code)},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const int error = packet_socket_set(fd, &options[i], config->interface, failure);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

/* Binds the receiving socket, and lets frames in when all that chooses them is in place. */
static int start_receiving(int fd, const struct link_config *config, struct failure *failure)
{
    int error = packet_socket_bind(fd, ETH_P_IP, config->interface, failure);
    if (error == 0 && config->workers > 1) {
        error = join_fan_out(fd, config, failure);
    }
    if (error < 0) {
        return error;
    }
    struct packet_program addresses;
    packet_program_addresses(&addresses, config->address_first, config->address_last);
    return packet_socket_filter(fd, &addresses, config->interface, failure);
}

static int open_parts(struct packet *packet, const struct link_config *config,
                      struct failure *failure)
{
    const struct packet_ring_config receive = {.interface = config->interface,
                                               .slots = config->receive_slots,
                                               .frame_max =
                                                   LINK_ETHER_BYTES + packet->link.facts.mtu_bytes,
                                               .copies = true};
    struct packet_ring_config transmit = receive;
    transmit.slots = config->transmit_slots;
    int error = packet->blocks ? packet_blocks_open(&packet->block_ring, &receive, failure)
                               : packet_ring_open(&packet->ring, &receive, failure);
    if (error == 0) {
        error = packet_ring_open_arp(&packet->arp, config->interface, failure);
    }
    if (error == 0) {
        error = packet_transmit_open(&packet->transmit, &transmit, failure);
    }
    return error < 0 ? error : start_receiving(receiving_fd(packet), config, failure);
}

int packet_open(struct link **opened, const struct link_config *config,
                const struct link_interface *facts, struct failure *failure)
{
    struct packet *packet = calloc(1, sizeof(*packet));
    if (packet == NULL) {
        return failure_set(failure, ENOMEM, "link %s: out of memory", config->interface);
    }
    packet->link.ops = &packet_ops;
    packet->link.facts = *facts;
    packet->blocks = config->blocks;
    packet->ring.map.fd = packet->block_ring.map.fd = -1;
    packet->arp.map.fd = packet->transmit.map.fd = -1;
    const int error = open_parts(packet, config, failure);
    if (error < 0) {
        packet_destroy(&packet->link);
        return error;
    }
    *opened = &packet->link;
    return 0;
}
