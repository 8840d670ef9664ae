/* The option table alone; plan.c makes sense of the values. */
#include "loadgen/options.h"

#include "tcpstat/census.h"

static const char *const engine_choices[] = {"auto", "uring", "epoll", "stack", NULL};
static const char *const closer_choices[] = {"client", "server", "both", NULL};
static const char *const close_choices[] = {"fin", "close", "half", "rst", "fin-no-timewait", NULL};

#define AT(field) offsetof(struct loadgen_options, field)

static const struct cli_option loadgen_option_table[] = {
    {.name = "target",
     .type = CLI_LIST,
     .offset = AT(targets),
     .metavar = "ADDR:PORT",
     .section = "Target",
     .help = "where to connect to; given more than once, targets take turns"},
    {.name = "allow-target",
     .type = CLI_LIST,
     .offset = AT(allow_targets),
     .metavar = "CIDR",
     .help = "let targets in this range be loaded; needed outside loopback, private and link-local "
             "addresses"},

    {.name = "rate",
     .type = CLI_RATE,
     .offset = AT(rate),
     .metavar = "N[/s]",
     .min = 1,
     .max = 100000000,
     .group = "loop",
     .section = "Load",
     .help = "open loop: start so many connections, whatever the target does"},
    {.name = "in-flight",
     .type = CLI_COUNT,
     .offset = AT(in_flight),
     .metavar = "N",
     .min = 1,
     .max = LOADGEN_CONNS_LIMIT,
     .group = "loop",
     .help = "closed loop: keep N connections open over all workers (default: 32 a worker); a "
             "worker whose connections all fail pauses for 10 to 100 ms before the next"},
    {.name = "duration",
     .type = CLI_DURATION,
     .offset = AT(duration_ns),
     .metavar = "TIME",
     .initial = "10s",
     .help = "start connections for so long; 0, or --count without --duration: until --count is "
             "reached"},
    {.name = "count",
     .type = CLI_COUNT,
     .offset = AT(count),
     .metavar = "N",
     .min = 1,
     .max = UINT64_MAX / 2,
     .help = "start N connections at most"},
    {.name = "conns-max",
     .type = CLI_COUNT,
     .offset = AT(conns_max),
     .metavar = "N",
     .initial = "100k",
     .min = 1,
     .max = LOADGEN_CONNS_LIMIT,
     .help = "connections open at once, over all workers; arrivals of an open loop beyond it are "
             "shed, which makes the run invalid; --in-flight may not be more"},
    {.name = "drain",
     .type = CLI_DURATION,
     .offset = AT(drain_ns),
     .metavar = "TIME",
     .help = "after the end, let open connections finish for so long (default: --hold, --timeout "
             "and 1s)"},

    {.name = "echoes",
     .type = CLI_COUNT,
     .offset = AT(echoes),
     .metavar = "N",
     .initial = "1",
     .max = 1000000000,
     .section = "Connection",
     .help = "requests per connection, each echoed and verified; 0: connect and close only"},
    {.name = "payload",
     .type = CLI_BYTES,
     .offset = AT(payload_bytes),
     .metavar = "BYTES",
     .initial = "64",
     .min = 1,
     .max = PAYLOAD_BYTES_MAX,
     .group = "request",
     .help = "size of a request"},
    {.name = "send",
     .type = CLI_STRING,
     .offset = AT(send_file),
     .metavar = "FILE",
     .group = "request",
     .help = "send this file as the request, to servers that do not echo; needs --expect"},
    {.name = "expect",
     .type = CLI_STRING,
     .offset = AT(expect),
     .metavar = "BYTES|until-close",
     .help = "what answers a --send: so many bytes, or all until the server closes"},
    {.name = "hold",
     .type = CLI_DURATION,
     .offset = AT(hold_ns),
     .metavar = "TIME",
     .initial = "0",
     .help = "keep the connection open between its last echo and the close"},
    {.name = "timeout",
     .type = CLI_DURATION,
     .offset = AT(timeout_ns),
     .metavar = "TIME",
     .initial = "5s",
     .min = 1000000,
     .max = UINT64_C(86400000000000),
     .help = "give a connection up that stays in one phase for so long"},
    {.name = "closer",
     .type = CLI_ENUM,
     .offset = AT(closer),
     .metavar = "WHO",
     .initial = "client",
     .choices = closer_choices,
     .help = "who closes first; the server needs --closes-after for server and both, which aims at "
             "FINs that cross"},
    {.name = "close",
     .type = CLI_ENUM,
     .offset = AT(close_how),
     .metavar = "HOW",
     .initial = "fin",
     .choices = close_choices,
     .help = "how the closer closes: fin (shutdown, read to the peer's FIN), close (at once), half "
             "(FIN with the last request, then read on), rst (reset), fin-no-timewait (at once, no "
             "TIME_WAIT); what the server's --close says where it closes"},
    {.name = "quickack",
     .type = CLI_ON_OFF,
     .offset = AT(quickack),
     .metavar = "on|off",
     .initial = "on",
     .help =
         "off: TCP_QUICKACK 0, acknowledgements ride on data (default with the stack); on, with "
         "the stack: each segment is acknowledged at once, as the kernel does"},
    {.name = "fastopen",
     .type = CLI_FLAG,
     .offset = AT(fastopen),
     .help = "send the first request with the SYN where the server allows it"},

    {.name = "sources",
     .type = CLI_LIST,
     .offset = AT(sources),
     .metavar = "IP|A-B|CIDR",
     .section = "4-tuples",
     .help = "addresses to connect from (default: 127.0.0.2-127.0.0.250 to loopback, else the "
             "route's; with the stack --address)"},
    {.name = "ports",
     .type = CLI_STRING,
     .offset = AT(ports),
     .metavar = "A-B|kernel",
     .initial = "10000-65000",
     .help = "source ports to plan with; kernel: automatic ports, and nothing is planned"},
    {.name = "reuse-after",
     .type = CLI_DURATION,
     .offset = AT(reuse_after_ns),
     .metavar = "TIME",
     .initial = "65s",
     .help = "let a 4-tuple rest for so long after its close; with the stack, where the client "
             "closes, by default 5 s more than --time-wait"},

    {.name = "engine",
     .type = CLI_ENUM,
     .offset = AT(engine),
     .metavar = "NAME",
     .initial = "auto",
     .choices = engine_choices,
     .section = "Engine",
     .help =
         "auto (io_uring where it works, else epoll), uring, epoll: the kernel's sockets; stack: "
         "finwait's own TCP over --link"},
    {.name = "cpus",
     .type = CLI_STRING,
     .offset = AT(cpus),
     .metavar = "LIST",
     .help = "run one pinned worker on each of these CPUs, such as 0-1 (default: all allowed)"},
    {.name = "without-feature",
     .type = CLI_LIST,
     .offset = AT(without_features),
     .metavar = "NAME",
     .help = "force a feature's fall-back; --print-features names them"},
    {.name = "print-features",
     .type = CLI_FLAG,
     .offset = AT(print_features),
     .help = "show what this kernel offers and what would be used, and exit"},
    {.name = "seed",
     .type = CLI_COUNT,
     .offset = AT(seed),
     .metavar = "N",
     .initial = "1",
     .help = "of everything random: the same seed gives the same payloads"},

#define STACK_FIELD(field) (AT(stack) + offsetof(struct transport_stack_options, field))
#include "transport/stack_options.def"
#undef STACK_FIELD

    {.name = "states",
     .type = CLI_FLAG,
     .offset = AT(states),
     .section = "Report",
     .help = "take a full census of TCP states while running and at the end"},
    {.name = "states-method",
     .type = CLI_ENUM,
     .offset = AT(states_method),
     .metavar = "HOW",
     .initial = "auto",
     .choices = census_method_choices,
     .help = "count states by auto, procfs, sock_diag or bpf; auto takes the cheapest it may"},
    {.name = "json",
     .type = CLI_STRING,
     .offset = AT(json),
     .metavar = "FILE",
     .help = "write the whole result as JSON; - is stdout, and then the summary goes to stderr"},
    {.name = "hgrm",
     .type = CLI_STRING,
     .offset = AT(hgrm),
     .metavar = "PREFIX",
     .help = "write every histogram as PREFIX.<name>.hgrm"},
    {.name = "fail-if",
     .type = CLI_LIST,
     .offset = AT(fail_if),
     .metavar = "EXPR",
     .help = "exit 4 if this holds at the end, such as 'connect.p99>5ms', 'echo.start.max>1s' or "
             "'failed>0'; an unknown name is answered with all that there are"},
    {.name = "quiet",
     .type = CLI_FLAG,
     .offset = AT(quiet),
     .help = "print no progress and no summary; only why, if the exit code is not 0"},
};

#undef AT

const struct cli_program loadgen_program = {
    .name = "finwait-loadgen",
    .summary = "opens, uses and closes TCP connections by a schedule, and says what came of each",
    .usage = "--target ADDR:PORT [options]",
    .epilogue = "Examples:\n"
                "  finwait-loadgen --target 127.0.0.1:7000\n"
                "  finwait-loadgen --target 127.0.0.1:7000 --rate 10k/s --json run.json\n"
                "  finwait-loadgen --target [::1]:7000 --closer server --close rst --in-flight 16\n"
                "  finwait-loadgen --target 127.0.0.1:80 --send request.txt --expect until-close\n"
                "\n"
                "Exit codes:\n"
                "  0  the run is valid, and the target did all that was asked\n"
                "  2  bad usage; one line says what was wrong\n"
                "  3  the run is invalid: the generator or the host was the limit, not the target\n"
                "  4  the target failed connections, or a --fail-if held\n",
    .options = loadgen_option_table,
    .option_count = sizeof(loadgen_option_table) / sizeof(loadgen_option_table[0]),
    .struct_bytes = sizeof(struct loadgen_options),
};
