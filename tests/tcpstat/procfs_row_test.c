/* Rows of /proc/net/tcp and tcp6, recorded on Linux 6.18 and bent. Every line ends at a guard page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tcpstat/guard_page.h"
#include "tcpstat/procfs_row.h"

#define LISTENER                                                                                   \
    "   0: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "  \
    "989730 2 00000000197c5435 100 0 0 10 0                    "
#define ESTABLISHED                                                                                \
    "   2: 0100007F:1B59 0100007F:BA8E 01 00000000:0000000A 00:00000000 00000000  1000        0 "  \
    "989734 1 000000002e0e4de2 20 4 30 10 -1                   "
#define TIME_WAIT                                                                                  \
    "   4: 0100007F:BA98 0100007F:1B59 06 00000000:00000000 03:00001770 00000000     0        0 "  \
    "0 3 000000002c7b1791                                      "
#define REQUEST                                                                                    \
    "   6: 0100007F:1B58 0100007F:A388 03 00000000:00000000 01:00000064 00000000     0        0 "  \
    "0 0 000000002045841a                                      "
#define ESTABLISHED_V6                                                                             \
    "   3: 00000000000000000000000001000000:1B59 B80D0120000000000000000001000000:8CCC 01 "        \
    "0000000F:0000000A 00:00000000 00000000     0        0 989743 1 00000000534e9a4a 20 4 30 10 "  \
    "-1"
#define TIME_WAIT_V6                                                                               \
    "   5: 00000000000000000000000001000000:8CCE 00000000000000000000000001000000:1B59 06 "        \
    "00000000:00000000 03:00001770 00000000     0        0 0 3 000000001e0e1593"

#define LINE_MAX_BYTES 512

/* Parses a copy of the line that ends at the guard page. */
static bool parse(struct guard_page *guard, struct procfs_row *row, uint8_t family,
                  const char *line, size_t length)
{
    return procfs_row_parse(row, family, guard_page_copy(guard, line, length), length);
}

static struct procfs_row parse_good(struct guard_page *guard, uint8_t family, const char *line)
{
    struct procfs_row row;
    if (!parse(guard, &row, family, line, strlen(line))) {
        fail_msg("refused: %s", line);
    }
    return row;
}

static void assert_endpoint(const struct endpoint *endpoint, const char *expected)
{
    char text[ENDPOINT_TEXT_MAX];
    assert_string_equal(endpoint_format(endpoint, text), expected);
}

static void test_a_row_gives_every_field(void **state)
{
    struct guard_page *guard = *state;
    const struct procfs_row row = parse_good(guard, AF_INET, ESTABLISHED);
    assert_int_equal(row.state, TCP_STATE_ESTABLISHED);
    assert_endpoint(&row.local, "127.0.0.1:7001");
    assert_endpoint(&row.remote, "127.0.0.1:47758");
    assert_int_equal(row.tx_queue_bytes, 0);
    assert_int_equal(row.rx_queue_bytes, 10);
    assert_int_equal(row.uid, 1000);
    assert_int_equal(row.inode, 989734);
}

static void test_a_row_of_ipv6_gives_every_field(void **state)
{
    struct guard_page *guard = *state;
    const struct procfs_row row = parse_good(guard, AF_INET6, ESTABLISHED_V6);
    assert_int_equal(row.state, TCP_STATE_ESTABLISHED);
    assert_endpoint(&row.local, "[::1]:7001");
    assert_endpoint(&row.remote, "[2001:db8::1]:36044");
    assert_int_equal(row.tx_queue_bytes, 15);
    assert_int_equal(row.rx_queue_bytes, 10);
    assert_int_equal(row.inode, 989743);
}

static void test_short_rows_have_their_state(void **state)
{
    struct guard_page *guard = *state;
    assert_int_equal(parse_good(guard, AF_INET, LISTENER).state, TCP_STATE_LISTEN);
    assert_int_equal(parse_good(guard, AF_INET, TIME_WAIT).state, TCP_STATE_TIME_WAIT);
    assert_int_equal(parse_good(guard, AF_INET, REQUEST).state, TCP_STATE_SYN_RECEIVED);
    assert_int_equal(parse_good(guard, AF_INET6, TIME_WAIT_V6).state, TCP_STATE_TIME_WAIT);
    assert_int_equal(parse_good(guard, AF_INET, TIME_WAIT).inode, 0);
}

