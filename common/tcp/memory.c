/* Memory: the owner's allocator, counted; see memory.h. */
#include "tcp/memory.h"

#include <string.h>

#include "base/assert.h"

void *memory_alloc_raw(struct memory *memory, size_t bytes)
{
    ASSERT(bytes > 0);
    void *block = memory->allocate(memory->context, bytes);
    if (block != NULL) {
        memory->bytes += bytes;
    }
    return block;
}

void *memory_alloc(struct memory *memory, size_t bytes)
{
    void *block = memory_alloc_raw(memory, bytes);
    if (block != NULL) {
        memset(block, 0, bytes);
    }
    return block;
}

void memory_release(struct memory *memory, void *block, size_t bytes)
{
    if (block == NULL) {
        return;
    }
    ASSERT(memory->bytes >= bytes);
    memory->bytes -= bytes;
    memory->release(memory->context, block, bytes);
}

void *memory_alloc_lines(struct memory *memory, size_t bytes, uint8_t *before)
{
    *before = 0;
    unsigned char *block = memory_alloc_raw(memory, bytes);
    if (block == NULL || (uintptr_t)block % MEMORY_LINE_BYTES == 0) {
        return block;
    }
    memory_release(memory, block, bytes);
    block = memory_alloc_raw(memory, bytes + MEMORY_LINE_BYTES);
    if (block == NULL) {
        return NULL;
    }
    *before = (uint8_t)(MEMORY_LINE_BYTES - (uintptr_t)block % MEMORY_LINE_BYTES);
    return block + *before;
}

void memory_release_lines(struct memory *memory, void *lines, size_t bytes, uint8_t before)
{
    if (lines != NULL) {
        unsigned char *block = (unsigned char *)lines - before;
        memory_release(memory, block, memory_lines_bytes(bytes, before));
    }
}
