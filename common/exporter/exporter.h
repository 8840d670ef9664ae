/* Exporter: an HTTP listener that gives metrics to Prometheus, in a thread of its own.
 *
 * Layer: exporter (L2); the one that links libmicrohttpd. It knows nothing of the numbers: each
 * scrape calls a function of the program's, in the exporter's thread, which blocks all signals.
 * Address and thread come in two steps, so that a program can listen in one network namespace and
 * watch another. GET /metrics answers; the format is OpenMetrics unless the Accept header leaves it
 * out. */
#ifndef FINWAIT_EXPORTER_EXPORTER_H
#define FINWAIT_EXPORTER_EXPORTER_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/failure.h"
#include "report/openmetrics.h"

/* Scrapes that are answered at a time; further ones are refused. */
#define EXPORTER_CONNECTIONS_MAX 16

/* Writes the numbers, without the end. */
typedef void exporter_fill(void *context, struct openmetrics *out);

struct exporter;

/* Reads "127.0.0.1:9464" and checks that it is loopback, unless another address is allowed. Returns
 * 0 or -EINVAL with the text set. */
int exporter_parse(struct endpoint *address, const char *text, bool allows_remote,
                   struct failure *failure);

/* Listens. Returns 0 or -errno with the text set. */
int exporter_open(struct exporter **exporter, const struct endpoint *address,
                  struct failure *failure);

/* Answers from here on. `fill` is called until the exporter is closed. Returns 0 or -errno with the
 * text set. */
int exporter_start(struct exporter *exporter, exporter_fill *fill, void *context,
                   struct failure *failure);

/* Ends the thread and closes the listener; what is being answered is given up. NULL is allowed. */
void exporter_close(struct exporter *exporter);

#endif
