"""finwait-stat --netns: another namespace than one's own, by path, process and name."""
import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import program
from harness import wait_until

STAT = program("finwait-stat")
PORT = 17341


@pytest.fixture(name="holder")
def fixture_holder(stage):
    """A process in a namespace of its own, in which it listens; the test's namespace has nothing."""
    code = f"import socket,time; s=socket.create_server(('127.0.0.1',{PORT})); time.sleep(600)"
    process = stage.spawn("unshare", "-n", "sh", "-c",
                          'ip link set lo up && exec /usr/bin/python3 -c "$1"', "sh", code)
    wait_until(lambda: listeners(stage, str(process.pid)) == 1, "a listener in the namespace")
    return process


def listeners(stage, netns):
    done = stage.run(STAT, "--once", "--json", "-", *(["--netns", netns] if netns else []))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["total"]["listen"]


def test_by_process_and_by_path(stage, holder):
    assert listeners(stage, None) == 0
    assert listeners(stage, str(holder.pid)) == 1
    assert listeners(stage, f"/proc/{holder.pid}/ns/net") == 1


def test_by_the_name_of_ip_netns(stage):
    name = f"finwait-test-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("ip netns cannot make a namespace here")
    try:
        assert listeners(stage, name) == 0
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=True)


def test_ticks_and_listeners_are_the_namespace_s_too(stage, holder):
    done = stage.run(STAT, "--netns", holder.pid, "--interval", "50ms", "--count", "2",
                     "--view", "live")
    assert done.returncode == 0, done.stderr
    assert f"127.0.0.1:{PORT}" in done.stdout


def test_metrics_are_answered_where_the_program_was_started(stage, holder):
    stage.spawn(STAT, "--netns", holder.pid, "--interval", "100ms", "--metrics", "127.0.0.1:9464",
                "--view", "lines")

    def scrape():
        try:
            with socket.create_connection(("127.0.0.1", 9464), 5) as sock:
                sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        except OSError:
            return ""
    wait_until(lambda: 'finwait_tcp_connections{state="listen",family="ipv4"} 1\n' in scrape(),
               "the other namespace's listener")


def unprivileged(*command):
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *map(str, command)]


def is_elsewhere(pid, name):
    """Whether a process has become a program in another network namespace; False once it is gone."""
    try:
        return Path(os.readlink(f"/proc/{pid}/exe")).name == name and \
            os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/thread-self/ns/net")
    except OSError:
        return False


def test_an_ordinary_user_may_watch_the_namespaces_that_it_made(stage):
    process = stage.spawn(*unprivileged("unshare", "-Urn", "sleep", "600"))
    wait_until(lambda: process.ended or is_elsewhere(process.pid, "sleep"), "a namespace")
    if process.ended:
        pytest.skip(f"an ordinary user can make no user namespace here: {process.stderr.strip()}")
    done = stage.run(*unprivileged(STAT, "--netns", process.pid, "--once"))
    assert done.returncode == 0, done.stderr
    assert "LISTEN" in done.stdout


def test_without_rights_one_line_names_what_is_missing(stage, holder):
    done = stage.run(*unprivileged(STAT, "--netns", holder.pid, "--once"))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "CAP_SYS_" in done.stderr and "run as root" in done.stderr


@pytest.mark.parametrize("netns, words", [
    ("no-such-name", "no such namespace"),
    ("/no/such/path", "No such file"),
    ("4194305", "no process"),
    ("/dev/null", "no network namespace"),
    ("/proc/self/ns/mnt", "no network namespace"),
    ("", "empty"),
])
def test_a_namespace_that_is_not_there_is_exit_code_2(stage, netns, words):
    for arguments in (["--once"], ["--count", "1"]):
        done = stage.run(STAT, "--netns", netns, *arguments)
        assert done.returncode == 2, done.stderr
        assert done.stdout == "" and done.stderr.count("\n") == 1
        assert words in done.stderr
