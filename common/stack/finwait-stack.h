/* libfinwait-stack: a TCP/IPv4 host as a library, without sockets, clock, threads or randomness.
 *
 * A host takes raw IP packets and gives raw IP packets. Time is what fws_advance says it is; random
 * choices come from the seed. The same calls in the same order give the same packets, so a host
 * runs alike on a packet socket, in a simulation on virtual time, and in another program's test.
 * Several hosts may live in one process; none touches a global. A host belongs to one thread at a
 * time.
 *
 * ABI. Every struct that is handed in or filled begins with `size`: set it to sizeof, and a library
 * that knows more or fewer fields takes those that both know (missing ones count as zero). Zero
 * always means "the default". Functions and enumerators are only added. Calls return 0 (or a count)
 * or a negative errno value.
 *
 * Life of a connection. fws_connect and fws_accept give a handle. It stays valid until fws_close or
 * fws_abort, whatever happens on the wire before; a handle that is no longer valid gives -EBADF.
 * The wire may outlive the handle: after fws_close the host still sends what was queued and a FIN,
 * and keeps TIME_WAIT for 2MSL; fws_info_by_tuple finds such connections, fws_census counts them.
 *
 * A loop:  fws_input(packets) ... fws_poll(events) ... calls ... fws_output(packets) ...
 *          wait for a packet or until fws_next_deadline ... fws_advance(now) ...
 *
 * common/stack/example.c shakes hands between two hosts in 60 lines. */
#ifndef FINWAIT_STACK_FINWAIT_STACK_H
#define FINWAIT_STACK_FINWAIT_STACK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
/* fws_info and fws_census name a struct and a call, as stat does in POSIX: no reason for a warning
 * in a program that asks for -Wshadow. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#endif

#define FWS_ABI_VERSION 1

/* Tells the version that the library has; the header's is FWS_ABI_VERSION. */
int fws_abi_version(void);

struct fws_host;

/* A connection's or a listener's name within its host; 0 is never one. */
typedef uint64_t fws_handle;

/* An address of any version; a host speaks IPv4 and refuses IPv6 with -EAFNOSUPPORT. */
struct fws_addr {
    uint8_t version;   /* 4 or 6; 0: not given */
    uint8_t bytes[16]; /* network order; IPv4 takes the first four */
};

struct fws_endpoint {
    struct fws_addr addr;
    uint16_t port; /* host order */
};

/* Memory. `release` gets the size that was allocated. Memory is aligned for any type. */
struct fws_allocator {
    void *(*allocate)(void *context, size_t bytes); /* NULL when there is none */
    void (*release)(void *context, void *memory, size_t bytes);
    void *context;
};

enum fws_syn_cookies {
    FWS_COOKIES_AUTO = 0, /* when the SYN cache is full */
    FWS_COOKIES_ALWAYS,
    FWS_COOKIES_OFF, /* a SYN is dropped and counted when the cache is full */
};

enum fws_congestion {
    FWS_CONGESTION_DEFAULT = 0, /* CUBIC */
    FWS_CONGESTION_NEWRENO,
    FWS_CONGESTION_CUBIC,
};

enum fws_feature { /* bits of fws_config.features_off */
                   FWS_TIMESTAMPS = 1 << 0,
                   FWS_SACK = 1 << 1,
                   FWS_WINDOW_SCALING = 1 << 2,
                   FWS_PATH_MTU = 1 << 3,   /* believing ICMP "fragmentation needed" */
                   FWS_REASSEMBLY = 1 << 4, /* of IP fragments; off: they are refused and counted */
                   FWS_DELAYED_ACK =
                       1 << 5,           /* off: every segment with data is acknowledged at once */
                   FWS_FIN_ACK = 1 << 6, /* at once; off: a FIN's ACK waits for the close that may
                                          * follow, also where data is acknowledged at once */
};

/* As time_wait_ns: a connection passes through TIME_WAIT without staying and leaves no record, so
 * that old segments may reach the next one, and a FIN that comes again is answered by an RST. */
