#!/usr/bin/python3
"""100,000 SYN/s from random sources against the stack's server and the kernel's (=PART).

In parts, 20 s each: syn_flood=stack, stack-always, kernel-uring, kernel-epoll.
"""
import sys
import tempfile

from flood import under_flood
from harness import Namespace, Stage
from longrun import Checks, choose
from proof import ProofCable, command

ASKED_PER_SEC = 110000  # so that the least to show is reached though some ticks are late
SYNS_PER_SEC = 100000
SECONDS = 10
LEGITIMATE_PER_SEC = 500
GROWTH_MAX_KIB = 64 * 1024
WORST_ECHO_MS = 1000  # of a connection that was there before: less than one retransmission's wait
ECHOES_MIN = 50 * SECONDS
# name: engine, the server's options, whether it has to stand
PARTS = {
    "stack": ("stack", (), True),
    "stack-always": ("stack", ("--syn-cookies", "always"), True),
    "kernel-uring": ("uring", (), False),
    "kernel-epoll": ("epoll", (), False),
}


def flood_one(name):
    engine, options, _ = PARTS[name]
    with Namespace(), tempfile.TemporaryDirectory() as folder:
        stage = Stage(folder)
        try:
            cable = ProofCable(stage)
            figures = under_flood(stage, cable, engine, *options, syns_per_sec=ASKED_PER_SEC,
                                  seconds=SECONDS, legitimate_per_sec=LEGITIMATE_PER_SEC)
            with cable.there():
                counted = command("nstat", "-asz", "TcpExtSyncookiesSent", "TcpExtSyncookiesRecv",
                                  "TcpExtListenDrops", "TcpExtTCPReqQFullDoCookies")
            figures["kernel"] = [line.split()[:2] for line in counted.splitlines()[1:]]
            return figures
        finally:
            stage.close()


def show(checks, name, figures):
    share = figures["completed"] / max(1, figures["attempted"])
    growth = figures["worst_kib"] - figures["before_kib"]
    # A load that was not offered, or a connection that had stopped, would be unharmed too.
    offered = figures["attempted"] >= 0.95 * LEGITIMATE_PER_SEC * SECONDS
    unharmed = (not figures["broken"] and figures["echoes"] >= ECHOES_MIN and
                figures["worst_echo_ms"] < WORST_ECHO_MS)
    standing = offered and unharmed and share >= 0.99 and growth < GROWTH_MAX_KIB
    text = (f"{name}: {figures['syns_per_sec']:.0f} SYN/s for {SECONDS} s, {figures['syns']} in all, "
            f"{figures['replies']} replies; established: {figures['echoes']} echoes, worst "
            f"{figures['worst_echo_ms']:.1f} ms, broken {figures['broken']}; legitimate: "
            f"{figures['completed']} of {figures['attempted']} ({100 * share:.2f}%), connect p99 "
            f"{figures['connect_p99_ms']:.1f} ms, {figures['errors']}; server's memory "
            f"{figures['before_kib']} -> {figures['worst_kib']} KiB at most, {figures['after_kib']} after")
    if PARTS[name][2]:
        checks.that(figures["syns_per_sec"] >= SYNS_PER_SEC and standing, text)
    else:
        print(f"   seen  {text}", flush=True)
    counters = {key: value for module in figures["server"]["counters"].values()
                for key, value in module.items() if value and ("cookie" in key or "half_open" in key or
                                                               "syn" in key or "drop" in key)}
    print(f"         {counters or figures['kernel']}", flush=True)


def main(names):
    checks = Checks()
    for name in choose(names, PARTS):
        show(checks, name, flood_one(name))
    return checks.exit_code()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
