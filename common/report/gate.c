/* Gates; see gate.h for the language. */
#include "report/gate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/cli.h"
#include "base/clock.h"
#include "report/format.h"

enum unit {
    UNIT_COUNT,
    UNIT_RATE,
    UNIT_DURATION,
    UNIT_REAL,
};

struct scalar {
    const char *name;
    enum unit unit;
    size_t offset; /* of a struct result_number in struct result; SIZE_MAX: computed */
};

#define FIELD(field) offsetof(struct result, field)
#define COMPUTED SIZE_MAX

static const struct scalar scalars[] = {
    {"attempted", UNIT_COUNT, FIELD(attempted)},
    {"completed", UNIT_COUNT, FIELD(completed)},
    {"failed", UNIT_COUNT, FIELD(failed)},
    {"failed_percent", UNIT_REAL, COMPUTED},
    {"errors", UNIT_COUNT, COMPUTED},
    {"open_at_end", UNIT_COUNT, FIELD(open_at_end)},
    {"open_max", UNIT_COUNT, FIELD(open_max)},
    {"shed", UNIT_COUNT, FIELD(shed)},
    {"tuple_reuses", UNIT_COUNT, FIELD(tuple_reuses)},
    {"checks_failed", UNIT_COUNT, COMPUTED},
    {"offered_per_sec", UNIT_RATE, FIELD(offered_per_sec)},
    {"completed_per_sec", UNIT_RATE, FIELD(completed_per_sec)},
    {"cpu_ns_per_conn", UNIT_DURATION, FIELD(cpu.own_ns_per_conn)},
    {"machine_cpu_ns_per_conn", UNIT_DURATION, FIELD(cpu.machine_ns_per_conn)},
    {"segments_per_conn", UNIT_REAL, FIELD(segments_per_conn)},
    {"bytes_per_conn", UNIT_REAL, FIELD(bytes_per_conn)},
    {"time_wait", UNIT_COUNT, FIELD(time_wait.measured)},
};

struct histogram_name {
    const char *name;
    bool has_origin;
};

static const struct histogram_name histograms[] = {
    {"connect", true},  {"first_byte", true}, {"echo", true},           {"close", true},
    {"lifetime", true}, {"turn", false},      {"schedule_slip", false},
};

struct comparison_text {
    const char *text;
    enum gate_comparison comparison;
};

/* Longer ones first: ">=" begins with ">". */
static const struct comparison_text comparisons[] = {
    {">=", GATE_AT_LEAST}, {"<=", GATE_AT_MOST}, {"==", GATE_EQUAL}, {"!=", GATE_UNEQUAL},
    {">", GATE_OVER},      {"<", GATE_UNDER},    {"=", GATE_EQUAL},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct scalar *find_scalar(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        if (strcmp(scalars[i].name, name) == 0) {
            return &scalars[i];
        }
    }
    return NULL;
}

static const struct histogram_name *find_histogram(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(histograms); i++) {
        if (strcmp(histograms[i].name, name) == 0) {
            return &histograms[i];
        }
    }
    return NULL;
}

/* Finds the first operator; NULL when there is none. */
static const struct comparison_text *find_comparison(const char *text, const char **at)
{
    *at = text + strcspn(text, "<>=!");
    for (size_t i = 0; i < COUNT_OF(comparisons); i++) {
        if (strncmp(*at, comparisons[i].text, strlen(comparisons[i].text)) == 0) {
            return &comparisons[i];
        }
    }
    return NULL;
}

/* Lists what a metric may be, for those who guessed. */
static int refuse_metric(const char *text, const char *metric, struct failure *failure)
{
    char names[320] = "";
    size_t used = 0;
    for (size_t i = 0; i < COUNT_OF(scalars); i++) {
        int length = snprintf(names + used, sizeof(names) - used, "%s%s", i == 0 ? "" : ", ",
                              scalars[i].name);
        ASSERT(length > 0 && (size_t)length < sizeof(names) - used);
        used += (size_t)length;
    }
    return failure_set(failure, EINVAL,
                       "--fail-if %s: unknown metric \"%s\"; use HISTOGRAM.p99 (connect, "
                       "first_byte, echo, close, lifetime, turn, schedule_slip) or %s",
                       text, metric, names);
}

/* Reads "p99.9", "max", ... Returns false for anything else. */
static bool parse_stat(struct gate *gate, const char *text)
{
    static const struct {
        const char *name;
        enum gate_stat stat;
    } words[] = {{"min", GATE_STAT_MIN},
                 {"max", GATE_STAT_MAX},
                 {"mean", GATE_STAT_MEAN},
                 {"count", GATE_STAT_COUNT}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(words[i].name, text) == 0) {
            gate->stat = words[i].stat;
            return true;
        }
    }
    /* strtod would take "p inf" and "p0x1p3" as well: let digits and one point through only. */
    if (text[0] != 'p' || text[1] == '\0' || text[1 + strspn(text + 1, "0123456789.")] != '\0') {
        return false;
    }
    char *end = NULL;
    gate->percent = strtod(text + 1, &end);
    gate->stat = GATE_STAT_PERCENTILE;
    return *end == '\0' && end != text + 1 && gate->percent <= 100;
}

