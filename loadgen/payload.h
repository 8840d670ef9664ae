/* Payload: the bytes that connections send, and what must come back.
 *
 * Layer: loadgen (L5). One instance, made before the workers start and constant from then on,
 * shared by all. Every echo of every connection sends a window of one random pattern, at an offset
 * drawn from the connection's global index and the echo's number: so bytes of another connection,
 * of another echo or of another place in the stream do not compare equal, and sending needs no
 * memory of its own. */
#ifndef FINWAIT_LOADGEN_PAYLOAD_H
#define FINWAIT_LOADGEN_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

#define PAYLOAD_BYTES_MAX (UINT64_C(16) << 20)

/* Offsets to choose from. Small enough that the pattern of a short payload stays in the
 * second-level cache; two echoes share an offset, and would be confused, once in so many. */
#define PAYLOAD_OFFSETS 8192u

struct payload {
    uint8_t *bytes;        /* owned */
    uint64_t size;         /* of one echo's request */
    uint32_t offset_count; /* 1: every request is the same (a file) */
    uint64_t seed;
};

/* Makes a random pattern for requests of `size` bytes. Returns 0 or -ENOMEM. */
int payload_make(struct payload *payload, uint64_t size, uint64_t seed);

/* Takes a file's bytes as every request. Returns 0, or -errno with the text set; an empty file and
 * one over PAYLOAD_BYTES_MAX are refused. */
int payload_load(struct payload *payload, const char *path, struct failure *failure);

/* Frees the bytes. Safe on a zeroed struct. */
void payload_destroy(struct payload *payload);

/* Draws the offset of an echo's window. */
uint32_t payload_offset(const struct payload *payload, uint64_t conn_index, uint64_t echo);

/* Finds the bytes of a window; `size` of them, constant. */
static inline const uint8_t *payload_at(const struct payload *payload, uint32_t offset)
{
    return payload->bytes + offset;
}

/* Tells whether `count` received bytes are those that come after the first `received` of a window.
 * Requires received + count <= size. */
bool payload_matches(const struct payload *payload, uint32_t offset, uint64_t received,
                     const void *data, size_t count);

#endif
