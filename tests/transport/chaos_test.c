/* Calls in random order on connections in every state: the rig's rules hold on each event, and in
 * the end nothing is left. FINWAIT_TEST_SEED in the environment replays one seed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "transport/rig.h"

#define CHAOS_STEPS 1500
#define CHAOS_CONNS 24u /* of both sides; a step may begin two */

static const uint8_t chaos_memory[200000];

/* What a call on a connection in any state may return. */
static void expect_one_of_ours(int rc)
{
    assert_true(rc == 0 || rc == -EBADF || rc == -EPIPE || rc == -EBUSY || rc == -ENOTCONN);
}

static void chaos_connect(struct rig *rig, struct rng *rng, const struct endpoint *address)
{
    struct transport_conn_options options = {
        .close_how = (enum transport_close_how)rng_below(rng, 3),
        .pull = rng_below(rng, 3) == 0,
        .quickack_off = rng_below(rng, 2),
    };
    if (rig->conn_count < CHAOS_CONNS) {
        struct rig_conn *conn = rig_connect(rig, NULL, address, &options);
        conn->close_on[rng_below(rng, RIG_EVENT_TYPES - 2)] = rng_below(rng, 4) == 0;
        conn->close_how = (enum transport_close_how)rng_below(rng, 3);
        conn->shut_on_fin = rng_below(rng, 2);
        conn->recv_on_data = options.pull && rng_below(rng, 2);
    }
}

static void chaos_call(struct rig *rig, struct rng *rng, uint64_t handle)
{
    struct transport *transport = rig->transport;
    switch (rng_below(rng, 6)) {
    case 0:
        expect_one_of_ours(transport_send(transport, handle, chaos_memory,
                                          1 + rng_below(rng, sizeof(chaos_memory))));
        break;
    case 1:
        expect_one_of_ours(transport_recv(transport, handle));
        break;
    case 2:
        expect_one_of_ours(transport_shutdown_write(transport, handle));
        break;
    case 3:
        expect_one_of_ours(
            transport_close(transport, handle, (enum transport_close_how)rng_below(rng, 3)));
        break;
    default:
        expect_one_of_ours(
            transport_timer(transport, handle, clock_now_ns() + rng_below(rng, NS_PER_MS)));
        break;
    }
}

/* Gives a held buffer back in one of the two ways, wherever its connection is by now. */
static void chaos_give_back(struct rig *rig, struct rng *rng)
{
    uint32_t i = (uint32_t)rng_below(rng, rig->held_count);
    struct transport_buffer buffer = rig->held[i];
    uint64_t handle = rig->held_by[i];
    rig->held_count--;
    rig->held[i] = rig->held[rig->held_count];
    rig->held_by[i] = rig->held_by[rig->held_count];
    if (rng_below(rng, 2)) {
        expect_one_of_ours(transport_send_buffer(rig->transport, handle, &buffer));
    } else {
        transport_buffer_release(rig->transport, handle, &buffer);
    }
}

static void chaos_step(struct rig *rig, struct rng *rng, const struct endpoint *address)
{
    rig->mode = (enum rig_mode)rng_below(rng, 3);
    rig->accept_as.close_on[rng_below(rng, RIG_EVENT_TYPES - 2)] = rng_below(rng, 3) == 0;
    rig->collected_bytes = 0;
    if (rng_below(rng, 3) == 0) {
        chaos_connect(rig, rng, address);
    }
    if (rig->conn_count > 0) {
        chaos_call(rig, rng, rig->conns[rng_below(rng, rig->conn_count)].handle);
    }
    if (rig->held_count > 0) {
        chaos_give_back(rig, rng);
    }
    if (rng_below(rng, 2)) {
        rig_poll_until(rig, clock_now_ns() + 100 * NS_PER_US);
        rig_forget_closed(rig);
    }
}

static void chaos_end(struct rig *rig, uint32_t descriptors)
{
    rig->mode = RIG_COLLECT;
    /* Accepts that are under way when listening ends still come. */
    rig->accept_as = (struct rig_conn){.close_on[TRANSPORT_ACCEPTED] = true};
    for (uint32_t i = 0; i < rig->conn_count; i++) {
        (void)transport_close(rig->transport, rig->conns[i].handle, TRANSPORT_CLOSE_RST);
    }
    transport_listen_stop(rig->transport);
    while (rig->held_count > 0) {
        rig_give_back(rig, false);
    }
    RIG_UNTIL(rig, transport_conn_count(rig->transport) == 0);
    assert_true(descriptor_count() <= descriptors);
    rig_close(rig);
}

static void test_no_order_of_calls_breaks_the_rules(void **state)
{
    struct rig *rig = *state;
    rig_needs_loopback(rig);
    const char *only = getenv("FINWAIT_TEST_SEED");
    uint64_t seed = only != NULL ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only != NULL ? seed : 4;
    for (; seed <= last; seed++) {
        struct transport_config config = {.conns_max = 30, .buffer_bytes = 1024, .read_credit = 2};
        struct rng rng;
        rng_seed(&rng, seed);
        rig_open_config(rig, config);
        struct endpoint address = rig_listen(rig, NULL);
        uint32_t descriptors = descriptor_count();
        rig->seed = seed;
        rig->tolerant = true;
        rig->release_on_closed = seed % 2 == 0;
        for (unsigned step = 0; step < CHAOS_STEPS; step++) {
            chaos_step(rig, &rng, &address);
        }
        chaos_end(rig, descriptors);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_order_of_calls_breaks_the_rules),
    };
    return rig_run("chaos", tests, sizeof(tests) / sizeof(tests[0]));
}
