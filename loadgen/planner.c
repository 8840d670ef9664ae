#include "loadgen/planner.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"

/* 64 KiB a chunk, the link included. */
#define CHUNK_RECORDS 4095u

struct planner_record {
    uint64_t tuple;
    uint64_t released_ns;
};

struct planner_chunk {
    struct planner_chunk *next;
    struct planner_record records[CHUNK_RECORDS];
};

static uint32_t port_count(const struct planner *planner)
{
    return (uint32_t)planner->config.ports.last - planner->config.ports.first + 1u;
}

/* Counts a share's ports with `by_port`; some shares have one fewer, whose last one is left out. */
static uint32_t ports_per_share(const struct planner *planner)
{
    return (port_count(planner) + planner->config.shares - 1) / planner->config.shares;
}

/* Counts the sources of the family that has most of them among the targets' families. */
static uint64_t addresses_max(const struct planner_config *config)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < config->target_count; i++) {
        uint64_t count = sources_of_family(config->sources, config->targets[i].ip.family);
        most = count > most ? count : most;
    }
    return most;
}

void planner_init(struct planner *planner, const struct planner_config *config)
{
    ASSERT(config->target_count > 0);
    ASSERT(config->ports.first > 0 && config->ports.first <= config->ports.last);
    ASSERT(config->share < config->shares);
    *planner =
        (struct planner){.config = *config, .next_tuple = config->share, .spelt_tuple = UINT64_MAX};
    uint64_t ports =
        config->by_port ? (uint64_t)ports_per_share(planner) * config->shares : port_count(planner);
    planner->space = addresses_max(config) * ports * config->target_count;
}

