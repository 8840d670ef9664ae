/* finwait-stat: watches the TCP sockets of a network namespace by state.
 *
 * Layer: program (L5). options.c has the command line; once.c counts once. Else session.c hands
 * samples (sample.h) from a feed (feed.h: the kernel, a recording) to sinks (sink.h): lines.c,
 * live_view.c (view.c draws on canvas.c, screen.c shows), csv.c, document.c (JSON), record.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "stat/options.h"
#include "stat/run.h"
#include "stat/session.h"

/* The exit codes of DESIGN.md that apply here. */
enum { EXIT_USAGE = 2, EXIT_CANNOT_READ = 3 };

static int run(const struct stat_options *options)
{
    struct failure failure = {0};
    struct stat_settings settings;
    if (stat_settings_make(&settings, options, &failure) < 0) {
        log_line(stat_program.name, "%s", failure.text);
        return EXIT_USAGE;
    }
    int error = options->once ? run_once(&settings, &failure) : run_session(&settings, &failure);
    if (error == 0 && (fflush(stdout) == EOF || ferror(stdout))) {
        error = failure_set(&failure, EIO, "the standard output cannot be written");
    }
    if (error < 0) {
        log_line(stat_program.name, "%s", failure.text);
        return error == -EINVAL ? EXIT_USAGE : EXIT_CANNOT_READ;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    (void)argc; /* argv ends in NULL */
    struct stat_options options;
    struct failure failure = {0};
    switch (cli_parse(&stat_program, argv, &options, NULL, &failure)) {
    case CLI_RUN:
        return run(&options);
    case CLI_HELP:
        cli_print_help(&stat_program, stdout);
        return EXIT_SUCCESS;
    case CLI_VERSION:
        printf("%s %s\n", stat_program.name, FINWAIT_VERSION);
        return EXIT_SUCCESS;
    case CLI_MAN:
        cli_print_man(&stat_program, stdout);
        return EXIT_SUCCESS;
    case CLI_BAD:
        log_line(stat_program.name, "%s", failure.text);
        return EXIT_USAGE;
    }
    return EXIT_USAGE;
}
