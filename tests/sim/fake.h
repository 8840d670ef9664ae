/* A fake host behind the stack's C ABI: a plain TCP, slow and small, with faults that can be turned
 * on one at a time.
 *
 * Layer: tests. It exists to judge the judge: sound, every rule must pass; with a fault, the rule
 * that the fault breaks must say so. It shares no code with common/tcp: go-back-N, no options but
 * MSS, a fixed window, linear tables. The fault's number comes in the last byte of the seed. */
#ifndef FINWAIT_TESTS_SIM_FAKE_H
#define FINWAIT_TESTS_SIM_FAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/packet.h"
#include "stack/finwait-stack.h"

#define FAKE_BUFFER 8192u
#define FAKE_CONNS 4096u
#define FAKE_QUEUE 256u
#define FAKE_MSS 536u

enum fake_bug {
    FAKE_SOUND,
    FAKE_BAD_CHECKSUM,      /* at times */
    FAKE_RST_FOR_RST,       /* answers RSTs */
    FAKE_RST_FORM,          /* <SEQ=0> for a segment that has an ACK */
    FAKE_SHORT_TIME_WAIT,   /* half of 2MSL */
    FAKE_NO_RESTART,        /* a FIN that comes again does not restart TIME_WAIT */
    FAKE_NO_LAST_ACK_AGAIN, /* a FIN that comes again is not acknowledged */
    FAKE_SHRINK_WINDOW,
    FAKE_ACK_UNSENT,
    FAKE_ACK_BACK,
    FAKE_BEYOND_WINDOW,
    FAKE_OTHER_BYTES, /* a retransmission carries other bytes */
    FAKE_KEEP_RECORD, /* a record stays behind */
    FAKE_EAT_BYTE,    /* one byte is not delivered */
    FAKE_EARLY_END,   /* the end is delivered before the bytes */
    FAKE_NO_CHECKSUM, /* damaged segments are taken */
    FAKE_WRONG_ARROW, /* CLOSE_WAIT goes straight to CLOSED on shutdown's FIN */
    FAKE_LEAK,        /* a buffer is never released */
    FAKE_ECT_ON_ACK,
    FAKE_MSS_IN_ACK,
    FAKE_URGENT_JUNK,
    FAKE_ACK_LOOP,   /* every pure ACK is answered */
    FAKE_TIMER_LEFT, /* the census counts a timer too many */
    FAKE_DEADLINE_STUCK,
    FAKE_CRASH,
    FAKE_FIN_ONCE, /* a FIN is not retransmitted */
    FAKE_NO_USER_WORD,
    FAKE_CENSUS_SUM,
    FAKE_RESET_AT_ONCE, /* resets a connection for no reason, at times */
    FAKE_FIN_MOVES,
    FAKE_STATE_LIES,      /* says ESTABLISHED when it is in CLOSE_WAIT */
    FAKE_KEEPS_TIME_WAIT, /* also for those that want none */
    FAKE_LATE_ACK,        /* what comes in order is acknowledged when it comes again */
    FAKE_NO_MARKS,        /* TTL and DSCP are the host's, whatever was asked for */
    FAKE_OTHER_PORT,      /* a random port that is another stack's share */
    FAKE_EAGER_SYN,       /* a SYN is sent again after a tenth of its time-out */
    FAKE_COUNTS_SHORT,    /* a counter leaves segments out */
    FAKE_TELLS_FIN,       /* says that the peer closed when it only sent */
    FAKE_NO_LIMITS,       /* more records than the config lets */
    FAKE_NO_TROUBLE,      /* nobody is told of retransmissions */
    FAKE_FALSE_TROUBLE,   /* trouble is told of the first */
    FAKE_BUG_COUNT,
};

struct fake_tuple {
    uint32_t local;
    uint32_t remote;
    uint16_t local_port;
    uint16_t remote_port;
};

struct fake_conn {
    bool used;  /* the slot is taken */
    bool held;  /* the application has the handle */
    bool taken; /* accepted, or from connect */
    enum fws_state state;
    fws_handle handle;
    fws_handle listener;
    uint64_t user;
    uint32_t local;
    uint32_t remote;
    uint16_t local_port;
    uint16_t remote_port;
    uint32_t iss, irs, snd_una, snd_nxt, snd_max, rcv_nxt, snd_wnd;
    uint32_t send_first; /* sequence number of send[0] */
    uint32_t send_count;
    uint32_t recv_count;
    uint32_t edge; /* as advertised last */
    uint8_t *send;
    uint8_t *recv;
    bool fin_queued, fin_sent, fin_acked, fin_came, ack_due;
    bool probe_due;
    bool tells_fin; /* FAKE_TELLS_FIN */
    uint32_t tries;
    uint32_t resends; /* of them, those that were no probe */
    uint32_t urgent;
    uint32_t told; /* readiness */
    int error;
    uint64_t timer_ns; /* UINT64_MAX: off */
    struct fws_options options;
};

struct fake_listener {
    bool used;
    uint16_t port;
    fws_handle handle;
    uint64_t user;
    struct fws_options options;
};

struct fws_host {
    struct fws_config config;
    enum fake_bug bug;
    uint32_t address; /* the first; config.address_last is the last */
    uint32_t last;
    uint64_t now_ns;
    uint64_t generation;
    uint64_t memory_bytes;
    uint64_t sent;
    uint64_t challenge_second;
    uint64_t challenges;
    uint32_t conn_count; /* slots in use, at most */
    struct fake_conn *conns;
    struct fake_listener listeners[8];
    uint64_t transitions[FWS_STATE_COUNT][FWS_STATE_COUNT];
    uint32_t reply_count;
    struct packet replies[FAKE_QUEUE]; /* RSTs to be sent */
};

/* Records: fake_conn.c; protocol: fake_tcp.c. */
void fake_move(struct fws_host *host, struct fake_conn *conn, enum fws_state state);
void fake_segment(struct fws_host *host, const struct packet *packet);
bool fake_next_segment(struct fws_host *host, struct fake_conn *conn, struct packet *packet,
                       uint8_t *payload);
void fake_timer(struct fws_host *host, struct fake_conn *conn);
void fake_shut(struct fws_host *host, struct fake_conn *conn);
void fake_abort(struct fws_host *host, struct fake_conn *conn);
void fake_free(struct fws_host *host, struct fake_conn *conn);
struct fake_conn *fake_conn_new(struct fws_host *host);
bool fake_is_full(const struct fws_host *host, bool in_time_wait, uint32_t limit);
struct fake_conn *fake_find(struct fws_host *host, const struct fake_tuple *tuple);

static inline bool fake_wants_nothing_kept(const struct fws_host *host,
                                           const struct fake_conn *conn)
{
    return conn->options.no_time_wait && host->bug != FAKE_KEEPS_TIME_WAIT;
}

static inline uint64_t fake_time_wait_ns(const struct fws_host *host)
{
    return host->config.time_wait_ns ? host->config.time_wait_ns : UINT64_C(60000000000);
}

#endif
