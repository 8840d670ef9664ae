/* Observer; see observer.h. Layer: bench/lab. */
#include "observer.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "netns.h"
#include "tcpstat/tcpstat.h"

/* Opens the sources of the namespace that the thread is in. */
static int open_here(struct observer *observer, struct failure *failure)
{
    int error = census_open_procfs(&observer->census, failure);
    if (error != 0) {
        return error;
    }
    error = tcpstat_counters_open(&observer->counters, failure);
    if (error != 0) {
        return error;
    }
    observer->passive_opens = tcpstat_counters_find(observer->counters, "Tcp.PassiveOpens");
    return 0;
}

int observer_open(struct observer *observer, int netns_fd, struct failure *failure)
{
    *observer = (struct observer){.passive_opens = -ENOENT};
    int own_fd = netns_open_own();
    int error = own_fd < 0 ? own_fd : netns_enter(netns_fd);
    if (error != 0) {
        failure_set(failure, -error, "a namespace cannot be entered: %s", strerror(-error));
    } else {
        error = open_here(observer, failure);
        int returned = netns_enter(own_fd);
        error = error == 0 ? returned : error;
    }
    if (own_fd >= 0) {
        close(own_fd);
    }
    if (error != 0) {
        observer_close(observer);
    }
    return error;
}

void observer_close(struct observer *observer)
{
    census_close(observer->census);
    tcpstat_counters_close(observer->counters);
    *observer = (struct observer){.passive_opens = -ENOENT};
}

uint64_t observer_time_wait(const struct observer *observer)
{
    uint64_t count = 0;
    return tcpstat_counters_read_time_wait(observer->counters, &count) == 0 ? count : 0;
}

uint64_t observer_passive_opens(const struct observer *observer)
{
    struct tcpstat_counters_snapshot snapshot;
    if (tcpstat_counters_read(observer->counters, &snapshot) != 0) {
        return 0;
    }
    return tcpstat_counters_value(&snapshot, observer->passive_opens);
}

int observer_count(const struct observer *observer, struct tcp_state_counts *counts)
{
    struct census_request request = {.grouping = CENSUS_WHOLE};
    struct census_result result;
    memset(&result, 0, sizeof(result));
    int error = census_run(observer->census, &request, &result);
    *counts = result.total;
    census_result_free(&result);
    return error;
}
