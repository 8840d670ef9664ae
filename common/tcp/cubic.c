/* CUBIC: RFC 9438 in whole bytes and microseconds.
 *
 * The RFC counts windows in segments and time in seconds; here
 *     W_cubic(t) = w_max + 0.4 * mss * (t - K)^3 / 10^18      bytes, of microseconds
 *     K = cbrt((w_max - cwnd_epoch) / (0.4 * mss)) * 10^6     microseconds
 * with C = 0.4 and beta = 0.7 (sections 4.2, 4.6). */
#include "tcp/congestion.h"

#include <stddef.h>

#include "tcp/congestion_internal.h"

#define US_PER_SEC UINT64_C(1000000)
#define DISTANCE_MAX_US (200 * US_PER_SEC) /* its cube fits; 3 million segments from w_max */

/* The integer part of a cube root, by Newton's method from above. */
static uint64_t cube_root(uint64_t number)
{
    if (number == 0) {
        return 0;
    }
    unsigned bits = 64u - (unsigned)__builtin_clzll(number);
    uint64_t root = UINT64_C(1) << (bits + 2u) / 3u;
    for (;;) {
        uint64_t next = (2u * root + number / (root * root)) / 3u;
        if (next >= root) {
            return root;
        }
        root = next;
    }
}

/* Time that the curve takes from `cwnd` to `w_max` (figure 2). */
static uint64_t cubic_k_us(uint32_t w_max, uint32_t cwnd, uint32_t mss)
{
    if (cwnd >= w_max) {
        return 0;
    }
    /* In units of 10^-9 s^3; its root is in milliseconds, made finer by as many bits as fit. */
    uint64_t cube = (uint64_t)(w_max - cwnd) * UINT64_C(5000000000) / (2u * (uint64_t)mss);
    unsigned shift = cube == 0 ? 0 : (unsigned)__builtin_clzll(cube) / 3u;
    return cube_root(cube << 3u * shift) * 1000u >> shift;
}

/* The curve's window `t_us` after the start of the epoch (figure 1), no less than 0. */
static uint64_t cubic_window(const struct congestion_extra *extra, uint64_t t_us, uint32_t mss)
{
    bool before = t_us < extra->k_us;
    uint64_t distance = before ? extra->k_us - t_us : t_us - extra->k_us;
    distance = distance < DISTANCE_MAX_US ? distance : DISTANCE_MAX_US;
    uint64_t cube = distance * distance / US_PER_SEC * distance / US_PER_SEC; /* 10^-6 s^3 */
    uint64_t bytes = cube * 2u * mss / (5u * US_PER_SEC);
    if (before) {
        return extra->w_max > bytes ? extra->w_max - bytes : 0;
    }
    return extra->w_max + bytes;
}

/* Begins a stage of avoidance. Where it does not follow a loss, or that was a time-out, the curve
 * begins at its plateau (section 4.10 and 4.8). */
static void cubic_begin_epoch(const struct congestion *congestion, struct congestion_extra *extra,
                              const struct congestion_ack *ack)
{
    extra->epoch_start_us = ack->now_us == 0 ? 1 : ack->now_us;
    extra->cwnd_epoch = congestion->cwnd;
    extra->w_max = extra->w_max > congestion->cwnd ? extra->w_max : congestion->cwnd;
    extra->k_us = cubic_k_us(extra->w_max, congestion->cwnd, ack->mss);
    extra->w_est = congestion->cwnd;
    extra->w_est_acked = 0;
    extra->bytes_acked = 0;
}

/* The window that Reno would have (figure 4): alpha is 9/17 until it has what was lost, then 1. */
static void cubic_estimate_reno(const struct congestion *congestion, struct congestion_extra *extra,
                                const struct congestion_ack *ack)
{
    bool regained = extra->w_est >= extra->cwnd_prior;
    uint64_t gain = (regained ? 1u : 9u) * (uint64_t)ack->mss;
    uint64_t cost = (regained ? 1u : 17u) * (uint64_t)congestion->cwnd;
    uint64_t acked = (uint64_t)extra->w_est_acked + ack->acked_bytes;
    uint64_t bytes = acked * gain / cost;
    acked -= bytes * cost / gain;
    extra->w_est_acked = (uint32_t)acked;
    bytes += extra->w_est;
    extra->w_est = bytes < CONGESTION_CWND_MAX ? (uint32_t)bytes : CONGESTION_CWND_MAX;
}

