/* Index: from a 4-tuple to its record, over all populations.
 *
 * Layer: tcp (L2). One owner, one thread. It holds 32-bit references and 8-bit tags of a keyed
 * hash, in buckets of one cache line (12 entries); the tuple itself stays in the record, which
 * every population begins with. The table is cut in many small segments by the hash's top bits (an
 * extendible directory); a segment grows and shrinks by itself in steps of about a quarter, so that
 * no call ever rehashes more than one segment (two that merge), the share per record stays at or
 * below 8 bytes when there are many, and memory goes back.
 *
 * While a record is in the index its tuple must stay readable and as it was: growth reads it. Only
 * between a record's move and the index_replace that tells of it may it be gone. */
#ifndef FINWAIT_TCP_INDEX_H
#define FINWAIT_TCP_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "tcp/memory.h"
#include "tcp/tuple.h"

#define INDEX_NONE UINT32_MAX

enum index_population {
    INDEX_LIVE,
    INDEX_HALF_OPEN,
    INDEX_TIME_WAIT,
};

/* A reference: population in the top two bits, the record's index below. */
static inline uint32_t index_ref(enum index_population population, uint32_t record)
{
    return (uint32_t)population << 30 | record;
}

static inline enum index_population index_ref_population(uint32_t ref)
{
    return (enum index_population)(ref >> 30);
}

static inline uint32_t index_ref_record(uint32_t ref)
{
    return ref & ((UINT32_C(1) << 30) - 1);
}

/* Finds the tuple that a reference's record begins with, without reading the record: the place is
 * prefetched. */
typedef const struct tuple *index_tuple_of(void *context, uint32_t ref);

#define INDEX_SEGMENT_BUCKETS_MAX 128u /* 8 KiB: a rehash of 1,300 records takes some 40 us */

struct index_bucket; /* a cache line: 12 tags, a count of those that found no room, 12 references */

/* An entry of the directory. Several name the same segment while it is shallower than the
 * directory; the entry count is kept in the first of them. */
struct index_segment {
    struct index_bucket *buckets;
    uint16_t bucket_count;
    uint16_t entry_count;
    uint16_t entry_limit;   /* it grows rather than take more */
    uint8_t depth;          /* top bits of the hash that its entries share */
    uint8_t buckets_before; /* see memory_alloc_lines */
};

struct index {
    struct memory *memory;
    struct siphash_key key;
    index_tuple_of *tuple_of;
    void *context;
    uint32_t depth;         /* log2 of the directory's size */
    uint32_t deepest_count; /* segments as deep as the directory, which keep it from halving */
    uint64_t entry_count;
    size_t memory_bytes;
    struct index_segment *directory;
};

struct index_config {
    struct memory *memory; /* borrowed */
    struct siphash_key key;
    index_tuple_of *tuple_of;
    void *context;
};

/* Prepares an empty index. Returns 0 or -ENOMEM. */
int index_init(struct index *index, const struct index_config *config);
void index_destroy(struct index *index);

/* Finds a tuple's reference; INDEX_NONE when it is not there. `hash` is its tuple_hash. */
uint32_t index_find(const struct index *index, const struct tuple *tuple, uint64_t hash);

/* Adds a reference, whose record must hold its tuple already. Requires that the tuple is not there.
 * Returns 0 or -ENOMEM with nothing changed. */
int index_insert(struct index *index, uint64_t hash, uint32_t ref);

/* Removes an entry. Requires that it is there. */
void index_remove(struct index *index, uint64_t hash, uint32_t ref);

/* Lets an entry point to another record of the same tuple (a connection that changes its
 * population, a record that moved). Requires that `from` is there. Cannot fail. */
void index_replace(struct index *index, uint64_t hash, uint32_t from, uint32_t to);

/* Asks the cache for the bucket; index_guess, once that has come, gives the most likely reference
 * or INDEX_NONE without looking at the record, which the caller then prefetches: a random miss
 * costs 155-230 ns alone and 10-15 ns in a batch. */
void index_prefetch(const struct index *index, uint64_t hash);
uint32_t index_guess(const struct index *index, uint64_t hash);

#endif
