#include "stat/document.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stat/display.h"
#include "stat/notes.h"
#include "stat/parts.h"
#include "stat/sink.h"
#include "tcpstat/watch_keep.h"

#define SCHEMA "finwait.stat/1"
#define OPTION_TEXT_MAX 1024

/* What the document has of a sample. */
struct document_tick {
    uint64_t elapsed_ns;
    uint64_t late_ns;
    uint64_t values[WATCH_FIELD_COUNT];
    bool has_transitions;
    uint64_t steps[SAMPLE_STEP_COUNT]; /* since the start */
    uint64_t other_steps;
};

struct json_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const struct stat_settings *settings;
    const struct sample_head *head;
    struct watch_keep ticks;    /* struct document_tick */
    struct watch_keep censuses; /* struct watch_census */
    uint64_t census_count;      /* that the last sample knew of */
    struct notes notes;
    bool has_last;
    struct sample last;
};

static json_t *make_counts(struct parts *parts, const struct tcp_state_counts *counts)
{
    json_t *object = json_object();
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        parts_set_number(parts, object, tcp_state_key((enum tcp_state)state), counts->n[state]);
    }
    return object;
}

static void set_stamp(struct parts *parts, json_t *object, const struct census_stamp *stamp)
{
    parts_set_number(parts, object, "wall_ns", stamp->wall_ns);
    parts_set_number(parts, object, "cpu_ns", stamp->cpu_ns);
    parts_set(parts, object, "table", json_string(display_stability_name(stamp->stability)));
    parts_set_number(parts, object, "rows", stamp->rows);
    parts_set_number(parts, object, "rows_repeated", stamp->rows_repeated);
    parts_set_number(parts, object, "lines_malformed", stamp->lines_malformed);
    parts_set_number(parts, object, "lines_truncated", stamp->lines_truncated);
    parts_set_number(parts, object, "passes", stamp->passes);
    parts_set(parts, object, "repeats_remain", json_boolean(stamp->repeats_remain));
}

static json_t *make_options(struct parts *parts, const struct stat_options *options)
{
    json_t *object = json_object();
    for (size_t i = 0; i < stat_program.option_count; i++) {
        const struct cli_option *option = &stat_program.options[i];
        char text[OPTION_TEXT_MAX];
        cli_format_value(option, options, text, sizeof(text));
        parts_set(parts, object, option->name, json_string(text));
    }
    return object;
}

/* What every document begins with. */
static json_t *make_head(struct parts *parts, const struct stat_settings *settings,
                         const char *kernel, const char *method)
{
    json_t *object = json_object();
    parts_set(parts, object, "schema", json_string(SCHEMA));
    parts_set(parts, object, "version", json_string(FINWAIT_VERSION));
    parts_set(parts, object, "kernel", kernel[0] != '\0' ? json_string(kernel) : json_null());
    parts_set(parts, object, "options", make_options(parts, settings->options));
    parts_set(parts, object, "census_method", json_string(method));
    parts_set_number(parts, object, "written_wall_ns", clock_wall_ns());
    return object;
}

static json_t *make_census(struct parts *parts, const struct watch_census *census)
{
    json_t *object = json_object();
    parts_set(parts, object, "elapsed_sec",
              json_real((double)census->stamp.started_ns / (double)NS_PER_SEC));
    parts_set(parts, object, "is_final", json_boolean(census->is_final));
    set_stamp(parts, object, &census->stamp);
    parts_set(parts, object, "ipv4", make_counts(parts, &census->v4));
    parts_set(parts, object, "ipv6", make_counts(parts, &census->v6));
    parts_set(parts, object, "total", make_counts(parts, &census->total));
    return object;
}

/* Gives the transitions since the start, those that are 0 left out. */
static json_t *make_steps(struct parts *parts, const struct document_tick *tick)
{
    json_t *object = json_object();
    for (int i = 0; i < SAMPLE_STEP_COUNT; i++) {
        char key[SAMPLE_STEP_TEXT_MAX];
        if (tick->steps[i] > 0) {
            parts_set_number(parts, object, sample_step_key(sample_steps[i], key), tick->steps[i]);
        }
    }
    if (tick->other_steps > 0) {
        parts_set_number(parts, object, "other", tick->other_steps);
    }
    return object;
}

