#include "server/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "link/link.h"
#include "report/report.h"
#include "server/address.h"
#include "server/memory.h"
#include "server/metrics.h"

/* A SO_REUSEPORT group takes every listener of the same user, another server's too: look first. */
static int check_addresses(const struct server *server, struct failure *failure)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < server->options->address_count; i++) {
        rc = address_check_free(&server->addresses[i], failure);
    }
    return rc;
}

/* The report is written without rights: its file was found to be writable with them, so it is
 * looked at again, before anything is opened. */
static int check_json(void *context, struct failure *failure)
{
    const struct server *server = context;
    const char *json = server->options->json;
    struct failure why;
    if (json == NULL) {
        return 0;
    }
    int rc = result_path_check(json, &why);
    return rc != 0 ? failure_set(failure, -rc, "--json %s", why.text) : 0;
}

/* Makes what the stack's workers publish to. */
static int make_board(struct server *server, struct failure *failure)
{
    server->stack = calloc(1, sizeof(*server->stack));
    if (server->stack == NULL ||
        stack_board_make(&server->board, server->options->cpu_list.count) != 0) {
        return failure_set(failure, ENOMEM, "no memory for the stack's board");
    }
    const struct stack_socket_config config = {
        .path = server->options->stack.socket,
        .program = SERVER_NAME,
        .two_msl_ns = server->options->stack_settings.config.time_wait_ns,
        .board = server->board,
    };
    return config.path != NULL ? stack_socket_open(&server->socket, &config, failure) : 0;
}

static void free_board(struct server *server)
{
    stack_socket_close(server->socket);
    stack_board_free(server->board);
    free(server->stack);
}

/* Prepares what all workers share. */
static int prepare(struct server *server, const struct server_options *options,
                   const struct respond_file *respond, struct failure *failure)
{
    memset(server, 0, sizeof(*server));
    server->options = options;
    memcpy(server->addresses, options->addresses, sizeof(server->addresses));
    server->echo = (struct echo_config){.limit = options->limit,
                                        .how = (enum echo_close)options->close,
                                        .idle_ns = options->idle_timeout_ns,
                                        .respond = *respond};
    transport_quota_init(&server->quota, (uint32_t)options->conns_max);
    int rc = transport_choose((enum transport_engine)options->engine, &server->engine,
                              options->features_off, &server->engine_why);
    if (rc != 0) {
        *failure = server->engine_why;
        return rc;
    }
    /* The kernel's listeners are no matter to the stack. */
    if (server->engine != TRANSPORT_STACK) {
        return check_addresses(server, failure);
    }
    rc = link_call_without_rights(check_json, server, failure);
    return rc != 0 ? rc : make_board(server, failure);
}

static struct worker_config worker_config_at(struct server *server, uint32_t index)
{
    const struct server_options *options = server->options;
    uint32_t workers = options->cpu_list.count;
    return (struct worker_config){
        .cpu = options->cpu_list.cpus[index],
        .engine = server->engine,
        .conns_max = (uint32_t)options->conns_max,
        .quota = workers > 1 ? &server->quota : NULL,
        .features_off = options->features_off,
        .echo = &server->echo,
        .ended_fd = server->control.ended_fd,
        .listen = {.conn = {.close_how = echo_close_how(&server->echo),
                            .pull = echo_pulls(&server->echo),
                            .shuts_down = echo_shuts_down(&server->echo),
                            .quickack_off = !options->quickack,
                            .fastopen = options->fastopen},
                   .backlog = (uint32_t)options->backlog,
                   .defer_accept_ns = options->defer_accept_ns,
                   .steer_cpus = workers > 1 && server->board == NULL ? &options->cpu_list : NULL},
        .stack = &options->stack_settings,
        .board = server->board,
        .index = index,
        .workers = workers,
    };
}

static void stop_all(struct server *server, enum worker_stop stop)
{
    uint64_t until_ns = clock_now_ns() + server->options->drain_ns;
    for (uint32_t i = 0; i < server->worker_count; i++) {
        worker_stop(&server->workers[i], stop, until_ns);
    }
}

static void join_all(struct server *server)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        worker_join(&server->workers[i]);
    }
}

static void destroy_workers(struct server *server)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        worker_destroy(&server->workers[i]);
    }
    free(server->workers);
    server->workers = NULL;
    server->worker_count = 0;
}

