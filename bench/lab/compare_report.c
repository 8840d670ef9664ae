/* A comparison's figures and tables; see compare.h. Layer: bench/lab. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "compare.h"

#define TEXT_MAX 48
#define PAIRS_ENOUGH 7 /* METHOD: below it there is no verdict */

static const char *const rate_format = "%-28s %9s %-17s %-20s %s\n";
static const char *const cost_format = "%-28s %8s %8s %8s %15s %14s %9s %8s\n";
static const char *const time_format = "%-28s %-16s %-16s %-15s %-15s %s\n";

const char *compare_name(const struct contender *contender, char name[COMPARE_NAME_MAX])
{
    const struct cell_spec *spec = &contender->spec;
    const char *tuning = spec->tuning == LAB_TUNED   ? ", tuned"
                         : spec->tuning == LAB_EAGER ? ", 10 segments"
                                                     : "";
    if (spec->client == spec->server) {
        snprintf(name, COMPARE_NAME_MAX, "%s%s", lab_kind_name(spec->client), tuning);
    } else {
        snprintf(name, COMPARE_NAME_MAX, "%s > %s%s", lab_kind_name(spec->client),
                 lab_kind_name(spec->server), tuning);
    }
    return name;
}

struct stats_interval compare_interval(const struct compare *compare,
                                       const struct contender *contender, enum measure measure)
{
    double values[STATS_VALUES_MAX];
    struct rng rng;
    for (uint32_t i = 0; i < contender->done; i++) {
        values[i] = contender->trials[i].values[measure];
    }
    rng_seed(&rng, compare->options->seed + (uint64_t)measure);
    return stats_bootstrap(values, contender->done, &rng);
}

struct stats_interval compare_ratio(const struct compare *compare,
                                    const struct contender *contender,
                                    const struct contender *reference)
{
    double ratios[STATS_VALUES_MAX];
    struct rng rng;
    uint32_t count = 0;
    if (reference != NULL) {
        count = contender->done < reference->done ? contender->done : reference->done;
    }
    for (uint32_t i = 0; i < count; i++) {
        ratios[i] = contender->trials[i].values[MEASURE_COMPLETED_PER_SEC] /
                    reference->trials[i].values[MEASURE_COMPLETED_PER_SEC];
    }
    rng_seed(&rng, compare->options->seed);
    return stats_bootstrap(ratios, count, &rng);
}

static const char *format_number(double value, int decimals, char text[TEXT_MAX])
{
    if (isnan(value)) {
        return "-";
    }
    snprintf(text, TEXT_MAX, "%.*f", decimals, value);
    return text;
}

/* "12,3 (11.9 to 12.7)" without the median: "11.9 to 12.7". */
static const char *format_range(struct stats_interval interval, int decimals, char text[TEXT_MAX])
{
    if (isnan(interval.median)) {
        return "";
    }
    snprintf(text, TEXT_MAX, "%.*f to %.*f", decimals, interval.low, decimals, interval.high);
    return text;
}

static const char *format_ratio(struct stats_interval interval, char text[TEXT_MAX])
{
    if (isnan(interval.median)) {
        return "-";
    }
    snprintf(text, TEXT_MAX, "%.2f (%.2f to %.2f)", interval.median, interval.low, interval.high);
    return text;
}

/* One group's medians of a contender. */
static double median(const struct contender *contender, enum measure measure)
{
    double values[STATS_VALUES_MAX];
    for (uint32_t i = 0; i < contender->done; i++) {
        values[i] = contender->trials[i].values[measure];
    }
    return stats_median(values, contender->done);
}

static const struct contender *member(const struct compare_group *group, int index)
{
    return index < 0 ? NULL : &group->contenders[index];
}

static void print_rates(const struct compare *compare, const struct compare_group *group, FILE *out)
{
    fprintf(out, rate_format, "", "conns/s", "95% interval", "to the kernel",
            "to the tuned kernel");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct contender *contender = &group->contenders[i];
        char name[COMPARE_NAME_MAX], rate[TEXT_MAX], range[TEXT_MAX], kernel[TEXT_MAX];
        char tuned[TEXT_MAX];
        struct stats_interval interval =
            compare_interval(compare, contender, MEASURE_COMPLETED_PER_SEC);
        fprintf(
            out, rate_format, compare_name(contender, name),
            format_number(interval.median, 0, rate), format_range(interval, 0, range),
            format_ratio(compare_ratio(compare, contender, member(group, group->kernel)), kernel),
            format_ratio(compare_ratio(compare, contender, member(group, group->tuned)), tuned));
    }
}

