/* RTT: round-trip estimate and retransmission time-out (RFC 6298).
 *
 * Layer: tcp (L2). Plain data, microseconds in 32 bits (71 minutes, samples are capped at 2^30). */
#ifndef FINWAIT_TCP_RTT_H
#define FINWAIT_TCP_RTT_H

#include <stdint.h>

struct rtt {
    uint32_t srtt_us; /* 0: no sample yet */
    uint32_t rttvar_us;
};

struct rtt_limits {
    uint32_t initial_us; /* RTO before any sample: 1 s (RFC 6298 2.1) */
    uint32_t min_us;     /* of the RTO: RFC 6298 2.4 says 1 s, Linux has 200 ms */
    uint32_t max_us;     /* 2.5: at least 60 s */
    uint32_t granularity_us;
};

/* Takes a sample (2.2, 2.3). A sample of 0 counts as 1. `flight` is how many samples a round trip
 * gives, 1 without timestamps (RFC 7323 appendix G: weights are divided by it). */
void rtt_sample(struct rtt *rtt, uint32_t sample_us, uint32_t flight);

/* Computes the RTO without backoff: SRTT + max(G, 4 * RTTVAR), where Linux's way of applying the
 * minimum to the variance term is not taken: the whole is clamped to [min, max] (2.4, 2.5). */
uint32_t rtt_rto_us(const struct rtt *rtt, const struct rtt_limits *limits);

/* Backs off: doubles `times` times and caps (5.5). */
uint32_t rtt_backoff_us(uint32_t rto_us, unsigned times, const struct rtt_limits *limits);

#endif
