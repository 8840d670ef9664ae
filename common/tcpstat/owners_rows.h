/* The sockets of a walk to the rows of a result.
 *
 * Layer: tcpstat (L1), private but for tests. Grouping is by a hash index that the owners hold, so
 * that a result stays plain data. Pure but for memory. */
#ifndef FINWAIT_TCPSTAT_OWNERS_ROWS_H
#define FINWAIT_TCPSTAT_OWNERS_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "tcpstat/owners.h"

/* A socket as a walk finds it. */
struct owners_socket {
    enum tcp_state state;
    bool is_record;  /* a TIME_WAIT or FIN_WAIT_2 without a socket */
    bool is_request; /* a SYN_RECEIVED without a socket */
    struct endpoint local;
    struct endpoint remote;
    uint32_t pid;       /* 0: not known */
    uint64_t cgroup_id; /* 0: not known */
    uint64_t age_ns;    /* in its state; 0: not known */
    uint64_t rest_ns;   /* of a record: until it ends */
};

/* Indexes of rows by their key's hash; open addressing, a power of two, at most half full. */
struct owners_index {
    uint32_t *slots; /* row + 1; 0: free */
    uint32_t size;
};

void owners_index_free(struct owners_index *index);

/* Empties a result, and the index, for a new walk. Returns 0 or -ENOMEM. */
int owners_rows_begin(struct owners_result *result, struct owners_index *index);

/* Adds a socket if it passes the request's filters. Returns 0 or -ENOMEM. */
int owners_rows_add(struct owners_result *result, struct owners_index *index,
                    const struct owners_request *request, const struct owners_socket *socket);

/* Adds what an owner made since the transitions were opened, to its row, which is made if it holds
 * no socket. Requires a request by pid or cgroup. Returns 0 or -ENOMEM. */
int owners_rows_add_made(struct owners_result *result, struct owners_index *index,
                         const struct owners_request *request, const struct owners_socket *owner,
                         uint64_t made);

/* Sorts the rows and cuts them to the request's top. The index is then of no more use. */
void owners_rows_finish(struct owners_result *result, const struct owners_request *request);

#endif
