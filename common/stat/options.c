#include "stat/options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "exporter/exporter.h"
#include "stat/filters.h"
#include "stat/sample.h"

#define FIELD(field) offsetof(struct stat_options, field)

#define PID_MAX 4194304 /* PID_MAX_LIMIT of Linux */
#define SPEED_MIN 0.01
#define SPEED_MAX 1e6

/* Indexed by enum stat_view. */
static const char *const view_choices[] = {"auto", "live", "lines", NULL};

/* What comes after "none" is enum owners_key, in its order. */
enum { BY_AUTO, BY_NONE, BY_FIRST_KEY };

static const char *const stat_by_choices[] = {"auto",   "none",       "pid", "cgroup",
                                              "remote", "local-port", NULL};

static const struct cli_option stat_option_table[] = {
    {.name = "port",
     .type = CLI_LIST,
     .offset = FIELD(ports),
     .metavar = "PORT[-PORT]",
     .section = "What to count",
     .help = "only sockets with this port at either end; 2 to 32 named ports are told apart in "
             "transitions and times in states"},
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
    {.name = "address",
     .type = CLI_LIST,
     .offset = FIELD(addresses),
     .metavar = "IP[/BITS|-IP]",
     .help = "only sockets with this address at either end, or one of its prefix or range"},
    {.name = "local-address",
     .type = CLI_LIST,
     .offset = FIELD(local_addresses),
     .metavar = "IP[/BITS|-IP]",
     .help = "only sockets with this local address; a listener on all addresses has 0.0.0.0 or ::"},
    {.name = "remote-address",
     .type = CLI_LIST,
     .offset = FIELD(remote_addresses),
     .metavar = "IP[/BITS|-IP]",
     .help = "only sockets with this remote address"},
    {.name = "state",
     .type = CLI_LIST,
     .offset = FIELD(states),
     .metavar = "STATE",
     .help = "only sockets in this state, such as close_wait; transitions are counted in all"},
    {.name = "pid",
     .type = CLI_COUNT,
     .offset = FIELD(pid),
     .metavar = "PID",
     .min = 1,
     .max = PID_MAX,
     .help = "only sockets of this process; transitions of those that it connected or listens for"},
    {.name = "cgroup",
     .type = CLI_STRING,
     .offset = FIELD(cgroup),
     .metavar = "PATH",
     .help = "only sockets of this cgroup (of version 2) and those below it: /system.slice"},
    {.name = "by",
     .type = CLI_ENUM,
     .offset = FIELD(by),
     .metavar = "WHAT",
     .initial = "auto",
     .choices = stat_by_choices,
     .help = "whose the sockets are: a table of those with the most, in every output but lines, "
             "and warnings; auto: pid, but with --once none; local-port tells transitions of the "
             "ports that serve apart too"},
    {.name = "top",
     .type = CLI_COUNT,
     .offset = FIELD(top),
     .metavar = "N",
     .initial = "10",
     .min = 1,
     .max = SAMPLE_OWNERS_MAX,
     .help = "rows of --by, and of the ports in --csv where --by tells these apart"},
    {.name = "netns",
     .type = CLI_STRING,
     .offset = FIELD(netns),
     .metavar = "PATH|PID|NAME",
     .help = "the network namespace to watch: a file, a process's, or one of `ip netns`; our own "
             "when it is not given"},
    {.name = "stack",
     .type = CLI_STRING,
     .offset = FIELD(stack),
     .metavar = "PATH",
     .help = "show finwait's own TCP in a running program instead of the kernel's: PATH is the "
             "--stack-socket of a finwait-server or finwait-loadgen"},
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
    {.name = "csv",
     .type = CLI_STRING,
     .offset = FIELD(csv),
     .metavar = "FILE|-",
     .help = "write a row per tick, with the columns named in the first; - is stdout, without the "
             "lines"},
    {.name = "view",
     .type = CLI_ENUM,
     .offset = FIELD(view),
     .metavar = "HOW",
     .initial = "auto",
     .choices = view_choices,
     .help = "live: a screen, or frames of 80x24 where stdout is no terminal; lines: a line per "
             "tick; auto: live on a terminal"},
    {.name = "metrics",
     .type = CLI_STRING,
     .offset = FIELD(metrics),
     .metavar = "ADDR:PORT",
     .help = "answer http://ADDR:PORT/metrics for Prometheus; the address must be loopback"},
    {.name = "metrics-allow-remote",
     .type = CLI_FLAG,
     .offset = FIELD(metrics_allow_remote),
     .help = "let --metrics listen on any address: whoever reaches it can read it"},
    {.name = "record",
     .type = CLI_STRING,
     .offset = FIELD(record),
     .metavar = "FILE",
     .group = "recording",
     .section = "Recordings",
     .help = "append every tick to a new file, for --replay"},
    {.name = "replay",
     .type = CLI_STRING,
     .offset = FIELD(replay),
     .metavar = "FILE",
     .group = "recording",
     .help = "show what was recorded instead of this machine; --json, --csv and --view apply"},
    {.name = "speed",
     .type = CLI_STRING,
     .offset = FIELD(speed),
     .metavar = "N|max",
     .initial = "1",
     .help = "how many times faster to replay than it was recorded"},
};

