#include "stat/sample.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "tcpstat/transitions.h"

const enum tcp_state sample_state_order[SAMPLE_STATE_COUNT] = {
    TCP_STATE_LISTEN,     TCP_STATE_SYN_SENT,   TCP_STATE_SYN_RECEIVED, TCP_STATE_ESTABLISHED,
    TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2, TCP_STATE_CLOSING,      TCP_STATE_TIME_WAIT,
    TCP_STATE_CLOSE_WAIT, TCP_STATE_LAST_ACK,   TCP_STATE_CLOSED,
};

/* RFC 9293 figure 5, Linux's way through it (tcpstat/transitions.h), and the ends of sockets. */
const struct sample_step sample_steps[SAMPLE_STEP_COUNT] = {
    {TCP_STATE_NONE, TCP_STATE_LISTEN},
    {TCP_STATE_NONE, TCP_STATE_SYN_SENT},
    {TCP_STATE_NONE, TCP_STATE_SYN_RECEIVED},
    {TCP_STATE_LISTEN, TCP_STATE_CLOSED},
    {TCP_STATE_SYN_SENT, TCP_STATE_SYN_RECEIVED},
    {TCP_STATE_SYN_SENT, TCP_STATE_ESTABLISHED},
    {TCP_STATE_SYN_SENT, TCP_STATE_CLOSED},
    {TCP_STATE_SYN_RECEIVED, TCP_STATE_ESTABLISHED},
    {TCP_STATE_SYN_RECEIVED, TCP_STATE_FIN_WAIT_1},
    {TCP_STATE_SYN_RECEIVED, TCP_STATE_CLOSED},
    {TCP_STATE_ESTABLISHED, TCP_STATE_FIN_WAIT_1},
    {TCP_STATE_ESTABLISHED, TCP_STATE_CLOSE_WAIT},
    {TCP_STATE_ESTABLISHED, TCP_STATE_CLOSED},
    {TCP_STATE_FIN_WAIT_1, TCP_STATE_FIN_WAIT_2},
    {TCP_STATE_FIN_WAIT_1, TCP_STATE_CLOSING},
    {TCP_STATE_FIN_WAIT_1, TCP_STATE_TIME_WAIT},
    {TCP_STATE_FIN_WAIT_1, TCP_STATE_CLOSED},
    {TCP_STATE_FIN_WAIT_2, TCP_STATE_TIME_WAIT},
    {TCP_STATE_FIN_WAIT_2, TCP_STATE_CLOSED},
    {TCP_STATE_FIN_WAIT_2, TCP_STATE_NONE},
    {TCP_STATE_CLOSING, TCP_STATE_TIME_WAIT},
    {TCP_STATE_CLOSING, TCP_STATE_CLOSED},
    {TCP_STATE_TIME_WAIT, TCP_STATE_CLOSED},
    {TCP_STATE_CLOSE_WAIT, TCP_STATE_LAST_ACK},
    {TCP_STATE_CLOSE_WAIT, TCP_STATE_CLOSED},
    {TCP_STATE_LAST_ACK, TCP_STATE_CLOSED},
};

uint64_t sample_step_sum(const struct tcp_transitions *matrix)
{
    uint64_t sum = 0;
    for (int state = 0; state < TCP_STATE_COUNT; state++) {
        sum += tcp_transitions_left(matrix, (enum tcp_state)state);
    }
    return sum;
}

uint64_t sample_other_steps(const struct tcp_transitions *matrix)
{
    uint64_t sum = sample_step_sum(matrix);
    for (int i = 0; i < SAMPLE_STEP_COUNT; i++) {
        sum -= matrix->n[sample_steps[i].from][sample_steps[i].to];
    }
    return sum;
}

const char *sample_step_key(struct sample_step step, char text[SAMPLE_STEP_TEXT_MAX])
{
    snprintf(text, SAMPLE_STEP_TEXT_MAX, "%s>%s", tcp_state_key(step.from), tcp_state_key(step.to));
    return text;
}

static double per_sec(uint64_t rise, const struct sample *now, const struct sample *before)
{
    const uint64_t span_ns = now->elapsed_ns - before->elapsed_ns;
    return span_ns == 0 ? 0 : (double)rise * (double)NS_PER_SEC / (double)span_ns;
}

double sample_rise_per_sec(const struct sample *now, const struct sample *before,
                           enum watch_field field)
{
    /* A counter that fell was reset, with its namespace or by a recording's mistake. */
    const uint64_t to = now->values[field];
    const uint64_t from = before->values[field];
    return to < from ? 0 : per_sec(to - from, now, before);
}

/* TIME_WAITs made are counted; those that ended are what was made and is no longer there. */
static struct sample_flow time_wait_flow(const struct sample *now, const struct sample *before)
{
    const uint64_t made = now->values[WATCH_time_wait_made] + now->values[WATCH_time_wait_killed] -
                          before->values[WATCH_time_wait_made] -
                          before->values[WATCH_time_wait_killed];
    const int64_t rise =
        (int64_t)now->values[WATCH_time_wait] - (int64_t)before->values[WATCH_time_wait];
    const int64_t ended = (int64_t)made - rise;
    return (struct sample_flow){
        .has_in = true,
        .has_out = true,
        .in_per_sec = per_sec(made, now, before),
        /* The two counters are read a moment apart: a few may seem to end before they began. */
        .out_per_sec = ended < 0 ? 0 : per_sec((uint64_t)ended, now, before),
    };
}

