/* Tables of options; see options.h. Layer: bench/lab. */
#include "options.h"

#include <stddef.h>

#include "base/clock.h"
#include "netns.h"
#include "stats.h"

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

static const char *const bare_choices[] = {"none", "server", "client", "both", NULL};

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
    {.name = "bare",
     .type = CLI_ENUM,
     .offset = offsetof(struct pair_options, bare),
     .metavar = "END",
     .initial = "none",
     .choices = bare_choices,
     .help =
         "leave this end without the kernel's addresses, for a stack of its own (link " NETNS_LINK
         "); such a server listens once it prints a line with \"listening on\" to stderr"},
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
    .epilogue =
        "The server has " NETNS_SERVER_IP ", the client " NETNS_CLIENT_IP
        " and every address of " NETNS_SOURCES ".\nThe exit code is the client's, or the "
        "server's when the client's is 0.\n\nExamples:\n"
        "  finwait-lab pair --server 'nc -l 7000' --client 'nc -N " NETNS_SERVER_IP " 7000'\n"
        "  finwait-lab pair --bare server \\\n"
        "      --server 'finwait-server --engine stack --link packet:" NETNS_LINK " \\\n"
        "          --address " NETNS_SERVER_IP "/24 --listen " NETNS_SERVER_IP ":7000' \\\n"
        "      --client 'nc -N " NETNS_SERVER_IP " 7000'\n",
    .options = pair_table,
    .option_count = sizeof(pair_table) / sizeof(pair_table[0]),
    .struct_bytes = sizeof(struct pair_options),
};

