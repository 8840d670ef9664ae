"""finwait-stat's filters: by address, state, process and cgroup, and those that nothing can pass."""
import csv
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from conftest import program
from harness import wait_until

STAT = program("finwait-stat")
PORT = 17371
FAMILIES = (("127.0.0.1", socket.AF_INET), ("127.0.0.2", socket.AF_INET), ("::1", socket.AF_INET6))
CONNECTIONS = {"127.0.0.1": 2, "127.0.0.2": 3, "::1": 4}

# Connects, says so, and closes as told: a connection for each line of its input.
CLIENT = f"""
import socket, sys
open_ones = []
for line in sys.stdin:
    word = line.strip()
    if word == "open":
        open_ones.append(socket.create_connection(("127.0.0.1", {PORT})))
    else:
        open_ones.pop().close()
    print(word, flush=True)
"""


def listen(stage, address, family):
    listener = stage.also_close(socket.socket(family))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, PORT))
    listener.listen(64)
    return listener


@pytest.fixture(name="crowd")
def make_crowd(stage):
    """A listener and connections for each address, in this process."""
    for address, family in FAMILIES:
        listener = listen(stage, address, family)
        for _ in range(CONNECTIONS[address]):
            stage.also_close(socket.create_connection((address, PORT)))
            stage.also_close(listener.accept()[0])
    return stage