static void chunks_free(struct planner_chunk *chunk)
{
    while (chunk != NULL) {
        struct planner_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void planner_destroy(struct planner *planner)
{
    chunks_free(planner->oldest);
    chunks_free(planner->spare);
    planner->oldest = planner->newest = planner->spare = NULL;
}

/* Finds the number of the tuple that has a place in the shares' common order: place p is share p
 * mod n's. Rows go to shares whole, as far as they go round. */
static uint64_t number_at(const struct planner *planner, uint64_t place)
{
    uint64_t ports = port_count(planner);
    uint64_t shares = planner->config.shares;
    uint64_t rows = planner->space / ports;
    if (shares == 1 || place >= (rows - rows % shares) * ports) {
        return place;
    }
    uint64_t step = place / shares;
    return (step / ports * shares + place % shares) * ports + step % ports;
}

/* Where a tuple lies: in which row, and at which port, counted from the first. */
struct spot {
    uint64_t row;
    uint64_t port;
};

/* With `by_port` a share's step k along its places is its port k mod Q of row k / Q. */
static struct spot spot_by_port(const struct planner *planner, uint64_t place)
{
    uint64_t shares = planner->config.shares;
    uint64_t share = place % shares;
    uint64_t step = place / shares;
    uint64_t first = (share + shares - planner->config.ports.first % shares) % shares;
    return (struct spot){.row = step / ports_per_share(planner),
                         .port = first + step % ports_per_share(planner) * shares};
}

/* Number n is port n mod P in row n / P. */
static struct spot spot_of(const struct planner *planner, uint64_t place)
{
    if (planner->config.by_port) {
        return spot_by_port(planner, place);
    }
    uint64_t number = number_at(planner, place);
    return (struct spot){.row = number / port_count(planner), .port = number % port_count(planner)};
}

/* Source s, counted within the target's family, has the T rows from s * T on, and within them each
 * port meets each target once: (turn + row) mod T walks through all of them, whatever a port's turn
 * is. It is one that grows by 1 both from port to port and where a share's ports are `shares`
 * apart, so that each share meets all targets evenly from the start. Returns false for a place
 * whose family has no source s, or that has no port. */
static bool spell(const struct planner *planner, uint64_t place, struct flow *flow)
{
    const struct planner_config *config = &planner->config;
    struct spot spot = spot_of(planner, place);
    uint64_t port = spot.port;
    uint64_t row = spot.row;
    uint64_t source = row / config->target_count;
    uint64_t turn = port / config->shares + port % config->shares;
    if (port >= port_count(planner)) {
        return false;
    }
    flow->target = config->targets[(turn + row) % config->target_count];
    uint8_t family = flow->target.ip.family;
    if (source >= sources_of_family(config->sources, family)) {
        return false;
    }
    flow->source = (struct endpoint){.ip = sources_at(config->sources, family, source),
                                     .port = (uint16_t)(config->ports.first + port)};
    return true;
}

struct flow planner_flow(const struct planner *planner, uint64_t tuple)
{
    struct flow flow;
    if (tuple == planner->spelt_tuple) {
        return planner->spelt;
    }
    bool exists = spell(planner, tuple, &flow);
    ASSERT(exists);
    return flow;
}

/* Spells out `spelt_tuple`; false where it is left out of the space. */
static bool spell_unused(struct planner *planner)
{
    const struct planner_config *config = &planner->config;
    if (!spell(planner, planner->spelt_tuple, &planner->spelt)) {
        return false;
    }
    for (uint32_t i = 0; i < config->target_count; i++) {
        if (endpoint_equal(&planner->spelt.source, &config->targets[i])) {
            return false;
        }
    }
    return true;
}

/* Moves to the next tuple of our share that was never used; false when there is none. */
static bool find_unused(struct planner *planner)
{
    while (planner->next_tuple < planner->space && planner->next_tuple != planner->spelt_tuple) {
        planner->spelt_tuple = planner->next_tuple;
        if (!spell_unused(planner)) {
            planner->next_tuple += planner->config.shares;
        }
    }
    return planner->next_tuple < planner->space;
}

static const struct planner_record *oldest_record(const struct planner *planner)
{
    return planner->waiting_count == 0 ? NULL : &planner->oldest->records[planner->oldest_at];
}

static uint64_t record_free_ns(const struct planner *planner, const struct planner_record *record)
{
    uint64_t free_ns = record->released_ns + planner->config.reuse_after_ns;
    return free_ns < record->released_ns ? CLOCK_NEVER : free_ns;
}

/* Drops the oldest record; a chunk that it empties becomes a spare one. */
static void drop_oldest(struct planner *planner)
{
    struct planner_chunk *chunk = planner->oldest;
    planner->waiting_count--;
    planner->oldest_at++;
    if (planner->oldest_at == CHUNK_RECORDS && chunk != planner->newest) {
        planner->oldest = chunk->next;
        planner->oldest_at = 0;
        chunk->next = planner->spare;
        planner->spare = chunk;
    } else if (planner->waiting_count == 0) {
        planner->oldest_at = 0;
        planner->newest_at = 0;
    }
}

bool planner_peek(struct planner *planner, uint64_t *tuple)
{
    const struct planner_record *record = oldest_record(planner);
    if (find_unused(planner)) {
        *tuple = planner->next_tuple;
        return true;
    }
    *tuple = record == NULL ? 0 : record->tuple;
    return record != NULL;
}

bool planner_take(struct planner *planner, uint64_t now_ns, uint64_t *tuple)
{
    if (find_unused(planner)) {
        *tuple = planner->next_tuple;
        planner->next_tuple += planner->config.shares;
        planner->used_count++;
        return true;
    }
    const struct planner_record *record = oldest_record(planner);
    if (record == NULL || record_free_ns(planner, record) > now_ns) {
        return false;
    }
    *tuple = record->tuple;
    planner->reuse_count++;
    drop_oldest(planner);
    return true;
}

/* Makes sure that `newest` has room. */
static bool chunk_ready(struct planner *planner)
{
    if (planner->newest != NULL && planner->newest_at < CHUNK_RECORDS) {
        return true;
    }
    struct planner_chunk *chunk = planner->spare;
    if (chunk != NULL) {
        planner->spare = chunk->next;
    } else {
        chunk = malloc(sizeof(*chunk));
        if (chunk == NULL) {
            return false;
        }
    }
    chunk->next = NULL;
    if (planner->newest != NULL) {
        planner->newest->next = chunk;
    } else {
        planner->oldest = chunk;
        planner->oldest_at = 0;
    }
    planner->newest = chunk;
    planner->newest_at = 0;
    return true;
}

void planner_release(struct planner *planner, uint64_t tuple, uint64_t now_ns)
{
    ASSERT(tuple < planner->space);
    if (!chunk_ready(planner)) {
        planner->lost_count++;
        return;
    }
    if (now_ns > planner->last_released_ns) {
        planner->last_released_ns = now_ns;
    }
    planner->newest->records[planner->newest_at++] =
        (struct planner_record){.tuple = tuple, .released_ns = planner->last_released_ns};
    planner->waiting_count++;
}

uint64_t planner_next_ns(struct planner *planner)
{
    if (find_unused(planner)) {
        return 0;
    }
    const struct planner_record *record = oldest_record(planner);
    return record == NULL ? CLOCK_NEVER : record_free_ns(planner, record);
}
