/* The transmit ring, of TPACKET_V2: frames are written into slots and leave by one call; see
 * packet_socket.h.
 *
 * Its socket is apart from the receiving ones and bound to no protocol, so it receives nothing and
 * carries ARP as well as IPv4. A slot goes AVAILABLE -> SEND_REQUEST (ours: queued) -> SENDING ->
 * AVAILABLE (the kernel's: gone, and its pages no longer read).
 *
 * In front of each frame is a virtio_net_hdr (PACKET_VNET_HDR), for its hdr_len only: that much the
 * kernel copies, the rest it refers to where it lies. A short frame is copied whole: a veth would
 * copy what it refers to into a page of its own, which costs more than all else in the frame's way.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/assert.h"
#include "base/clock.h"
#include "link/packet_socket.h"

#define HEADER_AT sizeof(struct tpacket2_hdr)
#define HEADER_BYTES sizeof(struct virtio_net_hdr)
#define DATA_AT (HEADER_AT + HEADER_BYTES)
#define SEND_BUFFER_BYTES (4 * 1024 * 1024)

/* A frame that the kernel refuses so many flushes in a row for want of room is dropped: what stands
 * in its way may be a rule on the interface that will never let it pass. */
#define REFUSALS_MAX 64u

/* Frames up to this are copied whole: those without data, and small requests with their answers. No
 * interface's MTU forbids them: IPv4 wants 576 bytes. */
#define COPY_WHOLE_BYTES 256u

/* PACKET_LOSS has the kernel skip frames that it cannot send at all; one shorter than its own
 * headers is such. */
#define BYTES_TO_SKIP 1u

static struct tpacket2_hdr *slot_at(const struct packet_transmit *transmit, uint32_t place)
{
    return (struct tpacket2_hdr *)(transmit->map.bytes +
                                   (size_t)(place & (transmit->slots - 1)) * transmit->slot_bytes);
}

static uint32_t slot_status(const struct packet_transmit *transmit, uint32_t place)
{
    return __atomic_load_n(&slot_at(transmit, place)->tp_status, __ATOMIC_ACQUIRE);
}

static int ring_set_up(struct packet_transmit *transmit, const struct packet_ring_config *config,
                       struct failure *failure)
{
    const int version = TPACKET_V2;
    const int one = 1;
    const struct tpacket_req request =
        packet_layout(transmit->slots, (uint32_t)DATA_AT + config->frame_max);
    const size_t size = (size_t)transmit->slots * request.tp_frame_size;
    transmit->slot_bytes = request.tp_frame_size;
    const struct packet_option options[] = {
        {PACKET_VERSION, "TPACKET_V2", &version, sizeof(version)},
        {PACKET_LOSS, "PACKET_LOSS", &one, sizeof(one)},
        {PACKET_VNET_HDR, "PACKET_VNET_HDR", &one, sizeof(one)},
        {PACKET_TX_RING, "a transmit ring", &request, sizeof(request)},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const int error =
            packet_socket_set(transmit->map.fd, &options[i], config->interface, failure);
        if (error < 0) {
            return error;
        }
    }
    const int error = packet_map(&transmit->map, size, config->interface, failure);
    return error < 0 ? error : packet_socket_bind(transmit->map.fd, 0, config->interface, failure);
}

