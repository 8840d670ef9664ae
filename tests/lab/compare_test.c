/* A comparison's plan, and its command lines. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bench/lab/command.h"
#include "bench/lab/compare.h"

#define WORDS_MAX 24
#define TEXT_MAX 512

/* Parses a command line of compare's, words separated by single spaces; lists point into `text`. */
static struct compare_options parse(char text[TEXT_MAX], const char *line)
{
    char *argv[WORDS_MAX + 1] = {NULL};
    struct compare_options options;
    struct failure failure;
    size_t count = 0;
    snprintf(text, TEXT_MAX, "compare %s", line);
    for (char *word = text; word != NULL && count < WORDS_MAX;) {
        argv[count++] = word;
        word = strchr(word, ' ');
        if (word != NULL) {
            *word++ = '\0';
        }
    }
    assert_int_equal(cli_parse(&compare_program, argv, &options, NULL, &failure), CLI_RUN);
    return options;
}

/* Gives the names of a plan's first group, "; " after each. */
static void names_of(const char *line, char *names, size_t size)
{
    char text[TEXT_MAX];
    struct compare_options options = parse(text, line);
    struct compare compare;
    struct failure failure;
    size_t used = 0;
    assert_int_equal(compare_plan(&compare, &options, &failure), 0);
    for (uint32_t i = 0; i < compare.groups[0].count; i++) {
        char name[COMPARE_NAME_MAX];
        used += (size_t)snprintf(names + used, size - used, "%s; ",
                                 compare_name(&compare.groups[0].contenders[i], name));
    }
    compare_free(&compare);
}

static const struct {
    const char *line;
    const char *names;
} plans[] = {
    {"--client stack-packet",
     "kernel-uring; kernel-uring, tuned; stack-packet; stack-packet, 10 segments; null-packet; "},
    {"--client kernel-uring", "kernel-uring; kernel-uring, tuned; "},
    {"--client kernel-epoll --reference epoll", "kernel-epoll; kernel-epoll, tuned; "},
    {"--client kernel-epoll,stack-xdp --rows cell,null", "kernel-epoll; stack-xdp; null-xdp; "},
    {"--client stack-packet --server kernel-uring,stack-packet --rows cell",
     "stack-packet > kernel-uring; stack-packet; "},
    {"--rows null", "null-packet; "},
    {"--client stack-xdp --rows null,eager", "stack-xdp, 10 segments; null-xdp; "},
    {"--client kernel-uring --client kernel-epoll --rows kernel,cell",
     "kernel-uring; kernel-epoll; "},
};

static void the_plan_has_the_wanted_cells_and_the_rows_to_compare_with(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        char names[512] = "";
        names_of(plans[i].line, names, sizeof(names));
        assert_string_equal(names, plans[i].names);
    }
}

/* Every client with every server, and all rows beside them. */
static void all_cells_at_once_have_room(void **state)
{
    (void)state;
    static const char all[] = "kernel-uring,kernel-epoll,stack-packet,stack-xdp";
    char line[256], text[TEXT_MAX];
    snprintf(line, sizeof(line),
             "--client %s --server %s --closer client,server,both --close "
             "fin,close,half,rst,fin-no-timewait",
             all, all);
    struct compare_options options = parse(text, line);
    struct compare compare;
    struct failure failure;
    assert_int_equal(compare_plan(&compare, &options, &failure), 0);
    assert_int_equal(compare.group_count, 15);
    /* 16 cells, of which one is the kernel's row; it tuned; 4 with 10 segments; 2 null. */
    assert_int_equal(compare.groups[14].count, 16 + 1 + 4 + 2);
    compare_free(&compare);
}

static void every_closer_and_close_has_a_group_of_its_own(void **state)
{
    (void)state;
    char text[TEXT_MAX];
    struct compare_options options =
        parse(text, "--client kernel-uring --closer client,both --close fin,rst");
    struct compare compare;
    struct failure failure;
    assert_int_equal(compare_plan(&compare, &options, &failure), 0);
    assert_int_equal(compare.group_count, 4);
    assert_string_equal(compare.groups[1].contenders[0].spec.close, "rst");
    assert_string_equal(compare.groups[2].contenders[0].spec.closer, "both");
    compare_free(&compare);
}

