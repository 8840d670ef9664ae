/* ARP: the one form of RFC 826 that is left, IPv4 over Ethernet.
 *
 * Layer: wire (L1). Pure. */
#include "wire/bytes.h"
#include "wire/wire.h"

#define HARDWARE_ETHERNET 1u
#define HARDWARE_BYTES 6u
#define PROTOCOL_BYTES 4u

enum wire_verdict wire_arp_parse(struct wire_arp *arp, const uint8_t *packet, size_t bytes)
{
    if (bytes < WIRE_ARP_BYTES || load_u16(packet) != HARDWARE_ETHERNET ||
        load_u16(packet + 2) != WIRE_ETHERTYPE_IPV4 || packet[4] != HARDWARE_BYTES ||
        packet[5] != PROTOCOL_BYTES) {
        return WIRE_ARP_FORM;
    }
    arp->operation = load_u16(packet + 6);
    memcpy(arp->sender_mac.bytes, packet + 8, HARDWARE_BYTES);
    arp->sender_ip = load_u32(packet + 14);
    memcpy(arp->target_mac.bytes, packet + 18, HARDWARE_BYTES);
    arp->target_ip = load_u32(packet + 24);
    return WIRE_OK;
}

void wire_arp_emit(uint8_t *packet, const struct wire_arp *arp)
{
    store_u16(packet, HARDWARE_ETHERNET);
    store_u16(packet + 2, WIRE_ETHERTYPE_IPV4);
    packet[4] = HARDWARE_BYTES;
    packet[5] = PROTOCOL_BYTES;
    store_u16(packet + 6, arp->operation);
    memcpy(packet + 8, arp->sender_mac.bytes, HARDWARE_BYTES);
    store_u32(packet + 14, arp->sender_ip);
    memcpy(packet + 18, arp->target_mac.bytes, HARDWARE_BYTES);
    store_u32(packet + 24, arp->target_ip);
}
