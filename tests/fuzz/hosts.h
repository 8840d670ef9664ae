/* What the fuzz targets on the host share: two hosts over the C ABI, an allocator that counts, and
 * what must hold of every packet that a host gives.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_FUZZ_HOSTS_H
#define FINWAIT_TESTS_FUZZ_HOSTS_H

#include <stdbool.h>

#include "fuzz/fuzz.h"
#include "stack/finwait-stack.h"
#include "wire/wire.h"

#define HOSTS_PORT 7u
#define HOSTS_CLIENT_PORT 4000u
#define HOSTS_PACKET_MAX 2048u
#define HOSTS_OUTPUT_MAX 4096u /* packets in answer to one event: more is a loop */

struct hosts {
    struct fws_host *server;
    struct fws_host *client;
    struct fws_endpoint server_end;
    struct fws_endpoint client_end;
    fws_handle listener;
    uint64_t now_ns;
    size_t bytes; /* held by both hosts */
};

/* Makes a server that listens and a client. */
void hosts_make(struct hosts *hosts);

/* Ends both; requires that all memory was given back. */
void hosts_end(struct hosts *hosts);

/* Opens a connection from the client's one port. Returns fws_connect's result. */
int hosts_connect(struct hosts *hosts, fws_handle *conn);

/* What becomes of packets on their way. */
enum hosts_fate { HOSTS_DELIVER, HOSTS_LOSE, HOSTS_TWICE, HOSTS_SPOIL };

/* Takes what a host has to give and hands it to the other. Requires that every packet parses, and
 * none is an RST where `no_reset` says so. Returns how many there were. */
size_t hosts_carry(struct hosts *hosts, struct fws_host *from, enum hosts_fate fate, bool no_reset);

/* Carries both ways until both are quiet. */
void hosts_settle(struct hosts *hosts);

/* Moves both hosts' time. */
void hosts_advance(struct hosts *hosts, uint64_t by_ns);

/* Requires that a host's census adds up. */
void hosts_check_census(const struct fws_host *host);

#endif
