/* The TIME_WAIT model: from samples of how many were made and how many are alive, how long one
 * lives, and how many there will be.
 *
 * Layer: tcpstat (L1). Pure functions of the samples; no clock, no memory of their own.
 *
 * What the samples mean (Linux): `made` is TcpExt TW + TWKilled, which rise as a TIME_WAIT begins,
 * by its planned length; a FIN_WAIT_2 that lost its socket is such a record too, and counts. `live`
 * is sockstat's tw. So what has ended is made - live. TIME_WAITs end in the order in which they
 * began, except for those that a new connection took over (TWRecycled); where these are many, the
 * lifetime is how long records stay, and no longer the kernel's constant. At tcp_max_tw_buckets
 * none is made, and TCPTimeWaitOverflow counts the sockets that closed without.
 *
 * Linux keeps a TIME_WAIT 60 s and up to one granule of its timer wheel more: 2.05 s at HZ 250, 4 s
 * at HZ 1000. */
#ifndef FINWAIT_TCPSTAT_TIMEWAIT_H
#define FINWAIT_TCPSTAT_TIMEWAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* Before anything was measured: 60 s and half of HZ 250's granule. */
#define TIMEWAIT_LIFETIME_ASSUMED_NS (UINT64_C(61024) * NS_PER_MS)

/* Beyond this after the rate became steady, every TIME_WAIT of before has ended, at any HZ. */
#define TIMEWAIT_LIFETIME_MAX_NS (UINT64_C(65) * NS_PER_SEC)

struct timewait_sample {
    uint64_t at_ns;
    uint64_t made;      /* since the namespace began */
    uint64_t live;      /* now */
    uint64_t recycled;  /* since the namespace began */
    uint64_t overflows; /* since the namespace began: closes without, at tcp_max_tw_buckets */
};

struct timewait_config {
    uint64_t buckets_max;         /* tcp_max_tw_buckets; 0: not known, no cap */
    double close_rate_per_sec;    /* TIME_WAITs to come, when the caller knows it; 0: as measured */
    uint64_t lifetime_assumed_ns; /* until it was measured; 0: TIMEWAIT_LIFETIME_ASSUMED_NS */
    uint64_t lifetime_told_ns; /* likewise, by who keeps the TIME_WAITs: a stack's 2MSL; 0: nobody
                                  tells, and it is assumed */
};

struct timewait_estimate {
    uint64_t live;            /* at the last sample */
    double made_per_sec;      /* over the steady stretch that the samples end in */
    double ended_per_sec;     /* over the same */
    uint64_t steady_since_ns; /* where that stretch begins */

    uint64_t lifetime_ns;      /* mean; measured, or else as assumed */
    bool lifetime_is_told;     /* by the configuration: it is that where it is not measured */
    bool lifetime_is_measured; /* from at least TIMEWAIT_SPAN_MIN_NS worth of ended ones */
    uint64_t lifetime_ended;   /* TIME_WAITs that were followed from begin to end */
    double recycled_share; /* of those made while sampled: over some 0.01, the order is broken */

    uint64_t plateau;       /* forecast: rate x lifetime, at most buckets_max */
    bool plateau_is_capped; /* by buckets_max */

    bool at_plateau;         /* steady for longer than any lifetime: the next two are set */
    double plateau_measured; /* mean of live since then */
    double plateau_error;    /* measured / forecast - 1 */
};

/* Entry times that the followed TIME_WAITs must span, so that the timer's granule averages out. */
#define TIMEWAIT_SPAN_MIN_NS (UINT64_C(4100) * NS_PER_MS)

/* Estimates from samples in ascending order of time. Requires count >= 1. A forecast as it would
 * have been made earlier is the estimate of the samples up to then. */
void timewait_estimate(const struct timewait_sample *samples, size_t count,
                       const struct timewait_config *config, struct timewait_estimate *estimate);

/* What happened between two samples, a second: TIME_WAIT's live rates. */
struct timewait_flow {
    double made_per_sec;
    double ended_per_sec;     /* in any way */
    double recycled_per_sec;  /* of these, taken over by a connect() of ours (TWRecycled) */
    double overflows_per_sec; /* closes that made none, at tcp_max_tw_buckets */
};

/* Computes the rates between two samples; all 0 when no time passed. */
void timewait_flow(const struct timewait_sample *earlier, const struct timewait_sample *later,
                   struct timewait_flow *flow);

/* A forecast to be compared with what comes. */
struct timewait_forecast {
    uint64_t made_at_ns;
    uint64_t for_ns;
    double live;
};

/* Forecasts how many will be alive `ahead_ns` after the last sample: those of the steady rate to
 * come, and of those now alive the ones younger than the lifetime by then. Requires count >= 1. */
struct timewait_forecast timewait_forecast_live(const struct timewait_sample *samples, size_t count,
                                                const struct timewait_config *config,
                                                uint64_t ahead_ns);

/* Finds how far a forecast was off, as a share of what came (interpolated between the samples
 * around its time). Returns false while its time has not come, or when it is before all samples. */
bool timewait_forecast_error(const struct timewait_forecast *forecast,
                             const struct timewait_sample *samples, size_t count, double *error);

#endif
