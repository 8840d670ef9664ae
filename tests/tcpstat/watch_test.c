/* A watch over a namespace of the test's own, with the real counters; and with censuses of the
 * test's that take as long as it says. Tests wait for ticks, never for time. */
#include <errno.h>
#include <netinet/in.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/namespace.h"
#include "tcpstat/watch.h"

#define INTERVAL_NS (5 * NS_PER_MS)

/* What a tick tells the test. */
struct ticks {
    sem_t taken;
    bool signals_blocked;
};

static void on_tick(void *context, const struct watch_latest *latest)
{
    struct ticks *ticks = context;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    ticks->signals_blocked = sigismember(&blocked, SIGINT) && sigismember(&blocked, SIGTERM);
    (void)latest;
    sem_post(&ticks->taken);
}

static void wait_for(struct ticks *ticks, int count)
{
    for (int i = 0; i < count; i++) {
        sem_wait(&ticks->taken);
    }
}

static struct watch *start(struct watch_config config, struct ticks *ticks)
{
    sem_init(&ticks->taken, 0, 0);
    config.interval_ns = INTERVAL_NS;
    config.on_tick = on_tick;
    config.context = ticks;
    struct failure failure;
    struct watch *watch;
    if (watch_start(&watch, &config, &failure) < 0) {
        fail_msg("%s", failure.text);
    }
    return watch;
}

static void connect_refused(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), -1);
    close(fd);
}

