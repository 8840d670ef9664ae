/* The server's options: the table, and what is made of it.
 *
 * Layer: server. The struct is filled once and const from then on; strings point into argv. */
#ifndef FINWAIT_SERVER_OPTIONS_H
#define FINWAIT_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cli.h"
#include "base/cpu.h"
#include "server/echo.h"
#include "transport/stack_options.h"
#include "transport/transport.h"

#define SERVER_NAME "finwait-server"

struct server_options {
    /* As given. */
    int engine; /* enum transport_engine */
    struct cli_list listen;
    const char *cpus;
    uint64_t backlog;
    uint64_t conns_max;
    uint64_t idle_timeout_ns;
    uint64_t defer_accept_ns;
    bool fastopen;
    bool quickack;
    const char *closes_after;
    int close; /* enum echo_close */
    const char *respond;
    uint64_t drain_ns;
    const char *json;
    bool states;
    const char *metrics; /* ADDR:PORT or NULL */
    bool metrics_allow_remote;
    int states_method; /* enum census_method */
    bool quiet;
    bool print_features;
    struct cli_list without_feature;
    struct transport_stack_options stack;

    /* What was made of it. */
    struct endpoint metrics_address; /* of use with `metrics` */
    struct endpoint addresses[CLI_LIST_MAX];
    uint32_t address_count;
    struct cpu_list cpu_list; /* one worker each */
    struct echo_limit limit;
    uint64_t features_off;
    struct transport_stack_settings stack_settings; /* with the stack engine */
};

extern const struct cli_program server_program;

/* Parses and checks a command line, which ends in NULL. Returns what to do; with CLI_BAD the
 * failure's text is the line to print. Files are not opened yet. */
enum cli_outcome options_parse(struct server_options *options, char *const *argv,
                               struct failure *failure);

/* For options_parse: refuses what does not go with the engine, and with the stack makes its
 * settings, and checks the addresses, or has it listen on its first one when none was given.
 * Requires addresses and CPUs. Returns 0 or -errno with the text set. */
int options_parse_stack(struct server_options *options, const struct cli_given *given,
                        struct failure *failure);

/* Reads "64B", "1KiB", "1echo" or "3echoes". Returns 0 or -EINVAL with the text set. */
int options_parse_limit(struct echo_limit *limit, const char *text, struct failure *failure);

#endif
