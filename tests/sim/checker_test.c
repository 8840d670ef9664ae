/* The checker catches what it is there for: doctored packets, one fault each, and the sound ones
 * between which they stand pass.
 *
 * Layer: tests. */
#include <string.h>

#include "base/test.h"
#include "sim/checker.h"

#define ISS_A UINT32_C(0xfffffff0) /* wraps within the conversation */
#define ISS_B UINT32_C(5000)
#define NOW_NS 1000

struct bench {
    struct checker checker;
    struct violation violation;
    struct flow *flow;
    uint8_t bytes[2048];
};

/* One doctored segment behind a handshake and 100 bytes from A that B has acknowledged. All edits
 * are against a sound segment of the side; zero leaves a field alone. */
struct doctored {
    const char *name;
    enum rule rule;
    uint8_t side;     /* that sends it; 0: A */
    uint32_t seq_add; /* modulo 2^32 */
    uint32_t ack_add;
    uint32_t payload;     /* bytes of the right content */
    uint32_t content_add; /* shifts the content */
    uint8_t flags;        /* instead of ACK */
    uint16_t window;
    uint16_t urgent;
    uint8_t ecn;
    uint32_t tsval_add;
    uint32_t tsecr_add;
    uint8_t option; /* one more */
    bool no_timestamps;
    uint32_t sack[2][2]; /* relative to what A has sent; from B */
    uint16_t flip;       /* byte of the finished packet, 0: none */
    uint8_t reserved;
    bool after_rst; /* as an answer to an RST */
    bool answers;   /* as an answer to a segment */
};

static void bench_begin(struct bench *bench)
{
    *bench = (struct bench){0};
    checker_init(&bench->checker, &bench->violation);
    checker_reset(&bench->checker, 4);
    bench->checker.mtu_bytes[0] = 1500;
    bench->checker.mtu_bytes[1] = 1500;
    struct flow_tuple tuple = {0x0a000001, 0x0a000002, 4000, 7000};
    bench->flow = &bench->checker.table.flows[flow_add(&bench->checker.table, &tuple).flow];
    bench->flow->half[0].host = 0;
    bench->flow->half[1].host = 1;
    for (uint32_t side = 0; side < 2; side++) {
        bench->flow->half[side].app = (struct half_app){.known = true, .written = 1000};
    }
}

/* Sends a packet from a side, which does not arrive. */
static struct checked send_flipped(struct bench *bench, uint32_t side, struct packet *packet,
                                   uint16_t flip)
{
    struct checked checked;
    bool is_a = side == 0;
    packet->source = is_a ? 0x0a000001 : 0x0a000002;
    packet->target = is_a ? 0x0a000002 : 0x0a000001;
    packet->source_port = is_a ? 4000 : 7000;
    packet->target_port = is_a ? 7000 : 4000;
    packet->dont_fragment = true;
    size_t count = packet_build(packet, bench->bytes, sizeof(bench->bytes));
    assert_true(count > 0);
    if (flip) {
        bench->bytes[flip] ^= 0x10;
    }
    checker_sent(&bench->checker, side, bench->bytes, count, &checked);
    return checked;
}

static void send_packet_only(struct bench *bench, uint32_t side, struct packet *packet)
{
    (void)send_flipped(bench, side, packet, 0);
}

/* Sends a packet from a side; it arrives if it is sound. */
static void send_packet(struct bench *bench, uint32_t side, struct packet *packet, uint16_t flip)
{
    struct checked checked = send_flipped(bench, side, packet, flip);
    if (bench->violation.rule == RULE_NONE) {
        checker_begin(&bench->checker, CAUSE_DELIVERY, NOW_NS);
        checker_received(&bench->checker, &checked);
    }
}

