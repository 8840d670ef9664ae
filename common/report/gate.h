/* Gates: conditions on a result under which a run counts as failed, for use in CI (--fail-if).
 *
 * Layer: report. Plain data; the text is borrowed (it points into argv). Pure functions.
 *
 * A gate is METRIC OPERATOR VALUE, blanks allowed in between, and fails when the condition holds:
 *
 *     connect.p99>5ms          the 99th percentile of connect, from the scheduled time
 *     connect.start.p99>5ms    the same from the actual start
 *     echo.max>=20ms           STAT is pN (p50, p99.9, ...), min, max, mean or count
 *     failed>0   failed_percent>0.1   errors>0   completed_per_sec<10k   cpu_ns_per_conn>60us
 *
 * Operators: > >= < <= == != (and = for ==). Latencies: connect, first_byte, echo, close, lifetime;
 * others: turn, schedule_slip. Values have the metric's unit: durations ("5ms"), counts ("20k"),
 * rates ("10k", "600k/min"), plain decimals. A gate on what the run did not measure (no histogram,
 * no samples, a value that is unknown) fails, since a check that checked nothing must not pass. */
#ifndef FINWAIT_REPORT_GATE_H
#define FINWAIT_REPORT_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/failure.h"
#include "report/result.h"

#define GATE_NAME_MAX 32
#define GATE_REASON_MAX 256

enum gate_comparison {
    GATE_OVER,     /* > */
    GATE_AT_LEAST, /* >= */
    GATE_UNDER,    /* < */
    GATE_AT_MOST,  /* <= */
    GATE_EQUAL,    /* == */
    GATE_UNEQUAL,  /* != */
};

/* Which number of a histogram. */
enum gate_stat {
    GATE_STAT_NONE, /* the metric is a scalar */
    GATE_STAT_PERCENTILE,
    GATE_STAT_MIN,
    GATE_STAT_MAX,
    GATE_STAT_MEAN,
    GATE_STAT_COUNT,
};

struct gate {
    const char *text;           /* as the user wrote it; borrowed */
    char metric[GATE_NAME_MAX]; /* a scalar's or a histogram's name */
    enum gate_stat stat;
    double percent; /* of GATE_STAT_PERCENTILE */
    enum result_origin origin;
    enum gate_comparison comparison;
    double threshold; /* ns, a count, or events per second */
};

/* Reads a gate. Returns 0, or -EINVAL with a text that names what is possible. */
int gate_parse(struct gate *gate, const char *text, struct failure *failure);

/* Tells whether a gate fails, and why in one line without a newline (empty when it does not). */
bool gate_fails(const struct gate *gate, const struct result *result, char reason[GATE_REASON_MAX]);

#endif
