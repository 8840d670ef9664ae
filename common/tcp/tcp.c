/* TCP: the life of the whole and of its records. Function by function: create, time, lookup,
 * records, the two ends of a connection. */
#include "tcp/tcp.h"

#include <errno.h>
#include <string.h>

#include "tcp/tcb.h"

/* Log2 of records per chunk: 48 KB of live records, 12 KB of half-open ones. */
#define LIVE_CHUNK_SHIFT 8u
#define HALF_OPEN_CHUNK_SHIFT 8u
#define TICK_NS NS_PER_MS
/* Records keep times in milliseconds of 32 bits, of which the half lies behind: a host that slept
 * for longer than 24 days goes there in steps, or what is due would seem to come yet. */
#define ADVANCE_MAX_NS (10 * 86400 * NS_PER_SEC)

const struct counter_info tcp_counter_infos[TCP_COUNTER_COUNT] = {
#define COUNTER(name, help) {#name, help},
#include "tcp/counters.def"
#undef COUNTER
};

static const struct tuple *tuple_of(void *context, uint32_t ref)
{
    const struct tcp *tcp = context;
    uint32_t record = index_ref_record(ref);
    switch (index_ref_population(ref)) {
    case INDEX_LIVE:
        return &tcb_at(tcp, record)->tuple;
    case INDEX_HALF_OPEN:
        return &((struct half_open *)pool_at(&tcp->half_open, record))->tuple;
    case INDEX_TIME_WAIT:
        return &((struct time_wait *)slots_at(&tcp->time_wait, record))->tuple;
    }
    ASSERT(false);
    return NULL;
}

/* Every key is a hash of the seed under a number of its own, so that none tells another. */
static struct siphash_key derive_key(const uint8_t seed[16], uint64_t number)
{
    struct siphash_key root;
    memcpy(&root.k0, seed, 8);
    memcpy(&root.k1, seed + 8, 8);
    return (struct siphash_key){.k0 = siphash_2u64(&root, number, 0),
                                .k1 = siphash_2u64(&root, number, 1)};
}

static void derive_keys(struct tcp *tcp)
{
    const uint8_t *seed = tcp->config.seed;
    tcp->hash_key = derive_key(seed, 1);
    tcp->isn_key = derive_key(seed, 2);
    tcp->timestamp_key = derive_key(seed, 3);
    tcp->cookie_key = derive_key(seed, 4);
    tcp->port_key = derive_key(seed, 5);
    rng_seed(&tcp->rng, derive_key(seed, 6).k0);
}

static uint32_t ns_to_us_capped(uint64_t ns)
{
    uint64_t us = ns / NS_PER_US;
    return us > UINT32_MAX / 4 ? UINT32_MAX / 4 : (uint32_t)us;
}

static uint32_t ns_to_ms_up(uint64_t ns)
{
    uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
    return ms < INT32_MAX ? (uint32_t)ms : (uint32_t)INT32_MAX - 1u; /* tcp_ms_after adds one */
}

static void init_times(struct tcp *tcp)
{
    const struct tcp_config *config = &tcp->config;
    tcp->now_ns = config->now_ns;
    tcp->now_ms = (uint32_t)(config->now_ns / NS_PER_MS);
    tcp->time_wait_ms = ns_to_ms_up(config->time_wait_ns);
    tcp->rtt_limits = (struct rtt_limits){
        .initial_us = ns_to_us_capped(config->rto_initial_ns),
        .min_us = ns_to_us_capped(config->rto_min_ns),
        .max_us = ns_to_us_capped(config->rto_max_ns),
        .granularity_us = (uint32_t)(TICK_NS / NS_PER_US),
    };
    for (unsigned level = 0; level < TCP_SYN_LEVELS; level++) {
        uint32_t us = rtt_backoff_us(tcp->rtt_limits.initial_us, level, &tcp->rtt_limits);
        tcp->synack_delay_ms[level] = us / 1000u + 1u;
        tcp->half_open_levels[level] =
            (struct half_open_list){.first = TCP_NO_RECORD, .last = TCP_NO_RECORD};
    }
    wheel_init(&tcp->wheel, config->now_ns, TICK_NS);
}

