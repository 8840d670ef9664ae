/* Command lines: values, ranges and defaults as text.
 *
 * Layer: base. Every function writes as snprintf does and returns the length that the text has or
 * would have; what it writes, cli_option_store reads back to the same value. */
#include <inttypes.h>
#include <string.h>

#include "base/assert.h"
#include "base/cli_internal.h"
#include "base/clock.h"

#define RATE_DECIMALS_MAX 6u
#define VALUE_MAX 96

struct form {
    uint64_t factor;
    const char *suffix;
};

/* A text that grows at its end and counts what did not fit. */
struct appender {
    char *text;
    size_t size;
    size_t length;
};

static struct appender appender_start(char *text, size_t size)
{
    if (size != 0) {
        text[0] = '\0';
    }
    return (struct appender){.text = text, .size = size};
}

static void append(struct appender *out, const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length && out->length + i + 1u < out->size; i++) {
        out->text[out->length + i] = text[i];
    }
    out->length += length;
    if (out->size != 0) {
        out->text[out->length < out->size ? out->length : out->size - 1u] = '\0';
    }
}

static void append_joined(struct appender *out, const char *const *texts, size_t count,
                          const char *glue)
{
    for (size_t i = 0; i < count; i++) {
        append(out, i == 0 ? "" : glue);
        append(out, texts[i]);
    }
}

static size_t choices_count(const char *const *choices)
{
    size_t count = 0;
    while (choices[count] != NULL) {
        count++;
    }
    return count;
}

/* Writes a number in the largest unit that leaves it whole. `forms` end with factor 1. */
static int format_largest(uint64_t number, const struct form *forms, char *text, size_t size)
{
    while (forms->factor != 1 && (number == 0 || number % forms->factor != 0)) {
        forms++;
    }
    return snprintf(text, size, "%" PRIu64 "%s", number / forms->factor,
                    number != 0 ? forms->suffix : "");
}

int cli_format_number(enum cli_type type, uint64_t number, char *text, size_t size)
{
    static const struct form counts[] = {{1000000000, "G"}, {1000000, "M"}, {1000, "k"}, {1, ""}};
    static const struct form bytes[] = {
        {1u << 30, "GiB"}, {1u << 20, "MiB"}, {1u << 10, "KiB"}, {1000000000, "GB"},
        {1000000, "MB"},   {1000, "kB"},      {1, "B"}};
    static const struct form durations[] = {{3600u * NS_PER_SEC, "h"}, {60u * NS_PER_SEC, "m"},
                                            {NS_PER_SEC, "s"},         {NS_PER_MS, "ms"},
                                            {NS_PER_US, "us"},         {1, "ns"}};
    const struct form *forms = type == CLI_BYTES      ? bytes
                               : type == CLI_DURATION ? durations
                                                      : counts;
    return format_largest(number, forms, text, size);
}

/* Tells which power of ten a number above 0 is; false when none up to RATE_DECIMALS_MAX. */
static bool power_of_ten(uint64_t number, uint32_t *power)
{
    *power = 0;
    while (number % 10u == 0) {
        number /= 10u;
        (*power)++;
    }
    return number == 1 && *power <= RATE_DECIMALS_MAX;
}

static int format_rate(const struct cli_rate *rate, char *text, size_t size)
{
    static const struct form periods[] = {{1, "/s"}, {60, "/min"}, {3600, "/h"}};
    char number[VALUE_MAX];
    if (rate->per_ns == 0) {
        return snprintf(text, size, "%s", ""); /* not given */
    }
    uint64_t seconds = rate->per_ns / NS_PER_SEC;
    for (size_t i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        uint64_t power = seconds / periods[i].factor;
        uint32_t decimals;
        if (power == 0 || rate->per_ns != power * periods[i].factor * NS_PER_SEC ||
            !power_of_ten(power, &decimals)) {
            continue;
        }
        if (decimals == 0) {
            cli_format_number(CLI_COUNT, rate->events, number, sizeof number);
        } else {
            snprintf(number, sizeof number, "%" PRIu64 ".%0*" PRIu64, rate->events / power,
                     (int)decimals, rate->events % power);
        }
        return snprintf(text, size, "%s%s", number, periods[i].suffix);
    }
    /* A period that no command line gives: a program's own. */
    return snprintf(text, size, "%" PRIu64 "/%" PRIu64 "ns", rate->events, rate->per_ns);
}

