/* Slots: a ring of chunks, and the compaction of what died in it; see slots.h.
 *
 * Layer: tcp (L2). A chunk is records only, so that it is a power of two of bytes. Positions are 64
 * bits wide and go back only when a compaction ends. */
#include "tcp/slots.h"

#include <string.h>

#include "base/assert.h"
#include "tcp/tuple.h"

#define CHUNK_BYTES ((size_t)SLOTS_CHUNK_RECORDS * SLOTS_RECORD_BYTES)
#define CHUNKS_MAX ((UINT32_C(1) << SLOTS_REFERENCE_BITS) / SLOTS_CHUNK_RECORDS)
#define CHUNKS_MIN 16u
#define REFERENCE_MASK ((UINT32_C(1) << SLOTS_REFERENCE_BITS) - 1u)

static uint32_t reference_of(uint64_t position)
{
    return (uint32_t)position & REFERENCE_MASK;
}

static unsigned char **chunk_of(const struct slots *slots, uint64_t position)
{
    return &slots->chunks[position / SLOTS_CHUNK_RECORDS & (slots->chunk_capacity - 1u)];
}

static unsigned char *record_at(const struct slots *slots, uint64_t position)
{
    return slots_at(slots, reference_of(position));
}

static bool is_dead(const struct slots *slots, uint64_t position)
{
    const struct tuple *tuple = (const struct tuple *)(void *)record_at(slots, position);
    return tuple->local_port == 0;
}

/* Finds the position that a reference in use stands for. */
static uint64_t position_of(const struct slots *slots, uint32_t reference)
{
    return slots->head + ((reference - reference_of(slots->head)) & REFERENCE_MASK);
}

void slots_init(struct slots *slots, struct memory *memory, uint32_t records_max)
{
    ASSERT(records_max <= REFERENCE_MASK);
    *slots = (struct slots){.memory = memory, .records_max = records_max};
}

static void chunk_free(struct slots *slots, unsigned char *chunk)
{
    if (chunk != NULL) {
        memory_release(slots->memory, chunk, CHUNK_BYTES);
        slots->memory_bytes -= CHUNK_BYTES;
    }
}

/* Takes a position's chunk out of the ring: to the spare place, or back. */
static void chunk_drop(struct slots *slots, uint64_t position)
{
    unsigned char **chunk = chunk_of(slots, position);
    if (slots->spare == NULL && slots->live_count > 0) {
        slots->spare = *chunk;
    } else {
        chunk_free(slots, *chunk);
    }
    *chunk = NULL;
}

void slots_destroy(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->chunk_capacity; i++) {
        chunk_free(slots, slots->chunks[i]);
    }
    if (slots->chunks != NULL) {
        chunk_free(slots, slots->spare);
        memory_release(slots->memory, slots->chunks, slots->chunk_capacity * sizeof *slots->chunks);
    }
    *slots = (struct slots){0};
}

/* Doubles the table; chunks go to where their positions are in the larger ring. */
static bool table_grow(struct slots *slots)
{
    struct slots grown = *slots;
    grown.chunk_capacity = slots->chunk_capacity == 0 ? CHUNKS_MIN : 2u * slots->chunk_capacity;
    size_t bytes = grown.chunk_capacity * sizeof *grown.chunks;
    grown.chunks = memory_alloc(slots->memory, bytes);
    if (grown.chunks == NULL) {
        return false;
    }
    grown.memory_bytes += bytes;
    if (slots->chunks != NULL) {
        uint64_t first = slots->head / SLOTS_CHUNK_RECORDS;
        for (uint64_t i = first; i < first + slots->chunk_capacity; i++) {
            *chunk_of(&grown, i * SLOTS_CHUNK_RECORDS) = *chunk_of(slots, i * SLOTS_CHUNK_RECORDS);
        }
        bytes = slots->chunk_capacity * sizeof *slots->chunks;
        memory_release(slots->memory, slots->chunks, bytes);
        grown.memory_bytes -= bytes;
    }
    *slots = grown;
    return true;
}

/* Makes sure that the tail's position has a chunk. */
static bool chunk_add(struct slots *slots)
{
    uint64_t span = slots->tail / SLOTS_CHUNK_RECORDS - slots->head / SLOTS_CHUNK_RECORDS + 1u;
    if (span > CHUNKS_MAX || (span > slots->chunk_capacity && !table_grow(slots))) {
        return false;
    }
    unsigned char **chunk = chunk_of(slots, slots->tail);
    if (*chunk != NULL) {
        return true;
    }
    *chunk = slots->spare;
    slots->spare = NULL;
    if (*chunk == NULL) {
        *chunk = memory_alloc_raw(slots->memory, CHUNK_BYTES);
        slots->memory_bytes += *chunk != NULL ? CHUNK_BYTES : 0;
    }
    return *chunk != NULL;
}