/* Writes a figure that has a sampling error: "34.2+-0.9". */
static const char *format_error(double value, double error, char text[TEXT_MAX])
{
    if (isnan(value)) {
        return "-";
    }
    snprintf(text, TEXT_MAX, "%.1f+-%.1f", value / (double)NS_PER_US, error / (double)NS_PER_US);
    return text;
}

static void print_costs(const struct compare_group *group, FILE *out)
{
    fprintf(out, cost_format, "", "packets", "bytes", "ns a", "CPU us/conn", "of it", "bytes a",
            "bytes a");
    fprintf(out, cost_format, "", "a conn", "a conn", "packet", "machine", "softirq", "conn", "TW");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct contender *contender = &group->contenders[i];
        char name[COMPARE_NAME_MAX], texts[7][TEXT_MAX];
        fprintf(out, cost_format, compare_name(contender, name),
                format_number(median(contender, MEASURE_SEGMENTS), 2, texts[0]),
                format_number(median(contender, MEASURE_BYTES), 0, texts[1]),
                format_number(median(contender, MEASURE_NS_PER_PACKET), 0, texts[2]),
                format_error(median(contender, MEASURE_CPU), median(contender, MEASURE_CPU_ERROR),
                             texts[3]),
                format_error(median(contender, MEASURE_SOFTIRQ),
                             median(contender, MEASURE_SOFTIRQ_ERROR), texts[4]),
                format_number(contender->held_bytes, 0, texts[5]),
                format_number(median(contender, MEASURE_MEMORY_TIME_WAIT), 0, texts[6]));
    }
}

/* Writes three latencies in microseconds: "41/120/2000". */
static const char *format_latency(const struct contender *contender, enum measure first,
                                  char text[TEXT_MAX])
{
    double us[3];
    for (int i = 0; i < 3; i++) {
        us[i] = median(contender, (enum measure)((int)first + i)) / (double)NS_PER_US;
    }
    if (isnan(us[0])) {
        return "-";
    }
    snprintf(text, TEXT_MAX, "%.0f/%.0f/%.0f", us[0], us[1], us[2]);
    return text;
}

static const char *format_sides(double client, double server, char text[TEXT_MAX])
{
    char parts[2][TEXT_MAX];
    snprintf(text, TEXT_MAX, "%.20s+%.20s", format_number(client, 0, parts[0]),
             format_number(server, 0, parts[1]));
    return text;
}

/* The connections that failed in all trials. */
static double count_failed(const struct contender *contender)
{
    double failed = 0;
    for (uint32_t i = 0; i < contender->done; i++) {
        failed += contender->trials[i].values[MEASURE_FAILED];
    }
    return contender->done == 0 ? (double)NAN : failed;
}

static void print_times(const struct compare_group *group, FILE *out)
{
    fprintf(out, time_format, "", "connect us", "echo us", "TIME_WAIT", "TIME_WAIT", "");
    fprintf(out, time_format, "", "p50/p99/max", "p50/p99/max", "client+server", "expected",
            "failed");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct contender *contender = &group->contenders[i];
        char name[COMPARE_NAME_MAX], texts[5][TEXT_MAX];
        fprintf(out, time_format, compare_name(contender, name),
                format_latency(contender, MEASURE_CONNECT_P50, texts[0]),
                format_latency(contender, MEASURE_ECHO_P50, texts[1]),
                format_sides(median(contender, MEASURE_CLIENT_TIME_WAIT),
                             median(contender, MEASURE_SERVER_TIME_WAIT), texts[2]),
                format_sides(median(contender, MEASURE_CLIENT_EXPECTED),
                             median(contender, MEASURE_SERVER_EXPECTED), texts[3]),
                format_number(count_failed(contender), 0, texts[4]));
    }
}

static void print_notes(const struct compare_group *group, FILE *out)
{
    for (uint32_t i = 0; i < group->count; i++) {
        const struct contender *contender = &group->contenders[i];
        char name[COMPARE_NAME_MAX];
        compare_name(contender, name);
        if (contender->failed) {
            fprintf(out, "  %s failed: %s\n", name, contender->reason);
        }
        for (uint32_t k = 0; k < contender->note_count; k++) {
            fprintf(out, "  %s: %s (%" PRIu32 " of %" PRIu32 " trials)\n", name,
                    contender->notes[k].text, contender->notes[k].trials, contender->done);
        }
    }
}

