/* Two hosts and the link in memory between them; see memory_wire.h. Layer: bench/lab. */
#include "memory_wire.h"

#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "wire/wire.h"

#define STEP_NS NS_PER_MS
#define BATCH 4u /* few: a connection of the churn has one or two segments under way */
#define LINK_SLOTS 64u
#define COUNTERS_MAX 256u

static const struct fws_endpoint server_end = {.addr = {.version = 4, .bytes = {10, 9, 0, 1}},
                                               .port = 7000};
static const struct fws_addr client_prefix = {.version = 4, .bytes = {10, 10, 0, 0}};
#define CLIENT_PREFIX_BITS 16
#define PORT_FIRST 10000u
#define PORT_COUNT 50000u

static int open_hosts(struct memory_wire *wire, const struct memory_wire_config *config)
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
    wire->now_ns = host.now_ns;
    int error = fws_host_create(&wire->server, &host);
    host.address = client_prefix;
    host.prefix_bits = CLIENT_PREFIX_BITS;
    error = error == 0 ? fws_host_create(&wire->client, &host) : error;
    return error == 0 ? fws_listen(wire->server, &server_end, 16, NULL, &wire->listener) : error;
}

static void write_header(uint8_t *header, const struct link *from, const struct link *to)
{
    struct wire_ether ether = {.type = WIRE_ETHERTYPE_IPV4};
    memcpy(&ether.source, link_interface_of(from)->mac, sizeof(ether.source));
    memcpy(&ether.target, link_interface_of(to)->mac, sizeof(ether.target));
    wire_ether_emit(header, &ether);
}

static int open_link(struct memory_wire *wire, bool has_faults)
{
    static const struct link_faults none = {.seed = 1};
    struct link *ends[2];
    int error = link_memory_pair(ends, MEMORY_WIRE_MTU, LINK_SLOTS);
    if (error != 0) {
        return error;
    }
    wire->client_link = ends[0];
    wire->server_link = ends[1];
    write_header(wire->client_header, ends[0], ends[1]);
    write_header(wire->server_header, ends[1], ends[0]);
    return has_faults ? link_faults_open(&wire->client_link, ends[0], &none) : 0;
}

int memory_wire_open(struct memory_wire *wire, const struct memory_wire_config *config)
{
    memset(wire, 0, sizeof(*wire));
    int error = open_hosts(wire, config);
    error = error == 0 ? open_link(wire, config->faults) : error;
    if (error != 0) {
        memory_wire_close(wire);
    }
    return error;
}

void memory_wire_close(struct memory_wire *wire)
{
    link_destroy(wire->client_link);
    link_destroy(wire->server_link);
    wire->client_link = wire->server_link = NULL;
    fws_host_destroy(wire->client);
    fws_host_destroy(wire->server);
    wire->client = wire->server = NULL;
}

void memory_wire_set_faults(struct memory_wire *wire, const struct link_faults *faults)
{
    static const struct link_faults none = {.seed = 1};
    int error = link_faults_set(wire->client_link, faults != NULL ? faults : &none);
    ASSERT(error == 0);
}

/* One end: a host and its link. */
struct end {
    struct fws_host *host;
    struct link *link;
    const uint8_t *header; /* of each frame that it sends */
};

/* Gives the link what the host has to send, as far as there is room, and has what is due leave.
 * Returns whether the host had anything. */
static bool send_due(const struct end *end, uint64_t now_ns)
{
    struct link_slot slots[BATCH];
    struct fws_buffer buffers[BATCH];
    size_t sent = 0, count, room;
    do {
        room = link_reserve(end->link, slots, BATCH);
        for (size_t i = 0; i < room; i++) {
            buffers[i] = (struct fws_buffer){.data = slots[i].data + LINK_ETHER_BYTES,
                                             .capacity = slots[i].capacity - LINK_ETHER_BYTES};
        }
        count = fws_output(end->host, buffers, room);
        for (size_t i = 0; i < count; i++) {
            memcpy(slots[i].data, end->header, LINK_ETHER_BYTES);
            slots[i].bytes = LINK_ETHER_BYTES + buffers[i].bytes;
        }
        link_send(end->link, now_ns, slots, count);
        sent += count;
    } while (count == BATCH);
    int error = link_flush(end->link, now_ns);
    ASSERT(error == 0); /* memory has no network that is down */
    return sent > 0;
}

/* Hands the host what has arrived. Returns whether anything had. */
static bool receive(const struct end *end, uint64_t now_ns)
{
    struct link_frame frames[BATCH];
    struct fws_packet packets[BATCH];
    size_t count = link_receive(end->link, now_ns, frames, BATCH);
    for (size_t i = 0; i < count; i++) {
        packets[i] = (struct fws_packet){.data = frames[i].data + LINK_ETHER_BYTES,
                                         .bytes = frames[i].bytes - LINK_ETHER_BYTES};
    }
    if (count > 0) {
        fws_input(end->host, packets, count);
    }
    link_release(end->link);
    return count > 0;
}

/* Lets both ends send and receive until nothing moves at this time. */
static void carry_all(struct memory_wire *wire)
{
    const struct end client = {wire->client, wire->client_link, wire->client_header};
    const struct end server = {wire->server, wire->server_link, wire->server_header};
    bool moves;
    do {
        moves = send_due(&client, wire->now_ns);
        moves = receive(&server, wire->now_ns) || moves;
        moves = send_due(&server, wire->now_ns) || moves;
        moves = receive(&client, wire->now_ns) || moves;
    } while (moves);
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

uint64_t memory_wire_due_ns(const struct memory_wire *wire)
{
    return link_deadline_ns(wire->client_link);
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

uint64_t memory_wire_counter(const struct fws_host *host, const char *name)
{
    struct fws_counter counters[COUNTERS_MAX];
    size_t count = fws_counters(host, counters, COUNTERS_MAX), at = 0;
    ASSERT(count <= COUNTERS_MAX);
    while (at < count && strcmp(counters[at].name, name) != 0) {
        at++;
    }
    ASSERT(at < count);
    return counters[at].value;
}

uint64_t memory_wire_link_counter(const struct memory_wire *wire, enum link_counter counter)
{
    return link_counters(wire->client_link).values[counter];
}
