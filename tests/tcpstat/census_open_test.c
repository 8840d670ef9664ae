/* Which method a census gets when the system forbids some, and what is said about it. Each case
 * runs in a child, which takes rights from itself. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tcpstat/census.h"
#include "tcpstat/namespace.h"

#define CHILD_OK 0
#define CHILD_WRONG 1
#define CHILD_CANNOT 2 /* this system does not let the child take the right away */

static int wrong(const char *what, const char *text)
{
    fprintf(stderr, "wrong: %s: %s\n", what, text);
    return CHILD_WRONG;
}

/* Runs a case in a child of its own and gives its verdict to cmocka. */
static void run_in_child(int (*run)(void))
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(run());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CHILD_CANNOT) {
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), CHILD_OK);
}

/* Opens by "auto" and compares the method, and that what was passed over is named with a word of
 * the reason. */
static int expect_auto(const char *method, const char *reason)
{
    struct census *census;
    struct census_passed_over passed_over;
    struct failure failure;
    if (census_open(&census, CENSUS_AUTO, &passed_over, &failure) < 0) {
        return wrong("auto does not open", failure.text);
    }
    struct census_result result = {0};
    const struct census_request request = {0};
    const int error = census_run(census, &request, &result);
    const bool is_it = strcmp(census_method(census), method) == 0;
    census_result_free(&result);
    census_close(census);
    if (!is_it) {
        return wrong("another method was taken", passed_over.text);
    }
    if (error < 0) {
        return wrong("it does not count", strerror(-error));
    }
    return strstr(passed_over.text, reason) == NULL ? wrong("not the reason", passed_over.text)
                                                    : CHILD_OK;
}

/* A build without BPF says that instead of what the system lacks. */
static bool is_built_with_bpf(void)
{
    struct census *census;
    struct failure failure;
    const int error = census_open_bpf(&census, &failure);
    if (error == 0) {
        census_close(census);
    }
    return error != -ENOSYS;
}

static int without_rights(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        return CHILD_CANNOT;
    }
    return expect_auto("sock_diag", is_built_with_bpf()
                                        ? "bpf: BPF needs CAP_BPF and CAP_PERFMON"
                                        : "bpf: this finwait was built without BPF");
}

static void test_without_rights_sock_diag_is_taken_and_the_rights_are_named(void **state)
{
    (void)state;
    run_in_child(without_rights);
}

static int without_btf(void)
{
    if (!is_built_with_bpf() || unshare(CLONE_NEWNS) < 0 ||
        mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/sys/kernel/btf", "tmpfs", 0, NULL) < 0) {
        return CHILD_CANNOT;
    }
    return expect_auto("sock_diag", "bpf: the kernel has no BTF (/sys/kernel/btf/vmlinux)");
}

static void test_without_btf_sock_diag_is_taken_and_btf_is_named(void **state)
{
    (void)state;
    run_in_child(without_btf);
}

/* Lets no netlink socket be made, as some containers do. */
static int forbid_netlink(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_NETLINK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof(filter) / sizeof(filter[0]), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        return -errno;
    }
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int without_netlink(void)
{
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 || forbid_netlink() < 0) {
        return CHILD_CANNOT;
    }
    return expect_auto("procfs", "sock_diag: the kernel gives no TCP sockets by sock_diag");
}

static void test_without_netlink_procfs_is_taken_and_sock_diag_is_named(void **state)
{
    (void)state;
    run_in_child(without_netlink);
}

static int forbidden_method(void)
{
    struct census *census;
    struct failure failure;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0 || forbid_netlink() < 0) {
        return CHILD_CANNOT;
    }
    if (census_open(&census, CENSUS_SOCK_DIAG, NULL, &failure) != -EACCES) {
        return wrong("not refused", failure.text);
    }
    return strncmp(failure.text, "sock_diag: ", 11) == 0 ? CHILD_OK
                                                         : wrong("not named", failure.text);
}

static void test_a_method_that_was_asked_for_is_not_replaced(void **state)
{
    (void)state;
    run_in_child(forbidden_method);
}

static void test_every_method_opens_by_its_name(void **state)
{
    (void)state;
    static const enum census_method methods[] = {CENSUS_PROCFS, CENSUS_SOCK_DIAG, CENSUS_BPF};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct census *census;
        struct failure failure;
        const int error = census_open(&census, methods[i], NULL, &failure);
        if (error < 0) {
            assert_int_equal(methods[i], CENSUS_BPF);
            assert_int_equal(strncmp(failure.text, "bpf: ", 5), 0);
            continue;
        }
        assert_string_equal(census_method(census), census_method_choices[methods[i]]);
        census_close(census);
    }
}

int main(void)
{
    if (!namespace_enter_or_tell()) {
        return EXIT_SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rights_sock_diag_is_taken_and_the_rights_are_named),
        cmocka_unit_test(test_without_btf_sock_diag_is_taken_and_btf_is_named),
        cmocka_unit_test(test_without_netlink_procfs_is_taken_and_sock_diag_is_named),
        cmocka_unit_test(test_a_method_that_was_asked_for_is_not_replaced),
        cmocka_unit_test(test_every_method_opens_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
