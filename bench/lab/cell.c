/* One server x load generator run; see cell.h. Layer: bench/lab. */
#include "cell.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture.h"
#include "observer.h"
#include "run.h"

#define TARGET (NETNS_SERVER_IP ":7000")
#define PAYLOAD_BYTES "64"
#define LISTEN_WAIT_NS (10 * NS_PER_SEC)
#define GRACE_NS (10 * NS_PER_SEC)
/* The load generator ends what is open after its duration; beyond this it hangs. */
#define CLIENT_SLACK_NS (30 * NS_PER_SEC)
/* The last closes' segments are on their way when the load generator ends. */
#define SETTLE_NS (3 * NS_PER_SEC)
#define SETTLE_POLL_NS (20 * NS_PER_MS)

/* One of the two programs. */
struct party {
    struct child child;
    int output_fd;
    int report_fd;
};

/* A cell while it runs. */
struct cell {
    const struct cell_spec *spec;
    const struct netns_pair *pair;
    struct keeper *keeper;
    const struct cell_watcher *watcher;
    struct cell_result *result;
    struct observer client_observer;
    struct observer server_observer;
    struct party client;
    struct party server;
};

static void fail(struct cell *cell, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void fail(struct cell *cell, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cell->result->reason, CELL_REASON_MAX, format, arguments);
    va_end(arguments);
    cell->result->outcome = CELL_FAILED;
}

/* Says what a program that ended too early, or badly, said last. */
static void fail_by_output(struct cell *cell, const char *name, const struct party *party)
{
    char line[CELL_REASON_MAX / 2];
    capture_last_line(party->output_fd, line, sizeof(line));
    fail(cell, "%s ended with code %d: %s", name, party->child.code,
         line[0] == '\0' ? "(it printed nothing)" : line);
}

static int party_open(struct party *party)
{
    *party = (struct party){.child = {.pid_fd = -1}, .output_fd = -1, .report_fd = -1};
    party->output_fd = capture_open("output");
    party->report_fd = capture_open("report");
    return party->output_fd < 0 || party->report_fd < 0 ? -EMFILE : 0;
}

static void party_close(struct party *party)
{
    if (party->output_fd >= 0) {
        close(party->output_fd);
    }
    if (party->report_fd >= 0) {
        close(party->report_fd);
    }
}

static int party_start(struct cell *cell, struct party *party, const char *const *argv,
                       int netns_fd)
{
    struct child_spec spec = {.argv = argv,
                              .netns_fd = netns_fd,
                              .output_fd = party->output_fd,
                              .inherited_fd = party->report_fd,
                              .own_group = true};
    struct failure failure;
    int error = child_start(&party->child, &spec, cell->keeper, &failure);
    if (error != 0) {
        fail(cell, "%s", failure.text);
    }
    return error;
}

static int start_server(struct cell *cell)
{
    const struct cell_spec *spec = cell->spec;
    char program[PATH_MAX], cpu[16], report[CAPTURE_PATH_MAX];
    snprintf(program, sizeof(program), "%s/finwait-server", spec->bin_dir);
    snprintf(cpu, sizeof(cpu), "%" PRIu32, spec->server_cpu);
    capture_path(cell->server.report_fd, report);
    const char *argv[] = {program,  "--engine", spec->engine, "--listen", TARGET, "--cpus", cpu,
                          "--json", report,     NULL,         NULL,       NULL,   NULL,     NULL};
    if (strcmp(spec->closer, "server") == 0) {
        const char *const closing[] = {"--closes-after", PAYLOAD_BYTES "B", "--close", spec->close};
        memcpy(&argv[9], closing, sizeof(closing));
    }
    return party_start(cell, &cell->server, argv, cell->pair->server_fd);
}

static int start_client(struct cell *cell)
{
    const struct cell_spec *spec = cell->spec;
    char program[PATH_MAX], cpu[16], duration[32], report[CAPTURE_PATH_MAX];
    snprintf(program, sizeof(program), "%s/finwait-loadgen", spec->bin_dir);
    snprintf(cpu, sizeof(cpu), "%" PRIu32, spec->client_cpu);
    snprintf(duration, sizeof(duration), "%" PRIu64 "ms", spec->duration_ns / NS_PER_MS);
    capture_path(cell->client.report_fd, report);
    const char *const argv[] = {
        program,       "--engine",   spec->engine, "--target",  TARGET,        "--cpus",
        cpu,           "--duration", duration,     "--closer",  spec->closer,  "--close",
        spec->close,   "--echoes",   "1",          "--payload", PAYLOAD_BYTES, "--sources",
        NETNS_SOURCES, "--json",     report,       NULL};
    return party_start(cell, &cell->client, argv, cell->pair->client_fd);
}

static int await_server(struct cell *cell)
{
    int error = run_await_listener(cell->keeper, &cell->server.child, &cell->server_observer,
                                   clock_now_ns() + LISTEN_WAIT_NS);
    if (error == -EINTR) {
        cell->result->outcome = CELL_INTERRUPTED;
    } else if (error == -ESRCH) {
        fail_by_output(cell, "finwait-server", &cell->server);
    } else if (error != 0) {
        fail(cell, "finwait-server does not listen after %u s",
             (unsigned)(LISTEN_WAIT_NS / NS_PER_SEC));
    }
    return error;
}

/* Waits for the load generator with a progress line a second. */
static int await_client(struct cell *cell)
{
    uint64_t start_ns = clock_now_ns();
    uint64_t last_ns = start_ns, last_opened = 0;
    while (clock_now_ns() - start_ns < cell->spec->duration_ns + CLIENT_SLACK_NS) {
        switch (keeper_wait(cell->keeper, &cell->client.child, last_ns + NS_PER_SEC)) {
        case WAIT_ENDED:
            return 0;
        case WAIT_STOP:
            cell->result->outcome = CELL_INTERRUPTED;
            return -EINTR;
        case WAIT_TIMEOUT:
            break;
        }
        uint64_t now_ns = clock_now_ns();
        uint64_t opened = observer_passive_opens(&cell->server_observer);
        struct cell_progress progress = {
            .elapsed_ns = now_ns - start_ns,
            .opened_per_sec = (opened - last_opened) * NS_PER_SEC / (now_ns - last_ns),
            .time_wait = observer_time_wait(&cell->client_observer) +
                         observer_time_wait(&cell->server_observer),
        };
        cell->watcher->progress(cell->spec, &progress, cell->watcher->user);
        last_ns = now_ns;
        last_opened = opened;
    }
    fail(cell, "finwait-loadgen did not end");
    return -ETIMEDOUT;
}

/* Tells whether a state is one that a closing connection passes through on its way. */
static uint64_t count_moving(const struct tcp_state_counts *counts)
{
    return tcp_state_total(counts) - counts->n[TCP_STATE_TIME_WAIT] - counts->n[TCP_STATE_LISTEN];
}

/* Counts the states in both namespaces, once no connection is on its way any more. */
static void count_states(struct cell *cell)
{
    uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    struct tcp_state_counts client, server;
    for (;;) {
        if (observer_count(&cell->client_observer, &client) != 0 ||
            observer_count(&cell->server_observer, &server) != 0) {
            return;
        }
        if (count_moving(&client) + count_moving(&server) == 0 ||
            keeper_wait(cell->keeper, NULL, clock_now_ns() + SETTLE_POLL_NS) == WAIT_STOP ||
            clock_now_ns() >= deadline_ns) {
            break;
        }
    }
    cell->result->client_time_wait = client.n[TCP_STATE_TIME_WAIT];
    cell->result->server_time_wait = server.n[TCP_STATE_TIME_WAIT];
    cell->result->counted = true;
}

static void measure(struct cell *cell)
{
    if (start_server(cell) != 0 || await_server(cell) != 0 || start_client(cell) != 0 ||
        await_client(cell) != 0) {
        return;
    }
    count_states(cell);
    cell->result->outcome = CELL_DONE;
}

static void collect_reports(struct cell *cell)
{
    struct cell_result *result = cell->result;
    result->client_code = cell->client.child.code;
    result->client = capture_json(cell->client.report_fd);
    result->server = capture_json(cell->server.report_fd);
    if (result->client == NULL) {
        fail_by_output(cell, "finwait-loadgen", &cell->client);
    } else if (result->server == NULL) {
        fail_by_output(cell, "finwait-server", &cell->server);
    }
}

static int open_sources(struct cell *cell)
{
    struct failure failure;
    if (observer_open(&cell->client_observer, cell->pair->client_fd, &failure) != 0 ||
        observer_open(&cell->server_observer, cell->pair->server_fd, &failure) != 0) {
        fail(cell, "%.200s", failure.text);
        return -1;
    }
    if (party_open(&cell->client) != 0 || party_open(&cell->server) != 0) {
        fail(cell, "no memory or descriptors for what the programs print");
        return -1;
    }
    return 0;
}

void cell_run(struct cell_result *result, const struct cell_spec *spec,
              const struct netns_pair *pair, struct keeper *keeper,
              const struct cell_watcher *watcher)
{
    struct cell cell = {
        .spec = spec,
        .pair = pair,
        .keeper = keeper,
        .watcher = watcher,
        .result = result,
        .client = {.child = {.pid_fd = -1}, .output_fd = -1, .report_fd = -1},
        .server = {.child = {.pid_fd = -1}, .output_fd = -1, .report_fd = -1},
    };
    *result = (struct cell_result){.outcome = CELL_NOT_RUN};
    if (open_sources(&cell) == 0) {
        measure(&cell);
        child_stop(&cell.client.child, keeper, GRACE_NS);
        child_stop(&cell.server.child, keeper, GRACE_NS);
    }
    if (result->outcome == CELL_DONE) {
        collect_reports(&cell);
    }
    party_close(&cell.client);
    party_close(&cell.server);
    observer_close(&cell.client_observer);
    observer_close(&cell.server_observer);
}

void cell_result_free(struct cell_result *result)
{
    json_decref(result->client);
    json_decref(result->server);
    *result = (struct cell_result){.outcome = CELL_NOT_RUN};
}