/* Takes the metric apart: NAME, NAME.STAT, NAME.start.STAT or NAME.scheduled.STAT. */
static int parse_metric(struct gate *gate, char *metric, struct failure *failure)
{
    char *dot = strchr(metric, '.');
    if (dot == NULL && find_scalar(metric) != NULL) {
        snprintf(gate->metric, sizeof(gate->metric), "%s", metric);
        return 0;
    }
    const char *stat = dot == NULL ? "" : dot + 1;
    size_t length = dot == NULL ? strlen(metric) : (size_t)(dot - metric);
    snprintf(gate->metric, sizeof(gate->metric), "%.*s", (int)length, metric);
    const struct histogram_name *histogram = find_histogram(gate->metric);
    if (histogram == NULL || length >= sizeof(gate->metric)) {
        return refuse_metric(gate->text, metric, failure);
    }
    gate->origin = histogram->has_origin ? RESULT_FROM_SCHEDULED : RESULT_PLAIN;
    if (histogram->has_origin && strncmp(stat, "start.", 6) == 0) {
        gate->origin = RESULT_FROM_START;
        stat += 6;
    } else if (histogram->has_origin && strncmp(stat, "scheduled.", 10) == 0) {
        stat += 10;
    }
    if (!parse_stat(gate, stat)) {
        return failure_set(failure, EINVAL,
                           "--fail-if %s: \"%s\" is no statistic of %s; use p0 to p100 (p99.9), "
                           "min, max, mean or count%s",
                           gate->text, stat, gate->metric,
                           histogram->has_origin ? ", after \"start.\" for the actual start" : "");
    }
    return 0;
}

static enum unit metric_unit(const struct gate *gate)
{
    if (gate->stat == GATE_STAT_NONE) {
        return find_scalar(gate->metric)->unit;
    }
    return gate->stat == GATE_STAT_COUNT ? UNIT_COUNT : UNIT_DURATION;
}

static int parse_real(double *value, const char *text, const char *what, struct failure *failure)
{
    char *end = NULL;
    *value = strtod(text, &end);
    if (*text == '\0' || text[strspn(text, "0123456789.")] != '\0' || *end != '\0') {
        return failure_set(failure, EINVAL, "%s: \"%s\" is no number; use one such as 0.5", what,
                           text);
    }
    return 0;
}

static int parse_threshold(struct gate *gate, const char *value, struct failure *failure)
{
    char what[128];
    uint64_t number = 0;
    struct cli_rate rate = {.per_ns = 1};
    int error = 0;
    snprintf(what, sizeof(what), "--fail-if %s", gate->text);
    switch (metric_unit(gate)) {
    case UNIT_COUNT:
        error = cli_parse_count(&number, value, what, failure);
        gate->threshold = (double)number;
        return error;
    case UNIT_RATE:
        error = cli_parse_rate(&rate, value, what, failure);
        if (error == 0) {
            gate->threshold = (double)rate.events * (double)NS_PER_SEC / (double)rate.per_ns;
        }
        return error;
    case UNIT_DURATION:
        error = cli_parse_duration(&number, value, what, failure);
        gate->threshold = (double)number;
        return error;
    case UNIT_REAL:
        return parse_real(&gate->threshold, value, what, failure);
    }
    return -EINVAL;
}

/* Copies [text, end) without the blanks around it; false when it does not fit or nothing is left.
 */
