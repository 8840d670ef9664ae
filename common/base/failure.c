/* Failures: text for people, names for errno values.
 *
 * Layer: base. The names and texts are the C library's own constant ones, so nothing is allocated
 * and threads may ask at the same time. */
#include "base/failure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

/* What a user typed is quoted in failures; a control character in it must not break the line, nor
 * reach the terminal. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) {
            *text = '?';
        }
    }
}

int failure_set(struct failure *failure, int error, const char *format, ...)
{
    ASSERT(error > 0);
    if (failure == NULL) {
        return -error;
    }
    /* Through a local buffer, so that the failure's own text may be among the arguments. */
    char text[FAILURE_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) < 0) {
        text[0] = '\0';
    }
    va_end(arguments);
    make_one_line(text);
    failure->error = error;
    memcpy(failure->text, text, strlen(text) + 1);
    return -error;
}

const char *failure_errno_name(int error)
{
    /* The C library calls 0 "0", which is no name from the headers. */
    const char *name = error > 0 ? strerrorname_np(error) : NULL;
    return name != NULL ? name : "E?";
}

const char *failure_errno_words(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "refused";
    case ECONNRESET:
        return "reset";
    case ETIMEDOUT:
        return "timed out";
    case EADDRNOTAVAIL: /* connect found no port */
    case EADDRINUSE:    /* bind to a planned port found it taken */
        return "no free 4-tuple";
    case EMFILE: /* of the process */
    case ENFILE: /* of the system, or of a ring's file table */
        return "no descriptors";
    case ENODATA: /* the peer's FIN came before all that was due */
        return "closed too early";
    case EBADMSG: /* an echo that differs from what was sent */
        return "wrong bytes";
    case EOVERFLOW: /* more bytes than were due */
        return "too many bytes";
    default:
        break;
    }
    const char *words = error > 0 ? strerrordesc_np(error) : NULL;
    return words != NULL ? words : "unknown error";
}