def once(stage, *arguments):
    done = stage.run(STAT, "--once", "--port", PORT, "--json", "-", *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    return {state: count for state, count in document["total"].items() if count}


@pytest.mark.parametrize("method", ["procfs", "sock_diag", "bpf"])
def test_addresses_prefixes_and_ranges_pass_what_they_name(crowd, method):
    probe = crowd.run(STAT, "--once", "--method", method)
    if probe.returncode != 0:
        pytest.skip(probe.stderr)

    def count(*arguments):
        return once(crowd, "--method", method, *arguments)

    assert count() == {"listen": 3, "established": 18}
    assert count("--address", "127.0.0.2") == {"listen": 1, "established": 6}
    assert count("--address", "127.0.0.0/8") == {"listen": 2, "established": 10}
    assert count("--address", "127.0.0.2-127.0.0.9", "--address", "::/64") == \
        {"listen": 2, "established": 14}
    # Clients of 127.0.0.2 have it at both ends: the kernel connects from where it connects to.
    assert count("--local-address", "127.0.0.2", "--local-port", PORT) == \
        {"listen": 1, "established": 3}
    assert count("--remote-address", "::1", "--state", "ESTABLISHED") == {"established": 8}
    assert count("--state", "listen") == {"listen": 3}
    assert count("--address", "10.0.0.0/8") == {}


def start_client(stage):
    client = subprocess.Popen([sys.executable, "-c", CLIENT], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    stage.also_close(client.stdin)
    stage.also_close(client.stdout)

    def tell(word, times=1):
        for _ in range(times):
            client.stdin.write(word + "\n")
            client.stdin.flush()
            assert client.stdout.readline() == word + "\n"

    client.tell = tell
    return client


@pytest.mark.parametrize("method", ["auto", "procfs"])
def test_a_process_and_a_cgroup_are_counted_alone(stage, method):
    listener = listen(stage, "127.0.0.1", socket.AF_INET)
    client = start_client(stage)
    client.tell("open", 3)
    for _ in range(3):
        stage.also_close(listener.accept()[0])
    assert once(stage, "--pid", client.pid, "--method", method) == {"established": 3}
    assert once(stage, "--pid", os.getpid(), "--method", method) == {"listen": 1, "established": 3}
    everything = stage.run(STAT, "--once", "--cgroup", "/", "--method", method, "--json", "-")
    if everything.returncode == 0:
        total = json.loads(everything.stdout)["total"]
        assert total["listen"] >= 1 and total["established"] >= 6
    else:
        assert everything.returncode == 3 and "version 2" in everything.stderr
    client.stdin.close()
    assert client.wait(60) == 0


def watch(stage, *arguments):
    paths = {kind: stage.folder / f"watched.{kind}" for kind in ("csv", "json", "rec")}
    process = stage.spawn(STAT, "--interval", "50ms", "--budget", "100%", "--view", "lines",
                          "--csv", paths["csv"], "--json", paths["json"], "--record", paths["rec"],
                          *arguments)
    wait_until(lambda: paths["rec"].exists() and paths["rec"].read_bytes().count(b"\n") > 3,
               "ticks")
    return process, paths


def end(process):
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


def test_json_csv_and_recording_have_transitions_times_owners_and_notes(stage):
    listener = listen(stage, "127.0.0.1", socket.AF_INET)
    process, paths = watch(stage, "--port", PORT, "--by", "pid", "--top", "3")
    client = start_client(stage)
    client.tell("open", 12)
    servers = [stage.also_close(listener.accept()[0]) for _ in range(12)]
    client.tell("close", 5)
    for server in servers[-5:]:  # its last ones were the first to go
        assert server.recv(1) == b""
        server.close()

    def is_told():  # a walk may have come while the client was still opening
        whole = paths["rec"].read_text().splitlines(keepends=True)[1:]
        ticks = [json.loads(line) for line in whole if line.endswith("\n")]
        # Who made a TIME_WAIT is known by the transitions only.
        made = 5 if ticks and "transitions" in ticks[-1] else 0
        rows = [row for tick in ticks for row in tick.get("owners", {}).get("rows", [])
                if f"({client.pid})" in row["name"] and row["time_wait_made"] == made]
        return rows and rows[-1]["states"].get("established") == 7
    wait_until(is_told, "a walk that finds all that the client holds")
    end(process)
    client.stdin.close()
    assert client.wait(60) == 0

    document = json.loads(paths["json"].read_text())
    if "transitions" not in document:
        assert "transitions" in document["passed_over"]
        pytest.skip(document["passed_over"])
    matrix = document["transitions"]["matrix"]
    assert matrix["none>syn_sent"] == matrix["none>syn_received"] == 12
    assert matrix["established>fin_wait_1"] == matrix["established>close_wait"] == 5
    lasted = document["transitions"]["lasted"]
    assert lasted["syn_sent"]["count"] == 12 and lasted["close_wait"]["count"] == 5
    assert 0 < lasted["close_wait"]["p50_ns"] <= lasted["close_wait"]["max_ns"]
    assert sum(lasted["close_wait"]["below_2^n_ns"].values()) == 5
    assert document["ticks"][-1]["steps"] == matrix
    assert document["by"] == "pid"
    row = next(row for row in document["owners"]["rows"] if f"({client.pid})" in row["name"])
    assert row["states"]["established"] == 7 and row["time_wait_made"] == 5
    assert row["oldest_ns"]["established"] > 0
    assert document["walk_cpu_ns"] > 0 and isinstance(document["notes"], list)

    with open(paths["csv"], newline="", encoding="ascii") as file:
        last = list(csv.DictReader(file))[-1]
    assert last["step_established_to_close_wait"] == "5" and last["step_other"] == "0"
    assert last["lasted_close_wait_count"] == "5" and float(last["lasted_close_wait_p99_sec"]) > 0
    assert int(last["peak_established"]) >= int(last["state_established"]) == 14
    owners = [last[f"owner_{i}"] for i in (1, 2, 3)]
    assert f"({client.pid})" in "".join(owners) and "owner_4" not in last


def test_transitions_of_one_process_are_its_own(stage):
    listener = listen(stage, "127.0.0.1", socket.AF_INET)
    client = start_client(stage)
    process, paths = watch(stage, "--pid", client.pid)
    client.tell("open", 6)
    for _ in range(6):
        stage.also_close(listener.accept()[0])
    for _ in range(4):  # ours, which are not asked for
        stage.also_close(socket.create_connection(("127.0.0.1", PORT)))
        stage.also_close(listener.accept()[0])
    client.tell("close", 2)
    def is_seen():
        rows = [json.loads(line) for line in paths["rec"].read_text().splitlines()[1:]]
        censuses = [row["census"]["total"] for row in rows if "census" in row]
        return censuses[-1].get("established") == 4
    wait_until(is_seen, "four connections in the census")
    end(process)
    client.stdin.close()
    assert client.wait(60) == 0
    document = json.loads(paths["json"].read_text())
    assert document["census_method"].startswith("owners by ")
    if "transitions" in document:
        matrix = document["transitions"]["matrix"]
        assert matrix["none>syn_sent"] == 6 and "none>syn_received" not in matrix
        assert matrix["established>fin_wait_1"] == 2


def test_a_warning_stands_in_every_output(stage):
    listener = stage.also_close(socket.socket())
    listener.bind(("127.0.0.1", PORT))
    listener.listen(1)
    process, paths = watch(stage, "--port", PORT)
    waiting = [stage.also_close(socket.create_connection(("127.0.0.1", PORT))) for _ in range(2)]
    assert len(waiting) == 2
    words = "the accept queue is full"
    wait_until(lambda: words in process.stderr, "the warning among the lines")
    end(process)
    assert process.stderr.count(words) == 1
    document = json.loads(paths["json"].read_text())
    note = next(note for note in document["notes"] if words in note["text"])
    assert 0 < note["first_sec"] <= note["last_sec"] and note["ticks"] > 0
    with open(paths["csv"], newline="", encoding="ascii") as file:
        assert words in list(csv.DictReader(file))[-1]["notes"]
    assert words in paths["rec"].read_text()


@pytest.mark.parametrize("arguments, word", [
    (["--address", "10.0.0.256"], "10.0.0.256"),
    (["--local-address", "10.0.0.0/33"], "33"),
    (["--remote-address", "localhost"], "localhost"),
    (["--address", *[word for i in range(33) for word in (f"10.0.0.{i}", "--address")][:-1]], "at most 32"),
    (["--state", "open"], "open"),
    (["--state", "closed"], "lists no such sockets"),
    (["--pid", "0"], "--pid"),
    (["--pid", "4194304"], "no process"),
    (["--pid", "nginx"], "nginx"),
    (["--cgroup", "/no/such"], "/no/such"),
    (["--local-address", "127.0.0.1", "--remote-address", "::1"], "family"),
    (["--address", "::1", "--local-address", "10.0.0.0/8"], "family"),
    (["--address", "10.1.0.0/16", "--local-address", "10.2.0.0/16", "--remote-address", "10.3.0.0/16"],
     "no socket can pass"),
    (["--port", "80", "--local-port", "81", "--remote-port", "82"], "no socket can pass"),
    (["--state", "listen", "--remote-port", "80"], "--remote-port 80"),
    (["--pid", str(os.getpid()), "--method", "sock_diag"], "sock_diag"),
    (["--replay", "x", "--pid", "1"], "filters"),
])
def test_a_filter_that_nothing_can_pass_is_bad_input(stage, arguments, word):
    done = stage.run(STAT, *arguments, "--count", "1")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and word in done.stderr
    assert done.stdout == ""
