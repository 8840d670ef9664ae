/* The server's metrics: what a scrape gets, gathered from the workers.
 *
 * Layer: server. Called in the exporter's thread while the server runs. */
#ifndef FINWAIT_SERVER_METRICS_H
#define FINWAIT_SERVER_METRICS_H

#include "report/openmetrics.h"

/* Adds everything; the context is a struct server. An exporter_fill. */
void metrics_fill(void *context, struct openmetrics *out);

#endif
