/* Failures that a user will read: an errno for the caller and one line of text for the person.
 *
 * Layer: base. Libraries fill the struct and return -errno; only main prints it. The text says what
 * was wrong, the value, and what to do, in one line without a newline. */
#ifndef FINWAIT_BASE_FAILURE_H
#define FINWAIT_BASE_FAILURE_H

#include <stddef.h>

#define FAILURE_TEXT_MAX 512

struct failure {
    int error; /* positive errno */
    char text[FAILURE_TEXT_MAX];
};

/* Fills `failure` (which may be NULL) and returns -error, so that a call ends in
 * `return failure_set(...)`. A text over the maximum is cut. Requires error > 0. */
int failure_set(struct failure *failure, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Names an errno as the headers do ("ECONNREFUSED"); "E?" for a number without a name. Static
 * memory. */
const char *failure_errno_name(int error);

/* Describes, in the words of a connection's user, an errno that a socket call gave: "refused",
 * "reset", "timed out", "no free 4-tuple", "no descriptors", else the C library's text. Static
 * memory. */
const char *failure_errno_words(int error);

#endif
