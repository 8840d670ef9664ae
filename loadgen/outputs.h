/* Outputs: whether the files that a run is to end with can be written, asked before it begins.
 *
 * Layer: loadgen (L5). A run of minutes must not end in a report that has no place to go. */
#ifndef FINWAIT_LOADGEN_OUTPUTS_H
#define FINWAIT_LOADGEN_OUTPUTS_H

#include "base/failure.h"
#include "loadgen/options.h"

/* Tells whether a file may be made or replaced at `path`; nothing is made. `option` begins the
 * text. Returns 0, or -errno with the text set. "-" is stdout, and fine. */
int outputs_check(const char *option, const char *path, struct failure *failure);

/* Checks all files that the options name. Returns 0, or -errno with the text set. */
int outputs_check_all(const struct loadgen_options *options, struct failure *failure);

#endif
