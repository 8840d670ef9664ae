/* OpenMetrics: numbers as the text that Prometheus reads.
 *
 * Layer: report. A growing buffer of the caller's; pure but for its memory. Two formats:
 * OpenMetrics 1.0, and Prometheus' older text format 0.0.4 for readers that do not ask for the
 * first. Names are given without their suffix: the writer adds "_total" to counters, "_bucket",
 * "_count" and "_sum" to histograms, so that one call serves both formats. Want of memory is
 * remembered, and told at the end. */
#ifndef FINWAIT_REPORT_OPENMETRICS_H
#define FINWAIT_REPORT_OPENMETRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/hist.h"
#include "base/tcp_state.h"

enum openmetrics_format {
    OPENMETRICS_1_0,
    OPENMETRICS_TEXT_0_0_4,
};

enum openmetrics_type {
    OPENMETRICS_GAUGE,
    OPENMETRICS_COUNTER,
    OPENMETRICS_HISTOGRAM,
};

struct openmetrics {
    enum openmetrics_format format;
    char *text; /* ends in NUL; NULL while empty */
    size_t length;
    size_t capacity;
    bool failed;
};

/* A family: what its samples share. `unit` is "" or the name's last word ("seconds", "bytes"). */
struct openmetrics_family {
    const char *name; /* "finwait_tcp_connections" */
    enum openmetrics_type type;
    const char *unit;
    const char *help;
};

struct openmetrics_label {
    const char *name;
    const char *value; /* any text: it is escaped */
};

struct openmetrics_labels {
    const struct openmetrics_label *labels;
    size_t count;
};

void openmetrics_init(struct openmetrics *out, enum openmetrics_format format);

/* Frees the text and leaves it zeroed. */
void openmetrics_free(struct openmetrics *out);

/* Begins a family; its samples follow at once, and it is begun only once. */
void openmetrics_begin(struct openmetrics *out, const struct openmetrics_family *family);

/* Adds a sample of a gauge or counter. A real that is not finite is left out. */
void openmetrics_count(struct openmetrics *out, const struct openmetrics_family *family,
                       struct openmetrics_labels labels, uint64_t value);
void openmetrics_real(struct openmetrics *out, const struct openmetrics_family *family,
                      struct openmetrics_labels labels, double value);

/* Adds a histogram of ns as seconds. Its buckets end just below the powers of two of a ns from 1 us
 * to 17 s, where the histogram's own bins end: so each count is exact. */
void openmetrics_hist(struct openmetrics *out, const struct openmetrics_family *family,
                      struct openmetrics_labels labels, const struct hist *hist);

/* Adds a histogram that is counted by powers of two: entry n counts the times below 2^n ns and not
 * below 2^(n - 1). Its buckets end there, from 1 us on; those beyond the last entry are above all.
 */
struct openmetrics_powers {
    const uint64_t *counts;
    uint32_t count;
    uint64_t sum_ns;
};
void openmetrics_powers(struct openmetrics *out, const struct openmetrics_family *family,
                        struct openmetrics_labels labels, const struct openmetrics_powers *powers);

/* Adds a whole family of one sample without labels. */
void openmetrics_one(struct openmetrics *out, const struct openmetrics_family *family,
                     double value);

/* Adds every counter of a view as a family of its own, its name after the prefix; one in ns ("_ns")
 * in seconds, as Prometheus has it. */
void openmetrics_counters(struct openmetrics *out, const char *prefix,
                          const struct counter_view *view);

/* Adds the family finwait_tcp_connections, by state and family of addresses. */
void openmetrics_states(struct openmetrics *out, const struct tcp_state_counts *v4,
                        const struct tcp_state_counts *v6);

/* Ends the text. Returns 0, or -ENOMEM when it is not whole. */
int openmetrics_finish(struct openmetrics *out);

/* The HTTP content type of a format. Static memory. */
const char *openmetrics_content_type(enum openmetrics_format format);

#endif
