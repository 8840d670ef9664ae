// TCP's tables: what one operation costs alone, and in batches that ask the cache first. The
// argument is the population; at 10 million every access is a miss.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "bench/micro/random.h"

extern "C" {
#include "tcp/index.h"
#include "tcp/pool.h"
#include "tcp/slots.h"
// A struct and a function of one name are no matter in C.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "tcp/ring.h"
#pragma GCC diagnostic pop
}

namespace {

constexpr size_t input_count = 1u << 20;
constexpr size_t batch = 32;
constexpr struct siphash_key key = {0x0123456789abcdef, 0xfedcba9876543210};

void *allocate(void *, size_t bytes)
{
    return std::malloc(bytes);
}

void release(void *, void *block, size_t)
{
    std::free(block);
}

constexpr struct memory libc_memory = {allocate, release, nullptr, 0};

struct record { // as TIME_WAIT's
    struct tuple tuple;
    uint32_t rest[5];
};

// As churn has them: few addresses, ports that follow each other.
struct tuple tuple_of_number(uint64_t number)
{
    return {0x0a000001, static_cast<uint32_t>(0x0a000002 + number / 50000), 7,
            static_cast<uint16_t>(1024 + number % 50000)};
}

const struct tuple *tuple_of(void *context, uint32_t ref)
{
    const auto *slots = static_cast<const struct slots *>(context);
    return static_cast<const struct tuple *>(slots_at(slots, index_ref_record(ref)));
}

// A population of TIME_WAIT records under an index, 0 to count - 1.
class table {
  public:
    explicit table(uint64_t count)
    {
        slots_init(&slots, &memory, (1u << 30) - 1u);
        const struct index_config config = {&memory, key, tuple_of, &slots};
        ready = index_init(&index, &config) == 0;
        while (ready && next < count) {
            ready = append();
        }
    }
    table(const table &) = delete;
    table &operator=(const table &) = delete;
    ~table()
    {
        index_destroy(&index);
        slots_destroy(&slots);
    }

    bool append()
    {
        uint32_t reference;
        auto *record = static_cast<struct record *>(slots_append(&slots, &reference));
        if (record == nullptr) {
            return false;
        }
        record->tuple = tuple_of_number(next++);
        return index_insert(&index, tuple_hash(&key, &record->tuple),
                            index_ref(INDEX_TIME_WAIT, reference)) == 0;
    }

    void expire()
    {
        uint32_t reference;
        const auto *record = static_cast<struct record *>(slots_oldest(&slots, &reference));
        index_remove(&index, tuple_hash(&key, &record->tuple),
                     index_ref(INDEX_TIME_WAIT, reference));
        slots_release(&slots, reference);
    }

