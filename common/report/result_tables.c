/* Result: what is added to a run's tables as it was measured; see result.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "report/result.h"
#include "report/result_table.h"

static int pair_add(struct result_pair **pairs, uint32_t *count, const char *name,
                    const char *value)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (strcmp((*pairs)[i].name, name) == 0) {
            return result_set(&(*pairs)[i].value, value);
        }
    }
    struct result_pair pair = {.name = NULL};
    if (result_text_copy(&pair.name, name) != 0 || result_text_copy(&pair.value, value) != 0) {
        goto err_free_pair;
    }
    struct result_pair *grown = result_table_reserve(*pairs, *count, sizeof(**pairs));
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
    if (result_text_copy(&entry.phase, phase) != 0) {
        return -ENOMEM;
    }
    struct result_error *grown =
        result_table_reserve(result->errors, result->error_count, sizeof(*result->errors));
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
    if (result_text_copy(&entry.name, name) != 0) {
        return -ENOMEM;
    }
    struct result_hist *grown =
        result_table_reserve(result->hists, result->hist_count, sizeof(*result->hists));
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
    if (result_text_copy(&entry.group, group) != 0 ||
        result_text_copy(&entry.name, info->name) != 0 ||
        result_text_copy(&entry.help, info->help) != 0) {
        goto err_free_entry;
    }
    struct result_counter *grown =
        result_table_reserve(result->counters, result->counter_count, sizeof(*result->counters));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->counters = grown;
    grown[result->counter_count++] = entry;
    return 0;

err_free_entry:
    result_counter_free(&entry);
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
        if (result_text_copy(&columns[i], names[i]) != 0) {
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
        uint32_t capacity =
            series->row_capacity == 0 ? RESULT_TABLE_FIRST : series->row_capacity * 2;
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
    if (result_text_copy(&entry.method, census->method) != 0) {
        return -ENOMEM;
    }
    struct result_census *grown =
        result_table_reserve(result->censuses, result->census_count, sizeof(*result->censuses));
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
    if (result_text_copy(&entry.name, name) != 0 || result_text_copy(&entry.state, state) != 0 ||
        result_text_copy(&entry.why, why) != 0) {
        goto err_free_entry;
    }
    struct result_feature *grown =
        result_table_reserve(result->features, result->feature_count, sizeof(*result->features));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->features = grown;
    grown[result->feature_count++] = entry;
    return 0;

err_free_entry:
    result_feature_free(&entry);
    return -ENOMEM;
}
