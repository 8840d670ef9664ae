/* finwait-crowd: sockets that stand still, as many as asked for, for whoever measures or checks the
 * counting of them.
 *
 * Layer: bench. One process holds up to 19,000 sockets; half of the processes speak IPv4, half
 * IPv6. Prints one line of JSON with what is there when all is made, and holds it until stdin ends.
 * It needs a network namespace of its own, with somaxconn and tcp_max_tw_buckets large enough and
 * tcp_tw_reuse off (bench/census_crowd.py makes one). */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cli.h"
#include "bench/crowd/member.h"

#define MEMBERS_MAX 128
#define SOCKETS_MAX ((uint64_t)MEMBERS_MAX * MEMBER_SOCKETS_MAX)

struct crowd_options {
    uint64_t sockets;
    int mix; /* enum member_mix */
};

static const char *const mix_choices[] = {"six", "established", NULL};

static const struct cli_option crowd_option_table[] = {
    {.name = "sockets",
     .type = CLI_COUNT,
     .offset = offsetof(struct crowd_options, sockets),
     .metavar = "N",
     .initial = "1000",
     .min = 2 * (uint64_t)MEMBER_SOCKETS_MIN,
     .max = SOCKETS_MAX,
     .help = "how many to hold"},
    {.name = "states",
     .type = CLI_ENUM,
     .offset = offsetof(struct crowd_options, mix),
     .metavar = "MIX",
     .initial = "six",
     .choices = mix_choices,
     .help = "spread over six states, or established (and listeners)"},
};

static const struct cli_program crowd_program = {
    .name = "finwait-crowd",
    .summary = "holds TCP sockets that stand still, over IPv4 and IPv6, until stdin ends",
    .usage = "[--sockets N] [--states MIX]",
    .options = crowd_option_table,
    .option_count = sizeof(crowd_option_table) / sizeof(crowd_option_table[0]),
    .struct_bytes = sizeof(struct crowd_options),
};

struct member {
    pid_t pid;
    int done_fd; /* a byte for each step */
    int go_fd;   /* closed: the member ends */
};

struct crowd {
    struct member members[MEMBERS_MAX];
    uint32_t count;
    struct tcp_state_counts v4;
    struct tcp_state_counts v6;
};

static bool start_member(struct crowd *crowd, const struct member_plan *plan)
{
    int done[2];
    int go[2];
    if (pipe(done) < 0 || pipe(go) < 0) {
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(done[0]);
        close(go[1]);
        /* The others' ends: a member must not keep one from ending. */
        for (uint32_t i = 0; i < crowd->count; i++) {
            close(crowd->members[i].done_fd);
            close(crowd->members[i].go_fd);
        }
        member_run(plan, done[1], go[0]);
    }
    close(done[1]);
    close(go[0]);
    crowd->members[crowd->count++] =
        (struct member){.pid = pid, .done_fd = done[0], .go_fd = go[1]};
    member_plan_count(plan, plan->number % 2 == 0 ? &crowd->v4 : &crowd->v6);
    return pid > 0;
}

/* At least two, an even number, so that both families have as many. */
static bool start_members(struct crowd *crowd, uint64_t sockets, enum member_mix mix)
{
    uint64_t members = (sockets + MEMBER_SOCKETS_MAX - 1) / MEMBER_SOCKETS_MAX;
    members = members < 2 ? 2 : members + members % 2;
    uint64_t left = sockets;
    for (uint32_t i = 0; i < members; i++) {
        const uint64_t share = left / (members - i);
        const struct member_plan plan = member_plan_make(i, (uint32_t)share, mix);
        left -= share;
        if (!start_member(crowd, &plan)) {
            return false;
        }
    }
    return true;
}

static bool wait_for_step(const struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        char byte;
        if (read(crowd->members[i].done_fd, &byte, 1) != 1) {
            return false;
        }
    }
    return true;
}

static bool go_on(const struct crowd *crowd)
{
    for (uint32_t i = 0; i < crowd->count; i++) {
        if (write(crowd->members[i].go_fd, "", 1) != 1) {
            return false;
        }
    }
    return true;
}

static void print_counts(const char *name, const struct tcp_state_counts *counts)
{
    printf("\"%s\": {", name);
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        printf("%s\"%s\": %" PRIu64, state == TCP_STATE_ESTABLISHED ? "" : ", ",
               tcp_state_key((enum tcp_state)state), counts->n[state]);
    }
    printf("}");
}

static void print_crowd(const struct crowd *crowd)
{
    printf("{");
    print_counts("ipv4", &crowd->v4);
    printf(", ");
    print_counts("ipv6", &crowd->v6);
    printf("}\n");
    fflush(stdout);
}

static int end_members(struct crowd *crowd)
{
    int code = 0;
    for (uint32_t i = 0; i < crowd->count; i++) {
        close(crowd->members[i].go_fd);
    }
    for (uint32_t i = 0; i < crowd->count; i++) {
        int status = 0;
        if (waitpid(crowd->members[i].pid, &status, 0) < 0 || status != 0) {
            code = 1;
        }
    }
    return code;
}

int main(int argc, char **argv)
{
    (void)argc;
    struct crowd_options options;
    struct failure failure;
    switch (cli_parse(&crowd_program, argv, &options, NULL, &failure)) {
    case CLI_RUN:
        break;
    case CLI_HELP:
    case CLI_MAN:
    case CLI_VERSION:
        cli_print_help(&crowd_program, stdout);
        return 0;
    case CLI_BAD:
        fprintf(stderr, "finwait-crowd: %s\n", failure.text);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    struct crowd crowd = {0};
    const bool made = start_members(&crowd, options.sockets, (enum member_mix)options.mix) &&
                      wait_for_step(&crowd) && go_on(&crowd) && wait_for_step(&crowd);
    if (made) {
        print_crowd(&crowd);
        while (getchar() != EOF) {
        }
    } else {
        fprintf(stderr, "finwait-crowd: a process could not make its sockets: %s\n",
                strerror(errno));
    }
    const int code = end_members(&crowd);
    return made ? code : 3;
}
