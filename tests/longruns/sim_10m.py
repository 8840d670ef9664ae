#!/usr/bin/python3
"""10 million simulated connections across 30,000 seeds (or a part, as 1-10000): no rule broken, every state and fault seen."""
import os
import re
import subprocess
import sys

from longrun import BIN, Checks

CONNS = 1000
SEEDS = "1-30000"


def read_range(text):
    """First and last seed of a part such as 10001-20000."""
    found = re.fullmatch(r"(\d+)-(\d+)", text)
    if not found or int(found[1]) > int(found[2]):
        print(f"sim_10m: \"{text}\" is no range of seeds; use {SEEDS} or a part of it", file=sys.stderr)
        sys.exit(2)
    return int(found[1]), int(found[2])


def run(checks, first, last):
    """Runs the seeds of a part; returns how many connections were opened."""
    command = [BIN / "finwait-sim", "--seeds", f"{first}-{last}", "--conns", str(CONNS), "--coverage",
               "--jobs", str(os.cpu_count()), "--out", "sim-failures"]
    print("   " + " ".join(map(str, command)), flush=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    print(result.stdout[-6000:] + result.stderr[-2000:], flush=True)
    totals = {key: int(value) for key, value in re.findall(r" (\w+)=(\d+)", result.stdout)}
    runs, started = totals.get("runs", 0), totals.get("connections", 0)
    opened = started - totals.get("not_opened", 0)
    checks.that(result.returncode == 0, f"exit code {result.returncode}")
    checks.that(runs == last - first + 1, f"{runs} seeds, {first} to {last}")
    print(f"         {started} connections wanted, {opened} opened, {totals.get('completed')} ended well",
          flush=True)
    return opened


def main():
    checks = Checks()
    parts = [read_range(text) for text in sys.argv[1:] or [SEEDS]]
    opened = sum(run(checks, first, last) for first, last in parts)
    if not sys.argv[1:]:
        checks.that(opened >= 10000000, f"{opened} connections opened, of 10 million to be shown")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
