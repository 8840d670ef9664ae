/* The simulator: hosts, their time, what goes in and what comes out.
 *
 * Layer: tests. See sim.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "sim/sim_private.h"

#define OUTPUT_BATCH 16u
#define EVENT_BATCH 64u
#define DRAIN_MAX 5000u /* batches of output for one event: a window of every connection */

static void *counted_allocate(void *context, size_t bytes)
{
    struct host_memory *memory = context;
    void *block = malloc(bytes ? bytes : 1);
    if (block) {
        memory->bytes += bytes;
        memory->blocks++;
    }
    return block;
}

static void counted_release(void *context, void *block, size_t bytes)
{
    struct host_memory *memory = context;
    if (block) {
        memory->bytes -= bytes;
        memory->blocks--;
    }
    free(block);
}

struct fws_endpoint endpoint_of(uint32_t address, uint16_t port)
{
    struct fws_endpoint endpoint = {.addr.version = 4, .port = port};
    packet_put32(endpoint.addr.bytes, address);
    return endpoint;
}

static void fill_seed(uint8_t seed[16], const uint64_t *fields)
{
    for (uint32_t i = 0; i < 15; i++) {
        seed[i] = (uint8_t)(rng_mix(fields[HOST_seed] + i / 8) >> (8 * (i % 8)));
    }
    seed[15] = (uint8_t)fields[HOST_fake_bug];
}

void host_create(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    const uint64_t *fields = sim->plan->hosts[host];
    *of = (struct sim_host){.wake_ns = UINT64_MAX};
    of->time_wait_ns = fields[HOST_time_wait_ns] ? fields[HOST_time_wait_ns] : 60 * NS_PER_SEC;
    uint32_t address = host_address(sim->plan, host);
    uint32_t count = host_address_count(sim->plan, host);
    struct fws_config config = {
        .size = sizeof(config),
        .address = endpoint_of(address, 0).addr,
        .rfc1337 = fields[HOST_rfc1337] != 0,
        .ecn = fields[HOST_ecn] != 0,
        .mtu_bytes = (uint32_t)fields[HOST_mtu],
        .features_off = (uint32_t)fields[HOST_features_off],
        .now_ns = sim->now_ns,
        .time_wait_ns = fields[HOST_time_wait_ns],
        .rto_min_ns = fields[HOST_rto_min_ns],
        .rto_max_ns = fields[HOST_rto_max_ns],
        .delayed_ack_ns = fields[HOST_delayed_ack_ns],
        .fin_wait_2_ns = fields[HOST_fin_wait_2_ns],
        .challenge_ack_per_sec = fields[HOST_challenge_per_sec],
        .live_max = (uint32_t)fields[HOST_live_max],
        .half_open_max = (uint32_t)fields[HOST_half_open_max],
        .send_buffer_bytes = (uint32_t)fields[HOST_send_buffer],
        .receive_buffer_bytes = (uint32_t)fields[HOST_receive_buffer],
        .syn_retries = (uint32_t)fields[HOST_syn_retries],
        .syn_ack_retries = (uint32_t)fields[HOST_syn_ack_retries],
        .retries = (uint32_t)fields[HOST_retries],
        .initial_window_segments = (uint32_t)fields[HOST_initial_window],
        .syn_cookies = (enum fws_syn_cookies)fields[HOST_syn_cookies],
        .congestion = (enum fws_congestion)fields[HOST_congestion],
        .iss_offset = (uint32_t)fields[HOST_iss_offset],
        .timestamp_offset = (uint32_t)fields[HOST_timestamp_offset],
        .ttl = (uint8_t)fields[HOST_ttl],
        .rto_initial_ns = fields[HOST_rto_initial_ns],
        .time_wait_max = (uint32_t)fields[HOST_time_wait_max],
        .port_first = (uint16_t)fields[HOST_port_first],
        .port_last = (uint16_t)fields[HOST_port_last],
        .port_modulus = (uint16_t)fields[HOST_port_modulus],
        .port_residue = (uint16_t)fields[HOST_port_residue],
        .allocator = {counted_allocate, counted_release, &of->memory},
    };
    if (count > 1) {
        config.address_last = endpoint_of(address + count - 1, 0).addr;
    }
    fill_seed(config.seed, fields);
    sim->checker.ttl[host] = config.ttl;
    sim->checker.segments_sent[host] = 0;
    sim->checker.syn_rto_ns[host] = config.rto_initial_ns ? config.rto_initial_ns : NS_PER_SEC;
    sim->checker.mtu_bytes[host] = config.mtu_bytes ? config.mtu_bytes : 1500;
    int error = fws_host_create(&of->host, &config);
    if (error) {
        violate(&sim->violation, RULE_handle, "fws_host_create: %d", error);
        of->host = NULL;
        return;
    }
    of->memory_start_bytes = of->memory.bytes;
}

