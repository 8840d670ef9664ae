/* Index: segments of buckets under an extendible directory.
 *
 * Layer: tcp (L2). Of a 64-bit hash the low 8 bits are the tag, the next 32 the bucket within its
 * segment (scaled, so that a segment may have any number of buckets), the top ones the segment. An
 * entry lies in its home bucket or, when that is full, in the next that has room; every bucket
 * counts the entries that passed it by, and a search ends at a bucket that none has passed. So a
 * removal leaves no marker behind.
 *
 * Sizes are those of jemalloc's classes. A segment grows when it is 85% full, or later where the
 * next size would be less than 67.5% full: 64 B / (12 x 0.675) is 7.9 B an entry. */
#include "tcp/index.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "tcp/tags.h"

#define TAG_FREE 0u
#define DEPTH_MAX 24u /* the hash's bits above tag and bucket */
#define SPLIT_BUCKETS (INDEX_SEGMENT_BUCKETS_MAX * 5u / 8u)
#define PREFETCH_BUCKETS                                                                           \
    2u /* ahead of a rehash: some 20 records, what a core has line buffers for */

struct index_bucket {
    uint8_t tags[TAGS_COUNT];
    uint32_t overflow_count; /* entries whose search passes this bucket */
    uint32_t refs[TAGS_COUNT];
};

_Static_assert(sizeof(struct index_bucket) == MEMORY_LINE_BYTES, "a probe is one cache line");
_Static_assert(sizeof(struct index_segment) == 16, "the directory stays small");
_Static_assert(INDEX_SEGMENT_BUCKETS_MAX *TAGS_COUNT <= UINT16_MAX, "entries fit their count");

static const uint16_t bucket_counts[] = {
    1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, INDEX_SEGMENT_BUCKETS_MAX};

#define BUCKET_COUNTS (sizeof bucket_counts / sizeof bucket_counts[0])

static uint8_t tag_of(uint64_t hash)
{
    uint8_t tag = (uint8_t)hash;
    return tag == TAG_FREE ? 1u : tag;
}

static uint32_t home_of(uint64_t hash, uint32_t bucket_count)
{
    return (uint32_t)((uint64_t)(uint32_t)(hash >> 8) * bucket_count >> 32);
}

/* Finds the directory's entry for a hash. */
static uint64_t place_of(const struct index *index, uint64_t hash)
{
    return hash >> 1 >> (63u - index->depth);
}

/* Finds the first of the entries that name the same segment. */
static struct index_segment *segment_first(const struct index *index, uint64_t hash)
{
    uint64_t place = place_of(index, hash);
    uint32_t shared = index->depth - index->directory[place].depth;
    return &index->directory[place >> shared << shared];
}

/* Counts how many entries a segment takes before it grows. */
static uint32_t entries_limit(uint32_t bucket_count)
{
    uint32_t slots = bucket_count * TAGS_COUNT;
    uint32_t next = slots;
    for (size_t i = 0; i + 1u < BUCKET_COUNTS; i++) {
        next = bucket_counts[i] == bucket_count ? bucket_counts[i + 1u] * TAGS_COUNT : next;
    }
    uint32_t limit = slots * 85u / 100u > next * 27u / 40u ? slots * 85u / 100u : next * 27u / 40u;
    uint32_t most = slots * 15u / 16u;
    return limit < most ? limit : most;
}

/* Chooses a size that is at most 68% full. */
static uint32_t bucket_count_for(uint32_t entry_count)
{
    size_t i = 0;
    while (i + 1u < BUCKET_COUNTS && entry_count * 100u > bucket_counts[i] * TAGS_COUNT * 68u) {
        i++;
    }
    return bucket_counts[i];
}

/* Gives a segment empty buckets. Returns false when memory is out. */
static bool buckets_alloc(struct index *index, struct index_segment *segment, uint32_t bucket_count)
{
    size_t bytes = bucket_count * sizeof(struct index_bucket);
    segment->buckets = memory_alloc_lines(index->memory, bytes, &segment->buckets_before);
    if (segment->buckets == NULL) {
        return false;
    }
    memset(segment->buckets, 0, bytes);
    segment->bucket_count = (uint16_t)bucket_count;
    segment->entry_limit = (uint16_t)entries_limit(bucket_count);
    segment->entry_count = 0;
    index->memory_bytes += memory_lines_bytes(bytes, segment->buckets_before);
    return true;
}

static void buckets_release(struct index *index, const struct index_segment *segment)
{
    size_t bytes = segment->bucket_count * sizeof(struct index_bucket);
    index->memory_bytes -= memory_lines_bytes(bytes, segment->buckets_before);
    memory_release_lines(index->memory, segment->buckets, bytes, segment->buckets_before);
}

