"""The lab: private namespaces that leave nothing behind, and the demo's table.

The demo is tested with stand-ins for the two programs, whose numbers are known.
"""
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import ROOT, program, release_program
from harness import processes_with, wait_until

STANDINS = Path(__file__).resolve().parent / "standins"


@pytest.fixture(name="lab")
def fixture_lab():
    return program("finwait-lab")


def run(lab, *arguments, timeout=60):
    return subprocess.run([lab, *arguments], capture_output=True, text=True, timeout=timeout,
                          check=False)


def network_namespaces(pids=None):
    """The network namespaces that these processes, or any, are in or hold open."""
    found = set()
    for folder in [Path(f"/proc/{pid}") for pid in pids] if pids else Path("/proc").glob("[0-9]*"):
        try:
            for path in [folder / "ns" / "net", *(folder / "fd").iterdir()]:
                found.add(os.readlink(path))
        except OSError:
            pass  # the process has ended meanwhile
    return {name for name in found if name.startswith("net:")}


def links():
    """The links of our own network namespace."""
    lines = Path("/proc/thread-self/net/dev").read_text(encoding="ascii").splitlines()
    return {line.split(":")[0].strip() for line in lines[2:]}


def test_run_gives_a_namespace_of_its_own_with_loopback_up(lab):
    done = run(lab, "run", "--", "sh", "-c",
               "readlink /proc/self/ns/net; cat /proc/net/dev; ip link")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] not in network_namespaces([os.getpid()])
    assert [line.split(":")[0].strip() for line in done.stdout.splitlines()[3:4]] == ["lo"]
    assert "LOOPBACK,UP" in done.stdout


def test_run_tunes_the_namespace_and_not_the_host(lab):
    sysctl = Path("/proc/sys/net/ipv4/tcp_max_tw_buckets")
    before = sysctl.read_text(encoding="ascii")
    done = run(lab, "run", "--tw-buckets", "123456", "--hash-entries", "2k", "--", "sh", "-c",
               f"cat {sysctl} /proc/sys/net/ipv4/tcp_ehash_entries")
    assert done.stdout.split() == ["123456", "2048"], done.stderr
    assert sysctl.read_text(encoding="ascii") == before


