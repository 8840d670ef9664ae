/* What the stack engine tells about itself: states, counters, memory. */
#include <string.h>

#include "transport/stack_engine.h"

static struct fws_census take_census(const struct transport *transport)
{
    struct fws_census census = {.size = sizeof(census)};
    fws_census(((const struct stack_engine *)transport)->host, &census);
    return census;
}

void stack_report_census(const struct transport *transport, struct tcp_state_counts *counts,
                         struct tcp_transitions *transitions)
{
    struct fws_census census = take_census(transport);
    _Static_assert(FWS_STATE_COUNT == TCP_STATE_COUNT, "both number states as Linux does");
    if (counts != NULL) {
        memcpy(counts->n, census.states, sizeof(counts->n));
    }
    if (transitions != NULL) {
        memcpy(transitions->n, census.transitions, sizeof(transitions->n));
    }
}

/* What closes is on the wire, and no connection of the caller's is in these states but one that
 * shut down and was not closed. */
struct transport_lingering stack_report_lingering(const struct transport *transport)
{
    struct fws_census census = take_census(transport);
    return (struct transport_lingering){
        .closing = census.states[FWS_STATE_FIN_WAIT_1] + census.states[FWS_STATE_FIN_WAIT_2] +
                   census.states[FWS_STATE_CLOSING] + census.states[FWS_STATE_LAST_ACK],
        .time_wait = census.states[FWS_STATE_TIME_WAIT],
    };
}

/* Nothing of the stack depends on what a kernel has, but for what its link needs. */
size_t stack_report_features(const struct transport *transport, struct transport_feature *features,
                             size_t max)
{
    (void)transport;
    (void)features;
    (void)max;
    return 0;
}

void stack_report_print(const struct transport *transport, const char *interface, FILE *out)
{
    const struct stack_engine *engine = (const struct stack_engine *)transport;
    const struct transport_stack_config *config = &engine->config;
    char first[IP_TEXT_MAX];
    char last[IP_TEXT_MAX];
    char link[IP_TEXT_MAX];
    const uint8_t *mac = config->mac;
    if (interface != NULL) {
        fprintf(out, "link: %s on %s%s, MTU %u\n", link_kind_name(config->link), interface,
                config->blocks ? " in blocks (TPACKET_V3)" : "",
                link_interface_of(engine->link)->mtu_bytes);
    }
    fprintf(out, "addresses: %s to %s, %s/%u on the link, MAC %02x:%02x:%02x:%02x:%02x:%02x\n",
            ip_format(&config->addresses.first, first), ip_format(&config->addresses.last, last),
            ip_format(stack_link_address(config), link), config->prefix_bits, mac[0], mac[1],
            mac[2], mac[3], mac[4], mac[5]);
}

uint64_t stack_report_memory(const struct transport *transport)
{
    const struct stack_engine *engine = (const struct stack_engine *)transport;
    struct fws_census census = take_census(transport);
    return sizeof(*engine) + engine->ready.pool.memory_bytes + engine->memory.bytes +
           census.memory_bytes + link_memory_bytes(engine->link);
}

static struct counter_view view_host(struct stack_engine *engine)
{
    size_t count = fws_counters(engine->host, engine->host_counters, engine->host_counter_count);
    for (size_t i = 0; i < count; i++) {
        engine->host_values[i] = engine->host_counters[i].value;
    }
    return (struct counter_view){engine->host_infos, engine->host_values, count};
}

static const struct counter_info memory_infos[STACK_MEMORY_COUNT] = {
#define COUNTER(name, help) [STACK_MEMORY_##name] = {#name, help},
#include "transport/stack_memory.def"
#undef COUNTER
};

static struct counter_view view_memory(struct stack_engine *engine)
{
    struct fws_census census = take_census(&engine->base);
#define COUNTER(name, help) engine->memory_values[STACK_MEMORY_##name] = census.name;
#include "transport/stack_memory.def"
#undef COUNTER
    return (struct counter_view){memory_infos, engine->memory_values, STACK_MEMORY_COUNT};
}

/* Names links by what was opened over what: the innermost is the interface's. */
static const char *link_name(const struct stack_engine *engine, size_t depth, bool innermost)
{
    if (innermost) {
        return "link";
    }
    if (depth == 0 && engine->config.pcap_path != NULL) {
        return "link_pcap";
    }
    return engine->config.faults != NULL ? "link_faults" : "link_over";
}

size_t stack_report_views(struct transport *transport, struct transport_view *views, size_t max)
{
    struct stack_engine *engine = stack_engine_of(transport);
    size_t count = 0;
    if (max < 3) {
        return 0;
    }
    views[count++] = (struct transport_view){"stack", view_host(engine)};
    views[count++] = (struct transport_view){"stack_memory", view_memory(engine)};
    views[count++] = (struct transport_view){
        "ether", {ether_counter_infos, engine->ether.counters, ETHER_COUNTER_COUNT}};
    size_t depth = 0;
    for (struct link *link = engine->link; link != NULL && count < max; depth++) {
        struct link *inner = link_inner(link);
        views[count++] =
            (struct transport_view){link_name(engine, depth, inner == NULL), link_counters(link)};
        link = inner;
    }
    return count;
}
