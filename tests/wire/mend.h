/* Right checksums for packets that a test has made or spoilt, by code that is not the wire layer's.
 *
 * Layer: tests. */
#ifndef FINWAIT_TESTS_WIRE_MEND_H
#define FINWAIT_TESTS_WIRE_MEND_H

#include <stdint.h>

/* Puts a right header checksum on an IPv4 packet. Requires that its header length lies within it.
 */
void mend_ipv4(uint8_t *packet);

/* The same for the checksum of its TCP segment or ICMP message. Requires that its total length is
 * true, and that the payload holds the checksum's field. */
void mend_payload(uint8_t *packet);

#endif
