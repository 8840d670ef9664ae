/* Kind: what stands at one end of a cell, and how its connections are tuned.
 *
 * Layer: bench/lab. */
#ifndef FINWAIT_BENCH_LAB_KIND_H
#define FINWAIT_BENCH_LAB_KIND_H

#include <stdbool.h>

enum lab_kind {
    LAB_KERNEL_URING,
    LAB_KERNEL_EPOLL,
    LAB_STACK_PACKET,
    LAB_STACK_XDP,
    LAB_NULL_PACKET, /* finwait-null: canned segments, the ceiling of packet I/O */
    LAB_NULL_XDP,
};
#define LAB_KIND_COUNT 6
#define LAB_ENGINE_COUNT 4 /* of these, the ones that are TCP */

enum lab_tuning {
    LAB_AS_IT_COMES,
    LAB_TUNED, /* the kernel made to send the stack's 7 segments */
    LAB_EAGER, /* the stack made to send the kernel's 10: every segment acknowledged at once */
};

/* "kernel-uring", "stack-packet" ... */
const char *lab_kind_name(enum lab_kind kind);

/* Finds a kind that is TCP by its name. Returns false when there is none. */
bool lab_kind_find(const char *name, enum lab_kind *kind);

bool lab_kind_is_kernel(enum lab_kind kind);
bool lab_kind_is_stack(enum lab_kind kind);
bool lab_kind_is_null(enum lab_kind kind);

const char *lab_tuning_name(enum lab_tuning tuning);

#endif
