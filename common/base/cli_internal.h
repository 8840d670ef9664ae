/* What the command line's files share: parsing one option's value, and the options every program
 * has.
 *
 * Layer: base; private to cli_*.c. */
#ifndef FINWAIT_BASE_CLI_INTERNAL_H
#define FINWAIT_BASE_CLI_INTERNAL_H

#include "base/cli.h"

#define CLI_BUILTIN_COUNT 3

/* --help, --version and --man: every program's, without a field. */
struct cli_builtin {
    const char *name;
    enum cli_outcome outcome;
    const char *help;
};

extern const struct cli_builtin cli_builtins[CLI_BUILTIN_COUNT];

/* As the public functions of these names, but a number too large gives -ERANGE, so that the caller,
 * who knows the option's range, can name it. */
int cli_value_count(uint64_t *value, const char *text, const char *what, struct failure *failure);
int cli_value_bytes(uint64_t *value, const char *text, const char *what, struct failure *failure);
int cli_value_duration(uint64_t *ns, const char *text, const char *what, struct failure *failure);
int cli_value_rate(struct cli_rate *rate, const char *text, const char *what,
                   struct failure *failure);

/* Reads an option's value into its field of `options`, its range checked. `text` is NULL for a
 * flag. Returns 0 or -EINVAL with the text set, beginning with "--name value: ". */
int cli_option_store(const struct cli_option *option, void *options, const char *text,
                     struct failure *failure);

/* Writes one value of a type that has a range, as cli_format_value does. */
int cli_format_number(enum cli_type type, uint64_t number, char *text, size_t size);

/* Writes what stands for an option's value in help texts ("ADDR:PORT", "on|off"), "" for a flag.
 * Returns the length as snprintf does. */
int cli_format_metavar(const struct cli_option *option, char *text, size_t size);

/* Writes the whole help text of an option: its sentence, choices, default and range. */
int cli_format_help(const struct cli_option *option, char *text, size_t size);

/* Writes "1 to 64KiB", or "1 or more" where there is no upper bound; "" for a type without a range
 * and where neither end is bounded. */
int cli_format_range(const struct cli_option *option, char *text, size_t size);

#endif
