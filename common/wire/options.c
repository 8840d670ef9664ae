/* Options: TCP options of RFC 9293 section 3.2, RFC 7323 and RFC 2018.
 *
 * Layer: wire (L1). Pure.
 *
 * Emission packs options into 32-bit words padded by NOPs in front, as Linux does: a SYN with
 * everything takes MSS | SACK permitted, timestamps | NOP, window scale. Nothing ever follows an
 * end of options, for there is none (MUST-69). */
#include "wire/options.h"

#include "base/assert.h"

enum option_kind {
    KIND_END = 0,
    KIND_NOP = 1,
    KIND_MSS = 2,
    KIND_WSCALE = 3,
    KIND_SACK_PERMITTED = 4,
    KIND_SACK = 5,
    KIND_TIMESTAMPS = 8,
};

enum option_bytes { /* kind and length included */
                    BYTES_MSS = 4,
                    BYTES_WSCALE = 3,
                    BYTES_SACK_PERMITTED = 2,
                    BYTES_SACK_HEAD = 2,
                    BYTES_SACK_BLOCK = 8,
                    BYTES_TIMESTAMPS = 10,
};

/* How much each takes on its way out, padded. */
#define PADDED_MSS 4u
#define PADDED_WSCALE 4u
#define PADDED_SACK_PERMITTED 4u /* alone; it fits in the padding of timestamps */
#define PADDED_TIMESTAMPS 12u
#define PADDED_SACK_HEAD 4u

static uint32_t quad(uint8_t first, uint8_t second, uint8_t third, uint8_t fourth)
{
    return (uint32_t)first << 24 | (uint32_t)second << 16 | (uint32_t)third << 8 | fourth;
}

/* RFC 7323 appendix A: the form in which nearly every segment carries its timestamps. */
static bool is_timestamps_alone(const uint8_t *bytes, size_t count)
{
    return count == PADDED_TIMESTAMPS &&
           load_u32(bytes) == quad(KIND_NOP, KIND_NOP, KIND_TIMESTAMPS, BYTES_TIMESTAMPS);
}

static void read_timestamps(struct wire_tcp_options *options, const uint8_t *values)
{
    options->has_timestamp = true;
    options->ts_val = load_u32(values);
    options->ts_ecr = load_u32(values + 4);
}

static void read_sack(struct wire_tcp_options *options, const uint8_t *blocks, size_t bytes)
{
    if (bytes == 0 || bytes % BYTES_SACK_BLOCK != 0) {
        return;
    }
    memset(options->sack, 0, sizeof(options->sack)); /* of one that came before */
    const size_t count = bytes / BYTES_SACK_BLOCK;
    options->sack_count = (uint8_t)(count < WIRE_SACK_MAX ? count : WIRE_SACK_MAX);
    for (uint32_t i = 0; i < options->sack_count; i++, blocks += BYTES_SACK_BLOCK) {
        options->sack[i].start = load_u32(blocks);
        options->sack[i].end = load_u32(blocks + 4);
    }
}

/* Takes one option of `bytes` in all. A known kind with another length than its own is skipped like
 * an unknown kind. Of an option that comes twice the last counts. */
static void read_option(struct wire_tcp_options *options, const uint8_t *at, size_t bytes)
{
    switch (at[0]) {
    case KIND_MSS:
        if (bytes == BYTES_MSS) {
            options->mss = load_u16(at + 2);
        }
        break;
    case KIND_WSCALE:
        if (bytes == BYTES_WSCALE) {
            /* RFC 7323 section 2.3: more than 14 counts as 14. */
            options->has_wscale = true;
            options->wscale = at[2] < WIRE_WSCALE_MAX ? at[2] : (uint8_t)WIRE_WSCALE_MAX;
        }
        break;
    case KIND_SACK_PERMITTED:
        options->sack_permitted |= bytes == BYTES_SACK_PERMITTED;
        break;
    case KIND_SACK:
        read_sack(options, at + BYTES_SACK_HEAD, bytes - BYTES_SACK_HEAD);
        break;
    case KIND_TIMESTAMPS:
        if (bytes == BYTES_TIMESTAMPS) {
            read_timestamps(options, at + 2);
        }
        break;
    default: /* MUST-6: others are ignored without error */
        break;
    }
}

