/* Ring set-up, submission and waiting. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "base/clock.h"
#include "uring/uring.h"

/* Numbers of Linux that the headers of liburing 2.3 lack (include/uapi/linux/io_uring.h). */
#define URING_OP_BIND 56
#define URING_CMD_SETSOCKOPT 3

static unsigned setup_flags(uint64_t features)
{
    unsigned flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    if (features & URING_BIT(SINGLE_ISSUER)) {
        flags |= IORING_SETUP_SINGLE_ISSUER;
    }
    if (features & URING_BIT(DEFER_TASKRUN)) {
        flags |= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    } else {
        flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    }
    return flags;
}

static int open_failed(struct failure *failure, int error, const char *what)
{
    if (error == EMFILE || error == ENFILE) {
        return failure_set(failure, error,
                           "io_uring: %s: no descriptors left; raise RLIMIT_NOFILE "
                           "(ulimit -n)",
                           what);
    }
    return failure_set(failure, error, "io_uring: %s: %s", what, strerror(error));
}

int uring_open(struct uring *uring, const struct uring_config *config, struct failure *failure)
{
    struct io_uring_params params = {0};
    memset(uring, 0, sizeof(*uring));
    params.flags = setup_flags(config->features);
    params.cq_entries = config->cq_entries;
    int rc = io_uring_queue_init_params(config->sq_entries, &uring->ring, &params);
    if (rc != 0) {
        return open_failed(failure, -rc, "set-up");
    }
    uring->features = config->features;
    if (config->table_size != 0) {
        rc = io_uring_register_files_sparse(&uring->ring, config->table_size);
        if (rc != 0) {
            io_uring_queue_exit(&uring->ring);
            return open_failed(failure, -rc, "table of direct descriptors");
        }
        uring->table_size = config->table_size;
    }
    if (config->features & URING_BIT(RING_FD)) {
        /* Only a saving: without it the plain descriptor serves. */
        (void)io_uring_register_ring_fd(&uring->ring);
    }
    return 0;
}

void uring_close(struct uring *uring)
{
    io_uring_queue_exit(&uring->ring);
}

struct io_uring_sqe *uring_sqe(struct uring *uring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    while (sqe == NULL) {
        uring->enters++;
        /* -EBUSY and -EAGAIN mean that the completion queue must be worked off first; the kernel
         * keeps completions that do not fit, so another try takes them over. */
        int rc = io_uring_submit_and_get_events(&uring->ring);
        ASSERT(rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR);
        sqe = io_uring_get_sqe(&uring->ring);
    }
    uring->queued = true;
    return sqe;
}

void uring_reserve(struct uring *uring, uint32_t count)
{
    while (io_uring_sq_space_left(&uring->ring) < count) {
        uring->enters++;
        int rc = io_uring_submit_and_get_events(&uring->ring);
        ASSERT(rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR);
    }
}

static int enter_result(int rc)
{
    /* A full completion queue, a signal and a time-out are all reasons to look at the completions.
     */
    if (rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR || rc == -ETIME) {
        return 0;
    }
    return rc;
}

/* The kernel may leave SQEs in the queue: all when it is out of memory or its completion queue is
 * full, those behind one that it refuses otherwise. They go with the next enter. */
static int submitted(struct uring *uring, int rc)
{
    uring->queued = io_uring_sq_ready(&uring->ring) != 0;
    return enter_result(rc);
}

int uring_flush(struct uring *uring)
{
    uring->enters++;
    return submitted(uring, io_uring_submit_and_get_events(&uring->ring));
}

static struct __kernel_timespec timespec_of(uint64_t ns)
{
    return (struct __kernel_timespec){.tv_sec = (long long)(ns / NS_PER_SEC),
                                      .tv_nsec = (long long)(ns % NS_PER_SEC)};
}

void uring_alarm(struct uring *uring, uint64_t delay_ns, uint64_t user_data)
{
    uring->alarm = timespec_of(delay_ns);
    struct io_uring_sqe *sqe = uring_sqe(uring);
    io_uring_prep_timeout(sqe, &uring->alarm, 0, 0);
    io_uring_sqe_set_data64(sqe, user_data);
}

int uring_wait(struct uring *uring, uint64_t timeout_ns)
{
    int rc;
    uring->enters++;
    if (timeout_ns >= URING_WAIT_FOREVER_NS) {
        rc = io_uring_submit_and_wait(&uring->ring, 1);
    } else {
        struct io_uring_cqe *cqe;
        struct __kernel_timespec timeout = timespec_of(timeout_ns);
        rc = io_uring_submit_and_wait_timeout(&uring->ring, &cqe, 1, &timeout, NULL);
    }
    return submitted(uring, rc);
}

bool uring_has_work(struct uring *uring)
{
    unsigned flags = __atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED);
    return io_uring_cq_ready(&uring->ring) != 0 ||
           (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

bool uring_cq_overflowed(const struct uring *uring)
{
    return (__atomic_load_n(uring->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW) != 0;
}

void uring_prep_bind(struct io_uring_sqe *sqe, int fd, const struct sockaddr *address,
                     socklen_t length)
{
    io_uring_prep_rw(URING_OP_BIND, sqe, fd, address, 0, length);
}

void uring_prep_setsockopt(struct io_uring_sqe *sqe, int fd, const struct socket_option *option)
{
    /* The fields have names of their own only in newer headers: cmd_op lies over off, level and
     * optname over addr, optlen over splice_fd_in, optval over addr3. */
    uint32_t words[2] = {(uint32_t)option->level, (uint32_t)option->name};
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, fd, NULL, 0, URING_CMD_SETSOCKOPT);
    memcpy(&sqe->addr, words, sizeof(words));
    sqe->splice_fd_in = (int32_t)option->length;
    sqe->__pad2[0] = 0;
    sqe->addr3 = (uint64_t)(uintptr_t)option->value;
}
