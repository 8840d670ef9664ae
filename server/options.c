#include "server/options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "exporter/exporter.h"
#include "tcpstat/census.h"

#define DEFAULT_LISTEN "127.0.0.1:7000"

/* Above this the digits of --closes-after cannot be a count. */
#define LIMIT_DIGITS_MAX 24

/* Indexed by enum transport_engine and enum echo_close. */
static const char *const engine_choices[] = {"auto", "uring", "epoll", "stack", NULL};
static const char *const close_choices[] = {"fin", "close", "half", "rst", "fin-no-timewait", NULL};

#define FIELD(name) offsetof(struct server_options, name)

static const struct cli_option option_table[] = {
    {.section = "Where and how",
     .name = "engine",
     .type = CLI_ENUM,
     .offset = FIELD(engine),
     .metavar = "ENGINE",
     .initial = "auto",
     .choices = engine_choices,
     .help = "what drives the sockets: auto (io_uring where it works, else epoll, and says so), "
             "uring, epoll; stack: finwait's own TCP over --link, without the kernel's"},
    {.name = "listen",
     .type = CLI_LIST,
     .offset = FIELD(listen),
     .metavar = "ADDR:PORT",
     .help = "listen here, on IPv4 or [IPv6]; port 0 lets the system choose; " DEFAULT_LISTEN
             " when it is not given, port 7000 of --address with the stack"},
    {.name = "cpus",
     .type = CLI_STRING,
     .offset = FIELD(cpus),
     .metavar = "LIST",
     .help = "CPUs such as 0-1,4: one pinned worker each, with its own listener, and a connection "
             "goes to "
             "the worker of the CPU that it came in on; all CPUs allowed when it is not given"},
    {.name = "backlog",
     .type = CLI_COUNT,
     .offset = FIELD(backlog),
     .metavar = "N",
     .initial = "4096",
     .min = 1,
     .max = 1u << 20,
     .help = "length of each listener's accept queue; the kernel caps it at net.core.somaxconn"},
    {.name = "conns-max",
     .type = CLI_COUNT,
     .offset = FIELD(conns_max),
     .metavar = "N",
     .initial = "100k",
     .min = 1,
     .max = 1u << 22,
     .help = "connections open at once, over all workers; those beyond wait in the backlog, and a "
             "place that comes free at another worker is noticed within 20 ms"},
    {.name = "defer-accept",
     .type = CLI_DURATION,
     .offset = FIELD(defer_accept_ns),
     .metavar = "TIME",
     .initial = "0",
     .max = 3600 * UINT64_C(1000000000),
     .help = "accept a connection only when its first data came (TCP_DEFER_ACCEPT, whole seconds); "
             "0: off"},
    {.name = "fastopen",
     .type = CLI_FLAG,
     .offset = FIELD(fastopen),
     .help = "take data in the SYN (TCP_FASTOPEN; net.ipv4.tcp_fastopen must allow it)"},
    {.name = "quickack",
     .type = CLI_ON_OFF,
     .offset = FIELD(quickack),
     .metavar = "on|off",
     .initial = "on",
     .help = "acknowledge at once, as the kernel does by itself; off (default with the stack) lets "
             "acknowledgements ride on the echo"},

    {.section = "What connections get",
     .name = "closes-after",
     .type = CLI_STRING,
     .offset = FIELD(closes_after),
     .metavar = "BYTES|ECHOES",
     .help = "close of our own accord after so many echoed bytes (64B, 1KiB: exact, what came "
             "beyond is "
             "discarded) or echoes (1echo, 3echoes: received buffers, so how TCP cut the stream "
             "counts; with "
             "--respond: responses); otherwise the peer's FIN is answered"},
    {.name = "close",
     .type = CLI_ENUM,
     .offset = FIELD(close),
     .metavar = "HOW",
     .initial = "fin",
     .choices = close_choices,
     .help = "how to close after --closes-after: fin (shutdown, read to the peer's FIN), close (at "
             "once), "
             "half (shutdown; the peer goes on sending), rst (reset), fin-no-timewait (at once, no "
             "TIME_WAIT)"},
    {.name = "respond",
     .type = CLI_STRING,
     .offset = FIELD(respond),
     .metavar = "FILE",
     .help = "answer each request (up to a blank line) with the file's bytes instead of an echo; "
             "the file "
             "holds the whole response, headers included"},
    {.name = "idle-timeout",
     .type = CLI_DURATION,
     .offset = FIELD(idle_timeout_ns),
     .metavar = "TIME",
     .initial = "0",
     .max = 24 * 3600 * UINT64_C(1000000000),
     .help = "reset connections on which nothing moved for so long; 0: never"},

    {.section = "The run and its report",
     .name = "drain",
     .type = CLI_DURATION,
     .offset = FIELD(drain_ns),
     .metavar = "TIME",
     .initial = "5s",
     .max = 24 * 3600 * UINT64_C(1000000000),
     .help = "after SIGTERM or SIGINT, wait so long for open connections to end, then reset them"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = FIELD(json),
     .metavar = "FILE",
     .help = "write the report as JSON when the run ends; - is stdout"},
    {.name = "states",
     .type = CLI_FLAG,
     .offset = FIELD(states),
     .help = "watch the kernel's TCP states and counters every second, and count all sockets at "
             "the end"},
    {.name = "states-method",
     .type = CLI_ENUM,
     .offset = FIELD(states_method),
     .metavar = "HOW",
     .initial = "auto",
     .choices = census_method_choices,
     .help = "count states by auto, procfs, sock_diag or bpf; auto takes the cheapest it may"},
    {.name = "metrics",
     .type = CLI_STRING,
     .offset = FIELD(metrics),
     .metavar = "ADDR:PORT",
     .help = "answer http://ADDR:PORT/metrics for Prometheus, the states among it; the address "
             "must be loopback"},
    {.name = "metrics-allow-remote",
     .type = CLI_FLAG,
     .offset = FIELD(metrics_allow_remote),
     .help = "let --metrics listen on any address: whoever reaches it can read it"},
    {.name = "quiet",
     .type = CLI_FLAG,
     .offset = FIELD(quiet),
     .help = "print no summary when the run ends"},

#define STACK_FIELD(name) (FIELD(stack) + offsetof(struct transport_stack_options, name))
#include "transport/stack_options.def"
#undef STACK_FIELD

    {.section = "The engine's features",
     .name = "print-features",
     .type = CLI_FLAG,
     .offset = FIELD(print_features),
     .help = "print kernel, liburing and which features are used, then exit"},
    {.name = "without-feature",
     .type = CLI_LIST,
     .offset = FIELD(without_feature),
     .metavar = "NAME",
     .help = "do without a feature that --print-features lists"},
};

