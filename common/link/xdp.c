/* The AF_XDP link, in copy mode, by libxdp; see link.h.
 *
 * Memory is one area of chunks, a frame each: `receive_slots` of them go round between the fill
 * ring (the kernel's to write) and the receive ring (ours to read), `transmit_slots` between the
 * transmit ring, the completion ring and our list of free ones. The kernel hands a frame over
 * before it says that its place in the fill ring, or in the transmit ring, is free; these two have
 * twice as many places as there are chunks, so none is ever full. ARP stays with the kernel, whose
 * packet sockets show it.
 *
 * Checksums: nothing tells of a frame whether a local peer left its TCP checksum to a device. Where
 * the interface is a veth, which has no wire that could spoil a frame, one whose checksum field is
 * just the pseudo-header's sum, as the kernel leaves it, counts as done. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>
#include <xdp/xsk.h>

#include "base/assert.h"
#include "base/clock.h"
#include "link/packet_socket.h"
#include "link/xdp_frame.h"
#include "link/xdp_program.h"

#define CHUNK_SMALL 2048u
#define CHUNK_LARGE 4096u   /* a page: the most that the kernel takes */
#define CHUNK_HEADROOM 256u /* XDP_PACKET_HEADROOM: the kernel keeps it in front of a frame */

/* A call in copy mode sends this many frames at most (32 by default), then says EAGAIN. */
#define SEND_BATCH 32u
#define EMPTY_TURNS 64u /* as in packet.c, for the socket that hears ARP */

/* The kernel frees a queue some time after the socket that had it was closed, or its process
 * killed: one that is busy is tried again for this long. */
#define BUSY_NS (500 * NS_PER_MS)
#define BUSY_TRIES 250u

struct xdp {
    struct link link;
    struct xdp_program_set program;
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill;
    struct xsk_ring_cons completion;
    struct xsk_ring_cons receive;
    struct xsk_ring_prod transmit;
    uint8_t *area; /* NULL: none */
    size_t area_bytes;
    uint32_t chunk_bytes;
    uint32_t receive_slots;
    uint32_t transmit_slots;
    uint64_t *free_chunks; /* of transmit_slots */
    uint32_t free_count;
    uint64_t lent[LINK_BATCH_MAX]; /* received chunks */
    size_t lent_count;
    struct packet_ring arp;
    uint32_t empty_turns;
    bool may_be_unfinished; /* checksums */
    struct packet_retry retry;
    uint64_t drops_told; /* by the kernel, until the last read */
};

static struct xdp *xdp_of(struct link *link)
{
    return (struct xdp *)link;
}

static size_t take_frames(struct xdp *xdp, struct link_frame *frames, size_t max)
{
    uint32_t place = 0;
    const uint32_t count = xsk_ring_cons__peek(&xdp->receive, (uint32_t)max, &place);
    for (uint32_t i = 0; i < count; i++) {
        const struct xdp_desc *got = xsk_ring_cons__rx_desc(&xdp->receive, place + i);
        const uint8_t *data = xdp->area + got->addr;
        const bool done = xdp->may_be_unfinished && xdp_frame_is_unfinished(data, got->len);
        frames[i] = (struct link_frame){
            .data = data, .bytes = got->len, .flags = done ? LINK_CHECKSUM_DONE : 0};
        xdp->lent[i] = got->addr;
    }
    xsk_ring_cons__release(&xdp->receive, count);
    xdp->lent_count = count;
    return count;
}

static size_t xdp_receive(struct link *link, uint64_t now_ns, struct link_frame *frames, size_t max)
{
    (void)now_ns;
    struct xdp *xdp = xdp_of(link);
    size_t count = packet_ring_receive(&xdp->arp, link, frames, max);
    count += take_frames(xdp, frames + count, max - count);
    xdp->empty_turns = count > 0 ? 0 : xdp->empty_turns + 1;
    if (xdp->empty_turns == EMPTY_TURNS) {
        xdp->empty_turns = 0;
        packet_socket_clear_error(xdp->arp.map.fd, link->counters);
    }
    return count;
}

static void xdp_release(struct link *link)
{
    struct xdp *xdp = xdp_of(link);
    const uint32_t count = (uint32_t)xdp->lent_count;
    uint32_t place = 0;
    packet_ring_release(&xdp->arp);
    if (count == 0) {
        return;
    }
    const uint32_t room = xsk_ring_prod__reserve(&xdp->fill, count, &place);
    ASSERT(room == count);
    for (uint32_t i = 0; i < count; i++) {
        *xsk_ring_prod__fill_addr(&xdp->fill, place + i) =
            xdp->lent[i] & ~(uint64_t)(xdp->chunk_bytes - 1);
    }
    xsk_ring_prod__submit(&xdp->fill, count);
    xdp->lent_count = 0;
}

