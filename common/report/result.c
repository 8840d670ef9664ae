/* Result: the owner of a run's tables; see result.h. */
#include "report/result.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Capacity of a table when its first entry comes; from there on it doubles. */
#define TABLE_FIRST 8u

/* A limit's sentence is cut here; a longer one would not be read. */
#define LIMIT_TEXT_MAX 1024

bool result_is_known(struct result_number number)
{
    switch (number.kind) {
    case RESULT_UNKNOWN:
        return false;
    case RESULT_COUNT:
        return true;
    case RESULT_REAL:
        return isfinite(number.real);
    }
    return false;
}

double result_as_double(struct result_number number)
{
    ASSERT(result_is_known(number));
    return number.kind == RESULT_COUNT ? (double)number.count : number.real;
}

/* Copies a text into a field; NULL stays NULL. */
static int text_copy(char **field, const char *text)
{
    *field = NULL;
    if (text == NULL) {
        return 0;
    }
    *field = strdup(text);
    return *field == NULL ? -ENOMEM : 0;
}

/* Makes room for one more entry in a table. The capacity is not stored: it is the smallest of 8,
 * 16, 32, ... that holds `count`, so a table grows exactly when its count is one of these. */
static void *table_reserve(void *table, uint32_t count, size_t entry_bytes)
{
    if (count == 0) {
        return calloc(TABLE_FIRST, entry_bytes);
    }
    bool is_full = count >= TABLE_FIRST && (count & (count - 1)) == 0;
    return is_full ? reallocarray(table, (size_t)count * 2, entry_bytes) : table;
}

int result_init(struct result *result, const char *program)
{
    memset(result, 0, sizeof(*result));
    int error = text_copy(&result->program, program);
    if (error == 0) {
        error = text_copy(&result->version, FINWAIT_VERSION);
    }
    if (error != 0) {
        result_destroy(result);
    }
    return error;
}

static void pairs_free(struct result_pair *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
}

static void strings_free(struct result *result)
{
    free(result->program);
    free(result->version);
    free(result->command_line);
    free(result->engine);
    free(result->engine_why);
    free(result->closer);
    free(result->close_how);
    free(result->time_wait.basis);
}

static void check_free(struct result_check *check)
{
    free(check->name);
    free(check->note);
}

static void feature_free(struct result_feature *feature)
{
    free(feature->name);
    free(feature->state);
    free(feature->why);
}

static void counter_free(struct result_counter *counter)
{
    free(counter->group);
    free(counter->name);
    free(counter->help);
}

static void limit_free(struct result_limit *limit)
{
    free(limit->code);
    free(limit->text);
}

static void series_free(struct result_series *series)
{
    for (uint32_t i = 0; i < series->column_count; i++) {
        free(series->columns[i]);
    }
    free(series->columns);
    free(series->cells);
}

void result_destroy(struct result *result)
{
    strings_free(result);
    pairs_free(result->options, result->option_count);
    pairs_free(result->host, result->host_count);
    pairs_free(result->sysctls, result->sysctl_count);
    for (uint32_t i = 0; i < result->error_count; i++) {
        free(result->errors[i].phase);
    }
    for (uint32_t i = 0; i < result->hist_count; i++) {
        free(result->hists[i].name);
    }
    for (uint32_t i = 0; i < result->counter_count; i++) {
        counter_free(&result->counters[i]);
    }
    for (uint32_t i = 0; i < result->census_count; i++) {
        free(result->censuses[i].method);
    }
    for (uint32_t i = 0; i < result->feature_count; i++) {
        feature_free(&result->features[i]);
    }
    for (uint32_t i = 0; i < result->check_count; i++) {
        check_free(&result->checks[i]);
    }
    for (uint32_t i = 0; i < result->limit_count; i++) {
        limit_free(&result->limits[i]);
    }
    free(result->errors);
    free(result->hists);
    free(result->counters);
    free(result->censuses);
    free(result->features);
    free(result->checks);
    free(result->limits);
    series_free(&result->series);
    memset(result, 0, sizeof(*result));
}

int result_set(char **field, const char *text)
{
    char *copy = NULL;
    int error = text_copy(&copy, text);
    if (error != 0) {
        return error;
    }
    free(*field);
    *field = copy;
    return 0;
}

/* Tells whether a shell takes a word as it stands. */
static bool word_is_plain(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=.,:/@%+[]";
    return *word != '\0' && word[strspn(word, plain)] == '\0';
}

/* Writes a word in single quotes; a quote inside becomes '\'' as shells want it. */
static void word_quote(FILE *out, const char *word)
{
    fputc('\'', out);
    for (const char *at = word; *at != '\0'; at++) {
        if (*at == '\'') {
            fputs("'\\''", out);
        } else {
            fputc(*at, out);
        }
    }
    fputc('\'', out);
}

