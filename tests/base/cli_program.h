/* A program's table with an option of every type, for the command line's tests. */
#ifndef FINWAIT_TESTS_BASE_CLI_PROGRAM_H
#define FINWAIT_TESTS_BASE_CLI_PROGRAM_H

#include "base/cli.h"

struct options {
    struct cli_list target;
    int engine;
    struct cli_rate rate;
    uint64_t in_flight;
    uint64_t payload;
    uint64_t hold;
    uint64_t count;
    bool quickack;
    bool verbose;
    const char *json;
    struct cli_list without;
};

static const char *const engine_choices[] = {"auto", "uring", "epoll", NULL};

static const struct cli_option program_options[] = {
    {.name = "target",
     .type = CLI_LIST,
     .offset = offsetof(struct options, target),
     .metavar = "ADDR:PORT",
     .section = "Target",
     .help = "where the connections go"},
    {.name = "engine",
     .type = CLI_ENUM,
     .offset = offsetof(struct options, engine),
     .initial = "auto",
     .choices = engine_choices,
     .help = "what drives the sockets"},
    {.name = "rate",
     .type = CLI_RATE,
     .offset = offsetof(struct options, rate),
     .metavar = "N/s",
     .min = 1,
     .max = 1000000,
     .group = "load",
     .section = "Load",
     .help =
         "open loop: arrivals come by a constant schedule, whether or not the target keeps up, so "
         "that latency can be counted from the scheduled time"},
    {.name = "in-flight",
     .type = CLI_COUNT,
     .offset = offsetof(struct options, in_flight),
     .initial = "32",
     .min = 1,
     .max = 4000,
     .group = "load",
     .help = "closed loop: connections in flight a worker"},
    {.name = "payload",
     .type = CLI_BYTES,
     .offset = offsetof(struct options, payload),
     .initial = "64",
     .min = 1,
     .max = 65536,
     .help = "bytes of each echo"},
    {.name = "hold",
     .type = CLI_DURATION,
     .offset = offsetof(struct options, hold),
     .initial = "0",
     .max = UINT64_C(3600000000000),
     .help = "time between the last echo and the close"},
    {.name = "count",
     .type = CLI_COUNT,
     .offset = offsetof(struct options, count),
     .min = 1,
     .help = "connections to open in all"},
    {.name = "quickack",
     .type = CLI_ON_OFF,
     .offset = offsetof(struct options, quickack),
     .initial = "on",
     .section = "Sockets",
     .help = "acknowledge at once"},
    {.name = "verbose",
     .type = CLI_FLAG,
     .offset = offsetof(struct options, verbose),
     .section = "Output",
     .help = "print more"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = offsetof(struct options, json),
     .metavar = "FILE",
     .help = "write the results to a file"},
    {.name = "without-feature",
     .type = CLI_LIST,
     .offset = offsetof(struct options, without),
     .metavar = "NAME",
     .initial = "bundles",
     .help = "force a fall-back"},
};

static const struct cli_program program = {
    .name = "finwait-test",
    .summary = "opens connections and tells how that went",
    .usage = "--target ADDR:PORT [options]",
    .epilogue = "Exit codes:\n  0 valid, 2 usage\n.5 is no request, \\n no line\n'nor this",
    .options = program_options,
    .option_count = sizeof program_options / sizeof program_options[0],
    .struct_bytes = sizeof(struct options),
};

#endif
