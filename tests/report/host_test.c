/* Host facts, from a copy of /proc and /sys that the test makes, and from the machine itself. */
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

#include "report/report.h"
#include "report/sample.h"

static const char *find(const struct result_pair *pairs, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(pairs[i].name, name) == 0) {
            return pairs[i].value;
        }
    }
    print_error("no fact \"%s\"\n", name);
    fail();
    return NULL;
}

static const char *const folders[] = {"proc", "proc/sys", "proc/sys/kernel", "proc/sys/net",
                                      "proc/sys/net/ipv4"};
static const struct {
    const char *path;
    const char *text;
} files[] = {
    {"proc/sys/kernel/osrelease", "6.1.0-test\n"},
    {"proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2GHz \nmodel name\t: Other\n"},
    {"proc/meminfo", "MemTotal:       1024 kB\nMemFree:  1 kB\n"},
    {"proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"},
    {"proc/sys/net/ipv4/tcp_fin_timeout", ""},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void make_root(char root[SAMPLE_PATH_MAX])
{
    char path[SAMPLE_PATH_MAX];
    sample_directory(root);
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        sample_path(path, root, folders[i]);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        sample_path(path, root, files[i].path);
        sample_write(path, files[i].text);
    }
}

static void remove_root(const char *root)
{
    char path[SAMPLE_PATH_MAX];
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        sample_path(path, root, files[i].path);
        assert_int_equal(unlink(path), 0);
    }
    for (size_t i = COUNT_OF(folders); i-- > 0;) {
        sample_path(path, root, folders[i]);
        assert_int_equal(rmdir(path), 0);
    }
    assert_int_equal(rmdir(root), 0);
}

static void facts_are_read_tidied_and_unknown_where_missing(void **state)
{
    (void)state;
    char root[SAMPLE_PATH_MAX];
    struct result result;
    make_root(root);
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    assert_int_equal(result_gather_host(&result, root), 0);
    assert_string_equal(find(result.host, result.host_count, "kernel_release"), "6.1.0-test");
    assert_string_equal(find(result.host, result.host_count, "cpu_model"), "Some CPU @ 2GHz");
    assert_string_equal(find(result.host, result.host_count, "memory_total"), "1024 kB");
    assert_null(find(result.host, result.host_count, "clock_source"));
    assert_string_equal(find(result.sysctls, result.sysctl_count, "net.ipv4.tcp_rmem"),
                        "4096 131072 6291456");
    assert_null(find(result.sysctls, result.sysctl_count, "net.ipv4.tcp_tw_reuse"));
    assert_null(find(result.sysctls, result.sysctl_count, "net.ipv4.tcp_fin_timeout"));
    result_destroy(&result);
    remove_root(root);
}

static void this_machine_tells_its_kernel_and_its_descriptors(void **state)
{
    (void)state;
    struct result result;
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    assert_int_equal(result_gather_host(&result, ""), 0);
    assert_non_null(find(result.host, result.host_count, "kernel_release"));
    assert_true(strtoull(find(result.host, result.host_count, "descriptors_soft"), NULL, 10) > 0);
    assert_true(strtoull(find(result.host, result.host_count, "cpus_allowed"), NULL, 10) > 0);
    result_destroy(&result);
}

static void no_fact_names_the_machine(void **state)
{
    (void)state;
    char host_name[256] = "";
    struct result result;
    assert_int_equal(gethostname(host_name, sizeof(host_name) - 1), 0);
    assert_int_equal(result_init(&result, "finwait-test"), 0);
    assert_int_equal(result_gather_host(&result, ""), 0);
    for (uint32_t i = 0; i < result.host_count && host_name[0] != '\0'; i++) {
        const char *value = result.host[i].value;
        assert_true(value == NULL || strcmp(value, host_name) != 0);
    }
    result_destroy(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_read_tidied_and_unknown_where_missing),
        cmocka_unit_test(this_machine_tells_its_kernel_and_its_descriptors),
        cmocka_unit_test(no_fact_names_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