int index_init(struct index *index, const struct index_config *config)
{
    *index = (struct index){
        .memory = config->memory,
        .key = config->key,
        .tuple_of = config->tuple_of,
        .context = config->context,
        .deepest_count = 1,
    };
    index->directory = memory_alloc(index->memory, sizeof *index->directory);
    if (index->directory == NULL) {
        return -ENOMEM;
    }
    index->memory_bytes = sizeof *index->directory;
    if (!buckets_alloc(index, &index->directory[0], 1)) {
        goto err_directory;
    }
    return 0;
err_directory:
    memory_release(index->memory, index->directory, sizeof *index->directory);
    *index = (struct index){0};
    return -ENOMEM;
}

void index_destroy(struct index *index)
{
    if (index->directory == NULL) {
        return;
    }
    uint64_t count = UINT64_C(1) << index->depth;
    for (uint64_t i = 0; i < count;
         i += UINT64_C(1) << (index->depth - index->directory[i].depth)) {
        buckets_release(index, &index->directory[i]);
    }
    memory_release(index->memory, index->directory, count * sizeof *index->directory);
    *index = (struct index){0};
}

uint32_t index_find(const struct index *index, const struct tuple *tuple, uint64_t hash)
{
    const struct index_segment *segment = &index->directory[place_of(index, hash)];
    uint32_t at = home_of(hash, segment->bucket_count);
    uint8_t tag = tag_of(hash);
    /* All of a small segment's buckets may have been passed by: then it ends after one round. */
    for (uint32_t left = segment->bucket_count; left > 0; left--) {
        const struct index_bucket *bucket = &segment->buckets[at];
        for (uint32_t bits = tags_match(bucket->tags, tag); bits != 0; bits &= bits - 1u) {
            uint32_t ref = bucket->refs[__builtin_ctz(bits)];
            if (tuple_equal(index->tuple_of(index->context, ref), tuple)) {
                return ref;
            }
        }
        if (bucket->overflow_count == 0) {
            break;
        }
        at = at + 1u == segment->bucket_count ? 0 : at + 1u;
    }
    return INDEX_NONE;
}

void index_prefetch(const struct index *index, uint64_t hash)
{
    const struct index_segment *segment = &index->directory[place_of(index, hash)];
    __builtin_prefetch(&segment->buckets[home_of(hash, segment->bucket_count)]);
}

uint32_t index_guess(const struct index *index, uint64_t hash)
{
    const struct index_segment *segment = &index->directory[place_of(index, hash)];
    const struct index_bucket *bucket = &segment->buckets[home_of(hash, segment->bucket_count)];
    uint32_t bits = tags_match(bucket->tags, tag_of(hash));
    return bits == 0 ? INDEX_NONE : bucket->refs[__builtin_ctz(bits)];
}

/* Puts an entry into a segment that has room. */
static void segment_put(struct index_segment *segment, uint64_t hash, uint32_t ref)
{
    ASSERT(segment->entry_count < segment->bucket_count * TAGS_COUNT);
    uint32_t at = home_of(hash, segment->bucket_count);
    struct index_bucket *bucket = &segment->buckets[at];
    uint32_t bits;
    while ((bits = tags_match(bucket->tags, TAG_FREE)) == 0) {
        bucket->overflow_count++;
        at = at + 1u == segment->bucket_count ? 0 : at + 1u;
        bucket = &segment->buckets[at];
    }
    uint32_t slot = (uint32_t)__builtin_ctz(bits);
    bucket->tags[slot] = tag_of(hash);
    bucket->refs[slot] = ref;
    segment->entry_count++;
}

/* Where entries go in a rehash: by one bit of their hash, or both to the same. */
struct rehash {
    struct index *index;
    struct index_segment *targets[2];
    uint32_t shift; /* of the bit */
};

static void bucket_prefetch(const struct index *index, const struct index_bucket *bucket)
{
    uint32_t free_slots = tags_match(bucket->tags, TAG_FREE);
    for (uint32_t bits = ~free_slots & TAGS_MASK; bits != 0; bits &= bits - 1u) {
        __builtin_prefetch(index->tuple_of(index->context, bucket->refs[__builtin_ctz(bits)]));
    }
}

