#include "report/openmetrics.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 16384
#define NAME_MAX_BYTES 128

/* The first and last bucket's power of two, in ns: 1.02 us and 17.2 s. */
#define BUCKET_FIRST 10
#define BUCKET_LAST 34

void openmetrics_init(struct openmetrics *out, enum openmetrics_format format)
{
    *out = (struct openmetrics){.format = format};
}

void openmetrics_free(struct openmetrics *out)
{
    free(out->text);
    *out = (struct openmetrics){0};
}

/* Makes room for so many bytes and a NUL. */
static bool reserve(struct openmetrics *out, size_t bytes)
{
    size_t capacity = out->capacity == 0 ? CAPACITY_FIRST : out->capacity;
    while (capacity < out->length + bytes + 1) {
        capacity *= 2;
    }
    if (capacity == out->capacity) {
        return true;
    }
    char *grown = realloc(out->text, capacity);
    if (grown == NULL) {
        out->failed = true;
        return false;
    }
    out->text = grown;
    out->capacity = capacity;
    return true;
}

static void add_bytes(struct openmetrics *out, const char *bytes, size_t count)
{
    if (reserve(out, count)) {
        memcpy(out->text + out->length, bytes, count);
        out->length += count;
        out->text[out->length] = '\0';
    }
}

static void add(struct openmetrics *out, const char *text)
{
    add_bytes(out, text, strlen(text));
}

/* Adds a text with backslashes, newlines and, for labels, quotes escaped. */
static void add_escaped(struct openmetrics *out, const char *text, bool escapes_quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\') {
            add(out, "\\\\");
        } else if (*text == '\n') {
            add(out, "\\n");
        } else if (*text == '"' && escapes_quotes) {
            add(out, "\\\"");
        } else {
            add_bytes(out, text, 1);
        }
    }
}

/* The older format knows a counter by its full name. */
static const char *family_suffix(const struct openmetrics *out,
                                 const struct openmetrics_family *family)
{
    return family->type == OPENMETRICS_COUNTER && out->format == OPENMETRICS_TEXT_0_0_4 ? "_total"
                                                                                        : "";
}

static void add_meta(struct openmetrics *out, const char *what,
                     const struct openmetrics_family *family)
{
    add(out, what);
    add(out, family->name);
    add(out, family_suffix(out, family));
    add(out, " ");
}

void openmetrics_begin(struct openmetrics *out, const struct openmetrics_family *family)
{
    static const char *const types[] = {"gauge", "counter", "histogram"};
    add_meta(out, "# HELP ", family);
    /* OpenMetrics escapes quotes here too; the older format must not. */
    add_escaped(out, family->help, out->format == OPENMETRICS_1_0);
    add(out, "\n");
    add_meta(out, "# TYPE ", family);
    add(out, types[family->type]);
    add(out, "\n");
    if (family->unit[0] != '\0' && out->format == OPENMETRICS_1_0) {
        add_meta(out, "# UNIT ", family);
        add(out, family->unit);
        add(out, "\n");
    }
}

static void add_label(struct openmetrics *out, const char *separator,
                      const struct openmetrics_label *label)
{
    add(out, separator);
    add(out, label->name);
    add(out, "=\"");
    add_escaped(out, label->value, true);
    add(out, "\"");
}

/* Adds a sample's name and labels, `bound` being a bucket's upper end or NULL. */
static void add_name(struct openmetrics *out, const struct openmetrics_family *family,
                     const char *suffix, struct openmetrics_labels labels, const char *bound)
{
    add(out, family->name);
    add(out, suffix);
    const char *separator = "{";
    for (size_t i = 0; i < labels.count; i++) {
        add_label(out, separator, &labels.labels[i]);
        separator = ",";
    }
    if (bound != NULL) {
        const struct openmetrics_label label = {"le", bound};
        add_label(out, separator, &label);
        separator = ",";
    }
    add(out, separator[0] == ',' ? "} " : " ");
}

static void add_count(struct openmetrics *out, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "\n", value);
    add(out, text);
}

static void add_real(struct openmetrics *out, double value)
{
    char text[64];
    snprintf(text, sizeof(text), "%.15g\n", value);
    add(out, text);
}

static const char *sample_suffix(const struct openmetrics_family *family)
{
    return family->type == OPENMETRICS_COUNTER ? "_total" : "";
}

void openmetrics_count(struct openmetrics *out, const struct openmetrics_family *family,
                       struct openmetrics_labels labels, uint64_t value)
{
    add_name(out, family, sample_suffix(family), labels, NULL);
    add_count(out, value);
}

void openmetrics_real(struct openmetrics *out, const struct openmetrics_family *family,
                      struct openmetrics_labels labels, double value)
{
    if (isfinite(value)) {
        add_name(out, family, sample_suffix(family), labels, NULL);
        add_real(out, value);
    }
}

