/* A result as a person reads it: what the rate was and whether to believe it come first. Layer:
 * report. What is unknown is called so, or left out where a run of that kind has no such value. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/failure.h"
#include "report/format.h"
#include "report/report.h"

/* Continuation lines start under the text that follows a section's heading. */
#define INDENT 12

static const char *or_unknown(const char *text)
{
    return text == NULL ? "unknown" : text;
}

/* The verdict in a word, from the exit code that goes with it. */
static const char *verdict_words(const struct result *result)
{
    int code = result_exit_code(result);
    return code == 0 ? "VALID" : code == 3 ? "INVALID" : "TARGET FAILED";
}

/* What a limit did to the run, to follow its code; nothing for a note. */
static const char *weight_words(enum result_weight weight)
{
    switch (weight) {
    case RESULT_NOTE:
        return "";
    case RESULT_INVALID:
        return " (run invalid)";
    case RESULT_TARGET_FAILED:
        return " (target failed)";
    }
    return "";
}

static void write_identity(const struct result *result, FILE *out)
{
    const char *why = result->engine_why;
    const char *closer = result->closer;
    format_paragraph_f(out, 2, "%s %s, engine %s%s%s%s%s%s%s%s", or_unknown(result->program),
                       or_unknown(result->version), or_unknown(result->engine),
                       why == NULL ? "" : " (", why == NULL ? "" : why, why == NULL ? "" : ")",
                       closer == NULL ? "" : ", closer ", closer == NULL ? "" : closer,
                       result->close_how == NULL ? "" : ", close ",
                       result->close_how == NULL ? "" : result->close_how);
}

/* Tells whether a limit is the first one of its weight and code. */
static bool is_first_of_code(const struct result *result, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (result->limits[i].weight == result->limits[index].weight &&
            strcmp(result->limits[i].code, result->limits[index].code) == 0) {
            return false;
        }
    }
    return true;
}

/* Lists the codes of what decided against the run, each once: " (schedule, accounting)". */
static void format_reasons(const struct result *result, char *text, size_t size)
{
    bool is_valid = result_is_valid(result);
    const char *separator = " (";
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < result->limit_count; i++) {
        const struct result_limit *limit = &result->limits[i];
        bool decided = limit->weight == (is_valid ? RESULT_TARGET_FAILED : RESULT_INVALID);
        size_t need = strlen(separator) + strlen(limit->code) + 2;
        if (decided && is_first_of_code(result, i) && used + need <= size) {
            snprintf(text + used, size - used, "%s%s", separator, limit->code);
            used = strlen(text);
            separator = ", ";
        }
    }
    if (used > 0) {
        snprintf(text + used, size - used, ")");
    }
}

static void write_headline(const struct result *result, FILE *out)
{
    char rate[FORMAT_TEXT_MAX], duration[FORMAT_TEXT_MAX], offered[FORMAT_TEXT_MAX];
    char reasons[256];
    format_reasons(result, reasons, sizeof(reasons));
    if (result->completed.kind == RESULT_COUNT && result->completed.count == 0) {
        format_paragraph_f(out, 2, "no connection was completed: %s%s", verdict_words(result),
                           reasons);
    } else {
        format_paragraph_f(out, 2, "%s connections/s over %s: %s%s",
                           format_number(result->completed_per_sec, rate),
                           format_number_ns(result->duration_ns, duration), verdict_words(result),
                           reasons);
    }
    write_identity(result, out);
    if (result_is_known(result->offered_per_sec)) {
        format_paragraph_f(out, INDENT, "offered     %s connections/s",
                           format_number(result->offered_per_sec, offered));
    }
}

static void write_counts(const struct result *result, FILE *out)
{
    char attempted[FORMAT_TEXT_MAX], completed[FORMAT_TEXT_MAX], failed[FORMAT_TEXT_MAX];
    char open_at_end[FORMAT_TEXT_MAX], shed[FORMAT_TEXT_MAX];
    bool has_shed = result_is_known(result->shed);
    format_paragraph_f(
        out, INDENT, "connections attempted %s, completed %s, failed %s, open at end %s%s%s",
        format_number(result->attempted, attempted), format_number(result->completed, completed),
        format_number(result->failed, failed), format_number(result->open_at_end, open_at_end),
        has_shed ? ", shed " : "", has_shed ? format_number(result->shed, shed) : "");
}

