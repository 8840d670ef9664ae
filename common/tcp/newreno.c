/* NewReno: RFC 5681's windows, with the byte counting of its section 3.1; RFC 6582's recovery is
 * the caller's. */
#include "tcp/congestion.h"

#include <stddef.h>

#include "tcp/congestion_internal.h"

static void newreno_on_ack(struct congestion *congestion, struct congestion_extra *extra,
                           const struct congestion_ack *ack)
{
    if (!ack->cwnd_limited) {
        return;
    }
    if (congestion_in_slow_start(congestion)) {
        congestion_slow_start(congestion, ack);
        return;
    }
    if (extra == NULL) {
        congestion_avoid_roughly(congestion, ack);
        return;
    }
    extra->bytes_acked += ack->acked_bytes;
    if (extra->bytes_acked >= congestion->cwnd) {
        extra->bytes_acked -= congestion->cwnd;
        congestion_grow(congestion, ack->mss);
    }
}

/* RFC 5681 equation 4. */
static uint32_t newreno_ssthresh(uint32_t flight_bytes, uint32_t mss)
{
    return flight_bytes / 2u > 2u * mss ? flight_bytes / 2u : 2u * mss;
}

static void newreno_on_loss(struct congestion *congestion, struct congestion_extra *extra,
                            uint32_t flight_bytes, uint32_t mss, uint64_t now_us)
{
    (void)now_us;
    congestion->ssthresh = newreno_ssthresh(flight_bytes, mss);
    congestion->cwnd = congestion->ssthresh;
    if (extra != NULL) {
        extra->bytes_acked = 0;
    }
}

static void newreno_on_timeout(struct congestion *congestion, struct congestion_extra *extra,
                               uint32_t flight_bytes, uint32_t mss, bool first)
{
    if (first) {
        congestion->ssthresh = newreno_ssthresh(flight_bytes, mss);
    }
    congestion->cwnd = mss; /* the loss window, RFC 5681 section 3.1 */
    if (extra != NULL) {
        extra->bytes_acked = 0;
    }
}

const struct congestion_ops congestion_newreno = {
    .name = "newreno",
    .on_ack = newreno_on_ack,
    .on_loss = newreno_on_loss,
    .on_timeout = newreno_on_timeout,
};
