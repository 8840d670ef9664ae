/* What the simulator prints: see summary.h.
 *
 * Layer: tests. */
#include "sim/summary.h"

#include <inttypes.h>

#include "base/tcp_state.h"

/* Every arrow of RFC 9293 figure 5 and its note 1, but LISTEN to SYN-SENT: the interface has
 * no SEND on a listener (RFC 9293 3.10.2 leaves it to the implementation), and but the making of a
 * record, which is no arrow between two states of one. Note 2's FIN-WAIT-1 to TIME-WAIT is a short
 * cut: 3.10.7.4 enters FIN-WAIT-2 in its fifth step and leaves it in the eighth. */
static const uint8_t figure_5[][2] = {
    {FWS_STATE_LISTEN, FWS_STATE_SYN_RECEIVED},      {FWS_STATE_SYN_SENT, FWS_STATE_CLOSED},
    {FWS_STATE_SYN_SENT, FWS_STATE_SYN_RECEIVED},    {FWS_STATE_SYN_SENT, FWS_STATE_ESTABLISHED},
    {FWS_STATE_SYN_RECEIVED, FWS_STATE_ESTABLISHED}, {FWS_STATE_SYN_RECEIVED, FWS_STATE_FIN_WAIT_1},
    {FWS_STATE_ESTABLISHED, FWS_STATE_FIN_WAIT_1},   {FWS_STATE_ESTABLISHED, FWS_STATE_CLOSE_WAIT},
    {FWS_STATE_FIN_WAIT_1, FWS_STATE_FIN_WAIT_2},    {FWS_STATE_FIN_WAIT_1, FWS_STATE_CLOSING},
    {FWS_STATE_FIN_WAIT_2, FWS_STATE_TIME_WAIT},     {FWS_STATE_CLOSING, FWS_STATE_TIME_WAIT},
    {FWS_STATE_CLOSE_WAIT, FWS_STATE_LAST_ACK},      {FWS_STATE_LAST_ACK, FWS_STATE_CLOSED},
    {FWS_STATE_TIME_WAIT, FWS_STATE_CLOSED},
};

#define FIGURE_5_COUNT (sizeof(figure_5) / sizeof(*figure_5))

struct named_total {
    const char *name;
    uint64_t value;
};

static void print_rows(const struct named_total *rows, size_t count, FILE *out)
{
    for (size_t i = 0; i < count; i++) {
        fprintf(out, " %s=%" PRIu64, rows[i].name, rows[i].value);
    }
}

static uint64_t entered(const struct totals *totals, uint32_t state)
{
    uint64_t sum = 0;
    for (uint32_t from = 0; from < FWS_STATE_COUNT; from++) {
        sum += totals->transitions[from][state];
    }
    return sum;
}

void summary_print(const struct totals *totals, FILE *out)
{
    const struct named_total rows[] = {
        {"runs", totals->runs},
        {"connections", totals->conns},
        {"completed", totals->completed},
        {"reset", totals->reset},
        {"refused", totals->refused},
        {"timed_out", totals->timed_out},
        {"other_errors", totals->other_errors},
        {"not_opened", totals->refused_locally},
        {"bytes", totals->bytes},
        {"packets", totals->packets},
        {"retransmitted", totals->retransmitted},
        {"rsts", totals->rsts},
        {"window_probes", totals->window_probes},
        {"fins_answered", totals->fins_answered},
        {"strays", totals->strays},
        {"troubles", totals->troubles},
        {"icmp", totals->icmp},
        {"fragments", totals->fragments},
        {"net_drops", totals->net_drops},
        {"late_dropped", totals->late_dropped},
        {"virtual_s", totals->virtual_ns / 1000000000u},
    };
    fputs("finwait-sim:", out);
    print_rows(rows, sizeof(rows) / sizeof(*rows), out);
    for (uint32_t op = 0; op < FAULT_OP_COUNT; op++) {
        fprintf(out, " fault_%s=%" PRIu64, entry_op_name(ENTRY_FAULT, op), totals->faults[op]);
    }
    for (uint32_t op = 0; op < NET_OP_COUNT; op++) {
        fprintf(out, " net_%s=%" PRIu64, entry_op_name(ENTRY_NET, op), totals->nets[op]);
    }
    for (uint32_t state = 1; state < FWS_STATE_COUNT; state++) {
        fprintf(out, " entered_%s=%" PRIu64, tcp_state_key((enum tcp_state)state),
                entered(totals, state));
    }
    fputc('\n', out);
}

void summary_matrix(const struct totals *totals, FILE *out)
{
    for (uint32_t from = 0; from < FWS_STATE_COUNT; from++) {
        for (uint32_t to = 0; to < FWS_STATE_COUNT; to++) {
            if (totals->transitions[from][to]) {
                fprintf(out, "  %s to %s: %" PRIu64 "\n", tcp_state_name((enum tcp_state)from),
                        tcp_state_name((enum tcp_state)to), totals->transitions[from][to]);
            }
        }
    }
}

uint32_t summary_gaps(const struct totals *totals, FILE *out)
{
    const struct named_total rows[] = {
        /* Note 1: a listener's record goes back to LISTEN, which is to say that it goes. */
        {"SYN_RECEIVED to LISTEN or CLOSED",
         totals->transitions[FWS_STATE_SYN_RECEIVED][FWS_STATE_LISTEN] +
             totals->transitions[FWS_STATE_SYN_RECEIVED][FWS_STATE_CLOSED]},
        {"a completed connection", totals->completed},
        {"a reset connection", totals->reset},
        {"a refused connection", totals->refused},
        {"a connection that timed out", totals->timed_out},
        {"a retransmission", totals->retransmitted},
        {"a zero-window probe", totals->window_probes},
        {"a FIN that came again in TIME_WAIT", totals->fins_answered},
        {"trouble that an application was told of", totals->troubles},
        {"an ICMP message", totals->icmp},
        {"a packet lost to a partition or MTU", totals->net_drops},
    };
    uint32_t gaps = 0;
    for (size_t i = 0; i < FIGURE_5_COUNT; i++) {
        if (!totals->transitions[figure_5[i][0]][figure_5[i][1]]) {
            fprintf(out, "never seen: %s to %s\n", tcp_state_name((enum tcp_state)figure_5[i][0]),
                    tcp_state_name((enum tcp_state)figure_5[i][1]));
            gaps++;
        }
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!rows[i].value) {
            fprintf(out, "never seen: %s\n", rows[i].name);
            gaps++;
        }
    }
    for (uint32_t op = 0; op < FAULT_OP_COUNT; op++) {
        if (!totals->faults[op]) {
            fprintf(out, "never applied: fault %s\n", entry_op_name(ENTRY_FAULT, op));
            gaps++;
        }
    }
    return gaps;
}
