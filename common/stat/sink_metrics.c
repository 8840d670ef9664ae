/* --metrics: keeps the newest sample for whoever scrapes it. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "exporter/exporter.h"
#include "stat/metrics.h"
#include "stat/sink.h"

struct metrics_sink {
    struct sink sink; /* first: a pointer to it is a pointer to this */
    const struct sample_head *head;
    struct exporter *exporter; /* the session's */
    bool was_started;
    pthread_mutex_t lock; /* guards `newest`, which the exporter's thread reads */
    struct sample newest;
};

static void fill(void *context, struct openmetrics *out)
{
    struct metrics_sink *metrics = context;
    pthread_mutex_lock(&metrics->lock);
    metrics_fill(out, metrics->head, &metrics->newest);
    pthread_mutex_unlock(&metrics->lock);
}

/* The first sample is there before anyone can ask. */
static int metrics_take(struct sink *base, const struct sample *now, const struct sample *before,
                        struct failure *failure)
{
    struct metrics_sink *metrics = (struct metrics_sink *)base;
    (void)before;
    pthread_mutex_lock(&metrics->lock);
    sample_copy(&metrics->newest, now);
    pthread_mutex_unlock(&metrics->lock);
    if (metrics->was_started) {
        return 0;
    }
    metrics->was_started = true;
    return exporter_start(metrics->exporter, fill, metrics, failure);
}

static void metrics_close(struct sink *base)
{
    struct metrics_sink *metrics = (struct metrics_sink *)base;
    exporter_close(metrics->exporter);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static const struct sink_ops metrics_ops = {.take = metrics_take, .close = metrics_close};

int sink_open_metrics(struct sink **sink, const struct sample_head *head, struct exporter *exporter,
                      struct failure *failure)
{
    struct metrics_sink *made = calloc(1, sizeof(*made));
    if (made == NULL) {
        return failure_set(failure, ENOMEM, "no memory for --metrics");
    }
    made->sink.ops = &metrics_ops;
    made->head = head;
    made->exporter = exporter;
    pthread_mutex_init(&made->lock, NULL);
    *sink = &made->sink;
    return 0;
}