    struct memory memory = libc_memory;
    struct slots slots = {};
    struct index index = {};
    uint64_t next = 0;
    bool ready = false;
};

std::vector<struct tuple> random_tuples(uint64_t from, uint64_t count, uint64_t seed)
{
    std::vector<struct tuple> tuples;
    tuples.reserve(input_count);
    for (uint64_t number : random_numbers(input_count, count, seed)) {
        tuples.push_back(tuple_of_number(from + number));
    }
    return tuples;
}

void find_alone(benchmark::State &state, bool hit)
{
    const auto count = static_cast<uint64_t>(state.range(0));
    table standing(count);
    if (!standing.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    const auto tuples = random_tuples(hit ? 0 : count, count, 1);
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        const struct tuple &tuple = tuples[i++ % input_count];
        benchmark::DoNotOptimize(index_find(&standing.index, &tuple, tuple_hash(&key, &tuple)));
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["bytes"] =
        static_cast<double>(standing.index.memory_bytes) / static_cast<double>(count);
}

void index_find_hit(benchmark::State &state)
{
    find_alone(state, true);
}
BENCHMARK(index_find_hit)->Arg(1000)->Arg(1000000)->Arg(10000000);

void index_find_miss(benchmark::State &state)
{
    find_alone(state, false);
}
BENCHMARK(index_find_miss)->Arg(1000)->Arg(1000000)->Arg(10000000);

// As a batch of packets is handled: hash and bucket, then the record, then the search.
void index_find_hit_in_batches(benchmark::State &state)
{
    table standing(static_cast<uint64_t>(state.range(0)));
    if (!standing.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    const auto tuples = random_tuples(0, static_cast<uint64_t>(state.range(0)), 2);
    uint64_t hashes[batch];
    size_t from = 0;
    for ([[maybe_unused]] auto _ : state) {
        for (size_t i = 0; i < batch; i++) {
            hashes[i] = tuple_hash(&key, &tuples[from + i]);
            index_prefetch(&standing.index, hashes[i]);
        }
        for (uint64_t hash : hashes) {
            const uint32_t ref = index_guess(&standing.index, hash);
            if (ref != INDEX_NONE) {
                __builtin_prefetch(tuple_of(&standing.slots, ref));
            }
        }
        for (size_t i = 0; i < batch; i++) {
            benchmark::DoNotOptimize(index_find(&standing.index, &tuples[from + i], hashes[i]));
        }
        from = (from + batch) % input_count;
    }
    state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(batch));
}
BENCHMARK(index_find_hit_in_batches)->Arg(1000)->Arg(1000000)->Arg(10000000);

// A population grows from nothing: all segments' rehashes are in the price.
void table_fill(benchmark::State &state)
{
    for ([[maybe_unused]] auto _ : state) {
        table grown(static_cast<uint64_t>(state.range(0)));
        if (!grown.ready) {
            state.SkipWithError("out of memory");
            return;
        }
        state.PauseTiming(); // taking it down is not in the price
        benchmark::DoNotOptimize(grown.next);
        index_destroy(&grown.index);
        slots_destroy(&grown.slots);
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(table_fill)->Arg(1000)->Arg(1000000)->Unit(benchmark::kMillisecond);

// One record enters TIME_WAIT and the oldest leaves.
void table_append_and_expire(benchmark::State &state)
{
    table standing(static_cast<uint64_t>(state.range(0)));
    if (!standing.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    for ([[maybe_unused]] auto _ : state) {
        standing.expire();
        benchmark::DoNotOptimize(standing.append());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(table_append_and_expire)->Arg(1000)->Arg(1000000)->Arg(10000000);

// The same, with a prefetch of the bucket whose record expires a little later.
void table_append_and_expire_ahead(benchmark::State &state)
{
    table standing(static_cast<uint64_t>(state.range(0)));
    if (!standing.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    for ([[maybe_unused]] auto _ : state) {
        const auto *record = static_cast<struct record *>(slots_ahead(&standing.slots, 16));
        if (record != nullptr) {
            index_prefetch(&standing.index, tuple_hash(&key, &record->tuple));
        }
        const struct tuple coming = tuple_of_number(standing.next + 16);
        index_prefetch(&standing.index, tuple_hash(&key, &coming));
        standing.expire();
        benchmark::DoNotOptimize(standing.append());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(table_append_and_expire_ahead)->Arg(1000)->Arg(1000000)->Arg(10000000);

void slots_append_and_release(benchmark::State &state)
{
    struct memory memory = libc_memory;
    struct slots slots;
    uint32_t reference;
    slots_init(&slots, &memory, (1u << 30) - 1u);
    benchmark::DoNotOptimize(&slots);
    for (int64_t i = 0; i < state.range(0); i++) {
        static_cast<struct record *>(slots_append(&slots, &reference))->tuple.local_port = 7;
    }
    for ([[maybe_unused]] auto _ : state) {
        static_cast<struct record *>(slots_append(&slots, &reference))->tuple.local_port = 7;
        benchmark::ClobberMemory();
        benchmark::DoNotOptimize(slots_oldest(&slots, &reference));
        slots_release(&slots, reference);
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
    slots_destroy(&slots);
}
BENCHMARK(slots_append_and_release)->Arg(1000)->Arg(1000000);

// Random ones of the population go and come, as connections do.
void pool_release_and_alloc(benchmark::State &state)
{
    struct memory memory = libc_memory;
    struct pool pool;
    const struct pool_config config = {&memory, 64, 12, 1u << 24};
    pool_init(&pool, &config);
    benchmark::DoNotOptimize(&pool);
    std::vector<uint32_t> live(static_cast<size_t>(state.range(0)));
    for (uint32_t &index : live) {
        benchmark::DoNotOptimize(pool_alloc(&pool, &index));
    }
    const auto order = random_numbers(input_count, live.size(), 3);
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        uint32_t &index = live[order[i++ % input_count]];
        pool_release(&pool, index);
        benchmark::DoNotOptimize(pool_alloc(&pool, &index));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
    pool_destroy(&pool);
}
BENCHMARK(pool_release_and_alloc)->Arg(1000)->Arg(1000000);

// A connection's queue: 64 bytes come and go, and the block with them.
void ring_write_and_consume(benchmark::State &state)
{
    struct memory memory = libc_memory;
    struct ring_store store;
    struct ring ring = {};
    uint8_t bytes[64] = {};
    ring_store_init(&store, &memory);
    // Known to others: else all of it would be kept in registers and the copy left out.
    benchmark::DoNotOptimize(&store);
    benchmark::DoNotOptimize(&ring);
    benchmark::DoNotOptimize(&bytes);
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(ring_reserve(&store, &ring, sizeof bytes, 0));
        ring_write_at(&ring, 0, bytes, sizeof bytes);
        ring_extend(&ring, sizeof bytes);
        benchmark::ClobberMemory();
        ring_consume(&store, &ring, sizeof bytes, 0);
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(state.iterations());
    ring_store_destroy(&store);
}
BENCHMARK(ring_write_and_consume);

void tuple_hash_one(benchmark::State &state)
{
    struct tuple tuple = tuple_of_number(5);
    for ([[maybe_unused]] auto _ : state) {
        const uint64_t hash = tuple_hash(&key, &tuple); // each waits for the one before
        tuple.remote_port = static_cast<uint16_t>(hash);
    }
    benchmark::DoNotOptimize(tuple);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(tuple_hash_one);

void siphash_two_words(benchmark::State &state)
{
    uint64_t word = 1;
    for ([[maybe_unused]] auto _ : state) {
        word = siphash_2u64(&key, word, 2);
    }
    benchmark::DoNotOptimize(word);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(siphash_two_words);

} // namespace
