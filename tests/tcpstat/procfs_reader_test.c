/* Passes over tables that the test makes up, read as the kernel's seq_file gives them: whole lines,
 * as many as stay below a page, and after the end whatever the test says that the kernel would walk
 * again. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tcpstat/procfs_reader.h"

#define PAGE_BYTES 4096
#define HEADER                                                                                     \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "  \
    "inode"

#define SCRIPT_MAX 20000

/* A table as a list of socket numbers; the walk gives socket after socket. */
struct table {
    uint8_t family;
    bool has_header;
    uint32_t count;
    const uint32_t *sockets; /* NULL: 0, 1, 2, ... */
    uint32_t at;             /* next in `sockets` */
    bool ended;              /* the kernel saw the end once */
    uint32_t repeat; /* sockets that the second walk gives, from the end of the list; then 0 */
    uint64_t reads;
    uint64_t sl;
    uint64_t sl_first; /* number of the first row */
};

/* Writes socket `number`'s line as the kernel does; every third of IPv6 is a short TIME_WAIT line.
 */
static size_t write_line(char *text, size_t size, const struct table *table, uint64_t sl,
                         uint32_t number)
{
    const uint32_t port = 1024 + number % 60000;
    const uint32_t host = number / 60000 + 1;
    if (table->family == AF_INET) {
        const int length =
            snprintf(text, size,
                     "%4llu: %08X:1B58 0100007F:%04X 01 00000000:00000000 00:00000000 "
                     "00000000     0        0 %u 1 00000000197c5435 20 0 0 10 -1",
                     (unsigned long long)sl, host, port, number + 1);
        snprintf(text + length, size - (size_t)length, "%*s\n", 149 - length, "");
        return strlen(text);
    }
    const bool is_short = number % 3 == 0;
    return (size_t)snprintf(
        text, size,
        "%4llu: 000000000000000000000000%08X:1B58 00000000000000000000000001000000:%04X %s "
        "00000000:00000000 00:00000000 00000000     0        0 %u %s\n",
        (unsigned long long)sl, host, port, is_short ? "06" : "01", is_short ? 0 : number + 1,
        is_short ? "3 000000001e0e1593" : "1 00000000197c5435 20 4 30 10 -1");
}

static uint32_t socket_at(const struct table *table)
{
    return table->sockets == NULL ? table->at : table->sockets[table->at];
}

static bool next_socket(struct table *table)
{
    if (table->at < table->count) {
        return true;
    }
    table->ended = true;
    return false;
}

static ssize_t read_table(void *context, void *buffer, size_t size, uint64_t offset)
{
    struct table *table = context;
    assert_true(size >= PAGE_BYTES);
    table->reads++;
    char *text = buffer;
    size_t filled = 0;
    if (offset == 0) {
        table->at = 0;
        table->ended = false;
        table->sl = table->sl_first;
        if (table->has_header) {
            filled = (size_t)snprintf(text, PAGE_BYTES, "%-149s\n", HEADER);
        }
    } else if (table->ended) {
        /* Past the end: the walk starts again and passes over as many as it gave. */
        table->at = table->count - table->repeat;
        table->repeat = 0;
        table->ended = false;
    }
    while (next_socket(table)) {
        char line[512];
        const size_t length = write_line(line, sizeof(line), table, table->sl, socket_at(table));
        if (filled + length >= PAGE_BYTES) {
            break;
        }
        memcpy(text + filled, line, length);
        filled += length;
        table->at++;
        table->sl++;
    }
    return (ssize_t)filled;
}

/* What the visitor saw: how often each socket, by its number. */
struct seen {
    uint32_t rows;
    uint8_t times[SCRIPT_MAX];
    uint32_t by_state[TCP_STATE_COUNT];
};

/* What the tests share. */
struct fixture {
    struct seen seen;
    char text[200 * 151];
};

static int see(void *context, const struct procfs_row *row)
{
    struct seen *seen = context;
    uint32_t host;
    memcpy(&host, row->local.ip.bytes + (row->local.ip.family == AF_INET6 ? 12 : 0), sizeof(host));
    const uint32_t number = (host - 1) * 60000 + row->remote.port - 1024;
    assert_true(number < SCRIPT_MAX);
    seen->times[number]++;
    seen->rows++;
    seen->by_state[row->state]++;
    return 0;
}

