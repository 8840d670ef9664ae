/* Plans from seeds: the settings of a run and its hosts, the network's events, and the connections.
 *
 * Layer: tests. See plan.h. Every choice is drawn from the seed alone. */
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "sim/plan.h"

static uint64_t pick(struct rng *rng, const uint64_t *choices, size_t count)
{
    return choices[rng_below(rng, count)];
}

#define PICK(rng, ...)                                                                             \
    pick(rng, (const uint64_t[]){__VA_ARGS__},                                                     \
         sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static bool one_in(struct rng *rng, uint64_t count)
{
    return rng_below(rng, count) == 0;
}

static uint64_t host_count(const struct plan *plan)
{
    ASSERT(plan->settings[PLAN_hosts] >= 2);
    return plan->settings[PLAN_hosts];
}

static void make_host(uint64_t *host, struct rng *rng)
{
    host[HOST_seed] = rng_next(rng);
    host[HOST_mtu] = PICK(rng, 0, 0, 0, 0, 576, 1280, 1500, 9000);
    host[HOST_features_off] = one_in(rng, 2) ? 0 : rng_below(rng, 128); /* enum fws_feature */
    host[HOST_rfc1337] = one_in(rng, 4);
    host[HOST_ecn] = one_in(rng, 3);
    host[HOST_time_wait_ns] =
        PICK(rng, 0, 0, 1, 10 * NS_PER_MS, NS_PER_SEC, 4 * NS_PER_SEC, 240 * NS_PER_SEC);
    host[HOST_rto_min_ns] = PICK(rng, 0, 0, 10 * NS_PER_MS, NS_PER_SEC);
    host[HOST_rto_max_ns] = PICK(rng, 0, 60 * NS_PER_SEC);
    host[HOST_delayed_ack_ns] = PICK(rng, 0, 0, NS_PER_MS, 200 * NS_PER_MS, 499 * NS_PER_MS);
    host[HOST_fin_wait_2_ns] = PICK(rng, 0, 0, NS_PER_SEC, 10 * NS_PER_SEC);
    host[HOST_challenge_per_sec] = PICK(rng, 0, 0, 0, 1, 10);
    host[HOST_live_max] = PICK(rng, 0, 0, 0, 0, 0, 0, 0, 40);
    host[HOST_half_open_max] = PICK(rng, 0, 0, 0, 0, 1, 4, 16);
    host[HOST_send_buffer] = PICK(rng, 0, 0, 0, 2048, 16384, 65536, 1048576);
    host[HOST_receive_buffer] = PICK(rng, 0, 0, 0, 2048, 16384, 65536, 1048576);
    host[HOST_syn_retries] = PICK(rng, 0, 0, 0, 2);
    host[HOST_syn_ack_retries] = PICK(rng, 0, 0, 0, 2);
    host[HOST_retries] = PICK(rng, 0, 0, 0, 5);
    host[HOST_initial_window] = PICK(rng, 0, 0, 0, 1, 4);
    host[HOST_syn_cookies] = PICK(rng, 0, 0, 0, 0, 1, 2);
    host[HOST_congestion] = rng_below(rng, 3);
    host[HOST_iss_offset] = one_in(rng, 2) ? rng_next(rng) & 0xffffffffu : 0;
    host[HOST_ttl] = PICK(rng, 0, 0, 0, 32, 255);
    host[HOST_rto_initial_ns] = PICK(rng, 0, 0, 0, 300 * NS_PER_MS, 3 * NS_PER_SEC);
    host[HOST_time_wait_max] = PICK(rng, 0, 0, 0, 0, 0, 0, 0, 3);
    host[HOST_port_first] = PICK(rng, 0, 0, 0, 0, 1024, 65000);
    host[HOST_port_last] = host[HOST_port_first] ? host[HOST_port_first] + PICK(rng, 99, 535) : 0;
    host[HOST_addresses] = PICK(rng, 0, 0, 0, 0, 2, 200);
    host[HOST_checksum_done] = one_in(rng, 6);
    host[HOST_timestamp_offset] = one_in(rng, 2) ? 0xffffffffu - rng_below(rng, 20000) : 0;
}

/* What connections have from their start; most have nothing of their own. */
static uint32_t opening_options(struct rng *rng)
{
    return one_in(rng, 4) ? (uint32_t)rng_below(rng, OPTION_ALL + 1) & OPTION_OPENING : 0;
}

/* Some runs give an address to two hosts, that share its ports: several stacks behind one
 * interface. What goes to a port goes to the one whose share it is. */
static void make_shares(struct plan *plan, struct rng *rng)
{
    uint64_t hosts = host_count(plan);
    if (hosts < 3 || one_in(rng, 2)) {
        return;
    }
    uint64_t *first = plan->hosts[hosts - 2];
    uint64_t *second = plan->hosts[hosts - 1];
    second[HOST_shares] = hosts - 1; /* 1 + the one before */
    first[HOST_port_modulus] = second[HOST_port_modulus] = 2;
    first[HOST_port_residue] = rng_below(rng, 2);
    second[HOST_port_residue] = 1 - first[HOST_port_residue];
}

/* Tells which host a port of this one's address belongs to. */
static uint8_t owner_of_port(const struct plan *plan, uint8_t host, uint16_t port)
{
    uint64_t hosts = host_count(plan);
    uint64_t modulus = plan->hosts[host][HOST_port_modulus];
    if (port == 0 || modulus == 0 || port % modulus == plan->hosts[host][HOST_port_residue]) {
        return host;
    }
    return (uint8_t)(host == hosts - 1 ? hosts - 2 : hosts - 1);
}

static bool is_one_address(const struct plan *plan, uint8_t a, uint8_t b)
{
    return plan->hosts[a][HOST_shares] == b + 1u || plan->hosts[b][HOST_shares] == a + 1u;
}

static void make_listeners(struct plan *plan, struct rng *rng)
{
    for (uint32_t host = 0; host < plan->settings[PLAN_hosts]; host++) {
        struct entry entry = {.kind = ENTRY_LISTEN, .host = (uint8_t)host, .port = PLAN_PORT};
        entry.arg = PICK(rng, 4096, 4096, 4096, 8);
        entry.nth = opening_options(rng);
        plan_add(plan, entry);
        /* The second one comes and goes. */
        entry.port = PLAN_PORT + 1;
        entry.arg = 16;
        uint64_t end_ns = plan->settings[PLAN_end_ns];
        for (uint64_t at_ns = rng_below(rng, end_ns); at_ns < end_ns;
             at_ns = entry.arg2 + rng_below(rng, end_ns)) {
            entry.at_ns = at_ns;
            entry.arg2 = at_ns + 1 + rng_below(rng, end_ns / 2);
            plan_add(plan, entry);
        }
    }
}

static void make_network(struct plan *plan, struct rng *rng)
{
    uint64_t count = one_in(rng, 2) ? 0 : 1 + rng_below(rng, 6);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t host = (uint8_t)rng_below(rng, plan->settings[PLAN_hosts]);
        struct entry entry = {
            .kind = ENTRY_NET,
            .op = (uint8_t)rng_below(rng, NET_OP_COUNT),
            .host = host,
            .peer = (uint8_t)((host + 1) % host_count(plan)),
            .at_ns = rng_below(rng, plan->settings[PLAN_end_ns]),
            .arg = PICK(rng, 50 * NS_PER_MS, NS_PER_SEC, 8 * NS_PER_SEC, 60 * NS_PER_SEC),
            .arg2 = PICK(rng, 576, 900, 1280, 1400),
        };
        plan_add(plan, entry);
    }
}

