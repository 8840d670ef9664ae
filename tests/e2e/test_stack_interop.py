"""The stack's engine against the kernel's TCP over veth, both ways: tools that people have, bytes in
bulk with a checksum, and losses that make it slower but nothing wrong."""
import re

import pytest

import bulk
import peers
from cable import SERVER as STACK
from cable import Cable
from harness import wait_until
from kernel import count_states
from proof import KERNEL, ArpCount, ProofCable, frames
from test_server_peers import PAGE, TEXT, counter

PORT = 7000
OFFLOADS = pytest.mark.parametrize("offloads", (True, False), ids=("offloads", "no-offloads"))


def stack_counter(result, name):
    """A counter of the stack's, whichever module it is of."""
    return next(values[name] for values in result["counters"].values() if name in values)


def check_checksums(result):
    """No packet of the kernel's, nor any of ours by its word, had a wrong checksum."""
    for module in result["counters"].values():
        assert not [name for name, value in module.items() if "checksum" in name
                    and name != "checksums_done" and value], module


@OFFLOADS
def test_nc_and_ncat_and_socat_get_all_back(stage, offloads):
    server = ProofCable(stage, offloads=offloads).serve()
    tools = (["nc", "-N", STACK, str(PORT)], ["ncat", STACK, str(PORT)],
             ["socat", "-t", "10", "-", f"TCP:{server.address}"])
    for command in tools:
        done = stage.run(*command, text=TEXT)
        assert (done.returncode, done.stdout) == (0, TEXT), command
    result = server.stop()
    assert (result["completed"], result["failed"]) == (len(tools), 0)
    assert counter(result, "bytes_echoed") == len(tools) * len(TEXT)
    check_checksums(result)


def test_a_client_that_is_started_anew_gets_past_the_kernels_time_wait(stage):
    """Its timestamps and sequence numbers begin elsewhere, so half of its SYNs look old to TIME_WAIT."""
    cable = Cable(stage)
    server = cable.server("epoll", "--closes-after", "64B")
    for _ in range(2):
        result = cable.loadgen("stack", "--count", "50", "--closer", "server", "--timeout", "20s",
                               addresses="10.9.0.2")
        assert (result["completed"], result["failed"]) == (50, 0), result["errors"]
        assert not [check for check in result["checks"] if check["ok"] is False]
    assert result["counters"]["stack"]["resets_sent"] > 0, "no SYN met an answer of TIME_WAIT"
    server.stop()


@OFFLOADS
def test_curl_gets_the_file_and_without_one_its_own_request(stage, offloads):
    cable = ProofCable(stage, offloads=offloads)
    page = stage.file("page.http", PAGE)
    server = cable.serve("--respond", page, "--closes-after", "1echo")
    echo = cable.serve("--closes-after", "1echo", address="10.9.0.20")
    url = f"http://{server.address}/"
    done = stage.run("curl", "-sS", "--noproxy", "*", url, url)
    assert (done.returncode, done.stdout) == (0, "hello\nhello\n"), done.stderr
    done = stage.run("curl", "-sS", "--noproxy", "*", "--http0.9", f"http://{echo.address}/some/path")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("GET /some/path HTTP/1.1\n")
    assert (server.stop()["completed"], echo.stop()["completed"]) == (2, 1)