static void end_workers(struct server *server)
{
    stop_all(server, WORKER_STOP_NOW);
    join_all(server);
    destroy_workers(server);
}

/* Starts one worker after another: the place of a listener in its SO_REUSEPORT group is the order
 * of the calls of listen, and steering goes by the place. */
static int start_workers(struct server *server, struct failure *failure)
{
    uint32_t count = server->options->cpu_list.count;
    server->workers = aligned_alloc(_Alignof(struct worker), count * sizeof(struct worker));
    if (server->workers == NULL) {
        return failure_set(failure, ENOMEM, "no memory for %u workers", count);
    }
    int rc = 0;
    while (rc == 0 && server->worker_count < count) {
        struct worker_config config = worker_config_at(server, server->worker_count);
        rc = worker_start(&server->workers[server->worker_count], &config, server->addresses,
                          server->options->address_count, failure);
        server->worker_count += rc == 0 ? 1 : 0;
    }
    if (rc != 0) {
        end_workers(server);
    }
    return rc;
}

static int start_watch(struct server *server, struct failure *failure)
{
    struct watch_config config = {
        .budget_permille = WATCH_BUDGET_DEFAULT_PERMILLE,
        .method = (enum census_method)server->options->states_method,
    };
    const bool is_wanted = server->options->states || server->options->metrics != NULL;
    if (!is_wanted) {
        return 0;
    }
    int rc = server->board != NULL ? stack_board_census(&config.census, server->board, failure) : 0;
    rc = rc != 0 ? rc : watch_start(&server->watch, &config, failure);
    if (rc != 0) {
        census_close(config.census);
    }
    return rc;
}

static void stop_watch(struct server *server)
{
    if (server->watch != NULL) {
        struct watch_series series;
        watch_stop(server->watch, &series);
        watch_series_free(&series);
        server->watch = NULL;
    }
}

static void stop_metrics(struct server *server)
{
    exporter_close(server->exporter);
    server->exporter = NULL;
}

/* Listens for scrapes before the workers start, so that an address in use costs nothing. */
static int open_metrics(struct server *server, struct failure *failure)
{
    return server->options->metrics == NULL
               ? 0
               : exporter_open(&server->exporter, &server->options->metrics_address, failure);
}

/* Answers scrapes, once there are workers to ask. */
static int start_metrics(struct server *server, struct failure *failure)
{
    if (server->exporter == NULL) {
        return 0;
    }
    const int rc = exporter_start(server->exporter, metrics_fill, server, failure);
    if (rc != 0) {
        end_workers(server);
    }
    return rc;
}

/* All links are open: this thread gives its rights up as the workers did, and starts what runs
 * without any. */
static int go_on_without_rights(struct server *server, struct failure *failure)
{
    int rc = link_drop_rights(failure);
    rc = rc == 0 && server->socket != NULL ? stack_socket_start(server->socket, failure) : rc;
    rc = rc != 0 ? rc : start_watch(server, failure);
    if (rc != 0) {
        end_workers(server);
    }
    return rc;
}

static void note_start(struct server *server)
{
    server->start_memory_bytes = memory_allocated_bytes();
    server->start_ns = clock_now_ns();
    server->start_wall_ns = clock_wall_ns();
    server->series =
        (struct series){.start_ns = server->start_ns, .last = {.at_ns = server->start_ns}};
    getrusage(RUSAGE_SELF, &server->start_usage);
}

int server_start(struct server *server, const struct server_options *options,
                 const struct respond_file *respond, struct failure *failure)
{
    int rc = prepare(server, options, respond, failure);
    if (rc != 0) {
        goto err_board;
    }
    rc = result_init(&server->result, SERVER_NAME);
    if (rc == 0) {
        rc = series_begin(&server->result);
    }
    if (rc != 0) {
        failure_set(failure, -rc, "no memory for the report");
        goto err_result;
    }
    rc = control_open(&server->control, failure);
    if (rc != 0) {
        goto err_result;
    }
    /* The stack's starts when the rights are gone, for its threads to have none. */
    rc = server->board == NULL ? start_watch(server, failure) : 0;
    if (rc != 0) {
        goto err_control;
    }
    rc = open_metrics(server, failure);
    if (rc != 0) {
        goto err_watch;
    }
    rc = start_workers(server, failure);
    if (rc != 0) {
        goto err_metrics;
    }
    rc = server->board != NULL ? go_on_without_rights(server, failure) : 0;
    if (rc != 0) {
        goto err_metrics;
    }
    note_start(server);
    rc = start_metrics(server, failure);
    if (rc != 0) {
        goto err_metrics;
    }
    return 0;

err_metrics:
    stop_metrics(server);
err_watch:
    stop_watch(server);
err_control:
    control_close(&server->control);
err_result:
    result_destroy(&server->result);
err_board:
    free_board(server);
    return rc;
}

