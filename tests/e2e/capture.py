"""Captures that are not ours, and what tshark finds in them: checksums, wholeness, oddities."""
import re
import signal
import subprocess
from collections import Counter

from harness import wait_until
from proof import THERE, frames

SNAP_BYTES = 256  # the largest frame of a connection that echoes 64 B is 130
BUFFER_MIB = 64
FIELDS = ("tcp.stream", "tcp.completeness", "tcp.checksum.status", "ip.checksum.status",
          "tcp.analysis.flags", "_ws.expert.message")
GOOD = "1"

# tcp.completeness adds up: SYN 1, SYN-ACK 2, ACK 4, data 8, FIN 16, RST 32. ACK is a segment that does
# nothing else: where a reset follows the echo there is none, as the handshake's rides on the request.
WHOLE = {"rst": 1 + 2 + 8 + 32}
WHOLE_BY_FIN = 1 + 2 + 4 + 8 + 16


class Capture:
    """dumpcap on an interface of the calling thread's namespace, which is quiet so far."""

    def __init__(self, stage, link):
        self.link, self.carried = link, frames(link)
        self.path = str(stage.folder / "capture.pcapng")
        self.process = stage.spawn("dumpcap", "-i", link, "-f", "ip or arp", "-s", SNAP_BYTES, "-B",
                                   BUFFER_MIB, "-w", self.path)
        wait_until(lambda: "File: " in self.process.stderr, "dumpcap to capture")

    def count(self):
        """How many frames it has so far, by its own word."""
        return int((re.findall(r"Packets: (\d+)", self.process.stderr) or [0])[-1])

    def stop(self):
        """Ends it when it has all that the interface carried, since what is still in its ring would be
        lost without a word."""
        carried = frames(self.link) - self.carried
        wait_until(lambda: self.count() >= carried, f"dumpcap to have {carried} frames", 20)
        self.process.signal(signal.SIGINT)
        self.process.wait()
        found = re.search(r"received/dropped on interface .*: (\d+)/(\d+)", self.process.stderr)
        assert found and found.groups() == (str(carried), "0"), self.process.stderr[-200:]
        return carried


class Findings:
    """What tshark says of a capture."""

    def __init__(self, path):
        self.segments = 0
        self.wrong_sums = 0
        self.flags = Counter()  # what tcp.analysis found, by tshark's words
        self.completeness = {}  # by conversation
        self.flagged = {}       # a conversation that shows each
        self.read(path)

    def read(self, path):
        # In two passes: in one, a segment shows what its conversation had before it.
        words = [word for field in FIELDS for word in ("-e", field)]
        tshark = subprocess.Popen(
            ["tshark", "-n", "-2", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o",
             "ip.check_checksum:TRUE", "-Y", "tcp", "-T", "fields", "-E", "separator=\t", "-E", "aggregator=;", *words],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in tshark.stdout:
            self.take(line.rstrip("\n").split("\t"))
        assert tshark.wait() == 0

    def take(self, values):
        stream, completeness, tcp_sum, ip_sum, flagged, words = values
        self.segments += 1
        self.wrong_sums += (tcp_sum, ip_sum) != (GOOD, GOOD)
        self.completeness[stream] = int(completeness)
        if flagged:
            self.flags[words] += 1
            self.flagged.setdefault(words, stream)

    def incomplete(self, whole):
        """Conversations that lack a part of what makes them whole."""
        return [(stream, bits) for stream, bits in self.completeness.items() if bits & whole != whole]


def closing_options(closer, close):
    return () if closer == "client" else ("--closes-after", "64B", "--close", close)


def capture_row(stage, cable, row, count, *client_options):
    """Runs so many connections of one row of the close table, stack to stack, under a capture at the
    server's interface; returns (what tshark finds, the client's report, the server's)."""
    closer, close = row
    with cable.there():
        capture = Capture(stage, THERE)
    server = cable.serve(*closing_options(closer, close))
    result = cable.load_here(server, "--count", str(count), "--closer", closer, "--close", close,
                             *client_options)
    served = server.stop()
    with cable.there():
        captured = capture.stop()
    findings = Findings(capture.path)
    assert findings.segments <= captured
    return findings, result, served


def check_row(row, count, outcome):
    """What is wrong with a row, in words; an empty list is what should come."""
    (closer, close), (findings, result, served) = row, outcome
    wrong = []

    def expect(what, seen, expected):
        if seen != expected:
            wrong.append(f"{what}: {seen} instead of {expected}")
    expect("completed", (result["completed"], result["failed"]), (count, 0))
    expect("accepted", served["attempted"], count)
    expect("conversations", len(findings.completeness), count)
    expect("bad checksums", findings.wrong_sums, 0)
    expect("incomplete conversations",
           findings.incomplete(WHOLE.get(close, WHOLE_BY_FIN))[:5], [])
    allowed = ALLOWED.get((closer, close), ())
    for words, times in findings.flags.items():
        if words not in allowed:
            wrong.append(f"{times} x {words}, as in conversation {findings.flagged[words]}")
    return wrong


# What tcp.analysis may say of a row, and why that is right.
ALLOWED = {}
