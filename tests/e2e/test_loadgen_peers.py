"""finwait-loadgen against servers that are not ours: tools, and python servers that misbehave."""
import socket

import pytest

import peers
from harness import ENGINES, first_cpu, wait_until
from kernel import Counters, count_states

COUNT = 40


def free_port(stage):
    """A port that nobody listens on, kept by a bound socket."""
    holder = stage.also_close(socket.socket())
    holder.bind(("127.0.0.1", 0))
    return holder.getsockname()[1]


def run(stage, behaviour, *arguments, engine, code=0, host="127.0.0.1"):
    peer = stage.also_close(peers.Peer(behaviour, host))
    return stage.loadgen("--count", str(COUNT), *arguments, target=peer.target, engine=engine,
                         code=code)


@pytest.mark.parametrize("close", ("fin", "close", "half", "rst", "fin-no-timewait"))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_plain_echo_server_is_enough(stage, engine, close):
    result = run(stage, peers.echo, "--close", close, "--echoes", "3", "--payload", "1000",
                 engine=engine)
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    assert result["latency"]["echo"]["from_start"]["count"] == 3 * COUNT


def wait_listening(port):
    wait_until(lambda: count_states(port)["LISTEN"] > 0, f"a listener on port {port}")


@pytest.mark.parametrize("engine", ENGINES)
def test_socat_and_ncat_echo(stage, engine):
    for command in (["socat", "TCP-LISTEN:{},fork,reuseaddr,backlog=64", "EXEC:cat"],
                    ["ncat", "-l", "-k", "-m", "200", "-c", "cat", "127.0.0.1", "{}"]):
        port = free_port(stage)
        stage.closers.pop().close()
        stage.spawn(*[word.format(port) for word in command])
        wait_listening(port)
        result = stage.loadgen("--count", "10", "--in-flight", "2", target=f"127.0.0.1:{port}",
                               engine=engine)
        assert (result["completed"], result["failed"]) == (10, 0), command


@pytest.mark.parametrize("engine", ENGINES)
def test_nc_takes_one_request_and_answers_nothing(stage, engine):
    port = free_port(stage)
    stage.closers.pop().close()
    listener = stage.spawn("nc", "-l", "-N", "127.0.0.1", str(port))
    wait_listening(port)
    request = stage.file("request", b"over to nc\n")
    # With its stdin at an end nc -N shuts at once: an answer of no bytes.
    result = stage.loadgen("--count", "1", "--send", request, "--expect", "1", "--timeout", "60s",
                           target=f"127.0.0.1:{port}", engine=engine, code=4)
    assert result["errors"] == {"echo/ENODATA": 1}
    listener.wait()
    assert listener.stdout == "over to nc\n"


