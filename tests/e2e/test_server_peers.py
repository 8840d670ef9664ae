"""finwait-server against clients that are not ours: tools that people have, and python sockets."""
import re
import socket
import threading
import time

import pytest

import kernel
from harness import ENGINES, pattern, receive, receive_all, reset

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"
ADDRESSES = ("127.0.0.1:0", "[::1]:0")
TEXT = "".join(f"line {number}\n" for number in range(5000))


def counter(result, name):
    return result["counters"]["server"][name]


@pytest.mark.parametrize("listen", ADDRESSES)
@pytest.mark.parametrize("engine", ENGINES)
def test_nc_and_ncat_and_socat_get_all_back(stage, engine, listen):
    server = stage.server(listen=(listen,), engine=engine)
    host, port = server.host, str(server.port)
    tools = (["nc", "-N", host, port], ["ncat", host, port],
             ["socat", "-t", "10", "-", f"TCP:{server.address}"])
    for command in tools:
        done = stage.run(*command, text=TEXT)
        assert (done.returncode, done.stdout) == (0, TEXT), command
    result = server.stop()
    assert (result["completed"], result["failed"]) == (len(tools), 0)
    assert counter(result, "bytes_echoed") == len(tools) * len(TEXT)


@pytest.mark.parametrize("listen", ADDRESSES)
@pytest.mark.parametrize("engine", ENGINES)
def test_curl_gets_the_file_and_without_one_its_own_request(stage, engine, listen):
    page = stage.file("page.http", PAGE)
    server = stage.server("--respond", page, "--closes-after", "1echo", listen=(listen,),
                          engine=engine)
    echo = stage.server("--closes-after", "1echo", listen=(listen,), engine=engine)
    url = f"http://{server.address}/"
    done = stage.run("curl", "-sS", "--noproxy", "*", url, url)
    assert (done.returncode, done.stdout) == (0, "hello\nhello\n"), done.stderr
    done = stage.run("curl", "-sS", "--noproxy", "*", "--http0.9",
                     f"http://{echo.address}/some/path")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("GET /some/path HTTP/1.1\n")
    result = server.stop()
    assert (counter(result, "requests"), counter(result, "responses")) == (2, 2)
    assert counter(result, "closed_by_server") == 2
    assert echo.stop()["completed"] == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_a_kept_connection_gets_an_answer_for_each_request(stage, engine):
    page = stage.file("page.http", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    server = stage.server("--respond", page, engine=engine)
    url = f"http://{server.address}/"
    done = stage.run("curl", "-sS", "--noproxy", "*", url, url, url)
    assert done.stdout == "ok\n" * 3, done.stderr
    result = server.stop()
    assert (counter(result, "responses"), result["completed"]) == (3, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_wrk_and_ab_find_no_error_when_each_request_has_its_own_connection(stage, engine):
    page = stage.file("page.http", PAGE)
    server = stage.server("--respond", page, "--closes-after", "1echo", engine=engine)
    done = stage.run("wrk", "-t1", "-c8", "-d1s", "-H", "Connection: close",
                     f"http://{server.address}/")
    assert done.returncode == 0, done.stderr
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    answered = int(re.search(r"(\d+) requests in", done.stdout).group(1))
    assert answered > 100
    done = stage.run("ab", "-q", "-n500", "-c8", f"http://{server.address}/")
    assert done.returncode == 0, done.stderr
    assert re.search(r"Complete requests:\s+500\n", done.stdout), done.stdout
    assert re.search(r"Failed requests:\s+0\n", done.stdout), done.stdout
    # wrk leaves in the middle of its last requests.
    result = server.stop()
    assert answered + 500 <= counter(result, "accepted") <= answered + 500 + 2 * 8
    assert result["failed"] <= 8


@pytest.mark.parametrize("size", (1, 4095, 4096, 4097, 1 << 20))
@pytest.mark.parametrize("engine", ENGINES)
def test_what_arrived_is_echoed_before_our_fin(stage, engine, size):
    server = stage.server(engine=engine)
    client = stage.connect(server)
    data = pattern(size)
    reader = threading.Thread(target=client.sendall, args=(data,))
    reader.start()
    echoed = receive(client, size // 2)
    reader.join()
    client.shutdown(socket.SHUT_WR)
    assert echoed + receive_all(client) == data
    result = server.stop()
    assert (result["completed"], result["failed"]) == (1, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_bytes_one_by_one_come_back_in_order(stage, engine):
    server = stage.server(engine=engine)
    client = stage.connect(server)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = pattern(3000)
    for byte in data:
        client.send(bytes([byte]))
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == data
    assert server.stop()["completed"] == 1


def send_until_stuck(client):
    """Sends until the kernel takes no more for a while; returns how much it took."""
    client.setblocking(False)
    block = pattern(1 << 16)
    sent, idle_since = 0, time.monotonic()
    while time.monotonic() - idle_since < 1:
        try:
            offset = sent % len(block)
            sent += client.send(block[offset:])
            idle_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    client.setblocking(True)
    return sent


@pytest.mark.parametrize("engine", ENGINES)
def test_peers_that_never_read_cost_bounded_memory_and_starve_no_one(stage, engine):
    server = stage.server(engine=engine, release=True)
    warm = stage.connect(server)
    warm.sendall(b"warm")
    assert receive(warm, 4) == b"warm"
    before = server.memory_kib()
    stuck = [stage.connect(server) for _ in range(24)]
    sent = {}
    threads = [threading.Thread(target=lambda peer: sent.update({peer: send_until_stuck(peer)}),
                                args=(each,)) for each in stuck]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(sent.values()) > 0
    # What they sent stays in the kernel's socket buffers; ours hold a few buffers a connection.
    assert server.memory_kib() - before < 16 * 1024
    other = stage.connect(server)
    other.sendall(b"and me?")
    assert receive(other, 7) == b"and me?"
    warm.sendall(b"still")
    assert receive(warm, 5) == b"still"
    for each in stuck:
        each.shutdown(socket.SHUT_WR)
    block = pattern(1 << 16)
    for each in stuck:
        echoed = receive_all(each)
        whole, rest = divmod(sent[each], len(block))
        assert echoed == block * whole + block[:rest]
    warm.close()
    other.close()
    result = server.stop()
    assert (result["completed"], result["failed"]) == (26, 0)
    assert result["counters"]["transport"]["credit_paused"] > 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_ends_its_connection_alone(stage, engine):
    server = stage.server(engine=engine)
    stays, idle, midway = (stage.connect(server) for _ in range(3))
    stays.sendall(b"one")
    assert receive(stays, 3) == b"one"
    midway.sendall(pattern(200000))
    receive(midway, 1)
    reset(idle)
    reset(midway)
    stays.sendall(b"two")
    assert receive(stays, 3) == b"two"
    stays.close()
    result = server.stop()
    assert (result["completed"], result["failed"]) == (1, 2)
    assert counter(result, "peer_reset") == 2
    phases = {key.split("/")[1] for key in result["errors"]}
    assert phases <= {"ECONNRESET", "EPIPE"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_peer_that_comes_and_goes_without_a_byte_is_completed(stage, engine):
    server = stage.server(engine=engine)
    for _ in range(50):
        server.connect().close()
    kernel.settle(server.port)  # what still waits in the backlog at the signal would be reset
    result = server.stop()
    assert (result["attempted"], result["completed"], result["failed"]) == (50, 50, 0)


@pytest.mark.parametrize("limit, answers", ((None, 5), ("3echoes", 3), ("1echo", 1)))
@pytest.mark.parametrize("engine", ENGINES)
def test_requests_that_come_together_are_answered_one_by_one(stage, engine, limit, answers):
    page = stage.file("page", b"answer;")
    closing = ("--closes-after", limit) if limit else ()
    server = stage.server("--respond", page, *closing, engine=engine)
    client = stage.connect(server)
    client.sendall(b"GET / HTTP/1.1\r\nHost: me\r\n\r\n" * 5)
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b"answer;" * answers
    result = server.stop()
    assert (counter(result, "responses"), result["completed"]) == (answers, 1)
    assert counter(result, "surplus_requests") == (5 - answers)


@pytest.mark.parametrize("line_end", (b"\r\n", b"\n"))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_that_comes_byte_by_byte_is_one_request(stage, engine, line_end):
    page = stage.file("page", b"answer;")
    server = stage.server("--respond", page, engine=engine)
    client = stage.connect(server)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in b"GET /" + b"x" * 300 + line_end + b"A: b" + line_end + line_end:
        client.send(bytes([byte]))
    assert receive(client, 7) == b"answer;"
    client.sendall(b"GET / half a request")
    client.shutdown(socket.SHUT_WR)
    assert receive_all(client) == b""
    result = server.stop()
    assert (counter(result, "requests"), counter(result, "responses")) == (1, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_large_response_reaches_a_slow_reader_whole(stage, engine):
    content = pattern(8 << 20)
    page = stage.file("page", content)
    server = stage.server("--respond", page, "--closes-after", "1echo", engine=engine)
    client = stage.also_close(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    client.connect((server.host, server.port))
    client.sendall(b"GET /\r\n\r\n")
    assert receive_all(client) == content
    client.close()
    assert server.stop()["completed"] == 1
