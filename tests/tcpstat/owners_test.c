/* Owners of real sockets, by both ways, in a namespace of the test's own. */
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tcpstat/namespace.h"
#include "tcpstat/owners.h"
#include "tcpstat/owners_names.h"
#include "tcpstat/pairs.h"

#define PORT 7000
#define SETTLE_NS (10 * NS_PER_SEC)

struct fixture {
    struct transitions *transitions; /* NULL: by procfs */
    struct owners *owners;
    struct owners_result result;
};

static void open_by(struct fixture *fixture, const struct transitions_config *config)
{
    struct failure failure;
    *fixture = (struct fixture){0};
    if (config != NULL && transitions_open(&fixture->transitions, config, &failure) < 0) {
        fprintf(stderr, "skipped: %s\n", failure.text);
        skip();
    }
    assert_int_equal(owners_open(&fixture->owners, fixture->transitions, &failure), 0);
}

static void close_by(struct fixture *fixture)
{
    owners_result_free(&fixture->result);
    owners_close(fixture->owners);
    transitions_close(fixture->transitions);
}

static void run(struct fixture *fixture, const struct owners_request *request)
{
    assert_int_equal(owners_run(fixture->owners, request, &fixture->result), 0);
}

static const struct owners_row *find_pid(const struct fixture *fixture, pid_t pid)
{
    for (uint32_t i = 0; i < fixture->result.row_count; i++) {
        if (fixture->result.rows[i].pid == (uint32_t)pid) {
            return &fixture->result.rows[i];
        }
    }
    return NULL;
}

static void check_descriptors_have_owners(struct fixture *fixture)
{
    const int listener = pair_listen(PORT, 128);
    const struct pair pair = pair_open(listener, PORT);
    const struct owners_request by_pid = {.key = OWNERS_BY_PID};
    run(fixture, &by_pid);
    const struct owners_row *row = find_pid(fixture, getpid());
    assert_non_null(row);
    assert_int_equal(row->counts.n[TCP_STATE_LISTEN], 1);
    assert_int_equal(row->counts.n[TCP_STATE_ESTABLISHED], 2);
    char name[64];
    char comm[OWNERS_COMM_MAX];
    assert_int_equal(owners_read_comm((uint32_t)getpid(), comm), 0);
    snprintf(name, sizeof(name), "%s (%d)", comm, getpid());
    assert_string_equal(row->name, name);
    const struct owners_request by_remote = {.key = OWNERS_BY_REMOTE, .pid = (uint32_t)getpid()};
    run(fixture, &by_remote);
    assert_string_equal(fixture->result.rows[0].name, "127.0.0.1");
    const struct owners_request by_port = {.key = OWNERS_BY_LOCAL_PORT, .top = 1};
    run(fixture, &by_port);
    assert_int_equal(fixture->result.rows[0].local_port, PORT);
    assert_int_equal(fixture->result.rows[0].total, 2);
    assert_int_equal(fixture->result.other.total, fixture->result.sockets - 2);
    pair_close(pair);
    close(listener);
}

static void test_descriptors_have_owners_by_procfs(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, NULL);
    assert_string_equal(owners_method(fixture.owners), "procfs");
    check_descriptors_have_owners(&fixture);
    close_by(&fixture);
}

static void test_descriptors_have_owners_by_bpf(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, &(struct transitions_config){0});
    assert_string_equal(owners_method(fixture.owners), "bpf");
    check_descriptors_have_owners(&fixture);
    assert_null(owners_missing(fixture.owners));
    close_by(&fixture);
}

static void test_procfs_names_what_it_cannot_tell(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, NULL);
    const char *missing = owners_missing(fixture.owners);
    assert_non_null(missing);
    assert_non_null(strstr(missing, "TIME_WAIT"));
    assert_non_null(strstr(missing, "CAP_BPF"));
    assert_null(strchr(missing, '\n'));
    close_by(&fixture);
}

/* In a process of its own: makes TIME_WAIT, and ends. */
static pid_t make_time_wait(int listener, int count)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_NAME, "waster");
        for (int i = 0; i < count; i++) {
            pair_close(pair_open(listener, PORT));
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return child;
}

static void await_time_wait(struct fixture *fixture, const struct owners_request *request,
                            uint64_t count)
{
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    do {
        run(fixture, request);
    } while (fixture->result.records.n[TCP_STATE_TIME_WAIT] != count &&
             clock_now_ns() < deadline_ns);
    assert_int_equal(fixture->result.records.n[TCP_STATE_TIME_WAIT], count);
}

static void test_time_wait_keeps_the_owner_that_made_it_and_went(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, &(struct transitions_config){0});
    const int listener = pair_listen(PORT, 128);
    const pid_t first = make_time_wait(listener, 30);
    const pid_t second = make_time_wait(listener, 20);
    const struct owners_request request = {.key = OWNERS_BY_PID, .sort_by = TCP_STATE_TIME_WAIT};
    await_time_wait(&fixture, &request, 50);
    const struct owners_row *row = find_pid(&fixture, first);
    assert_non_null(row);
    assert_int_equal(row->counts.n[TCP_STATE_TIME_WAIT], 30);
    assert_int_equal(row->time_wait_made, 30);
    assert_true(row->oldest_ns[TCP_STATE_TIME_WAIT] > 0);
    assert_non_null(strstr(row->name, "waster"));
    row = find_pid(&fixture, second);
    assert_non_null(row);
    assert_int_equal(row->counts.n[TCP_STATE_TIME_WAIT], 20);
    assert_int_equal(fixture.result.sockets_unknown, 0);
    close(listener);
    close_by(&fixture);
}

