#include <stdio.h>
#include <string.h>

#include "stat/recording.h"

/* jansson's setters take over the value and accept that it is NULL for want of memory: they fail.
 * That is what `failed` collects. */
struct encoder {
    bool failed;
};

static void set(struct encoder *encoder, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0) {
        encoder->failed = true;
    }
}

static void append(struct encoder *encoder, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0) {
        encoder->failed = true;
    }
}

static void set_number(struct encoder *encoder, json_t *object, const char *key, uint64_t number)
{
    set(encoder, object, key, json_integer((json_int_t)number));
}

/* Gives the object, or NULL when a part of it could not be made. */
static json_t *finish(const struct encoder *encoder, json_t *object)
{
    if (encoder->failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *recording_encode_head(const struct sample_head *head)
{
    struct encoder encoder = {0};
    json_t *line = json_object();
    set(&encoder, line, "format", json_string(RECORDING_FORMAT));
    set_number(&encoder, line, "version", RECORDING_VERSION);
    set(&encoder, line, "finwait", json_string(FINWAIT_VERSION));
    set(&encoder, line, "kernel", json_string(head->kernel));
    set(&encoder, line, "method", json_string(head->method));
    set(&encoder, line, "by", json_string(head->by));
    set(&encoder, line, "missing", json_string(head->missing));
    set_number(&encoder, line, "started_wall_ns", head->started_wall_ns);
    set_number(&encoder, line, "interval_ns", head->interval_ns);
    set_number(&encoder, line, "budget_permille", head->budget_permille);
    set_number(&encoder, line, "time_wait_max", head->time_wait_max);
    return finish(&encoder, line);
}

static json_t *encode_counts(struct encoder *encoder, const struct tcp_state_counts *counts)
{
    json_t *object = json_object();
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        if (counts->n[state] != 0) {
            set_number(encoder, object, tcp_state_key((enum tcp_state)state), counts->n[state]);
        }
    }
    return object;
}

static json_t *encode_census(struct encoder *encoder, const struct sample *sample)
{
    const struct watch_census *census = &sample->census;
    json_t *object = json_object();
    set_number(encoder, object, "number", sample->census_count);
    set_number(encoder, object, "started_ns", census->stamp.started_ns);
    set_number(encoder, object, "wall_ns", census->stamp.wall_ns);
    set_number(encoder, object, "cpu_ns", census->stamp.cpu_ns);
    set_number(encoder, object, "stability", census->stamp.stability);
    set_number(encoder, object, "rows", census->stamp.rows);
    set_number(encoder, object, "rows_repeated", census->stamp.rows_repeated);
    set_number(encoder, object, "lines_malformed", census->stamp.lines_malformed);
    set_number(encoder, object, "lines_truncated", census->stamp.lines_truncated);
    set_number(encoder, object, "passes", census->stamp.passes);
    set(encoder, object, "repeats_remain", json_boolean(census->stamp.repeats_remain));
    set(encoder, object, "is_final", json_boolean(census->is_final));
    set(encoder, object, "ipv4", encode_counts(encoder, &census->v4));
    set(encoder, object, "ipv6", encode_counts(encoder, &census->v6));
    set(encoder, object, "total", encode_counts(encoder, &census->total));
    return object;
}

static json_t *encode_time_wait(struct encoder *encoder, const struct timewait_estimate *estimate)
{
    json_t *object = json_object();
    set_number(encoder, object, "live", estimate->live);
    set(encoder, object, "made_per_sec", json_real(estimate->made_per_sec));
    set(encoder, object, "ended_per_sec", json_real(estimate->ended_per_sec));
    set_number(encoder, object, "lifetime_ns", estimate->lifetime_ns);
    set(encoder, object, "lifetime_is_measured", json_boolean(estimate->lifetime_is_measured));
    set(encoder, object, "recycled_share", json_real(estimate->recycled_share));
    set_number(encoder, object, "plateau", estimate->plateau);
    set(encoder, object, "plateau_is_capped", json_boolean(estimate->plateau_is_capped));
    if (estimate->at_plateau) {
        set(encoder, object, "plateau_measured", json_real(estimate->plateau_measured));
        set(encoder, object, "plateau_error", json_real(estimate->plateau_error));
    }
    return object;
}

static json_t *encode_transitions(struct encoder *encoder, const struct sample *sample)
{
    json_t *matrix = json_object();
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        for (int to = 0; to < TCP_STATE_COUNT; to++) {
            const uint64_t count = sample->transitions.n[from][to];
            if (count != 0) {
                char key[64];
                snprintf(key, sizeof(key), "%s>%s", tcp_state_key((enum tcp_state)from),
                         tcp_state_key((enum tcp_state)to));
                set_number(encoder, matrix, key, count);
            }
        }
    }
    json_t *object = json_object();
    set_number(encoder, object, "at_ns", sample->transitions_ns);
    set(encoder, object, "matrix", matrix);
    return object;
}

