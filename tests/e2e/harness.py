"""What the end-to-end tests stand on: our programs as processes, a network namespace per test.

Nothing here sleeps for a fixed time: what a test waits for is a condition with a deadline.
Processes are ended by their id, whatever the test does; a sanitizer's report in any of them fails
the test.
"""
import ctypes
import fcntl
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

from conftest import program, release_program

DEADLINE_SEC = 60.0
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
ENGINES = ("uring", "epoll")
CLOSES = ("fin", "close", "half", "rst", "fin-no-timewait")
SANITIZER = re.compile("ERROR: (Address|Leak)Sanitizer|runtime error:|assertion failed")

libc = ctypes.CDLL(None, use_errno=True)


def wait_until(condition, what, seconds=DEADLINE_SEC):
    """Waits for a condition to be true and returns its value; fails by name after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for: {what}"
        time.sleep(0.005)


def processes_with(mark):
    """The processes whose environment holds the mark: children that a run has, or left behind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass  # it has ended
    return found


def set_loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


class Namespace:
    """A fresh network namespace for this thread and what it starts: counters begin at zero, no
    TIME_WAIT is left from before."""

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        set_loopback_up()
        return self

    def __exit__(self, *_):
        failed = libc.setns(self.home, CLONE_NEWNET) != 0
        os.close(self.home)
        assert not failed, "cannot go back to the tests' own network namespace"


def sysctl(name, value):
    """Sets a sysctl of the test's own network namespace."""
    Path("/proc/sys", name.replace(".", "/")).write_text(f"{value}\n", encoding="ascii")


def first_cpu():
    return str(min(os.sched_getaffinity(0)))


class Process:
    """A program with its output in files, so that nothing blocks on a full pipe."""

    def __init__(self, command, folder, *, nofile=None, without_io_uring=False, netns=None,
                 stdin=None):
        self.command = [str(word) for word in command]
        self.name = Path(self.command[0]).name
        handle, self.stdout_path = tempfile.mkstemp(".out", self.name, folder)
        with os.fdopen(handle, "wb") as out:
            handle, self.stderr_path = tempfile.mkstemp(".err", self.name, folder)
            with os.fdopen(handle, "wb") as err:
                self.process = subprocess.Popen(
                    self.command, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err,
                    preexec_fn=preparation(nofile, without_io_uring, netns))
        self.pid = self.process.pid

    @property
    def stdout(self):
        return Path(self.stdout_path).read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self):
        return Path(self.stderr_path).read_text(encoding="utf-8", errors="replace")

    @property
    def ended(self):
        return self.process.poll() is not None

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """Stops the process and waits until every thread of it has stopped."""
        self.signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        wait_until(lambda: all(state_of(task) == "T" for task in tasks.iterdir()),
                   f"{self.name} to stop")

    def thaw(self):
        self.signal(signal.SIGCONT)

    def wait(self, seconds=90.0):
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.command} did not end within {seconds:.0f} s; stderr:\n"
                                 f"{self.stderr[-800:]}") from None
        self.check_sane()
        return code

    def check_sane(self):
        assert not SANITIZER.search(self.stderr), self.stderr

    def kill(self):
        if not self.ended:
            self.process.kill()
        self.process.wait()

    def memory_kib(self):
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def preparation(nofile, without_io_uring, netns):
    """What a child does to itself before it becomes the program."""
    def prepare():
        if netns is not None and libc.setns(netns, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        if nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))
        if without_io_uring:
            forbid_io_uring()
    return prepare if nofile is not None or without_io_uring or netns is not None else None


class SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def forbid_io_uring():
    """Has io_uring_setup fail with EPERM from here on, as container run-times do by seccomp."""
    load, jump_if_equal, give = 0x20, 0x15, 0x06
    io_uring_setup, allow, fail_eperm = 425, 0x7FFF0000, 0x00050001
    code = b"".join(struct.pack("HBBI", *step) for step in (
        (load, 0, 0, 0), (jump_if_equal, 0, 1, io_uring_setup), (give, 0, 0, fail_eperm),
        (give, 0, 0, allow)))
    filters = SockFprog(len(code) // 8, code)
    no_new_privs, set_seccomp, mode_filter = 38, 22, 2
    if libc.prctl(no_new_privs, 1, 0, 0, 0) or \
            libc.prctl(set_seccomp, mode_filter, ctypes.byref(filters), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def state_of(task):
    """The state letter of a thread; 'T' also for one that has just gone."""
    try:
        return (task / "stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return "T"


class Server(Process):
    """finwait-server, listening."""

    def __init__(self, folder, *arguments, release=False, listen=("127.0.0.1:0",), engine=None,
                 **options):
        self.json_path = tempfile.mktemp(".json", "server", folder)
        binary = (release_program if release else program)("finwait-server")
        command = [binary, "--json", self.json_path]
        command += [word for address in listen for word in ("--listen", address)]
        command += ["--engine", engine] if engine else []
        super().__init__(command + list(arguments), folder, **options)
        self.addresses = self.wait_listening()
        self.address = self.addresses[0]
        host, port = self.address.rsplit(":", 1)
        self.host, self.port = host.strip("[]"), int(port)

    def wait_listening(self):
        pattern = re.compile(r"^finwait-server: listening on (.+) \((\w+), (\d+) workers?\)$", re.M)
        wait_until(lambda: self.ended or pattern.search(self.stderr), "finwait-server to listen")
        found = pattern.search(self.stderr)
        assert found, f"finwait-server ended with {self.process.poll()}: {self.stderr}"
        self.engine = found.group(2)
        return found.group(1).split(", ")

    def connect(self, timeout=DEADLINE_SEC):
        return socket.create_connection((self.host, self.port), timeout)

    def result(self):
        return read_result(self.json_path)

    def stop(self, code=0):
        """Ends it as a user would, and returns the result struct."""
        self.signal(signal.SIGTERM)
        ended = self.wait()
        assert ended == code, f"ended with {ended}: {self.stderr}"
        return self.result()


def read_result(path):
    """Reads a result struct, and checks what holds for every run."""
    result = json.loads(Path(path).read_text(encoding="utf-8"))
    ended = result["completed"] + result["failed"] + result["open_at_end"]
    assert result["attempted"] == ended, result
    assert sum(result["errors"].values()) == result["failed"], result["errors"]
    assert set(result["errors"]) == set(result["error_words"])
    codes = [limit["code"] for limit in result["verdict"]["limits"]]
    assert "accounting" not in codes, result["verdict"]
    return result


class Loadgen(Process):
    """finwait-loadgen, running or ended."""

    def __init__(self, folder, *arguments, target, release=False, engine=None, **options):
        self.json_path = tempfile.mktemp(".json", "loadgen", folder)
        binary = (release_program if release else program)("finwait-loadgen")
        command = [binary, "--json", self.json_path]
        targets = [target] if isinstance(target, str) else target
        command += [word for name in targets for word in ("--target", name)]
        command += ["--engine", engine] if engine else []
        super().__init__(command + list(arguments), folder, **options)

    def finish(self, code=0, seconds=90.0, may_be_late=False):
        """Waits for its own end, and returns the result struct.

        On a machine that is busy with other things an open loop may be late, and then has to say so
        by an invalid run: `may_be_late` takes that for an answer too."""
        ended = self.wait(seconds)
        what = f"ended with {ended}, not {code}:\n{self.stdout}\n{self.stderr[-800:]}"
        assert ended in ((code, 3) if may_be_late else (code,)), what
        result = read_result(self.json_path)
        assert result["verdict"]["exit_code"] == ended
        assert result["verdict"]["valid"] == (ended != 3)
        if ended != code:
            assert set(limit_codes(result, "invalid")) <= {"schedule", "generator-cpu"}, what
        return result


class Stage:
    """What one test starts, so that all of it ends with the test."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.processes = []
        self.closers = []

    def keep(self, process):
        self.processes.append(process)
        return process

    def also_close(self, thing):
        """Has close() called on a thing (a socket, a peer) when the test ends."""
        self.closers.append(thing)
        return thing

    def server(self, *arguments, **options):
        return self.keep(Server(self.folder, *arguments, **options))

    def start_loadgen(self, *arguments, **options):
        return self.keep(Loadgen(self.folder, *arguments, **options))

    def loadgen(self, *arguments, code=0, seconds=90.0, may_be_late=False, **options):
        return self.start_loadgen(*arguments, **options).finish(code, seconds, may_be_late)

    def spawn(self, *command, **options):
        return self.keep(Process(command, self.folder, **options))

    def run(self, *command, text=None, seconds=60.0):
        """Runs a program to its end and returns what subprocess.run does."""
        return subprocess.run([str(word) for word in command], input=text, capture_output=True,
                              timeout=seconds, check=False, text=True)

    def connect(self, server, timeout=DEADLINE_SEC):
        return self.also_close(server.connect(timeout))

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def close(self):
        """Ends everything. Programs that were not waited for are killed; none may have broken."""
        for thing in self.closers:
            thing.close()
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.check_sane()


def receive(sock, size):
    """Receives exactly so many bytes; fewer only when the peer ends."""
    parts, left = [], size
    while left > 0:
        part = sock.recv(min(left, 1 << 16))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def receive_all(sock):
    """Receives to the peer's FIN."""
    return receive(sock, 1 << 40)


def pattern(size, seed=1):
    """Bytes without a short period, so that a shift or a mix-up shows."""
    block = bytearray()
    value = seed
    for _ in range(min(size, 8191)):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
        block.append(value >> 16 & 0xFF)
    return bytes(block * (size // max(len(block), 1) + 1))[:size]


def reset(sock):
    """Closes by RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def limit_codes(result, weight=None):
    return [limit["code"] for limit in result["verdict"]["limits"]
            if weight is None or limit["weight"] == weight]
