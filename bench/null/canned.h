/* Canned: the seven segments of a connection, written once and sent again and again.
 *
 * Layer: bench/null. No state: what answers a segment follows from its flags alone. The segments
 * have the sizes, options and order of connect, one echo of 64 B and close by FIN; TCP checksums
 * are left out, as nobody looks. Where a sequence number would be, all of a connection's segments
 * have its number: who answers copies it, so that one who counts knows what an answer is to. Pure
 * functions but for the frames that they write. */
#ifndef FINWAIT_BENCH_NULL_CANNED_H
#define FINWAIT_BENCH_NULL_CANNED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A connection's segments, in order. */
enum canned_segment {
    CANNED_SYN,
    CANNED_SYN_ACK,
    CANNED_REQUEST,
    CANNED_ECHO,
    CANNED_FIN,
    CANNED_FIN_BACK,
    CANNED_LAST_ACK,
    CANNED_COUNT,
    CANNED_NONE = CANNED_COUNT
};

#define CANNED_BYTES_MAX 160
#define CANNED_PORT 7000

struct canned {
    uint8_t frames[CANNED_COUNT][CANNED_BYTES_MAX];
    uint32_t bytes[CANNED_COUNT];
};

/* Writes all frames between two addresses (host order). */
void canned_make(struct canned *canned, uint32_t client, uint32_t server);

/* Tells which of the segments a frame is; NONE when it is no segment of ours. */
enum canned_segment canned_recognise(const uint8_t *frame, size_t bytes);

/* Tells whether a client sends this segment. */
bool canned_is_of_client(enum canned_segment segment);

/* The segment that answers one; NONE after the last. */
enum canned_segment canned_answer(enum canned_segment segment);

/* Which connection a frame belongs to. */
struct canned_id {
    uint32_t number;
    uint16_t client_port;
};

/* Reads it from a frame that was recognised. */
struct canned_id canned_id_of(const uint8_t *frame, enum canned_segment segment);

/* Writes a connection's frame but for its MACs. Returns its length. Requires room for
 * CANNED_BYTES_MAX. */
uint32_t canned_write(uint8_t *frame, const struct canned *canned, enum canned_segment segment,
                      struct canned_id id);

/* Writes a frame's MACs. */
void canned_address(uint8_t *frame, const uint8_t target[6], const uint8_t source[6]);

#endif
