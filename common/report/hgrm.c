/* Histograms as HdrHistogram percentile files, which its plotters read. Layer: report.
 *
 * A line is `Value Percentile TotalCount 1/(1-Percentile)`; percentiles come closer and closer to 1
 * by five steps for each halving of the distance that is left, as the format's own writers do it.
 * Values are in microseconds, since that is what its readers expect by default. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "report/file.h"
#include "report/report.h"

#define STEPS_PER_HALVING 5

static double in_us(double ns)
{
    return ns / (double)NS_PER_US;
}

/* Counts the values in bins up to the one that `value` falls into. */
static uint64_t count_up_to(const struct hist *hist, uint64_t value)
{
    uint64_t total = 0;
    for (uint32_t bin = 0; bin <= hist_bin(value); bin++) {
        total += hist->bins[bin];
    }
    return total;
}

static double next_percent(double percent)
{
    double halvings = floor(log2(100 / (100 - percent))) + 1;
    return percent + 100 / (STEPS_PER_HALVING * exp2(halvings));
}

static void write_lines(const struct hist *hist, FILE *out)
{
    double percent = 0;
    uint64_t counted = 0;
    while (counted < hist->count) {
        uint64_t value = hist_percentile(hist, percent);
        counted = count_up_to(hist, value);
        fprintf(out, "%12.3f %2.12f %10" PRIu64 " %14.2f\n", in_us((double)value), percent / 100,
                counted, 1 / (1 - percent / 100));
        percent = next_percent(percent);
    }
    if (hist->count > 0) {
        fprintf(out, "%12.3f %2.12f %10" PRIu64 " %14s\n", in_us((double)hist->max), 1.0,
                hist->count, "inf");
    }
}

/* Takes every value for its bin's middle. */
static double deviation(const struct hist *hist)
{
    double mean = hist_mean(hist), squares = 0;
    for (uint32_t bin = 0; bin < HIST_BINS; bin++) {
        double middle = ((double)hist_bin_low(bin) + (double)hist_bin_high(bin)) / 2;
        squares += (double)hist->bins[bin] * (middle - mean) * (middle - mean);
    }
    return sqrt(squares / (double)hist->count);
}

static void write_footer(const struct hist *hist, FILE *out)
{
    bool empty = hist->count == 0;
    fprintf(out, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n",
            empty ? (double)NAN : in_us(hist_mean(hist)),
            empty ? (double)NAN : in_us(deviation(hist)));
    fprintf(out, "#[Max     = %12.3f, Total count    = %12" PRIu64 "]\n",
            empty ? (double)NAN : in_us((double)hist->max), hist->count);
    fprintf(out, "#[Buckets = %12u, SubBuckets     = %12u]\n", HIST_VALUE_BITS - HIST_SUB_BITS + 1,
            HIST_SUB);
}

static const char *origin_words(enum result_origin origin)
{
    switch (origin) {
    case RESULT_FROM_SCHEDULED:
        return ", from the scheduled time";
    case RESULT_FROM_START:
        return ", from the actual start";
    case RESULT_PLAIN:
        return "";
    }
    return "";
}

static int write_hist(const struct result_hist *entry, const char *path, struct failure *failure)
{
    struct report_file file;
    int error = report_file_begin(&file, path, failure);
    if (error != 0) {
        return error;
    }
    fprintf(file.out, "# %s%s; values in microseconds\n", entry->name, origin_words(entry->origin));
    fprintf(file.out, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount",
            "1/(1-Percentile)");
    write_lines(entry->hist, file.out);
    write_footer(entry->hist, file.out);
    return report_file_commit(&file, 0, failure);
}

int result_write_hgrm(const struct result *result, const char *prefix, struct failure *failure)
{
    for (uint32_t i = 0; i < result->hist_count; i++) {
        const struct result_hist *entry = &result->hists[i];
        size_t size = strlen(prefix) + strlen(entry->name) + 32;
        char *path = malloc(size);
        if (path == NULL) {
            return failure_set(failure, ENOMEM, "%s: no memory for a file's name", prefix);
        }
        snprintf(path, size, "%s.%s%s.hgrm", prefix, entry->name,
                 entry->origin == RESULT_FROM_START ? ".start" : "");
        int error = write_hist(entry, path, failure);
        free(path);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}
