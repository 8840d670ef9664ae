/* Whether this machine lets transitions be counted.
 *
 * Tests only. Call it in the test's own namespace. */
#ifndef FINWAIT_TESTS_TCPSTAT_TRANSITIONS_READY_H
#define FINWAIT_TESTS_TCPSTAT_TRANSITIONS_READY_H

#include <stdbool.h>
#include <stdio.h>

#include "tcpstat/transitions.h"

/* Tells why they cannot, in the words of a skipped test. */
static inline bool transitions_ready_or_tell(void)
{
    struct failure failure;
    struct transitions *transitions;
    if (transitions_open(&transitions, &(struct transitions_config){0}, &failure) < 0) {
        fprintf(stderr, "skipped: %s\n", failure.text);
        return false;
    }
    transitions_close(transitions);
    return true;
}

#endif
