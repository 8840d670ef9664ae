/* TCP and the layer below: RFC 9293 section 3.9.2; ICMP errors by RFC 5927 and 1191; RFC 5961's
 * checks of acknowledgments and its limit.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

#define ROUTER 0x0a020001u
#define UNREACHABLE 3
#define SOURCE_QUENCH 4
#define TIME_EXCEEDED 11
#define PARAMETER_PROBLEM 12

/* Sends an ICMP error about the packet that the host sent last, `moved` behind its sequence
 * number. */
static void send_icmp(struct fixture *f, uint8_t type, uint8_t code, uint32_t rest, uint32_t moved)
{
    uint8_t quoted[28];
    uint8_t bytes[128];
    memcpy(quoted, f->bytes, sizeof quoted);
    uint32_t seq = f->last.seq + f->iss + moved;
    for (size_t i = 0; i < 4; i++) {
        quoted[24 + i] = (uint8_t)(seq >> (24u - 8u * i));
    }
    struct packet_icmp icmp = {.source = ROUTER,
                               .target = f->host_address,
                               .type = type,
                               .code = code,
                               .rest = rest,
                               .body = quoted,
                               .body_bytes = sizeof quoted};
    fixture_send_raw(f, bytes, packet_build_icmp(&icmp, bytes));
}

static void soft_errors_are_told_and_do_not_abort(void **state)
{
    (void)state;
    static const uint8_t rows[][2] = {
        {UNREACHABLE, 0},   {UNREACHABLE, 1},   {UNREACHABLE, 5},
        {TIME_EXCEEDED, 0}, {TIME_EXCEEDED, 1}, {PARAMETER_PROBLEM, 0},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f); /* MUST-47, 54, 56, SHLD-25 */
        established(&f);
        fixture_write(&f, 10);
        RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
        send_icmp(&f, rows[i][0], rows[i][1], 0, 0);
        STATE(&f, FWS_STATE_ESTABLISHED);
        assert_true(fixture_info(&f).soft_error < 0);
        assert_int_equal(fixture_info(&f).error, 0);
        struct fws_event events[4];
        assert_int_equal(fws_poll(f.host, events, 4), 1);
        assert_int_equal(events[0].ready & (FWS_TROUBLE | FWS_ERROR), FWS_TROUBLE);
        assert_int_equal(fws_poll(f.host, events, 4), 0);
        send_icmp(&f, rows[i][0], rows[i][1], 0, 0); /* again, and read meanwhile */
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "abc", .bytes = 3);
        assert_int_equal(fixture_read_all(&f), 3);
        assert_int_equal(fws_poll(f.host, events, 4), 1);
        SEND(&f, .flags = ACK, .seq = 4, .ack = 11);
        assert_int_equal(fws_ready(f.host, f.conn) & FWS_TROUBLE, 0);
        STATE(&f, FWS_STATE_ESTABLISHED);
        fixture_end(&f);
    }
}

static void a_soft_error_in_syn_sent_does_not_abort_but_names_the_reason(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-56 */
    syn_sent(&f);
    send_icmp(&f, UNREACHABLE, 1, 0, 0);
    STATE(&f, FWS_STATE_SYN_SENT);
    assert_int_equal(fixture_info(&f).soft_error, -EHOSTUNREACH);
    SEND(&f, .flags = SYN | ACK, .ack = 1);
    STATE(&f, FWS_STATE_ESTABLISHED);
    fixture_end(&f);
}

static void hard_errors_end_an_open(void **state)
{
    (void)state;
    for (uint8_t code = 2; code <= 3; code++) {
        struct fixture f;
        fixture_init(&f); /* SHLD-26, section 3.8.3 */
        syn_sent(&f);
        send_icmp(&f, UNREACHABLE, code, 0, 0);
        STATE(&f, FWS_STATE_NONE);
        assert_true(fixture_info(&f).error < 0);
        assert_true((fws_ready(f.host, f.conn) & FWS_ERROR) != 0);
        fixture_end(&f);
    }
}

static void hard_errors_do_not_end_a_synchronised_connection(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.9.2.2, RFC 5461 and 5927: anyone could send them */
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    send_icmp(&f, UNREACHABLE, 3, 0, 0);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_true(fixture_info(&f).soft_error < 0);
    fixture_end(&f);
}

