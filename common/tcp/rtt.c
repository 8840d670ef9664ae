/* RTT: RFC 6298's estimator in whole microseconds; see rtt.h. */
#include "tcp/rtt.h"

#define SAMPLE_MAX_US (UINT32_C(1) << 30)

/* Moves a value towards a target by the weight's part of the distance, and at least by one: a rest
 * smaller than the weight would otherwise stay for good. */
static uint32_t approach(uint32_t value, uint32_t target, uint64_t weight)
{
    if (target == value) {
        return value;
    }
    uint32_t distance = target > value ? target - value : value - target;
    uint32_t step = (uint32_t)(distance / weight);
    step = step == 0 ? 1 : step;
    return target > value ? value + step : value - step;
}

void rtt_sample(struct rtt *rtt, uint32_t sample_us, uint32_t flight)
{
    uint32_t sample = sample_us < SAMPLE_MAX_US ? sample_us : SAMPLE_MAX_US;
    sample = sample == 0 ? 1 : sample;
    if (rtt->srtt_us == 0) { /* RFC 6298 2.2 */
        rtt->srtt_us = sample;
        rtt->rttvar_us = sample / 2u;
        return;
    }
    /* 2.3: alpha 1/8, beta 1/4; RTTVAR first, with the SRTT from before this sample. */
    uint64_t samples = flight == 0 ? 1 : flight;
    uint32_t distance = sample > rtt->srtt_us ? sample - rtt->srtt_us : rtt->srtt_us - sample;
    rtt->rttvar_us = approach(rtt->rttvar_us, distance, 4u * samples);
    rtt->srtt_us = approach(rtt->srtt_us, sample, 8u * samples);
}

uint32_t rtt_rto_us(const struct rtt *rtt, const struct rtt_limits *limits)
{
    uint64_t rto_us = limits->initial_us;
    if (rtt->srtt_us != 0) {
        uint64_t variance_us = 4u * (uint64_t)rtt->rttvar_us;
        rto_us = rtt->srtt_us;
        rto_us += variance_us > limits->granularity_us ? variance_us : limits->granularity_us;
    }
    rto_us = rto_us > limits->min_us ? rto_us : limits->min_us;
    return rto_us < limits->max_us ? (uint32_t)rto_us : limits->max_us;
}

uint32_t rtt_backoff_us(uint32_t rto_us, unsigned times, const struct rtt_limits *limits)
{
    uint64_t backed_us = times < 32u ? (uint64_t)rto_us << times : limits->max_us;
    return backed_us < limits->max_us ? (uint32_t)backed_us : limits->max_us;
}
