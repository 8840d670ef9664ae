/* Cgroups of version 2: a cgroup by its path, and the set of what lies below it.
 *
 * Layer: tcpstat (L1). A cgroup's id is its directory's inode, which the kernel's sockets carry. A
 * set is a sorted array that its owner frees; it is read again to know of cgroups made since. */
#ifndef FINWAIT_TCPSTAT_CGROUPS_H
#define FINWAIT_TCPSTAT_CGROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/failure.h"

#define CGROUP_PATH_MAX 1024

struct cgroup {
    char folder[CGROUP_PATH_MAX]; /* in the file system */
    uint64_t id;
    uint32_t level; /* how deep it lies; the root is 0 */
};

/* Finds where the hierarchy of version 2 is mounted: alone, or beside version 1's. NULL: it is not.
 * Static memory. */
const char *cgroup_mount(void);

/* Finds a cgroup by its path within the hierarchy ("/system.slice/nginx.service"), or in the file
 * system. Returns 0, -EINVAL when there is none of this name, or -ENOTSUP without the hierarchy,
 * with the failure's text set. */
int cgroup_find(struct cgroup *cgroup, const char *path, struct failure *failure);

/* Zeroed before its first use; ascending. */
struct cgroup_set {
    uint64_t *ids;
    uint32_t count;
    uint32_t capacity;
};

/* Fills a set with the ids of a folder and all below it, of before included, since a cgroup that
 * went may still be named by TIME_WAIT records. Returns 0 or -errno with the set as it was, or with
 * a part added. */
int cgroup_set_read(struct cgroup_set *set, const char *folder);

bool cgroup_set_has(const struct cgroup_set *set, uint64_t id);

void cgroup_set_free(struct cgroup_set *set);

#endif