/* Puts chunks whose frames have left back on the list. */
static void reclaim(struct xdp *xdp)
{
    uint32_t place = 0;
    const uint32_t count = xsk_ring_cons__peek(&xdp->completion, xdp->transmit_slots, &place);
    for (uint32_t i = 0; i < count; i++) {
        ASSERT(xdp->free_count < xdp->transmit_slots);
        xdp->free_chunks[xdp->free_count++] =
            *xsk_ring_cons__comp_addr(&xdp->completion, place + i);
    }
    xsk_ring_cons__release(&xdp->completion, count);
}

static size_t xdp_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    struct xdp *xdp = xdp_of(link);
    if (xdp->free_count < max) {
        reclaim(xdp);
    }
    const size_t count = xdp->free_count < max ? xdp->free_count : max;
    for (size_t i = 0; i < count; i++) {
        const uint64_t chunk = xdp->free_chunks[xdp->free_count - 1 - i];
        slots[i] = (struct link_slot){.data = xdp->area + chunk,
                                      .capacity = LINK_ETHER_BYTES + link->facts.mtu_bytes};
    }
    return count;
}

static void xdp_send(struct link *link, uint64_t now_ns, const struct link_slot *slots,
                     size_t count)
{
    (void)now_ns;
    struct xdp *xdp = xdp_of(link);
    uint32_t place = 0;
    if (count == 0) {
        return;
    }
    const uint32_t room = xsk_ring_prod__reserve(&xdp->transmit, (uint32_t)count, &place);
    ASSERT(room == count);
    for (size_t i = 0; i < count; i++) {
        const uint64_t chunk = xdp->free_chunks[--xdp->free_count];
        ASSERT(slots[i].data == xdp->area + chunk);
        *xsk_ring_prod__tx_desc(&xdp->transmit, place + (uint32_t)i) =
            (struct xdp_desc){.addr = chunk, .len = slots[i].bytes};
    }
    xsk_ring_prod__submit(&xdp->transmit, (uint32_t)count);
}

/* How many frames the kernel has not looked at yet. */
static uint32_t count_queued(struct xdp *xdp)
{
    return xdp->transmit.size - xsk_prod_nb_free(&xdp->transmit, xdp->transmit.size);
}

static int xdp_flush(struct link *link, uint64_t now_ns)
{
    struct xdp *xdp = xdp_of(link);
    uint32_t queued = count_queued(xdp);
    uint32_t calls_left = queued / SEND_BATCH + 1;
    int error = 0;
    if (packet_flush_is_early(&xdp->retry, now_ns)) {
        return -ENETDOWN;
    }
    xdp->retry = (struct packet_retry){.at_ns = CLOCK_NEVER};
    /* EAGAIN: there is more to send than a call does, or no room: older kernels do not show how far
     * they came, so the number of calls is the limit. EBUSY: a frame was dropped by a queue. */
    while (queued > 0 && calls_left > 0 && (error == 0 || error == EAGAIN || error == EBUSY)) {
        const ssize_t sent = sendto(xsk_socket__fd(xdp->socket), NULL, 0, MSG_DONTWAIT, NULL, 0);
        error = sent < 0 ? errno : 0;
        link->counters[LINK_COUNTER_transmit_calls]++;
        link->counters[LINK_COUNTER_transmit_dropped] += error == EBUSY;
        calls_left -= error != EBUSY;
        queued = count_queued(xdp);
        reclaim(xdp);
    }
    if (queued == 0) {
        return 0;
    }
    return packet_flush_failed(error == 0 ? EAGAIN : error, now_ns, &xdp->retry, link->counters);
}

static size_t xdp_fds(const struct link *link, int *fds)
{
    const struct xdp *xdp = (const struct xdp *)link;
    fds[0] = xsk_socket__fd(xdp->socket);
    fds[1] = xdp->arp.map.fd;
    return 2;
}

static uint64_t xdp_deadline_ns(const struct link *link)
{
    return ((const struct xdp *)link)->retry.at_ns;
}

static void xdp_read_counters(struct link *link)
{
    struct xdp *xdp = xdp_of(link);
    struct xdp_statistics told = {.rx_dropped = 0};
    socklen_t size = sizeof(told);
    packet_ring_count(&xdp->arp, link->counters);
    const int fd = xsk_socket__fd(xdp->socket);
    if (getsockopt(fd, SOL_XDP, XDP_STATISTICS, &told, &size) == 0) {
        const uint64_t drops = told.rx_dropped + told.rx_ring_full;
        link->counters[LINK_COUNTER_receive_ring_full] += drops - xdp->drops_told;
        xdp->drops_told = drops;
    }
}

