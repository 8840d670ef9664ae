/* TIME_WAIT under load against forecast; see churn.h. Layer: bench/lab. */
#include <inttypes.h>
#include <math.h>

#include "base/clock.h"
#include "churn.h"

#define FORECAST_SEC 30. /* when the plateau is forecast: before any TIME_WAIT has ended */
/* A report's rates and its count of TIME_WAIT are of moments a little apart. */
#define COUNT_ERROR_MAX 0.005
#define ERROR_MAX 0.02     /* of pile-up, plateau and forecast */
#define GRANULE_SEC_MAX 5. /* of the kernel's timer (4 s at HZ 1000), and a sample's second */

void churn_add(struct churn *churn, const struct timewait_sample *sample)
{
    if (churn->count < CHURN_SAMPLES_MAX) {
        churn->samples[churn->count++] = *sample;
    }
}

static double seconds_since_first(const struct churn *churn, size_t i)
{
    return (double)(churn->samples[i].at_ns - churn->samples[0].at_ns) / (double)NS_PER_SEC;
}

/* Finds the last sample at or before a time. */
static size_t sample_at(const struct churn *churn, double seconds)
{
    size_t at = 0;
    while (at + 1 < churn->churn_count && seconds_since_first(churn, at + 1) <= seconds) {
        at++;
    }
    return at;
}

/* When to look at the pile-up, and to forecast: half of a lifetime that is short. */
static size_t sample_early(const struct churn *churn)
{
    const double assumed_sec = (double)churn->config.lifetime_assumed_ns / (double)NS_PER_SEC;
    return sample_at(churn, assumed_sec > 0 ? fmin(FORECAST_SEC, assumed_sec / 2) : FORECAST_SEC);
}

static bool is_within(double value, double expected, double share)
{
    return value >= expected * (1 - share) && value <= expected * (1 + share);
}

/* A client that fails at once leaves nothing to look at. */
static bool was_sampled(struct timewait *timewait, const struct churn *churn)
{
    if (churn->churn_count < 2) {
        timewait_check(timewait, false, "%s: the churn ended before it was sampled", churn->who);
        return false;
    }
    return true;
}

void churn_check_pile_up(struct timewait *timewait, const struct churn *churn)
{
    if (!was_sampled(timewait, churn)) {
        return;
    }
    size_t at = sample_early(churn);
    const struct timewait_sample *sample = &churn->samples[at];
    double closed = (double)(sample->made - churn->samples[0].made);
    double seconds = seconds_since_first(churn, at);
    timewait_check(timewait,
                   is_within((double)sample->live, closed, COUNT_ERROR_MAX) &&
                       is_within(closed, churn->rate_per_sec * seconds, ERROR_MAX),
                   "%s, pile-up: after %.1f s at %.0f/s %" PRIu64
                   " are there of %.0f that were made: none has ended",
                   churn->who, seconds, churn->rate_per_sec, sample->live, closed);
}

void churn_check_plateau(struct timewait *timewait, const struct churn *churn)
{
    struct timewait_estimate estimate;
    if (!was_sampled(timewait, churn)) {
        return;
    }
    size_t forecast_at = sample_early(churn);
    const struct timewait_sample *then = &churn->samples[churn->churn_count - 1];
    uint64_t ahead_ns = then->at_ns - churn->samples[forecast_at].at_ns;
    struct timewait_forecast forecast =
        timewait_forecast_live(churn->samples, forecast_at + 1, &churn->config, ahead_ns);
    double error = 1;
    bool known = timewait_forecast_error(&forecast, churn->samples, churn->churn_count, &error);
    timewait_check(timewait, known && error > -ERROR_MAX && error < ERROR_MAX,
                   "%s, forecast after %.0f s for %.0f s: %.0f; there are %" PRIu64 ": %+.2f%%",
                   churn->who, seconds_since_first(churn, forecast_at),
                   seconds_since_first(churn, churn->churn_count - 1), forecast.live, then->live,
                   error * 100);
    timewait_estimate(churn->samples, churn->churn_count, &churn->config, &estimate);
    timewait_check(
        timewait,
        estimate.at_plateau && estimate.lifetime_is_measured &&
            is_within(estimate.plateau_measured,
                      estimate.made_per_sec * (double)estimate.lifetime_ns / (double)NS_PER_SEC,
                      ERROR_MAX),
        "%s, plateau: %.0f on average = %.1f/s x %.2f s, the lifetime as measured", churn->who,
        estimate.plateau_measured, estimate.made_per_sec,
        (double)estimate.lifetime_ns / (double)NS_PER_SEC);
}

const struct timewait_sample *churn_last_close(const struct churn *churn)
{
    size_t at = churn->count - 1;
    while (at > 0 && churn->samples[at - 1].made == churn->samples[churn->count - 1].made) {
        at--;
    }
    return &churn->samples[at];
}

uint64_t churn_lifetime_ns(const struct churn *churn)
{
    struct timewait_estimate estimate;
    timewait_estimate(churn->samples, churn->churn_count, &churn->config, &estimate);
    return estimate.lifetime_ns;
}

/* The drain is over one lifetime, and at most a granule of the timer, after the last close. */
void churn_check_drain(struct timewait *timewait, const struct churn *churn, uint64_t last_live,
                       double took_sec)
{
    double lifetime_sec = (double)churn_lifetime_ns(churn) / (double)NS_PER_SEC;
    timewait_check(timewait,
                   last_live == 0 && took_sec > lifetime_sec - GRANULE_SEC_MAX &&
                       took_sec < lifetime_sec + GRANULE_SEC_MAX,
                   "%s, drain: from %" PRIu64 " to %" PRIu64 " in %.1f s after the last close",
                   churn->who, churn_last_close(churn)->live, last_live, took_sec);
}
