/* SYNs from random sources; see flood.h. Layer: bench/flood.
 *
 * Each SYN has the options of Linux's, so that a cookie has options to keep, and source address,
 * source port, sequence number and timestamp at random. They leave in bursts, one each tick. */
#include "bench/flood/flood.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"
#include "bench/program/program.h"

/* A sleep of this length ends on time, and leaves the CPU to others on a machine that has few. */
#define TICK_NS (250 * NS_PER_US)

/* What a stall made late is sent later, up to so much; else it is skipped: a flood is steady. */
#define LATE_MAX_NS (20 * NS_PER_MS)

/* How long what is queued may take to leave at the end. */
#define LEAVE_MAX_NS (50 * NS_PER_MS)

#define PORT_FIRST 1024u

struct flood {
    const struct flood_config *config;
    struct link *link;
    struct rng rng;
    struct wire_ether ether;
    uint32_t frame_bytes; /* of every one: all have the same options */
    uint64_t queued;
    uint64_t left; /* of these, when the link last had nothing queued any more */
    struct flood_result result;
};

/* Writes one SYN and returns its length. */
static uint32_t write_syn(struct flood *flood, uint8_t *frame)
{
    const struct flood_config *config = flood->config;
    uint64_t index = rng_below(&flood->rng, ip_range_count(&config->sources));
    uint64_t dice = rng_next(&flood->rng);
    struct wire_ipv4 ip = {.source = program_ipv4(&config->sources.first) + (uint32_t)index,
                           .target = program_ipv4(&config->target.ip),
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

/* Has what is queued leave. Returns false when something stays. */
static bool flush(struct flood *flood, uint64_t now_ns)
{
    bool all = link_flush(flood->link, now_ns) == 0;
    flood->left = all ? flood->queued : flood->left;
    return all;
}

/* Queues up to so many and has them leave; returns how many there was room for. */
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
            flood->frame_bytes = slots[i].bytes;
        }
        link_send(flood->link, now_ns, slots, room);
        flood->queued += room;
        flush(flood, now_ns);
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
    uint64_t done = flood->queued + result->skipped;
    uint64_t oldest =
        elapsed_ns > LATE_MAX_NS ? due_after(flood->config, elapsed_ns - LATE_MAX_NS) : 0;
    if (oldest > done) {
        result->skipped += oldest - done;
        done = oldest;
    }
    uint64_t due = due_after(flood->config, elapsed_ns);
    if (due > done) {
        send_burst(flood, due - done, now_ns);
    } else {
        flush(flood, now_ns);
    }
}

/* Waits for what is queued to leave, and finds what became of all that was. The link counts what it
 * was refused, in bytes, and what was dropped behind it, in frames. */
static void settle(struct flood *flood)
{
    struct flood_result *result = &flood->result;
    uint64_t now_ns = clock_now_ns(), deadline_ns = now_ns + LEAVE_MAX_NS;
    while (!flush(flood, now_ns) && now_ns < deadline_ns) {
        sleep_until(now_ns + TICK_NS);
        now_ns = clock_now_ns();
    }
    const uint64_t *counters = link_counters(flood->link).values;
    result->unsent = flood->queued - flood->left;
    result->refused = counters[LINK_COUNTER_transmit_dropped];
    if (flood->frame_bytes > 0) {
        result->refused += counters[LINK_COUNTER_transmit_refused_bytes] / flood->frame_bytes;
    }
    result->refused = result->refused < flood->left ? result->refused : flood->left;
    result->sent = flood->left - result->refused;
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
        if (config->count_max != 0 && flood.queued + flood.result.skipped >= config->count_max) {
            break;
        }
        sleep_until(now_ns + TICK_NS);
        now_ns = clock_now_ns();
    }
    flood.result.elapsed_ns = clock_now_ns() - start_ns;
    settle(&flood);
    return flood.result;
}