static void add_options(struct packet *packet, bool is_syn)
{
    static const uint8_t syn[] = {PACKET_OPTION_MSS, PACKET_OPTION_SACK_PERMITTED,
                                  PACKET_OPTION_TIMESTAMPS, PACKET_OPTION_NOP,
                                  PACKET_OPTION_WSCALE};
    static const uint8_t other[] = {PACKET_OPTION_NOP, PACKET_OPTION_NOP, PACKET_OPTION_TIMESTAMPS};
    packet->mss = 1460;
    packet->wscale = 2;
    packet->order_count = is_syn ? sizeof(syn) : sizeof(other);
    memcpy(packet->order, is_syn ? syn : other, packet->order_count);
}

static struct packet syn_of_a(void)
{
    struct packet syn = {.seq = ISS_A, .flags = PACKET_SYN, .window = 4000, .tsval = 100};
    add_options(&syn, true);
    return syn;
}

/* Its answer. */
static struct packet syn_ack_of_b(void)
{
    struct packet answer = {.seq = ISS_B,
                            .ack = ISS_A + 1,
                            .flags = PACKET_SYN | PACKET_ACK,
                            .window = 4000,
                            .tsval = 900,
                            .tsecr = 100};
    add_options(&answer, true);
    return answer;
}

/* B's FIN right behind its SYN-ACK. */
static struct packet fin_of_b(uint32_t tsval)
{
    struct packet fin = {.seq = ISS_B + 1,
                         .ack = ISS_A + 1,
                         .flags = PACKET_FIN | PACKET_ACK,
                         .window = 1000,
                         .tsval = tsval,
                         .tsecr = 100};
    add_options(&fin, false);
    return fin;
}

/* Handshake and 100 bytes, acknowledged; the windows are 4000 bytes. */
static void converse(struct bench *bench)
{
    struct packet syn = syn_of_a();
    struct packet syn_ack = syn_ack_of_b();
    struct packet data = {.seq = ISS_A + 1,
                          .ack = ISS_B + 1,
                          .flags = PACKET_ACK,
                          .window = 1000,
                          .tsval = 101,
                          .tsecr = 900,
                          .payload = bench->checker.pattern,
                          .payload_bytes = 100};
    struct packet ack = {.seq = ISS_B + 1,
                         .ack = ISS_A + 101,
                         .flags = PACKET_ACK,
                         .window = 1000,
                         .tsval = 901,
                         .tsecr = 101};
    add_options(&data, false);
    add_options(&ack, false);
    checker_begin(&bench->checker, CAUSE_CALL, NOW_NS);
    send_packet(bench, 0, &syn, 0);
    send_packet(bench, 1, &syn_ack, 0);
    bench->flow->half[1].app = (struct half_app){.known = true, .written = 1000};
    send_packet(bench, 0, &data, 0);
    send_packet(bench, 1, &ack, 0);
    assert_int_equal(bench->violation.rule, RULE_NONE);
}

static void doctor(struct bench *bench, const struct doctored *of)
{
    uint32_t seq = (of->side ? ISS_B + 1 : ISS_A + 101) + of->seq_add;
    uint32_t first = of->side ? ISS_B + 1 : ISS_A + 1;
    struct packet packet = {
        .seq = seq,
        .ack = (of->side ? ISS_A + 101 : ISS_B + 1) + of->ack_add,
        .flags = of->flags ? of->flags : PACKET_ACK,
        .window = of->window ? of->window : 1000,
        .urgent = of->urgent,
        .ip_ecn = of->ecn,
        .reserved = of->reserved,
        .tsval = (of->side ? 902u : 102u) + of->tsval_add,
        .tsecr = (of->side ? 101u : 901u) + of->tsecr_add,
        .payload = bench->checker.pattern + (seq - first + of->content_add) % PATTERN_BYTES,
        .payload_bytes = of->payload,
    };
    add_options(&packet, false);
    packet.order_count = of->no_timestamps ? 0 : packet.order_count;
    if (of->option) {
        packet.order[packet.order_count++] = of->option;
    }
    for (uint32_t i = 0; i < 2 && (of->sack[i][0] || of->sack[i][1]); i++) {
        packet.sack[i][0] = ISS_A + 101 + of->sack[i][0];
        packet.sack[i][1] = ISS_A + 101 + of->sack[i][1];
        packet.sack_count++;
    }
    if (packet.sack_count) {
        packet.order[packet.order_count++] = PACKET_OPTION_SACK;
    }
    if ((packet.flags & PACKET_RST) || of->flags == PACKET_SYN) {
        packet.order_count = 0;
    }
    send_packet(bench, of->side, &packet, of->flip);
}