/* Gives a tick: levels as they are, totals as their rise since the first tick. */
static json_t *make_tick(struct parts *parts, const struct document_tick *tick,
                         const struct document_tick *first)
{
    json_t *object = json_object();
    parts_set(parts, object, "elapsed_sec",
              json_real((double)tick->elapsed_ns / (double)NS_PER_SEC));
    parts_set_number(parts, object, "late_ns", tick->late_ns);
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        const bool is_total = watch_field_infos[i].kind == WATCH_KIND_TOTAL;
        const uint64_t value = tick->values[i] - (is_total ? first->values[i] : 0);
        parts_set_number(parts, object, watch_field_infos[i].name, value);
    }
    if (tick->has_transitions) {
        parts_set(parts, object, "steps", make_steps(parts, tick));
    }
    return object;
}

static void set_series(struct parts *parts, json_t *document, const struct json_sink *sink)
{
    const struct document_tick *kept = sink->ticks.items;
    json_t *ticks = json_array();
    for (uint32_t i = 0; i < sink->ticks.count; i++) {
        parts_append(parts, ticks, make_tick(parts, &kept[i], &kept[0]));
    }
    const struct watch_census *counted = sink->censuses.items;
    json_t *censuses = json_array();
    for (uint32_t i = 0; i < sink->censuses.count; i++) {
        parts_append(parts, censuses, make_census(parts, &counted[i]));
    }
    parts_set(parts, document, "ticks", ticks);
    parts_set(parts, document, "censuses", censuses);
    parts_set_number(parts, document, "ticks_thinned", watch_keep_thinned(&sink->ticks));
    parts_set_number(parts, document, "censuses_thinned",
                     sink->census_count - sink->censuses.count);
}

/* Adds what is known at the end; of a recording that was cut short it is not. */
static void set_end(struct parts *parts, json_t *document, const struct sample_end *end)
{
    parts_set(parts, document, "is_whole", json_boolean(end->is_whole));
    if (!end->is_whole) {
        parts_set(parts, document, "kernel_deltas", json_null());
        return;
    }
    parts_set_end(parts, document, end);
}

static int write_stream(json_t *document, FILE *out)
{
    if (json_dumpf(document, out, JSON_INDENT(2)) < 0 || fputs("\n", out) == EOF ||
        fflush(out) == EOF) {
        return errno != 0 ? -errno : -EIO;
    }
    return 0;
}

static int write_file(json_t *document, const char *path)
{
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        return -errno;
    }
    int error = write_stream(document, out);
    if (fclose(out) == EOF && error == 0) {
        error = -errno;
    }
    return error;
}

/* Writes the document where --json says, and drops it. */
static int write_document(json_t *document, const char *path, bool failed, struct failure *failure)
{
    int error = failed ? -ENOMEM : 0;
    if (error == 0) {
        errno = 0;
        error =
            strcmp(path, "-") == 0 ? write_stream(document, stdout) : write_file(document, path);
    }
    json_decref(document);
    if (error < 0) {
        return failure_set(failure, -error, "--json %s: cannot be written: %s", path,
                           strerror(-error));
    }
    return 0;
}

/* What one walk or reading of the matrix leaves; only what was asked for is there. */
static void set_found(struct parts *parts, json_t *document, const struct sample_head *head,
                      const struct sample *sample)
{
    if (sample->has_transitions) {
        parts_set(parts, document, "transitions", parts_transitions(parts, sample));
    }
    if (sample->has_transitions && sample->has_ports) {
        parts_set(parts, document, "ports_by", json_string(head->ports_by));
    }
    if (head->by[0] != '\0' && sample->owners_cpu_ns > 0) {
        parts_set(parts, document, "by", json_string(head->by));
        parts_set(parts, document, "owners", parts_owners(parts, sample));
    }
}

int document_write_once(const struct stat_settings *settings, const struct sample_head *head,
                        const struct sample *sample, struct failure *failure)
{
    struct parts made = {0};
    struct parts *parts = &made;
    json_t *document = make_head(parts, settings, head->kernel, head->method);
    set_stamp(parts, document, &sample->census.stamp);
    parts_set(parts, document, "ipv4", make_counts(parts, &sample->census.v4));
    parts_set(parts, document, "ipv6", make_counts(parts, &sample->census.v6));
    parts_set(parts, document, "total", make_counts(parts, &sample->census.total));
    parts_set_number(parts, document, "time_wait_live", sample->values[WATCH_time_wait]);
    set_found(parts, document, head, sample);
    return write_document(document, settings->options->json, made.failed, failure);
}