static void an_error_about_nothing_in_flight_is_ignored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5927 section 4.1 */
    syn_sent(&f);
    send_icmp(&f, UNREACHABLE, 3, 0, 1);
    send_icmp(&f, UNREACHABLE, 3, 0, (uint32_t)-1);
    STATE(&f, FWS_STATE_SYN_SENT);
    assert_int_equal(fixture_info(&f).soft_error, 0);
    fixture_end(&f);
    fixture_init(&f);
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    send_icmp(&f, UNREACHABLE, 4, 600, 100000);
    assert_int_equal(fixture_info(&f).mss, 1460);
    fixture_end(&f);
}

static void source_quench_is_discarded_silently(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-55 */
    established(&f);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    uint32_t cwnd = fixture_info(&f).cwnd;
    send_icmp(&f, SOURCE_QUENCH, 0, 0, 0);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_info(&f).cwnd, cwnd);
    assert_int_equal(fixture_info(&f).soft_error, 0);
    fixture_end(&f);
}

static void fragmentation_needed_makes_segments_smaller_and_sends_them_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.7.2, RFC 1191 */
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    assert_true(fixture_fetch(&f));
    assert_true(f.last.do_not_fragment);
    assert_int_equal(f.last.bytes, 1460);
    send_icmp(&f, UNREACHABLE, 4, 1000, 0);
    assert_int_equal(fixture_info(&f).mss, 960);
    fixture_wait(&f, SEC);
    bool again = false;
    while (fixture_fetch(&f)) {
        again = again || f.last.seq == 1;
        assert_true(f.last_bytes <= 1000 || f.last.seq != 1);
    }
    assert_true(again);
    fixture_end(&f);
}

static void a_path_mtu_never_rises_nor_falls_below_what_ip_guarantees(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 1191 section 3: never below 68; and never a rise by ICMP */
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    assert_true(fixture_fetch(&f));
    send_icmp(&f, UNREACHABLE, 4, 20, 0);
    assert_true(fixture_info(&f).mss >= 28);
    uint32_t mss = fixture_info(&f).mss;
    send_icmp(&f, UNREACHABLE, 4, 9000, 0);
    assert_true(fixture_info(&f).mss <= 1460 && fixture_info(&f).mss == mss);
    fixture_end(&f);
}

static void path_mtu_discovery_can_be_switched_off(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off = FWS_PATH_MTU;
    established_without_timestamps(&f);
    fixture_write(&f, 3000);
    assert_true(fixture_fetch(&f));
    send_icmp(&f, UNREACHABLE, 4, 1000, 0);
    assert_int_equal(fixture_info(&f).mss, 1460);
    fixture_end(&f);
}

static void segments_from_or_to_no_single_host_are_discarded(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {0, 1, 0xffffffff, 0xe0000001, 0x7f000001};
    struct fixture f;
    fixture_init(&f); /* MUST-57, MUST-63 */
    listening(&f);
    for (size_t i = 0; i < TABLE_COUNT(wrong); i++) {
        struct packet syn = {.source = wrong[i],
                             .target = HOST_ADDRESS,
                             .source_port = PEER_PORT,
                             .target_port = LISTEN_PORT,
                             .flags = SYN,
                             .seq = 1};
        uint8_t bytes[64];
        fixture_send_raw(&f, bytes, packet_build(&syn, bytes));
    }
    static const uint32_t targets[] = {0xffffffff, 0xe0000001, 0x7f000001};
    for (size_t i = 0; i < TABLE_COUNT(targets); i++) {
        SEND(&f, .target = targets[i], .flags = SYN);
        SEND(&f, .target = targets[i], .flags = ACK, .seq = 1, .ack = 1);
    }
    RECV_NOTHING(&f);
    struct fws_census census = {.size = sizeof census};
    fws_census(f.host, &census);
    assert_int_equal(census.half_open_records, 0);
    fixture_end(&f);
}

