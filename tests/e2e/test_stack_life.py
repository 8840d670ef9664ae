"""The stack's programs from start to end: lingering, signals, peers that die, what is refused, the
local socket, and rights."""
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from cable import CLIENT, SERVER, Cable, enter, ip
from conftest import program
from harness import limit_codes, wait_until
from terminal import Terminal


@pytest.fixture
def cable(stage):
    return Cable(stage)


def refused(cable, name, *arguments, where=None):
    """Runs a program that has to refuse; returns its one line."""
    command = [program(name), "--engine", "stack", "--cpus", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                          preexec_fn=where)
    assert done.returncode == 2, (command, done.returncode, done.stderr)
    assert done.stderr.startswith(f"{name}: ") and done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
    return done.stderr


LINK = ("--link", "packet:veth0")
GOOD = (*LINK, "--address", f"{CLIENT}/24")


@pytest.mark.parametrize("arguments,part", (
    (("--link", "packet:nowhere0", "--address", f"{CLIENT}/24"), "nowhere0"),
    ((*LINK, "--address", "fd00::2/64"), "IPv4 only"),
    ((*LINK, "--address", f"{CLIENT}/40"), "1 to 32"),
    ((*GOOD, "--mac", "02:00:00:00:00"), "--mac 02:00:00:00:00"),
    ((*GOOD, "--mac", "01:00:5e:00:00:01"), "unicast"),
    ((*GOOD, "--listen", "[::1]:7000"), "IPv4 only"),
    ((*GOOD, "--listen", f"{SERVER}:7000"), f"{SERVER}:7000"),
    ((*GOOD, "--fastopen"), "--fastopen"),
    (("--link", "xdp:veth0", "--address", f"{CLIENT}/24", "--link-v3"), "--link-v3"),
    ((*LINK, "--address", "10.10.0.0/16", "--link-address", "fd00::2/64"), "IPv4 only"),
    ((*GOOD, "--pcap", "/nowhere/at/all"), "/nowhere/at/all"),
))
def test_the_server_refuses_in_one_line(cable, arguments, part):
    assert part in refused(cable, "finwait-server", *arguments)


def test_an_address_of_the_kernels_is_refused(cable):
    ip("addr", "add", f"{CLIENT}/24", "dev", "veth0")
    for name, more in (("finwait-server", ()), ("finwait-loadgen", ("--target", f"{SERVER}:7000"))):
        assert "kernel's own" in refused(cable, name, *GOOD, *more)


def test_a_small_mtu_an_interface_that_is_down_and_no_right_are_refused(cable):
    ip("link", "set", "veth0", "mtu", "500")
    assert "MTU is 500" in refused(cable, "finwait-server", *GOOD)
    ip("link", "set", "veth0", "mtu", "1500", "down")
    assert "is down" in refused(cable, "finwait-server", *GOOD)
    ip("link", "set", "veth0", "up")
    assert "CAP_NET_RAW" in refused(cable, "finwait-server", *GOOD, where=lambda: os.setuid(65534))


@pytest.mark.parametrize("name,option", (
    ("finwait-server", "--stack-socket"), ("finwait-server", "--json"),
    ("finwait-loadgen", "--stack-socket"), ("finwait-loadgen", "--json"),
    ("finwait-loadgen", "--hgrm"),
))
def test_what_only_rights_could_write_is_refused_and_nothing_is_left(cable, tmp_path, name, option):
    """The programs give their rights up, and could neither write nor remove it at the end."""
    folder = tmp_path / "another-users"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    path = folder / "file"
    more = ("--target", f"{SERVER}:7000", "--count", "1") if name == "finwait-loadgen" else ()
    text = refused(cable, name, *GOOD, option, str(path), *more)
    assert f"{option} {path}" in text and "Permission denied" in text
    assert list(folder.iterdir()) == []


def test_two_stacks_on_one_address_are_refused_on_either_side(cable):
    server = cable.server("stack")
    address = ("--address", f"{SERVER}/24")
    assert "another stack" in refused(cable, "finwait-server", "--link", "packet:veth1", *address,
                                      where=lambda: enter(cable.netns))
    assert "has it" in refused(cable, "finwait-server", *LINK, *address)
    server.stop()


