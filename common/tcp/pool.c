/* Pool: a table of chunks; in each a free list through the records and a bit for each that lives.
 *
 * Layer: tcp (L2). A chunk's records are a block of their own, so that a power of two of them is
 * one for the allocator too. A record is made when it is first handed out, not when its chunk
 * comes: pages that no record has used cost nothing. */
#include "tcp/pool.h"

#include <string.h>

#include "base/assert.h"

#define NO_CHUNK UINT32_MAX
#define NO_RECORD UINT32_MAX
#define PLACES_MIN 64u

struct pool_chunk {
    uint32_t live_count;
    uint32_t made_count;
    uint32_t free_head;     /* within the chunk, or NO_RECORD; a free record begins with the next */
    uint8_t records_before; /* see memory_alloc_lines */
    uint64_t live[];        /* a bit a record */
};

static uint32_t chunk_records(const struct pool *pool)
{
    return UINT32_C(1) << pool->chunk_shift;
}

static size_t records_bytes(const struct pool *pool)
{
    return (size_t)pool->record_bytes << pool->chunk_shift;
}

static uint32_t live_words(const struct pool *pool)
{
    return (chunk_records(pool) + 63u) / 64u;
}

static size_t chunk_bytes(const struct pool *pool)
{
    return sizeof(struct pool_chunk) + live_words(pool) * sizeof(uint64_t);
}

static size_t table_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct pool_place) + capacity / 64u * sizeof(uint64_t);
}

static void set_room(struct pool *pool, uint32_t number, bool has_room)
{
    uint64_t bit = UINT64_C(1) << number % 64u;
    if (has_room) {
        pool->rooms[number / 64u] |= bit;
        pool->chunk_lowest = number < pool->chunk_lowest ? number : pool->chunk_lowest;
    } else {
        pool->rooms[number / 64u] &= ~bit;
    }
}

void pool_init(struct pool *pool, const struct pool_config *config)
{
    ASSERT(config->record_bytes >= sizeof(uint64_t));
    ASSERT(config->record_bytes % 8u == 0);
    ASSERT(config->chunk_shift >= 4);
    ASSERT(config->chunk_shift <= 16);
    ASSERT(config->records_max > 0);
    ASSERT(config->records_max < UINT32_C(1) << POOL_INDEX_BITS);
    *pool = (struct pool){
        .memory = config->memory,
        .record_bytes = config->record_bytes,
        .chunk_shift = config->chunk_shift,
        .records_max = config->records_max,
        .chunk_empty = NO_CHUNK,
    };
}

/* Makes room for more places. Returns false when memory is out. */
static bool table_grow(struct pool *pool)
{
    uint32_t capacity = pool->chunk_capacity == 0 ? PLACES_MIN : 2u * pool->chunk_capacity;
    struct pool_place *places = memory_alloc(pool->memory, table_bytes(capacity));
    if (places == NULL) {
        return false;
    }
    uint64_t *rooms = (uint64_t *)(void *)(places + capacity);
    if (pool->places != NULL) {
        memcpy(places, pool->places, pool->chunk_capacity * sizeof *places);
        memcpy(rooms, pool->rooms, pool->chunk_capacity / 64u * sizeof *rooms);
        memory_release(pool->memory, pool->places, table_bytes(pool->chunk_capacity));
        pool->memory_bytes -= table_bytes(pool->chunk_capacity);
    }
    pool->memory_bytes += table_bytes(capacity);
    pool->places = places;
    pool->rooms = rooms;
    pool->chunk_capacity = capacity;
    return true;
}

static void chunk_release(struct pool *pool, uint32_t number)
{
    struct pool_place *place = &pool->places[number];
    uint8_t before = place->chunk->records_before;
    pool->memory_bytes -= memory_lines_bytes(records_bytes(pool), before) + chunk_bytes(pool);
    MEMORY_SHOW(place->records, records_bytes(pool));
    memory_release_lines(pool->memory, place->records, records_bytes(pool), before);
    memory_release(pool->memory, place->chunk, chunk_bytes(pool));
    *place = (struct pool_place){0};
    pool->chunk_count--;
    set_room(pool, number, false);
}

/* Puts a new chunk at the lowest free place, and tells which; NO_CHUNK when memory is out. */
static uint32_t chunk_add(struct pool *pool)
{
    uint32_t number = 0;
    while (number < pool->chunk_capacity && pool->places[number].chunk != NULL) {
        number++;
    }
    if (number == pool->chunk_capacity && !table_grow(pool)) {
        return NO_CHUNK;
    }
    struct pool_chunk *chunk = memory_alloc(pool->memory, chunk_bytes(pool));
    if (chunk == NULL) {
        return NO_CHUNK;
    }
    unsigned char *records =
        memory_alloc_lines(pool->memory, records_bytes(pool), &chunk->records_before);
    if (records == NULL) {
        memory_release(pool->memory, chunk, chunk_bytes(pool));
        return NO_CHUNK;
    }
    MEMORY_HIDE(records, records_bytes(pool));
    chunk->free_head = NO_RECORD;
    pool->memory_bytes +=
        memory_lines_bytes(records_bytes(pool), chunk->records_before) + chunk_bytes(pool);
    pool->places[number] = (struct pool_place){.records = records, .chunk = chunk};
    pool->chunk_count++;
    set_room(pool, number, true);
    pool->chunk_empty = number;
    return number;
}