static void test_a_record_has_the_time_that_it_rests(void **state)
{
    struct guard_page *guard = *state;
    const struct procfs_row record = parse_good(guard, AF_INET, TIME_WAIT);
    assert_true(record.is_record);
    assert_int_equal(record.timer_ticks * PROCFS_TICK_NS, 60 * NS_PER_SEC);
    assert_true(parse_good(guard, AF_INET6, TIME_WAIT_V6).is_record);
    assert_false(parse_good(guard, AF_INET, REQUEST).is_record);
    assert_false(parse_good(guard, AF_INET, ESTABLISHED).is_record);
}

/* Gives a row with another number in front. */
static const char *renumbered(char *text, const char *row, const char *number)
{
    snprintf(text, LINE_MAX_BYTES, "%s%s", number, strchr(row, ':'));
    return text;
}

static void test_the_row_number_may_be_of_any_width(void **state)
{
    struct guard_page *guard = *state;
    static const char *const numbers[] = {"   0",   "9999",       "10000",
                                          "123456", "4294967295", "18446744073709551615"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char text[LINE_MAX_BYTES];
        const struct procfs_row v4 =
            parse_good(guard, AF_INET, renumbered(text, ESTABLISHED, numbers[i]));
        assert_int_equal(v4.local.port, 7001);
        assert_int_equal(v4.inode, 989734);
        const struct procfs_row v6 =
            parse_good(guard, AF_INET6, renumbered(text, ESTABLISHED_V6, numbers[i]));
        assert_int_equal(v6.local.port, 7001);
        assert_int_equal(v6.inode, 989743);
    }
}

/* Up to the inode's last digit; what follows is not looked at. */
static size_t needed_length(const char *line, const char *inode)
{
    return (size_t)(strstr(line, inode) - line) + strlen(inode);
}

/* A cut inode cannot be told from a short one within the line; the newline that is missing tells.
 */
static void test_a_row_cut_before_the_inode_is_refused(void **state)
{
    struct guard_page *guard = *state;
    struct procfs_row row;
    for (size_t length = 0; length < needed_length(ESTABLISHED, " 989734") - 6; length++) {
        assert_false(parse(guard, &row, AF_INET, ESTABLISHED, length));
    }
    for (size_t length = 0; length < needed_length(ESTABLISHED_V6, " 989743") - 6; length++) {
        assert_false(parse(guard, &row, AF_INET6, ESTABLISHED_V6, length));
    }
    assert_true(parse(guard, &row, AF_INET, ESTABLISHED, needed_length(ESTABLISHED, " 989734")));
    assert_true(
        parse(guard, &row, AF_INET6, ESTABLISHED_V6, needed_length(ESTABLISHED_V6, " 989743")));
}

static void test_a_row_of_the_other_family_is_refused(void **state)
{
    struct guard_page *guard = *state;
    struct procfs_row row;
    assert_false(parse(guard, &row, AF_INET6, ESTABLISHED, strlen(ESTABLISHED)));
    assert_false(parse(guard, &row, AF_INET, ESTABLISHED_V6, strlen(ESTABLISHED_V6)));
}

/* Each hexadecimal column takes the sixteen digits that the kernel writes and no other byte. */
static void test_hexadecimal_columns_take_digits_only(void **state)
{
    struct guard_page *guard = *state;
    static const size_t columns[] = {6, 13, 15, 18, 20, 27, 29, 32, 37, 44, 46, 53};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        for (int byte = 0; byte < 256; byte++) {
            char line[] = ESTABLISHED;
            line[columns[i]] = (char)byte;
            const bool is_digit = byte != 0 && strchr("0123456789ABCDEF", byte) != NULL;
            struct procfs_row row;
            assert_int_equal(parse(guard, &row, AF_INET, line, sizeof(line) - 1), is_digit);
        }
    }
}

