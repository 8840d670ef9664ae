#!/usr/bin/python3
"""What watching costs the watched: p99 of churn with finwait-stat at its default budget, and without."""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from longrun import BIN, Checks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import census_crowd  # noqa: E402 the line above must come first
from compare_stats import block_order, bootstrap, seeded  # noqa: E402

SKIPPED = 77
CROWD = 100_000  # beside the churn, so that there is something to count
RATE = 5000
SECONDS = 6
PAIRS = 9
PHASES = ("connect", "echo")
# What is shown; the medians themselves are what the run is for.
P99_RATIO_MAX = 1.2


def churn(folder):
    """One run of churn by resets, which leave nothing behind; its p99 in us by phase."""
    path = Path(folder, "loadgen.json")
    subprocess.run([BIN / "finwait-loadgen", "--target", "127.0.0.1:1999", "--cpus", "0", "--rate",
                    f"{RATE}/s", "--duration", f"{SECONDS}s", "--close", "rst", "--quiet", "--json", path],
                   check=False, stdin=subprocess.DEVNULL, timeout=SECONDS + 60)
    latency = json.loads(path.read_text(encoding="utf-8"))["latency"]
    return {phase: latency[phase]["from_scheduled"]["p99"] / 1e3 for phase in PHASES}


def watched(folder):
    """Churn that is watched, from the third second on: its start, 0.1 s of CPU to load BPF programs and the
    first count in advance, is no watching and would be most of what 6 s show."""
    process = subprocess.Popen([BIN / "finwait-stat", "--view", "lines"], stdout=subprocess.PIPE)
    try:
        for _ in range(3):  # the head, and two seconds
            process.stdout.readline()
        return churn(folder)
    finally:
        process.terminate()
        process.wait()


def measure(folder):
    """The ratios watched / not watched by phase, and all p99."""
    runs = {"A": watched, "B": churn}
    seen = {"A": [], "B": []}
    churn(folder)  # not counted
    for order in block_order(PAIRS, seeded(1, "observer")):
        for which in order:
            seen[which].append(runs[which](folder))
    return seen


def show(checks, seen):
    for phase in PHASES:
        pairs = [(a[phase], b[phase]) for a, b in zip(seen["A"], seen["B"])]
        interval = bootstrap([a / b for a, b in pairs], seeded(1, phase))
        medians = [sorted(values)[len(values) // 2] for values in zip(*pairs)]
        checks.that(interval.median <= P99_RATIO_MAX,
                    f"{phase} p99 {medians[0]:.0f} us watched, {medians[1]:.0f} us not: ratio "
                    f"{interval.median:.2f} ({interval.low:.2f} to {interval.high:.2f}) over {PAIRS} pairs "
                    f"of {SECONDS} s at {RATE}/s beside {CROWD} sockets")


def main():
    checks = Checks()
    try:
        with census_crowd.Crowd(BIN, CROWD, "established") as crowd, \
                tempfile.TemporaryDirectory() as folder:
            crowd.settle()
            server = subprocess.Popen([BIN / "finwait-server", "--listen", "127.0.0.1:1999", "--cpus", "1",
                                       "--quiet"], stdout=subprocess.DEVNULL)
            try:
                time.sleep(0.5)
                show(checks, measure(folder))
            finally:
                server.terminate()
                server.wait()
    except census_crowd.CannotRun as reason:
        print(f"   {reason}")
        return SKIPPED
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
