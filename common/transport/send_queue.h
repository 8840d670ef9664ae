/* What a connection still has to send: pieces in order, each a lent buffer or the caller's memory.
 *
 * Layer: L4, private to common/transport; plain lists, no calls. Owner: the connection, which owns
 * its pieces as well (a buffer's is in the buffer). One thread.
 *
 *     first                            unsent                       last
 *       |-- taken whole, SENT is due --|-- taken in part or not at all --|
 *
 * Taken means that the kernel, or the stack's host, has the bytes. */
#ifndef FINWAIT_TRANSPORT_SEND_QUEUE_H
#define FINWAIT_TRANSPORT_SEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SEND_PIECE_MEMORY UINT32_MAX /* the buffer id of a piece that is the caller's memory */

struct send_piece {
    struct send_piece *next;
    const uint8_t *data; /* what was not taken yet */
    uint64_t left_bytes;
    uint64_t bytes; /* in all */
    uint32_t buffer_id;
};

/* Empty when it is all zero. */
struct send_queue {
    struct send_piece *first;
    struct send_piece *last;   /* undefined while `first` is NULL */
    struct send_piece *unsent; /* NULL: all is taken */
};

/* Tells whether SENT is due for a piece. */
static inline bool send_queue_has_sent(const struct send_queue *queue)
{
    return queue->first != queue->unsent;
}

/* Puts a piece of `bytes` at `data` at the end. It stays where it is until the queue gives it back;
 * its buffer_id is left alone. */
void send_queue_append(struct send_queue *queue, struct send_piece *piece, const void *data,
                       uint64_t bytes);

/* Lists what is unsent, `bytes_max` in all and `pieces_max` pieces at most, for a vectored send;
 * returns how many pieces and stores how many bytes they are. */
size_t send_queue_gather(const struct send_queue *queue, uint64_t bytes_max, struct iovec *pieces,
                         size_t pieces_max, uint64_t *bytes);

/* Notes that the first `bytes` of what is unsent were taken. Requires that there are so many. */
void send_queue_consume(struct send_queue *queue, uint64_t bytes);

/* Takes the oldest piece off. Requires send_queue_has_sent. */
struct send_piece *send_queue_shift(struct send_queue *queue);

/* Take what is unsent, or everything, off the queue; return it, linked, NULL when there is none. */
struct send_piece *send_queue_cut_unsent(struct send_queue *queue);
struct send_piece *send_queue_cut_all(struct send_queue *queue);

#endif
