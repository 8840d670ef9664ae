/* Addresses: where clients connect from and to, and the clock that both sides use at their ends. */
#include <string.h>
#include <time.h>

#include "floor.h"

#define HOST_FIRST 2u
#define HOST_LAST 250u
#define PORT_FIRST 10000u
#define PORT_LAST 65000u

void floor_source_init(struct floor_source *source, uint32_t client)
{
    *source = (struct floor_source){.client = client, .host = HOST_FIRST, .port = PORT_FIRST};
}

void floor_source_next(struct floor_source *source, struct sockaddr_in *address)
{
    uint32_t ip = INADDR_LOOPBACK & 0xff000000u;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(source->port)};
    address->sin_addr.s_addr = htonl(ip | source->client << 8 | source->host);
    if (source->port < PORT_LAST) {
        source->port++;
        return;
    }
    source->port = PORT_FIRST;
    source->host = source->host < HOST_LAST ? source->host + 1 : HOST_FIRST;
}

struct sockaddr_in floor_target(const struct floor_options *options)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

uint64_t floor_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