/* How 4-tuples are taken: the host's random ports, or ports of a pool that is soon used again. */
static void make_conns(struct plan *plan, struct rng *rng, const struct plan_wish *wish)
{
    uint64_t hosts = host_count(plan);
    uint64_t pool = PICK(rng, 20, 200, 5000);
    uint64_t loss = wish->hours ? wish->loss_percent * 10 : PICK(rng, 0, 0, 5, 20, 50, 200);
    bool is_explicit = one_in(rng, 2);
    uint64_t gap_ns = plan->settings[PLAN_end_ns] / (wish->conns + 1);
    uint64_t at_ns = 0;
    for (uint32_t i = 0; i < wish->conns; i++) {
        at_ns += rng_below(rng, 2 * gap_ns + 1);
        uint8_t host = (uint8_t)rng_below(rng, hosts);
        struct entry conn = {.kind = ENTRY_CONN, .conn = i, .at_ns = at_ns, .host = host};
        conn.peer = (uint8_t)((host + 1 + rng_below(rng, hosts - 1)) % hosts);
        conn.port = is_explicit ? (uint16_t)(20000 + rng_below(rng, pool)) : 0;
        uint64_t kind = rng_below(rng, 100);
        conn.peer_port = kind < 88 ? PLAN_PORT : kind < 98 ? PLAN_PORT + 1 : 9;
        if (one_in(rng, 15)) {
            conn.op = CONN_SIMULTANEOUS;
            /* A 4-tuple of its own: a side that still waits would meet the next connection's, and
             * that would be a sound connection between two scripts that do not belong together. */
            conn.port = (uint16_t)(10000 + i % 5000);
            conn.peer_port = (uint16_t)(15000 + i / 5000 % 5000);
            conn.arg = rng_below(rng, plan->settings[PLAN_delay_ns] * 3 / 2);
        }
        conn.peer = is_one_address(plan, host, conn.peer) ? 0 : conn.peer;
        conn.host = owner_of_port(plan, host, conn.port);
        conn.peer = owner_of_port(plan, conn.peer, conn.peer_port);
        conn.arg2 = opening_options(rng);
        plan_add_conn(plan, rng, conn, (uint32_t)loss);
    }
    plan->settings[PLAN_end_ns] = at_ns + PICK(rng, NS_PER_SEC, 10 * NS_PER_SEC, 90 * NS_PER_SEC);
}

