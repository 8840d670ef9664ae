/* Rules of tcp/recovery and of what else is remembered by a sequence number: a point that was
 * passed stays passed, however many bytes follow. No test could send so many.
 *
 * Layer: tests. Sees the records. */
#include "tcp/test.h"

#include "tcp/tcb.h"

#define MSS 1460u
#define START UINT32_C(0xfffff000)
#define STRIDE (UINT32_C(1) << 29) /* of SND.UNA, at once: less than the largest window */
#define STRIDES 5u                 /* past 2^31 */

struct world {
    struct test_memory memory;
    struct tcp *tcp;
    struct tcb *tcb;
};

/* An established connection of which everything was acknowledged. */
static void world_init(struct world *world)
{
    test_memory_init(&world->memory, 0);
    struct tcp_config config = {
        .first_ip = 0x0a000001,
        .last_ip = 0x0a000001,
        .mtu_bytes = 1500,
        .rto_min_ns = NS_PER_SEC,
        .rto_initial_ns = NS_PER_SEC,
        .rto_max_ns = 60 * NS_PER_SEC,
        .live_max = 4,
        .half_open_max = 4,
        .time_wait_max = 4,
        .listeners_max = 1,
        .send_buffer_bytes = 65536,
        .receive_buffer_bytes = 65536,
        .congestion = TCP_CONGESTION_NEWRENO,
        .memory = &world->memory.memory,
    };
    assert_int_equal(tcp_create(&world->tcp, &config), 0);
    struct tuple tuple = {
        .local_ip = 0x0a000001, .remote_ip = 0x0a000002, .local_port = 1, .remote_port = 2};
    world->tcb = tcb_create(world->tcp, &tuple);
    assert_non_null(world->tcb);
    world->tcb->state = TCP_STATE_ESTABLISHED;
    world->tcb->flags = TCB_SYN_SENT | TCB_SYN_ACKED | TCB_SACK;
    world->tcb->snd_una = world->tcb->snd_nxt = START;
    world->tcb->rcv_nxt = world->tcb->rcv_edge = START;
    world->tcb->mss = MSS;
    world->tcb->congestion.cwnd = 10u * MSS;
    assert_non_null(tcb_need_extra(world->tcp, world->tcb));
}

static void world_end(struct world *world)
{
    tcp_destroy(world->tcp);
    test_memory_check_empty(&world->memory);
}

static void acknowledge(struct world *world, uint32_t bytes)
{
    world->tcb->snd_nxt = world->tcb->snd_una + bytes;
    recovery_on_ack(world->tcp, world->tcb, bytes);
    world->tcb->snd_una += bytes;
}

static void lose_one(struct world *world)
{
    world->tcb->snd_nxt = world->tcb->snd_una + 4u * MSS;
    for (uint32_t i = 0; i < TCP_DUP_ACKS; i++) {
        recovery_on_duplicate(world->tcp, world->tcb);
    }
}

static void test_a_loss_is_found_2_gb_after_the_last_one(void **state)
{
    (void)state;
    for (uint32_t round = 0; round <= 2 * STRIDES; round++) {
        struct world world;
        uint32_t strides = round / 2;
        world_init(&world);
        world.tcb->flags &= round % 2 == 0 ? ~(uint32_t)TCB_SACK : UINT32_MAX;
        lose_one(&world);
        assert_int_equal(world.tcb->recovery, TCB_FAST_RECOVERY);
        acknowledge(&world, 4u * MSS);
        assert_int_equal(world.tcb->recovery, TCB_OPEN);
        acknowledge(&world, MSS);
        for (uint32_t i = 0; i < strides; i++) {
            acknowledge(&world, STRIDE);
        }
        lose_one(&world);
        assert_int_equal(world.tcb->recovery, TCB_FAST_RECOVERY);
        assert_int_equal(world.tcp->counters[TCP_COUNTER_recoveries_fast], 2);
        world_end(&world);
    }
}

static void test_an_echo_reduces_the_window_2_gb_after_the_last_one(void **state)
{
    (void)state;
    for (uint32_t strides = 0; strides <= STRIDES; strides++) {
        struct world world; /* RFC 3168 section 6.1.2 */
        world_init(&world);
        world.tcb->flags |= TCB_ECN;
        world.tcb->snd_nxt = world.tcb->snd_una + 4u * MSS;
        recovery_on_ecn(world.tcp, world.tcb);
        recovery_on_ecn(world.tcp, world.tcb);
        assert_int_equal(world.tcp->counters[TCP_COUNTER_ecn_reductions], 1);
        acknowledge(&world, 4u * MSS);
        for (uint32_t i = 0; i < strides; i++) {
            acknowledge(&world, STRIDE);
        }
        world.tcb->snd_nxt = world.tcb->snd_una + 4u * MSS;
        recovery_on_ecn(world.tcp, world.tcb);
        assert_int_equal(world.tcp->counters[TCP_COUNTER_ecn_reductions], 2);
        world_end(&world);
    }
}

static void test_urgent_data_that_was_read_is_not_ahead_again(void **state)
{
    (void)state;
    struct world world; /* MUST-33 */
    world_init(&world);
    struct tcb *tcb = world.tcb;
    uint8_t byte = 0;
    uint64_t handle = tcb_handle(tcb);
    tcb->extra->rcv_urgent = true;
    tcb->extra->rcv_up = START + 1;
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(ring_reserve(&world.tcp->rings, &tcb->rcv, 1, 0), 0);
        ring_write_at(&tcb->rcv, 0, &byte, 1);
        ring_extend(&tcb->rcv, 1);
        tcb->rcv_nxt++;
        bool is_ahead = (tcp_ready(world.tcp, handle) & TCP_URGENT) != 0;
        assert_int_equal(is_ahead, i == 0);
        assert_int_equal(tcp_recv(world.tcp, handle, &byte, 1), 1);
        assert_false(tcp_ready(world.tcp, handle) & TCP_URGENT);
        tcb->rcv_nxt += (UINT32_C(1) << 31) + 10u; /* so much came and was read */
        tcb->rcv_edge = tcb->rcv_nxt;
        assert_false(tcp_ready(world.tcp, handle) & TCP_URGENT);
    }
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loss_is_found_2_gb_after_the_last_one),
        cmocka_unit_test(test_an_echo_reduces_the_window_2_gb_after_the_last_one),
        cmocka_unit_test(test_urgent_data_that_was_read_is_not_ahead_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