#define FWS_TIME_WAIT_NONE 1

struct fws_config {
    size_t size;
    struct fws_addr address; /* required */
    uint8_t prefix_bits;   /* the host owns every address of address/prefix; 0: 32, just the one */
    uint8_t ttl;           /* 64 */
    uint8_t rfc1337;       /* 1: an RST does not end TIME_WAIT */
    uint8_t ecn;           /* 1: ask for ECN on connect; it is always granted when asked for */
    uint32_t mtu_bytes;    /* of the link: 1500; 576 to 65535 */
    uint32_t features_off; /* enum fws_feature */
    uint64_t now_ns;       /* virtual time at the start */
    uint8_t seed[16];      /* of all keys and random choices; secret on a real network */
    uint64_t time_wait_ns; /* 2MSL: 60 s; or FWS_TIME_WAIT_NONE */
    uint64_t rto_min_ns;   /* 200 ms, as Linux has it; RFC 6298 says 1 s */
    uint64_t rto_initial_ns; /* 1 s */
    uint64_t rto_max_ns;     /* 120 s; at least 60 s is RFC 6298's bound */
    uint64_t delayed_ack_ns; /* 40 ms; below 500 ms (MUST-40 of RFC 1122) */
    uint64_t
        fin_wait_2_ns; /* how long one whose handle was closed waits for the peer's FIN: 60 s */
    uint64_t challenge_ack_per_sec;   /* 1000; RFC 5961 section 7 */
    uint32_t live_max;                /* connections with a full record: 65536; at most 2^30 - 1 */
    uint32_t half_open_max;           /* SYN cache: 65536 */
    uint32_t time_wait_max;           /* 2^30 - 1 */
    uint32_t listeners_max;           /* 64 */
    uint32_t send_buffer_bytes;       /* of a connection at most: 262144 */
    uint32_t receive_buffer_bytes;    /* 262144 */
    uint32_t syn_retries;             /* 7, 247 s in all; R2 of a SYN is at least 3 min (MUST-23) */
    uint32_t syn_ack_retries;         /* 5 */
    uint32_t retries;                 /* of data before the connection fails: 15 */
    uint32_t initial_window_segments; /* 10; RFC 6928 */
    uint16_t port_first;              /* range of random source ports: 32768 */
    uint16_t port_last;               /* 60999 */
    enum fws_syn_cookies syn_cookies;
    enum fws_congestion congestion;
    uint32_t iss_offset;            /* added to every initial sequence number: to test wraps */
    uint32_t timestamp_offset;      /* added to every timestamp: to test wraps */
    struct fws_allocator allocator; /* zeroed: malloc and free */
    struct fws_addr address_last;   /* given: the host owns address to address_last instead */
    uint16_t port_modulus;          /* of random source ports only those that leave ... */
    uint16_t port_residue;          /* ... this when divided by the modulus; 0: any */
};

/* Makes a host. Returns 0, -EINVAL (a field out of its range), -EAFNOSUPPORT or -ENOMEM. */
int fws_host_create(struct fws_host **created, const struct fws_config *config);

/* Ends a host without a word to its peers; all memory is given back. NULL is allowed. */
void fws_host_destroy(struct fws_host *host);

/* A raw IP packet handed in. */
struct fws_packet {
    const uint8_t *data;
    uint32_t bytes;
    uint32_t flags; /* enum fws_packet_flag */
};

enum fws_packet_flag {
    FWS_CHECKSUM_DONE = 1, /* the link vouches for the TCP checksum, or it was never finished */
};

/* Takes a batch of packets in. Nothing is kept of their memory. What they lead to comes out of
 * fws_output and fws_poll. What cannot be taken is dropped and counted under its reason. */
void fws_input(struct fws_host *host, const struct fws_packet *packets, size_t count);

/* Room for one packet to be sent. */
struct fws_buffer {
    uint8_t *data;
    uint32_t capacity; /* at least the MTU */
    uint32_t bytes;    /* filled in */
};

