/* Ring set-up, submission and receive buffers of the floor. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "ring.h"

#define SQ_ENTRIES 1024u
#define CQ_ENTRIES 8192u

/* Numbers of Linux that the headers of liburing 2.3 lack (include/uapi/linux/io_uring.h). */
#define OP_FIXED_FD_INSTALL 54
#define OP_BIND 56
#define CMD_SETSOCKOPT 3

static void *map_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int buffers_open(struct ring *ring)
{
    ring->buffers = map_memory(RING_BUFFERS * sizeof(struct io_uring_buf));
    ring->data = map_memory((size_t)RING_BUFFERS * RING_BUFFER_STRIDE);
    if (ring->buffers == NULL || ring->data == NULL) {
        return -ENOMEM;
    }
    struct io_uring_buf_reg reg = {.ring_addr = (uint64_t)(uintptr_t)ring->buffers,
                                   .ring_entries = RING_BUFFERS};
    int rc = io_uring_register_buf_ring(&ring->uring, &reg, 0);
    if (rc != 0) {
        return rc;
    }
    io_uring_buf_ring_init(ring->buffers);
    for (uint16_t i = 0; i < RING_BUFFERS; i++) {
        ring_give(ring, i);
    }
    return 0;
}

int ring_open(struct ring *ring, uint32_t table)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN |
                                              IORING_SETUP_TASKRUN_FLAG,
                                     .cq_entries = CQ_ENTRIES};
    int rc = io_uring_queue_init_params(SQ_ENTRIES, &ring->uring, &params);
    if (rc != 0) {
        return rc;
    }
    rc = io_uring_register_files_sparse(&ring->uring, table);
    if (rc == 0) {
        rc = io_uring_register_ring_fd(&ring->uring) == 1 ? 0 : -EINVAL;
    }
    return rc == 0 ? buffers_open(ring) : rc;
}

struct io_uring_sqe *ring_sqe(struct ring *ring)
{
    struct io_uring_sqe *sqe;
    while ((sqe = io_uring_get_sqe(&ring->uring)) == NULL) {
        (void)ring_wait(ring, 0);
    }
    return sqe;
}

void ring_reserve(struct ring *ring, unsigned count)
{
    while (io_uring_sq_space_left(&ring->uring) < count) {
        (void)ring_wait(ring, 0);
    }
}

int ring_wait(struct ring *ring, unsigned count)
{
    int rc = count == 0 ? io_uring_submit_and_get_events(&ring->uring)
                        : io_uring_submit_and_wait(&ring->uring, count);
    /* A full completion queue and a signal are both reasons to look at the completions. */
    return rc >= 0 || rc == -EBUSY || rc == -EAGAIN || rc == -EINTR ? 0 : rc;
}

void ring_give(struct ring *ring, uint16_t index)
{
    io_uring_buf_ring_add(ring->buffers, ring_buffer(ring, index), RING_BUFFER_BYTES, index,
                          RING_BUFFERS - 1, 0);
    io_uring_buf_ring_advance(ring->buffers, 1);
}

void ring_prep_bind(struct io_uring_sqe *sqe, int file, const struct sockaddr_in *address)
{
    io_uring_prep_rw(OP_BIND, sqe, file, address, 0, sizeof(*address));
}

void ring_prep_setsockopt(struct io_uring_sqe *sqe, int file, int level, int name)
{
    /* Newer headers name these fields: level and optname lie over addr. */
    uint32_t words[2] = {(uint32_t)level, (uint32_t)name};
    io_uring_prep_rw(IORING_OP_URING_CMD, sqe, file, NULL, 0, CMD_SETSOCKOPT);
    memcpy(&sqe->addr, words, sizeof(words));
}

void ring_set_value(struct io_uring_sqe *sqe, const void *value, uint32_t bytes)
{
    /* optlen lies over splice_fd_in, optval over addr3. */
    sqe->splice_fd_in = (int32_t)bytes;
    sqe->__pad2[0] = 0;
    sqe->addr3 = (uint64_t)(uintptr_t)value;
}

void ring_prep_install(struct io_uring_sqe *sqe, int file)
{
    io_uring_prep_rw(OP_FIXED_FD_INSTALL, sqe, file, NULL, 0, 0);
}
