/* The counters' files to fields and values: pure functions of their text.
 *
 * Layer: tcpstat (L1), private but for tests. Two formats: sockstat has "TCP: inuse 1 tw 2" lines,
 * snmp and netstat have pairs of lines, "Tcp: name name" and "Tcp: value value". */
#ifndef FINWAIT_TCPSTAT_COUNTERS_TEXT_H
#define FINWAIT_TCPSTAT_COUNTERS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tcpstat/counters.h"

#define COUNTER_NAME_MAX 64 /* with its prefix and NUL; the kernel's longest has 37 */

enum counters_format {
    COUNTERS_INLINE, /* "TCP: inuse 1 tw 2" */
    COUNTERS_PAIRED, /* a line of names, a line of values */
};

/* Which lines of a file are taken, and how their fields are named. */
struct counters_file {
    const char *name; /* "sockstat" */
    enum counters_format format;
    const char *prefix;        /* before the line's own: "sockstat." or "" */
    const char *const *wanted; /* NULL-ended: the lines taken, as before the colon; NULL: all */
};

/* The fields of all files, in the order of their values in a snapshot. */
struct counters_layout {
    uint32_t count;
    uint32_t left_out; /* beyond TCPSTAT_COUNTERS_MAX */
    uint16_t
        sorted[TCPSTAT_COUNTERS_MAX]; /* indexes, by name; valid after counters_layout_finish */
    char names[TCPSTAT_COUNTERS_MAX][COUNTER_NAME_MAX];
};

/* Adds a file's fields to the layout. Text that has no fields adds none. */
void counters_layout_add(struct counters_layout *layout, const struct counters_file *file,
                         const char *text, size_t length);

/* Sorts the names. */
void counters_layout_finish(struct counters_layout *layout);

/* Finds a name, or -ENOENT. Requires a finished layout. */
int counters_layout_find(const struct counters_layout *layout, const char *name);

/* Reads a file's values to values[0..capacity). Returns how many there were, also beyond the
 * capacity, or -EPROTO for a value that is no number. */
int counters_values_read(const struct counters_file *file, const char *text, size_t length,
                         uint64_t *values, uint32_t capacity);

#endif