def test_lingering_ends_when_time_wait_has_drained(cable):
    server = cable.server("stack")
    result = cable.loadgen("stack", "--count", "50", "--time-wait", "1s", "--linger-time-wait")
    run = result["counters"]["stack_run"]
    assert run["time_wait_abandoned"] == run["closing_abandoned"] == 0
    assert run["lingering_ns"] >= 900_000_000
    assert result["time_wait"]["measured"] == result["time_wait"]["expected"] == 0
    assert result["counters"]["stack"]["time_wait_started"] == 50
    assert "time-wait-abandoned" not in limit_codes(result)
    server.stop()


@pytest.mark.parametrize("closer", ("client", "server"))
def test_without_time_wait_none_is_left(cable, closer):
    """Both ends have 2MSL 0; what is left is counted as the last connection has just ended."""
    server = cable.server("stack", "--time-wait", "0",
                          *(("--closes-after", "64B") if closer == "server" else ()))
    result = cable.loadgen("stack", "--count", "300", "--in-flight", "32", "--closer", closer,
                           "--time-wait", "0")
    assert result["completed"] == 300 and result["failed"] == 0
    assert [check for check in result["checks"] if check["ok"] is False] == []
    for report in (result, server.stop()):
        assert report["time_wait"]["measured"] == report["time_wait"]["peak"] == 0
        assert report["counters"]["stack_run"]["time_wait_abandoned"] == 0
        assert "time-wait-abandoned" not in limit_codes(report)
        closed_here = report["program"] == f"finwait-{'loadgen' if closer == 'client' else 'server'}"
        assert report["counters"]["stack"]["time_wait_started"] == (300 if closed_here else 0)


@pytest.mark.parametrize("option", ((), ("--rfc1337",)))
def test_a_reset_ends_a_time_wait_unless_rfc_1337_is_asked_for(cable, option):
    """A FIN that comes twice is acknowledged twice, and the client, which is done, answers the second
    ACK by a reset."""
    server = cable.server("stack", "--closes-after", "64B", "--faults", "duplication=100%", *option)
    completed = cable.loadgen("stack", "--count", "40", "--closer", "server")["completed"]
    result = server.stop()
    counters = result["counters"]["stack"]
    assert counters["time_wait_started"] == completed == 40
    if option:
        assert counters["time_wait_reset"] == 0 and counters["resets_ignored"] > 0
        assert result["counters"]["stack_run"]["time_wait_abandoned"] == 40
    else:
        assert counters["time_wait_reset"] > 0


def test_a_signal_ends_lingering_and_the_report_says_what_was_abandoned(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--count", "50", "--linger-time-wait")
    wait_until(lambda: "in flight 0" in run.stderr and "TIME_WAIT 50" in run.stderr, "lingering")
    run.signal(signal.SIGINT)
    result = run.finish()
    assert result["verdict"]["valid"] and result["completed"] == 50
    assert result["counters"]["stack_run"]["time_wait_abandoned"] == 50
    assert limit_codes(result) == ["time-wait-abandoned"]
    server.stop()


def test_a_server_lingers_after_its_first_signal_until_the_second(cable, tmp_path):
    path = tmp_path / "stack"
    server = cable.server("stack", "--closes-after", "64B", "--linger-time-wait", "--stack-socket",
                          str(path))
    cable.loadgen("stack", "--count", "40", "--closer", "server")
    server.signal(signal.SIGTERM)
    # It has stopped listening, and the stack is still there.
    wait_until(lambda: stat_total(path)["listen"] == 0, "the listener to go")
    assert stat_total(path)["time_wait"] == 40
    result = server.stop()
    assert result["counters"]["stack_run"]["time_wait_abandoned"] == 40
    assert result["verdict"]["valid"]


def test_a_server_whose_time_wait_is_over_ends_by_itself(cable):
    server = cable.server("stack", "--closes-after", "64B", "--linger-time-wait", "--time-wait",
                          "500ms")
    cable.loadgen("stack", "--count", "40", "--closer", "server")
    result = server.stop()
    assert result["counters"]["stack_run"]["time_wait_abandoned"] == 0
    assert result["counters"]["stack"]["time_wait_started"] == 40


def test_ctrl_c_stops_a_run_and_reports_it(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--duration", "60s", "--in-flight", "8")
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    run.signal(signal.SIGINT)
    result = run.finish(code=3)
    assert "interrupted" in limit_codes(result, "invalid")
    assert result["completed"] > 0 and result["failed"] == 0
    server.stop()


@pytest.mark.parametrize("other", ("stack", "epoll"))
def test_a_server_that_is_killed_fails_connections_and_no_more(cable, other):
    server = cable.server(other)
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "3s", "--timeout", "500ms")
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    server.kill()
    result = run.finish(code=4, may_be_late=True)
    assert result["completed"] > 0 and result["failed"] > 0
    codes = {name.rsplit("/", 1)[1] for name in result["errors"]}
    # The kernel refuses for a dead program; for a dead stack nobody does.
    assert codes <= {"ETIMEDOUT", "ECONNRESET", "ECONNREFUSED", "EHOSTUNREACH"}


def test_a_client_that_is_killed_leaves_a_server_that_serves_the_next(cable):
    server = cable.server("stack", "--idle-timeout", "1s")
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "60s", "--hold", "200ms")
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    run.kill()
    result = cable.loadgen("stack", "--count", "20")
    assert result["completed"] == 20 and result["failed"] == 0
    server.stop()


