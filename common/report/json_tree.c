/* A result as a JSON tree; see json_tree.h. Builders go on after a failure and keep it in `error`,
 * since jansson takes NULL for "out of memory" everywhere; the root is dropped at the end. */
#include "report/json_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/failure.h"
#include "report/format.h"

/* Makes a string; null for NULL. Bytes that are not UTF-8 (a command line may hold any) become '?'.
 */
static json_t *json_text(const char *text)
{
    if (text == NULL) {
        return json_null();
    }
    json_t *value = json_string(text);
    if (value != NULL) {
        return value;
    }
    char *ascii = strdup(text);
    if (ascii == NULL) {
        return NULL;
    }
    for (char *at = ascii; *at != '\0'; at++) {
        *at = (unsigned char)*at >= 0x80 ? '?' : *at;
    }
    value = json_string(ascii);
    free(ascii);
    return value;
}

/* Makes a count; null when it does not fit the 63 bits of JSON's writers, rather than another
 * number. */
static json_t *json_count(uint64_t count)
{
    return count > INT64_MAX ? json_null() : json_integer((json_int_t)count);
}

static json_t *json_number(struct result_number number)
{
    if (!result_is_known(number)) {
        return json_null();
    }
    return number.kind == RESULT_COUNT ? json_count(number.count) : json_real(number.real);
}

/* Sets a key and keeps the first failure; takes the value over, NULL included. */
static void put(json_t *object, const char *key, json_t *value, int *error)
{
    if (json_object_set_new(object, key, value) != 0) {
        *error = -ENOMEM;
    }
}

static void append(json_t *array, json_t *value, int *error)
{
    if (json_array_append_new(array, value) != 0) {
        *error = -ENOMEM;
    }
}

static void put_number(json_t *object, const char *key, struct result_number number, int *error)
{
    put(object, key, json_number(number), error);
}

/* Finds a member object, or makes it, so that entries of one name gather. NULL: out of memory. */
static json_t *member_object(json_t *object, const char *key, int *error)
{
    json_t *member = json_object_get(object, key);
    if (member == NULL) {
        put(object, key, json_object(), error);
        member = json_object_get(object, key);
    }
    return member;
}

static json_t *build_pairs(const struct result_pair *pairs, uint32_t count, int *error)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++) {
        put(object, pairs[i].name, json_text(pairs[i].value), error);
    }
    return object;
}

/* The seed stays exact as a string: JSON's readers keep 53 bits of a number. */
static json_t *build_seed(struct result_number seed)
{
    char text[24];
    if (seed.kind != RESULT_COUNT) {
        return json_null();
    }
    snprintf(text, sizeof(text), "%" PRIu64, seed.count);
    return json_string(text);
}

static json_t *build_start(struct result_number start_wall_ns)
{
    char text[40], seconds[32];
    struct tm utc;
    if (start_wall_ns.kind != RESULT_COUNT) {
        return json_null();
    }
    time_t when = (time_t)(start_wall_ns.count / NS_PER_SEC);
    if (gmtime_r(&when, &utc) == NULL ||
        strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        return json_null();
    }
    unsigned ms = (unsigned)(start_wall_ns.count % NS_PER_SEC / NS_PER_MS);
    snprintf(text, sizeof(text), "%s.%03uZ", seconds, ms);
    return json_string(text);
}

static void put_head(json_t *root, const struct result *result, int *error)
{
    put(root, "schema", json_string(RESULT_SCHEMA), error);
    put(root, "program", json_text(result->program), error);
    put(root, "version", json_text(result->version), error);
    put(root, "command_line", json_text(result->command_line), error);
    put(root, "seed", build_seed(result->seed), error);
    put(root, "start", build_start(result->start_wall_ns), error);
    put_number(root, "start_wall_ns", result->start_wall_ns, error);
    put_number(root, "duration_ns", result->duration_ns, error);
    put(root, "engine", json_text(result->engine), error);
    put(root, "engine_why", json_text(result->engine_why), error);
    put(root, "closer", json_text(result->closer), error);
    put(root, "close", json_text(result->close_how), error);
}

static json_t *build_limits(const struct result *result, int *error)
{
    static const char *const weights[] = {
        [RESULT_NOTE] = "note",
        [RESULT_INVALID] = "invalid",
        [RESULT_TARGET_FAILED] = "target_failed",
    };
    json_t *array = json_array();
    for (uint32_t i = 0; i < result->limit_count; i++) {
        const struct result_limit *limit = &result->limits[i];
        json_t *entry = json_object();
        put(entry, "code", json_text(limit->code), error);
        put(entry, "weight", json_string(weights[limit->weight]), error);
        put(entry, "text", json_text(limit->text), error);
        append(array, entry, error);
    }
    return array;
}

