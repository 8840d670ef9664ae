/* The floor's ring and its receive buffers. Both belong to the one process that opened them and go
 * when it ends. */
#ifndef FINWAIT_BENCH_FLOOR_RING_H
#define FINWAIT_BENCH_FLOOR_RING_H

#include <liburing.h>
#include <stdint.h>

#include "floor.h"

#define RING_BUFFERS 256u
#define RING_BUFFER_BYTES 4096u
#define RING_BUFFER_STRIDE (RING_BUFFER_BYTES + 64u) /* so that buffers begin in different sets */

struct ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buffers;
    uint8_t *data;
};

/* What a completion is of: the operation, the file's slot, and a buffer where one is sent from. */
struct ring_tag {
    uint8_t op;
    uint32_t file;
    uint16_t buffer;
};

static inline uint64_t ring_tag_pack(struct ring_tag tag)
{
    return (uint64_t)tag.op << 56 | (uint64_t)tag.file << 16 | tag.buffer;
}

static inline struct ring_tag ring_tag_unpack(uint64_t word)
{
    return (struct ring_tag){(uint8_t)(word >> 56), (uint32_t)(word >> 16), (uint16_t)word};
}

/* Opens a ring with a table of `table` direct descriptors and its buffers. Returns 0 or -errno. */
int ring_open(struct ring *ring, uint32_t table);

/* Takes a cleared SQE, submitting what is queued when there is none. */
struct io_uring_sqe *ring_sqe(struct ring *ring);

/* Makes room for a chain, which must not straddle two submissions. */
void ring_reserve(struct ring *ring, unsigned count);

/* Submits and waits for at least `count` completions. Returns 0 or -errno. */
int ring_wait(struct ring *ring, unsigned count);

/* Hands a buffer back to the kernel. */
void ring_give(struct ring *ring, uint16_t index);

static inline uint8_t *ring_buffer(const struct ring *ring, uint16_t index)
{
    return ring->data + (size_t)index * RING_BUFFER_STRIDE;
}

/* Operations that liburing 2.3 does not know. */
void ring_prep_bind(struct io_uring_sqe *sqe, int file, const struct sockaddr_in *address);
void ring_prep_install(struct io_uring_sqe *sqe, int file);
void ring_prep_setsockopt(struct io_uring_sqe *sqe, int file, int level, int name);
void ring_set_value(struct io_uring_sqe *sqe, const void *value, uint32_t bytes);

#endif
