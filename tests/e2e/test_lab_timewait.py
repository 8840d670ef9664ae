"""finwait-lab timewait: every behaviour is shown by doing it, and a line says so; nothing is left behind."""
import os
import re
import signal
import subprocess
import time

import pytest

from conftest import program
from harness import processes_with, wait_until

HEADS = ("who waits", "a restarted server", "reuse of a 4-tuple", "tcp_tw_reuse", "ports that run out",
         "tcp_max_tw_buckets", "why it exists: old duplicates", "why it exists: a lost last ACK",
         "reuse in the stack", "pile-up, plateau, drain")
BAD_INPUT = (
    (("--shrt",), ("--shrt", "--short")),
    (("--rate", "fast"), ("--rate", "fast")),
    (("--rate", "1/s"), ("--rate", "1/s")),
    (("stray",), ("stray",)),
)


@pytest.mark.parametrize("arguments, words", BAD_INPUT)
def test_bad_input_gets_one_line(arguments, words):
    done = subprocess.run([program("finwait-lab"), "timewait", *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_every_behaviour_shows_as_it_is_said_to():
    done = subprocess.run([program("finwait-lab"), "timewait", "--short"], capture_output=True, text=True,
                          timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    heads = re.findall(r"^([\w ,():-]+?): ", done.stdout, re.M)
    for head in HEADS:
        assert f"\n{head}: " in done.stdout, (head, heads)
    shown = re.findall(r"^  ok        (.+)$", done.stdout, re.M)
    assert f"{len(shown)} shown, 0 not shown" in done.stdout
    # What the lines say was measured; these two are the reason for all of it.
    corrupted = re.search(r"2MSL 1 ns: .* (\d+) of (\d+) bytes read are the dead connection's", done.stdout)
    assert int(corrupted.group(1)) > 0
    assert re.search(r"2MSL 60 s: connect says EADDRINUSE .* for 60\.\d s; then 0 of \d+ bytes are wrong",
                     done.stdout)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it_and_leaves_nothing(number):
    mark = f"timewait-{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen([program("finwait-lab"), "timewait", "--short"], stdout=subprocess.PIPE,
                               text=True, env=dict(os.environ, FINWAIT_TEST_MARK=mark))
    while "tcp_tw_reuse:" not in process.stdout.readline():
        pass
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 128 + signal.SIGINT and "interrupted" in rest
    wait_until(lambda: not processes_with(mark), "all of the demonstration's processes to be gone")
