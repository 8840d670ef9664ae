/* Lines on stderr.
 *
 * Layer: base; for programs only. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4095 /* without the newline */

void log_line(const char *program, const char *format, ...)
{
    char line[LINE_MAX_BYTES + 1];
    int head = snprintf(line, sizeof line, "%s: ", program);
    size_t length = head < 0 ? 0 : (size_t)head;
    length = length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES;

    va_list arguments;
    va_start(arguments, format);
    int rest = vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
    length += rest < 0 ? 0 : (size_t)rest;
    length = length < LINE_MAX_BYTES ? length : LINE_MAX_BYTES;

    for (size_t i = 0; i < length; i++) {
        if (line[i] == '\n') {
            line[i] = ' ';
        }
    }
    line[length++] = '\n';
    /* A stderr that cannot be written leaves nowhere to say so. */
    ssize_t written = write(STDERR_FILENO, line, length);
    (void)written;
}