const struct cli_program server_program = {
    .name = SERVER_NAME,
    .summary = "Echo server that opens and closes TCP connections as fast as the kernel can",
    .usage = "[options]",
    .epilogue = "When every worker listens, one line on stderr says where:\n"
                "  finwait-server: listening on 127.0.0.1:7000 (uring, 2 workers)\n"
                "SIGTERM or SIGINT: stop accepting, finish what is open within --drain, report,\n"
                "exit. A second signal ends at once, with what is open counted as open.\n"
                "\n"
                "Examples:\n"
                "  finwait-server --listen 0.0.0.0:7000 --cpus 0-1\n"
                "  finwait-server --closes-after 64B --close rst\n"
                "  finwait-server --respond page.http --closes-after 1echo --close fin\n"
                "\n"
                "Exit codes:\n"
                "  0  ended by a signal, and drained\n"
                "  2  bad usage; one line says what was wrong\n"
                "  3  cannot run (address in use, no io_uring with --engine uring, a report that\n"
                "     cannot be written), or a second signal ended it\n",
    .options = option_table,
    .option_count = sizeof(option_table) / sizeof(option_table[0]),
    .struct_bytes = sizeof(struct server_options),
};

int options_parse_limit(struct echo_limit *limit, const char *text, struct failure *failure)
{
    char what[FAILURE_TEXT_MAX / 2];
    snprintf(what, sizeof(what), "--closes-after %s", text);
    size_t digits = strspn(text, "0123456789");
    const char *unit = text + digits;
    int rc;
    if (digits == 0 || digits > LIMIT_DIGITS_MAX || *unit == '\0') {
        return failure_set(failure, EINVAL,
                           "%s: needs a number and its unit; use 64B, 1KiB, 1echo or 3echoes",
                           what);
    }
    if (strcmp(unit, "echo") == 0 || strcmp(unit, "echoes") == 0) {
        char number[LIMIT_DIGITS_MAX + 1];
        memcpy(number, text, digits);
        number[digits] = '\0';
        limit->unit = ECHO_LIMIT_ECHOES;
        rc = cli_parse_count(&limit->count, number, what, failure);
    } else {
        limit->unit = ECHO_LIMIT_BYTES;
        rc = cli_parse_bytes(&limit->count, text, what, failure);
    }
    if (rc == 0 && limit->count == 0) {
        return failure_set(failure, EINVAL,
                           "%s: 0 would close before the first answer; use 1 at least", what);
    }
    return rc;
}

