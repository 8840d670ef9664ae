/* finwait-flood: SYNs from random sources against a server in the lab, to see that it stands.
 *
 * Layer: bench/flood, a program over base, wire and link. It runs in namespaces made for it only,
 * through a veth, between private addresses, and ends by itself (guard.h). */
#include <errno.h>
#include <inttypes.h>
#include <netinet/ether.h>
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/log.h"
#include "bench/flood/flood.h"
#include "bench/flood/guard.h"
#include "bench/program/program.h"

#define PROGRAM "finwait-flood"
#define CODE_CANNOT 3

/* Its link has to receive something: ARP, and packets to an address that is nobody's (RFC 5737). */
#define NOBODY 0xC0000201u
#define RECEIVE_SLOTS 256u

struct flood_options {
    const char *link;
    const char *target;
    const char *target_mac;
    const char *sources;
    struct cli_rate rate;
    uint64_t duration_ns;
    uint64_t count;
    uint64_t seed;
    const char *cpu;
};

static const struct cli_option table[] = {
    {.name = "link",
     .type = CLI_STRING,
     .offset = offsetof(struct flood_options, link),
     .metavar = "KIND:NAME",
     .section = "Options",
     .help = "packet:veth0 or xdp:veth0; it has to be a veth"},
    {.name = "target",
     .type = CLI_STRING,
     .offset = offsetof(struct flood_options, target),
     .metavar = "ADDR:PORT",
     .help = "where the SYNs go, a private address"},
    {.name = "target-mac",
     .type = CLI_STRING,
     .offset = offsetof(struct flood_options, target_mac),
     .metavar = "MAC",
     .help = "its hardware address"},
    {.name = "sources",
     .type = CLI_STRING,
     .offset = offsetof(struct flood_options, sources),
     .metavar = "IP|A-B|CIDR",
     .initial = "10.64.0.0/10",
     .help = "where they seem to come from; private, and nobody's: replies go there"},
    {.name = "rate",
     .type = CLI_RATE,
     .offset = offsetof(struct flood_options, rate),
     .metavar = "N/s",
     .initial = "100k/s",
     .min = 1,
     .max = 5000000,
     .help = "SYNs; what the machine cannot send is skipped and counted"},
    {.name = "duration",
     .type = CLI_DURATION,
     .offset = offsetof(struct flood_options, duration_ns),
     .metavar = "TIME",
     .initial = "5s",
     .min = NS_PER_MS,
     .max = 120 * NS_PER_SEC,
     .help = "how long"},
    {.name = "count",
     .type = CLI_COUNT,
     .offset = offsetof(struct flood_options, count),
     .metavar = "N",
     .initial = "0",
     .help = "end after so many; 0: when the duration ends"},
    {.name = "seed",
     .type = CLI_COUNT,
     .offset = offsetof(struct flood_options, seed),
     .metavar = "N",
     .initial = "1",
     .help = "of what is random"},
    {.name = "cpu",
     .type = CLI_STRING,
     .offset = offsetof(struct flood_options, cpu),
     .metavar = "N",
     .help = "run on this CPU"},
};

static const struct cli_program program = {
    .name = PROGRAM,
    .summary = "sends SYNs from random sources to a server inside the lab",
    .usage = "--link KIND:NAME --target ADDR:PORT --target-mac MAC [options]",
    .epilogue = "Prints one line of JSON: of the SYNs that were made, the kernel took those sent,\n"
                "gave those refused back, and had not looked at those unsent; skipped ones were\n"
                "due and not made. It refuses the machine's own network namespace, one with a\n"
                "default route, what is no veth, and addresses that are not private. The target\n"
                "has to have a route to the sources that ends in the lab. Needs CAP_NET_RAW.\n"
                "Exit codes: 0 done, 2 usage, 3 refused, or the link cannot be opened.\n",
    .options = table,
    .option_count = sizeof(table) / sizeof(table[0]),
    .struct_bytes = sizeof(struct flood_options),
};