static void take_steps(const struct sample *now, struct document_tick *tick)
{
    tick->has_transitions = now->has_transitions;
    for (int i = 0; i < SAMPLE_STEP_COUNT; i++) {
        tick->steps[i] = now->transitions.n[sample_steps[i].from][sample_steps[i].to];
    }
    tick->other_steps = sample_other_steps(&now->transitions);
}

/* Without memory the series has a gap, which the thinned count shows. */
static int json_take(struct sink *base, const struct sample *now, const struct sample *before,
                     struct failure *failure)
{
    struct json_sink *sink = (struct json_sink *)base;
    (void)before;
    (void)failure;
    struct document_tick tick = {.elapsed_ns = now->elapsed_ns, .late_ns = now->late_ns};
    memcpy(tick.values, now->values, sizeof(tick.values));
    take_steps(now, &tick);
    (void)watch_keep_add(&sink->ticks, &tick, now->is_last);
    if (now->census_count > sink->census_count) {
        sink->census_count = now->census_count;
        (void)watch_keep_add(&sink->censuses, &now->census, now->is_last);
    }
    notes_add(&sink->notes, now);
    sample_copy(&sink->last, now);
    sink->has_last = true;
    return 0;
}

static json_t *make_notes(struct parts *parts, const struct notes *notes)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < notes->count; i++) {
        const struct note *note = &notes->items[i];
        json_t *object = json_object();
        parts_set(parts, object, "first_sec",
                  json_real((double)note->first_ns / (double)NS_PER_SEC));
        parts_set(parts, object, "last_sec", json_real((double)note->last_ns / (double)NS_PER_SEC));
        parts_set_number(parts, object, "ticks", note->times);
        parts_set(parts, object, "text", json_string(note->text));
        parts_append(parts, array, object);
    }
    return array;
}

static void set_last(struct parts *parts, json_t *document, const struct json_sink *sink)
{
    const struct sample *last = &sink->last;
    if (!sink->has_last) {
        parts_set(parts, document, "time_wait", json_null());
        return;
    }
    parts_set(parts, document, "time_wait", parts_time_wait(parts, &last->time_wait));
    set_found(parts, document, sink->head, last);
    parts_set(parts, document, "listeners", parts_listeners(parts, last));
}

static int json_end(struct sink *base, const struct sample_end *end, struct failure *failure)
{
    const struct json_sink *sink = (struct json_sink *)base;
    struct parts made = {0};
    struct parts *parts = &made;
    json_t *document = make_head(parts, sink->settings, sink->head->kernel, sink->head->method);
    parts_set(parts, document, "passed_over", json_string(sink->head->missing));
    set_series(parts, document, sink);
    set_end(parts, document, end);
    parts_set(parts, document, "notes", make_notes(parts, &sink->notes));
    parts_set_number(parts, document, "notes_left_out", sink->notes.left_out);
    set_last(parts, document, sink);
    return write_document(document, sink->settings->options->json, made.failed, failure);
}

static void json_close(struct sink *base)
{
    struct json_sink *sink = (struct json_sink *)base;
    watch_keep_free(&sink->ticks);
    watch_keep_free(&sink->censuses);
    free(sink);
}

static const struct sink_ops json_ops = {
    .take = json_take,
    .end = json_end,
    .close = json_close,
};

int sink_open_json(struct sink **sink, const struct stat_settings *settings,
                   const struct sample_head *head, struct failure *failure)
{
    struct json_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --json");
    }
    *made = (struct json_sink){
        .sink.ops = &json_ops,
        .settings = settings,
        .head = head,
    };
    watch_keep_init(&made->ticks, sizeof(struct document_tick), WATCH_TICKS_MAX);
    watch_keep_init(&made->censuses, sizeof(struct watch_census), WATCH_CENSUSES_MAX);
    *sink = &made->sink;
    return 0;
}
