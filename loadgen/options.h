/* Options: the command line of finwait-loadgen, read, checked as a whole, and made into a plan.
 *
 * Layer: loadgen (L5). The table (loadgen_program) gives parsing, --help and the echo in reports.
 * What a run needs beyond single values (addresses parsed, defaults that depend on others) is in
 * struct plan, which is made once and constant from then on, shared by all workers. */
#ifndef FINWAIT_LOADGEN_OPTIONS_H
#define FINWAIT_LOADGEN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cli.h"
#include "base/cpu.h"
#include "base/failure.h"
#include "loadgen/close_rule.h"
#include "loadgen/payload.h"
#include "loadgen/sources.h"
#include "transport/stack_options.h"
#include "transport/transport.h"

#define LOADGEN_TARGETS_MAX CLI_LIST_MAX
#define LOADGEN_CONNS_LIMIT (1u << 22)
#define LOADGEN_IN_FLIGHT_PER_WORKER 32u

/* As given, one field an option. */
struct loadgen_options {
    struct cli_list targets;
    int engine;
    const char *cpus;
    uint64_t duration_ns;
    uint64_t count;
    struct cli_rate rate;
    uint64_t in_flight;
    uint64_t conns_max;
    uint64_t echoes;
    uint64_t payload_bytes;
    const char *send_file;
    const char *expect;
    uint64_t hold_ns;
    uint64_t timeout_ns;
    uint64_t drain_ns;
    int closer;
    int close_how;
    struct cli_list sources;
    const char *ports;
    uint64_t reuse_after_ns;
    bool quickack;
    bool fastopen;
    uint64_t seed;
    bool states;
    int states_method; /* enum census_method */
    const char *json;
    const char *hgrm;
    struct cli_list fail_if;
    struct cli_list allow_targets;
    struct cli_list without_features;
    bool print_features;
    bool quiet;
    struct transport_stack_options stack;
};

extern const struct cli_program loadgen_program;

/* What comes back for a request. */
enum expect {
    EXPECT_ECHO,        /* the request itself, verified */
    EXPECT_BYTES,       /* so many bytes, whatever they are */
    EXPECT_UNTIL_CLOSE, /* whatever comes until the peer's FIN */
};

struct plan {
    struct loadgen_options options;
    uint32_t target_count;
    struct endpoint targets[LOADGEN_TARGETS_MAX];
    struct cpu_list cpus; /* one worker each */
    struct sources sources;
    bool ports_by_kernel; /* no 4-tuples are planned */
    bool sources_given;
    struct port_range ports;
    bool open_loop;
    uint64_t duration_ns;  /* 0: until `count` */
    uint64_t arrivals_max; /* UINT64_MAX: no bound */
    uint32_t in_flight;    /* closed loop, over all workers */
    uint64_t drain_ns;
    enum expect expect;
    uint64_t expect_bytes;
    enum closer closer;
    enum close_how close_how;
    struct close_rule rule;
    enum transport_engine engine; /* AUTO until the program has chosen */
    uint64_t features_off;
    struct transport_conn_options conn_options;
    struct payload payload;                /* owned */
    struct transport_stack_settings stack; /* with the stack engine */
};

/* Checks the options together and makes the plan. Returns 0, or -errno with the text set and
 * nothing to destroy. `given` tells which options were on the command line. */
int plan_make(struct plan *plan, const struct loadgen_options *options,
              const struct cli_given *given, struct failure *failure);

/* Collects the bits of --without-feature. Returns 0 or -EINVAL with the text set. */
int plan_features_off(const struct loadgen_options *options, uint64_t *features_off,
                      struct failure *failure);

/* For plan_make: refuses what does not go with the engine, and with the stack makes its settings
 * and takes --address for the sources unless --sources names some of it. Requires targets and CPUs.
 * Returns 0 or -errno with the text set. */
int plan_stack(struct plan *plan, const struct cli_given *given, struct failure *failure);

/* Frees what the plan owns. Safe on a zeroed struct. */
void plan_destroy(struct plan *plan);

#endif