static void write_hist_row(const struct result_hist *entry, FILE *out)
{
    static const double percents[] = {50, 90, 99, 99.9, 100};
    char text[FORMAT_TEXT_MAX];
    fprintf(out, "  %-14s", entry->name);
    if (entry->hist->count == 0) {
        fputs("  no samples\n", out);
        return;
    }
    for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        double ns = (double)hist_percentile(entry->hist, percents[i]);
        fprintf(out, " %8s", format_ns(ns, text));
    }
    fprintf(out, " %14s\n", format_count(entry->hist->count, text));
}

static void write_hists(const struct result *result, enum result_origin origin, const char *heading,
                        FILE *out)
{
    bool has_heading = false;
    for (uint32_t i = 0; i < result->hist_count; i++) {
        if (result->hists[i].origin != origin) {
            continue;
        }
        if (!has_heading) {
            fprintf(out, "\n%-16s %8s %8s %8s %8s %8s %14s\n", heading, "p50", "p90", "p99",
                    "p99.9", "max", "count");
            has_heading = true;
        }
        write_hist_row(&result->hists[i], out);
    }
}

static void write_latency(const struct result *result, FILE *out)
{
    write_hists(result, RESULT_FROM_SCHEDULED, "since scheduled", out);
    write_hists(result, RESULT_FROM_START, "since start", out);
    write_hists(result, RESULT_PLAIN, "our own", out);
    fputc('\n', out);
}

static void write_failures(const struct result *result, FILE *out)
{
    char count[FORMAT_TEXT_MAX], name[FORMAT_TEXT_MAX];
    if (result->error_count == 0) {
        bool none = result->failed.kind == RESULT_COUNT && result->failed.count == 0;
        format_paragraph_f(out, INDENT, "failures    %s",
                           none ? "none" : format_number(result->failed, count));
        return;
    }
    format_paragraph_f(out, INDENT, "failures    %s",
                       format_count(result_error_total(result), count));
    for (uint32_t i = 0; i < result->error_count; i++) {
        const struct result_error *entry = &result->errors[i];
        format_paragraph_f(out, INDENT, "  %-9s %s %s (%s)", entry->phase,
                           format_count(entry->count, count), failure_errno_words(entry->error),
                           format_errno(entry->error, name));
    }
}

/* The difference in percent, when both sides are known and there is something to compare with. */
static const char *format_difference(const struct result_time_wait *time_wait,
                                     char text[FORMAT_TEXT_MAX])
{
    text[0] = '\0';
    if (result_is_known(time_wait->measured) && result_is_known(time_wait->expected)) {
        double expected = result_as_double(time_wait->expected);
        double difference = result_as_double(time_wait->measured) - expected;
        if (expected > 0) {
            snprintf(text, FORMAT_TEXT_MAX, " (%+.2f%%)", 100 * difference / expected);
        }
    }
    return text;
}

static void write_time_wait(const struct result *result, FILE *out)
{
    char measured[FORMAT_TEXT_MAX], expected[FORMAT_TEXT_MAX], difference[FORMAT_TEXT_MAX];
    char peak[FORMAT_TEXT_MAX], lifetime[FORMAT_TEXT_MAX];
    const struct result_time_wait *time_wait = &result->time_wait;
    bool has_peak = result_is_known(time_wait->peak);
    bool has_lifetime = result_is_known(time_wait->lifetime_ns);
    if (!result_is_known(time_wait->measured) && !result_is_known(time_wait->expected)) {
        return; /* nobody watched */
    }
    format_paragraph_f(
        out, INDENT, "TIME_WAIT   %s measured, %s expected%s%s%s%s%s",
        format_number(time_wait->measured, measured), format_number(time_wait->expected, expected),
        format_difference(time_wait, difference), has_peak ? "; peak " : "",
        has_peak ? format_number(time_wait->peak, peak) : "", has_lifetime ? "; lifetime " : "",
        has_lifetime ? format_number_ns(time_wait->lifetime_ns, lifetime) : "");
}

