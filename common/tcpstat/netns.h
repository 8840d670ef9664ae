/* The network namespace that a census was opened in, for what must be made there anew.
 *
 * Layer: tcpstat (L1), private. A descriptor keeps the namespace; the owner closes it with
 * source_close. To enter another namespace than one's own takes CAP_SYS_ADMIN; to be there already
 * takes nothing. */
#ifndef FINWAIT_TCPSTAT_NETNS_H
#define FINWAIT_TCPSTAT_NETNS_H

#include "base/failure.h"

/* Opens the calling thread's namespace. Returns a descriptor, or -errno with the failure's text
 * set. */
int netns_open(struct failure *failure);

/* Moves the calling thread into the namespace. Returns a descriptor to come back by, -ENOENT when
 * the thread is there already, which is no failure, or another -errno with nothing changed. */
int netns_enter(int netns_fd);

/* Comes back by what netns_enter returned, -ENOENT included, and closes it. */
void netns_leave(int back_fd);

/* Calls `make` within the namespace, for what belongs to that of the thread that makes it. Returns
 * what it returns, or -errno where the namespace cannot be entered. */
int netns_call(int netns_fd, int (*make)(void *context), void *context);

#endif