const struct cli_program stat_program = {
    .name = "finwait-stat",
    .summary = "counts the TCP sockets of this network namespace by state",
    .usage = "[options]",
    .epilogue = "Examples:\n"
                "  finwait-stat                         the live view, on a terminal\n"
                "  finwait-stat --port 7000 --view lines    a line a second\n"
                "  finwait-stat --once --netns 4711     one table, of a process's namespace\n"
                "  finwait-stat --count 60 --json -     a minute as JSON\n"
                "  finwait-stat --record run.rec; finwait-stat --replay run.rec --speed 10\n"
                "  finwait-stat --metrics 127.0.0.1:9464 --by cgroup --view lines\n"
                "\n"
                "The columns of states come from a full count of the kernel's table, which\n"
                "costs 0.5 to 3 us a socket, by the method, and is as old as its age says;\n"
                "every is the time from one count to the next. tw_live, tw_in/s and drops/s\n"
                "are the whole namespace's, and of the moment. A FIN_WAIT_2 without a process\n"
                "is in tw_live too: the kernel keeps both as one kind of record.\n"
                "\n"
                "--port, --address and the like take several values: give them more than once.\n"
                "\n"
                "Transitions, and how long states lasted, are told apart by port for 2 to 32\n"
                "ports that --port (both ends of a connection count to it), --local-port or\n"
                "--remote-port name, and by --by local-port, where each port that accepts takes\n"
                "a place, 32 at most, and the others are one row. That needs BPF, and time to\n"
                "count in, which --once has not. The series of --metrics have a port then.\n"
                "\n"
                "Keys of the live view: q quit, p pause, s sort, h help.\n"
                "\n"
                "CSV's columns: times in seconds, the last census by state (empty before the\n"
                "first), gauges as they are, totals as their rise since the first row, the most\n"
                "in each state since the row before (peak), transitions (step) and times in\n"
                "states (lasted) since the start, warnings, the same by port (port_N, port_rest)\n"
                "where told apart, and as many owners as --top says. Later versions add columns\n"
                "before the ports' and owners' only. A recording is a line of\n"
                "JSON per tick; of one that was cut short, what is whole is shown and the rest\n"
                "named.\n"
                "\n"
                "Exit codes:\n"
                "  0  counted\n"
                "  2  bad usage; one line says what was wrong\n"
                "  3  the kernel's tables or a file cannot be used, or a recording is not whole\n",
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

int stat_parse_speed(double *speed, const char *text, struct failure *failure)
{
    if (strcmp(text, "max") == 0) {
        *speed = 0;
        return 0;
    }
    char *end;
    const double number = strtod(text, &end);
    const bool has_digit = text[0] >= '0' && text[0] <= '9'; /* no blanks, signs or "inf" */
    end += *end == 'x' ? 1 : 0;
    if (!has_digit || *end != '\0' || number < SPEED_MIN || number > SPEED_MAX) {
        return failure_set(failure, EINVAL,
                           "--speed %.40s: not a speed; use 1, 0.5, 10 or max, from 0.01 to "
                           "1000000",
                           text);
    }
    *speed = number;
    return 0;
}

static bool is_filtered(const struct stat_options *options)
{
    return options->ports.count + options->local_ports.count + options->remote_ports.count +
                   options->addresses.count + options->local_addresses.count +
                   options->remote_addresses.count + options->states.count >
               0 ||
           options->pid != 0 || options->cgroup != NULL;
}

/* Refuses what cannot be said of a recording, or only of one. */
static int check_replay(const struct stat_options *options, struct failure *failure)
{
    if (options->replay == NULL) {
        return 0;
    }
    if (options->once || is_filtered(options) || options->netns != NULL) {
        return failure_set(failure, EINVAL,
                           "--replay %s: a recording is shown as it was made; leave %s out",
                           options->replay,
                           options->once            ? "--once"
                           : options->netns != NULL ? "--netns"
                                                    : "the filters");
    }
    return 0;
}

/* Refuses what a stack does not tell: it counts its states as they change, and by nothing else. */
static int check_stack(const struct stat_options *options, struct failure *failure)
{
    const char *what = options->replay != NULL  ? "--replay"
                       : options->netns != NULL ? "--netns"
                       : options->by > BY_NONE  ? "--by"
                       : is_filtered(options)   ? "the filters"
                                                : NULL;
    if (options->stack == NULL) {
        return 0;
    }
    return what == NULL ? 0
                        : failure_set(failure, EINVAL,
                                      "--stack %s: a stack tells its states as a whole; leave %s "
                                      "out",
                                      options->stack, what);
}

static int check_outputs(const struct stat_options *options, struct failure *failure)
{
    static const struct {
        size_t offset;
        const char *name;
    } paths[] = {{FIELD(json), "--json"},
                 {FIELD(csv), "--csv"},
                 {FIELD(record), "--record"},
                 {FIELD(replay), "--replay"}};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const char *const *path =
            (const char *const *)(const void *)((const char *)options + paths[i].offset);
        if (*path != NULL && (*path)[0] == '\0') {
            return failure_set(failure, EINVAL, "%s: the name is empty; use a file's%s",
                               paths[i].name, i < 2 ? " or -" : "");
        }
    }
    const bool json_out = options->json != NULL && strcmp(options->json, "-") == 0;
    const bool csv_out = options->csv != NULL && strcmp(options->csv, "-") == 0;
    if (json_out && csv_out) {
        return failure_set(failure, EINVAL, "--json - and --csv - both want stdout; name a file");
    }
    if (options->view == STAT_VIEW_LIVE && (json_out || csv_out)) {
        return failure_set(failure, EINVAL, "--view live and %s - both want stdout; name a file",
                           json_out ? "--json" : "--csv");
    }
    if (options->once &&
        (options->csv != NULL || options->record != NULL || options->metrics != NULL)) {
        return failure_set(failure, EINVAL,
                           "--once and %s: a single count has no ticks; use --count 1",
                           options->csv != NULL      ? "--csv"
                           : options->record != NULL ? "--record"
                                                     : "--metrics");
    }
    const int error = check_stack(options, failure);
    return error < 0 ? error : check_replay(options, failure);
}