def test_rights_are_gone_once_the_links_are_open(cable):
    server = cable.server("stack", "--states")
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        status = (task / "status").read_text(encoding="ascii")
        for kind in ("CapPrm", "CapEff", "CapAmb"):
            held = [line for line in status.splitlines() if line.startswith(kind)]
            assert held == [f"{kind}:\t0000000000000000"], (task.name, held)
    server.stop()


def stat_lines(path, *arguments, code=0):
    done = subprocess.run([program("finwait-stat"), "--stack", str(path), *arguments],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def stat_total(path):
    """States by finwait-stat's first count."""
    text = stat_lines(path, "--count", "1", "--interval", "100ms", "--json", "-")
    return json.loads(text)["censuses"][0]["total"]


def test_finwait_stat_shows_a_running_stack(cable, tmp_path):
    path = tmp_path / "stack"
    server = cable.server("stack", "--stack-socket", str(path), "--closes-after", "64B")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    out = tmp_path / "stat.json"
    follower = cable.stage.spawn(program("finwait-stat"), "--stack", str(path), "--interval",
                                 "100ms", "--json", str(out), "--view", "lines")
    wait_until(lambda: "LISTEN" in follower.stdout, "a first line")
    cable.loadgen("stack", "--count", "30", "--closer", "server")
    wait_until(lambda: stat_total(path)["time_wait"] == 30, "the board to say so")
    wait_until(lambda: "TIME_WAIT" in follower.stdout, "the follower to see it")
    follower.signal(signal.SIGINT)
    assert follower.wait() == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    last = document["ticks"][-1]
    assert document["census_method"] == "stack"
    assert document["censuses"][-1]["total"]["listen"] == 1
    assert last["time_wait"] == last["time_wait_made"] == last["passive_opens"] == 30
    steps = document["transitions"]["matrix"]
    assert steps["none>syn_received"] == steps["syn_received>established"] == 30
    assert sum(count for step, count in steps.items() if step.endswith(">time_wait")) == 30
    server.stop()
    assert not path.exists()
    assert "nothing is there" in stat_lines(path, code=2)


def test_finwait_stat_ends_with_the_program_it_follows(cable, tmp_path):
    path = tmp_path / "stack"
    server = cable.server("stack", "--stack-socket", str(path))
    follower = cable.stage.spawn(program("finwait-stat"), "--stack", str(path), "--view", "lines",
                                 "--interval", "100ms")
    wait_until(lambda: follower.stdout.count("LISTEN") > 0, "a first line")
    server.stop()
    assert follower.wait() == 0


def test_a_stack_socket_replaces_only_what_nobody_listens_on(cable, tmp_path):
    path = tmp_path / "stack"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(path))
        other.listen()
        text = refused(cable, "finwait-server", *GOOD, "--stack-socket", str(path))
        assert "another program listens" in text and path.exists()
    server = cable.server("stack", "--stack-socket", str(path))  # it is stale now
    assert "LISTEN" in stat_lines(path, "--count", "1", "--view", "lines")
    server.stop()
    path.write_text("mine", encoding="ascii")
    assert "something else" in refused(cable, "finwait-server", *GOOD, "--stack-socket", str(path))
    assert path.read_text(encoding="ascii") == "mine"
    assert "not a socket" in stat_lines(path, code=2)
    assert "leave the filters out" in stat_lines(path, "--port", "7000", code=2)


