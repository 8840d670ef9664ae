#!/usr/bin/python3
"""24 hours of virtual time with 5% loss, churning: no leak, no connection stuck, on several seeds."""
import os
import re
import subprocess
import sys

from longrun import BIN, Checks

SEEDS = 8


def main():
    checks = Checks()
    command = [BIN / "finwait-sim", "--seeds", f"1-{SEEDS}", "--conns", "100000", "--hours", "24",
               "--loss", "5", "--jobs", str(os.cpu_count()), "--out", "sim-failures"]
    print("   " + " ".join(map(str, command)), flush=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False,
                            stdin=subprocess.DEVNULL)
    print(result.stdout[-6000:], flush=True)
    totals = {key: int(value) for key, value in re.findall(r" (\w+)=(\d+)", result.stdout)}
    hours = totals.get("virtual_s", 0) / 3600
    checks.that(result.returncode == 0, f"exit code {result.returncode}")
    checks.that(hours >= 24 * SEEDS, f"{hours:.0f} hours of virtual time over {SEEDS} seeds")
    checks.that(totals.get("connections", 0) > 0, f"{totals.get('connections')} connections")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
