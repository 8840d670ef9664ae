/* Whether a frame's TCP checksum was left to a device; for AF_XDP, which does not tell.
 *
 * Layer: link (L1), private to it. Pure. */
#ifndef FINWAIT_LINK_XDP_FRAME_H
#define FINWAIT_LINK_XDP_FRAME_H

#include <stdbool.h>
#include <stdint.h>

/* Tells whether the frame is a whole TCP segment over IPv4 whose checksum field holds the sum of
 * the pseudo-header and no more: what Linux puts there for a device to go on with. A finished
 * checksum has that value once in 65,536 times. */
bool xdp_frame_is_unfinished(const uint8_t *frame, uint32_t bytes);

#endif
