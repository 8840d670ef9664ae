"""DESIGN.md's closing table, on both engines: who closes, how, and where TIME_WAIT is left."""
import pytest

from harness import CLOSES, ENGINES
from kernel import Counters, count_time_wait

COUNT = 300
WITHOUT_TIME_WAIT = ("rst", "fin-no-timewait")


def churn(stage, engine, closer, close, *more):
    """One run of COUNT connections; returns both results and the counters' rise."""
    closing = () if closer == "client" else ("--closes-after", "64B", "--close", close)
    server = stage.server(*closing, engine=engine)
    counters = Counters()
    result = stage.loadgen("--count", str(COUNT), "--closer", closer, "--close", close, *more,
                           target=server.address, engine=engine)
    sides = count_time_wait(server.port)
    return server.stop(), result, counters, sides


def check_counts(server_result, result, counters, close):
    assert result["completed"] == COUNT and result["failed"] == 0
    assert server_result["attempted"] == COUNT and server_result["open_at_end"] == 0
    assert counters.delta("Tcp.ActiveOpens") == COUNT
    assert counters.delta("Tcp.PassiveOpens") == COUNT
    assert [check["name"] for check in result["checks"] if check["ok"] is False] == []
    assert result["counters"]["loadgen"]["close_not_as_asked"] == 0
    if close in ("fin", "close", "half"):
        assert counters.delta("Tcp.OutRsts") == 0
        assert server_result["failed"] == 0


def check_alone(counters, close):
    """What one side alone that closes leaves in the counters."""
    if close == "rst":
        assert counters.delta("Tcp.OutRsts") == COUNT
    elif close == "fin-no-timewait":
        # Which one it is depends on whether the FIN was acknowledged when close() returned.
        aborts = ("TcpExt.TCPAbortOnData", "TcpExt.TCPAbortOnLinger")
        assert sum(counters.delta(name) for name in aborts) == COUNT
    made = counters.delta("TcpExt.TW") + counters.delta("TcpExt.TWKilled")
    assert made == (0 if close in WITHOUT_TIME_WAIT else COUNT)


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("engine", ENGINES)
def test_time_wait_is_left_to_the_closer(stage, engine, closer, close):
    server_result, result, counters, sides = churn(stage, engine, closer, close)
    check_counts(server_result, result, counters, close)
    check_alone(counters, close)
    left = 0 if close in WITHOUT_TIME_WAIT else COUNT
    assert sides == ((left, 0) if closer == "client" else (0, left))


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("engine", ENGINES)
def test_with_both_closing_each_connection_leaves_one_time_wait_or_two(stage, engine, close):
    server_result, result, counters, sides = churn(stage, engine, "both", close)
    check_counts(server_result, result, counters, close)
    made = counters.delta("TcpExt.TW") + counters.delta("TcpExt.TWKilled")
    if close in WITHOUT_TIME_WAIT:
        assert (made, sides) == (0, (0, 0))
        return
    assert COUNT <= sum(sides) <= 2 * COUNT and max(sides) <= COUNT
    assert sum(sides) == made
    assert result["counters"]["loadgen"]["fins_crossed"] == made - COUNT


@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("engine", ENGINES)
def test_connections_without_an_echo_close_by_the_table_too(stage, engine, closer):
    """The server cannot close after bytes that never come: then only the client may close."""
    if closer == "server":
        server = stage.server(engine=engine)
        result = stage.loadgen("--count", "4", "--echoes", "0", "--closer", "server", "--timeout",
                               "2s", target=server.address, engine=engine, code=4)
        assert result["errors"] == {"close/ETIMEDOUT": 4}
        return
    server_result, result, counters, sides = churn(stage, engine, closer, "fin", "--echoes", "0")
    check_counts(server_result, result, counters, "fin")
    assert sides == (COUNT, 0)


@pytest.mark.parametrize("pair", (("uring", "epoll"), ("epoll", "uring")))
def test_engines_meet_each_other(stage, pair):
    server = stage.server(engine=pair[0])
    result = stage.loadgen("--count", str(COUNT), "--echoes", "20", "--payload", "3000",
                           target=server.address, engine=pair[1])
    assert result["completed"] == COUNT
    echoed = server.stop()["counters"]["server"]["bytes_echoed"]
    assert echoed == COUNT * 20 * 3000


def test_both_ends_on_ipv6(stage):
    server = stage.server(listen=("[::1]:0",))
    result = stage.loadgen("--count", str(COUNT), target=server.address)
    assert result["completed"] == COUNT
    assert count_time_wait(server.port) == (COUNT, 0)
    server.stop()


def test_a_server_that_does_not_close_is_told_of_its_option(stage):
    server = stage.server()
    run = stage.start_loadgen("--count", "10", "--closer", "server", "--timeout", "2s",
                              target=server.address)
    result = run.finish(code=4)
    assert result["errors"] == {"close/ETIMEDOUT": 10}
    assert "--closes-after" in run.stdout
