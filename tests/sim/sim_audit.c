/* The simulator's audits: what a host holds, in all, and that nothing is left at the end.
 *
 * Layer: tests. See sim.h. */
#include <string.h>

#include "base/clock.h"
#include "base/tcp_state.h"
#include "sim/sim_private.h"

/* Memory that a host may keep for later beyond what it began with: pools' last chunks and some
 * buffers, whatever the load was. */
#define MEMORY_KEPT_BYTES (4u * 1024u * 1024u)

#define BIT(state) (1u << FWS_STATE_##state)

/* Figure 5 of RFC 9293 with its notes, and the aborts: from any state to CLOSED. A record that is
 * made or given back counts as CLOSED here. TIME_WAIT to SYN_RECEIVED is RFC 6191 (MAY-2), and its
 * condition (2) is the way back. */
static const uint32_t allowed[FWS_STATE_COUNT] = {
    [FWS_STATE_NONE] = BIT(LISTEN) | BIT(SYN_SENT) | BIT(CLOSED),
    [FWS_STATE_CLOSED] = BIT(LISTEN) | BIT(SYN_SENT) | BIT(NONE),
    [FWS_STATE_LISTEN] = BIT(SYN_RECEIVED) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_SYN_SENT] = BIT(SYN_RECEIVED) | BIT(ESTABLISHED) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_SYN_RECEIVED] =
        BIT(ESTABLISHED) | BIT(FIN_WAIT_1) | BIT(LISTEN) | BIT(TIME_WAIT) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_ESTABLISHED] = BIT(FIN_WAIT_1) | BIT(CLOSE_WAIT) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_FIN_WAIT_1] =
        BIT(FIN_WAIT_2) | BIT(CLOSING) | BIT(TIME_WAIT) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_FIN_WAIT_2] = BIT(TIME_WAIT) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_CLOSING] = BIT(TIME_WAIT) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_CLOSE_WAIT] = BIT(LAST_ACK) | BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_LAST_ACK] = BIT(CLOSED) | BIT(NONE),
    [FWS_STATE_TIME_WAIT] = BIT(SYN_RECEIVED) | BIT(CLOSED) | BIT(NONE),
};

bool transition_is_allowed(uint32_t from, uint32_t to)
{
    return (allowed[from] >> to) & 1u;
}

static void check_transitions(struct sim *sim, uint32_t host, const struct fws_census *census)
{
    for (uint32_t from = 0; from < FWS_STATE_COUNT; from++) {
        for (uint32_t to = 0; to < FWS_STATE_COUNT; to++) {
            if (census->transitions[from][to] && !transition_is_allowed(from, to)) {
                violate(&sim->violation, RULE_transition, "host %u: %s to %s, %llu times", host,
                        tcp_state_name((enum tcp_state)from), tcp_state_name((enum tcp_state)to),
                        (unsigned long long)census->transitions[from][to]);
            }
        }
    }
}

/* Records on the wire: every state but LISTEN and those that are no record. */
static uint64_t wire_records(const struct fws_census *census)
{
    uint64_t sum = 0;
    for (uint32_t state = 0; state < FWS_STATE_COUNT; state++) {
        if (state != FWS_STATE_NONE && state != FWS_STATE_LISTEN && state != FWS_STATE_CLOSED) {
            sum += census->states[state];
        }
    }
    return sum;
}

static void check_limits(struct sim *sim, uint32_t host, const struct fws_census *census)
{
    const uint64_t *fields = sim->plan->hosts[host];
    const uint64_t pairs[][2] = {
        {census->live_records, fields[HOST_live_max]},
        {census->half_open_records, fields[HOST_half_open_max]},
        {census->time_wait_records, fields[HOST_time_wait_max]},
    };
    for (uint32_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        if (pairs[i][1] && pairs[i][0] > pairs[i][1]) {
            violate(&sim->violation, RULE_limit, "host %u: %llu records of at most %llu", host,
                    (unsigned long long)pairs[i][0], (unsigned long long)pairs[i][1]);
        }
    }
}

