"""finwait-stat warns in words before the 4-tuples of a destination run out, and says when they have."""
import errno
import json
import signal
import socket
import time

from conftest import program
from harness import Namespace, Process, sysctl, wait_until

PORT = 17391
PORTS = 400
TARGET = f"127.0.0.1:{PORT}"


def open_all(stage, per_sec):
    """Opens connections at a rate until the kernel has no port left; returns how many there were."""
    count = 0
    begin = time.monotonic()
    while True:
        client = stage.also_close(socket.socket())
        try:
            client.connect(("127.0.0.1", PORT))
        except OSError as error:
            assert error.errno == errno.EADDRNOTAVAIL
            return count
        count += 1
        time.sleep(max(0, begin + count / per_sec - time.monotonic()))


def told(path):
    """Each warning of 4-tuples in the order in which they came, with the time of its first tick."""
    seen = {}
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True)[1:]:
        tick = json.loads(line) if line.endswith("\n") else {}
        for note in tick.get("notes", []):
            if TARGET in note:
                seen.setdefault(note, tick["elapsed_ns"] / 1e9)
    return seen


def test_4_tuples_that_run_out_are_told_before_and_when_they_have(stage):
    with Namespace():
        sysctl("net.ipv4.ip_local_port_range", f"20000 {20000 + PORTS - 1}")
        listener = stage.also_close(socket.socket())
        listener.bind(("127.0.0.1", PORT))
        listener.listen(2 * PORTS)
        path = stage.folder / "run.rec"
        process = stage.keep(Process([program("finwait-stat"), "--interval", "100ms", "--budget", "50%",
                                      "--view", "lines", "--record", path], stage.folder))
        wait_until(lambda: path.exists() and "owners" in path.read_text(), "the first walk")
        assert open_all(stage, 80) == PORTS
        wait_until(lambda: any(note.startswith(f"4-tuples to {TARGET} are gone") for note in told(path)),
                   "that they are gone")
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
    notes = list(told(path))
    before = [note for note in notes if f"4-tuples to {TARGET} run out in " in note or
              f"connect() to {TARGET} will crawl in " in note]
    assert len(before) > 1 and before[0] == notes[0], notes
    assert any(note.startswith(f"connect() to {TARGET} crawls") for note in notes), notes
    assert f"{PORTS} of {PORTS} are taken" in notes[-1] and "EADDRNOTAVAIL" in notes[-1]
