/* finwait-null: the ceiling of packet I/O. Two ends exchange a connection's seven segments in
 * lockstep and know nothing of connections: what a stack reaches below this is its own cost.
 *
 * Layer: bench/null, a program over base, wire, link and report. A thread for each CPU. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "base/assert.h"
#include "base/cli.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "bench/null/report.h"
#include "bench/null/worker.h"
#include "bench/program/program.h"
#include "report/file.h"
#include "report/report.h"

#define PROGRAM "finwait-null"
#define CODE_CANNOT 3
#define WORKERS_MAX 16u

struct null_options {
    int role; /* 0: server, 1: client */
    const char *link;
    const char *address;
    const char *peer;
    const char *cpus;
    uint64_t in_flight;
    uint64_t duration_ns;
    const char *json;
};

static const char *const roles[] = {"server", "client", NULL};

static const struct cli_option table[] = {
    {.name = "role",
     .type = CLI_ENUM,
     .offset = offsetof(struct null_options, role),
     .metavar = "WHO",
     .initial = "server",
     .choices = roles,
     .section = "Options",
     .help = "server: answer until SIGTERM or SIGINT; client: begin connections, and count them"},
    {.name = "link",
     .type = CLI_STRING,
     .offset = offsetof(struct null_options, link),
     .metavar = "KIND:NAME",
     .help = "packet:veth0 or xdp:veth0"},
    {.name = "address",
     .type = CLI_STRING,
     .offset = offsetof(struct null_options, address),
     .metavar = "IP",
     .help = "our address, which the kernel must not have (default 10.9.0.1, a client 10.9.0.2)"},
    {.name = "peer",
     .type = CLI_STRING,
     .offset = offsetof(struct null_options, peer),
     .metavar = "IP",
     .help = "the other end's (default 10.9.0.2, a client 10.9.0.1)"},
    {.name = "cpus",
     .type = CLI_STRING,
     .offset = offsetof(struct null_options, cpus),
     .metavar = "LIST",
     .initial = "0",
     .help = "a worker on each of these CPUs, frames going to them by the client's port; both ends "
             "must have as many; xdp takes one, since there the device chooses the queue"},
    {.name = "in-flight",
     .type = CLI_COUNT,
     .offset = offsetof(struct null_options, in_flight),
     .metavar = "N",
     .initial = "32",
     .min = 1,
     .max = LOCKSTEP_SLOTS_MAX,
     .help = "a client's connections under way, over all workers"},
    {.name = "duration",
     .type = CLI_DURATION,
     .offset = offsetof(struct null_options, duration_ns),
     .metavar = "TIME",
     .initial = "3s",
     .min = NS_PER_MS,
     .help = "how long a client goes on"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = offsetof(struct null_options, json),
     .metavar = "FILE",
     .initial = "-",
     .help = "where the report goes; - is stdout"},
};

static const struct cli_program program = {
    .name = PROGRAM,
    .summary = "exchanges the segments of connections without a TCP: the ceiling of packet I/O",
    .usage = "--role server|client --link KIND:NAME [options]",
    .epilogue = "A client awaits a frame for 200 ms; then the connection has failed, and another\n"
                "begins. In its report each frame that was awaited has arrived, is late (it came\n"
                "after that), is lost, or is in flight at the end; sums_hold tells whether they\n"
                "add up.\n\n"
                "Needs CAP_NET_RAW. Exit codes: 0 done, 2 usage, 3 the link cannot be opened.\n",
    .options = table,
    .option_count = sizeof(table) / sizeof(table[0]),
    .struct_bytes = sizeof(struct null_options),
};

struct null_thread {
    struct null_worker worker;
    pthread_t id;
    const volatile sig_atomic_t *stop;
};

/* All workers of the process. */
struct null_run {
    uint32_t count;
    struct cpu_list cpus;
    const volatile sig_atomic_t *stop;
    struct null_thread threads[WORKERS_MAX];
};

static int read_address(uint32_t *address, const char *option, const char *text,
                        struct failure *failure)
{
    struct ip_addr ip;
    struct failure why;
    if (ip_parse(&ip, text, &why) != 0 || ip.family != AF_INET) {
        return failure_set(failure, EINVAL, "%s %s: no IPv4 address; write it as 10.9.0.1", option,
                           text);
    }
    *address = program_ipv4(&ip);
    return 0;
}

