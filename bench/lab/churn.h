/* Churn: TIME_WAIT under a steady load, sampled once a second, against the model's forecast.
 *
 * Layer: bench/lab, over tcpstat's model. Plain data. */
#ifndef FINWAIT_BENCH_LAB_CHURN_H
#define FINWAIT_BENCH_LAB_CHURN_H

#include "tcpstat/timewait.h"
#include "timewait.h"

#define CHURN_SEC 100u /* past a lifetime of at most 64 s, with a plateau to look at */
#define CHURN_SAMPLES_MAX 256

struct churn {
    const char *who;
    struct timewait_config config;
    double rate_per_sec;
    struct timewait_sample samples[CHURN_SAMPLES_MAX];
    size_t count;
    size_t churn_count; /* of these, while connections were closed at the full rate */
};

/* Adds a sample; what is beyond the room is left out. */
void churn_add(struct churn *churn, const struct timewait_sample *sample);

/* Check, and print with the figures, that all pile up that were made, that a forecast made before
 * any has ended comes true, and that the plateau is rate x lifetime. */
void churn_check_pile_up(struct timewait *timewait, const struct churn *churn);
void churn_check_plateau(struct timewait *timewait, const struct churn *churn);

/* The same for the drain: the last one is gone one lifetime after the last close. `took_sec` is how
 * long that took. */
void churn_check_drain(struct timewait *timewait, const struct churn *churn, uint64_t last_live,
                       double took_sec);

/* Finds the first sample by which all closes were made. */
const struct timewait_sample *churn_last_close(const struct churn *churn);

/* The mean lifetime as it was measured. */
uint64_t churn_lifetime_ns(const struct churn *churn);

/* The demonstrations' churns: the kernel's and the stack's over a link, in real time, and the
 * stack's in memory on virtual time. */
void churn_show_kernel(struct timewait *timewait);
void churn_show_link_stack(struct timewait *timewait);
void churn_show_memory_stack(struct timewait *timewait);

#endif