/* Reads an address to listen on. Unlike a target it may have port 0, which stands for any. */
static int parse_address(struct endpoint *address, const char *text, struct failure *failure)
{
    size_t length = strlen(text);
    char named[ENDPOINT_TEXT_MAX];
    bool any = length > 2 && length < sizeof(named) && strcmp(text + length - 2, ":0") == 0;
    if (!any) {
        return endpoint_parse(address, text, failure);
    }
    /* The parser takes no port 0: let it read another one. */
    memcpy(named, text, length + 1);
    named[length - 1] = '1';
    int rc = endpoint_parse(address, named, failure);
    address->port = 0;
    return rc;
}

static int parse_addresses(struct server_options *options, struct failure *failure)
{
    if (options->listen.count == 0) {
        options->listen = (struct cli_list){.count = 1, .values = {DEFAULT_LISTEN}};
    }
    for (uint32_t i = 0; i < options->listen.count; i++) {
        struct failure why;
        struct endpoint *address = &options->addresses[i];
        if (parse_address(address, options->listen.values[i], &why) != 0) {
            return failure_set(failure, EINVAL, "--listen %s", why.text);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (address->port != 0 && endpoint_equal(address, &options->addresses[j])) {
                return failure_set(failure, EINVAL,
                                   "--listen %s: given twice; name each address once",
                                   options->listen.values[i]);
            }
        }
    }
    options->address_count = options->listen.count;
    return 0;
}

/* Lists the names of all features, apart by commas. */
static void list_features(char *text, size_t size)
{
    struct transport_feature features[TRANSPORT_FEATURES_MAX];
    size_t count = transport_features(NULL, features, TRANSPORT_FEATURES_MAX);
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count && length < size; i++) {
        int n = snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "", features[i].name);
        length += n > 0 ? (size_t)n : 0;
    }
}

static int parse_features(struct server_options *options, struct failure *failure)
{
    for (uint32_t i = 0; i < options->without_feature.count; i++) {
        const char *name = options->without_feature.values[i];
        uint64_t bit = transport_feature_find(name);
        if (bit == 0) {
            char names[FAILURE_TEXT_MAX / 2 + 128];
            list_features(names, sizeof(names));
            return failure_set(failure, EINVAL, "--without-feature %s: unknown; there are %s", name,
                               names);
        }
        options->features_off |= bit;
    }
    return 0;
}

static int parse_closing(struct server_options *options, const struct cli_given *given,
                         struct failure *failure)
{
    if (options->closes_after == NULL) {
        if (cli_was_given(&server_program, given, "close")) {
            return failure_set(
                failure, EINVAL,
                "--close %s: says how to close, but not when; add --closes-after, or let the "
                "client close",
                close_choices[options->close]);
        }
        return 0;
    }
    int rc = options_parse_limit(&options->limit, options->closes_after, failure);
    if (rc == 0 && options->respond != NULL && options->limit.unit == ECHO_LIMIT_BYTES) {
        return failure_set(
            failure, EINVAL,
            "--closes-after %s: with --respond it counts responses; use 1echo or 3echoes",
            options->closes_after);
    }
    return rc;
}

static int parse_metrics(struct server_options *options, struct failure *failure)
{
    return options->metrics == NULL ? 0
                                    : exporter_parse(&options->metrics_address, options->metrics,
                                                     options->metrics_allow_remote, failure);
}

enum cli_outcome options_parse(struct server_options *options, char *const *argv,
                               struct failure *failure)
{
    struct cli_given given;
    enum cli_outcome outcome = cli_parse(&server_program, argv, options, &given, failure);
    if (outcome != CLI_RUN) {
        return outcome;
    }
    if (parse_addresses(options, failure) != 0 ||
        cpu_list_choose(&options->cpu_list, options->cpus, failure) != 0 ||
        parse_closing(options, &given, failure) != 0 || parse_features(options, failure) != 0 ||
        parse_metrics(options, failure) != 0 ||
        options_parse_stack(options, &given, failure) != 0) {
        return CLI_BAD;
    }
    return CLI_RUN;
}
