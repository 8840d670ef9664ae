#!/usr/bin/python3
"""finwait-stat keeps to its CPU budget at 1 k, 100 k and 500 k sockets, kernel time included."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from longrun import BIN, Checks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import census_crowd  # noqa: E402 the line above must come first

SKIPPED = 77
TOLERANCE = 0.2
# Size, budget in percent, seconds: long enough for several censuses.
CASES = [(1_000, 1.0, 35), (100_000, 1.0, 45), (500_000, 1.0, 100), (500_000, 5.0, 35)]


def cpu_sec(pid):
    """CPU time of a process so far, user and system, all threads: nanoseconds of the scheduler's."""
    return sum(int(Path(task, "schedstat").read_text(encoding="ascii").split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def watch(size, percent, seconds):
    """Runs finwait-stat for some seconds; returns its CPU time, as the kernel and as wait4 have it."""
    path = Path(f"/tmp/finwait-budget-{os.getpid()}.json")
    process = subprocess.Popen(
        [BIN / "finwait-stat", "--budget", f"{percent:g}%", "--json", path],
        stdout=subprocess.DEVNULL, start_new_session=True)
    begun = time.monotonic()
    time.sleep(seconds)
    spent, elapsed = cpu_sec(process.pid), time.monotonic() - begun
    process.send_signal(signal.SIGINT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    document = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    return {"size": size, "spent": spent, "elapsed": elapsed, "document": document,
            "at_end": usage.ru_utime + usage.ru_stime}


def show(checks, percent, run):
    budget = run["elapsed"] * percent / 100
    document = run["document"]
    starts = [census["elapsed_sec"] for census in document["censuses"]]
    gaps = [after - before for before, after in zip(starts, starts[1:])]
    cost = sum(census["cpu_ns"] for census in document["censuses"]) / 1e6 / max(1, len(starts))
    checks.that(run["spent"] <= budget * (1 + TOLERANCE),
                f"{run['size']} sockets, {percent:g}% of a core, {document['census_method']}: "
                f"{1e3 * run['spent']:.0f} ms of CPU in {run['elapsed']:.0f} s, "
                f"{100 * run['spent'] / budget:.0f}% of the budget; {len(starts)} censuses of {cost:.1f} ms, "
                f"every {min(gaps, default=0):.1f} to {max(gaps, default=0):.1f} s; "
                f"{1e3 * run['at_end']:.0f} ms when it had ended")
    # Where a census each second is more than the budget allows, it is used.
    if cost / 1e3 > 2 * percent / 100:
        checks.that(run["spent"] >= budget * (1 - TOLERANCE) - cost / 1e3, "and the budget is used")


def main():
    checks = Checks()
    try:
        for size, percent, seconds in CASES:
            with census_crowd.Crowd(BIN, size, "established") as crowd:
                crowd.settle()
                show(checks, percent, watch(size, percent, seconds))
    except census_crowd.CannotRun as reason:
        print(f"   {reason}")
        return SKIPPED
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
