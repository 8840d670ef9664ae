/* A canvas: a rectangle of characters with styles, that a view draws on and a screen or a stream
 * shows.
 *
 * Layer: program finwait-stat (L5). Owner: the caller. What lies outside is clipped, so that views
 * need not care how small a terminal is. */
#ifndef FINWAIT_STAT_CANVAS_H
#define FINWAIT_STAT_CANVAS_H

#include <stdio.h>

#define CANVAS_ROWS_MAX 500
#define CANVAS_COLUMNS_MAX 1000

enum canvas_style {
    CANVAS_PLAIN,
    CANVAS_TITLE, /* the first line */
    CANVAS_HEAD,  /* columns' names */
    CANVAS_GOOD,
    CANVAS_WARN,
    CANVAS_DIM,
    CANVAS_BAR, /* the character is '1' to '8': eighths of a cell that are filled */
};

#define CANVAS_STYLE_COUNT 7

struct canvas_cell {
    char character; /* printable ASCII */
    unsigned char style;
};

struct canvas {
    int rows;
    int columns;
    struct canvas_cell *cells; /* row by row */
};

/* Makes a blank canvas in place of what it was (zeroed at first). Sizes are cut to 1 and the
 * maxima. Returns 0, or -ENOMEM with the canvas as it was. */
int canvas_resize(struct canvas *canvas, int rows, int columns);

void canvas_free(struct canvas *canvas);

/* Blanks every cell. */
void canvas_clear(struct canvas *canvas);

struct canvas_at {
    int row;
    int column;
    int width; /* at most so many columns; 0: to the right edge */
    enum canvas_style style;
};

/* Prints a text; characters that are not printable ASCII become '?'. */
void canvas_print(struct canvas *canvas, struct canvas_at at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Prints words into lines of the place's width, `rows_max` at most; returns the rows used. What
 * does not fit is cut off with "...". */
int canvas_print_words(struct canvas *canvas, struct canvas_at at, int rows_max, const char *text);

/* Draws a bar of `share` (0 to 1) of the place's width; anything above 0 shows. */
void canvas_bar(struct canvas *canvas, struct canvas_at at, double share);

/* Gives all cells of a row one style. */
void canvas_style_row(struct canvas *canvas, int row, enum canvas_style style);

/* Writes the canvas as plain text, without trailing blanks: bars as '#'. */
void canvas_write_text(const struct canvas *canvas, FILE *out);

#endif