/* Counts the values below a power of two, at which a bin ends. */
static uint64_t count_below(const struct hist *hist, uint32_t power, uint32_t *bin, uint64_t count)
{
    while (*bin < HIST_BINS && hist_bin_high(*bin) < UINT64_C(1) << power) {
        count += hist->bins[*bin];
        ++*bin;
    }
    return count;
}

static void add_bucket(struct openmetrics *out, const struct openmetrics_family *family,
                       struct openmetrics_labels labels, uint32_t power, uint64_t count)
{
    char bound[32];
    snprintf(bound, sizeof(bound), "%.11g", (double)((UINT64_C(1) << power) - 1) / 1e9);
    add_name(out, family, "_bucket", labels, bound);
    add_count(out, count);
}

static void add_totals(struct openmetrics *out, const struct openmetrics_family *family,
                       struct openmetrics_labels labels, uint64_t count, uint64_t sum_ns)
{
    add_name(out, family, "_bucket", labels, "+Inf");
    add_count(out, count);
    add_name(out, family, "_count", labels, NULL);
    add_count(out, count);
    add_name(out, family, "_sum", labels, NULL);
    add_real(out, (double)sum_ns / 1e9);
}

void openmetrics_hist(struct openmetrics *out, const struct openmetrics_family *family,
                      struct openmetrics_labels labels, const struct hist *hist)
{
    uint32_t bin = 0;
    uint64_t count = 0;
    for (uint32_t power = BUCKET_FIRST; power <= BUCKET_LAST; power++) {
        count = count_below(hist, power, &bin, count);
        add_bucket(out, family, labels, power, count);
    }
    add_totals(out, family, labels, hist->count, hist->sum);
}

void openmetrics_powers(struct openmetrics *out, const struct openmetrics_family *family,
                        struct openmetrics_labels labels, const struct openmetrics_powers *powers)
{
    uint64_t count = 0;
    for (uint32_t power = 0; power < powers->count; power++) {
        count += powers->counts[power];
        if (power >= BUCKET_FIRST && power + 1 < powers->count) {
            add_bucket(out, family, labels, power, count);
        }
    }
    add_totals(out, family, labels, count, powers->sum_ns);
}

void openmetrics_one(struct openmetrics *out, const struct openmetrics_family *family, double value)
{
    openmetrics_begin(out, family);
    openmetrics_real(out, family, (struct openmetrics_labels){0}, value);
}

void openmetrics_counters(struct openmetrics *out, const char *prefix,
                          const struct counter_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        char name[NAME_MAX_BYTES];
        const char *own = view->infos[i].name;
        size_t stem = strlen(own);
        bool is_time = stem > 3 && strcmp(own + stem - 3, "_ns") == 0;
        snprintf(name, sizeof(name), "%s%.*s%s", prefix, (int)(is_time ? stem - 3 : stem), own,
                 is_time ? "_seconds" : "");
        const struct openmetrics_family family = {name, OPENMETRICS_COUNTER,
                                                  is_time ? "seconds" : "", view->infos[i].help};
        if (is_time) {
            openmetrics_one(out, &family, (double)view->values[i] / 1e9);
            continue;
        }
        openmetrics_begin(out, &family);
        openmetrics_count(out, &family, (struct openmetrics_labels){0}, view->values[i]);
    }
}

static void add_states(struct openmetrics *out, const struct openmetrics_family *family,
                       const char *version, const struct tcp_state_counts *counts)
{
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        const struct openmetrics_label labels[] = {
            {"state", tcp_state_key((enum tcp_state)state)},
            {"family", version},
        };
        openmetrics_count(out, family, (struct openmetrics_labels){labels, 2}, counts->n[state]);
    }
}

void openmetrics_states(struct openmetrics *out, const struct tcp_state_counts *v4,
                        const struct tcp_state_counts *v6)
{
    static const struct openmetrics_family family = {"finwait_tcp_connections", OPENMETRICS_GAUGE,
                                                     "",
                                                     "TCP sockets by state, as of the last census"};
    openmetrics_begin(out, &family);
    add_states(out, &family, "ipv4", v4);
    add_states(out, &family, "ipv6", v6);
}

int openmetrics_finish(struct openmetrics *out)
{
    add(out, out->format == OPENMETRICS_1_0 ? "# EOF\n" : "");
    return out->failed ? -ENOMEM : 0;
}

const char *openmetrics_content_type(enum openmetrics_format format)
{
    switch (format) {
    case OPENMETRICS_1_0:
        return "application/openmetrics-text; version=1.0.0; charset=utf-8";
    case OPENMETRICS_TEXT_0_0_4:
        return "text/plain; version=0.0.4; charset=utf-8";
    }
    return "text/plain";
}
