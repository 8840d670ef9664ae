/* Command lines; see command.h. Layer: bench/lab. */
#include "command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

#define PORT "7000"
#define PAYLOAD_BYTES "64"
#define LINK_BITS "24"

static void add(struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds one word. Requires room: our command lines are bounded but for the folder's name. */
static void add(struct command *command, const char *format, ...)
{
    size_t room = sizeof(command->text) - command->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command->text + command->used, room, format, arguments);
    va_end(arguments);
    ASSERT(length >= 0 && (size_t)length < room);
    ASSERT(command->count < COMMAND_WORDS_MAX);
    command->argv[command->count++] = command->text + command->used;
    command->argv[command->count] = NULL;
    command->used += (size_t)length + 1;
}

static void add_option(struct command *command, const char *name, const char *value)
{
    add(command, "%s", name);
    add(command, "%s", value);
}

const char *command_server_program(enum lab_kind kind)
{
    return lab_kind_is_null(kind) ? "finwait-null" : "finwait-server";
}

const char *command_client_program(enum lab_kind kind)
{
    return lab_kind_is_null(kind) ? "finwait-null" : "finwait-loadgen";
}

static const char *link_of(enum lab_kind kind)
{
    return kind == LAB_STACK_XDP || kind == LAB_NULL_XDP ? "xdp:" NETNS_LINK : "packet:" NETNS_LINK;
}

/* What drives the connections at one end, and how it acknowledges. */
static void add_engine(struct command *command, enum lab_kind kind, enum lab_tuning tuning)
{
    if (lab_kind_is_kernel(kind)) {
        add_option(command, "--engine", kind == LAB_KERNEL_URING ? "uring" : "epoll");
        add_option(command, "--quickack", tuning == LAB_TUNED ? "off" : "on");
    } else {
        add_option(command, "--engine", "stack");
        add_option(command, "--link", link_of(kind));
        add_option(command, "--spin", "100us");
        add(command, "--rfc1337"); /* as the kernel's in a cell: cell_tune */
        add_option(command, "--quickack", tuning == LAB_EAGER ? "on" : "off");
    }
}

static void begin(struct command *command, const struct cell_spec *spec, const char *program)
{
    command->count = command->used = 0;
    add(command, "%s/%s", spec->bin_dir, program);
}

static void write_null(struct command *command, const struct cell_spec *spec, bool is_client)
{
    add_option(command, "--role", is_client ? "client" : "server");
    add_option(command, "--link", link_of(is_client ? spec->client : spec->server));
    add_option(command, "--cpus", is_client ? spec->client_cpus : spec->server_cpus);
    if (is_client) {
        add(command, "--in-flight");
        add(command, "%" PRIu32, spec->in_flight);
        add(command, "--duration");
        add(command, "%" PRIu64 "ms", spec->duration_ns / NS_PER_MS);
    }
}

void command_server(struct command *command, const struct cell_spec *spec, const char *report)
{
    begin(command, spec, command_server_program(spec->server));
    if (lab_kind_is_null(spec->server)) {
        write_null(command, spec, false);
    } else {
        add_engine(command, spec->server, spec->tuning);
        if (lab_kind_is_stack(spec->server)) {
            add_option(command, "--address", NETNS_SERVER_IP "/" LINK_BITS);
            add_option(command, "--gateway", NETNS_CLIENT_IP);
        } else if (spec->tuning == LAB_TUNED) {
            add_option(command, "--defer-accept", "5s");
        }
        add_option(command, "--listen", NETNS_SERVER_IP ":" PORT);
        add_option(command, "--cpus", spec->server_cpus);
        if (strcmp(spec->closer, "client") != 0) {
            add_option(command, "--closes-after", PAYLOAD_BYTES "B");
            add_option(command, "--close", spec->close);
        }
    }
    add_option(command, "--json", report);
}

void command_client(struct command *command, const struct cell_spec *spec, const char *report)
{
    begin(command, spec, command_client_program(spec->client));
    if (lab_kind_is_null(spec->client)) {
        write_null(command, spec, true);
        add_option(command, "--json", report);
        return;
    }
    add_engine(command, spec->client, spec->tuning);
    if (lab_kind_is_stack(spec->client)) {
        add_option(command, "--address", NETNS_SOURCES);
        add_option(command, "--link-address", NETNS_CLIENT_IP "/" LINK_BITS);
        if (spec->time_wait_ns > 0) {
            add(command, "--time-wait");
            add(command, "%" PRIu64 "ms", spec->time_wait_ns / NS_PER_MS);
            add(command, "--linger-time-wait");
        }
    }
    add_option(command, "--target", NETNS_SERVER_IP ":" PORT);
    add_option(command, "--cpus", spec->client_cpus);
    if (spec->hold_ns > 0) {
        add(command, "--count");
        add(command, "%" PRIu32, spec->in_flight);
        add(command, "--hold");
        add(command, "%" PRIu64 "ms", spec->hold_ns / NS_PER_MS);
    } else {
        add(command, "--duration");
        add(command, "%" PRIu64 "ms", (spec->warm_up_ns + spec->duration_ns) / NS_PER_MS);
    }
    if (spec->rate != NULL) {
        add_option(command, "--rate", spec->rate);
    } else if (spec->in_flight > 0) {
        add(command, "--in-flight");
        add(command, "%" PRIu32, spec->in_flight);
    }
    add_option(command, "--closer", spec->closer);
    add_option(command, "--close", spec->close);
    add_option(command, "--echoes", "1");
    add_option(command, "--payload", PAYLOAD_BYTES);
    add_option(command, "--sources", NETNS_SOURCES);
    add_option(command, "--json", report);
}
