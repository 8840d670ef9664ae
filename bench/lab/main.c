/* finwait-lab: private network namespaces for server, load generator and whatever else speaks TCP.
 *
 * Layer: bench/lab, a program; it may use base, tcpstat and report. It runs the other programs and
 * reads their JSON; it links none of them. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/log.h"
#include "bench/program/program.h"
#include "compare.h"
#include "demo.h"
#include "keeper.h"
#include "options.h"
#include "run.h"
#include "timewait.h"

#define PROGRAM "finwait-lab"

static int body_run(struct keeper *keeper, const void *options)
{
    return run_in_namespace(keeper, options);
}

static int body_pair(struct keeper *keeper, const void *options)
{
    return run_in_pair(keeper, options);
}

static int body_demo(struct keeper *keeper, const void *options)
{
    return demo_run(keeper, options);
}

static int body_compare(struct keeper *keeper, const void *options)
{
    return compare_run(keeper, options);
}

static int body_timewait(struct keeper *keeper, const void *options)
{
    return timewait_run(keeper, options);
}

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: finwait-lab COMMAND [options]; each command has --help\n"
                 "  demo      churn connections between two namespaces, engine by engine: a table\n"
                 "  compare   kernel against finwait's own TCP, trial by trial: tables, JSON\n"
                 "  timewait  what TIME_WAIT does and why it exists, each behaviour by doing it\n"
                 "  run       run a command in a private network namespace\n"
                 "  pair      run a server and a client in two private namespaces, joined by veth\n"
                 "Nothing on the host changes, and nothing is left behind.\n");
}

/* Ends a command line at its first "--". Returns what stood behind; it points at argv's final NULL
 * when nothing does. */
static char **split_command(char **argv)
{
    while (*argv != NULL && strcmp(*argv, "--") != 0) {
        argv++;
    }
    if (*argv != NULL) {
        *argv++ = NULL;
    }
    return argv;
}

static int launch(int (*body)(struct keeper *keeper, const void *options), const void *options)
{
    struct failure failure;
    int code = keeper_run(body, options, &failure);
    if (code < 0) {
        log_line(PROGRAM, "%s", failure.text);
        return 1;
    }
    return code;
}

static int command_run(char **argv)
{
    char **command = split_command(argv);
    struct run_options options;
    int code = program_parse(&run_program, argv, &options);
    if (code >= 0) {
        return code;
    }
    if (command[0] == NULL) {
        log_line(run_program.name, "no command; put it after --, as in finwait-lab run -- ss -s");
        return PROGRAM_CODE_USAGE;
    }
    options.command = command;
    return launch(body_run, &options);
}

static int command_pair(char **argv)
{
    struct pair_options options;
    int code = program_parse(&pair_program, argv, &options);
    if (code >= 0) {
        return code;
    }
    if (options.server == NULL || options.client == NULL) {
        log_line(pair_program.name, "--%s is missing; name a shell command",
                 options.server == NULL ? "server" : "client");
        return PROGRAM_CODE_USAGE;
    }
    return launch(body_pair, &options);
}

static int command_demo(char **argv)
{
    struct demo_options options;
    int code = program_parse(&demo_program, argv, &options);
    return code >= 0 ? code : launch(body_demo, &options);
}

static int command_compare(char **argv)
{
    struct compare_options options;
    struct failure failure;
    int code = program_parse(&compare_program, argv, &options);
    if (code >= 0) {
        return code;
    }
    if (compare_check(&options, &failure) != 0) {
        log_line(compare_program.name, "%s", failure.text);
        return PROGRAM_CODE_USAGE;
    }
    return launch(body_compare, &options);
}

static int command_timewait(char **argv)
{
    struct timewait_options options;
    struct failure failure;
    int code = program_parse(&timewait_program, argv, &options);
    if (code >= 0) {
        return code;
    }
    if (timewait_check_parts(&options, &failure) != 0) {
        log_line(timewait_program.name, "%s", failure.text);
        return PROGRAM_CODE_USAGE;
    }
    return launch(body_timewait, &options);
}

int main(int argc, char **argv)
{
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "demo") == 0) {
        return command_demo(argv + 1);
    }
    if (strcmp(command, "compare") == 0) {
        return command_compare(argv + 1);
    }
    if (strcmp(command, "timewait") == 0) {
        return command_timewait(argv + 1);
    }
    if (strcmp(command, "run") == 0) {
        return command_run(argv + 1);
    }
    if (strcmp(command, "pair") == 0) {
        return command_pair(argv + 1);
    }
    if (strcmp(command, "--help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(command, "--version") == 0) {
        printf("%s %s\n", PROGRAM, FINWAIT_VERSION);
        return 0;
    }
    log_line(PROGRAM, "unknown command \"%s\"; use demo, compare, timewait, run, pair or --help",
             command);
    return PROGRAM_CODE_USAGE;
}
