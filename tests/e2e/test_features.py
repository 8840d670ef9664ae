"""Every optional feature of io_uring forced off on both programs: the fall-backs do as well."""
import re
from pathlib import Path

import pytest

from conftest import ROOT, program
from harness import ENGINES
from kernel import Counters, count_time_wait

SOURCE = (Path(ROOT) / "common/uring/features.def").read_text(encoding="utf-8")
FEATURES = re.findall(r'^FEATURE\(\w+, "([\w-]+)"', SOURCE, re.M)
# What a 6.1 kernel, Debian 12's own, has no operation for.
OF_6_1 = ("setsockopt-op", "bind-op")
OF_EPOLL = ("epoll-pwait2",)
SOURCES = {"fin": "127.0.1.1", "close": "127.0.1.2", "rst": "127.0.1.3"}
COUNT = 300
ALONE = [(name,) for name in FEATURES]


def without(names):
    return [word for name in names for word in ("--without-feature", name)]


def read_features(stage, name, *arguments):
    done = stage.run(program(name), "--print-features", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for line in ("kernel: ", "liburing: ", "engine: "):
        assert line in done.stdout
    rows = re.findall(r"^  ([\w-]+) +(used|unused|off|missing)\b", done.stdout, re.M)
    return dict(rows)


@pytest.mark.parametrize("name", ("finwait-server", "finwait-loadgen"))
def test_features_are_shown_and_those_forced_off_are_marked(stage, name):
    assert sorted(read_features(stage, name, "--engine", "uring")) == sorted(FEATURES)
    for feature in FEATURES:
        shown = read_features(stage, name, "--engine", "uring", "--without-feature", feature)
        assert shown[feature] == "off", feature
    of_epoll = read_features(stage, name, "--engine", "epoll")
    assert list(of_epoll) == list(OF_EPOLL)
    for feature in OF_EPOLL:
        shown = read_features(stage, name, "--engine", "epoll", "--without-feature", feature)
        assert shown[feature] == "off", feature


def churn(stage, server, close, names):
    counters = Counters()
    # Sources of its own: a run must not take over the TIME_WAIT of the one before.
    result = stage.loadgen("--count", str(COUNT), "--close", close, *without(names), "--sources",
                           SOURCES[close], target=server.address, engine="uring")
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    assert all(result["features"][name]["state"] == "off" for name in names)
    assert counters.delta("Tcp.ActiveOpens") == COUNT
    assert counters.delta("Tcp.OutRsts") == (COUNT if close == "rst" else 0)
    assert result["counters"]["transport"]["option_failed"] == 0
    assert result["counters"]["transport"]["close_how_unavailable"] == 0


@pytest.mark.parametrize("names", [*ALONE, OF_6_1, tuple(FEATURES)], ids="+".join)
def test_without_it_the_client_closes_by_the_same_table(stage, names):
    server = stage.server(*without(names), engine="uring")
    for close in ("fin", "close", "rst"):
        churn(stage, server, close, names)
    # The resets of the last run may still be on their way up in the server.
    assert count_time_wait(server.port) == (2 * COUNT, 0)
    result = server.stop()
    assert result["attempted"] == 3 * COUNT and result["open_at_end"] == 0
    assert result["completed"] >= 2 * COUNT
    assert all(result["features"][name]["state"] == "off" for name in names)


@pytest.mark.parametrize("close", ("fin", "close", "rst"))
@pytest.mark.parametrize("names", [*ALONE, OF_6_1, tuple(FEATURES)], ids="+".join)
def test_without_it_the_server_closes_by_the_same_table(stage, names, close):
    server = stage.server("--closes-after", "64B", "--close", close, *without(names),
                          engine="uring")
    counters = Counters()
    result = stage.loadgen("--count", str(COUNT), "--closer", "server", "--close", close,
                           *without(names), target=server.address, engine="uring")
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    assert result["counters"]["loadgen"]["close_not_as_asked"] == 0
    assert counters.delta("Tcp.OutRsts") == (COUNT if close == "rst" else 0)
    assert count_time_wait(server.port) == (0, 0 if close == "rst" else COUNT)
    assert server.stop()["completed"] == COUNT


@pytest.mark.parametrize("engine", ENGINES)
def test_a_feature_forced_off_on_one_side_does_not_need_the_other(stage, engine):
    server = stage.server(*without(OF_6_1), engine="uring")
    result = stage.loadgen("--count", str(COUNT), "--echoes", "5", target=server.address,
                           engine=engine)
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    server.stop()


@pytest.mark.parametrize("close", ("fin", "close", "rst"))
def test_epoll_does_without_its_feature_too(stage, close):
    server = stage.server(*without(OF_EPOLL), engine="epoll")
    counters = Counters()
    result = stage.loadgen("--count", str(COUNT), "--close", close, *without(OF_EPOLL),
                           target=server.address, engine="epoll")
    assert (result["completed"], result["failed"]) == (COUNT, 0)
    assert result["features"][OF_EPOLL[0]]["state"] == "off"
    assert counters.delta("Tcp.OutRsts") == (COUNT if close == "rst" else 0)
    assert server.stop()["open_at_end"] == 0
