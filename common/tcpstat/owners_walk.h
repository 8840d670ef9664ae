/* What the two ways of an owners' walk have in common: the head of each one's struct.
 *
 * Layer: tcpstat (L1), private. */
#ifndef FINWAIT_TCPSTAT_OWNERS_WALK_H
#define FINWAIT_TCPSTAT_OWNERS_WALK_H

#include "tcpstat/owners.h"
#include "tcpstat/owners_rows.h"

struct owners_ops {
    const char *method;
    /* Adds every socket, by owners_rows_add. Returns 0 or -errno. */
    int (*walk)(struct owners *owners, const struct owners_request *request,
                struct owners_result *result);
    /* Writes a process's command, which may have ended; false: not known. */
    bool (*name_pid)(struct owners *owners, uint32_t pid, char comm[OWNERS_COMM_MAX]);
    void (*close)(struct owners *owners);
};

struct owners {
    const struct owners_ops *ops;
    const char *missing; /* one line, or NULL */
    struct owners_index index;
};

/* Opens the walk by procfs. Returns 0 or -errno with the failure's text set. */
int owners_open_procfs(struct owners **owners, struct failure *failure);

/* Opens the walk by BPF; -ENOTSUP in a build without. */
int owners_open_bpf(struct owners **owners, struct transitions *transitions,
                    struct failure *failure);

#endif