static int format_choice(const struct cli_option *option, int choice, char *text, size_t size)
{
    ASSERT(choice >= 0);
    ASSERT((size_t)choice < choices_count(option->choices));
    return snprintf(text, size, "%s", option->choices[choice]);
}

static int format_list(const struct cli_list *list, char *text, size_t size)
{
    struct appender out = appender_start(text, size);
    append_joined(&out, list->values, list->count, ",");
    return (int)out.length;
}

int cli_format_value(const struct cli_option *option, const void *options, char *text, size_t size)
{
    const void *field = (const unsigned char *)options + option->offset;
    switch (option->type) {
    case CLI_FLAG:
    case CLI_ON_OFF:
        return snprintf(text, size, "%s", *(const bool *)field ? "on" : "off");
    case CLI_COUNT:
    case CLI_BYTES:
    case CLI_DURATION:
        return cli_format_number(option->type, *(const uint64_t *)field, text, size);
    case CLI_RATE:
        return format_rate(field, text, size);
    case CLI_ENUM:
        return format_choice(option, *(const int *)field, text, size);
    case CLI_STRING: {
        const char *string = *(const char *const *)field;
        return snprintf(text, size, "%s", string != NULL ? string : "");
    }
    case CLI_LIST:
        return format_list(field, text, size);
    }
    /* Not reached: the switch has every type. */
    return 0;
}

int cli_format_metavar(const struct cli_option *option, char *text, size_t size)
{
    struct appender out = appender_start(text, size);
    if (option->metavar != NULL) {
        return snprintf(text, size, "%s", option->metavar);
    }
    switch (option->type) {
    case CLI_FLAG:
        return snprintf(text, size, "%s", "");
    case CLI_ON_OFF:
        return snprintf(text, size, "on|off");
    case CLI_COUNT:
        return snprintf(text, size, "N");
    case CLI_BYTES:
        return snprintf(text, size, "BYTES");
    case CLI_DURATION:
        return snprintf(text, size, "TIME");
    case CLI_RATE:
        return snprintf(text, size, "RATE");
    case CLI_ENUM:
        append_joined(&out, option->choices, choices_count(option->choices), "|");
        return (int)out.length;
    case CLI_STRING:
    case CLI_LIST:
        return snprintf(text, size, "TEXT");
    }
    /* Not reached: the switch has every type. */
    return 0;
}

static bool has_range(enum cli_type type)
{
    return type == CLI_COUNT || type == CLI_BYTES || type == CLI_DURATION || type == CLI_RATE;
}

int cli_format_range(const struct cli_option *option, char *text, size_t size)
{
    const char *per = option->type == CLI_RATE ? "/s" : "";
    char min[VALUE_MAX];
    char max[VALUE_MAX];
    if (!has_range(option->type) || (option->min == 0 && option->max == 0)) {
        return snprintf(text, size, "%s", "");
    }
    cli_format_number(option->type, option->min, min, sizeof min);
    if (option->max == 0) {
        return snprintf(text, size, "%s%s or more", min, per);
    }
    cli_format_number(option->type, option->max, max, sizeof max);
    return snprintf(text, size, "%s%s to %s%s", min, per, max, per);
}

int cli_format_help(const struct cli_option *option, char *text, size_t size)
{
    struct appender out = appender_start(text, size);
    char range[2 * VALUE_MAX];
    cli_format_range(option, range, sizeof range);
    append(&out, option->help);
    if (option->type == CLI_ENUM && option->metavar != NULL) {
        append(&out, ": ");
        append_joined(&out, option->choices, choices_count(option->choices), ", ");
    }
    if (option->type == CLI_LIST) {
        append(&out, "; may be repeated");
    }
    const char *open = " (";
    if (option->initial != NULL) {
        append(&out, " (default ");
        append(&out, option->initial);
        open = "; ";
    }
    if (range[0] != '\0') {
        append(&out, open);
        append(&out, range);
        open = "; ";
    }
    append(&out, open[0] == ';' ? ")" : "");
    return (int)out.length;
}
