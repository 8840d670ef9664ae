/* Responses: one file's bytes for every request, so that HTTP tools can be pointed at the server.
 *
 * Layer: server. Nothing of HTTP is understood but the blank line that ends a request's head: the
 * file holds the whole response, headers included, and a request has no body. The file's memory is
 * made once, shared by all workers, and constant until respond_unload. The scanner is a pure state
 * machine over bytes, so that a request may be cut anywhere and nothing of it is kept. */
#ifndef FINWAIT_SERVER_RESPOND_H
#define FINWAIT_SERVER_RESPOND_H

#include <stddef.h>
#include <stdint.h>

#include "base/failure.h"

/* Largest file that is taken: it stays in memory, and a response is queued whole. */
#define RESPOND_BYTES_MAX (UINT64_C(64) << 20)

/* What was read last. Zero is the start of a connection.
 *
 *     LEAD  -- a byte of a line --> LINE        (respond_scan)
 *     LINE  -- \n --> EOL
 *     EOL   -- \r --> EOL_CR
 *     EOL, EOL_CR -- another byte --> LINE
 *     EOL, EOL_CR -- \n: a request ends --> LEAD */
enum respond_scan_state {
    RESPOND_SCAN_LEAD,   /* between requests; empty lines are passed over (RFC 9112 section 2.2) */
    RESPOND_SCAN_LINE,   /* within a line */
    RESPOND_SCAN_EOL,    /* a line has ended */
    RESPOND_SCAN_EOL_CR, /* a line has ended, and a carriage return followed */
};

/* Reads on and counts the requests that end in these bytes; the state is moved past them. */
uint32_t respond_scan(enum respond_scan_state *state, const uint8_t *data, size_t size);

struct respond_file {
    uint8_t *data; /* NULL: no file */
    uint64_t size;
};

/* Loads a file whole. Returns 0, or -errno with the text set and nothing held: besides what opening
 * and reading give, -EINVAL for an empty file or what is no regular file, -EFBIG over
 * RESPOND_BYTES_MAX. */
int respond_load(struct respond_file *file, const char *path, struct failure *failure);

/* Frees the memory. Safe on a zeroed struct. */
void respond_unload(struct respond_file *file);

#endif
