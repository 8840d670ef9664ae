/* The ports that the kernel gives to connect(), from the namespace's sysctls. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tcpstat/counters.h"
#include "tcpstat/source.h"
#include "tcpstat/tuples.h"

/* A list of 65,536 single ports is 375 kB; the kernel writes ranges, so that every second port is
 * the longest: 32,768 of them. */
#define RESERVED_TEXT_MAX (256 * 1024)

#define IPV4_PATH "/proc/sys/net/ipv4/"

static int read_range(struct tuples_ports *ports)
{
    char text[64];
    const int error = source_read_text(IPV4_PATH "ip_local_port_range", text, sizeof(text));
    if (error < 0) {
        return error;
    }
    char *rest;
    const unsigned long first = strtoul(text, &rest, 10);
    const unsigned long last = strtoul(rest, NULL, 10);
    if (first == 0 || last < first || last >= CENSUS_PORTS) {
        return -EPROTO;
    }
    ports->range = (struct port_range){(uint16_t)first, (uint16_t)last};
    return 0;
}

/* "8080,9148-9150" and a newline; nothing but a newline when none are. */
static int parse_reserved(struct port_set *reserved, char *text)
{
    char *at = text;
    while (*at >= '0' && *at <= '9') {
        const unsigned long first = strtoul(at, &at, 10);
        unsigned long last = first;
        if (*at == '-') {
            last = strtoul(at + 1, &at, 10);
        }
        if (last < first || last >= CENSUS_PORTS) {
            return -EPROTO;
        }
        port_set_add_range(reserved, (struct port_range){(uint16_t)first, (uint16_t)last});
        at += *at == ',';
    }
    return 0;
}

static int read_reserved(struct tuples_ports *ports)
{
    char *text = malloc(RESERVED_TEXT_MAX);
    if (text == NULL) {
        return -ENOMEM;
    }
    int error = source_read_text(IPV4_PATH "ip_local_reserved_ports", text, RESERVED_TEXT_MAX);
    if (error == 0) {
        error = parse_reserved(&ports->reserved, text);
    }
    free(text);
    return error;
}

/* The kernel's own halves begin with an even distance from the first port
 * (inet_csk_find_open_port).
 */
uint32_t tuples_quarter(const struct tuples_ports *ports, uint16_t port)
{
    const uint32_t span = (uint32_t)ports->range.last + 1u - ports->range.first;
    const uint32_t half = ports->range.first + span / 4 * 2;
    return port % 2u + (port >= half ? 2u : 0u);
}

static void count_usable(struct tuples_ports *ports)
{
    for (uint32_t port = ports->range.first; port <= ports->range.last; port++) {
        const bool is_usable = !port_set_has(&ports->reserved, (uint16_t)port);
        ports->usable += is_usable;
        ports->usable_of_quarter[tuples_quarter(ports, (uint16_t)port)] += is_usable;
    }
}

int tuples_ports_read(struct tuples_ports *ports, struct failure *failure)
{
    memset(ports, 0, sizeof(*ports));
    const char *what = "ip_local_port_range";
    int error = read_range(ports);
    if (error == 0) {
        what = "ip_local_reserved_ports";
        error = read_reserved(ports);
    }
    uint64_t reuse = 0;
    if (error == 0) {
        what = "tcp_tw_reuse";
        error = source_read_number(IPV4_PATH "tcp_tw_reuse", &reuse);
    }
    if (error == 0) {
        what = "tcp_max_tw_buckets";
        error = tcpstat_read_time_wait_max(&ports->time_wait_max);
    }
    if (error < 0) {
        return failure_set(failure, -error, "%s%s cannot be read: %s", IPV4_PATH, what,
                           strerror(-error));
    }
    ports->time_wait_reuse = (int)reuse;
    count_usable(ports);
    return 0;
}
