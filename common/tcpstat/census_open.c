/* Which method a census is taken by.
 *
 * Layer: tcpstat (L1). */
#include <errno.h>
#include <stdio.h>

#include "tcpstat/census.h"

/* The cheapest first: the order in which CENSUS_AUTO tries. */
static const struct {
    enum census_method method;
    const char *name;
    int (*open)(struct census **census, struct failure *failure);
} openers[] = {
    {CENSUS_BPF, "bpf", census_open_bpf},
    {CENSUS_SOCK_DIAG, "sock_diag", census_open_sock_diag},
    {CENSUS_PROCFS, "procfs", census_open_procfs},
};

#define OPENER_COUNT (sizeof(openers) / sizeof(openers[0]))

const char *const census_method_choices[] = {
    [CENSUS_AUTO] = "auto", [CENSUS_PROCFS] = "procfs", [CENSUS_SOCK_DIAG] = "sock_diag",
    [CENSUS_BPF] = "bpf",   [CENSUS_BPF + 1] = NULL,
};

/* Adds a line's part for a method that was passed over. */
static void note(struct census_passed_over *passed_over, const char *name,
                 const struct failure *failure)
{
    if (passed_over == NULL) {
        return;
    }
    const size_t used = strlen(passed_over->text);
    snprintf(passed_over->text + used, sizeof(passed_over->text) - used, "%s%s: %s",
             used == 0 ? "" : "; ", name, failure->text);
}

int census_open(struct census **census, enum census_method method,
                struct census_passed_over *passed_over, struct failure *failure)
{
    if (passed_over != NULL) {
        passed_over->text[0] = '\0';
    }
    int error = -EINVAL;
    for (size_t i = 0; i < OPENER_COUNT; i++) {
        if (method != CENSUS_AUTO && method != openers[i].method) {
            continue;
        }
        struct failure cause;
        error = openers[i].open(census, &cause);
        if (error == 0) {
            return 0;
        }
        failure_set(failure, -error, "%s: %s", openers[i].name, cause.text);
        note(passed_over, openers[i].name, &cause);
    }
    return error;
}
