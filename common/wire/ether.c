/* Ethernet II frames (RFC 894).
 *
 * Layer: wire (L1). Pure. */
#include "wire/bytes.h"
#include "wire/wire.h"

enum wire_verdict wire_ether_parse(struct wire_ether *ether, const uint8_t *frame, size_t bytes)
{
    if (bytes < WIRE_ETHER_BYTES) {
        return WIRE_ETHER_SHORT;
    }
    memcpy(ether->target.bytes, frame, sizeof(ether->target.bytes));
    memcpy(ether->source.bytes, frame + 6, sizeof(ether->source.bytes));
    ether->type = load_u16(frame + 12);
    ether->payload = frame + WIRE_ETHER_BYTES;
    ether->payload_bytes = (uint32_t)(bytes - WIRE_ETHER_BYTES);
    return WIRE_OK;
}

void wire_ether_emit(uint8_t *frame, const struct wire_ether *ether)
{
    memcpy(frame, ether->target.bytes, sizeof(ether->target.bytes));
    memcpy(frame + 6, ether->source.bytes, sizeof(ether->source.bytes));
    store_u16(frame + 12, ether->type);
}
