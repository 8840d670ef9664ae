/* Cell: one server and one load generator over a fresh pair of namespaces.
 *
 * Layer: bench/lab. The programs' reports and what they print go to anonymous memory, so that no
 * file is left behind. Owner of a result: the caller, who ends it with cell_result_free. */
#ifndef FINWAIT_BENCH_LAB_CELL_H
#define FINWAIT_BENCH_LAB_CELL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "keeper.h"
#include "kind.h"
#include "netns.h"
#include "observer.h"
#include "usage.h"

#define CELL_REASON_MAX 256

struct cell_spec {
    enum lab_kind client;
    enum lab_kind server;
    enum lab_tuning tuning;
    const char *closer; /* "client", "server", "both" */
    const char *close;  /* "fin", "rst", ... */
    uint64_t duration_ns;
    uint64_t warm_up_ns; /* of load that comes before and is not measured */
    uint64_t hold_ns;    /* not 0: open `in_flight` connections once, hold them so long, end */
    uint32_t in_flight;  /* 0: the load generator's default */
    const char *rate;    /* not NULL: an open loop at this rate, instead of so many in flight */
    uint64_t
        time_wait_ns; /* not 0: 2MSL of a stack at the client, which lingers until they drain */
    const char *client_cpus;
    const char *server_cpus;
    const char *bin_dir;
};

enum cell_outcome {
    CELL_NOT_RUN,
    CELL_DONE,        /* both reports are there; the run's own verdict is in the client's */
    CELL_FAILED,      /* `reason` says why */
    CELL_INTERRUPTED, /* a signal asked to stop */
};

struct cell_result {
    enum cell_outcome outcome;
    char reason[CELL_REASON_MAX]; /* one line; empty when there is nothing to say */
    int client_code;              /* the load generator's exit code */
    json_t *client;               /* its report */
    json_t *server;               /* the server's report */
    bool counted;                 /* the states below were counted */
    uint64_t client_time_wait;
    uint64_t server_time_wait;
    struct calm calm;   /* of the machine, before the cell, where that was waited for */
    struct usage usage; /* of the machine, while the load generator lived */
    struct observer_traffic traffic; /* over the client's end of the link, in the same time */
    bool slabs_known;
    int64_t slab_bytes; /* kernel memory more than before, after the run */
    bool held_slabs_known;
    int64_t held_slab_bytes; /* kernel memory more than before, while connections were held */
    bool held_server_known;
    int64_t held_server_bytes; /* the server's own memory more than before, at that time */
};

/* Where a run stands, for the progress line. */
struct cell_progress {
    uint64_t elapsed_ns;
    bool seen; /* the kernel at each end has the connections: the next two are known */
    uint64_t opened_per_sec;  /* since the last line, as the server's kernel counts */
    uint64_t time_wait;       /* on both sides */
    uint64_t packets_per_sec; /* over the link, both ways */
};

/* Called once a second while a cell runs. */
typedef void (*cell_progress_fn)(const struct cell_spec *spec, const struct cell_progress *progress,
                                 void *user);

struct cell_watcher {
    cell_progress_fn progress; /* NULL: none is wanted */
    void *user;
};

/* Tells what a cell's pair of namespaces must be like, beside what `tuning` says already. TIME_WAIT
 * is kept from resets at both ends: where a machine under load delays an ACK, the FIN comes again,
 * both are acknowledged, and the side that is done answers the second ACK by a reset, which would
 * take away the other's TIME_WAIT (RFC 1337) before it is counted. */
void cell_tune(struct netns_tuning *tuning, const struct cell_spec *spec);

/* Runs one cell in a pair of namespaces that nothing has used before. Fills `result`. */
void cell_run(struct cell_result *result, const struct cell_spec *spec,
              const struct netns_pair *pair, struct keeper *keeper,
              const struct cell_watcher *watcher);

void cell_result_free(struct cell_result *result);

#endif
