#include "transport/send_queue.h"

#include "base/assert.h"

void send_queue_append(struct send_queue *queue, struct send_piece *piece, const void *data,
                       uint64_t bytes)
{
    piece->next = NULL;
    piece->data = data;
    piece->bytes = bytes;
    piece->left_bytes = bytes;
    if (queue->first == NULL) {
        queue->first = piece;
    } else {
        queue->last->next = piece;
    }
    queue->last = piece;
    if (queue->unsent == NULL) {
        queue->unsent = piece;
    }
}

size_t send_queue_gather(const struct send_queue *queue, uint64_t bytes_max, struct iovec *pieces,
                         size_t pieces_max, uint64_t *bytes)
{
    const struct send_piece *piece = queue->unsent;
    size_t count = 0;
    *bytes = 0;
    while (piece != NULL && *bytes < bytes_max && count < pieces_max) {
        uint64_t room = bytes_max - *bytes;
        struct iovec *listed = &pieces[count++];
        listed->iov_base = (void *)(uintptr_t)piece->data; /* a send only reads it */
        listed->iov_len = piece->left_bytes < room ? piece->left_bytes : room;
        *bytes += listed->iov_len;
        piece = piece->next;
    }
    return count;
}

void send_queue_consume(struct send_queue *queue, uint64_t bytes)
{
    while (bytes > 0) {
        struct send_piece *piece = queue->unsent;
        ASSERT(piece != NULL);
        uint64_t taken = bytes < piece->left_bytes ? bytes : piece->left_bytes;
        piece->data += taken;
        piece->left_bytes -= taken;
        bytes -= taken;
        if (piece->left_bytes == 0) {
            queue->unsent = piece->next;
        }
    }
}

struct send_piece *send_queue_shift(struct send_queue *queue)
{
    ASSERT(send_queue_has_sent(queue));
    struct send_piece *piece = queue->first;
    queue->first = piece->next;
    return piece;
}

struct send_piece *send_queue_cut_unsent(struct send_queue *queue)
{
    struct send_piece *unsent = queue->unsent;
    struct send_piece **link = &queue->first;
    while (*link != unsent) {
        queue->last = *link;
        link = &(*link)->next;
    }
    *link = NULL;
    queue->unsent = NULL;
    return unsent;
}

struct send_piece *send_queue_cut_all(struct send_queue *queue)
{
    struct send_piece *all = queue->first;
    queue->first = NULL;
    queue->unsent = NULL;
    return all;
}