static void init_stores(struct tcp *tcp)
{
    const struct tcp_config *config = &tcp->config;
    pool_init(&tcp->live, &(struct pool_config){.memory = config->memory,
                                                .record_bytes = sizeof(struct tcb),
                                                .chunk_shift = LIVE_CHUNK_SHIFT,
                                                .records_max = config->live_max});
    pool_init(&tcp->half_open, &(struct pool_config){.memory = config->memory,
                                                     .record_bytes = sizeof(struct half_open),
                                                     .chunk_shift = HALF_OPEN_CHUNK_SHIFT,
                                                     .records_max = config->half_open_max});
    slots_init(&tcp->time_wait, config->memory, config->time_wait_max);
    ring_store_init(&tcp->rings, config->memory);
}

int tcp_create(struct tcp **created, const struct tcp_config *config)
{
    struct memory *memory = config->memory;
    struct tcp *tcp = memory_alloc(memory, sizeof(*tcp));
    if (tcp == NULL) {
        return -ENOMEM;
    }
    tcp->config = *config;
    tcp->output = tcp->events = (struct tcb_list){.first = TCP_NO_RECORD, .last = TCP_NO_RECORD};
    derive_keys(tcp);
    init_times(tcp);
    init_stores(tcp);
    tcp->listeners = memory_alloc(memory, config->listeners_max * sizeof(*tcp->listeners));
    if (tcp->listeners == NULL) {
        goto err_free_tcp;
    }
    tcp->replies = memory_alloc(memory, TCP_REPLIES_MAX * sizeof(*tcp->replies));
    if (tcp->replies == NULL) {
        goto err_free_listeners;
    }
    if (index_init(&tcp->index, &(struct index_config){.memory = memory,
                                                       .key = tcp->hash_key,
                                                       .tuple_of = tuple_of,
                                                       .context = tcp}) < 0) {
        goto err_free_replies;
    }
    *created = tcp;
    return 0;

err_free_replies:
    memory_release(memory, tcp->replies, TCP_REPLIES_MAX * sizeof(*tcp->replies));
err_free_listeners:
    memory_release(memory, tcp->listeners, config->listeners_max * sizeof(*tcp->listeners));
err_free_tcp:
    memory_release(memory, tcp, sizeof(*tcp));
    return -ENOMEM;
}

void tcp_destroy(struct tcp *tcp)
{
    if (tcp == NULL) {
        return;
    }
    struct memory *memory = tcp->config.memory;
    uint32_t index = 0;
    struct tcb *tcb;
    while ((tcb = pool_next(&tcp->live, &index)) != NULL) {
        ring_clear(&tcp->rings, &tcb->snd);
        ring_clear(&tcp->rings, &tcb->rcv);
        tcb_drop_extra(tcp, tcb);
    }
    ring_store_destroy(&tcp->rings);
    index_destroy(&tcp->index);
    slots_destroy(&tcp->time_wait);
    pool_destroy(&tcp->half_open);
    pool_destroy(&tcp->live);
    memory_release(memory, tcp->replies, TCP_REPLIES_MAX * sizeof(*tcp->replies));
    memory_release(memory, tcp->listeners, tcp->config.listeners_max * sizeof(*tcp->listeners));
    memory_release(memory, tcp, sizeof(*tcp));
}

static void advance_to(struct tcp *tcp, uint64_t now_ns)
{
    tcp->now_ns = now_ns;
    tcp->now_ms = (uint32_t)(now_ns / NS_PER_MS);
    timer_expire(tcp);
    half_open_expire(tcp);
    time_wait_expire(tcp);
}

