/* Congestion control: how many bytes may be in flight. NewReno and CUBIC behind one interface.
 *
 * Layer: tcp (L2). Pure over its structs; `now_us` comes in. It decides cwnd and ssthresh; what is
 * lost and what is sent is loss recovery's business (recovery.c).
 * Sources: RFC 5681, RFC 6582, RFC 6928, RFC 9438, RFC 3465 is not used (L = 1 SMSS per ACK as
 * RFC 5681 has it, or min(acked, SMSS)). */
#ifndef FINWAIT_TCP_CONGESTION_H
#define FINWAIT_TCP_CONGESTION_H

#include <stdbool.h>
#include <stdint.h>

#define CONGESTION_SSTHRESH_NONE UINT32_MAX

/* In every live record. */
struct congestion {
    uint32_t cwnd;     /* bytes */
    uint32_t ssthresh; /* bytes; CONGESTION_SSTHRESH_NONE at first */
};

/* Only from the first loss on, in the connection's extra record: RFC 9438's variables, and
 * NewReno's count of bytes acknowledged. */
struct congestion_extra {
    uint32_t bytes_acked;    /* towards the next segment (NewReno) or byte (CUBIC), in avoidance */
    uint32_t w_max;          /* bytes; RFC 9438 4.1.2 */
    uint32_t cwnd_prior;     /* of the last reduction */
    uint32_t cwnd_epoch;     /* at the start of this avoidance stage */
    uint32_t w_est;          /* Reno-friendly estimate, bytes */
    uint32_t w_est_acked;    /* remainder */
    uint64_t epoch_start_us; /* 0: not in an epoch */
    uint64_t k_us;           /* time to w_max */
    uint64_t last_ack_us;    /* to leave out the time in which the window was not used */
};

struct congestion_ack {
    uint64_t now_us;
    uint32_t acked_bytes; /* newly acknowledged */
    uint32_t mss;
    uint32_t srtt_us;
    bool cwnd_limited; /* the flight filled the window: only then it may grow (RFC 7661) */
};

struct congestion_ops {
    const char *name;
    /* An ACK of new data outside of recovery. `extra` is NULL before the first loss: slow start. */
    void (*on_ack)(struct congestion *, struct congestion_extra *, const struct congestion_ack *);
    /* Loss, or ECN-Echo: sets ssthresh, and cwnd to it. */
    void (*on_loss)(struct congestion *, struct congestion_extra *, uint32_t flight_bytes,
                    uint32_t mss, uint64_t now_us);
    /* A retransmission time-out: ssthresh as on loss (not again for the same data: `first`), cwnd
     * of one segment. */
    void (*on_timeout)(struct congestion *, struct congestion_extra *, uint32_t flight_bytes,
                       uint32_t mss, bool first);
};

extern const struct congestion_ops congestion_newreno;
extern const struct congestion_ops congestion_cubic;

/* RFC 6928: min(segments * mss, max(2 * mss, 14600)) when segments is 10; one segment when the SYN
 * or SYN-ACK was retransmitted more than once (its section 2). */
uint32_t congestion_initial_window(uint32_t mss, uint32_t segments, bool syn_lost_twice);

/* RFC 5681 4.1: after an idle time longer than the RTO the window falls back to the restart window
 * min(IW, cwnd). */
void congestion_restart(struct congestion *congestion, uint32_t initial_window);

#endif