static const struct doctored table[] = {
    {"a sound pure ACK", RULE_NONE, .tsval_add = 0},
    {"sound data up to the right edge", RULE_NONE, .payload = 900},
    {"a sound retransmission", RULE_NONE, .seq_add = (uint32_t)-100, .payload = 100},
    {"a sound abort", RULE_NONE, .flags = PACKET_RST},
    {"a sound RST that answers", RULE_NONE, .answers = true, .flags = PACKET_RST},
    {"a keep-alive probe", RULE_NONE, .seq_add = (uint32_t)-1},
    {"a DSACK", RULE_NONE, .side = 1, .sack = {{(uint32_t)-50, (uint32_t)-20}}},
    {"a flipped bit of the TCP checksum", RULE_packet_checksum, .flip = 36},
    {"a flipped bit of the payload", RULE_packet_checksum, .payload = 50, .flip = 60},
    {"a flipped bit of the IP checksum", RULE_packet_malformed, .flip = 10},
    {"a flipped bit of the IP length", RULE_packet_malformed, .flip = 3},
    {"an option of unknown kind", RULE_packet_malformed, .option = 77},
    {"timestamps twice", RULE_packet_malformed, .option = PACKET_OPTION_TIMESTAMPS},
    {"reserved bits", RULE_packet_header, .reserved = 4},
    {"SYN with RST", RULE_packet_header, .flags = PACKET_SYN | PACKET_RST},
    {"SYN with FIN", RULE_packet_header, .flags = PACKET_SYN | PACKET_FIN | PACKET_ACK},
    {"a segment above the peer's MSS", RULE_packet_size, .side = 1, .payload = 1449},
    {"MSS outside a SYN", RULE_option_place, .option = PACKET_OPTION_MSS},
    {"window scale outside a SYN", RULE_option_place, .option = PACKET_OPTION_WSCALE},
    {"SACK permitted outside a SYN", RULE_option_place, .option = PACKET_OPTION_SACK_PERMITTED},
    {"a SYN without MSS", RULE_option_place, .flags = PACKET_SYN, .tsecr_add = (uint32_t)-901},
    {"no timestamps", RULE_timestamp_missing, .no_timestamps = true},
    {"a TSval that went back", RULE_timestamp_back, .tsval_add = (uint32_t)-2},
    {"a TSecr never sent", RULE_timestamp_echo, .tsecr_add = 50},
    {"a TSecr older than the connection", RULE_timestamp_echo, .tsecr_add = (uint32_t)-50},
    {"a SACK block beyond what was sent", RULE_sack_block, .side = 1, .sack = {{10, 20}}},
    {"an empty SACK block", RULE_sack_block, .side = 1, .sack = {{(uint32_t)-20, (uint32_t)-20}}},
    {"a second SACK block below the ACK", RULE_sack_block, .side = 1,
     .sack = {{(uint32_t)-50, (uint32_t)-20}, {(uint32_t)-90, (uint32_t)-80}}},
    {"an RST with another number", RULE_rst_form, .flags = PACKET_RST, .seq_add = 5000},
    {"an RST with an ACK it need not have", RULE_rst_form, .flags = PACKET_RST | PACKET_ACK},
    {"an RST for an RST", RULE_rst_for_rst, .flags = PACKET_RST, .after_rst = true},
    {"a FIN without ACK", RULE_no_ack_flag, .flags = PACKET_FIN},
    {"data two beyond the right edge", RULE_beyond_window, .payload = 899, .side = 1, .seq_add = 0,
     .ack_add = 0, .window = 1000, .content_add = 0, .tsval_add = 1},
    {"a right edge that moved left", RULE_window_shrunk, .window = 999},
    {"an ACK that went back", RULE_ack_back, .side = 1, .ack_add = (uint32_t)-1},
    {"an ACK of what was not sent", RULE_ack_unsent, .side = 1, .ack_add = 1},
    {"a gap in sequence numbers", RULE_seq_gap, .seq_add = 1, .payload = 10},
    {"numbers before the ISN", RULE_seq_gap, .seq_add = (uint32_t)-103},
    {"other bytes in a retransmission", RULE_content, .seq_add = (uint32_t)-100, .payload = 100,
     .content_add = 1},
    {"data that nobody gave", RULE_content, .payload = 901},
    {"a FIN before the application closed", RULE_fin_place, .flags = PACKET_FIN | PACKET_ACK},
    {"an urgent pointer to nowhere", RULE_urgent_pointer, .payload = 10, .urgent = 40,
     .flags = PACKET_ACK | PACKET_URG},
    {"ECT on a pure ACK", RULE_ecn, .ecn = 2},
    {"ECT on unnegotiated data", RULE_ecn, .ecn = 2, .payload = 10},
    {"an SYN-ACK for no SYN", RULE_ack_unsent, .side = 1, .flags = PACKET_SYN | PACKET_ACK,
     .ack_add = 77},
};

