/* Fuzz target: segments into a host in each state. Every answer parses, an RST is never answered
 * by one, the census adds up, and in the end all memory is given back.
 *
 * Layer: tests. The first byte chooses the state; then eight bytes a segment: flags, distance from
 * the next expected sequence number, from the next one that may be acknowledged, window, length,
 * options, and time before it. */
#include "fuzz/hosts.h"

#include <string.h>

#define SEGMENT_INPUT_BYTES 8u
#define SEGMENTS_MAX 64u

/* How the server's connection gets where it is; the steps add up. */
enum stage {
    STAGE_LISTEN,
    STAGE_SYN_RECEIVED,
    STAGE_ESTABLISHED,
    STAGE_CLOSE_WAIT,
    STAGE_LAST_ACK,
    STAGE_FIN_WAIT_1,
    STAGE_FIN_WAIT_2,
    STAGE_CLOSING,
    STAGE_TIME_WAIT,
    STAGE_COUNT,
};

static void lead_to(struct hosts *hosts, enum stage stage)
{
    fws_handle client;
    fws_handle server;
    if (stage == STAGE_LISTEN) {
        return;
    }
    REQUIRE(hosts_connect(hosts, &client) == 0);
    hosts_carry(hosts, hosts->client, HOSTS_DELIVER, false);
    if (stage == STAGE_SYN_RECEIVED) {
        return;
    }
    hosts_settle(hosts);
    REQUIRE(fws_accept(hosts->server, hosts->listener, &server) == 0);
    const bool is_passive = stage == STAGE_CLOSE_WAIT || stage == STAGE_LAST_ACK;
    if (is_passive) {
        fws_shutdown(hosts->client, client);
        hosts_settle(hosts);
    }
    if (stage == STAGE_ESTABLISHED || stage == STAGE_CLOSE_WAIT) {
        return;
    }
    fws_shutdown(hosts->server, server);
    if (stage == STAGE_CLOSING) { /* the FINs cross */
        fws_shutdown(hosts->client, client);
        hosts_carry(hosts, hosts->server, HOSTS_LOSE, false);
        hosts_carry(hosts, hosts->client, HOSTS_DELIVER, false);
    }
    if (stage == STAGE_LAST_ACK || stage == STAGE_FIN_WAIT_1) {
        hosts_carry(hosts, hosts->server, HOSTS_LOSE, false);
    }
    if (stage == STAGE_FIN_WAIT_2 || stage == STAGE_TIME_WAIT) {
        hosts_settle(hosts);
    }
    if (stage == STAGE_TIME_WAIT) {
        fws_shutdown(hosts->client, client);
        hosts_settle(hosts);
    }
}

static void check_state(struct hosts *hosts, enum stage stage)
{
    static const enum fws_state states[STAGE_COUNT] = {
        FWS_STATE_NONE,       FWS_STATE_SYN_RECEIVED, FWS_STATE_ESTABLISHED,
        FWS_STATE_CLOSE_WAIT, FWS_STATE_LAST_ACK,     FWS_STATE_FIN_WAIT_1,
        FWS_STATE_FIN_WAIT_2, FWS_STATE_CLOSING,      FWS_STATE_TIME_WAIT,
    };
    struct fws_info info = {.size = sizeof(info)};
    fws_info_by_tuple(hosts->server, &hosts->server_end, &hosts->client_end, &info);
    REQUIRE(info.state == states[stage]);
}

static uint32_t near(uint32_t edge, uint8_t distance)
{
    return edge + (distance ^ 0x80u) - 0x80u; /* as a signed byte */
}

static void inject(struct hosts *hosts, const uint8_t *input)
{
    static const uint8_t data[256];
    struct fws_info info = {.size = sizeof(info)};
    uint8_t packet[HOSTS_PACKET_MAX];
    fws_info_by_tuple(hosts->server, &hosts->server_end, &hosts->client_end, &info);
    const struct wire_ipv4 ip = {.source = 0x0a090002,
                                 .target = 0x0a090001,
                                 .protocol = WIRE_PROTO_TCP,
                                 .ttl = 64,
                                 .ecn = (enum wire_ecn)(input[5] >> 6)};
    const struct wire_tcp tcp = {
        .source_port = HOSTS_CLIENT_PORT,
        .target_port = HOSTS_PORT,
        .seq = near(info.rcv_nxt, input[1]),
        .ack = near(info.snd_nxt, input[2]),
        .flags = input[0],
        .window = (uint16_t)(input[3] << 8),
        .urgent = input[3],
        .options = {.mss = (uint16_t)((input[5] & 1u) * input[3] * 8u),
                    .sack_permitted = (input[5] & 2u) != 0,
                    .has_wscale = (input[5] & 4u) != 0,
                    .has_timestamp = (input[5] & 8u) != 0,
                    .ts_val = input[6],
                    .ts_ecr = input[7],
                    .sack_count = (uint8_t)(input[5] >> 4 & 3u),
                    .sack = {{info.snd_una, near(info.snd_nxt, input[6])},
                             {near(info.snd_una, input[6]), near(info.snd_una, input[7])}}},
    };
    const struct wire_payload payload = {.first = data, .first_bytes = input[4]};
    const struct fws_packet given = {.data = packet,
                                     .bytes = wire_tcp_emit(packet, &ip, &tcp, &payload)};
    fws_input(hosts->server, &given, 1);
    hosts_carry(hosts, hosts->server, HOSTS_LOSE, (tcp.flags & WIRE_RST) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct hosts hosts;
    if (count == 0) {
        return 0;
    }
    hosts_make(&hosts);
    lead_to(&hosts, (enum stage)(bytes[0] % STAGE_COUNT));
    hosts_carry(&hosts, hosts.server, HOSTS_LOSE, false);
    check_state(&hosts, (enum stage)(bytes[0] % STAGE_COUNT));
    size_t segments = 0;
    for (size_t at = 1; at + SEGMENT_INPUT_BYTES <= count && segments < SEGMENTS_MAX; segments++) {
        inject(&hosts, bytes + at);
        hosts_advance(&hosts, UINT64_C(1) << (bytes[at + 7] % 38));
        hosts_carry(&hosts, hosts.server, HOSTS_LOSE, false);
        at += SEGMENT_INPUT_BYTES;
    }
    hosts_end(&hosts);
    return 0;
}