/* The matrix is read at times of its own, so its rates have their own span. */
static struct sample_flow matrix_flow(const struct sample *now, const struct sample *before,
                                      enum tcp_state state)
{
    const uint64_t span_ns = now->transitions_ns - before->transitions_ns;
    if (span_ns == 0) {
        return (struct sample_flow){.has_in = true, .has_out = true};
    }
    const double per = (double)NS_PER_SEC / (double)span_ns;
    const uint64_t entered = tcp_transitions_entered(&now->transitions, state) -
                             tcp_transitions_entered(&before->transitions, state);
    const uint64_t left = tcp_transitions_left(&now->transitions, state) -
                          tcp_transitions_left(&before->transitions, state);
    return (struct sample_flow){
        .has_in = true,
        .has_out = true,
        .in_per_sec = (double)entered * per,
        .out_per_sec = (double)left * per,
    };
}

struct sample_flow sample_state_flow(const struct sample *now, const struct sample *before,
                                     enum tcp_state state)
{
    if (state == TCP_STATE_TIME_WAIT && !now->matrix_has_time_wait) {
        return time_wait_flow(now, before);
    }
    if (now->has_transitions && before->has_transitions) {
        return matrix_flow(now, before, state);
    }
    struct sample_flow flow = {0};
    if (state == TCP_STATE_SYN_SENT) {
        flow.has_in = true;
        flow.in_per_sec = sample_rise_per_sec(now, before, WATCH_active_opens);
    }
    return flow;
}

void sample_head_add_missing(struct sample_head *head, const char *text)
{
    const size_t length = strlen(head->missing);
    if (text[0] != '\0') {
        snprintf(head->missing + length, sizeof(head->missing) - length, "%s%s",
                 length > 0 ? "; " : "", text);
    }
}

void sample_add_note(struct sample *sample, const char *format, ...)
{
    if (sample->note_count == SAMPLE_NOTES_MAX) {
        return;
    }
    char *note = sample->notes[sample->note_count];
    va_list arguments;
    va_start(arguments, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): clang 14 does not see the va_start
    if (vsnprintf(note, SAMPLE_NOTE_TEXT_MAX, format, arguments) < 0) {
        note[0] = '\0';
    }
    va_end(arguments);
    for (uint32_t i = 0; i < sample->note_count; i++) {
        if (strcmp(sample->notes[i], note) == 0) {
            return;
        }
    }
    sample->note_count++;
}

void sample_clear(struct sample *sample)
{
    memset(sample, 0, offsetof(struct sample, port_rest));
}

void sample_copy(struct sample *to, const struct sample *from)
{
    const size_t ports_bytes = !from->has_ports ? 0
                                                : offsetof(struct sample, ports) -
                                                      offsetof(struct sample, port_rest) +
                                                      from->port_count * sizeof(from->ports[0]);
    memcpy(to, from, offsetof(struct sample, port_rest) + ports_bytes);
}

uint64_t sample_port_opened(const struct sample_port *port)
{
    const uint64_t *first = port->transitions.n[TCP_STATE_NONE];
    return first[TCP_STATE_SYN_SENT] + first[TCP_STATE_SYN_RECEIVED];
}

uint64_t sample_port_ended(const struct sample_port *port)
{
    uint64_t sum = 0;
    for (int from = TCP_STATE_ESTABLISHED; from < TCP_STATE_COUNT; from++) {
        const uint64_t *to = port->transitions.n[from];
        if (from != TCP_STATE_LISTEN) {
            sum += to[TCP_STATE_CLOSED] + to[TCP_STATE_TIME_WAIT] + to[TCP_STATE_NONE];
        }
    }
    return sum;
}

const struct sample_port *sample_find_port(const struct sample *sample, uint16_t port)
{
    for (uint32_t i = 0; sample->has_ports && i < sample->port_count; i++) {
        if (sample->ports[i].port == port) {
            return &sample->ports[i];
        }
    }
    return NULL;
}

uint32_t sample_rank_ports(const struct sample *sample, uint32_t most,
                           const struct sample_port *order[SAMPLE_PORTS_MAX])
{
    const uint32_t count = sample->has_ports ? sample->port_count : 0;
    uint64_t steps[SAMPLE_PORTS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        /* Each goes in behind those with as many or more: few, so that no sort is needed. */
        const uint64_t mine = sample_step_sum(&sample->ports[i].transitions);
        uint32_t at = i;
        for (; count > most && at > 0 && steps[at - 1] < mine; at--) {
            steps[at] = steps[at - 1];
            order[at] = order[at - 1];
        }
        steps[at] = mine;
        order[at] = &sample->ports[i];
    }
    return count < most ? count : most;
}
