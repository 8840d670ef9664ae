/* Two hosts in memory; see memory_wire.h. Layer: bench/lab. */
#include "memory_wire.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#define STEP_NS NS_PER_MS
#define FULL_BYTES 1000 /* a packet of at least so many bytes carries a full segment */
#define SEQ_AT 24       /* behind an IPv4 header of 20 bytes and the two ports */
#define FLAGS_AT 33
#define FLAG_RST 0x04

static const struct fws_endpoint server_end = {.addr = {.version = 4, .bytes = {10, 9, 0, 1}},
                                               .port = 7000};
static const struct fws_addr client_prefix = {.version = 4, .bytes = {10, 10, 0, 0}};
#define CLIENT_PREFIX_BITS 16
#define PORT_FIRST 10000u
#define PORT_COUNT 50000u

int memory_wire_open(struct memory_wire *wire, const struct memory_wire_config *config)
{
    struct fws_config host = {
        .size = sizeof(host),
        .address = server_end.addr,
        .mtu_bytes = MEMORY_WIRE_MTU,
        .features_off = config->timestamps ? 0 : FWS_TIMESTAMPS,
        .now_ns = NS_PER_SEC,
        .time_wait_ns = config->time_wait_ns,
        .seed = "finwait-lab",
    };
    memset(wire, 0, sizeof(*wire));
    wire->now_ns = host.now_ns;
    int error = fws_host_create(&wire->server, &host);
    host.address = client_prefix;
    host.prefix_bits = CLIENT_PREFIX_BITS;
    error = error == 0 ? fws_host_create(&wire->client, &host) : error;
    error = error == 0 ? fws_listen(wire->server, &server_end, 16, NULL, &wire->listener) : error;
    if (error != 0) {
        memory_wire_close(wire);
    }
    return error;
}

void memory_wire_close(struct memory_wire *wire)
{
    fws_host_destroy(wire->client);
    fws_host_destroy(wire->server);
    wire->client = wire->server = NULL;
}

static void keep_copy(struct memory_wire *wire, const struct fws_packet *packet)
{
    if (wire->copy_after > 0 && packet->bytes >= FULL_BYTES && --wire->copy_after == 0) {
        memcpy(wire->copy, packet->data, packet->bytes);
        wire->copy_bytes = packet->bytes;
    }
}

/* Carries all that one host has to send; returns whether there was anything. */
static bool carry(struct memory_wire *wire, bool of_client)
{
    uint8_t bytes[MEMORY_WIRE_MTU];
    struct fws_host *from = of_client ? wire->client : wire->server;
    struct fws_host *to = of_client ? wire->server : wire->client;
    bool any = false;
    struct fws_buffer buffer = {.data = bytes, .capacity = sizeof(bytes)};
    while (fws_output(from, &buffer, 1) == 1) {
        struct fws_packet packet = {.data = bytes, .bytes = buffer.bytes};
        any = true;
        if (of_client) {
            keep_copy(wire, &packet);
            wire->resets_of_client += (bytes[FLAGS_AT] & FLAG_RST) != 0 ? 1 : 0;
        }
        if (!of_client || !wire->drop_of_client) {
            fws_input(to, &packet, 1);
        }
    }
    return any;
}

static void carry_all(struct memory_wire *wire)
{
    bool of_client = carry(wire, true), of_server = carry(wire, false);
    while (of_client || of_server) {
        of_client = carry(wire, true);
        of_server = carry(wire, false);
    }
}

void memory_wire_run(struct memory_wire *wire, uint64_t ns)
{
    carry_all(wire);
    for (uint64_t end_ns = wire->now_ns + ns; wire->now_ns < end_ns;) {
        uint64_t left_ns = end_ns - wire->now_ns;
        wire->now_ns += left_ns < STEP_NS ? left_ns : STEP_NS;
        fws_advance(wire->client, wire->now_ns);
        fws_advance(wire->server, wire->now_ns);
        carry_all(wire);
    }
}

int memory_wire_connect(struct memory_wire *wire, uint32_t number, fws_handle *client,
                        fws_handle *server)
{
    const struct fws_options options = {.size = sizeof(options), .nodelay = 1};
    uint32_t host = number / PORT_COUNT + 1;
    struct fws_endpoint client_end = {.addr = client_prefix,
                                      .port = (uint16_t)(PORT_FIRST + number % PORT_COUNT)};
    client_end.addr.bytes[2] = (uint8_t)(host >> 8);
    client_end.addr.bytes[3] = (uint8_t)host;
    int error = fws_connect(wire->client, &client_end, &server_end, &options, client);
    if (error != 0) {
        return error;
    }
    memory_wire_run(wire, 0);
    return fws_accept(wire->server, wire->listener, server);
}

void memory_wire_deliver_copy(struct memory_wire *wire)
{
    struct fws_packet packet = {.data = wire->copy, .bytes = wire->copy_bytes};
    fws_input(wire->server, &packet, 1);
    memory_wire_run(wire, 0);
}

uint32_t memory_wire_copy_seq(const struct memory_wire *wire)
{
    const uint8_t *at = wire->copy + SEQ_AT;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t memory_wire_time_wait(const struct fws_host *host)
{
    struct fws_census census = {.size = sizeof(census)};
    fws_census(host, &census);
    return census.states[FWS_STATE_TIME_WAIT];
}

uint64_t memory_wire_time_wait_made(const struct fws_host *host)
{
    struct fws_census census = {.size = sizeof(census)};
    uint64_t made = 0;
    fws_census(host, &census);
    for (int from = 0; from < FWS_STATE_COUNT; from++) {
        made += census.transitions[from][FWS_STATE_TIME_WAIT];
    }
    return made;
}