static void rehash_bucket(const struct rehash *rehash, const struct index_bucket *bucket)
{
    const struct index *index = rehash->index;
    uint32_t free_slots = tags_match(bucket->tags, TAG_FREE);
    for (uint32_t bits = ~free_slots & TAGS_MASK; bits != 0; bits &= bits - 1u) {
        uint32_t ref = bucket->refs[__builtin_ctz(bits)];
        uint64_t hash = tuple_hash(&index->key, index->tuple_of(index->context, ref));
        segment_put(rehash->targets[hash >> rehash->shift & 1u], hash, ref);
    }
}

/* Moves all of a segment's entries, and gives its buckets back. */
static void rehash_segment(const struct rehash *rehash, const struct index_segment *from)
{
    uint32_t count = from->bucket_count;
    for (uint32_t i = 0; i < PREFETCH_BUCKETS && i < count; i++) {
        bucket_prefetch(rehash->index, &from->buckets[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i + PREFETCH_BUCKETS < count) {
            bucket_prefetch(rehash->index, &from->buckets[i + PREFETCH_BUCKETS]);
        }
        rehash_bucket(rehash, &from->buckets[i]);
    }
    buckets_release(rehash->index, from);
}

/* Lets all entries of the directory that belong to a segment name it. */
static void directory_set(struct index *index, uint64_t first, const struct index_segment *segment)
{
    uint64_t count = UINT64_C(1) << (index->depth - segment->depth);
    for (uint64_t i = 0; i < count; i++) {
        index->directory[first + i] = *segment;
    }
}

static void directory_replace(struct index *index, struct index_segment *directory, uint32_t depth)
{
    size_t old_bytes = sizeof *directory << index->depth;
    memory_release(index->memory, index->directory, old_bytes);
    index->memory_bytes += sizeof *directory << depth;
    index->memory_bytes -= old_bytes;
    index->directory = directory;
    index->depth = depth;
}

static bool directory_double(struct index *index)
{
    uint64_t count = UINT64_C(1) << index->depth;
    struct index_segment *directory =
        memory_alloc_raw(index->memory, 2u * count * sizeof *directory);
    if (directory == NULL) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        directory[2u * i] = index->directory[i];
        directory[2u * i + 1u] = index->directory[i];
    }
    directory_replace(index, directory, index->depth + 1u);
    index->deepest_count = 0;
    return true;
}

/* Halves the directory as often as no segment needs its depth. Without memory it stays large. */
static void directory_halve(struct index *index)
{
    while (index->depth > 0 && index->deepest_count == 0) {
        uint64_t count = UINT64_C(1) << (index->depth - 1u);
        struct index_segment *directory =
            memory_alloc_raw(index->memory, count * sizeof *directory);
        if (directory == NULL) {
            return;
        }
        for (uint64_t i = 0; i < count; i++) {
            directory[i] = index->directory[2u * i]; /* the first of two that are alike */
            index->deepest_count += directory[i].depth == index->depth - 1u ? 1u : 0u;
        }
        directory_replace(index, directory, index->depth - 1u);
    }
}

/* Gives a segment another number of buckets. Returns false when memory is out. */
static bool segment_resize(struct index *index, struct index_segment *first, uint32_t bucket_count)
{
    struct index_segment resized = {.depth = first->depth};
    if (!buckets_alloc(index, &resized, bucket_count)) {
        return false;
    }
    struct rehash rehash = {.index = index, .targets = {&resized, &resized}};
    rehash_segment(&rehash, first);
    directory_set(index, (uint64_t)(first - index->directory), &resized);
    return true;
}

/* Cuts a segment in two by the next bit of the hash. Returns false when memory is out. */
static bool segment_split(struct index *index, uint64_t hash)
{
    const struct index_segment old = *segment_first(index, hash);
    struct index_segment halves[2] = {{.depth = (uint8_t)(old.depth + 1u)},
                                      {.depth = (uint8_t)(old.depth + 1u)}};
    if (old.depth == DEPTH_MAX || !buckets_alloc(index, &halves[0], SPLIT_BUCKETS)) {
        return false;
    }
    if (!buckets_alloc(index, &halves[1], SPLIT_BUCKETS)) {
        goto err_first;
    }
    if (old.depth == index->depth && !directory_double(index)) {
        goto err_second;
    }
    uint64_t first = (uint64_t)(segment_first(index, hash) - index->directory);
    struct rehash rehash = {
        .index = index, .targets = {&halves[0], &halves[1]}, .shift = 63u - old.depth};
    rehash_segment(&rehash, &old);
    directory_set(index, first, &halves[0]);
    directory_set(index, first + (UINT64_C(1) << (index->depth - halves[1].depth)), &halves[1]);
    index->deepest_count += halves[0].depth == index->depth ? 2u : 0u;
    return true;
err_second:
    buckets_release(index, &halves[1]);
err_first:
    buckets_release(index, &halves[0]);
    return false;
}

