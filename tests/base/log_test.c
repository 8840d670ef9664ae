/* Rules of base/log. stderr is a datagram socket while a line is logged, so that each write is one
 * message and can be counted. */
#include "base/test.h"

#include <sys/socket.h>

#include "base/log.h"

#define MESSAGE_MAX 16384

/* Logs one line and gives what arrived; fails unless it was one write. */
static size_t log_and_catch(char message[MESSAGE_MAX], const char *program, const char *text)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    dup2(ends[1], STDERR_FILENO);
    log_line(program, "%s", text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t received = recv(ends[0], message, MESSAGE_MAX - 1, MSG_DONTWAIT);
    char more[1];
    assert_true(recv(ends[0], more, sizeof more, MSG_DONTWAIT) < 0);
    close(ends[0]);
    close(ends[1]);
    assert_true(received > 0);
    message[received] = '\0';
    return (size_t)received;
}

static void test_line_carries_program_and_newline_in_one_write(void **state)
{
    (void)state;
    char message[MESSAGE_MAX];
    log_and_catch(message, "finwait-server", "ready");
    assert_string_equal(message, "finwait-server: ready\n");
}

static void test_line_stays_one_line(void **state)
{
    (void)state;
    char message[MESSAGE_MAX];
    log_and_catch(message, "p", "a\nb");
    assert_string_equal(message, "p: a b\n");
}

static void test_long_line_is_cut_at_4095_bytes(void **state)
{
    (void)state;
    static const size_t lengths[] = {4091, 4092, 4093, 9000};
    for (size_t i = 0; i < TABLE_COUNT(lengths); i++) {
        char text[9001];
        char message[MESSAGE_MAX];
        memset(text, 'x', lengths[i]);
        text[lengths[i]] = '\0';
        size_t whole = lengths[i] + 3u;
        size_t received = log_and_catch(message, "p", text);
        assert_int_equal(received, (whole < 4095u ? whole : 4095u) + 1u);
        assert_int_equal(message[received - 1u], '\n');
        assert_int_equal(message[received - 2u], 'x');
    }
}

static void test_long_program_name_is_cut_too(void **state)
{
    (void)state;
    char name[6000];
    char message[MESSAGE_MAX];
    memset(name, 'n', sizeof name - 1u);
    name[sizeof name - 1u] = '\0';
    assert_int_equal(log_and_catch(message, name, "text"), 4096);
    assert_int_equal(message[4094], 'n');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_carries_program_and_newline_in_one_write),
        cmocka_unit_test(test_line_stays_one_line),
        cmocka_unit_test(test_long_line_is_cut_at_4095_bytes),
        cmocka_unit_test(test_long_program_name_is_cut_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
