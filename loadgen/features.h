/* --print-features: kernel, liburing, engine, and which of its features are used.
 *
 * Layer: loadgen (L5). */
#ifndef FINWAIT_LOADGEN_FEATURES_H
#define FINWAIT_LOADGEN_FEATURES_H

#include <stdio.h>

#include "base/failure.h"
#include "transport/transport.h"

/* Opens the engine that a run would take, and prints what it found. Returns 0 or -errno with the text
 * set. */
int features_print(enum transport_engine wanted, uint64_t features_off, FILE *out,
                   struct failure *failure);

/* Names a feature's state: "used", "unused", "off", "missing". Static memory. */
const char *features_state_name(enum transport_feature_state state);

#endif
