#include "tcpstat/kernel_census.h"

#include "tcpstat/netns.h"
#include "tcpstat/source.h"

int kernel_census_open(struct kernel_census *census, const struct census_ops *ops,
                       struct failure *failure)
{
    census->census.ops = ops;
    census->netns_fd = netns_open(failure);
    return census->netns_fd < 0 ? census->netns_fd : stability_open(&census->stability, failure);
}

void kernel_census_close(struct kernel_census *census)
{
    stability_close(census->stability);
    source_close(census->netns_fd);
}

int kernel_census_run(struct kernel_census *census, const struct census_request *request,
                      struct census_result *result, kernel_census_count *count)
{
    int error = census_result_reset(result, request);
    if (error < 0) {
        return error;
    }
    stability_begin(census->stability);
    error = count(census, request, result);
    if (error < 0) {
        return error;
    }
    result->stamp.passes = 1;
    const enum census_stability seen = stability_end(census->stability);
    if (result->stamp.stability != CENSUS_CHANGED) { /* which the walk itself may have been told */
        result->stamp.stability = seen;
    }
    return 0;
}

bool kernel_census_is_cancelled(const struct census_request *request)
{
    return request->cancel != NULL && atomic_load_explicit(request->cancel, memory_order_relaxed);
}