def test_finwait_stat_counts_a_stack_once(cable, tmp_path):
    path, out = tmp_path / "stack", tmp_path / "once.json"
    server = cable.server("stack", "--stack-socket", str(path), "--closes-after", "64B")
    cable.loadgen("stack", "--count", "30", "--closer", "server")
    wait_until(lambda: stat_total(path)["time_wait"] == 30, "the board to say so")
    text = stat_lines(path, "--once", "--json", str(out))
    assert re.search(r"^TIME_WAIT +30 +0 +30$", text, re.M), text
    assert re.search(r"^LISTEN +1 +0 +1$", text, re.M), text
    assert "sockstat" not in text and "counted by stack" in text
    document = json.loads(out.read_text(encoding="utf-8"))
    assert document["total"]["time_wait"] == document["time_wait_live"] == 30
    assert "single count" in stat_lines(path, "--once", "--csv", "-", code=2)
    server.stop()


def test_a_recording_of_a_stack_replays_what_was_seen(cable, tmp_path):
    path, recording = tmp_path / "stack", tmp_path / "stack.rec"
    server = cable.server("stack", "--stack-socket", str(path), "--closes-after", "64B")
    cable.loadgen("stack", "--count", "30", "--closer", "server")
    wait_until(lambda: stat_total(path)["time_wait"] == 30, "the board to say so")
    common = ("--view", "lines", "--json")
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    stat_lines(path, "--count", "3", "--interval", "100ms", "--record", str(recording), *common,
               str(first))
    server.stop()
    done = subprocess.run([program("finwait-stat"), "--replay", str(recording), "--speed", "max",
                           *common, str(second)], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    seen, again = (json.loads(file.read_text(encoding="utf-8")) for file in (first, second))
    assert seen["census_method"] == again["census_method"] == "stack"
    for part in ("ticks", "censuses", "transitions", "time_wait"):
        assert seen[part] == again[part], part
    assert seen["time_wait"]["lifetime_is_told"]


def test_the_live_view_of_a_stack_fits_and_names_no_kernel(cable, tmp_path):
    path = tmp_path / "stack"
    server = cable.server("stack", "--stack-socket", str(path), "--closes-after", "64B")
    view = cable.stage.also_close(Terminal([program("finwait-stat"), "--stack", str(path),
                                            "--interval", "100ms"]))
    cable.loadgen("stack", "--count", "30", "--closer", "server")
    view.wait_for(lambda view: re.search(r"^TIME_WAIT +30 ", view.text, re.M), "30 TIME_WAIT")
    assert "finwait's stack" in view.lines[0] and "Linux" not in view.text
    assert "listen queues" not in view.text and "census: stack" in view.text
    assert "for 60.00 s (2MSL)" in view.text and "assumed" not in view.text
    view.type("q")
    assert view.wait() == 0 and view.is_restored
    assert "lifetime 60.00 s (2MSL)" in view.text
    server.stop()


def take_down_and_up(run, lines, what):
    """Takes the running generator's link down until it has said so many lines of progress. Returns how long
    that was, in seconds."""
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    down_at = time.monotonic()
    ip("link", "set", "veth0", "down")
    wait_until(lambda: run.stderr.count("conn/s") >= lines, what)
    ip("link", "set", "veth0", "up")
    return time.monotonic() - down_at


def test_an_interface_that_goes_down_and_up_delays_a_run_and_is_reported(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--rate", "100/s", "--duration", "3s", "--timeout", "20s")
    take_down_and_up(run, 2, "a second without a link")
    result = run.finish(may_be_late=True)
    assert result["completed"] == 300 and result["failed"] == 0, result["errors"]
    assert result["counters"]["link"]["interface_down"] > 0
    assert "link-down" in limit_codes(result, "note")
    server.stop()


@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("end", (("link", "set", "veth0", "down"), ("link", "del", "veth0")))
def test_a_generator_whose_own_link_ends_blames_it_and_not_the_target(cable, end, closer):
    server = cable.server("stack", *(("--closes-after", "64B") if closer == "server" else ()))
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "3s", "--timeout", "500ms",
                              "--closer", closer)
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    ip(*end)
    result = run.finish(code=3)
    assert result["completed"] > 0 and result["failed"] > 0
    assert "own-link" in limit_codes(result, "invalid")
    assert limit_codes(result, "target_failed") == []
    assert "INVALID" in run.stdout and "The target failed" not in run.stdout
    assert "link-down" in limit_codes(result, "note")
    server.kill()


def test_a_link_that_is_down_is_asked_again_only_now_and_then(cable):
    """More waits than the transmit ring holds, and yet 100 times a second is enough."""
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--rate", "1000/s", "--duration", "3s", "--timeout", "20s",
                              addresses=CLIENT)
    down_sec = take_down_and_up(run, 3, "two seconds without a link")
    result = run.finish(may_be_late=True)
    assert result["completed"] == 3000 and result["failed"] == 0, result["errors"]
    assert 0 < result["counters"]["link"]["interface_down"] <= 100 * down_sec + 5
    assert result["counters"]["transport"]["link_full"] > 0, "the ring had room for all"
    server.stop()


