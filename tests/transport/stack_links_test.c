/* The stack engine over links that lose, duplicate, reorder and corrupt, and with a capture:
 * nothing is wrong, only slower; what happened is counted, and written. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "transport/stack_pair.h"

#define BULK_BYTES (256u * 1024u)

/* Fast retries, so that the worst luck costs seconds only. */
static void hurry(struct pair *pair)
{
    for (int side = 0; side < 2; side++) {
        pair->configs[side].rto_min_ns = 10 * NS_PER_MS;
        pair->configs[side].rto_initial_ns = 20 * NS_PER_MS;
        pair->configs[side].delayed_ack_ns = 2 * NS_PER_MS;
    }
}

/* A place's byte depends on the place, so that an order that is wrong shows. */
struct bulk {
    uint8_t bytes[BULK_BYTES];
    uint8_t back[BULK_BYTES];
};

static void send_bulk(struct pair *pair, struct bulk *bulk, uint64_t seed)
{
    struct pair_end *client = &pair->ends[PAIR_CLIENT];
    struct rng rng;
    rng_seed(&rng, seed);
    rng_fill(&rng, bulk->bytes, sizeof(bulk->bytes));
    client->keep = bulk->back;
    client->keep_bytes = sizeof(bulk->back);
    pair_establish(pair);
    assert_int_equal(
        transport_send(client->transport, client->conn, bulk->bytes, sizeof(bulk->bytes)), 0);
    PAIR_UNTIL(pair, client->received_bytes == sizeof(bulk->back));
    assert_memory_equal(bulk->bytes, bulk->back, sizeof(bulk->bytes));
    pair->ends[PAIR_SERVER].close_on[TRANSPORT_PEER_FIN] = true;
    assert_int_equal(transport_close(client->transport, client->conn, TRANSPORT_CLOSE_PLAIN), 0);
    PAIR_UNTIL(pair, pair->ends[PAIR_SERVER].counts[TRANSPORT_CLOSED] == 1);
}

static void test_an_echo_over_a_bad_link_comes_back_whole(void **state)
{
    (void)state;
    static const struct link_faults rows[] = {
        {.loss = 0.02},
        {.loss = 0.10},
        {.duplication = 0.2, .reordering = 0.2, .reorder_ns = NS_PER_MS / 2},
        {.corruption = 0.05},
        {.delay_ns = NS_PER_MS, .jitter_ns = NS_PER_MS / 2},
    };
    struct bulk *bulk = calloc(1, sizeof(*bulk));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pair pair;
        struct link_faults faults = rows[i];
        faults.seed = i + 1;
        pair_init(&pair);
        hurry(&pair);
        pair.configs[PAIR_CLIENT].faults = &faults;
        pair_open(&pair);
        send_bulk(&pair, bulk, i + 1);
        uint64_t harmed = pair_counter(&pair, PAIR_CLIENT, "link_faults", "faults_lost") +
                          pair_counter(&pair, PAIR_CLIENT, "link_faults", "faults_duplicated") +
                          pair_counter(&pair, PAIR_CLIENT, "link_faults", "faults_corrupted");
        assert_true(harmed > 0 || rows[i].delay_ns > 0);
        pair_close(&pair);
    }
    free(bulk);
}

static void test_connections_that_churn_over_a_lossy_link_all_succeed(void **state)
{
    (void)state;
    struct pair pair;
    struct link_faults faults = {.seed = 5, .loss = 0.05};
    pair_init(&pair);
    hurry(&pair);
    pair.configs[PAIR_CLIENT].faults = &faults;
    pair_open(&pair);
    struct pair_end *client = &pair.ends[PAIR_CLIENT];
    client->say = "ping";
    client->close_on[TRANSPORT_DATA] = true;
    pair.ends[PAIR_SERVER].close_on[TRANSPORT_PEER_FIN] = true;
    for (unsigned i = 0; i < 200; i++) {
        pair_connect(&pair, 0);
        PAIR_UNTIL(&pair, client->counts[TRANSPORT_CLOSED] == 1);
        assert_int_equal(client->counts[TRANSPORT_FAILED], 0);
        assert_int_equal(client->received_bytes, 4);
    }
    assert_true(pair_counter(&pair, PAIR_CLIENT, "stack", "segments_resent") > 0);
    pair_close(&pair);
}

static void test_a_capture_holds_every_frame_of_both_directions(void **state)
{
    (void)state;
    char path[] = "/tmp/finwait-capture-XXXXXX";
    int fd = mkstemp(path);
    struct pair pair;
    struct stat file;
    assert_true(fd >= 0);
    pair_init(&pair);
    pair.configs[PAIR_CLIENT].pcap_path = path;
    pair.configs[PAIR_CLIENT].pcap_snap_bytes = 64;
    pair_open(&pair);
    pair_establish(&pair);
    uint64_t frames = pair_counter(&pair, PAIR_CLIENT, "link", "frames_sent") +
                      pair_counter(&pair, PAIR_CLIENT, "link", "frames_received");
    assert_int_equal(pair_counter(&pair, PAIR_CLIENT, "link_pcap", "capture_frames"), frames);
    pair_close(&pair);
    assert_int_equal(fstat(fd, &file), 0);
    assert_true((uint64_t)file.st_size >=
                24 + frames * (16 + 42)); /* heads, and ARP at the least */
    close(fd);
    unlink(path);
}

static void test_a_capture_that_cannot_be_written_is_refused(void **state)
{
    (void)state;
    struct link *links[2];
    struct pair pair;
    struct failure failure;
    struct transport *transport;
    pair_init(&pair);
    assert_int_equal(link_memory_pair(links, 1500, 64), 0);
    pair.configs[0].opened = links[0];
    pair.configs[0].pcap_path = "/no/such/folder/x.pcap";
    struct transport_config config = {.engine = TRANSPORT_STACK,
                                      .conns_max = 1,
                                      .stack = &pair.configs[0],
                                      .handler = pair_ignore};
    assert_int_equal(transport_open(&transport, &config, &failure), -ENOENT);
    assert_non_null(strstr(failure.text, "/no/such/folder/x.pcap"));
    link_destroy(links[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_echo_over_a_bad_link_comes_back_whole),
        cmocka_unit_test(test_connections_that_churn_over_a_lossy_link_all_succeed),
        cmocka_unit_test(test_a_capture_holds_every_frame_of_both_directions),
        cmocka_unit_test(test_a_capture_that_cannot_be_written_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
