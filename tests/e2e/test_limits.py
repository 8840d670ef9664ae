"""Descriptors and size: RLIMIT_NOFILE at 64; 10,000 in flight; 100,000 held by one process."""
import json
import os
import signal

import pytest

from conftest import release_program
from harness import ENGINES, limit_codes, wait_until
from kernel import Counters, read_sockstat

FEW = 64
IN_FLIGHT = 300
CROWD = 2 * IN_FLIGHT
HUNDRED_THOUSAND = 100_000


def crowd(stage, server, *more, code=0, **options):
    """600 connections, 300 of them open together for a while."""
    return stage.loadgen("--count", str(CROWD), "--in-flight", str(IN_FLIGHT), "--hold", "1s",
                         "--timeout", "60s", *more, target=server.address, code=code, **options)


@pytest.mark.parametrize("close", ("fin", "rst"))
@pytest.mark.parametrize("engine", ENGINES)
def test_a_server_with_few_descriptors_serves_everyone(stage, engine, close):
    server = stage.server(engine=engine, nofile=FEW)
    result = crowd(stage, server, "--close", close)
    assert (result["completed"], result["failed"]) == (CROWD, 0)
    served = server.stop()
    assert served["attempted"] == CROWD and served["open_at_end"] == 0
    if engine == "uring":
        # Its rings' tables are as small as the limit, so it took further ones.
        assert served["counters"]["transport"]["rings"] > served["counters"]["server"]["workers"]
        assert served["counters"]["server"]["open_max_of_workers_added"] >= IN_FLIGHT
    assert served["counters"]["transport"]["accept_no_slot"] == 0


def test_the_most_open_of_several_workers_is_told_as_a_bound_only(stage):
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two CPUs")
    server = stage.server("--cpus", "0-1")
    run = stage.start_loadgen("--count", "200", "--in-flight", "8", "--cpus", "0-1", "--fail-if",
                              "open_max>8", target=server.address)
    result = run.finish(code=4)
    assert result["open_max"] is None
    assert 2 <= result["counters"]["loadgen"]["open_max_of_workers_added"] <= 8
    assert "is only a bound" in " ".join(run.stdout.split())
    assert server.stop()["open_max"] is None


def test_an_io_uring_generator_with_few_descriptors_takes_further_rings(stage):
    server = stage.server()
    result = crowd(stage, server, engine="uring", nofile=FEW)
    assert (result["completed"], result["failed"]) == (CROWD, 0)
    assert result["counters"]["transport"]["rings"] > result["counters"]["loadgen"]["workers"]
    assert result["counters"]["loadgen"]["open_max_of_workers_added"] == IN_FLIGHT


@pytest.mark.parametrize("engine, more",
                         (("epoll", ()), ("uring", ("--without-feature", "direct"))))
def test_without_tables_descriptors_run_out_by_name(stage, engine, more):
    server = stage.server()
    counters = Counters()
    result = stage.loadgen("--rate", "400/s", "--count", "400", "--hold", "4s", *more,
                           target=server.address, engine=engine, nofile=FEW, code=3)
    assert set(result["errors"]) == {"setup/EMFILE"}
    assert result["error_words"] == {"setup/EMFILE": "no descriptors"}
    assert result["attempted"] == 400
    # Each worker has a table of descriptors of its own, to which the limit applies.
    assert 20 <= result["completed"] < FEW * result["counters"]["loadgen"]["workers"]
    assert "descriptors" in limit_codes(result, "invalid")
    assert counters.delta("Tcp.ActiveOpens") == 400 - result["failed_before_syn"]


@pytest.mark.parametrize("engine", ENGINES)
def test_both_programs_with_few_descriptors_end_cleanly(stage, engine):
    server = stage.server(engine=engine, nofile=FEW)
    code = 0 if engine == "uring" else 3
    result = crowd(stage, server, engine=engine, nofile=FEW, code=code) if engine == "uring" else \
        stage.loadgen("--rate", "400/s", "--count", "400", "--hold", "500ms",
                      target=server.address, engine=engine, nofile=FEW, code=code)
    assert set(result["errors"]) <= {"setup/EMFILE"}
    served = server.stop()
    assert served["attempted"] == result["completed"]


@pytest.mark.parametrize("engine", ENGINES)
def test_ten_thousand_in_flight(stage, engine):
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "20000", "--in-flight", "10000", "--timeout", "60s",
                           target=server.address, engine=engine, seconds=180)
    assert (result["completed"], result["failed"]) == (20000, 0)
    assert result["counters"]["loadgen"]["open_max_of_workers_added"] == 10000
    assert server.stop()["completed"] == 20000


@pytest.mark.parametrize("engine", ENGINES)
def test_ten_thousand_held_connections_close_together(stage, engine):
    """Closing one of many must not look at all the others."""
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "10000", "--in-flight", "10000", "--hold", "3s", "--close",
                           "rst", "--timeout", "60s", target=server.address, engine=engine,
                           seconds=180)
    assert (result["completed"], result["failed"]) == (10000, 0)
    assert server.stop()["open_at_end"] == 0


def test_one_process_holds_a_hundred_thousand_connections(stage):
    """With RLIMIT_NOFILE at 20,000, which the kernel's descriptors could not do."""
    server = stage.server("--conns-max", "200k", release=True, engine="uring", nofile=20000)
    run = stage.start_loadgen(
        "--count", str(HUNDRED_THOUSAND), "--in-flight", str(HUNDRED_THOUSAND), "--hold", "10m",
        "--timeout", "60s", target=server.address, release=True, engine="uring", nofile=20000)
    wait_until(lambda: read_sockstat()["TCP"]["inuse"] >= 2 * HUNDRED_THOUSAND or run.ended,
               "100,000 connections, both ends", 180)
    assert not run.ended, run.stdout
    done = stage.run(release_program("finwait-stat"), "--once", "--json", "-", "--port",
                     server.port)
    census = json.loads(done.stdout)["total"]
    assert census["established"] == 2 * HUNDRED_THOUSAND
    assert 1 <= census["listen"] <= 2
    run.signal(signal.SIGINT)
    # Giving 100,000 connections up takes as long as opening them did: a few seconds.
    result = run.finish(code=3, seconds=180)
    assert (result["attempted"], result["failed"]) == (HUNDRED_THOUSAND, 0)
    assert result["counters"]["loadgen"]["open_max_of_workers_added"] == HUNDRED_THOUSAND
    wait_until(lambda: read_sockstat()["TCP"]["inuse"] <= 2, "the end of all")
    served = server.stop()
    assert served["attempted"] == HUNDRED_THOUSAND and served["open_at_end"] == 0
    assert served["counters"]["server"]["open_max_of_workers_added"] == HUNDRED_THOUSAND
