/* Fuzz target: TCP options. Any bytes parse within their bounds; what they say is emitted and
 * parses to the same; NOPs in front change nothing.
 *
 * Layer: tests. */
#include "fuzz/fuzz.h"

#include <string.h>

#include "wire/bytes.h"
#include "wire/options.h"
#include "wire/wire.h"

/* Requires that `got` says what `meant` does; of SACK blocks only the first may be left. */
static void check_same(const struct wire_tcp_options *got, const struct wire_tcp_options *meant)
{
    struct wire_tcp_options expected = *meant;
    REQUIRE(got->sack_count <= meant->sack_count);
    expected.sack_count = got->sack_count;
    for (uint32_t i = got->sack_count; i < WIRE_SACK_MAX; i++) {
        expected.sack[i] = (struct wire_sack){0};
    }
    REQUIRE(got->mss == expected.mss);
    REQUIRE(got->sack_permitted == expected.sack_permitted);
    REQUIRE(got->has_wscale == expected.has_wscale);
    REQUIRE(got->wscale == expected.wscale);
    REQUIRE(got->has_timestamp == expected.has_timestamp);
    REQUIRE(got->ts_val == expected.ts_val);
    REQUIRE(got->ts_ecr == expected.ts_ecr);
    REQUIRE(memcmp(got->sack, expected.sack, sizeof(got->sack)) == 0);
}

static void check_nops_in_front(const uint8_t *bytes, size_t count,
                                const struct wire_tcp_options *meant)
{
    uint8_t shifted[WIRE_TCP_OPTIONS_MAX + 3];
    struct wire_tcp_options got;
    for (size_t nops = 1; nops <= 3; nops++) {
        memset(shifted, 1, nops);
        memcpy(shifted + nops, bytes, count);
        wire_tcp_options_parse(&got, shifted, count + nops);
        REQUIRE(got.sack_count == meant->sack_count);
        check_same(&got, meant);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct wire_tcp_options options;
    struct wire_tcp_options again;
    uint8_t emitted[WIRE_TCP_OPTIONS_MAX];
    wire_tcp_options_parse(&options, bytes, count);
    REQUIRE(options.sack_count <= WIRE_SACK_MAX);
    REQUIRE(options.wscale <= WIRE_WSCALE_MAX);
    if (count <= WIRE_TCP_OPTIONS_MAX) {
        check_nops_in_front(bytes, count, &options);
    }

    const uint32_t room = wire_tcp_options_bytes(&options);
    REQUIRE(room <= WIRE_TCP_OPTIONS_MAX && room % 4 == 0);
    struct word_writer writer = {.at = emitted};
    options_emit(&writer, &options);
    REQUIRE(writer.at == emitted + room);
    REQUIRE(wire_sum_finish(writer.sum) == wire_sum_finish(wire_sum_add(0, emitted, room)));
    wire_tcp_options_parse(&again, emitted, room);
    check_same(&again, &options);
    return 0;
}
