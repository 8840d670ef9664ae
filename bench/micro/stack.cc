// The stack against itself: both ends in one thread over an in-memory link, real bytes and
// checksums. One iteration is a connection: connect, an echo of 64 bytes, close by FIN from the
// client, TIME_WAIT kept. The argument is how many records stand in TIME_WAIT while it is measured:
// virtual time goes on by 6 us a connection, as it would at 167,000 connections/s, and 2MSL is that
// long (60 s for ten million), so that as many expire as come.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

// In C a struct and a function may have one name; C++ lets them too, and GCC warns of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "stack/finwait-stack.h"
#pragma GCC diagnostic pop

namespace {

constexpr uint32_t in_flight_max = 64;
constexpr uint32_t batch_max = 64;
constexpr uint32_t packet_bytes = 1536;
constexpr uint64_t step_ns = 6000;
constexpr uint32_t echo_bytes = 64;
constexpr uint16_t port_first = 10000;
constexpr uint32_t port_count = 50000;

fws_host *make_host(uint8_t second, uint8_t prefix_bits, uint64_t time_wait_ns)
{
    fws_config config{};
    config.size = sizeof(config);
    config.address.version = 4;
    config.address.bytes[0] = 10;
    config.address.bytes[1] = second;
    config.address.bytes[3] = 1;
    config.prefix_bits = prefix_bits;
    config.mtu_bytes = 1500;
    config.now_ns = 1;
    config.time_wait_ns = time_wait_ns;
    config.live_max = 1u << 20;
    std::memcpy(config.seed, "finwait-micro", 13);
    fws_host *host = nullptr;
    return fws_host_create(&host, &config) == 0 ? host : nullptr;
}

class pair {
  public:
    explicit pair(uint64_t standing)
        : memory(batch_max * packet_bytes), client(make_host(1, 16, standing * step_ns)),
          server(make_host(2, 32, standing * step_ns))
    {
        for (uint32_t i = 0; i < batch_max; i++) {
            buffers[i].data = memory.data() + i * packet_bytes;
            buffers[i].capacity = packet_bytes;
        }
        fws_endpoint local{};
        local.port = 7;
        fws_options options{};
        options.size = sizeof(options);
        options.nodelay = 1;
        fws_listen(server, &local, 1024, &options, &listener);
    }

    pair(const pair &) = delete;
    pair &operator=(const pair &) = delete;

    ~pair()
    {
        fws_host_destroy(client);
        fws_host_destroy(server);
    }

    uint64_t failed = 0;

    // Runs until `count` more connections are over. They end in batches: what was too many before
    // counts now.
    void run(uint64_t count)
    {
        target += count;
        while (completed < target) {
            while (in_flight < in_flight_max) {
                open();
            }
            move(client, server);
            serve();
            move(server, client);
            use();
        }
    }

    struct fws_census census() const
    {
        struct fws_census census {};
        census.size = sizeof(census);
        fws_census(client, &census);
        return census;
    }

  private:
    // The 4-tuples go round through 65,535 addresses.
    static fws_endpoint source(uint64_t number)
    {
        uint32_t address = static_cast<uint32_t>(number / port_count % 65535 + 1);
        fws_endpoint local{};
        local.addr.version = 4;
        local.addr.bytes[0] = 10;
        local.addr.bytes[1] = 1;
        local.addr.bytes[2] = static_cast<uint8_t>(address >> 8);
        local.addr.bytes[3] = static_cast<uint8_t>(address);
        local.port = static_cast<uint16_t>(port_first + number % port_count);
        return local;
    }

    static fws_endpoint target_of_all()
    {
        fws_endpoint remote{};
        remote.addr.version = 4;
        remote.addr.bytes[0] = 10;
        remote.addr.bytes[1] = 2;
        remote.addr.bytes[3] = 1;
        remote.port = 7;
        return remote;
    }

    // A connection that ends names the one that will take its place.
    void announce()
    {
        fws_endpoint remote = target_of_all();
        fws_endpoint local = source(announced++);
        fws_connect_soon(client, &local, &remote);
    }

