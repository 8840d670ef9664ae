#!/usr/bin/python3
"""200,000 stable sockets in six states, IPv4 and IPv6: the three methods agree to the unit, by port too."""
import sys
from pathlib import Path

from longrun import BIN, Checks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import census_crowd  # noqa: E402 the line above must come first

SOCKETS = 200_000
SKIPPED = 77


def describe(expected):
    return ", ".join(f"{state} {count}" for state, count in expected.items() if count)


def run(checks):
    with census_crowd.Crowd(BIN, SOCKETS) as crowd:
        for family, expected in crowd.expected.items():
            print(f"   {family}: {describe(expected)}")
        crowd.settle()
        digests = {}
        for grouping in ("whole", "local", "remote"):
            for method in census_crowd.METHODS:
                census = crowd.census(method, grouping)
                if "error" in census:
                    print(f"   {method}: {census['error']}")
                    return SKIPPED
                total = sum(sum(census[family].values()) for family in ("ipv4", "ipv6"))
                checks.that(crowd.agrees(census) and total == SOCKETS,
                            f"{method}, {grouping}: {total} sockets, table {census['table']}, "
                            f"{census['groups']} groups, {census['cpu_ns'] / 1e6:.1f} ms of CPU")
                digests.setdefault(grouping, set()).add((census["groups"], census["digest"]))
        for grouping, seen in digests.items():
            checks.that(len(seen) == 1, f"groups of the three methods, {grouping}: the same")
        checks.that(crowd.ss()["lines"] == SOCKETS, f"ss -Htan counts {SOCKETS} lines")
    return checks.exit_code()


def main():
    try:
        return run(Checks())
    except census_crowd.CannotRun as reason:
        print(f"   {reason}")
        return SKIPPED


if __name__ == "__main__":
    sys.exit(main())