static void packets_for_others_are_discarded(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    listening(&f);
    SEND(&f, .target = 0x0a000009, .flags = SYN);
    SEND(&f, .target = 0x08080808, .flags = ACK, .ack = 3);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void ttl_is_a_setting_of_the_host_and_of_a_connection(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-49 */
    f.config.ttl = 99;
    syn_sent(&f);
    assert_int_equal(f.last.ttl, 99);
    fixture_end(&f);
    fixture_init(&f);
    f.options.ttl = 7;
    established(&f);
    assert_int_equal(f.last.ttl, 7);
    fixture_end(&f);
    fixture_init(&f);
    syn_sent(&f);
    assert_int_equal(f.last.ttl, 64);
    fixture_end(&f);
}

/* Also on what its record does not send itself: SYN-ACK, ACKs of the SYN cache, the ACK that leads
 * to TIME_WAIT, the RST of an abort. What answers once it is gone has the host's. */
static void ttl_is_on_all_that_is_sent_for_a_connection(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.options.ttl = 7;
    syn_received(&f);
    assert_int_equal(f.last.ttl, 7);
    SEND(&f, .flags = ACK, .seq = 1u << 30, .ack = 1);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.ttl, 7);
    fixture_end(&f);
    fixture_init(&f);
    f.options.ttl = 7;
    established(&f);
    assert_int_equal(fws_shutdown(f.host, f.conn), 0);
    RECV(&f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    assert_int_equal(f.last.ttl, 7);
    SEND(&f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(&f, .flags = ACK, .seq = 2, .ack = 2);
    assert_int_equal(f.last.ttl, 64);
    fixture_end(&f);
    fixture_init(&f);
    f.options.ttl = 7;
    established(&f);
    assert_int_equal(fws_abort(f.host, f.conn), 0);
    RECV(&f, .flags = RST, .seq = 1);
    assert_int_equal(f.last.ttl, 7);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 1);
    RECV(&f, .flags = RST, .seq = 1);
    assert_int_equal(f.last.ttl, 64);
    fixture_end(&f);
}

static void the_diffserv_field_is_the_applications_and_may_change(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MUST-48, SHLD-21, 22 */
    f.options.dscp = 46;
    established(&f);
    assert_int_equal(f.last.tos, 46 << 2);
    SEND(&f, .flags = ACK, .seq = 100, .ack = 1, .data = "a", .bytes = 1, .tos = 10 << 2);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(f.last.tos, 46 << 2); /* in each direction by itself */
    struct fws_options options = {.size = sizeof options};
    assert_int_equal(fws_get_options(f.host, f.conn, &options), 0);
    options.dscp = 8;
    assert_int_equal(fws_set_options(f.host, f.conn, &options), 0);
    fixture_write(&f, 10);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1, .bytes = 10);
    assert_int_equal(f.last.tos, 8 << 2);
    options.dscp = 64;
    assert_int_equal(fws_set_options(f.host, f.conn, &options), -EINVAL);
    fixture_end(&f);
    fixture_init(&f);
    f.options.dscp = 46;
    syn_received(&f);
    assert_int_equal(f.last.tos, 46 << 2);
    fixture_end(&f);
}

static void ip_options_that_tcp_does_not_understand_are_ignored(void **state)
{
    (void)state;
    static const uint8_t rows[][8] = {
        {148, 4, 0, 0, 1, 1, 1, 0},  /* MUST-50: router alert */
        {68, 8, 5, 0, 0, 0, 0, 0},   /* a timestamp */
        {7, 7, 4, 0, 0, 0, 0, 0},    /* record route */
        {0x9e, 8, 1, 2, 3, 4, 5, 6}, /* an experiment */
    };
    struct fixture f;
    fixture_init(&f);
    established(&f);
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        SEND(&f, .flags = ACK, .seq = 1u + (uint32_t)i, .ack = 1, .data = "a", .bytes = 1,
             .ip_options = rows[i], .ip_options_bytes = 8);
    }
    assert_int_equal(fixture_read_all(&f), 4);
    fixture_end(&f);
}

static void an_echo_is_answered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 1122 section 3.2.2.6 */
    fixture_start(&f);
    uint8_t bytes[64];
    struct packet_icmp echo = {.source = PEER_ADDRESS,
                               .target = HOST_ADDRESS_2,
                               .type = 8,
                               .rest = 0x12340001,
                               .body = (const uint8_t *)"ping",
                               .body_bytes = 4};
    fixture_send_raw(&f, bytes, packet_build_icmp(&echo, bytes));
    assert_true(fixture_fetch(&f));
    assert_int_equal(f.last.protocol, 1);
    assert_int_equal(f.last.source, HOST_ADDRESS_2);
    assert_int_equal(f.last.target, PEER_ADDRESS);
    const uint8_t *message = f.last.data;
    assert_int_equal(f.last.bytes, 12);
    assert_int_equal(message[0], 0);
    assert_memory_equal(message + 4, "\x12\x34\x00\x01ping", 8);
    assert_int_equal(packet_sum_finish(packet_sum(0, message, 12)), 0);
    fixture_end(&f);
}

static void an_ack_outside_its_range_is_discarded_and_answered(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* MAY-12, RFC 5961 section 5.2 */
    f.window = 1000;
    established(&f);
    SEND(&f, .flags = ACK, .seq = 1, .ack = 2, .data = "abc", .bytes = 3); /* > SND.NXT */
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    SEND(&f, .flags = ACK, .seq = 1, .ack = (uint32_t)-1000, .data = "abc", .bytes = 3);
    RECV(&f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fixture_read_all(&f), 0);
    SEND(&f, .flags = ACK, .seq = 1, .ack = (uint32_t)-999, .data = "abc", .bytes = 3);
    assert_int_equal(fixture_read_all(&f), 3); /* SND.UNA - MAX.SND.WND */
    fixture_end(&f);
}