    // Time goes on by one connection's share.
    void open()
    {
        now_ns += step_ns;
        fws_endpoint remote = target_of_all();
        fws_endpoint local = source(opened++);
        fws_options options{};
        options.size = sizeof(options);
        options.nodelay = 1;
        fws_handle conn;
        if (fws_connect(client, &local, &remote, &options, &conn) < 0) {
            failed++;
            return;
        }
        in_flight++;
    }

    void move(fws_host *from, fws_host *to)
    {
        fws_advance(from, now_ns);
        fws_advance(to, now_ns);
        size_t count;
        while ((count = fws_output(from, buffers, batch_max)) > 0) {
            fws_packet packets[batch_max];
            for (size_t i = 0; i < count; i++) {
                packets[i] = {buffers[i].data, buffers[i].bytes, 0};
            }
            fws_input(to, packets, count);
        }
    }

    void serve()
    {
        fws_event events[batch_max];
        size_t count;
        while ((count = fws_poll(server, events, batch_max)) > 0) {
            for (size_t i = 0; i < count; i++) {
                serve_event(events[i]);
            }
        }
    }

    void serve_event(const fws_event &event)
    {
        fws_handle conn;
        if (event.ready & FWS_ACCEPTABLE) {
            while (fws_accept(server, event.handle, &conn) == 0) {
            }
            return;
        }
        uint8_t bytes[echo_bytes];
        int64_t got = fws_recv(server, event.handle, bytes, sizeof(bytes));
        if (got > 0) {
            fws_send(server, event.handle, bytes, static_cast<size_t>(got), 0);
        }
        if (event.ready & (FWS_PEER_FIN | FWS_ERROR)) {
            fws_close(server, event.handle);
        }
    }

    void use()
    {
        fws_event events[batch_max];
        size_t count;
        while ((count = fws_poll(client, events, batch_max)) > 0) {
            for (size_t i = 0; i < count; i++) {
                use_event(events[i]);
            }
        }
    }

    void use_event(const fws_event &event)
    {
        uint8_t bytes[echo_bytes] = {0x5a};
        if (event.ready & (FWS_DONE | FWS_ERROR)) {
            failed += event.error != 0 ? 1 : 0;
            fws_close(client, event.handle);
            completed++;
            in_flight--;
            announce();
        } else if (event.ready & FWS_READABLE) {
            failed += fws_recv(client, event.handle, bytes, sizeof(bytes)) != echo_bytes ? 1 : 0;
            fws_shutdown(client, event.handle);
        } else if ((event.ready & FWS_WRITABLE) && event.user == 0) {
            fws_set_user(client, event.handle, 1);
            fws_send(client, event.handle, bytes, sizeof(bytes), 0);
        }
    }

    std::vector<uint8_t> memory;
    fws_host *client;
    fws_host *server;
    fws_handle listener = 0;
    fws_buffer buffers[batch_max] = {};
    uint64_t now_ns = 1;
    uint64_t opened = 0;
    uint64_t announced = in_flight_max;
    uint64_t completed = 0;
    uint64_t target = 0;
    uint32_t in_flight = 0;
};

void stack_connections(benchmark::State &state)
{
    uint64_t standing = static_cast<uint64_t>(state.range(0));
    pair hosts(standing);
    hosts.run(standing + standing / 20);
    for ([[maybe_unused]] auto _ : state) {
        hosts.run(1);
    }
    state.SetItemsProcessed(state.iterations());
    struct fws_census census = hosts.census();
    state.counters["time_wait"] = static_cast<double>(census.time_wait_records);
    state.counters["bytes_per_time_wait"] =
        static_cast<double>(census.time_wait_memory_bytes + census.index_memory_bytes) /
        static_cast<double>(census.time_wait_records);
    if (hosts.failed != 0) {
        state.SkipWithError("connections failed");
    }
}
BENCHMARK(stack_connections)
    ->Arg(10000)
    ->Arg(1000000)
    ->Arg(10000000)
    ->Iterations(2000000)
    ->Unit(benchmark::kNanosecond);

} // namespace
