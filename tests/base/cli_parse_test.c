/* Rules of base/cli for whole command lines. */
#include "base/test.h"

#include "base/cli_program.h"

#define WORDS_MAX 200

/* One command line, split at spaces; "''" stands for an empty argument. Its words end at guard
 * pages. */
struct line {
    struct guarded_text words[WORDS_MAX];
    char *argv[WORDS_MAX + 1];
    int argc;
    struct options options;
    struct cli_given given;
    struct failure failure;
};

static enum cli_outcome line_parse(struct line *line, const char *text)
{
    memset(line, 0, sizeof *line);
    memset(&line->options, 0xee, sizeof line->options); /* parsing zeroes it */
    line->words[line->argc++] = guarded_text_make("finwait-test");
    while (*text != '\0') {
        char word[512];
        size_t length = strcspn(text, " ");
        assert_true(length < sizeof word && line->argc < WORDS_MAX);
        memcpy(word, text, length);
        word[length] = '\0';
        line->words[line->argc++] = guarded_text_make(strcmp(word, "''") == 0 ? "" : word);
        text += length;
        text += strspn(text, " ");
    }
    for (int i = 0; i < line->argc; i++) {
        line->argv[i] = line->words[i].text;
    }
    return cli_parse(&program, line->argv, &line->options, &line->given, &line->failure);
}

static void line_free(struct line *line)
{
    for (int i = 0; i < line->argc; i++) {
        guarded_text_free(&line->words[i]);
    }
}

static void test_defaults_fill_what_is_not_given_and_the_rest_is_zero(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(line_parse(&line, ""), CLI_RUN);
    assert_int_equal(line.options.target.count, 0);
    assert_int_equal(line.options.engine, 0);
    assert_int_equal(line.options.rate.events, 0);
    assert_int_equal(line.options.rate.per_ns, 0);
    assert_int_equal(line.options.in_flight, 32);
    assert_int_equal(line.options.payload, 64);
    assert_int_equal(line.options.hold, 0);
    assert_int_equal(line.options.count, 0);
    assert_true(line.options.quickack);
    assert_false(line.options.verbose);
    assert_null(line.options.json);
    assert_int_equal(line.options.without.count, 1);
    for (size_t i = 0; i < program.option_count; i++) {
        assert_false(cli_was_given(&program, &line.given, program_options[i].name));
    }
    line_free(&line);
}

static void test_every_type_is_stored_in_its_field(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(
        line_parse(&line, "--target 127.0.0.1:1 --engine epoll --rate 600k/min --payload 16KiB "
                          "--hold 1.5s --count 3M --quickack off --verbose --json out.json "
                          "--target [::1]:2 --without-feature a --without-feature=b"),
        CLI_RUN);
    assert_int_equal(line.options.target.count, 2);
    assert_ptr_equal(line.options.target.values[0], line.argv[2]); /* values point into argv */
    assert_string_equal(line.options.target.values[1], "[::1]:2");
    assert_int_equal(line.options.engine, 2);
    assert_int_equal(line.options.rate.events, 600000);
    assert_true(line.options.rate.per_ns == UINT64_C(60000000000));
    assert_int_equal(line.options.payload, 16384);
    assert_true(line.options.hold == UINT64_C(1500000000));
    assert_int_equal(line.options.count, 3000000);
    assert_false(line.options.quickack);
    assert_true(line.options.verbose);
    assert_string_equal(line.options.json, "out.json");
    assert_int_equal(line.options.without.count, 2); /* the default is replaced, not joined */
    assert_string_equal(line.options.without.values[0], "a");
    assert_string_equal(line.options.without.values[1], "b");
    line_free(&line);
}

static void test_value_may_follow_an_equals_sign(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(
        line_parse(&line, "--rate=20k/s --json=a=b --without-feature=--x --engine=uring"), CLI_RUN);
    assert_int_equal(line.options.rate.events, 20000);
    assert_string_equal(line.options.json, "a=b");
    assert_string_equal(line.options.without.values[0], "--x");
    assert_int_equal(line.options.engine, 1);
    line_free(&line);
}

static void test_last_value_of_a_repeated_option_counts(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(
        line_parse(&line, "--payload 1 --payload 2 --rate 1 --rate 2 --verbose --verbose"),
        CLI_RUN);
    assert_int_equal(line.options.payload, 2);
    assert_int_equal(line.options.rate.events, 2);
    line_free(&line);
}

static void test_was_given_tells_given_from_default(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(line_parse(&line, "--payload 64 --without-feature x"), CLI_RUN);
    assert_true(cli_was_given(&program, &line.given, "payload"));
    assert_true(cli_was_given(&program, &line.given, "without-feature"));
    assert_false(cli_was_given(&program, &line.given, "in-flight"));
    line_free(&line);
}

