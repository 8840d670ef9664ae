/* CPUs: lists as the kernel writes them ("0-3,8"), what we may use, and pinning.
 *
 * Layer: base. Plain data. */
#ifndef FINWAIT_BASE_CPU_H
#define FINWAIT_BASE_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

#define CPU_LIST_MAX 1024

struct cpu_list {
    uint32_t count;
    uint16_t cpus[CPU_LIST_MAX]; /* ascending, without repeats */
};

/* Reads a list such as "0", "0-1" or "0,2-3". Returns 0 or -EINVAL with the failure's text set; a
 * list with a repeat, a range the wrong way round or a number of CPU_LIST_MAX or more is refused.
 */
int cpu_list_parse(struct cpu_list *list, const char *text, struct failure *failure);

/* Lists the CPUs that this thread may run on. Returns 0 or -errno. */
int cpu_list_allowed(struct cpu_list *list);

/* Makes the list that a program's --cpus asks for: all that this thread may run on when `text` is
 * NULL. Returns 0, or -errno with the failure's text set, which names the option; a CPU that is not
 * there or not allowed is refused. */
int cpu_list_choose(struct cpu_list *list, const char *text, struct failure *failure);

/* Tells whether a CPU is in the list. */
bool cpu_list_has(const struct cpu_list *list, uint32_t cpu);

/* Binds the calling thread to one CPU. Returns 0, -EINVAL (not allowed or not there) or -errno. */
int cpu_pin_self(uint32_t cpu);

#endif
