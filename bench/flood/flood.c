/* SYNs from random sources; see flood.h. Layer: bench/flood.
 *
 * Each SYN has the options of Linux's, so that a cookie has options to keep, and source address,
 * source port, sequence number and timestamp at random. They leave in bursts, one each tick. */
#include "bench/flood/flood.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"

/* A sleep of this length ends on time, and leaves the CPU to others on a machine that has few. */
#define TICK_NS (250 * NS_PER_US)

/* What a stall made late is sent later, up to so much; else it is skipped: a flood is steady. */
#define LATE_MAX_NS (20 * NS_PER_MS)

#define PORT_FIRST 1024u

struct flood {
    const struct flood_config *config;
    struct link *link;
    struct rng rng;
    struct wire_ether ether;
    struct flood_result result;
};

static uint32_t host_order(const struct ip_addr *ip)
{
    return (uint32_t)ip->bytes[0] << 24 | (uint32_t)ip->bytes[1] << 16 |
           (uint32_t)ip->bytes[2] << 8 | ip->bytes[3];
}

/* Writes one SYN and returns its length. */
static uint32_t write_syn(struct flood *flood, uint8_t *frame)
{
    const struct flood_config *config = flood->config;
    uint64_t index = rng_below(&flood->rng, ip_range_count(&config->sources));
    uint64_t dice = rng_next(&flood->rng);
    struct wire_ipv4 ip = {.source = host_order(&config->sources.first) + (uint32_t)index,
                           .target = host_order(&config->target.ip),
                           .protocol = WIRE_PROTO_TCP,
                           .ttl = 64,
                           .dont_fragment = true};
    struct wire_tcp tcp = {
        .source_port = (uint16_t)(PORT_FIRST + (dice >> 32) % (65536 - PORT_FIRST)),
        .target_port = config->target.port,
        .seq = (uint32_t)dice,
        .flags = WIRE_SYN,
        .window = 64240,
        .options = {.mss = 1460,
                    .sack_permitted = true,
                    .has_timestamp = true,
                    .ts_val = (uint32_t)rng_next(&flood->rng),
                    .has_wscale = true,
                    .wscale = 7},
    };
    wire_ether_emit(frame, &flood->ether);
    return WIRE_ETHER_BYTES + wire_tcp_emit(frame + WIRE_ETHER_BYTES, &ip, &tcp, NULL);
}

/* Sends up to so many; returns how many there was room for. */
static uint64_t send_burst(struct flood *flood, uint64_t wanted, uint64_t now_ns)
{
    struct link_slot slots[LINK_BATCH_MAX];
    uint64_t sent = 0;
    while (sent < wanted) {
        uint64_t left = wanted - sent;
        size_t room =
            link_reserve(flood->link, slots, left < LINK_BATCH_MAX ? (size_t)left : LINK_BATCH_MAX);
        for (size_t i = 0; i < room; i++) {
            slots[i].bytes = write_syn(flood, slots[i].data);
        }
        link_send(flood->link, now_ns, slots, room);
        link_flush(flood->link, now_ns);
        sent += room;
        if (room == 0) {
            break;
        }
    }
    return sent;
}

/* Counts what is due after so much time. */
static uint64_t due_after(const struct flood_config *config, uint64_t elapsed_ns)
{
    double per_ns = (double)config->events / (double)config->per_ns;
    uint64_t due = (uint64_t)((double)elapsed_ns * per_ns);
    return config->count_max != 0 && due > config->count_max ? config->count_max : due;
}

static void sleep_until(uint64_t when_ns)
{
    struct timespec when = {.tv_sec = (time_t)(when_ns / NS_PER_SEC),
                            .tv_nsec = (long)(when_ns % NS_PER_SEC)};
    /* A signal ends it early, and the caller looks whether it shall stop. */
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
}

/* Sends what is due, and skips what is too late. */
static void turn(struct flood *flood, uint64_t start_ns, uint64_t now_ns)
{
    struct flood_result *result = &flood->result;
    uint64_t elapsed_ns = now_ns - start_ns;
    uint64_t done = result->sent + result->skipped;
    uint64_t oldest =
        elapsed_ns > LATE_MAX_NS ? due_after(flood->config, elapsed_ns - LATE_MAX_NS) : 0;
    if (oldest > done) {
        result->skipped += oldest - done;
        done = oldest;
    }
    uint64_t due = due_after(flood->config, elapsed_ns);
    result->sent += due > done ? send_burst(flood, due - done, now_ns) : 0;
}

struct flood_result flood_run(const struct flood_config *config, struct link *link,
                              const volatile sig_atomic_t *stop)
{
    struct flood flood = {.config = config, .link = link};
    rng_seed(&flood.rng, config->seed);
    flood.ether = (struct wire_ether){.target = config->target_mac, .type = WIRE_ETHERTYPE_IPV4};
    memcpy(flood.ether.source.bytes, link_interface_of(link)->mac,
           sizeof(flood.ether.source.bytes));
    uint64_t start_ns = clock_now_ns(), now_ns = start_ns;
    while (!*stop && now_ns - start_ns < config->duration_ns) {
        turn(&flood, start_ns, now_ns);
        if (config->count_max != 0 &&
            flood.result.sent + flood.result.skipped >= config->count_max) {
            break;
        }
        sleep_until(now_ns + TICK_NS);
        now_ns = clock_now_ns();
    }
    flood.result.elapsed_ns = clock_now_ns() - start_ns;
    return flood.result;
}
