/* What the two algorithms share: slow start and bounds.
 *
 * Layer: tcp (L2). A part of congestion. */
#ifndef FINWAIT_TCP_CONGESTION_INTERNAL_H
#define FINWAIT_TCP_CONGESTION_INTERNAL_H

#include "tcp/congestion.h"

#define CONGESTION_CWND_MAX (UINT32_C(1) << 30) /* the largest window that RFC 7323 allows */

/* Lets the window grow by at most its limit. */
void congestion_grow(struct congestion *congestion, uint64_t bytes);

/* RFC 5681 equation 2: slow start, by at most a segment an ACK. */
void congestion_slow_start(struct congestion *congestion, const struct congestion_ack *ack);

/* RFC 5681 equation 3: avoidance without a count, where there is no extra record. */
void congestion_avoid_roughly(struct congestion *congestion, const struct congestion_ack *ack);

static inline bool congestion_in_slow_start(const struct congestion *congestion)
{
    return congestion->cwnd < congestion->ssthresh;
}

#endif
