/* What this kernel's io_uring can do: each feature is asked for, or tried, once. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "uring/uring.h"

#define PROBE_OP_BIND 56 /* IORING_OP_BIND, not in liburing 2.3 */

const struct uring_feature_info uring_feature_infos[URING_FEATURE_COUNT] = {
#define FEATURE(id, name, since, help, fallback) {name, since, help, fallback},
#include "uring/features.def"
#undef FEATURE
};

static bool flags_work(unsigned flags)
{
    struct io_uring ring;
    struct io_uring_params params = {.flags = flags};
    if (io_uring_queue_init_params(4, &ring, &params) != 0) {
        return false;
    }
    io_uring_queue_exit(&ring);
    return true;
}

static bool op_known(const struct io_uring_probe *probe, int op)
{
    return op <= probe->last_op && (probe->ops[op].flags & IO_URING_OP_SUPPORTED) != 0;
}

/* Sets an option of a real socket in the ring; nothing else tells whether the command is there. */
static bool setsockopt_works(struct io_uring *ring)
{
    static const int on = 1;
    const struct socket_option option = {IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    struct io_uring_cqe *cqe;
    bool works = false;
    uring_prep_setsockopt(io_uring_get_sqe(ring), fd, &option);
    if (io_uring_submit_and_wait(ring, 1) == 1 && io_uring_peek_cqe(ring, &cqe) == 0) {
        works = cqe->res == 0;
        io_uring_cqe_seen(ring, cqe);
    }
    close(fd);
    return works;
}

/* The buffer rings and sparse tables of Linux 5.19, which nothing here does without. */
static int check_baseline(struct io_uring *ring)
{
    size_t bytes = 8 * sizeof(struct io_uring_buf);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return -ENOMEM;
    }
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)memory, .ring_entries = 8, .bgid = 0};
    int rc = io_uring_register_buf_ring(ring, &registration, 0);
    if (rc == 0) {
        io_uring_unregister_buf_ring(ring, 0);
        rc = io_uring_register_files_sparse(ring, 4);
    }
    munmap(memory, bytes);
    return rc;
}

static uint64_t probe_features(struct io_uring *ring, const struct io_uring_probe *probe)
{
    uint64_t found = 0;
    if (flags_work(IORING_SETUP_SINGLE_ISSUER)) {
        found |= URING_BIT(SINGLE_ISSUER);
    }
    if (flags_work(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)) {
        found |= URING_BIT(DEFER_TASKRUN);
    }
    if (io_uring_register_ring_fd(ring) == 1) {
        found |= URING_BIT(RING_FD);
    }
    /* Multishot accept has no mark of its own; it came with the SOCKET operation. */
    if (op_known(probe, IORING_OP_SOCKET)) {
        found |= URING_BIT(DIRECT) | URING_BIT(SOCKET_OP) | URING_BIT(ACCEPT_MULTISHOT);
    }
    if (op_known(probe, IORING_OP_URING_CMD) && setsockopt_works(ring)) {
        found |= URING_BIT(SETSOCKOPT_OP);
    }
    if (op_known(probe, PROBE_OP_BIND)) {
        found |= URING_BIT(BIND_OP);
    }
    return found;
}

static int probe_failed(struct failure *failure, int error)
{
    switch (error) {
    case EPERM:
    case EACCES:
        return failure_set(failure, error,
                           "io_uring is forbidden here (sysctl kernel.io_uring_disabled "
                           "or a container's seccomp filter); use --engine epoll");
    case ENOSYS:
        return failure_set(failure, error,
                           "this kernel is built without io_uring; use --engine epoll");
    case EMFILE:
    case ENFILE:
        return failure_set(failure, error,
                           "io_uring: no descriptor left for a ring; raise RLIMIT_NOFILE "
                           "(ulimit -n)");
    case ENOMEM:
        return failure_set(failure, error,
                           "io_uring: out of memory, or over RLIMIT_MEMLOCK "
                           "(ulimit -l); use --engine epoll");
    default:
        return failure_set(failure, EOPNOTSUPP,
                           "this kernel's io_uring lacks buffer rings or sparse file "
                           "tables (Linux 5.19): %s; use --engine epoll",
                           strerror(error));
    }
}

int uring_probe(uint64_t off, uint64_t *features, struct failure *failure)
{
    struct io_uring ring;
    struct io_uring_params params = {0};
    int rc = io_uring_queue_init_params(8, &ring, &params);
    if (rc != 0) {
        return probe_failed(failure, -rc);
    }
    rc = check_baseline(&ring);
    if (rc != 0) {
        io_uring_queue_exit(&ring);
        return probe_failed(failure, -rc);
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    if (probe == NULL) {
        io_uring_queue_exit(&ring);
        return probe_failed(failure, ENOMEM);
    }
    *features = probe_features(&ring, probe) & ~off;
    if (!(*features & URING_BIT(SINGLE_ISSUER))) {
        *features &= ~URING_BIT(DEFER_TASKRUN); /* the kernel asks for both together */
    }
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
    return 0;
}
