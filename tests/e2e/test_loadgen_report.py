"""What finwait-loadgen reports: JSON, percentile files, text, gates, exit codes."""
import json
import os
import re
import subprocess

import pytest

import peers
from conftest import program
from harness import ENGINES, first_cpu, limit_codes

# DESIGN.md, "Results".
FIELDS = ("schema", "version", "command_line", "options", "seed", "host", "sysctls",
          "offered_per_sec", "completed_per_sec", "attempted", "completed", "failed", "open_at_end",
          "shed", "errors", "latency", "series", "series_columns", "states", "time_wait",
          "cpu_ns_per_conn", "segments_per_conn", "bytes_per_conn", "verdict", "checks", "engine",
          "closer", "close", "features", "counters", "histograms", "failed_before_syn",
          "tuple_reuses")
PHASES = ("connect", "first_byte", "echo", "close", "lifetime")


@pytest.mark.parametrize("engine", ENGINES)
def test_json_has_every_field_of_the_design(stage, engine):
    server = stage.server(engine=engine)
    result = stage.loadgen("--rate", "200/s", "--count", "400", "--seed", "77", "--states",
                           target=server.address, engine=engine, may_be_late=True)
    assert [name for name in FIELDS if name not in result] == []
    assert (result["engine"], result["closer"], result["close"]) == (engine, "client", "fin")
    assert result["seed"] == "77" and "--seed 77" in result["command_line"]
    assert result["options"]["rate"].startswith("200")
    assert result["options"]["target"] == server.address
    for name in ("kernel_release", "clock_source", "cpu_model"):
        assert result["host"][name]
    assert result["sysctls"]["net.ipv4.tcp_max_tw_buckets"].isdigit()
    assert result["cpu_ns_per_conn"]["own"] > 0
    assert result["segments_per_conn"] >= 7
    assert result["time_wait"]["measured"] == result["time_wait"]["expected"] == 400
    assert result["states"][-1]["states"]["time_wait"] == 400
    assert set(result["verdict"]) == {"valid", "exit_code", "limits"}


@pytest.mark.parametrize("engine", ENGINES)
def test_each_phase_is_timed_from_the_schedule_and_from_the_start(stage, engine):
    server = stage.server(engine=engine)
    result = stage.loadgen("--rate", "400/s", "--count", "200", target=server.address,
                           engine=engine, may_be_late=True)
    assert set(result["latency"]) == set(PHASES)
    for phase in PHASES:
        scheduled, started = (result["latency"][phase][origin]
                              for origin in ("from_scheduled", "from_start"))
        assert scheduled["count"] == started["count"] == 200
        assert sum(count for _, count in started["bins"]) == 200
        assert 0 < started["p0"] <= started["p50"] <= started["p99"] <= started["p100"]
        assert scheduled["p100"] >= started["p0"]
    for name in ("turn", "schedule_slip"):
        assert result["histograms"][name]["count"] > 0


def read_hgrm(path):
    """A percentile file's rows of (value, percentile, count) and its closing figures."""
    text = path.read_text(encoding="ascii")
    rows = [tuple(map(float, line.split()[:3])) for line in text.splitlines()
            if re.match(r"^\s*[\d.]+\s+[\d.]+\s+\d+", line)]
    closing = dict(re.findall(r"([A-Z][A-Za-z ]+?)\s*=\s*([\d.]+)", text))
    return text, rows, closing


@pytest.mark.parametrize("engine", ENGINES)
def test_percentile_files_are_what_histogram_tools_read(stage, engine):
    server = stage.server(engine=engine)
    result = stage.loadgen("--count", "500", "--hgrm", str(stage.folder / "run"),
                           target=server.address, engine=engine)
    for phase in PHASES:
        for origin, suffix in (("from_scheduled", ""), ("from_start", ".start")):
            text, rows, closing = read_hgrm(stage.folder / f"run.{phase}{suffix}.hgrm")
            figures = result["latency"][phase][origin]
            assert re.search(r"Value\s+Percentile\s+TotalCount\s+1/\(1-Percentile\)", text)
            assert rows == sorted(rows) and len(rows) > 10
            assert rows[-1][1:] == (1.0, 500)
            assert float(closing["Total count"]) == 500
            # One in microseconds with three decimals, the other in whole ns.
            assert abs(float(closing["Max"]) * 1000 - figures["p100"]) <= figures["p100"] * 0.01
            assert abs(float(closing["Mean"]) * 1000 - figures["mean"]) <= figures["mean"] * 0.01


