#!/usr/bin/python3
"""finwait-stat keeps to its CPU budget at 1 k, 100 k and 500 k sockets, kernel time included.

Parts: a number of sockets (100000), or that and a budget in percent (500000/5).
"""
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
# Size, budget in percent, seconds, options: long enough for several censuses, and a walk over owners where
# there are any: it finds who holds each of twice as many descriptors, too.
CASES = [(1_000, 1.0, 35, []), (100_000, 1.0, 80, []), (100_000, 1.0, 45, ["--by", "none"]),
         (500_000, 1.0, 100, ["--by", "none"]), (500_000, 5.0, 90, [])]


def cpu_sec(pid):
    """CPU time of a process so far, user and system, all threads: nanoseconds of the scheduler's."""
    return sum(int(Path(task, "schedstat").read_text(encoding="ascii").split()[0])
               for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def watch(size, percent, seconds, options):
    """Runs finwait-stat for some seconds; returns its CPU time, as the kernel and as wait4 have it."""
    path = Path(f"/tmp/finwait-budget-{os.getpid()}.json")
    process = subprocess.Popen(
        [BIN / "finwait-stat", "--budget", f"{percent:g}%", "--json", path, *options],
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
    counted = len(starts) + document["censuses_thinned"]
    cost = document["census_cpu_ns"] / 1e6 / max(1, counted)
    walk = document.get("owners", {}).get("cpu_ns", 0) / 1e6
    checks.that(run["spent"] <= budget * (1 + TOLERANCE),
                f"{run['size']} sockets, {percent:g}% of a core, {document['census_method']}, by "
                f"{document.get('by', 'none')}: {1e3 * run['spent']:.0f} ms of CPU in "
                f"{run['elapsed']:.0f} s, {100 * run['spent'] / budget:.0f}% of the budget; {counted} "
                f"censuses of {cost:.1f} ms, those of ticks {min(gaps, default=0):.1f} to "
                f"{max(gaps, default=0):.1f} s apart; walks over owners {document['walk_cpu_ns'] / 1e6:.0f} "
                f"ms, the last {walk:.0f}; {1e3 * run['at_end']:.0f} ms when it had ended")
    # It is used, but for what is saved for the next census and walk.
    saved = (cost + walk) / 1e3
    checks.that(run["spent"] >= budget * (1 - TOLERANCE) - saved, "and the budget is used")


def main(sizes):
    checks = Checks()
    try:
        for size, percent, seconds, options in CASES:
            if sizes and not {str(size), f"{size}/{percent:g}"} & set(sizes):
                continue
            with census_crowd.Crowd(BIN, size, "established") as crowd:
                crowd.settle()
                show(checks, percent, watch(size, percent, seconds, options))
    except census_crowd.CannotRun as reason:
        print(f"   {reason}")
        return SKIPPED
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
