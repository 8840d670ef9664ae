#include "tcpstat/census_owners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tcpstat/kernel_census.h"

struct owners_census {
    struct kernel_census kernel; /* first: a pointer to it is a pointer to this */
    struct census_owners_config config;
};

static int count(struct kernel_census *base, const struct census_request *request,
                 struct census_result *result)
{
    const struct owners_census *census = (const struct owners_census *)base;
    ASSERT(request->grouping == CENSUS_WHOLE);
    const struct owners_result *found;
    const int error = census->config.walk(census->config.context, request, &found);
    if (error < 0) {
        return error;
    }
    result->stamp.rows = found->rows_walked;
    result->v4 = found->v4;
    result->v6 = found->v6;
    tcp_state_counts_add(&result->total, &result->v4);
    tcp_state_counts_add(&result->total, &result->v6);
    return 0;
}

static int owners_census_run(struct census *base, const struct census_request *request,
                             struct census_result *result)
{
    return kernel_census_run((struct kernel_census *)base, request, result, count);
}

static void owners_census_close(struct census *base)
{
    struct owners_census *census = (struct owners_census *)base;
    kernel_census_close(&census->kernel);
    free(census);
}

static const struct census_ops bpf_ops = {"owners by bpf", owners_census_run, owners_census_close};
static const struct census_ops procfs_ops = {"owners by procfs", owners_census_run,
                                             owners_census_close};

int census_open_owners(struct census **census, const struct census_owners_config *config,
                       struct failure *failure)
{
    struct owners_census *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census");
    }
    opened->config = *config;
    const bool is_bpf = strcmp(owners_method(config->owners), "bpf") == 0;
    const int error = kernel_census_open(&opened->kernel, is_bpf ? &bpf_ops : &procfs_ops, failure);
    if (error < 0) {
        owners_census_close(&opened->kernel.census);
        return error;
    }
    *census = &opened->kernel.census;
    return 0;
}
