#include "transport/stack_board.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct place {
    pthread_mutex_t lock;
    uint64_t written_ns; /* 0: never */
    struct stack_totals own;
    uint64_t next_ns; /* the worker's own: when to write again */
};

struct stack_board {
    uint32_t workers;
    struct place places[];
};

int stack_board_make(struct stack_board **board, uint32_t workers)
{
    ASSERT(workers > 0);
    *board = calloc(1, sizeof(**board) + workers * sizeof((*board)->places[0]));
    if (*board == NULL) {
        return -ENOMEM;
    }
    (*board)->workers = workers;
    for (uint32_t i = 0; i < workers; i++) {
        pthread_mutex_init(&(*board)->places[i].lock, NULL);
    }
    return 0;
}

void stack_board_free(struct stack_board *board)
{
    if (board == NULL) {
        return;
    }
    for (uint32_t i = 0; i < board->workers; i++) {
        pthread_mutex_destroy(&board->places[i].lock);
    }
    free(board);
}

/* Copies the counters, names too, since those of a transport's views go with it. */
static void copy_views(struct stack_totals *to, struct transport *transport)
{
    struct transport_view views[TRANSPORT_VIEWS_MAX];
    uint32_t used = 0;
    to->view_count = (uint32_t)transport_views(transport, views, TRANSPORT_VIEWS_MAX);
    for (uint32_t i = 0; i < to->view_count; i++) {
        const struct counter_view *from = &views[i].counters;
        ASSERT(used + from->count <= STACK_BOARD_VALUES_MAX);
        memcpy(&to->infos[used], from->infos, from->count * sizeof(to->infos[0]));
        memcpy(&to->values[used], from->values, from->count * sizeof(to->values[0]));
        to->views[i] = (struct transport_view){views[i].module,
                                               {&to->infos[used], &to->values[used], from->count}};
        used += (uint32_t)from->count;
    }
}

void stack_board_publish(struct stack_board *board, uint32_t worker, struct transport *transport,
                         uint64_t now_ns)
{
    ASSERT(worker < board->workers);
    struct place *place = &board->places[worker];
    pthread_mutex_lock(&place->lock);
    int rc = transport_census(transport, &place->own.counts, &place->own.transitions);
    ASSERT(rc == 0);
    place->own.lingering = transport_lingering(transport);
    copy_views(&place->own, transport);
    place->written_ns = now_ns;
    pthread_mutex_unlock(&place->lock);
    place->next_ns = now_ns + STACK_BOARD_INTERVAL_NS;
}

uint64_t stack_board_turn(struct stack_board *board, uint32_t worker, struct transport *transport,
                          uint64_t now_ns)
{
    const struct place *place = &board->places[worker];
    if (now_ns >= place->next_ns) {
        stack_board_publish(board, worker, transport, now_ns);
    }
    return place->next_ns;
}

static void add_transitions(struct tcp_transitions *into, const struct tcp_transitions *from)
{
    for (int i = 0; i < TCP_STATE_COUNT; i++) {
        for (int k = 0; k < TCP_STATE_COUNT; k++) {
            into->n[i][k] += from->n[i][k];
        }
    }
}

/* Takes over the first worker's views, with room for the sums. All workers have the same. */
static void begin_views(struct stack_totals *totals, const struct stack_totals *from)
{
    size_t used = 0;
    totals->view_count = from->view_count;
    for (uint32_t i = 0; i < from->view_count; i++) {
        size_t count = from->views[i].counters.count;
        memcpy(&totals->infos[used], from->views[i].counters.infos,
               count * sizeof(totals->infos[0]));
        totals->views[i] = (struct transport_view){
            from->views[i].module, {&totals->infos[used], &totals->values[used], count}};
        used += count;
    }
}

static void add_place(struct stack_totals *totals, const struct place *place)
{
    const struct stack_totals *own = &place->own;
    if (totals->workers == 0) {
        begin_views(totals, own);
    }
    totals->workers++;
    if (place->written_ns < totals->oldest_ns) {
        totals->oldest_ns = place->written_ns;
    }
    tcp_state_counts_add(&totals->counts, &own->counts);
    add_transitions(&totals->transitions, &own->transitions);
    totals->lingering.closing += own->lingering.closing;
    totals->lingering.time_wait += own->lingering.time_wait;
    for (uint32_t i = 0; i < STACK_BOARD_VALUES_MAX; i++) {
        totals->values[i] += own->values[i];
    }
}

void stack_board_read(struct stack_board *board, struct stack_totals *totals)
{
    memset(totals, 0, sizeof(*totals));
    totals->oldest_ns = CLOCK_NEVER;
    for (uint32_t i = 0; i < board->workers; i++) {
        struct place *place = &board->places[i];
        pthread_mutex_lock(&place->lock);
        if (place->written_ns != 0) {
            add_place(totals, place);
        }
        pthread_mutex_unlock(&place->lock);
    }
}

uint64_t stack_totals_counter(const struct stack_totals *totals, const char *module,
                              const char *name)
{
    for (uint32_t i = 0; i < totals->view_count; i++) {
        const struct counter_view *view = &totals->views[i].counters;
        for (size_t k = 0; k < view->count && strcmp(totals->views[i].module, module) == 0; k++) {
            if (strcmp(view->infos[k].name, name) == 0) {
                return view->values[k];
            }
        }
    }
    return 0;
}

struct board_census {
    struct census base;
    struct stack_board *board;
    struct stack_totals totals; /* large, and needed for the time of a run */
};

static int board_run(struct census *census, const struct census_request *request,
                     struct census_result *result)
{
    struct board_census *own = (struct board_census *)census; /* its first member */
    if (request->local_ports != NULL || request->remote_ports != NULL ||
        request->either_ports != NULL || request->grouping != CENSUS_WHOLE) {
        return -ENOTSUP;
    }
    int rc = census_result_reset(result, request);
    if (rc == 0) {
        stack_board_read(own->board, &own->totals);
        result->v4 = own->totals.counts;
        result->total = own->totals.counts;
        result->stamp.rows = tcp_state_total(&own->totals.counts);
        result->stamp.passes = 1;
    }
    return rc;
}

static void board_close(struct census *census)
{
    free(census);
}

int stack_board_census(struct census **census, struct stack_board *board, struct failure *failure)
{
    static const struct census_ops ops = {"stack", board_run, board_close};
    struct board_census *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return failure_set(failure, ENOMEM, "no memory for a census of the stack");
    }
    own->base.ops = &ops;
    own->board = board;
    *census = &own->base;
    return 0;
}
