/* Rules of tcp/cubic: its whole numbers against RFC 9438's formulas in floating point. */
#include "tcp/test.h"

#include <math.h>

#include "tcp/congestion.h"

#define C 0.4
#define BETA 0.7

/* The RFC's variables, in segments and seconds. */
struct model {
    double cwnd;
    double ssthresh;
    double w_max;
    double cwnd_prior;
    double w_est;
    double k;
    double epoch;
    bool in_epoch;
};

static double w_cubic(const struct model *model, double t)
{
    return C * pow(t - model->k, 3) + model->w_max;
}

static void model_loss(struct model *model)
{
    model->w_max = model->cwnd < model->w_max ? model->cwnd * (1 + BETA) / 2 : model->cwnd;
    model->cwnd_prior = model->cwnd;
    model->cwnd = fmax(model->cwnd * BETA, 2);
    model->ssthresh = model->cwnd;
    model->in_epoch = false;
}

static void model_ack(struct model *model, double now, double rtt)
{
    if (model->cwnd < model->ssthresh) {
        model->cwnd += 1;
        return;
    }
    if (!model->in_epoch) {
        model->in_epoch = true;
        model->epoch = now;
        model->w_max = fmax(model->w_max, model->cwnd);
        model->k = cbrt((model->w_max - model->cwnd) / C);
        model->w_est = model->cwnd;
    }
    double t = now - model->epoch;
    double alpha = model->w_est >= model->cwnd_prior ? 1 : 3 * (1 - BETA) / (1 + BETA);
    model->w_est += alpha / model->cwnd;
    if (w_cubic(model, t) < model->w_est) {
        model->cwnd = fmax(model->cwnd, model->w_est);
        return;
    }
    double target = fmin(fmax(w_cubic(model, t + rtt), model->cwnd), 1.5 * model->cwnd);
    model->cwnd += (target - model->cwnd) / model->cwnd;
}

struct run {
    uint32_t mss;
    uint32_t rtt_us;
    uint32_t segments; /* window at the first loss */
};

static void check_near(const struct congestion *congestion, const struct model *model, uint32_t mss)
{
    double expected = model->cwnd * mss;
    double error = fabs(expected - congestion->cwnd);
    if (error > 0.002 * expected + mss) {
        fail_msg("cwnd %u bytes, by the formulas %.0f", congestion->cwnd, expected);
    }
}

/* Takes both through a round trip in which a whole window is acknowledged. */
static void run_round(struct run run, struct congestion *congestion, struct congestion_extra *extra,
                      struct model *model, uint64_t start_us)
{
    uint32_t acks = congestion->cwnd / run.mss;
    for (uint32_t i = 1; i <= acks; i++) {
        uint64_t now_us = start_us + (uint64_t)run.rtt_us * i / acks;
        congestion_cubic.on_ack(congestion, extra,
                                &(struct congestion_ack){.now_us = now_us,
                                                         .acked_bytes = run.mss,
                                                         .mss = run.mss,
                                                         .srtt_us = run.rtt_us,
                                                         .cwnd_limited = true});
        model_ack(model, (double)now_us / 1e6, run.rtt_us / 1e6);
    }
    check_near(congestion, model, run.mss);
}

static void run_against_formulas(struct run run)
{
    struct congestion congestion = {.cwnd = run.segments * run.mss,
                                    .ssthresh = CONGESTION_SSTHRESH_NONE};
    struct congestion_extra extra = {0};
    struct model model = {.cwnd = run.segments};
    uint64_t now_us = 5000000;
    for (int loss = 0; loss < 4; loss++) {
        congestion_cubic.on_loss(&congestion, &extra, congestion.cwnd, run.mss, now_us);
        model_loss(&model);
        check_near(&congestion, &model, run.mss);
        /* The third loss comes early, below the maximum: fast convergence. */
        int rounds = loss == 1 ? 12 : 150;
        for (int i = 0; i < rounds; i++) {
            run_round(run, &congestion, &extra, &model, now_us);
            now_us += run.rtt_us;
        }
    }
}

static void test_window_follows_the_formulas_through_losses(void **state)
{
    (void)state;
    static const struct run runs[] = {
        {1460, 100000, 100}, {1460, 10000, 40}, {1460, 200000, 2000}, {536, 50000, 20},
        {8960, 80000, 300},  {1460, 1000, 10},  {64, 30000, 50},
    };
    for (size_t i = 0; i < TABLE_COUNT(runs); i++) {
        run_against_formulas(runs[i]);
    }
}