static void test_owners_of_more_records_than_remembered_are_unknown(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, &(struct transitions_config){.time_wait_owners_max = 64});
    const int listener = pair_listen(PORT, 128);
    const pid_t waster = make_time_wait(listener, 300);
    const struct owners_request request = {.key = OWNERS_BY_PID};
    await_time_wait(&fixture, &request, fixture.result.records.n[TCP_STATE_TIME_WAIT] + 300 + 50);
    const struct owners_row *row = find_pid(&fixture, waster);
    assert_non_null(row);
    /* What it made is known in full, which records are its own is not. */
    assert_int_equal(row->time_wait_made, 300);
    assert_true(row->counts.n[TCP_STATE_TIME_WAIT] <= 64);
    assert_true(fixture.result.sockets_unknown >= 300 - 64);
    close(listener);
    close_by(&fixture);
}

/* A server whose parent listens and whose child accepts and closes: the child made it. */
static void test_who_closes_first_owns_the_time_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, &(struct transitions_config){0});
    const int listener = pair_listen(PORT, 128);
    const int client = pair_connect(PORT);
    const pid_t child = fork();
    assert_true(client >= 0 && child >= 0);
    if (child == 0) {
        close(client);
        const int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        close(server);
        _exit(0);
    }
    char byte;
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    assert_int_equal(waitpid(child, NULL, 0), child);
    const struct owners_request request = {.key = OWNERS_BY_PID, .pid = (uint32_t)child};
    const uint64_t deadline_ns = clock_now_ns() + SETTLE_NS;
    do {
        run(&fixture, &request);
    } while (fixture.result.sockets == 0 && clock_now_ns() < deadline_ns);
    assert_int_equal(fixture.result.row_count, 1);
    assert_int_equal(fixture.result.rows[0].counts.n[TCP_STATE_TIME_WAIT], 1);
    close(listener);
    close_by(&fixture);
}

static void check_cgroups(struct fixture *fixture)
{
    const uint64_t own = owners_read_cgroup((uint32_t)getpid());
    if (own == 0) {
        skip();
    }
    const int listener = pair_listen(PORT, 1);
    uint64_t ids[] = {own};
    const struct cgroup_set cgroups = {.ids = ids, .count = 1};
    const struct owners_request request = {.key = OWNERS_BY_CGROUP, .cgroups = &cgroups};
    run(fixture, &request);
    assert_int_equal(fixture->result.row_count, 1);
    assert_int_equal(fixture->result.rows[0].cgroup_id, own);
    assert_int_equal(fixture->result.rows[0].counts.n[TCP_STATE_LISTEN], 1);
    assert_int_equal(fixture->result.rows[0].name[0], '/');
    close(listener);
}

static void test_sockets_have_their_cgroup(void **state)
{
    (void)state;
    struct fixture fixture;
    open_by(&fixture, NULL);
    check_cgroups(&fixture);
    close_by(&fixture);
    open_by(&fixture, &(struct transitions_config){0});
    check_cgroups(&fixture);
    close_by(&fixture);
}

/* Both ways see the same sockets, and the records' timers tell the same rests. */
static void test_both_ways_walk_the_same_sockets(void **state)
{
    (void)state;
    struct fixture by_bpf;
    struct fixture by_procfs;
    open_by(&by_bpf, &(struct transitions_config){0});
    open_by(&by_procfs, NULL);
    const int listener = pair_listen(PORT, 128);
    const struct pair pair = pair_open(listener, PORT);
    struct tuples_ports ports;
    struct failure failure;
    assert_int_equal(tuples_ports_read(&ports, &failure), 0);
    struct tuples_use *uses = calloc(2, sizeof(*uses));
    assert_non_null(uses);
    uses[0].ports = &ports;
    uses[1].ports = &ports;
    const struct owners_request bpf_request = {.key = OWNERS_BY_PID, .tuples = &uses[0]};
    const struct owners_request procfs_request = {.key = OWNERS_BY_PID, .tuples = &uses[1]};
    run(&by_bpf, &bpf_request);
    run(&by_procfs, &procfs_request);
    assert_memory_equal(&by_bpf.result.full, &by_procfs.result.full, sizeof(by_bpf.result.full));
    assert_memory_equal(&by_bpf.result.records, &by_procfs.result.records,
                        sizeof(by_bpf.result.records));
    assert_int_equal(uses[0].pair_count, 1);
    assert_int_equal(uses[1].pair_count, 1);
    assert_int_equal(uses[0].pairs[0].taken, uses[1].pairs[0].taken);
    assert_int_equal(uses[0].pairs[0].time_wait, uses[1].pairs[0].time_wait);
    uint64_t rests[2] = {0, 0};
    for (uint32_t second = 0; second < TUPLES_ENDS_SECONDS; second++) {
        rests[0] += second * uses[0].pairs[0].ends[second];
        rests[1] += second * uses[1].pairs[0].ends[second];
    }
    assert_in_range(rests[0], rests[1] * 95 / 100, rests[1] * 105 / 100 + 1);
    free(uses);
    pair_close(pair);
    close(listener);
    close_by(&by_bpf);
    close_by(&by_procfs);
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_wait_keeps_the_owner_that_made_it_and_went),
        cmocka_unit_test(test_owners_of_more_records_than_remembered_are_unknown),
        cmocka_unit_test(test_descriptors_have_owners_by_procfs),
        cmocka_unit_test(test_descriptors_have_owners_by_bpf),
        cmocka_unit_test(test_procfs_names_what_it_cannot_tell),
        cmocka_unit_test(test_who_closes_first_owns_the_time_wait),
        cmocka_unit_test(test_sockets_have_their_cgroup),
        cmocka_unit_test(test_both_ways_walk_the_same_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
