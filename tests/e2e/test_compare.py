"""bench/compare as its user runs it: a small comparison, a program that is not there, an interruption."""
import json
import os
import signal
import subprocess
import time

from conftest import ROOT, program
from harness import processes_with, wait_until

COMPARE = str(ROOT / "bench" / "compare")


def bin_dir():
    return os.path.dirname(program("finwait-floor"))


def compare(*arguments):
    return subprocess.run([COMPARE, *arguments], capture_output=True, text=True, timeout=120, check=False)


def test_a_comparison_of_floors_prints_a_ratio_and_writes_all_trials(tmp_path):
    path = tmp_path / "out.json"
    done = compare("self", "--only", "^apart rst$", "--pairs", "2", "--seconds", "1.5", "--bin-dir",
                   bin_dir(), "--json", str(path))
    assert done.returncode == 1, done.stderr  # two pairs are too few for a verdict
    assert "too few pairs" in done.stdout
    cell = json.loads(path.read_text())["comparisons"][0]["cells"][0]
    assert len(cell["ratios"]) == 2 and cell["low"] <= cell["ratio"] <= cell["high"]
    for side in ("a", "b"):
        for trial in cell[side]["trials"]:
            assert trial["failed"] == 0 and trial["completed"] > 0 and trial["kernel_rate"] > 0
            # Its namespace was its own: nobody else's connections are in the counters.
            assert trial["completed"] <= trial["counters"]["ActiveOpens"] <= trial["completed"] + 32


def test_a_missing_program_is_named(tmp_path):
    done = compare("self", "--bin-dir", str(tmp_path))
    assert done.returncode == 3
    assert "finwait-floor is neither in" in done.stderr


def test_bad_usage_is_one_line_and_exit_2():
    for arguments in (["nothing"], [], ["self", "--pairs", "0"], ["self", "--seconds", "0"],
                      ["self", "--only", "nowhere"], ["self", "--only", "("]):
        done = compare(*arguments)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, (arguments, done.stderr)


def test_an_interruption_leaves_no_process_behind():
    mark = f"compare-{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen([COMPARE, "self", "--seconds", "300", "--bin-dir", bin_dir()],
                               env=dict(os.environ, FINWAIT_TEST_MARK=mark),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # bench/compare itself and three processes of the floor at least.
        wait_until(lambda: len(processes_with(mark)) >= 4, "a trial to run")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not processes_with(mark), "all processes to be gone")
