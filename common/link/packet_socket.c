/* Packet sockets: opening, options, and what is common to all rings; see packet_socket.h. */
#include "link/packet_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define VLAN_ID_MASK 0x0fffu /* IEEE 802.1Q: the rest is priority; 0: no VLAN, only a priority */

#define CACHE_LINE_BYTES 64u

struct tpacket_req packet_layout(uint32_t slots, uint32_t slot_bytes)
{
    /* The kernel allocates a ring in blocks of whole pages and fills each from its beginning, so
     * that there is no gap if a block's slots end with it. */
    const uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    const uint32_t together = page / CACHE_LINE_BYTES < slots ? page / CACHE_LINE_BYTES : slots;
    const uint32_t unit = page / together;
    const uint32_t units = (slot_bytes + unit - 1) / unit;
    const uint32_t slot = (units | 1u) * unit;
    return (struct tpacket_req){.tp_block_size = slot * together,
                                .tp_block_nr = slots / together,
                                .tp_frame_size = slot,
                                .tp_frame_nr = slots};
}

int packet_socket_open(const char *interface, struct failure *failure)
{
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        return fd;
    }
    if (errno == EPERM || errno == EACCES) {
        return failure_set(failure, EPERM,
                           "link %s: no right to open packet sockets: CAP_NET_RAW is missing; run "
                           "as root, or in namespaces of your own (unshare -Urn)",
                           interface);
    }
    if (errno == EAFNOSUPPORT) {
        return failure_set(failure, ENOTSUP,
                           "link %s: this kernel has no packet sockets (CONFIG_PACKET)", interface);
    }
    return failure_set(failure, errno, "link %s: no packet socket: %s", interface, strerror(errno));
}

int packet_socket_set(int fd, const struct packet_option *option, const char *interface,
                      struct failure *failure)
{
    if (setsockopt(fd, SOL_PACKET, option->name, option->value, (socklen_t)option->size) == 0) {
        return 0;
    }
    const int error = errno;
    return failure_set(failure, error, "link %s: the kernel refused %s: %s", interface,
                       option->shown, strerror(error));
}

int packet_socket_filter(int fd, const struct packet_program *program, const char *interface,
                         struct failure *failure)
{
    struct packet_program copy = *program; /* the call takes it without const */
    const struct sock_fprog code = {.len = copy.count, .filter = copy.code};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof(code)) == 0) {
        return 0;
    }
    const int error = errno;
    return failure_set(failure, error, "link %s: the kernel refused a socket filter: %s", interface,
                       strerror(error));
}

int packet_socket_bind(int fd, uint16_t ethertype, const char *interface, struct failure *failure)
{
    const struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                        .sll_protocol = htons(ethertype),
                                        .sll_ifindex = (int)if_nametoindex(interface)};
    if (address.sll_ifindex != 0 &&
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
        return 0;
    }
    const int error = errno;
    return failure_set(failure, error, "link %s: a packet socket cannot be bound to it: %s",
                       interface, strerror(error));
}

int packet_map(struct packet_map *map, size_t size, const char *interface, struct failure *failure)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
    if (bytes == MAP_FAILED) {
        const int error = errno;
        return failure_set(failure, error, "link %s: a ring of %zu bytes cannot be mapped: %s",
                           interface, size, strerror(error));
    }
    map->bytes = bytes;
    map->size = size;
    return 0;
}

void packet_unmap(struct packet_map *map)
{
    if (map->bytes != NULL) {
        munmap(map->bytes, map->size);
        map->bytes = NULL;
    }
    if (map->fd >= 0) {
        close(map->fd);
        map->fd = -1;
    }
}

void packet_socket_clear_error(int fd, uint64_t *counters)
{
    int error = 0;
    socklen_t size = sizeof(error);
    const int result = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (result == 0 && error == ENETDOWN && counters != NULL) {
        counters[LINK_COUNTER_interface_down]++;
    }
}

/* A VLAN's frame for which there is no VLAN device comes with its tag removed, and often without
 * word of it: but the kernel calls it another host's even when its address is ours. */
static bool is_of_other_vlan(const struct link *link, const struct packet_slot_facts *facts,
                             const uint8_t *frame)
{
    if ((facts->status & TP_STATUS_VLAN_VALID) != 0 && (facts->vlan & VLAN_ID_MASK) != 0) {
        return true;
    }
    const bool is_group = (frame[0] & 1) != 0;
    return facts->packet_type == PACKET_OTHERHOST &&
           (is_group || memcmp(frame, link->facts.mac, sizeof(link->facts.mac)) == 0);
}

bool packet_accept(struct link *link, const struct packet_slot_facts *facts, const uint8_t *frame)
{
    if (facts->bytes < facts->wire_bytes || facts->bytes < LINK_ETHER_BYTES) {
        link->counters[LINK_COUNTER_receive_truncated]++;
        return false;
    }
    if (is_of_other_vlan(link, facts, frame)) {
        link->counters[LINK_COUNTER_receive_other_vlan]++;
        return false;
    }
    return true;
}

/* CSUMNOTREADY: a local peer left the sum to a device that never came. CSUM_VALID: ours did it. */
uint32_t packet_frame_flags(uint32_t status)
{
    return (status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_CSUM_VALID)) != 0 ? LINK_CHECKSUM_DONE : 0;
}

bool packet_flush_is_early(const struct packet_retry *retry, uint64_t now_ns)
{
    return retry->was_down && now_ns < retry->at_ns;
}

int packet_flush_failed(int error, uint64_t now_ns, struct packet_retry *retry, uint64_t *counters)
{
    /* ENXIO, ENODEV: the interface is gone. It is no worse than down to those who wait for it. */
    if (error == ENETDOWN || error == ENXIO || error == ENODEV) {
        counters[LINK_COUNTER_interface_down]++;
        *retry = (struct packet_retry){.at_ns = now_ns + LINK_RETRY_DOWN_NS, .was_down = true};
        return -ENETDOWN;
    }
    /* ENOBUFS: a queue is full. EAGAIN: the socket's send buffer is. ENOMEM: no memory. */
    counters[LINK_COUNTER_transmit_no_buffers]++;
    *retry = (struct packet_retry){.at_ns = now_ns + LINK_RETRY_NS};
    return -ENOBUFS;
}