void *slots_append(struct slots *slots, uint32_t *reference)
{
    if (slots->live_count == slots->records_max) {
        return NULL;
    }
    if (slots->tail % SLOTS_CHUNK_RECORDS == 0 && !chunk_add(slots)) {
        return NULL;
    }
    unsigned char *record = record_at(slots, slots->tail);
    memset(record, 0, SLOTS_RECORD_BYTES);
    *reference = reference_of(slots->tail++);
    slots->live_count++;
    return record;
}

/* Moves the head, giving back the chunks that it leaves. */
static void head_move(struct slots *slots, uint64_t position)
{
    uint64_t last = position / SLOTS_CHUNK_RECORDS;
    for (uint64_t i = slots->head / SLOTS_CHUNK_RECORDS; i < last; i++) {
        chunk_drop(slots, i * SLOTS_CHUNK_RECORDS);
    }
    slots->head = position;
}

/* Passes over the dead slots at the head. The gap that a compaction has made is passed in one. */
static void head_pass_dead(struct slots *slots)
{
    uint64_t position = slots->head;
    while (position < slots->tail) {
        if (slots->compacting && position == slots->compact_to && position < slots->compact_from) {
            position = slots->compact_from;
        } else if (is_dead(slots, position)) {
            position++;
        } else {
            break;
        }
    }
    head_move(slots, position);
    if (slots->compacting && position > slots->compact_to) {
        slots->compact_to = position;
        slots->compact_from = position > slots->compact_from ? position : slots->compact_from;
    }
}

void slots_release(struct slots *slots, uint32_t reference)
{
    uint64_t position = position_of(slots, reference);
    ASSERT(position < slots->tail);
    ASSERT(!is_dead(slots, position));
    memset(record_at(slots, position), 0, SLOTS_RECORD_BYTES);
    slots->live_count--;
    if (position == slots->head) {
        head_pass_dead(slots);
    }
    if (slots->live_count == 0) {
        slots->compacting = false;
        chunk_free(slots, slots->spare);
        slots->spare = NULL;
    }
}

void *slots_ahead(const struct slots *slots, uint32_t count)
{
    uint64_t position = slots->head + count;
    return position < slots->tail && !is_dead(slots, position) ? record_at(slots, position) : NULL;
}

void slots_prefetch(const struct slots *slots, uint32_t count)
{
    uint64_t position = slots->head + count;
    if (position < slots->tail) {
        __builtin_prefetch(record_at(slots, position), 1);
    }
}

bool slots_wants_compaction(const struct slots *slots)
{
    uint64_t dead_count = slots->tail - slots->head - slots->live_count;
    return slots->compacting ||
           (dead_count > slots->live_count && dead_count >= SLOTS_CHUNK_RECORDS);
}

/* Lets the tail come back behind the last record that was moved. */
static void compaction_end(struct slots *slots)
{
    uint64_t first_beyond = (slots->compact_to + SLOTS_CHUNK_RECORDS - 1u) / SLOTS_CHUNK_RECORDS;
    uint64_t end = (slots->tail + SLOTS_CHUNK_RECORDS - 1u) / SLOTS_CHUNK_RECORDS;
    for (uint64_t i = first_beyond; i < end; i++) {
        unsigned char **chunk = chunk_of(slots, i * SLOTS_CHUNK_RECORDS);
        chunk_free(slots, *chunk);
        *chunk = NULL;
    }
    slots->tail = slots->compact_to;
    slots->compacting = false;
}

void slots_compact(struct slots *slots, uint32_t count,
                   void (*moved)(void *context, uint32_t from, uint32_t to), void *context)
{
    if (!slots->compacting) {
        slots->compacting = true;
        slots->compact_from = slots->head;
        slots->compact_to = slots->head;
    }
    for (uint32_t i = 0; i < count && slots->compact_from < slots->tail; i++) {
        uint64_t from = slots->compact_from++;
        if (is_dead(slots, from)) {
            continue;
        }
        uint64_t to = slots->compact_to++;
        if (from != to) {
            memcpy(record_at(slots, to), record_at(slots, from), SLOTS_RECORD_BYTES);
            memset(record_at(slots, from), 0, SLOTS_RECORD_BYTES);
            moved(context, reference_of(from), reference_of(to));
        }
    }
    if (slots->compact_from == slots->tail) {
        compaction_end(slots);
    }
}

void *slots_next(const struct slots *slots, uint64_t *position, uint32_t *reference)
{
    uint64_t here = *position > slots->head ? *position : slots->head;
    while (here < slots->tail && is_dead(slots, here)) {
        here++;
    }
    *position = here + 1u;
    if (here >= slots->tail) {
        return NULL;
    }
    *reference = reference_of(here);
    return record_at(slots, here);
}
