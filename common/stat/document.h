/* finwait-stat's JSON documents, schema "finwait.stat/1".
 *
 * Layer: program finwait-stat (L5). Built and written with jansson. That of a single count is here,
 * that of a series is a sink (sink_open_json). */
#ifndef FINWAIT_STAT_DOCUMENT_H
#define FINWAIT_STAT_DOCUMENT_H

#include "base/failure.h"
#include "stat/options.h"
#include "tcpstat/tcpstat.h"

/* Writes a single count. Returns 0 or -errno with the failure's text set. */
int document_write_once(const struct stat_settings *settings, const struct census_result *result,
                        const char *method, uint64_t time_wait_live, struct failure *failure);

#endif