int result_set_command_line(struct result *result, int argc, char *const *argv)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return -ENOMEM;
    }
    for (int i = 0; i < argc; i++) {
        if (i > 0) {
            fputc(' ', out);
        }
        if (word_is_plain(argv[i])) {
            fputs(argv[i], out);
        } else {
            word_quote(out, argv[i]);
        }
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return -ENOMEM;
    }
    free(result->command_line);
    result->command_line = text;
    return 0;
}

static int pair_add(struct result_pair **pairs, uint32_t *count, const char *name,
                    const char *value)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp((*pairs)[i].name, name) == 0) {
            return result_set(&(*pairs)[i].value, value);
        }
    }
    struct result_pair pair = {.name = NULL};
    if (text_copy(&pair.name, name) != 0 || text_copy(&pair.value, value) != 0) {
        goto err_free_pair;
    }
    struct result_pair *grown = table_reserve(*pairs, *count, sizeof(**pairs));
    if (grown == NULL) {
        goto err_free_pair;
    }
    grown[*count] = pair;
    *pairs = grown;
    *count += 1;
    return 0;

err_free_pair:
    free(pair.name);
    free(pair.value);
    return -ENOMEM;
}

int result_add_option(struct result *result, const char *name, const char *value)
{
    return pair_add(&result->options, &result->option_count, name, value);
}

int result_add_host(struct result *result, const char *name, const char *value)
{
    return pair_add(&result->host, &result->host_count, name, value);
}

int result_add_sysctl(struct result *result, const char *name, const char *value)
{
    return pair_add(&result->sysctls, &result->sysctl_count, name, value);
}

/* Adds one option of a table; the value is formatted twice, since its length comes out of the
 * first. */
static int option_add(struct result *result, const struct cli_option *option, const void *options)
{
    int length = cli_format_value(option, options, NULL, 0);
    ASSERT(length >= 0);
    size_t size = (size_t)length + 1;
    char *text = malloc(size);
    if (text == NULL) {
        return -ENOMEM;
    }
    cli_format_value(option, options, text, size);
    int error = result_add_option(result, option->name, text);
    free(text);
    return error;
}

