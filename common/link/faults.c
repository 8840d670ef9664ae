/* Faults: loss, duplication, corruption, reordering and delay, by a seed; see link.h.
 *
 * Layer: link. Every frame is copied, so that it can wait; it stands over any link and is for tests
 * and experiments, not for speed. Each direction has its own random numbers, so that how the two
 * take turns changes nothing, and a queue ordered by when frames are due:
 *
 *     link_send -> decide -> send queue -> link_flush -> inner link
 *     inner link -> link_receive -> decide -> receive queue -> link_receive's frames */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/rng.h"
#include "link/link_ops.h"

#define QUEUE_MAX_DEFAULT 65536u
#define REORDER_DEFAULT_NS NS_PER_MS

/* A frame that waits. */
struct held {
    uint64_t due_ns;
    uint64_t order; /* of arrival: equal dues keep it */
    uint32_t bytes;
    uint32_t flags;
    uint8_t data[];
};

/* One direction: a binary heap with the next due frame at its root. */
struct line {
    struct rng rng;
    struct link_faults config; /* zeroed where the direction has no faults */
    struct held **heap;
    uint32_t count;
    uint64_t arrivals;
    uint64_t due_last_ns; /* what jitter must not come before */
};

struct faults {
    struct link link;
    uint32_t queue_max;
    struct line receiving;
    struct line sending;
    struct held *lent[LINK_BATCH_MAX];
    size_t lent_count;
    uint8_t *staging; /* LINK_BATCH_MAX frames that are being written */
    uint32_t frame_max;
    uint64_t held_bytes;
    bool is_refused; /* the last flush of the link below was: what is due waits for its next */
};

static struct faults *faults_of(struct link *link)
{
    return (struct faults *)link;
}