/* Writes packets that are due, one a buffer, and returns how many. Less than `count` means that
 * nothing more is due now. */
size_t fws_output(struct fws_host *host, struct fws_buffer *buffers, size_t count);

/* Moves time to `now_ns`, which never goes back (an earlier time changes nothing), and lets timers
 * expire. */
void fws_advance(struct fws_host *host, uint64_t now_ns);

/* Tells when fws_advance is next worth a call; UINT64_MAX: no timer runs. Never later than the next
 * timer, at times earlier. The host's present time: fws_output has something to give. */
uint64_t fws_next_deadline(const struct fws_host *host);

/* Options of a connection, or of a listener's connections to come. Zero is the default. `dscp` and
 * `ttl` are on all that is sent for a connection until its record becomes a TIME_WAIT; what
 * TIME_WAIT answers, and an RST for a segment that no connection takes, has the host's TTL and
 * DSCP 0, since there is nobody left whose setting it could be. */
struct fws_options {
    size_t size;
    uint8_t nodelay;                 /* 1: Nagle's algorithm off (MUST-17) */
    uint8_t keep_alive;              /* 1: on; off by default (MUST-25) */
    uint8_t linger_rst;              /* 1: fws_close sends an RST, as SO_LINGER 0 does */
    uint8_t quickack;                /* 1: acknowledge every segment at once */
    uint8_t dscp;                    /* 0..63 (MUST-48) */
    uint8_t ttl;                     /* 0: the host's */
    uint16_t mss;                    /* at most this; 0: from the MTU */
    uint64_t keep_alive_idle_ns;     /* 2 h (MUST-28) */
    uint64_t keep_alive_interval_ns; /* 75 s */
    uint32_t keep_alive_probes;      /* 9 */
    uint64_t user_timeout_ns; /* data unacknowledged so long fails the connection; 0: by retries */
    enum fws_congestion congestion;
    uint32_t send_buffer_bytes;    /* 0: the host's */
    uint32_t receive_buffer_bytes; /* 0: the host's */
    uint64_t fin_wait_2_ns;        /* 0: the host's */
    /* 1: once fws_close was called and our FIN is acknowledged nothing is kept, as TCP_LINGER2 -1
     * does; what the peer still sends is answered by an RST. Where the peer was acknowledged
     * before, it is reset. A TIME_WAIT that began before fws_close stays. */
    uint8_t no_time_wait;
};

/* Listens. An address of version 0 means every address of the host. `backlog` bounds connections
 * that wait for fws_accept. `options` may be NULL. Returns 0, -EADDRINUSE, -EADDRNOTAVAIL (not the
 * host's), -EINVAL, -ENOBUFS (listeners_max) or -ENOMEM. */
int fws_listen(struct fws_host *host, const struct fws_endpoint *local, uint32_t backlog,
               const struct fws_options *options, fws_handle *listener);

/* Takes the oldest connection that waits. Returns 0, -EAGAIN or -EBADF. */
int fws_accept(struct fws_host *host, fws_handle listener, fws_handle *conn);

/* Opens a connection; FWS_WRITABLE or FWS_ERROR says what came of it. A local address of version 0
 * is the one of its config; port 0 is a random free one (RFC 6056). Two hosts that connect to each
 * other at once get one connection (simultaneous open). Returns 0, -EADDRINUSE (the 4-tuple lives,
 * in TIME_WAIT too unless RFC 6191 lets it go), -EADDRNOTAVAIL (not ours, or no port free), -EINVAL
 * (a broadcast or multicast target, MUST-46), -ENOBUFS (live_max), -ENOMEM, -EAFNOSUPPORT. */
int fws_connect(struct fws_host *host, const struct fws_endpoint *local,
                const struct fws_endpoint *remote, const struct fws_options *options,
                fws_handle *conn);

/* Asks the caches for what a coming fws_connect of this 4-tuple will look at, which in a table of
 * millions saves most of its time. Worth a call some dozen opens ahead, by those who plan their
 * 4-tuples; changes nothing else. An address that is not given, or not IPv4, is ignored. */