void tcp_advance(struct tcp *tcp, uint64_t now_ns)
{
    if (now_ns < tcp->now_ns) {
        return;
    }
    while (now_ns - tcp->now_ns > ADVANCE_MAX_NS) {
        advance_to(tcp, tcp->now_ns + ADVANCE_MAX_NS);
    }
    advance_to(tcp, now_ns);
    if (tcp->index.entry_count == 0 && tcp->rings.used_bytes == 0) {
        ring_store_trim(&tcp->rings, 0); /* a host without connections holds no buffers */
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t tcp_next_deadline(const struct tcp *tcp)
{
    if (tcp_has_output(tcp)) {
        return tcp->now_ns;
    }
    return earlier(wheel_next_ns(&tcp->wheel),
                   earlier(half_open_deadline(tcp), time_wait_deadline(tcp)));
}

uint64_t tcp_now_ns(const struct tcp *tcp)
{
    return tcp->now_ns;
}

uint32_t tcp_ms_after(const struct tcp *tcp, uint64_t delay_ns)
{
    /* The present millisecond is partly over: one more, so that no timer is early. */
    return tcp->now_ms + ns_to_ms_up(delay_ns) + 1u;
}

uint64_t tcp_ns_of(const struct tcp *tcp, uint32_t at_ms)
{
    int64_t ahead_ms = (int32_t)(at_ms - tcp->now_ms);
    int64_t ms = (int64_t)(tcp->now_ns / NS_PER_MS) + ahead_ms;
    return ms <= 0 ? 0 : (uint64_t)ms * NS_PER_MS;
}

uint64_t tcp_hash(const struct tcp *tcp, const struct tuple *tuple)
{
    return tuple_hash(&tcp->hash_key, tuple);
}

void tcp_prefetch_index(const struct tcp *tcp, uint64_t hash)
{
    index_prefetch(&tcp->index, hash);
}

void tcp_prefetch_record(const struct tcp *tcp, uint64_t hash)
{
    uint32_t ref = index_guess(&tcp->index, hash);
    if (ref != INDEX_NONE) {
        const unsigned char *record = (const unsigned char *)tuple_of((void *)(uintptr_t)tcp, ref);
        __builtin_prefetch(record, 1);
        if (index_ref_population(ref) == INDEX_LIVE) {
            __builtin_prefetch(record + 64, 1);
            __builtin_prefetch(record + 128, 1);
        }
    }
}

/* RFC 7323 section 5.4: a millisecond clock, offset by a keyed hash of the 4-tuple, so that a
 * peer's view of one connection says nothing about another, and that a reused 4-tuple goes on
 * where it was. */
uint32_t tcp_timestamp(const struct tcp *tcp, const struct tuple *tuple)
{
    return tcp->now_ms + tcp->config.timestamp_offset +
           keyed_timestamp_offset(&tcp->timestamp_key, tuple);
}

/* MUST-8, MUST-9, SHLD-1 of RFC 9293; RFC 6528. */
uint32_t tcp_isn(const struct tcp *tcp, const struct tuple *tuple)
{
    return keyed_isn(&tcp->isn_key, tuple, tcp->now_ns) + tcp->config.iss_offset;
}

struct tcb *tcb_create(struct tcp *tcp, const struct tuple *tuple)
{
    uint32_t index;
    struct tcb *tcb = pool_alloc(&tcp->live, &index);
    if (tcb == NULL) {
        return NULL;
    }
    tcp->serial = tcp->serial == UINT32_MAX ? 1 : tcp->serial + 1;
    tcb->tuple = *tuple;
    tcb->index = index;
    tcb->serial = tcp->serial;
    tcb->out_next = tcb->link_next = tcb->link_prev = TCP_NO_RECORD;
    tcb->state = TCP_STATE_CLOSED;
    tcb->congestion.ssthresh = CONGESTION_SSTHRESH_NONE;
    return tcb;
}

uint64_t tcb_handle(const struct tcb *tcb)
{
    return (uint64_t)tcb->serial << 32 | tcb->index;
}

struct tcb *tcb_find(const struct tcp *tcp, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    if (!pool_is_live(&tcp->live, index)) {
        return NULL;
    }
    struct tcb *tcb = tcb_at(tcp, index);
    return tcb->serial != handle >> 32 || tcb_has(tcb, TCB_ORPHAN) ? NULL : tcb;
}

void tcb_release(struct tcp *tcp, struct tcb *tcb)
{
    ASSERT(tcb_has(tcb, TCB_ORPHAN));
    ASSERT(!tcb_has(tcb, TCB_ON_WIRE | TCB_IN_ACCEPT));
    event_forget(tcp, tcb);
    wheel_disarm(&tcp->wheel, &tcb->timer);
    ring_clear(&tcp->rings, &tcb->snd);
    ring_clear(&tcp->rings, &tcb->rcv);
    tcb_drop_extra(tcp, tcb);
    if (!tcb_has(tcb, TCB_IN_OUTPUT)) {
        pool_release(&tcp->live, tcb->index);
    }
}

/* The wire is done with the record: what only the wire needs goes. */
static void leave_wire(struct tcp *tcp, struct tcb *tcb)
{
    tcb->flags &= ~(uint32_t)TCB_ON_WIRE;
    tcb->timers = 0;
    wheel_disarm(&tcp->wheel, &tcb->timer);
    ring_clear(&tcp->rings, &tcb->snd);
    if (tcb_has(tcb, TCB_ORPHAN)) {
        tcb_release(tcp, tcb);
        return;
    }
    event_raise(tcp, tcb,
                tcb->error != 0 ? TCP_ERROR | TCP_READABLE | TCP_DONE : TCP_DONE | TCP_SENT);
}

void tcb_finish(struct tcp *tcp, struct tcb *tcb, int error)
{
    state_set(tcp, tcb, TCP_STATE_CLOSED);
    index_remove(&tcp->index, tcp_hash(tcp, &tcb->tuple), index_ref(INDEX_LIVE, tcb->index));
    tcb->error = (uint16_t)error;
    leave_wire(tcp, tcb);
}

static bool to_time_wait_record(struct tcp *tcp, const struct tcb *tcb)
{
    uint32_t reference;
    struct time_wait *record = slots_append(&tcp->time_wait, &reference);
    if (record == NULL) {
        return false;
    }
    uint8_t wscale = tcb_rcv_wscale(tcb);
    *record = (struct time_wait){
        .tuple = tcb->tuple,
        .snd_nxt = tcb->snd_nxt,
        .rcv_nxt = tcb->rcv_nxt,
        .ts_recent = tcb->ts_recent,
        .expires_ms = tcp->now_ms + tcp->time_wait_ms + 1u,
        .window = (uint16_t)(seq_diff(tcb->rcv_nxt, tcb->rcv_edge) >> wscale),
        .wscale = wscale,
        .flags = tcb_has(tcb, TCB_TIMESTAMPS) ? TCB_TIMESTAMPS : 0,
    };
    index_replace(&tcp->index, tcp_hash(tcp, &tcb->tuple), index_ref(INDEX_LIVE, tcb->index),
                  index_ref(INDEX_TIME_WAIT, reference));
    return true;
}

void tcb_enter_time_wait(struct tcp *tcp, struct tcb *tcb)
{
    if (tcb_has(tcb, TCB_ACK_NOW | TCB_ACK_DELAYED)) {
        time_wait_acknowledge(tcp, tcb); /* output will not see this record again */
    }
    state_set(tcp, tcb, TCP_STATE_TIME_WAIT);
    tcp_count(tcp, TCP_COUNTER_time_wait_started);
    if (tcp->time_wait_ms == 0) {
        tcb_finish(tcp, tcb, 0); /* 2MSL is over at once */
        return;
    }
    if (to_time_wait_record(tcp, tcb)) {
        leave_wire(tcp, tcb);
        return;
    }
    /* DEVIATION from RFC 9293 section 3.6: without room for TIME_WAIT the connection just ends, as
     * Linux's does at tcp_max_tw_buckets; it is counted. */
    tcp_count(tcp, TCP_COUNTER_time_wait_overflow);
    tcb_finish(tcp, tcb, 0);
}

struct counter_view tcp_counters(const struct tcp *tcp)
{
    return (struct counter_view){
        .infos = tcp_counter_infos, .values = tcp->counters, .count = TCP_COUNTER_COUNT};
}
