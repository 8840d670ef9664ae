/* The rules that a run must keep: see rules.h.
 *
 * Layer: tests. */
#include "sim/rules.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[RULE_COUNT] = {
    "none",
#define RULE(name, help) #name,
#include "sim/rules.def"
#undef RULE
};

static const char *const helps[RULE_COUNT] = {
    "all is well",
#define RULE(name, help) help,
#include "sim/rules.def"
#undef RULE
};

const char *rule_name(enum rule rule)
{
    return names[rule];
}

const char *rule_help(enum rule rule)
{
    return helps[rule];
}

bool violate(struct violation *violation, enum rule rule, const char *format, ...)
{
    if (violation->rule != RULE_NONE) {
        return false;
    }
    violation->rule = rule;
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 does not see the va_start
    (void)vsnprintf(violation->text, sizeof(violation->text), format, arguments);
    va_end(arguments);
    return false;
}
