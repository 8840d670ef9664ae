#include "tcpstat/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "tcpstat/counters_text.h"
#include "tcpstat/source.h"

#define TEXT_MAX 32768 /* netstat has 4 to 6 KiB */

enum { FILE_SOCKSTAT, FILE_SOCKSTAT6, FILE_SNMP, FILE_NETSTAT, FILE_COUNT };

static const char *const snmp_lines[] = {"Ip", "Tcp", NULL};
static const char *const netstat_lines[] = {"TcpExt", "IpExt", NULL};

static const struct counters_file counter_files[FILE_COUNT] = {
    [FILE_SOCKSTAT] = {"sockstat", COUNTERS_INLINE, "sockstat.", NULL},
    [FILE_SOCKSTAT6] = {"sockstat6", COUNTERS_INLINE, "sockstat6.", NULL},
    [FILE_SNMP] = {"snmp", COUNTERS_PAIRED, "", snmp_lines},
    [FILE_NETSTAT] = {"netstat", COUNTERS_PAIRED, "", netstat_lines},
};

struct tcpstat_counters {
    int fds[FILE_COUNT];            /* negative: not there */
    uint32_t first[FILE_COUNT + 1]; /* index of each file's first field */
    int time_wait;                  /* index, or -ENOENT */
    struct counters_layout layout;
    char text[TEXT_MAX];
};

/* Learns one file's fields. */
static int learn_file(struct tcpstat_counters *counters, uint32_t file)
{
    const ssize_t bytes = source_read_all(counters->fds[file], counters->text, TEXT_MAX);
    if (bytes < 0) {
        return (int)bytes;
    }
    counters_layout_add(&counters->layout, &counter_files[file], counters->text, (size_t)bytes);
    return 0;
}

/* Opens one file and learns its fields. Only sockstat6 may be missing: a kernel without IPv6. */
static int open_file(struct tcpstat_counters *counters, uint32_t file, struct failure *failure)
{
    const char *name = counter_files[file].name;
    counters->first[file] = counters->layout.count;
    counters->fds[file] = source_open_net(name);
    if (counters->fds[file] < 0) {
        if (counters->fds[file] == -ENOENT && file == FILE_SOCKSTAT6) {
            return 0;
        }
        return failure_set(failure, -counters->fds[file],
                           "/proc/net/%s cannot be opened: %s; is /proc mounted?", name,
                           strerror(-counters->fds[file]));
    }
    const int error = learn_file(counters, file);
    if (error < 0) {
        return failure_set(failure, -error, "/proc/net/%s cannot be read: %s", name,
                           strerror(-error));
    }
    return 0;
}

int tcpstat_counters_open(struct tcpstat_counters **counters, struct failure *failure)
{
    struct tcpstat_counters *opened = calloc(1, sizeof(*opened));
    if (opened == NULL) {
        return failure_set(failure, ENOMEM, "no memory for the kernel's counters");
    }
    for (uint32_t file = 0; file < FILE_COUNT; file++) {
        opened->fds[file] = -ENOENT;
    }
    for (uint32_t file = 0; file < FILE_COUNT; file++) {
        const int error = open_file(opened, file, failure);
        if (error < 0) {
            tcpstat_counters_close(opened);
            return error;
        }
    }
    opened->first[FILE_COUNT] = opened->layout.count;
    counters_layout_finish(&opened->layout);
    opened->time_wait = counters_layout_find(&opened->layout, "sockstat.TCP.tw");
    *counters = opened;
    return 0;
}

void tcpstat_counters_close(struct tcpstat_counters *counters)
{
    if (counters == NULL) {
        return;
    }
    for (uint32_t file = 0; file < FILE_COUNT; file++) {
        source_close(counters->fds[file]);
    }
    free(counters);
}

/* Reads one file's values to their place. */
static int read_file(struct tcpstat_counters *counters, uint32_t file, uint64_t *values)
{
    if (counters->fds[file] < 0) {
        return 0;
    }
    const ssize_t bytes = source_read_all(counters->fds[file], counters->text, TEXT_MAX);
    if (bytes < 0) {
        return (int)bytes;
    }
    const uint32_t expected = counters->first[file + 1] - counters->first[file];
    const int count = counters_values_read(&counter_files[file], counters->text, (size_t)bytes,
                                           values + counters->first[file], expected);
    if (count < 0) {
        return count;
    }
    const bool was_cut = counters->layout.left_out > 0;
    return (uint32_t)count == expected || was_cut ? 0 : -ESTALE;
}

int tcpstat_counters_read(struct tcpstat_counters *counters,
                          struct tcpstat_counters_snapshot *snapshot)
{
    snapshot->taken_ns = clock_now_ns();
    snapshot->count = counters->layout.count;
    for (uint32_t file = 0; file < FILE_COUNT; file++) {
        const int error = read_file(counters, file, snapshot->values);
        if (error < 0) {
            return error;
        }
    }
    return 0;
}

int tcpstat_counters_read_time_wait(struct tcpstat_counters *counters, uint64_t *count)
{
    if (counters->time_wait < 0) {
        return counters->time_wait;
    }
    uint64_t values[TCPSTAT_COUNTERS_MAX];
    const int error = read_file(counters, FILE_SOCKSTAT, values);
    if (error < 0) {
        return error;
    }
    *count = values[counters->time_wait];
    return 0;
}

int tcpstat_read_time_wait_max(uint64_t *buckets)
{
    return source_read_number("/proc/sys/net/ipv4/tcp_max_tw_buckets", buckets);
}

int tcpstat_counters_find(const struct tcpstat_counters *counters, const char *name)
{
    return counters_layout_find(&counters->layout, name);
}

const char *tcpstat_counters_name(const struct tcpstat_counters *counters, uint32_t index)
{
    ASSERT(index < counters->layout.count);
    return counters->layout.names[index];
}

uint32_t tcpstat_counters_count(const struct tcpstat_counters *counters)
{
    return counters->layout.count;
}

uint32_t tcpstat_counters_left_out(const struct tcpstat_counters *counters)
{
    return counters->layout.left_out;
}

uint64_t tcpstat_counters_value(const struct tcpstat_counters_snapshot *snapshot, int index)
{
    return index < 0 || (uint32_t)index >= snapshot->count ? 0 : snapshot->values[index];
}

int64_t tcpstat_counters_delta(const struct tcpstat_counters_snapshot *before,
                               const struct tcpstat_counters_snapshot *after, int index)
{
    return (int64_t)(tcpstat_counters_value(after, index) - tcpstat_counters_value(before, index));
}
