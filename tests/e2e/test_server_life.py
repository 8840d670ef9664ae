"""finwait-server's life: listening, limits, time-outs, draining, reports."""
import json
import os
import select
import signal
import socket
import time

import pytest

from conftest import program
from harness import ENGINES, Process, first_cpu, limit_codes, receive, receive_all, wait_until
from kernel import Counters, count_states, read_sockets


def echo_once(client, data=b"hello"):
    client.sendall(data)
    assert receive(client, len(data)) == data


def accepted(server):
    """Connections that a process took over; those in the backlog have no inode yet."""
    return sum(entry.local_port == server.port and entry.state == "ESTABLISHED" and entry.inode != 0
               for entry in read_sockets(server.port))


@pytest.mark.parametrize("engine", ENGINES)
def test_several_addresses_of_both_families_are_served(stage, engine):
    server = stage.server(listen=("127.0.0.1:0", "[::1]:0", "127.0.0.5:0"), engine=engine)
    assert len(server.addresses) == 3
    for address in server.addresses:
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host.strip("[]"), int(port)), 60) as client:
            echo_once(client)
    assert server.stop()["completed"] == 3


@pytest.mark.parametrize("engine", ENGINES)
def test_an_address_in_use_is_one_line_and_exit_code_3(stage, engine):
    first = stage.server(engine=engine)
    second = stage.spawn(program("finwait-server"), "--listen", first.address, "--engine", engine)
    assert second.wait() == 3
    assert second.stderr.count("\n") == 1
    assert first.address in second.stderr and "listen" in second.stderr
    with first.connect() as client:
        echo_once(client)
    first.stop()


