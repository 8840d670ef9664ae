/* See stage.h. */
#include "loadgen/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void note(struct transport *transport, const char *text)
{
    size_t length = strlen(transport->notes);
    snprintf(transport->notes + length, NOTES_MAX - length, "%s%s", length > 0 ? " " : "", text);
}

int transport_connect(struct transport *transport, const struct flow *flow,
                      const struct transport_conn_options *options, uint64_t user, uint64_t *handle)
{
    (void)options;
    note(transport, "connect");
    transport->user = user;
    transport->flow = *flow;
    *handle = 77;
    return transport->connect_error;
}

void transport_connect_soon(struct transport *transport, const struct flow *flow)
{
    transport->announced = *flow;
}

int transport_send(struct transport *transport, uint64_t handle, const void *data, uint64_t bytes)
{
    assert_int_equal(handle, 77);
    note(transport, "send");
    transport->sent = data;
    transport->sent_bytes = bytes;
    return 0;
}

int transport_recv(struct transport *transport, uint64_t handle)
{
    (void)handle;
    note(transport, "recv");
    return 0;
}

int transport_shutdown_write(struct transport *transport, uint64_t handle)
{
    (void)handle;
    note(transport, "shutdown");
    return 0;
}

int transport_close(struct transport *transport, uint64_t handle, enum transport_close_how how)
{
    static const char *const names[] = {"close", "reset", "close-no-timewait"};
    (void)handle;
    note(transport, names[how]);
    return 0;
}

int transport_timer(struct transport *transport, uint64_t handle, uint64_t deadline_ns)
{
    (void)handle;
    transport->timer_ns = deadline_ns;
    return 0;
}

void transport_buffer_release(struct transport *transport, uint64_t handle,
                              const struct transport_buffer *buffer)
{
    (void)handle;
    (void)buffer;
    transport->released++;
}

void stage_open(struct stage *stage, enum closer closer, enum close_how how, uint64_t echoes)
{
    struct ip_range range;
    memset(stage, 0, sizeof(*stage));
    struct plan *plan = &stage->plan;
    plan->options.echoes = echoes;
    plan->options.timeout_ns = 5000 * MS;
    plan->options.reuse_after_ns = 65000 * MS;
    plan->target_count = 1;
    assert_int_equal(endpoint_parse(&plan->targets[0], "127.0.0.1:7000", NULL), 0);
    assert_int_equal(ip_range_parse(&range, "127.0.0.2", NULL), 0);
    assert_int_equal(sources_add(&plan->sources, &range, NULL), 0);
    plan->ports = (struct port_range){100, 101};
    plan->closer = closer;
    plan->close_how = how;
    plan->rule = close_rule_of(closer, how);
    plan->conn_options.pull = plan->rule.opening == CLOSE_OPENS_WITH_CLOSE;
    plan->expect_bytes = 64;
    assert_int_equal(payload_make(&plan->payload, 64, 1), 0);
    stage->stats = malloc(sizeof(*stage->stats));
    stats_init(stage->stats);
    assert_int_equal(conn_env_init(&stage->env, plan, 0, 1, 8), 0);
    stage->env.transport = &stage->transport;
    stage->env.stats = stage->stats;
}

void stage_close(struct stage *stage)
{
    conn_env_destroy(&stage->env);
    payload_destroy(&stage->plan.payload);
    free(stage->stats);
}

void expect_calls(struct stage *stage, const char *notes)
{
    assert_string_equal(stage->transport.notes, notes);
    stage->transport.notes[0] = '\0';
}

void deliver(struct stage *stage, enum transport_event_type type, uint64_t time_ns)
{
    conn_handle(&stage->env,
                &(struct transport_event){
                    .type = type, .conn = 77, .user = stage->transport.user, .time_ns = time_ns});
}

void deliver_failure(struct stage *stage, enum transport_phase phase, int error)
{
    conn_handle(&stage->env, &(struct transport_event){.type = TRANSPORT_FAILED,
                                                       .phase = phase,
                                                       .error = error,
                                                       .conn = 77,
                                                       .user = stage->transport.user,
                                                       .time_ns = 900});
}

void deliver_bytes(struct stage *stage, const void *data, uint32_t size)
{
    uint32_t released = stage->transport.released;
    conn_handle(&stage->env, &(struct transport_event){.type = TRANSPORT_DATA,
                                                       .conn = 77,
                                                       .user = stage->transport.user,
                                                       .time_ns = 500,
                                                       .buffer = {.data = data, .size = size}});
    assert_int_equal(stage->transport.released, released + 1);
}

void open_one(struct stage *stage)
{
    assert_int_equal(conn_start(&stage->env, 0, 100, 110), CONN_STARTED);
    deliver(stage, TRANSPORT_CONNECTING, 120);
    expect_calls(stage, "connect");
    deliver(stage, TRANSPORT_CONNECTED, 150);
}

void echo_one(struct stage *stage)
{
    deliver(stage, TRANSPORT_SENT, 400);
    deliver_bytes(stage, stage->transport.sent, 64);
}

void expect_counts(const struct stage *stage, uint64_t completed, uint64_t failed)
{
    assert_int_equal(stats_read(&stage->stats->live.completed), completed);
    assert_int_equal(stats_read(&stage->stats->live.failed), failed);
}
