"""Shows each rule of tidy.py on a sample that breaks it and on one that keeps it."""
import unittest

import tidy

FILES = {
    "common/base/hist.h", "common/report/report.h", "common/tcpstat/tcpstat.h",
    "common/uring/uring.h", "common/transport/transport.h", "server/echo.h", "loadgen/plan.h",
    "tests/peer.h",
    "bench/lab/ns.h",
}


def rules_of(path, text):
    return [finding.rule for finding in tidy.check_text(path, text, FILES | {path})]


def header(guard, body=""):
    return f"/* A header. */\n#ifndef {guard}\n#define {guard}\n{body}#endif\n"


class IncludeLayers(unittest.TestCase):
    def assert_includes(self, path, name, allowed):
        expected = [] if allowed else ["include-layer"]
        found = rules_of(path, f'#include "{name}"\n')
        self.assertEqual(found, expected, f"{path} includes {name}")

    def test_a_folder_includes_lower_levels_and_itself(self):
        self.assert_includes("common/report/json.c", "base/hist.h", True)
        self.assert_includes("common/report/json.c", "report/report.h", True)
        self.assert_includes("common/report/json.c", "report.h", True)
        self.assert_includes("server/main.c", "transport/transport.h", True)

    def test_a_folder_never_includes_up_or_sideways(self):
        self.assert_includes("common/base/hist.c", "report/report.h", False)
        self.assert_includes("common/report/json.c", "tcpstat/tcpstat.h", False)
        self.assert_includes("common/uring/ring.c", "transport/transport.h", False)

    def test_programs_never_include_each_other(self):
        self.assert_includes("server/main.c", "loadgen/plan.h", False)
        self.assert_includes("loadgen/main.c", "server/echo.h", False)

    def test_the_lab_includes_base_tcpstat_and_report_only(self):
        self.assert_includes("bench/lab/main.c", "tcpstat/tcpstat.h", True)
        self.assert_includes("bench/lab/main.c", "transport/transport.h", False)
        self.assert_includes("bench/lab/main.c", "server/echo.h", False)

    def test_tests_include_everything_and_nothing_includes_tests(self):
        self.assert_includes("tests/server/echo_test.c", "server/echo.h", True)
        self.assert_includes("server/main.c", "tests/peer.h", False)

    def test_a_quoted_include_names_a_file_of_ours(self):
        self.assert_includes("server/main.c", "liburing.h", False)

    def test_a_skeleton_is_included_beside_its_bpf_program_only(self):
        files = FILES | {"common/tcpstat/bpf/census.bpf.c"}

        def findings(path, name):
            return tidy.check_text(path, f'#include "{name}"\n', files | {path})
        self.assertEqual(findings("common/tcpstat/census.c", "bpf/census.skel.h"), [])
        self.assertEqual(len(findings("common/tcpstat/census.c", "bpf/other.skel.h")), 1)
        self.assertEqual(len(findings("server/main.c", "bpf/census.skel.h")), 1)

    def test_an_angled_include_hides_no_layer(self):
        self.assertEqual(rules_of("common/base/hist.c", "#include <report/report.h>\n"),
                         ["include-layer"])
        self.assertEqual(rules_of("common/base/hist.c", "#include <stdio.h>\n"), [])

    def test_an_include_in_a_comment_does_not_count(self):
        text = "/*\n#include \"server/echo.h\"\n*/\n"
        self.assertEqual(rules_of("common/base/hist.c", text), [])


class Guards(unittest.TestCase):
    def test_a_guard_is_named_after_the_path(self):
        self.assertEqual(rules_of("common/base/new.h", header("FINWAIT_BASE_NEW_H")), [])
        self.assertEqual(rules_of("server/echo.h", header("FINWAIT_SERVER_ECHO_H")), [])
        self.assertEqual(rules_of("server/echo.h", header("ECHO_H")), ["include-guard"])
        self.assertEqual(rules_of("server/echo.h", "int echo(void);\n"), ["include-guard"])


class Lengths(unittest.TestCase):
    def test_a_file_has_at_most_600_lines(self):
        self.assertEqual(rules_of("server/a.c", "\n" * 600), [])
        self.assertEqual(rules_of("server/a.c", "\n" * 601), ["file-length"])

    def test_a_function_has_at_most_70_lines(self):
        def function(lines):
            return "int f(void)\n{\n" + "    g();\n" * (lines - 3) + "}\n"
        self.assertEqual(rules_of("server/a.c", function(70)), [])
        self.assertEqual(rules_of("server/a.c", function(71)), ["function-length"])

    def test_a_function_in_extern_c_or_a_namespace_counts_too(self):
        long_function = "static void f(void)\n{\n" + "    g();\n" * 80 + "}\n"
        self.assertEqual(rules_of("bench/micro/a.cc", f'extern "C" {{\n{long_function}}}\n'),
                         ["function-length"])
        self.assertEqual(rules_of("bench/micro/a.cc", f"namespace {{\n{long_function}}}\n"),
                         ["function-length"])

    def test_a_function_takes_at_most_5_parameters(self):
        five = "int f(int a, int b, int c, int d, int e)\n{\n}\n"
        six = "static int f(int a, int b, int c,\n    int d, int e, int x)\n{\n}\n"
        self.assertEqual(rules_of("server/a.c", five), [])
        self.assertEqual(rules_of("server/a.c", six), ["parameters"])

    def test_a_function_pointer_is_one_parameter(self):
        text = "int f(int a, int (*b)(int, int, int), int c, int d, int e)\n{\n}\n"
        self.assertEqual(rules_of("server/a.c", text), [])

    def test_a_line_has_at_most_100_columns(self):
        self.assertEqual(rules_of("server/a.c", "/* " + "x" * 94 + " */\n"), [])
        self.assertEqual(rules_of("server/a.c", "/* " + "x" * 95 + " */\n"), ["columns"])


