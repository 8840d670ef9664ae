#include "stat/warnings.h"

#include <inttypes.h>

/* A listener whose queue is nearly full is worth a word before it drops anything. */
#define QUEUE_NEARLY_FULL 0.9
#define TIME_WAIT_NEARLY_FULL 0.9

static void warn_of_listener(struct sample *now, const struct tcpstat_listener *listener)
{
    char address[ENDPOINT_TEXT_MAX];
    endpoint_format(&listener->local, address);
    if (!listener->has_backlog) {
        return;
    }
    /* The kernel drops once the queue is longer than the backlog. */
    if (listener->queued > listener->backlog) {
        sample_add_note(now,
                        "%s: the accept queue is full (%u, backlog %u): its program accepts too "
                        "slowly, and what comes is dropped",
                        address, listener->queued, listener->backlog);
    } else if (listener->backlog > 0 &&
               (double)listener->queued >= QUEUE_NEARLY_FULL * (double)listener->backlog) {
        sample_add_note(now, "%s: the accept queue is nearly full (%u, backlog %u)", address,
                        listener->queued, listener->backlog);
    }
}

static void warn_of_time_wait(struct sample *now, const struct sample *before,
                              const struct sample_head *head)
{
    const double overflows = sample_rise_per_sec(now, before, WATCH_time_wait_overflows);
    const uint64_t live = now->values[WATCH_time_wait];
    const uint64_t max = head->time_wait_max;
    if (overflows > 0) {
        sample_add_note(now,
                        "tcp_max_tw_buckets (%" PRIu64 ") is reached: %.0f connections/s close "
                        "without a TIME_WAIT, so that old segments may reach new connections",
                        max, overflows);
    } else if (max > 0 && (double)live >= TIME_WAIT_NEARLY_FULL * (double)max) {
        sample_add_note(now,
                        "TIME_WAIT is at %.0f%% of tcp_max_tw_buckets (%" PRIu64
                        "); above it, connections close without",
                        100.0 * (double)live / (double)max, max);
    }
}

static void warn_of_syn_queue(struct sample *now, const struct sample *before)
{
    const double drops = sample_rise_per_sec(now, before, WATCH_syn_queue_drops);
    const double cookies = sample_rise_per_sec(now, before, WATCH_syn_queue_cookies);
    if (drops > 0) {
        sample_add_note(now, "a SYN queue is full and drops %.0f SYNs/s (syncookies are off)",
                        drops);
    } else if (cookies > 0) {
        sample_add_note(now, "a SYN queue is full: %.0f SYNs/s are answered by cookies", cookies);
    }
}

static void warn_of_memory(struct sample *now, const struct sample *before)
{
    const double aborted = sample_rise_per_sec(now, before, WATCH_abort_on_memory);
    if (aborted > 0) {
        sample_add_note(now,
                        "%.0f connections/s are dropped for want of TCP memory or orphans "
                        "(tcp_mem, tcp_max_orphans)",
                        aborted);
    }
}

void warnings_add(struct sample *now, const struct sample *before, const struct sample_head *head)
{
    warn_of_time_wait(now, before, head);
    for (uint32_t i = 0; i < now->listener_count; i++) {
        warn_of_listener(now, &now->listeners[i]);
    }
    warn_of_syn_queue(now, before);
    warn_of_memory(now, before);
}
