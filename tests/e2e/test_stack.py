"""The stack on the wire: DESIGN.md's closing table over veth, against itself and the kernel."""
import os

import pytest

from cable import CLIENT, PORT, Cable
from harness import CLOSES, limit_codes, sysctl
from kernel import Counters, count_time_wait

COUNT = 200
WITHOUT_TIME_WAIT = ("rst", "fin-no-timewait")
PAIRS = (("stack", "stack"), ("stack", "uring"), ("epoll", "stack"))


@pytest.fixture
def cable(stage):
    return Cable(stage)


def closing(closer, close):
    return () if closer == "client" else ("--closes-after", "64B", "--close", close)


def time_wait_of(result):
    """TIME_WAITs that a stack's report says were begun, and were there at its end."""
    return result["counters"]["stack"]["time_wait_started"], result["time_wait"]["measured"]


def check_run(server_result, result):
    """Nothing failed on either side, and the generator's and TCP's counts agree."""
    assert result["completed"] == COUNT and result["failed"] == 0, result["errors"]
    assert result["attempted"] == COUNT and result["open_at_end"] == 0
    assert server_result["attempted"] == COUNT and server_result["open_at_end"] == 0
    assert [check["name"] for check in result["checks"] if check["ok"] is False] == []
    assert [check["name"] for check in result["checks"] if check["ok"]], "nothing was checked"
    assert result["counters"]["loadgen"]["close_not_as_asked"] == 0


def churn(cable, pair, closer, close):
    """One run of COUNT connections; returns both results and TIME_WAIT by side."""
    client, server_engine = pair
    server = cable.server(server_engine, *closing(closer, close))
    result = cable.loadgen(client, "--count", str(COUNT), "--closer", closer, "--close", close)
    kernel_server = None
    if server_engine != "stack":
        with cable.there():
            kernel_server = count_time_wait(PORT)[1]
    server_result = server.stop()
    check_run(server_result, result)
    at_client = time_wait_of(result)[0] if client == "stack" else count_time_wait(PORT)[0]
    at_server = time_wait_of(server_result)[0] if server_engine == "stack" else kernel_server
    return server_result, result, (at_client, at_server)


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("pair", PAIRS)
def test_time_wait_is_left_to_the_closer(cable, pair, closer, close):
    server_result, result, sides = churn(cable, pair, closer, close)
    left = 0 if close in WITHOUT_TIME_WAIT else COUNT
    assert sides == ((left, 0) if closer == "client" else (0, left))
    for report in (result, server_result):
        if report["engine"] == "stack":
            begun, there = time_wait_of(report)
            assert there == begun, "within 2MSL none of them has ended"
            codes = limit_codes(report)
            assert ("time-wait-abandoned" in codes) == (begun > 0)


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("pair", PAIRS)
def test_with_both_closing_each_connection_leaves_one_time_wait_or_two(cable, pair, close):
    _, result, sides = churn(cable, pair, "both", close)
    if close in WITHOUT_TIME_WAIT:
        assert sides == (0, 0)
        return
    assert COUNT <= sum(sides) <= 2 * COUNT and max(sides) <= COUNT
    if pair == ("stack", "stack"):
        assert result["counters"]["loadgen"]["fins_crossed"] == sum(sides) - COUNT


def test_seven_segments_carry_a_connection_of_the_stacks(cable):
    server = cable.server("stack")
    result = cable.loadgen("stack", "--count", str(COUNT))
    server_result = server.stop()
    assert result["segments_per_conn"] == server_result["segments_per_conn"] == 7
    # ARP is all that crossed the link beside them.
    for report in (result, server_result):
        frames = report["counters"]["link"]["frames_sent"]
        segments = report["counters"]["stack"]["segments_sent"]
        assert segments <= frames <= segments + 64


def test_quickack_has_the_stack_send_the_kernels_ten_segments(cable):
    server = cable.server("stack", "--quickack", "on")
    result = cable.loadgen("stack", "--count", str(COUNT), "--quickack", "on")
    assert result["segments_per_conn"] == 10
    assert result["options"]["quickack"] == "on"
    server.stop()


@pytest.mark.parametrize("closer", ("client", "server", "both"))
def test_two_workers_at_each_end_get_their_own_segments(cable, closer):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    server = cable.server("stack", *closing(closer, "fin"), cpus="0-1")
    result = cable.loadgen("stack", "--count", str(COUNT), "--closer", closer, cpus="0-1")
    server_result = server.stop()
    check_run(server_result, result)
    assert result["counters"]["stack_run"]["workers"] == 2
    assert server_result["counters"]["stack"]["segments_no_connection"] == 0
    assert result["counters"]["stack"]["segments_no_connection"] == 0


def test_the_kernel_as_client_reaches_both_workers_of_a_server(cable):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    server = cable.server("stack", cpus="0-1")
    counters = Counters()
    result = cable.loadgen("epoll", "--count", str(COUNT))
    check_run(server.stop(), result)
    assert counters.delta("Tcp.ActiveOpens") == COUNT


