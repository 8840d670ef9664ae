/* Board: what the workers of one program's stack publish about it, for other threads to read.
 *
 * Layer: L4; part of the transport's public face. A stack instance belongs to its worker, so only
 * that can ask it: each worker writes its states, transitions and counters here every
 * STACK_BOARD_INTERVAL_NS and before its transport goes. Whoever reads gets the sum of what was
 * last written, whose age is told. A worker's place is under a lock of its own, which is taken ten
 * times a second.
 *
 * The board's census is an implementation of tcpstat's census interface, so that whatever watches
 * the kernel's states can watch the stack's. */
#ifndef FINWAIT_TRANSPORT_STACK_BOARD_H
#define FINWAIT_TRANSPORT_STACK_BOARD_H

#include <stdint.h>

#include "base/clock.h"
#include "base/counter.h"
#include "base/failure.h"
#include "base/tcp_state.h"
#include "tcpstat/census.h"
#include "transport/transport.h"

/* How old what is read may be; a worker that waits has to wake up for it. */
#define STACK_BOARD_INTERVAL_NS (100 * NS_PER_MS)

#define STACK_BOARD_VALUES_MAX 320u

/* All workers, added up. */
struct stack_totals {
    uint64_t oldest_ns; /* when the worker wrote that did so longest ago; CLOCK_NEVER: none did */
    uint32_t workers;   /* that wrote at least once */
    struct tcp_state_counts counts;
    struct tcp_transitions transitions;
    struct transport_lingering lingering;
    uint32_t view_count;
    struct transport_view views[TRANSPORT_VIEWS_MAX]; /* borrow from `infos` and `values` */
    struct counter_info infos[STACK_BOARD_VALUES_MAX];
    uint64_t values[STACK_BOARD_VALUES_MAX];
};

struct stack_board;

/* Makes a board for so many workers. Returns 0 or -ENOMEM. */
int stack_board_make(struct stack_board **board, uint32_t workers);

/* Frees it. Its census must be closed, and no worker may write any more. NULL is allowed. */
void stack_board_free(struct stack_board *board);

/* Writes a worker's place if it is time to, and tells when that is next. In the transport's thread.
 */
uint64_t stack_board_turn(struct stack_board *board, uint32_t worker, struct transport *transport,
                          uint64_t now_ns);

/* Writes a worker's place. In the transport's thread. */
void stack_board_publish(struct stack_board *board, uint32_t worker, struct transport *transport,
                         uint64_t now_ns);

/* Adds all places up. From any thread. The views borrow from the struct itself. */
void stack_board_read(struct stack_board *board, struct stack_totals *totals);

/* Finds a counter by module and name; 0 when it is not there. */
uint64_t stack_totals_counter(const struct stack_totals *totals, const char *module,
                              const char *name);

/* Opens a census over the board, which is borrowed. Requests that filter or group by port are
 * refused with -ENOTSUP: the stack counts its states as they change and walks over nothing. Returns
 * 0 or -ENOMEM with the text set. */
int stack_board_census(struct census **census, struct stack_board *board, struct failure *failure);

#endif
