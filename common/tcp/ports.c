/* Ports: random source ports that avoid live and TIME_WAIT 4-tuples (RFC 6056 algorithm 4 in
 * spirit: a keyed offset for each destination, and a counter that moves on by a random step). */
#include <errno.h>

#include "tcp/tcb.h"

#define STEP_MAX 512u

static bool is_free(struct tcp *tcp, const struct tuple *tuple)
{
    uint16_t number;
    return index_find(&tcp->index, tuple, tcp_hash(tcp, tuple)) == INDEX_NONE &&
           listener_match(tcp, tuple, &number) == NULL;
}

int ports_choose(struct tcp *tcp, struct tuple *tuple)
{
    const struct tcp_config *config = &tcp->config;
    uint32_t step = config->port_modulus;
    uint32_t first =
        config->port_first + (config->port_residue + step - config->port_first % step) % step;
    uint32_t count = first <= config->port_last ? (config->port_last - first) / step + 1u : 0;
    uint32_t offset = keyed_port_offset(&tcp->port_key, tuple);
    tcp->port_counter += 1u + (uint32_t)rng_below(&tcp->rng, STEP_MAX);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = (uint32_t)(((uint64_t)offset + tcp->port_counter + i) % count);
        tuple->local_port = (uint16_t)(first + at * step);
        if (is_free(tcp, tuple)) {
            return 0;
        }
    }
    tuple->local_port = 0;
    tcp_count(tcp, TCP_COUNTER_ports_exhausted);
    return -EADDRNOTAVAIL;
}
