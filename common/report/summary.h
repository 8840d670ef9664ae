/* Summary: the main fields of a JSON report, read back; for the lab's tables and for merging ranks.
 *
 * Layer: report. Plain data of fixed size, so that nothing needs to be freed. What the report calls
 * null, or does not have, is unknown here. */
#ifndef FINWAIT_REPORT_SUMMARY_H
#define FINWAIT_REPORT_SUMMARY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "report/result.h"

#define SUMMARY_NAME_MAX 32
#define SUMMARY_TEXT_MAX 256
#define SUMMARY_LIMITS_MAX 16
#define SUMMARY_ERRORS_MAX 32

struct summary_latency {
    struct result_number count;
    struct result_number mean_ns;
    struct result_number p50_ns;
    struct result_number p99_ns;
    struct result_number p999_ns;
    struct result_number max_ns;
};

/* A phase's latency from both origins. */
struct summary_phase {
    struct summary_latency from_scheduled;
    struct summary_latency from_start;
};

struct summary_limit {
    enum result_weight weight;
    char code[SUMMARY_NAME_MAX];
    char text[SUMMARY_TEXT_MAX];
};

struct summary_error {
    char key[2 * SUMMARY_NAME_MAX]; /* "connect/ECONNREFUSED" */
    uint64_t count;
};

struct result_summary {
    char program[SUMMARY_NAME_MAX]; /* empty strings are unknown */
    char version[SUMMARY_NAME_MAX];
    char engine[SUMMARY_NAME_MAX];
    char closer[SUMMARY_NAME_MAX];
    char close_how[SUMMARY_NAME_MAX];

    bool is_valid;
    int exit_code;        /* as result_exit_code gave it */
    uint32_t limit_count; /* of limits[] */
    uint32_t limit_total; /* of the report; more than limit_count when they did not fit */
    struct summary_limit limits[SUMMARY_LIMITS_MAX];

    struct result_number duration_ns;
    struct result_number offered_per_sec;
    struct result_number completed_per_sec;
    struct result_number attempted;
    struct result_number completed;
    struct result_number failed;
    struct result_number open_at_end;
    struct result_number shed;
    struct result_number segments_per_conn;
    struct result_number bytes_per_conn;
    uint32_t error_count; /* of errors[] */
    uint32_t error_total; /* of the report */
    struct summary_error errors[SUMMARY_ERRORS_MAX];

    struct summary_phase connect;
    struct summary_phase echo;

    struct result_number cpu_own_ns_per_conn;
    struct result_number cpu_machine_ns_per_conn;
    struct result_number cpu_machine_error_ns_per_conn;
    struct result_number cpu_steal_ns_per_conn;
    struct result_number time_wait_measured;
    struct result_number time_wait_expected;
    struct result_number time_wait_peak;
    uint32_t checks_failed;
};

/* Reads a report. Returns 0; -errno when the file cannot be read, -EINVAL when it is no JSON or no
 * report of the schema RESULT_SCHEMA, each with the text set. */
int result_summary_read(struct result_summary *summary, const char *path, struct failure *failure);

/* Reads one histogram of a report and adds it to `into` (see hist_init). Minimum, maximum and sum
 * come exactly. Returns 0; -ENOENT when the report has no such histogram; otherwise as above. After
 * an error `into` is unchanged. */
int result_hist_read(struct hist *into, const char *path, const char *name,
                     enum result_origin origin, struct failure *failure);

#endif
