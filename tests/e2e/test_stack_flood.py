"""The stack's server under a SYN flood from random sources, and a flooder that stays in the lab."""
import json
import subprocess
import time

import pytest

from conftest import program
from flood import MAC, under_flood
from proof import HERE, ProofCable, command, frames

GOOD = ("--link", f"packet:{HERE}", "--target", "10.9.0.1:7000", "--target-mac", MAC)


def flood(*arguments):
    return subprocess.run([program("finwait-flood"), *arguments], capture_output=True, text=True,
                          timeout=60, check=False)


# The rate is one that a machine busy with other tests can keep; tests/long syn_flood has 100,000/s.
@pytest.mark.parametrize("cookies", ("auto", "always"))
def test_a_flood_harms_neither_those_who_are_there_nor_those_who_come(stage, cookies):
    cable = ProofCable(stage)
    figures = under_flood(stage, cable, "stack", "--syn-cookies", cookies, syns_per_sec=30000,
                          seconds=4, legitimate_per_sec=200)
    assert figures["syns"] > 65536, figures  # more than the SYN cache holds
    assert figures["broken"] == [] and figures["echoes"] > 100, figures
    assert figures["completed"] >= 0.99 * figures["attempted"] > 0, figures
    assert figures["replies"] >= 0.5 * figures["syns"], figures
    assert figures["worst_kib"] - figures["before_kib"] < 16 * 1024, figures


@pytest.mark.parametrize("arguments, words", [
    ((), ("--link",)),
    (GOOD[:2], ("--target",)),
    (GOOD[:4], ("--target-mac",)),
    ((*GOOD[:4], "--target-mac", "02:00"), ("--target-mac", "02:00")),
    ((*GOOD[:2], "--target", "10.9.0.1", *GOOD[4:]), ("--target", "10.9.0.1")),
    ((*GOOD, "--sources", "10.9.0.9-10.9.0.1"), ("--sources", "10.9.0.9")),
    ((*GOOD, "--cpu", "0-1"), ("--cpu", "0-1")),
    ((*GOOD, "--rate", "6M"), ("--rate", "6M")),
    ((*GOOD, "--duration", "10m"), ("--duration", "10m")),
    (("--link", "veth0", *GOOD[2:]), ("veth0", "packet:")),
])
def test_bad_usage_is_one_line_and_exit_2(stage, arguments, words):
    done = flood(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("arguments, words", [
    ((*GOOD[:2], "--target", "8.8.8.8:7000", *GOOD[4:]), ("8.8.8.8", "private")),
    ((*GOOD[:2], "--target", "[fd00::1]:7000", *GOOD[4:]), ("fd00::1", "private")),
    ((*GOOD, "--sources", "10.0.0.0-192.168.0.1"), ("10.0.0.0", "private")),
    ((*GOOD, "--sources", "198.51.100.0/24"), ("198.51.100.0", "private")),
    (("--link", "packet:nowhere0", *GOOD[2:]), ("nowhere0",)),
    (("--link", "packet:bridge0", *GOOD[2:]), ("bridge0", "veth")),
])
def test_it_goes_nowhere_but_through_the_lab(stage, arguments, words):
    ProofCable(stage)
    command("ip", "link", "add", "bridge0", "up", "type", "bridge")
    done = flood(*arguments)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_a_namespace_with_a_way_out_is_refused(stage):
    ProofCable(stage)
    assert flood(*GOOD, "--count", "10").returncode == 0
    command("ip", "route", "add", "default", "via", "10.9.0.1")
    done = flood(*GOOD, "--count", "10")
    assert (done.returncode, done.stdout) == (3, "")
    assert "default route" in done.stderr


def test_it_sends_as_many_as_it_says_and_ends_by_itself(stage):
    ProofCable(stage)
    before = frames()
    done = flood(*GOOD, "--count", "5000", "--rate", "50k")
    assert done.returncode == 0 and '"sent": 5000, "skipped": 0' in done.stdout, done
    assert 5000 <= frames() - before <= 5010


def test_what_a_link_that_goes_down_did_not_take_is_not_told_as_sent(stage):
    ProofCable(stage, kernel_here=False)
    before = frames()
    running = stage.spawn(program("finwait-flood"), *GOOD, "--rate", "20k", "--duration", "2s")
    deadline = time.monotonic() + 20
    while frames() - before < 5000 and time.monotonic() < deadline:
        time.sleep(0.01)
    command("ip", "link", "set", HERE, "down")
    assert running.wait() == 0, running.stderr
    figures = json.loads(running.stdout)
    left = frames() - before  # nothing comes back: nobody has the address
    # A frame that was on its way as the link went down may have been taken and dropped.
    assert left >= 5000 and left <= figures["sent"] <= left + 8, (figures, left)
    assert figures["unsent"] > 100, figures