static bool is_before(const struct held *a, const struct held *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void line_push(struct line *line, struct held *held)
{
    uint32_t at = line->count++;
    while (at > 0 && is_before(held, line->heap[(at - 1) / 2])) {
        line->heap[at] = line->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    line->heap[at] = held;
}

static struct held *line_pop(struct line *line)
{
    struct held *first = line->heap[0];
    const struct held *last = line->heap[--line->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < line->count && is_before(line->heap[child + 1], line->heap[child])) {
            child++;
        }
        if (child >= line->count || is_before(last, line->heap[child])) {
            break;
        }
        line->heap[at] = line->heap[child];
        at = child;
    }
    line->heap[at] = line->heap[line->count];
    return first;
}

static uint64_t line_due_ns(const struct line *line)
{
    return line->count == 0 ? CLOCK_NEVER : line->heap[0]->due_ns;
}

static bool happens(struct rng *rng, double probability)
{
    const double drawn = (double)(rng_next(rng) >> 11) * 0x1p-53; /* 0 to 1, without 1 */
    return drawn < probability;
}

/* Frees a frame that waited. */
static void drop_held(struct faults *faults, struct held *held)
{
    faults->held_bytes -= sizeof(*held) + held->bytes;
    free(held);
}

static void corrupt(struct faults *faults, struct line *line, struct held *held)
{
    const uint32_t bits = (held->bytes - LINK_ETHER_BYTES) * 8;
    if (bits > 0 && happens(&line->rng, line->config.corruption)) {
        const uint64_t bit = LINK_ETHER_BYTES * 8 + rng_below(&line->rng, bits);
        held->data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        held->flags &= ~(uint32_t)LINK_CHECKSUM_DONE; /* what was vouched for is gone */
        faults->link.counters[LINK_COUNTER_faults_corrupted]++;
    }
}

/* Says when a frame leaves. Jitter keeps the order, since no frame is due before the one in front;
 * a reordered one counts for nobody behind it. */
static uint64_t schedule(struct faults *faults, struct line *line, uint64_t now_ns)
{
    const struct link_faults *config = &line->config;
    uint64_t due_ns = now_ns + config->delay_ns;
    if (config->jitter_ns > 0) {
        due_ns += rng_below(&line->rng, config->jitter_ns + 1);
    }
    due_ns = due_ns > line->due_last_ns ? due_ns : line->due_last_ns;
    line->due_last_ns = due_ns;
    if (happens(&line->rng, config->reordering)) {
        faults->link.counters[LINK_COUNTER_faults_reordered]++;
        due_ns += config->reorder_ns;
    }
    return due_ns;
}

/* Holds a frame until it is due, and `late_ns` longer, which holds up nobody behind it. */
static void hold(struct faults *faults, struct line *line, const struct link_frame *frame,
                 uint64_t now_ns, uint64_t late_ns)
{
    struct held *held =
        line->count == faults->queue_max ? NULL : malloc(sizeof(*held) + frame->bytes);
    if (held == NULL) {
        faults->link.counters[LINK_COUNTER_faults_queue_full]++;
        return;
    }
    held->bytes = frame->bytes;
    held->flags = frame->flags;
    held->order = line->arrivals++;
    memcpy(held->data, frame->data, frame->bytes);
    faults->held_bytes += sizeof(*held) + held->bytes;
    corrupt(faults, line, held);
    held->due_ns = schedule(faults, line, now_ns) + late_ns;
    line_push(line, held);
}

/* Lets fate have a frame: it is lost, or waits once or twice. */
static void decide(struct faults *faults, struct line *line, const struct link_frame *frame,
                   uint64_t now_ns)
{
    if (happens(&line->rng, line->config.loss)) {
        faults->link.counters[LINK_COUNTER_faults_lost]++;
        return;
    }
    hold(faults, line, frame, now_ns, 0);
    if (happens(&line->rng, line->config.duplication)) {
        faults->link.counters[LINK_COUNTER_faults_duplicated]++;
        hold(faults, line, frame, now_ns, line->config.duplicate_ns);
    }
}

static size_t faults_receive(struct link *link, uint64_t now_ns, struct link_frame *frames,
                             size_t max)
{
    struct faults *faults = faults_of(link);
    struct link_frame received[LINK_BATCH_MAX];
    const size_t count = link_receive(link->inner, now_ns, received, LINK_BATCH_MAX);
    for (size_t i = 0; i < count; i++) {
        decide(faults, &faults->receiving, &received[i], now_ns);
    }
    link_release(link->inner);
    while (faults->lent_count < max && line_due_ns(&faults->receiving) <= now_ns) {
        struct held *held = line_pop(&faults->receiving);
        frames[faults->lent_count] =
            (struct link_frame){.data = held->data, .bytes = held->bytes, .flags = held->flags};
        faults->lent[faults->lent_count++] = held;
    }
    return faults->lent_count;
}

static void faults_release(struct link *link)
{
    struct faults *faults = faults_of(link);
    while (faults->lent_count > 0) {
        drop_held(faults, faults->lent[--faults->lent_count]);
    }
}

static size_t faults_reserve(struct link *link, struct link_slot *slots, size_t max)
{
    const struct faults *faults = faults_of(link);
    for (size_t i = 0; i < max; i++) {
        slots[i] = (struct link_slot){.data = faults->staging + i * faults->frame_max,
                                      .capacity = faults->frame_max};
    }
    return max;
}

static void faults_send(struct link *link, uint64_t now_ns, const struct link_slot *slots,
                        size_t count)
{
    struct faults *faults = faults_of(link);
    for (size_t i = 0; i < count; i++) {
        const struct link_frame frame = {.data = slots[i].data, .bytes = slots[i].bytes};
        decide(faults, &faults->sending, &frame, now_ns);
    }
}

/* Hands what is due to the link below, as far as that has room. Returns whether there was any. */
static bool send_due(struct faults *faults, uint64_t now_ns)
{
    struct line *line = &faults->sending;
    struct link *inner = faults->link.inner;
    struct link_slot slots[LINK_BATCH_MAX];
    if (line_due_ns(line) > now_ns) {
        return false;
    }
    const size_t wanted = line->count < LINK_BATCH_MAX ? line->count : LINK_BATCH_MAX;
    const size_t room = link_reserve(inner, slots, wanted);
    size_t filled = 0;
    while (filled < room && line_due_ns(line) <= now_ns) {
        struct held *held = line_pop(line);
        memcpy(slots[filled].data, held->data, held->bytes);
        slots[filled++].bytes = held->bytes;
        drop_held(faults, held);
    }
    link_send(inner, now_ns, slots, filled);
    return filled > 0;
}

static int faults_flush(struct link *link, uint64_t now_ns)
{
    struct faults *faults = faults_of(link);
    int error;
    bool sent;
    do {
        sent = send_due(faults, now_ns);
        error = link_flush(link->inner, now_ns);
    } while (sent && error == 0);
    faults->is_refused = error != 0;
    return error;
}

static size_t faults_fds(const struct link *link, int *fds)
{
    return link_fds(link->inner, fds);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t faults_deadline_ns(const struct link *link)
{
    const struct faults *faults = (const struct faults *)link;
    uint64_t due_ns = line_due_ns(&faults->receiving);
    if (!faults->is_refused) {
        due_ns = earlier(due_ns, line_due_ns(&faults->sending));
    }
    return earlier(due_ns, link_deadline_ns(link->inner));
}

static uint64_t faults_memory_bytes(const struct link *link)
{
    const struct faults *faults = (const struct faults *)link;
    return sizeof(*faults) + faults->held_bytes +
           2 * (uint64_t)faults->queue_max * sizeof(struct held *) +
           (uint64_t)LINK_BATCH_MAX * faults->frame_max;
}

static void free_faults(struct faults *faults)
{
    free(faults->receiving.heap);
    free(faults->sending.heap);
    free(faults->staging);
    free(faults);
}

static void line_clear(struct line *line)
{
    while (line->count > 0) {
        free(line->heap[--line->count]);
    }
}

static void faults_destroy(struct link *link)
{
    struct faults *faults = faults_of(link);
    faults_release(link);
    line_clear(&faults->receiving);
    line_clear(&faults->sending);
    free_faults(faults);
}

static const struct link_ops faults_ops = {
    .receive = faults_receive,
    .release = faults_release,
    .reserve = faults_reserve,
    .send = faults_send,
    .flush = faults_flush,
    .fds = faults_fds,
    .deadline_ns = faults_deadline_ns,
    .memory_bytes = faults_memory_bytes,
    .destroy = faults_destroy,
};

static bool is_probability(double value)
{
    return value >= 0 && value <= 1; /* and is a number */
}

static bool is_valid(const struct link_faults *config)
{
    return is_probability(config->loss) && is_probability(config->duplication) &&
           is_probability(config->corruption) && is_probability(config->reordering) &&
           config->direction <= LINK_FAULTS_RECEIVED;
}

/* Gives each direction the faults that it is to have. */
static void apply(struct faults *faults, const struct link_faults *config)
{
    static const struct link_faults none = {.seed = 0};
    struct link_faults whole = *config;
    whole.reorder_ns = config->reorder_ns == 0 ? REORDER_DEFAULT_NS : config->reorder_ns;
    faults->receiving.config = config->direction == LINK_FAULTS_SENT ? none : whole;
    faults->sending.config = config->direction == LINK_FAULTS_RECEIVED ? none : whole;
}

int link_faults_open(struct link **opened, struct link *inner, const struct link_faults *config)
{
    if (!is_valid(config)) {
        return -EINVAL;
    }
    struct faults *faults = calloc(1, sizeof(*faults));
    if (faults == NULL) {
        return -ENOMEM;
    }
    faults->queue_max = config->queue_max == 0 ? QUEUE_MAX_DEFAULT : config->queue_max;
    faults->frame_max = LINK_ETHER_BYTES + inner->facts.mtu_bytes;
    faults->staging = malloc((size_t)LINK_BATCH_MAX * faults->frame_max);
    faults->receiving.heap = malloc(faults->queue_max * sizeof(struct held *));
    faults->sending.heap = malloc(faults->queue_max * sizeof(struct held *));
    if (faults->staging == NULL || faults->receiving.heap == NULL || faults->sending.heap == NULL) {
        free_faults(faults);
        return -ENOMEM;
    }
    apply(faults, config);
    rng_seed(&faults->receiving.rng, config->seed);
    rng_seed(&faults->sending.rng, rng_mix(config->seed + 1));
    faults->link.ops = &faults_ops;
    faults->link.facts = inner->facts;
    faults->link.inner = inner;
    *opened = &faults->link;
    return 0;
}

int link_faults_set(struct link *link, const struct link_faults *config)
{
    ASSERT(link->ops == &faults_ops);
    if (!is_valid(config)) {
        return -EINVAL;
    }
    apply(faults_of(link), config);
    return 0;
}
