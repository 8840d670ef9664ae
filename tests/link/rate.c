/* link-rate: how many frames a second a link carries to another of its kind over a veth pair, from
 * one core to the other. A figure to know a link by, not a test.
 *
 *     link-rate slots|blocks|xdp [batch [seconds]] */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "tcpstat/namespace.h"

#define FRAME_BYTES 60u
#define SECONDS_DEFAULT 3u
#define BATCH_DEFAULT 32u

struct receiver {
    struct link *link;
    uint64_t until_ns;
    uint64_t received;
};

static void pin(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *receive(void *context)
{
    struct receiver *receiver = context;
    struct link_frame frames[LINK_BATCH_MAX];
    pin(1);
    uint64_t now_ns;
    while ((now_ns = clock_now_ns()) < receiver->until_ns) {
        receiver->received += link_receive(receiver->link, now_ns, frames, LINK_BATCH_MAX);
        link_release(receiver->link);
    }
    return NULL;
}

/* Sends as fast as it goes. */
static void send_all(struct link *link, const struct frame_plan *plan, size_t batch,
                     uint64_t until_ns)
{
    uint8_t frame[FRAME_BYTES];
    uint64_t now_ns;
    frame_write(frame, plan);
    while ((now_ns = clock_now_ns()) < until_ns) {
        struct link_slot slots[LINK_BATCH_MAX];
        const size_t room = link_reserve(link, slots, batch);
        for (size_t i = 0; i < room; i++) {
            memcpy(slots[i].data, frame, sizeof(frame));
            slots[i].bytes = sizeof(frame);
        }
        link_send(link, now_ns, slots, room);
        (void)link_flush(link, now_ns);
    }
}

static void measure(const struct link_config *config, size_t batch, uint64_t seconds)
{
    struct cable cable;
    struct link *ends[2];
    cable_make(&cable);
    for (int i = 0; i < 2; i++) {
        ends[i] = cable_open(&cable, i, config);
    }
    const struct frame_plan plan = {.target_mac = link_interface_of(ends[1])->mac,
                                    .target_address = cable_address(1),
                                    .bytes = FRAME_BYTES};
    struct receiver receiver = {.link = ends[1], .until_ns = clock_now_ns() + seconds * NS_PER_SEC};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, receive, &receiver), 0);
    pin(0);
    send_all(ends[0], &plan, batch, receiver.until_ns);
    pthread_join(thread, NULL);
    const uint64_t sent = link_counter_read(ends[0], LINK_COUNTER_frames_sent);
    printf("batch %zu: %.3f M/s received, %.3f M/s sent; dropped by a full ring: %llu; "
           "flushes refused: %llu\n",
           batch, (double)receiver.received / 1e6 / (double)seconds,
           (double)sent / 1e6 / (double)seconds,
           (unsigned long long)link_counter_read(ends[1], LINK_COUNTER_receive_ring_full),
           (unsigned long long)link_counter_read(ends[0], LINK_COUNTER_transmit_no_buffers));
    link_destroy(ends[0]);
    link_destroy(ends[1]);
    cable_close(&cable);
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    const size_t batch = argc > 2 ? strtoul(argv[2], NULL, 10) : BATCH_DEFAULT;
    const uint64_t seconds = argc > 3 ? strtoul(argv[3], NULL, 10) : SECONDS_DEFAULT;
    const struct link_config config = {.kind = strcmp(kind, "xdp") == 0 ? LINK_XDP : LINK_PACKET,
                                       .blocks = strcmp(kind, "blocks") == 0};
    const bool known = config.kind == LINK_XDP || config.blocks || strcmp(kind, "slots") == 0;
    if (!known || batch < 1 || batch > LINK_BATCH_MAX || seconds < 1) {
        fprintf(stderr, "usage: %s slots|blocks|xdp [batch [seconds]]\n", argv[0]);
        return 2;
    }
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    measure(&config, batch, seconds);
    return 0;
}
