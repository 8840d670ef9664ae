/* A comparison as JSON; see compare.h. Layer: bench/lab. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "compare.h"
#include "report/file.h"

#define SCHEMA "finwait.compare/1"

/* JSON has no NaN: what is not known is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval_tree(struct stats_interval interval)
{
    return json_pack("{s:o, s:o, s:o}", "median", number(interval.median), "low",
                     number(interval.low), "high", number(interval.high));
}

static json_t *notes_tree(const struct contender *contender)
{
    json_t *notes = json_array();
    for (uint32_t i = 0; i < contender->note_count; i++) {
        const struct compare_note *note = &contender->notes[i];
        json_array_append_new(notes, json_pack("{s:s, s:s?, s:I}", "text", note->text, "sentence",
                                               note->sentence, "trials", (json_int_t)note->trials));
    }
    return notes;
}

/* The rates of all trials in the order of their rounds, so that others can compute anew. */
static json_t *rates_tree(const struct contender *contender)
{
    json_t *rates = json_array();
    for (uint32_t i = 0; i < contender->done; i++) {
        json_array_append_new(rates,
                              number(contender->trials[i].values[MEASURE_COMPLETED_PER_SEC]));
    }
    return rates;
}

static const struct contender *member(const struct compare_group *group, int index)
{
    return index < 0 ? NULL : &group->contenders[index];
}

static json_t *cell_tree(const struct compare *compare, const struct compare_group *group,
                         const struct contender *contender)
{
    const struct cell_spec *spec = &contender->spec;
    json_t *cell = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s?}", "row", compare_row_name(contender->row),
        "client", lab_kind_name(spec->client), "server", lab_kind_name(spec->server), "tuning",
        lab_tuning_name(spec->tuning), "closer", spec->closer, "close", spec->close, "trials",
        (json_int_t)contender->done, "valid", !contender->failed && !contender->invalid, "error",
        contender->failed ? contender->reason : NULL);
    for (int i = 0; i < MEASURE_COUNT; i++) {
        enum measure measure = (enum measure)i;
        struct stats_interval interval = compare_interval(compare, contender, measure);
        if (measure == MEASURE_MEMORY_CONN) {
            /* Held once, outside of the rounds. */
            interval = (struct stats_interval){contender->held_bytes, contender->held_bytes,
                                               contender->held_bytes};
        }
        json_object_set_new(cell, measure_key(measure), interval_tree(interval));
    }
    json_object_set_new(
        cell, "ratio_to_kernel",
        interval_tree(compare_ratio(compare, contender, member(group, group->kernel))));
    json_object_set_new(
        cell, "ratio_to_tuned_kernel",
        interval_tree(compare_ratio(compare, contender, member(group, group->tuned))));
    json_object_set_new(cell, "completed_per_sec_by_round", rates_tree(contender));
    json_object_set_new(cell, "notes", notes_tree(contender));
    return cell;
}

static json_t *cells_tree(const struct compare *compare)
{
    json_t *cells = json_array();
    for (uint32_t i = 0; i < compare->group_count; i++) {
        const struct compare_group *group = &compare->groups[i];
        for (uint32_t k = 0; k < group->count; k++) {
            json_array_append_new(cells, cell_tree(compare, group, &group->contenders[k]));
        }
    }
    return cells;
}

static json_t *document(const struct compare *compare)
{
    const struct compare_options *options = compare->options;
    return json_pack(
        "{s:s, s:s, s:b, s:I, s:f, s:f, s:I, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:O?, s:O?, s:o}",
        "schema", SCHEMA, "version", FINWAIT_VERSION, "interrupted", compare->interrupted, "pairs",
        (json_int_t)options->pairs, "seconds", compare->seconds, "warm_up_seconds",
        (double)options->warm_up_ns / (double)NS_PER_SEC, "seed", (json_int_t)options->seed,
        "layout", options->layout == PLACE_APART ? "apart" : "pair", "client_cpus",
        compare->place.client_cpus, "server_cpus", compare->place.server_cpus, "in_flight",
        (json_int_t)options->in_flight, "payload_bytes", (json_int_t)64, "memory_conns",
        (json_int_t)options->memory_conns, "offloads", compare->offloads, "host", compare->host,
        "sysctls", compare->sysctls, "cells", cells_tree(compare));
}

int compare_write_json(const struct compare *compare, const char *path, struct failure *failure)
{
    struct report_file file;
    json_t *root = document(compare);
    if (root == NULL) {
        return failure_set(failure, ENOMEM, "%s: no memory for the report", path);
    }
    int error = report_file_begin(&file, path, failure);
    if (error == 0) {
        bool written = json_dumpf(root, file.out, JSON_INDENT(1)) == 0;
        error = report_file_commit(&file, written ? 0 : -ENOMEM, failure);
    }
    json_decref(root);
    return error;
}
