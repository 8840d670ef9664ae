/* Lines on stderr for the programs: one call, one write, one line, so that threads do not mix.
 *
 * Layer: base; for programs only, libraries return what they have to say. */
#ifndef FINWAIT_BASE_LOG_H
#define FINWAIT_BASE_LOG_H

/* Prints "program: text" and a newline to stderr in one write. Cuts at 4095 bytes. */
void log_line(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