static int run_pass(struct table *table, struct seen *seen, struct procfs_pass *pass)
{
    *seen = (struct seen){0};
    const struct procfs_reader_config config = {
        .family = table->family,
        .page_bytes = PAGE_BYTES,
        .source = {.read = read_table, .context = table},
    };
    struct procfs_reader *reader;
    assert_int_equal(procfs_reader_create(&reader, &config), 0);
    const struct procfs_visitor visitor = {.visit = see, .context = seen};
    const int error = procfs_reader_pass(reader, visitor, pass);
    procfs_reader_destroy(reader);
    return error;
}

static void assert_each_once(const struct seen *seen, uint32_t count)
{
    assert_int_equal(seen->rows, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(seen->times[i], 1);
    }
}

/* Around the sizes at which the last page is full: 26 rows beside the header, then 27 a page. */
static void test_every_socket_is_seen_once_at_any_size(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t families[] = {AF_INET, AF_INET6};
    for (size_t f = 0; f < 2; f++) {
        for (uint32_t count = 0; count < 200; count++) {
            struct table table = {.family = families[f], .has_header = true, .count = count};
            struct procfs_pass pass;
            assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
            assert_each_once(&fixture->seen, count);
            assert_int_equal(pass.rows, count);
            assert_int_equal(pass.repeated, 0);
            assert_int_equal(pass.malformed, 0);
        }
    }
}

static void test_rows_are_right_where_the_number_widens(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t families[] = {AF_INET, AF_INET6};
    for (size_t f = 0; f < 2; f++) {
        struct table table = {
            .family = families[f], .has_header = true, .count = 5000, .sl_first = 9000};
        struct procfs_pass pass;
        assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
        assert_each_once(&fixture->seen, 5000);
    }
}

/* The kernel would give 1,000 sockets again; it is not asked. */
static void test_a_read_with_room_for_a_line_is_the_last(void **state)
{
    struct fixture *fixture = *state;
    struct table table = {
        .family = AF_INET, .has_header = true, .count = 26 + 27 * 50 + 10, .repeat = 1000};
    struct procfs_pass pass;
    assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
    assert_int_equal(table.reads, 52);
    assert_each_once(&fixture->seen, table.count);
}

static void test_a_short_repeat_after_a_full_last_page_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t repeat = 1; repeat <= 27; repeat++) {
        struct table table = {
            .family = AF_INET, .has_header = true, .count = 26 + 27 * 50, .repeat = repeat};
        struct procfs_pass pass;
        assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
        assert_each_once(&fixture->seen, table.count);
        assert_int_equal(pass.repeated, repeat);
    }
}

static void test_a_long_repeat_after_a_full_last_page_spoils_the_pass(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t repeat = 28; repeat < 1300; repeat++) {
        struct table table = {
            .family = AF_INET, .has_header = true, .count = 26 + 27 * 50, .repeat = repeat};
        struct procfs_pass pass;
        assert_int_equal(run_pass(&table, &fixture->seen, &pass), -EAGAIN);
        /* The table is not asked for a repeat again. */
        assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
        assert_each_once(&fixture->seen, table.count);
    }
}

/* Lines of IPv6 differ in length, so that pages end in different places. */
static void test_a_repeat_of_ipv6_is_never_counted(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t count = 300; count < 400; count++) {
        for (uint32_t repeat = 1; repeat < 200; repeat += 13) {
            struct table table = {
                .family = AF_INET6, .has_header = true, .count = count, .repeat = repeat};
            struct procfs_pass pass;
            if (run_pass(&table, &fixture->seen, &pass) == 0) {
                assert_each_once(&fixture->seen, count);
            }
        }
    }
}

/* A socket put in front of the bucket that the walk is in moves the last row into the next page
 * too. */