static int listen_on(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void test_the_series_spans_from_start_to_stop(void **state)
{
    (void)state;
    struct ticks ticks;
    struct watch *watch =
        start((struct watch_config){.budget_permille = 20, .method = CENSUS_PROCFS}, &ticks);
    for (int i = 0; i < 5; i++) {
        connect_refused();
    }
    wait_for(&ticks, 3);
    struct watch_latest latest;
    watch_latest(watch, &latest);
    assert_true(latest.ticks >= 4);
    assert_true(latest.tick.at_ns > latest.previous.at_ns);
    connect_refused(); /* right before the end: only the last tick sees it */
    struct watch_series series;
    watch_stop(watch, &series);
    assert_true(ticks.signals_blocked);
    assert_int_equal(watch_series_delta(&series, WATCH_active_opens), 6);
    assert_int_equal(watch_series_delta(&series, WATCH_attempt_fails), 6);
    const int resets = tcpstat_counters_find(series.counters, "Tcp.OutRsts");
    assert_int_equal(tcpstat_counters_delta(&series.first, &series.last, resets), 6);
    assert_true(series.tick_count >= 5);
    assert_int_equal(series.tick_errors + series.census_errors, 0);
    assert_int_equal(series.ticks_thinned, 0);
    assert_true(series.tick_cpu_ns > 0);
    assert_string_equal(series.census_method, "procfs");
    for (uint32_t i = 1; i < series.tick_count; i++) {
        assert_true(series.ticks[i].at_ns > series.ticks[i - 1].at_ns);
    }
    watch_series_free(&series);
    sem_destroy(&ticks.taken);
}

static void test_the_last_census_is_of_the_end(void **state)
{
    (void)state;
    struct port_set ports = {0};
    port_set_add(&ports, 7000);
    struct ticks ticks;
    struct watch *watch = start(
        (struct watch_config){.method = CENSUS_PROCFS, .request = {.local_ports = &ports}}, &ticks);
    wait_for(&ticks, 2);
    const int counted = listen_on(7000);
    const int filtered_out = listen_on(7001);
    struct watch_series series;
    watch_stop(watch, &series);
    assert_int_equal(series.census_count, 1); /* no budget: only the last */
    assert_true(series.censuses[0].is_final);
    assert_int_equal(series.censuses[0].total.n[TCP_STATE_LISTEN], 1);
    assert_int_equal(tcp_state_total(&series.censuses[0].total), 1);
    assert_int_equal(series.censuses[0].stamp.stability, CENSUS_STABLE);
    assert_int_equal(series.censuses[0].stamp.rows, 2);
    watch_series_free(&series);
    close(counted);
    close(filtered_out);
    sem_destroy(&ticks.taken);
}

/* A census that costs as much CPU time as it is told, and stops for `cancel`. */
struct costly_census {
    struct census census;
    uint64_t cost_ns;
    uint32_t *cancelled; /* counted here, since the watch frees the census */
};

static int run_costly(struct census *base, const struct census_request *request,
                      struct census_result *result)
{
    struct costly_census *costly = (struct costly_census *)base;
    *result = (struct census_result){.stamp.started_ns = clock_now_ns()};
    if (request->cancel == NULL) {
        return 0; /* the last one, which cannot be given up */
    }
    const uint64_t cpu_ns = clock_thread_cpu_ns();
    while (clock_thread_cpu_ns() - cpu_ns < costly->cost_ns) {
        if (atomic_load(request->cancel)) {
            (*costly->cancelled)++;
            return -ECANCELED;
        }
    }
    result->stamp.cpu_ns = clock_thread_cpu_ns() - cpu_ns;
    return 0;
}

static void close_costly(struct census *base)
{
    free(base);
}

static const struct census_ops costly_ops = {
    .method = "costly", .run = run_costly, .close = close_costly};

static struct census *make_costly(uint64_t cost_ns, uint32_t *cancelled)
{
    struct costly_census *costly = calloc(1, sizeof(*costly));
    costly->census.ops = &costly_ops;
    costly->cost_ns = cost_ns;
    costly->cancelled = cancelled;
    return &costly->census;
}

static void test_a_census_without_end_delays_no_tick_and_no_stop(void **state)
{
    (void)state;
    uint32_t cancelled = 0;
    struct ticks ticks;
    const struct watch_config config = {.budget_permille = 1000,
                                        .census = make_costly(CLOCK_NEVER, &cancelled)};
    struct watch *watch = start(config, &ticks);
    wait_for(&ticks, 10);
    struct watch_series series;
    watch_stop(watch, &series);
    assert_true(series.tick_count >= 11);
    assert_int_equal(series.census_count, 1);
    assert_true(series.censuses[0].is_final);
    assert_int_equal(series.census_errors, 0);
    assert_int_equal(cancelled, 1);
    watch_series_free(&series);
    sem_destroy(&ticks.taken);
}

static void test_censuses_keep_to_their_budget(void **state)
{
    (void)state;
    const uint64_t cost_ns = 2 * NS_PER_MS;
    uint32_t cancelled = 0;
    struct ticks ticks;
    const struct watch_config config = {.budget_permille = 50,
                                        .census = make_costly(cost_ns, &cancelled)};
    struct watch *watch = start(config, &ticks);
    struct watch_latest latest = {0};
    for (int waited = 0; waited < 60 || latest.censuses < 3; waited++) {
        wait_for(&ticks, 1);
        watch_latest(watch, &latest);
    }
    struct watch_series series;
    watch_stop(watch, &series);
    const uint64_t elapsed_ns = series.ticks[series.tick_count - 1].at_ns - series.ticks[0].at_ns;
    assert_true(series.census_cpu_ns <= elapsed_ns / 20 + 2 * cost_ns);
    /* And use it: one each 40 ms, though a busy machine may hold them up. */
    assert_true(series.census_count >= 4);
    /* The first is an advance; each later one was earned before it began. */
    for (uint32_t i = 1; i + 1 < series.census_count; i++) {
        const uint64_t elapsed = series.censuses[i].stamp.started_ns - series.first.taken_ns;
        assert_true(elapsed + NS_PER_MS >= 20 * cost_ns * (i + 1));
    }
    watch_series_free(&series);
    sem_destroy(&ticks.taken);
}

/* What a walk spends, and how often it was made. */
struct walker {
    struct ticks ticks; /* first: the context of on_tick too */
    uint64_t cost_ns;
    atomic_uint walks;
};

static void spend(void *context)
{
    struct walker *walker = context;
    const uint64_t cpu_ns = clock_thread_cpu_ns();
    while (clock_thread_cpu_ns() - cpu_ns < walker->cost_ns) {
    }
    atomic_fetch_add(&walker->walks, 1);
}

/* A walk of 5 ms and a census of 1 ms, from 10% of a core: walks get half of it, censuses come in
 * between, a good deal more often than ticks. */
static void test_walks_and_censuses_share_the_budget(void **state)
{
    (void)state;
    uint32_t cancelled = 0;
    struct walker walker = {.cost_ns = 5 * NS_PER_MS};
    const struct watch_config config = {.budget_permille = 100,
                                        .census_gap_ns = NS_PER_MS,
                                        .census = make_costly(NS_PER_MS, &cancelled),
                                        .walk = spend};
    struct watch *watch = start(config, &walker.ticks);
    struct watch_latest latest = {0};
    for (int waited = 0; waited < 60 || latest.censuses < 8 || atomic_load(&walker.walks) < 2;
         waited++) {
        wait_for(&walker.ticks, 1);
        watch_latest(watch, &latest);
    }
    struct watch_series series;
    watch_stop(watch, &series);
    const uint64_t elapsed_ns = series.ticks[series.tick_count - 1].at_ns - series.ticks[0].at_ns;
    assert_true(series.walk_cpu_ns >= 2 * walker.cost_ns);
    assert_true(series.walk_cpu_ns <= elapsed_ns / 20 + 2 * walker.cost_ns);
    assert_true(series.walk_cpu_ns + series.census_cpu_ns <= elapsed_ns / 10 + 2 * walker.cost_ns);
    watch_series_free(&series);
    sem_destroy(&walker.ticks.taken);
}

static void test_every_field_has_a_name_of_the_kernels(void **state)
{
    (void)state;
    struct failure failure;
    struct tcpstat_counters *counters;
    assert_int_equal(tcpstat_counters_open(&counters, &failure), 0);
    for (int i = 0; i < WATCH_FIELD_COUNT; i++) {
        if (tcpstat_counters_find(counters, watch_field_infos[i].kernel_name) < 0) {
            fail_msg("the kernel has no %s", watch_field_infos[i].kernel_name);
        }
    }
    tcpstat_counters_close(counters);
}

static void test_the_series_feeds_the_time_wait_model(void **state)
{
    (void)state;
    struct ticks ticks;
    struct watch *watch = start((struct watch_config){0}, &ticks);
    const int listener = listen_on(7000);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
    const int server = accept(listener, NULL, NULL);
    char byte;
    shutdown(client, SHUT_WR);
    assert_int_equal(read(server, &byte, 1), 0); /* FINs that cross would leave two */
    close(server);
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    close(listener);
    wait_for(&ticks, 1);
    struct watch_series series;
    watch_stop(watch, &series);
    struct timewait_estimate estimate;
    assert_int_equal(
        watch_series_time_wait(&series, CLOCK_NEVER, &(struct timewait_config){0}, &estimate), 0);
    assert_int_equal(estimate.live, 1);
    assert_true(estimate.made_per_sec > 0);
    assert_int_equal(watch_series_time_wait(&series, 0, &(struct timewait_config){0}, &estimate),
                     -ENODATA);
    watch_series_free(&series);
    sem_destroy(&ticks.taken);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_series_spans_from_start_to_stop),
        cmocka_unit_test(test_the_last_census_is_of_the_end),
        cmocka_unit_test(test_a_census_without_end_delays_no_tick_and_no_stop),
        cmocka_unit_test(test_censuses_keep_to_their_budget),
        cmocka_unit_test(test_walks_and_censuses_share_the_budget),
        cmocka_unit_test(test_every_field_has_a_name_of_the_kernels),
        cmocka_unit_test(test_the_series_feeds_the_time_wait_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
