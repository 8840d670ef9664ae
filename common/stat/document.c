#include "stat/document.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "stat/display.h"
#include "stat/sink.h"
#include "tcpstat/watch_keep.h"

#define SCHEMA "finwait.stat/1"
#define OPTION_TEXT_MAX 1024

/* What the document has of a sample. */
struct document_tick {
    uint64_t elapsed_ns;
    uint64_t late_ns;
    uint64_t values[WATCH_FIELD_COUNT];
};

struct json_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const struct stat_settings *settings;
    const struct sample_head *head;
    struct watch_keep ticks;    /* struct document_tick */
    struct watch_keep censuses; /* struct watch_census */
    uint64_t census_count;      /* that the last sample knew of */
    struct timewait_estimate time_wait;
};

/* jansson's setters take over the value and accept that it is NULL for want of memory: they fail,
 * and so does the writing of a document with a key too few. That is what `failed` collects. */
static void set(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value) < 0) {
        *failed = true;
    }
}

static void append(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) < 0) {
        *failed = true;
    }
}

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *make_counts(const struct tcp_state_counts *counts, bool *failed)
{
    json_t *object = json_object();
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        set(object, tcp_state_key((enum tcp_state)state), integer(counts->n[state]), failed);
    }
    return object;
}

static void set_stamp(json_t *object, const struct census_stamp *stamp, bool *failed)
{
    set(object, "wall_ns", integer(stamp->wall_ns), failed);
    set(object, "cpu_ns", integer(stamp->cpu_ns), failed);
    set(object, "table", json_string(display_stability_name(stamp->stability)), failed);
    set(object, "rows", integer(stamp->rows), failed);
    set(object, "rows_repeated", integer(stamp->rows_repeated), failed);
    set(object, "lines_malformed", integer(stamp->lines_malformed), failed);
    set(object, "lines_truncated", integer(stamp->lines_truncated), failed);
    set(object, "passes", integer(stamp->passes), failed);
    set(object, "repeats_remain", json_boolean(stamp->repeats_remain), failed);
}

static json_t *make_options(const struct stat_options *options, bool *failed)
{
    json_t *object = json_object();
    for (size_t i = 0; i < stat_program.option_count; i++) {
        const struct cli_option *option = &stat_program.options[i];
        char text[OPTION_TEXT_MAX];
        cli_format_value(option, options, text, sizeof(text));
        set(object, option->name, json_string(text), failed);
    }
    return object;
}

/* What every document begins with. */
static json_t *make_head(const struct stat_settings *settings, const char *kernel,
                         const char *method, bool *failed)
{
    json_t *object = json_object();
    set(object, "schema", json_string(SCHEMA), failed);
    set(object, "version", json_string(FINWAIT_VERSION), failed);
    set(object, "kernel", kernel[0] != '\0' ? json_string(kernel) : json_null(), failed);
    set(object, "options", make_options(settings->options, failed), failed);
    set(object, "census_method", json_string(method), failed);
    set(object, "written_wall_ns", integer(clock_wall_ns()), failed);
    return object;
}

static json_t *make_census(const struct watch_census *census, bool *failed)
{
    json_t *object = json_object();
    set(object, "elapsed_sec", json_real((double)census->stamp.started_ns / (double)NS_PER_SEC),
        failed);
    set(object, "is_final", json_boolean(census->is_final), failed);
    set_stamp(object, &census->stamp, failed);
    set(object, "ipv4", make_counts(&census->v4, failed), failed);
    set(object, "ipv6", make_counts(&census->v6, failed), failed);
    set(object, "total", make_counts(&census->total, failed), failed);
    return object;
}

/* Gives a tick: levels as they are, totals as their rise since the first tick. */
static json_t *make_tick(const struct document_tick *tick, const struct document_tick *first,
                         bool *failed)
{
    json_t *object = json_object();
    set(object, "elapsed_sec", json_real((double)tick->elapsed_ns / (double)NS_PER_SEC), failed);
    set(object, "late_ns", integer(tick->late_ns), failed);
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        const bool is_total = watch_field_infos[i].kind == WATCH_KIND_TOTAL;
        const uint64_t value = tick->values[i] - (is_total ? first->values[i] : 0);
        set(object, watch_field_infos[i].name, integer(value), failed);
    }
    return object;
}

