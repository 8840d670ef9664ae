/* Link: packet I/O. Ethernet frames in and out of an interface, in batches, without copies of ours.
 *
 * Layer: link (L1). Three kinds: AF_PACKET rings (link/packet.c), AF_XDP (link/xdp.c) and a pair in
 * memory (link/memory.c); and two that stand over another link: faults (link/faults.c) and capture
 * to a pcap file (link/pcap.c). A link carries IPv4 and ARP frames and looks into neither, but for
 * what steers them to a worker.
 *
 * Threads. A link belongs to one thread at a time. Workers have one each and share nothing: the
 * kernel gives each frame to one of them (link_steer). It numbers workers by the order in which
 * their links are opened, so these are opened one after the other, worker 0 first; frames may go
 * astray until all are open and when one is closed.
 *
 * Memory. Received frames stay in the link's memory until link_release; frames to be sent are
 * written into the link's memory (link_reserve). All memory is the link's, taken when it opens;
 * only faults allocate later, for the frames that they hold.
 *
 * Rights. To open takes CAP_NET_RAW, and for AF_XDP CAP_NET_ADMIN and CAP_BPF too; to use takes
 * none (link_drop_rights).
 *
 * Time is an argument (now_ns) and needed by faults that delay; nothing here waits. To wait, poll
 * link_fds for reading until link_deadline_ns.
 *
 * Loss. A link drops frames as networks do: what it knows of that it counts (link/counters.def).
 *
 * A loop:  link_receive ... link_release ... link_reserve, link_send, link_flush ... poll() */
#ifndef FINWAIT_LINK_LINK_H
#define FINWAIT_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/failure.h"

struct link;

#define LINK_FDS_MAX 4u
#define LINK_BATCH_MAX 256u /* frames of one link_receive or link_reserve */
#define LINK_WORKERS_MAX 64u
#define LINK_ETHER_BYTES 14u
#define LINK_FRAME_MAX (LINK_ETHER_BYTES + 65535u)

enum link_frame_flag {
    /* The TCP checksum was verified on the way, or never finished (a local peer whose kernel leaves
     * it to the device): do not verify it. */
    LINK_CHECKSUM_DONE = 1 << 0,
};

/* A received frame, from its Ethernet header on. */
struct link_frame {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t flags; /* enum link_frame_flag */
};

/* Room for a frame to be sent. */
struct link_slot {
    uint8_t *data;
    uint32_t capacity; /* at least LINK_ETHER_BYTES + the link's MTU */
    uint32_t bytes;    /* of the frame: filled in before link_send */
};

enum link_kind {
    LINK_PACKET, /* AF_PACKET, "packet:veth0" */
    LINK_XDP,    /* AF_XDP in copy mode, "xdp:veth0"; drivers' zero copy was not tried */
    LINK_MEMORY, /* made by link_memory_pair only */
};

/* Which port of a received segment says whose it is: worker = port % workers. A client that plans
 * its source ports steers by its own (local) port, a server, whose port is one, by the peer's. ICMP
 * errors go by the same port of the packet that they quote; everything else (pings, fragments,
 * whose ports nobody sees) to worker 0. */
enum link_steer {
    LINK_STEER_LOCAL_PORT,
    LINK_STEER_REMOTE_PORT,
};

/* What a link is opened with. Zero means the default where one is named. */
struct link_config {
    enum link_kind kind;
    const char *interface;  /* borrowed during link_open */
    uint32_t address_first; /* host order: only IPv4 frames to these addresses are received ... */
    uint32_t address_last;  /* ... to here; all ARP frames are */
    uint32_t worker;        /* 0..workers - 1 */
    uint32_t workers;       /* 1; XDP has no more, since there the device chooses the queue */
    uint32_t group;         /* names the workers that share an interface: the process id will do
                             * (its low 16 bits are used) */
    enum link_steer steer;
    uint32_t receive_slots;  /* a power of two; 2048 */
    uint32_t transmit_slots; /* a power of two; 2048, of a packet socket 256 */
    bool blocks; /* PACKET: TPACKET_V3, whose blocks wait for 1 ms or more before they are handed
                  * over, instead of V2 */
};

/* What is known of an interface. */
struct link_interface {
    uint32_t index;
    uint8_t mac[6];
    uint32_t mtu_bytes;
    bool up;
};

/* Reads "packet:NAME" or "xdp:NAME". `*interface` points into the text. Returns 0, or -EINVAL with
 * the text set. */
int link_parse(const char *text, enum link_kind *kind, const char **interface,
               struct failure *failure);

/* Reads an interface's facts. Returns 0, -ENODEV (no such interface in this network namespace), or
 * -EINVAL (not an Ethernet device), with the text set. */
int link_interface_read(const char *name, struct link_interface *interface,
                        struct failure *failure);

/* Tells whether the kernel of this network namespace has an address of the range on any interface;
 * stores the first found. Such an address would be answered twice, by us and by the kernel, whose
 * RST would end our connections. Returns 1, 0, or -errno with the text set. */
int link_kernel_owns(uint32_t address_first, uint32_t address_last, uint32_t *owned,
                     struct failure *failure);

/* Opens a link. Returns 0, or -errno with the text set: -ENODEV, -ENETDOWN (the interface is down),
 * -EPERM (names the right that is missing), -ENOTSUP (built without libxdp, or the device cannot:
 * names AF_PACKET), -EINVAL, -ENOMEM. */
int link_open(struct link **opened, const struct link_config *config, struct failure *failure);

/* Two links in memory, each of which receives what the other sent. Both ends belong to one thread;
 * destroy both. `mtu_bytes` is 576 to 65535, `slots` a power of two. Returns 0, -EINVAL or -ENOMEM.
 */