static void a_segment_without_ack_is_dropped(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* 3.10.7.4 fifth */
    established(&f);
    SEND(&f, .flags = 0, .seq = 1, .data = "abc", .bytes = 3);
    SEND(&f, .flags = FIN, .seq = 1);
    RECV_NOTHING(&f);
    STATE(&f, FWS_STATE_ESTABLISHED);
    assert_int_equal(fixture_read_all(&f), 0);
    fixture_end(&f);
}

static void challenge_acks_keep_a_limit_that_is_not_the_same_each_second(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 5961 section 7, CVE-2016-5696 */
    f.config.challenge_ack_per_sec = 100;
    established(&f);
    size_t counts[8];
    bool differs = false;
    for (size_t i = 0; i < 8; i++) {
        counts[i] = 0;
        fixture_pass(&f, SEC);
        for (size_t j = 0; j < 300; j++) {
            SEND(&f, .flags = SYN, .seq = 77);
            counts[i] += fixture_drain(&f);
        }
        assert_in_range(counts[i], 1, 100);
        differs = differs || counts[i] != counts[0];
    }
    assert_true(differs);
    assert_true(fixture_counter(&f, "challenge_acks_limited") > 0);
    fixture_end(&f);
}

static void a_packet_with_a_source_route_is_refused_and_counted(void **state)
{
    (void)state;
    static const uint8_t rows[][8] = {
        {131, 7, 4, 10, 2, 0, 1, 0}, /* loose: RFC 7126 section 4.3 */
        {1, 137, 7, 8, 10, 2, 0, 1}, /* strict, and all of it travelled: section 4.4 */
    };
    struct fixture f;
    fixture_init(&f);
    established(&f);
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        SEND(&f, .flags = ACK, .seq = 1, .ack = 1, .data = "a", .bytes = 1, .ip_options = rows[i],
             .ip_options_bytes = 8);
        RECV_NOTHING(&f);
    }
    assert_int_equal(fixture_read_all(&f), 0);
    assert_int_equal(fixture_counter(&f, "packets_source_routed"), 2);
    fixture_end(&f);
}

static void errors_about_a_half_open_connection_end_it_only_when_they_are_hard(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* section 3.9.2.2, SHLD-26; RFC 5461 */
    syn_received(&f);
    send_icmp(&f, UNREACHABLE, 1, 0, 0);
    send_icmp(&f, TIME_EXCEEDED, 0, 0, 0);
    send_icmp(&f, UNREACHABLE, 4, 600, 0);
    assert_int_equal(fixture_counter(&f, "icmp_soft"), 3);
    send_icmp(&f, UNREACHABLE, 3, 0, 1); /* not our SYN-ACK's number */
    assert_int_equal(fixture_counter(&f, "icmp_ignored"), 1);
    STATE(&f, FWS_STATE_SYN_RECEIVED);
    send_icmp(&f, UNREACHABLE, 3, 0, 0);
    STATE(&f, FWS_STATE_NONE);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "icmp_hard"), 1);
    fixture_end(&f);
}

/* Hands in the part [start, end) of a datagram of 3000 bytes of `protocol`, whose bytes are `fill`.
 */
static void send_fragment(struct fixture *f, uint8_t protocol, uint32_t start, uint32_t end)
{
    uint8_t bytes[20 + 1480] = {0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, protocol};
    uint32_t length = 20u + end - start;
    uint32_t field = start / 8u | (end < 3000 ? 0x2000u : 0u);
    memset(bytes + 20, 5, end - start);
    bytes[2] = (uint8_t)(length >> 8);
    bytes[3] = (uint8_t)length;
    bytes[6] = (uint8_t)(field >> 8);
    bytes[7] = (uint8_t)field;
    for (uint32_t i = 0; i < 4; i++) {
        bytes[12 + i] = (uint8_t)(PEER_ADDRESS >> (24u - 8u * i));
        bytes[16 + i] = (uint8_t)(HOST_ADDRESS_2 >> (24u - 8u * i));
    }
    uint16_t sum = packet_sum_finish(packet_sum(0, bytes, 20));
    bytes[10] = (uint8_t)(sum >> 8);
    bytes[11] = (uint8_t)sum;
    fixture_send_raw(f, bytes, length);
}

