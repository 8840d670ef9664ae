/* A receive ring of TPACKET_V2; see packet_socket.h.
 *
 * Slots hold a frame of the interface's MTU. A kernel peer on the same machine also sends frames of
 * up to 64 KiB, which it leaves to a device to cut (GSO). Slots of that size would be 256 MiB of
 * locked memory for 4096 frames that mostly have 60 bytes; so the kernel keeps such frames with the
 * socket (PACKET_COPY_THRESH) and each costs a call, which the bytes it brings make up for. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "link/packet_socket.h"

#define COPY_BYTES 65552u /* LINK_FRAME_MAX, rounded up to 16 */
#define COPIES_WAITING_BYTES (4 * 1024 * 1024)
#define RECV_TRIES 4u
#define LINE_BYTES 64u /* of a cache */

/* ARP frames are short and few. */
#define ARP_SLOTS 64u
#define ARP_FRAME_MAX 128u

_Static_assert(COPY_BYTES >= LINK_FRAME_MAX, "a copy holds the longest frame");

/* Where a frame of ours begins at most: its IPv4 header is put on a multiple of 16. */
#define SLOT_HEAD 80u /* 32 + 20 bytes of headers, 16 of Ethernet's, rounded up */

static struct tpacket2_hdr *slot_at(const struct packet_ring *ring, uint32_t place)
{
    return (struct tpacket2_hdr *)(ring->map.bytes +
                                   (size_t)(place & (ring->slots - 1)) * ring->slot_bytes);
}

/* How much the socket may keep of frames longer than a slot. Only root of the machine may go beyond
 * net.core.rmem_max; others keep what that allows, and what does not fit is counted as truncated.
 */
static void allow_copies(int fd)
{
    const int bytes = COPIES_WAITING_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
}

static int ring_set_up(struct packet_ring *ring, const struct packet_ring_config *config,
                       struct failure *failure)
{
    const int version = TPACKET_V2;
    const int one = 1;
    const struct tpacket_req request = packet_layout(ring->slots, SLOT_HEAD + config->frame_max);
    ring->slot_bytes = request.tp_frame_size;
    const struct packet_option options[] = {
        {PACKET_VERSION, "TPACKET_V2", &version, sizeof(version)},
        {PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING", &one, sizeof(one)},
        {PACKET_COPY_THRESH, "PACKET_COPY_THRESH", &one, sizeof(one)},
        {PACKET_RX_RING, "a receive ring", &request, sizeof(request)},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].name == PACKET_COPY_THRESH && !config->copies) {
            continue;
        }
        const int error = packet_socket_set(ring->map.fd, &options[i], config->interface, failure);
        if (error < 0) {
            return error;
        }
    }
    return packet_map(&ring->map, (size_t)ring->slots * ring->slot_bytes, config->interface,
                      failure);
}

int packet_ring_open(struct packet_ring *ring, const struct packet_ring_config *config,
                     struct failure *failure)
{
    *ring = (struct packet_ring){.map = {.fd = packet_socket_open(config->interface, failure)},
                                 .slots = config->slots};
    if (ring->map.fd < 0) {
        return ring->map.fd;
    }
    if (config->copies) {
        ring->copies = malloc((size_t)PACKET_COPIES_MAX * COPY_BYTES);
        if (ring->copies == NULL) {
            packet_ring_close(ring);
            return failure_set(failure, ENOMEM, "link %s: out of memory", config->interface);
        }
        allow_copies(ring->map.fd);
    }
    struct packet_program nothing;
    packet_program_nothing(&nothing);
    int error = packet_socket_filter(ring->map.fd, &nothing, config->interface, failure);
    if (error == 0) {
        error = ring_set_up(ring, config, failure);
    }
    if (error < 0) {
        packet_ring_close(ring);
    }
    return error;
}

void packet_ring_close(struct packet_ring *ring)
{
    packet_unmap(&ring->map);
    free(ring->copies);
    ring->copies = NULL;
}