static bool case_is(const struct doctored *of, struct bench *bench)
{
    bench_begin(bench);
    converse(bench);
    struct half *half = &bench->flow->half[of->side];
    checker_begin(&bench->checker, CAUSE_CALL, NOW_NS);
    if (of->rule == RULE_beyond_window) {
        half->edge_seen = half->snd_max + of->payload - 2;
    }
    if (of->after_rst || of->answers) {
        struct checked came = {
            .packet = {.flags = of->answers ? PACKET_ACK : PACKET_RST, .ack = ISS_A + 101},
            .ref = {0, 1 - of->side}};
        checker_begin(&bench->checker, CAUSE_DELIVERY, NOW_NS);
        checker_received(&bench->checker, &came);
    }
    if ((of->flags & PACKET_SYN) && of->side == 1) {
        /* Its options must be in order for the number to be looked at. */
        struct packet packet = {.seq = 9, .ack = of->ack_add, .flags = of->flags, .window = 1};
        add_options(&packet, true);
        send_packet(bench, 1, &packet, 0);
    } else {
        doctor(bench, of);
    }
    checker_destroy(&bench->checker);
    return bench->violation.rule == of->rule;
}

static void each_doctored_packet_is_caught_by_its_rule(void **state)
{
    (void)state;
    struct bench bench;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        if (!case_is(&table[i], &bench)) {
            fail_msg("%s: expected %s, got %s: %s", table[i].name, rule_name(table[i].rule),
                     rule_name(bench.violation.rule), bench.violation.text);
        }
    }
}

static void the_fin_stays_where_it_was(void **state)
{
    (void)state;
    struct bench bench;
    bench_begin(&bench);
    converse(&bench);
    bench.flow->half[0].app.closed = true;
    bench.flow->half[0].app.written = 100;
    checker_begin(&bench.checker, CAUSE_CALL, NOW_NS);
    doctor(&bench, &(struct doctored){.flags = PACKET_FIN | PACKET_ACK});
    assert_int_equal(bench.violation.rule, RULE_NONE);
    doctor(&bench, &(struct doctored){.flags = PACKET_FIN | PACKET_ACK});
    assert_int_equal(bench.violation.rule, RULE_NONE);
    doctor(&bench, &(struct doctored){.flags = PACKET_FIN | PACKET_ACK, .seq_add = (uint32_t)-1});
    assert_int_equal(bench.violation.rule, RULE_fin_place);
    checker_destroy(&bench.checker);
}

static void endless_answers_to_pure_acks_are_caught(void **state)
{
    (void)state;
    struct bench bench;
    bench_begin(&bench);
    converse(&bench);
    uint32_t rounds = 0;
    while (bench.violation.rule == RULE_NONE && rounds < 1000) {
        doctor(&bench, &(struct doctored){.side = rounds++ & 1});
    }
    assert_int_equal(bench.violation.rule, RULE_ack_storm);
    checker_destroy(&bench.checker);
}

