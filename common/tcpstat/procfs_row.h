/* One line of /proc/net/tcp or tcp6 to a struct: a pure function of the line's bytes.
 *
 * Layer: tcpstat (L1), private but for tests and bench/micro. It reads no byte outside of the line,
 * allocates nothing, and takes any input: a line that is not a socket is refused, never guessed. */
#ifndef FINWAIT_TCPSTAT_PROCFS_ROW_H
#define FINWAIT_TCPSTAT_PROCFS_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/tcp_state.h"

/* USER_HZ is 100 on every architecture but old ones that no kernel of today supports. */
#define PROCFS_TICK_NS (UINT64_C(10) * NS_PER_MS)

struct procfs_row {
    enum tcp_state state;
    struct endpoint local;
    struct endpoint remote;
    uint32_t tx_queue_bytes; /* a listener has 0 here */
    uint32_t rx_queue_bytes; /* a listener has its accept queue's length here */
    bool is_record;          /* TIME_WAIT, or a FIN_WAIT_2 that has no socket any more */
    uint32_t timer_ticks; /* until the row's timer fires, in PROCFS_TICK_NS; a record ends then */
    uint32_t uid;
    uint64_t inode; /* 0 for TIME_WAIT and request sockets */
};

/* Reads one line, without its newline. Requires that `family` is AF_INET or AF_INET6. Returns false
 * for a line that is cut, of the other family, or no socket's; the row is then undefined. */
bool procfs_row_parse(struct procfs_row *row, uint8_t family, const char *line, size_t length);

/* Hashes what makes a socket the same one in two reads: its endpoints and inode, not its state.
 * Listeners that share a port differ by inode. */
uint64_t procfs_row_key(const struct procfs_row *row);

#endif
