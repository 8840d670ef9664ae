#include "fuzz/hosts.h"

#include <stdlib.h>
#include <string.h>

#define START_NS UINT64_C(1000000000000)

static void *count_allocate(void *context, size_t bytes)
{
    size_t *held = context;
    *held += bytes;
    return malloc(bytes);
}

static void count_release(void *context, void *memory, size_t bytes)
{
    size_t *held = context;
    REQUIRE(*held >= bytes);
    *held -= bytes;
    free(memory);
}

static struct fws_endpoint make_endpoint(uint8_t last, uint16_t port)
{
    return (struct fws_endpoint){.addr = {.version = 4, .bytes = {10, 9, 0, last}}, .port = port};
}

static struct fws_host *make_host(struct hosts *hosts, const struct fws_endpoint *end)
{
    struct fws_host *host;
    const struct fws_config config = {
        .size = sizeof(config),
        .address = end->addr,
        .seed = {1, 2, 3, end->addr.bytes[3]},
        .now_ns = START_NS,
        .mtu_bytes = 1500,
        .live_max = 16,
        .half_open_max = 16,
        .send_buffer_bytes = 16384,
        .receive_buffer_bytes = 16384,
        .allocator = {.allocate = count_allocate,
                      .release = count_release,
                      .context = &hosts->bytes},
    };
    REQUIRE(fws_host_create(&host, &config) == 0);
    return host;
}

void hosts_make(struct hosts *hosts)
{
    *hosts = (struct hosts){.server_end = make_endpoint(1, HOSTS_PORT),
                            .client_end = make_endpoint(2, HOSTS_CLIENT_PORT),
                            .now_ns = START_NS};
    hosts->server = make_host(hosts, &hosts->server_end);
    hosts->client = make_host(hosts, &hosts->client_end);
    REQUIRE(fws_listen(hosts->server, &hosts->server_end, 4, NULL, &hosts->listener) == 0);
}

void hosts_end(struct hosts *hosts)
{
    hosts_check_census(hosts->server);
    hosts_check_census(hosts->client);
    fws_host_destroy(hosts->server);
    fws_host_destroy(hosts->client);
    REQUIRE(hosts->bytes == 0);
}

int hosts_connect(struct hosts *hosts, fws_handle *conn)
{
    return fws_connect(hosts->client, &hosts->client_end, &hosts->server_end, NULL, conn);
}

static void check_packet(const struct fws_buffer *packet, bool no_reset)
{
    struct wire_ipv4 ip;
    struct wire_tcp tcp;
    REQUIRE(wire_ipv4_parse(&ip, packet->data, packet->bytes) == WIRE_OK);
    if (ip.protocol == WIRE_PROTO_TCP) {
        REQUIRE(wire_tcp_parse(&tcp, &ip, false) == WIRE_OK);
        REQUIRE(!no_reset || (tcp.flags & WIRE_RST) == 0);
    }
}

static void deliver(struct fws_host *to, const struct fws_buffer *packet, enum hosts_fate fate)
{
    const struct fws_packet given = {.data = packet->data, .bytes = packet->bytes};
    switch (fate) {
    case HOSTS_LOSE:
        return;
    case HOSTS_SPOIL:
        packet->data[packet->bytes / 2] ^= 0x10u;
        break;
    case HOSTS_TWICE:
        fws_input(to, &given, 1);
        break;
    case HOSTS_DELIVER:
        break;
    }
    fws_input(to, &given, 1);
}

size_t hosts_carry(struct hosts *hosts, struct fws_host *from, enum hosts_fate fate, bool no_reset)
{
    uint8_t bytes[HOSTS_PACKET_MAX];
    struct fws_host *to = from == hosts->server ? hosts->client : hosts->server;
    struct fws_buffer packet = {.data = bytes, .capacity = sizeof(bytes)};
    size_t count = 0;
    while (fws_output(from, &packet, 1) == 1) {
        check_packet(&packet, no_reset);
        deliver(to, &packet, fate);
        REQUIRE(++count < HOSTS_OUTPUT_MAX);
    }
    return count;
}

void hosts_settle(struct hosts *hosts)
{
    size_t turns = 0;
    while (hosts_carry(hosts, hosts->client, HOSTS_DELIVER, false) +
               hosts_carry(hosts, hosts->server, HOSTS_DELIVER, false) >
           0) {
        REQUIRE(++turns < HOSTS_OUTPUT_MAX);
    }
}

void hosts_advance(struct hosts *hosts, uint64_t by_ns)
{
    hosts->now_ns += by_ns;
    fws_advance(hosts->server, hosts->now_ns);
    fws_advance(hosts->client, hosts->now_ns);
}

void hosts_check_census(const struct fws_host *host)
{
    struct fws_census census = {.size = sizeof(census)};
    fws_census(host, &census);
    uint64_t open = 0;
    for (uint32_t state = 0; state < FWS_STATE_COUNT; state++) {
        open += state == FWS_STATE_LISTEN || state == FWS_STATE_CLOSED ? 0 : census.states[state];
    }
    REQUIRE(open == census.index_entries);
    REQUIRE(census.time_wait_records == census.states[FWS_STATE_TIME_WAIT]);
}
