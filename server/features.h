/* --print-features: kernel, liburing, engine, and which of its features are used.
 *
 * Layer: server. */
#ifndef FINWAIT_SERVER_FEATURES_H
#define FINWAIT_SERVER_FEATURES_H

#include <stdio.h>

#include "base/failure.h"
#include "server/options.h"

/* Opens the engine that a run with these options would take, and prints what it found. Returns 0 or
 * -errno with the text set. */
int features_print(const struct server_options *options, FILE *out, struct failure *failure);

/* Names a feature's state: "used", "unused", "off", "missing". Static memory. */
const char *features_state_name(enum transport_feature_state state);

#endif
