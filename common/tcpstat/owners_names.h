/* Names of owners: a process's command, a cgroup's path.
 *
 * Layer: tcpstat (L1), private but for tests. What cannot be read gets a number for a name. */
#ifndef FINWAIT_TCPSTAT_OWNERS_NAMES_H
#define FINWAIT_TCPSTAT_OWNERS_NAMES_H

#include <stdint.h>

#include "tcpstat/owners.h"

/* Reads a live process's command. Returns 0 or -errno (-ENOENT: it has gone). */
int owners_read_comm(uint32_t pid, char comm[OWNERS_COMM_MAX]);

/* Reads the id of a live process's cgroup of version 2: its directory's inode. 0 when there is no
 * such hierarchy, or it cannot be read. */
uint64_t owners_read_cgroup(uint32_t pid);

/* Writes a cgroup's path within its hierarchy ("/system.slice/x"), or "cgroup 123". */
void owners_name_cgroup(uint64_t id, char *name, size_t size);

#endif
