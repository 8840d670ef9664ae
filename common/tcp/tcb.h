/* The records of a TCP and the struct that holds them all; inside of common/tcp only.
 *
 * Owner: struct tcp owns every record; a record is named by its index in its population's store. A
 * live record has a first cache line with what a segment touches in the common case. Times in
 * records are milliseconds of the host's clock in 32 bits, compared modulo 2^32 (49 days). */
#ifndef FINWAIT_TCP_TCB_H
#define FINWAIT_TCP_TCB_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "tcp/congestion.h"
#include "tcp/cookie.h"
#include "tcp/index.h"
#include "tcp/pool.h"
#include "tcp/ranges.h"
#include "tcp/ring.h"
#include "tcp/rtt.h"
#include "tcp/seq.h"
#include "tcp/slots.h"
#include "tcp/tcp.h"

#define TCP_NO_RECORD UINT32_MAX

/* RFC 9293 section 3.7.1: what to assume without an MSS option (MUST-15). */
#define TCP_MSS_DEFAULT 536u
/* Below this an MSS would make a segment mostly header; Linux's floor is 48. */
#define TCP_MSS_MIN 48u
#define TCP_DUP_ACKS 3u /* RFC 5681 section 3.2 */
#define TCP_REPLIES_MAX 1024u
#define TCP_SYN_LEVELS 16u /* most retransmissions of a SYN-ACK, and one */

/* Bits of tcb.flags. */
enum tcb_flag {
    TCB_TIMESTAMPS = 1u << 0, /* negotiated, as are the next three */
    TCB_SACK = 1u << 1,
    TCB_WINDOW_SCALING = 1u << 2,
    TCB_ECN = 1u << 3,
    TCB_ACK_NOW = 1u << 4,     /* an ACK is owed at the next output */
    TCB_ACK_DELAYED = 1u << 5, /* an ACK is owed by ack_at_ms */
    TCB_SYN_SENT = 1u << 6,    /* our SYN went out at least once */
    TCB_SYN_ACKED = 1u << 7,   /* and was acknowledged: snd_una is past it */
    TCB_FIN_QUEUED = 1u << 8,  /* the user has no more to send */
    TCB_FIN_SENT = 1u << 9,    /* our FIN is within snd_nxt */
    TCB_FIN_RECEIVED = 1u << 10,
    TCB_ON_WIRE = 1u << 11, /* in the index */
    TCB_ORPHAN = 1u << 12,  /* the handle was given up */
    TCB_IN_OUTPUT = 1u << 13,
    TCB_IN_EVENTS = 1u << 14,
    TCB_IN_ACCEPT = 1u << 15, /* waits in its listener's queue */
    TCB_NODELAY = 1u << 16,
    TCB_LINGER_RST = 1u << 17,
    TCB_QUICKACK = 1u << 18,
    TCB_MORE = 1u << 19,       /* the user said that more follows */
    TCB_RESEND = 1u << 20,     /* the segment at snd_una is to be sent again (SYN, FIN, data) */
    TCB_PROBE = 1u << 21,      /* a window probe is due */
    TCB_KEEP_ALIVE = 1u << 22, /* a keep-alive probe is due */
    TCB_RTT_TIMED = 1u << 23,  /* rtt_seq and rtt_at_us time a segment */
    TCB_SYN_LOST = 1u << 24,   /* our SYN or SYN-ACK was sent again */
    TCB_SYN_LOST_TWICE = 1u << 25,
    TCB_ECN_ECHO = 1u << 26,     /* CE was seen: ECE on every ACK until CWR */
    TCB_ECN_REDUCED = 1u << 27,  /* CWR goes on the next new data */
    TCB_FORCE = 1u << 28,        /* the override timer let a small segment go */
    TCB_NO_TIME_WAIT = 1u << 29, /* an orphan whose FIN is acknowledged goes at once */
    TCB_FIN_EARLY = 1u << 30,    /* the peer's FIN came before data: at extra->fin_seq */
};

