"""How finwait-loadgen offers its load: rates, counts, 4-tuples, limits, signals, and the guard."""
import signal
import socket
import time

import pytest

import peers
from harness import ENGINES, first_cpu, limit_codes, sysctl, wait_until
from kernel import Counters, count_states, read_sockets


def check_active_opens(result, counters):
    sent = result["attempted"] - result["failed_before_syn"]
    assert counters.delta("Tcp.ActiveOpens") == sent


@pytest.mark.parametrize("engine", ENGINES)
def test_an_open_loop_starts_exactly_what_it_offers_or_says_that_it_was_late(stage, engine):
    for source in ("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4"):
        server = stage.server(release=True, engine=engine)
        counters = Counters()
        result = stage.loadgen("--rate", "500/s", "--duration", "4s", "--sources", source,
                               target=server.address, release=True, engine=engine,
                               may_be_late=True)
        assert result["offered_per_sec"] == 500
        assert result["shed"] == result["failed"] == result["open_at_end"] == 0
        assert result["histograms"]["schedule_slip"]["count"] == result["attempted"]
        assert [check["name"] for check in result["checks"] if not check["ok"]] == []
        check_active_opens(result, counters)
        assert server.stop()["completed"] == result["completed"]
        if result["verdict"]["valid"]:
            break
    # Of four runs one is undisturbed.
    assert result["attempted"] == result["completed"] == 2000
    # A row a second, and a last one when the run ends.
    assert len(result["series"]) >= 4


@pytest.mark.parametrize("arguments", (
    ("--count", "1"), ("--count", "7", "--in-flight", "100"),
    ("--count", "1000", "--in-flight", "1"),
    ("--count", "1k", "--rate", "10k/s"), ("--count", "50", "--duration", "30s", "--rate", "5k/s"),
    ("--count", "101", "--in-flight", "3", "--duration", "30s")), ids=" ".join)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_count_is_exact(stage, engine, arguments):
    server = stage.server(engine=engine)
    counters = Counters()
    result = stage.loadgen(*arguments, target=server.address, engine=engine, may_be_late=True)
    count = int(arguments[1].replace("k", "000"))
    assert result["attempted"] == result["completed"] == count
    assert counters.delta("Tcp.ActiveOpens") == counters.delta("Tcp.PassiveOpens") == count
    assert server.stop()["completed"] == count


@pytest.mark.parametrize("arguments, echoes, size", (
    (("--echoes", "0"), 0, 64), (("--echoes", "20"), 20, 64), (("--payload", "1"), 1, 1),
    (("--payload", "100KiB"), 1, 102400), (("--payload", "100KiB", "--echoes", "3"), 3, 102400),
    (("--payload", "16MiB"), 1, 16 << 20)), ids=str)
@pytest.mark.parametrize("engine", ENGINES)
def test_every_byte_of_every_echo_comes_back(stage, engine, arguments, echoes, size):
    count = 4 if size > 1 << 20 else 40
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", str(count), *arguments, target=server.address, engine=engine)
    assert (result["completed"], result["failed"]) == (count, 0)
    transport = result["counters"]["transport"]
    assert transport["bytes_sent"] == transport["bytes_received"] == count * echoes * size
    if echoes > 0:
        assert result["latency"]["echo"]["from_start"]["count"] == count * echoes
        assert result["latency"]["first_byte"]["from_start"]["count"] == count * echoes
    assert server.stop()["counters"]["server"]["bytes_echoed"] == count * echoes * size


@pytest.mark.parametrize("engine", ENGINES)
def test_a_hold_keeps_connections_open_together(stage, engine):
    server = stage.server(engine=engine)
    run = stage.start_loadgen("--count", "50", "--in-flight", "50", "--hold", "2s",
                              target=server.address, engine=engine)
    wait_until(lambda: count_states(server.port)["ESTABLISHED"] == 100, "50 connections, both ends")
    result = run.finish()
    assert result["completed"] == 50
    assert result["latency"]["lifetime"]["from_start"]["p0"] >= 1_990_000_000


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_free_4_tuple_attempts_fail_by_that_name(stage, engine):
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--rate", "100/s", "--count", "100", "--sources", "127.0.0.2",
                              "--ports", "20000-20009", "--cpus", first_cpu(),
                              target=server.address, engine=engine)
    result = run.finish(code=3)
    assert (result["attempted"], result["completed"], result["failed"]) == (100, 10, 90)
    assert result["error_words"] == {"setup/EADDRNOTAVAIL": "no free 4-tuple"}
    assert result["failed_before_syn"] == 90
    assert "4-tuples" in limit_codes(result, "invalid")
    assert "no free 4-tuple" in run.stdout
    check_active_opens(result, counters)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_loop_without_a_free_4_tuple_ends_with_its_time(stage, engine):
    server = stage.server(engine=engine)
    result = stage.loadgen("--duration", "1s", "--sources", "127.0.0.2", "--ports", "20000-20009",
                           target=server.address, engine=engine, code=3)
    assert result["completed"] == 10
    assert set(result["errors"]) == {"setup/EADDRNOTAVAIL"}
    assert result["failed_before_syn"] == result["failed"]
    assert "4-tuples" in limit_codes(result, "invalid")


