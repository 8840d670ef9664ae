/* Verdicts: names and helps of why a packet was not taken.
 *
 * Layer: wire (L1). Constant data. */
#include "wire/wire.h"

/* Counters' names are lower case (base/counter.h) and no preprocessor makes them so; a verdict that
 * has no name here does not compile. */
#define NAME_IPV4_SHORT "ipv4_short"
#define NAME_IPV4_VERSION "ipv4_version"
#define NAME_IPV4_HEADER "ipv4_header"
#define NAME_IPV4_CHECKSUM "ipv4_checksum"
#define NAME_TCP_SHORT "tcp_short"
#define NAME_TCP_HEADER "tcp_header"
#define NAME_TCP_CHECKSUM "tcp_checksum"
#define NAME_ICMP_SHORT "icmp_short"
#define NAME_ICMP_CHECKSUM "icmp_checksum"
#define NAME_ETHER_SHORT "ether_short"
#define NAME_ARP_FORM "arp_form"

const struct counter_info wire_verdict_infos[WIRE_VERDICT_COUNT] = {
    [WIRE_OK] = {"ok", "packets taken"},
#define COUNTER(name, help) [WIRE_##name] = {NAME_##name, help},
#include "wire/verdicts.def"
#undef COUNTER
};
