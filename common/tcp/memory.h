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

/* Gives a block back; `bytes` as allocated. NULL is allowed. */
void memory_release(struct memory *memory, void *block, size_t bytes);

#endif
