"""finwait's TCP in simulation: a million connections without one rule broken, and everything exercised."""
import os
import re
import subprocess

from conftest import release_program


def run_sim(tmp_path, *arguments, timeout):
    command = [release_program("finwait-sim"), "--jobs", str(os.cpu_count()),
               "--out", str(tmp_path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                          stdin=subprocess.DEVNULL)


def totals_of(result):
    return {key: int(value) for key, value in re.findall(r" (\w+)=(\d+)", result.stdout.split("\n")[0])}


def test_a_million_connections_keep_every_rule_and_see_every_state(tmp_path):
    result = run_sim(tmp_path, "--seeds", "1-1200", "--conns", "1000", "--coverage", timeout=180)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    totals = totals_of(result)
    assert totals["runs"] == 1200
    # Some are wanted and never opened: ports run out, or the run ends.
    assert totals["connections"] - totals["not_opened"] >= 1000000


def test_hours_of_churn_with_loss_leave_nothing_behind(tmp_path):
    result = run_sim(tmp_path, "--seeds", "1-4", "--conns", "2000", "--hours", "2", "--loss", "5",
                     timeout=120)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
    assert totals_of(result)["virtual_s"] >= 4 * 2 * 3600
