/* Command lines: one option's value, from text into its field, its range checked.
 *
 * Layer: base. */
#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/cli_internal.h"
#include "base/clock.h"

#define WHAT_MAX 160
#define CHOICES_MAX 256

static void *field_of(const struct cli_option *option, void *options)
{
    return (unsigned char *)options + option->offset;
}

/* Joins the choices: "auto, uring or epoll". */
static void choices_join(const char *const *choices, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; choices[i] != NULL && length < size; i++) {
        const char *glue = i == 0 ? "" : choices[i + 1u] == NULL ? " or " : ", ";
        int added = snprintf(text + length, size - length, "%s%s", glue, choices[i]);
        length += added > 0 ? (size_t)added : 0;
    }
}

static int store_enum(const struct cli_option *option, int *field, const char *text,
                      const char *what, struct failure *failure)
{
    for (int i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *field = i;
            return 0;
        }
    }
    char valid[CHOICES_MAX];
    choices_join(option->choices, valid, sizeof valid);
    return failure_set(failure, EINVAL, "%s: unknown choice; use %s", what, valid);
}

static int store_on_off(bool *field, const char *text, const char *what, struct failure *failure)
{
    bool on = strcmp(text, "on") == 0;
    if (!on && strcmp(text, "off") != 0) {
        return failure_set(failure, EINVAL, "%s: unknown choice; use on or off", what);
    }
    *field = on;
    return 0;
}

static int store_list(const struct cli_option *option, struct cli_list *list, const char *text,
                      struct failure *failure)
{
    if (list->count == CLI_LIST_MAX) {
        return failure_set(failure, EINVAL,
                           "--%s %.100s: given too often; give it at most %d times", option->name,
                           text, CLI_LIST_MAX);
    }
    list->values[list->count++] = text;
    return 0;
}

static int refuse_range(const struct cli_option *option, const char *what, struct failure *failure)
{
    char range[96];
    cli_format_range(option, range, sizeof range);
    return failure_set(failure, EINVAL, "%s: out of range; use %s", what, range);
}

static int store_number(const struct cli_option *option, uint64_t *field, uint64_t value,
                        const char *what, struct failure *failure)
{
    if (value < option->min || (option->max != 0 && value > option->max)) {
        return refuse_range(option, what, failure);
    }
    *field = value;
    return 0;
}

/* Compares a rate with a bound in events per second, exactly: events * 1 s against bound * period.
 */
static int rate_compare(const struct cli_rate *rate, uint64_t bound)
{
    uint64_t seconds = rate->per_ns / NS_PER_SEC;
    uint64_t events;
    if (__builtin_mul_overflow(bound, seconds, &events)) {
        return -1;
    }
    return rate->events < events ? -1 : rate->events > events;
}

static int store_rate(const struct cli_option *option, struct cli_rate *field,
                      const struct cli_rate *rate, const char *what, struct failure *failure)
{
    if (rate_compare(rate, option->min) < 0 ||
        (option->max != 0 && rate_compare(rate, option->max) > 0)) {
        return refuse_range(option, what, failure);
    }
    *field = *rate;
    return 0;
}

/* Names the range instead of "too large" where there is one to name. */
static int number_failed(int error, const struct cli_option *option, const char *what,
                         struct failure *failure)
{
    if (error == -ERANGE && option->max != 0) {
        return refuse_range(option, what, failure);
    }
    if (error == -ERANGE && failure != NULL) {
        failure->error = EINVAL;
    }
    return -EINVAL;
}

static int store_quantity(const struct cli_option *option, void *field, const char *text,
                          const char *what, struct failure *failure)
{
    uint64_t value = 0;
    int error = option->type == CLI_COUNT   ? cli_value_count(&value, text, what, failure)
                : option->type == CLI_BYTES ? cli_value_bytes(&value, text, what, failure)
                                            : cli_value_duration(&value, text, what, failure);
    if (error != 0) {
        return number_failed(error, option, what, failure);
    }
    return store_number(option, field, value, what, failure);
}

int cli_option_store(const struct cli_option *option, void *options, const char *text,
                     struct failure *failure)
{
    void *field = field_of(option, options);
    ASSERT((text == NULL) == (option->type == CLI_FLAG));
    char what[WHAT_MAX];
    snprintf(what, sizeof what, "--%s %.100s", option->name, text != NULL ? text : "");
    if (text != NULL && text[0] == '\0') {
        char metavar[CHOICES_MAX];
        cli_format_metavar(option, metavar, sizeof metavar);
        return failure_set(failure, EINVAL, "--%s \"\": the value is empty; use --%s %s",
                           option->name, option->name, metavar);
    }
    switch (option->type) {
    case CLI_FLAG:
        *(bool *)field = true;
        return 0;
    case CLI_ON_OFF:
        return store_on_off(field, text, what, failure);
    case CLI_COUNT:
    case CLI_BYTES:
    case CLI_DURATION:
        return store_quantity(option, field, text, what, failure);
    case CLI_RATE: {
        struct cli_rate rate;
        int error = cli_value_rate(&rate, text, what, failure);
        return error != 0 ? number_failed(error, option, what, failure)
                          : store_rate(option, field, &rate, what, failure);
    }
    case CLI_ENUM:
        return store_enum(option, field, text, what, failure);
    case CLI_STRING:
        *(const char **)field = text;
        return 0;
    case CLI_LIST:
        return store_list(option, field, text, failure);
    }
    /* Not reached: the switch has every type. */
    return -EINVAL;
}
