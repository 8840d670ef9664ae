"""Shows that the totals count what ctest and pytest write, and that nothing hides a failure."""
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "totals.py"

PYTEST = """<testsuites><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
<testcase classname="a" name="one"/><testcase classname="a" name="two"><failure message="x">y</failure>
</testcase><testcase classname="a" name="three"><error message="x"/></testcase>
<testcase classname="a" name="four"><skipped message="no"/></testcase></testsuite></testsuites>"""
CTEST = """<testsuite name="Linux-c++" tests="3" failures="1" disabled="0" skipped="1">
<testcase name="base/hist" classname="base/hist" status="run"/>
<testcase name="base/slab" classname="base/slab" status="fail"><failure message=""/></testcase>
<testcase name="base/wheel" classname="base/wheel" status="notrun"><skipped message="77"/></testcase>
</testsuite>"""
GREEN = '<testsuite><testcase classname="a" name="one"/></testsuite>'


class Totals(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, text):
        path = Path(self.folder.name) / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def totals(self, *arguments):
        done = subprocess.run(["/usr/bin/python3", str(SCRIPT), *arguments], capture_output=True,
                              text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1]

    def test_files_of_ctest_and_pytest_add_up(self):
        files = [self.write("pytest.xml", PYTEST), self.write("ctest.xml", CTEST)]
        self.assertEqual(self.totals(*files), (1, "finwait: 2 passed, 3 failed, 2 skipped"))

    def test_all_green_is_exit_code_0(self):
        self.assertEqual(self.totals(self.write("a.xml", GREEN)),
                         (0, "finwait: 1 passed, 0 failed, 0 skipped"))

    def test_a_missing_or_broken_file_is_a_failure(self):
        files = [self.write("a.xml", GREEN), self.write("b.xml", "<testsuite>"), "/nonexistent.xml"]
        self.assertEqual(self.totals(*files), (1, "finwait: 1 passed, 2 failed, 0 skipped"))

    def test_failed_steps_and_skips_without_a_file_count(self):
        self.assertEqual(self.totals("--failed", "1", "--skipped", "7", self.write("a.xml", GREEN)),
                         (1, "finwait: 1 passed, 1 failed, 7 skipped"))

    def test_nothing_at_all_is_no_success(self):
        self.assertEqual(self.totals(), (1, "finwait: 0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