void fws_connect_soon(const struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote);

enum fws_send_flag {
    FWS_SEND_URGENT = 1, /* the urgent pointer goes behind these bytes */
    FWS_SEND_MORE = 2,   /* more follows at once: hold a segment that is not full */
};

/* Queues bytes for sending, also before the connection is established. Returns how many were taken,
 * -EAGAIN (the buffer is full), -EPIPE (after shutdown), -ENOTCONN, -EBADF, -ENOMEM, or the
 * connection's error (-ECONNRESET, -ETIMEDOUT, ...). */
int64_t fws_send(struct fws_host *host, fws_handle conn, const void *data, size_t bytes,
                 uint32_t flags);

/* Reads bytes in order. Returns how many, 0 at the peer's FIN, -EAGAIN, -EBADF, -ENOTCONN or the
 * connection's error: once all that came before it was read, for a reset at once. */
int64_t fws_recv(struct fws_host *host, fws_handle conn, void *data, size_t bytes);

/* Sends a FIN behind what is queued; reading goes on (half-close, RFC 9293 section 3.6). Returns 0,
 * -ENOTCONN or -EBADF. */
int fws_shutdown(struct fws_host *host, fws_handle conn);

/* Gives the handle up and closes in the background. With unread data, or linger_rst, it ends by an
 * RST (RFC 9293 3.6.1, RFC 2525 2.17). On a listener: it stops listening, and connections that wait
 * for fws_accept are reset. Returns 0 or -EBADF. */
int fws_close(struct fws_host *host, fws_handle handle);

/* Gives the handle up with an RST where the state asks for one (RFC 9293 3.10.5). Returns 0 or
 * -EBADF. */
int fws_abort(struct fws_host *host, fws_handle conn);

/* Change and read a connection's options. All fields of `options` are set at once; MSS can only
 * fall after the handshake; a time above 24 days counts as 24 days. Return 0, -EINVAL or -EBADF. */
int fws_set_options(struct fws_host *host, fws_handle conn, const struct fws_options *options);
int fws_get_options(struct fws_host *host, fws_handle conn, struct fws_options *options);

/* Attaches a word of the caller's, which events carry. Returns 0 or -EBADF. */
int fws_set_user(struct fws_host *host, fws_handle handle, uint64_t user);

enum fws_ready {
    FWS_ACCEPTABLE = 1 << 0, /* a listener has a connection waiting */
    FWS_READABLE = 1 << 1,   /* bytes, the peer's FIN, or an error */
    FWS_WRITABLE = 1 << 2,   /* established, with room in the send buffer */
    FWS_PEER_FIN = 1 << 3,   /* the peer's FIN has come, behind all bytes */
    FWS_URGENT = 1 << 4,     /* urgent data lies ahead (MUST-32) */
    FWS_ERROR = 1 << 5,      /* reset, refused or timed out: `error` says which */
    FWS_SENT = 1 << 6,       /* everything queued was acknowledged, our FIN too if it was sent */
    FWS_DONE = 1 << 7,       /* the wire is done with it: TIME_WAIT or closed */
    /* It goes on, but the network reported an error (fws_info's soft_error), or three
     * retransmissions in a row went unanswered (MUST-47, SHLD-9); until the peer acknowledges
     * something new. */
    FWS_TROUBLE = 1 << 8,
};

struct fws_event {
    fws_handle handle;
    uint64_t user;
    uint32_t ready; /* enum fws_ready: what newly became true since the last event, or still is */
    int32_t error;  /* negative errno, or 0 */
};

/* Takes events: each handle whose readiness gained a bit since it was last reported, with all bits
 * that hold now. Returns how many. */
size_t fws_poll(struct fws_host *host, struct fws_event *events, size_t max);

/* Tells a handle's readiness now: enum fws_ready bits, or -EBADF. */
int64_t fws_ready(struct fws_host *host, fws_handle handle);

