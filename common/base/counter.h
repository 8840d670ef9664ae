/* Named counters: every limit, drop and refusal has a name and a help text, declared once.
 *
 * Layer: base. A module keeps a list file, e.g. transport/counters.def, of lines
 * COUNTER(name, "help"), and includes it to make its enum and its table:
 *
 *     enum transport_counter {
 *     #define COUNTER(name, help) TRANSPORT_COUNTER_##name,
 *     #include "transport/counters.def"
 *     #undef COUNTER
 *         TRANSPORT_COUNTER_COUNT
 *     };
 */
#ifndef FINWAIT_BASE_COUNTER_H
#define FINWAIT_BASE_COUNTER_H

#include <stddef.h>
#include <stdint.h>

struct counter_info {
    const char *name; /* lower case with underscores; a JSON key */
    const char *help; /* one line */
};

/* A view of a module's counters: values[i] belongs to infos[i]. Borrows both. */
struct counter_view {
    const struct counter_info *infos;
    const uint64_t *values;
    size_t count;
};

#endif
