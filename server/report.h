/* The server's final report: what the workers counted, as the result struct that all programs
 * share.
 *
 * Layer: server; the main thread, after the run. */
#ifndef FINWAIT_SERVER_REPORT_H
#define FINWAIT_SERVER_REPORT_H

#include "base/failure.h"
#include "server/server.h"

/* Completes the result of a server that has run, and writes it where the options say: a summary to
 * stdout, JSON to a file. Returns 0 or -errno with the text set. */
int report_write(struct server *server, int argc, char *const *argv, struct failure *failure);

#endif
