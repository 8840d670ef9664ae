"""tests/mutate itself: what it says of a fault that is caught, hangs, survives, does not apply or compile."""
import subprocess
import sys
from pathlib import Path

import pytest

MUTATE = Path(__file__).resolve().parent / "mutate"

CMAKE = """cmake_minimum_required(VERSION 3.25)
project(sample LANGUAGES C)
enable_testing()
add_executable(test-sample test.c)
add_test(NAME tcp/sample COMMAND test-sample)
"""

PROGRAM = """int main(void)
{
    int left = 3;
    int rounds = 0;
    (void)rounds;
    (void)rounds;
    while (left > 0) {
        left -= 1;
        rounds += 1;
    }
    return rounds == 3 ? 0 : 1;
}
"""

FAULTS = """Some words that are no fault.

@@ seen test.c
# Off by one.
-    int left = 3;
+    int left = 4;

@@ endless test.c
# Nothing counts down.
-        left -= 1;

@@ harmless test.c
# No test can see this.
-    int rounds = 0;
+    int rounds = 1 - 1;

@@ elsewhere test.c
# The text is not there.
-    int right = 3;
+    int right = 4;

@@ ambiguous test.c
# The text is there twice.
-    (void)rounds;

@@ broken test.c
# This is no C.
-    int left = 3;
+    int left = ;
"""


@pytest.fixture
def mutate(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "CMakeLists.txt").write_text(CMAKE, encoding="utf-8")
    (tree / "test.c").write_text(PROGRAM, encoding="utf-8")
    (tree / ".gitignore").write_text("/build-*/\n", encoding="utf-8")
    (tmp_path / "faults.txt").write_text(FAULTS, encoding="utf-8")
    subprocess.run(["git", "init", "-q", tree], check=True)

    def run(*arguments):
        return subprocess.run([sys.executable, MUTATE, "--tree", tree, "--table", tmp_path / "faults.txt",
                               *arguments], capture_output=True, text=True, timeout=100, check=False)
    run.tree, run.folder = tree, tmp_path
    return run


def test_a_fault_that_fails_a_test_is_caught_by_its_name(mutate):
    done = mutate("--only", "seen")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught   seen                             tcp/sample" in done.stdout
    assert "1 faults, 1 caught, 0 survived, 0 in error" in done.stdout


def test_a_fault_that_hangs_is_caught_and_said_to_hang(mutate):
    done = mutate("--only", "endless")
    assert done.returncode == 0
    assert "tcp/sample hung: stopped after" in done.stdout


def test_a_fault_that_survives_fails_the_run(mutate):
    done = mutate("--only", "harmless", "--only", "seen", "--jobs", "2")
    assert done.returncode == 1
    assert "SURVIVED harmless" in done.stdout
    assert "2 faults, 1 caught, 1 survived" in done.stdout


@pytest.mark.parametrize("name, why", [("elsewhere", "not in test.c exactly once"),
                                       ("ambiguous", "not in test.c exactly once"),
                                       ("broken", "ninja failed")])
def test_a_fault_that_cannot_be_tried_is_an_error_and_no_catch(mutate, name, why):
    done = mutate("--only", name)
    assert done.returncode == 2
    assert f"ERROR    {name}" in done.stdout
    assert why in done.stdout


def test_a_tree_that_fails_without_a_fault_is_refused(mutate):
    (mutate.tree / "test.c").write_text(PROGRAM.replace("== 3", "== 4"), encoding="utf-8")
    done = mutate("--only", "seen")
    assert done.returncode == 2
    assert "tcp/sample fails without any fault" in done.stderr


def test_faults_leave_the_tree_alone_and_the_table_names_all(mutate):
    table = mutate.folder / "table.md"
    mutate("--only", "seen", "--only", "harmless", "--write", table)
    assert (mutate.tree / "test.c").read_text(encoding="utf-8") == PROGRAM
    text = table.read_text(encoding="utf-8")
    assert "| seen | test.c | Off by one. | tcp/sample |" in text
    assert "| harmless | test.c | No test can see this. | **SURVIVED** |" in text


def test_an_unknown_name_is_refused(mutate):
    done = mutate("--only", "nothing")
    assert done.returncode == 2
    assert "no fault named \"nothing\"; see --list" in done.stderr


def test_every_fault_of_the_stack_applies():
    """Whoever changes a line that a fault stands in brings the fault along."""
    listed = subprocess.run([sys.executable, MUTATE, "--check"], capture_output=True, text=True,
                            timeout=100, check=False)
    assert listed.returncode == 0, listed.stdout
