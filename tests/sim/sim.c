/* The simulator: setting a plan up, the loop over events, and the end. See sim.h.
 *
 * Layer: tests. */
#include "sim/sim.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "sim/sim_private.h"

#define AUDIT_EVERY 2048u
#define DELIVER_BATCH 32u

void sim_init(struct sim *sim)
{
    *sim = (struct sim){0};
    checker_init(&sim->checker, &sim->violation);
    sim->output = malloc((size_t)SIM_PACKET_MAX * 16);
    sim->scratch = malloc(SIM_PACKET_MAX + 1);
    ASSERT(sim->output != NULL && sim->scratch != NULL);
}

void sim_destroy(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->slot_count; i++) {
        free(sim->slots[i].data);
    }
    checker_destroy(&sim->checker);
    heap_destroy(&sim->heap);
    free(sim->slots);
    free(sim->conns);
    free(sim->calls);
    free(sim->faults);
    free(sim->buckets);
    free(sim->ghosts);
    free(sim->listeners);
    free(sim->output);
    free(sim->scratch);
    *sim = (struct sim){0};
}

static void *grow(void *memory, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count <= *capacity) {
        return memory;
    }
    *capacity = count + count / 2;
    void *larger = realloc(memory, *capacity * size);
    ASSERT(larger != NULL);
    return larger;
}

static void make_room(struct sim *sim)
{
    uint32_t conn_count = 0;
    for (uint32_t i = 0; i < sim->plan->count; i++) {
        uint32_t conn = sim->plan->entries[i].conn;
        conn_count = conn >= conn_count ? conn + 1 : conn_count;
    }
    sim->conn_count = conn_count;
    sim->conns = grow(sim->conns, &sim->conn_capacity, conn_count, sizeof(*sim->conns));
    sim->buckets = grow(sim->buckets, &sim->bucket_capacity, conn_count * 2 + 1, sizeof(uint32_t));
    uint32_t before = sim->sorted_capacity;
    sim->calls = grow(sim->calls, &sim->sorted_capacity, sim->plan->count + 1, sizeof(uint32_t));
    if (before != sim->sorted_capacity) {
        free(sim->faults);
        free(sim->listeners);
        sim->faults = malloc(sim->sorted_capacity * sizeof(*sim->faults));
        sim->listeners = malloc(sim->sorted_capacity * sizeof(*sim->listeners));
        ASSERT(sim->faults != NULL && sim->listeners != NULL);
    }
    uint32_t ghosts = (conn_count + 1) * SIM_GHOSTS;
    sim->ghosts = grow(sim->ghosts, &sim->ghost_capacity, ghosts, sizeof(*sim->ghosts));
    memset(sim->ghosts, 0, ghosts * sizeof(*sim->ghosts));
    memset(sim->conns, 0, conn_count * sizeof(*sim->conns));
    memset(sim->listeners, 0, sim->sorted_capacity * sizeof(*sim->listeners));
}

/* Sorts the entries of a kind by connection and side, keeping their order: a counting sort. After
 * it, bucket i ends where bucket i + 1 begins. */
static void sort_entries(struct sim *sim, enum entry_kind kind, uint32_t *sorted)
{
    uint32_t *ends = sim->buckets;
    memset(ends, 0, (sim->conn_count * 2 + 1) * sizeof(*ends));
    for (uint32_t i = 0; i < sim->plan->count; i++) {
        const struct entry *entry = &sim->plan->entries[i];
        if (entry->kind == kind) {
            ends[entry->conn * 2 + entry->side + 1]++;
        }
    }
    for (uint32_t i = 0; i < sim->conn_count * 2; i++) {
        ends[i + 1] += ends[i];
    }
    for (uint32_t i = 0; i < sim->plan->count; i++) {
        const struct entry *entry = &sim->plan->entries[i];
        if (entry->kind == kind) {
            sorted[ends[entry->conn * 2 + entry->side]++] = i;
        }
    }
}

static uint32_t bucket_begin(const struct sim *sim, uint32_t bucket)
{
    return bucket ? sim->buckets[bucket - 1] : 0;
}