@pytest.mark.parametrize("gate, code", (
    ("failed>0", 0), ("connect.p99>10s", 0), ("lifetime.max >= 1h", 0), ("completed_per_sec<1", 0),
    ("connect.p99>1ns", 4), ("echo.start.p50>=0.001us", 4), ("completed_per_sec<1000M", 4),
    ("failed==0", 4)))
def test_a_gate_decides_between_0_and_4(stage, gate, code):
    server = stage.server()
    run = stage.start_loadgen("--count", "100", "--fail-if", gate, target=server.address)
    result = run.finish(code=code)
    assert result["verdict"]["valid"] is True
    assert ("fail-if" in limit_codes(result, "target_failed")) == (code == 4)
    assert ("fail-if" in run.stdout) == (code == 4)


def test_one_gate_of_several_is_enough(stage):
    server = stage.server()
    stage.loadgen("--count", "50", "--fail-if", "failed>0", "--fail-if", "connect.p50>1ns",
                  target=server.address, code=4)


def test_a_gate_on_what_was_not_measured_fails(stage):
    server = stage.server()
    stage.loadgen("--count", "50", "--echoes", "0", "--fail-if", "echo.p99>1s",
                  target=server.address, code=4)


def test_an_invalid_run_outweighs_a_failed_target(stage):
    peer = stage.also_close(peers.Peer(peers.corrupt))
    result = stage.loadgen("--rate", "100/s", "--count", "30", "--sources", "127.0.0.2", "--ports",
                           "20000-20009", target=peer.target, code=3)
    assert result["errors"] == {"echo/EBADMSG": 10, "setup/EADDRNOTAVAIL": 20}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_summary_says_rate_verdict_and_failures(stage, engine):
    server = stage.server(engine=engine)
    run = stage.start_loadgen("--count", "100", target=server.address, engine=engine)
    run.finish()
    first = run.stdout.splitlines()[0]
    assert re.match(r"[\d,.]+ connections/s over .+: VALID$", first), first
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "failures    none" in run.stdout


def test_json_on_stdout_leaves_the_summary_to_stderr(stage):
    server = stage.server()
    run = stage.start_loadgen("--count", "20", "--json", "-", target=server.address)
    assert run.wait() == 0
    assert json.loads(run.stdout)["completed"] == 20
    assert "connections/s over" in run.stderr


def test_quiet_prints_nothing_of_a_good_run(stage):
    server = stage.server()
    run = stage.start_loadgen("--count", "20", "--quiet", target=server.address)
    run.finish()
    assert (run.stdout, run.stderr) == ("", "")


def test_quiet_still_says_why_a_run_was_no_success(stage):
    server = stage.server()
    run = stage.start_loadgen("--count", "20", "--quiet", "--fail-if", "connect.p99>1ns", "--fail-if",
                              "completed<1", target=server.address)
    run.finish(code=4)
    assert run.stdout == ""
    assert [line.split(":")[1] for line in run.stderr.splitlines()] == [" target failed (fail-if)"]
    assert "connect.p99" in run.stderr


def test_the_same_seed_sends_the_same_bytes(stage):
    """Payloads are checked against what was sent, so they must not be all alike."""
    seen = {}

    def keep(seed):
        def behaviour(sock):
            data = sock.recv(1 << 16)
            seen.setdefault(seed, []).append(data)
            sock.sendall(data)
            peers.wait_for_end(sock)
        return behaviour
    for run, seed in enumerate(("5", "5", "6")):
        peer = stage.also_close(peers.Peer(keep(run)))
        stage.loadgen("--count", "10", "--in-flight", "1", "--cpus", first_cpu(), "--seed", seed,
                      target=peer.target)
    assert seen[0] == seen[1] != seen[2]
    assert len(set(seen[0])) == 10


def test_a_report_that_cannot_be_written_is_said(stage):
    """A full disk shows only when the run is over: then the run counts as invalid."""
    server = stage.server()
    done = stage.run(program("finwait-loadgen"), "--target", server.address, "--count", "20",
                     "--json", "/dev/full")
    assert done.returncode == 3
    assert "No space left" in done.stderr and "/dev/full" in done.stderr


def test_a_reader_of_the_report_that_goes_away_is_an_error_and_not_the_end(stage):
    server = stage.server()
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = subprocess.run([program("finwait-loadgen"), "--target", server.address, "--count",
                               "20"], stdout=write_end, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False)
    finally:
        os.close(write_end)
    assert done.returncode == 3
    assert "cannot" in done.stderr
