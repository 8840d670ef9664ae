#include "wire/wire_test.h"

void random_ipv4(struct wire_ipv4 *ip, struct rng *rng)
{
    *ip = (struct wire_ipv4){
        .source = (uint32_t)(1u + rng_below(rng, 223)) << 24 | (uint32_t)rng_below(rng, 1u << 24),
        .target = (uint32_t)rng_next(rng),
        .protocol = WIRE_PROTO_TCP,
        .ttl = (uint8_t)rng_next(rng),
        .dscp = (uint8_t)rng_below(rng, 64),
        .ecn = (enum wire_ecn)rng_below(rng, 4),
        .id = (uint16_t)rng_next(rng),
        .dont_fragment = rng_below(rng, 2) != 0,
    };
}

void random_options(struct wire_tcp_options *options, struct rng *rng)
{
    *options = (struct wire_tcp_options){
        .mss = rng_below(rng, 2) == 0 ? 0 : (uint16_t)rng_next(rng),
        .sack_permitted = rng_below(rng, 2) != 0,
        .has_wscale = rng_below(rng, 2) != 0,
        .has_timestamp = rng_below(rng, 2) != 0,
        .sack_count = (uint8_t)rng_below(rng, WIRE_SACK_MAX + 1),
    };
    if (options->has_wscale) {
        options->wscale = (uint8_t)rng_below(rng, WIRE_WSCALE_MAX + 1);
    }
    if (options->has_timestamp) {
        options->ts_val = (uint32_t)rng_next(rng);
        options->ts_ecr = (uint32_t)rng_next(rng);
    }
    for (uint32_t i = 0; i < options->sack_count; i++) {
        options->sack[i].start = (uint32_t)rng_next(rng);
        options->sack[i].end = (uint32_t)rng_next(rng);
    }
}

void random_tcp(struct wire_tcp *tcp, struct rng *rng)
{
    *tcp = (struct wire_tcp){
        .source_port = (uint16_t)(1u + rng_below(rng, 65535)),
        .target_port = (uint16_t)(1u + rng_below(rng, 65535)),
        .seq = (uint32_t)rng_next(rng),
        .ack = (uint32_t)rng_next(rng),
        .flags = (uint8_t)rng_next(rng),
        .window = (uint16_t)rng_next(rng),
        .urgent = (uint16_t)rng_next(rng),
    };
    random_options(&tcp->options, rng);
}

void assert_same_ipv4(const struct wire_ipv4 *a, const struct wire_ipv4 *b)
{
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->target, b->target);
    assert_int_equal(a->protocol, b->protocol);
    assert_int_equal(a->ttl, b->ttl);
    assert_int_equal(a->dscp, b->dscp);
    assert_int_equal(a->ecn, b->ecn);
    assert_int_equal(a->id, b->id);
    assert_int_equal(a->dont_fragment, b->dont_fragment);
    assert_int_equal(a->more_fragments, b->more_fragments);
    assert_int_equal(a->fragment_offset, b->fragment_offset);
}

void assert_same_options(const struct wire_tcp_options *a, const struct wire_tcp_options *b)
{
    assert_int_equal(a->mss, b->mss);
    assert_int_equal(a->sack_permitted, b->sack_permitted);
    assert_int_equal(a->has_wscale, b->has_wscale);
    assert_int_equal(a->wscale, b->wscale);
    assert_int_equal(a->has_timestamp, b->has_timestamp);
    assert_int_equal(a->ts_val, b->ts_val);
    assert_int_equal(a->ts_ecr, b->ts_ecr);
    assert_int_equal(a->sack_count, b->sack_count);
    for (uint32_t i = 0; i < WIRE_SACK_MAX; i++) {
        assert_int_equal(a->sack[i].start, b->sack[i].start);
        assert_int_equal(a->sack[i].end, b->sack[i].end);
    }
}

void assert_same_tcp(const struct wire_tcp *a, const struct wire_tcp *b)
{
    assert_int_equal(a->source_port, b->source_port);
    assert_int_equal(a->target_port, b->target_port);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->ack, b->ack);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->window, b->window);
    assert_int_equal(a->urgent, b->urgent);
    assert_same_options(&a->options, &b->options);
}
