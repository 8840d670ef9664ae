/* CSV: a row per sample. The columns are fixed; later versions only add some at the end. Counts of
 * states are empty until the first census; totals count from the first row. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "stat/csv.h"
#include "stat/sink.h"

struct csv_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const char *path;
    FILE *out;
    bool has_first;
    uint64_t first[WATCH_FIELD_COUNT];
};

void csv_print_header(FILE *out)
{
    fputs("elapsed_sec,unix_sec,late_sec,census_number,census_age_sec,census_cpu_sec", out);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",state_%s", tcp_state_key((enum tcp_state)state));
    }
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        fprintf(out, ",%s", watch_field_infos[i].name);
    }
    fputs(",time_wait_lifetime_sec,time_wait_plateau\n", out);
}

static void print_seconds(FILE *out, uint64_t ns)
{
    fprintf(out, "%" PRIu64 ".%06" PRIu64, ns / NS_PER_SEC, ns % NS_PER_SEC / NS_PER_US);
}

static void print_census(const struct sample *sample, FILE *out)
{
    if (sample->census_count == 0) {
        fputs(",0,,", out);
        for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
            fputc(',', out);
        }
        return;
    }
    fprintf(out, ",%" PRIu64 ",", sample->census_count);
    print_seconds(out, sample->census_age_ns);
    fputc(',', out);
    print_seconds(out, sample->census.stamp.cpu_ns);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        fprintf(out, ",%" PRIu64, sample->census.total.n[state]);
    }
}

void csv_print_row(const struct sample *sample, const uint64_t first[WATCH_FIELD_COUNT], FILE *out)
{
    print_seconds(out, sample->elapsed_ns);
    fputc(',', out);
    print_seconds(out, sample->wall_ns);
    fputc(',', out);
    print_seconds(out, sample->late_ns);
    print_census(sample, out);
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        const bool is_total = watch_field_infos[i].kind == WATCH_KIND_TOTAL;
        fprintf(out, ",%" PRIu64, sample->values[i] - (is_total ? first[i] : 0));
    }
    fputc(',', out);
    print_seconds(out, sample->time_wait.lifetime_ns);
    fprintf(out, ",%" PRIu64 "\n", sample->time_wait.plateau);
}

static int check_stream(const struct csv_sink *csv, struct failure *failure)
{
    if (fflush(csv->out) == EOF || ferror(csv->out)) {
        return failure_set(failure, errno != 0 ? errno : EIO, "--csv %s: cannot be written: %s",
                           csv->path, strerror(errno != 0 ? errno : EIO));
    }
    return 0;
}

static int csv_take(struct sink *base, const struct sample *now, const struct sample *before,
                    struct failure *failure)
{
    struct csv_sink *csv = (struct csv_sink *)base;
    (void)before;
    if (!csv->has_first) {
        csv->has_first = true;
        memcpy(csv->first, now->values, sizeof(csv->first));
        csv_print_header(csv->out);
    }
    csv_print_row(now, csv->first, csv->out);
    return check_stream(csv, failure);
}

static void csv_close(struct sink *base)
{
    struct csv_sink *csv = (struct csv_sink *)base;
    if (csv->out != NULL && csv->out != stdout) {
        fclose(csv->out); /* every row was flushed when it was written */
    }
    free(csv);
}

static const struct sink_ops csv_ops = {.take = csv_take, .close = csv_close};

int sink_open_csv(struct sink **sink, const struct stat_settings *settings, struct failure *failure)
{
    const char *path = settings->options->csv;
    struct csv_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --csv");
    }
    made->sink.ops = &csv_ops;
    made->path = path;
    made->out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (made->out == NULL) {
        const int error = errno;
        csv_close(&made->sink);
        return failure_set(failure, error, "--csv %s: cannot be written: %s", path,
                           strerror(error));
    }
    *sink = &made->sink;
    return 0;
}
