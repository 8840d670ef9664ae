/* The demo; see demo.h. Layer: bench/lab. */
#include "demo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/log.h"
#include "cell.h"
#include "netns.h"
#include "place.h"
#include "table.h"

#define PROGRAM "finwait-lab"
#define CODE_INVALID 3
#define CODE_FAILED 4

struct closing {
    const char *closer;
    const char *close;
};

static const enum lab_kind engines[] = {LAB_KERNEL_URING, LAB_KERNEL_EPOLL, LAB_STACK_PACKET};
static const struct closing closings[] = {{"client", "fin"}, {"client", "rst"}, {"server", "fin"}};

#define ENGINE_COUNT (sizeof(engines) / sizeof(engines[0]))
#define CLOSING_COUNT (sizeof(closings) / sizeof(closings[0]))
#define ROW_COUNT (ENGINE_COUNT * CLOSING_COUNT)

struct row {
    struct cell_spec spec;
    struct netns_pair
        pair; /* kept to the end: taking it down costs CPU that a later row would lack */
    struct cell_result result;
};

struct demo {
    struct keeper *keeper;
    const struct demo_options *options;
    struct place place;
    uint64_t start_ns;
    struct row rows[ROW_COUNT];
};

static void plan_rows(struct demo *demo)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct closing *closing = &closings[i % CLOSING_COUNT];
        demo->rows[i] = (struct row){
            .spec = {.client = engines[i / CLOSING_COUNT],
                     .server = engines[i / CLOSING_COUNT],
                     .closer = closing->closer,
                     .close = closing->close,
                     .duration_ns = demo->options->duration_ns,
                     .client_cpus = demo->place.client_cpus,
                     .server_cpus = demo->place.server_cpus,
                     .bin_dir = demo->place.bin_dir},
            .pair = {.client_fd = -1, .server_fd = -1},
        };
    }
}

static void print_progress(const struct cell_spec *spec, const struct cell_progress *progress,
                           void *user)
{
    const struct demo *demo = user;
    char closing[32];
    snprintf(closing, sizeof(closing), "%s/%s", spec->closer, spec->close);
    printf("%3" PRIu64 " s  %-12s  %-10s  ",
           (clock_now_ns() - demo->start_ns + NS_PER_SEC / 2) / NS_PER_SEC,
           lab_kind_name(spec->client), closing);
    if (progress->seen) {
        printf("%7" PRIu64 " connections/s  %8" PRIu64 " TIME_WAIT\n", progress->opened_per_sec,
               progress->time_wait);
    } else { /* a stack's are in its own report, at the end */
        printf("%7" PRIu64 " packets/s\n", progress->packets_per_sec);
    }
    fflush(stdout);
}

static void print_intro(const struct demo *demo)
{
    struct utsname system;
    uname(&system);
    const struct cell_spec *spec = &demo->rows[0].spec;
    printf("finwait %s, Linux %s: %zu rows of %" PRIu64 ".%" PRIu64 " s, each in two fresh network "
           "namespaces over veth;\nload generator on CPU %s, server on CPU %s, closed loop, 1 echo "
           "of 64 B a connection\n\n",
           FINWAIT_VERSION, system.release, ROW_COUNT, spec->duration_ns / NS_PER_SEC,
           spec->duration_ns % NS_PER_SEC / (NS_PER_SEC / 10), spec->client_cpus,
           spec->server_cpus);
    fflush(stdout);
}

/* Runs the rows in order. Returns false when a signal asked to stop. */
static bool run_rows(struct demo *demo)
{
    struct cell_watcher watcher = {.progress = print_progress, .user = demo};
    for (size_t i = 0; i < ROW_COUNT; i++) {
        struct row *row = &demo->rows[i];
        struct failure failure;
        struct netns_tuning tuning = {.hash_entries = demo->options->hash_entries,
                                      .time_wait_max = demo->options->time_wait_max};
        cell_tune(&tuning, &row->spec);
        if (netns_pair_make(&row->pair, &tuning, &failure) != 0) {
            row->result.outcome = CELL_FAILED;
            snprintf(row->result.reason, CELL_REASON_MAX, "%.200s", failure.text);
            continue;
        }
        cell_run(&row->result, &row->spec, &row->pair, demo->keeper, &watcher);
        if (row->result.outcome == CELL_INTERRUPTED) {
            return false;
        }
    }
    return true;
}

static void print_table(const struct demo *demo)
{
    printf("\n");
    table_print_head(stdout);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct row *row = &demo->rows[i];
        if (row->result.outcome == CELL_DONE || row->result.outcome == CELL_FAILED) {
            table_print_row(stdout, &row->spec, &row->result);
        }
    }
    table_print_legend(stdout);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        table_print_notes(stdout, &demo->rows[i].spec, &demo->rows[i].result);
    }
    fflush(stdout);
}

/* The gravest outcome of the rows decides: failed, then invalid. */
static int decide_code(const struct demo *demo)
{
    int code = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        const struct cell_result *result = &demo->rows[i].result;
        if (result->outcome != CELL_DONE || result->client_code == CODE_FAILED) {
            return CODE_FAILED;
        }
        code = result->client_code == 0 ? code : CODE_INVALID;
    }
    return code;
}

int demo_run(struct keeper *keeper, const struct demo_options *options)
{
    struct demo demo = {.keeper = keeper, .options = options};
    struct failure failure;
    if (place_find(&demo.place, options->bin_dir, PLACE_APART, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_FAILED;
    }
    plan_rows(&demo);
    print_intro(&demo);
    demo.start_ns = clock_now_ns();
    bool finished = run_rows(&demo);
    print_table(&demo);
    int code = finished ? decide_code(&demo) : 128 + keeper->last_signal;
    if (!finished) {
        printf("Interrupted: rows are missing.\n");
        fflush(stdout);
    }
    for (size_t i = 0; i < ROW_COUNT; i++) {
        cell_result_free(&demo.rows[i].result);
        netns_pair_close(&demo.rows[i].pair);
    }
    return code;
}