/* Rings hold 8 bytes a place, or 16 where they tell lengths. */
static uint64_t xdp_memory_bytes(const struct link *link)
{
    const struct xdp *xdp = (const struct xdp *)link;
    const uint64_t receiving =
        xdp->receive_slots * (2 * sizeof(uint64_t) + sizeof(struct xdp_desc));
    const uint64_t sending =
        xdp->transmit_slots * (2 * sizeof(uint64_t) + 2 * sizeof(struct xdp_desc));
    return sizeof(*xdp) + xdp->area_bytes + receiving + sending + packet_ring_memory(&xdp->arp);
}

static void xdp_destroy(struct link *link)
{
    struct xdp *xdp = xdp_of(link);
    xdp_program_close(&xdp->program);
    if (xdp->socket != NULL) {
        xsk_socket__delete(xdp->socket);
    }
    if (xdp->umem != NULL) {
        (void)xsk_umem__delete(xdp->umem); /* EBUSY cannot be: its only socket is gone */
    }
    if (xdp->area != NULL) {
        munmap(xdp->area, xdp->area_bytes);
    }
    packet_ring_close(&xdp->arp);
    free(xdp->free_chunks);
    free(xdp);
}

static const struct link_ops xdp_ops = {
    .receive = xdp_receive,
    .release = xdp_release,
    .reserve = xdp_reserve,
    .send = xdp_send,
    .flush = xdp_flush,
    .fds = xdp_fds,
    .deadline_ns = xdp_deadline_ns,
    .read_counters = xdp_read_counters,
    .memory_bytes = xdp_memory_bytes,
    .destroy = xdp_destroy,
};

/* Asks the driver. An old driver that does not tell its queues has one. */
static int ask_device(struct xdp *xdp, const char *interface, uint32_t *queues)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (char *)&channels};
    strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    *queues =
        ioctl(fd, SIOCETHTOOL, &request) == 0 ? channels.rx_count + channels.combined_count : 1;
    request.ifr_data = (char *)&driver;
    xdp->may_be_unfinished =
        ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "veth") == 0;
    close(fd);
    return 0;
}

/* The device, not we, chooses a frame's queue, and a queue has one socket. */
static int check_device(struct xdp *xdp, const struct link_config *config, struct failure *failure)
{
    const char *interface = config->interface;
    uint32_t queues = 0;
    if (config->workers > 1) {
        return failure_set(failure, ENOTSUP,
                           "link xdp:%s: %u workers: AF_XDP gives a device's queue to one worker, "
                           "and the device chooses the queue; use one worker, or packet:%s",
                           interface, config->workers, interface);
    }
    const int error = ask_device(xdp, interface, &queues);
    if (error < 0) {
        return failure_set(failure, -error, "link xdp:%s: no socket to ask of its queues: %s",
                           interface, strerror(-error));
    }
    if (queues > 1) {
        return failure_set(failure, ENOTSUP,
                           "link xdp:%s: it has %u receive queues, of which one worker hears one; "
                           "ethtool -L %s combined 1, or use packet:%s",
                           interface, queues, interface, interface);
    }
    const uint32_t frame_max = LINK_ETHER_BYTES + xdp->link.facts.mtu_bytes;
    xdp->chunk_bytes = frame_max + CHUNK_HEADROOM <= CHUNK_SMALL ? CHUNK_SMALL : CHUNK_LARGE;
    if (frame_max + CHUNK_HEADROOM > xdp->chunk_bytes) {
        return failure_set(failure, ENOTSUP,
                           "link xdp:%s: its MTU of %u is over %u, which AF_XDP carries; lower it, "
                           "or use packet:%s",
                           interface, xdp->link.facts.mtu_bytes,
                           CHUNK_LARGE - CHUNK_HEADROOM - LINK_ETHER_BYTES, interface);
    }
    return 0;
}

