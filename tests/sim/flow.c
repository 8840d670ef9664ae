/* Flows: see flow.h. Open addressing, never more than half full, nothing is removed.
 *
 * Layer: tests. */
#include "sim/flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/rng.h"

static uint64_t end_key(uint32_t address, uint16_t port)
{
    return ((uint64_t)address << 16) | port;
}

void flow_table_reset(struct flow_table *table, uint32_t flows_max)
{
    uint32_t slot_count = 64;
    while (slot_count < flows_max * 4) {
        slot_count *= 2;
    }
    if (slot_count > table->slot_count) {
        free(table->slots);
        table->slots = malloc(slot_count * sizeof(*table->slots));
        ASSERT(table->slots != NULL);
        table->slot_count = slot_count;
    }
    if (flows_max > table->capacity) {
        free(table->flows);
        table->flows = malloc(flows_max * sizeof(*table->flows));
        ASSERT(table->flows != NULL);
        table->capacity = flows_max;
    }
    table->count = 0;
    memset(table->slots, 0xff, table->slot_count * sizeof(*table->slots));
}

void flow_table_destroy(struct flow_table *table)
{
    free(table->slots);
    free(table->flows);
    *table = (struct flow_table){0};
}

/* Finds the slot of a key, or the free one where it would go. */
static struct flow_slot *slot_of(const struct flow_table *table, uint64_t source, uint64_t target)
{
    uint32_t mask = table->slot_count - 1;
    uint32_t at = (uint32_t)rng_mix(source * UINT64_C(0x9e3779b97f4a7c15) + target) & mask;
    while (table->slots[at].flow != FLOW_NONE &&
           (table->slots[at].key[0] != source || table->slots[at].key[1] != target)) {
        at = (at + 1) & mask;
    }
    return &table->slots[at];
}

struct flow_ref flow_find(const struct flow_table *table, const struct flow_tuple *tuple)
{
    const struct flow_slot *slot = slot_of(table, end_key(tuple->source, tuple->source_port),
                                           end_key(tuple->target, tuple->target_port));
    return (struct flow_ref){slot->flow, slot->side};
}

struct flow_ref flow_add(struct flow_table *table, const struct flow_tuple *tuple)
{
    struct flow_ref found = flow_find(table, tuple);
    if (found.flow != FLOW_NONE) {
        return found;
    }
    ASSERT(table->count < table->capacity);
    uint32_t index = table->count++;
    struct flow *flow = &table->flows[index];
    memset(flow, 0, sizeof(*flow));
    flow->address[0] = tuple->source;
    flow->address[1] = tuple->target;
    flow->port[0] = tuple->source_port;
    flow->port[1] = tuple->target_port;
    flow->conn = FLOW_NONE;
    uint64_t key[2] = {end_key(tuple->source, tuple->source_port),
                       end_key(tuple->target, tuple->target_port)};
    for (uint32_t side = 0; side < 2; side++) {
        struct flow_slot *slot = slot_of(table, key[side], key[1 - side]);
        *slot = (struct flow_slot){{key[side], key[1 - side]}, index, side};
    }
    return (struct flow_ref){index, 0};
}
