/* Everything here is read from a file that anybody may have written: what is missing is 0, what is
 * of the wrong type is refused or 0, and what is too much is left out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat/recording.h"

static uint64_t get_number(const json_t *object, const char *key)
{
    const json_int_t number = json_integer_value(json_object_get(object, key));
    return number < 0 ? 0 : (uint64_t)number;
}

static uint32_t get_number32(const json_t *object, const char *key)
{
    const uint64_t number = get_number(object, key);
    return number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
}

static bool get_flag(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static double get_real(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* Copies a text that will be shown: what could move a terminal's cursor becomes '?'. */
static void get_text(const json_t *value, char *text, size_t size)
{
    const char *from = json_string_value(value);
    snprintf(text, size, "%s", from == NULL ? "" : from);
    for (char *at = text; *at != '\0'; at++) {
        if (*at < ' ' || *at > '~') {
            *at = '?';
        }
    }
}

int recording_decode_head(const json_t *line, struct sample_head *head)
{
    const char *format = json_string_value(json_object_get(line, "format"));
    if (format == NULL || strcmp(format, RECORDING_FORMAT) != 0) {
        return -EINVAL;
    }
    if (get_number(line, "version") != RECORDING_VERSION) {
        return -ENOTSUP;
    }
    *head = (struct sample_head){
        .started_wall_ns = get_number(line, "started_wall_ns"),
        .interval_ns = get_number(line, "interval_ns"),
        .budget_permille = get_number32(line, "budget_permille"),
        .time_wait_max = get_number(line, "time_wait_max"),
    };
    get_text(json_object_get(line, "kernel"), head->kernel, sizeof(head->kernel));
    get_text(json_object_get(line, "method"), head->method, sizeof(head->method));
    get_text(json_object_get(line, "by"), head->by, sizeof(head->by));
    get_text(json_object_get(line, "ports_by"), head->ports_by, sizeof(head->ports_by));
    const uint32_t shown = get_number32(line, "ports_shown");
    head->ports_shown = shown < SAMPLE_PORTS_MAX ? shown : SAMPLE_PORTS_MAX;
    get_text(json_object_get(line, "missing"), head->missing, sizeof(head->missing));
    return 0;
}

static struct tcp_state_counts decode_counts(const json_t *object)
{
    struct tcp_state_counts counts = {0};
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        counts.n[state] = get_number(object, tcp_state_key((enum tcp_state)state));
    }
    return counts;
}

static enum census_stability decode_stability(uint64_t number)
{
    switch (number) {
    case CENSUS_STABLE:
        return CENSUS_STABLE;
    case CENSUS_CHANGED:
        return CENSUS_CHANGED;
    default:
        return CENSUS_STABILITY_UNKNOWN;
    }
}

static void decode_census(const json_t *object, struct sample *sample)
{
    if (!json_is_object(object)) {
        return; /* still the one of before */
    }
    sample->census_count = get_number(object, "number");
    sample->census = (struct watch_census){
        .stamp = {.started_ns = get_number(object, "started_ns"),
                  .wall_ns = get_number(object, "wall_ns"),
                  .cpu_ns = get_number(object, "cpu_ns"),
                  .stability = decode_stability(get_number(object, "stability")),
                  .rows = get_number(object, "rows"),
                  .rows_repeated = get_number(object, "rows_repeated"),
                  .lines_malformed = get_number(object, "lines_malformed"),
                  .lines_truncated = get_number(object, "lines_truncated"),
                  .passes = get_number32(object, "passes"),
                  .repeats_remain = get_flag(object, "repeats_remain")},
        .v4 = decode_counts(json_object_get(object, "ipv4")),
        .v6 = decode_counts(json_object_get(object, "ipv6")),
        .total = decode_counts(json_object_get(object, "total")),
        .is_final = get_flag(object, "is_final"),
    };
}

static struct timewait_estimate decode_time_wait(const json_t *object)
{
    return (struct timewait_estimate){
        .live = get_number(object, "live"),
        .made_per_sec = get_real(object, "made_per_sec"),
        .ended_per_sec = get_real(object, "ended_per_sec"),
        .lifetime_ns = get_number(object, "lifetime_ns"),
        .lifetime_is_told = get_flag(object, "lifetime_is_told"),
        .lifetime_is_measured = get_flag(object, "lifetime_is_measured"),
        .recycled_share = get_real(object, "recycled_share"),
        .plateau = get_number(object, "plateau"),
        .plateau_is_capped = get_flag(object, "plateau_is_capped"),
        .at_plateau = json_is_number(json_object_get(object, "plateau_measured")),
        .plateau_measured = get_real(object, "plateau_measured"),
        .plateau_error = get_real(object, "plateau_error"),
    };
}