/* The 32nd, which is no int as an enumerator must be: marks are echoed, but none is asked for. */
#define TCB_NO_ECT (UINT32_C(1) << 31)

/* Bits of tcb.timers: which deadlines run. */
enum tcb_timer {
    TCB_TIMER_RESEND = 1 << 0,
    TCB_TIMER_PERSIST = 1 << 1,    /* the window probe; in RESEND's place */
    TCB_TIMER_ACK = 1 << 2,        /* delayed ACK */
    TCB_TIMER_FIN_WAIT_2 = 1 << 3, /* of an orphan; in RESEND's place */
    TCB_TIMER_KEEP_ALIVE = 1 << 4, /* at extra->keep_alive_at_ms */
};

enum tcb_recovery {
    TCB_OPEN,          /* nothing is known to be lost */
    TCB_FAST_RECOVERY, /* RFC 6675, or RFC 6582 without SACK */
    TCB_LOSS,          /* after a time-out: everything not acknowledged counts as lost */
};

/* What only some connections need: made on the first loss, reordering, urgent data or option. */
struct tcb_extra {
    struct ranges received;             /* out of order, above rcv_nxt */
    struct ranges sacked;               /* the peer has it, above snd_una */
    struct range recent[WIRE_SACK_MAX]; /* blocks for our SACK option, the newest first */
    uint32_t recent_count;
    struct range duplicate; /* DSACK to report once (RFC 2883); start == end: none */
    struct congestion_extra congestion;
    uint32_t recovery_point; /* snd_nxt when loss was found */
    uint32_t resend_nxt;     /* next to look at for retransmission */
    uint32_t ecn_point;      /* no second reduction before this is acknowledged */
    uint32_t prior_cwnd;
    uint32_t fin_seq;
    uint32_t snd_up; /* urgent pointers: the first byte after the urgent data */
    uint32_t rcv_up;
    bool snd_urgent;
    bool rcv_urgent;
    bool reneged;
    uint8_t probes;       /* keep-alive probes without an answer */
    uint8_t kept_backoff; /* of time-outs that are over, until the RTO has a sample */
    uint64_t keep_alive_idle_ns;
    uint64_t keep_alive_interval_ns;
    uint64_t fin_wait_2_ns;
    uint32_t keep_alive_probes;
    uint32_t user_timeout_ms;
    uint32_t unacked_since_ms; /* when the oldest unacknowledged byte became so */
    uint32_t heard_ms;         /* when the peer last sent anything */
    uint32_t keep_alive_at_ms;
    uint16_t soft_error; /* newest ICMP error */
    bool trouble;        /* it, or R1, since the peer acknowledged something new */
    uint32_t send_buffer_bytes;
    uint32_t receive_buffer_bytes;
    uint16_t mss_limit;
    uint8_t dscp;
    uint8_t ttl;
    uint8_t congestion_kind;
    bool keep_alive;
};

