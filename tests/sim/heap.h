/* Events on virtual time: a heap of plain structs, in order of time, then of arrival.
 *
 * Layer: tests. Owner: the run; one array that doubles and is kept between runs, so that an event
 * costs no allocation. */
#ifndef FINWAIT_TESTS_SIM_HEAP_H
#define FINWAIT_TESTS_SIM_HEAP_H

#include <stdint.h>

struct heap_event {
    uint64_t at_ns;
    uint64_t order; /* set by heap_push: equal times keep their order */
    uint32_t kind;  /* the owner's */
    uint32_t index;
    uint64_t word;
};

struct heap {
    struct heap_event *events;
    uint32_t count;
    uint32_t capacity;
    uint64_t pushed;
};

/* Empties a heap and keeps its memory. A zeroed heap is empty. */
void heap_clear(struct heap *heap);

/* Gives the memory back. */
void heap_destroy(struct heap *heap);

/* Adds an event. Ends the program when memory is out: a simulation cannot go on without. */
void heap_push(struct heap *heap, struct heap_event event);

/* Takes the earliest event. Requires count > 0. */
struct heap_event heap_pop(struct heap *heap);

#endif