static void write_cpu(const struct result_cpu *cpu, FILE *out)
{
    char own[FORMAT_TEXT_MAX], machine[FORMAT_TEXT_MAX], error[FORMAT_TEXT_MAX];
    char steal[FORMAT_TEXT_MAX];
    if (!result_is_known(cpu->own_ns_per_conn) && !result_is_known(cpu->machine_ns_per_conn)) {
        return; /* no connection to share it among */
    }
    bool has_error = result_is_known(cpu->machine_error_ns_per_conn);
    bool has_steal = result_is_known(cpu->steal_ns_per_conn);
    format_paragraph_f(out, INDENT,
                       "CPU         per connection: this process %s, machine %s%s%s%s%s",
                       format_number_ns(cpu->own_ns_per_conn, own),
                       format_number_ns(cpu->machine_ns_per_conn, machine), has_error ? " +- " : "",
                       has_error ? format_number_ns(cpu->machine_error_ns_per_conn, error) : "",
                       has_steal ? ", steal " : "",
                       has_steal ? format_number_ns(cpu->steal_ns_per_conn, steal) : "");
}

static void write_costs(const struct result *result, FILE *out)
{
    char segments[FORMAT_TEXT_MAX], bytes[FORMAT_TEXT_MAX];
    write_cpu(&result->cpu, out);
    if (result_is_known(result->segments_per_conn)) {
        format_paragraph_f(out, INDENT, "segments    %s per connection",
                           format_number(result->segments_per_conn, segments));
    }
    if (result_is_known(result->bytes_per_conn)) {
        format_paragraph_f(out, INDENT, "memory      %s bytes per connection, kernel apart",
                           format_number(result->bytes_per_conn, bytes));
    }
    if (result->tuple_reuses.kind == RESULT_COUNT && result->tuple_reuses.count > 0) {
        format_paragraph_f(out, INDENT, "4-tuples    %s used again early",
                           format_count(result->tuple_reuses.count, bytes));
    }
}

static uint32_t count_checks(const struct result *result, enum result_check_outcome outcome)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < result->check_count; i++) {
        count += result->checks[i].outcome == outcome ? 1 : 0;
    }
    return count;
}

static void write_checks(const struct result *result, FILE *out)
{
    if (result->check_count == 0) {
        return;
    }
    format_paragraph_f(
        out, INDENT, "checks      %" PRIu32 " agree, %" PRIu32 " disagree, %" PRIu32 " unknown",
        count_checks(result, RESULT_CHECK_OK), count_checks(result, RESULT_CHECK_FAILED),
        count_checks(result, RESULT_CHECK_UNKNOWN));
    for (uint32_t i = 0; i < result->check_count; i++) {
        char expected[FORMAT_TEXT_MAX], measured[FORMAT_TEXT_MAX];
        const struct result_check *check = &result->checks[i];
        if (check->outcome == RESULT_CHECK_FAILED) {
            format_paragraph_f(
                out, INDENT, "  MISMATCH  %s: %s expected, %s measured%s%s", check->name,
                format_number(check->expected, expected), format_number(check->measured, measured),
                check->note == NULL ? "" : "; ", check->note == NULL ? "" : check->note);
        }
    }
}

static void write_limits(const struct result *result, FILE *out)
{
    for (uint32_t i = 0; i < result->limit_count; i++) {
        const struct result_limit *limit = &result->limits[i];
        format_paragraph_f(out, INDENT, "%-11s %s%s: %s", i == 0 ? "limits" : "", limit->code,
                           weight_words(limit->weight), limit->text);
    }
}

int result_write_text(const struct result *result, FILE *out)
{
    write_headline(result, out);
    write_counts(result, out);
    write_latency(result, out);
    write_failures(result, out);
    write_time_wait(result, out);
    write_costs(result, out);
    write_checks(result, out);
    write_limits(result, out);
    return fflush(out) != 0 || ferror(out) ? -EIO : 0;
}
