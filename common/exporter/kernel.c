#include "exporter/kernel.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define NAME_MAX_BYTES 128

void exporter_add_build(struct openmetrics *out)
{
    static const struct openmetrics_family family = {"finwait_build_info", OPENMETRICS_GAUGE, "",
                                                     "always 1; the version is its label"};
    static const struct openmetrics_label label = {"version", FINWAIT_VERSION};
    openmetrics_begin(out, &family);
    openmetrics_count(out, &family, (struct openmetrics_labels){&label, 1}, 1);
}

static double seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_SEC;
}

void exporter_add_census(struct openmetrics *out, const struct watch_census *census,
                         uint64_t censuses, uint64_t age_ns)
{
    static const struct openmetrics_family count = {"finwait_tcp_censuses", OPENMETRICS_COUNTER, "",
                                                    "full counts of all sockets that were taken"};
    static const struct openmetrics_family age = {"finwait_tcp_census_age_seconds",
                                                  OPENMETRICS_GAUGE, "seconds",
                                                  "time since the last census began"};
    static const struct openmetrics_family cost = {
        "finwait_tcp_census_cpu_seconds", OPENMETRICS_GAUGE, "seconds",
        "CPU time of the last census, the kernel's included"};
    openmetrics_begin(out, &count);
    openmetrics_count(out, &count, (struct openmetrics_labels){0}, censuses);
    if (censuses > 0) {
        openmetrics_states(out, &census->v4, &census->v6);
        openmetrics_one(out, &age, seconds(age_ns));
        openmetrics_one(out, &cost, seconds(census->stamp.cpu_ns));
    }
}

/* The kernel counts TCP's memory in pages; the convention wants bytes. */
static void add_memory(struct openmetrics *out, uint64_t pages)
{
    static const struct openmetrics_family family = {"finwait_tcp_memory_bytes", OPENMETRICS_GAUGE,
                                                     "bytes", "TCP buffers of the whole machine"};
    const long page_bytes = sysconf(_SC_PAGESIZE);
    openmetrics_one(out, &family, (double)pages * (double)(page_bytes > 0 ? page_bytes : 4096));
}

void exporter_add_kernel(struct openmetrics *out, const uint64_t values[WATCH_FIELD_COUNT])
{
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        if (i == WATCH_memory_pages) {
            add_memory(out, values[i]);
            continue;
        }
        const struct watch_field_info *info = &watch_field_infos[i];
        char name[NAME_MAX_BYTES];
        snprintf(name, sizeof(name), "finwait_tcp_%s", info->name);
        const struct openmetrics_family family = {
            name, info->kind == WATCH_KIND_TOTAL ? OPENMETRICS_COUNTER : OPENMETRICS_GAUGE, "",
            info->help};
        openmetrics_begin(out, &family);
        openmetrics_count(out, &family, (struct openmetrics_labels){0}, values[i]);
    }
}