int packet_ring_open_arp(struct packet_ring *ring, const char *interface, struct failure *failure)
{
    const struct packet_ring_config config = {
        .interface = interface, .slots = ARP_SLOTS, .frame_max = ARP_FRAME_MAX};
    int error = packet_ring_open(ring, &config, failure);
    if (error < 0) {
        return error;
    }
    struct packet_program all;
    packet_program_all(&all);
    error = packet_socket_bind(ring->map.fd, ETH_P_ARP, interface, failure);
    if (error == 0) {
        error = packet_socket_filter(ring->map.fd, &all, interface, failure);
    }
    if (error < 0) {
        packet_ring_close(ring);
    }
    return error;
}

/* Reads the frame that the socket kept whole. Returns its length; 0: it is not to be had. */
static uint32_t take_copy(struct packet_ring *ring, uint8_t *copy)
{
    /* An error that was left pending, of an interface that went down, comes first and only once. */
    for (uint32_t i = 0; i < RECV_TRIES; i++) {
        const ssize_t count = recv(ring->map.fd, copy, COPY_BYTES, MSG_DONTWAIT | MSG_TRUNC);
        if (count >= 0) {
            return count <= (ssize_t)COPY_BYTES ? (uint32_t)count : 0;
        }
    }
    return 0;
}

/* Where a frame is, after its slot was found to be ours. */
static const uint8_t *find_frame(struct packet_ring *ring, const struct tpacket2_hdr *slot,
                                 struct link *link, struct packet_slot_facts *facts)
{
    if ((facts->status & TP_STATUS_COPY) == 0 || ring->copies == NULL) {
        return (const uint8_t *)slot + slot->tp_mac;
    }
    uint8_t *copy = ring->copies + (size_t)ring->copied * COPY_BYTES;
    facts->bytes = take_copy(ring, copy);
    ring->copied++;
    link->counters[LINK_COUNTER_receive_copied]++;
    return copy;
}

size_t packet_ring_receive(struct packet_ring *ring, struct link *link, struct link_frame *frames,
                           size_t max)
{
    size_t count = 0;
    while (count < max && ring->lent < ring->slots) {
        const struct tpacket2_hdr *slot = slot_at(ring, ring->next + ring->lent);
        const uint32_t status = __atomic_load_n(&slot->tp_status, __ATOMIC_ACQUIRE);
        const bool ends_batch = (status & TP_STATUS_COPY) != 0 && ring->copied == PACKET_COPIES_MAX;
        if ((status & TP_STATUS_USER) == 0 || ends_batch) {
            break;
        }
        const struct sockaddr_ll *from =
            (const struct sockaddr_ll *)((const uint8_t *)slot + sizeof(struct tpacket2_hdr));
        struct packet_slot_facts facts = {.status = status,
                                          .bytes = slot->tp_snaplen,
                                          .wire_bytes = slot->tp_len,
                                          .vlan = slot->tp_vlan_tci,
                                          .packet_type = from->sll_pkttype};
        const uint8_t *frame = find_frame(ring, slot, link, &facts);
        ring->lent++;
        /* The frame's addresses and ports: another CPU wrote them, and they are read soon. */
        __builtin_prefetch(frame + LINE_BYTES);
        if (packet_accept(link, &facts, frame)) {
            frames[count++] = (struct link_frame){
                .data = frame, .bytes = facts.bytes, .flags = packet_frame_flags(status)};
        }
    }
    return count;
}

void packet_ring_release(struct packet_ring *ring)
{
    for (uint32_t i = 0; i < ring->lent; i++) {
        struct tpacket2_hdr *slot = slot_at(ring, ring->next + i);
        __atomic_store_n(&slot->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
    ring->next += ring->lent;
    ring->lent = 0;
    ring->copied = 0;
}

void packet_ring_count(struct packet_ring *ring, uint64_t *counters)
{
    struct tpacket_stats stats; /* since they were last read */
    socklen_t size = sizeof(stats);
    if (getsockopt(ring->map.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
        counters[LINK_COUNTER_receive_ring_full] += stats.tp_drops;
    }
}

uint64_t packet_ring_memory(const struct packet_ring *ring)
{
    return ring->map.size + (ring->copies == NULL ? 0 : (uint64_t)PACKET_COPIES_MAX * COPY_BYTES);
}
