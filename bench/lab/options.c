/* Tables of options; see options.h. Layer: bench/lab. */
#include "options.h"

#include <stddef.h>

#include "netns.h"

/* A bucket takes 8 bytes; this many hold a minute of churn at 30,000 connections/s 14 deep. */
#define HASH_ENTRIES_INITIAL "128k"
#define TIME_WAIT_MAX_INITIAL "2M"

/* The kernel takes at most 16 Mi entries for a child's table. */
#define HASH_ENTRIES_MAX (UINT64_C(1) << 24)

#define TUNING_OPTIONS(options_tag)                                                                \
    {.name = "hash-entries",                                                                       \
     .type = CLI_COUNT,                                                                            \
     .offset = offsetof(struct options_tag, hash_entries),                                         \
     .metavar = "N",                                                                               \
     .initial = HASH_ENTRIES_INITIAL,                                                              \
     .min = 1,                                                                                     \
     .max = HASH_ENTRIES_MAX,                                                                      \
     .section = "Namespaces",                                                                      \
     .help = "buckets of TCP's hash table, private to each namespace"},                            \
    {                                                                                              \
        .name = "tw-buckets", .type = CLI_COUNT,                                                   \
        .offset = offsetof(struct options_tag, time_wait_max), .metavar = "N",                     \
        .initial = TIME_WAIT_MAX_INITIAL, .min = 1, .max = INT32_MAX,                              \
        .help = "most TIME_WAIT that the kernel keeps (tcp_max_tw_buckets)"                        \
    }

static const struct cli_option run_table[] = {
    TUNING_OPTIONS(run_options),
};

const struct cli_program run_program = {
    .name = "finwait-lab run",
    .summary = "runs a command in a private network namespace with its loopback up",
    .usage = "[options] -- COMMAND [ARGUMENT...]",
    .epilogue = "The exit code is the command's. Nothing is left behind, however it ends.\n",
    .options = run_table,
    .option_count = sizeof(run_table) / sizeof(run_table[0]),
    .struct_bytes = sizeof(struct run_options),
};

static const struct cli_option pair_table[] = {
    {.name = "server",
     .type = CLI_STRING,
     .offset = offsetof(struct pair_options, server),
     .metavar = "COMMAND",
     .section = "Commands",
     .help = "shell command, run in the server's namespace; ended by SIGTERM after the client"},
    {.name = "client",
     .type = CLI_STRING,
     .offset = offsetof(struct pair_options, client),
     .metavar = "COMMAND",
     .help = "shell command, run in the client's namespace once the server listens"},
    {.name = "wait",
     .type = CLI_DURATION,
     .offset = offsetof(struct pair_options, listen_wait_ns),
     .metavar = "TIME",
     .initial = "10s",
     .help = "how long the server may take until it listens"},
    {.name = "grace",
     .type = CLI_DURATION,
     .offset = offsetof(struct pair_options, grace_ns),
     .metavar = "TIME",
     .initial = "10s",
     .help = "how long the server may take to end before it is killed"},
    TUNING_OPTIONS(pair_options),
};

const struct cli_program pair_program = {
    .name = "finwait-lab pair",
    .summary = "runs a server and a client in two private network namespaces joined by a veth pair",
    .usage = "--server COMMAND --client COMMAND [options]",
    .epilogue = "The server has " NETNS_SERVER_IP ", the client " NETNS_CLIENT_IP
                " and every address of " NETNS_SOURCES ".\nThe exit code is the client's, or the "
                "server's when the client's is 0.\n",
    .options = pair_table,
    .option_count = sizeof(pair_table) / sizeof(pair_table[0]),
    .struct_bytes = sizeof(struct pair_options),
};

static const struct cli_option demo_table[] = {
    {.name = "duration",
     .type = CLI_DURATION,
     .offset = offsetof(struct demo_options, duration_ns),
     .metavar = "TIME",
     .initial = "3s",
     .min = 100000000,
     .max = UINT64_C(50000000000),
     .section = "Runs",
     .help =
         "how long each row runs; under a TIME_WAIT's 60 s, so that all that was made is there"},
    {.name = "bin-dir",
     .type = CLI_STRING,
     .offset = offsetof(struct demo_options, bin_dir),
     .metavar = "DIR",
     .help = "where finwait-server and finwait-loadgen are; by default beside finwait-lab"},
    TUNING_OPTIONS(demo_options),
};

const struct cli_program demo_program = {
    .name = "finwait-lab demo",
    .summary = "churns connections between two namespaces, engine by engine, and prints a table",
    .usage = "[options]",
    .epilogue = "Exit codes: 0 every row is valid, 2 usage, 3 a run was invalid, 4 a run failed,\n"
                "130 interrupted.\n",
    .options = demo_table,
    .option_count = sizeof(demo_table) / sizeof(demo_table[0]),
    .struct_bytes = sizeof(struct demo_options),
};