FAULTS = (
    ("closes before an answer", peers.close_at_once, (), {"echo/ENODATA"}),
    ("resets after the request", peers.reset_after_request, (), {"echo/ECONNRESET"}),
    ("turns a bit", peers.corrupt, (), {"echo/EBADMSG"}),
    ("answers with a byte too many", peers.surplus, (), {"echo/EOVERFLOW"}),
    ("never answers", peers.never_answer, ("--timeout", "2s"), {"echo/ETIMEDOUT"}),
    ("closes half way", peers.close_half_way, (), {"echo/ENODATA"}),
)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault[0] for fault in FAULTS])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that(stage, engine, fault):
    _, behaviour, arguments, errors = fault
    result = run(stage, behaviour, *arguments, "--drain", "60s", engine=engine, code=4)
    assert set(result["errors"]) == errors
    assert (result["failed"], result["open_at_end"]) == (COUNT, 0)
    assert result["verdict"]["valid"] is True


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_never_closes_times_out_in_the_close_phase(stage, engine):
    behaviour = peers.NeverClose()
    try:
        result = run(stage, behaviour, "--timeout", "2s", engine=engine, code=4)
    finally:
        behaviour.over.set()
    assert result["errors"] == {"close/ETIMEDOUT": COUNT}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_that_drips_is_verified_to_the_last_byte(stage, engine):
    result = run(stage, peers.Drip(), "--payload", "200", engine=engine)
    assert (result["completed"], result["failed"]) == (COUNT, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_timeout_is_for_a_phase_and_not_for_the_whole_life(stage, engine):
    peer = stage.also_close(peers.Peer(peers.Late(0.5)))
    result = stage.loadgen("--count", "8", "--in-flight", "8", "--echoes", "6", "--timeout",
                           "2500ms", target=peer.target, engine=engine)
    assert result["completed"] == 8
    assert result["latency"]["lifetime"]["from_start"]["p0"] > 3_000_000_000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_refused_port_is_named_so(stage, engine):
    counters = Counters()
    run_ = stage.start_loadgen("--count", str(COUNT), target=f"127.0.0.1:{free_port(stage)}",
                               engine=engine)
    result = run_.finish(code=4)
    assert result["errors"] == {"connect/ECONNREFUSED": COUNT}
    assert result["error_words"] == {"connect/ECONNREFUSED": "refused"}
    assert "refused" in run_.stdout
    assert result["failed_before_syn"] == 0
    assert counters.delta("Tcp.ActiveOpens") == counters.delta("Tcp.AttemptFails") == COUNT


@pytest.mark.parametrize("engine", ENGINES)
def test_a_port_that_goes_on_refusing_is_not_flooded(stage, engine):
    """Two workers of 32 at the most, a pause of 10, 20, 40, 80, then 100 ms after each round."""
    counters = Counters()
    result = stage.loadgen("--duration", "1s", target=f"127.0.0.1:{free_port(stage)}",
                           engine=engine, code=4)
    workers = result["counters"]["loadgen"]["workers"]
    rounds = result["counters"]["loadgen"]["backoffs"] / workers
    assert 1 <= rounds <= 14
    assert result["errors"] == {"connect/ECONNREFUSED": result["attempted"]}
    assert 32 * workers <= result["attempted"] <= 15 * 32 * workers
    assert counters.delta("Tcp.ActiveOpens") == result["attempted"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_unreachable_target_fails_cleanly(stage, engine):
    """There is no route but loopback's: the run cannot be made, and one line says why."""
    run_ = stage.start_loadgen("--count", "5", target="10.1.2.3:80", engine=engine)
    assert run_.wait() in (2, 3)
    assert "10.1.2.3" in run_.stderr


@pytest.mark.parametrize("expect", ("6", "until-close"))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_is_sent_to_servers_that_do_not_echo(stage, engine, expect):
    request = stage.file("request", b"GET / HTTP/1.0\r\n\r\n")
    result = run(stage, peers.Respond(b"hello\n"), "--send", request, "--expect", expect,
                 *(("--closer", "server") if expect == "6" else ()), engine=engine)
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    assert result["counters"]["transport"]["bytes_received"] == 6 * COUNT


@pytest.mark.parametrize("engine", ENGINES)
def test_an_answer_shorter_than_expected_is_a_failure(stage, engine):
    request = stage.file("request", b"GET / HTTP/1.0\r\n\r\n")
    result = run(stage, peers.Respond(b"hello\n"), "--send", request, "--expect", "7",
                 engine=engine, code=4)
    assert result["errors"] == {"echo/ENODATA": COUNT}


@pytest.mark.parametrize("engine", ENGINES)
def test_http_of_python_is_loaded_until_close(stage, engine):
    request = stage.file("request", b"GET / HTTP/1.0\r\n\r\n")
    stage.file("index.html", b"<p>hello</p>\n")
    port = free_port(stage)
    stage.closers.pop().close()
    stage.spawn("/usr/bin/python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory",
                stage.folder, str(port))
    wait_listening(port)
    result = stage.loadgen("--count", str(COUNT), "--in-flight", "4", "--send", request, "--expect",
                           "until-close", target=f"127.0.0.1:{port}", engine=engine)
    assert (result["completed"], result["failed"]) == (COUNT, 0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_held_connection_that_is_closed_on_is_a_failure_of_the_hold(stage, engine):
    def leave(sock):
        sock.sendall(sock.recv(1 << 16))
    result = run(stage, leave, "--hold", "10m", engine=engine, code=4)
    assert result["errors"] == {"hold/ENODATA": COUNT}


@pytest.mark.parametrize("cpus", ((), ("--cpus", first_cpu())), ids=("all", "one"))
@pytest.mark.parametrize("engine", ENGINES)
def test_targets_take_turns(stage, engine, cpus):
    first = stage.also_close(peers.Peer(peers.echo))
    second = stage.also_close(peers.Peer(peers.echo, "::1"))
    result = stage.loadgen("--count", str(COUNT), *cpus, target=[first.target, second.target],
                           engine=engine)
    assert result["completed"] == COUNT
    assert min(first.accepted, second.accepted) >= COUNT // 4
    assert first.accepted + second.accepted == COUNT


def test_a_resetting_server_does_not_disturb_another_run(stage):
    """Two runs at once, one whose server resets all: each classifies its own."""
    good = stage.also_close(peers.Peer(peers.echo))
    bad = stage.also_close(peers.Peer(peers.reset_after_request))
    runs = [stage.start_loadgen("--count", str(COUNT), "--sources", source, target=peer.target)
            for peer, source in ((good, "127.0.1.1"), (bad, "127.0.1.2"))]
    assert runs[0].finish()["completed"] == COUNT
    assert runs[1].finish(code=4)["errors"] == {"echo/ECONNRESET": COUNT}