/* A live connection. */
struct tcb {
    struct tuple tuple;
    uint32_t snd_una;
    uint32_t snd_nxt;
    uint32_t rcv_nxt;
    uint32_t rcv_edge; /* right edge that we advertised; never goes back */
    uint32_t snd_wnd;  /* bytes */
    uint32_t snd_wl1;
    uint32_t flags; /* enum tcb_flag */
    uint32_t ts_recent;
    uint16_t mss;    /* of payload, before options: min(peer's MSS, ours by path MTU) */
    uint8_t state;   /* enum tcp_state; written by state.c only */
    uint8_t timers;  /* enum tcb_timer */
    struct ring snd; /* from snd_una on (behind the SYN) */
    /* one cache line up to here */
    struct ring rcv; /* from the next byte for the user on */
    uint32_t irs;
    uint32_t snd_wnd_max; /* largest window ever offered (SWS avoidance) */
    struct congestion congestion;
    struct rtt rtt;
    struct wheel_timer timer;
    uint32_t resend_at_ms; /* TCB_TIMER_RESEND, or TCB_TIMER_FIN_WAIT_2: never both */
    uint32_t ack_at_ms;
    union {
        struct {
            uint32_t last_ack_sent; /* with timestamps: RFC 7323 section 4.3 */
            uint32_t ts_recent_ms;  /* when ts_recent was set (section 5.5) */
        };
        struct {
            uint32_t rtt_seq; /* without: the segment that is timed */
            uint32_t rtt_at_us;
        };
    };
    struct tcb_extra *extra;
    uint64_t user;
    uint32_t index;     /* of this record */
    uint32_t serial;    /* of the handle */
    uint32_t out_next;  /* output list */
    uint32_t link_next; /* event list, or accept queue */
    uint32_t link_prev;
    union {
        uint16_t listener; /* while TCB_IN_ACCEPT */
        uint16_t answered; /* from then on: answer_tick of the last; 0: never */
    };
    uint16_t error; /* errno that ended it */
    uint16_t retransmits;
    uint8_t wscales; /* ours in the high half, the peer's in the low */
    uint8_t dup_acks;
    uint8_t backoff;   /* time-outs in a row */
    uint8_t reported;  /* readiness bits that the user knows: event_bits */
    uint8_t recovery;  /* enum tcb_recovery */
    uint8_t acks_owed; /* segments with data received since our last ACK */
};

static_assert(sizeof(struct tcb) <= 192, "a live record is at most 192 bytes");

/* A connection that a SYN asked for and whose handshake is not complete. */
struct half_open {
    struct tuple tuple;
    uint32_t irs;
    uint32_t iss;
    uint32_t ts_recent;
    uint32_t deadline_ms;
    uint32_t next; /* list of its level: equal delays, so the order is that of the deadlines */
    uint32_t prev;
    uint16_t mss;    /* the peer's */
    uint16_t window; /* of the SYN, unscaled */
    uint16_t listener;
    uint8_t wscale;
    uint8_t flags; /* TCB_TIMESTAMPS ... TCB_ECN */
    uint8_t retries;
    uint8_t dscp;
    uint16_t answered; /* as a live record's */
};

static_assert(sizeof(struct half_open) <= 48, "a half-open record is at most 48 bytes");

/* What TIME_WAIT must know to answer for a connection that is over. */
struct time_wait {
    struct tuple tuple;
    uint32_t snd_nxt;
    uint32_t rcv_nxt;
    uint32_t ts_recent;
    uint32_t expires_ms;
    uint16_t window; /* as advertised last, scaled */
    uint8_t wscale;  /* ours */
    uint8_t flags;   /* TCB_TIMESTAMPS */
};

static_assert(sizeof(struct time_wait) <= SLOTS_RECORD_BYTES, "TIME_WAIT is at most 32 bytes");

/* A list of live records through their link words. */
struct tcb_list {
    uint32_t first;
    uint32_t last;
};

struct listener {
    uint32_t ip; /* 0: all of the host's */
    uint16_t port;
    bool in_use;
    bool has_news;
    uint32_t serial;
    uint32_t backlog;
    uint32_t accept_count;
    struct tcb_list accepted; /* established, waiting for tcp_accept */
    uint64_t user;
    struct tcp_options options;
};

/* A segment that no live record sends: RST, SYN-ACK of a half-open record, ACK of TIME_WAIT. */
struct reply {
    struct tuple tuple;
    uint32_t seq;
    uint32_t ack;
    uint32_t ts_val;
    uint32_t ts_ecr;
    uint16_t window;
    uint16_t mss;
    uint8_t flags;   /* enum wire_tcp_flag */
    uint8_t options; /* TCB_TIMESTAMPS ... */
    uint8_t wscale;
    uint8_t dscp;
    uint8_t ttl; /* 0: the host's */
};

struct half_open_list {
    uint32_t first;
    uint32_t last;
};