static void decode_ages(const json_t *object, uint64_t ages_ns[TCP_STATE_COUNT])
{
    const struct tcp_state_counts ages = decode_counts(object);
    memcpy(ages_ns, ages.n, sizeof(ages.n));
}

static void decode_lasted(const json_t *object, struct sample_lasted *lasted)
{
    *lasted = (struct sample_lasted){
        .count = get_number(object, "count"),
        .sum_ns = get_number(object, "sum_ns"),
        .p50_ns = get_number(object, "p50_ns"),
        .p90_ns = get_number(object, "p90_ns"),
        .p99_ns = get_number(object, "p99_ns"),
        .max_ns = get_number(object, "max_ns"),
    };
    const json_t *powers = json_object_get(object, "below_2^n_ns");
    for (uint32_t power = 0; power < SAMPLE_POWERS; power++) {
        char key[16];
        snprintf(key, sizeof(key), "%u", power);
        lasted->powers[power] = get_number(powers, key);
    }
}

/* Reads a matrix, and how long states lasted. */
static void decode_counted(const json_t *object, struct tcp_transitions *transitions,
                           struct sample_lasted *lasted)
{
    const json_t *matrix = json_object_get(object, "matrix");
    for (int from = 0; from < TCP_STATE_COUNT; from++) {
        for (int to = 0; to < TCP_STATE_COUNT; to++) {
            char key[SAMPLE_STEP_TEXT_MAX];
            const struct sample_step step = {(enum tcp_state)from, (enum tcp_state)to};
            transitions->n[from][to] = get_number(matrix, sample_step_key(step, key));
        }
    }
    const json_t *states = json_object_get(object, "lasted");
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        decode_lasted(json_object_get(states, tcp_state_key((enum tcp_state)state)),
                      &lasted[state]);
    }
}

static void decode_ports(const json_t *object, struct sample *sample)
{
    sample->has_ports = json_is_object(object);
    sample->ports_full = get_number(object, "without_place");
    sample->port_count = 0;
    if (!sample->has_ports) {
        return;
    }
    decode_counted(json_object_get(object, "rest"), &sample->port_rest.transitions,
                   sample->port_rest.lasted);
    const json_t *rows = json_object_get(object, "rows");
    for (size_t i = 0; i < json_array_size(rows) && i < SAMPLE_PORTS_MAX; i++) {
        const json_t *row = json_array_get(rows, i);
        struct sample_port *port = &sample->ports[sample->port_count];
        const uint64_t number = get_number(row, "port");
        if (number >= CENSUS_PORTS || (i > 0 && number <= port[-1].port)) {
            return; /* rows come by port; those that do not were put together by hand */
        }
        port->port = (uint16_t)number;
        decode_counted(row, &port->transitions, port->lasted);
        sample->port_count++;
    }
}

static void decode_transitions(const json_t *object, struct sample *sample)
{
    sample->has_transitions = json_is_object(object);
    sample->transitions_ns = get_number(object, "at_ns");
    sample->matrix_has_time_wait = get_flag(object, "has_time_wait");
    decode_counted(object, &sample->transitions, sample->lasted);
    decode_ports(json_object_get(object, "ports"), sample);
}

static void decode_owners(const json_t *object, struct sample *sample)
{
    sample->owners_ns = get_number(object, "at_ns");
    sample->owners_cpu_ns = get_number(object, "cpu_ns");
    sample->owners_left_out = get_number32(object, "left_out");
    decode_ages(json_object_get(object, "oldest_ns"), sample->oldest_ns);
    sample->owner_count = 0;
    const json_t *rows = json_object_get(object, "rows");
    for (size_t i = 0; i < json_array_size(rows) && i < SAMPLE_OWNERS_MAX; i++) {
        const json_t *row = json_array_get(rows, i);
        struct sample_owner *owner = &sample->owners[sample->owner_count++];
        get_text(json_object_get(row, "name"), owner->name, sizeof(owner->name));
        owner->counts = decode_counts(json_object_get(row, "states"));
        owner->time_wait_made = get_number(row, "time_wait_made");
        decode_ages(json_object_get(row, "oldest_ns"), owner->oldest_ns);
    }
}

