/* Stack: what the third engine, finwait's own TCP over a link, is opened with.
 *
 * Layer: L4; part of the transport's public face. One transport is one host with one link, in one
 * thread: several workers open one each, with the same configuration but for `worker`, and share
 * nothing. The link gives each its own segments (link_steer), and ports keep them apart: a client's
 * worker may only use source ports with port % workers == worker (others fail in set-up,
 * EADDRNOTAVAIL). Workers are opened one after the other, worker 0 first (link.h says why);
 * link_drop_rights may follow.
 *
 * What of transport.h does not apply: IPv6 (-EAFNOSUPPORT), Fast Open (counted as option_failed and
 * done without), steer_cpus (the link steers). A flow's source must be one of `addresses`; a source
 * port of 0 gives a free one that the link steers to this worker. */
#ifndef FINWAIT_TRANSPORT_STACK_H
#define FINWAIT_TRANSPORT_STACK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "link/link.h"

enum transport_syn_cookies {
    TRANSPORT_COOKIES_AUTO, /* once the SYN cache is full */
    TRANSPORT_COOKIES_ALWAYS,
    TRANSPORT_COOKIES_OFF,
};

/* Zero means the default where one is named. Pointers are borrowed during transport_open. */
struct transport_stack_config {
    enum link_kind link;   /* LINK_PACKET or LINK_XDP ... */
    const char *interface; /* ... on this interface */
    struct link *opened;   /* not NULL: use this link, `link` and `interface` are not looked at. It
                            * is the transport's from the call on, whatever comes of it */
    const struct link_faults *faults; /* not NULL: faults over the link */
    const char *pcap_path;    /* not NULL: capture to this file, over the faults, from when the
                               * addresses are ours: a start that is refused before that
                               * leaves an older file as it was */
    uint32_t pcap_snap_bytes; /* 0: whole frames */

    struct ip_range addresses; /* what the host owns; every flow's source is one of them */
    /* AF_UNSPEC: the addresses are on the link, and ARP is answered for each. Else our one address
     * on the link, for which alone ARP is answered: others reach `addresses` by a route over it. */
    struct ip_addr link_address;
    uint8_t prefix_bits;    /* of the link: targets that share them are on it, 1 to 32; required */
    struct ip_addr gateway; /* to all others; AF_UNSPEC: there is none */
    /* By default the stack has a MAC of its own, locally administered and made from the
     * interface's and its address: then the kernel's IP drops its packets at first sight, instead
     * of looking for a route for each, which over veth is a third of all the work. A MAC that is
     * not the interface's has the interface receive everything (promiscuous). */
    bool mac_given; /* this one: */
    uint8_t mac[6];
    bool mac_of_interface; /* the interface's, where a network delivers to no other */
    bool probe_off; /* do not ask at the start whether somebody else has the addresses (ARP probes,
                     * about 0.2 s); worker 0 alone asks */

    uint32_t worker;        /* 0..workers - 1 */
    uint32_t workers;       /* 1 */
    uint32_t group;         /* names the workers that share the interface: the process id will do */
    enum link_steer steer;  /* a server: REMOTE_PORT; a client: LOCAL_PORT */
    bool blocks;            /* LINK_PACKET: TPACKET_V3 */
    uint32_t receive_slots; /* of the link; 0: its default */
    uint32_t transmit_slots;

    uint64_t time_wait_ns;    /* 2MSL; 60 s; FWS_TIME_WAIT_NONE (finwait-stack.h): none */
    uint64_t rto_min_ns;      /* 200 ms, as Linux has it */
    uint64_t rto_initial_ns;  /* 1 s */
    uint64_t delayed_ack_ns;  /* 40 ms */
    uint64_t fin_wait_2_ns;   /* of what the caller closed; 60 s */
    uint32_t syn_retries;     /* 7 */
    uint32_t syn_ack_retries; /* 5 */
    uint32_t half_open_max;   /* SYN cache; 65536 */
    uint32_t time_wait_max;   /* 2^30 - 1 */
    uint32_t send_buffer_bytes;
    uint32_t receive_buffer_bytes; /* of a connection at most; 262144 */
    struct port_range ports;       /* for source ports of 0; 32768 to 60999 */
    enum transport_syn_cookies syn_cookies;
    bool rfc1337; /* an RST does not end TIME_WAIT */
    /* Acknowledge every segment at once with one of its own, as the kernel does as it comes: 10
     * segments for connect, echo and close instead of 7. Each worker's handler then sees events
     * after the acknowledgements have left. */
    bool acks_apart;
    /* What handlers have to send leaves as the next poll begins, in one call with what is asked for
     * until then, instead of as theirs ends. For who polls again at once, and calls transport_flush
     * before it stops to. */
    bool sends_gather;
    bool seed_given; /* else the system's random source */
    uint8_t seed[16];
    /* How long the link is asked again before a poll waits, after something came: less delay for
     * more CPU, which polls_empty_ns tells, and a peer on the same machine need not wake us. */
    uint64_t spin_ns;
};

/* Checks what can be checked before anything is opened, so that a program can refuse bad input
 * early: the addresses, prefix, gateway, MAC and limits. transport_open does it too. Returns 0,
 * -EAFNOSUPPORT (an IPv6 address) or -EINVAL, with the text set. */
int transport_stack_check(const struct transport_stack_config *config, struct failure *failure);

/* Tells whether the kernel has an address of the stack's, in the network namespace of the caller:
 * it would have been refused at the start, but the kernel may be given it later. Ensures *taken is
 * the address. What the kernel does not tell counts as not taken. */
bool transport_stack_taken(const struct transport_stack_config *config, struct ip_addr *taken);

#endif