int packet_transmit_open(struct packet_transmit *transmit, const struct packet_ring_config *config,
                         struct failure *failure)
{
    *transmit =
        (struct packet_transmit){.map = {.fd = packet_socket_open(config->interface, failure)},
                                 .slots = config->slots,
                                 .frame_max = config->frame_max,
                                 .retry = {.at_ns = CLOCK_NEVER}};
    if (transmit->map.fd < 0) {
        return transmit->map.fd;
    }
    strncpy(transmit->interface, config->interface, sizeof(transmit->interface) - 1);
    /* What is on its way counts against the send buffer; the ring is the limit that we mean. */
    const int bytes = SEND_BUFFER_BYTES;
    if (setsockopt(transmit->map.fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0) {
        (void)setsockopt(transmit->map.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
    const int error = ring_set_up(transmit, config, failure);
    if (error < 0) {
        packet_transmit_close(transmit);
    }
    return error;
}

void packet_transmit_close(struct packet_transmit *transmit)
{
    packet_unmap(&transmit->map);
}

size_t packet_transmit_reserve(struct packet_transmit *transmit, struct link_slot *slots,
                               size_t max)
{
    size_t count = 0;
    for (; count < max; count++) {
        const uint32_t place = transmit->next + (uint32_t)count;
        if (transmit->queued + count == transmit->slots ||
            slot_status(transmit, place) != TP_STATUS_AVAILABLE) {
            break;
        }
        slots[count] = (struct link_slot){.data = (uint8_t *)slot_at(transmit, place) + DATA_AT,
                                          .capacity = transmit->frame_max};
    }
    return count;
}

void packet_transmit_send(struct packet_transmit *transmit, const struct link_slot *slots,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tpacket2_hdr *slot = slot_at(transmit, transmit->next);
        ASSERT(slots[i].data == (uint8_t *)slot + DATA_AT);
        const bool is_short = slots[i].bytes <= COPY_WHOLE_BYTES;
        struct virtio_net_hdr *header = (struct virtio_net_hdr *)((uint8_t *)slot + HEADER_AT);
        *header =
            (struct virtio_net_hdr){.hdr_len = is_short ? (uint16_t)slots[i].bytes : (uint16_t)0};
        transmit->has_long |= !is_short;
        slot->tp_len = (uint32_t)HEADER_BYTES + slots[i].bytes;
        __atomic_store_n(&slot->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        transmit->next++;
    }
    transmit->queued += (uint32_t)count;
}

/* Forgets the slots that the kernel took since the last call, and returns their bytes. */
static uint64_t collect(struct packet_transmit *transmit)
{
    uint64_t bytes = 0;
    while (transmit->queued > 0) {
        const uint32_t oldest = transmit->next - transmit->queued;
        if (slot_status(transmit, oldest) == TP_STATUS_SEND_REQUEST) {
            break;
        }
        const uint32_t length = slot_at(transmit, oldest)->tp_len;
        bytes += length == BYTES_TO_SKIP ? 0 : length - HEADER_BYTES; /* given up: counted then */
        transmit->queued--;
        transmit->refusals = 0;
    }
    return bytes;
}

static void give_up(struct tpacket2_hdr *slot, uint64_t *counters)
{
    counters[LINK_COUNTER_transmit_refused_bytes] += slot->tp_len - HEADER_BYTES;
    slot->tp_len = BYTES_TO_SKIP;
}

/* Gives up the frames that are too long for an MTU that was lowered since the link was opened: of
 * one with a virtio_net_hdr the kernel does not check it. */
static void refuse_too_long(struct packet_transmit *transmit, uint64_t *counters)
{
    struct ifreq request = {.ifr_mtu = 0};
    memcpy(request.ifr_name, transmit->interface, sizeof(request.ifr_name));
    transmit->has_long = false;
    if (ioctl(transmit->map.fd, SIOCGIFMTU, &request) < 0 ||
        LINK_ETHER_BYTES + (uint32_t)request.ifr_mtu >= transmit->frame_max) {
        return;
    }
    for (uint32_t i = transmit->queued; i > 0; i--) {
        struct tpacket2_hdr *slot = slot_at(transmit, transmit->next - i);
        if (slot->tp_status == TP_STATUS_SEND_REQUEST &&
            slot->tp_len > HEADER_BYTES + LINK_ETHER_BYTES + (uint32_t)request.ifr_mtu) {
            give_up(slot, counters);
        }
    }
}

/* Counts a refusal of the oldest frame, and gives it up when there were too many. */
static void refuse(struct packet_transmit *transmit, uint64_t *counters)
{
    if (++transmit->refusals >= REFUSALS_MAX) {
        give_up(slot_at(transmit, transmit->next - transmit->queued), counters);
        transmit->refusals = 0;
    }
}

int packet_transmit_flush(struct packet_transmit *transmit, uint64_t now_ns, uint64_t *counters)
{
    if (packet_flush_is_early(&transmit->retry, now_ns)) {
        return -ENETDOWN;
    }
    transmit->retry = (struct packet_retry){.at_ns = CLOCK_NEVER};
    if (transmit->has_long) {
        refuse_too_long(transmit, counters);
    }
    while (transmit->queued > 0) {
        const uint32_t before = transmit->queued;
        const ssize_t sent = sendto(transmit->map.fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
        const int error = sent < 0 ? errno : 0;
        counters[LINK_COUNTER_transmit_calls]++;
        const uint64_t gone = collect(transmit);
        if (error == 0) {
            counters[LINK_COUNTER_transmit_refused_bytes] += gone - (uint64_t)sent;
        }
        if (error == EINTR || (error == 0 && transmit->queued < before)) {
            continue;
        }
        /* The call may also end without an error and without progress: there is no room. */
        const int result =
            packet_flush_failed(error == 0 ? EAGAIN : error, now_ns, &transmit->retry, counters);
        if (result == -ENOBUFS && transmit->queued == before) {
            refuse(transmit, counters);
        }
        return result;
    }
    return 0;
}