static json_t *make_estimate(const struct timewait_estimate *estimate, bool *failed)
{
    json_t *object = json_object();
    set(object, "live", integer(estimate->live), failed);
    set(object, "made_per_sec", json_real(estimate->made_per_sec), failed);
    set(object, "ended_per_sec", json_real(estimate->ended_per_sec), failed);
    set(object, "lifetime_ns", integer(estimate->lifetime_ns), failed);
    set(object, "lifetime_is_measured", json_boolean(estimate->lifetime_is_measured), failed);
    set(object, "recycled_share", json_real(estimate->recycled_share), failed);
    set(object, "plateau", integer(estimate->plateau), failed);
    set(object, "plateau_is_capped", json_boolean(estimate->plateau_is_capped), failed);
    set(object, "plateau_measured",
        estimate->at_plateau ? json_real(estimate->plateau_measured) : json_null(), failed);
    set(object, "plateau_error",
        estimate->at_plateau ? json_real(estimate->plateau_error) : json_null(), failed);
    return object;
}

/* Gives what every counter of the kernel rose by, those that did not move left out. */
static json_t *make_deltas(const struct sample_end *end, bool *failed)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < end->delta_count; i++) {
        set(object, end->deltas[i].name, json_integer(end->deltas[i].rise), failed);
    }
    return object;
}

static void set_series(json_t *document, const struct json_sink *sink, bool *failed)
{
    const struct document_tick *kept = sink->ticks.items;
    json_t *ticks = json_array();
    for (uint32_t i = 0; i < sink->ticks.count; i++) {
        append(ticks, make_tick(&kept[i], &kept[0], failed), failed);
    }
    const struct watch_census *counted = sink->censuses.items;
    json_t *censuses = json_array();
    for (uint32_t i = 0; i < sink->censuses.count; i++) {
        append(censuses, make_census(&counted[i], failed), failed);
    }
    set(document, "ticks", ticks, failed);
    set(document, "censuses", censuses, failed);
    set(document, "ticks_thinned", integer(watch_keep_thinned(&sink->ticks)), failed);
    set(document, "censuses_thinned", integer(sink->census_count - sink->censuses.count), failed);
}

/* Adds what is known at the end; of a recording that was cut short it is not. */
static void set_end(json_t *document, const struct sample_end *end, bool *failed)
{
    set(document, "is_whole", json_boolean(end->is_whole), failed);
    if (!end->is_whole) {
        set(document, "kernel_deltas", json_null(), failed);
        return;
    }
    set(document, "kernel_deltas", make_deltas(end, failed), failed);
    set(document, "ticks_missed", integer(end->ticks_missed), failed);
    set(document, "tick_errors", integer(end->tick_errors), failed);
    set(document, "tick_cpu_ns", integer(end->tick_cpu_ns), failed);
    set(document, "census_errors", integer(end->census_errors), failed);
    set(document, "census_cpu_ns", integer(end->census_cpu_ns), failed);
    set(document, "budget_cpu_ns", integer(end->budget_cpu_ns), failed);
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

int document_write_once(const struct stat_settings *settings, const struct census_result *result,
                        const char *method, uint64_t time_wait_live, struct failure *failure)
{
    bool failed = false;
    struct utsname kernel;
    json_t *document =
        make_head(settings, uname(&kernel) == 0 ? kernel.release : "", method, &failed);
    set_stamp(document, &result->stamp, &failed);
    set(document, "ipv4", make_counts(&result->v4, &failed), &failed);
    set(document, "ipv6", make_counts(&result->v6, &failed), &failed);
    set(document, "total", make_counts(&result->total, &failed), &failed);
    set(document, "time_wait_live", integer(time_wait_live), &failed);
    return write_document(document, settings->options->json, failed, failure);
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
    (void)watch_keep_add(&sink->ticks, &tick, now->is_last);
    if (now->census_count > sink->census_count) {
        sink->census_count = now->census_count;
        (void)watch_keep_add(&sink->censuses, &now->census, now->is_last);
    }
    sink->time_wait = now->time_wait;
    return 0;
}

static int json_end(struct sink *base, const struct sample_end *end, struct failure *failure)
{
    const struct json_sink *sink = (struct json_sink *)base;
    bool failed = false;
    json_t *document = make_head(sink->settings, sink->head->kernel, sink->head->method, &failed);
    set(document, "passed_over", json_string(sink->head->missing), &failed);
    set_series(document, sink, &failed);
    set_end(document, end, &failed);
    set(document, "time_wait",
        sink->ticks.count > 0 ? make_estimate(&sink->time_wait, &failed) : json_null(), &failed);
    return write_document(document, sink->settings->options->json, failed, failure);
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
