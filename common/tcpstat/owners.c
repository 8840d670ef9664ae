#include "tcpstat/owners.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tcpstat/owners_names.h"
#include "tcpstat/owners_walk.h"

int owners_open(struct owners **owners, struct transitions *transitions, struct failure *failure)
{
    return transitions != NULL ? owners_open_bpf(owners, transitions, failure)
                               : owners_open_procfs(owners, failure);
}

void owners_close(struct owners *owners)
{
    if (owners != NULL) {
        owners_index_free(&owners->index);
        owners->ops->close(owners);
    }
}

const char *owners_method(const struct owners *owners)
{
    return owners->ops->method;
}

const char *owners_missing(const struct owners *owners)
{
    return owners->missing;
}

static void name_row(struct owners *owners, enum owners_key key, struct owners_row *row)
{
    char comm[OWNERS_COMM_MAX];
    if (!row->is_known) {
        snprintf(row->name, sizeof(row->name), "unknown");
        return;
    }
    switch (key) {
    case OWNERS_BY_PID:
        if (owners->ops->name_pid(owners, row->pid, comm)) {
            snprintf(row->name, sizeof(row->name), "%s (%" PRIu32 ")", comm, row->pid);
        } else {
            snprintf(row->name, sizeof(row->name), "pid %" PRIu32, row->pid);
        }
        return;
    case OWNERS_BY_CGROUP:
        owners_name_cgroup(row->cgroup_id, row->name, sizeof(row->name));
        return;
    case OWNERS_BY_REMOTE: {
        char text[IP_TEXT_MAX];
        snprintf(row->name, sizeof(row->name), "%s", ip_format(&row->remote, text));
        return;
    }
    case OWNERS_BY_LOCAL_PORT:
        snprintf(row->name, sizeof(row->name), "port %u", row->local_port);
        return;
    }
}

int owners_run(struct owners *owners, const struct owners_request *request,
               struct owners_result *result)
{
    const uint64_t cpu_started_ns = clock_thread_cpu_ns();
    int error = owners_rows_begin(result, &owners->index);
    if (error < 0) {
        return error;
    }
    result->taken_ns = clock_now_ns();
    if (request->tuples != NULL) {
        tuples_use_reset(request->tuples, result->taken_ns);
    }
    error = owners->ops->walk(owners, request, result);
    if (error < 0) {
        return error;
    }
    owners_rows_finish(result, request);
    for (uint32_t i = 0; i < result->row_count; i++) {
        name_row(owners, request->key, &result->rows[i]);
    }
    snprintf(result->other.name, sizeof(result->other.name), "others");
    result->cpu_ns = clock_thread_cpu_ns() - cpu_started_ns;
    return 0;
}

void owners_result_free(struct owners_result *result)
{
    free(result->rows);
    *result = (struct owners_result){0};
}
