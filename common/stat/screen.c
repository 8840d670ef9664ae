#include "stat/screen.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "stat/terminal.h"

/* Signals that end a broken program; the sanitizers' own handlers are left alone. */
static const int fatal_signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

#define FATAL_COUNT (sizeof(fatal_signals) / sizeof(fatal_signals[0]))

enum pair {
    PAIR_GOOD = 1,
    PAIR_WARN,
    PAIR_BAR,
    PAIR_TITLE,
};

struct screen {
    SCREEN *terminal;
    FILE *in; /* stdin, /dev/tty, or NULL */
    bool has_colors;
    bool has_blocks; /* the terminal is said to show UTF-8 */
    struct sigaction before[FATAL_COUNT];
};

/* Gives a broken program's terminal back: out of the alternate screen, cursor on, keys echoed. Only
 * calls that a handler may make, and no data of ours, which may be what is broken. */
static void on_fatal(int number)
{
    static const char restore[] = "\033[0m\033[?1049l\033[?25h\r\n";
    const ssize_t written = write(STDOUT_FILENO, restore, sizeof(restore) - 1);
    (void)written;
    struct termios terminal;
    if (tcgetattr(STDOUT_FILENO, &terminal) == 0) {
        terminal.c_lflag |= ICANON | ECHO | ISIG;
        terminal.c_iflag |= ICRNL;
        terminal.c_oflag |= OPOST | ONLCR;
        tcsetattr(STDOUT_FILENO, TCSANOW, &terminal);
    }
    raise(number); /* SA_RESETHAND: now it ends the program */
}

static void catch_fatal(struct screen *screen)
{
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        sigaction(fatal_signals[i], NULL, &screen->before[i]);
        if (screen->before[i].sa_handler == SIG_DFL) {
            sigaction(fatal_signals[i], &action, NULL);
        }
    }
}

static void release_fatal(const struct screen *screen)
{
    for (size_t i = 0; i < FATAL_COUNT; i++) {
        sigaction(fatal_signals[i], &screen->before[i], NULL);
    }
}

/* https://no-color.org: set and not empty means no colours. */
static bool wants_colors(void)
{
    const char *no_color = getenv("NO_COLOR");
    return no_color == NULL || no_color[0] == '\0';
}

static void open_colors(struct screen *screen)
{
    screen->has_colors =
        wants_colors() && has_colors() && start_color() == OK && use_default_colors() == OK;
    if (!screen->has_colors) {
        return;
    }
    init_pair(PAIR_GOOD, COLOR_GREEN, -1);
    init_pair(PAIR_WARN, COLOR_RED, -1);
    init_pair(PAIR_BAR, COLOR_CYAN, -1);
    init_pair(PAIR_TITLE, COLOR_CYAN, -1);
}

/* Finds where keys come from: stdin, or the terminal itself where stdin is something else. */
static FILE *open_keys(void)
{
    return isatty(STDIN_FILENO) ? stdin : fopen("/dev/tty", "re");
}

int screen_open(struct screen **screen, struct failure *failure)
{
    struct screen *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the screen");
    }
    const char *name = getenv("TERM");
    setlocale(LC_CTYPE, "");
    made->has_blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    made->in = open_keys();
    use_tioctl(TRUE);
    made->terminal = !isatty(STDOUT_FILENO) || !terminal_is_known(name)
                         ? NULL
                         : newterm(name, stdout, made->in == NULL ? stdin : made->in);
    if (made->terminal == NULL) {
        if (made->in != NULL && made->in != stdin) {
            fclose(made->in);
        }
        free(made);
        return failure_set(failure, ENOTTY,
                           "--view live: the terminal (TERM=%s) cannot be driven; use --view lines",
                           name == NULL ? "" : name);
    }
    catch_fatal(made);
    open_colors(made);
    cbreak();
    noecho();
    curs_set(0);
    leaveok(stdscr, TRUE);
    *screen = made;
    return 0;
}

void screen_close(struct screen *screen)
{
    if (screen == NULL) {
        return;
    }
    endwin();
    delscreen(screen->terminal);
    release_fatal(screen);
    if (screen->in != NULL && screen->in != stdin) {
        fclose(screen->in);
    }
    free(screen);
}

void screen_size(struct screen *screen, int *rows, int *columns)
{
    (void)screen;
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        resizeterm(size.ws_row, size.ws_col);
    }
    getmaxyx(stdscr, *rows, *columns);
}

static attr_t style_attributes(enum canvas_style style)
{
    switch (style) {
    case CANVAS_TITLE:
        return A_REVERSE;
    case CANVAS_HEAD:
    case CANVAS_WARN:
        return A_BOLD;
    case CANVAS_DIM:
        return A_DIM;
    case CANVAS_PLAIN:
    case CANVAS_GOOD:
    case CANVAS_BAR:
        return A_NORMAL;
    }
    return A_NORMAL;
}

static short style_pair(const struct screen *screen, enum canvas_style style)
{
    if (!screen->has_colors) {
        return 0;
    }
    switch (style) {
    case CANVAS_TITLE:
        return PAIR_TITLE;
    case CANVAS_WARN:
        return PAIR_WARN;
    case CANVAS_GOOD:
        return PAIR_GOOD;
    case CANVAS_BAR:
        return PAIR_BAR;
    case CANVAS_PLAIN:
    case CANVAS_HEAD:
    case CANVAS_DIM:
        return 0;
    }
    return 0;
}

static void show_cell(const struct screen *screen, const struct canvas_cell *cell)
{
    if (cell->style != CANVAS_BAR) {
        addch((chtype)(unsigned char)cell->character);
    } else if (screen->has_blocks) {
        /* U+2588 is the full block, the seven after it go down to one eighth. */
        const wchar_t block[] = {0x2588 + ('8' - cell->character), L'\0'};
        addwstr(block);
    } else {
        addch('#');
    }
}

void screen_show(struct screen *screen, const struct canvas *canvas)
{
    int rows;
    int columns;
    getmaxyx(stdscr, rows, columns);
    erase();
    for (int row = 0; row < canvas->rows && row < rows; row++) {
        for (int column = 0; column < canvas->columns && column < columns; column++) {
            const struct canvas_cell *cell = &canvas->cells[row * canvas->columns + column];
            move(row, column);
            attr_set(style_attributes((enum canvas_style)cell->style),
                     style_pair(screen, (enum canvas_style)cell->style), NULL);
            show_cell(screen, cell);
        }
    }
    attr_set(A_NORMAL, 0, NULL);
    refresh();
}

int screen_key_fd(const struct screen *screen)
{
    return screen->in == NULL ? -1 : fileno(screen->in);
}
