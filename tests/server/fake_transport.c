#include "server/fake_transport.h"

#include <stdio.h>
#include <string.h>

#include "base/test.h"

#define FAKE_CONN 77u

static void note(struct transport *transport, const char *call)
{
    size_t length = strlen(transport->calls);
    assert_true(length + strlen(call) + 2 < FAKE_CALLS_MAX);
    snprintf(transport->calls + length, FAKE_CALLS_MAX - length, "%s%s", length > 0 ? " " : "",
             call);
}

static void note_bytes(struct transport *transport, const char *call, uint64_t bytes)
{
    char text[64];
    snprintf(text, sizeof(text), "%s(%llu)", call, (unsigned long long)bytes);
    note(transport, text);
}

const char *transport_phase_name(enum transport_phase phase)
{
    return phase == TRANSPORT_PHASE_RECV ? "recv" : "other";
}

int transport_set_user(struct transport *transport, uint64_t handle, uint64_t user)
{
    assert_int_equal(handle, FAKE_CONN);
    transport->user = user;
    return 0;
}

int transport_send(struct transport *transport, uint64_t handle, const void *data, uint64_t bytes)
{
    assert_int_equal(handle, FAKE_CONN);
    assert_non_null(data);
    assert_false(transport->closed);
    note_bytes(transport, "respond", bytes);
    return transport->send_error;
}

int transport_send_buffer(struct transport *transport, uint64_t handle,
                          const struct transport_buffer *buffer)
{
    assert_int_equal(handle, FAKE_CONN);
    assert_false(transport->closed);
    assert_true(buffer->size > 0);
    note_bytes(transport, "send", buffer->size);
    transport->lent--;
    return transport->send_error;
}

void transport_buffer_release(struct transport *transport, uint64_t handle,
                              const struct transport_buffer *buffer)
{
    assert_int_equal(handle, FAKE_CONN);
    assert_true(buffer->size > 0);
    transport->lent--;
    note(transport, "release");
}

int transport_recv(struct transport *transport, uint64_t handle)
{
    assert_int_equal(handle, FAKE_CONN);
    assert_false(transport->closed);
    note(transport, "recv");
    return 0;
}

int transport_shutdown_write(struct transport *transport, uint64_t handle)
{
    assert_int_equal(handle, FAKE_CONN);
    assert_false(transport->closed);
    note(transport, "shutdown");
    return 0;
}

int transport_close(struct transport *transport, uint64_t handle, enum transport_close_how how)
{
    static const char *const calls[] = {"close(plain)", "close(rst)", "close(no-timewait)"};
    assert_int_equal(handle, FAKE_CONN);
    assert_false(transport->closed);
    transport->closed = true;
    note(transport, calls[how]);
    return 0;
}

int transport_timer(struct transport *transport, uint64_t handle, uint64_t deadline_ns)
{
    assert_int_equal(handle, FAKE_CONN);
    transport->timer_ns = deadline_ns;
    note(transport, "timer");
    return 0;
}

static void deliver(struct fake *fake, struct transport_event event)
{
    event.conn = FAKE_CONN;
    event.user = fake->transport.user;
    event.time_ns = fake->now_ns;
    /* As the real one: nothing but CLOSED comes on a connection that is closing. */
    assert_true(!fake->transport.closed || event.type == TRANSPORT_CLOSED);
    echo_handle(&fake->echo, &event);
    assert_int_equal(fake->transport.lent, 0);
}

void fake_begin(struct fake *fake, const struct echo_config *config)
{
    memset(fake, 0, sizeof(*fake));
    fake->config = *config;
    assert_int_equal(echo_init(&fake->echo, &fake->config, 4), 0);
    fake->echo.transport = &fake->transport;
    fake_event(fake, TRANSPORT_ACCEPTED);
}

void fake_end(struct fake *fake)
{
    const uint64_t *counters = fake->echo.stats.counters;
    assert_int_equal(counters[ECHO_COUNTER_accepted], counters[ECHO_COUNTER_completed] +
                                                          counters[ECHO_COUNTER_failed] +
                                                          echo_open_count(&fake->echo));
    echo_fini(&fake->echo);
}

void fake_data(struct fake *fake, const char *text)
{
    fake->transport.lent++;
    deliver(fake, (struct transport_event){
                      .type = TRANSPORT_DATA,
                      .buffer = {.data = (const uint8_t *)text, .size = (uint32_t)strlen(text)}});
}

void fake_sent(struct fake *fake, uint64_t bytes)
{
    deliver(fake, (struct transport_event){.type = TRANSPORT_SENT, .bytes = bytes});
}

void fake_event(struct fake *fake, enum transport_event_type type)
{
    deliver(fake, (struct transport_event){.type = type});
}

void fake_failed(struct fake *fake, enum transport_phase phase, int error)
{
    deliver(fake,
            (struct transport_event){.type = TRANSPORT_FAILED, .phase = phase, .error = error});
}

void fake_closed(struct fake *fake, int error)
{
    assert_true(fake->transport.closed);
    deliver(fake, (struct transport_event){.type = TRANSPORT_CLOSED, .error = error});
}

void fake_expect(struct fake *fake, const char *calls)
{
    assert_string_equal(fake->transport.calls, calls);
    fake->transport.calls[0] = '\0';
}

uint64_t fake_counter(const struct fake *fake, enum echo_counter counter)
{
    return fake->echo.stats.counters[counter];
}
