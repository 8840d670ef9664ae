/* Canned segments; see canned.h. Layer: bench/null. */
#include "canned.h"

#include <string.h>

#include "wire/wire.h"

#define PAYLOAD_BYTES 64
#define SOURCE_PORT_AT (WIRE_ETHER_BYTES + 20)
#define TARGET_PORT_AT (SOURCE_PORT_AT + 2)
#define NUMBER_AT (SOURCE_PORT_AT + 4)
#define FLAGS_AT (SOURCE_PORT_AT + 13)
#define TYPE_AT 12
#define PROTOCOL_AT (WIRE_ETHER_BYTES + 9)
#define PROTOCOL_TCP 6
#define HEADER_BYTES (WIRE_ETHER_BYTES + 20 + 20)

/* What a segment is made of; the flags name it. */
static const struct {
    uint8_t flags;
    bool of_client;
    bool has_payload;
} shapes[CANNED_COUNT] = {
    [CANNED_SYN] = {WIRE_SYN, true, false},
    [CANNED_SYN_ACK] = {WIRE_SYN | WIRE_ACK, false, false},
    [CANNED_REQUEST] = {WIRE_PSH | WIRE_ACK, true, true},
    [CANNED_ECHO] = {WIRE_PSH | WIRE_ACK, false, true},
    [CANNED_FIN] = {WIRE_FIN | WIRE_ACK, true, false},
    [CANNED_FIN_BACK] = {WIRE_FIN | WIRE_ACK, false, false},
    [CANNED_LAST_ACK] = {WIRE_ACK, true, false},
};

static void make_one(struct canned *canned, enum canned_segment segment, uint32_t client,
                     uint32_t server)
{
    uint8_t payload[PAYLOAD_BYTES];
    bool of_client = shapes[segment].of_client, is_syn = (shapes[segment].flags & WIRE_SYN) != 0;
    memset(payload, 'x', sizeof(payload));
    struct wire_ipv4 ip = {.source = of_client ? client : server,
                           .target = of_client ? server : client,
                           .protocol = PROTOCOL_TCP,
                           .ttl = 64,
                           .dont_fragment = true};
    struct wire_tcp tcp = {
        .source_port = CANNED_PORT,
        .target_port = CANNED_PORT,
        .seq = 1,
        .ack = segment == CANNED_SYN ? 0 : 1,
        .flags = shapes[segment].flags,
        .window = 65535,
        .options = {.has_timestamp = true, .ts_val = 1, .ts_ecr = 1},
    };
    if (is_syn) {
        tcp.options.mss = 1460;
        tcp.options.sack_permitted = true;
        tcp.options.has_wscale = true;
        tcp.options.wscale = 7;
    }
    struct wire_payload data = {.first = payload, .first_bytes = PAYLOAD_BYTES};
    struct wire_ether ether = {.type = WIRE_ETHERTYPE_IPV4};
    uint8_t *frame = canned->frames[segment];
    wire_ether_emit(frame, &ether);
    canned->bytes[segment] =
        WIRE_ETHER_BYTES + wire_tcp_emit(frame + WIRE_ETHER_BYTES, &ip, &tcp,
                                         shapes[segment].has_payload ? &data : NULL);
}

void canned_make(struct canned *canned, uint32_t client, uint32_t server)
{
    memset(canned, 0, sizeof(*canned));
    for (int i = 0; i < CANNED_COUNT; i++) {
        make_one(canned, (enum canned_segment)i, client, server);
    }
}

static uint16_t load_port(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

enum canned_segment canned_recognise(const uint8_t *frame, size_t bytes)
{
    if (bytes < HEADER_BYTES || frame[TYPE_AT] != WIRE_ETHERTYPE_IPV4 >> 8 ||
        frame[TYPE_AT + 1] != 0 || frame[PROTOCOL_AT] != PROTOCOL_TCP) {
        return CANNED_NONE;
    }
    bool to_server = load_port(frame + TARGET_PORT_AT) == CANNED_PORT;
    if (!to_server && load_port(frame + SOURCE_PORT_AT) != CANNED_PORT) {
        return CANNED_NONE;
    }
    for (int i = 0; i < CANNED_COUNT; i++) {
        if (shapes[i].of_client == to_server && shapes[i].flags == frame[FLAGS_AT]) {
            return (enum canned_segment)i;
        }
    }
    return CANNED_NONE;
}

bool canned_is_of_client(enum canned_segment segment)
{
    return shapes[segment].of_client;
}

enum canned_segment canned_answer(enum canned_segment segment)
{
    return segment < CANNED_LAST_ACK ? (enum canned_segment)(segment + 1) : CANNED_NONE;
}

static size_t client_port_at(enum canned_segment segment)
{
    return shapes[segment].of_client ? SOURCE_PORT_AT : TARGET_PORT_AT;
}

struct canned_id canned_id_of(const uint8_t *frame, enum canned_segment segment)
{
    struct canned_id id = {.client_port = load_port(frame + client_port_at(segment))};
    /* Only who wrote it reads it for more than to copy it: its byte order is nobody's business. */
    memcpy(&id.number, frame + NUMBER_AT, sizeof(id.number));
    return id;
}

uint32_t canned_write(uint8_t *frame, const struct canned *canned, enum canned_segment segment,
                      struct canned_id id)
{
    memcpy(frame, canned->frames[segment], canned->bytes[segment]);
    uint8_t *port = frame + client_port_at(segment);
    port[0] = (uint8_t)(id.client_port >> 8);
    port[1] = (uint8_t)id.client_port;
    memcpy(frame + NUMBER_AT, &id.number, sizeof(id.number));
    return canned->bytes[segment];
}

void canned_address(uint8_t *frame, const uint8_t target[6], const uint8_t source[6])
{
    memcpy(frame, target, 6);
    memcpy(frame + 6, source, 6);
}
