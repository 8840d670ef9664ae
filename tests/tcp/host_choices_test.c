/* What a program that churns connections chooses of a host: no TIME_WAIT, which source ports, which
 * addresses, and whether a FIN's ACK waits for company.
 *
 * Layer: tests. */
#include <errno.h>

#include "tcp/host_fixture.h"

static void start_without_time_wait(struct fixture *f)
{
    fixture_init(f);
    f->options = (struct fws_options){.size = sizeof f->options, .no_time_wait = 1};
}

static void without_time_wait_nothing_is_kept_once_our_fin_is_acknowledged(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    STATE(&f, FWS_STATE_FIN_WAIT_1);
    SEND(&f, .seq = 1, .ack = 2, .flags = ACK);
    STATE(&f, FWS_STATE_NONE);
    RECV_NOTHING(&f);
    SEND(&f, .seq = 1, .ack = 2, .flags = FIN | ACK); /* finds no connection */
    RECV(&f, .seq = 2, .flags = RST);
    assert_int_equal(fixture_counter(&f, "closed_no_time_wait"), 1);
    assert_int_equal(fixture_counter(&f, "time_wait_started"), 0);
    fixture_end(&f);
}

static void without_time_wait_a_fin_that_acknowledges_ours_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(&f, .seq = 1, .ack = 2, .flags = FIN | ACK);
    RECV(&f, .seq = 2, .flags = RST);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

static void without_time_wait_fins_that_cross_leave_nothing(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    established(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    STATE(&f, FWS_STATE_CLOSING);
    RECV(&f, .seq = 2, .ack = 2, .flags = ACK);
    SEND(&f, .seq = 2, .ack = 2, .flags = ACK);
    STATE(&f, FWS_STATE_NONE);
    RECV_NOTHING(&f);
    fixture_end(&f);
}

static void without_time_wait_a_close_after_the_fins_ack_resets_the_peer(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    fin_wait_2(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 2, .flags = RST);
    STATE(&f, FWS_STATE_NONE);
    fixture_end(&f);
}

/* The wish counts from fws_close on: who still reads gets the peer's bytes and its FIN. */
static void without_time_wait_a_half_close_still_ends_in_time_wait(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    fin_wait_2(&f);
    SEND(&f, .seq = 1, .ack = 2, .flags = ACK, .data = "late", .bytes = 4);
    SEND(&f, .seq = 5, .ack = 2, .flags = FIN | ACK);
    STATE(&f, FWS_STATE_TIME_WAIT);
    assert_int_equal(fixture_read_all(&f), 4);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

static void who_answers_a_fin_without_time_wait_ends_by_last_ack_as_ever(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    close_wait(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 2, .flags = FIN | ACK);
    SEND(&f, .seq = 2, .ack = 2, .flags = ACK);
    STATE(&f, FWS_STATE_NONE);
    RECV_NOTHING(&f);
    assert_int_equal(fixture_counter(&f, "closed_no_time_wait"), 0);
    fixture_end(&f);
}

static void the_wish_for_no_time_wait_is_told_and_can_be_taken_back(void **state)
{
    (void)state;
    struct fixture f;
    start_without_time_wait(&f);
    established(&f);
    struct fws_options told = {.size = sizeof told};
    assert_int_equal(fws_get_options(f.host, f.conn, &told), 0);
    assert_int_equal(told.no_time_wait, 1);
    told.no_time_wait = 0;
    assert_int_equal(fws_set_options(f.host, f.conn, &told), 0);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    SEND(&f, .seq = 1, .ack = 2, .flags = FIN | ACK);
    RECV(&f, .seq = 2, .ack = 2, .flags = ACK);
    STATE(&f, FWS_STATE_TIME_WAIT);
    fixture_end(&f);
}

/* Several hosts share an address: each takes the ports of its own class. */
static void random_ports_are_of_the_class_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        uint16_t first, last, modulus, residue;
        size_t count;
    } rows[] = {
        {50000, 50011, 4, 0, 3}, {50000, 50011, 4, 3, 3}, {50001, 50009, 4, 0, 2},
        {50003, 50003, 4, 3, 1}, {50002, 50003, 4, 1, 0}, {65532, 65535, 3, 0, 2},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        f.config.port_first = rows[i].first;
        f.config.port_last = rows[i].last;
        f.config.port_modulus = rows[i].modulus;
        f.config.port_residue = rows[i].residue;
        fixture_start(&f);
        struct fws_endpoint any = fixture_endpoint(0, 0);
        struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
        for (size_t n = 0; n < rows[i].count; n++) {
            assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), 0);
            RECV(&f, .flags = SYN);
            assert_in_range(f.last.source_port, rows[i].first, rows[i].last);
            assert_int_equal(f.last.source_port % rows[i].modulus, rows[i].residue);
        }
        assert_int_equal(fws_connect(f.host, &any, &remote, NULL, &f.conn), -EADDRNOTAVAIL);
        fixture_end(&f);
    }
}

