// The rows of /proc/net/tcp and tcp6: parsed once per socket and census, where the kernel's own
// share is about 2 us; what is spent here adds to it.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <sys/socket.h>
#include <vector>

#include "bench/micro/random.h"

extern "C" {
#include "tcpstat/procfs_row.h"
}

namespace {

constexpr size_t line_count = 1u << 12;
constexpr uint64_t port_bound = 65536;

// Makes lines as the kernel writes them, with ports of every kind: the decoder has no easy digits.
std::vector<std::string> make_lines(int family)
{
    const std::vector<uint64_t> ports = random_numbers(line_count, port_bound, 1);
    std::vector<std::string> lines;
    for (size_t i = 0; i < line_count; i++) {
        const char *prefix = family == AF_INET6 ? "000000000000000000000000" : "";
        char line[256];
        const int length =
            snprintf(line, sizeof(line),
                     "%4zu: %s0100007F:%04X %s0100007F:1B58 01 00000000:00000000 00:00000000 "
                     "00000000     0        0 %zu 1 000000002e0e4de2 20 4 30 10 -1",
                     i, prefix, static_cast<unsigned>(ports[i]), prefix, 100000 + i);
        lines.emplace_back(line, static_cast<size_t>(length));
    }
    return lines;
}

void parse_rows(benchmark::State &state, int family)
{
    const std::vector<std::string> lines = make_lines(family);
    size_t at = 0;
    for ([[maybe_unused]] auto _ : state) {
        const std::string &line = lines[at++ % line_count];
        struct procfs_row row;
        if (!procfs_row_parse(&row, static_cast<uint8_t>(family), line.data(), line.size())) {
            state.SkipWithError("a row was refused");
            break;
        }
        benchmark::DoNotOptimize(row);
    }
    state.SetItemsProcessed(state.iterations());
}

void parser_row_v4(benchmark::State &state)
{
    parse_rows(state, AF_INET);
}
BENCHMARK(parser_row_v4);

void parser_row_v6(benchmark::State &state)
{
    parse_rows(state, AF_INET6);
}
BENCHMARK(parser_row_v6);

// What tells a repeated row from a new one.
void parser_row_key(benchmark::State &state)
{
    const std::string line = make_lines(AF_INET6).front();
    struct procfs_row row;
    if (!procfs_row_parse(&row, AF_INET6, line.data(), line.size())) {
        state.SkipWithError("the row was refused");
    }
    for ([[maybe_unused]] auto _ : state) {
        benchmark::DoNotOptimize(row);
        benchmark::DoNotOptimize(procfs_row_key(&row));
    }
}
BENCHMARK(parser_row_key);

} // namespace