static bool copy_trimmed(char *into, size_t size, const char *text, const char *end)
{
    text += strspn(text, " \t");
    while (end > text && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (end <= text || (size_t)(end - text) >= size) {
        return false;
    }
    memcpy(into, text, (size_t)(end - text));
    into[end - text] = '\0';
    return true;
}

int gate_parse(struct gate *gate, const char *text, struct failure *failure)
{
    char metric[64], value[64];
    const char *at = NULL;
    *gate = (struct gate){.text = text};
    const struct comparison_text *found = find_comparison(text, &at);
    if (found == NULL) {
        return failure_set(failure, EINVAL,
                           "--fail-if %s: no comparison; use METRIC>VALUE with one of > >= < <= "
                           "== !=, such as connect.p99>5ms",
                           text);
    }
    const char *behind = at + strlen(found->text);
    if (!copy_trimmed(metric, sizeof(metric), text, at) ||
        !copy_trimmed(value, sizeof(value), behind, behind + strlen(behind))) {
        return failure_set(failure, EINVAL,
                           "--fail-if %s: a metric and a value must stand around \"%s\", such as "
                           "connect.p99>5ms",
                           text, found->text);
    }
    gate->comparison = found->comparison;
    int error = parse_metric(gate, metric, failure);
    return error != 0 ? error : parse_threshold(gate, value, failure);
}

static struct result_number computed_scalar(const struct result *result, const char *name)
{
    if (strcmp(name, "errors") == 0) {
        /* The table alone cannot tell "none" from "not counted". */
        return result_is_known(result->failed) ? result_count(result_error_total(result))
                                               : result_unknown();
    }
    if (strcmp(name, "checks_failed") == 0) {
        uint64_t count = 0;
        for (uint32_t i = 0; i < result->check_count; i++) {
            count += result->checks[i].outcome == RESULT_CHECK_FAILED ? 1 : 0;
        }
        return result->check_count == 0 ? result_unknown() : result_count(count);
    }
    if (!result_is_known(result->failed) || !result_is_known(result->attempted) ||
        result_as_double(result->attempted) <= 0) {
        return result_unknown();
    }
    return result_real(100 * result_as_double(result->failed) /
                       result_as_double(result->attempted));
}

static struct result_number scalar_value(const struct result *result, const struct scalar *scalar)
{
    if (scalar->offset == COMPUTED) {
        return computed_scalar(result, scalar->name);
    }
    struct result_number value;
    memcpy(&value, (const char *)result + scalar->offset, sizeof(value));
    return value;
}

static struct result_number hist_value(const struct gate *gate, const struct hist *hist)
{
    switch (gate->stat) {
    case GATE_STAT_PERCENTILE:
        return result_count(hist_percentile(hist, gate->percent));
    case GATE_STAT_MIN:
        return result_count(hist->min);
    case GATE_STAT_MAX:
        return result_count(hist->max);
    case GATE_STAT_MEAN:
        return hist->sum == UINT64_MAX ? result_unknown() : result_real(hist_mean(hist));
    case GATE_STAT_COUNT:
        return result_count(hist->count);
    case GATE_STAT_NONE:
        break;
    }
    return result_unknown();
}

/* Why a metric may be unknown though the run has a number much like it. */
static const char *why_unknown(const char *metric)
{
    return strcmp(metric, "open_max") == 0
               ? ": several workers had their maxima at different times, and the counter "
                 "open_max_of_workers_added is only a bound"
               : "";
}

/* Gives the gate's number. Unknown comes with its reason. */
static struct result_number gate_value(const struct gate *gate, const struct result *result,
                                       char reason[GATE_REASON_MAX])
{
    if (gate->stat == GATE_STAT_NONE) {
        struct result_number value = scalar_value(result, find_scalar(gate->metric));
        if (!result_is_known(value)) {
            snprintf(reason, GATE_REASON_MAX, "%s: %s is unknown in this run%s", gate->text,
                     gate->metric, why_unknown(gate->metric));
        }
        return value;
    }
    const struct hist *hist = result_find_hist(result, gate->metric, gate->origin);
    if (hist == NULL) {
        snprintf(reason, GATE_REASON_MAX, "%s: this run did not measure %s", gate->text,
                 gate->metric);
        return result_unknown();
    }
    if (hist->count == 0 && gate->stat != GATE_STAT_COUNT) {
        snprintf(reason, GATE_REASON_MAX, "%s: %s has no samples", gate->text, gate->metric);
        return result_unknown();
    }
    struct result_number value = hist_value(gate, hist);
    if (!result_is_known(value)) {
        snprintf(reason, GATE_REASON_MAX, "%s: the sum of %s overflowed", gate->text, gate->metric);
    }
    return value;
}

static bool condition_holds(enum gate_comparison comparison, double value, double threshold)
{
    switch (comparison) {
    case GATE_OVER:
        return value > threshold;
    case GATE_AT_LEAST:
        return value >= threshold;
    case GATE_UNDER:
        return value < threshold;
    case GATE_AT_MOST:
        return value <= threshold;
    case GATE_EQUAL:
        return !(value < threshold) && !(value > threshold);
    case GATE_UNEQUAL:
        return value < threshold || value > threshold;
    }
    return true;
}

bool gate_fails(const struct gate *gate, const struct result *result, char reason[GATE_REASON_MAX])
{
    char text[FORMAT_TEXT_MAX];
    reason[0] = '\0';
    struct result_number value = gate_value(gate, result, reason);
    if (!result_is_known(value)) {
        return true;
    }
    if (!condition_holds(gate->comparison, result_as_double(value), gate->threshold)) {
        return false;
    }
    bool is_duration = metric_unit(gate) == UNIT_DURATION;
    snprintf(reason, GATE_REASON_MAX, "%s: the run has %s", gate->text,
             is_duration ? format_number_ns(value, text) : format_number(value, text));
    return true;
}