static void decode_listeners(const json_t *line, struct sample *sample)
{
    const json_t *rows = json_object_get(line, "listeners");
    sample->listener_count = 0;
    sample->listeners_left_out = get_number32(line, "listeners_left_out");
    for (size_t i = 0; i < json_array_size(rows) && i < SAMPLE_LISTENERS_MAX; i++) {
        const json_t *row = json_array_get(rows, i);
        const char *local = json_string_value(json_object_get(row, "local"));
        struct tcpstat_listener *listener = &sample->listeners[sample->listener_count];
        *listener = (struct tcpstat_listener){
            .queued = get_number32(row, "queued"),
            .backlog = get_number32(row, "backlog"),
            .drops = get_number(row, "drops"),
            .has_backlog = json_object_get(row, "backlog") != NULL,
            .has_drops = json_object_get(row, "drops") != NULL,
        };
        if (local != NULL && endpoint_parse(&listener->local, local, NULL) == 0) {
            sample->listener_count++;
        }
    }
}

static void decode_notes(const json_t *notes, struct sample *sample)
{
    sample->note_count = 0;
    for (size_t i = 0; i < json_array_size(notes) && i < SAMPLE_NOTES_MAX; i++) {
        get_text(json_array_get(notes, i), sample->notes[sample->note_count++],
                 SAMPLE_NOTE_TEXT_MAX);
    }
}

static enum recording_line decode_sample(const json_t *line, struct sample *sample)
{
    const json_t *values = json_object_get(line, "values");
    const uint64_t elapsed_ns = get_number(line, "elapsed_ns");
    /* Ticks come in the order of time; one that does not was put together by hand. */
    if (!json_is_object(values) || elapsed_ns < sample->elapsed_ns) {
        return RECORDING_BAD;
    }
    sample->number = get_number(line, "tick");
    sample->elapsed_ns = elapsed_ns;
    sample->wall_ns = get_number(line, "wall_ns");
    sample->late_ns = get_number(line, "late_ns");
    sample->census_every_ns = get_number(line, "census_every_ns");
    sample->owners_in_ns = get_number(line, "owners_in_ns");
    sample->peak = decode_counts(json_object_get(line, "peak"));
    sample->has_present = json_is_object(json_object_get(line, "present"));
    sample->present = decode_counts(json_object_get(line, "present"));
    sample->is_last = get_flag(line, "is_last");
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        sample->values[i] = get_number(values, watch_field_infos[i].name);
    }
    sample->time_wait = decode_time_wait(json_object_get(line, "time_wait"));
    decode_census(json_object_get(line, "census"), sample);
    sample->census_age_ns = elapsed_ns > sample->census.stamp.started_ns
                                ? elapsed_ns - sample->census.stamp.started_ns
                                : 0;
    decode_transitions(json_object_get(line, "transitions"), sample);
    decode_owners(json_object_get(line, "owners"), sample);
    decode_listeners(line, sample);
    decode_notes(json_object_get(line, "notes"), sample);
    return RECORDING_SAMPLE;
}

static void decode_deltas(json_t *object, struct sample_end *end)
{
    end->deltas = calloc(json_object_size(object) + 1, sizeof(*end->deltas));
    if (end->deltas == NULL) {
        return;
    }
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
        struct sample_delta *delta = &end->deltas[end->delta_count++];
        snprintf(delta->name, sizeof(delta->name), "%s", json_object_iter_key(at));
        delta->rise = json_integer_value(json_object_iter_value(at));
    }
}

static enum recording_line decode_end(const json_t *object, struct sample_end *end)
{
    if (!json_is_object(object)) {
        return RECORDING_BAD;
    }
    free(end->deltas); /* of an end before this one, which only a made-up recording has */
    *end = (struct sample_end){
        .is_whole = true,
        .ticks_missed = get_number(object, "ticks_missed"),
        .tick_cpu_ns = get_number(object, "tick_cpu_ns"),
        .census_cpu_ns = get_number(object, "census_cpu_ns"),
        .walk_cpu_ns = get_number(object, "walk_cpu_ns"),
        .budget_cpu_ns = get_number(object, "budget_cpu_ns"),
        .tick_errors = get_number(object, "tick_errors"),
        .census_errors = get_number(object, "census_errors"),
    };
    decode_deltas(json_object_get(object, "kernel_deltas"), end);
    return RECORDING_END;
}

enum recording_line recording_decode(const json_t *line, struct sample *sample,
                                     struct sample_end *end)
{
    const json_t *end_object = json_object_get(line, "end");
    if (end_object != NULL) {
        return decode_end(end_object, end);
    }
    return json_object_get(line, "tick") != NULL ? decode_sample(line, sample) : RECORDING_OTHER;
}
