/* finwait-server: an echo server for opening and closing connections fast. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/cli.h"
#include "base/log.h"
#include "report/report.h"
#include "server/options.h"
#include "server/report.h"
#include "server/server.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_USAGE = 2,
    EXIT_CANNOT_RUN = 3,
};

#define WHERE_TEXT_MAX 2048

/* Descriptors are what a server runs out of first: take all that we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int wrong_usage(const struct failure *failure)
{
    log_line(SERVER_NAME, "%s", failure->text);
    return EXIT_USAGE;
}

static int cannot_run(const struct failure *failure)
{
    log_line(SERVER_NAME, "%s", failure->text);
    return EXIT_CANNOT_RUN;
}

static void say_ready(const struct server *server)
{
    char where[WHERE_TEXT_MAX];
    if (server->engine_why.text[0] != '\0') {
        log_line(SERVER_NAME, "taking epoll: %s", server->engine_why.text);
    }
    server_describe(server, where, sizeof(where));
    log_line(SERVER_NAME, "listening on %s", where);
}

static int run(struct server *server, int argc, char *const *argv)
{
    struct failure failure;
    int code = EXIT_OK;
    if (server_run(server, &failure) != 0) {
        code = cannot_run(&failure);
    }
    if (report_write(server, argc, argv, &failure) != 0) {
        code = cannot_run(&failure);
    }
    return code;
}

static int serve(const struct server_options *options, int argc, char *const *argv)
{
    struct failure failure;
    struct respond_file respond = {0};
    if (options->respond != NULL && respond_load(&respond, options->respond, &failure) != 0) {
        return wrong_usage(&failure);
    }
    if (options->json != NULL && result_path_check(options->json, &failure) != 0) {
        respond_unload(&respond);
        log_line(SERVER_NAME, "--json %s", failure.text);
        return EXIT_USAGE;
    }
    struct server *server = aligned_alloc(_Alignof(struct server), sizeof(*server));
    if (server == NULL) {
        respond_unload(&respond);
        failure_set(&failure, ENOMEM, "out of memory");
        return cannot_run(&failure);
    }
    int code;
    if (server_start(server, options, &respond, &failure) != 0) {
        /* What keeps the stack from its link or its addresses is what was asked for. */
        code = options->engine == TRANSPORT_STACK ? wrong_usage(&failure) : cannot_run(&failure);
    } else {
        say_ready(server);
        code = run(server, argc, argv);
        server_destroy(server);
    }
    free(server);
    respond_unload(&respond);
    return code;
}

static int print_features(const struct server_options *options)
{
    struct transport_stack_config stack =
        transport_stack_config_of(&options->stack_settings, 0, 1, LINK_STEER_REMOTE_PORT);
    struct transport_config config = {
        .stack = &stack,
        .engine = (enum transport_engine)options->engine,
        .conns_max = (uint32_t)options->conns_max,
        .features_off = options->features_off,
        .listens = true,
    };
    struct failure failure;
    return transport_features_print(&config, stdout, &failure) == 0 ? EXIT_OK
                                                                    : cannot_run(&failure);
}

int main(int argc, char **argv)
{
    struct server_options options;
    struct failure failure;
    switch (options_parse(&options, argv, &failure)) {
    case CLI_HELP:
        cli_print_help(&server_program, stdout);
        return EXIT_OK;
    case CLI_VERSION:
        printf("%s %s\n", SERVER_NAME, FINWAIT_VERSION);
        return EXIT_OK;
    case CLI_MAN:
        cli_print_man(&server_program, stdout);
        return EXIT_OK;
    case CLI_BAD:
        return wrong_usage(&failure);
    case CLI_RUN:
        break;
    }
    /* A report to a closed pipe must be an error that is reported, not the end. */
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    return options.print_features ? print_features(&options) : serve(&options, argc, argv);
}