static void test_a_row_that_slid_into_the_next_page_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    uint32_t sockets[61];
    for (uint32_t i = 0; i < 26; i++) {
        sockets[i] = i;
    }
    sockets[26] = 24; /* the last two of the first page again */
    sockets[27] = 25;
    for (uint32_t i = 28; i < 61; i++) {
        sockets[i] = i - 2;
    }
    struct table table = {.family = AF_INET, .has_header = true, .count = 61, .sockets = sockets};
    struct procfs_pass pass;
    assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
    assert_each_once(&fixture->seen, 59);
    assert_int_equal(pass.repeated, 2);
}

static void test_a_slide_in_the_last_page_but_one_does_not_spoil_the_pass(void **state)
{
    struct fixture *fixture = *state;
    uint32_t sockets[26 + 27 * 4 + 5];
    const uint32_t slide_at = 26 + 27 * 3; /* the first row of the last full page */
    for (uint32_t i = 0; i < sizeof(sockets) / sizeof(sockets[0]); i++) {
        sockets[i] = i < slide_at ? i : i - 1;
    }
    struct table table = {.family = AF_INET,
                          .has_header = true,
                          .count = sizeof(sockets) / sizeof(sockets[0]),
                          .sockets = sockets};
    struct procfs_pass pass;
    assert_int_equal(run_pass(&table, &fixture->seen, &pass), 0);
    assert_each_once(&fixture->seen, table.count - 1);
    assert_int_equal(pass.repeated, 1);
}

/* A text that is given in pieces of any size, unlike the kernel's pages. */
struct pieces {
    const char *text;
    size_t length;
    size_t piece;
    int error;     /* returned once at the end of the text; 0: end of file */
    int interrupt; /* -EINTR once */
};

static ssize_t read_piece(void *context, void *buffer, size_t size, uint64_t offset)
{
    struct pieces *pieces = context;
    if (pieces->interrupt != 0) {
        const int error = pieces->interrupt;
        pieces->interrupt = 0;
        return error;
    }
    if (offset >= pieces->length) {
        return pieces->error;
    }
    size_t length = pieces->length - offset;
    length = length > pieces->piece ? pieces->piece : length;
    length = length > size ? size : length;
    memcpy(buffer, pieces->text + offset, length);
    return (ssize_t)length;
}

static int run_pieces(struct pieces *pieces, struct seen *seen, struct procfs_pass *pass)
{
    *seen = (struct seen){0};
    const struct procfs_reader_config config = {
        .family = AF_INET,
        .page_bytes = PAGE_BYTES,
        .source = {.read = read_piece, .context = pieces},
    };
    struct procfs_reader *reader;
    assert_int_equal(procfs_reader_create(&reader, &config), 0);
    const struct procfs_visitor visitor = {.visit = see, .context = seen};
    const int error = procfs_reader_pass(reader, visitor, pass);
    procfs_reader_destroy(reader);
    return error;
}

static size_t write_table(struct fixture *fixture, uint32_t count)
{
    const struct table table = {.family = AF_INET};
    size_t length = 0;
    for (uint32_t i = 0; i < count; i++) {
        length += write_line(fixture->text + length, sizeof(fixture->text) - length, &table, i, i);
    }
    return length;
}

static void test_a_page_may_end_within_a_line(void **state)
{
    struct fixture *fixture = *state;
    const size_t length = write_table(fixture, 150);
    /* A read of more than two lines less than a page counts as the last, so pieces are page-sized.
     */
    for (size_t piece = PAGE_BYTES - 149; piece <= PAGE_BYTES; piece++) {
        struct pieces pieces = {.text = fixture->text, .length = length, .piece = piece};
        struct procfs_pass pass;
        assert_int_equal(run_pieces(&pieces, &fixture->seen, &pass), 0);
        assert_each_once(&fixture->seen, 150);
        assert_int_equal(pass.truncated, 0);
        assert_int_equal(pass.malformed, 0);
    }
}

