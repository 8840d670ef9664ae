/* What the bench's programs do alike; see program.h. Layer: bench/program. */
#include "bench/program/program.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/cpu.h"
#include "base/log.h"

static volatile sig_atomic_t stop_asked;

int program_parse(const struct cli_program *program, char **argv, void *options)
{
    struct failure failure;
    switch (cli_parse(program, argv, options, NULL, &failure)) {
    case CLI_RUN:
        return -1;
    case CLI_HELP:
        cli_print_help(program, stdout);
        return 0;
    case CLI_VERSION:
        /* A command's name is "program command"; the version is the program's. */
        printf("%.*s %s\n", (int)strcspn(program->name, " "), program->name, FINWAIT_VERSION);
        return 0;
    case CLI_MAN:
        cli_print_man(program, stdout);
        return 0;
    case CLI_BAD:
        break;
    }
    log_line(program->name, "%s", failure.text);
    return PROGRAM_CODE_USAGE;
}

static void on_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

const volatile sig_atomic_t *program_stop_flag(void)
{
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    return &stop_asked;
}

void program_ask_stop(void)
{
    stop_asked = 1;
}

uint32_t program_ipv4(const struct ip_addr *ip)
{
    ASSERT(ip->family == AF_INET);
    return (uint32_t)ip->bytes[0] << 24 | (uint32_t)ip->bytes[1] << 16 |
           (uint32_t)ip->bytes[2] << 8 | ip->bytes[3];
}

int program_pin(uint32_t cpu, struct failure *failure)
{
    int error = cpu_pin_self(cpu);
    return error == 0 ? 0
                      : failure_set(failure, -error, "CPU %u cannot be used: %s", (unsigned)cpu,
                                    strerror(-error));
}