void plan_make(struct plan *plan, const struct plan_wish *wish)
{
    struct rng rng;
    rng_seed(&rng, wish->seed);
    plan->count = 0;
    memset(plan->settings, 0, sizeof(plan->settings));
    memset(plan->hosts, 0, sizeof(plan->hosts));
    uint64_t *run = plan->settings;
    run[PLAN_seed] = wish->seed;
    run[PLAN_conns] = wish->conns;
    run[PLAN_hosts] = 2 + rng_below(&rng, 2);
    /* Some runs begin late, where clocks of 32 bits have wrapped or are about to. */
    run[PLAN_start_ns] = PICK(&rng, 0, NS_PER_SEC, 4294967 * NS_PER_SEC, 17179 * NS_PER_SEC);
    run[PLAN_delay_ns] = PICK(&rng, 50000, NS_PER_MS, 20 * NS_PER_MS, 150 * NS_PER_MS);
    run[PLAN_jitter_ns] = PICK(&rng, 0, 0, run[PLAN_delay_ns] / 10, run[PLAN_delay_ns] * 2);
    run[PLAN_batch_ns] = PICK(&rng, 1, 1, 50000, NS_PER_MS);
    run[PLAN_end_ns] = wish->conns * PICK(&rng, NS_PER_MS, 10 * NS_PER_MS, 100 * NS_PER_MS);
    if (wish->hours) {
        run[PLAN_end_ns] = wish->hours * 3600 * NS_PER_SEC;
    }
    for (uint32_t host = 0; host < run[PLAN_hosts]; host++) {
        make_host(plan->hosts[host], &rng);
        plan->hosts[host][HOST_fake_bug] = wish->fake_bug;
    }
    make_shares(plan, &rng);
    make_listeners(plan, &rng);
    make_network(plan, &rng);
    make_conns(plan, &rng, wish);
}
