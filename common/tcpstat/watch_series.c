/* What can be asked of a tick or of a whole series, once it was handed out. */
#include <errno.h>
#include <stdlib.h>

#include "tcpstat/watch.h"

const struct watch_field_info watch_field_infos[WATCH_FIELD_COUNT] = {
#define WATCH_FIELD(name, kernel_name, kind, help) {#name, kernel_name, WATCH_KIND_##kind, help},
#include "tcpstat/watch_fields.def"
#undef WATCH_FIELD
};

void watch_series_free(struct watch_series *series)
{
    free(series->ticks);
    free(series->censuses);
    tcpstat_counters_close(series->counters);
    *series = (struct watch_series){0};
}

int64_t watch_series_delta(const struct watch_series *series, enum watch_field field)
{
    if (series->tick_count == 0) {
        return 0;
    }
    return (int64_t)(series->ticks[series->tick_count - 1].values[field] -
                     series->ticks[0].values[field]);
}

struct timewait_sample watch_tick_time_wait(const struct watch_tick *tick)
{
    return (struct timewait_sample){
        .at_ns = tick->at_ns,
        .made = tick->values[WATCH_time_wait_made] + tick->values[WATCH_time_wait_killed],
        .live = tick->values[WATCH_time_wait],
        .recycled = tick->values[WATCH_time_wait_recycled],
        .overflows = tick->values[WATCH_time_wait_overflows],
    };
}

int watch_series_time_wait(const struct watch_series *series, uint64_t until_ns,
                           const struct timewait_config *config, struct timewait_estimate *estimate)
{
    uint32_t count = 0;
    while (count < series->tick_count && series->ticks[count].at_ns <= until_ns) {
        count++;
    }
    if (count == 0) {
        return -ENODATA;
    }
    struct timewait_sample *samples = calloc(count, sizeof(*samples));
    if (samples == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        samples[i] = watch_tick_time_wait(&series->ticks[i]);
    }
    timewait_estimate(samples, count, config, estimate);
    free(samples);
    return 0;
}
