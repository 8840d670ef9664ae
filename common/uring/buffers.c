/* Groups of receive buffers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "uring/uring.h"

/* Buffers of a page each would all begin in the same cache sets; a line more spreads them. */
#define BUFFER_STAGGER_BYTES 64u

static void *map_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t ring_bytes(const struct uring_buffers *buffers)
{
    return buffers->count * sizeof(struct io_uring_buf);
}

static int buffers_register(struct uring_buffers *buffers, struct uring *uring)
{
    struct io_uring_buf_reg registration = {.ring_addr = (uint64_t)(uintptr_t)buffers->ring,
                                            .ring_entries = buffers->count,
                                            .bgid = buffers->group};
    int rc = io_uring_register_buf_ring(&uring->ring, &registration, 0);
    if (rc != 0) {
        return rc;
    }
    io_uring_buf_ring_init(buffers->ring);
    for (uint32_t i = 0; i < buffers->count; i++) {
        io_uring_buf_ring_add(buffers->ring, uring_buffers_data(buffers, i), buffers->bytes,
                              (unsigned short)i, (int)buffers->count - 1, (int)i);
    }
    io_uring_buf_ring_advance(buffers->ring, (int)buffers->count);
    return 0;
}

int uring_buffers_open(struct uring_buffers *buffers, struct uring *uring, uint16_t group,
                       uint32_t count, uint32_t bytes)
{
    ASSERT(count != 0 && (count & (count - 1)) == 0 && count <= 1u << 15);
    *buffers = (struct uring_buffers){
        .count = count, .bytes = bytes, .stride = bytes + BUFFER_STAGGER_BYTES, .group = group};
    buffers->data_bytes = (size_t)count * buffers->stride;
    int rc = -ENOMEM;
    buffers->ring = map_memory(ring_bytes(buffers));
    buffers->data = map_memory(buffers->data_bytes);
    buffers->next = calloc(count, sizeof(*buffers->next));
    buffers->sizes = calloc(count, sizeof(*buffers->sizes));
    if (buffers->ring != NULL && buffers->data != NULL && buffers->next != NULL &&
        buffers->sizes != NULL) {
        rc = buffers_register(buffers, uring);
    }
    if (rc != 0) {
        uring_buffers_close(buffers);
    }
    return rc;
}

void uring_buffers_close(struct uring_buffers *buffers)
{
    if (buffers->ring != NULL) {
        munmap(buffers->ring, ring_bytes(buffers));
    }
    if (buffers->data != NULL) {
        munmap(buffers->data, buffers->data_bytes);
    }
    free(buffers->next);
    free(buffers->sizes);
    memset(buffers, 0, sizeof(*buffers));
}

void uring_buffers_give(struct uring_buffers *buffers, uint32_t index)
{
    ASSERT(buffers->lent > 0);
    buffers->lent--;
    io_uring_buf_ring_add(buffers->ring, uring_buffers_data(buffers, index), buffers->bytes,
                          (unsigned short)index, (int)buffers->count - 1, 0);
    io_uring_buf_ring_advance(buffers->ring, 1);
}