def test_an_mtu_that_is_lowered_during_a_run_is_named(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "3s", "--payload", "2kB",
                              "--timeout", "500ms")
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    ip("link", "set", "veth0", "mtu", "600")
    result = run.finish(code=4, may_be_late=True)
    assert result["counters"]["link"]["transmit_refused_bytes"] > 0
    assert "link-refused" in limit_codes(result, "note")
    server.stop()


def test_an_address_that_the_kernel_is_given_during_a_run_is_named(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "3s", "--timeout", "500ms",
                              addresses=CLIENT)
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    ip("addr", "add", f"{CLIENT}/24", "dev", "veth0")
    told = f"finwait-loadgen: warning: the kernel was given the stack's address {CLIENT}"
    wait_until(lambda: told in run.stderr, "a warning")
    assert not run.ended, "told only at the end"
    ip("addr", "del", f"{CLIENT}/24", "dev", "veth0")  # the report names it all the same
    run.wait(60)
    result = json.loads(Path(run.json_path).read_text(encoding="utf-8"))
    assert run.stderr.count("warning: ") == 1
    assert "address-taken" in limit_codes(result, "note")
    assert "address-taken" not in limit_codes(server.stop(), "note")
    assert "warning" not in server.stderr


def announce(interface, address):
    """Says by ARP, as a station does that was given the address, that it is ours."""
    mac, own = bytes.fromhex("020000000099"), socket.inet_aton(address)
    frame = (b"\xff" * 6 + mac + bytes.fromhex("0806" "0001080006040001") + mac + own + bytes(6) + own)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind((interface, 0))
        link.send(frame.ljust(60, b"\0"))


def test_an_address_that_another_station_takes_during_a_run_is_named(cable):
    server = cable.server("stack")
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "3s", addresses=CLIENT)
    wait_until(lambda: "conn/s" in run.stderr, "the first progress line")
    with cable.there():
        announce("veth1", CLIENT)
    wait_until(lambda: "warning: another station says" in run.stderr, "a warning")
    assert not run.ended, "told only at the end"
    with cable.there():
        announce("veth1", CLIENT)
    result = run.finish(may_be_late=True)
    assert result["completed"] == 600 and "address-conflict" in limit_codes(result, "note")
    assert result["counters"]["ether"]["arp_conflicts"] == 2
    assert run.stderr.count("warning: ") == 1
    server.stop()


def test_a_server_warns_when_another_has_its_address(cable):
    server = cable.server("stack")
    announce("veth0", SERVER)
    wait_until(lambda: "warning: another station says" in server.stderr, "a warning")
    with cable.there():
        ip("addr", "add", f"{SERVER}/24", "dev", "veth1")
    wait_until(lambda: f"the stack's address {SERVER}" in server.stderr, "another")
    codes = limit_codes(server.stop(), "note")
    assert "address-conflict" in codes and "address-taken" in codes
    assert server.stderr.count("finwait-server: warning: ") == 2
