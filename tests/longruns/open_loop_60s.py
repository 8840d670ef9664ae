#!/usr/bin/python3
"""Open loop at half the maximum rate for 60 s: rate kept, slip, no failures, accounts to the unit."""
import sys

from longrun import Checks, check_named, run_alone


def main():
    checks = Checks()
    fastest = run_alone("", "--duration 5s", 5)
    rate = int(fastest["completed_per_sec"] / 2)
    print(f"   maximum in a closed loop: {fastest['completed_per_sec']:.0f} connections/s; "
          f"offered now: {rate}/s", flush=True)
    report = run_alone("", f"--rate {rate}/s --duration 60s", 60)
    completed_rate = report["completed_per_sec"]
    slip_ms = report["histograms"]["schedule_slip"]["p99"] / 1e6
    counts = {key: report[key] for key in ("attempted", "completed", "failed", "open_at_end")}
    opens = check_named(report, "active_opens")
    checks.that(report["verdict"]["valid"], f"valid: {report['verdict']['limits']}")
    checks.that(abs(completed_rate / report["offered_per_sec"] - 1) <= 0.001,
                f"{completed_rate:.1f}/s achieved of {report['offered_per_sec']:.1f}/s offered")
    checks.that(slip_ms < 1, f"schedule slip p99 {slip_ms:.3f} ms")
    checks.that(report["failed"] == 0, f"failures: {report['errors']}")
    checks.that(counts["attempted"] == counts["completed"] + counts["failed"] + counts["open_at_end"],
                f"{counts}")
    checks.that(opens["expected"] == opens["measured"] == report["attempted"],
                f"ActiveOpens {opens['measured']}, attempted {report['attempted']}")
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
