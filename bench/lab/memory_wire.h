/* Memory wire: two hosts of finwait's stack and the wire between them, on virtual time.
 *
 * Layer: bench/lab, over the stack's embedding ABI. Owner: who opened it. Deterministic: packets
 * are carried at once and in order, but for the one that is kept back, and for what is dropped. */
#ifndef FINWAIT_BENCH_LAB_MEMORY_WIRE_H
#define FINWAIT_BENCH_LAB_MEMORY_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "stack/finwait-stack.h"

#define MEMORY_WIRE_MTU 1500

struct memory_wire {
    struct fws_host *client;
    struct fws_host *server;
    fws_handle listener;
    uint64_t now_ns;
    bool drop_of_client; /* nothing that the client sends arrives */
    uint32_t copy_after; /* full segments of the client's until one is copied; 0: none is */
    uint8_t copy[MEMORY_WIRE_MTU]; /* a duplicate that is still under way */
    uint32_t copy_bytes;
    uint32_t resets_of_client; /* RSTs that the client sent */
};

struct memory_wire_config {
    uint64_t time_wait_ns;
    bool timestamps;
};

/* Makes both hosts and the server's listener. Returns 0 or -errno, and nothing is left then. */
int memory_wire_open(struct memory_wire *wire, const struct memory_wire_config *config);
void memory_wire_close(struct memory_wire *wire);

/* Carries what is due, and lets time pass by `ns` in steps of a millisecond. */
void memory_wire_run(struct memory_wire *wire, uint64_t ns);

/* Opens the 4-tuple of this number, one of 2^16 addresses x 50,000 ports, and accepts it. Returns 0
 * or -errno of connect. */
int memory_wire_connect(struct memory_wire *wire, uint32_t number, fws_handle *client,
                        fws_handle *server);

/* Counts the TIME_WAIT records that a host has made in all. */
uint64_t memory_wire_time_wait_made(const struct fws_host *host);

/* Lets the kept duplicate arrive at the server. */
void memory_wire_deliver_copy(struct memory_wire *wire);

/* The kept duplicate's sequence number. */
uint32_t memory_wire_copy_seq(const struct memory_wire *wire);

/* Counts a host's TIME_WAIT records. */
uint64_t memory_wire_time_wait(const struct fws_host *host);

#endif
