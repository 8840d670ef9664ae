/* Run: the master of a run. It starts the workers and the watch on the kernel, names the time of
 * the first arrival, hears signals, and ends when every worker has.
 *
 * Layer: loadgen (L5). Owner: the main thread. SIGINT and SIGTERM are blocked in all threads and
 * read from a descriptor. The watch's own thread takes a sample a second (run_sample) and prints
 * the progress line. */
#ifndef FINWAIT_LOADGEN_RUN_H
#define FINWAIT_LOADGEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "loadgen/machine.h"
#include "loadgen/options.h"
#include "loadgen/worker.h"
#include "tcpstat/tcpstat.h"
#include "transport/stack_alarm.h"
#include "transport/stack_board.h"
#include "transport/stack_socket.h"

#define RUN_SAMPLES_MAX 86400u /* a day of seconds; a longer run keeps its first day */

/* All workers' counts at one time. */
struct run_sample {
    uint64_t at_ns;
    uint64_t attempted;
    uint64_t completed;
    uint64_t failed;
    uint64_t shed;
    uint64_t time_wait;
};

struct run {
    const struct plan *plan; /* borrowed */
    struct worker_team team;
    uint32_t worker_count; /* that were started */
    struct worker *workers;
    struct stats *total; /* of all workers; after the run */
    uint64_t start_ns;
    uint64_t start_wall_ns;
    bool interrupted;
    bool lingering_cut; /* stack: a signal ended the wait for TIME_WAIT, after the run */
    struct machine_usage before;
    struct machine_usage after; /* when the last worker had no connection left */

    /* The tick thread's while the watch runs, then free to read. */
    struct watch *watch;
    struct run_sample *samples;
    uint32_t sample_count;
    uint32_t sample_capacity;
    uint64_t samples_left_out;
    struct watch_series kernel; /* after the run; with the stack its censuses are the stack's */

    struct stack_board *board;   /* NULL: not the stack */
    struct stack_socket *socket; /* NULL: none */
    struct stack_totals *stack;  /* what the board last said: the tick thread's, then ours */
    struct stack_alarm alarm;    /* as `stack` */
};

/* Makes the whole run. Returns 0 when it took place, interrupted or not; -errno with the text set
 * when it could not begin or an engine broke. run_destroy is due either way. */
int run_make(struct run *run, const struct plan *plan, struct failure *failure);

void run_destroy(struct run *run);

#endif
