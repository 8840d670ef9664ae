#!/usr/bin/python3
"""150 s of churn: TIME_WAIT stands where the close table puts it, and its plateau is rate x lifetime."""
import sys

from longrun import Checks, run_pair

RATE = 4000
SECONDS = 150
# Which side's TIME_WAIT is expected: closer, close, server's options.
ROWS = [("client", "fin", ""), ("server", "fin", "--closes-after 64B --close fin")]
SHORT_ROWS = [
    ("client", "close", "", "client"),
    ("client", "half", "", "client"),
    ("client", "rst", "", None),
    ("client", "fin-no-timewait", "", None),
    ("server", "close", "--closes-after 64B --close close", "server"),
    ("server", "half", "--closes-after 64B --close half", "server"),
    ("server", "rst", "--closes-after 64B --close rst", None),
    ("server", "fin-no-timewait", "--closes-after 64B --close fin-no-timewait", None),
]


def column(report, name):
    index = report["series_columns"].index(name)
    return [row[index] for row in report["series"]]


def plateau(checks, closer, close, server_options):
    """One long row: the closer's TIME_WAIT settles at rate x the lifetime that its model measured."""
    print(f"   {closer}/{close}, {SECONDS} s at {RATE}/s", flush=True)
    reports = dict(zip(("server", "client"), run_pair(
        server_options,
        f"--rate {RATE}/s --duration {SECONDS}s --closer {closer} --close {close}", SECONDS)))
    client, closing = reports["client"], reports[closer]
    other = reports["client" if closer == "server" else "server"]
    checks.that(client["failed"] == 0 and client["verdict"]["valid"],
                f"{client['completed']} completed, {client['failed']} failed, "
                f"{client['verdict']['limits']}")
    times, live = column(closing, "elapsed_sec"), column(closing, "time_wait")
    steady = [count for when, count in zip(times, live) if 80 <= when <= SECONDS - 5]
    lifetime_sec = closing["time_wait"]["lifetime_ns"] / 1e9
    mean, expected = sum(steady) / len(steady), client["completed_per_sec"] * lifetime_sec
    checks.that(abs(mean / expected - 1) <= 0.02,
                f"plateau {mean:.0f} ({len(steady)} samples, {min(steady)} to {max(steady)}), expected "
                f"{client['completed_per_sec']:.1f}/s x {lifetime_sec:.2f} s = {expected:.0f}: "
                f"{100 * (mean / expected - 1):+.2f}%")
    checks.that(other["time_wait"]["peak"] == 0,
                f"TIME_WAIT on the other side: at most {other['time_wait']['peak']}")


def short_row(checks, closer, close, server_options, side):
    """One short row: every completed connection's TIME_WAIT is on its side, and none elsewhere."""
    server, client = run_pair(
        server_options, f"--rate {RATE}/s --duration 5s --closer {closer} --close {close}", 5)
    expected = {"client": 0, "server": 0}
    if side is not None:
        expected[side] = client["completed"]
    seen = {"client": client["time_wait"]["measured"], "server": server["time_wait"]["measured"]}
    checks.that(client["failed"] == 0 and seen == expected,
                f"{closer}/{close}: TIME_WAIT {seen}, expected {expected}, failed {client['failed']}")


def main():
    checks = Checks()
    for row in SHORT_ROWS:
        short_row(checks, *row)
    for row in ROWS:
        plateau(checks, *row)
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
