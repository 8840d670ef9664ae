/* Rules of base/cli for what it prints: --help, --man, and values as text. */
#include "base/test.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "base/cli_program.h"
#include "base/clock.h"
#include "base/rng.h"

static char *printed_by(void (*print)(const struct cli_program *, FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    print(&program, out);
    fclose(out);
    return text;
}

static void test_help_keeps_to_80_columns_without_trailing_blanks(void **state)
{
    (void)state;
    char *help = printed_by(cli_print_help);
    for (const char *line = help; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= 80);
        assert_true(length == 0 || line[length - 1u] != ' ');
        assert_int_equal(line[length], '\n');
        line += length + 1u;
    }
    free(help);
}

static void test_help_shows_every_option_with_default_and_range(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "finwait-test: opens connections and tells how that went\n",
        "\nUsage: finwait-test --target ADDR:PORT [options]\n",
        "\nTarget:\n  --target ADDR:PORT      where the connections go; may be repeated\n",
        "  --engine auto|uring|epoll\n",
        "                          what drives the sockets (default auto)\n",
        "\nLoad:\n  --rate N/s              open loop:",
        "                          can be counted from the scheduled time (1/s to 1M/s)\n",
        "  --in-flight N           closed loop: connections in flight a worker (default\n",
        "                          32; 1 to 4k)\n",
        "  --payload BYTES         bytes of each echo (default 64; 1B to 64KiB)\n",
        "  --hold TIME             time between the last echo and the close (default 0; 0\n",
        "                          to 1h)\n",
        "  --count N               connections to open in all (1 or more)\n",
        "\nSockets:\n  --quickack on|off       acknowledge at once (default on)\n",
        "\nOutput:\n  --verbose               print more\n",
        "  --json FILE             write the results to a file\n",
        "  --without-feature NAME  force a fall-back; may be repeated (default bundles)\n",
        "\nGeneral:\n  --help ",
        "  --version ",
        "  --man ",
        "\n\nExit codes:\n  0 valid, 2 usage\n",
    };
    char *help = printed_by(cli_print_help);
    for (size_t i = 0; i < TABLE_COUNT(parts); i++) {
        assert_contains(help, parts[i]);
    }
    assert_int_equal(help[strlen(help) - 1u], '\n');
    free(help);
}

static void test_man_page_holds_every_option_and_escapes_texts(void **state)
{
    (void)state;
    static const char *const parts[] = {
        ".TH FINWAIT\\-TEST 1 ",
        "\n.SH NAME\nfinwait\\-test \\- opens connections",
        "\n.SH SYNOPSIS\n",
        "\n.SH OPTIONS\n.SS Target\n.TP\n\\fB\\-\\-target\\fR \\fIADDR:PORT\\fR\nwhere the",
        "\\fB\\-\\-in\\-flight\\fR \\fIN\\fR\n",
        "(default 64; 1B to 64KiB)\n",
        "\\fB\\-\\-verbose\\fR\nprint more\n",
        "\\fB\\-\\-man\\fR\n",
        "\n\\&.5 is no request, \\en no line\n\\&\\(aqnor this\n",
    };
    char *man = printed_by(cli_print_man);
    for (size_t i = 0; i < TABLE_COUNT(parts); i++) {
        assert_contains(man, parts[i]);
    }
    free(man);
}

/* Runs groff on a file with all warnings on; its complaints go to `complaints`. Gives its exit
 * code, 127 where groff is not there. */
