"""finwait-null: canned segments in lockstep, over veth and with no TCP; bad input."""
import json
import os
import subprocess

import pytest

from conftest import program

BAD_INPUT = (
    ((), ("--link", "packet:veth0")),
    (("--link", "lo"), ('"lo"', "packet:veth0")),
    (("--link", "packet:lo", "--role", "peer"), ("--role", "peer", "client")),
    (("--link", "packet:lo", "--address", "10.9.0"), ("--address", "10.9.0")),
    (("--link", "packet:lo", "--peer", "::1"), ("--peer", "::1")),
    (("--link", "packet:lo", "--cpus", "1-0"), ("1-0",)),
    (("--link", "packet:lo", "--in-flight", "0"), ("--in-flight", "0")),
    (("--link", "packet:lo", "--role", "client", "--in-flight", "1", "--cpus", "0-1"),
     ("--in-flight 1", "2 workers")),
    (("--link", "packet:lo", "--json", "/nowhere/at/all"), ("/nowhere/at/all",)),
)


@pytest.mark.parametrize("arguments, words", BAD_INPUT)
def test_bad_input_gets_one_line(arguments, words):
    done = subprocess.run([program("finwait-null"), *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


def test_a_link_that_is_not_there_is_named():
    done = subprocess.run([program("finwait-null"), "--link", "packet:nowhere0"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 3 and "nowhere0" in done.stderr


def test_seven_frames_a_connection_by_the_link_s_own_counters(tmp_path):
    path = tmp_path / "compare.json"
    done = subprocess.run(
        [program("finwait-lab"), "compare", "--client", "stack-packet", "--rows", "cell,null", "--pairs",
         "1", "--seconds", "0.3", "--memory-conns", "0", "--json", str(path)], capture_output=True,
        text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {cell["row"]: cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    null = cells["null"]
    assert null["error"] is None, done.stdout
    assert (null["client"], null["server"]) == ("null-packet", "null-packet")
    assert null["completed_per_sec"]["median"] > 1000 and null["failed"]["median"] == 0
    assert null["segments_per_conn"]["median"] == pytest.approx(7, abs=0.1)
    assert null["bytes_per_conn"]["median"] == pytest.approx(4 * 66 + 2 * 130 + 2 * 74 - 66, abs=15)
    assert null["client_time_wait"]["median"] == null["server_time_wait"]["median"] == 0


def test_each_frame_of_either_end_is_in_one_count_and_every_worker_has_its_share(tmp_path):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    listed = ",".join(str(cpu) for cpu in cpus)
    server, client = tmp_path / "server.json", tmp_path / "client.json"
    null = program("finwait-null")
    done = subprocess.run(
        [program("finwait-lab"), "pair", "--bare", "both",
         "--server", f"exec {null} --link packet:lab0 --cpus {listed} --json {server}",
         "--client", f"{null} --role client --link packet:lab0 --cpus {listed} --in-flight 33 --duration 1s "
                     f"--json {client}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    there, here = (json.loads(path.read_text(encoding="utf-8")) for path in (server, client))
    assert here["sums_hold"] and there["sums_hold"], (here, there)
    assert here["frames_awaited"] == sum(here[f"frames_{end}"] for end in
                                         ("arrived", "late", "lost", "in_flight"))
    assert here["attempted"] == here["completed"] + here["failed"] + here["open_at_end"]
    assert here["open_at_end"] == 33
    assert len(here["completed_per_sec_by_worker"]) == len(cpus)
    assert all(rate > 100 for rate in here["completed_per_sec_by_worker"]), here
    # Nothing is lost on a cable in memory: what one end has sent the other has received.
    assert there["frames_received"] == here["frames_sent"], (here, there)
    assert here["frames_received"] <= there["frames_sent"] <= here["frames_received"] + 33


def test_xdp_takes_one_worker_and_says_so():
    done = subprocess.run(
        [program("finwait-lab"), "pair", "--bare", "both", "--server",
         f"{program('finwait-null')} --link xdp:lab0 --cpus 0,1", "--client", "true"],
        capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "xdp" in done.stderr and "worker" in done.stderr, done.stderr
