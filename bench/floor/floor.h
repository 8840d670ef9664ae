/* What the kernel alone allows: connections opened, used for one echo and closed by the plainest
 * programs that make the same calls as finwait, so that finwait's own cost can be told from the
 * kernel's.
 *
 * Layer: bench; liburing and libc only. Nothing here plans, verifies, times or reports what
 * happens to a connection. The parent makes the listeners and starts the processes, each bound to
 * one CPU with memory of its own; only `struct floor_share` is common to them. */
#ifndef FINWAIT_BENCH_FLOOR_FLOOR_H
#define FINWAIT_BENCH_FLOOR_FLOOR_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOR_PAYLOAD_BYTES 64u
#define FLOOR_BACKLOG 4096
#define FLOOR_CPUS 2u
#define FLOOR_IN_FLIGHT_MAX 4096u
#define FLOOR_BLOCKING_MAX 64u /* processes of blocking calls, of each side on each CPU */
#define FLOOR_CLIENTS_MAX (FLOOR_CPUS * FLOOR_BLOCKING_MAX)

enum floor_mode { FLOOR_URING, FLOOR_BLOCKING };
enum floor_layout { FLOOR_APART, FLOOR_PAIR };
enum floor_close { FLOOR_FIN, FLOOR_CLOSE, FLOOR_RST };
enum floor_role { FLOOR_BOTH_SIDES, FLOOR_SERVER_ONLY, FLOOR_CLIENT_ONLY };

/* Other ways to make the same calls through io_uring: what each is worth tells which of them
 * finwait should use. */
enum floor_variant {
#define VARIANT(id, name, help) FLOOR_VARIANT_##id,
#include "variants.def"
#undef VARIANT
    FLOOR_VARIANT_COUNT
};

struct floor_options {
    enum floor_mode mode;
    enum floor_layout layout;
    enum floor_close close;
    enum floor_role role;
    uint32_t in_flight; /* connections of one client; blocking: processes */
    uint64_t duration_ns;
    uint16_t port;
    uint32_t variants; /* bits by enum floor_variant */
};

static inline bool floor_has(const struct floor_options *options, enum floor_variant variant)
{
    return (options->variants >> variant & 1) != 0;
}

struct floor_counts {
    uint64_t completed;
    uint64_t failed;
    uint64_t elapsed_ns;
};

/* Memory that parent and processes share: the parent sets `stop`, each client writes its own counts
 * once, as it ends. */
struct floor_share {
    _Atomic bool stop;
    struct floor_counts clients[FLOOR_CLIENTS_MAX];
};

/* What a process is given. */
struct floor_task {
    const struct floor_options *options;
    struct floor_share *share;
    uint32_t client; /* index of a client: names its source addresses and its counts */
    int listener;    /* of a server */
};

struct floor_result {
    struct floor_counts sum; /* elapsed_ns: the longest */
    uint64_t client_cpu_ns;  /* user and kernel */
    uint64_t server_cpu_ns;
};

/* processes.c: runs servers and clients until the time is up; with servers only, until a signal
 * asks to stop. Returns 0 or -errno; what failed has been printed. */
int floor_run(const struct floor_options *options, struct floor_result *result);

/* The processes' work. Each returns 0 when told to stop, or -errno. */
int floor_uring_server(const struct floor_task *task);
int floor_uring_client(const struct floor_task *task);
int floor_blocking_server(const struct floor_task *task);
int floor_blocking_client(const struct floor_task *task);

/* addresses.c: a client goes through its source addresses in order, all ports of one before the
 * next; the server's address is 127.0.0.1. */
struct floor_source {
    uint32_t client;
    uint32_t host;
    uint16_t port;
};

void floor_source_init(struct floor_source *source, uint32_t client);
void floor_source_next(struct floor_source *source, struct sockaddr_in *address);
struct sockaddr_in floor_target(const struct floor_options *options);

uint64_t floor_now_ns(void);

#endif