int link_memory_pair(struct link *ends[2], uint32_t mtu_bytes, uint32_t slots);

/* Which frames have faults; the others pass untouched and at once. */
enum link_faults_direction { LINK_FAULTS_BOTH, LINK_FAULTS_SENT, LINK_FAULTS_RECEIVED };

/* Faults on the frames that a link sends and receives; probabilities are 0 to 1, per frame and
 * direction. The same seed and the same frames at the same times give the same faults. */
struct link_faults {
    uint64_t seed;
    double loss;
    double duplication;
    double corruption;     /* one bit flipped anywhere behind the Ethernet header */
    double reordering;     /* delayed by reorder_ns more, so that later frames overtake it */
    uint64_t reorder_ns;   /* 1 ms */
    uint64_t duplicate_ns; /* a duplicate, not the frame itself, is late by this much more, and
                            * overtaken as a reordered frame is; 0: it follows the frame */
    uint64_t delay_ns;     /* of every frame */
    uint64_t jitter_ns;    /* 0 to this on top, without changing the order */
    uint32_t queue_max;    /* frames held at once in a direction, later ones are dropped; 65536 */
    enum link_faults_direction direction; /* both */
};

/* Puts faults over a link, which from then on belongs to the new one. Two may stand over each
 * other, for faults that differ by direction. Returns 0, -EINVAL or -ENOMEM; on an error `inner` is
 * the caller's still. */
int link_faults_open(struct link **opened, struct link *inner, const struct link_faults *config);

/* Changes the faults on the frames to come, all but seed and queue_max, which are as they were
 * opened. Frames that are held keep their time, and a delay that became shorter lets none overtake
 * them; the random numbers go on where they were, so that the same changes at the same places give
 * the same faults. Requires a link that link_faults_open made. Returns 0, or -EINVAL with the
 * faults as they were. */
int link_faults_set(struct link *link, const struct link_faults *config);

/* A capture: pcap with nanosecond stamps. */
struct link_capture {
    const char *path;        /* borrowed during link_pcap_open */
    uint64_t wall_offset_ns; /* a frame's stamp is this + now_ns */
    uint32_t snap_bytes;     /* of each frame are kept; 0: all */
};

/* Puts a capture over a link, which from then on belongs to the new one: each frame sent or
 * received is written. A write that fails ends the capture and is counted, not the link. Returns 0,
 * or -errno with the text set; on an error `inner` is the caller's still. */
int link_pcap_open(struct link **opened, struct link *inner, const struct link_capture *config,
                   struct failure *failure);

/* Gives up every capability of the calling thread for good, programs that it starts included. Linux
 * keeps capabilities by thread, so this is called when all links are open and before further
 * threads start, which inherit the lack of them; or by each thread. Returns 0, or -errno with the
 * text set. */
int link_drop_rights(struct failure *failure);

/* Calls a function in a thread of its own that has given up every capability, before this one has
 * to: what the function finds, and makes, is as it will be for a program that has none. Returns
 * what it returned, or -errno with the text set. */
int link_call_without_rights(int (*check)(void *context, struct failure *failure), void *context,
                             struct failure *failure);

/* Closes a link and all that it stands over. NULL is allowed. */
void link_destroy(struct link *link);

/* The interface's facts as they were when the link was opened. */
const struct link_interface *link_interface_of(const struct link *link);

/* Takes up to `max` <= LINK_BATCH_MAX received frames, ARP among them, and returns how many. They
 * stay valid until link_release, which must come before the next link_receive. */
size_t link_receive(struct link *link, uint64_t now_ns, struct link_frame *frames, size_t max);
void link_release(struct link *link);

/* Lends room for up to `max` <= LINK_BATCH_MAX frames and returns how many there is room for: fewer
 * when the transmit ring is full, which is counted. Lent until the next link_send. */
size_t link_reserve(struct link *link, struct link_slot *slots, size_t max);

/* Queues the first `count` lent slots as frames of slots[i].bytes each, and takes the rest back
 * unused. Nothing has to leave before link_flush. */
void link_send(struct link *link, uint64_t now_ns, const struct link_slot *slots, size_t count);

/* Has queued frames leave. Returns 0; -ENETDOWN when the interface is down (or gone) and -ENOBUFS
 * when the kernel has no room: counted; what is queued stays. It is tried again by the next call,
 * for which link_deadline_ns tells a time; where the interface was down, by the first call from
 * then on, and those before return -ENETDOWN without asking the kernel. Worth a call once a loop
 * turn: it costs a system call when something is queued, else none. */
int link_flush(struct link *link, uint64_t now_ns);

/* Stores the descriptors that become readable when frames arrive; returns how many, at most
 * LINK_FDS_MAX. A pair in memory has none. */
size_t link_fds(const struct link *link, int *fds);

/* Tells when link_receive and link_flush are next worth a call though no descriptor is readable: a
 * delayed frame is due, or a flush that failed can be tried again. CLOCK_NEVER: nothing waits. */
uint64_t link_deadline_ns(const struct link *link);

enum link_counter {
#define COUNTER(name, help) LINK_COUNTER_##name,
#include "link/counters.def"
#undef COUNTER
    LINK_COUNTER_COUNT
};

/* Shows the counters (link/counters.def) of the link itself, without those that it stands over;
 * borrowed, updated by the owner's thread, kernel figures by this call. */
struct counter_view link_counters(struct link *link);

/* The link that this one stands over, for its counters; NULL: none. */
struct link *link_inner(struct link *link);

/* Counts the bytes of memory that the link holds, its rings included. */
uint64_t link_memory_bytes(const struct link *link);

const char *link_kind_name(enum link_kind kind); /* "packet", "xdp", "memory" */

#endif
