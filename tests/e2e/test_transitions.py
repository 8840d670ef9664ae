"""Exact transitions: the kernel's own count of every change of state, beside the generator's."""
import pytest

from conftest import program
from harness import CLOSES, ENGINES
from probe import CLOSERS, Probe, check_row, owner_of_time_wait

COUNT = 2000
FAST_COUNT = 60000  # below the tcp_max_tw_buckets that a namespace has on small machines


@pytest.fixture
def probe(stage):
    """A probe in the test's namespace; skips where BPF may not be used."""
    opened = Probe(program("account-probe"))
    if opened.refusal:
        pytest.skip(opened.refusal)
    stage.also_close(opened)
    return opened


def churn(stage, closer, close, *load, engine=None, release=False):
    closing = () if closer == "client" else ("--closes-after", "64B", "--close", close)
    server = stage.server(*closing, engine=engine, release=release)
    return stage.loadgen("--closer", closer, "--close", close, *load, target=server.address,
                         engine=engine, release=release)


@pytest.mark.parametrize("close", CLOSES)
@pytest.mark.parametrize("closer", CLOSERS)
def test_every_row_of_the_close_table_is_counted_to_the_unit(stage, probe, closer, close):
    result = churn(stage, closer, close, "--count", str(COUNT))
    assert result["completed"] == COUNT
    assert check_row(probe.read_settled(), closer, close, result) == []


@pytest.mark.parametrize("engine", ENGINES)
def test_churn_at_full_speed_is_counted_to_the_unit(stage, probe, engine):
    result = churn(stage, "client", "fin", "--count", str(FAST_COUNT), engine=engine, release=True)
    reading = probe.read_settled()
    assert check_row(reading, "client", "fin", result) == []
    assert reading["closed"]


@pytest.mark.parametrize("closer", ("client", "server"))
@pytest.mark.parametrize("engine", ENGINES)
def test_time_wait_belongs_to_the_closer(stage, probe, engine, closer):
    result = churn(stage, closer, "close", "--count", "500", engine=engine)
    reading = probe.read_settled()
    name = "finwait-loadgen" if closer == "client" else "finwait-server"
    # The generator has ended by now, and is named nonetheless.
    assert owner_of_time_wait(reading, name) == (result["completed"], result["completed"])


def test_connections_that_were_open_before_are_in_the_account(stage):
    server = stage.server()
    for _ in range(20):
        stage.connect(server)
    probe = Probe(program("account-probe"))
    if probe.refusal:
        pytest.skip(probe.refusal)
    stage.also_close(probe)
    before = probe.read()
    assert before["rows"]["established"] == [40, 0, 0, 40]
    for sock in stage.closers[:20]:
        sock.close()
    after = probe.read_settled()
    assert after["rows"]["established"] == [40, 0, 40, 0]
    assert after["differences"] == []