/* Sections 4.4 and 4.5: towards the curve one round trip from now, by at most half the window. */
static void cubic_follow(struct congestion *congestion, struct congestion_extra *extra,
                         const struct congestion_ack *ack, uint64_t t_us)
{
    uint64_t cwnd = congestion->cwnd;
    uint64_t target = cubic_window(extra, t_us + ack->srtt_us, ack->mss);
    target = target < cwnd ? cwnd : target;
    target = target > cwnd + cwnd / 2u ? cwnd + cwnd / 2u : target;
    uint64_t product = (target - cwnd) * ack->acked_bytes + extra->bytes_acked;
    extra->bytes_acked = (uint32_t)(product % cwnd);
    congestion_grow(congestion, product / cwnd);
}

static void cubic_avoid(struct congestion *congestion, struct congestion_extra *extra,
                        const struct congestion_ack *ack)
{
    if (extra->epoch_start_us == 0) {
        cubic_begin_epoch(congestion, extra, ack);
    }
    uint64_t t_us = ack->now_us > extra->epoch_start_us ? ack->now_us - extra->epoch_start_us : 0;
    cubic_estimate_reno(congestion, extra, ack);
    if (cubic_window(extra, t_us, ack->mss) < extra->w_est) { /* section 4.3 */
        if (extra->w_est > congestion->cwnd) {
            congestion->cwnd = extra->w_est;
        }
        return;
    }
    cubic_follow(congestion, extra, ack, t_us);
}

static void cubic_on_ack(struct congestion *congestion, struct congestion_extra *extra,
                         const struct congestion_ack *ack)
{
    if (extra != NULL) {
        /* Section 4.2: t leaves out the time in which the window was not used. */
        if (!ack->cwnd_limited && extra->epoch_start_us != 0) {
            extra->epoch_start_us += ack->now_us - extra->last_ack_us;
        }
        extra->last_ack_us = ack->now_us;
    }
    if (!ack->cwnd_limited) {
        return;
    }
    if (congestion_in_slow_start(congestion)) {
        congestion_slow_start(congestion, ack);
    } else if (extra == NULL) {
        congestion_avoid_roughly(congestion, ack);
    } else {
        cubic_avoid(congestion, extra, ack);
    }
}

/* Section 4.6. */
static uint32_t cubic_ssthresh(uint32_t flight_bytes, uint32_t mss)
{
    uint32_t bytes = (uint32_t)((uint64_t)flight_bytes * 7u / 10u);
    return bytes > 2u * mss ? bytes : 2u * mss;
}

static void cubic_on_loss(struct congestion *congestion, struct congestion_extra *extra,
                          uint32_t flight_bytes, uint32_t mss, uint64_t now_us)
{
    if (extra != NULL) {
        /* Section 4.7, fast convergence: a flow that lost below its last maximum makes room. */
        uint64_t cwnd = congestion->cwnd;
        extra->w_max = (uint32_t)(cwnd < extra->w_max ? cwnd * 17u / 20u : cwnd);
        extra->cwnd_prior = congestion->cwnd;
        extra->epoch_start_us = 0;
        extra->last_ack_us = now_us;
    }
    congestion->ssthresh = cubic_ssthresh(flight_bytes, mss);
    congestion->cwnd = congestion->ssthresh;
}

/* Section 4.8. */
static void cubic_on_timeout(struct congestion *congestion, struct congestion_extra *extra,
                             uint32_t flight_bytes, uint32_t mss, bool first)
{
    if (extra != NULL) {
        extra->w_max = 0; /* the next stage begins at its plateau */
        extra->cwnd_prior = first ? congestion->cwnd : extra->cwnd_prior;
        extra->epoch_start_us = 0;
    }
    if (first) {
        congestion->ssthresh = cubic_ssthresh(flight_bytes, mss);
    }
    congestion->cwnd = mss;
}

const struct congestion_ops congestion_cubic = {
    .name = "cubic",
    .on_ack = cubic_on_ack,
    .on_loss = cubic_on_loss,
    .on_timeout = cubic_on_timeout,
};