static json_t *encode_owners(struct encoder *encoder, const struct sample *sample)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < sample->owner_count; i++) {
        const struct sample_owner *owner = &sample->owners[i];
        json_t *row = json_object();
        set(encoder, row, "name", json_string(owner->name));
        set_number(encoder, row, "time_wait_made", owner->time_wait_made);
        set(encoder, row, "states", encode_counts(encoder, &owner->counts));
        append(encoder, rows, row);
    }
    json_t *object = json_object();
    set_number(encoder, object, "at_ns", sample->owners_ns);
    set_number(encoder, object, "cpu_ns", sample->owners_cpu_ns);
    set_number(encoder, object, "left_out", sample->owners_left_out);
    set(encoder, object, "rows", rows);
    return object;
}

static json_t *encode_listeners(struct encoder *encoder, const struct sample *sample)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < sample->listener_count; i++) {
        const struct tcpstat_listener *listener = &sample->listeners[i];
        char address[ENDPOINT_TEXT_MAX];
        json_t *row = json_object();
        set(encoder, row, "local", json_string(endpoint_format(&listener->local, address)));
        set_number(encoder, row, "queued", listener->queued);
        if (listener->has_backlog) {
            set_number(encoder, row, "backlog", listener->backlog);
        }
        if (listener->has_drops) {
            set_number(encoder, row, "drops", listener->drops);
        }
        append(encoder, rows, row);
    }
    return rows;
}

static json_t *encode_values(struct encoder *encoder, const struct sample *sample)
{
    json_t *values = json_object();
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        set_number(encoder, values, watch_field_infos[i].name, sample->values[i]);
    }
    return values;
}

static void set_parts(struct encoder *encoder, json_t *line, const struct sample *sample)
{
    if (sample->has_transitions) {
        set(encoder, line, "transitions", encode_transitions(encoder, sample));
    }
    if (sample->owners_cpu_ns > 0) {
        set(encoder, line, "owners", encode_owners(encoder, sample));
    }
    if (sample->listener_count > 0) {
        set(encoder, line, "listeners", encode_listeners(encoder, sample));
        set_number(encoder, line, "listeners_left_out", sample->listeners_left_out);
    }
    json_t *notes = json_array();
    for (uint32_t i = 0; i < sample->note_count; i++) {
        append(encoder, notes, json_string(sample->notes[i]));
    }
    set(encoder, line, "notes", notes);
}

json_t *recording_encode_sample(const struct sample *sample, uint64_t census_known)
{
    struct encoder encoder = {0};
    json_t *line = json_object();
    set_number(&encoder, line, "tick", sample->number);
    set_number(&encoder, line, "elapsed_ns", sample->elapsed_ns);
    set_number(&encoder, line, "wall_ns", sample->wall_ns);
    set_number(&encoder, line, "late_ns", sample->late_ns);
    set(&encoder, line, "is_last", json_boolean(sample->is_last));
    set_number(&encoder, line, "census_every_ns", sample->census_every_ns);
    set(&encoder, line, "values", encode_values(&encoder, sample));
    set(&encoder, line, "time_wait", encode_time_wait(&encoder, &sample->time_wait));
    if (sample->census_count > census_known) {
        set(&encoder, line, "census", encode_census(&encoder, sample));
    }
    set_parts(&encoder, line, sample);
    return finish(&encoder, line);
}

json_t *recording_encode_end(const struct sample_end *end)
{
    struct encoder encoder = {0};
    json_t *object = json_object();
    set_number(&encoder, object, "ticks_missed", end->ticks_missed);
    set_number(&encoder, object, "tick_errors", end->tick_errors);
    set_number(&encoder, object, "tick_cpu_ns", end->tick_cpu_ns);
    set_number(&encoder, object, "census_errors", end->census_errors);
    set_number(&encoder, object, "census_cpu_ns", end->census_cpu_ns);
    set_number(&encoder, object, "budget_cpu_ns", end->budget_cpu_ns);
    json_t *deltas = json_object();
    for (uint32_t i = 0; i < end->delta_count; i++) {
        set(&encoder, deltas, end->deltas[i].name, json_integer(end->deltas[i].rise));
    }
    set(&encoder, object, "kernel_deltas", deltas);
    json_t *line = json_object();
    set(&encoder, line, "end", object);
    return finish(&encoder, line);
}
