#include "tcp/host_fixture.h"

#include <stdlib.h>

#define PATTERN_BYTES 65536u

static void *allocate(void *context, size_t bytes)
{
    struct fixture *f = context;
    f->calls++;
    if (f->failing_call != 0 &&
        (f->calls == f->failing_call || (f->fails_from_there_on && f->calls > f->failing_call))) {
        f->refused++;
        return NULL;
    }
    f->blocks++;
    f->held_bytes += bytes;
    void *block = malloc(bytes);
    assert_non_null(block);
    memset(block, 0xa5, bytes);
    return block;
}

static void release(void *context, void *memory, size_t bytes)
{
    struct fixture *f = context;
    f->blocks--;
    f->held_bytes -= bytes;
    memset(memory, 0x5a, bytes);
    free(memory);
}

struct fws_endpoint fixture_endpoint(uint32_t address, uint16_t port)
{
    struct fws_endpoint endpoint = {.port = port};
    if (address != 0) {
        endpoint.addr = (struct fws_addr){
            .version = 4,
            .bytes = {(uint8_t)(address >> 24), (uint8_t)(address >> 16), (uint8_t)(address >> 8),
                      (uint8_t)address},
        };
    }
    return endpoint;
}

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->now = 1000u * SEC;
    f->config = (struct fws_config){
        .size = sizeof f->config,
        .address = fixture_endpoint(HOST_ADDRESS, 0).addr,
        .prefix_bits = 30,
        .now_ns = f->now,
        .seed = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
        .allocator = {.allocate = allocate, .release = release, .context = f},
    };
    f->options.size = sizeof f->options;
    f->peer_mss = 1460;
    f->peer_sack = true;
    f->peer_timestamps = true;
    f->peer_window_scaling = true;
    f->window = 65535;
    f->backlog = 16;
    f->host_address = HOST_ADDRESS;
    f->host_port = HOST_PORT;
    f->peer_port = PEER_PORT;
    f->clock = PEER_CLOCK;
}

void fixture_start(struct fixture *f)
{
    if (f->host == NULL) {
        assert_int_equal(fws_host_create(&f->host, &f->config), 0);
    }
}

void fixture_end(struct fixture *f)
{
    fws_host_destroy(f->host);
    f->host = NULL;
    assert_int_equal(f->blocks, 0);
    assert_int_equal(f->held_bytes, 0);
}

/* Packets. */

static void fill_in(const struct fixture *f, struct packet *p)
{
    p->source = p->source != 0 ? p->source : PEER_ADDRESS;
    p->target = p->target != 0 ? p->target : f->host_address;
    p->source_port = p->source_port != 0 ? p->source_port : f->peer_port;
    p->target_port = p->target_port != 0 ? p->target_port : f->host_port;
    if ((p->flags & ABSOLUTE) == 0) {
        p->seq += PEER_ISS;
        p->ack += (p->flags & ACK) != 0 ? f->iss : 0u;
        for (uint32_t i = 0; i < p->sack_count; i++) {
            p->sack[i].left += f->iss;
            p->sack[i].right += f->iss;
        }
    }
    if (p->window == 0 && (p->flags & ZERO_WINDOW) == 0) {
        p->window = f->window;
    }
    if (f->timestamps && !p->has_timestamp && (p->flags & NO_TIMESTAMP) == 0) {
        p->has_timestamp = true;
        p->ts_val = f->clock;
        p->ts_ecr = f->ts_recent;
    }
}

void fixture_send_raw(struct fixture *f, const uint8_t *bytes, size_t count)
{
    struct fws_packet packet = {.data = bytes, .bytes = (uint32_t)count};
    fws_input(f->host, &packet, 1);
}

void fixture_send(struct fixture *f, const struct packet *segment)
{
    struct packet filled = *segment;
    uint8_t *bytes = malloc(PACKET_ROOM);
    assert_non_null(bytes);
    fill_in(f, &filled);
    size_t count = packet_build(&filled, bytes);
    uint8_t *exact = malloc(count); /* so that a sanitizer sees a read past the end */
    assert_non_null(exact);
    memcpy(exact, bytes, count);
    fixture_send_raw(f, exact, count);
    free(exact);
    free(bytes);
}

