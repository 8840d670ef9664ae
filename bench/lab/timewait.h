/* Timewait: what TIME_WAIT does and why it exists, each behaviour shown by doing it.
 *
 * Layer: bench/lab. A demonstration checks what it claims: a line is printed with what was
 * measured, as "ok" or "NOT SHOWN", and what was not shown makes the exit code 4. Files:
 * timewait_kernel.c, timewait_reuse.c and timewait_ports.c show the kernel's behaviours with
 * sockets of their own; timewait_stack.c the stack's, over a link in memory and on virtual time;
 * timewait_churn.c the pile-up, the plateau and the drain of both, under the programs' load. */
#ifndef FINWAIT_BENCH_LAB_TIMEWAIT_H
#define FINWAIT_BENCH_LAB_TIMEWAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper.h"
#include "options.h"
#include "place.h"

/* What demonstrations share. */
struct timewait {
    struct keeper *keeper;
    const struct timewait_options *options;
    struct place place;
    uint32_t shown;
    uint32_t not_shown;
    bool stopped;         /* a signal asked to stop */
    uint64_t lifetime_ns; /* of the kernel's TIME_WAIT, mean; 0: not measured */
};

/* Prints the heading of one behaviour, with its explanation in a line. */
void timewait_head(const char *name, const char *explanation);

/* Prints one measured line, and counts whether it holds; does nothing once a signal asked to stop.
 */
void timewait_check(struct timewait *timewait, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The churn's rate that the options ask for. */
double timewait_rate(const struct timewait *timewait);

/* Waits, or with 0 only looks; returns false when a signal asks to stop. */
bool timewait_pause(struct timewait *timewait, uint64_t ns);

struct socket_stage;

/* Opens namespaces and sockets to show something in, or counts that it could not. */
bool timewait_open_stage(struct timewait *timewait, struct socket_stage *stage);

/* The demonstrations. */
void timewait_show_sides(struct timewait *timewait);
void timewait_show_restart(struct timewait *timewait);
void timewait_show_timestamps(struct timewait *timewait);
void timewait_show_tw_reuse(struct timewait *timewait);
void timewait_show_ports(struct timewait *timewait);
void timewait_show_buckets(struct timewait *timewait);
void timewait_show_duplicate(struct timewait *timewait);
void timewait_show_last_ack(struct timewait *timewait);
void timewait_show_stack_reuse(struct timewait *timewait);
void timewait_show_churn_kernel(struct timewait *timewait);
void timewait_show_churn_stack(struct timewait *timewait);
void timewait_show_churn_memory(struct timewait *timewait);

/* Checks the names of the parts. Returns 0, or -EINVAL with the text set. */
int timewait_check_parts(const struct timewait_options *options, struct failure *failure);

/* Runs all; returns the exit code. */
int timewait_run(struct keeper *keeper, const struct timewait_options *options);

#endif
