"""A network namespace with a crowd of sockets that stand still, and censuses of them.

For bench/census and the long runs. The namespace has a socket hash table of its own, so that what else
the machine holds is neither walked nor disturbed.
"""
import ctypes
import fcntl
import json
import os
import resource
import socket
import struct
import subprocess
import time
from pathlib import Path

CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
METHODS = ("procfs", "sock_diag", "bpf")
TABLE_MIN = 256
LOAD = 4  # sockets per bucket: a million sockets in the 262,144 of a machine with 24 GiB
SETTLE_SEC = 20

libc = ctypes.CDLL(None, use_errno=True)


class CannotRun(Exception):
    """Nothing can be measured here; the text says why."""


def check(result, what):
    if result != 0:
        raise CannotRun(f"{what}: {os.strerror(ctypes.get_errno())}")


def write_sysctl(name, value):
    Path("/proc/sys", name.replace(".", "/")).write_text(f"{value}\n", encoding="ascii")


def set_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def table_size(sockets, load=LOAD):
    """Buckets for a load: a power of two, as the kernel's are."""
    return max(TABLE_MIN, 1 << (int(sockets / load) - 1).bit_length())


class Crowd:
    """The namespace and its sockets, for as long as the context lasts."""

    def __init__(self, bin_dir, sockets, states="six", load=LOAD):
        self.bin_dir = Path(bin_dir)
        self.sockets = sockets
        self.states = states
        self.buckets = table_size(sockets, load)
        self.process = self.cost = None
        self.expected = {}

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        # The size of a table is set in the namespace from which the one that has it is made.
        check(libc.unshare(CLONE_NEWNET), "no network namespace can be made")
        try:
            write_sysctl("net.ipv4.tcp_child_ehash_entries", self.buckets)
            check(libc.unshare(CLONE_NEWNET), "no network namespace can be made")
            set_loopback_up()
            for name, value in (("net.core.somaxconn", 65535), ("net.ipv4.tcp_max_syn_backlog", 65535),
                                ("net.ipv4.tcp_max_tw_buckets", 1 << 20), ("net.ipv4.tcp_tw_reuse", 0),
                                ("net.ipv4.ip_local_port_range", "10000 65000")):
                write_sysctl(name, value)
            self.populate()
        except BaseException:
            self.__exit__()
            raise
        return self

    def populate(self):
        self.process = subprocess.Popen([self.bin_dir / "finwait-crowd", "--sockets", str(self.sockets),
                                         "--states", self.states],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise CannotRun("finwait-crowd could not make its sockets")
        self.expected = json.loads(line)
        self.cost = subprocess.Popen([self.bin_dir / "finwait-census-cost"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)

    def settle(self):
        """Waits until the last segments have arrived: the counts are the expected, or time is up."""
        deadline = time.monotonic() + SETTLE_SEC
        while True:
            seen = self.census("sock_diag")
            if self.agrees(seen) or time.monotonic() > deadline:
                return seen
            time.sleep(0.2)

    def agrees(self, census):
        return all(census.get(family) == self.expected[family] for family in ("ipv4", "ipv6"))

    def census(self, method, grouping="whole"):
        """One census: counts, cpu_ns, wall_ns and whether the table changed; or {"error": text}."""
        self.cost.stdin.write(f"{method} {grouping}\n")
        self.cost.stdin.flush()
        return json.loads(self.cost.stdout.readline())

    def ss(self):
        """`ss -Htan | wc -l`: what it costs, and its number."""
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run("ss -Htan | wc -l", shell=True, check=True, capture_output=True, text=True)
        wall = time.monotonic() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return {"cpu_ns": int(cpu * 1e9), "wall_ns": int(wall * 1e9), "lines": int(done.stdout)}

    def __exit__(self, *_):
        for process in (self.cost, self.process):
            if process is not None:
                process.stdin.close()
                process.stdout.close()
                process.wait()
        failed = libc.setns(self.home, CLONE_NEWNET) != 0
        os.close(self.home)
        assert not failed, "cannot go back to the first network namespace"