static void put_verdict(json_t *root, const struct result *result, int *error)
{
    json_t *verdict = json_object();
    put(verdict, "valid", json_boolean(result_is_valid(result)), error);
    put(verdict, "exit_code", json_integer(result_exit_code(result)), error);
    put(verdict, "limits", build_limits(result, error), error);
    put(root, "verdict", verdict, error);
}

static void put_counts(json_t *root, const struct result *result, int *error)
{
    put_number(root, "offered_per_sec", result->offered_per_sec, error);
    put_number(root, "completed_per_sec", result->completed_per_sec, error);
    put_number(root, "attempted", result->attempted, error);
    put_number(root, "completed", result->completed, error);
    put_number(root, "failed", result->failed, error);
    put_number(root, "open_at_end", result->open_at_end, error);
    put_number(root, "shed", result->shed, error);
    put_number(root, "failed_before_syn", result->failed_before_syn, error);
    put_number(root, "open_max", result->open_max, error);
    put_number(root, "tuple_reuses", result->tuple_reuses, error);
    put_number(root, "segments_per_conn", result->segments_per_conn, error);
    put_number(root, "bytes_per_conn", result->bytes_per_conn, error);
}

/* Both the counts and the words that belong to their keys. */
static void put_errors(json_t *root, const struct result *result, int *error)
{
    json_t *counts = json_object();
    json_t *words = json_object();
    for (uint32_t i = 0; i < result->error_count; i++) {
        char name[FORMAT_TEXT_MAX], key[128];
        const struct result_error *entry = &result->errors[i];
        snprintf(key, sizeof(key), "%s/%s", entry->phase, format_errno(entry->error, name));
        put(counts, key, json_count(entry->count), error);
        put(words, key, json_text(failure_errno_words(entry->error)), error);
    }
    put(root, "errors", counts, error);
    put(root, "error_words", words, error);
}

static void put_cpu(json_t *root, const struct result_cpu *cpu, int *error)
{
    json_t *total = json_object();
    put_number(total, "user", cpu->user_ns, error);
    put_number(total, "system", cpu->system_ns, error);
    put_number(total, "machine_busy", cpu->machine_busy_ns, error);
    put_number(total, "machine_error", cpu->machine_error_ns, error);
    put_number(total, "machine_steal", cpu->machine_steal_ns, error);
    put_number(total, "machine_total", cpu->machine_total_ns, error);
    put(root, "cpu_ns", total, error);

    json_t *per_conn = json_object();
    put_number(per_conn, "own", cpu->own_ns_per_conn, error);
    put_number(per_conn, "machine", cpu->machine_ns_per_conn, error);
    put_number(per_conn, "machine_error", cpu->machine_error_ns_per_conn, error);
    put_number(per_conn, "steal", cpu->steal_ns_per_conn, error);
    put(root, "cpu_ns_per_conn", per_conn, error);
}

static void put_time_wait(json_t *root, const struct result_time_wait *time_wait, int *error)
{
    json_t *object = json_object();
    put_number(object, "measured", time_wait->measured, error);
    put_number(object, "expected", time_wait->expected, error);
    put_number(object, "peak", time_wait->peak, error);
    put_number(object, "lifetime_ns", time_wait->lifetime_ns, error);
    put(object, "basis", json_text(time_wait->basis), error);
    put(root, "time_wait", object, error);
}

static json_t *build_bins(const struct hist *hist, int *error)
{
    json_t *bins = json_array();
    for (uint32_t bin = 0; bin < HIST_BINS; bin++) {
        if (hist->bins[bin] == 0) {
            continue;
        }
        json_t *pair = json_array();
        append(pair, json_count(hist_bin_low(bin)), error);
        append(pair, json_count(hist->bins[bin]), error);
        append(bins, pair, error);
    }
    return bins;
}

static json_t *build_hist(const struct hist *hist, int *error)
{
    static const char *const keys[] = {"p0",  "p1",  "p5",  "p10",   "p25",    "p50", "p75",
                                       "p90", "p95", "p99", "p99.9", "p99.99", "p100"};
    json_t *object = json_object();
    bool has_mean = hist->count > 0 && hist->sum != UINT64_MAX;
    put(object, "unit", json_string("ns"), error);
    put(object, "count", json_count(hist->count), error);
    put(object, "sum", json_count(hist->sum), error);
    put(object, "mean", has_mean ? json_real(hist_mean(hist)) : json_null(), error);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        double percent = strtod(keys[i] + 1, NULL);
        put(object, keys[i],
            hist->count > 0 ? json_count(hist_percentile(hist, percent)) : json_null(), error);
    }
    put(object, "bins", build_bins(hist, error), error);
    return object;
}

