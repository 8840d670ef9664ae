#!/usr/bin/python3
"""10 million simulated connections across 10,000 seeds: no rule broken, every state and fault seen."""
import os
import re
import subprocess
import sys

from longrun import BIN, Checks


def main():
    checks = Checks()
    command = [BIN / "finwait-sim", "--seeds", "1-11000", "--conns", "1000", "--coverage",
               "--jobs", str(os.cpu_count()), "--out", "sim-failures"]
    print("   " + " ".join(map(str, command)), flush=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    print(result.stdout[-6000:], flush=True)
    totals = {key: int(value) for key, value in re.findall(r" (\w+)=(\d+)", result.stdout)}
    checks.that(result.returncode == 0, f"exit code {result.returncode}")
    checks.that(totals.get("runs", 0) >= 10000, f"{totals.get('runs')} seeds, from 1 on")
    checks.that(totals.get("connections", 0) >= 10000000, f"{totals.get('connections')} connections")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
