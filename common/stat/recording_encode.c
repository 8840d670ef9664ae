#include "stat/parts.h"
#include "stat/recording.h"

json_t *recording_encode_head(const struct sample_head *head)
{
    struct parts parts = {0};
    json_t *line = json_object();
    parts_set(&parts, line, "format", json_string(RECORDING_FORMAT));
    parts_set_number(&parts, line, "version", RECORDING_VERSION);
    parts_set(&parts, line, "finwait", json_string(FINWAIT_VERSION));
    parts_set(&parts, line, "kernel", json_string(head->kernel));
    parts_set(&parts, line, "method", json_string(head->method));
    parts_set(&parts, line, "by", json_string(head->by));
    parts_set(&parts, line, "ports_by", json_string(head->ports_by));
    parts_set_number(&parts, line, "ports_shown", head->ports_shown);
    parts_set(&parts, line, "missing", json_string(head->missing));
    parts_set_number(&parts, line, "started_wall_ns", head->started_wall_ns);
    parts_set_number(&parts, line, "interval_ns", head->interval_ns);
    parts_set_number(&parts, line, "budget_permille", head->budget_permille);
    parts_set_number(&parts, line, "time_wait_max", head->time_wait_max);
    return parts_finish(&parts, line);
}

static json_t *encode_census(struct parts *parts, const struct sample *sample)
{
    const struct watch_census *census = &sample->census;
    json_t *object = json_object();
    parts_set_number(parts, object, "number", sample->census_count);
    parts_set_number(parts, object, "started_ns", census->stamp.started_ns);
    parts_set_number(parts, object, "wall_ns", census->stamp.wall_ns);
    parts_set_number(parts, object, "cpu_ns", census->stamp.cpu_ns);
    parts_set_number(parts, object, "stability", census->stamp.stability);
    parts_set_number(parts, object, "rows", census->stamp.rows);
    parts_set_number(parts, object, "rows_repeated", census->stamp.rows_repeated);
    parts_set_number(parts, object, "lines_malformed", census->stamp.lines_malformed);
    parts_set_number(parts, object, "lines_truncated", census->stamp.lines_truncated);
    parts_set_number(parts, object, "passes", census->stamp.passes);
    parts_set(parts, object, "repeats_remain", json_boolean(census->stamp.repeats_remain));
    parts_set(parts, object, "is_final", json_boolean(census->is_final));
    parts_set(parts, object, "ipv4", parts_counts(parts, &census->v4));
    parts_set(parts, object, "ipv6", parts_counts(parts, &census->v6));
    parts_set(parts, object, "total", parts_counts(parts, &census->total));
    return object;
}

static json_t *encode_values(struct parts *parts, const struct sample *sample)
{
    json_t *values = json_object();
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        parts_set_number(parts, values, watch_field_infos[i].name, sample->values[i]);
    }
    return values;
}

static void set_parts(struct parts *parts, json_t *line, const struct sample *sample)
{
    if (sample->has_transitions) {
        parts_set(parts, line, "transitions", parts_transitions(parts, sample));
    }
    if (sample->owners_cpu_ns > 0) {
        parts_set(parts, line, "owners", parts_owners(parts, sample));
    }
    if (sample->listener_count > 0) {
        parts_set(parts, line, "listeners", parts_listeners(parts, sample));
        parts_set_number(parts, line, "listeners_left_out", sample->listeners_left_out);
    }
    if (sample->owners_in_ns > 0) {
        parts_set_number(parts, line, "owners_in_ns", sample->owners_in_ns);
    }
    json_t *notes = json_array();
    for (uint32_t i = 0; i < sample->note_count; i++) {
        parts_append(parts, notes, json_string(sample->notes[i]));
    }
    parts_set(parts, line, "notes", notes);
}

json_t *recording_encode_sample(const struct sample *sample, uint64_t census_known)
{
    struct parts parts = {0};
    json_t *line = json_object();
    parts_set_number(&parts, line, "tick", sample->number);
    parts_set_number(&parts, line, "elapsed_ns", sample->elapsed_ns);
    parts_set_number(&parts, line, "wall_ns", sample->wall_ns);
    parts_set_number(&parts, line, "late_ns", sample->late_ns);
    parts_set(&parts, line, "is_last", json_boolean(sample->is_last));
    parts_set_number(&parts, line, "census_every_ns", sample->census_every_ns);
    if (sample->census_count > 0) {
        parts_set(&parts, line, "peak", parts_counts(&parts, &sample->peak));
    }
    if (sample->has_present) {
        parts_set(&parts, line, "present", parts_counts(&parts, &sample->present));
    }
    parts_set(&parts, line, "values", encode_values(&parts, sample));
    parts_set(&parts, line, "time_wait", parts_time_wait(&parts, &sample->time_wait));
    if (sample->census_count > census_known) {
        parts_set(&parts, line, "census", encode_census(&parts, sample));
    }
    set_parts(&parts, line, sample);
    return parts_finish(&parts, line);
}

json_t *recording_encode_end(const struct sample_end *end)
{
    struct parts parts = {0};
    json_t *object = json_object();
    parts_set_end(&parts, object, end);
    json_t *line = json_object();
    parts_set(&parts, line, "end", object);
    return parts_finish(&parts, line);
}
