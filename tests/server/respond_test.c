/* Responses: where requests end, however they are cut; which files are taken. */
#include "server/respond.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/test.h"

static const struct scan_case {
    const char *text;
    uint32_t requests;
    enum respond_scan_state state;
} scan_cases[] = {
    {"", 0, RESPOND_SCAN_LEAD},
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, RESPOND_SCAN_LEAD},
    {"GET /\n\n", 1, RESPOND_SCAN_LEAD},
    {"GET /\r\n\n", 1, RESPOND_SCAN_LEAD},
    {"GET /\n\r\n", 1, RESPOND_SCAN_LEAD},
    {"a\n\nb\n\nc\n\n", 3, RESPOND_SCAN_LEAD},
    {"a\r\n\r\nb\r\n\r\nc", 2, RESPOND_SCAN_LINE},
    /* Empty lines before a request are none (RFC 9112 section 2.2). */
    {"\r\n\r\n", 0, RESPOND_SCAN_LEAD},
    {"\n\n\n\na\n\n", 1, RESPOND_SCAN_LEAD},
    {"a\n\n\r\n\r\n", 1, RESPOND_SCAN_LEAD},
    /* What only looks like an end. */
    {"a\r\n", 0, RESPOND_SCAN_EOL},
    {"a\r\n\r", 0, RESPOND_SCAN_EOL_CR},
    {"a\r\n\r\r\n", 0, RESPOND_SCAN_EOL},
    {"a\r\nb\r\n", 0, RESPOND_SCAN_EOL},
    {"a\n\rb\n", 0, RESPOND_SCAN_EOL},
    {"a\r\r\r", 0, RESPOND_SCAN_LINE},
};

static void requests_end_at_a_blank_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scan_cases) / sizeof(scan_cases[0]); i++) {
        const struct scan_case *row = &scan_cases[i];
        enum respond_scan_state scan = RESPOND_SCAN_LEAD;
        assert_int_equal(respond_scan(&scan, (const uint8_t *)row->text, strlen(row->text)),
                         row->requests);
        assert_int_equal(scan, row->state);
    }
}

static void a_request_may_be_cut_at_any_two_places(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\n\r\nPUT\n\nx\r\n\r";
    const uint8_t *data = (const uint8_t *)text;
    size_t size = sizeof(text) - 1;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            enum respond_scan_state scan = RESPOND_SCAN_LEAD;
            uint32_t requests = respond_scan(&scan, data, first);
            requests += respond_scan(&scan, data + first, second - first);
            requests += respond_scan(&scan, data + second, size - second);
            assert_int_equal(requests, 2);
            assert_int_equal(scan, RESPOND_SCAN_EOL_CR);
        }
    }
}

static void bytes_of_any_value_are_a_line(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(255 - i);
    }
    enum respond_scan_state scan = RESPOND_SCAN_LEAD;
    assert_int_equal(respond_scan(&scan, bytes, sizeof(bytes)), 0);
    assert_int_equal(scan, RESPOND_SCAN_LINE);
}

/* Makes a file of `size` bytes, sparse, and returns its descriptor. */
static int make_file(char path[32], const char *text, off_t size)
{
    snprintf(path, 32, "/tmp/finwait-respond-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(ftruncate(fd, size), 0);
    return fd;
}

static void a_file_is_loaded_whole(void **state)
{
    (void)state;
    char path[32];
    int fd = make_file(path, "HTTP/1.1 200 OK\r\n\r\nhello", 100000);
    struct respond_file file = {0};
    struct failure failure;
    assert_int_equal(respond_load(&file, path, &failure), 0);
    assert_int_equal(file.size, 100000);
    assert_memory_equal(file.data, "HTTP/1.1 200 OK\r\n\r\nhello\0\0", 26);
    respond_unload(&file);
    assert_null(file.data);
    close(fd);
    unlink(path);
}

static void refuse(const char *path, int error, const char *words)
{
    struct respond_file file = {0};
    struct failure failure;
    assert_int_equal(respond_load(&file, path, &failure), -error);
    assert_null(file.data);
    assert_non_null(strstr(failure.text, path));
    assert_non_null(strstr(failure.text, words));
}

static void what_is_no_response_is_refused_with_its_name(void **state)
{
    (void)state;
    char path[32];
    int fd = make_file(path, "", 0);
    refuse(path, EINVAL, "empty");
    assert_int_equal(ftruncate(fd, (off_t)RESPOND_BYTES_MAX + 1), 0);
    refuse(path, EFBIG, "64 MiB");
    close(fd);
    unlink(path);
    refuse(path, ENOENT, "No such file");
    refuse("/tmp", EINVAL, "not a regular file");
    assert_int_equal(mkfifo(path, 0600), 0);
    refuse(path, EINVAL, "not a regular file");
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_end_at_a_blank_line),
        cmocka_unit_test(a_request_may_be_cut_at_any_two_places),
        cmocka_unit_test(bytes_of_any_value_are_a_line),
        cmocka_unit_test(a_file_is_loaded_whole),
        cmocka_unit_test(what_is_no_response_is_refused_with_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
