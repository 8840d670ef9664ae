/* Congestion control: what does not depend on the algorithm; see congestion.h. */
#include "tcp/congestion.h"

#include "tcp/congestion_internal.h"

#define IW_SEGMENT_BYTES 1460u /* RFC 6928: 10 segments are at most 14600 bytes */

uint32_t congestion_initial_window(uint32_t mss, uint32_t segments, bool syn_lost_twice)
{
    if (syn_lost_twice) {
        return mss;
    }
    uint32_t bytes_max = segments * IW_SEGMENT_BYTES;
    bytes_max = bytes_max > 2u * mss ? bytes_max : 2u * mss;
    return segments * mss < bytes_max ? segments * mss : bytes_max;
}

void congestion_restart(struct congestion *congestion, uint32_t initial_window)
{
    congestion->cwnd = congestion->cwnd < initial_window ? congestion->cwnd : initial_window;
}

void congestion_grow(struct congestion *congestion, uint64_t bytes)
{
    uint64_t cwnd = congestion->cwnd + bytes;
    if (cwnd > CONGESTION_CWND_MAX) {
        cwnd = congestion->cwnd > CONGESTION_CWND_MAX ? congestion->cwnd : CONGESTION_CWND_MAX;
    }
    congestion->cwnd = (uint32_t)cwnd;
}

void congestion_slow_start(struct congestion *congestion, const struct congestion_ack *ack)
{
    congestion_grow(congestion, ack->acked_bytes < ack->mss ? ack->acked_bytes : ack->mss);
}

void congestion_avoid_roughly(struct congestion *congestion, const struct congestion_ack *ack)
{
    uint64_t bytes = (uint64_t)ack->mss * ack->mss / congestion->cwnd;
    congestion_grow(congestion, bytes == 0 ? 1 : bytes);
}