def test_two_servers_serve_side_by_side(stage):
    servers = [stage.server(engine=engine) for engine in ENGINES]
    runs = [stage.start_loadgen("--count", "100", "--sources", source, target=server.address)
            for server, source in zip(servers, ("127.0.1.1", "127.0.1.2"))]
    assert [run.finish()["completed"] for run in runs] == [100, 100]
    assert [server.stop()["completed"] for server in servers] == [100, 100]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_idle_connection_is_reset_and_a_busy_one_is_kept(stage, engine):
    server = stage.server("--idle-timeout", "2s", engine=engine)
    idle, busy = stage.connect(server), stage.connect(server)
    echo_once(idle)
    begin = time.monotonic()
    idle.setblocking(False)

    def is_reset():
        echo_once(busy)
        try:
            return idle.recv(1) == b"" and "fin"
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return "rst"
    assert wait_until(is_reset, "the idle connection's end") == "rst"
    assert time.monotonic() - begin >= 1.9
    echo_once(busy)
    busy.close()
    result = server.stop()
    assert result["counters"]["server"]["idle_timeouts"] == 1
    assert result["errors"] == {"idle/ETIMEDOUT": 1}
    assert (result["completed"], result["failed"]) == (1, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_beyond_conns_max_peers_wait_in_the_backlog_and_are_served_later(stage, engine):
    server = stage.server("--conns-max", "4", "--cpus", first_cpu(), engine=engine)
    clients = [stage.connect(server) for _ in range(10)]
    for client in clients:
        client.sendall(b"hello")
    wait_until(lambda: accepted(server) == 4, "4 accepted connections")
    served = clients[:4]
    for client in served:
        assert receive(client, 5) == b"hello"
    assert accepted(server) == 4
    for client in served:
        client.close()
    for client in clients[4:8]:
        assert receive(client, 5) == b"hello"
    for client in clients[4:]:
        client.shutdown(socket.SHUT_WR)
    for client in clients[8:]:
        assert receive_all(client) == b"hello"
    result = server.stop()
    assert (result["completed"], result["failed"], result["open_max"]) == (10, 0, 4)


def connect_from(stage, server, cpu):
    """A connection whose packets come in on this CPU, so that its worker gets it."""
    home = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    client = stage.connect(server)
    os.sched_setaffinity(0, home)
    client.sendall(b"hello")
    client.setblocking(False)
    return client


def is_served(client):
    """Whether its echo is there; a connection that waits for a place has none."""
    return select.select([client], [], [], 0)[0] != []


def finish(client):
    """Takes the echo and ends the connection in order."""
    client.setblocking(True)
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b"hello"
    client.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_conns_max_holds_for_all_workers_together(stage, engine):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    server = stage.server("--conns-max", "4", "--cpus", f"{cpus[0]},{cpus[1]}", engine=engine)
    first = [connect_from(stage, server, cpus[0]) for _ in range(6)]
    # Half of the places each would leave the third and fourth waiting.
    wait_until(lambda: sum(map(is_served, first)) == 4, "one worker to use all four places")
    served = [client for client in first if is_served(client)]
    other = [connect_from(stage, server, cpus[1]) for _ in range(2)]
    waiting = [client for client in first if client not in served] + other
    time_of_retries = time.monotonic() + 0.2
    wait_until(lambda: time.monotonic() > time_of_retries, "a few of the engines' retries")
    assert not any(map(is_served, waiting))
    for left in (3, 2, 1, 0):
        finish(served.pop())
        wait_until(lambda left=left: len([c for c in waiting if not is_served(c)]) == left,
                   "exactly one more to be served")
    for client in waiting:
        finish(client)
    result = server.stop()
    assert (result["completed"], result["failed"]) == (8, 0)
    assert result["counters"]["transport"]["accept_no_record"] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_busy_worker_leaves_places_for_the_other(stage, engine):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        pytest.skip("needs two CPUs")
    server = stage.server("--conns-max", "2", "--cpus", f"{cpus[0]},{cpus[1]}", engine=engine)
    # Ports that the kernel does not choose from: it passes over those that were ever bound.
    stage.start_loadgen("--cpus", str(cpus[0]), "--in-flight", "20", "--duration", "60s", "--ports",
                        "10000-30000", target=server.address, engine=engine)
    wait_until(lambda: count_states(server.port)["TIME_WAIT"] > 100, "churn at one worker")
    for _ in range(20):
        client = connect_from(stage, server, cpus[1])
        wait_until(lambda client=client: is_served(client), "a place at the other worker", 5)
        finish(client)


@pytest.mark.parametrize("engine", ENGINES)
def test_deferred_accept_waits_for_the_first_data(stage, engine):
    server = stage.server("--defer-accept", "30s", engine=engine)
    client = stage.connect(server)
    wait_until(lambda: count_states(server.port)["SYN_RECV"] == 1, "a request without a socket")
    assert accepted(server) == 0
    echo_once(client)
    assert accepted(server) == 1
    client.close()
    assert server.stop()["completed"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_backlog_is_counted_and_the_attempts_time_out(stage, engine):
    server = stage.server("--backlog", "1", "--cpus", first_cpu(), engine=engine)
    server.freeze()
    counters = Counters()
    result = stage.loadgen("--count", "20", "--in-flight", "20", "--timeout", "700ms",
                           target=server.address, engine=engine, code=4)
    assert counters.delta("TcpExt.ListenOverflows") > 0
    assert set(result["errors"]) == {"connect/ETIMEDOUT", "echo/ETIMEDOUT"}
    assert set(result["error_words"].values()) == {"timed out"}
    # A backlog of 1 holds 2; the kernel may have one handshake more half-way.
    assert 2 <= result["errors"]["echo/ETIMEDOUT"] <= 3
    assert result["failed"] == 20
    assert "backlog" in limit_codes(result, "note")
    assert counters.delta("Tcp.ActiveOpens") == 20
    server.thaw()
    assert stage.loadgen("--count", "20", "--in-flight", "1", "--sources", "127.0.3.1",
                         target=server.address, engine=engine)["completed"] == 20
    server.stop()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_lets_what_is_open_finish(stage, engine):
    server = stage.server("--drain", "30s", engine=engine)
    client = stage.connect(server)
    echo_once(client)
    server.signal(signal.SIGTERM)
    wait_until(lambda: count_states(server.port)["LISTEN"] == 0, "the end of listening")
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    echo_once(client, b"still there?")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b""
    assert server.wait() == 0
    result = server.result()
    assert (result["completed"], result["failed"], result["open_at_end"]) == (1, 0, 0)
    assert "1 completed" in server.stdout or "completed 1" in server.stdout


@pytest.mark.parametrize("engine", ENGINES)
def test_after_the_drain_what_is_open_is_reset(stage, engine):
    server = stage.server("--drain", "300ms", engine=engine)
    client = stage.connect(server)
    echo_once(client)
    result = server.stop()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert result["errors"] == {"drain/ECANCELED": 1}
    assert result["counters"]["server"]["drain_aborted"] == 1
    assert "drain" in limit_codes(result, "note")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_signal_ends_at_once_and_counts_what_is_open(stage, engine):
    server = stage.server("--drain", "10m", engine=engine)
    client = stage.connect(server)
    echo_once(client)
    server.signal(signal.SIGTERM)
    wait_until(lambda: count_states(server.port)["LISTEN"] == 0, "the end of listening")
    server.signal(signal.SIGINT)
    assert server.wait() == 3
    result = server.result()
    assert (result["attempted"], result["open_at_end"]) == (1, 1)
    assert result["verdict"]["exit_code"] == 3
    assert limit_codes(result, "invalid") == ["interrupted"]
    assert server.stdout.startswith("no connection was completed: INVALID")
    client.settimeout(60)
    with pytest.raises(ConnectionResetError):
        client.recv(1)


@pytest.mark.parametrize("engine", ENGINES)
def test_draining_takes_all_that_the_backlog_holds(stage, engine):
    """A connection whose handshake was over when the signal came was promised service."""
    server = stage.server(engine=engine)
    server.freeze()
    clients = [stage.connect(server) for _ in range(8)]
    for client in clients:
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
    server.thaw()
    for client in clients:
        assert receive_all(client) == b"hello"
    assert server.stop()["completed"] == 8


@pytest.mark.parametrize("engine", ENGINES)
def test_states_are_counted_each_second_and_at_the_end(stage, engine):
    server = stage.server("--states", engine=engine)
    clients = [stage.connect(server) for _ in range(5)]
    for client in clients:
        echo_once(client)
    stage.loadgen("--count", "30", "--states", "--rate", "15/s", target=server.address,
                  engine=engine, may_be_late=True)
    for client in clients:
        client.close()
    result = server.stop()
    rows = [dict(zip(result["series_columns"], row)) for row in result["series"]]
    assert len(rows) >= 2
    assert max(row["open"] for row in rows) >= 5
    assert max(row["established"] for row in rows) >= 10
    last = result["states"][-1]["states"]
    assert last["established"] == 0
    assert last["time_wait"] == 35
    assert result["time_wait"]["measured"] == 35
    for census in result["states"]:
        assert census["cost_wall_ns"] > 0 and census["age_ns"] >= 0
    assert result["counters"]["kernel"]["passive_opens"] == 35


@pytest.mark.parametrize("engine", ENGINES)
def test_json_goes_to_stdout_when_asked_for(stage, engine):
    server = stage.keep(Process([program("finwait-server"), "--listen", "127.0.0.1:0", "--engine",
                                 engine, "--json", "-", "--quiet"], stage.folder))
    wait_until(lambda: "listening on" in server.stderr, "finwait-server to listen")
    server.signal(signal.SIGINT)
    assert server.wait() == 0
    assert json.loads(server.stdout)["program"] == "finwait-server"


def test_where_io_uring_is_forbidden_auto_takes_epoll_and_says_so(stage):
    server = stage.server(without_io_uring=True)
    assert server.engine == "epoll"
    assert "epoll" in server.stderr.splitlines()[0] and "io_uring" in server.stderr
    run = stage.start_loadgen("--count", "20", target=server.address, without_io_uring=True)
    result = run.finish()
    assert (result["completed"], result["engine"]) == (20, "epoll")
    assert "io_uring" in result["engine_why"] and "io_uring" in run.stderr
    assert "io_uring" in server.stop()["engine_why"]


def test_where_io_uring_is_forbidden_asking_for_it_is_a_clear_error(stage):
    for arguments in (["finwait-server", "--listen", "127.0.0.1:0"],
                      ["finwait-loadgen", "--target", "127.0.0.1:7000"]):
        process = stage.keep(Process([program(arguments[0]), *arguments[1:], "--engine", "uring"],
                                     stage.folder, without_io_uring=True))
        assert process.wait() in (2, 3)
        assert process.stderr.count("\n") == 1 and "io_uring" in process.stderr
        assert "epoll" in process.stderr


@pytest.mark.parametrize("name", ("finwait-server", "finwait-loadgen"))
def test_an_address_that_is_not_ours_is_one_line_and_exit_code_3(stage, name):
    if name == "finwait-server":
        done = stage.run(program(name), "--listen", "10.9.9.9:7000")
        assert done.returncode == 3
        assert "10.9.9.9:7000" in done.stderr
        assert done.stderr.count("\n") == 1
        return
    server = stage.server()
    result = stage.loadgen("--count", "5", "--sources", "10.9.9.9", target=server.address, code=3)
    assert result["errors"] == {"setup/EADDRNOTAVAIL": 5}
    assert result["failed_before_syn"] == 5