void host_destroy(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    if (!of->host) {
        return;
    }
    fws_host_destroy(of->host);
    of->host = NULL;
    if (of->memory.bytes || of->memory.blocks) {
        violate(&sim->violation, RULE_memory, "host %u: %llu bytes in %llu blocks never released",
                host, (unsigned long long)of->memory.bytes, (unsigned long long)of->memory.blocks);
    }
}

static void trace(struct sim *sim, uint64_t word)
{
    sim->trace_hash = rng_mix(sim->trace_hash ^ word);
}

static void trace_packet(struct sim *sim, uint32_t host, const uint8_t *bytes, uint32_t count)
{
    trace(sim, sim->now_ns * 8 + host);
    uint64_t sum = count;
    uint32_t at = 0;
    for (; at + 8 <= count; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        sum ^= sum >> 29;
    }
    for (; at < count; at++) {
        sum = (sum ^ bytes[at]) * UINT64_C(0x9e3779b97f4a7c15);
    }
    trace(sim, sum);
}

void host_drain(struct sim *sim, uint32_t host)
{
    struct fws_buffer buffers[OUTPUT_BATCH];
    uint32_t capacity = sim->checker.mtu_bytes[host];
    size_t count = OUTPUT_BATCH;
    uint32_t batches = 0;
    while (count == OUTPUT_BATCH && sim->violation.rule == RULE_NONE) {
        if (++batches > DRAIN_MAX) {
            violate(&sim->violation, RULE_ack_storm, "host %u: %u packets at one time", host,
                    batches * OUTPUT_BATCH);
        }
        for (uint32_t i = 0; i < OUTPUT_BATCH; i++) {
            buffers[i] = (struct fws_buffer){sim->output + (size_t)i * SIM_PACKET_MAX, capacity, 0};
        }
        count = fws_output(sim->hosts[host].host, buffers, OUTPUT_BATCH);
        for (size_t i = 0; i < count; i++) {
            struct checked checked;
            if (sim->pcap) {
                pcap_packet(sim->pcap, sim->now_ns, buffers[i].data, buffers[i].bytes);
            }
            trace_packet(sim, host, buffers[i].data, buffers[i].bytes);
            sim->event_count++;
            checker_sent(&sim->checker, host, buffers[i].data, buffers[i].bytes, &checked);
            net_send(sim, host, &buffers[i], &checked);
        }
    }
}

void host_advance(struct sim *sim, uint32_t host)
{
    struct fws_host *of = sim->hosts[host].host;
    bool is_due = fws_next_deadline(of) <= sim->now_ns;
    fws_advance(of, sim->now_ns);
    if (is_due) {
        checker_begin(&sim->checker, CAUSE_TIMER, sim->now_ns);
        host_drain(sim, host);
        trouble_note_timers(sim);
    }
}

static void handle_event(struct sim *sim, uint32_t host, const struct fws_event *event)
{
    trace(sim, event->user ^ ((uint64_t)event->ready << 40));
    if (event->user == 0) {
        violate(&sim->violation, RULE_handle, "host %u: an event without its user word", host);
    } else if (event->user >> 63) {
        uint32_t index = (uint32_t)event->user;
        if (sim->listeners[index] != event->handle) {
            violate(&sim->violation, RULE_handle, "host %u: an event of a closed listener", host);
            return;
        }
        app_accept(sim, index);
    } else {
        uint64_t conn_side = event->user - 1;
        uint32_t conn = (uint32_t)(conn_side / 2);
        if (conn >= sim->conn_count ||
            sim->conns[conn].app[conn_side & 1].handle != event->handle) {
            violate(&sim->violation, RULE_handle, "host %u: an event of a handle given up", host);
            return;
        }
        judge_ready(sim, conn, conn_side & 1, event);
        app_run(sim, conn, conn_side & 1);
    }
}