static void test_every_digit_has_its_value(void **state)
{
    (void)state;
    for (uint32_t port = 0; port < 65536; port++) {
        char line[] = ESTABLISHED;
        char digits[5];
        snprintf(digits, sizeof(digits), "%04X", port);
        memcpy(strchr(line + 5, ':') + 1, digits, 4);
        struct procfs_row row;
        assert_true(procfs_row_parse(&row, AF_INET, line, sizeof(line) - 1));
        assert_int_equal(row.local.port, port);
    }
}

static void test_states_that_tcp_does_not_have_are_refused(void **state)
{
    struct guard_page *guard = *state;
    for (unsigned number = 0; number < 256; number++) {
        char line[] = ESTABLISHED;
        char digits[3];
        snprintf(digits, sizeof(digits), "%02X", number);
        memcpy(strstr(line, " 01 ") + 1, digits, 2);
        struct procfs_row row;
        const bool taken = parse(guard, &row, AF_INET, line, sizeof(line) - 1);
        /* 12 is Linux's name for a request socket. */
        assert_int_equal(taken, number >= 1 && number <= 12);
        if (taken) {
            assert_int_equal(row.state, number == 12 ? TCP_STATE_SYN_RECEIVED : number);
        }
    }
}

static void test_lines_that_are_no_rows_are_refused(void **state)
{
    struct guard_page *guard = *state;
    static const char *const lines[] = {
        "",
        ":",
        "    ",
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout "
        "inode",
        "  -1: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
        "0 "
        "1 2",
        "   1: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
        "0 "
        "1x 2",
        "   1: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000    -1        "
        "0 "
        "1 2",
        "   1: 0100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
        "0 "
        "99999999999999999999 2",
        "   1:00100007F:1B58 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
        "0 "
        "1 2",
        "   1: 0100007f:1b58 00000000:0000 0a 00000000:00000000 00:00000000 00000000     0        "
        "0 "
        "1 2",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct procfs_row row;
        if (parse(guard, &row, AF_INET, lines[i], strlen(lines[i]))) {
            fail_msg("taken: %s", lines[i]);
        }
    }
}

static void test_the_key_tells_sockets_apart_and_knows_one_again(void **state)
{
    struct guard_page *guard = *state;
    char changed[] = ESTABLISHED;
    char *code = strstr(changed, " 01 ");
    assert_non_null(code);
    code[2] = '8';
    const struct procfs_row before = parse_good(guard, AF_INET, ESTABLISHED);
    const struct procfs_row after = parse_good(guard, AF_INET, changed);
    assert_true(procfs_row_key(&before) == procfs_row_key(&after));

    /* Endpoints and inode that differ in ways which would cancel out in a plain sum or exclusive
     * or. */
    struct procfs_row other = before;
    other.inode ^= 1;
    other.remote.port ^= 1;
    assert_true(procfs_row_key(&before) != procfs_row_key(&other));
    other = before;
    other.local = before.remote;
    other.remote = before.local;
    assert_true(procfs_row_key(&before) != procfs_row_key(&other));
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct guard_page));
    guard_page_map(*state, LINE_MAX_BYTES);
    return 0;
}

static int tear_down(void **state)
{
    guard_page_unmap(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_gives_every_field),
        cmocka_unit_test(test_a_row_of_ipv6_gives_every_field),
        cmocka_unit_test(test_short_rows_have_their_state),
        cmocka_unit_test(test_a_record_has_the_time_that_it_rests),
        cmocka_unit_test(test_the_row_number_may_be_of_any_width),
        cmocka_unit_test(test_a_row_cut_before_the_inode_is_refused),
        cmocka_unit_test(test_a_row_of_the_other_family_is_refused),
        cmocka_unit_test(test_hexadecimal_columns_take_digits_only),
        cmocka_unit_test(test_every_digit_has_its_value),
        cmocka_unit_test(test_states_that_tcp_does_not_have_are_refused),
        cmocka_unit_test(test_lines_that_are_no_rows_are_refused),
        cmocka_unit_test(test_the_key_tells_sockets_apart_and_knows_one_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
