/* TCP, sans I/O: RFC 9293 and what a stack made for connection churn must add to it.
 *
 * Layer: tcp (L2). Segments, time and keys come in as arguments; packets go out when they are
 * pulled. One struct tcp is one host's TCP: three populations of records (half-open, live,
 * TIME_WAIT) under one index, listeners, timers, counters. It belongs to one thread at a time, owns
 * all memory through the allocator that it was given, and touches no global.
 *
 * Files by role: input.c dispatches a segment; listen.c, half_open.c and syn_sent.c open;
 * synchronized.c, acknowledge.c and text.c are the steps of RFC 9293 section 3.10.7.4; output.c is
 * the only builder of segments of live records, reply.c of those without; recovery.c decides what
 * is lost; timer.c what is late; time_wait.c what came too late; state.c writes states; user.c is
 * the user's calls (section 3.10.1 to 3.10.6); event.c tells the user; icmp.c hears the network. */
#ifndef FINWAIT_TCP_TCP_H
#define FINWAIT_TCP_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/tcp_state.h"
#include "tcp/memory.h"
#include "tcp/tuple.h"
#include "wire/wire.h"

struct tcp;

/* Dropped, refused, limited: each with a name (tcp/counters.def). */
enum tcp_counter {
#define COUNTER(name, help) TCP_COUNTER_##name,
#include "tcp/counters.def"
#undef COUNTER
    TCP_COUNTER_COUNT
};

extern const struct counter_info tcp_counter_infos[TCP_COUNTER_COUNT];

enum tcp_cookies { TCP_COOKIES_AUTO, TCP_COOKIES_ALWAYS, TCP_COOKIES_OFF };

enum tcp_congestion { TCP_CONGESTION_DEFAULT, TCP_CONGESTION_NEWRENO, TCP_CONGESTION_CUBIC };

/* A host's settings; every field is set (the ABI fills defaults in). */
struct tcp_config {
    uint32_t first_ip; /* the host owns first_ip..last_ip */
    uint32_t last_ip;
    uint32_t mtu_bytes;
    uint8_t ttl;
    bool rfc1337;
    bool ecn;
    bool timestamps;
    bool sack;
    bool window_scaling;
    bool path_mtu;
    bool delayed_ack;
    bool fin_ack;
    uint64_t now_ns;
    uint8_t seed[16];
    uint64_t time_wait_ns; /* 0: no record is made, a connection passes through the state */
    uint64_t rto_min_ns;
    uint64_t rto_initial_ns;
    uint64_t rto_max_ns;
    uint64_t delayed_ack_ns;
    uint64_t fin_wait_2_ns;
    uint64_t challenge_ack_per_sec;
    uint32_t live_max;
    uint32_t half_open_max;
    uint32_t time_wait_max;
    uint32_t listeners_max;
    uint32_t send_buffer_bytes;
    uint32_t receive_buffer_bytes;
    uint32_t syn_retries;
    uint32_t syn_ack_retries;
    uint32_t retries;
    uint32_t initial_window_segments;
    uint16_t port_first;
    uint16_t port_last;
    uint16_t port_modulus; /* of random ports those with port % modulus == residue; at least 1 */
    uint16_t port_residue;
    enum tcp_cookies syn_cookies;
    enum tcp_congestion congestion;
    uint32_t iss_offset;
    uint32_t timestamp_offset;
    struct memory *memory; /* borrowed; outlives the struct tcp */
};

/* Makes a TCP. Returns 0 or -ENOMEM. */
int tcp_create(struct tcp **created, const struct tcp_config *config);
void tcp_destroy(struct tcp *tcp);

/* A segment that came in. */
struct tcp_arrival {
    const struct wire_ipv4 *ip;
    const struct wire_tcp *segment;
    struct tuple tuple; /* local: the packet's target */
    uint64_t hash;      /* tcp_hash of the tuple */
    bool behind_syn;    /* it is what follows a SYN, whose window counts bytes; for tcp's own use */
};

/* Hash a tuple, and ask the caches for what tcp_input will touch: first stage for a whole batch,
 * then the second, then the inputs. */
uint64_t tcp_hash(const struct tcp *tcp, const struct tuple *tuple);
void tcp_prefetch_index(const struct tcp *tcp, uint64_t hash);
void tcp_prefetch_record(const struct tcp *tcp, uint64_t hash);

void tcp_input(struct tcp *tcp, const struct tcp_arrival *arrival);

/* Takes an ICMP error about a segment of ours, whose addresses were checked by the caller. */
void tcp_icmp(struct tcp *tcp, const struct wire_icmp *icmp);

/* Writes the next packet that is due and returns its length; 0 when none is. Requires room for
 * mtu_bytes. */