static void test_a_table_that_ends_within_a_line_says_so(void **state)
{
    struct fixture *fixture = *state;
    const size_t length = write_table(fixture, 10);
    for (size_t cut = 1; cut < 150; cut++) {
        struct pieces pieces = {.text = fixture->text, .length = length - cut, .piece = PAGE_BYTES};
        struct procfs_pass pass;
        assert_int_equal(run_pieces(&pieces, &fixture->seen, &pass), 0);
        assert_each_once(&fixture->seen, 9);
        assert_int_equal(pass.truncated, 1);
    }
}

static void test_lines_that_are_no_rows_are_counted(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "nonsense\n\n"
        "   0: 00000001:1B58 0100007F:0400 01 00000000:00000000 00:00000000 00000000 0 0 1 1 0\n"
        "   1: 00000001:1B58 0100007F:04\n";
    struct pieces pieces = {.text = text, .length = sizeof(text) - 1, .piece = PAGE_BYTES};
    struct procfs_pass pass;
    assert_int_equal(run_pieces(&pieces, &fixture->seen, &pass), 0);
    assert_int_equal(pass.malformed, 3);
    assert_int_equal(pass.rows, 1);
}

static void test_pages_without_a_newline_end_in_a_count_too(void **state)
{
    struct fixture *fixture = *state;
    char text[3 * PAGE_BYTES];
    memset(text, 'x', sizeof(text));
    struct pieces pieces = {.text = text, .length = sizeof(text), .piece = PAGE_BYTES};
    struct procfs_pass pass;
    assert_int_equal(run_pieces(&pieces, &fixture->seen, &pass), 0);
    assert_int_equal(pass.malformed, 3);
    assert_int_equal(pass.rows, 0);
}

static void test_a_failed_read_is_passed_on_and_an_interrupt_is_not(void **state)
{
    struct fixture *fixture = *state;
    const size_t length = write_table(fixture, 27);
    struct pieces pieces = {.text = fixture->text,
                            .length = length,
                            .piece = PAGE_BYTES,
                            .error = -EIO,
                            .interrupt = -EINTR};
    struct procfs_pass pass;
    assert_int_equal(run_pieces(&pieces, &fixture->seen, &pass), -EIO);
    assert_int_equal(pass.rows, 27);
}

static int refuse(void *context, const struct procfs_row *row)
{
    (void)context;
    (void)row;
    return -ENOMEM;
}

static void test_the_visitors_refusal_ends_the_pass(void **state)
{
    struct fixture *fixture = *state;
    const size_t length = write_table(fixture, 27);
    struct pieces pieces = {.text = fixture->text, .length = length, .piece = PAGE_BYTES};
    const struct procfs_reader_config config = {
        .family = AF_INET,
        .page_bytes = PAGE_BYTES,
        .source = {.read = read_piece, .context = &pieces},
    };
    struct procfs_reader *reader;
    assert_int_equal(procfs_reader_create(&reader, &config), 0);
    struct procfs_pass pass;
    assert_int_equal(procfs_reader_pass(reader, (struct procfs_visitor){.visit = refuse}, &pass),
                     -ENOMEM);
    procfs_reader_destroy(reader);
}

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_socket_is_seen_once_at_any_size),
        cmocka_unit_test(test_rows_are_right_where_the_number_widens),
        cmocka_unit_test(test_a_read_with_room_for_a_line_is_the_last),
        cmocka_unit_test(test_a_short_repeat_after_a_full_last_page_is_dropped),
        cmocka_unit_test(test_a_long_repeat_after_a_full_last_page_spoils_the_pass),
        cmocka_unit_test(test_a_repeat_of_ipv6_is_never_counted),
        cmocka_unit_test(test_a_row_that_slid_into_the_next_page_is_dropped),
        cmocka_unit_test(test_a_slide_in_the_last_page_but_one_does_not_spoil_the_pass),
        cmocka_unit_test(test_a_page_may_end_within_a_line),
        cmocka_unit_test(test_a_table_that_ends_within_a_line_says_so),
        cmocka_unit_test(test_lines_that_are_no_rows_are_counted),
        cmocka_unit_test(test_pages_without_a_newline_end_in_a_count_too),
        cmocka_unit_test(test_a_failed_read_is_passed_on_and_an_interrupt_is_not),
        cmocka_unit_test(test_the_visitors_refusal_ends_the_pass),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