class Globals(unittest.TestCase):
    def test_file_scope_data_that_may_change_is_found(self):
        for text in (
                "int count;\n", "static int count = 0;\n", "static struct slab slab;\n",
                "static const char *name = \"a\";\n", "const char *names[] = {\"a\", \"b\"};\n",
                "static int table[4] = {1, 2};\n",
                "static struct point point = {\n    .x = 1,\n};\n",
                "_Thread_local int depth;\n", "static void (*hook)(int);\n", "extern int count;\n",
                "struct point {\n    int x;\n} origin;\n", "static _Atomic uint64_t total;\n"):
            self.assertEqual(rules_of("server/a.c", text), ["mutable-global"], text)

    def test_constants_types_and_functions_are_not_data(self):
        for text in (
                "static const int table[] = {1, 2};\n",
                "static const char *const names[] = {\"a\"};\n",
                "const struct ops *const ops = &epoll_ops;\n", "int f(int a);\n", "struct point;\n",
                "struct point {\n    int x;\n    struct point *next;\n};\n",
                "enum color { RED, GREEN };\n",
                "_Static_assert(sizeof(int) == 4, \"int\");\n",
                "typedef int (*compare_fn)(int, int);\n",
                "static void (*const hooks[])(int) = {a, b};\n", "BENCHMARK(slab_alloc);\n",
                "int f(void) __attribute__((format(printf, 1, 2)));\n",
                "__extension__ typedef unsigned __int128 wide;\n",
                "int f(int (*body)(void *argument), void *argument);\n",
                "static inline int f(void)\n{\n    int x = 1;\n    return x;\n}\n"):
            self.assertEqual(rules_of("server/a.c", text), [], text)

    def test_function_static_data_that_may_change_is_found(self):
        mutable = "int f(void)\n{\n    static int n;\n    return n++;\n}\n"
        constant = "int f(void)\n{\n    static const int n = 1;\n    return n;\n}\n"
        self.assertEqual(rules_of("server/a.c", mutable), ["mutable-global"])
        self.assertEqual(rules_of("server/a.c", constant), [])

    def test_the_stop_flag_of_a_signal_may_change(self):
        flag = "static volatile sig_atomic_t stop_requested;\n"
        self.assertEqual(rules_of("server/a.c", flag), [])


class Calls(unittest.TestCase):
    def test_unsafe_calls_are_banned_everywhere(self):
        for call in ("strcpy(a, b)", "sprintf(a, b)", "atoi(a)", "strtok(a, b)", "alloca(9)",
                     "system(a)"):
            text = f"void f(void)\n{{\n    {call};\n}}\n"
            self.assertEqual(rules_of("tests/base/a_test.c", text), ["banned-call"], call)

    def test_libraries_neither_print_nor_exit(self):
        for call in ("printf(a)", "fprintf(stderr, a)", "fputs(a, stdout)", "perror(a)", "exit(1)",
                     "abort()"):
            text = f"void f(void)\n{{\n    {call};\n}}\n"
            self.assertEqual(rules_of("common/report/a.c", text), ["banned-call"], call)

    def test_libraries_write_to_a_stream_that_they_are_given(self):
        text = "void f(FILE *out)\n{\n    fprintf(out, \"a\");\n    snprintf(a, 1, \"a\");\n}\n"
        self.assertEqual(rules_of("common/report/a.c", text), [])

    def test_a_program_exits_only_where_main_is(self):
        body = "void f(void)\n{\n    exit(1);\n}\n"
        self.assertEqual(rules_of("server/echo.c", body), ["banned-call"])
        self.assertEqual(rules_of("server/main.c", body + "int main(void)\n{\n    f();\n}\n"), [])

    def test_names_in_comments_strings_and_members_are_no_calls(self):
        text = "/* strcpy(a, b) */\nvoid f(void)\n{\n    g(\"atoi(x)\");\n    ops->exit(1);\n}\n"
        self.assertEqual(rules_of("common/report/a.c", text), [])


class Shape(unittest.TestCase):
    def test_a_body_holds_no_conditional_of_the_preprocessor(self):
        inside = "int f(void)\n{\n#ifdef X\n    g();\n#endif\n    return 0;\n}\n"
        outside = "#ifdef X\nint f(void)\n{\n    return 0;\n}\n#endif\n"
        self.assertEqual(rules_of("server/a.c", inside), ["conditional-in-body"])
        self.assertEqual(rules_of("server/a.c", outside), [])

    def test_structs_have_tags_and_names_in_t_are_the_librarys(self):
        self.assertEqual(rules_of("server/a.c", "typedef struct point {\n    int x;\n} point;\n"),
                         ["typedef-struct"])
        self.assertEqual(rules_of("server/a.c", "typedef unsigned count_t;\n"), ["typedef-struct"])
        self.assertEqual(rules_of("server/a.c", "typedef int (*run_fn)(void);\n"), [])


class Places(unittest.TestCase):
    def test_a_finding_names_the_line(self):
        text = "/* one\n * two */\n\nint f(void)\n{\n    return atoi(\"1\");\n}\n"
        findings = tidy.check_text("server/a.c", text, FILES)
        self.assertEqual([finding.line for finding in findings], [6])


if __name__ == "__main__":
    unittest.main()