static const struct {
    const char *line;
    const char *words[2]; /* that the failure must hold */
} refusals[] = {
    {"--client kernel", {"--client", "\"kernel\""}},
    {"--client stack-packet,", {"--client", "\"\""}},
    {"--server loopback", {"--server", "kernel-epoll"}},
    {"--closer nobody", {"--closer", "nobody"}},
    {"--close fin,slam", {"--close", "slam"}},
    {"--close fin,fin", {"--close", "twice"}},
    {"--rows rows", {"--rows", "eager"}},
    {"--client kernel-uring --rows null", {"--rows", "none"}},
    {"--seconds 0", {"--seconds", "0.1 to 50"}},
    {"--seconds 1s", {"--seconds 1s", "50"}},
    {"--seconds nan", {"--seconds nan", "50"}},
};

static void what_is_unknown_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char text[TEXT_MAX];
        struct compare_options options = parse(text, refusals[i].line);
        struct compare compare;
        struct failure failure;
        assert_int_equal(compare_plan(&compare, &options, &failure), -EINVAL);
        compare_free(&compare);
        assert_non_null(strstr(failure.text, refusals[i].words[0]));
        assert_non_null(strstr(failure.text, refusals[i].words[1]));
    }
}

/* Joins a command line's words, the program left out. */
static const char *join(const struct command *command, char *line, size_t size)
{
    size_t used = 0;
    line[0] = '\0';
    for (size_t i = 1; i < command->count; i++) {
        used += (size_t)snprintf(line + used, size - used, " %s", command->argv[i]);
    }
    return line;
}

static void assert_words(const char *line, const char *wanted, const char *unwanted)
{
    if (strstr(line, wanted) == NULL || (unwanted != NULL && strstr(line, unwanted) != NULL)) {
        fail_msg("\"%s\" wants \"%s\" and not \"%s\"", line, wanted,
                 unwanted == NULL ? "-" : unwanted);
    }
}

static void a_tuned_kernel_acknowledges_with_data_at_both_ends_and_defers_accept(void **state)
{
    (void)state;
    char line[2048];
    struct command command;
    struct cell_spec spec = {.closer = "client",
                             .close = "fin",
                             .bin_dir = "/bin",
                             .client_cpus = "0",
                             .server_cpus = "1",
                             .duration_ns = 1500000000};
    command_client(&command, &spec, "report");
    assert_string_equal(command.argv[0], "/bin/finwait-loadgen");
    assert_words(join(&command, line, sizeof(line)), " --quickack on", "--in-flight");
    assert_words(line, " --duration 1500ms", "--hold");
    spec.warm_up_ns = 65000000000;
    command_client(&command, &spec, "report");
    assert_words(join(&command, line, sizeof(line)), " --duration 66500ms", NULL);
    spec.tuning = LAB_TUNED;
    command_client(&command, &spec, "report");
    assert_words(join(&command, line, sizeof(line)), " --quickack off", NULL);
    command_server(&command, &spec, "report");
    assert_words(join(&command, line, sizeof(line)), " --quickack off", "--closes-after");
    assert_words(line, " --defer-accept 5s", NULL);
}

static void the_stack_acknowledges_apart_only_when_it_is_to_send_ten_segments(void **state)
{
    (void)state;
    char line[2048];
    struct command command;
    struct cell_spec spec = {.client = LAB_STACK_PACKET,
                             .server = LAB_STACK_XDP,
                             .closer = "server",
                             .close = "rst",
                             .bin_dir = "/bin",
                             .client_cpus = "0",
                             .server_cpus = "1"};
    command_client(&command, &spec, "report");
    assert_words(join(&command, line, sizeof(line)),
                 " --link packet:lab0 --spin 100us --rfc1337 --quickack off", NULL);
    spec.tuning = LAB_EAGER;
    command_server(&command, &spec, "report");
    assert_words(join(&command, line, sizeof(line)),
                 " --link xdp:lab0 --spin 100us --rfc1337 --quickack on", "--defer-accept");
    assert_words(line, " --closes-after 64B --close rst", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_plan_has_the_wanted_cells_and_the_rows_to_compare_with),
        cmocka_unit_test(all_cells_at_once_have_room),
        cmocka_unit_test(every_closer_and_close_has_a_group_of_its_own),
        cmocka_unit_test(what_is_unknown_is_refused_by_name),
        cmocka_unit_test(a_tuned_kernel_acknowledges_with_data_at_both_ends_and_defers_accept),
        cmocka_unit_test(the_stack_acknowledges_apart_only_when_it_is_to_send_ten_segments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