static void a_burst_of_pure_acks_is_caught(void **state)
{
    (void)state;
    struct bench bench;
    bench_begin(&bench);
    converse(&bench);
    checker_begin(&bench.checker, CAUSE_TIMER, NOW_NS);
    struct packet packet = {.source = 0x0a000001,
                            .target = 0x0a000002,
                            .source_port = 4000,
                            .target_port = 7000,
                            .seq = ISS_A + 101,
                            .ack = ISS_B + 1,
                            .flags = PACKET_ACK,
                            .window = 1000,
                            .tsval = 102,
                            .tsecr = 901};
    add_options(&packet, false);
    size_t count = packet_build(&packet, bench.bytes, sizeof(bench.bytes));
    struct checked checked;
    for (uint32_t i = 0; i < 3; i++) {
        checker_sent(&bench.checker, 0, bench.bytes, count, &checked);
    }
    assert_int_equal(bench.violation.rule, RULE_ack_storm);
    checker_destroy(&bench.checker);
}

/* An active opening of A's that asked for ECN, and B's SYN that crosses it. */
static void cross(struct bench *bench, uint8_t again, uint8_t flags_of_b)
{
    struct packet syn = syn_of_a();
    syn.flags = PACKET_SYN | PACKET_ECE | PACKET_CWR;
    struct packet other = {.seq = ISS_B, .flags = flags_of_b, .window = 4000, .tsval = 900};
    add_options(&other, true);
    checker_begin(&bench->checker, CAUSE_CALL, NOW_NS);
    bench->flow->half[0].app = (struct half_app){.known = true, .written = 1000};
    send_packet(bench, 0, &syn, 0);
    if (again) {
        syn.flags = again;
        send_packet(bench, 0, &syn, 0);
    }
    send_packet(bench, 1, &other, 0);
    doctor(bench,
           &(struct doctored){
               .payload = 10, .seq_add = (uint32_t)-100, .ecn = 2, .tsecr_add = (uint32_t)-1});
}

