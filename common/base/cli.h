/* Command lines: one table per program gives parsing, --help, the man page, and the echo in
 * reports.
 *
 * Layer: base. The table is const and static; parsing fills a struct of the program's own, which is
 * passed down as const from then on. Options are long ("--rate 20k/s" or "--rate=20k/s"); a flag
 * takes no value; --help and --version are every program's. Bad input gives one line that says what
 * was wrong, the value and what to do. No global state, unlike getopt, so that tests parse as often
 * as they like. */
#ifndef FINWAIT_BASE_CLI_H
#define FINWAIT_BASE_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/failure.h"

enum cli_type {
    CLI_FLAG,     /* bool; given: true */
    CLI_ON_OFF,   /* bool; "on" or "off" */
    CLI_COUNT,    /* uint64_t; "200", "20k", "3M" (decimal) */
    CLI_BYTES,    /* uint64_t; "64", "64B", "16KiB", "1MiB", "1GiB", "2kB", "2MB" */
    CLI_DURATION, /* uint64_t ns; "250us", "5ms", "1.5s", "2m", "1h"; only 0 needs no unit */
    CLI_RATE,     /* struct cli_rate; "10k", "10k/s", "600k/min" */
    CLI_ENUM,     /* int; the index of one of `choices` */
    CLI_STRING,   /* const char *; points into argv */
    CLI_LIST,     /* struct cli_list; every occurrence appended; values point into argv */
};

struct cli_rate {
    uint64_t events; /* per `per_ns`; exact, so that schedules do not drift */
    uint64_t per_ns;
};

#define CLI_LIST_MAX 64

struct cli_list {
    uint32_t count;
    const char *values[CLI_LIST_MAX];
};

struct cli_option {
    const char *name; /* without the dashes */
    enum cli_type type;
    size_t offset;       /* of the field in the program's struct */
    const char *metavar; /* "ADDR:PORT"; NULL for flags */
    const char *initial; /* default, as a user would write it; NULL: none (the field stays zero) */
    uint64_t min;        /* inclusive, for COUNT, BYTES, DURATION and RATE (events/s) */
    uint64_t max;        /* inclusive; 0: no bound */
    const char *const *choices; /* ENUM: NULL-ended */
    const char *group;          /* options of one group exclude each other; NULL: none */
    const char *section;        /* heading in --help; NULL: as the option before */
    const char *help;           /* one sentence, in lower case, no full stop */
};

struct cli_program {
    const char *name;
    const char *summary;  /* one sentence */
    const char *usage;    /* after the name: "--target ADDR:PORT [options]" */
    const char *epilogue; /* examples and exit codes, printed after the options; may be NULL */
    const struct cli_option *options;
    size_t option_count;
    size_t struct_bytes; /* of the program's struct */
};

/* Which options were given, by index in the table: bit i % 64 of word i / 64. */
struct cli_given {
    uint64_t bits[4]; /* at most 256 options a program */
};

enum cli_outcome {
    CLI_RUN,     /* options parsed: go on */
    CLI_HELP,    /* --help was given */
    CLI_VERSION, /* --version was given */
    CLI_MAN,     /* --man was given: print the man page in roff */
    CLI_BAD,     /* the failure holds the line to print; exit 2 */
};

/* Fills `options` (a struct of the program's, struct_bytes long; zeroed first, then the defaults,
 * then argv, which begins with the program's name and ends in NULL as main's does). `given` may be
 * NULL. Positional arguments are refused. An unknown option names the nearest one. */
enum cli_outcome cli_parse(const struct cli_program *program, char *const *argv, void *options,
                           struct cli_given *given, struct failure *failure);

/* Tells whether an option was given. Requires a name of the table. */
bool cli_was_given(const struct cli_program *program, const struct cli_given *given,
                   const char *name);

void cli_print_help(const struct cli_program *program, FILE *out);
void cli_print_man(const struct cli_program *program, FILE *out);

/* Writes an option's value as a user would write it; returns the length that it has or would have,
 * as snprintf does. Lists are joined by ','. For the echo of every option in a report. */
int cli_format_value(const struct cli_option *option, const void *options, char *text, size_t size);

/* Single values, for texts inside of other options. Return 0 or -EINVAL with the text set; `what`
 * begins the text ("--rate 10k/x"). */
int cli_parse_count(uint64_t *value, const char *text, const char *what, struct failure *failure);
int cli_parse_bytes(uint64_t *value, const char *text, const char *what, struct failure *failure);
int cli_parse_duration(uint64_t *ns, const char *text, const char *what, struct failure *failure);
int cli_parse_rate(struct cli_rate *rate, const char *text, const char *what,
                   struct failure *failure);

#endif
