/* What the allocator says about our memory.
 *
 * Layer: server. */
#ifndef FINWAIT_SERVER_MEMORY_H
#define FINWAIT_SERVER_MEMORY_H

#include <stdint.h>

/* Asks jemalloc for the bytes that the program holds allocated. 0 where the program was linked
 * without it, as sanitized builds are. */
uint64_t memory_allocated_bytes(void);

#endif
