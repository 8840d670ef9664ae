/* Captures of a pair in memory: read back byte by byte here, and by tshark where it is installed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "link/cable.h"
#include "link/link.h"

#define FRAMES 20u
#define WALL_NS (UINT64_C(1700000000) * NS_PER_SEC)
#define SNAP_BYTES 50u
#define FRAME_MAX 1514u

struct rig {
    char path[64];
    struct link *ends[2]; /* a capture is over the first */
};

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    snprintf(rig->path, sizeof(rig->path), "/tmp/finwait-pcap-XXXXXX");
    const int fd = mkstemp(rig->path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(link_memory_pair(rig->ends, FRAME_MAX - LINK_ETHER_BYTES, 256), 0);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    unlink(rig->path);
    free(rig);
    return 0;
}

static void capture_to(struct rig *rig, const char *path, uint32_t snap_bytes)
{
    struct failure failure = {.text = ""};
    struct link *inner = rig->ends[0];
    const struct link_capture config = {
        .path = path, .wall_offset_ns = WALL_NS, .snap_bytes = snap_bytes};
    assert_int_equal(link_pcap_open(&rig->ends[0], inner, &config, &failure), 0);
    assert_ptr_equal(link_inner(rig->ends[0]), inner);
}

static struct frame_plan plan_of(uint32_t number)
{
    static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
    return (struct frame_plan){
        .target_mac = mac, .number = number, .bytes = frame_length(number, FRAME_MAX)};
}

/* One frame each way in turn, a millisecond apart; all of them arrive. */
static void pass_frames(const struct rig *rig, uint32_t count)
{
    for (uint32_t number = 0; number < count; number++) {
        struct link *from = rig->ends[number % 2], *to = rig->ends[1 - number % 2];
        const uint64_t now_ns = number * NS_PER_MS;
        const struct frame_plan plan = plan_of(number);
        struct link_slot slot;
        struct link_frame frame;
        assert_int_equal(link_reserve(from, &slot, 1), 1);
        frame_write(slot.data, &plan);
        slot.bytes = plan.bytes;
        link_send(from, now_ns, &slot, 1);
        assert_int_equal(link_flush(from, now_ns), 0);
        assert_int_equal(link_receive(to, now_ns, &frame, 1), 1);
        frame_check(&frame, &plan);
        link_release(to);
    }
}

static void close_links(const struct rig *rig)
{
    link_destroy(rig->ends[0]);
    link_destroy(rig->ends[1]);
}

static void check_file(const char *path, uint32_t snap_bytes)
{
    FILE *file = fopen(path, "re");
    uint32_t header[6], record[4];
    assert_int_equal(fread(header, sizeof(header), 1, file), 1);
    assert_int_equal(header[0], 0xa1b23c4d);
    assert_int_equal(header[1], 0x00040002);
    assert_int_equal(header[5], 1); /* Ethernet */
    for (uint32_t number = 0; number < FRAMES; number++) {
        const struct frame_plan plan = plan_of(number);
        const uint32_t kept = snap_bytes != 0 && plan.bytes > snap_bytes ? snap_bytes : plan.bytes;
        uint8_t sent[FRAME_MAX], written[FRAME_MAX];
        assert_int_equal(fread(record, sizeof(record), 1, file), 1);
        assert_int_equal(record[0], 1700000000);
        assert_int_equal(record[1], number * NS_PER_MS);
        assert_int_equal(record[2], kept);
        assert_int_equal(record[3], plan.bytes);
        assert_int_equal(fread(written, kept, 1, file), 1);
        frame_write(sent, &plan);
        assert_memory_equal(written, sent, kept);
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
}

static void every_frame_of_both_directions_is_in_the_file(void **state)
{
    struct rig *rig = *state;
    capture_to(rig, rig->path, 0);
    pass_frames(rig, FRAMES);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_capture_frames), FRAMES);
    assert_int_equal(link_counter_read(rig->ends[0], LINK_COUNTER_capture_failed), 0);
    assert_true(link_memory_bytes(rig->ends[0]) > link_memory_bytes(rig->ends[1]));
    close_links(rig);
    check_file(rig->path, 0);
}