static void put_hists(json_t *root, const struct result *result, int *error)
{
    json_t *latency = json_object();
    json_t *plain = json_object();
    for (uint32_t i = 0; i < result->hist_count; i++) {
        const struct result_hist *entry = &result->hists[i];
        json_t *built = build_hist(entry->hist, error);
        switch (entry->origin) {
        case RESULT_FROM_SCHEDULED:
            put(member_object(latency, entry->name, error), "from_scheduled", built, error);
            break;
        case RESULT_FROM_START:
            put(member_object(latency, entry->name, error), "from_start", built, error);
            break;
        case RESULT_PLAIN:
            put(plain, entry->name, built, error);
            break;
        }
    }
    put(root, "latency", latency, error);
    put(root, "histograms", plain, error);
}

static void put_series(json_t *root, const struct result_series *series, int *error)
{
    json_t *columns = json_array();
    json_t *rows = json_array();
    for (uint32_t i = 0; i < series->column_count; i++) {
        append(columns, json_text(series->columns[i]), error);
    }
    for (uint32_t i = 0; i < series->row_count; i++) {
        const struct result_number *cells = &series->cells[(size_t)i * series->column_count];
        json_t *row = json_array();
        for (uint32_t j = 0; j < series->column_count; j++) {
            append(row, json_number(cells[j]), error);
        }
        append(rows, row, error);
    }
    put(root, "series_columns", columns, error);
    put(root, "series", rows, error);
}

static void put_counters(json_t *root, const struct result *result, int *error)
{
    json_t *groups = json_object();
    for (uint32_t i = 0; i < result->counter_count; i++) {
        const struct result_counter *counter = &result->counters[i];
        json_t *group = member_object(groups, counter->group, error);
        put_number(group, counter->name, counter->value, error);
    }
    put(root, "counters", groups, error);
}

static void put_censuses(json_t *root, const struct result *result, int *error)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < result->census_count; i++) {
        const struct result_census *census = &result->censuses[i];
        json_t *entry = json_object();
        json_t *states = json_object();
        for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
            put(states, tcp_state_key((enum tcp_state)state), json_count(census->counts.n[state]),
                error);
        }
        put(entry, "elapsed_sec", json_number(result_real(census->elapsed_sec)), error);
        put(entry, "age_ns", json_count(census->age_ns), error);
        put(entry, "cost_wall_ns", json_count(census->cost_wall_ns), error);
        put(entry, "cost_cpu_ns", json_count(census->cost_cpu_ns), error);
        put(entry, "method", json_text(census->method), error);
        put(entry, "states", states, error);
        append(array, entry, error);
    }
    put(root, "states", array, error);
}

static void put_features(json_t *root, const struct result *result, int *error)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < result->feature_count; i++) {
        const struct result_feature *feature = &result->features[i];
        json_t *entry = json_object();
        put(entry, "state", json_text(feature->state), error);
        put(entry, "why", json_text(feature->why), error);
        put(object, feature->name, entry, error);
    }
    put(root, "features", object, error);
}

static json_t *build_outcome(enum result_check_outcome outcome)
{
    switch (outcome) {
    case RESULT_CHECK_UNKNOWN:
        return json_null();
    case RESULT_CHECK_OK:
        return json_true();
    case RESULT_CHECK_FAILED:
        return json_false();
    }
    return json_null();
}

static void put_checks(json_t *root, const struct result *result, int *error)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < result->check_count; i++) {
        const struct result_check *check = &result->checks[i];
        json_t *entry = json_object();
        put(entry, "name", json_text(check->name), error);
        put_number(entry, "expected", check->expected, error);
        put_number(entry, "measured", check->measured, error);
        put_number(entry, "tolerance", result_real(check->tolerance), error);
        put(entry, "ok", build_outcome(check->outcome), error);
        put(entry, "note", json_text(check->note), error);
        append(array, entry, error);
    }
    put(root, "checks", array, error);
}

json_t *json_tree_build(const struct result *result)
{
    int error = 0;
    json_t *root = json_object();
    put_head(root, result, &error);
    put_verdict(root, result, &error);
    put_counts(root, result, &error);
    put_errors(root, result, &error);
    put_cpu(root, &result->cpu, &error);
    put_time_wait(root, &result->time_wait, &error);
    put_checks(root, result, &error);
    put(root, "options", build_pairs(result->options, result->option_count, &error), &error);
    put(root, "host", build_pairs(result->host, result->host_count, &error), &error);
    put(root, "sysctls", build_pairs(result->sysctls, result->sysctl_count, &error), &error);
    put_features(root, result, &error);
    put_counters(root, result, &error);
    put_censuses(root, result, &error);
    put_series(root, &result->series, &error);
    put_hists(root, result, &error);
    if (error != 0) {
        json_decref(root);
        return NULL;
    }
    return root;
}