void wire_tcp_options_parse(struct wire_tcp_options *options, const uint8_t *bytes, size_t count)
{
    *options = (struct wire_tcp_options){0};
    if (is_timestamps_alone(bytes, count)) {
        read_timestamps(options, bytes + 4);
        return;
    }
    size_t at = 0;
    while (at < count && bytes[at] != KIND_END) {
        if (bytes[at] == KIND_NOP) {
            at++;
            continue;
        }
        /* MUST-7: with an impossible length nothing behind it can be told apart, so that the list
         * ends here. DEVIATION from the suggested reset: the segment itself is whole. */
        if (count - at < 2 || bytes[at + 1] < 2 || bytes[at + 1] > count - at) {
            return;
        }
        read_option(options, bytes + at, bytes[at + 1]);
        at += bytes[at + 1];
    }
}

/* What all but SACK blocks take. */
static uint32_t fixed_bytes(const struct wire_tcp_options *options)
{
    uint32_t bytes = options->has_timestamp    ? PADDED_TIMESTAMPS
                     : options->sack_permitted ? PADDED_SACK_PERMITTED
                                               : 0u;
    bytes += options->mss != 0 ? PADDED_MSS : 0u;
    return bytes + (options->has_wscale ? PADDED_WSCALE : 0u);
}

/* As many SACK blocks as fit behind `used` bytes: four alone, three beside timestamps (RFC 2018
 * section 3). */
static uint32_t sack_blocks(const struct wire_tcp_options *options, uint32_t used)
{
    ASSERT(options->sack_count <= WIRE_SACK_MAX);
    const uint32_t room = (WIRE_TCP_OPTIONS_MAX - used - PADDED_SACK_HEAD) / BYTES_SACK_BLOCK;
    return options->sack_count < room ? options->sack_count : room;
}

uint32_t wire_tcp_options_bytes(const struct wire_tcp_options *options)
{
    const uint32_t fixed = fixed_bytes(options);
    const uint32_t blocks = sack_blocks(options, fixed);
    return blocks == 0 ? fixed : fixed + PADDED_SACK_HEAD + blocks * BYTES_SACK_BLOCK;
}

static void emit_timestamps(struct word_writer *writer, const struct wire_tcp_options *options)
{
    word_put(writer, options->sack_permitted
                         ? quad(KIND_SACK_PERMITTED, BYTES_SACK_PERMITTED, KIND_TIMESTAMPS,
                                BYTES_TIMESTAMPS)
                         : quad(KIND_NOP, KIND_NOP, KIND_TIMESTAMPS, BYTES_TIMESTAMPS));
    word_put(writer, options->ts_val);
    word_put(writer, options->ts_ecr);
}

static void emit_sack(struct word_writer *writer, const struct wire_tcp_options *options)
{
    const uint32_t blocks = sack_blocks(options, fixed_bytes(options));
    if (blocks == 0) {
        return;
    }
    word_put(writer, quad(KIND_NOP, KIND_NOP, KIND_SACK,
                          (uint8_t)(BYTES_SACK_HEAD + blocks * BYTES_SACK_BLOCK)));
    for (uint32_t i = 0; i < blocks; i++) {
        word_put(writer, options->sack[i].start);
        word_put(writer, options->sack[i].end);
    }
}

void options_emit(struct word_writer *writer, const struct wire_tcp_options *options)
{
    if (options->mss != 0) {
        word_put(writer, high_low(KIND_MSS << 8 | BYTES_MSS, options->mss));
    }
    if (options->has_timestamp) {
        emit_timestamps(writer, options);
    } else if (options->sack_permitted) {
        word_put(writer, quad(KIND_NOP, KIND_NOP, KIND_SACK_PERMITTED, BYTES_SACK_PERMITTED));
    }
    if (options->has_wscale) {
        word_put(writer, quad(KIND_NOP, KIND_WSCALE, BYTES_WSCALE, options->wscale));
    }
    if (options->sack_count != 0) {
        emit_sack(writer, options);
    }
}
