/* Command: the command lines of a cell's two programs.
 *
 * Layer: bench/lab. Plain text: a command owns all that its argv points to. */
#ifndef FINWAIT_BENCH_LAB_COMMAND_H
#define FINWAIT_BENCH_LAB_COMMAND_H

#include <limits.h>
#include <stddef.h>

#include "cell.h"

#define COMMAND_WORDS_MAX 48
#define COMMAND_TEXT_MAX (PATH_MAX + 2048)

struct command {
    const char *argv[COMMAND_WORDS_MAX + 1]; /* NULL-ended */
    size_t count;
    size_t used; /* of `text` */
    char text[COMMAND_TEXT_MAX];
};

/* Write the command line of a cell's server and client, each of which reports to `report`. */
void command_server(struct command *command, const struct cell_spec *spec, const char *report);
void command_client(struct command *command, const struct cell_spec *spec, const char *report);

/* Names the program that stands at one end: "finwait-server", "finwait-null". */
const char *command_server_program(enum lab_kind kind);
const char *command_client_program(enum lab_kind kind);

#endif
