// Histograms: recording is on every completion's path; percentiles and merges are once a report.
#include <benchmark/benchmark.h>

#include <memory>

#include "bench/micro/random.h"

extern "C" {
#include "base/hist.h"
}

namespace {

constexpr size_t input_count = 1u << 16;
constexpr uint64_t latency_ns_max = 5000000;

std::unique_ptr<struct hist> filled_hist(uint64_t seed)
{
    auto hist = std::make_unique<struct hist>();
    hist_init(hist.get());
    for (uint64_t value : random_numbers(100000, latency_ns_max, seed)) {
        hist_record(hist.get(), value);
    }
    return hist;
}

void hist_record_latencies(benchmark::State &state)
{
    const std::vector<uint64_t> values = random_numbers(input_count, latency_ns_max, 1);
    auto hist = std::make_unique<struct hist>();
    hist_init(hist.get());
    size_t i = 0;
    for ([[maybe_unused]] auto _ : state) {
        hist_record(hist.get(), values[i++ % input_count]);
    }
    benchmark::DoNotOptimize(hist->count);
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hist_record_latencies);

// The argument is the percentile in hundredths of a percent.
void hist_find_percentile(benchmark::State &state)
{
    const auto hist = filled_hist(2);
    const double percent = static_cast<double>(state.range(0)) / 100.0;
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(hist_percentile(hist.get(), percent));
    }
}
BENCHMARK(hist_find_percentile)->Arg(5000)->Arg(9900)->Arg(9999);

void hist_merge_two(benchmark::State &state)
{
    const auto from = filled_hist(3);
    auto into = filled_hist(4);
    for ([[maybe_unused]] auto _ : state) {
        hist_merge(into.get(), from.get());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(hist_merge_two);

} // namespace