static int allocate(struct xdp *xdp, const struct link_config *config)
{
    xdp->receive_slots = config->receive_slots;
    xdp->transmit_slots = config->transmit_slots;
    const uint64_t slots = (uint64_t)xdp->receive_slots + xdp->transmit_slots;
    xdp->area_bytes = (size_t)slots * xdp->chunk_bytes;
    void *area =
        mmap(NULL, xdp->area_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    xdp->area = area == MAP_FAILED ? NULL : area;
    xdp->free_chunks = malloc(xdp->transmit_slots * sizeof(uint64_t));
    return xdp->area == NULL || xdp->free_chunks == NULL ? -ENOMEM : 0;
}

/* Shares out the chunks: the first ones to receive, the others to send. */
static void share_chunks(struct xdp *xdp)
{
    uint32_t place = 0;
    const uint32_t room = xsk_ring_prod__reserve(&xdp->fill, xdp->receive_slots, &place);
    ASSERT(room == xdp->receive_slots);
    for (uint32_t i = 0; i < xdp->receive_slots; i++) {
        *xsk_ring_prod__fill_addr(&xdp->fill, place + i) = (uint64_t)i * xdp->chunk_bytes;
    }
    xsk_ring_prod__submit(&xdp->fill, xdp->receive_slots);
    for (uint32_t i = 0; i < xdp->transmit_slots; i++) {
        xdp->free_chunks[i] = (uint64_t)(xdp->receive_slots + i) * xdp->chunk_bytes;
    }
    xdp->free_count = xdp->transmit_slots;
}

static int open_socket(struct xdp *xdp, const struct link_config *config)
{
    const struct xsk_umem_config memory = {.fill_size = 2 * xdp->receive_slots,
                                           .comp_size = xdp->transmit_slots,
                                           .frame_size = xdp->chunk_bytes};
    const struct xsk_socket_config rings = {.rx_size = xdp->receive_slots,
                                            .tx_size = 2 * xdp->transmit_slots,
                                            .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
                                            .bind_flags = XDP_COPY};
    libxdp_set_print(NULL); /* libraries never print */
    int error = xsk_umem__create(&xdp->umem, xdp->area, xdp->area_bytes, &xdp->fill,
                                 &xdp->completion, &memory);
    if (error == 0) {
        error = xsk_socket__create(&xdp->socket, config->interface, 0, xdp->umem, &xdp->receive,
                                   &xdp->transmit, &rings);
    }
    return error;
}

static int open_socket_patiently(struct xdp *xdp, const struct link_config *config)
{
    const struct timespec nap = {.tv_nsec = (long)(BUSY_NS / BUSY_TRIES)};
    int error = open_socket(xdp, config);
    for (uint32_t i = 0; i < BUSY_TRIES && error == -EBUSY; i++) {
        if (xdp->umem != NULL) {
            (void)xsk_umem__delete(xdp->umem);
            xdp->umem = NULL;
        }
        nanosleep(&nap, NULL);
        error = open_socket(xdp, config);
    }
    return error;
}

static int fail_socket(const struct xdp *xdp, const char *interface, int error,
                       struct failure *failure)
{
    if (error == EPERM || error == EACCES) {
        return failure_set(failure, EPERM,
                           "link xdp:%s: no right to open AF_XDP sockets: CAP_NET_RAW is missing; "
                           "run as root",
                           interface);
    }
    if (error == ENOBUFS || error == ENOMEM) {
        return failure_set(failure, ENOMEM,
                           "link xdp:%s: %zu bytes cannot be locked in memory; raise ulimit -l, or "
                           "use packet:%s",
                           interface, xdp->area_bytes, interface);
    }
    if (error == EBUSY) {
        return failure_set(failure, EBUSY,
                           "link xdp:%s: another AF_XDP socket has its queue; end that program, or "
                           "use packet:%s",
                           interface, interface);
    }
    return failure_set(failure, ENOTSUP, "link xdp:%s: no AF_XDP socket: %s; use packet:%s",
                       interface, strerror(error), interface);
}

static int open_parts(struct xdp *xdp, const struct link_config *config, struct failure *failure)
{
    int error = check_device(xdp, config, failure);
    if (error < 0) {
        return error;
    }
    /* First, since it needs the rarest right. */
    error = xdp_program_open(&xdp->program, config, xdp->link.facts.index, failure);
    if (error < 0) {
        return error;
    }
    error = packet_ring_open_arp(&xdp->arp, config->interface, failure);
    if (error < 0) {
        return error;
    }
    error = allocate(xdp, config);
    if (error < 0) {
        return fail_socket(xdp, config->interface, -error, failure);
    }
    error = open_socket_patiently(xdp, config);
    if (error < 0) {
        return fail_socket(xdp, config->interface, -error, failure);
    }
    share_chunks(xdp);
    error = xdp_program_add_socket(&xdp->program, xsk_socket__fd(xdp->socket));
    return error < 0 ? fail_socket(xdp, config->interface, -error, failure) : 0;
}

int xdp_open(struct link **opened, const struct link_config *config,
             const struct link_interface *facts, struct failure *failure)
{
    struct xdp *xdp = calloc(1, sizeof(*xdp));
    if (xdp == NULL) {
        return failure_set(failure, ENOMEM, "link xdp:%s: out of memory", config->interface);
    }
    xdp->link.ops = &xdp_ops;
    xdp->link.facts = *facts;
    xdp->arp.map.fd = -1;
    xdp->program.link_fd = -1;
    xdp->retry.at_ns = CLOCK_NEVER;
    const int error = open_parts(xdp, config, failure);
    if (error < 0) {
        xdp_destroy(&xdp->link);
        return error;
    }
    *opened = &xdp->link;
    return 0;
}