static void test_range_ends_are_included(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "--rate 1",         "--rate 1M",     "--rate 60M/min", "--rate 60/min",
        "--rate 1000000.0", "--in-flight 1", "--in-flight 4k", "--payload 1",
        "--payload 64KiB",  "--hold 1h",     "--hold 0",       "--count 18446744073709551615",
        "--rate 3600/h",
    };
    for (size_t i = 0; i < TABLE_COUNT(lines); i++) {
        struct line line;
        if (line_parse(&line, lines[i]) != CLI_RUN) {
            fail_msg("%s", line.failure.text);
        }
        line_free(&line);
    }
}

struct bad_case {
    const char *line;
    const char *message;
};

static void test_bad_input_gives_one_line_that_says_what_to_do(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"--rate 10k/x", "--rate 10k/x: unknown unit \"x\"; use 10k, 10k/s or 600k/min"},
        {"--rate 0", "--rate 0: a rate must be above 0; use 10k, 10k/s or 600k/min"},
        {"--rate=0", "--rate 0: a rate must be above 0; use 10k, 10k/s or 600k/min"},
        {"--rate 0.5", "--rate 0.5: out of range; use 1/s to 1M/s"},
        {"--rate 59/min", "--rate 59/min: out of range; use 1/s to 1M/s"},
        {"--rate 1000001", "--rate 1000001: out of range; use 1/s to 1M/s"},
        {"--rate 1000000.1", "--rate 1000000.1: out of range; use 1/s to 1M/s"},
        {"--rate 999999999999999999999",
         "--rate 999999999999999999999: out of range; use 1/s to 1M/s"},
        {"--payload 65537", "--payload 65537: out of range; use 1B to 64KiB"},
        {"--payload 0", "--payload 0: out of range; use 1B to 64KiB"},
        {"--payload 99999999999999999999999",
         "--payload 99999999999999999999999: out of range; use 1B to 64KiB"},
        {"--payload -1", "--payload -1: a negative number; use 64, 16KiB or 1MiB"},
        {"--payload 1K", "--payload 1K: unknown unit \"K\"; use B, kB, MB, GB, KiB, MiB or GiB"},
        {"--hold 61m", "--hold 61m: out of range; use 0 to 1h"},
        {"--hold 5",
         "--hold 5: the unit is missing; use ns, us, ms, s, m or h, as in 5ms, 1.5s or 2m"},
        {"--count 0", "--count 0: out of range; use 1 or more"},
        {"--count 18446744073709551616",
         "--count 18446744073709551616: the number is too large; use 200, 20k or 3M"},
        {"--in-flight 4001", "--in-flight 4001: out of range; use 1 to 4k"},
        {"--in-flight ''", "--in-flight \"\": the value is empty; use --in-flight N"},
        {"--in-flight=", "--in-flight \"\": the value is empty; use --in-flight N"},
        {"--json ''", "--json \"\": the value is empty; use --json FILE"},
        {"--target=", "--target \"\": the value is empty; use --target ADDR:PORT"},
        {"--engine=", "--engine \"\": the value is empty; use --engine auto|uring|epoll"},
        {"--engine ureng", "--engine ureng: unknown choice; use auto, uring or epoll"},
        {"--engine Auto", "--engine Auto: unknown choice; use auto, uring or epoll"},
        {"--quickack yes", "--quickack yes: unknown choice; use on or off"},
        {"--payload", "--payload: the value is missing; use --payload BYTES"},
        {"--payload --hold 1s", "--payload: the value is missing; use --payload BYTES"},
        {"--engine", "--engine: the value is missing; use --engine auto|uring|epoll"},
        {"--verbose=1", "--verbose=1: takes no value; use --verbose"},
        {"--verbose=", "--verbose=: takes no value; use --verbose"},
        {"--help=1", "--help=1: takes no value; use --help"},
        {"--rate 5 --in-flight 3",
         "--in-flight: cannot be used together with --rate; give one of them"},
        {"--in-flight 3 --payload 5 --rate=5",
         "--rate: cannot be used together with --in-flight; give one of them"},
        {"--raet 5", "--raet: unknown option; did you mean --rate?"},
        {"--inflight=5", "--inflight: unknown option; did you mean --in-flight?"},
        {"--pay 5", "--pay: unknown option; did you mean --payload?"},
        {"--hepl", "--hepl: unknown option; did you mean --help?"},
        {"--verison", "--verison: unknown option; did you mean --version?"},
        {"--ratee", "--ratee: unknown option; did you mean --rate?"},
        {"--no-verbose", "--no-verbose: unknown option; did you mean --verbose?"},
        {"--frobnicate", "--frobnicate: unknown option; use --help for the list"},
        {"--x=5", "--x: unknown option; use --help for the list"},
        {"-rate 5", "-rate: options begin with two dashes; did you mean --rate?"},
        {"-h", "-h: options begin with two dashes; did you mean --help?"},
        {"--verbose 1",
         "\"1\": not an option; use --target ADDR:PORT [options], or --help for the list"},
        {"7000",
         "\"7000\": not an option; use --target ADDR:PORT [options], or --help for the list"},
        {"''", "\"\": not an option; use --target ADDR:PORT [options], or --help for the list"},
        {"-", "\"-\": not an option; use --target ADDR:PORT [options], or --help for the list"},
        {"--", "\"--\": not an option; use --target ADDR:PORT [options], or --help for the list"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct line line;
        assert_int_equal(line_parse(&line, cases[i].line), CLI_BAD);
        assert_string_equal(line.failure.text, cases[i].message);
        line_free(&line);
    }
}

