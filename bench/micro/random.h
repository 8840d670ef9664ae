// Inputs for the benchmarks: made before the clock starts, the same in every run.
#ifndef FINWAIT_BENCH_MICRO_RANDOM_H
#define FINWAIT_BENCH_MICRO_RANDOM_H

#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" {
#include "base/rng.h"
}

// Draws `count` numbers from 0 to bound - 1. A power of two as the count lets a loop wrap by a
// mask.
inline std::vector<uint64_t> random_numbers(size_t count, uint64_t bound, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    std::vector<uint64_t> numbers(count);
    for (uint64_t &number : numbers) {
        number = rng_below(&rng, bound);
    }
    return numbers;
}

#endif
