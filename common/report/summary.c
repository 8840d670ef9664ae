/* The main fields of a JSON report, read back; see summary.h. */
#include "report/summary.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Loads a report and checks what it calls itself. NULL: `error` and the failure are set. */
static json_t *load(const char *path, int *error, struct failure *failure)
{
    json_error_t problem;
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        int number = errno;
        *error = failure_set(failure, number, "%s: cannot be read: %s", path, strerror(number));
        return NULL;
    }
    json_t *root = json_loadf(in, JSON_REJECT_DUPLICATES, &problem);
    fclose(in);
    if (root == NULL) {
        *error = failure_set(failure, EINVAL, "%s: no JSON, line %d: %s", path, problem.line,
                             problem.text);
        return NULL;
    }
    const char *schema = json_string_value(json_object_get(root, "schema"));
    if (schema == NULL || strcmp(schema, RESULT_SCHEMA) != 0) {
        *error = failure_set(failure, EINVAL, "%s: no finwait report: schema is \"%s\", not \"%s\"",
                             path, schema == NULL ? "" : schema, RESULT_SCHEMA);
        json_decref(root);
        return NULL;
    }
    return root;
}

static struct result_number number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        return result_count((uint64_t)json_integer_value(value));
    }
    return json_is_number(value) ? result_real(json_number_value(value)) : result_unknown();
}

static void text_of(char *into, size_t size, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(into, size, "%s", text == NULL ? "" : text);
}

static struct summary_latency latency_of(const json_t *phase, const char *origin)
{
    const json_t *hist = json_object_get(phase, origin);
    return (struct summary_latency){
        .count = number_of(hist, "count"),
        .mean_ns = number_of(hist, "mean"),
        .p50_ns = number_of(hist, "p50"),
        .p99_ns = number_of(hist, "p99"),
        .p999_ns = number_of(hist, "p99.9"),
        .max_ns = number_of(hist, "p100"),
    };
}

static struct summary_phase phase_of(const json_t *root, const char *name)
{
    const json_t *phase = json_object_get(json_object_get(root, "latency"), name);
    return (struct summary_phase){
        .from_scheduled = latency_of(phase, "from_scheduled"),
        .from_start = latency_of(phase, "from_start"),
    };
}

static enum result_weight weight_of(const json_t *limit)
{
    const char *word = json_string_value(json_object_get(limit, "weight"));
    if (word != NULL && strcmp(word, "note") == 0) {
        return RESULT_NOTE;
    }
    if (word != NULL && strcmp(word, "target_failed") == 0) {
        return RESULT_TARGET_FAILED;
    }
    return RESULT_INVALID;
}

static void read_verdict(struct result_summary *summary, const json_t *root)
{
    const json_t *verdict = json_object_get(root, "verdict");
    const json_t *limits = json_object_get(verdict, "limits");
    summary->is_valid = json_is_true(json_object_get(verdict, "valid"));
    summary->exit_code = (int)json_integer_value(json_object_get(verdict, "exit_code"));
    summary->limit_total = (uint32_t)json_array_size(limits);
    while (summary->limit_count < summary->limit_total &&
           summary->limit_count < SUMMARY_LIMITS_MAX) {
        const json_t *from = json_array_get(limits, summary->limit_count);
        struct summary_limit *limit = &summary->limits[summary->limit_count++];
        limit->weight = weight_of(from);
        text_of(limit->code, sizeof(limit->code), from, "code");
        text_of(limit->text, sizeof(limit->text), from, "text");
    }
}

static void read_errors(struct result_summary *summary, json_t *root)
{
    json_t *errors = json_object_get(root, "errors");
    const char *key = NULL;
    const json_t *count = NULL;
    summary->error_total = (uint32_t)json_object_size(errors);
    json_object_foreach(errors, key, count)
    {
        if (summary->error_count == SUMMARY_ERRORS_MAX) {
            break;
        }
        struct summary_error *error = &summary->errors[summary->error_count++];
        snprintf(error->key, sizeof(error->key), "%s", key);
        error->count = (uint64_t)json_integer_value(count);
    }
}

static void read_counts(struct result_summary *summary, const json_t *root)
{
    summary->duration_ns = number_of(root, "duration_ns");
    summary->offered_per_sec = number_of(root, "offered_per_sec");
    summary->completed_per_sec = number_of(root, "completed_per_sec");
    summary->attempted = number_of(root, "attempted");
    summary->completed = number_of(root, "completed");
    summary->failed = number_of(root, "failed");
    summary->open_at_end = number_of(root, "open_at_end");
    summary->shed = number_of(root, "shed");
    summary->segments_per_conn = number_of(root, "segments_per_conn");
    summary->bytes_per_conn = number_of(root, "bytes_per_conn");
}