struct tcp {
    struct tcp_config config;
    uint64_t now_ns;
    uint32_t now_ms;
    struct siphash_key hash_key; /* index; the others: ISN, timestamps, cookies, ports */
    struct siphash_key isn_key;
    struct siphash_key timestamp_key;
    struct siphash_key cookie_key;
    struct siphash_key port_key;
    struct rng rng;
    struct rtt_limits rtt_limits;
    struct index index;
    struct pool live;
    struct pool half_open;
    struct slots time_wait;
    struct ring_store rings;
    struct wheel wheel;
    struct tcb_list output;
    struct tcb_list events;
    uint32_t listeners_with_news;
    uint32_t serial; /* of the newest handle */
    uint32_t port_counter;
    uint16_t ip_id;
    uint32_t time_wait_ms;
    uint32_t synack_delay_ms[TCP_SYN_LEVELS];
    struct half_open_list half_open_levels[TCP_SYN_LEVELS];
    bool half_open_waits;       /* SYN-ACKs are due that found no room: output goes on with them */
    struct listener *listeners; /* config.listeners_max */
    uint64_t challenge_period;  /* second that the budget below belongs to */
    uint64_t challenge_budget;
    uint32_t reply_first;
    uint32_t reply_count;
    struct reply *replies; /* TCP_REPLIES_MAX */
    struct tcp_state_counts states;
    struct tcp_transitions transitions;
    uint64_t counters[TCP_COUNTER_COUNT];
};

static inline void tcp_count(struct tcp *tcp, enum tcp_counter counter)
{
    tcp->counters[counter]++;
}

static inline struct tcb *tcb_at(const struct tcp *tcp, uint32_t index)
{
    return pool_at(&tcp->live, index);
}

static inline bool tcb_has(const struct tcb *tcb, uint32_t flags)
{
    return (tcb->flags & flags) != 0;
}

static inline uint8_t tcb_snd_wscale(const struct tcb *tcb)
{
    return tcb->wscales & 15u;
}

static inline uint8_t tcb_rcv_wscale(const struct tcb *tcb)
{
    return tcb->wscales >> 4;
}

/* The sequence number of the send queue's first byte: behind our SYN until that is acknowledged. */
static inline uint32_t tcb_snd_first(const struct tcb *tcb)
{
    return tcb->snd_una + (tcb_has(tcb, TCB_SYN_ACKED) ? 0u : 1u);
}

/* The sequence number behind the send queue's last byte: that of our FIN, once queued. Only while
 * the FIN is not acknowledged. */
static inline uint32_t tcb_snd_end(const struct tcb *tcb)
{
    return tcb_snd_first(tcb) + tcb->snd.count;
}

static inline uint32_t tcb_flight(const struct tcb *tcb)
{
    return seq_diff(tcb->snd_una, tcb->snd_nxt);
}

/* Counts the bytes that the receive queue spans, those beyond gaps included. */
static inline uint32_t tcb_receive_reach(const struct tcb *tcb)
{
    if (tcb->extra == NULL || tcb->extra->received.count == 0) {
        return tcb->rcv.count;
    }
    const struct ranges *received = &tcb->extra->received;
    return tcb->rcv.count + seq_diff(tcb->rcv_nxt, received->items[received->count - 1].end);
}

static inline bool tcb_is_synchronized(const struct tcb *tcb)
{
    return tcb->state != TCP_STATE_SYN_SENT && tcb->state != TCP_STATE_SYN_RECEIVED &&
           tcb->state != TCP_STATE_CLOSED;
}

/* tcp.c: records. */
struct tcb *tcb_create(struct tcp *tcp, const struct tuple *tuple);
uint64_t tcb_handle(const struct tcb *tcb);
struct tcb *tcb_find(const struct tcp *tcp, uint64_t handle);
uint32_t tcp_timestamp(const struct tcp *tcp, const struct tuple *tuple);
uint32_t tcp_isn(const struct tcp *tcp, const struct tuple *tuple);
uint32_t tcp_ms_after(const struct tcp *tcp, uint64_t delay_ns);
uint64_t tcp_ns_of(const struct tcp *tcp, uint32_t at_ms);

/* Gives the record back, now or when the last list has let go of it. Requires an orphan that is
 * not in the index. */