bool fixture_fetch(struct fixture *f)
{
    if (f->has_pending) {
        f->has_pending = false;
        return true;
    }
    struct fws_buffer buffer = {.data = f->bytes, .capacity = sizeof f->bytes};
    if (fws_output(f->host, &buffer, 1) == 0) {
        return false;
    }
    f->last_bytes = buffer.bytes;
    const char *wrong = packet_parse(f->bytes, buffer.bytes, &f->last);
    if (wrong != NULL) {
        fail_msg("the host sent a bad packet: %s", wrong);
    }
    struct packet *p = &f->last;
    if (p->protocol != 6) {
        return true;
    }
    if ((p->flags & SYN) != 0) {
        f->iss = p->seq;
    }
    if (p->has_timestamp) {
        f->ts_recent = p->ts_val;
    }
    p->seq -= f->iss;
    p->ack -= (p->flags & ACK) != 0 ? PEER_ISS : 0u;
    for (uint32_t i = 0; i < p->sack_count; i++) {
        p->sack[i].left -= PEER_ISS;
        p->sack[i].right -= PEER_ISS;
    }
    return true;
}

size_t fixture_drain(struct fixture *f)
{
    size_t count = 0;
    while (fixture_fetch(f)) {
        count++;
    }
    return count;
}

static const char *flags_text(uint32_t flags, char text[static 9])
{
    const char letters[] = "FSRPAUEC";
    size_t length = 0;
    for (size_t i = 0; i < 8; i++) {
        if ((flags & (1u << i)) != 0) {
            text[length++] = letters[i];
        }
    }
    text[length] = '\0';
    return text;
}

static void describe(const char *what, const struct packet *p)
{
    char flags[9];
    print_message("%s: %s seq %u ack %u data %u window %u\n", what, flags_text(p->flags, flags),
                  p->seq, p->ack, p->bytes, p->window);
}

static void complain(const char *what, const char *file, int line)
{
    print_message("%s\n", what);
    _fail(file, line);
}

/* PSH is compared only where it is expected: it has tests of its own. */
const struct packet *fixture_recv(struct fixture *f, const struct packet *expected,
                                  const char *file, int line)
{
    if (!fixture_fetch(f)) {
        describe("expected", expected);
        complain("the host sent nothing", file, line);
    }
    const struct packet *got = &f->last;
    uint32_t flags = (expected->flags & PSH) != 0 ? got->flags : got->flags & ~(uint32_t)PSH;
    if (flags != (expected->flags & 0xffu) || got->seq != expected->seq ||
        got->ack != expected->ack || got->bytes != expected->bytes) {
        describe("expected", expected);
        describe("got", got);
        complain("the host sent another segment", file, line);
    }
    if (f->timestamps && (got->flags & RST) == 0 && !got->has_timestamp) {
        describe("got", got);
        complain("a segment lacks the timestamp that was agreed on (RFC 7323 3.2)", file, line);
    }
    return got;
}

void fixture_recv_nothing(struct fixture *f, const char *file, int line)
{
    if (fixture_fetch(f)) {
        describe("got", &f->last);
        complain("the host sent something", file, line);
    }
}

/* Time. */

void fixture_pass(struct fixture *f, uint64_t ns)
{
    f->now += ns;
    fws_advance(f->host, f->now);
}

uint64_t fixture_wait(struct fixture *f, uint64_t limit_ns)
{
    uint64_t start = f->now;
    uint64_t end = start + limit_ns;
    while (!fixture_fetch(f)) {
        uint64_t next = fws_next_deadline(f->host);
        if (next > end) {
            fixture_pass(f, end - f->now);
            f->has_pending = fixture_fetch(f);
            return f->has_pending ? f->now - start : UINT64_MAX;
        }
        fixture_pass(f, next > f->now ? next - f->now : 1u);
    }
    f->has_pending = true;
    return f->now - start;
}

/* What the host says of itself. */

enum fws_state fixture_state(struct fixture *f)
{
    struct fws_info info = {.size = sizeof info};
    struct fws_endpoint local = fixture_endpoint(f->host_address, f->host_port);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, f->peer_port);
    int got = fws_info_by_tuple(f->host, &local, &remote, &info);
    if (got != 0) {
        assert_int_equal(got, -2); /* ENOENT */
        return FWS_STATE_NONE;
    }
    return info.state;
}

void fixture_require_state(struct fixture *f, enum fws_state state, const char *file, int line)
{
    enum fws_state got = fixture_state(f);
    if (got != state) {
        print_message("state %d expected, %d found\n", (int)state, (int)got);
        _fail(file, line);
    }
}

struct fws_info fixture_info(struct fixture *f)
{
    struct fws_info info = {.size = sizeof info};
    assert_int_equal(fws_info(f->host, f->conn, &info), 0);
    return info;
}

uint64_t fixture_counter(struct fixture *f, const char *name)
{
    struct fws_counter counters[256];
    size_t count = fws_counters(f->host, counters, 256);
    for (size_t i = 0; i < count && i < 256; i++) {
        if (strcmp(counters[i].name, name) == 0) {
            return counters[i].value;
        }
    }
    fail_msg("there is no counter \"%s\"", name);
    return 0;
}

/* Calls. */

