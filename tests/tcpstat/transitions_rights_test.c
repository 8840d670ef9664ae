/* Transitions where they cannot be had: one line says what is missing, and nothing else breaks. */
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tcpstat/namespace.h"
#include "tcpstat/owners.h"
#include "tcpstat/transitions.h"

#define CANNOT_TEST 77

/* Runs a check in a process of its own, since rights do not come back. */
static void run_apart(int (*check)(void))
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(check());
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT_TEST) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Expects a refusal with an error and a word of its text. */
static int expect_refusal(int error, const char *word)
{
    struct failure failure = {0};
    struct transitions *transitions;
    const int result = transitions_open(&transitions, &(struct transitions_config){0}, &failure);
    if (result != -error || transitions != NULL || strstr(failure.text, word) == NULL ||
        strchr(failure.text, '\n') != NULL) {
        fprintf(stderr, "%d instead of %d: \"%s\"\n", result, -error, failure.text);
        return 1;
    }
    return 0;
}

static int drop_all_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[2] = {{0}, {0}};
    return (int)syscall(SYS_capset, &header, none);
}

static int check_without_capabilities(void)
{
    if (drop_all_capabilities() < 0) {
        return CANNOT_TEST;
    }
    if (expect_refusal(EPERM, "CAP_BPF") != 0) {
        return 1;
    }
    /* What needs no rights goes on. */
    struct failure failure;
    struct owners *owners;
    struct owners_result result = {0};
    const struct owners_request request = {.key = OWNERS_BY_PID};
    if (owners_open(&owners, NULL, &failure) < 0 || owners_run(owners, &request, &result) < 0) {
        return 1;
    }
    const int verdict = owners_missing(owners) == NULL;
    owners_result_free(&result);
    owners_close(owners);
    return verdict;
}

static int check_in_a_user_namespace(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        return CANNOT_TEST;
    }
    return expect_refusal(EPERM, "user namespaces");
}

static int check_without_btf(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL) < 0) {
        return CANNOT_TEST;
    }
    return expect_refusal(ENOTSUP, "BTF");
}

static int check_of_a_build_without(void)
{
    return expect_refusal(ENOTSUP, "this build has no BPF");
}

static void test_without_capabilities_the_line_names_them(void **state)
{
    (void)state;
    run_apart(transitions_built_in() ? check_without_capabilities : check_of_a_build_without);
}

static void test_in_a_user_namespace_the_line_says_so(void **state)
{
    (void)state;
    run_apart(transitions_built_in() ? check_in_a_user_namespace : check_of_a_build_without);
}

static void test_without_btf_the_line_names_it(void **state)
{
    (void)state;
    run_apart(transitions_built_in() ? check_without_btf : check_of_a_build_without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_capabilities_the_line_names_them),
        cmocka_unit_test(test_in_a_user_namespace_the_line_says_so),
        cmocka_unit_test(test_without_btf_the_line_names_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