@OFFLOADS
def test_wrk_finds_no_error_whether_connections_are_kept_or_not(stage, offloads):
    cable = ProofCable(stage, offloads=offloads)
    answer = stage.file("kept.http", b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    kept = cable.serve("--respond", answer)
    short = cable.serve("--respond", stage.file("page.http", PAGE), "--closes-after", "1echo",
                        address="10.9.0.20")
    for server, header in ((kept, "Connection: keep-alive"), (short, "Connection: close")):
        done = stage.run("wrk", "-t1", "-c8", "-d1s", "-H", header, f"http://{server.address}/")
        assert done.returncode == 0, done.stderr
        assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
        answered = int(re.search(r"(\d+) requests in", done.stdout).group(1))
        assert answered > 100
        result = server.stop()
        assert answered <= counter(result, "responses") <= answered + 2 * 8
        assert result["failed"] <= 8  # wrk leaves in the middle of its last requests
        check_checksums(result)


@OFFLOADS
@pytest.mark.parametrize("close", ("fin", "close", "half", "rst", "fin-no-timewait"))
def test_our_client_closes_in_each_way_against_a_server_of_the_kernel_s(stage, offloads, close):
    cable = ProofCable(stage, offloads=offloads)
    peer = stage.also_close(peers.Peer(peers.echo, KERNEL))
    result = cable.load(peer.target, "--count", "200", "--close", close, "--echoes", "3",
                        "--payload", "5000")
    assert (result["completed"], result["failed"]) == (200, 0)
    assert peer.accepted == 200
    check_checksums(result)


@OFFLOADS
def test_our_client_against_socat_and_ncat(stage, offloads):
    cable = ProofCable(stage, offloads=offloads)
    for port, command in ((PORT, ["socat", f"TCP-LISTEN:{PORT},fork,reuseaddr,backlog=64", "EXEC:cat"]),
                          (PORT + 1, ["ncat", "-l", "-k", "-m", "200", "-c", "cat", KERNEL,
                                      str(PORT + 1)])):
        stage.spawn(*command)
        wait_until(lambda port=port: count_states(port)["LISTEN"], f"a listener on port {port}")
        result = cable.load(f"{KERNEL}:{port}", "--count", "20", "--in-flight", "4")
        assert (result["completed"], result["failed"]) == (20, 0), command
        check_checksums(result)


@OFFLOADS
def test_64_mib_through_the_stack_s_echo_come_back_whole(stage, offloads):
    server = ProofCable(stage, offloads=offloads).serve()
    with server.connect() as sock:
        assert bulk.through_echo(sock, 64 << 20)[:2] == (64 << 20, True)
    result = server.stop()
    assert (result["completed"], result["failed"]) == (1, 0)
    check_checksums(result)


@OFFLOADS
def test_64_mib_of_our_client_s_come_back_whole_from_a_kernel_s_echo(stage, offloads):
    """The load generator verifies every byte itself."""
    cable = ProofCable(stage, offloads=offloads)
    peer = stage.also_close(peers.Peer(peers.echo, KERNEL))
    result = cable.load(peer.target, "--count", "1", "--payload", "1MiB", "--echoes", "64",
                        "--timeout", "60s")
    assert (result["completed"], result["failed"]) == (1, 0)
    check_checksums(result)


# Bytes, and short connections, that pass in seconds at each loss; tests/long stack_bulk has more.
LOSSES = ((10, 8 << 20, 300), (100, 256 << 10, 300))


@pytest.mark.parametrize("per_mille, size, count", LOSSES, ids=("1-percent", "10-percent"))
def test_losses_make_a_server_on_the_stack_slower_and_nothing_wrong(stage, per_mille, size, count):
    cable = ProofCable(stage, offloads=False)
    server = cable.serve()
    cable.lose(per_mille)
    with server.connect() as sock:
        assert bulk.through_echo(sock, size)[:2] == (size, True)
    wrong, _ = bulk.short_connections((STACK, PORT), count)
    assert not wrong
    assert min(cable.lost()) > 0
    result = server.stop()
    assert (result["completed"], result["failed"]) == (count + 1, 0)
    assert stack_counter(result, "segments_resent") > 0


@pytest.mark.parametrize("per_mille, size, count", LOSSES, ids=("1-percent", "10-percent"))
def test_losses_make_a_client_on_the_stack_slower_and_nothing_wrong(stage, per_mille, size, count):
    cable = ProofCable(stage, offloads=False)
    peer = stage.also_close(peers.Peer(peers.echo, KERNEL))
    cable.lose(per_mille)
    result = cable.load(peer.target, "--count", "1", "--payload", "128KiB", "--echoes",
                        str(size // (128 << 10)), "--timeout", "60s")
    assert (result["completed"], result["failed"]) == (1, 0)
    result = cable.load(peer.target, "--count", str(count), "--timeout", "60s")
    assert (result["completed"], result["failed"]) == (count, 0)
    assert min(cable.lost()) > 0 and stack_counter(result, "segments_resent") > 0


def test_a_connection_takes_seven_segments_by_the_interface_s_own_counters(stage):
    """Connect, one echo and close by FIN, stack to stack."""
    cable = ProofCable(stage, kernel_here=False)
    server = cable.serve()
    arps, start = stage.also_close(ArpCount()), frames()
    result = cable.load_here(server, "--count", "500", "--in-flight", "4")
    assert (result["completed"], result["failed"]) == (500, 0)
    assert frames() - start - arps.read() == 7 * 500
    assert result["segments_per_conn"] == pytest.approx(7, abs=0.01)  # our own word
    assert server.stop()["completed"] == 500