static void a_snapshot_keeps_the_beginning_and_tells_the_length(void **state)
{
    struct rig *rig = *state;
    capture_to(rig, rig->path, SNAP_BYTES);
    pass_frames(rig, FRAMES);
    close_links(rig);
    check_file(rig->path, SNAP_BYTES);
}

/* Reads the file by tshark into `out`: one line a frame. Returns false when there is no tshark. */
static bool read_by_tshark(const char *path, FILE *out)
{
    int status = -1;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        setenv("WIRESHARK_CONFIG_DIR", "/nonexistent", 1); /* a user's settings are none of ours */
        dup2(fileno(out), STDOUT_FILENO);
        dup2(null, STDERR_FILENO); /* it warns of being root */
        execlp("tshark", "tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number", "-e",
               "frame.len", "-e", "frame.time_epoch", "-e", "ip.checksum.status", "-o",
               "ip.check_checksum:TRUE", NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 127);
    return WEXITSTATUS(status) == 0;
}

static void tshark_reads_what_was_captured(void **state)
{
    struct rig *rig = *state;
    capture_to(rig, rig->path, 0);
    pass_frames(rig, FRAMES);
    close_links(rig);
    FILE *out = tmpfile();
    assert_non_null(out);
    if (!read_by_tshark(rig->path, out)) {
        fclose(out);
        skip();
    }
    rewind(out);
    char line[128], expected[128];
    for (uint32_t number = 0; number < FRAMES; number++) {
        assert_non_null(fgets(line, sizeof(line), out));
        snprintf(expected, sizeof(expected), "%u\t%u\t1700000000.%03u000000\t1\n", number + 1,
                 plan_of(number).bytes, number);
        assert_string_equal(line, expected);
    }
    assert_null(fgets(line, sizeof(line), out));
    fclose(out);
}

static void a_write_that_fails_ends_the_capture_and_not_the_link(void **state)
{
    struct rig *rig = *state;
    capture_to(rig, "/dev/full", 0);
    pass_frames(rig, 4000); /* more than a buffer */
    const uint64_t failed = link_counter_read(rig->ends[0], LINK_COUNTER_capture_failed);
    assert_true(failed > 0);
    assert_int_equal(failed + link_counter_read(rig->ends[0], LINK_COUNTER_capture_frames), 4000);
    close_links(rig);
}

static void a_file_that_cannot_be_made_leaves_the_link_to_its_owner(void **state)
{
    struct rig *rig = *state;
    struct failure failure = {.text = ""};
    struct link *none = NULL;
    const struct link_capture config = {.path = "/nosuchfolder/a.pcap"};
    assert_int_equal(link_pcap_open(&none, rig->ends[0], &config, &failure), -ENOENT);
    assert_non_null(strstr(failure.text, config.path));
    assert_null(none);
    pass_frames(rig, 2);
    close_links(rig);
}

static void a_capture_stands_over_faults_as_well(void **state)
{
    struct rig *rig = *state;
    struct link *inner = rig->ends[0];
    assert_int_equal(link_faults_open(&rig->ends[0], inner, &(struct link_faults){.seed = 1}), 0);
    capture_to(rig, rig->path, 0);
    pass_frames(rig, FRAMES);
    close_links(rig);
    check_file(rig->path, 0);
}

int main(void)
{
#define PCAP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PCAP_TEST(every_frame_of_both_directions_is_in_the_file),
        PCAP_TEST(a_snapshot_keeps_the_beginning_and_tells_the_length),
        PCAP_TEST(tshark_reads_what_was_captured),
        PCAP_TEST(a_write_that_fails_ends_the_capture_and_not_the_link),
        PCAP_TEST(a_file_that_cannot_be_made_leaves_the_link_to_its_owner),
        PCAP_TEST(a_capture_stands_over_faults_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
