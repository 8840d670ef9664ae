/* finwait-stat's JSON documents, schema "finwait.stat/1".
 *
 * Layer: program finwait-stat (L5). Built and written with jansson. */
#ifndef FINWAIT_STAT_DOCUMENT_H
#define FINWAIT_STAT_DOCUMENT_H

#include "base/failure.h"
#include "stat/options.h"
#include "tcpstat/tcpstat.h"

/* Writes a single count. Returns 0 or -errno with the failure's text set. */
int document_write_once(const struct stat_settings *settings, const struct census_result *result,
                        const char *method, uint64_t time_wait_live, struct failure *failure);

/* Writes a whole series. `estimate` may be NULL. Returns 0 or -errno with the failure's text set.
 */
int document_write_series(const struct stat_settings *settings, const struct watch_series *series,
                          const struct timewait_estimate *estimate, struct failure *failure);

#endif