/* Counters only grow, and the segments counted are those that were seen. */
static void check_counters(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    struct fws_counter counters[SIM_COUNTERS];
    size_t count = fws_counters(of->host, counters, SIM_COUNTERS);
    for (size_t i = 0; i < count && i < SIM_COUNTERS; i++) {
        bool is_back = counters[i].value < of->counters[i];
        bool is_segments = strcmp(counters[i].name, "segments_sent") == 0;
        bool is_wrong = is_segments && counters[i].value != sim->checker.segments_sent[host];
        if (is_back || is_wrong || count > SIM_COUNTERS) {
            violate(&sim->violation, RULE_counters, "host %u: %s is %llu, was %llu; %llu segments",
                    host, counters[i].name, (unsigned long long)counters[i].value,
                    (unsigned long long)of->counters[i],
                    (unsigned long long)sim->checker.segments_sent[host]);
        }
        of->counters[i] = counters[i].value;
    }
}

void audit_host(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    struct fws_census census = {.size = sizeof(census)};
    fws_census(of->host, &census);
    check_transitions(sim, host, &census);
    uint64_t records = wire_records(&census);
    uint64_t live = records - census.states[FWS_STATE_TIME_WAIT];
    live -= live < census.half_open_records ? live : census.half_open_records;
    if (records != census.index_entries ||
        census.states[FWS_STATE_TIME_WAIT] != census.time_wait_records ||
        census.half_open_records > census.states[FWS_STATE_SYN_RECEIVED] ||
        live > census.live_records) {
        violate(&sim->violation, RULE_census_sum,
                "host %u: states sum to %llu (TIME_WAIT %llu, SYN_RECEIVED %llu); index %llu, live "
                "%llu, half-open %llu, TIME_WAIT %llu",
                host, (unsigned long long)records,
                (unsigned long long)census.states[FWS_STATE_TIME_WAIT],
                (unsigned long long)census.states[FWS_STATE_SYN_RECEIVED],
                (unsigned long long)census.index_entries, (unsigned long long)census.live_records,
                (unsigned long long)census.half_open_records,
                (unsigned long long)census.time_wait_records);
    }
    check_limits(sim, host, &census);
    check_counters(sim, host);
    if (census.memory_bytes != of->memory.bytes) {
        violate(&sim->violation, RULE_memory, "host %u: it says %llu bytes, the allocator %llu",
                host, (unsigned long long)census.memory_bytes,
                (unsigned long long)of->memory.bytes);
    }
}

void audit_final(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    struct fws_census census = {.size = sizeof(census)};
    audit_host(sim, host);
    fws_census(of->host, &census);
    if (census.index_entries || census.live_records || census.half_open_records ||
        census.time_wait_records) {
        uint32_t state = 1;
        while (state + 1 < FWS_STATE_COUNT &&
               (!census.states[state] || state == FWS_STATE_LISTEN)) {
            state++;
        }
        violate(
            &sim->violation, RULE_stuck,
            "host %u: %llu records in the index, %llu live, %llu half-open, %llu in TIME_WAIT; "
            "some in %s",
            host, (unsigned long long)census.index_entries, (unsigned long long)census.live_records,
            (unsigned long long)census.half_open_records,
            (unsigned long long)census.time_wait_records, tcp_state_name((enum tcp_state)state));
    }
    if (census.timers_armed || census.buffer_bytes) {
        violate(&sim->violation, RULE_left_over, "host %u: %llu timers, %llu bytes of buffers",
                host, (unsigned long long)census.timers_armed,
                (unsigned long long)census.buffer_bytes);
    }
    if (census.memory_bytes > of->memory_start_bytes + MEMORY_KEPT_BYTES) {
        violate(&sim->violation, RULE_memory,
                "host %u: %llu bytes kept, %llu at the start: live %llu, half-open %llu, TIME_WAIT "
                "%llu, index %llu",
                host, (unsigned long long)census.memory_bytes,
                (unsigned long long)of->memory_start_bytes,
                (unsigned long long)census.live_memory_bytes,
                (unsigned long long)census.half_open_memory_bytes,
                (unsigned long long)census.time_wait_memory_bytes,
                (unsigned long long)census.index_memory_bytes);
    }
    for (uint32_t from = 0; from < FWS_STATE_COUNT; from++) {
        for (uint32_t to = 0; to < FWS_STATE_COUNT; to++) {
            sim->totals.transitions[from][to] += census.transitions[from][to];
        }
    }
}

void totals_add(struct totals *into, const struct totals *from)
{
    uint64_t *sums = (uint64_t *)into;
    const uint64_t *parts = (const uint64_t *)from;
    _Static_assert(sizeof(*into) % sizeof(uint64_t) == 0, "totals are counters only");
    for (size_t i = 0; i < sizeof(*into) / sizeof(uint64_t); i++) {
        sums[i] += parts[i];
    }
}
