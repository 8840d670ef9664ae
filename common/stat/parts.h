/* The parts of a sample as JSON: what recordings and documents have alike.
 *
 * Layer: program finwait-stat (L5). Each function makes a value of jansson's, the caller's to give
 * on or drop. Want of memory is collected, and told at the end. */
#ifndef FINWAIT_STAT_PARTS_H
#define FINWAIT_STAT_PARTS_H

#include <jansson.h>
#include <stdbool.h>

#include "stat/sample.h"

/* jansson's setters take over the value and accept that it is NULL for want of memory: they fail.
 * That is what `failed` collects. Zeroed at first. */
struct parts {
    bool failed;
};

void parts_set(struct parts *parts, json_t *object, const char *key, json_t *value);
void parts_set_number(struct parts *parts, json_t *object, const char *key, uint64_t number);
void parts_append(struct parts *parts, json_t *array, json_t *value);

/* Gives the object, or NULL, with the object dropped, when a part of it could not be made. */
json_t *parts_finish(const struct parts *parts, json_t *object);

/* Counts by state, those that are 0 left out. */
json_t *parts_counts(struct parts *parts, const struct tcp_state_counts *counts);

/* A matrix: {"established>close_wait": n, ...}, those that are 0 left out. */
json_t *parts_matrix(struct parts *parts, const struct tcp_transitions *matrix);

/* A sample's transitions, and how long states lasted: {"at_ns": ..., "matrix": {...}, "lasted":
 * {"established": {"count": ..., "sum_ns": ..., "p50_ns": ..., "p90_ns": ..., "p99_ns": ...,
 * "max_ns": ..., "below_2^n_ns": {"20": n, ...}}}}; and where they are told apart by port, "ports":
 * {"without_place": ..., "rows": [{"port": n, "matrix": ..., "lasted": ...}], "rest": {"matrix":
 * ..., "lasted": ...}}. */
json_t *parts_transitions(struct parts *parts, const struct sample *sample);

/* A sample's owners: {"at_ns": ..., "cpu_ns": ..., "left_out": ..., "oldest_ns": {...}, "rows":
 * [{"name": ..., "time_wait_made": ..., "states": {...}, "oldest_ns": {...}}]}. */
json_t *parts_owners(struct parts *parts, const struct sample *sample);

/* A sample's listeners. */
json_t *parts_listeners(struct parts *parts, const struct sample *sample);

/* What is known of TIME_WAIT: {"live": ..., "made_per_sec": ..., ..., "plateau_measured": null}. */
json_t *parts_time_wait(struct parts *parts, const struct timewait_estimate *estimate);

/* Adds to an object what is known only when a run has ended. */
void parts_set_end(struct parts *parts, json_t *object, const struct sample_end *end);

#endif
