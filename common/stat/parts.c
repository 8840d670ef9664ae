#include "stat/parts.h"

#include <stdio.h>

void parts_set(struct parts *parts, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) < 0) {
        parts->failed = true;
    }
}

void parts_append(struct parts *parts, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) < 0) {
        parts->failed = true;
    }
}

void parts_set_number(struct parts *parts, json_t *object, const char *key, uint64_t number)
{
    parts_set(parts, object, key, json_integer((json_int_t)number));
}

json_t *parts_finish(const struct parts *parts, json_t *object)
{
    if (parts->failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *parts_counts(struct parts *parts, const struct tcp_state_counts *counts)
{
    json_t *object = json_object();
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        if (counts->n[state] != 0) {
            parts_set_number(parts, object, tcp_state_key((enum tcp_state)state), counts->n[state]);
        }
    }
    return object;
}

/* Ages by state, those that are not known left out. */
static json_t *make_ages(struct parts *parts, const uint64_t ages_ns[TCP_STATE_COUNT])
{
    struct tcp_state_counts ages;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        ages.n[state] = ages_ns[state];
    }
    return parts_counts(parts, &ages);
}

json_t *parts_matrix(struct parts *parts, const struct tcp_transitions *matrix)
{
    json_t *object = json_object();
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        for (int to = 0; to < TCP_STATE_COUNT; to++) {
            char key[SAMPLE_STEP_TEXT_MAX];
            const struct sample_step step = {(enum tcp_state)from, (enum tcp_state)to};
            if (matrix->n[from][to] != 0) {
                parts_set_number(parts, object, sample_step_key(step, key), matrix->n[from][to]);
            }
        }
    }
    return object;
}

static json_t *make_lasted(struct parts *parts, const struct sample_lasted *lasted)
{
    json_t *powers = json_object();
    for (uint32_t power = 0; power < SAMPLE_POWERS; power++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", power);
        if (lasted->powers[power] != 0) {
            parts_set_number(parts, powers, key, lasted->powers[power]);
        }
    }
    json_t *object = json_object();
    parts_set_number(parts, object, "count", lasted->count);
    parts_set_number(parts, object, "sum_ns", lasted->sum_ns);
    parts_set_number(parts, object, "p50_ns", lasted->p50_ns);
    parts_set_number(parts, object, "p90_ns", lasted->p90_ns);
    parts_set_number(parts, object, "p99_ns", lasted->p99_ns);
    parts_set_number(parts, object, "max_ns", lasted->max_ns);
    parts_set(parts, object, "below_2^n_ns", powers);
    return object;
}

/* Sets a matrix and how long states lasted, those that none left out. */
static void set_counted(struct parts *parts, json_t *object, const struct tcp_transitions *matrix,
                        const struct sample_lasted *lasted)
{
    json_t *states = json_object();
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        if (lasted[state].count > 0) {
            parts_set(parts, states, tcp_state_key((enum tcp_state)state),
                      make_lasted(parts, &lasted[state]));
        }
    }
    parts_set(parts, object, "matrix", parts_matrix(parts, matrix));
    parts_set(parts, object, "lasted", states);
}

static json_t *make_ports(struct parts *parts, const struct sample *sample)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < sample->port_count; i++) {
        const struct sample_port *port = &sample->ports[i];
        json_t *row = json_object();
        parts_set_number(parts, row, "port", port->port);
        set_counted(parts, row, &port->transitions, port->lasted);
        parts_append(parts, rows, row);
    }
    json_t *rest = json_object();
    set_counted(parts, rest, &sample->port_rest.transitions, sample->port_rest.lasted);
    json_t *object = json_object();
    parts_set_number(parts, object, "without_place", sample->ports_full);
    parts_set(parts, object, "rows", rows);
    parts_set(parts, object, "rest", rest);
    return object;
}

json_t *parts_transitions(struct parts *parts, const struct sample *sample)
{
    json_t *object = json_object();
    parts_set_number(parts, object, "at_ns", sample->transitions_ns);
    parts_set(parts, object, "has_time_wait", json_boolean(sample->matrix_has_time_wait));
    set_counted(parts, object, &sample->transitions, sample->lasted);
    if (sample->has_ports) {
        parts_set(parts, object, "ports", make_ports(parts, sample));
    }
    return object;
}

