#!/usr/bin/python3
"""What watching costs the watched: p99 of churn with finwait-stat at its default budget, and without.

A pair is one run of churn watched and one not, in an order by chance; a run is long enough for several
censuses, and begins when finwait-stat has paid for its start, so that it counts as it will go on to.
The verdict is the interval's: "met" when all of it keeps to the bound, "open" when the bound lies within
it (the machine's noise hides which), "missed" when all of it is beyond, which is a failure.

Parts: pairs=N, seconds=N a run, budget=PERCENT (to see that a larger effect is found), and keep=FILE, to
which pairs are added and from which all are judged: so it can be made piece by piece, a pair in 90 s.
"""
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from longrun import BIN, Checks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import census_crowd  # noqa: E402 the line above must come first
from compare_stats import block_order, bootstrap, seeded  # noqa: E402

SKIPPED = 77
CROWD = 100_000  # beside the churn, so that there is something to count
RATE = 5000
SECONDS = 24  # some five censuses, and half of it with a walk over owners
PAIRS = 9
PAIRS_MIN = 7  # to be judged by
PHASES = ("connect", "echo")
P99_RATIO_MAX = 1.2
SETTLE_SEC = 120
UNITS = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def churn(folder, seconds):
    """One run of churn by resets, which leave nothing behind; its p99 in us by phase."""
    path = Path(folder, "loadgen.json")
    subprocess.run([BIN / "finwait-loadgen", "--target", "127.0.0.1:1999", "--cpus", "0", "--rate",
                    f"{RATE}/s", "--duration", f"{seconds}s", "--close", "rst", "--quiet", "--json", path],
                   check=False, stdin=subprocess.DEVNULL, timeout=seconds + 60)
    latency = json.loads(path.read_text(encoding="utf-8"))["latency"]
    return {phase: latency[phase]["from_scheduled"]["p99"] / 1e3 for phase in PHASES}


class Watcher:
    """finwait-stat, for as long as the context lasts; `censuses` counts those that its lines showed."""

    def __init__(self, budget):
        command = [BIN / "finwait-stat", "--view", "lines"] + (["--budget", budget] if budget else [])
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.changed = threading.Condition()
        self.censuses = 0
        self.thread = threading.Thread(target=self.read)

    def __enter__(self):
        self.thread.start()
        return self

    def read(self):
        last = None
        for line in self.process.stdout:
            age = re.search(r"\| +([0-9.]+) (s|ms|us|ns) +[^|]*$", line)
            if age:
                seconds = float(age[1]) * UNITS[age[2]]
                with self.changed:
                    self.censuses += last is None or seconds < last
                    self.changed.notify()
                last = seconds

    def settle(self):
        """Waits for the second census: the first is an advance, which the programs' start adds to."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.censuses >= 2, SETTLE_SEC):
                raise census_crowd.CannotRun(f"finwait-stat took no second census in {SETTLE_SEC} s")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()


def watched(folder, options):
    with Watcher(options["budget"]) as watcher:
        watcher.settle()
        before = watcher.censuses
        return churn(folder, options["seconds"]) | {"censuses": watcher.censuses - before}


def measure(folder, options, seed):
    """[{"A": watched, "B": not watched}], each p99 by phase."""
    runs = {"A": lambda: watched(folder, options), "B": lambda: churn(folder, options["seconds"])}
    return [{which: runs[which]() for which in order}
            for order in block_order(options["pairs"], seeded(seed, "observer"))]


def show(checks, pairs):
    censuses = [pair["A"]["censuses"] for pair in pairs]
    checks.that(sum(censuses) > 0, f"{len(pairs)} pairs at {RATE}/s beside {CROWD} sockets; {min(censuses)} "
                f"to {max(censuses)} censuses in a watched run")
    for phase in PHASES:
        interval = bootstrap([pair["A"][phase] / pair["B"][phase] for pair in pairs],
                             seeded(1, phase))
        medians = [sorted(pair[which][phase] for pair in pairs)[len(pairs) // 2] for which in "AB"]
        is_missed = interval.low > P99_RATIO_MAX
        verdict = "missed" if is_missed else "met" if interval.high <= P99_RATIO_MAX else "open"
        checks.that(not is_missed,
                    f"{phase} p99 {medians[0]:.0f} us watched, {medians[1]:.0f} us not: ratio "
                    f"{interval.median:.2f} ({interval.low:.2f} to {interval.high:.2f}), at most "
                    f"{P99_RATIO_MAX}: {verdict}")


def run(options):
    """Measures, beside a crowd and a server; returns all pairs, those of earlier pieces too."""
    keep = options["keep"]
    pairs = json.loads(keep.read_text(encoding="utf-8")) if keep and keep.exists() else []
    with census_crowd.Crowd(BIN, CROWD, "established") as crowd, \
            tempfile.TemporaryDirectory() as folder:
        crowd.settle()
        server = subprocess.Popen([BIN / "finwait-server", "--listen", "127.0.0.1:1999", "--cpus", "1",
                                   "--quiet"], stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            pairs += measure(folder, options, 1 + len(pairs))
        finally:
            server.terminate()
            server.wait()
    if keep:
        keep.write_text(json.dumps(pairs), encoding="utf-8")
    return pairs


def parse(parts):
    kinds = {"pairs": int, "seconds": int, "budget": str, "keep": Path}
    options = {"pairs": PAIRS, "seconds": SECONDS, "budget": "", "keep": None}
    for part in parts:
        name, _, value = part.partition("=")
        if name not in kinds or not value or (kinds[name] is int and not 1 <= int("0" + value) <= 1000):
            raise ValueError(part)
        options[name] = kinds[name](value)
    return options


def main(parts):
    try:
        options = parse(parts)
    except ValueError:
        print(f"   {','.join(parts)}: use pairs=N, seconds=N, budget=PERCENT, keep=FILE")
        return 2
    try:
        pairs = run(options)
    except census_crowd.CannotRun as reason:
        print(f"   {reason}")
        return SKIPPED
    if len(pairs) < PAIRS_MIN:
        print(f"   {len(pairs)} pairs, too few to judge: {PAIRS_MIN} are needed")
        return SKIPPED
    checks = Checks()
    show(checks, pairs)
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
