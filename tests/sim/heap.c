/* Events on virtual time: see heap.h. Four children a node: fewer cache lines than two.
 *
 * Layer: tests. */
#include "sim/heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/assert.h"

#define ARITY 4u

static bool is_before(const struct heap_event *a, const struct heap_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->order < b->order);
}

void heap_clear(struct heap *heap)
{
    heap->count = 0;
    heap->pushed = 0;
}

void heap_destroy(struct heap *heap)
{
    free(heap->events);
    *heap = (struct heap){0};
}

void heap_push(struct heap *heap, struct heap_event event)
{
    if (heap->count == heap->capacity) {
        uint32_t capacity = heap->capacity ? heap->capacity * 2 : 1024;
        struct heap_event *events = realloc(heap->events, capacity * sizeof(*events));
        ASSERT(events != NULL);
        heap->events = events;
        heap->capacity = capacity;
    }
    event.order = heap->pushed++;
    uint32_t hole = heap->count++;
    while (hole > 0) {
        uint32_t parent = (hole - 1) / ARITY;
        if (!is_before(&event, &heap->events[parent])) {
            break;
        }
        heap->events[hole] = heap->events[parent];
        hole = parent;
    }
    heap->events[hole] = event;
}

struct heap_event heap_pop(struct heap *heap)
{
    ASSERT(heap->count > 0);
    struct heap_event first = heap->events[0];
    struct heap_event last = heap->events[--heap->count];
    uint32_t hole = 0;
    while (hole * ARITY + 1 < heap->count) {
        uint32_t best = hole * ARITY + 1;
        uint32_t end = best + ARITY < heap->count ? best + ARITY : heap->count;
        for (uint32_t child = best + 1; child < end; child++) {
            if (is_before(&heap->events[child], &heap->events[best])) {
                best = child;
            }
        }
        if (!is_before(&heap->events[best], &last)) {
            break;
        }
        heap->events[hole] = heap->events[best];
        hole = best;
    }
    heap->events[hole] = last;
    return first;
}