void tcb_release(struct tcp *tcp, struct tcb *tcb);

/* End a connection on the wire, by an error (0: in order) or by TIME_WAIT. `tcb` is gone afterwards
 * when its handle was given up. */
void tcb_finish(struct tcp *tcp, struct tcb *tcb, int error);
void tcb_enter_time_wait(struct tcp *tcp, struct tcb *tcb);

/* options.c: a connection's settings, most of which live in the extra record. */
struct tcb_extra *tcb_need_extra(struct tcp *tcp, struct tcb *tcb);
void tcb_drop_extra(struct tcp *tcp, struct tcb *tcb);
int options_check(const struct tcp_options *options);
int options_apply(struct tcp *tcp, struct tcb *tcb, const struct tcp_options *options);
uint16_t options_mss(const struct tcp *tcp, const struct tcb *tcb);
uint32_t options_receive_limit(const struct tcp *tcp, const struct tcb *tcb);
uint32_t options_send_limit(const struct tcp *tcp, const struct tcb *tcb);
uint64_t options_fin_wait_2_ns(const struct tcp *tcp, const struct tcb *tcb);
uint8_t options_wscale(const struct tcp *tcp, uint32_t receive_bytes);
const struct congestion_ops *options_congestion(const struct tcp *tcp, const struct tcb *tcb);

/* state.c */
void state_set(struct tcp *tcp, struct tcb *tcb, enum tcp_state to);
void state_adopt(struct tcb *tcb, enum tcp_state state);
void state_count(struct tcp *tcp, enum tcp_state from, enum tcp_state to);

/* listen.c */
struct listener *listener_match(struct tcp *tcp, const struct tuple *tuple, uint16_t *number);
struct listener *listener_find(struct tcp *tcp, uint64_t handle, uint16_t *number);
uint64_t listener_handle(const struct tcp *tcp, uint16_t number);
void listener_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t number);
bool listener_is_full(const struct listener *listener);
void listener_enqueue(struct tcp *tcp, struct tcb *tcb);
void listener_close(struct tcp *tcp, uint16_t number);

/* half_open.c */
/* Answers a SYN; false: there is no room. `former` is what has the 4-tuple, a record in TIME_WAIT
 * that goes for it, or INDEX_NONE. */
bool half_open_create(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t listener,
                      uint32_t iss, uint32_t former);
void half_open_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record);
bool half_open_cookie(struct tcp *tcp, const struct tcp_arrival *arrival, uint16_t listener);
void half_open_expire(struct tcp *tcp);
uint64_t half_open_deadline(const struct tcp *tcp);
void half_open_drop(struct tcp *tcp, uint32_t record, enum tcp_state to);
/* Tells whether an ICMP error that quotes `seq` is about our SYN-ACK. */
bool half_open_is_answered_by(const struct tcp *tcp, uint32_t record, uint32_t seq);
void half_open_drop_listener(struct tcp *tcp, uint16_t listener);

/* syn_sent.c, synchronized.c, acknowledge.c, text.c: RFC 9293 section 3.10.7.3 and .4. Steps return
 * whether the next is to follow; where they do not, `tcb` may be gone. */
void syn_sent_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb);
void synchronized_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb);
bool acknowledge_input(struct tcp *tcp, const struct tcp_arrival *arrival, struct tcb *tcb);
void urgent_input(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb);
bool text_input(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb);
void text_note_duplicate(struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb);
void text_timestamp(const struct tcp *tcp, const struct wire_tcp *segment, struct tcb *tcb);
void challenge_ack(struct tcp *tcp, struct tcb *tcb);
bool challenge_is_allowed(struct tcp *tcp);
bool bare_is_answered(struct tcp *tcp, uint16_t *answered);

/* handshake.c: what both openings agree on. */
void handshake_options(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp_options *options);
void handshake_established(struct tcp *tcp, struct tcb *tcb);