static void the_source_of_a_datagram_that_never_came_whole_is_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 1122 section 3.3.2 */
    fixture_start(&f);
    send_fragment(&f, 6, 1480, 2960);
    send_fragment(&f, 6, 0, 1480);
    assert_in_range(fixture_wait(&f, 200u * SEC), 30u * SEC, 120u * SEC);
    assert_true(fixture_fetch(&f) || f.has_pending);
    assert_int_equal(f.last.protocol, 1);
    assert_int_equal(f.last.source, HOST_ADDRESS_2);
    assert_int_equal(f.last.target, PEER_ADDRESS);
    const uint8_t *message = f.last.data;
    assert_int_equal(f.last.bytes, 8 + 28);
    assert_int_equal(message[0], TIME_EXCEEDED);
    assert_int_equal(message[1], 1);
    assert_int_equal(packet_sum_finish(packet_sum(0, message, 36)), 0);
    assert_memory_equal(message + 4, "\0\0\0\0\x45", 5);
    assert_int_equal(message[8 + 3], (uint8_t)1500);
    assert_int_equal(message[8 + 6], 0x20); /* the first fragment, more to come */
    assert_memory_equal(message + 28, "\5\5\5\5\5\5\5\5", 8);
    f.has_pending = false;
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "time_exceeded_sent"), 1);
    fixture_end(&f);
}

/* Without the first fragment nothing can be quoted; an ICMP error (type 5 here) never is. */
static void nobody_is_told_of_what_cannot_be_quoted_or_is_an_error_itself(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f); /* RFC 1122 sections 3.3.2 and 3.2.2 */
    fixture_start(&f);
    send_fragment(&f, 6, 1480, 2960);
    send_fragment(&f, 1, 0, 1480);
    assert_true(fixture_wait(&f, 200u * SEC) == UINT64_MAX);
    assert_int_equal(fixture_counter(&f, "datagrams_expired"), 2);
    fixture_end(&f);
}

static void only_so_many_icmp_messages_wait(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_start(&f);
    uint8_t bytes[64];
    struct packet_icmp echo = {.source = PEER_ADDRESS,
                               .target = HOST_ADDRESS_2,
                               .type = 8,
                               .body = (const uint8_t *)"ping",
                               .body_bytes = 4};
    send_fragment(&f, 6, 0, 1480);
    for (uint32_t i = 0; i < 64; i++) {
        fixture_send_raw(&f, bytes, packet_build_icmp(&echo, bytes));
    }
    fixture_pass(&f, 200u * SEC);
    assert_int_equal(fixture_counter(&f, "time_exceeded_dropped"), 1);
    assert_int_equal(fixture_drain(&f), 64);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_errors_are_told_and_do_not_abort),
        cmocka_unit_test(a_soft_error_in_syn_sent_does_not_abort_but_names_the_reason),
        cmocka_unit_test(hard_errors_end_an_open),
        cmocka_unit_test(hard_errors_do_not_end_a_synchronised_connection),
        cmocka_unit_test(an_error_about_nothing_in_flight_is_ignored),
        cmocka_unit_test(source_quench_is_discarded_silently),
        cmocka_unit_test(fragmentation_needed_makes_segments_smaller_and_sends_them_again),
        cmocka_unit_test(a_path_mtu_never_rises_nor_falls_below_what_ip_guarantees),
        cmocka_unit_test(path_mtu_discovery_can_be_switched_off),
        cmocka_unit_test(segments_from_or_to_no_single_host_are_discarded),
        cmocka_unit_test(packets_for_others_are_discarded),
        cmocka_unit_test(ttl_is_a_setting_of_the_host_and_of_a_connection),
        cmocka_unit_test(ttl_is_on_all_that_is_sent_for_a_connection),
        cmocka_unit_test(the_diffserv_field_is_the_applications_and_may_change),
        cmocka_unit_test(ip_options_that_tcp_does_not_understand_are_ignored),
        cmocka_unit_test(an_echo_is_answered),
        cmocka_unit_test(an_ack_outside_its_range_is_discarded_and_answered),
        cmocka_unit_test(a_segment_without_ack_is_dropped),
        cmocka_unit_test(challenge_acks_keep_a_limit_that_is_not_the_same_each_second),
        cmocka_unit_test(a_packet_with_a_source_route_is_refused_and_counted),
        cmocka_unit_test(errors_about_a_half_open_connection_end_it_only_when_they_are_hard),
        cmocka_unit_test(the_source_of_a_datagram_that_never_came_whole_is_told),
        cmocka_unit_test(nobody_is_told_of_what_cannot_be_quoted_or_is_an_error_itself),
        cmocka_unit_test(only_so_many_icmp_messages_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