static void a_class_of_ports_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.port_modulus = 2;
    f.config.port_residue = 2;
    assert_int_equal(fws_host_create(&f.host, &f.config), -EINVAL);
}

static void a_host_owns_a_range_that_is_no_prefix(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.address_last = fixture_endpoint(HOST_ADDRESS + 5, 0).addr;
    fixture_start(&f);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, PEER_PORT);
    static const struct {
        uint32_t address;
        int result;
    } rows[] = {
        {HOST_ADDRESS - 1, -EADDRNOTAVAIL},
        {HOST_ADDRESS, 0},
        {HOST_ADDRESS + 5, 0},
        {HOST_ADDRESS + 6, -EADDRNOTAVAIL},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fws_endpoint local = fixture_endpoint(rows[i].address, HOST_PORT);
        assert_int_equal(fws_connect(f.host, &local, &remote, NULL, &f.conn), rows[i].result);
    }
    fixture_end(&f);
}

static void a_range_that_cannot_be_is_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t version;
        uint32_t last;
        int result;
    } rows[] = {
        {4, HOST_ADDRESS - 1, -EINVAL},
        {4, 0xe0000001u, -EINVAL},
        {5, HOST_ADDRESS, -EINVAL},
        {6, HOST_ADDRESS, -EAFNOSUPPORT},
    };
    for (size_t i = 0; i < TABLE_COUNT(rows); i++) {
        struct fixture f;
        fixture_init(&f);
        f.config.address_last = fixture_endpoint(rows[i].last, 0).addr;
        f.config.address_last.version = rows[i].version;
        assert_int_equal(fws_host_create(&f.host, &f.config), rows[i].result);
    }
}

static void a_fins_ack_waits_for_ours_where_it_was_asked_to(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off |= FWS_FIN_ACK;
    established(&f);
    SEND(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    RECV_NOTHING(&f);
    assert_int_equal(fws_close(f.host, f.conn), 0);
    RECV(&f, .seq = 1, .ack = 2, .flags = FIN | ACK);
    fixture_end(&f);
}

static void a_fins_ack_that_waited_for_nothing_goes_out_alone(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    f.config.features_off |= FWS_FIN_ACK;
    established(&f);
    SEND(&f, .seq = 1, .ack = 1, .flags = FIN | ACK);
    assert_in_range(fixture_wait(&f, SEC), 40u * MS, 43u * MS);
    RECV(&f, .seq = 1, .ack = 2, .flags = ACK);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_time_wait_nothing_is_kept_once_our_fin_is_acknowledged),
        cmocka_unit_test(without_time_wait_a_fin_that_acknowledges_ours_is_reset),
        cmocka_unit_test(without_time_wait_fins_that_cross_leave_nothing),
        cmocka_unit_test(without_time_wait_a_close_after_the_fins_ack_resets_the_peer),
        cmocka_unit_test(without_time_wait_a_half_close_still_ends_in_time_wait),
        cmocka_unit_test(who_answers_a_fin_without_time_wait_ends_by_last_ack_as_ever),
        cmocka_unit_test(the_wish_for_no_time_wait_is_told_and_can_be_taken_back),
        cmocka_unit_test(random_ports_are_of_the_class_that_was_asked_for),
        cmocka_unit_test(a_class_of_ports_that_cannot_be_is_refused),
        cmocka_unit_test(a_host_owns_a_range_that_is_no_prefix),
        cmocka_unit_test(a_range_that_cannot_be_is_refused),
        cmocka_unit_test(a_fins_ack_waits_for_ours_where_it_was_asked_to),
        cmocka_unit_test(a_fins_ack_that_waited_for_nothing_goes_out_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
