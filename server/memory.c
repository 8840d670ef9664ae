#include "server/memory.h"

#include <stddef.h>

/* jemalloc's; NULL where it is not linked. Declared here, since its header would make it needed. */
extern int mallctl(const char *name, void *old, size_t *old_size, void *fresh, size_t fresh_size)
    __attribute__((weak));

uint64_t memory_allocated_bytes(void)
{
    if (mallctl == NULL) {
        return 0;
    }
    uint64_t epoch = 1;
    size_t size = sizeof(epoch);
    /* The figures are of the last epoch: begin a new one. */
    if (mallctl("epoch", &epoch, &size, &epoch, size) != 0) {
        return 0;
    }
    size_t allocated;
    size = sizeof(allocated);
    return mallctl("stats.allocated", &allocated, &size, NULL, 0) == 0 ? allocated : 0;
}