@pytest.mark.parametrize("pair", PAIRS)
def test_large_answers_are_verified_byte_by_byte(cable, pair):
    server = cable.server(pair[1])
    result = cable.loadgen(pair[0], "--count", "40", "--echoes", "5", "--payload", "100kB")
    assert result["completed"] == 40 and result["failed"] == 0
    echoed = server.stop()["counters"]["server"]["bytes_echoed"]
    assert echoed == 40 * 5 * 100000


@pytest.mark.parametrize("engine", ("stack", "uring", "epoll"))
def test_4_tuples_that_are_used_again_too_early_are_named_as_that(cable, engine):
    """The stack lets a 4-tuple go a second after its last segment; the kernel, without timestamps,
    not before TIME_WAIT is over. Nobody else has their ports."""
    if engine != "stack":
        sysctl("net.ipv4.tcp_timestamps", 0)
    server = cable.server("stack")
    run = cable.start_loadgen(engine, "--rate", "100/s", "--duration", "1s", "--ports",
                              "20000-20009", "--reuse-after", "0", addresses=CLIENT)
    result = run.finish(code=3)
    assert result["completed"] >= 10 and result["failed"] > 0
    early = result["counters"]["loadgen"]["tuples_too_early"]
    assert early == result["failed"] and limit_codes(result, "invalid") == ["4-tuples"]
    assert "ports-taken" not in limit_codes(result)
    assert "was still in TIME_WAIT" in " ".join(run.stdout.split())
    server.stop()


@pytest.mark.parametrize("faults", ("duplication=100%", "duplication=20%,reordering=10%",
                                    "duplication=5%,loss=3%,seed=3"))
@pytest.mark.parametrize("close", ("fin", "close", "half"))
def test_resets_that_answer_copies_of_our_own_faults_are_accounted_for(cable, close, faults):
    """The server closes, so no TIME_WAIT of ours takes what comes twice."""
    server = cable.server("stack", *closing("server", close))
    result = cable.loadgen("stack", "--count", str(COUNT), "--closer", "server", "--close", close,
                           "--faults", faults, "--timeout", "30s")
    server.stop()
    assert result["completed"] == COUNT, result["errors"]
    assert result["counters"]["stack"]["resets_no_connection"] > 0, "nothing came late"
    assert [check for check in result["checks"] if check["ok"] is False] == []


def test_bytes_survive_loss_duplication_and_reordering(cable):
    """Faults at the client's end, in both directions."""
    server = cable.server("stack")
    result = cable.loadgen("stack", "--count", "60", "--payload", "20kB", "--timeout", "60s",
                           "--faults", "loss=3%,duplication=1%,reordering=1%,reorder-delay=2ms,"
                           "seed=7")
    faults = result["counters"]["link_faults"]
    assert result["completed"] == 60 and result["failed"] == 0
    assert min(faults["faults_lost"], faults["faults_duplicated"], faults["faults_reordered"]) > 0
    server.stop()


def test_late_duplicates_of_one_direction_harm_nobody(cable):
    """Every frame that the client sends comes once more, while its connection is still held."""
    server = cable.server("stack")
    result = cable.loadgen("stack", "--count", "50", "--hold", "300ms", "--faults",
                           "duplication=100%,duplicate-delay=50ms,direction=sent")
    server_result = server.stop()
    assert result["completed"] == 50 and result["failed"] == 0
    faults, link = result["counters"]["link_faults"], result["counters"]["link"]
    assert faults["faults_duplicated"] == faults["frames_sent"] > 0
    assert faults["frames_received"] == link["frames_received"]
    # The copies of SYN and data came behind their frames; those of the closing may come too late.
    assert faults["frames_sent"] + 2 * 50 <= link["frames_sent"] <= 2 * faults["frames_sent"]
    assert server_result["counters"]["server"]["bytes_echoed"] == 50 * 64


def test_an_open_loop_keeps_its_rate_and_holds(cable):
    server = cable.server("stack")
    result = cable.loadgen("stack", "--rate", "400/s", "--duration", "2s", "--hold", "300ms",
                           may_be_late=True)
    assert result["attempted"] == 800 and result["failed"] == 0
    assert result["completed"] == 800
    lifetime = result["latency"]["lifetime"]["from_start"]
    assert lifetime["p0"] >= 300_000_000
    server.stop()


def test_states_and_series_are_the_stacks(cable):
    server = cable.server("stack", "--states")
    run = cable.start_loadgen("stack", "--rate", "200/s", "--duration", "2s", "--states")
    result = run.finish(may_be_late=True)
    server_result = server.stop()
    for report in (result, server_result):
        assert {census["method"] for census in report["states"]} == {"stack"}
    assert result["states"][-1]["states"]["time_wait"] == result["completed"]
    assert "kernel" not in result["counters"] and "kernel" not in server_result["counters"]
    column = result["series_columns"].index("time_wait")
    column_of_time_wait = [row[column] for row in result["series"]]
    assert column_of_time_wait == sorted(column_of_time_wait) and column_of_time_wait[-1] > 0
