/* Result: cross-checks and limits, which a run is judged by; see result.h. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "report/result.h"
#include "report/result_table.h"

/* A limit's sentence is cut here; a longer one would not be read. */
#define LIMIT_TEXT_MAX 1024

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
    if (result_text_copy(&entry.name, check->name) != 0 ||
        result_text_copy(&entry.note, check->note) != 0) {
        goto err_free_entry;
    }
    struct result_check *grown =
        result_table_reserve(result->checks, result->check_count, sizeof(*result->checks));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->checks = grown;
    grown[result->check_count++] = entry;
    return 0;

err_free_entry:
    result_check_free(&entry);
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
    if (result_text_copy(&entry.code, code) != 0 || result_text_copy(&entry.text, text) != 0) {
        goto err_free_entry;
    }
    struct result_limit *grown =
        result_table_reserve(result->limits, result->limit_count, sizeof(*result->limits));
    if (grown == NULL) {
        goto err_free_entry;
    }
    result->limits = grown;
    grown[result->limit_count++] = entry;
    return 0;

err_free_entry:
    result_limit_free(&entry);
    return -ENOMEM;
}