/* Finds the first note of all rows that has this one's text. */
static const struct compare_note *first_of(const struct compare *compare,
                                           const struct compare_note *note)
{
    for (uint32_t i = 0; i < compare->group_count; i++) {
        for (uint32_t k = 0; k < compare->groups[i].count; k++) {
            const struct contender *contender = &compare->groups[i].contenders[k];
            for (uint32_t n = 0; n < contender->note_count; n++) {
                if (strcmp(contender->notes[n].text, note->text) == 0) {
                    return &contender->notes[n];
                }
            }
        }
    }
    return note;
}

/* Explains a row's notes, each as the program did in the first trial that had it. */
static void explain_notes(const struct compare *compare, const struct contender *contender,
                          FILE *out)
{
    for (uint32_t n = 0; n < contender->note_count; n++) {
        const struct compare_note *note = &contender->notes[n];
        if (note->sentence != NULL && first_of(compare, note) == note) {
            fprintf(out, "  %s: %s\n", note->text, note->sentence);
        }
    }
}

static bool has_sentences(const struct contender *contender)
{
    for (uint32_t n = 0; n < contender->note_count; n++) {
        if (contender->notes[n].sentence != NULL) {
            return true;
        }
    }
    return false;
}

static void print_sentences(const struct compare *compare, FILE *out)
{
    bool begun = false;
    for (uint32_t i = 0; i < compare->group_count; i++) {
        for (uint32_t k = 0; k < compare->groups[i].count; k++) {
            const struct contender *contender = &compare->groups[i].contenders[k];
            if (!begun && has_sentences(contender)) {
                fprintf(out, "\nWhat the programs' notes say, with the figures of the first trial "
                             "that had each:\n");
                begun = true;
            }
            explain_notes(compare, contender, out);
        }
    }
}

static void print_legend(const struct compare *compare, FILE *out)
{
    const char *congestion =
        json_string_value(json_object_get(compare->sysctls, "net.ipv4.tcp_congestion_control"));
    fprintf(out,
            "Ratios: median of the rounds' ratios of connections/s, with the bootstrap's 95%% "
            "interval. Tuned: TCP_QUICKACK\noff at both ends and deferred accept, so that the "
            "kernel sends the stack's 7 segments.\nNull: canned segments without TCP, always the 7 "
            "of a client's close by FIN: no ceiling where a row sends fewer.\n"
            "CPU: of the whole machine while the client lived, +- one standard error of the "
            "kernel's sampling; an engine\nthat spins is always busy. Bytes a conn: of memory, "
            "both ends, while held open; a TW: with its port's records.\n"
            "After a warm-up rates and costs are of what was measured, times and failures of the "
            "whole trial.\nA figure that is \"-\" is not known.\n"
            "Alike in all rows: NODELAY, no reset ends TIME_WAIT (tcp_rfc1337), offloads "
            "(%s).\nThe kernel's congestion control: %s; its "
            "minimum RTO of 200 ms and initial window of 10 are the stack's too.\nNot alike: the "
            "stack's TIME_WAIT lasts 60 s, the kernel's up to a timer's granule more; the stack "
            "sends a "
            "SYN again 7\ntimes at doubling intervals, the kernel by tcp_syn_retries and "
            "tcp_syn_linear_timeouts. A trial without losses sees neither.\n",
            compare->offloads, congestion == NULL ? "not read" : congestion);
    if (compare->options->pairs < PAIRS_ENOUGH) {
        fprintf(out, "Fewer than %d pairs: the intervals say little.\n", PAIRS_ENOUGH);
    }
}

static bool has_figures(const struct compare_group *group)
{
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->contenders[i].done > 0 || group->contenders[i].failed) {
            return true;
        }
    }
    return false;
}

void compare_print(const struct compare *compare, FILE *out)
{
    for (uint32_t i = 0; i < compare->group_count; i++) {
        const struct compare_group *group = &compare->groups[i];
        if (!has_figures(group)) {
            continue;
        }
        const struct cell_spec *spec = &group->contenders[0].spec;
        fprintf(out, "\nThe %s closes first, by %s:\n",
                strcmp(spec->closer, "both") == 0 ? "client, the server too," : spec->closer,
                spec->close);
        print_rates(compare, group, out);
        fprintf(out, "\n");
        print_costs(group, out);
        fprintf(out, "\n");
        print_times(group, out);
        print_notes(group, out);
    }
    print_sentences(compare, out);
    fprintf(out, "\n");
    print_legend(compare, out);
    if (compare->interrupted) {
        fprintf(out, "Interrupted: trials are missing.\n");
    }
    fflush(out);
}