bool stat_settings_is_live(const struct stat_settings *settings)
{
    const char *terminal = getenv("TERM");
    switch ((enum stat_view)settings->options->view) {
    case STAT_VIEW_LIVE:
        return true;
    case STAT_VIEW_LINES:
        return false;
    case STAT_VIEW_AUTO:
        return isatty(STDOUT_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
    }
    return false;
}

/* Works out what --by means. */
static void set_by(struct stat_settings *settings)
{
    const struct stat_options *options = settings->options;
    const int by = options->by != BY_AUTO ? options->by : options->once ? BY_NONE : BY_FIRST_KEY;
    settings->has_by = by >= BY_FIRST_KEY;
    settings->by = settings->has_by ? (enum owners_key)(by - BY_FIRST_KEY) : OWNERS_BY_PID;
    settings->by_name = settings->has_by ? stat_by_choices[by] : "";
}

int stat_settings_make(struct stat_settings *settings, const struct stat_options *options,
                       struct failure *failure)
{
    *settings = (struct stat_settings){.options = options};
    int error = stat_parse_budget(&settings->budget_permille, options->budget, failure);
    if (error == 0) {
        error = stat_filters_make(settings, failure);
    }
    if (error == 0) {
        error = stat_parse_speed(&settings->speed, options->speed, failure);
    }
    if (error == 0 && options->metrics != NULL) {
        settings->has_metrics = true;
        error = exporter_parse(&settings->metrics, options->metrics, options->metrics_allow_remote,
                               failure);
    }
    set_by(settings);
    if (error == 0) {
        error = check_outputs(options, failure);
    }
    return error;
}
