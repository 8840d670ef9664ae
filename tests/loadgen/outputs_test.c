/* Places that a report can be written to, and those that it cannot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loadgen/outputs.h"

static void places_that_can_be_written_pass_and_nothing_is_made(void **state)
{
    (void)state;
    char folder[] = "/tmp/finwait-outputs-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/run.json", folder);
    assert_int_equal(outputs_check("--json", path, NULL), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(outputs_check("--json", "-", NULL), 0);
    assert_int_equal(outputs_check("--json", "/dev/null", NULL), 0);
}

static void places_that_cannot_be_written_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int error;
    } cases[] = {{"/nowhere/at/all.json", -ENOENT},
                 {"/tmp", -EISDIR},
                 {"", -ENOENT},
                 {"/dev/null/run.json", -ENOTDIR}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure failure;
        assert_int_equal(outputs_check("--json", cases[i].path, &failure), cases[i].error);
        assert_non_null(strstr(failure.text, "--json"));
        assert_non_null(strstr(failure.text, cases[i].path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_that_can_be_written_pass_and_nothing_is_made),
        cmocka_unit_test(places_that_cannot_be_written_are_named),
    };
    return cmocka_run_group_tests_name("loadgen/outputs", tests, NULL, NULL);
}
