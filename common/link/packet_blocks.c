/* A receive ring of TPACKET_V3; see packet_socket.h.
 *
 * The kernel packs frames of any length into blocks and hands a block over when it is full, or when
 * its timer finds frames in it: after 1 ms at best, a tick of the kernel's clock (4 ms at HZ 250)
 * before Linux 6.18. That is why it is an option: a handshake waits for it twice. Frames of 64 KiB
 * (GSO) fit, so nothing has to be copied by a call. */
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "link/packet_socket.h"

#define BLOCK_BYTES (256u * 1024)
#define BLOCKS_MIN 4u
#define SLOT_BYTES 2048u /* what a slot of V2 takes: the memory is then about the same */
#define RETIRE_MS 1u

static struct tpacket_block_desc *block_at(const struct packet_blocks *blocks, uint32_t place)
{
    return (struct tpacket_block_desc *)(blocks->map.bytes +
                                         (size_t)(place % blocks->blocks) * BLOCK_BYTES);
}

static int blocks_set_up(struct packet_blocks *blocks, const struct packet_ring_config *config,
                         struct failure *failure)
{
    const int version = TPACKET_V3;
    const int one = 1;
    const struct tpacket_req3 request = {.tp_block_size = BLOCK_BYTES,
                                         .tp_block_nr = blocks->blocks,
                                         .tp_frame_size = SLOT_BYTES,
                                         .tp_frame_nr = blocks->blocks * (BLOCK_BYTES / SLOT_BYTES),
                                         .tp_retire_blk_tov = RETIRE_MS};
    const struct packet_option options[] = {
        {PACKET_VERSION, "TPACKET_V3", &version, sizeof(version)},
        {PACKET_IGNORE_OUTGOING, "PACKET_IGNORE_OUTGOING", &one, sizeof(one)},
        {PACKET_RX_RING, "a receive ring of blocks", &request, sizeof(request)},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        const int error =
            packet_socket_set(blocks->map.fd, &options[i], config->interface, failure);
        if (error < 0) {
            return error;
        }
    }
    return packet_map(&blocks->map, (size_t)blocks->blocks * BLOCK_BYTES, config->interface,
                      failure);
}

int packet_blocks_open(struct packet_blocks *blocks, const struct packet_ring_config *config,
                       struct failure *failure)
{
    const uint32_t wanted = config->slots / (BLOCK_BYTES / SLOT_BYTES);
    *blocks = (struct packet_blocks){.map = {.fd = packet_socket_open(config->interface, failure)},
                                     .blocks = wanted < BLOCKS_MIN ? BLOCKS_MIN : wanted};
    if (blocks->map.fd < 0) {
        return blocks->map.fd;
    }
    struct packet_program nothing;
    packet_program_nothing(&nothing);
    int error = packet_socket_filter(blocks->map.fd, &nothing, config->interface, failure);
    if (error == 0) {
        error = blocks_set_up(blocks, config, failure);
    }
    if (error < 0) {
        packet_blocks_close(blocks);
    }
    return error;
}

void packet_blocks_close(struct packet_blocks *blocks)
{
    packet_unmap(&blocks->map);
}

/* Begins the next block when it is ours. */
static bool begin_block(struct packet_blocks *blocks)
{
    if (blocks->at != NULL) {
        return true;
    }
    const struct tpacket_block_desc *block = block_at(blocks, blocks->next);
    const uint32_t status = __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE);
    if ((status & TP_STATUS_USER) == 0 || blocks->lent == blocks->blocks) {
        return false;
    }
    blocks->remaining = block->hdr.bh1.num_pkts;
    blocks->at = (const uint8_t *)block + block->hdr.bh1.offset_to_first_pkt;
    return true;
}

/* Leaves a block whose frames were all read. It goes back with the next release. */
static void end_block(struct packet_blocks *blocks)
{
    blocks->at = NULL;
    blocks->next++;
    blocks->lent++;
}

size_t packet_blocks_receive(struct packet_blocks *blocks, struct link *link,
                             struct link_frame *frames, size_t max)
{
    size_t count = 0;
    while (count < max && begin_block(blocks)) {
        if (blocks->remaining == 0) {
            end_block(blocks);
            continue;
        }
        const struct tpacket3_hdr *slot = (const struct tpacket3_hdr *)blocks->at;
        const struct sockaddr_ll *from =
            (const struct sockaddr_ll *)(blocks->at + sizeof(struct tpacket3_hdr));
        const struct packet_slot_facts facts = {.status = slot->tp_status,
                                                .bytes = slot->tp_snaplen,
                                                .wire_bytes = slot->tp_len,
                                                .vlan = (uint16_t)slot->hv1.tp_vlan_tci,
                                                .packet_type = from->sll_pkttype};
        const uint8_t *frame = blocks->at + slot->tp_mac;
        if (packet_accept(link, &facts, frame)) {
            frames[count++] = (struct link_frame){
                .data = frame, .bytes = facts.bytes, .flags = packet_frame_flags(facts.status)};
        }
        blocks->at += slot->tp_next_offset;
        blocks->remaining--;
    }
    return count;
}

void packet_blocks_release(struct packet_blocks *blocks)
{
    if (blocks->at != NULL && blocks->remaining == 0) {
        end_block(blocks);
    }
    for (; blocks->lent > 0; blocks->lent--) {
        struct tpacket_block_desc *block = block_at(blocks, blocks->next - blocks->lent);
        __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
}

void packet_blocks_count(struct packet_blocks *blocks, uint64_t *counters)
{
    struct tpacket_stats_v3 stats; /* since they were last read */
    socklen_t size = sizeof(stats);
    if (getsockopt(blocks->map.fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0) {
        counters[LINK_COUNTER_receive_ring_full] += stats.tp_drops;
    }
}