int fixture_connect(struct fixture *f)
{
    fixture_start(f);
    struct fws_endpoint local = fixture_endpoint(f->host_address, f->host_port);
    struct fws_endpoint remote = fixture_endpoint(PEER_ADDRESS, f->peer_port);
    return fws_connect(f->host, &local, &remote, &f->options, &f->conn);
}

void fixture_write(struct fixture *f, size_t bytes)
{
    uint8_t pattern[PATTERN_BYTES];
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (uint8_t)(i * 7u);
    }
    while (bytes > 0) {
        size_t part = bytes < sizeof pattern ? bytes : sizeof pattern;
        assert_int_equal(fws_send(f->host, f->conn, pattern, part, 0), part);
        bytes -= part;
    }
}

size_t fixture_read_all(struct fixture *f)
{
    uint8_t bytes[4096];
    size_t total = 0;
    int64_t got = 0;
    while ((got = fws_recv(f->host, f->conn, bytes, sizeof bytes)) > 0) {
        total += (size_t)got;
    }
    return total;
}

/* States. */

void listening(struct fixture *f)
{
    fixture_start(f);
    f->host_port = LISTEN_PORT;
    struct fws_endpoint local = fixture_endpoint(0, LISTEN_PORT);
    assert_int_equal(fws_listen(f->host, &local, f->backlog, &f->options, &f->listener), 0);
}

static void send_syn(struct fixture *f, uint32_t flags, uint32_t ack)
{
    SEND(f, .flags = SYN | flags, .ack = ack, .mss = f->peer_mss, .sack_permitted = f->peer_sack,
         .has_timestamp = f->peer_timestamps, .ts_val = f->clock,
         .ts_ecr = (flags & ACK) != 0 ? f->ts_recent : 0,
         .has_window_scale = f->peer_window_scaling, .window_scale = f->peer_window_scale);
}

void syn_received(struct fixture *f)
{
    listening(f);
    send_syn(f, 0, 0);
    RECV(f, .flags = SYN | ACK, .ack = 1);
    f->timestamps = f->last.has_timestamp;
    STATE(f, FWS_STATE_SYN_RECEIVED);
}

void syn_sent(struct fixture *f)
{
    assert_int_equal(fixture_connect(f), 0);
    RECV(f, .flags = SYN);
    STATE(f, FWS_STATE_SYN_SENT);
}

void syn_received_simultaneous(struct fixture *f)
{
    syn_sent(f);
    bool offered = f->last.has_timestamp;
    send_syn(f, 0, 0);
    RECV(f, .flags = SYN | ACK, .ack = 1);
    f->timestamps = offered && f->peer_timestamps;
    STATE(f, FWS_STATE_SYN_RECEIVED);
}

void established(struct fixture *f)
{
    syn_sent(f);
    bool offered = f->last.has_timestamp;
    send_syn(f, ACK, 1);
    f->timestamps = offered && f->peer_timestamps;
    RECV(f, .flags = ACK, .seq = 1, .ack = 1);
    STATE(f, FWS_STATE_ESTABLISHED);
}

void established_passive(struct fixture *f)
{
    syn_received(f);
    SEND(f, .flags = ACK, .seq = 1, .ack = 1);
    assert_int_equal(fws_accept(f->host, f->listener, &f->conn), 0);
    STATE(f, FWS_STATE_ESTABLISHED);
}

void established_without_timestamps(struct fixture *f)
{
    f->peer_timestamps = false;
    established(f);
}

void fin_wait_1(struct fixture *f)
{
    established(f);
    assert_int_equal(fws_shutdown(f->host, f->conn), 0);
    RECV(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    STATE(f, FWS_STATE_FIN_WAIT_1);
}

void fin_wait_2(struct fixture *f)
{
    fin_wait_1(f);
    SEND(f, .flags = ACK, .seq = 1, .ack = 2);
    STATE(f, FWS_STATE_FIN_WAIT_2);
}

void closing(struct fixture *f)
{
    fin_wait_1(f);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(f, FWS_STATE_CLOSING);
}

void time_wait(struct fixture *f)
{
    fin_wait_2(f);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    RECV(f, .flags = ACK, .seq = 2, .ack = 2);
    STATE(f, FWS_STATE_TIME_WAIT);
}

void close_wait(struct fixture *f)
{
    established(f);
    SEND(f, .flags = FIN | ACK, .seq = 1, .ack = 1);
    RECV(f, .flags = ACK, .seq = 1, .ack = 2);
    STATE(f, FWS_STATE_CLOSE_WAIT);
}

void last_ack(struct fixture *f)
{
    close_wait(f);
    assert_int_equal(fws_shutdown(f->host, f->conn), 0);
    RECV(f, .flags = FIN | ACK, .seq = 1, .ack = 2);
    STATE(f, FWS_STATE_LAST_ACK);
}
