/* Observer; see observer.h. Layer: bench/lab. */
#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netns.h"
#include "numbers.h"
#include "tcpstat/tcpstat.h"

#define LINKS_BYTES 16384

/* Columns of /proc/net/dev behind the link's name. */
enum link_column {
    LINK_RECEIVED_BYTES = 0,
    LINK_RECEIVED_PACKETS = 1,
    LINK_SENT_BYTES = 8,
    LINK_SENT_PACKETS = 9,
    LINK_COLUMN_COUNT = 10
};

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
    observer->links_fd = open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC);
    if (observer->links_fd < 0) {
        return failure_set(failure, errno, "/proc/thread-self/net/dev: %s", strerror(errno));
    }
    return 0;
}

int observer_open(struct observer *observer, int netns_fd, struct failure *failure)
{
    *observer = (struct observer){.passive_opens = -ENOENT, .links_fd = -1};
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
    /* 0 is a struct that was zeroed and never opened; standard input is never one of ours. */
    if (observer->links_fd > 0) {
        close(observer->links_fd);
    }
    *observer = (struct observer){.passive_opens = -ENOENT, .links_fd = -1};
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

int observer_parse_traffic(const char *text, const char *link, struct observer_traffic *traffic)
{
    char key[32];
    uint64_t columns[LINK_COLUMN_COUNT];
    snprintf(key, sizeof(key), " %s:", link);
    const char *line = strstr(text, key);
    if (line == NULL ||
        numbers_read(line + strlen(key), columns, LINK_COLUMN_COUNT) != LINK_COLUMN_COUNT) {
        return -ENODEV;
    }
    *traffic = (struct observer_traffic){
        .received_bytes = columns[LINK_RECEIVED_BYTES],
        .received_packets = columns[LINK_RECEIVED_PACKETS],
        .sent_bytes = columns[LINK_SENT_BYTES],
        .sent_packets = columns[LINK_SENT_PACKETS],
    };
    return 0;
}

int observer_traffic(const struct observer *observer, const char *link,
                     struct observer_traffic *traffic)
{
    char text[LINKS_BYTES];
    ssize_t size = pread(observer->links_fd, text, sizeof(text) - 1, 0);
    if (size < 0) {
        return -errno;
    }
    text[size] = '\0';
    return observer_parse_traffic(text, link, traffic);
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