/* time_wait.c */
void time_wait_input(struct tcp *tcp, const struct tcp_arrival *arrival, uint32_t record);
void time_wait_acknowledge(struct tcp *tcp, const struct tcb *tcb);
void time_wait_expire(struct tcp *tcp);
uint64_t time_wait_deadline(const struct tcp *tcp);
/* The first removes the record and its index entry, the second the record alone. */
void time_wait_drop(struct tcp *tcp, uint32_t record);
void time_wait_release(struct tcp *tcp, uint32_t record);
/* Decides whether an open of ours may take the tuple of a record in TIME_WAIT (RFC 6191 seen from
 * the other side): its timestamps must have moved on. */
bool time_wait_may_reopen(const struct tcp *tcp, const struct time_wait *record);

/* output.c */
void output_want(struct tcp *tcp, struct tcb *tcb);
void output_ack(struct tcp *tcp, struct tcb *tcb);
uint32_t output_segment(struct tcp *tcp, struct tcb *tcb, uint8_t *packet);

/* segment.c: what all segments of a live record have in common. */
struct segment_plan {
    uint32_t seq;
    uint32_t payload_bytes; /* from the send queue, at seq */
    uint8_t flags;          /* enum wire_tcp_flag */
    bool is_new;            /* data that goes out for the first time */
};
uint32_t segment_emit(struct tcp *tcp, struct tcb *tcb, const struct segment_plan *plan,
                      uint8_t *packet);
uint32_t segment_payload_max(const struct tcb *tcb);
uint32_t segment_window_update(const struct tcp *tcp, const struct tcb *tcb);

/* reply.c */
void reply_push(struct tcp *tcp, const struct reply *reply);
void reply_reset(struct tcp *tcp, const struct tcp_arrival *arrival);
void reply_reset_of(struct tcp *tcp, const struct tcb *tcb);
uint32_t reply_output(struct tcp *tcp, uint8_t *packet);

/* recovery.c */
bool recovery_sack(struct tcp *tcp, struct tcb *tcb, const struct wire_tcp *segment);
void recovery_on_duplicate(struct tcp *tcp, struct tcb *tcb);
void recovery_on_ack(struct tcp *tcp, struct tcb *tcb, uint32_t acked_bytes);
void recovery_on_timeout(struct tcp *tcp, struct tcb *tcb);
void recovery_on_path_mtu(struct tcp *tcp, struct tcb *tcb);
void recovery_on_ecn(struct tcp *tcp, struct tcb *tcb);
bool recovery_next(const struct tcb *tcb, struct range *range);
uint32_t recovery_pipe(const struct tcb *tcb);

/* timer.c */
void timer_resend_start(struct tcp *tcp, struct tcb *tcb);
void timer_persist_start(struct tcp *tcp, struct tcb *tcb);
void timer_resend_stop(struct tcp *tcp, struct tcb *tcb);
void timer_ack_start(struct tcp *tcp, struct tcb *tcb);
void timer_keep_alive_start(struct tcp *tcp, struct tcb *tcb);
void timer_fin_wait_2_start(struct tcp *tcp, struct tcb *tcb);
void timer_expire(struct tcp *tcp);
uint32_t timer_rto_us(const struct tcp *tcp, const struct tcb *tcb);

/* event.c */
void event_raise(struct tcp *tcp, struct tcb *tcb, uint32_t bits);
void event_raise_listener(struct tcp *tcp, uint16_t number);
void event_forget(struct tcp *tcp, struct tcb *tcb);
void event_raise_trouble(struct tcp *tcp, struct tcb *tcb);
uint8_t event_bits(uint32_t ready);
bool event_urgent_is_ahead(const struct tcb *tcb);
uint32_t event_ready(const struct tcp *tcp, const struct tcb *tcb);
void tcb_list_push(struct tcp *tcp, struct tcb_list *list, struct tcb *tcb);
void tcb_list_remove(struct tcp *tcp, struct tcb_list *list, struct tcb *tcb);

/* ports.c: chooses a free source port for (local_ip, remote). Returns 0 or -EADDRNOTAVAIL. */
int ports_choose(struct tcp *tcp, struct tuple *tuple);

#endif
