/* Offloads of a link, by ethtool's ioctls.
 *
 * Layer: bench/lab. A link is looked up in the calling thread's network namespace. */
#ifndef FINWAIT_BENCH_LAB_OFFLOAD_H
#define FINWAIT_BENCH_LAB_OFFLOAD_H

#include <stddef.h>

#define OFFLOAD_TEXT_MAX 160

/* Turns every offload of a link off that can be: checksums, scatter-gather, segmentation, GRO.
 * Returns 0 or -errno. */
int offloads_turn_off(const char *link);

/* Writes how they stand: "tx-checksum on, tso off"; "unknown" when the link does not tell. */
void offloads_describe(const char *link, char text[OFFLOAD_TEXT_MAX]);

#endif
