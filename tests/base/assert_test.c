/* Rules of base/assert. */
#include "base/test.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/assert.h"

static void test_failed_assertion_names_place_and_condition_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        assert_failed("a > b", "place.c", 17);
    }
    close(ends[1]);
    char text[256] = "";
    assert_true(read(ends[0], text, sizeof text - 1u) > 0);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_string_equal(text, "place.c:17: assertion failed: a > b\n");
}

static void test_condition_is_evaluated_once_at_most(void **state)
{
    (void)state;
    int calls = 0;
    ASSERT(++calls > 0);
    assert_true(calls <= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_assertion_names_place_and_condition_and_aborts),
        cmocka_unit_test(test_condition_is_evaluated_once_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