/* Queues the next deadline. One that never passes would be a loop at one time. */
static void schedule(struct sim *sim, uint32_t host)
{
    struct sim_host *of = &sim->hosts[host];
    uint64_t at_ns = fws_next_deadline(of->host);
    if (at_ns == UINT64_MAX) {
        return;
    }
    if (at_ns <= sim->now_ns) {
        of->same_time = of->same_time_ns == sim->now_ns ? of->same_time + 1 : 0;
        of->same_time_ns = sim->now_ns;
        if (of->same_time > 10000) {
            violate(&sim->violation, RULE_deadline, "host %u: the deadline %llu stays due", host,
                    (unsigned long long)at_ns);
            return;
        }
        at_ns = sim->now_ns;
    }
    if (at_ns < of->wake_ns) {
        of->wake_ns = at_ns;
        heap_push(&sim->heap,
                  (struct heap_event){.at_ns = at_ns, .kind = EVENT_HOST, .index = host});
    }
}

void host_settle(struct sim *sim, uint32_t host)
{
    struct fws_event events[EVENT_BATCH];
    size_t count = EVENT_BATCH;
    bool had_events = true;
    checker_begin(&sim->checker, CAUSE_CALL, sim->now_ns);
    while (had_events && sim->violation.rule == RULE_NONE) {
        had_events = false;
        do {
            count = fws_poll(sim->hosts[host].host, events, EVENT_BATCH);
            for (size_t i = 0; i < count && sim->violation.rule == RULE_NONE; i++) {
                sim->event_count++;
                had_events = true;
                handle_event(sim, host, &events[i]);
            }
        } while (count == EVENT_BATCH);
        host_drain(sim, host);
        if (sim->event_count > sim->event_max) {
            violate(&sim->violation, RULE_livelock, "host %u: events at one time without end",
                    host);
        }
    }
    trouble_judge_missing(sim, host);
    schedule(sim, host);
}

/* A link that vouches for checksums hands over segments whose own was never finished. */
static struct fws_packet packet_to(const struct sim *sim, uint32_t host, const struct slot *slot)
{
    struct fws_packet packet = {slot->data, slot->bytes, 0};
    bool is_whole = !slot->damaged && (packet_get16(slot->data + 6) & 0x3fffu) == 0;
    if (sim->plan->hosts[host][HOST_checksum_done] && is_whole) {
        packet.flags = FWS_CHECKSUM_DONE;
        packet_put16(slot->data + PACKET_IP_BYTES + 16, 0x5a5a);
    }
    return packet;
}

void host_input(struct sim *sim, uint32_t host, const uint32_t *slots, uint32_t count)
{
    struct fws_packet packets[32];
    struct watch watches[32];
    ASSERT(count <= 32);
    host_advance(sim, host);
    checker_begin(&sim->checker, CAUSE_DELIVERY, sim->now_ns);
    for (uint32_t i = 0; i < count; i++) {
        const struct slot *slot = &sim->slots[slots[i]];
        packets[i] = packet_to(sim, host, slot);
        watch_before(sim, slot, &watches[i]);
        if (!slot->damaged) {
            checker_received(&sim->checker, &slot->checked);
        }
    }
    fws_input(sim->hosts[host].host, packets, count);
    for (uint32_t i = 0; i < count; i++) {
        trouble_note_arrival(sim, &sim->slots[slots[i]]);
        watch_admit(sim, &sim->slots[slots[i]], &watches[i]);
    }
    host_drain(sim, host);
    for (uint32_t i = 0; i < count; i++) {
        watch_after(sim, &sim->slots[slots[i]], &watches[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        net_release(sim, slots[i]);
    }
    host_settle(sim, host);
}
