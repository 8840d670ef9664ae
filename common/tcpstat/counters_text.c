#include "tcpstat/counters_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* A piece of the text; not NUL-ended. */
struct span {
    const char *at;
    size_t length;
};

/* Cuts the first piece up to `end` off; false when nothing is left. */
static bool cut_until(struct span *rest, char end, struct span *piece)
{
    if (rest->length == 0) {
        return false;
    }
    const char *found = memchr(rest->at, end, rest->length);
    piece->at = rest->at;
    piece->length = found == NULL ? rest->length : (size_t)(found - rest->at);
    const size_t passed = piece->length + (found != NULL);
    rest->at += passed;
    rest->length -= passed;
    return true;
}

/* Cuts the next word off; words are set apart by one or more spaces. */
static bool cut_word(struct span *rest, struct span *word)
{
    while (cut_until(rest, ' ', word)) {
        if (word->length > 0) {
            return true;
        }
    }
    return false;
}

static bool span_is(struct span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.at, text, span.length) == 0;
}

static bool is_wanted(const struct counters_file *file, struct span line_name)
{
    if (file->wanted == NULL) {
        return true;
    }
    for (const char *const *wanted = file->wanted; *wanted != NULL; wanted++) {
        if (span_is(line_name, *wanted)) {
            return true;
        }
    }
    return false;
}

/* A line that is taken: what stands before the colon, and the names and values behind it. For the
 * inline format both are the same words, in turn. */
struct line {
    struct span name;
    struct span names;
    struct span values;
};

/* Cuts the next line, or pair of lines, off that is wanted. */
static bool cut_line(const struct counters_file *file, struct span *rest, struct line *line)
{
    struct span names;
    while (cut_until(rest, '\n', &names)) {
        struct span values = names;
        if (file->format == COUNTERS_PAIRED && !cut_until(rest, '\n', &values)) {
            return false; /* cut after the names */
        }
        if (!cut_until(&names, ':', &line->name) || !cut_until(&values, ':', &(struct span){0})) {
            continue;
        }
        if (is_wanted(file, line->name)) {
            line->names = names;
            line->values = values;
            return true;
        }
    }
    return false;
}

static bool cut_name(const struct counters_file *file, struct span *rest, struct span *name)
{
    if (!cut_word(rest, name)) {
        return false;
    }
    struct span value;
    return file->format == COUNTERS_PAIRED || cut_word(rest, &value);
}

static bool cut_value(const struct counters_file *file, struct span *rest, struct span *value)
{
    struct span name;
    return (file->format == COUNTERS_PAIRED || cut_word(rest, &name)) && cut_word(rest, value);
}

static void layout_add_name(struct counters_layout *layout, const char *prefix, struct span line,
                            struct span name)
{
    if (layout->count == TCPSTAT_COUNTERS_MAX) {
        layout->left_out++;
        return;
    }
    snprintf(layout->names[layout->count], COUNTER_NAME_MAX, "%s%.*s.%.*s", prefix,
             (int)line.length, line.at, (int)name.length, name.at);
    layout->count++;
}

void counters_layout_add(struct counters_layout *layout, const struct counters_file *file,
                         const char *text, size_t length)
{
    struct span rest = {text, length};
    struct line line;
    while (cut_line(file, &rest, &line)) {
        struct span name;
        while (cut_name(file, &line.names, &name)) {
            layout_add_name(layout, file->prefix, line.name, name);
        }
    }
}

static int compare_names(const void *a, const void *b, void *names)
{
    const char(*table)[COUNTER_NAME_MAX] = names;
    return strcmp(table[*(const uint16_t *)a], table[*(const uint16_t *)b]);
}

void counters_layout_finish(struct counters_layout *layout)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        layout->sorted[i] = (uint16_t)i;
    }
    qsort_r(layout->sorted, layout->count, sizeof(layout->sorted[0]), compare_names, layout->names);
}

int counters_layout_find(const struct counters_layout *layout, const char *name)
{
    uint32_t low = 0;
    uint32_t high = layout->count;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const int order = strcmp(name, layout->names[layout->sorted[middle]]);
        if (order == 0) {
            return layout->sorted[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return -ENOENT;
}

/* Reads a decimal number, wrapped to 64 bits; a minus gives the two's complement. */
static bool parse_value(struct span word, uint64_t *value)
{
    const bool negative = word.length > 1 && word.at[0] == '-';
    uint64_t sum = 0;
    for (size_t i = negative ? 1 : 0; i < word.length; i++) {
        if (word.at[i] < '0' || word.at[i] > '9') {
            return false;
        }
        sum = sum * 10 + (uint64_t)(word.at[i] - '0');
    }
    *value = negative ? UINT64_C(0) - sum : sum;
    return true;
}

int counters_values_read(const struct counters_file *file, const char *text, size_t length,
                         uint64_t *values, uint32_t capacity)
{
    struct span rest = {text, length};
    struct line line;
    uint32_t count = 0;
    while (cut_line(file, &rest, &line)) {
        struct span word;
        while (cut_value(file, &line.values, &word)) {
            uint64_t value;
            if (!parse_value(word, &value)) {
                return -EPROTO;
            }
            if (count < capacity) {
                values[count] = value;
            }
            count++;
        }
    }
    return (int)count;
}
