#include "stat/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"

#define FIELD(field) offsetof(struct stat_options, field)

static const struct cli_option stat_option_table[] = {
    {.name = "port",
     .type = CLI_LIST,
     .offset = FIELD(ports),
     .metavar = "PORT[-PORT]",
     .section = "What to count",
     .help = "only sockets with this port at either end"},
    {.name = "local-port",
     .type = CLI_LIST,
     .offset = FIELD(local_ports),
     .metavar = "PORT[-PORT]",
     .help = "only sockets with this local port"},
    {.name = "remote-port",
     .type = CLI_LIST,
     .offset = FIELD(remote_ports),
     .metavar = "PORT[-PORT]",
     .help = "only sockets with this remote port"},
    {.name = "once",
     .type = CLI_FLAG,
     .offset = FIELD(once),
     .group = "how often",
     .section = "How often",
     .help = "count once, print a table by family, and end"},
    {.name = "count",
     .type = CLI_COUNT,
     .offset = FIELD(count),
     .metavar = "N",
     .group = "how often",
     .min = 1,
     .max = 1000000000,
     .help = "end after N lines instead of at SIGINT or SIGTERM"},
    {.name = "interval",
     .type = CLI_DURATION,
     .offset = FIELD(interval_ns),
     .metavar = "TIME",
     .initial = "1s",
     .min = 10 * NS_PER_MS,
     .max = 3600 * NS_PER_SEC,
     .help = "time from line to line"},
    {.name = "budget",
     .type = CLI_STRING,
     .offset = FIELD(budget),
     .metavar = "PERCENT",
     .initial = "1%",
     .help = "share of one core for all that finwait-stat does; sockets are counted as often as it "
             "allows"},
    {.name = "method",
     .type = CLI_ENUM,
     .offset = FIELD(method),
     .metavar = "HOW",
     .initial = "auto",
     .choices = census_method_choices,
     .help = "count by auto, procfs, sock_diag or bpf; auto takes the cheapest that it may"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = FIELD(json),
     .metavar = "FILE|-",
     .section = "Output",
     .help = "write everything as one JSON document at the end; - is stdout, without the lines"},
};

const struct cli_program stat_program = {
    .name = "finwait-stat",
    .summary = "counts the TCP sockets of this network namespace by state",
    .usage = "[options]",
    .epilogue = "Examples:\n"
                "  finwait-stat --port 7000             a line a second\n"
                "  finwait-stat --once                  one table\n"
                "  finwait-stat --count 60 --json -     a minute as JSON\n"
                "\n"
                "The columns of states come from a full count of the kernel's table, which\n"
                "costs 0.5 to 3 us a socket, by the method, and is as old as its age says;\n"
                "every is the time from one count to the next. tw_live, tw_in/s and drops/s\n"
                "are the whole namespace's, and of the moment. A FIN_WAIT_2 without a process\n"
                "is in tw_live too: the kernel keeps both as one kind of record.\n"
                "\n"
                "Exit codes:\n"
                "  0  counted\n"
                "  2  bad usage; one line says what was wrong\n"
                "  3  the kernel's tables or the output file cannot be used\n",
    .options = stat_option_table,
    .option_count = sizeof(stat_option_table) / sizeof(stat_option_table[0]),
    .struct_bytes = sizeof(struct stat_options),
};

int stat_parse_budget(uint32_t *permille, const char *text, struct failure *failure)
{
    uint32_t sum = 0;
    uint32_t digits = 0;
    uint32_t decimals = 0;
    bool has_point = false;
    const char *at = text;
    for (; (*at >= '0' && *at <= '9') || (*at == '.' && !has_point); at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        if (sum <= 1000) { /* beyond it is out of range, however long it goes on */
            sum = sum * 10 + (uint32_t)(*at - '0');
        }
        digits++;
        decimals += has_point;
    }
    if (digits == 0 || decimals > 1 || (has_point && decimals == 0) || strcmp(at, "%") != 0) {
        return failure_set(failure, EINVAL,
                           "--budget %.40s: not a percentage in tenths; use 2%% or 0.5%%", text);
    }
    const uint32_t tenths = decimals == 0 ? sum * 10 : sum;
    if (tenths > 1000) {
        return failure_set(failure, EINVAL, "--budget %.40s: more than one core; use 0%% to 100%%",
                           text);
    }
    *permille = tenths;
    return 0;
}

static int add_ports(struct port_set *set, const struct cli_list *list, const char *option,
                     struct failure *failure)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct port_range range;
        struct failure cause;
        if (port_range_parse(&range, list->values[i], &cause) < 0) {
            return failure_set(failure, EINVAL, "%s %s", option, cause.text);
        }
        port_set_add_range(set, range);
    }
    return 0;
}

int stat_settings_make(struct stat_settings *settings, const struct stat_options *options,
                       struct failure *failure)
{
    *settings = (struct stat_settings){.options = options};
    int error = stat_parse_budget(&settings->budget_permille, options->budget, failure);
    if (error == 0) {
        error = add_ports(&settings->either_ports, &options->ports, "--port", failure);
    }
    if (error == 0) {
        error = add_ports(&settings->local_ports, &options->local_ports, "--local-port", failure);
    }
    if (error == 0) {
        error =
            add_ports(&settings->remote_ports, &options->remote_ports, "--remote-port", failure);
    }
    if (error == 0 && options->json != NULL && options->json[0] == '\0') {
        return failure_set(failure, EINVAL, "--json: the name is empty; use a file's or -");
    }
    return error;
}

struct census_request stat_settings_request(const struct stat_settings *settings)
{
    const struct stat_options *options = settings->options;
    return (struct census_request){
        .either_ports = options->ports.count > 0 ? &settings->either_ports : NULL,
        .local_ports = options->local_ports.count > 0 ? &settings->local_ports : NULL,
        .remote_ports = options->remote_ports.count > 0 ? &settings->remote_ports : NULL,
    };
}
