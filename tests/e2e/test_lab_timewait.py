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
         "reuse in the stack", "pile-up, plateau, drain: in memory")
PARTS = ("who-waits", "restart", "reuse", "tw-reuse", "ports", "tw-buckets", "old-duplicate", "lost-ack",
         "stack-reuse", "churn-kernel", "churn-stack", "churn-memory")
BAD_INPUT = (
    (("--shrt",), ("--shrt", "--short")),
    (("--parts", "who-waits,why"), ("--parts", "why", "who-waits")),
    (("--parts", "who-waits,"), ("--parts", '""')),
    (("--lifetime", "90s"), ("--lifetime", "90s")),
    (("--lifetime", "9s"), ("--lifetime", "9s", "10s")),
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
    # What the lines say was measured; these are the reason for all of it. The link made each fault once.
    corrupted = re.search(r"2MSL 0: .* the link doubled 1 segment, whose copy of (\d+) bytes comes "
                          r"20\.0 s late: (\d+) of (\d+) bytes read are the dead connection's", done.stdout)
    assert 0 < int(corrupted.group(2)) <= int(corrupted.group(1)) < int(corrupted.group(3))
    for line in (r"2MSL 60 s: the link doubled 1 segment, connect says EADDRINUSE when its copy comes 20\.0 s "
                 r"late, and for 60\.\d s; then 0 of \d+ bytes are wrong",
                 r"2MSL 0: the link lost 1 ACK, the FIN comes \d+ times more, .* 1 resets end",
                 r"2MSL 60 s: the link lost 1 ACK, the FIN comes \d+ times more, .* 0 resets end"):
        assert re.search(line, done.stdout), (line, done.stdout)


def test_parts_are_shown_alone_and_help_names_them_all():
    done = subprocess.run([program("finwait-lab"), "timewait", "--help"], capture_output=True, text=True,
                          timeout=60, check=False)
    listed = re.search(r"show these only: ([\w\s,-]+)\(all", done.stdout).group(1)
    assert tuple(listed.replace(",", " ").split()) == PARTS
    done = subprocess.run([program("finwait-lab"), "timewait", "--parts", "old-duplicate,lost-ack", "--parts",
                           "who-waits"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    heads = [head for head in HEADS if f"\n{head}: " in done.stdout]
    assert heads == ["who waits", "why it exists: old duplicates", "why it exists: a lost last ACK"]


@pytest.mark.parametrize("part, head", (("tw-reuse", "tcp_tw_reuse:"), ("ports", "ports that run out:"),
                                        ("churn-memory", "pile-up, plateau, drain: in memory:")))
def test_what_a_signal_cut_short_is_not_said_to_be_shown(part, head):
    """The first case of tw-reuse waits a second for what must not happen, and was asked after none."""
    process = subprocess.Popen([program("finwait-lab"), "timewait", "--parts", part, "--rate", "15k/s"],
                               stdout=subprocess.PIPE, text=True)
    while head not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert rest.strip() == "0 shown, 0 not shown; interrupted"


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
