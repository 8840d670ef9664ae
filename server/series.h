/* The report's series: a row a second while the server runs.
 *
 * Layer: server; the main thread. The rows are the result's; the struct holds the last sums, from
 * which rates are taken. */
#ifndef FINWAIT_SERVER_SERIES_H
#define FINWAIT_SERVER_SERIES_H

#include <stdint.h>

#include "report/result.h"
#include "server/worker.h"
#include "tcpstat/tcpstat.h"

/* Rows that are kept: a day of seconds. A longer run keeps its first day, and the report says so.
 */
#define SERIES_ROWS_MAX 86400u

/* The workers' progress, added up. */
struct series_sums {
    uint64_t at_ns;
    uint64_t accepted;
    uint64_t completed;
    uint64_t failed;
    uint64_t open;
};

struct series {
    uint64_t start_ns;
    struct series_sums last;
    uint64_t time_wait_max; /* of the stack's, over the rows */
    uint64_t left_out;      /* rows that found no room, or no memory */
};

/* Names the columns. Returns 0 or -ENOMEM. */
int series_begin(struct result *result);

/* Where a row's states come from; each may be NULL. */
struct series_states {
    struct watch *watch;              /* the kernel's, unless there is a stack */
    const struct stack_totals *stack; /* as just read */
};

/* Adds a row with what came since the last one. */
void series_tick(struct series *series, struct result *result, const struct series_sums *now,
                 const struct series_states *states);

/* Adds up what the workers have published. */
struct series_sums series_sum(struct worker *workers, uint32_t count, uint64_t now_ns);

#endif
