/* Warnings: what a sample's numbers mean, in words, where they mean trouble.
 *
 * Layer: program finwait-stat (L5). Pure functions. */
#ifndef FINWAIT_STAT_WARNINGS_H
#define FINWAIT_STAT_WARNINGS_H

#include "stat/sample.h"

/* Adds to a sample the notes that follow from it and the one before. */
void warnings_add(struct sample *now, const struct sample *before, const struct sample_head *head);

#endif