void server_describe(const struct server *server, char *text, size_t size)
{
    size_t length = 0;
    for (uint32_t i = 0; i < server->options->address_count && length < size; i++) {
        char address[ENDPOINT_TEXT_MAX];
        endpoint_format(&server->addresses[i], address);
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "", address);
    }
    if (length < size) {
        snprintf(text + length, size - length, " (%s, %u worker%s)",
                 transport_engine_name(server->engine), server->worker_count,
                 server->worker_count == 1 ? "" : "s");
    }
}

/* Tells whether nothing is left but to wait for TIME_WAIT. */
static bool is_lingering(struct server *server)
{
    bool all = server->board != NULL && server->options->stack.linger;
    for (uint32_t i = 0; i < server->worker_count && all; i++) {
        all = atomic_load(&server->workers[i].lingers);
    }
    return all;
}

/* The first signal drains, the next one ends at once. */
static void take_signals(struct server *server, uint32_t count)
{
    if (count == 0) {
        return;
    }
    server->lingering_cut |= is_lingering(server);
    server->signal_count += count;
    stop_all(server, server->signal_count == 1 ? WORKER_STOP_DRAIN : WORKER_STOP_NOW);
}

/* Takes ends into account. A worker that ends unasked has failed, and the others end with it. */
static void take_ended(struct server *server, uint32_t count)
{
    server->ended_count += count;
    if (count > 0 && server->signal_count == 0) {
        stop_all(server, WORKER_STOP_NOW);
    }
}

void server_read_stack(struct server *server)
{
    char text[STACK_ALARM_TEXT_MAX];
    const struct transport_stack_config *config = &server->options->stack_settings.config;
    stack_board_read(server->board, server->stack);
    while (stack_alarm_look(&server->alarm, config, server->stack, text)) {
        log_line(SERVER_NAME, "warning: %s", text);
    }
}

static void tick(struct server *server, uint64_t now_ns)
{
    struct series_sums sums = series_sum(server->workers, server->worker_count, now_ns);
    if (server->board != NULL) {
        server_read_stack(server);
    }
    series_tick(&server->series, &server->result, &sums,
                &(struct series_states){server->watch, server->stack});
}

static int wait_for_end(struct server *server)
{
    uint64_t tick_ns = server->start_ns + NS_PER_SEC;
    while (server->ended_count < server->worker_count) {
        struct control_events events;
        int rc = control_wait(&server->control, tick_ns, &events);
        if (rc != 0) {
            return rc;
        }
        take_signals(server, events.signals);
        take_ended(server, events.ended);
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= tick_ns) {
            tick(server, now_ns);
            /* Seconds that were missed are not made up for: a row says when it was taken. */
            tick_ns += (now_ns - tick_ns) / NS_PER_SEC * NS_PER_SEC + NS_PER_SEC;
        }
    }
    return 0;
}

static int find_error(const struct server *server, struct failure *failure)
{
    for (uint32_t i = 0; i < server->worker_count; i++) {
        if (server->workers[i].error != 0) {
            *failure = server->workers[i].failure;
            return server->workers[i].error;
        }
    }
    if (server->signal_count > 1 && !server->lingering_cut) {
        return failure_set(failure, ECANCELED, "ended at once by a second signal");
    }
    return 0;
}

int server_run(struct server *server, struct failure *failure)
{
    int rc = wait_for_end(server);
    if (rc != 0) {
        failure_set(failure, -rc, "cannot wait for signals: %s", strerror(-rc));
        stop_all(server, WORKER_STOP_NOW);
    }
    join_all(server);
    stop_metrics(server); /* the report takes the watch apart */
    /* From here on a signal ends the program: nothing is open any more. */
    control_close(&server->control);
    return rc != 0 ? rc : find_error(server, failure);
}

void server_destroy(struct server *server)
{
    stop_metrics(server);
    stop_watch(server);
    destroy_workers(server);
    result_destroy(&server->result);
    free_board(server);
}
