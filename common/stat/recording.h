/* Recordings: the format of --record and --replay, and its two directions.
 *
 * Layer: program finwait-stat (L5). Pure functions between structs and JSON values of jansson.
 *
 * A recording is a text file of lines, each a JSON object that ends in a newline. Lines are only
 * ever appended, so whatever cuts a recording short leaves whole lines and at most one broken one.
 *
 *   line 1     {"format": "finwait.recording", "version": 1, "kernel": ..., "method": ..., "by":
 * ..., "ports_by": ..., "ports_shown": ..., "missing": ..., "started_wall_ns": ..., "interval_ns":
 * ..., "budget_permille": ..., "time_wait_max": ...}
 *   each tick  {"tick": n, "elapsed_ns": ..., "wall_ns": ..., "late_ns": ..., "is_last": ...,
 *               "census_every_ns": ...,
 *               "values": {"time_wait": ..., ...}, "time_wait": {...},
 *               "census": {...}            only in the first tick that knows it
 *               "transitions": {"at_ns": ..., "matrix": {"established>fin_wait_1": n, ...},
 *                               "lasted": {"established": {"count": ..., "p99_ns": ..., ...}},
 *                               "ports": {"rows": [{"port": n, "matrix": ..., "lasted": ...}],
 *                                         "rest": ..., "without_place": n}},
 *               "owners": {...}, "listeners": [...], "notes": ["..."]}   where there are any
 *   at the end {"end": {"ticks_missed": ..., "kernel_deltas": {...}, ...}}
 *
 * A line without "tick" or "end" is passed over, and so are keys that a reader does not know: a
 * later version 1 may add some. What changes the meaning of a key makes version 2. */
#ifndef FINWAIT_STAT_RECORDING_H
#define FINWAIT_STAT_RECORDING_H

#include <jansson.h>

#include "stat/sample.h"

#define RECORDING_FORMAT "finwait.recording"
#define RECORDING_VERSION 1

/* Make a line's value, which the caller drops with json_decref; NULL: no memory. `census_known` is
 * the census_count of the sample that was written before. */
json_t *recording_encode_head(const struct sample_head *head);
json_t *recording_encode_sample(const struct sample *sample, uint64_t census_known);
json_t *recording_encode_end(const struct sample_end *end);

enum recording_line {
    RECORDING_OTHER, /* nothing that this version knows */
    RECORDING_SAMPLE,
    RECORDING_END,
    RECORDING_BAD, /* it says to be a sample or an end and is not */
};

/* Reads the first line. Returns 0, -EINVAL when it is none, or -ENOTSUP for a later version. */
int recording_decode_head(const json_t *line, struct sample_head *head);

/* Reads any other line: `sample` holds the one before (zeroed at first) and becomes this one; `end`
 * gets its deltas from malloc. */
enum recording_line recording_decode(const json_t *line, struct sample *sample,
                                     struct sample_end *end);

#endif
