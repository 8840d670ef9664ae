/* A rule on the interface that lets no frame pass: they are tried again, and given up in the end,
 * so that they do not block those behind them for good. The rule is a BPF program, for which the
 * test needs root's rights. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"

#define FRAME_BYTES 200u

/* Loads a program that drops whatever it sees; -errno: not allowed. */
static int load_dropper(void)
{
    static const struct bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
        {.code = BPF_JMP | BPF_EXIT},
    };
    return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "drop_all", "GPL", code,
                         sizeof(code) / sizeof(code[0]), NULL);
}

static void queue(struct link *link, const struct link *to, uint32_t first, uint32_t count)
{
    for (uint32_t number = first; number < first + count; number++) {
        const struct frame_plan plan = {.target_mac = link_interface_of(to)->mac,
                                        .target_address = cable_address(1),
                                        .number = number,
                                        .bytes = frame_length(number, FRAME_BYTES)};
        assert_true(frame_send(link, &plan, false));
    }
}

static void frames_that_a_rule_never_lets_pass_are_given_up(void **state)
{
    const int *dropper = *state;
    struct cable cable;
    struct link *ends[2];
    cable_make(&cable);
    for (int i = 1; i >= 0; i--) { /* so that we end where the rule goes */
        ends[i] = cable_open(&cable, i, &(struct link_config){.kind = LINK_PACKET});
    }
    DECLARE_LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(CABLE_INTERFACE),
                        .attach_point = BPF_TC_EGRESS);
    DECLARE_LIBBPF_OPTS(bpf_tc_opts, rule, .prog_fd = *dropper);
    assert_int_equal(bpf_tc_hook_create(&hook), 0);
    assert_int_equal(bpf_tc_attach(&hook, &rule), 0);

    queue(ends[0], ends[1], 0, 2);
    uint32_t refusals = 0;
    while (link_flush(ends[0], 0) == -ENOBUFS) {
        refusals++;
        assert_true(link_deadline_ns(ends[0]) != CLOCK_NEVER);
        assert_true(refusals < 1000);
    }
    assert_true(refusals > 2);
    assert_int_equal(link_counter_read(ends[0], LINK_COUNTER_transmit_no_buffers), refusals);
    assert_int_equal(link_counter_read(ends[0], LINK_COUNTER_transmit_refused_bytes),
                     link_counter_read(ends[0], LINK_COUNTER_bytes_sent));

    rule.prog_fd = 0; /* detach takes the place alone */
    rule.prog_id = 0;
    assert_int_equal(bpf_tc_detach(&hook, &rule), 0);
    queue(ends[0], ends[1], 2, 5);
    assert_int_equal(link_flush(ends[0], 0), 0);
    const struct drain drain = {.plan = {.target_mac = link_interface_of(ends[1])->mac,
                                         .target_address = cable_address(1),
                                         .number = 2},
                                .length_max = FRAME_BYTES,
                                .wanted = 5};
    assert_int_equal(drain_in_order(ends[1], &drain), 5);
    link_destroy(ends[0]);
    link_destroy(ends[1]);
    cable_close(&cable);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    int dropper = load_dropper();
    if (dropper < 0) {
        fprintf(stderr, "skipped: no BPF program may be loaded: %s\n", strerror(-dropper));
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(frames_that_a_rule_never_lets_pass_are_given_up, &dropper),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    close(dropper);
    return failed;
}
