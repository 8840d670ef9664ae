/* CLOSE_WAIT that grows, told from one that comes and goes: it rose from walk to walk. A walk in
 * which it stood still neither ends a rise nor adds to it; one in which it fell ends it. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "tcpstat/owners.h"

static struct owners_growth_entry *find_entry(struct owners_growth *growth, uint32_t pid)
{
    for (uint32_t i = 0; i < growth->count; i++) {
        if (growth->entries[i].pid == pid) {
            return &growth->entries[i];
        }
    }
    return NULL;
}

static const struct owners_row *find_row(const struct owners_result *result, uint32_t pid)
{
    for (uint32_t i = 0; i < result->row_count; i++) {
        if (result->rows[i].is_known && result->rows[i].pid == pid) {
            return &result->rows[i];
        }
    }
    return NULL;
}

/* Drops the entries of owners that hold no CLOSE_WAIT any more. */
static void drop_gone(struct owners_growth *growth, const struct owners_result *result)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < growth->count; i++) {
        const struct owners_row *row = find_row(result, growth->entries[i].pid);
        if (row != NULL && row->counts.n[TCP_STATE_CLOSE_WAIT] > 0) {
            growth->entries[kept++] = growth->entries[i];
        }
    }
    growth->count = kept;
}

static void start_rise(struct owners_growth_entry *entry, uint32_t pid, uint64_t at_ns,
                       uint64_t count)
{
    *entry = (struct owners_growth_entry){
        .pid = pid, .first_ns = at_ns, .first_count = count, .last_count = count};
}

/* Finds the entry to give up for a larger count: the smallest one. */
static struct owners_growth_entry *make_entry(struct owners_growth *growth, uint64_t count)
{
    if (growth->count < OWNERS_GROWTH_MAX) {
        return &growth->entries[growth->count++];
    }
    struct owners_growth_entry *smallest = &growth->entries[0];
    for (uint32_t i = 1; i < growth->count; i++) {
        if (growth->entries[i].last_count < smallest->last_count) {
            smallest = &growth->entries[i];
        }
    }
    return smallest->last_count < count ? smallest : NULL;
}

static void update_entry(struct owners_growth *growth, const struct owners_row *row, uint64_t at_ns)
{
    const uint64_t count = row->counts.n[TCP_STATE_CLOSE_WAIT];
    struct owners_growth_entry *entry = find_entry(growth, row->pid);
    if (entry == NULL) {
        entry = make_entry(growth, count);
        if (entry != NULL) {
            start_rise(entry, row->pid, at_ns, count);
        }
        return;
    }
    if (count < entry->last_count) {
        start_rise(entry, row->pid, at_ns, count);
        return;
    }
    entry->rises += count > entry->last_count;
    entry->last_count = count;
}

static bool has_grown(const struct owners_growth_entry *entry, uint64_t now_ns)
{
    return entry->rises >= OWNERS_GROWTH_RISES_MIN &&
           now_ns - entry->first_ns >= OWNERS_GROWTH_SPAN_MIN_NS;
}

static const struct owners_growth_entry *find_worst(const struct owners_growth *growth,
                                                    uint64_t now_ns)
{
    const struct owners_growth_entry *worst = NULL;
    for (uint32_t i = 0; i < growth->count; i++) {
        const struct owners_growth_entry *entry = &growth->entries[i];
        if (has_grown(entry, now_ns) &&
            (worst == NULL ||
             entry->last_count - entry->first_count > worst->last_count - worst->first_count)) {
            worst = entry;
        }
    }
    return worst;
}

static void write_line(const struct owners_growth_entry *entry, const struct owners_result *result,
                       char text[OWNERS_GROWTH_TEXT_MAX])
{
    const struct owners_row *row = find_row(result, entry->pid);
    const double seconds = (double)(result->taken_ns - entry->first_ns) / (double)NS_PER_SEC;
    const double rate = (double)(entry->last_count - entry->first_count) / seconds;
    const uint64_t oldest_ns = row->oldest_ns[TCP_STATE_CLOSE_WAIT];
    char oldest[48] = "";
    if (oldest_ns > 0) {
        snprintf(oldest, sizeof(oldest), ", the oldest %.0f s old",
                 (double)oldest_ns / (double)NS_PER_SEC);
    }
    snprintf(text, OWNERS_GROWTH_TEXT_MAX,
             "CLOSE_WAIT grows: %s holds %" PRIu64 ", %.1f/s more for %.0f s%s: it does not close "
             "what its peers closed",
             row->name, entry->last_count, rate, seconds, oldest);
}

bool owners_growth_update(struct owners_growth *growth, const struct owners_result *result,
                          char text[OWNERS_GROWTH_TEXT_MAX])
{
    drop_gone(growth, result);
    for (uint32_t i = 0; i < result->row_count; i++) {
        const struct owners_row *row = &result->rows[i];
        if (row->is_known && row->counts.n[TCP_STATE_CLOSE_WAIT] > 0) {
            update_entry(growth, row, result->taken_ns);
        }
    }
    text[0] = '\0';
    const struct owners_growth_entry *worst = find_worst(growth, result->taken_ns);
    if (worst != NULL) {
        write_line(worst, result, text);
    }
    return worst != NULL;
}