static void set_up_conns(struct sim *sim)
{
    uint64_t seed = sim->plan->settings[PLAN_seed];
    sort_entries(sim, ENTRY_CALL, sim->calls);
    for (uint32_t i = 0; i < sim->conn_count * 2; i++) {
        struct app *app = &sim->conns[i / 2].app[i & 1];
        app->step = bucket_begin(sim, i);
        app->step_end = sim->buckets[i];
        app->content = (uint32_t)(rng_mix(seed + i) % PATTERN_BYTES);
    }
    sort_entries(sim, ENTRY_FAULT, sim->faults);
    for (uint32_t i = 0; i < sim->conn_count * 2; i++) {
        sim->conns[i / 2].fault[i & 1] = bucket_begin(sim, i);
        sim->conns[i / 2].fault_end[i & 1] = sim->buckets[i];
    }
}

static void push(struct sim *sim, uint64_t at_ns, enum sim_event kind, uint32_t index)
{
    heap_push(&sim->heap, (struct heap_event){
                              .at_ns = sim->plan->settings[PLAN_start_ns] + at_ns,
                              .kind = kind,
                              .index = index,
                          });
}

static void push_conn(struct sim *sim, const struct entry *entry, uint32_t index)
{
    struct conn *conn = &sim->conns[entry->conn];
    conn->entry = index;
    conn->excuses |= entry->peer_port == PLAN_PORT ? 0 : EXCUSE_LISTENER;
    push(sim, entry->at_ns, EVENT_START, entry->conn);
    if (entry->op == CONN_SIMULTANEOUS) {
        conn->excuses |= EXCUSE_CROSSED;
        push(sim, entry->at_ns + entry->arg, EVENT_START_PEER, entry->conn);
    }
}

static void push_entries(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->plan->count; i++) {
        const struct entry *entry = &sim->plan->entries[i];
        if (entry->host >= sim->host_count || entry->peer >= sim->host_count) {
            continue;
        }
        switch ((enum entry_kind)entry->kind) {
        case ENTRY_LISTEN:
            push(sim, entry->at_ns, EVENT_LISTEN, i);
            sim->run_excuses |= entry->port == PLAN_PORT && entry->arg < 4096 ? EXCUSE_LIMIT : 0;
            if (entry->port == PLAN_PORT && entry->at_ns == 0 && !entry->arg2) {
                sim->always_listen |= 1u << entry->host;
            }
            if (entry->arg2) {
                push(sim, entry->arg2, EVENT_UNLISTEN, i);
            }
            break;
        case ENTRY_CONN:
            push_conn(sim, entry, i);
            break;
        case ENTRY_NET:
            push(sim, entry->at_ns, EVENT_NET, i);
            push(sim, entry->at_ns + entry->arg, EVENT_NET_OVER, i);
            sim->run_excuses |= EXCUSE_NET;
            break;
        case ENTRY_CALL:
        case ENTRY_FAULT:
        case ENTRY_KIND_COUNT:
            break;
        }
    }
}

/* From the end of all faults, how long the slowest honest end may take: a retransmission that waits
 * its longest, its answer, FIN_WAIT_2 of an orphan, 2MSL, each twice. */
static uint64_t quiet_ns(const struct plan *plan)
{
    uint64_t longest_ns = 0;
    for (uint32_t host = 0; host < plan->settings[PLAN_hosts]; host++) {
        const uint64_t *of = plan->hosts[host];
        uint64_t rto_ns = of[HOST_rto_max_ns] ? of[HOST_rto_max_ns] : 120 * NS_PER_SEC;
        uint64_t orphan_ns = of[HOST_fin_wait_2_ns] ? of[HOST_fin_wait_2_ns] : 60 * NS_PER_SEC;
        uint64_t wait_ns = of[HOST_time_wait_ns] ? of[HOST_time_wait_ns] : 60 * NS_PER_SEC;
        uint64_t sum_ns = 2 * (rto_ns + orphan_ns + wait_ns);
        longest_ns = sum_ns > longest_ns ? sum_ns : longest_ns;
    }
    return longest_ns + 200 * NS_PER_SEC + 100 * plan->settings[PLAN_delay_ns];
}