def test_a_closed_loop_that_waits_for_a_4_tuple_says_for_how_long(stage):
    """With --count it goes on when one is free, which is a minute that looks like a hang."""
    server = stage.server()
    run = stage.start_loadgen("--count", "30", "--sources", "127.0.0.2", "--ports", "20000-20009",
                              target=server.address)
    wait_until(lambda: "4-tuples are used up: the next is free in 6" in run.stderr, "what is up")
    run.signal(signal.SIGINT)
    assert run.finish(code=3)["completed"] == 10


@pytest.mark.parametrize("close", ("fin", "close", "rst"))
@pytest.mark.parametrize("engine", ENGINES)
def test_reuse_is_allowed_and_reported_when_asked_for(stage, engine, close):
    server = stage.server(engine=engine)
    counters = Counters()
    result = stage.loadgen("--count", "200", "--in-flight", "4", "--sources", "127.0.0.2",
                           "--ports", "20000-20019", "--reuse-after", "0", "--close", close,
                           target=server.address, engine=engine)
    assert (result["completed"], result["tuple_reuses"]) == (200, 180)
    assert result["counters"]["loadgen"]["tuples_used"] == 20
    check_active_opens(result, counters)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_closed_loop_keeps_no_more_sockets_open_than_are_in_flight(stage, engine):
    server = stage.server(engine=engine)
    # As many 4-tuples as connections in flight: a successor that began before its predecessor's
    # socket is gone would find none.
    result = stage.loadgen("--count", "400", "--in-flight", "4", "--cpus", first_cpu(), "--sources",
                           "127.0.0.2", "--ports", "20000-20003", "--reuse-after", "0",
                           "--close", "fin", target=server.address, engine=engine)
    assert (result["completed"], result["failed"], result["shed"]) == (400, 0, 0)
    assert result["open_max"] == 4


@pytest.mark.parametrize("engine", ENGINES)
def test_no_4_tuple_is_used_twice_within_the_time(stage, engine):
    """Every source port of the default plan that is left in TIME_WAIT is there once."""
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "500", target=server.address, engine=engine)
    entries = [entry for entry in read_sockets(server.port) if entry.state == "TIME_WAIT"]
    assert len({(entry.local, entry.local_port) for entry in entries}) == len(entries) == 500
    assert result["tuple_reuses"] == 0
    assert all(10000 <= entry.local_port <= 65000 for entry in entries)


@pytest.mark.parametrize("engine", ENGINES)
def test_sources_and_ports_are_what_the_user_names(stage, engine):
    server = stage.server(engine=engine)
    stage.loadgen("--count", "60", "--sources", "127.0.1.0/29", "--sources", "127.0.2.1-127.0.2.2",
                  "--ports", "30000-30005", target=server.address, engine=engine)
    seen = {(entry.local, entry.local_port) for entry in read_sockets(server.port)
            if entry.state == "TIME_WAIT"}
    assert len(seen) == 60
    assert {port for _, port in seen} == set(range(30000, 30006))
    hosts = {host for host, _ in seen}
    assert hosts <= {f"127.0.1.{i}" for i in range(8)} | {"127.0.2.1", "127.0.2.2"}
    assert len(hosts) == 10


@pytest.mark.parametrize("engine", ENGINES)
def test_ports_of_the_kernel_are_taken_when_asked_for(stage, engine):
    sysctl("net.ipv4.ip_local_port_range", "40000 41000")
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "50", "--ports", "kernel", target=server.address,
                           engine=engine)
    assert result["completed"] == 50
    ports = {entry.local_port for entry in read_sockets(server.port) if entry.state == "TIME_WAIT"}
    assert ports <= set(range(40000, 41001))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_targets_own_address_and_port_is_never_a_source(stage, engine):
    """Bound to it, a socket would connect to itself and echo correctly."""
    server = stage.server(engine=engine)
    ports = f"{server.port - 5}-{server.port + 5}"
    result = stage.loadgen("--rate", "200/s", "--count", "20", "--sources", "127.0.0.1", "--ports",
                           ports, target=server.address, engine=engine, code=3)
    assert result["counters"]["loadgen"]["tuples_used"] == 10
    assert (result["completed"], result["failed"]) == (10, 10)
    assert result["errors"] == {"setup/EADDRNOTAVAIL": 10}


