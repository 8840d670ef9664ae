/* Memory wire: two hosts of finwait's stack at the ends of a link in memory, on virtual time.
 *
 * Layer: bench/lab, over the stack's embedding ABI and the link. Owner: who opened it. Where faults
 * are wanted they stand over the client's end: what is lost, doubled or late is so by the link's
 * doing, and counted there. Deterministic. The hosts know each other's hardware address: there is
 * no ARP. */
#ifndef FINWAIT_BENCH_LAB_MEMORY_WIRE_H
#define FINWAIT_BENCH_LAB_MEMORY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "link/link.h"
#include "stack/finwait-stack.h"

#define MEMORY_WIRE_MTU 1500

struct memory_wire {
    struct fws_host *client;
    struct fws_host *server;
    struct link *client_link; /* the faults, when there are any */
    struct link *server_link;
    uint8_t client_header[LINK_ETHER_BYTES]; /* of each frame that the client sends */
    uint8_t server_header[LINK_ETHER_BYTES];
    fws_handle listener;
    uint64_t now_ns;
};

struct memory_wire_config {
    uint64_t time_wait_ns;
    bool timestamps;
    bool faults; /* memory_wire_set_faults will be called; until then there are none */
};

/* Makes both hosts, the link and the server's listener. Returns 0 or -errno, and nothing is left
 * then. */
int memory_wire_open(struct memory_wire *wire, const struct memory_wire_config *config);
void memory_wire_close(struct memory_wire *wire);

/* Changes the faults on frames to come, NULL: none, at the client's end. Requires that the wire was
 * opened with faults, and that these are valid. */
void memory_wire_set_faults(struct memory_wire *wire, const struct link_faults *faults);

/* Carries what is due, and lets time pass by `ns` in steps of a millisecond. */
void memory_wire_run(struct memory_wire *wire, uint64_t ns);

/* Tells when the next frame that is under way arrives; CLOCK_NEVER: none is. */
uint64_t memory_wire_due_ns(const struct memory_wire *wire);

/* Opens the 4-tuple of this number, one of 2^16 addresses x 50,000 ports, and accepts it. Returns 0
 * or -errno of connect. */
int memory_wire_connect(struct memory_wire *wire, uint32_t number, fws_handle *client,
                        fws_handle *server);

/* Counts the TIME_WAIT records that a host has made in all. */
uint64_t memory_wire_time_wait_made(const struct fws_host *host);

/* Counts a host's TIME_WAIT records. */
uint64_t memory_wire_time_wait(const struct fws_host *host);

/* Reads a host's counter by its name, which requires that there is one. */
uint64_t memory_wire_counter(const struct fws_host *host, const char *name);

/* Reads a counter of the client's end of the link, the faults' when there are any. */
uint64_t memory_wire_link_counter(const struct memory_wire *wire, enum link_counter counter);

#endif