/* RFC 3168 6.1.1 counts SYNs and SYN-ACKs alike: one that asks has come, and no other was sent. */
static void a_crossing_syn_agrees_on_ecn_and_a_plain_one_of_ours_does_not(void **state)
{
    (void)state;
    static const struct {
        uint8_t again;
        uint8_t of_b;
        enum rule rule;
    } cases[] = {
        {0, PACKET_SYN | PACKET_ECE | PACKET_CWR, RULE_NONE},
        {0, PACKET_SYN | PACKET_ECE, RULE_ecn},
        {0, PACKET_SYN, RULE_ecn},
        {PACKET_SYN, PACKET_SYN | PACKET_ECE | PACKET_CWR, RULE_ecn},
        {PACKET_SYN | PACKET_ECE | PACKET_CWR, PACKET_SYN | PACKET_ECE | PACKET_CWR, RULE_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bench bench;
        bench_begin(&bench);
        cross(&bench, cases[i].again, cases[i].of_b);
        assert_int_equal(bench.violation.rule, cases[i].rule);
        checker_destroy(&bench.checker);
    }
}

/* Two cookies answer a SYN that came twice, and the first is taken up: its timestamp may be echoed,
 * one before it not. */
static void the_timestamp_of_the_answer_that_was_taken_up_may_be_echoed(void **state)
{
    (void)state;
    for (uint32_t back = 0; back < 2; back++) {
        struct bench bench;
        bench_begin(&bench);
        struct packet syn = syn_of_a();
        struct packet answer = syn_ack_of_b();
        struct packet fin = fin_of_b(1600);
        checker_begin(&bench.checker, CAUSE_CALL, NOW_NS);
        send_packet(&bench, 0, &syn, 0);
        send_packet(&bench, 1, &answer, 0);
        struct packet second = answer;
        second.seq = ISS_B + 70000;
        second.tsval = 1500;
        send_packet(&bench, 1, &second, 0);
        send_packet(&bench, 1, &fin, 0);
        doctor(&bench,
               &(struct doctored){.seq_add = (uint32_t)-100, .tsecr_add = (uint32_t)-1 - back});
        assert_int_equal(bench.violation.rule, back ? RULE_timestamp_echo : RULE_NONE);
        checker_destroy(&bench.checker);
    }
}

/* What the run no longer knows of an end does not take away what is to be answered now. */
static void an_end_that_is_forgotten_may_still_answer_what_came(void **state)
{
    (void)state;
    for (uint32_t wrong = 0; wrong < 2; wrong++) {
        struct bench bench;
        bench_begin(&bench);
        converse(&bench);
        struct checked came = {.packet = {.flags = PACKET_ACK, .ack = ISS_B + 99}, .ref = {0, 0}};
        checker_begin(&bench.checker, CAUSE_DELIVERY, NOW_NS);
        checker_received(&bench.checker, &came);
        checker_forget(&bench.flow->half[1]);
        struct packet answer = syn_ack_of_b();
        answer.seq = ISS_B + 500;
        answer.tsval = 950;
        struct packet reset = {.seq = ISS_B + 99 + wrong, .flags = PACKET_RST};
        send_packet_only(&bench, 1, &answer);
        send_packet_only(&bench, 1, &reset);
        assert_int_equal(bench.violation.rule, wrong ? RULE_rst_form : RULE_NONE);
        checker_destroy(&bench.checker);
    }
}

/* A record of the SYN cache sends its answer again, though the peer opened anew so often since that
 * its SYN is long past: the same answer, and as long as nothing else was sent. */
static void the_answer_to_a_syn_may_come_again_after_any_number_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t iss_add;
        uint32_t irs_add;
        bool ends_first;
        enum rule rule;
    } cases[] = {
        {"the same answer", 0, 0, false, RULE_NONE},
        {"with another ISN", 1, 0, false, RULE_ack_unsent},
        {"to another SYN", 0, 1, false, RULE_ack_unsent},
        {"behind a FIN", 0, 0, true, RULE_ack_unsent},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct bench bench;
        bench_begin(&bench);
        struct packet syn = syn_of_a();
        struct packet answer = syn_ack_of_b();
        checker_begin(&bench.checker, CAUSE_CALL, NOW_NS);
        send_packet(&bench, 0, &syn, 0);
        send_packet(&bench, 1, &answer, 0);
        if (cases[i].ends_first) {
            struct packet fin = fin_of_b(900);
            bench.flow->half[1].app = (struct half_app){.known = true, .closed = true};
            send_packet(&bench, 1, &fin, 0);
        }
        for (uint32_t again = 1; again <= FLOW_SYNS; again++) {
            syn.seq = ISS_A + 100000 * again;
            send_packet(&bench, 0, &syn, 0);
        }
        assert_int_equal(bench.violation.rule, RULE_NONE);
        answer.seq += cases[i].iss_add;
        answer.ack += cases[i].irs_add;
        send_packet(&bench, 1, &answer, 0);
        if (bench.violation.rule != cases[i].rule) {
            fail_msg("%s: %s", cases[i].name, bench.violation.text);
        }
        checker_destroy(&bench.checker);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_doctored_packet_is_caught_by_its_rule),
        cmocka_unit_test(the_fin_stays_where_it_was),
        cmocka_unit_test(endless_answers_to_pure_acks_are_caught),
        cmocka_unit_test(a_burst_of_pure_acks_is_caught),
        cmocka_unit_test(a_crossing_syn_agrees_on_ecn_and_a_plain_one_of_ours_does_not),
        cmocka_unit_test(the_timestamp_of_the_answer_that_was_taken_up_may_be_echoed),
        cmocka_unit_test(an_end_that_is_forgotten_may_still_answer_what_came),
        cmocka_unit_test(the_answer_to_a_syn_may_come_again_after_any_number_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
