/* The HTTP listener, asked over loopback by hand-written requests. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "exporter/exporter.h"

#define ANSWER_MAX 65536

static void test_only_loopback_is_taken_unless_all_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool allows_remote;
        const char *refusal; /* NULL: taken */
    } cases[] = {
        {"127.0.0.1:9464", false, NULL},
        {"127.9.9.9:1", false, NULL},
        {"[::1]:9464", false, NULL},
        {"0.0.0.0:9464", false, "--metrics-allow-remote"},
        {"[::]:9464", false, "--metrics-allow-remote"},
        {"10.0.0.1:9464", false, "use 127.0.0.1:9464"},
        {"0.0.0.0:9464", true, NULL},
        {"10.0.0.1:9464", true, NULL},
        {"9464", false, "9464"},
        {"127.0.0.1", false, "127.0.0.1"},
        {"localhost:9464", false, "localhost"},
        {"", true, "--metrics"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct endpoint address;
        struct failure failure = {0};
        const int rc = exporter_parse(&address, cases[i].text, cases[i].allows_remote, &failure);
        assert_int_equal(rc, cases[i].refusal == NULL ? 0 : -EINVAL);
        if (cases[i].refusal != NULL && strstr(failure.text, cases[i].refusal) == NULL) {
            fail_msg("%s: %s", cases[i].text, failure.text);
        }
    }
}

/* Finds a port that is free: binds one and gives it back. */
static struct endpoint free_address(void)
{
    struct endpoint address;
    assert_int_equal(endpoint_parse(&address, "127.0.0.1:1", NULL), 0);
    address.port = 0;
    struct sockaddr_storage name;
    socklen_t length = endpoint_to_sockaddr(&address, &name);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(endpoint_from_sockaddr(&address, (const struct sockaddr *)&name), 0);
    close(fd);
    return address;
}

static void fill(void *context, struct openmetrics *out)
{
    static const struct openmetrics_family family = {"answers", OPENMETRICS_COUNTER, "", "so far"};
    uint64_t *count = context;
    openmetrics_begin(out, &family);
    openmetrics_count(out, &family, (struct openmetrics_labels){0}, ++*count);
}

static void ask(const struct endpoint *address, const char *request, char answer[ANSWER_MAX])
{
    struct sockaddr_storage name;
    const socklen_t length = endpoint_to_sockaddr(address, &name);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&name, length), 0);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    size_t filled = 0;
    ssize_t bytes;
    while ((bytes = recv(fd, answer + filled, ANSWER_MAX - 1 - filled, 0)) > 0) {
        filled += (size_t)bytes;
    }
    answer[filled] = '\0';
    close(fd);
}

#define REQUEST(line, headers) line " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" headers "\r\n"

static void test_scrapes_are_answered_in_the_format_that_is_wanted(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        const char *words[4];
    } cases[] = {
        {REQUEST("GET /metrics",
                 "Accept: application/openmetrics-text;version=1.0.0,text/plain\r\n"),
         {"HTTP/1.1 200",
          "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8",
          "# TYPE answers counter\nanswers_total 1\n", "# EOF\n"}},
        {REQUEST("GET /metrics", ""),
         {"HTTP/1.1 200", "application/openmetrics-text", "answers_total 2\n", "# EOF\n"}},
        {REQUEST("GET /metrics", "Accept: text/plain\r\n"),
         {"HTTP/1.1 200", "Content-Type: text/plain; version=0.0.4; charset=utf-8",
          "# TYPE answers_total counter\nanswers_total 3\n", ""}},
        {REQUEST("GET /", ""), {"HTTP/1.1 404", "/metrics", "", ""}},
        {REQUEST("GET /metrics/../etc/passwd", ""), {"HTTP/1.1 404", "", "", ""}},
        {REQUEST("POST /metrics", "Content-Length: 0\r\n"), {"HTTP/1.1 405", "only GET", "", ""}},
    };
    struct exporter *exporter;
    struct failure failure = {0};
    uint64_t count = 0;
    const struct endpoint address = free_address();
    assert_int_equal(exporter_open(&exporter, &address, &failure), 0);
    assert_int_equal(exporter_start(exporter, fill, &count, &failure), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char answer[ANSWER_MAX];
        ask(&address, cases[i].request, answer);
        for (size_t k = 0; k < 4; k++) {
            if (strstr(answer, cases[i].words[k]) == NULL) {
                fail_msg("no \"%s\" in: %s", cases[i].words[k], answer);
            }
        }
    }
    exporter_close(exporter);
    assert_int_equal(count, 3);
}

static void test_an_address_in_use_is_named(void **state)
{
    (void)state;
    struct exporter *first;
    struct exporter *second;
    struct failure failure = {0};
    const struct endpoint address = free_address();
    char text[ENDPOINT_TEXT_MAX];
    assert_int_equal(exporter_open(&first, &address, &failure), 0);
    assert_int_equal(exporter_open(&second, &address, &failure), -EADDRINUSE);
    assert_non_null(strstr(failure.text, endpoint_format(&address, text)));
    exporter_close(first);
    exporter_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_loopback_is_taken_unless_all_is_allowed),
        cmocka_unit_test(test_scrapes_are_answered_in_the_format_that_is_wanted),
        cmocka_unit_test(test_an_address_in_use_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