/* Reads the options into what all workers share. */
static int read_config(struct null_config *config, struct null_run *run,
                       const struct null_options *options, struct failure *failure)
{
    bool is_client = options->role == 1;
    const char *own = is_client ? "10.9.0.2" : "10.9.0.1";
    const char *peer = is_client ? "10.9.0.1" : "10.9.0.2";
    *config = (struct null_config){.is_client = is_client, .duration_ns = options->duration_ns};
    if (options->link == NULL) {
        return failure_set(failure, EINVAL, "--link is missing; name an interface: packet:veth0");
    }
    int error = link_parse(options->link, &config->link, &config->interface, failure);
    error = error != 0 ? error
                       : read_address(&config->own, "--address",
                                      options->address == NULL ? own : options->address, failure);
    error = error != 0 ? error
                       : read_address(&config->peer, "--peer",
                                      options->peer == NULL ? peer : options->peer, failure);
    error = error != 0 ? error : cpu_list_parse(&run->cpus, options->cpus, failure);
    if (error != 0) {
        return error;
    }
    if (run->cpus.count == 0 || run->cpus.count > WORKERS_MAX) {
        return failure_set(failure, EINVAL, "--cpus %s: use 1 to %u of them", options->cpus,
                           WORKERS_MAX);
    }
    config->workers = run->cpus.count;
    if (is_client && options->in_flight < config->workers) {
        return failure_set(failure, EINVAL,
                           "--in-flight %u: fewer than the %u workers of --cpus %s; use %u or more",
                           (unsigned)options->in_flight, config->workers, options->cpus,
                           config->workers);
    }
    return result_path_check(options->json, failure);
}

static int open_workers(struct null_run *run, const struct null_options *options,
                        const struct null_config *shared, struct failure *failure)
{
    ASSERT(shared->workers > 0);
    uint32_t each = (uint32_t)options->in_flight / shared->workers;
    uint32_t more = (uint32_t)options->in_flight % shared->workers;
    for (run->count = 0; run->count < shared->workers; run->count++) {
        struct null_config config = *shared;
        config.worker = run->count;
        config.in_flight = each + (run->count < more ? 1 : 0);
        int error = null_worker_open(&run->threads[run->count].worker, &config, failure);
        if (error != 0) {
            return error;
        }
    }
    return link_drop_rights(failure);
}

static void *work(void *argument)
{
    struct null_thread *thread = argument;
    null_worker_run(&thread->worker, thread->stop);
    return NULL;
}

static int start_worker(struct null_run *run, uint32_t index, struct failure *failure)
{
    /* A thread inherits the CPU of the one that makes it. */
    int error = program_pin(run->cpus.cpus[index], failure);
    if (error == 0) {
        struct null_thread *thread = &run->threads[index];
        thread->stop = run->stop;
        error = -pthread_create(&thread->id, NULL, work, thread);
        if (error != 0) {
            failure_set(failure, -error, "no thread can be made: %s", strerror(-error));
        }
    }
    return error;
}

/* Runs every worker in a thread on its CPU; returns when all have ended. */
static int run_workers(struct null_run *run, struct failure *failure)
{
    uint32_t started = 0;
    int error = 0;
    while (error == 0 && started < run->count) {
        error = start_worker(run, started, failure);
        started += error == 0 ? 1 : 0;
    }
    if (error != 0) {
        program_ask_stop();
    }
    for (uint32_t i = 0; i < started; i++) {
        pthread_join(run->threads[i].id, NULL);
    }
    return error;
}

static int write_report(const struct null_run *run, const struct null_options *options,
                        struct failure *failure)
{
    json_t *report = null_report_make(roles[options->role], options->link);
    if (report == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the report");
    }
    for (uint32_t i = 0; i < run->count; i++) {
        null_report_add(report, &run->threads[i].worker);
    }
    if (json_is_false(json_object_get(report, "sums_hold"))) {
        log_line(PROGRAM, "the counts of frames do not add up; somebody else's are among them");
    }
    struct report_file file;
    int error = report_file_begin(&file, options->json, failure);
    if (error == 0) {
        bool written = json_dumpf(report, file.out, 0) == 0 && fputc('\n', file.out) != EOF;
        error = report_file_commit(&file, written ? 0 : -EIO, failure);
    }
    json_decref(report);
    return error;
}

static int run_all(struct null_run *run, const struct null_options *options,
                   const struct null_config *config)
{
    struct failure failure;
    int error = open_workers(run, options, config, &failure);
    if (error == 0) {
        fprintf(stderr, PROGRAM ": %s %s (%s, %u workers)\n",
                config->is_client ? "begins on" : "listening on", options->link,
                link_kind_name(config->link), (unsigned)run->count);
        error = run_workers(run, &failure);
        error = error != 0 ? error : write_report(run, options, &failure);
    }
    for (uint32_t i = 0; i < run->count; i++) {
        null_worker_close(&run->threads[i].worker);
    }
    if (error != 0) {
        log_line(PROGRAM, "%s", failure.text);
    }
    return error == 0 ? 0 : CODE_CANNOT;
}

int main(int argc, char **argv)
{
    struct null_options options;
    struct null_config config;
    struct failure failure;
    (void)argc;
    int code = program_parse(&program, argv, &options);
    if (code >= 0) {
        return code;
    }
    struct null_run *run = calloc(1, sizeof(*run));
    if (run == NULL || read_config(&config, run, &options, &failure) != 0) {
        log_line(PROGRAM, "%s", run == NULL ? "no memory" : failure.text);
        free(run);
        return PROGRAM_CODE_USAGE;
    }
    run->stop = program_stop_flag();
    code = run_all(run, &options, &config);
    free(run);
    return code;
}
