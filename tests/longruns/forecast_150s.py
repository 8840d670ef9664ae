#!/usr/bin/python3
"""TIME_WAIT's plateau, the end of the 4-tuples and the crawl of connect(), forecast and then measured."""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness import Namespace, sysctl, wait_until
from longrun import BIN, Checks
from probe import Probe

SKIPPED = 77
TOLERANCE = 0.02
TARGET = "127.0.0.1:7000"
# tuples.h's verdicts.
SOON, CRAWL, GONE = 2, 3, 4
PORTS = 28232  # of the kernel's default range


class Leg:
    """One run in a namespace of its own, with a reading of the probe each second."""

    def __init__(self, cpu, seconds, *load):
        self.cpu, self.seconds, self.load = cpu, seconds, load
        self.readings, self.report, self.refusal = [], None, None

    def run(self):
        with Namespace(), tempfile.TemporaryDirectory() as folder:
            sysctl("net.ipv4.tcp_tw_reuse", 0)  # by default it reuses over loopback
            sysctl("net.ipv4.tcp_max_tw_buckets", 1000000)
            probe = Probe(BIN / "account-probe")
            self.refusal = probe.refusal
            if not self.refusal:
                self.churn(Path(folder), probe)
                probe.close()

    def churn(self, folder, probe):
        with open(folder / "server.err", "w", encoding="utf-8") as err:
            server = subprocess.Popen([BIN / "finwait-server", "--quiet", "--cpus", "0"],
                                      stderr=err)
        wait_until(lambda: "listening" in (folder / "server.err").read_text(encoding="utf-8"),
                   "the server to listen")
        client = subprocess.Popen([BIN / "finwait-loadgen", "--quiet", "--target", TARGET, "--cpus",
                                   self.cpu, "--duration", f"{self.seconds}s", "--json",
                                   folder / "client.json", *self.load], stderr=subprocess.DEVNULL)
        begin = time.monotonic()
        while client.poll() is None and time.monotonic() < begin + self.seconds + 30:
            self.readings.append(probe.read("light"))
            time.sleep(max(0, begin + len(self.readings) - time.monotonic()))
        client.wait(30)
        server.terminate()
        server.wait(30)
        self.report = json.loads((folder / "client.json").read_text(encoding="utf-8"))

    def at(self, reading):
        """Seconds since the first connection, to the reading's second."""
        first = next(r for r in self.readings if r["counters"]["active_opens"] > 0)
        since = first["counters"]["active_opens"] / self.rate()
        return (reading["at_ns"] - first["at_ns"]) / 1e9 + since

    def rate(self):
        """While nothing was in its way: of the seconds from the fifth to the fifteenth."""
        early, late = self.readings[5], self.readings[15]
        opens = late["counters"]["active_opens"] - early["counters"]["active_opens"]
        return opens / ((late["at_ns"] - early["at_ns"]) / 1e9)

    def tuples(self, reading):
        found = [t for t in reading["tuples"] if t["destination"] == TARGET]
        return found[0] if found else None

    def crossing(self, capacity):
        """When so many 4-tuples were taken: since the reading before, at the rate, since what comes
        then slows them down."""
        before = None
        for reading in self.readings:
            tuples = self.tuples(reading)
            if tuples and tuples["taken"] >= capacity and before:
                return self.at(before) + (capacity - self.tuples(before)["taken"]) / self.rate()
            before = reading if tuples else before
        return None


def show_plateau(checks, leg):
    """The forecasts of the seconds 20 to 55, with nothing ended yet, against what came."""
    steady = [r["counters"]["time_wait_live"] for r in leg.readings
              if 80 <= leg.at(r) <= leg.seconds - 5]
    mean = sum(steady) / len(steady)
    early = [r["time_wait"]["plateau"] for r in leg.readings if 20 <= leg.at(r) <= 55]
    errors = [forecast / mean - 1 for forecast in early]
    worst = max(errors, key=abs)
    checks.that(abs(worst) <= TOLERANCE,
                f"plateau {mean:.0f} ({len(steady)} samples, {min(steady)} to {max(steady)}); "
                f"{len(early)} forecasts from 20 s to 55 s: {min(early)} to {max(early)}, off by at "
                f"most {100 * worst:+.2f}%")
    last = leg.readings[-1]["time_wait"]
    checks.that(last["lifetime_is_measured"] and 60 <= last["lifetime_ns"] / 1e9 <= 64,
                f"lifetime measured: {last['lifetime_ns'] / 1e9:.2f} s")


def show_forecast(checks, leg, key, capacity, what):
    """Forecasts of a time, each as seconds since the start, against when it came."""
    came = leg.crossing(capacity)
    if came is None:
        checks.that(False, f"{what}: {capacity} were never taken, so nothing came")
        return
    made = [(leg.at(r), leg.at(r) + leg.tuples(r)[key]) for r in leg.readings
            if leg.tuples(r) and leg.tuples(r)[key] >= 0 and 5 <= leg.at(r) < came - 1]
    errors = [forecast / came - 1 for _, forecast in made]
    worst = max(errors, key=abs) if errors else 1
    checks.that(len(made) >= 5 and abs(worst) <= TOLERANCE,
                f"{what} after {came:.2f} s; {len(made)} forecasts from second "
                f"{made[0][0] if made else 0:.0f} on, off by at most {100 * worst:+.2f}%")


def show_verdict(checks, leg, verdict, what):
    told = [(leg.at(r), leg.tuples(r)["warning"]) for r in leg.readings
            if leg.tuples(r) and leg.tuples(r)["verdict"] == verdict]
    checks.that(told, f"{what}: {f'at {told[0][0]:.0f} s: {told[0][1]}' if told else 'never said'}")


def show_end(checks, leg):
    show_forecast(checks, leg, "seconds_left", PORTS - 1, "4-tuples gone")
    show_verdict(checks, leg, SOON, "warned a minute before")
    show_verdict(checks, leg, GONE, "named when gone")


def show_crawl(checks, leg):
    """The generator binds its source and port 0: the kernel begins with a quarter of the range."""
    show_forecast(checks, leg, "crawls_sec", PORTS // 4, "ports taken first full")
    show_verdict(checks, leg, SOON, "warned a minute before")
    show_verdict(checks, leg, CRAWL, "the crawl is named")
    rates = [leg.tuples(r)["opens_per_sec"] for r in leg.readings
             if leg.tuples(r) and leg.tuples(r)["verdict"] == CRAWL]
    # The generator's own time-outs are of the crawl; the kernel refuses nothing.
    refused = [error for error in leg.report["errors"] if "ETIMEDOUT" not in error]
    checks.that(rates and min(rates) < 0.75 * leg.rate() and not refused,
                f"the rate fell from {leg.rate():.0f}/s to {min(rates) if rates else 0:.0f}/s, "
                f"errors: {leg.report['errors']}")


def main():
    legs = [
        (show_plateau, Leg("0", 150, "--rate", "1500/s")),
        (show_end, Leg("0", 55, "--rate", "600/s", "--sources", "127.0.0.1", "--ports", "32768-60999")),
        (show_crawl, Leg("1", 60, "--rate", "300/s", "--sources", "127.0.0.1", "--ports", "kernel")),
    ]
    threads = [threading.Thread(target=leg.run) for _, leg in legs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusal = next((leg.refusal for _, leg in legs if leg.refusal), None)
    if refusal:
        print(f"   {refusal}")
        return SKIPPED
    checks = Checks()
    for show, leg in legs:
        show(checks, leg)
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main())
