/* io_uring: what this kernel has, ring set-up, submission, waiting, and receive buffers in groups.
 *
 * Layer: L1. A ring belongs to the one thread that opened it. Memory: the ring's is the kernel's
 * and ours to unmap in uring_close; buffers are mapped in groups of their own. Time comes in as
 * durations.
 *
 * Features are probed, never inferred from a version string, and each can be forced off, so that
 * every fall-back can be tested on a kernel that has them all. */
#ifndef FINWAIT_URING_URING_H
#define FINWAIT_URING_URING_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"
#include "base/sockopt.h"

enum uring_feature {
#define FEATURE(id, name, since, help, fallback) URING_FEATURE_##id,
#include "uring/features.def"
#undef FEATURE
    URING_FEATURE_COUNT
};

#define URING_BIT(id) (UINT64_C(1) << URING_FEATURE_##id)

struct uring_feature_info {
    const char *name;
    const char *since; /* the kernel that brought it */
    const char *help;
    const char *fallback;
};

extern const struct uring_feature_info uring_feature_infos[URING_FEATURE_COUNT];

/* Finds out which features this kernel has, leaving out those in `off`. Stores their bits. Returns
 * 0, or -errno with the text set when io_uring cannot be used at all: forbidden (EPERM), not built
 * in (ENOSYS), or without the buffer rings and sparse file tables of Linux 5.19 (EOPNOTSUPP). */
int uring_probe(uint64_t off, uint64_t *features, struct failure *failure);

struct uring {
    struct io_uring ring;
    uint64_t features;
    uint32_t table_size;            /* slots of the direct descriptors' table; 0: none */
    uint64_t enters;                /* system calls made */
    bool queued;                    /* SQEs wait for the next enter */
    struct __kernel_timespec alarm; /* read by the kernel when the alarm is submitted */
};

struct uring_config {
    uint32_t sq_entries; /* power of two */
    uint32_t cq_entries; /* power of two, larger than sq_entries */
    uint32_t table_size; /* direct descriptors; at most RLIMIT_NOFILE and 2^20 */
    uint64_t features;   /* from uring_probe */
};

/* Opens a ring in the thread that will use it. Returns 0 or -errno with the text set. */
int uring_open(struct uring *uring, const struct uring_config *config, struct failure *failure);
void uring_close(struct uring *uring);

/* Takes a cleared SQE, submitting first when the queue is full. Never NULL. */
struct io_uring_sqe *uring_sqe(struct uring *uring);

/* Makes room for `count` SQEs, so that a linked chain does not straddle two submissions. */
void uring_reserve(struct uring *uring, uint32_t count);

/* Submits what is queued and runs the kernel's deferred work, without waiting. Returns 0 or -errno.
 */
int uring_flush(struct uring *uring);

/* A wait as long as this (146 years) needs no end; one without an end saves the kernel a timer. */
#define URING_WAIT_FOREVER_NS (UINT64_C(1) << 62)

/* Submits and waits for one completion, for at most `timeout_ns`. Returns 0 (also when time ran out
 * or a signal came) or -errno. */
int uring_wait(struct uring *uring, uint64_t timeout_ns);

/* Queues a completion, with `user_data`, for so long from when it is submitted. Its result is
 * -ETIME.
 */
void uring_alarm(struct uring *uring, uint64_t delay_ns, uint64_t user_data);

/* Tells whether completions or deferred work are waiting; no system call. */
bool uring_has_work(struct uring *uring);

/* Tells whether the kernel holds completions back because the queue is full; none is lost. */
bool uring_cq_overflowed(const struct uring *uring);

/* Prepare operations that liburing 2.3 does not know. The option's value must stay valid until the
 * operation completes. */
void uring_prep_bind(struct io_uring_sqe *sqe, int fd, const struct sockaddr *address,
                     socklen_t length);
void uring_prep_setsockopt(struct io_uring_sqe *sqe, int fd, const struct socket_option *option);

/* A group of receive buffers that the kernel picks from. */
struct uring_buffers {
    struct io_uring_buf_ring *ring;
    uint8_t *data;
    uint32_t *next;  /* by buffer: link in its owner's queue */
    uint32_t *sizes; /* by buffer: bytes that it holds while lent */
    size_t data_bytes;
    uint32_t count; /* power of two, at most 2^15 */
    uint32_t bytes; /* of one buffer */
    uint32_t stride;
    uint32_t lent; /* buffers that the kernel does not have */
    uint16_t group;
};

/* Maps and registers a group with all buffers handed to the kernel. Returns 0 or -errno. */
int uring_buffers_open(struct uring_buffers *buffers, struct uring *uring, uint16_t group,
                       uint32_t count, uint32_t bytes);
/* Unmaps. The ring must have been closed before. */
void uring_buffers_close(struct uring_buffers *buffers);

static inline uint8_t *uring_buffers_data(const struct uring_buffers *buffers, uint32_t index)
{
    return buffers->data + (size_t)index * buffers->stride;
}

/* Gives a buffer back to the kernel. */
void uring_buffers_give(struct uring_buffers *buffers, uint32_t index);

#endif
