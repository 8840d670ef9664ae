#include "transport/stack_pair.h"

#include <string.h>

#define PAIR_MTU 1500u

struct endpoint pair_address(enum pair_side side, uint16_t port)
{
    return (struct endpoint){.ip = {.family = AF_INET, .bytes = {10, 9, 0, (uint8_t)(1 + side)}},
                             .port = port};
}

void pair_init(struct pair *pair)
{
    memset(pair, 0, sizeof(*pair));
    for (int side = 0; side < 2; side++) {
        struct ip_addr own = pair_address((enum pair_side)side, 0).ip;
        pair->configs[side] = (struct transport_stack_config){
            .addresses = {own, own},
            .prefix_bits = 24,
            .probe_off = true,
            .steer = side == PAIR_CLIENT ? LINK_STEER_LOCAL_PORT : LINK_STEER_REMOTE_PORT,
        };
    }
    pair->ends[PAIR_SERVER].echoes = true;
    pair->options.quickack_off = true;
    pair->conns_max = 16;
    pair->slots = 1024;
}

static void note(struct pair_end *end, const struct transport_event *event)
{
    end->counts[event->type]++;
    if (event->type == TRANSPORT_FAILED) {
        end->phase = event->phase;
        end->error = event->error;
    }
}

static void keep(const struct pair_end *end, const struct transport_buffer *buffer)
{
    if (end->keep != NULL && end->received_bytes + buffer->size <= end->keep_bytes) {
        memcpy(end->keep + end->received_bytes, buffer->data, buffer->size);
    }
}

void pair_ignore(void *context, const struct transport_event *event)
{
    (void)context;
    (void)event;
}

/* Nothing may jump out of transport_poll: a test learns by what was counted. */
static void on_event(void *context, const struct transport_event *event)
{
    struct pair_end *end = context;
    end->all[event->type]++;
    if (event->type == TRANSPORT_ACCEPTED) {
        memset(end->counts, 0, sizeof(end->counts));
        end->received_bytes = 0;
        end->conn = event->conn;
    }
    if (event->conn == end->conn) {
        note(end, event);
    }
    if (event->type == TRANSPORT_DATA) {
        keep(end, &event->buffer);
        end->received_bytes += event->buffer.size;
        if (end->echoes) {
            (void)transport_send_buffer(end->transport, event->conn, &event->buffer);
        } else {
            transport_buffer_release(end->transport, event->conn, &event->buffer);
        }
    } else if (event->type == TRANSPORT_CONNECTED && end->say != NULL) {
        (void)transport_send(end->transport, event->conn, end->say, strlen(end->say));
    }
    if (end->close_on[event->type]) {
        (void)transport_close(end->transport, event->conn, end->close_how);
    }
}

static void open_end(struct pair *pair, enum pair_side side, struct link *link)
{
    struct failure failure;
    struct pair_end *end = &pair->ends[side];
    pair->configs[side].opened = link;
    struct transport_config config = {
        .engine = TRANSPORT_STACK,
        .conns_max = pair->conns_max,
        .listens = true,
        .connects = true,
        .stack = &pair->configs[side],
        .handler = on_event,
        .context = end,
    };
    if (transport_open(&end->transport, &config, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
}

void pair_open(struct pair *pair)
{
    struct link *links[2];
    struct failure failure;
    uint32_t listener;
    struct endpoint address = pair_address(PAIR_SERVER, PAIR_PORT);
    struct transport_listen_options options = {.backlog = pair->conns_max,
                                               .conn = pair->options,
                                               .defer_accept_ns = pair->defer_accept_ns};
    assert_int_equal(link_memory_pair(links, PAIR_MTU, pair->slots), 0);
    open_end(pair, PAIR_CLIENT, links[0]);
    open_end(pair, PAIR_SERVER, links[1]);
    if (transport_listen(pair->ends[PAIR_SERVER].transport, &address, &options, &listener,
                         &failure) != 0) {
        fail_msg("%s", failure.text);
    }
}

void pair_close(struct pair *pair)
{
    transport_destroy(pair->ends[0].transport);
    transport_destroy(pair->ends[1].transport);
}

int pair_try_connect(struct pair *pair, const struct flow *flow)
{
    struct pair_end *end = &pair->ends[PAIR_CLIENT];
    memset(end->counts, 0, sizeof(end->counts));
    end->received_bytes = 0;
    end->error = 0;
    return transport_connect(end->transport, flow, &pair->options, 0, &end->conn);
}

void pair_connect(struct pair *pair, uint16_t port)
{
    struct flow flow = {.target = pair_address(PAIR_SERVER, PAIR_PORT), .source = {.port = port}};
    assert_int_equal(pair_try_connect(pair, &flow), 0);
    pair->ends[PAIR_SERVER].conn = 0;
    memset(pair->ends[PAIR_SERVER].counts, 0, sizeof(pair->ends[PAIR_SERVER].counts));
}

void pair_poll(struct pair *pair)
{
    for (int side = 0; side < 2; side++) {
        assert_int_equal(transport_poll(pair->ends[side].transport, 0), 0);
    }
}

void pair_wait(struct pair *pair, uint64_t end_ns, const char *condition)
{
    if (clock_now_ns() > end_ns) {
        fail_msg("never came: %s", condition);
    }
    pair_poll(pair);
}

void pair_establish(struct pair *pair)
{
    pair_connect(pair, 0);
    PAIR_UNTIL(pair, pair->ends[PAIR_CLIENT].counts[TRANSPORT_CONNECTED] == 1 &&
                         pair->ends[PAIR_SERVER].conn != 0);
}

uint64_t pair_counter(struct pair *pair, enum pair_side side, const char *module, const char *name)
{
    struct transport_view views[TRANSPORT_VIEWS_MAX];
    size_t count = transport_views(pair->ends[side].transport, views, TRANSPORT_VIEWS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; strcmp(views[i].module, module) == 0 && j < views[i].counters.count;
             j++) {
            if (strcmp(views[i].counters.infos[j].name, name) == 0) {
                return views[i].counters.values[j];
            }
        }
    }
    fail_msg("no counter %s of %s", name, module);
    return 0;
}

uint64_t pair_state(struct pair *pair, enum pair_side side, enum tcp_state state)
{
    struct tcp_state_counts counts;
    assert_int_equal(transport_census(pair->ends[side].transport, &counts, NULL), 0);
    return counts.n[state];
}
