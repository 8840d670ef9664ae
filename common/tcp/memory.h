/* Memory: the owner's allocator, counted.
 *
 * Layer: tcp (L2). Everything that TCP and the stack hold comes from here, so that a host's memory
 * is known to the byte and a leak shows in a test. */
#ifndef FINWAIT_TCP_MEMORY_H
#define FINWAIT_TCP_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct memory {
    void *(*allocate)(void *context, size_t bytes); /* NULL when there is none; any alignment */
    void (*release)(void *context, void *block, size_t bytes);
    void *context;
    size_t bytes; /* held now */
};

/* Allocates zeroed memory; NULL when there is none. */
void *memory_alloc(struct memory *memory, size_t bytes);

/* Allocates memory as it comes, for owners that zero by parts: pages that nothing has used yet cost
 * nothing. NULL when there is none. */
void *memory_alloc_raw(struct memory *memory, size_t bytes);

/* Gives a block back; `bytes` as allocated. NULL is allowed. */
void memory_release(struct memory *memory, void *block, size_t bytes);

#define MEMORY_LINE_BYTES 64u /* a cache line */

/* Allocates memory that begins on a cache line, as it comes. An allocator that aligns by itself is
 * asked for no byte more, so that a power of two stays one; else the block begins `before` bytes
 * (1..64) earlier and is a line larger. NULL when there is none. */
void *memory_alloc_lines(struct memory *memory, size_t bytes, uint8_t *before);
void memory_release_lines(struct memory *memory, void *lines, size_t bytes, uint8_t before);

/* Counts what such a block takes. */
static inline size_t memory_lines_bytes(size_t bytes, uint8_t before)
{
    return before == 0 ? bytes : bytes + MEMORY_LINE_BYTES;
}

/* Under AddressSanitizer a freed record's bytes are poisoned, so that a stale pointer is reported.
 */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define MEMORY_HIDE(bytes, count) ASAN_POISON_MEMORY_REGION(bytes, count)
#define MEMORY_SHOW(bytes, count) ASAN_UNPOISON_MEMORY_REGION(bytes, count)
#else
#define MEMORY_HIDE(bytes, count) ((void)(bytes), (void)(count))
#define MEMORY_SHOW(bytes, count) ((void)(bytes), (void)(count))
#endif

#endif
