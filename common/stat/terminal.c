#include "stat/terminal.h"

#include <curses.h>
/* curses.h comes first: term.h needs its types. */
#include <term.h>
#include <unistd.h>

bool terminal_is_known(const char *name)
{
    int found;
    if (name == NULL || setupterm(name, STDOUT_FILENO, &found) != OK) {
        return false;
    }
    const bool places_cursor = cursor_address != NULL;
    del_curterm(cur_term);
    return places_cursor;
}
