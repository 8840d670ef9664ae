// Timer wheels: a connection arms and disarms several timers; most never expire. The argument is
// how many are armed.
#include <benchmark/benchmark.h>

#include "bench/micro/random.h"

extern "C" {
#include "base/clock.h"
#include "base/wheel.h"
}

namespace {

constexpr size_t input_count = 1u << 16;
constexpr uint64_t delay_ns_max = 10 * NS_PER_SEC;

class armed_wheel {
  public:
    explicit armed_wheel(size_t count)
        : timers(count), delays(random_numbers(input_count, delay_ns_max, 1)),
          order(random_numbers(input_count, count, 2))
    {
        wheel_init(&wheel, 0, NS_PER_MS);
        for (struct wheel_timer &timer : timers) {
            wheel_arm(&wheel, &timer, next_delay());
        }
    }
    armed_wheel(const armed_wheel &) = delete;
    armed_wheel &operator=(const armed_wheel &) = delete;

    uint64_t next_delay()
    {
        return delays[drawn++ % input_count];
    }
    struct wheel_timer *next_timer()
    {
        return &timers[order[drawn % input_count]];
    }

    struct wheel wheel;
    std::vector<struct wheel_timer> timers;

  private:
    std::vector<uint64_t> delays;
    std::vector<uint64_t> order;
    size_t drawn = 0;
};

void wheel_arm_and_disarm(benchmark::State &state)
{
    armed_wheel armed(static_cast<size_t>(state.range(0)));
    struct wheel_timer timer = {};
    for ([[maybe_unused]] auto _ : state) {
        wheel_arm(&armed.wheel, &timer, armed.next_delay());
        benchmark::ClobberMemory();
        wheel_disarm(&armed.wheel, &timer);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(wheel_arm_and_disarm)->Arg(1000)->Arg(100000);

// A timer that is armed moves, as an idle time-out does with every byte.
void wheel_arm_again(benchmark::State &state)
{
    armed_wheel armed(static_cast<size_t>(state.range(0)));
    for ([[maybe_unused]] auto _ : state) {
        struct wheel_timer *timer = armed.next_timer();
        wheel_arm(&armed.wheel, timer, armed.next_delay());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(wheel_arm_again)->Arg(1000)->Arg(100000);

// Each timer that expires is armed again, so the population stays; cascades are part of the cost.
void wheel_expire_and_arm(benchmark::State &state)
{
    armed_wheel armed(static_cast<size_t>(state.range(0)));
    uint64_t now_ns = 0;
    for ([[maybe_unused]] auto _ : state) {
        struct wheel_timer *timer = wheel_expire(&armed.wheel, now_ns);
        while (timer == nullptr) {
            now_ns = wheel_next_ns(&armed.wheel);
            timer = wheel_expire(&armed.wheel, now_ns);
        }
        wheel_arm(&armed.wheel, timer, now_ns + 1u + armed.next_delay());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(wheel_expire_and_arm)->Arg(1000)->Arg(100000);

// What a loop's turn pays when nothing is due.
void wheel_ask_next(benchmark::State &state)
{
    armed_wheel armed(static_cast<size_t>(state.range(0)));
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(wheel_next_ns(&armed.wheel));
        benchmark::DoNotOptimize(wheel_expire(&armed.wheel, 0));
    }
}
BENCHMARK(wheel_ask_next)->Arg(1000)->Arg(100000);

} // namespace
