"""A terminal for programs that draw: a pty whose output goes through the emulator pyte."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

from harness import DEADLINE_SEC, SANITIZER

COLOR = re.compile(rb"\x1b\[[0-9;]*?(?:3[0-7]|4[0-7]|9[0-7])(?:;[0-9]+)*m")


class Terminal:
    """A program on a terminal of its own; `text` is what a person would see."""

    def __init__(self, command, rows=24, columns=80, **environment):
        self.master, self.slave = pty.openpty()
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.set_size(rows, columns)
        self.attributes = termios.tcgetattr(self.slave)
        # xterm's entry has REP, which pyte does not know.
        names = {"TERM": "screen-256color", "LC_ALL": "C.UTF-8", **environment}
        variables = {**os.environ, **names}
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=self.slave, stdout=self.slave,
            stderr=subprocess.PIPE, start_new_session=True, preexec_fn=self.take_terminal,
            env={name: value for name, value in variables.items() if value is not None})

    def take_terminal(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def set_size(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows, columns):
        """Resizes it as a person would; the kernel sends SIGWINCH."""
        self.read(0)
        self.screen.resize(rows, columns)
        self.set_size(rows, columns)

    def read(self, seconds):
        while select.select([self.master], [], [], seconds)[0]:
            data = os.read(self.master, 65536)
            self.raw += data
            self.stream.feed(data)
            seconds = 0

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def wait_for(self, condition, what):
        deadline = time.monotonic() + DEADLINE_SEC
        while not condition(self):
            assert time.monotonic() < deadline and self.process.poll() is None, \
                f"no {what} on the screen (ended: {self.process.poll()}):\n{self.text}"
            self.read(0.05)

    def wait_for_text(self, text):
        self.wait_for(lambda self: text in self.text, repr(text))

    def type(self, keys):
        os.write(self.master, keys.encode())

    def wait(self, seconds=DEADLINE_SEC):
        """Waits for the end; returns the exit code. Reads on, so that nothing blocks."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"did not end:\n{self.text}"
            self.read(0.05)
        self.read(0)
        self.stderr = self.process.stderr.read().decode(errors="replace")
        assert not SANITIZER.search(self.stderr), self.stderr
        return self.process.returncode

    @property
    def is_restored(self):
        """The program left the alternate screen, and the line discipline is as it was."""
        left = self.raw.rfind(b"\x1b[?1049l")
        return left > self.raw.rfind(b"\x1b[?1049h") and \
            termios.tcgetattr(self.slave) == self.attributes

    @property
    def has_colors(self):
        return COLOR.search(self.raw) is not None

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)
