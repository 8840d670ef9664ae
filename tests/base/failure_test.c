/* Rules of base/failure. */
#include "base/test.h"

#include <errno.h>

#include "base/failure.h"

static void test_set_fills_and_returns_the_negative_errno(void **state)
{
    (void)state;
    struct failure failure = {0};
    assert_int_equal(failure_set(&failure, ENOENT, "%s: %d", "count", 5), -ENOENT);
    assert_int_equal(failure.error, ENOENT);
    assert_string_equal(failure.text, "count: 5");
}

static void test_set_without_a_struct_only_returns(void **state)
{
    (void)state;
    assert_int_equal(failure_set(NULL, EIO, "%s", "nobody reads this"), -EIO);
}

static void test_long_text_is_cut_and_ended(void **state)
{
    (void)state;
    struct failure failure;
    char text[2 * FAILURE_TEXT_MAX];
    memset(text, 'x', sizeof text - 1u);
    text[sizeof text - 1u] = '\0';
    failure_set(&failure, EINVAL, "%s", text);
    assert_int_equal(strlen(failure.text), FAILURE_TEXT_MAX - 1);
}

static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    struct failure failure;
    failure_set(&failure, EINVAL, "%s", "a\nb\x1b[31mc\x7f\xc3\xa9");
    assert_string_equal(failure.text, "a?b?[31mc?\xc3\xa9");
}

static void test_text_may_be_wrapped_in_itself(void **state)
{
    (void)state;
    struct failure failure;
    failure_set(&failure, EINVAL, "inner");
    failure_set(&failure, EIO, "outer: %s", failure.text);
    assert_string_equal(failure.text, "outer: inner");
}

struct errno_case {
    int error;
    const char *name;
    const char *words;
};

static void test_errno_has_its_headers_name_and_a_users_words(void **state)
{
    (void)state;
    static const struct errno_case cases[] = {
        {ECONNREFUSED, "ECONNREFUSED", "refused"},
        {ECONNRESET, "ECONNRESET", "reset"},
        {ETIMEDOUT, "ETIMEDOUT", "timed out"},
        {EADDRNOTAVAIL, "EADDRNOTAVAIL", "no free 4-tuple"},
        {EADDRINUSE, "EADDRINUSE", "no free 4-tuple"},
        {EMFILE, "EMFILE", "no descriptors"},
        {ENFILE, "ENFILE", "no descriptors"},
        {ENODATA, "ENODATA", "closed too early"},
        {EBADMSG, "EBADMSG", "wrong bytes"},
        {EOVERFLOW, "EOVERFLOW", "too many bytes"},
        {ENETUNREACH, "ENETUNREACH", "Network is unreachable"},
        {0, "E?", "unknown error"},
        {-1, "E?", "unknown error"},
        {99999, "E?", "unknown error"},
    };
    for (size_t i = 0; i < TABLE_COUNT(cases); i++) {
        assert_string_equal(failure_errno_name(cases[i].error), cases[i].name);
        assert_string_equal(failure_errno_words(cases[i].error), cases[i].words);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_fills_and_returns_the_negative_errno),
        cmocka_unit_test(test_set_without_a_struct_only_returns),
        cmocka_unit_test(test_long_text_is_cut_and_ended),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_text_may_be_wrapped_in_itself),
        cmocka_unit_test(test_errno_has_its_headers_name_and_a_users_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