def test_run_ends_with_the_commands_code(lab):
    assert run(lab, "run", "--", "sh", "-c", "exit 7").returncode == 7
    assert run(lab, "run", "--", "sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_an_ordinary_user_may_make_namespaces(lab):
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() != 0:
        as_user = []
    if subprocess.run([*as_user, "unshare", "-rn", "true"], check=False).returncode != 0:
        pytest.skip("user namespaces are not allowed here")
    if subprocess.run([*as_user, "test", "-x", lab], check=False).returncode != 0:
        pytest.skip("another user cannot reach the build folder")
    done = subprocess.run([*as_user, lab, "run", "--", "ip", "link"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert "LOOPBACK,UP" in done.stdout, done.stderr


def test_bad_input_gets_one_line_and_code_2(lab):
    for arguments in (["nosuch"], ["run"], ["run", "--tw-buckets", "0", "--", "true"],
                      ["pair", "--server", "true"],
                      ["pair", "--bare", "left", "--server", "true", "--client", "true"], ["demo", "--duration", "90s"]):
        done = run(lab, *arguments)
        assert done.returncode == 2, arguments
        assert len(done.stderr.splitlines()) == 1, done.stderr


def test_a_command_that_cannot_be_run_is_named(lab):
    done = run(lab, "run", "--", "/nonexistent/program")
    assert done.returncode == 125
    assert "/nonexistent/program: cannot be run" in done.stderr


def test_pair_joins_client_and_server_by_veth(lab):
    done = run(lab, "pair", "--server", "socat TCP-LISTEN:7000,bind=10.9.0.1 SYSTEM:cat",
               "--client", "echo hello | nc -N -s 10.10.200.7 10.9.0.1 7000")
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_pair_ends_with_the_clients_code_and_ends_the_server(lab):
    mark = f"FINWAIT_TEST_MARK={os.getpid()}-{time.monotonic_ns()}"
    done = run(lab, "pair", "--server", f"{mark} socat TCP-LISTEN:7000,fork PIPE",
               "--client", "exit 9")
    assert done.returncode == 9, done.stderr
    wait_until(lambda: not processes_with(mark), "the server to be gone")


def test_pair_says_so_when_the_server_ends_before_it_listens(lab):
    done = run(lab, "pair", "--server", "exit 5", "--client", "true")
    assert done.returncode == 125
    assert "the server ended with code 5 before it listened" in done.stderr


def stack_server(*more):
    return " ".join([program("finwait-server"), "--engine", "stack", "--link", "packet:lab0", "--address",
                     "10.9.0.1/24", "--gateway", "10.9.0.2", "--listen", "10.9.0.1:7000", *more])


def test_pair_waits_for_a_stack_that_the_kernel_knows_nothing_of(lab):
    done = run(lab, "pair", "--bare", "server", "--server", f"sleep 0.5; exec {stack_server()}",
               "--client", "echo hello | nc -N -s 10.10.200.7 10.9.0.1 7000")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "hello"), done.stdout + done.stderr
    assert done.stderr.count("finwait-server: listening on 10.9.0.1:7000") == 1, done.stderr


def test_pair_runs_a_stack_at_both_ends(lab):
    client = [program("finwait-loadgen"), "--engine", "stack", "--link", "packet:lab0", "--address",
              "10.10.0.0/16", "--link-address", "10.9.0.2/24", "--target", "10.9.0.1:7000", "--count", "100"]
    done = run(lab, "pair", "--bare", "both", "--server", f"exec {stack_server()}", "--client", " ".join(client))
    assert done.returncode == 0, done.stdout + done.stderr


def test_pair_says_so_when_a_stack_does_not_come(lab):
    done = run(lab, "pair", "--bare", "server", "--wait", "300ms", "--server", "echo not yet >&2; sleep 60",
               "--client", "true")
    assert done.returncode == 125 and "not yet" in done.stderr and "does not listen" in done.stderr
    done = run(lab, "pair", "--bare", "server", "--server", "echo cannot >&2; exit 5", "--client", "true")
    assert done.returncode == 125 and "cannot" in done.stderr
    assert "the server ended with code 5 before it listened" in done.stderr


def start_pair(lab, mark):
    """A pair whose server and client have children that would outlive their parents."""
    environment = dict(os.environ, FINWAIT_TEST_MARK=mark)
    process = subprocess.Popen(
        [lab, "pair", "--server", "setsid sleep 300 & socat TCP-LISTEN:7000,fork PIPE",
         "--client", "setsid sleep 300 & (sleep 300; true)"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # The lab and its keeper, two shells, socat, three sleeps and a subshell.
    wait_until(lambda: len(processes_with(mark)) >= 8, "all of the pair's processes")
    return process


@pytest.mark.parametrize("victim", ["parent", "keeper"])
def test_sigkill_leaves_no_process_no_namespace_and_no_link(lab, victim):
    mark = f"kill-{os.getpid()}-{time.monotonic_ns()}"
    own, links_before = network_namespaces([os.getpid()]), links()
    process = start_pair(lab, mark)
    made = network_namespaces(processes_with(mark)) - own
    assert len(made) == 3, "the holder, the client's and the server's"
    pid = process.pid
    if victim == "keeper":
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        assert len(children) == 1
        pid = int(children[0])
    os.kill(pid, signal.SIGKILL)
    code = process.wait(timeout=60)
    assert code in (-signal.SIGKILL, 128 + signal.SIGKILL)
    wait_until(lambda: not processes_with(mark), "all of the pair's processes to be gone")
    wait_until(lambda: not network_namespaces() & made, "the pair's namespaces to be gone")
    assert links() == links_before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command_and_ends_all(lab, number):
    mark = f"stop-{os.getpid()}-{time.monotonic_ns()}"
    process = start_pair(lab, mark)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    wait_until(lambda: not processes_with(mark), "all of the pair's processes to be gone")


def demo_rows(text):
    """The table's lines as lists of words, by (engine, close)."""
    rows = [line.split() for line in text.splitlines() if re.match(r"(kernel-uring|kernel-epoll|stack-packet)  +\w+/", line)]
    return {(row[0], row[1]): row[2:] for row in rows}


def test_the_demo_shows_what_the_reports_and_the_kernel_say(lab):
    done = run(lab, "demo", "--bin-dir", str(STANDINS), "--duration", "100ms")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = {"client/fin": "50+0", "client/rst": "0+0", "server/fin": "0+50"}
    rows = demo_rows(done.stdout)
    assert len(rows) == 9
    for (_, close), row in rows.items():
        time_wait = measured[close]
        assert row == ["1234", "41/1235/9877", "41/1235/9877", "40/33/-", "0", time_wait, time_wait]
    assert "engine epoll was asked" in done.stdout


def test_the_demo_prints_a_progress_line_a_second(lab):
    done = run(lab, "demo", "--bin-dir", str(STANDINS), "--duration", "1200ms")
    lines = re.findall(r"^ *(\d+) s  ([\w-]+) +(\S+) +(?:\d+ connections/s +(\d+) TIME_WAIT|\d+ packets/s)$",
                       done.stdout, re.M)
    # A busy machine may stretch a row to several seconds; then it has as many lines.
    seconds = [int(second) for second, _, _, _ in lines]
    assert all(later > earlier for earlier, later in zip(seconds, seconds[1:])), lines
    last = {(engine, close): count for _, engine, close, count in lines}
    assert list(last) == [(engine, close) for engine in ("kernel-uring", "kernel-epoll", "stack-packet")
                          for close in ("client/fin", "client/rst", "server/fin")]
    # The kernel knows nothing of a stack's connections: packets are counted there.
    assert list(last.values()) == ["50", "0", "50"] * 2 + [""] * 3


def test_the_demo_says_what_a_program_that_failed_said_last(lab, tmp_path):
    for name, text in (("finwait-server", "echo first; echo no ring here >&2; exit 3"),
                       ("finwait-loadgen", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="ascii")
        (tmp_path / name).chmod(0o755)
    done = run(lab, "demo", "--bin-dir", str(tmp_path), "--duration", "100ms")
    assert done.returncode == 4
    assert "finwait-server ended with code 3: no ring here" in done.stdout


def test_time_wait_is_kept_from_resets_at_both_ends(lab, tmp_path):
    """Or what a busy machine has the kernel send twice would take some away before they are counted."""
    server = tmp_path / "finwait-server"
    server.write_text("#!/bin/sh\necho kernel $(cat /proc/sys/net/ipv4/tcp_rfc1337)"
                      " stack $(echo $* | grep -c -e --rfc1337) >&2; exit 3\n", encoding="ascii")
    server.chmod(0o755)
    (tmp_path / "finwait-loadgen").symlink_to(server)
    done = run(lab, "demo", "--bin-dir", str(tmp_path), "--duration", "100ms")
    said = re.findall(r"ended with code 3: (kernel \d stack \d)", done.stdout)
    assert said == ["kernel 1 stack 0"] * 6 + ["kernel 1 stack 1"] * 3, done.stdout


def test_ctrl_c_ends_the_demo_with_the_rows_that_were_made(lab):
    mark = f"demo-{os.getpid()}-{time.monotonic_ns()}"
    process = subprocess.Popen(
        [lab, "demo", "--bin-dir", str(STANDINS), "--duration", "1200ms"], text=True,
        env=dict(os.environ, FINWAIT_TEST_MARK=mark), stdout=subprocess.PIPE)
    while "client/rst" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert ("kernel-uring", "client/fin") in demo_rows(rest) and "rows are missing" in rest
    wait_until(lambda: not processes_with(mark), "all of the demo's processes to be gone")


def test_bench_demo_shows_both_engines_without_a_network():
    release_program("finwait-server")  # built by tests/run, so that the demo builds nothing
    done = subprocess.run([ROOT / "bench" / "demo", "--no-install", "--", "--duration", "300ms"],
                          capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = demo_rows(done.stdout)
    assert len(rows) == 9
    for (engine, close), row in rows.items():
        rate, _, _, _, failed, time_wait, expected = row
        assert int(rate) > 0 and failed == "0", (engine, close, row)
        assert time_wait == expected, (engine, close, row)
        client, server = (int(side) for side in time_wait.split("+"))
        assert (client > 0, server > 0) == (close == "client/fin", close == "server/fin")