@pytest.mark.parametrize("engine", ENGINES)
def test_no_connection_is_made_to_itself_when_no_server_is_there(stage, engine):
    server = stage.server(engine=engine)
    server.stop()
    port = server.port
    result = stage.loadgen("--rate", "100/s", "--count", "5", "--sources", "127.0.0.1", "--ports",
                           f"{port}-{port}", target=server.address, engine=engine, code=3)
    assert result["errors"] == {"setup/EADDRNOTAVAIL": 5}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_port_that_others_hold_is_left_alone(stage, engine):
    holder = stage.also_close(socket.socket())
    holder.bind(("127.0.0.2", 20003))
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "10", "--in-flight", "1", "--sources", "127.0.0.2", "--ports",
                           "20000-20009", target=server.address, engine=engine)
    assert (result["completed"], result["failed"]) == (9, 1)
    assert result["errors"] == {"setup/EADDRINUSE": 1}
    assert "ports-taken" in limit_codes(result, "note")


@pytest.mark.parametrize("close", ("fin", "rst"))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_killed_in_mid_run_costs_no_count(stage, engine, close):
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--duration", "5s", "--in-flight", "16", "--close", close,
                              "--ports", "1024-65535", target=server.address, engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") > 300, "a run at full speed")
    server.kill()
    result = run.finish(code=4)
    assert result["completed"] > 200 and result["failed"] > 0
    assert set(result["errors"]) <= {
        "connect/ECONNREFUSED", "connect/ECONNRESET", "echo/ECONNRESET", "echo/ENODATA",
        "echo/EPIPE", "close/ECONNRESET", "close/EPIPE", "close/ENOTCONN"}
    assert result["errors"]["connect/ECONNREFUSED"] > 0
    check_active_opens(result, counters)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_comes_back_is_served_again(stage, engine):
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--count", "1500", "--rate", "300/s", target=server.address,
                              engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") > 50, "some connections")
    server.kill()
    wait_until(lambda: counters.delta("Tcp.AttemptFails") > 20, "refused ones")
    again = stage.server(listen=(server.address,), engine=engine)
    result = run.finish(code=4, may_be_late=True)
    assert again.stop()["completed"] > 50
    assert result["attempted"] == 1500
    check_active_opens(result, counters)


