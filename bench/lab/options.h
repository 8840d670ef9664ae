/* Options of finwait-lab's commands: one table and one struct each. Layer: bench/lab. */
#ifndef FINWAIT_BENCH_LAB_OPTIONS_H
#define FINWAIT_BENCH_LAB_OPTIONS_H

#include <stdint.h>

#include "base/cli.h"

struct run_options {
    uint64_t hash_entries;
    uint64_t time_wait_max;
    char *const *command; /* NULL-ended; what stands after "--" */
};

struct pair_options {
    uint64_t hash_entries;
    uint64_t time_wait_max;
    const char *server; /* shell commands */
    const char *client;
    uint64_t listen_wait_ns;
    uint64_t grace_ns;
    int bare; /* enum pair_bare: which ends the kernel has no address at */
};

enum pair_bare {
    PAIR_BARE_NONE,
    PAIR_BARE_SERVER,
    PAIR_BARE_CLIENT,
    PAIR_BARE_BOTH,
};

struct demo_options {
    uint64_t hash_entries;
    uint64_t time_wait_max;
    uint64_t duration_ns; /* of one row */
    const char *bin_dir;  /* NULL: where finwait-lab itself is */
};

struct compare_options {
    struct cli_list clients; /* each value a list with commas */
    struct cli_list servers; /* none: each client's own kind */
    struct cli_list closers;
    struct cli_list closes;
    struct cli_list rows;
    uint64_t pairs;
    const char *seconds;
    uint64_t warm_up_ns; /* 0: trials begin on empty tables */
    uint64_t in_flight;
    int layout;    /* enum place_layout */
    int reference; /* 0: kernel-uring, 1: kernel-epoll */
    int offloads;  /* enum compare_offloads */
    uint64_t memory_conns;
    uint64_t seed;
    uint64_t hash_entries;
    uint64_t time_wait_max;
    const char *json;    /* NULL: none */
    const char *bin_dir; /* NULL: where finwait-lab itself is */
};

enum compare_offloads {
    COMPARE_OFFLOADS_AS_IS,
    COMPARE_OFFLOADS_OFF,
};

struct timewait_options {
    bool is_short;
    struct cli_list parts; /* each value a list with commas; none: all */
    uint64_t lifetime_ns;  /* of the kernel's TIME_WAIT, where no part measures it */
    struct cli_rate rate;  /* of the churn */
    const char *bin_dir;   /* NULL: where finwait-lab itself is */
};

extern const struct cli_program run_program;
extern const struct cli_program pair_program;
extern const struct cli_program demo_program;
extern const struct cli_program compare_program;
extern const struct cli_program timewait_program;

#endif