/* Takes the window through one acknowledgement of a segment. */
static void ack_at(struct congestion *congestion, struct congestion_extra *extra, uint64_t now_us,
                   bool cwnd_limited)
{
    congestion_cubic.on_ack(congestion, extra,
                            &(struct congestion_ack){.now_us = now_us,
                                                     .acked_bytes = 1000,
                                                     .mss = 1000,
                                                     .srtt_us = 50000,
                                                     .cwnd_limited = cwnd_limited});
}

static void test_time_to_the_maximum_is_the_cube_root_of_figure_2(void **state)
{
    (void)state;
    static const uint32_t windows[] = {10, 100, 1000, 100000, 1000000};
    for (size_t i = 0; i < TABLE_COUNT(windows); i++) {
        struct congestion congestion = {.cwnd = windows[i] * 1000u,
                                        .ssthresh = CONGESTION_SSTHRESH_NONE};
        struct congestion_extra extra = {0};
        congestion_cubic.on_loss(&congestion, &extra, congestion.cwnd, 1000, 1);
        ack_at(&congestion, &extra, 2, true);
        double expected = cbrt(windows[i] * (1 - BETA) / C) * 1e6;
        assert_true(fabs((double)extra.k_us - expected) < 3 + expected / 1e5);
    }
}

static void test_loss_takes_three_tenths_of_the_flight(void **state)
{
    (void)state;
    struct congestion congestion = {.cwnd = 20000, .ssthresh = CONGESTION_SSTHRESH_NONE};
    congestion_cubic.on_loss(&congestion, NULL, 15000, 1000, 1);
    assert_int_equal(congestion.ssthresh, 10500);
    assert_int_equal(congestion.cwnd, 10500);
    congestion_cubic.on_loss(&congestion, NULL, 1000, 1000, 1);
    assert_int_equal(congestion.cwnd, 2000);
}

static void test_stage_after_a_time_out_begins_at_its_plateau(void **state)
{
    (void)state;
    struct congestion congestion = {.cwnd = 100000, .ssthresh = CONGESTION_SSTHRESH_NONE};
    struct congestion_extra extra = {0};
    congestion_cubic.on_loss(&congestion, &extra, 100000, 1000, 1);
    congestion_cubic.on_timeout(&congestion, &extra, 70000, 1000, true);
    uint64_t now_us = 1000;
    while (congestion.cwnd < congestion.ssthresh) {
        ack_at(&congestion, &extra, now_us++, true);
    }
    assert_int_equal(extra.epoch_start_us, 0);
    uint32_t plateau = congestion.cwnd;
    ack_at(&congestion, &extra, now_us, true);
    assert_int_equal(extra.k_us, 0);
    assert_int_equal(extra.w_max, plateau);
}

static void test_time_in_which_the_window_was_not_used_does_not_count(void **state)
{
    (void)state;
    struct congestion_extra extra = {0};
    struct congestion congestion = {.cwnd = 100000, .ssthresh = CONGESTION_SSTHRESH_NONE};
    congestion_cubic.on_loss(&congestion, &extra, 100000, 1000, 1000000);
    ack_at(&congestion, &extra, 2000000, true);
    assert_int_equal(extra.epoch_start_us, 2000000);
    ack_at(&congestion, &extra, 2500000, true);
    ack_at(&congestion, &extra, 62500000, false); /* a minute of little to send */
    assert_int_equal(extra.epoch_start_us, 62000000);
    uint32_t cwnd = congestion.cwnd;
    ack_at(&congestion, &extra, 62600000, true);
    assert_in_range(congestion.cwnd, cwnd, cwnd + 1000);
}

static void test_window_never_shrinks_on_an_acknowledgement(void **state)
{
    (void)state;
    struct congestion_extra extra = {.w_max = 1000000000};
    struct congestion congestion = {.cwnd = 2000, .ssthresh = 2000};
    uint32_t before = congestion.cwnd;
    for (uint64_t now_us = 1; now_us < UINT64_C(2000000000); now_us += 1000000) {
        ack_at(&congestion, &extra, now_us, true);
        assert_true(congestion.cwnd >= before);
        assert_true(congestion.cwnd <= before + before / 2u + 1000u);
        before = congestion.cwnd;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_window_follows_the_formulas_through_losses),
        cmocka_unit_test(test_time_to_the_maximum_is_the_cube_root_of_figure_2),
        cmocka_unit_test(test_loss_takes_three_tenths_of_the_flight),
        cmocka_unit_test(test_stage_after_a_time_out_begins_at_its_plateau),
        cmocka_unit_test(test_time_in_which_the_window_was_not_used_does_not_count),
        cmocka_unit_test(test_window_never_shrinks_on_an_acknowledgement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
