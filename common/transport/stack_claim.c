/* Claim: no two stacks of one network namespace have an address of an interface in common.
 *
 * Two stacks on one interface do not hear each other's ARP, so each names what it has by an
 * abstract socket: these are a namespace's own, and go with their process however it ends. The name
 * tells the interface, the address on the link and the range, since those of others must not only
 * differ from it but have nothing in common with it. Whoever claims looks at all names before it
 * binds and again afterwards: of two that start at once each then finds the other, and both give
 * way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "transport/stack_engine.h"

/* As bound, and in the list, where "@" stands for the zero byte that abstract names begin with. */
#define NAME_FORMAT "finwait/%u/%08x/%08x-%08x"
#define LISTED_PREFIX " @finwait/"
#define LIST "/proc/thread-self/net/unix"

struct claim {
    uint32_t interface; /* its index */
    uint32_t own;       /* the address on the link; host order, as all here */
    uint32_t first;
    uint32_t last;
};

static struct claim claim_of(const struct stack_engine *engine)
{
    const struct transport_stack_config *config = &engine->config;
    return (struct claim){
        .interface = link_interface_of(engine->link)->index,
        .own = stack_ip_of(stack_link_address(config)),
        .first = stack_ip_of(&config->addresses.first),
        .last = stack_ip_of(&config->addresses.last),
    };
}

static bool has(const struct claim *claim, uint32_t address)
{
    return address == claim->own || (claim->first <= address && address <= claim->last);
}

/* Finds the lowest address that both have, if there is one. */
static bool find_common(const struct claim *a, const struct claim *b, uint32_t *address)
{
    /* What is common to two ranges begins with a beginning of one. */
    const uint32_t candidates[] = {a->own, a->first, b->own, b->first};
    bool found = false;
    for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        const uint32_t candidate = candidates[i];
        if (has(a, candidate) && has(b, candidate) && (!found || candidate < *address)) {
            *address = candidate;
            found = true;
        }
    }
    return found;
}

static int refuse(const struct stack_engine *engine, uint32_t address, struct failure *failure)
{
    char text[IP_TEXT_MAX];
    const struct ip_addr ip = stack_ip_from(address);
    return failure_set(failure, EADDRINUSE,
                       "address %s: another stack on %s has it; give each an address of its own",
                       ip_format(&ip, text), engine->config.interface);
}

/* Reads a claim out of a line of the list; false when it is not one. */
static bool parse_claim(const char *line, struct claim *claim)
{
    uint32_t *const fields[] = {&claim->interface, &claim->own, &claim->first, &claim->last};
    static const char after[] = "//-\n";
    const char *at = strstr(line, LISTED_PREFIX);
    if (at == NULL) {
        return false;
    }
    at += strlen(LISTED_PREFIX);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        char *end;
        const unsigned long number = strtoul(at, &end, i == 0 ? 10 : 16);
        if (end == at || *end != after[i] || number > UINT32_MAX) {
            return false;
        }
        *fields[i] = (uint32_t)number;
        at = end + 1;
    }
    return true;
}

/* Looks through what others have claimed; `bound` tells that our own name is among it, once. */
static int look_around(const struct stack_engine *engine, const struct claim *claim, bool bound,
                       struct failure *failure)
{
    struct claim other;
    uint32_t common;
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    FILE *list = fopen(LIST, "re");
    if (list == NULL) {
        return failure_set(failure, errno,
                           "cannot tell which addresses other stacks on %s have: " LIST ": %s; "
                           "have /proc mounted",
                           engine->config.interface, strerror(errno));
    }
    while (rc == 0 && getline(&line, &size, list) > 0) {
        if (!parse_claim(line, &other) || other.interface != claim->interface) {
            continue;
        }
        if (bound && memcmp(&other, claim, sizeof(other)) == 0) {
            continue; /* our own: names are unique */
        }
        rc = find_common(claim, &other, &common) ? refuse(engine, common, failure) : 0;
    }
    free(line);
    fclose(list);
    return rc;
}

static int bind_name(struct stack_engine *engine, const struct claim *claim,
                     struct failure *failure)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, NAME_FORMAT,
                          claim->interface, claim->own, claim->first, claim->last);
    socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
    engine->lock_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (engine->lock_fd >= 0 && bind(engine->lock_fd, (const struct sockaddr *)&name, bytes) == 0) {
        return 0;
    }
    if (errno == EADDRINUSE) {
        return refuse(engine, claim->own, failure);
    }
    return failure_set(failure, errno, "the addresses cannot be claimed by a local socket: %s",
                       strerror(errno));
}

int stack_claim_take(struct stack_engine *engine, struct failure *failure)
{
    const struct claim claim = claim_of(engine);
    int rc = look_around(engine, &claim, false, failure);
    rc = rc != 0 ? rc : bind_name(engine, &claim, failure);
    return rc != 0 ? rc : look_around(engine, &claim, true, failure);
}