static bool segment_grow(struct index *index, uint64_t hash)
{
    struct index_segment *first = segment_first(index, hash);
    if (first->bucket_count == INDEX_SEGMENT_BUCKETS_MAX) {
        return segment_split(index, hash);
    }
    size_t i = 0;
    while (bucket_counts[i] <= first->bucket_count) {
        i++;
    }
    return segment_resize(index, first, bucket_counts[i]);
}

int index_insert(struct index *index, uint64_t hash, uint32_t ref)
{
    ASSERT(ref != INDEX_NONE);
    struct index_segment *segment = segment_first(index, hash);
    while (segment->entry_count >= segment->entry_limit) {
        if (!segment_grow(index, hash)) {
            return -ENOMEM;
        }
        segment = segment_first(index, hash);
    }
    segment_put(segment, hash, ref);
    index->entry_count++;
    return 0;
}

/* Finds an entry by its reference, without looking at the record; tells the slot. */
static struct index_bucket *entry_find(const struct index *index, uint64_t hash, uint32_t ref,
                                       uint32_t *slot)
{
    const struct index_segment *segment = &index->directory[place_of(index, hash)];
    uint32_t at = home_of(hash, segment->bucket_count);
    uint8_t tag = tag_of(hash);
    for (uint32_t left = segment->bucket_count;; left--) {
        struct index_bucket *bucket = &segment->buckets[at];
        for (uint32_t bits = tags_match(bucket->tags, tag); bits != 0; bits &= bits - 1u) {
            *slot = (uint32_t)__builtin_ctz(bits);
            if (bucket->refs[*slot] == ref) {
                return bucket;
            }
        }
        ASSERT(bucket->overflow_count > 0);
        ASSERT(left > 1);
        at = at + 1u == segment->bucket_count ? 0 : at + 1u;
    }
}

/* Joins a segment with the other half of its parent when both are small. */
static bool segment_merge(struct index *index, struct index_segment *first)
{
    uint32_t span = UINT32_C(1) << (index->depth - first->depth);
    uint64_t low = (uint64_t)(first - index->directory) & ~(uint64_t)span;
    const struct index_segment a = index->directory[low];
    const struct index_segment b = index->directory[low + span];
    uint32_t entry_count = (uint32_t)a.entry_count + b.entry_count;
    if (a.depth != b.depth || entry_count * 2u >= INDEX_SEGMENT_BUCKETS_MAX * TAGS_COUNT) {
        return false;
    }
    struct index_segment merged = {.depth = (uint8_t)(a.depth - 1u)};
    if (!buckets_alloc(index, &merged, bucket_count_for(entry_count))) {
        return false;
    }
    struct rehash rehash = {.index = index, .targets = {&merged, &merged}};
    rehash_segment(&rehash, &a);
    rehash_segment(&rehash, &b);
    directory_set(index, low, &merged);
    index->deepest_count -= a.depth == index->depth ? 2u : 0u;
    directory_halve(index);
    return true;
}

/* Gives memory back where little is left. Without memory to rehash into, all stays as it is. */
static void segment_shrink(struct index *index, struct index_segment *first)
{
    uint32_t quarter = INDEX_SEGMENT_BUCKETS_MAX * TAGS_COUNT / 4u;
    if (first->depth > 0 && first->entry_count < quarter && segment_merge(index, first)) {
        return;
    }
    uint32_t bucket_count = bucket_count_for(first->entry_count);
    if (bucket_count < first->bucket_count) {
        segment_resize(index, first, bucket_count);
    }
}

void index_remove(struct index *index, uint64_t hash, uint32_t ref)
{
    struct index_segment *segment = segment_first(index, hash);
    uint32_t slot;
    struct index_bucket *found = entry_find(index, hash, ref, &slot);
    uint32_t at = home_of(hash, segment->bucket_count);
    for (struct index_bucket *b = &segment->buckets[at]; b != found; b = &segment->buckets[at]) {
        b->overflow_count--;
        at = at + 1u == segment->bucket_count ? 0 : at + 1u;
    }
    found->tags[slot] = TAG_FREE;
    segment->entry_count--;
    index->entry_count--;
    if (segment->entry_count * 2u < segment->bucket_count * TAGS_COUNT) {
        segment_shrink(index, segment);
    }
}

void index_replace(struct index *index, uint64_t hash, uint32_t from, uint32_t to)
{
    ASSERT(to != INDEX_NONE);
    uint32_t slot;
    entry_find(index, hash, from, &slot)->refs[slot] = to;
}