/* Finds the lowest chunk with room, or NO_CHUNK. */
static uint32_t chunk_with_room(struct pool *pool)
{
    uint32_t words = pool->chunk_capacity / 64u;
    for (uint32_t i = pool->chunk_lowest / 64u; i < words; i++) {
        if (pool->rooms[i] != 0) {
            pool->chunk_lowest = i * 64u + (uint32_t)__builtin_ctzll(pool->rooms[i]);
            return pool->chunk_lowest;
        }
    }
    pool->chunk_lowest = pool->chunk_capacity;
    return NO_CHUNK;
}

/* Takes a record of a chunk that has room; shows its bytes. */
static uint32_t chunk_take(const struct pool *pool, struct pool_place place)
{
    struct pool_chunk *chunk = place.chunk;
    uint32_t within = chunk->free_head;
    if (within == NO_RECORD) {
        within = chunk->made_count++;
        MEMORY_SHOW(place.records + (size_t)within * pool->record_bytes, pool->record_bytes);
    } else {
        unsigned char *record = place.records + (size_t)within * pool->record_bytes;
        MEMORY_SHOW(record, pool->record_bytes);
        memcpy(&chunk->free_head, record, sizeof chunk->free_head);
    }
    chunk->live[within / 64u] |= UINT64_C(1) << within % 64u;
    chunk->live_count++;
    return within;
}

void *pool_alloc(struct pool *pool, uint32_t *index)
{
    if (pool->live_count == pool->records_max) {
        return NULL;
    }
    uint32_t number = chunk_with_room(pool);
    if (number == NO_CHUNK) {
        number = chunk_add(pool);
        if (number == NO_CHUNK) {
            return NULL;
        }
    }
    struct pool_place place = pool->places[number];
    uint32_t within = chunk_take(pool, place);
    if (place.chunk->live_count == chunk_records(pool)) {
        set_room(pool, number, false);
    }
    if (number == pool->chunk_empty) {
        pool->chunk_empty = NO_CHUNK;
    }
    pool->live_count++;
    *index = number << pool->chunk_shift | within;
    void *record = place.records + (size_t)within * pool->record_bytes;
    memset(record, 0, pool->record_bytes);
    return record;
}

/* Gives the empty chunk back when what is free elsewhere will do. */
static void trim(struct pool *pool)
{
    uint64_t made = (uint64_t)pool->chunk_count << pool->chunk_shift;
    uint64_t free_count = made - pool->live_count;
    if (free_count >= chunk_records(pool) + chunk_records(pool) / 2u) {
        uint32_t number = pool->chunk_empty;
        pool->chunk_empty = NO_CHUNK;
        chunk_release(pool, number);
    }
}

void pool_release(struct pool *pool, uint32_t index)
{
    ASSERT(pool_is_live(pool, index));
    uint32_t number = index >> pool->chunk_shift;
    uint32_t within = index & (chunk_records(pool) - 1u);
    struct pool_chunk *chunk = pool->places[number].chunk;
    unsigned char *record = pool_at(pool, index);
    memcpy(record, &chunk->free_head, sizeof chunk->free_head);
    MEMORY_HIDE(record, pool->record_bytes);
    chunk->free_head = within;
    chunk->live[within / 64u] &= ~(UINT64_C(1) << within % 64u);
    chunk->live_count--;
    pool->live_count--;
    set_room(pool, number, true);
    if (chunk->live_count == 0) {
        if (pool->chunk_empty != NO_CHUNK) {
            /* Two are empty: the lower stays. */
            uint32_t higher = number > pool->chunk_empty ? number : pool->chunk_empty;
            number = number > pool->chunk_empty ? pool->chunk_empty : number;
            chunk_release(pool, higher);
        }
        pool->chunk_empty = number;
    }
    if (pool->chunk_empty != NO_CHUNK) {
        trim(pool);
    }
}

bool pool_is_live(const struct pool *pool, uint32_t index)
{
    uint32_t number = index >> pool->chunk_shift;
    if (number >= pool->chunk_capacity || pool->places[number].chunk == NULL) {
        return false;
    }
    uint32_t within = index & (chunk_records(pool) - 1u);
    return (pool->places[number].chunk->live[within / 64u] >> within % 64u & 1u) != 0;
}

void *pool_next(const struct pool *pool, uint32_t *index)
{
    while (*index >> pool->chunk_shift < pool->chunk_capacity) {
        uint32_t number = *index >> pool->chunk_shift;
        uint32_t within = *index & (chunk_records(pool) - 1u);
        const struct pool_chunk *chunk = pool->places[number].chunk;
        if (chunk == NULL) {
            *index = (number + 1u) << pool->chunk_shift;
            continue;
        }
        uint64_t word = chunk->live[within / 64u] >> within % 64u;
        if (word == 0) {
            /* On to the next word, or to the next chunk where a chunk is less than a word. */
            uint32_t rest = chunk_records(pool) - within;
            *index += 64u - within % 64u < rest ? 64u - within % 64u : rest;
            continue;
        }
        uint32_t found = *index + (uint32_t)__builtin_ctzll(word);
        *index = found + 1u;
        return pool_at(pool, found);
    }
    return NULL;
}

void pool_destroy(struct pool *pool)
{
    for (uint32_t i = 0; i < pool->chunk_capacity; i++) {
        if (pool->places[i].chunk != NULL) {
            chunk_release(pool, i);
        }
    }
    if (pool->places != NULL) {
        memory_release(pool->memory, pool->places, table_bytes(pool->chunk_capacity));
    }
    *pool = (struct pool){0};
}