int result_add_options(struct result *result, const struct cli_program *program,
                       const void *options)
{
    for (size_t i = 0; i < program->option_count; i++) {
        int error = option_add(result, &program->options[i], options);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int result_add_error(struct result *result, const char *phase, int error, uint64_t count)
{
    ASSERT(error > 0);
    if (count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < result->error_count; i++) {
        if (result->errors[i].error == error && strcmp(result->errors[i].phase, phase) == 0) {
            result->errors[i].count += count;
            return 0;
        }
    }
    struct result_error entry = {.error = error, .count = count};
    if (text_copy(&entry.phase, phase) != 0) {
        return -ENOMEM;
    }
    struct result_error *grown =
        table_reserve(result->errors, result->error_count, sizeof(*result->errors));
    if (grown == NULL) {
        free(entry.phase);
        return -ENOMEM;
    }
    result->errors = grown;
    grown[result->error_count++] = entry;
    return 0;
}

const struct hist *result_find_hist(const struct result *result, const char *name,
                                    enum result_origin origin)
{
    for (uint32_t i = 0; i < result->hist_count; i++) {
        if (result->hists[i].origin == origin && strcmp(result->hists[i].name, name) == 0) {
            return result->hists[i].hist;
        }
    }
    return NULL;
}

int result_add_hist(struct result *result, const char *name, enum result_origin origin,
                    const struct hist *hist)
{
    ASSERT(hist != NULL);
    ASSERT(result_find_hist(result, name, origin) == NULL);
    struct result_hist entry = {.origin = origin, .hist = hist};
    if (text_copy(&entry.name, name) != 0) {
        return -ENOMEM;
    }
    struct result_hist *grown =
        table_reserve(result->hists, result->hist_count, sizeof(*result->hists));
    if (grown == NULL) {
        free(entry.name);
        return -ENOMEM;
    }
    result->hists = grown;
    grown[result->hist_count++] = entry;
    return 0;
}

/* Appends a counter of strings that are borrowed; they are copied here. */
static int counter_append(struct result *result, const struct counter_info *info, const char *group,
                          struct result_number value)
{
    struct result_counter entry = {.value = value};
    if (text_copy(&entry.group, group) != 0 || text_copy(&entry.name, info->name) != 0 ||
        text_copy(&entry.help, info->help) != 0) {
        goto err_free_entry;
    }
    struct result_counter *grown =
        table_reserve(result->counters, result->counter_count, sizeof(*result->counters));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->counters = grown;
    grown[result->counter_count++] = entry;
    return 0;

err_free_entry:
    counter_free(&entry);
    return -ENOMEM;
}

int result_add_counter(struct result *result, const char *group, const char *name,
                       struct result_number value)
{
    struct counter_info info = {.name = name};
    return counter_append(result, &info, group, value);
}

int result_add_counters(struct result *result, const char *group, const struct counter_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        int error = counter_append(result, &view->infos[i], group, result_count(view->values[i]));
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

int result_series_columns(struct result *result, const char *const *names, uint32_t count)
{
    struct result_series *series = &result->series;
    ASSERT(count > 0);
    ASSERT(series->column_count == 0);
    char **columns = calloc(count, sizeof(*columns));
    if (columns == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (text_copy(&columns[i], names[i]) != 0) {
            goto err_free_columns;
        }
    }
    series->columns = columns;
    series->column_count = count;
    return 0;

err_free_columns:
    for (uint32_t i = 0; i < count; i++) {
        free(columns[i]);
    }
    free(columns);
    return -ENOMEM;
}

int result_series_add_row(struct result *result, const struct result_number *cells)
{
    struct result_series *series = &result->series;
    ASSERT(series->column_count > 0);
    size_t row_bytes = series->column_count * sizeof(*cells);
    if (series->row_count == series->row_capacity) {
        uint32_t capacity = series->row_capacity == 0 ? TABLE_FIRST : series->row_capacity * 2;
        struct result_number *grown = reallocarray(series->cells, capacity, row_bytes);
        if (grown == NULL) {
            return -ENOMEM;
        }
        series->cells = grown;
        series->row_capacity = capacity;
    }
    memcpy(&series->cells[(size_t)series->row_count * series->column_count], cells, row_bytes);
    series->row_count++;
    return 0;
}

int result_add_census(struct result *result, const struct result_census *census)
{
    struct result_census entry = *census;
    if (text_copy(&entry.method, census->method) != 0) {
        return -ENOMEM;
    }
    struct result_census *grown =
        table_reserve(result->censuses, result->census_count, sizeof(*result->censuses));
    if (grown == NULL) {
        free(entry.method);
        return -ENOMEM;
    }
    result->censuses = grown;
    grown[result->census_count++] = entry;
    return 0;
}

int result_add_feature(struct result *result, const char *name, const char *state, const char *why)
{
    struct result_feature entry = {.name = NULL};
    if (text_copy(&entry.name, name) != 0 || text_copy(&entry.state, state) != 0 ||
        text_copy(&entry.why, why) != 0) {
        goto err_free_entry;
    }
    struct result_feature *grown =
        table_reserve(result->features, result->feature_count, sizeof(*result->features));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->features = grown;
    grown[result->feature_count++] = entry;
    return 0;

err_free_entry:
    feature_free(&entry);
    return -ENOMEM;
}

/* Counts are compared as integers, since a double holds only 53 bits of them. */
static enum result_check_outcome check_decide(const struct result_check *check)
{
    struct result_number a = check->expected;
    struct result_number b = check->measured;
    if (!result_is_known(a) || !result_is_known(b)) {
        return RESULT_CHECK_UNKNOWN;
    }
    double difference = fabs(result_as_double(a) - result_as_double(b));
    if (a.kind == RESULT_COUNT && b.kind == RESULT_COUNT) {
        difference = (double)(a.count > b.count ? a.count - b.count : b.count - a.count);
    }
    return difference <= check->tolerance ? RESULT_CHECK_OK : RESULT_CHECK_FAILED;
}

int result_add_check(struct result *result, const struct result_check *check)
{
    struct result_check entry = *check;
    entry.name = NULL;
    entry.note = NULL;
    entry.outcome = check_decide(check);
    if (text_copy(&entry.name, check->name) != 0 || text_copy(&entry.note, check->note) != 0) {
        goto err_free_entry;
    }
    struct result_check *grown =
        table_reserve(result->checks, result->check_count, sizeof(*result->checks));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->checks = grown;
    grown[result->check_count++] = entry;
    return 0;

err_free_entry:
    check_free(&entry);
    return -ENOMEM;
}

int result_add_limit(struct result *result, enum result_weight weight, const char *code,
                     const char *format, ...)
{
    char text[LIMIT_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    struct result_limit entry = {.weight = weight};
    if (text_copy(&entry.code, code) != 0 || text_copy(&entry.text, text) != 0) {
        goto err_free_entry;
    }
    struct result_limit *grown =
        table_reserve(result->limits, result->limit_count, sizeof(*result->limits));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->limits = grown;
    grown[result->limit_count++] = entry;
    return 0;

err_free_entry:
    limit_free(&entry);
    return -ENOMEM;
}
