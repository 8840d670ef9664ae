/* The terminal as a screen (ncurses): shows canvases, and is put back however the program ends.
 *
 * Layer: program finwait-stat (L5). One screen per process, one thread. Signals that can be caught
 * are the session's; on those that say that the program is broken the screen writes what a terminal
 * needs to be itself again, and lets them end the program. */
#ifndef FINWAIT_STAT_SCREEN_H
#define FINWAIT_STAT_SCREEN_H

#include "base/failure.h"
#include "stat/canvas.h"

struct screen;

/* Takes the terminal of stdout. Colours are left out where NO_COLOR is set or the terminal has
 * none. Returns 0, -ENOTTY when stdout is no terminal that ncurses can drive, or -ENOMEM, each with
 * the text set. */
int screen_open(struct screen **screen, struct failure *failure);

/* Gives the terminal back as it was. NULL is allowed. */
void screen_close(struct screen *screen);

/* Asks the terminal for its size, after SIGWINCH too. */
void screen_size(struct screen *screen, int *rows, int *columns);

/* Shows a canvas; what is larger than the terminal is clipped. */
void screen_show(struct screen *screen, const struct canvas *canvas);

/* The descriptor that keys come from, or -1. */
int screen_key_fd(const struct screen *screen);

#endif