/* The states of RFC 9293, numbered as Linux does. */
enum fws_state {
    FWS_STATE_NONE = 0,
    FWS_STATE_ESTABLISHED = 1,
    FWS_STATE_SYN_SENT,
    FWS_STATE_SYN_RECEIVED,
    FWS_STATE_FIN_WAIT_1,
    FWS_STATE_FIN_WAIT_2,
    FWS_STATE_TIME_WAIT,
    FWS_STATE_CLOSED,
    FWS_STATE_CLOSE_WAIT,
    FWS_STATE_LAST_ACK,
    FWS_STATE_LISTEN,
    FWS_STATE_CLOSING,
};

#define FWS_STATE_COUNT 12 /* entries of arrays by state */

/* What is known of a connection; fields that a half-open or TIME_WAIT record no longer has are 0.
 */
struct fws_info {
    size_t size;
    enum fws_state state;
    struct fws_endpoint local;
    struct fws_endpoint remote;
    uint32_t snd_una;
    uint32_t snd_nxt;
    uint32_t snd_wnd; /* bytes, scaled */
    uint32_t rcv_nxt;
    uint32_t rcv_wnd; /* bytes, as advertised last */
    uint32_t cwnd;    /* bytes */
    uint32_t ssthresh;
    uint64_t srtt_ns; /* 0: not yet measured */
    uint64_t rttvar_ns;
    uint64_t rto_ns;
    uint32_t mss;            /* largest segment that we send, without options */
    uint32_t retransmits;    /* segments sent again, in all */
    uint32_t send_queued;    /* bytes not yet acknowledged */
    uint32_t receive_queued; /* bytes in order and not yet read */
    uint32_t out_of_order;   /* bytes received beyond a gap */
    uint32_t urgent_ahead;   /* bytes up to the urgent pointer (MUST-33); 0: none */
    uint8_t timestamps;      /* 1: negotiated */
    uint8_t sack;
    uint8_t window_scaling;
    uint8_t ecn;
    uint8_t snd_wscale;
    uint8_t rcv_wscale;
    int32_t error;       /* that ended it: negative errno */
    int32_t soft_error;  /* newest ICMP error that did not (MUST-56): negative errno */
    uint64_t expires_ns; /* TIME_WAIT: when it ends */
};

/* Fills what is known of a handle. Returns 0 or -EBADF. */
int fws_info(struct fws_host *host, fws_handle handle, struct fws_info *info);

/* Finds a connection by its 4-tuple: half-open, live or in TIME_WAIT. Returns 0 or -ENOENT. */
int fws_info_by_tuple(struct fws_host *host, const struct fws_endpoint *local,
                      const struct fws_endpoint *remote, struct fws_info *info);

/* What a host holds. */
struct fws_census {
    size_t size;
    uint64_t states[FWS_STATE_COUNT]; /* of the wire: one record each; LISTEN: listeners */
    uint64_t transitions[FWS_STATE_COUNT][FWS_STATE_COUNT]; /* [from][to], since the start */
    uint64_t live_records; /* with the CLOSED ones whose handle is still held */
    uint64_t half_open_records;
    uint64_t time_wait_records;
    uint64_t index_entries; /* = half-open + live on the wire + TIME_WAIT */
    uint64_t timers_armed;
    uint64_t buffer_bytes;      /* held for queued data */
    uint64_t memory_bytes;      /* from the allocator, in all */
    uint64_t live_memory_bytes; /* of it for each population, and the index */
    uint64_t half_open_memory_bytes;
    uint64_t time_wait_memory_bytes;
    uint64_t index_memory_bytes;
};

void fws_census(const struct fws_host *host, struct fws_census *census);

/* Everything dropped, refused or limited has a name. Stores at most `max` and returns how many
 * there are. Names are static. */
struct fws_counter {
    const char *name;
    const char *help;
    uint64_t value;
};

size_t fws_counters(const struct fws_host *host, struct fws_counter *counters, size_t max);

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif
