/* One server x load generator run; see cell.h. Layer: bench/lab. */
#include "cell.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture.h"
#include "command.h"
#include "observer.h"
#include "run.h"

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
    struct command command;
    char report[CAPTURE_PATH_MAX];
    command_server(&command, cell->spec, capture_path(cell->server.report_fd, report));
    return party_start(cell, &cell->server, command.argv, cell->pair->server_fd);
}

static int start_client(struct cell *cell)
{
    struct command command;
    char report[CAPTURE_PATH_MAX];
    command_client(&command, cell->spec, capture_path(cell->client.report_fd, report));
    return party_start(cell, &cell->client, command.argv, cell->pair->client_fd);
}

/* Tells whether a server that the kernel knows nothing of has printed where it listens. */
static int look_for_line(void *context)
{
    const struct party *server = context;
    char line[CELL_REASON_MAX];
    capture_last_line(server->output_fd, line, sizeof(line));
    return strstr(line, ": listening on ") != NULL;
}

static int await_server(struct cell *cell)
{
    const char *program = command_server_program(cell->spec->server);
    uint64_t deadline_ns = clock_now_ns() + LISTEN_WAIT_NS;
    int error = lab_kind_is_kernel(cell->spec->server)
                    ? run_await_listener(cell->keeper, &cell->server.child, &cell->server_observer,
                                         deadline_ns)
                    : keeper_await(cell->keeper, &cell->server.child, look_for_line, &cell->server,
                                   deadline_ns);
    if (error == -EINTR) {
        cell->result->outcome = CELL_INTERRUPTED;
    } else if (error == -ESRCH) {
        fail_by_output(cell, program, &cell->server);
    } else if (error != 0) {
        fail(cell, "%s does not listen after %u s", program,
             (unsigned)(LISTEN_WAIT_NS / NS_PER_SEC));
    }
    return error;
}

/* What the counters said when the last line was made. */
struct counted {
    uint64_t at_ns;
    uint64_t opened;
    uint64_t packets;
};

static void make_progress(const struct cell *cell, struct counted *last,
                          struct cell_progress *progress)
{
    struct observer_traffic traffic = {.sent_packets = 0};
    observer_traffic(&cell->client_observer, NETNS_LINK, &traffic);
    const struct counted now = {.at_ns = clock_now_ns(),
                                .opened = observer_passive_opens(&cell->server_observer),
                                .packets = traffic.sent_packets + traffic.received_packets};
    const uint64_t passed_ns = now.at_ns - last->at_ns;
    progress->seen =
        lab_kind_is_kernel(cell->spec->client) && lab_kind_is_kernel(cell->spec->server);
    progress->opened_per_sec = (now.opened - last->opened) * NS_PER_SEC / passed_ns;
    progress->packets_per_sec = (now.packets - last->packets) * NS_PER_SEC / passed_ns;
    progress->time_wait =
        observer_time_wait(&cell->client_observer) + observer_time_wait(&cell->server_observer);
    *last = now;
}

/* Waits for the load generator with a progress line a second. */
static int await_client(struct cell *cell)
{
    uint64_t start_ns = clock_now_ns();
    struct counted last = {.at_ns = start_ns};
    uint64_t limit_ns = cell->spec->warm_up_ns + cell->spec->duration_ns + cell->spec->hold_ns +
                        2 * cell->spec->time_wait_ns + CLIENT_SLACK_NS;
    while (clock_now_ns() - start_ns < limit_ns) {
        switch (keeper_wait(cell->keeper, &cell->client.child, last.at_ns + NS_PER_SEC)) {
        case WAIT_ENDED:
            return 0;
        case WAIT_STOP:
            cell->result->outcome = CELL_INTERRUPTED;
            return -EINTR;
        case WAIT_TIMEOUT:
            break;
        }
        struct cell_progress progress;
        make_progress(cell, &last, &progress);
        progress.elapsed_ns = last.at_ns - start_ns;
        if (cell->watcher->progress != NULL) {
            cell->watcher->progress(cell->spec, &progress, cell->watcher->user);
        }
    }
    fail(cell, "%s did not end", command_client_program(cell->spec->client));
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

/* What the whole machine and the link had done by a moment. */
struct moment {
    struct usage usage;
    struct observer_traffic traffic;
};

static void take_moment(const struct cell *cell, struct moment *moment)
{
    memset(moment, 0, sizeof(*moment));
    observer_traffic(&cell->client_observer, NETNS_LINK, &moment->traffic);
    usage_read(&moment->usage);
}

static void keep_difference(struct cell_result *result, const struct moment *before,
                            const struct moment *after)
{
    const struct observer_traffic *first = &before->traffic, *last = &after->traffic;
    result->usage = usage_between(&before->usage, &after->usage);
    result->traffic = (struct observer_traffic){
        .received_bytes = last->received_bytes - first->received_bytes,
        .received_packets = last->received_packets - first->received_packets,
        .sent_bytes = last->sent_bytes - first->sent_bytes,
        .sent_packets = last->sent_packets - first->sent_packets,
    };
}

/* Memory before connections were opened, or while they are held. */
struct memory {
    struct slabs slabs;
    bool resident_known;
    uint64_t resident_bytes; /* of the server */
};

static void read_memory(const struct cell *cell, struct memory *memory)
{
    *memory = (struct memory){.resident_known = false};
    slabs_read(&memory->slabs);
    memory->resident_known = usage_resident_bytes(cell->server.child.pid, &memory->resident_bytes);
}

static void keep_held(struct cell_result *result, const struct memory *before,
                      const struct memory *held)
{
    result->held_slabs_known = before->slabs.known && held->slabs.known;
    result->held_slab_bytes = (int64_t)(held->slabs.bytes - before->slabs.bytes);
    result->held_server_known = before->resident_known && held->resident_known;
    result->held_server_bytes = (int64_t)(held->resident_bytes - before->resident_bytes);
}

/* Waits while the client works. Returns 0, -ESRCH with the reason set when it ended, or -EINTR. */
static int let_work(struct cell *cell, uint64_t until_ns)
{
    switch (keeper_wait(cell->keeper, &cell->client.child, until_ns)) {
    case WAIT_ENDED:
        fail_by_output(cell, command_client_program(cell->spec->client), &cell->client);
        return -ESRCH;
    case WAIT_STOP:
        cell->result->outcome = CELL_INTERRUPTED;
        return -EINTR;
    case WAIT_TIMEOUT:
        break;
    }
    return 0;
}

/* Waits until the connections that a run holds are all there, and reads what memory they take. */
static int await_held(struct cell *cell, const struct memory *before)
{
    struct memory held;
    uint64_t middle_ns = clock_now_ns() + cell->spec->hold_ns / 2;
    int error = let_work(cell, middle_ns);
    if (error != 0) {
        return error;
    }
    read_memory(cell, &held);
    keep_held(cell->result, before, &held);
    return 0;
}

/* Takes the moments at both ends of the duration that follows the warm-up. The client itself began
 * a little later than now, so that it works at full rate until after the second. */
static int measure_warm(struct cell *cell, struct moment *before, struct moment *after)
{
    uint64_t from_ns = clock_now_ns() + cell->spec->warm_up_ns;
    int error = let_work(cell, from_ns);
    if (error == 0) {
        take_moment(cell, before);
        error = let_work(cell, from_ns + cell->spec->duration_ns);
    }
    if (error == 0) {
        take_moment(cell, after);
    }
    return error;
}

static void measure(struct cell *cell)
{
    struct slabs slabs_before, slabs_after;
    struct memory memory;
    struct moment before, after;
    slabs_read(&slabs_before);
    if (start_server(cell) != 0 || await_server(cell) != 0) {
        return;
    }
    read_memory(cell, &memory);
    memory.slabs = slabs_before; /* the listener's own are the server's too */
    take_moment(cell, &before);
    bool is_warm = cell->spec->warm_up_ns > 0;
    if (start_client(cell) != 0 || (is_warm && measure_warm(cell, &before, &after) != 0) ||
        (cell->spec->hold_ns > 0 && await_held(cell, &memory) != 0) || await_client(cell) != 0) {
        return;
    }
    if (!is_warm) {
        take_moment(cell, &after);
    }
    keep_difference(cell->result, &before, &after);
    count_states(cell);
    slabs_read(&slabs_after);
    cell->result->slabs_known = slabs_before.known && slabs_after.known;
    cell->result->slab_bytes = (int64_t)(slabs_after.bytes - slabs_before.bytes);
    cell->result->outcome = CELL_DONE;
}

/* Exit codes of a run that came to its end, whatever its verdict. */
static bool client_judged(int code)
{
    return code == 0 || code == 3 || code == 4;
}

static void collect_reports(struct cell *cell)
{
    struct cell_result *result = cell->result;
    result->client_code = cell->client.child.code;
    result->client = capture_json(cell->client.report_fd);
    result->server = capture_json(cell->server.report_fd);
    if (result->client == NULL) {
        fail_by_output(cell, command_client_program(cell->spec->client), &cell->client);
    } else if (result->server == NULL) {
        fail_by_output(cell, command_server_program(cell->spec->server), &cell->server);
    } else if (cell->server.child.code != 0) {
        /* A report was written, and then the program died. */
        fail_by_output(cell, command_server_program(cell->spec->server), &cell->server);
    } else if (!client_judged(result->client_code)) {
        fail_by_output(cell, command_client_program(cell->spec->client), &cell->client);
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

void cell_tune(struct netns_tuning *tuning, const struct cell_spec *spec)
{
    tuning->client_bare = !lab_kind_is_kernel(spec->client);
    tuning->server_bare = !lab_kind_is_kernel(spec->server);
    tuning->rfc1337 = true;
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
