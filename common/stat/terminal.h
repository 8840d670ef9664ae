/* What the terminal database says.
 *
 * Layer: program finwait-stat (L5). Apart from screen.c since <term.h> defines macros such as
 * `lines` and `columns`. */
#ifndef FINWAIT_STAT_TERMINAL_H
#define FINWAIT_STAT_TERMINAL_H

#include <stdbool.h>

/* Tells whether a terminal of this name is known and can place its cursor. NULL is allowed. */
bool terminal_is_known(const char *name);

#endif