static void set_up(struct sim *sim, const struct plan *plan)
{
    sim->plan = plan;
    sim->violation = (struct violation){0};
    sim->event_count = 0;
    sim->trace_hash = plan->settings[PLAN_seed];
    sim->now_ns = plan->settings[PLAN_start_ns];
    sim->end_ns = sim->now_ns + plan->settings[PLAN_end_ns];
    sim->final_ns = sim->end_ns + quiet_ns(plan);
    sim->ending = false;
    sim->host_count = (uint32_t)plan->settings[PLAN_hosts];
    sim->run_excuses = 0;
    sim->always_listen = 0;
    heap_clear(&sim->heap);
    make_room(sim);
    set_up_conns(sim);
    net_reset(sim);
    checker_reset(&sim->checker, sim->conn_count + 1);
    sim->checker.packets_sent = 0;
    sim->checker.segments_rst = 0;
    sim->checker.segments_retransmitted = 0;
    sim->checker.window_probes = 0;
    sim->untold_count = 0;
    sim->event_max = 100000 + (uint64_t)sim->conn_count * 20000;
    for (uint32_t host = 0; host < sim->host_count; host++) {
        const uint64_t *of = plan->hosts[host];
        bool is_tight = of[HOST_live_max] || of[HOST_time_wait_max] ||
                        (of[HOST_half_open_max] && of[HOST_syn_cookies] == 2);
        /* A cookie knows its connection by SEG.SEQ - 1: data that overtakes the first segment is
         * answered with an RST (RFC 9293 3.10.7.2), for want of a record. */
        bool has_cookies = of[HOST_syn_cookies] == 1 || of[HOST_half_open_max];
        is_tight |= has_cookies && plan->settings[PLAN_jitter_ns] > 0;
        sim->run_excuses |= is_tight ? EXCUSE_LIMIT : 0;
        host_create(sim, host);
    }
    push_entries(sim);
    heap_push(&sim->heap, (struct heap_event){.at_ns = sim->end_ns, .kind = EVENT_END});
    heap_push(&sim->heap, (struct heap_event){.at_ns = sim->final_ns, .kind = EVENT_FINAL});
}

/* Hands over a packet, and those behind it for the same host at the same time, as one batch. */
static void deliver(struct sim *sim, uint32_t slot)
{
    uint32_t batch[DELIVER_BATCH] = {slot};
    uint32_t count = 1;
    uint32_t host = sim->slots[slot].host;
    while (count < DELIVER_BATCH && sim->heap.count > 0 &&
           sim->heap.events[0].at_ns == sim->now_ns && sim->heap.events[0].kind == EVENT_DELIVER &&
           sim->slots[sim->heap.events[0].index].host == host) {
        batch[count++] = heap_pop(&sim->heap).index;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct slot *of = &sim->slots[batch[i]];
        if (net_is_safe(sim, of)) {
            batch[kept++] = batch[i];
        } else {
            sim->totals.late_dropped++;
            net_release(sim, batch[i]);
        }
    }
    if (kept > 0) {
        host_input(sim, host, batch, kept);
    }
}

static void listen_on(struct sim *sim, uint32_t index)
{
    const struct entry *entry = &sim->plan->entries[index];
    struct fws_host *host = sim->hosts[entry->host].host;
    struct fws_endpoint local = {.port = entry->port};
    struct fws_options options = {.size = sizeof(options)};
    uint32_t bits = entry->nth & OPTION_OPENING;
    options_fill(&options, bits, 0);
    int result = fws_listen(host, &local, (uint32_t)entry->arg, bits ? &options : NULL,
                            &sim->listeners[index]);
    if (result) {
        violate(&sim->violation, RULE_handle, "host %u: fws_listen gives %d", entry->host, result);
        return;
    }
    (void)fws_set_user(host, sim->listeners[index], (UINT64_C(1) << 63) | index);
    host_settle(sim, entry->host);
}

static void unlisten(struct sim *sim, uint32_t index)
{
    uint32_t host = sim->plan->entries[index].host;
    if (!sim->listeners[index]) {
        return;
    }
    host_advance(sim, host);
    int result = fws_close(sim->hosts[host].host, sim->listeners[index]);
    if (result) {
        violate(&sim->violation, RULE_handle, "host %u: closing a listener gives %d", host, result);
    }
    sim->listeners[index] = 0;
    host_settle(sim, host);
}

static void end_faults(struct sim *sim)
{
    sim->ending = true;
    memset(sim->nets, 0, sizeof(sim->nets));
    for (uint32_t host = 0; host < sim->host_count; host++) {
        host_advance(sim, host);
    }
    checker_begin(&sim->checker, CAUSE_CALL, sim->now_ns);
    for (uint32_t conn = 0; conn < sim->conn_count; conn++) {
        app_end(sim, conn);
    }
    for (uint32_t host = 0; host < sim->host_count; host++) {
        host_settle(sim, host);
    }
}

