/* A transport of one connection that does nothing but remember, so that the server's part can be
 * driven event by event.
 *
 * It takes the place of common/transport at link time. Calls on the connection are written down in
 * order as a short text ("recv send(5) shutdown close(rst)"), which tests compare. */
#ifndef FINWAIT_TESTS_SERVER_FAKE_TRANSPORT_H
#define FINWAIT_TESTS_SERVER_FAKE_TRANSPORT_H

#include <stdint.h>

#include "server/echo.h"
#include "transport/transport.h"

#define FAKE_CALLS_MAX 1024

struct transport {
    char calls[FAKE_CALLS_MAX];
    uint64_t user;
    uint64_t timer_ns;
    int send_error; /* what the next send returns, -errno */
    uint32_t lent;  /* DATA buffers not given back yet */
    bool closed;
};

/* What a test drives: one connection of an echo over a fake. */
struct fake {
    struct transport transport;
    struct echo_config config;
    struct echo echo;
    uint64_t now_ns;
};

/* Begins with ACCEPTED at time 0; the config is copied. */
void fake_begin(struct fake *fake, const struct echo_config *config);
void fake_end(struct fake *fake);

/* Deliver events. */
void fake_data(struct fake *fake, const char *text);
void fake_sent(struct fake *fake, uint64_t bytes);
void fake_event(struct fake *fake, enum transport_event_type type);
void fake_failed(struct fake *fake, enum transport_phase phase, int error);
void fake_closed(struct fake *fake, int error);

/* Compares the calls since the last time, and forgets them. */
void fake_expect(struct fake *fake, const char *calls);

uint64_t fake_counter(const struct fake *fake, enum echo_counter counter);

#endif
