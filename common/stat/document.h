/* finwait-stat's JSON documents, schema "finwait.stat/1".
 *
 * Layer: program finwait-stat (L5). Built and written with jansson. That of a single count is here,
 * that of a series is a sink (sink_open_json). */
#ifndef FINWAIT_STAT_DOCUMENT_H
#define FINWAIT_STAT_DOCUMENT_H

#include "base/failure.h"
#include "stat/options.h"
#include "stat/sample.h"

/* Writes a single count: a sample's census and owners. Returns 0 or -errno with the failure's text
 * set. */
int document_write_once(const struct stat_settings *settings, const struct sample_head *head,
                        const struct sample *sample, struct failure *failure);

#endif
