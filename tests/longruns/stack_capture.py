#!/usr/bin/python3
"""10,000 connections in each row of the close table, stack to stack, captured: tshark finds nothing wrong.

In parts, a row each: stack_capture=client/fin,both/rst.
"""
import sys
import tempfile

from capture import capture_row, check_row
from harness import CLOSES, Namespace, Stage
from longrun import Checks, choose
from probe import CLOSERS
from proof import ProofCable

COUNT = 10000


def show_row(checks, row):
    with Namespace(), tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        cable = ProofCable(stage, kernel_here=False)
        try:
            outcome = capture_row(stage, cable, row, COUNT, "--in-flight", "16")
            wrong = check_row(row, COUNT, outcome)
        finally:
            stage.close()
    findings = outcome[0]
    flags = ", ".join(f"{times} x {words}" for words, times in findings.flags.items()) or "none"
    checks.that(not wrong, f"{row[0]}/{row[1]}: {len(findings.completeness)} conversations, "
                           f"{findings.segments} segments, {findings.wrong_sums} bad checksums, "
                           f"analysis flags: {flags}" + "".join(f"; {text}" for text in wrong))


def main(names):
    checks = Checks()
    for name in choose(names, [f"{closer}/{close}" for closer in CLOSERS for close in CLOSES]):
        show_row(checks, tuple(name.split("/")))
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