static const struct cli_option demo_table[] = {
    {.name = "duration",
     .type = CLI_DURATION,
     .offset = offsetof(struct demo_options, duration_ns),
     .metavar = "TIME",
     .initial = "2s",
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

static const char *const layouts[] = {"apart", "pair", NULL};
static const char *const references[] = {"uring", "epoll", NULL};
static const char *const offload_choices[] = {"as-is", "off", NULL};

static const struct cli_option compare_table[] = {
    {.name = "client",
     .type = CLI_LIST,
     .offset = offsetof(struct compare_options, clients),
     .metavar = "KIND,...",
     .section = "What is compared",
     .help = "what opens the connections: kernel-uring, kernel-epoll, stack-packet, stack-xdp "
             "(default stack-packet)"},
    {.name = "server",
     .type = CLI_LIST,
     .offset = offsetof(struct compare_options, servers),
     .metavar = "KIND,...",
     .help = "what answers them, each with each client; by default every client's own kind"},
    {.name = "closer",
     .type = CLI_LIST,
     .offset = offsetof(struct compare_options, closers),
     .metavar = "WHO,...",
     .help = "who closes first: client, server, both (default client)"},
    {.name = "close",
     .type = CLI_LIST,
     .offset = offsetof(struct compare_options, closes),
     .metavar = "HOW,...",
     .help = "how: fin, close, half, rst, fin-no-timewait (default fin)"},
    {.name = "rows",
     .type = CLI_LIST,
     .offset = offsetof(struct compare_options, rows),
     .metavar = "ROW,...",
     .help =
         "which rows there are: kernel and tuned (the references of the two ratios), cell (what "
         "--client and --server name), eager (a stack made to send the kernel's 10 segments), "
         "null (packets without TCP); all by default"},
    {.name = "reference",
     .type = CLI_ENUM,
     .offset = offsetof(struct compare_options, reference),
     .metavar = "ENGINE",
     .initial = "uring",
     .choices = references,
     .help = "which engine of the kernel the ratios are to"},
    {.name = "pairs",
     .type = CLI_COUNT,
     .offset = offsetof(struct compare_options, pairs),
     .metavar = "N",
     .initial = "7",
     .min = 1,
     .max = STATS_VALUES_MAX,
     .section = "Trials",
     .help = "trials of each row, fixed beforehand; below 7 an interval says little"},
    {.name = "seconds",
     .type = CLI_STRING,
     .offset = offsetof(struct compare_options, seconds),
     .metavar = "S",
     .initial = "2",
     .help = "length of a trial, or of what is measured of it, 0.1 to 50"},
    {.name = "warm-up",
     .type = CLI_DURATION,
     .offset = offsetof(struct compare_options, warm_up_ns),
     .metavar = "TIME",
     .initial = "0s",
     .max = 300 * NS_PER_SEC,
     .help =
         "load before that, which is not measured: from 65s on it is the steady state, in which "
         "TIME_WAIT ends as fast as it comes; 0: every trial begins on empty tables"},
    {.name = "in-flight",
     .type = CLI_COUNT,
     .offset = offsetof(struct compare_options, in_flight),
     .metavar = "N",
     .initial = "32",
     .min = 1,
     .max = 10000,
     .help = "connections in flight over all workers (closed loop)"},
    {.name = "layout",
     .type = CLI_ENUM,
     .offset = offsetof(struct compare_options, layout),
     .metavar = "HOW",
     .initial = "apart",
     .choices = layouts,
     .help = "client and server on a CPU each, or a pair of workers on each CPU"},
    {.name = "offloads",
     .type = CLI_ENUM,
     .offset = offsetof(struct compare_options, offloads),
     .metavar = "HOW",
     .initial = "as-is",
     .choices = offload_choices,
     .help = "the veth pair's offloads, for all rows alike: as the kernel makes it, or all off"},
    {.name = "memory-conns",
     .type = CLI_COUNT,
     .offset = offsetof(struct compare_options, memory_conns),
     .metavar = "N",
     .initial = "2000",
     .max = 10000,
     .help = "connections that are held once for each row, to measure their memory; 0: do not"},
    {.name = "seed",
     .type = CLI_COUNT,
     .offset = offsetof(struct compare_options, seed),
     .metavar = "N",
     .initial = "1",
     .help = "of the trials' order and of the resampling"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = offsetof(struct compare_options, json),
     .metavar = "FILE",
     .section = "Report",
     .help = "write everything that was measured as JSON; - is stdout"},
    {.name = "bin-dir",
     .type = CLI_STRING,
     .offset = offsetof(struct compare_options, bin_dir),
     .metavar = "DIR",
     .help = "where finwait's programs are; by default beside finwait-lab"},
    TUNING_OPTIONS(compare_options),
};

const struct cli_program compare_program = {
    .name = "finwait-lab compare",
    .summary = "compares the kernel's TCP with finwait's own over a veth pair, trial by trial",
    .usage = "[options]",
    .epilogue =
        "Trials come in rounds; each has one trial of every row, in random order, and\nthe next "
        "round mirrors it. A ratio is the median of the rounds' ratios, with its\nbootstrap 95% "
        "interval.\n\nA stack asks its link for 100 us before it sleeps (--spin).\n\nExamples:\n"
        "  finwait-lab compare\n"
        "  finwait-lab compare --client kernel-uring,stack-packet \\\n"
        "      --server kernel-uring,stack-packet\n"
        "  finwait-lab compare --closer client,server --close fin,rst --json c.json\n"
        "  finwait-lab compare --rows kernel,tuned,cell --warm-up 65s --seconds 10\n\n"
        "Exit codes: 0 every trial is valid, 2 usage, 3 a trial was invalid, 4 a row\n"
        "failed, 130 interrupted.\n",
    .options = compare_table,
    .option_count = sizeof(compare_table) / sizeof(compare_table[0]),
    .struct_bytes = sizeof(struct compare_options),
};

/* As timewait.c has them; a test compares. */
#define TIMEWAIT_PARTS                                                                             \
    "who-waits, restart, reuse, tw-reuse, ports, tw-buckets, old-duplicate, lost-ack, "            \
    "stack-reuse, churn-kernel, churn-stack, churn-memory"

static const struct cli_option timewait_table[] = {
    {.name = "short",
     .type = CLI_FLAG,
     .offset = offsetof(struct timewait_options, is_short),
     .section = "What is shown",
     .help = "leave out what takes the kernel's whole TIME_WAIT: plateau and drain, 6 minutes"},
    {.name = "parts",
     .type = CLI_LIST,
     .offset = offsetof(struct timewait_options, parts),
     .metavar = "PART,...",
     .help = "show these only: " TIMEWAIT_PARTS " (all by default)"},
    {.name = "lifetime",
     .type = CLI_DURATION,
     .offset = offsetof(struct timewait_options, lifetime_ns),
     .metavar = "TIME",
     .initial = "61s",
     .min = 10 * NS_PER_SEC, /* samples are a second apart */
     .max = 65 * NS_PER_SEC,
     .help =
         "the kernel's TIME_WAIT as churn-kernel measured it before, for churn-stack without it"},
    {.name = "rate",
     .type = CLI_RATE,
     .offset = offsetof(struct timewait_options, rate),
     .metavar = "N[/s]",
     .initial = "2k/s",
     .min = 10,
     .max = 15000, /* 60 s of it stay below the 2^20 that the lab keeps */
     .help = "of the churn whose plateau is forecast"},
    {.name = "bin-dir",
     .type = CLI_STRING,
     .offset = offsetof(struct timewait_options, bin_dir),
     .metavar = "DIR",
     .help = "where finwait's programs are; by default beside finwait-lab"},
};

const struct cli_program timewait_program = {
    .name = "finwait-lab timewait",
    .summary = "shows what TIME_WAIT does and why it exists, in the kernel and in finwait's stack",
    .usage = "[options]",
    .epilogue = "Each line was measured as it was printed, and checked.\nExit codes: 0 all was "
                "shown, 2 usage, 4 something was not shown,\n130 interrupted.\n",
    .options = timewait_table,
    .option_count = sizeof(timewait_table) / sizeof(timewait_table[0]),
    .struct_bytes = sizeof(struct timewait_options),
};
