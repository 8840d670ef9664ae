#include "stat/canvas.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define EIGHTHS 8
#define TEXT_MAX 1024

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

int canvas_resize(struct canvas *canvas, int rows, int columns)
{
    const int rows_cut = clamp(rows, 1, CANVAS_ROWS_MAX);
    const int columns_cut = clamp(columns, 1, CANVAS_COLUMNS_MAX);
    struct canvas_cell *cells = calloc((size_t)rows_cut * (size_t)columns_cut, sizeof(*cells));
    if (cells == NULL) {
        return -ENOMEM;
    }
    free(canvas->cells);
    canvas->rows = rows_cut;
    canvas->columns = columns_cut;
    canvas->cells = cells;
    canvas_clear(canvas);
    return 0;
}

void canvas_free(struct canvas *canvas)
{
    free(canvas->cells);
    *canvas = (struct canvas){0};
}

void canvas_clear(struct canvas *canvas)
{
    for (int i = 0; i < canvas->rows * canvas->columns; i++) {
        canvas->cells[i] = (struct canvas_cell){.character = ' ', .style = CANVAS_PLAIN};
    }
}

static void put(struct canvas *canvas, const struct canvas_at *at, int offset, char character)
{
    const int column = at->column + offset;
    if (at->row < 0 || at->row >= canvas->rows || column < 0 || column >= canvas->columns ||
        (at->width > 0 && offset >= at->width)) {
        return;
    }
    const bool is_printable = character >= ' ' && character <= '~';
    canvas->cells[at->row * canvas->columns + column] = (struct canvas_cell){
        .character = is_printable ? character : '?',
        .style = (unsigned char)at->style,
    };
}

void canvas_print(struct canvas *canvas, struct canvas_at at, const char *format, ...)
{
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 does not see the va_start
    if (vsnprintf(text, sizeof(text), format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    for (int i = 0; text[i] != '\0'; i++) {
        put(canvas, &at, i, text[i]);
    }
}

/* Gives how much of a text goes on one line: to the last blank within the width, if there is one.
 */
static int line_length(const char *text, int width)
{
    const int length = (int)strlen(text);
    if (length <= width) {
        return length;
    }
    for (int i = width; i > 0; i--) {
        if (text[i] == ' ') {
            return i;
        }
    }
    return width;
}

int canvas_print_words(struct canvas *canvas, struct canvas_at at, int rows_max, const char *text)
{
    const int room = canvas->columns - at.column;
    const int width = at.width > 0 && at.width < room ? at.width : room;
    int rows = 0;
    while (*text != '\0' && rows < rows_max && width > 0) {
        const int length = line_length(text, width);
        const struct canvas_at line = {at.row + rows, at.column, width, at.style};
        canvas_print(canvas, line, "%.*s", length, text);
        text += length;
        text += strspn(text, " ");
        rows++;
        if (*text != '\0' && rows == rows_max && width > 3) {
            const int dots = length < width - 3 ? length : width - 3;
            canvas_print(canvas, (struct canvas_at){line.row, at.column + dots, 0, at.style},
                         "...");
        }
    }
    return rows;
}

void canvas_bar(struct canvas *canvas, struct canvas_at at, double share)
{
    const int room = canvas->columns - at.column;
    const int width = at.width > 0 && at.width < room ? at.width : room;
    const double bounded = share < 0 ? 0 : share > 1 ? 1 : share;
    int eighths = (int)(bounded * width * EIGHTHS + 0.5);
    if (eighths == 0 && share > 0) {
        eighths = 1;
    }
    at.style = CANVAS_BAR;
    for (int i = 0; eighths > 0 && i < width; i++) {
        const int filled = eighths > EIGHTHS ? EIGHTHS : eighths;
        put(canvas, &at, i, (char)('0' + filled));
        eighths -= filled;
    }
}

void canvas_style_row(struct canvas *canvas, int row, enum canvas_style style)
{
    if (row < 0 || row >= canvas->rows) {
        return;
    }
    for (int column = 0; column < canvas->columns; column++) {
        canvas->cells[row * canvas->columns + column].style = (unsigned char)style;
    }
}

static char plain_character(const struct canvas_cell *cell)
{
    return cell->style == CANVAS_BAR ? '#' : cell->character;
}

void canvas_write_text(const struct canvas *canvas, FILE *out)
{
    for (int row = 0; row < canvas->rows; row++) {
        const struct canvas_cell *cells = &canvas->cells[row * canvas->columns];
        int used = canvas->columns;
        while (used > 0 && plain_character(&cells[used - 1]) == ' ') {
            used--;
        }
        for (int column = 0; column < used; column++) {
            fputc(plain_character(&cells[column]), out);
        }
        fputc('\n', out);
    }
}
