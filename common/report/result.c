/* Result: the owner of a run's tables; see result.h. */
#include "report/result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "report/result_table.h"

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

int result_text_copy(char **field, const char *text)
{
    *field = NULL;
    if (text == NULL) {
        return 0;
    }
    *field = strdup(text);
    return *field == NULL ? -ENOMEM : 0;
}

void *result_table_reserve(void *table, uint32_t count, size_t entry_bytes)
{
    if (count == 0) {
        return calloc(RESULT_TABLE_FIRST, entry_bytes);
    }
    bool is_full = count >= RESULT_TABLE_FIRST && (count & (count - 1)) == 0;
    return is_full ? reallocarray(table, (size_t)count * 2, entry_bytes) : table;
}

int result_init(struct result *result, const char *program)
{
    memset(result, 0, sizeof(*result));
    int error = result_text_copy(&result->program, program);
    if (error == 0) {
        error = result_text_copy(&result->version, FINWAIT_VERSION);
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

void result_check_free(struct result_check *check)
{
    free(check->name);
    free(check->note);
}

void result_feature_free(struct result_feature *feature)
{
    free(feature->name);
    free(feature->state);
    free(feature->why);
}

void result_counter_free(struct result_counter *counter)
{
    free(counter->group);
    free(counter->name);
    free(counter->help);
}

void result_limit_free(struct result_limit *limit)
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
        result_counter_free(&result->counters[i]);
    }
    for (uint32_t i = 0; i < result->census_count; i++) {
        free(result->censuses[i].method);
    }
    for (uint32_t i = 0; i < result->feature_count; i++) {
        result_feature_free(&result->features[i]);
    }
    for (uint32_t i = 0; i < result->check_count; i++) {
        result_check_free(&result->checks[i]);
    }
    for (uint32_t i = 0; i < result->limit_count; i++) {
        result_limit_free(&result->limits[i]);
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
    int error = result_text_copy(&copy, text);
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
