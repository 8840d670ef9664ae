/* A stage for connections: a plan, an environment, and a transport that only takes notes.
 *
 * Tests only. stage.c defines the transport's calls itself, so the real ones are not linked. One
 * connection is driven at a time; its handle is 77. */
#ifndef FINWAIT_TESTS_LOADGEN_STAGE_H
#define FINWAIT_TESTS_LOADGEN_STAGE_H

#include "base/clock.h"
#include "loadgen/conn.h"

#define MS NS_PER_MS
#define NOTES_MAX 512

/* What was called since the last look, in order, and with what. */
struct transport {
    char notes[NOTES_MAX];
    uint64_t user;
    struct flow flow;
    struct flow announced; /* of transport_connect_soon, which takes no note */
    const void *sent;
    uint64_t sent_bytes;
    uint64_t timer_ns;
    int connect_error;
    uint32_t released;
};

/* A plan of one worker, and the connection that is driven. */
struct stage {
    struct plan plan;
    struct transport transport;
    struct stats *stats;
    struct conn_env env;
};

/* Opens a stage for requests of 64 bytes, with two 4-tuples and a time-out of 5 s. */
void stage_open(struct stage *stage, enum closer closer, enum close_how how, uint64_t echoes);
void stage_close(struct stage *stage);

/* Asserts what was called since the last time. */
void expect_calls(struct stage *stage, const char *notes);

/* Asserts how many connections are counted. */
void expect_counts(const struct stage *stage, uint64_t completed, uint64_t failed);

/* Deliver events: of no more than a type and a time; a failure at 900 ns; bytes at 500 ns. */
void deliver(struct stage *stage, enum transport_event_type type, uint64_t time_ns);
void deliver_failure(struct stage *stage, enum transport_phase phase, int error);
void deliver_bytes(struct stage *stage, const void *data, uint32_t size);

/* Starts a connection (due at 100, begun at 110) and takes it to CONNECTED at 150. */
void open_one(struct stage *stage);

/* Reports the request as sent at 400, and delivers its echo. */
void echo_one(struct stage *stage);

#endif