static void test_absurdly_long_words_are_cut_but_what_to_do_remains(void **state)
{
    (void)state;
    static const char *const heads[] = {"--payload ", "--",         "--engine ", "",
                                        "-",          "--verbose=", "--rate 5"};
    for (size_t i = 0; i < TABLE_COUNT(heads); i++) {
        struct line line;
        char text[512];
        size_t head = strlen(heads[i]);
        memset(text, 'x', 480);
        memcpy(text, heads[i], head);
        text[480] = '\0';
        assert_int_equal(line_parse(&line, text), CLI_BAD);
        if (strstr(line.failure.text, "use ") == NULL &&
            strstr(line.failure.text, "did you mean") == NULL) {
            fail_msg("%s", line.failure.text);
        }
        line_free(&line);
    }
}

static void test_list_takes_64_values_and_no_more(void **state)
{
    (void)state;
    struct line line;
    char text[64 * 16 + 64];
    size_t length = 0;
    for (int i = 0; i < CLI_LIST_MAX; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "--target=a ");
    }
    assert_int_equal(line_parse(&line, text), CLI_RUN);
    assert_int_equal(line.options.target.count, CLI_LIST_MAX);
    line_free(&line);
    snprintf(text + length, sizeof text - length, "--target=b");
    assert_int_equal(line_parse(&line, text), CLI_BAD);
    assert_string_equal(line.failure.text, "--target b: given too often; give it at most 64 times");
    line_free(&line);
}

static void test_help_version_and_man_are_every_programs(void **state)
{
    (void)state;
    struct line line;
    assert_int_equal(line_parse(&line, "--help"), CLI_HELP);
    line_free(&line);
    assert_int_equal(line_parse(&line, "--payload 5 --version --nonsense"), CLI_VERSION);
    line_free(&line);
    assert_int_equal(line_parse(&line, "--man"), CLI_MAN);
    line_free(&line);
    assert_int_equal(line_parse(&line, "--json --help"), CLI_BAD); /* a value is missing first */
    line_free(&line);
}

static void test_given_and_failure_may_be_left_out(void **state)
{
    (void)state;
    struct options options;
    char name[] = "p";
    char bad[] = "--bad";
    char *argv[] = {name, bad, NULL};
    assert_int_equal(cli_parse(&program, argv, &options, NULL, NULL), CLI_BAD);
    argv[1] = NULL;
    assert_int_equal(cli_parse(&program, argv, &options, NULL, NULL), CLI_RUN);
}

static void test_command_line_may_lack_even_the_program_name(void **state)
{
    (void)state;
    struct options options;
    char *argv[] = {NULL};
    assert_int_equal(cli_parse(&program, argv, &options, NULL, NULL), CLI_RUN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_fill_what_is_not_given_and_the_rest_is_zero),
        cmocka_unit_test(test_every_type_is_stored_in_its_field),
        cmocka_unit_test(test_value_may_follow_an_equals_sign),
        cmocka_unit_test(test_last_value_of_a_repeated_option_counts),
        cmocka_unit_test(test_was_given_tells_given_from_default),
        cmocka_unit_test(test_range_ends_are_included),
        cmocka_unit_test(test_bad_input_gives_one_line_that_says_what_to_do),
        cmocka_unit_test(test_absurdly_long_words_are_cut_but_what_to_do_remains),
        cmocka_unit_test(test_list_takes_64_values_and_no_more),
        cmocka_unit_test(test_help_version_and_man_are_every_programs),
        cmocka_unit_test(test_given_and_failure_may_be_left_out),
        cmocka_unit_test(test_command_line_may_lack_even_the_program_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
