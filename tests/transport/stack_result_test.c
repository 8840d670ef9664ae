/* What a report says of a stack's run beside the counters: each trouble of the link is a note of
 * its own, since failures of that time are not the other side's. */
#include <string.h>

#include "base/test.h"
#include "transport/stack_result.h"

/* Adds a report of a link that counted one thing so often. */
static void report(struct result *result, const char *counter, uint64_t count)
{
    const struct counter_info infos[] = {{.name = counter, .help = "counted by the test"}};
    const uint64_t values[] = {count};
    struct stack_totals *totals = test_calloc(1, sizeof(*totals));
    *totals = (struct stack_totals){
        .view_count = 1,
        .views = {{.module = "link", .counters = {.infos = infos, .values = values, .count = 1}}}};
    assert_int_equal(result_init(result, "test"), 0);
    const struct transport_stack_settings settings = {.linger = false};
    const struct stack_result_facts facts = {.settings = &settings, .totals = totals};
    assert_int_equal(stack_result_add(result, &facts), 0);
    test_free(totals);
}

static void each_trouble_of_the_link_is_a_note(void **state)
{
    (void)state;
    static const struct {
        const char *counter;
        const char *code;
        const char *says;
    } rows[] = {
        {"interface_down", "link-down", "17 times the link's interface was found to be down"},
        {"transmit_no_buffers", "link-no-buffers",
         "17 times the kernel had no room for the stack's frames"},
        {"transmit_dropped", "link-transmit-dropped", "17 frames of the stack's were dropped"},
        {"receive_ring_full", "link-ring-full",
         "17 frames were dropped because the receive ring was full"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct result result;
        report(&result, rows[i].counter, 17);
        assert_int_equal(result.limit_count, 1);
        assert_string_equal(result.limits[0].code, rows[i].code);
        assert_int_equal(result.limits[0].weight, RESULT_NOTE);
        assert_non_null(strstr(result.limits[0].text, rows[i].says));
        assert_int_equal(result_exit_code(&result), 0);
        result_destroy(&result);
        report(&result, rows[i].counter, 0);
        assert_int_equal(result.limit_count, 0);
        result_destroy(&result);
    }
}

static void what_is_no_trouble_is_no_note(void **state)
{
    (void)state;
    struct result result;
    report(&result, "frames_sent", 17);
    assert_int_equal(result.limit_count, 0);
    result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_trouble_of_the_link_is_a_note),
        cmocka_unit_test(what_is_no_trouble_is_no_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
