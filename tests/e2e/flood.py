"""A server under a SYN flood: who still gets through, and what it costs; the same for any engine."""
import json
import os
import threading
import time

from cable import BITS, SERVER
from conftest import release_program
from harness import pattern, receive
from proof import HERE, KERNEL, THERE, command, count_dropped, drop_incoming

SOURCES = "10.64.0.0/10"  # nobody's: what is sent there ends here, behind the cable
MAC = "02:00:00:00:09:01"
PORT = 7000
ESTABLISHED = 32


class Established:
    """Connections from before the flood that go on echoing, each echo verified."""

    def __init__(self, server):
        self.socks = [server.connect(30) for _ in range(ESTABLISHED)]
        self.echoes, self.worst_sec, self.broken = 0, 0.0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.go_on, daemon=True)
        self.thread.start()

    def go_on(self):
        turn = 0
        while not self.over.wait(0.001):
            sock, turn = self.socks[turn % ESTABLISHED], turn + 1
            data = pattern(64, seed=turn)
            start = time.monotonic()
            try:
                sock.sendall(data)
                if receive(sock, len(data)) != data:
                    self.broken.append("other bytes")
                    return
            except OSError as error:
                self.broken.append(repr(error))
                return
            self.worst_sec = max(self.worst_sec, time.monotonic() - start)
            self.echoes += 1

    def close(self):
        self.over.set()
        self.thread.join()
        for sock in self.socks:
            sock.close()


def serve(stage, cable, engine, *arguments):
    """A server there that has a route to the flood's sources."""
    if engine == "stack":
        return cable.serve(*arguments, more=("--mac", MAC, "--gateway", KERNEL), release=True)
    with cable.there():
        command("ip", "link", "set", "dev", THERE, "address", MAC)
        command("ip", "address", "add", f"{SERVER}/{BITS}", "dev", THERE)
        command("ip", "route", "add", SOURCES, "via", KERNEL, "dev", THERE)
    return stage.server(*arguments, listen=(f"{SERVER}:{PORT}",), engine=engine, release=True,
                        netns=cable.netns)


def under_flood(stage, cable, engine, *arguments, syns_per_sec, seconds, legitimate_per_sec):
    """Floods a server while connections from before echo on and new ones come; the figures."""
    cpus = sorted(os.sched_getaffinity(0))
    drop_incoming("replies", HERE, f"ip daddr {SOURCES}")
    server = serve(stage, cable, engine, "--cpus", str(cpus[-1]), *arguments)
    established = stage.also_close(Established(server))
    stage.loadgen("--count", "2000", target=server.address, release=True, engine="epoll")
    before = server.memory_kib()
    flood = stage.spawn(
        release_program("finwait-flood"), "--link", f"packet:{HERE}", "--target", server.address,
        "--target-mac", MAC, "--sources", SOURCES, "--rate", str(syns_per_sec), "--duration",
        f"{seconds}s", "--cpu", str(cpus[0]))
    echoes = established.echoes
    run = stage.start_loadgen(
        "--rate", str(legitimate_per_sec), "--duration", f"{seconds}s", "--cpus", str(cpus[0]),
        "--timeout", "10s", target=server.address, release=True, engine="epoll")
    worst_kib = before
    while not flood.ended:
        worst_kib = max(worst_kib, server.memory_kib())
        time.sleep(0.05)
    echoes = established.echoes - echoes
    assert flood.wait() == 0, flood.stderr
    run.wait()
    figures = json.loads(flood.stdout)
    result = json.loads(open(run.json_path, encoding="utf-8").read())
    established.close()
    return {
        "engine": engine, "syns": figures["sent"], "syns_per_sec": figures["sent_per_sec"],
        "replies": count_dropped("replies"), "echoes": echoes, "worst_echo_ms": 1e3 * established.worst_sec,
        "broken": established.broken, "attempted": result["attempted"],
        "completed": result["completed"], "errors": result["errors"],
        "connect_p99_ms": result["latency"]["connect"]["from_start"]["p99"] / 1e6,
        "before_kib": before, "worst_kib": worst_kib, "after_kib": server.memory_kib(),
        "server": server.stop(),
    }
