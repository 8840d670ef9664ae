/* The rules that a run must keep, and the first one that was broken.
 *
 * Layer: tests. Plain data. Only the first violation is kept: what follows it proves nothing. */
#ifndef FINWAIT_TESTS_SIM_RULES_H
#define FINWAIT_TESTS_SIM_RULES_H

#include <stdbool.h>
#include <stdint.h>

enum rule {
    RULE_NONE,
#define RULE(name, help) RULE_##name,
#include "sim/rules.def"
#undef RULE
    RULE_COUNT
};

struct violation {
    enum rule rule; /* RULE_NONE: all is well */
    uint64_t at_ns;
    char text[400]; /* what was seen, with numbers */
};

const char *rule_name(enum rule rule);
const char *rule_help(enum rule rule);

/* Keeps a violation unless there is one already. Returns false, so that a check can return it. */
__attribute__((format(printf, 3, 4))) bool violate(struct violation *violation, enum rule rule,
                                                   const char *format, ...);

#endif