@pytest.mark.parametrize("engine", ENGINES)
def test_arrivals_over_the_limit_are_shed_and_make_the_run_invalid(stage, engine):
    peer = stage.also_close(peers.Peer(peers.never_answer))
    counters = Counters()
    result = stage.loadgen("--rate", "200/s", "--count", "200", "--conns-max", "10", "--timeout",
                           "20s", "--drain", "100ms", target=peer.target, engine=engine, code=3)
    assert (result["attempted"], result["shed"], result["open_at_end"]) == (10, 190, 10)
    assert "conns-max" in limit_codes(result, "invalid")
    check_active_opens(result, counters)


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_in_the_middle_ends_with_a_report(stage, engine, number):
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--duration", "10m", "--in-flight", "8", "--hold", "2ms",
                              target=server.address, engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") > 100, "a run at full speed")
    run.signal(number)
    result = run.finish(code=3)
    assert result["completed"] > 50
    assert result["failed"] == 0
    assert limit_codes(result, "invalid") == ["interrupted"]
    assert "INVALID" in run.stdout
    check_active_opens(result, counters)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_signal_ends_at_once_and_loses_no_count(stage, engine):
    peer = stage.also_close(peers.Peer(peers.never_answer))
    counters = Counters()
    run = stage.start_loadgen("--count", "20", "--in-flight", "20", "--timeout", "10m",
                              "--drain", "10m", target=peer.target, engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") == 20, "all connections")
    run.signal(signal.SIGINT)
    run.signal(signal.SIGTERM)
    result = run.finish(code=3)
    assert (result["attempted"], result["open_at_end"]) == (20, 20)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_target_that_is_allowed_by_name_is_loaded(stage, engine):
    stage.run("ip", "address", "add", "203.0.113.1/32", "dev", "lo")
    server = stage.server(listen=("203.0.113.1:0",), engine=engine)
    refused = stage.start_loadgen("--count", "5", target=server.address, engine=engine)
    assert refused.wait() == 2
    result = stage.loadgen("--count", "5", "--allow-target", "203.0.113.0/24",
                           target=server.address, engine=engine)
    assert result["completed"] == 5
    assert server.stop()["attempted"] == 5


@pytest.mark.parametrize("engine", ENGINES)
def test_fast_open_takes_the_request_with_the_syn(stage, engine):
    sysctl("net.ipv4.tcp_fastopen", 3)
    server = stage.server("--fastopen", engine=engine)
    # The first connection from an address fetches the cookie that later ones send.
    counters = Counters()
    result = stage.loadgen("--count", "50", "--in-flight", "1", "--fastopen", "--sources",
                           "127.0.0.2", target=server.address, engine=engine)
    assert (result["completed"], result["failed"]) == (50, 0)
    assert counters.delta("TcpExt.TCPFastOpenPassive") >= 40
    assert counters.delta("TcpExt.TCPFastOpenActive") >= 40
    assert server.stop()["completed"] == 50


@pytest.mark.parametrize("engine", ENGINES)
def test_without_quick_acknowledgements_fewer_segments_flow(stage, engine):
    segments = {}
    for quickack in ("on", "off"):
        server = stage.server("--quickack", quickack, engine=engine)
        result = stage.loadgen("--count", "200", "--quickack", quickack, target=server.address,
                               engine=engine)
        assert result["completed"] == 200
        segments[quickack] = result["segments_per_conn"]
        server.stop()
    assert segments["off"] <= segments["on"] - 1


@pytest.mark.parametrize("engine", ENGINES)
def test_seven_segments_do_when_acknowledgements_ride_on_data(stage, engine):
    server = stage.server("--quickack", "off", "--defer-accept", "5s", engine=engine)
    result = stage.loadgen("--count", "400", "--in-flight", "4", "--quickack", "off",
                           target=server.address, engine=engine)
    assert result["completed"] == 400
    # An echo that is late by 40 ms gets an acknowledgement of its own; most are in time.
    assert 7 <= result["segments_per_conn"] < 7.5
    server.stop()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_generator_killed_in_mid_run_leaves_a_server_that_serves(stage, engine):
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--duration", "10m", "--in-flight", "64", "--echoes", "1000",
                              target=server.address, engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") >= 64, "a run at full speed")
    run.kill()
    wait_until(lambda: count_states(server.port)["ESTABLISHED"] == 0, "the end of all")
    assert stage.loadgen("--count", "100", "--sources", "127.0.9.9", target=server.address,
                         engine=engine)["completed"] == 100
    result = server.stop()
    assert result["completed"] >= 100 and result["failed"] + result["completed"] >= 164
    assert result["open_at_end"] == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_killed_while_connections_are_held_fails_each_hold(stage, engine):
    server = stage.server(engine=engine)
    run = stage.start_loadgen("--count", "50", "--in-flight", "50", "--hold", "10m",
                              target=server.address, engine=engine)
    wait_until(lambda: count_states(server.port)["ESTABLISHED"] == 100, "50 held connections")
    server.kill()
    result = run.finish(code=4)
    assert sum(result["errors"].values()) == result["failed"] == 50
    assert set(result["errors"]) <= {"hold/ENODATA", "hold/ECONNRESET", "echo/ENODATA",
                                     "echo/ECONNRESET"}


@pytest.mark.parametrize("engine", ENGINES)
def test_one_dead_target_of_two_fails_its_half(stage, engine):
    holder = stage.also_close(socket.socket())
    holder.bind(("127.0.0.1", 0))
    dead = f"127.0.0.1:{holder.getsockname()[1]}"
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "200", target=[server.address, dead], engine=engine, code=4)
    assert result["errors"] == {"connect/ECONNREFUSED": result["failed"]}
    assert result["completed"] == server.stop()["completed"] == 200 - result["failed"]
    assert 50 <= result["failed"] <= 150


@pytest.mark.parametrize("engine", ENGINES)
def test_a_generator_that_was_stopped_for_a_second_says_so(stage, engine):
    """What waited meanwhile counts from when it was due: no coordinated omission."""
    server = stage.server(engine=engine)
    counters = Counters()
    run = stage.start_loadgen("--count", "400", "--rate", "200/s", target=server.address,
                              engine=engine)
    wait_until(lambda: counters.delta("Tcp.PassiveOpens") >= 50, "some connections")
    run.freeze()
    frozen = time.monotonic()
    wait_until(lambda: time.monotonic() - frozen > 1, "a second to pass")
    run.thaw()
    result = run.finish(code=3)
    assert "schedule" in limit_codes(result, "invalid")
    assert result["attempted"] == result["completed"] == 400
    assert result["histograms"]["schedule_slip"]["p100"] > 900_000_000
    connect = result["latency"]["connect"]
    assert connect["from_scheduled"]["p95"] > 500_000_000
    assert connect["from_start"]["p50"] < 500_000_000
