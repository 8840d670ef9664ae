// Slabs: one alloc and one release a connection, one get a completion. The argument is the
// population.
#include <benchmark/benchmark.h>

#include "bench/micro/random.h"

extern "C" {
#include "base/slab.h"
}

namespace {

constexpr size_t object_bytes = 248; // about a connection's record
constexpr size_t input_count = 1u << 16;

class population {
  public:
    explicit population(uint32_t count) : handles(count)
    {
        ready = slab_init(&slab, object_bytes, count + 1u) == 0;
        for (uint64_t &handle : handles) {
            ready = ready && slab_alloc(&slab, &handle) != nullptr;
        }
    }
    population(const population &) = delete;
    population &operator=(const population &) = delete;
    ~population()
    {
        slab_destroy(&slab);
    }

    struct slab slab = {};
    std::vector<uint64_t> handles;
    bool ready = false;
};

// Random ones of the population go and come, as connections do.
void slab_release_and_alloc(benchmark::State &state)
{
    population live(static_cast<uint32_t>(state.range(0)));
    const auto order = random_numbers(input_count, live.handles.size(), 1);
    if (!live.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        uint64_t &handle = live.handles[order[i++ % input_count]];
        slab_release(&live.slab, handle);
        benchmark::DoNotOptimize(slab_alloc(&live.slab, &handle));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(slab_release_and_alloc)->Arg(1000)->Arg(100000);

void slab_get_live(benchmark::State &state)
{
    population live(static_cast<uint32_t>(state.range(0)));
    const auto order = random_numbers(input_count, live.handles.size(), 2);
    if (!live.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        const uint64_t handle = live.handles[order[i++ % input_count]];
        benchmark::DoNotOptimize(slab_get(&live.slab, handle));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(slab_get_live)->Arg(1000)->Arg(100000);

void slab_get_stale(benchmark::State &state)
{
    population live(static_cast<uint32_t>(state.range(0)));
    const auto order = random_numbers(input_count, live.handles.size(), 3);
    if (!live.ready) {
        state.SkipWithError("out of memory");
        return;
    }
    for (uint64_t handle : live.handles) {
        slab_release(&live.slab, handle);
    }
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        const uint64_t handle = live.handles[order[i++ % input_count]];
        benchmark::DoNotOptimize(slab_get(&live.slab, handle));
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(slab_get_stale)->Arg(1000)->Arg(100000);

} // namespace
