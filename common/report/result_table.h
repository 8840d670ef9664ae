/* Result, inside: how its tables grow and what their entries own.
 *
 * Layer: report (L1), not for others. All memory is the result's, freed by result_destroy. */
#ifndef FINWAIT_REPORT_RESULT_TABLE_H
#define FINWAIT_REPORT_RESULT_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "report/result.h"

/* Capacity of a table when its first entry comes; from there on it doubles. */
#define RESULT_TABLE_FIRST 8u

/* Copies a text into a field; NULL stays NULL. Returns 0, or -ENOMEM with the field NULL. */
int result_text_copy(char **field, const char *text);

/* Makes room for one more entry in a table. The capacity is not stored: it is the smallest of 8,
 * 16, 32, ... that holds `count`, so a table grows exactly when its count is one of these. Returns
 * the table's new place, or NULL with the old one as it was. */
void *result_table_reserve(void *table, uint32_t count, size_t entry_bytes);

/* Free what an entry owns. */
void result_counter_free(struct result_counter *counter);
void result_feature_free(struct result_feature *feature);
void result_check_free(struct result_check *check);
void result_limit_free(struct result_limit *limit);

#endif