static int check_given(const struct flood_options *options, struct failure *failure)
{
    if (options->link == NULL) {
        return failure_set(failure, EINVAL, "--link is missing; name a veth: packet:veth0");
    }
    if (options->target == NULL) {
        return failure_set(failure, EINVAL, "--target is missing; name a server: 10.9.0.1:7000");
    }
    if (options->target_mac == NULL) {
        return failure_set(failure, EINVAL,
                           "--target-mac is missing; give the server's, as 02:00:00:00:00:01");
    }
    return 0;
}

static int read_mac(struct wire_mac *mac, const char *text, struct failure *failure)
{
    struct ether_addr address;
    if (ether_aton_r(text, &address) == NULL) {
        return failure_set(failure, EINVAL,
                           "--target-mac %s: no hardware address; write it as 02:00:00:00:00:01",
                           text);
    }
    memcpy(mac->bytes, address.ether_addr_octet, sizeof(mac->bytes));
    return 0;
}

/* Puts an option's name before what a parser said of its value. */
static int name_option(const char *option, const struct failure *why, struct failure *failure)
{
    return failure_set(failure, why->error, "%s: %s", option, why->text);
}

static int read_config(struct flood_config *config, const struct flood_options *options,
                       struct failure *failure)
{
    struct failure why;
    if (endpoint_parse(&config->target, options->target, &why) != 0) {
        return name_option("--target", &why, failure);
    }
    if (ip_range_parse(&config->sources, options->sources, &why) != 0) {
        return name_option("--sources", &why, failure);
    }
    config->events = options->rate.events;
    config->per_ns = options->rate.per_ns;
    config->duration_ns = options->duration_ns;
    config->count_max = options->count;
    config->seed = options->seed;
    return read_mac(&config->target_mac, options->target_mac, failure);
}

static int pin(const struct flood_options *options, struct failure *failure)
{
    struct cpu_list cpus;
    struct failure why;
    if (options->cpu == NULL) {
        return 0;
    }
    if (cpu_list_parse(&cpus, options->cpu, &why) != 0) {
        return name_option("--cpu", &why, failure);
    }
    if (cpus.count != 1) {
        return failure_set(failure, EINVAL, "--cpu %s: name one CPU", options->cpu);
    }
    return program_pin(cpus.cpus[0], &why) == 0 ? 0 : name_option("--cpu", &why, failure);
}

/* Opens the link, gives up the right to, and floods. */
static int run(const struct flood_config *config, struct link_config *link_config,
               struct failure *failure)
{
    struct link *link = NULL;
    int error = link_open(&link, link_config, failure);
    error = error != 0 ? error : link_drop_rights(failure);
    if (error == 0) {
        struct flood_result result = flood_run(config, link, program_stop_flag());
        double seconds = (double)result.elapsed_ns / (double)NS_PER_SEC;
        printf("{\"program\": \"" PROGRAM "\", \"sent\": %" PRIu64 ", \"skipped\": %" PRIu64
               ", \"refused\": %" PRIu64 ", \"unsent\": %" PRIu64
               ", \"seconds\": %.3f, \"sent_per_sec\": %.1f}\n",
               result.sent, result.skipped, result.refused, result.unsent, seconds,
               seconds > 0 ? (double)result.sent / seconds : 0);
    }
    link_destroy(link);
    return error;
}

static int flood(const struct flood_options *options)
{
    struct failure failure;
    struct flood_config config;
    struct link_config link = {.address_first = NOBODY,
                               .address_last = NOBODY,
                               .workers = 1,
                               .receive_slots = RECEIVE_SLOTS};
    if (check_given(options, &failure) != 0 ||
        link_parse(options->link, &link.kind, &link.interface, &failure) != 0 ||
        read_config(&config, options, &failure) != 0 || pin(options, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return PROGRAM_CODE_USAGE;
    }
    if (guard_check_addresses(&config.target, &config.sources, &failure) != 0 ||
        guard_check_place(link.interface, &failure) != 0 || run(&config, &link, &failure) != 0) {
        log_line(PROGRAM, "%s", failure.text);
        return CODE_CANNOT;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct flood_options options;
    (void)argc;
    int code = program_parse(&program, argv, &options);
    return code >= 0 ? code : flood(&options);
}