static int groff_check(int page, int complaints)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(page, STDIN_FILENO);
        dup2(complaints, STDERR_FILENO);
        execlp("groff", "groff", "-man", "-ww", "-z", "-Tutf8", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_man_page_is_clean_roff(void **state)
{
    (void)state;
    int page = memfd_create("page", 0);
    int complaints = memfd_create("complaints", 0);
    assert_true(page >= 0 && complaints >= 0);
    char *man = printed_by(cli_print_man);
    assert_int_equal(write(page, man, strlen(man)), strlen(man));
    assert_int_equal(lseek(page, 0, SEEK_SET), 0);
    free(man);
    int code = groff_check(page, complaints);
    char text[512] = "";
    assert_true(pread(complaints, text, sizeof text - 1u, 0) >= 0);
    close(page);
    close(complaints);
    if (code == 127) {
        skip();
    }
    assert_string_equal(text, "");
    assert_int_equal(code, 0);
}

struct format_case {
    const char *name;
    const char *given;
    const char *printed;
};

static const struct cli_option *option_named(const char *name)
{
    for (size_t i = 0; i < program.option_count; i++) {
        if (strcmp(program_options[i].name, name) == 0) {
            return &program_options[i];
        }
    }
    fail_msg("no option %s", name);
    return NULL;
}

static void parse_one(struct options *options, const char *name, const char *value)
{
    char program_name[] = "p";
    char argument[256];
    struct failure failure;
    snprintf(argument, sizeof argument, "--%s=%s", name, value);
    char *argv[] = {program_name, argument, NULL};
    if (cli_parse(&program, argv, options, NULL, &failure) != CLI_RUN) {
        fail_msg("%s", failure.text);
    }
}

static void test_values_are_printed_as_a_user_would_write_them(void **state)
{
    (void)state;
    static const struct format_case cases[] = {
        {"rate", "20000", "20k/s"},
        {"rate", "600k/min", "600k/min"},
        {"rate", "7200/h", "7200/h"},
        {"rate", "1234.5", "1234.5/s"},
        {"rate", "60.25/min", "60.25/min"},
        {"rate", "1000000", "1M/s"},
        {"in-flight", "1000", "1k"},
        {"in-flight", "1024", "1024"},
        {"count", "2500000", "2500k"},
        {"count", "18446744073709551615", "18446744073709551615"},
        {"payload", "64", "64B"},
        {"payload", "65536", "64KiB"},
        {"payload", "2000", "2kB"},
        {"hold", "0", "0"},
        {"hold", "0ms", "0"},
        {"hold", "1.5s", "1500ms"},
        {"hold", "90s", "90s"},
        {"hold", "120s", "2m"},
        {"hold", "60m", "1h"},
        {"hold", "1ns", "1ns"},
        {"engine", "epoll", "epoll"},
        {"quickack", "off", "off"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        struct options options;
        char text[64];
        parse_one(&options, cases[i].name, cases[i].given);
        int length = cli_format_value(option_named(cases[i].name), &options, text, sizeof text);
        assert_string_equal(text, cases[i].printed);
        assert_int_equal(length, strlen(text));
    }
}

static void test_values_not_given_print_as_nothing_or_zero(void **state)
{
    (void)state;
    static const struct options options;
    static const struct format_case cases[] = {
        {"target", "", ""}, {"rate", "", ""},       {"count", "", "0"},     {"hold", "", "0"},
        {"json", "", ""},   {"verbose", "", "off"}, {"engine", "", "auto"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        char text[64] = "unset";
        cli_format_value(option_named(cases[i].name), &options, text, sizeof text);
        assert_string_equal(text, cases[i].printed);
    }
}

static void test_strings_and_lists_print_what_was_given(void **state)
{
    (void)state;
    const struct options options = {
        .json = "out.json", .verbose = true, .target = {.count = 3, .values = {"a", "bc", "d"}}};
    char text[64];
    assert_int_equal(cli_format_value(option_named("json"), &options, text, sizeof text), 8);
    assert_string_equal(text, "out.json");
    assert_int_equal(cli_format_value(option_named("target"), &options, text, sizeof text), 6);
    assert_string_equal(text, "a,bc,d");
    cli_format_value(option_named("verbose"), &options, text, sizeof text);
    assert_string_equal(text, "on");
}

static void test_length_is_told_whatever_fits(void **state)
{
    (void)state;
    const struct options options = {.json = "out.json",
                                    .rate = {.events = 20000, .per_ns = NS_PER_SEC},
                                    .target = {.count = 3, .values = {"a", "bc", "d"}}};
    static const char *const names[] = {"json", "rate", "target"};
    for (size_t i = 0; i < TABLE_COUNT(names); i++) {
        const struct cli_option *option = option_named(names[i]);
        char whole[64];
        int length = cli_format_value(option, &options, whole, sizeof whole);
        assert_int_equal(cli_format_value(option, &options, NULL, 0), length);
        for (size_t size = 1; size <= (size_t)length + 1u; size++) {
            char part[64];
            memset(part, '#', sizeof part);
            assert_int_equal(cli_format_value(option, &options, part, size), length);
            assert_int_equal(strlen(part), size - 1u);
            assert_memory_equal(part, whole, size - 1u);
            assert_int_equal(part[size], '#');
        }
    }
}

static void test_printed_numbers_read_back_to_the_same_value(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 31);
    static const uint64_t scales[] = {1, 10, 1000, 1024, 60, 1000000, 1u << 20, NS_PER_SEC};
    for (int i = 0; i < 20000; i++) {
        uint64_t number = rng_next(&rng) >> rng_below(&rng, 64);
        uint64_t scaled;
        if (!__builtin_mul_overflow(number, scales[rng_below(&rng, TABLE_COUNT(scales))],
                                    &scaled)) {
            number = scaled;
        }
        const struct options options = {.count = number, .payload = number, .hold = number};
        char text[64];
        uint64_t back = 0;
        cli_format_value(option_named("count"), &options, text, sizeof text);
        assert_int_equal(cli_parse_count(&back, text, "", NULL), 0);
        assert_true(back == number);
        cli_format_value(option_named("payload"), &options, text, sizeof text);
        assert_int_equal(cli_parse_bytes(&back, text, "", NULL), 0);
        assert_true(back == number);
        cli_format_value(option_named("hold"), &options, text, sizeof text);
        assert_int_equal(cli_parse_duration(&back, text, "", NULL), 0);
        assert_true(back == number);
    }
}

static void test_printed_rates_read_back_to_the_same_rate(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 37);
    static const uint64_t periods_s[] = {1, 60, 3600};
    for (int i = 0; i < 20000; i++) {
        struct options options = {
            .rate = {.events = 1u + (rng_next(&rng) >> (20u + rng_below(&rng, 44))),
                     .per_ns = NS_PER_SEC}};
        options.rate.per_ns *= periods_s[rng_below(&rng, TABLE_COUNT(periods_s))];
        for (uint64_t tens = rng_below(&rng, 7); tens > 0; tens--) {
            options.rate.per_ns *= 10u;
        }
        char text[64];
        struct cli_rate back;
        cli_format_value(option_named("rate"), &options, text, sizeof text);
        assert_int_equal(cli_parse_rate(&back, text, "", NULL), 0);
        /* 50 per 10 s comes back as 5 per 1 s: the same rate in lower terms. */
        uint64_t factor = options.rate.per_ns / back.per_ns;
        assert_true(back.per_ns * factor == options.rate.per_ns);
        assert_true(back.events * factor == options.rate.events);
    }
}

static void test_period_of_a_programs_own_is_printed_plainly(void **state)
{
    (void)state;
    const struct options options = {.rate = {.events = 10, .per_ns = 1234567}};
    char text[64];
    cli_format_value(option_named("rate"), &options, text, sizeof text);
    assert_string_equal(text, "10/1234567ns");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help_keeps_to_80_columns_without_trailing_blanks),
        cmocka_unit_test(test_help_shows_every_option_with_default_and_range),
        cmocka_unit_test(test_man_page_holds_every_option_and_escapes_texts),
        cmocka_unit_test(test_man_page_is_clean_roff),
        cmocka_unit_test(test_values_are_printed_as_a_user_would_write_them),
        cmocka_unit_test(test_values_not_given_print_as_nothing_or_zero),
        cmocka_unit_test(test_strings_and_lists_print_what_was_given),
        cmocka_unit_test(test_length_is_told_whatever_fits),
        cmocka_unit_test(test_printed_numbers_read_back_to_the_same_value),
        cmocka_unit_test(test_printed_rates_read_back_to_the_same_rate),
        cmocka_unit_test(test_period_of_a_programs_own_is_printed_plainly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
