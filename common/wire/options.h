/* Options: emitting TCP options, for the segment emitter.
 *
 * Layer: wire (L1), private to it. Pure. */
#ifndef FINWAIT_WIRE_OPTIONS_H
#define FINWAIT_WIRE_OPTIONS_H

#include "wire/bytes.h"
#include "wire/wire.h"

/* Writes what wire_tcp_options_bytes counts, and adds it to the writer's sum. */
void options_emit(struct word_writer *writer, const struct wire_tcp_options *options);

#endif
