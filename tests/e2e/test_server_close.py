"""finwait-server closes of its own accord: after bytes or echoes, each way, as its peer sees it."""
import errno
import socket

import pytest

from harness import CLOSES, ENGINES, receive, receive_all
from kernel import Counters, count_time_wait, settle

LIMITS = (("64B", 64, 1), ("4KiB", 4096, 1), ("1echo", 10, 1), ("3echoes", 10, 3))


def end_seen_by(client):
    """What the peer reads after the last byte: 'fin' or 'rst'."""
    try:
        return "fin" if client.recv(1) == b"" else "data"
    except ConnectionResetError:
        return "rst"


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("limit", LIMITS, ids=[limit[0] for limit in LIMITS])
@pytest.mark.parametrize("engine", ENGINES)
def test_after_its_limit_the_server_closes_as_told(stage, engine, limit, close):
    text, size, times = limit
    server = stage.server("--closes-after", text, "--close", close, engine=engine)
    counters = Counters()
    client = stage.connect(server)
    for number in range(times):
        data = bytes([65 + number]) * size
        client.sendall(data)
        assert receive(client, size) == data
    assert end_seen_by(client) == ("rst" if close == "rst" else "fin")
    client.close()
    left = 0 if close in ("rst", "fin-no-timewait") else 1
    assert count_time_wait(server.port) == (0, left)
    assert counters.delta("TcpExt.TW") == left
    result = server.stop()
    assert (result["completed"], result["failed"]) == (1, 0)
    assert result["counters"]["server"]["closed_by_server"] == 1


@pytest.mark.parametrize("close", ("fin", "half"))
@pytest.mark.parametrize("engine", ENGINES)
def test_after_its_fin_the_server_goes_on_reading(stage, engine, close):
    server = stage.server("--closes-after", "4B", "--close", close, engine=engine)
    client = stage.connect(server)
    client.sendall(b"four")
    assert receive_all(client) == b"four"
    for _ in range(20):
        client.sendall(b"more" * 1000)
    client.shutdown(socket.SHUT_WR)
    settle(server.port)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    result = server.stop()
    assert (result["completed"], result["failed"]) == (1, 0)
    assert result["counters"]["server"]["surplus_bytes"] == 20 * 4000


@pytest.mark.parametrize("engine", ENGINES)
def test_after_close_a_peer_that_sends_is_reset(stage, engine):
    server = stage.server("--closes-after", "4B", "--close", "close", engine=engine)
    client = stage.connect(server)
    client.sendall(b"four")
    assert receive_all(client) == b"four"
    with pytest.raises(OSError) as caught:
        for _ in range(1000):
            client.sendall(b"more" * 1000)
    assert caught.value.errno in (errno.ECONNRESET, errno.EPIPE)
    assert server.stop()["completed"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_bytes_beyond_the_limit_are_not_echoed(stage, engine):
    server = stage.server("--closes-after", "10B", engine=engine)
    client = stage.connect(server)
    client.sendall(b"0123456789and more")
    assert receive_all(client) == b"0123456789"
    client.close()
    result = server.stop()
    assert result["counters"]["server"]["bytes_echoed"] == 10
    assert result["counters"]["server"]["surplus_bytes"] == 8


@pytest.mark.parametrize("engine", ENGINES)
def test_a_peer_that_closes_before_the_limit_is_answered(stage, engine):
    server = stage.server("--closes-after", "1MiB", "--close", "rst", engine=engine)
    client = stage.connect(server)
    client.sendall(b"short")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b"short"
    result = server.stop()
    assert result["counters"]["server"]["peer_closed_first"] == 1
    assert (result["completed"], result["failed"]) == (1, 0)
