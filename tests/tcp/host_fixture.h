/* A whole host and a peer made of packets: what the tests that are written from the RFCs share.
 *
 * One function brings a connection to each state; then SEND hands the host a segment of the peer's,
 * RECV requires the host's next one, RECV_NOTHING that there is none. Sequence and acknowledgment
 * numbers are relative to the initial numbers of either side, so that a SYN is 0 and the first byte
 * is 1 in both directions; on the wire the peer's numbers wrap after 256 bytes.
 *
 * Layer: tests. Memory: the host's allocator is the fixture's, which counts. Time is virtual. */
#ifndef FINWAIT_TESTS_TCP_HOST_FIXTURE_H
#define FINWAIT_TESTS_TCP_HOST_FIXTURE_H

#include "base/test.h"
#include "tcp/packet.h"

#include "stack/finwait-stack.h"

#define MS UINT64_C(1000000)
#define SEC (1000u * MS)

#define HOST_ADDRESS 0x0a000001u /* of a /30 that the host owns */
#define HOST_ADDRESS_2 0x0a000002u
#define PEER_ADDRESS 0x0a010001u
#define HOST_PORT 40000u
#define LISTEN_PORT 80u
#define PEER_PORT 5000u
#define PEER_ISS 0xffffff00u
#define PEER_CLOCK 0xfffffff0u /* the peer's first timestamp */

/* What SEND understands beside the header's flags. */
enum fixture_flag {
    NO_TIMESTAMP = 1 << 8, /* though the connection has them */
    ZERO_WINDOW = 1 << 9,
    ABSOLUTE = 1 << 10, /* numbers go out as they are */
};

struct fixture {
    struct fws_host *host;
    struct fws_config config;   /* may be changed before the first state function */
    struct fws_options options; /* of connect and listen; likewise */
    /* What the peer offers in its SYN, likewise. */
    uint16_t peer_mss; /* 0: no option */
    bool peer_sack;
    bool peer_timestamps;
    bool peer_window_scaling;
    uint8_t peer_window_scale;
    uint16_t window; /* of the peer's segments, as it stands in the header */
    uint32_t backlog;

    uint64_t now;
    fws_handle conn;
    fws_handle listener;
    uint32_t host_address;
    uint16_t host_port;
    uint16_t peer_port;
    uint32_t iss;        /* the host's, once seen */
    bool timestamps;     /* agreed on */
    uint32_t clock;      /* the peer's timestamps */
    uint32_t ts_recent;  /* the host's newest timestamp */
    bool has_pending;    /* `last` was fetched and not yet required */
    struct packet last;  /* with relative numbers; points into `bytes` */
    uint32_t last_bytes; /* of the whole packet */
    uint8_t bytes[PACKET_ROOM];

    uint64_t blocks;          /* the host holds */
    uint64_t held_bytes;      /* the host holds */
    uint64_t calls;           /* of the allocator */
    uint64_t failing_call;    /* refused; 0: none */
    bool fails_from_there_on; /* not that call alone */
    uint64_t refused;         /* calls refused */
};

/* Fills in the defaults: timestamps, SACK, scaling by 0, MSS 1460 on both sides. */
void fixture_init(struct fixture *f);

/* Makes the host, if there is none yet. */
void fixture_start(struct fixture *f);

/* Ends the host and requires that all memory came back. */
void fixture_end(struct fixture *f);

/* One a state. The first eight start from a fixture that was initialised. */
void listening(struct fixture *f);
void syn_received(struct fixture *f); /* half-open: in the SYN cache */
void syn_sent(struct fixture *f);
void syn_received_simultaneous(struct fixture *f);
void established(struct fixture *f); /* by an active open */
void established_passive(struct fixture *f);
void established_without_timestamps(struct fixture *f);
void fin_wait_1(struct fixture *f);
void fin_wait_2(struct fixture *f);
void closing(struct fixture *f);
void time_wait(struct fixture *f);
void close_wait(struct fixture *f);
void last_ack(struct fixture *f);

void fixture_send(struct fixture *f, const struct packet *segment);
/* Hands in bytes as they are. */
void fixture_send_raw(struct fixture *f, const uint8_t *bytes, size_t count);
const struct packet *fixture_recv(struct fixture *f, const struct packet *expected,
                                  const char *file, int line);
void fixture_recv_nothing(struct fixture *f, const char *file, int line);
/* Fetches the next packet into `last`, with relative numbers; false: there is none now. */
bool fixture_fetch(struct fixture *f);
/* Lets packets go unread; returns how many there were. */
size_t fixture_drain(struct fixture *f);

/* Lets time pass. */
void fixture_pass(struct fixture *f, uint64_t ns);
/* Lets time pass until the host sends something, which the next RECV then gets; returns how long
 * that took, or UINT64_MAX when nothing came within `limit_ns`. */
uint64_t fixture_wait(struct fixture *f, uint64_t limit_ns);

/* The state of the wire's record; FWS_STATE_NONE: there is no record. */
enum fws_state fixture_state(struct fixture *f);
void fixture_require_state(struct fixture *f, enum fws_state state, const char *file, int line);
struct fws_info fixture_info(struct fixture *f);
uint64_t fixture_counter(struct fixture *f, const char *name);
struct fws_endpoint fixture_endpoint(uint32_t address, uint16_t port);
/* Opens a connection of the host's from HOST_PORT to the peer; returns what fws_connect did. */
int fixture_connect(struct fixture *f);
/* Queues bytes of a known pattern, all of which must be taken. */
void fixture_write(struct fixture *f, size_t bytes);
/* Reads all that is there; returns how much. */
size_t fixture_read_all(struct fixture *f);

#define SEND(f, ...) fixture_send((f), &(struct packet){__VA_ARGS__})
#define RECV(f, ...) fixture_recv((f), &(struct packet){__VA_ARGS__}, __FILE__, __LINE__)
#define RECV_NOTHING(f) fixture_recv_nothing((f), __FILE__, __LINE__)
#define STATE(f, state) fixture_require_state((f), (state), __FILE__, __LINE__)

#endif
