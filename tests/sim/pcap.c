/* Captures: the classic pcap format with nanoseconds, raw IP packets (LINKTYPE_RAW).
 *
 * Layer: tests. Format: draft-ietf-opsawg-pcap. */
#include "sim/sim_private.h"

#include "base/clock.h"

#define PCAP_MAGIC_NS 0xa1b23c4du
#define LINKTYPE_RAW 101u

void pcap_begin(FILE *out)
{
    const uint32_t header[6] = {PCAP_MAGIC_NS, 0x00040002u, 0, 0, SIM_PACKET_MAX, LINKTYPE_RAW};
    (void)fwrite(header, sizeof(header), 1, out);
}

void pcap_packet(FILE *out, uint64_t at_ns, const uint8_t *bytes, uint32_t count)
{
    const uint32_t header[4] = {(uint32_t)(at_ns / NS_PER_SEC), (uint32_t)(at_ns % NS_PER_SEC),
                                count, count};
    (void)fwrite(header, sizeof(header), 1, out);
    (void)fwrite(bytes, count, 1, out);
}
