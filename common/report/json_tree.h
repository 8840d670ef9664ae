/* A result as a JSON tree: the schema "finwait.result/1".
 *
 * Layer: report; of this folder only. Owner: the caller, who calls json_decref. Latencies have two
 * origins ("latency": {"connect": {"from_scheduled": {...}, "from_start": {...}}}), other
 * histograms one ("histograms": {"turn": {...}}); errors are {"connect/ECONNREFUSED": n}; what is
 * unknown is null. */
#ifndef FINWAIT_REPORT_JSON_TREE_H
#define FINWAIT_REPORT_JSON_TREE_H

#include <jansson.h>

#include "report/result.h"

/* Builds the tree of a whole result. NULL: out of memory. */
json_t *json_tree_build(const struct result *result);

#endif
