"""finwait-stat --by: whose the sockets are, and the exact transitions where BPF may be used."""
import json
import os
import socket
import time

import pytest
from conftest import program

STAT = program("finwait-stat")
PORT = 17351


def record(stage, *arguments, count=4):
    path = stage.folder / "run.rec"
    path.unlink(missing_ok=True)
    done = stage.run(STAT, "--interval", "100ms", "--count", count, "--budget", "100%",
                     "--record", path, "--view", "lines", *arguments)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return lines[0], [line for line in lines if "tick" in line]


def pair(stage, listener):
    client = stage.also_close(socket.create_connection(("127.0.0.1", PORT)))
    server, _ = listener.accept()
    return client, stage.also_close(server)


def listen(stage):
    listener = stage.also_close(socket.socket())
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", PORT))
    listener.listen(64)
    return listener


@pytest.mark.parametrize("key, name", [
    ("pid", f"({os.getpid()})"), ("remote", "127.0.0.1"), ("local-port", f"port {PORT}")])
def test_sockets_are_grouped_by_what_was_asked_for(stage, key, name):
    listener = listen(stage)
    for _ in range(5):
        pair(stage, listener)
    head, ticks = record(stage, "--by", key)
    assert head["by"] == key
    row = next(row for row in ticks[-1]["owners"]["rows"] if name in row["name"])
    assert row["states"]["established"] == (5 if key == "local-port" else 10)


def test_top_cuts_the_rows_and_counts_the_rest(stage):
    listener = listen(stage)
    for _ in range(5):
        pair(stage, listener)
    owners = record(stage, "--by", "local-port", "--top", "2")[1][-1]["owners"]
    assert len(owners["rows"]) == 2 and owners["left_out"] == 4


def test_without_by_nobody_is_looked_for(stage):
    head, ticks = record(stage, "--by", "none")
    assert head["by"] == "none" or head["by"] == ""
    assert "owners" not in ticks[-1]


def test_every_transition_is_counted_or_it_is_said_why_not(stage):
    listener = listen(stage)
    process = stage.spawn(STAT, "--interval", "50ms", "--record", stage.folder / "t.rec",
                          "--view", "lines", "--local-port", PORT)
    path = stage.folder / "t.rec"
    while not path.exists() or path.read_bytes().count(b"\n") < 3:
        time.sleep(0.01)
    for _ in range(20):
        client, server = pair(stage, listener)
        client.close()
        assert server.recv(1) == b""
        server.close()
    time.sleep(0.3)
    process.signal(15)
    assert process.wait() == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    last = [line for line in lines if "tick" in line][-1]
    if "transitions" not in last:
        assert lines[0]["missing"] != ""
        return
    matrix = last["transitions"]["matrix"]
    assert matrix["established>close_wait"] == matrix["close_wait>last_ack"] == 20


def test_a_close_wait_that_grows_is_named_with_its_owner(stage):
    listener = listen(stage)
    process = stage.spawn(STAT, "--interval", "200ms", "--budget", "100%", "--by", "pid",
                          "--record", stage.folder / "g.rec", "--view", "lines")
    deadline = time.monotonic() + 30
    path = stage.folder / "g.rec"
    while not path.exists() or b"CLOSE_WAIT grows" not in path.read_bytes():
        assert time.monotonic() < deadline and not process.ended, process.stderr
        pair(stage, listener)[0].close()
        time.sleep(0.02)
    process.signal(15)
    assert process.wait() == 0
    assert f"({os.getpid()}) holds" in path.read_text()


@pytest.mark.parametrize("arguments, word", [
    (["--by", "owner"], "owner"), (["--top", "0"], "--top"), (["--top", "65"], "--top")])
def test_bad_input_gets_one_line_and_exit_code_2(stage, arguments, word):
    done = stage.run(STAT, *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and word in done.stderr
