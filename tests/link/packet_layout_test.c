/* How a ring's slots lie: in whole pages, without gaps, and spread over the caches' sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "link/packet_socket.h"

#define LINE_BYTES 64u

/* From ARP's frames to those of loopback's MTU. */
static const uint32_t lengths[] = {1, 128, 208, 1594, 1600, 1601, 2048, 9094, 65630};

/* How far the slots of a block reach that begin within it. */
static uint32_t filled(const struct tpacket_req *layout)
{
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < layout->tp_frame_nr && bytes < layout->tp_block_size; i++) {
        bytes += layout->tp_frame_size;
    }
    return bytes;
}

static void slots_fill_whole_pages_without_gaps(void **state)
{
    (void)state;
    const uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);
    for (uint32_t slots = 8; slots <= 4096; slots *= 2) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            const struct tpacket_req layout = packet_layout(slots, lengths[i]);
            assert_int_equal(layout.tp_frame_nr, slots);
            assert_true(layout.tp_frame_size >= lengths[i]);
            assert_int_equal(layout.tp_frame_size % TPACKET_ALIGNMENT, 0);
            assert_int_equal(layout.tp_block_size % page, 0);
            assert_int_equal(filled(&layout), layout.tp_block_size);
            assert_int_equal((uint64_t)layout.tp_block_size * layout.tp_block_nr,
                             (uint64_t)layout.tp_frame_size * slots);
        }
    }
}

static void neighbours_share_no_set_of_a_cache(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const struct tpacket_req layout = packet_layout(4096, lengths[i]);
        assert_int_equal(layout.tp_frame_size % LINE_BYTES, 0);
        assert_int_equal(layout.tp_frame_size / LINE_BYTES % 2, 1);
        assert_true(layout.tp_frame_size < lengths[i] + 2 * LINE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_fill_whole_pages_without_gaps),
        cmocka_unit_test(neighbours_share_no_set_of_a_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