uint32_t tcp_output(struct tcp *tcp, uint8_t *packet);

/* Tells that tcp_output has something to look at. */
bool tcp_has_output(const struct tcp *tcp);

void tcp_advance(struct tcp *tcp, uint64_t now_ns);
uint64_t tcp_next_deadline(const struct tcp *tcp);
uint64_t tcp_now_ns(const struct tcp *tcp);

struct tcp_options {
    bool nodelay;
    bool keep_alive;
    bool linger_rst;
    bool quickack;
    uint8_t dscp;
    uint8_t ttl;  /* 0: the host's */
    uint16_t mss; /* 0: by the MTU */
    uint64_t keep_alive_idle_ns;
    uint64_t keep_alive_interval_ns;
    uint32_t keep_alive_probes;
    uint64_t user_timeout_ns; /* 0: none */
    enum tcp_congestion congestion;
    uint32_t send_buffer_bytes; /* 0: the host's */
    uint32_t receive_buffer_bytes;
    uint64_t fin_wait_2_ns;
    bool no_time_wait;
};

/* The user's calls, as finwait-stack.h describes them; times are that of the last tcp_advance. */
struct tcp_local {
    uint32_t ip; /* 0: every address of the host */
    uint16_t port;
};
int tcp_listen(struct tcp *tcp, const struct tcp_local *local, uint32_t backlog,
               const struct tcp_options *options, uint64_t *listener_made);
int tcp_accept(struct tcp *tcp, uint64_t listener_name, uint64_t *conn);
/* `tuple` with a local port of 0 gets a random free one, which is stored. */
int tcp_connect(struct tcp *tcp, struct tuple *tuple, const struct tcp_options *options,
                uint64_t *conn);
int64_t tcp_send(struct tcp *tcp, uint64_t conn, const void *data, size_t bytes, uint32_t flags);
int64_t tcp_recv(struct tcp *tcp, uint64_t conn, void *data, size_t bytes);
int tcp_shutdown(struct tcp *tcp, uint64_t conn);
int tcp_close(struct tcp *tcp, uint64_t handle);
int tcp_abort(struct tcp *tcp, uint64_t conn);
int tcp_set_options(struct tcp *tcp, uint64_t conn, const struct tcp_options *options);
int tcp_get_options(struct tcp *tcp, uint64_t conn, struct tcp_options *options);
int tcp_set_user(struct tcp *tcp, uint64_t handle, uint64_t user);

enum tcp_send_flag { TCP_SEND_URGENT = 1, TCP_SEND_MORE = 2 };

enum tcp_ready {
    TCP_ACCEPTABLE = 1 << 0,
    TCP_READABLE = 1 << 1,
    TCP_WRITABLE = 1 << 2,
    TCP_PEER_FIN = 1 << 3,
    TCP_URGENT = 1 << 4,
    TCP_ERROR = 1 << 5,
    TCP_SENT = 1 << 6,
    TCP_DONE = 1 << 7,
    TCP_TROUBLE = 1 << 8,
};

struct tcp_event {
    uint64_t handle;
    uint64_t user;
    uint32_t ready;
    int error; /* positive errno */
};

bool tcp_poll(struct tcp *tcp, struct tcp_event *event);
int64_t tcp_ready(struct tcp *tcp, uint64_t handle);

struct tcp_info {
    enum tcp_state state;
    struct tuple tuple;
    uint32_t snd_una, snd_nxt, snd_wnd;
    uint32_t rcv_nxt, rcv_wnd;
    uint32_t cwnd, ssthresh;
    uint32_t srtt_us, rttvar_us, rto_us;
    uint32_t mss, retransmits;
    uint32_t send_queued, receive_queued, out_of_order, urgent_ahead;
    bool timestamps, sack, window_scaling, ecn;
    uint8_t snd_wscale, rcv_wscale;
    int error, soft_error; /* positive errno */
    uint64_t expires_ns;
};

int tcp_info(struct tcp *tcp, uint64_t handle, struct tcp_info *info);
int tcp_info_by_tuple(struct tcp *tcp, const struct tuple *tuple, struct tcp_info *info);

struct tcp_census {
    struct tcp_state_counts states;
    struct tcp_transitions transitions;
    uint64_t live_records, half_open_records, time_wait_records, index_entries;
    uint64_t timers_armed, buffer_bytes;
    uint64_t live_memory_bytes, half_open_memory_bytes, time_wait_memory_bytes;
    uint64_t index_memory_bytes;
};

void tcp_census(const struct tcp *tcp, struct tcp_census *census);

struct counter_view tcp_counters(const struct tcp *tcp);

#endif
