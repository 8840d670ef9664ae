/* Capture: what a program writes, kept in anonymous memory.
 *
 * Layer: bench/lab. A capture ends with its descriptor, so that nothing is left behind. */
#ifndef FINWAIT_BENCH_LAB_CAPTURE_H
#define FINWAIT_BENCH_LAB_CAPTURE_H

#include <jansson.h>
#include <stddef.h>

#define CAPTURE_PATH_MAX 32

/* Makes an empty capture. Returns its descriptor (close-on-exec) or -errno. */
int capture_open(const char *name);

/* Names a capture's file for a program that inherits the descriptor: "/proc/self/fd/7". */
const char *capture_path(int fd, char path[CAPTURE_PATH_MAX]);

/* Copies the last line that is not empty, without its newline; "" when there is none. */
void capture_last_line(int fd, char *line, size_t size);

/* Reads the whole capture as JSON; NULL when it is none. The caller owns the value. */
json_t *capture_json(int fd);

#endif