static void read_costs(struct result_summary *summary, const json_t *root)
{
    const json_t *cpu = json_object_get(root, "cpu_ns_per_conn");
    const json_t *time_wait = json_object_get(root, "time_wait");
    const json_t *checks = json_object_get(root, "checks");
    summary->cpu_own_ns_per_conn = number_of(cpu, "own");
    summary->cpu_machine_ns_per_conn = number_of(cpu, "machine");
    summary->cpu_machine_error_ns_per_conn = number_of(cpu, "machine_error");
    summary->cpu_steal_ns_per_conn = number_of(cpu, "steal");
    summary->time_wait_measured = number_of(time_wait, "measured");
    summary->time_wait_expected = number_of(time_wait, "expected");
    summary->time_wait_peak = number_of(time_wait, "peak");
    for (size_t i = 0; i < json_array_size(checks); i++) {
        bool failed = json_is_false(json_object_get(json_array_get(checks, i), "ok"));
        summary->checks_failed += failed ? 1 : 0;
    }
}

int result_summary_read(struct result_summary *summary, const char *path, struct failure *failure)
{
    int error = 0;
    memset(summary, 0, sizeof(*summary));
    json_t *root = load(path, &error, failure);
    if (root == NULL) {
        return error;
    }
    text_of(summary->program, sizeof(summary->program), root, "program");
    text_of(summary->version, sizeof(summary->version), root, "version");
    text_of(summary->engine, sizeof(summary->engine), root, "engine");
    text_of(summary->closer, sizeof(summary->closer), root, "closer");
    text_of(summary->close_how, sizeof(summary->close_how), root, "close");
    read_verdict(summary, root);
    read_errors(summary, root);
    read_counts(summary, root);
    read_costs(summary, root);
    summary->connect = phase_of(root, "connect");
    summary->echo = phase_of(root, "echo");
    json_decref(root);
    return 0;
}

static const json_t *find_hist(const json_t *root, const char *name, enum result_origin origin)
{
    const json_t *phase = json_object_get(json_object_get(root, "latency"), name);
    switch (origin) {
    case RESULT_FROM_SCHEDULED:
        return json_object_get(phase, "from_scheduled");
    case RESULT_FROM_START:
        return json_object_get(phase, "from_start");
    case RESULT_PLAIN:
        return json_object_get(json_object_get(root, "histograms"), name);
    }
    return NULL;
}

/* Fills the bins; false when a pair is none, or a number is no bin's lower end. */
static bool fill_bins(struct hist *hist, const json_t *bins)
{
    for (size_t i = 0; i < json_array_size(bins); i++) {
        const json_t *low = json_array_get(json_array_get(bins, i), 0);
        const json_t *count = json_array_get(json_array_get(bins, i), 1);
        if (!json_is_integer(low) || !json_is_integer(count) || json_integer_value(low) < 0 ||
            json_integer_value(count) < 0) {
            return false;
        }
        uint64_t value = (uint64_t)json_integer_value(low);
        uint32_t bin = hist_bin(value);
        if (hist_bin_low(bin) != value) {
            return false;
        }
        hist->bins[bin] += (uint64_t)json_integer_value(count);
        hist->count += (uint64_t)json_integer_value(count);
    }
    return true;
}

/* Fills a histogram from its JSON; false when the parts do not agree. */
static bool fill_hist(struct hist *hist, const json_t *from)
{
    struct result_number count = number_of(from, "count");
    struct result_number sum = number_of(from, "sum");
    struct result_number min = number_of(from, "p0");
    struct result_number max = number_of(from, "p100");
    hist_init(hist);
    if (!fill_bins(hist, json_object_get(from, "bins")) || count.kind != RESULT_COUNT ||
        count.count != hist->count) {
        return false;
    }
    if (hist->count == 0) {
        return true;
    }
    hist->sum = sum.kind == RESULT_COUNT ? sum.count : UINT64_MAX;
    hist->min = min.count;
    hist->max = max.count;
    return min.kind == RESULT_COUNT && max.kind == RESULT_COUNT;
}

int result_hist_read(struct hist *into, const char *path, const char *name,
                     enum result_origin origin, struct failure *failure)
{
    int error = 0;
    json_t *root = load(path, &error, failure);
    if (root == NULL) {
        return error;
    }
    struct hist *hist = malloc(sizeof(*hist));
    const json_t *from = find_hist(root, name, origin);
    if (hist == NULL) {
        error = failure_set(failure, ENOMEM, "%s: no memory for a histogram", path);
    } else if (from == NULL) {
        error = failure_set(failure, ENOENT, "%s: has no histogram of %s", path, name);
    } else if (!fill_hist(hist, from)) {
        error = failure_set(failure, EINVAL, "%s: the histogram of %s is damaged", path, name);
    } else {
        hist_merge(into, hist);
    }
    free(hist);
    json_decref(root);
    return error;
}
