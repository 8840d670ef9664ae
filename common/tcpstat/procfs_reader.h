/* One pass over /proc/net/tcp or tcp6, page by page, to rows.
 *
 * Layer: tcpstat (L1), private but for tests. The reader owns its buffers; it allocates them when
 * it is made and grows one small table (8 bytes a page) with the population. One thread. It reads
 * through a function, so that tests feed pages that were recorded or made up.
 *
 * How the kernel gives the table (fs/seq_file.c, tcp_seq_start in net/ipv4/tcp_ipv4.c), which the
 * reader relies on, and what can go wrong:
 *
 *  - A read gives at most one page, and as many whole lines as are below a page's size. So a read
 * that left room for one more line was the last, and the one after it is not made: after the end
 * the kernel walks again from the start, passes over as many sockets as it has given, and shows
 * what remains; in a table that grew meanwhile, that is its tail once more.
 *  - When the last page happened to be full, that read is made. Rows that repeat the page before
 * are dropped. A longer repeat is found at the end, since its rows closed earlier pages: then the
 * pass is given up as -EAGAIN, to be made again.
 *  - Between two reads the walk keeps its place as bucket and offset, so a socket put in front of
 * the same bucket moves the last row into the next page too. It is dropped likewise. */
#ifndef FINWAIT_TCPSTAT_PROCFS_READER_H
#define FINWAIT_TCPSTAT_PROCFS_READER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tcpstat/procfs_row.h"

/* Where the pages come from: pread's contract, but a failure is -errno. */
struct procfs_source {
    ssize_t (*read)(void *context, void *buffer, size_t size, uint64_t offset);
    void *context;
};

struct procfs_reader_config {
    uint8_t family;    /* AF_INET or AF_INET6 */
    size_t page_bytes; /* of the kernel's seq_file buffer: its page size */
    struct procfs_source source;
    const atomic_bool *cancel; /* may be NULL */
};

/* What a pass met. */
struct procfs_pass {
    uint64_t rows;     /* given to the visitor */
    uint64_t repeated; /* dropped as repeats */
    uint64_t malformed;
    uint64_t truncated; /* 1: the table ended within a line */
    uint64_t reads;
};

/* Takes a row; a negative result ends the pass with it. */
struct procfs_visitor {
    int (*visit)(void *context, const struct procfs_row *row);
    void *context;
};

struct procfs_reader;

/* Makes a reader. Returns 0 or -ENOMEM. */
int procfs_reader_create(struct procfs_reader **reader, const struct procfs_reader_config *config);

void procfs_reader_destroy(struct procfs_reader *reader);

/* Sets what ends a pass early with -ECANCELED once it is true; NULL: nothing. */
void procfs_reader_set_cancel(struct procfs_reader *reader, const atomic_bool *cancel);

/* Reads the whole table once. Returns 0; -EAGAIN when a long repeat made the rows too many;
 * -ECANCELED; -ENOMEM; the visitor's or the source's -errno. `pass` is filled in any case. */
int procfs_reader_pass(struct procfs_reader *reader, struct procfs_visitor visitor,
                       struct procfs_pass *pass);

#endif