static void finish_run(struct sim *sim)
{
    for (uint32_t host = 0; host < sim->host_count; host++) {
        host_advance(sim, host);
        host_settle(sim, host);
    }
    for (uint32_t i = 0; i < sim->plan->count; i++) {
        if (sim->plan->entries[i].kind == ENTRY_LISTEN) {
            unlisten(sim, i);
        }
    }
    for (uint32_t host = 0; host < sim->host_count; host++) {
        audit_final(sim, host);
    }
    for (uint32_t conn = 0; conn < sim->conn_count; conn++) {
        const struct app *app = sim->conns[conn].app;
        if (app[0].handle || app[1].handle) {
            violate(&sim->violation, RULE_stuck, "conn %u: its application never closed", conn);
        }
    }
}

static void handle(struct sim *sim, const struct heap_event *event)
{
    uint32_t conn = event->index / 2;
    uint32_t side = event->index & 1;
    switch ((enum sim_event)event->kind) {
    case EVENT_DELIVER:
        deliver(sim, event->index);
        break;
    case EVENT_HOST:
        if (sim->hosts[event->index].wake_ns == event->at_ns) {
            sim->hosts[event->index].wake_ns = UINT64_MAX;
            host_advance(sim, event->index);
            host_settle(sim, event->index);
        }
        break;
    case EVENT_APP:
        if (sim->conns[conn].app[side].handle) {
            uint32_t host = conn_host(sim, &sim->conns[conn], side);
            host_advance(sim, host);
            checker_begin(&sim->checker, CAUSE_CALL, sim->now_ns);
            app_run(sim, conn, side);
            host_settle(sim, host);
        }
        break;
    case EVENT_START:
        app_start(sim, event->index, 0);
        break;
    case EVENT_START_PEER:
        app_start(sim, event->index, 1);
        break;
    case EVENT_LISTEN:
        listen_on(sim, event->index);
        break;
    case EVENT_UNLISTEN:
        unlisten(sim, event->index);
        break;
    case EVENT_NET:
        net_switch(sim, event->index, !sim->ending);
        break;
    case EVENT_NET_OVER:
        net_switch(sim, event->index, false);
        break;
    case EVENT_ACK:
        watch_ack(sim, event->index);
        break;
    case EVENT_TIME_WAIT:
        watch_time_wait(sim, event->index, event->word != 0);
        break;
    case EVENT_END:
        end_faults(sim);
        break;
    case EVENT_FINAL:
        finish_run(sim);
        break;
    }
}

static void run_events(struct sim *sim)
{
    uint64_t handled = 0;
    bool is_over = false;
    while (!is_over && sim->heap.count > 0 && sim->violation.rule == RULE_NONE) {
        struct heap_event event = heap_pop(&sim->heap);
        sim->now_ns = event.at_ns;
        is_over = event.kind == EVENT_FINAL;
        handle(sim, &event);
        sim->event_count++;
        if (++handled % AUDIT_EVERY == 0) {
            for (uint32_t host = 0; host < sim->host_count; host++) {
                audit_host(sim, host);
            }
        }
        if (sim->event_count > sim->event_max) {
            violate(&sim->violation, RULE_livelock, "%llu events",
                    (unsigned long long)sim->event_count);
        }
    }
}

void sim_run(struct sim *sim, const struct plan *plan)
{
    set_up(sim, plan);
    if (sim->violation.rule == RULE_NONE) {
        run_events(sim);
    }
    if (sim->violation.rule != RULE_NONE && sim->violation.at_ns == 0) {
        sim->violation.at_ns = sim->now_ns;
    }
    for (uint32_t host = 0; host < sim->host_count; host++) {
        host_destroy(sim, host);
    }
    struct totals *totals = &sim->totals;
    totals->runs++;
    totals->events += sim->event_count;
    totals->packets += sim->checker.packets_sent;
    totals->rsts += sim->checker.segments_rst;
    totals->retransmitted += sim->checker.segments_retransmitted;
    totals->window_probes += sim->checker.window_probes;
    totals->virtual_ns += sim->now_ns - plan->settings[PLAN_start_ns];
}
