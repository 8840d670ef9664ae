/* Program: what the bench's own programs do alike: options, stopping, addresses.
 *
 * Layer: bench/program, over base. */
#ifndef FINWAIT_BENCH_PROGRAM_PROGRAM_H
#define FINWAIT_BENCH_PROGRAM_PROGRAM_H

#include <signal.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/cli.h"
#include "base/failure.h"

#define PROGRAM_CODE_USAGE 2

/* Parses a command line into the program's struct of options. Prints what --help, --man and
 * --version ask for, or what is wrong. Returns -1 to go on, else the exit code. */
int program_parse(const struct cli_program *program, char **argv, void *options);

/* Has SIGTERM and SIGINT set a flag, and returns it. */
const volatile sig_atomic_t *program_stop_flag(void);

/* Sets that flag. */
void program_ask_stop(void);

/* Gives an IPv4 address in host order. */
uint32_t program_ipv4(const struct ip_addr *ip);

/* Pins the calling thread to a CPU. Returns 0, or -errno with the text set. */
int program_pin(uint32_t cpu, struct failure *failure);

#endif
