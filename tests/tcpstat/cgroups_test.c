/* Cgroups: a set of what lies below a folder, which any file system can stand in for, and paths
 * that are none. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tcpstat/cgroups.h"

static uint64_t make_folder(const char *parent, const char *name, char path[CGROUP_PATH_MAX])
{
    assert_true(snprintf(path, CGROUP_PATH_MAX, "%s/%s", parent, name) < CGROUP_PATH_MAX);
    assert_int_equal(mkdir(path, 0700), 0);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return info.st_ino;
}

static void test_a_set_has_a_folder_and_all_below_it(void **state)
{
    (void)state;
    char top[] = "/tmp/finwait-cgroups-XXXXXX";
    assert_non_null(mkdtemp(top));
    char inner[CGROUP_PATH_MAX];
    char leaf[CGROUP_PATH_MAX];
    char beside[CGROUP_PATH_MAX];
    char later[CGROUP_PATH_MAX];
    const uint64_t inner_id = make_folder(top, "inner", inner);
    const uint64_t leaf_id = make_folder(inner, "leaf", leaf);
    const uint64_t beside_id = make_folder(top, "beside", beside);
    struct cgroup_set set = {0};
    assert_int_equal(cgroup_set_read(&set, inner), 0);
    assert_int_equal(set.count, 2);
    assert_true(cgroup_set_has(&set, inner_id));
    assert_true(cgroup_set_has(&set, leaf_id));
    assert_false(cgroup_set_has(&set, beside_id));
    assert_false(cgroup_set_has(&set, 0));

    /* What went is still known, for the records that name it; what came is known too. */
    assert_int_equal(rmdir(leaf), 0);
    const uint64_t later_id = make_folder(inner, "later", later);
    assert_int_equal(cgroup_set_read(&set, inner), 0);
    assert_true(cgroup_set_has(&set, leaf_id));
    assert_true(cgroup_set_has(&set, later_id));
    cgroup_set_free(&set);
    assert_int_equal(rmdir(later), 0);
    assert_int_equal(rmdir(inner), 0);
    assert_int_equal(rmdir(beside), 0);
    assert_int_equal(rmdir(top), 0);
}

static void test_the_root_is_found_and_what_is_not_there_is_named(void **state)
{
    (void)state;
    struct cgroup cgroup;
    struct failure failure;
    if (cgroup_mount() == NULL) {
        assert_int_equal(cgroup_find(&cgroup, "/", &failure), -ENOTSUP);
        skip();
    }
    assert_int_equal(cgroup_find(&cgroup, "/", &failure), 0);
    assert_int_equal(cgroup.level, 0);
    const uint64_t root = cgroup.id;
    assert_int_equal(cgroup_find(&cgroup, cgroup_mount(), &failure), 0);
    assert_int_equal(cgroup.id, root);
    static const char *const nowhere[] = {"/no/such", "no-such", "/../..", "/cgroup.procs"};
    for (size_t i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
        assert_int_equal(cgroup_find(&cgroup, nowhere[i], &failure), -EINVAL);
        assert_non_null(strstr(failure.text, nowhere[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_has_a_folder_and_all_below_it),
        cmocka_unit_test(test_the_root_is_found_and_what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
