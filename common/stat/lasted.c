#include "stat/lasted.h"

void lasted_condense(const struct hist *hist, struct sample_lasted *state)
{
    *state = (struct sample_lasted){.count = hist->count, .sum_ns = hist->sum};
    state->p50_ns = hist_percentile(hist, 50);
    state->p90_ns = hist_percentile(hist, 90);
    state->p99_ns = hist_percentile(hist, 99);
    state->max_ns = hist->count == 0 ? 0 : hist->max;
    uint32_t power = 0;
    for (uint32_t bin = 0; bin < HIST_BINS; bin++) {
        while (power < SAMPLE_POWERS - 1 && hist_bin_high(bin) >> power != 0) {
            power++; /* bins end where powers of two do, so none lies across one */
        }
        state->powers[power] += hist->bins[bin];
    }
}

static int read_hist(struct transitions *transitions, uint32_t group, enum tcp_state state,
                     struct hist *hist)
{
    hist_init(hist);
    return group == LASTED_OF_ALL ? transitions_read_lasted(transitions, state, hist)
                                  : transitions_read_group_lasted(transitions, group, state, hist);
}

void lasted_read(struct lasted *lasted, struct transitions *transitions, uint32_t group,
                 const struct tcp_transitions *matrix)
{
    for (int state = TCP_STATE_ESTABLISHED; state < TCP_STATE_COUNT; state++) {
        const uint64_t left = tcp_transitions_left(matrix, (enum tcp_state)state);
        if (left == lasted->left[state]) {
            continue;
        }
        struct hist hist;
        if (read_hist(transitions, group, (enum tcp_state)state, &hist) == 0) {
            lasted_condense(&hist, &lasted->states[state]);
            lasted->left[state] = left;
        }
    }
}