json_t *parts_owners(struct parts *parts, const struct sample *sample)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < sample->owner_count; i++) {
        const struct sample_owner *owner = &sample->owners[i];
        json_t *row = json_object();
        parts_set(parts, row, "name", json_string(owner->name));
        parts_set_number(parts, row, "time_wait_made", owner->time_wait_made);
        parts_set(parts, row, "states", parts_counts(parts, &owner->counts));
        parts_set(parts, row, "oldest_ns", make_ages(parts, owner->oldest_ns));
        parts_append(parts, rows, row);
    }
    json_t *object = json_object();
    parts_set_number(parts, object, "at_ns", sample->owners_ns);
    parts_set_number(parts, object, "cpu_ns", sample->owners_cpu_ns);
    parts_set_number(parts, object, "left_out", sample->owners_left_out);
    parts_set(parts, object, "oldest_ns", make_ages(parts, sample->oldest_ns));
    parts_set(parts, object, "rows", rows);
    return object;
}

json_t *parts_listeners(struct parts *parts, const struct sample *sample)
{
    json_t *rows = json_array();
    for (uint32_t i = 0; i < sample->listener_count; i++) {
        const struct tcpstat_listener *listener = &sample->listeners[i];
        char address[ENDPOINT_TEXT_MAX];
        json_t *row = json_object();
        parts_set(parts, row, "local", json_string(endpoint_format(&listener->local, address)));
        parts_set_number(parts, row, "queued", listener->queued);
        if (listener->has_backlog) {
            parts_set_number(parts, row, "backlog", listener->backlog);
        }
        if (listener->has_drops) {
            parts_set_number(parts, row, "drops", listener->drops);
        }
        parts_append(parts, rows, row);
    }
    return rows;
}

json_t *parts_time_wait(struct parts *parts, const struct timewait_estimate *estimate)
{
    json_t *object = json_object();
    parts_set_number(parts, object, "live", estimate->live);
    parts_set(parts, object, "made_per_sec", json_real(estimate->made_per_sec));
    parts_set(parts, object, "ended_per_sec", json_real(estimate->ended_per_sec));
    parts_set_number(parts, object, "lifetime_ns", estimate->lifetime_ns);
    parts_set(parts, object, "lifetime_is_told", json_boolean(estimate->lifetime_is_told));
    parts_set(parts, object, "lifetime_is_measured", json_boolean(estimate->lifetime_is_measured));
    parts_set(parts, object, "recycled_share", json_real(estimate->recycled_share));
    parts_set_number(parts, object, "plateau", estimate->plateau);
    parts_set(parts, object, "plateau_is_capped", json_boolean(estimate->plateau_is_capped));
    parts_set(parts, object, "plateau_measured",
              estimate->at_plateau ? json_real(estimate->plateau_measured) : json_null());
    parts_set(parts, object, "plateau_error",
              estimate->at_plateau ? json_real(estimate->plateau_error) : json_null());
    return object;
}

/* Gives what every counter of the kernel rose by, those that did not move left out. */
static json_t *make_deltas(struct parts *parts, const struct sample_end *end)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < end->delta_count; i++) {
        parts_set(parts, object, end->deltas[i].name, json_integer(end->deltas[i].rise));
    }
    return object;
}

void parts_set_end(struct parts *parts, json_t *object, const struct sample_end *end)
{
    parts_set(parts, object, "kernel_deltas", make_deltas(parts, end));
    parts_set_number(parts, object, "ticks_missed", end->ticks_missed);
    parts_set_number(parts, object, "tick_errors", end->tick_errors);
    parts_set_number(parts, object, "tick_cpu_ns", end->tick_cpu_ns);
    parts_set_number(parts, object, "census_errors", end->census_errors);
    parts_set_number(parts, object, "census_cpu_ns", end->census_cpu_ns);
    parts_set_number(parts, object, "walk_cpu_ns", end->walk_cpu_ns);
    parts_set_number(parts, object, "budget_cpu_ns", end->budget_cpu_ns);
}
