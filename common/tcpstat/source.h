/* Files under /proc that are kept open and read again from their start.
 *
 * Layer: tcpstat (L1), private. /proc/net belongs to the network namespace of whoever opens it, and
 * stays with it: a file opened here shows the opening thread's namespace, whichever thread reads
 * it. */
#ifndef FINWAIT_TCPSTAT_SOURCE_H
#define FINWAIT_TCPSTAT_SOURCE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Opens a file of /proc/thread-self/net by its name ("tcp"): the calling thread's namespace, where
 * /proc/net would be the main thread's. Returns the descriptor or -errno. */
int source_open_net(const char *name);

/* Reads a whole small file by its path into a text, "" after an error. Returns 0, -EMSGSIZE when it
 * does not fit, or -errno. */
int source_read_text(const char *path, char *text, size_t size);

/* Reads a sysctl that is one decimal number, by its path. Returns 0 or -errno. */
int source_read_number(const char *path, uint64_t *number);

/* Reads once at an offset. Returns the bytes or -errno. */
ssize_t source_read(int fd, void *buffer, size_t size, uint64_t offset);

/* Reads a whole small file that its kernel side makes in one go. Returns the bytes, -EMSGSIZE when
 * it does not fit into the buffer, or -errno. */
ssize_t source_read_all(int fd, char *buffer, size_t size);

/* Closes a descriptor unless it is negative. */
void source_close(int fd);

#endif
