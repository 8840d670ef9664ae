/* TIME_WAIT of two hosts and a link in memory, on virtual time; see churn.h. Layer: bench/lab. */
#include <stdlib.h>

#include "base/clock.h"
#include "churn.h"
#include "memory_wire.h"

#define DRAIN_SEC_MAX 75

/* Opens and closes connections at the rate for a second of virtual time. Returns 0 or -errno. */
static int churn_second(struct memory_wire *wire, uint32_t per_sec, uint32_t *number)
{
    for (uint32_t i = 0; i < per_sec; i++) {
        fws_handle client, server;
        int error = memory_wire_connect(wire, (*number)++, &client, &server);
        if (error != 0) {
            return error;
        }
        fws_close(wire->client, client);
        memory_wire_run(wire, 0);
        fws_close(wire->server, server);
        memory_wire_run(wire, NS_PER_SEC / per_sec);
    }
    return 0;
}

static void sample_stack(struct churn *churn, const struct memory_wire *wire)
{
    struct timewait_sample sample = {
        .at_ns = wire->now_ns,
        .made = memory_wire_time_wait_made(wire->client),
        .live = memory_wire_time_wait(wire->client),
    };
    churn_add(churn, &sample);
}

static int run_stack(struct timewait *timewait, struct churn *churn, struct memory_wire *wire)
{
    uint32_t number = 0;
    int error = 0;
    sample_stack(churn, wire);
    for (uint32_t i = 0; error == 0 && i < CHURN_SEC && timewait_pause(timewait, 0); i++) {
        error = churn_second(wire, (uint32_t)churn->rate_per_sec, &number);
        sample_stack(churn, wire);
    }
    churn->churn_count = churn->count;
    for (int i = 0; i < DRAIN_SEC_MAX && memory_wire_time_wait(wire->client) > 0; i++) {
        memory_wire_run(wire, NS_PER_SEC);
        sample_stack(churn, wire);
    }
    return error;
}

void churn_show_memory_stack(struct timewait *timewait)
{
    bool measured = timewait->lifetime_ns != 0;
    uint64_t time_wait_ns = measured ? timewait->lifetime_ns : 60 * NS_PER_SEC;
    struct memory_wire_config config = {.time_wait_ns = time_wait_ns, .timestamps = true};
    struct memory_wire wire;
    struct churn *churn = calloc(1, sizeof(*churn));
    if (churn == NULL || memory_wire_open(&wire, &config) != 0) {
        timewait_check(timewait, false, "no hosts and link in memory");
        free(churn);
        return;
    }
    churn->who = "stack in memory";
    churn->rate_per_sec = timewait_rate(timewait);
    churn->config.lifetime_assumed_ns = time_wait_ns;
    int error = run_stack(timewait, churn, &wire);
    timewait_check(
        timewait, error == 0, "stack in memory, 2MSL %.2f s%s: %zu connections closed in %u s",
        (double)time_wait_ns / (double)NS_PER_SEC, measured ? ", the kernel's lifetime" : "",
        (size_t)churn->samples[churn->churn_count - 1].made, CHURN_SEC);
    churn_check_pile_up(timewait, churn);
    churn_check_plateau(timewait, churn);
    const struct timewait_sample *last = &churn->samples[churn->count - 1];
    churn_check_drain(timewait, churn, last->live,
                      (double)(last->at_ns - churn_last_close(churn)->at_ns) / (double)NS_PER_SEC);
    memory_wire_close(&wire);
    free(churn);
}
