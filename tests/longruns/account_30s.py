#!/usr/bin/python3
"""30 s of churn in each row of the close table: transitions exact to the unit, on loopback and over veth."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import CLOSES, Namespace, sysctl, wait_until
from longrun import BIN, Checks
from probe import CLOSERS, Probe, check_row

SECONDS = 30
RATE_MIN = 10000
TIME_WAIT_MAX = 2000000  # beyond what a run makes, so that none is left out
SKIPPED = 77


def closing_options(closer, close):
    return [] if closer == "client" else ["--closes-after", "64B", "--close", close]


def churn(folder, wraps, address, seconds, row):
    """Runs both programs, each wrapped by a command, and returns the client's report."""
    closer, close = row
    report = Path(folder, "client.json")
    with open(Path(folder, "server.err"), "w", encoding="utf-8") as err:
        server = subprocess.Popen([*wraps[0], BIN / "finwait-server", "--quiet", "--listen", address,
                                   *closing_options(closer, close)], stderr=err)
    try:
        wait_until(lambda: "listening" in Path(folder, "server.err").read_text(encoding="utf-8"),
                   "the server to listen")
        sources = ["--sources", "10.10.0.0/16"] if address.startswith("10.") else []
        subprocess.run([*wraps[1], BIN / "finwait-loadgen", "--quiet", "--target", address,
                        "--duration", f"{seconds}s", "--json", report, "--closer", closer,
                        "--close", close, *sources], check=False, timeout=seconds + 60)
    finally:
        server.terminate()
        server.wait(30)
    return json.loads(report.read_text(encoding="utf-8"))


def show(checks, where, row, wrong, report, reading):
    """One line a row; what is wrong stands in it."""
    checks.that(not wrong, f"{where} {row[0]}/{row[1]}: {report['completed']} connections, "
                           f"{report['completed_per_sec']:.0f}/s, {sum(reading['transitions'].values())} "
                           f"transitions, {reading['counters']['reentered']} amid another"
                           + "".join(f"; {text}" for text in wrong))


def on_loopback(checks, row):
    with Namespace(), tempfile.TemporaryDirectory() as folder:
        sysctl("net.ipv4.tcp_max_tw_buckets", TIME_WAIT_MAX)
        probe = Probe(BIN / "account-probe")
        if probe.refusal:
            return probe.refusal
        report = churn(folder, ([], []), "127.0.0.1:7000", SECONDS, row)
        reading = probe.read_settled()
        probe.close()
    wrong = check_row(reading, *row, report)
    if report["completed_per_sec"] < RATE_MIN:
        wrong.append(f"less than {RATE_MIN}/s")
    show(checks, "loopback", row, wrong, report, reading)
    return None


class Ends:
    """Two namespaces, joined by veth; each lives as long as a process that sleeps in it."""

    def __enter__(self):
        self.holders = [subprocess.Popen(["unshare", "-n", "sleep", "1000"]) for _ in range(2)]
        own = Path("/proc/self/ns/net").stat().st_ino
        for holder in self.holders:
            wait_until(lambda pid=holder.pid: Path(f"/proc/{pid}/ns/net").stat().st_ino != own,
                       "a namespace")
        self.wraps = [["nsenter", "-t", str(holder.pid), "-n"] for holder in self.holders]
        self.run(0, "ip", "link", "add", "end", "type", "veth", "peer", "name", "end", "netns",
                 str(self.holders[1].pid))
        for end, address in ((0, "10.9.0.1/16"), (1, "10.9.0.2/16")):
            self.run(end, "ip", "address", "add", address, "dev", "end")
            self.run(end, "ip", "link", "set", "end", "up")
            self.run(end, "ip", "link", "set", "lo", "up")
            self.run(end, "sysctl", "-q", f"net.ipv4.tcp_max_tw_buckets={TIME_WAIT_MAX}")
        self.run(0, "ip", "route", "add", "10.10.0.0/16", "via", "10.9.0.2")
        self.run(1, "ip", "route", "add", "local", "10.10.0.0/16", "dev", "lo")
        return self

    def run(self, end, *command):
        subprocess.run([*self.wraps[end], *command], check=True)

    def __exit__(self, *_):
        for holder in self.holders:
            holder.kill()
            holder.wait()


def add_up(readings):
    """Two ends' readings as one: what the check expects of a namespace that has both."""
    both = {"transitions": {}, "counters": {}, "differences": []}
    for reading in readings:
        for part in ("transitions", "counters"):
            for name, count in reading[part].items():
                both[part][name] = both[part].get(name, 0) + count
        both["differences"] += reading["differences"]
    return both


def over_veth(checks, row):
    with Ends() as ends, tempfile.TemporaryDirectory() as folder:
        probes = [Probe(BIN / "account-probe", wrap) for wrap in ends.wraps]
        report = churn(folder, ends.wraps, "10.9.0.1:7000", SECONDS, row)
        both = add_up([probe.read_settled() for probe in probes])
        for probe in probes:
            probe.close()
    show(checks, "veth", row, check_row(both, *row, report), report, both)


def main(names):
    checks = Checks()
    rows = [tuple(name.split("/")) for name in names]
    for row in rows or [(closer, close) for closer in CLOSERS for close in CLOSES]:
        refusal = on_loopback(checks, row)
        if refusal:
            print(f"   {refusal}", flush=True)
            return SKIPPED
        over_veth(checks, row)
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
