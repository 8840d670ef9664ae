/* Fuzz target: a sequence of calls, and of packets that are lost, repeated and spoilt, on two
 * hosts. Every packet parses, the census adds up, no loop of answers runs on, and in the end all
 * memory is given back.
 *
 * Layer: tests. Two bytes a step: what to do, and to which connection or how much. */
#include "fuzz/hosts.h"

#include <string.h>

#define CONNS_MAX 4u /* on each side */
#define STEPS_MAX 512u
#define CHUNK_BYTES 64u

struct side {
    struct fws_host *host;
    fws_handle conns[CONNS_MAX];
    uint32_t count;
};

enum step {
    STEP_CONNECT,
    STEP_ACCEPT,
    STEP_SEND,
    STEP_RECEIVE,
    STEP_SHUTDOWN,
    STEP_CLOSE,
    STEP_ABORT,
    STEP_CARRY,
    STEP_ADVANCE,
    STEP_POLL,
    STEP_COUNT,
};

static void add_conn(struct side *side, fws_handle conn)
{
    if (side->count == CONNS_MAX) {
        fws_abort(side->host, side->conns[0]);
        side->count--;
        memmove(side->conns, side->conns + 1, side->count * sizeof(conn));
    }
    side->conns[side->count++] = conn;
}

/* Does a step that belongs to one connection; handles may be stale on purpose. */
static void step_conn(struct side *side, enum step step, uint8_t argument)
{
    uint8_t data[CHUNK_BYTES * 64] = {0};
    const fws_handle conn = side->conns[(argument >> 1) % CONNS_MAX];
    const size_t bytes = CHUNK_BYTES * (size_t)(argument >> 3);
    if (step == STEP_SEND) {
        fws_send(side->host, conn, data, bytes, argument >> 6);
    } else if (step == STEP_RECEIVE) {
        fws_recv(side->host, conn, data, bytes);
    } else if (step == STEP_SHUTDOWN) {
        fws_shutdown(side->host, conn);
    } else if (step == STEP_CLOSE) {
        fws_close(side->host, conn);
    } else {
        fws_abort(side->host, conn);
    }
}

static void take_step(struct hosts *hosts, struct side sides[2], enum step step, uint8_t argument)
{
    struct side *side = &sides[argument & 1u];
    struct fws_event events[4];
    fws_handle conn;
    switch (step) {
    case STEP_CONNECT:
        if (hosts_connect(hosts, &conn) == 0) {
            add_conn(&sides[1], conn);
        }
        return;
    case STEP_ACCEPT:
        if (fws_accept(hosts->server, hosts->listener, &conn) == 0) {
            add_conn(&sides[0], conn);
        }
        return;
    case STEP_CARRY:
        hosts_carry(hosts, side->host, (enum hosts_fate)(argument >> 1 & 3u), false);
        return;
    case STEP_ADVANCE:
        hosts_advance(hosts, UINT64_C(1) << (argument % 40));
        return;
    case STEP_POLL:
        fws_poll(side->host, events, 4);
        return;
    case STEP_SEND:
    case STEP_RECEIVE:
    case STEP_SHUTDOWN:
    case STEP_CLOSE:
    case STEP_ABORT:
    case STEP_COUNT:
        step_conn(side, step, argument);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct hosts hosts;
    hosts_make(&hosts);
    struct side sides[2] = {{.host = hosts.server}, {.host = hosts.client}};
    for (size_t at = 0; at + 1 < count && at / 2 < STEPS_MAX; at += 2) {
        take_step(&hosts, sides, (enum step)(bytes[at] % STEP_COUNT), bytes[at + 1]);
    }
    hosts_end(&hosts);
    return 0;
}
