"""finwait-stat tells transitions, and how long states lasted, apart by port: exactly."""
import csv
import json
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from conftest import program
from harness import first_cpu, wait_until
from test_metrics import STAT_AT, is_listening, prometheus_program, scrape, values

STAT = program("finwait-stat")
SHORT, LONG = "127.0.0.1:17401", "127.0.0.1:17402"
SHORT_PORT, LONG_PORT = 17401, 17402
SHORT_NS, LONG_NS = 20_000_000, 200_000_000
FAST_COUNT = "25000"  # at each port: below the tcp_max_tw_buckets of small machines


class Watch:
    """finwait-stat with every output, from before the first connection on."""

    def __init__(self, stage, *arguments):
        self.paths = {kind: stage.folder / f"ports.{kind}" for kind in ("json", "csv", "rec")}
        self.process = stage.spawn(
            STAT, "--interval", "100ms", "--budget", "20%", "--view", "lines", "--metrics", STAT_AT,
            "--json", self.paths["json"], "--csv", self.paths["csv"], "--record", self.paths["rec"],
            *arguments)
        wait_until(lambda: self.process.ended or is_listening(STAT_AT), "the exporter")
        scrape(STAT_AT)  # it answers once it counts

    def stop(self):
        self.process.signal(signal.SIGTERM)
        assert self.process.wait() == 0, self.process.stderr
        return json.loads(self.paths["json"].read_text(encoding="utf-8"))

    def rows(self):
        return read_csv(self.paths["csv"])


def read_csv(path):
    with open(path, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def start(stage, *arguments):
    watch = Watch(stage, *arguments)
    if "transitions" in (missing := watch.process.stderr):
        pytest.skip(missing)
    return watch


def churn(stage, wait=True, release=False, loads=(("2000", "20ms"), ("300", "200ms"))):
    """Two generators at once, each at its port, with holds of their own; waits until the kernel has
    closed what they left."""
    servers = [stage.server("--cpus", first_cpu(), listen=(address,), release=release)
               for address in (SHORT, LONG)]  # one listener each
    running = [stage.start_loadgen("--count", count, "--hold", hold, "--in-flight", "40",
                                   target=server.address, release=release)
               for server, (count, hold) in zip(servers, loads)]
    results = [load.finish() for load in running]
    if wait:
        wait_until(lambda: settled(results), "the last FINs")
    return results


def settled(results):
    """Whether every connection's two ends have ended, by the text that Prometheus would read."""
    ends = Counter()
    for name, times in values(scrape(STAT_AT)[1]).items():
        if name.startswith("finwait_tcp_transitions_total{") and "listen" not in name and \
                any(f'to="{state}"' in name for state in ("closed", "time_wait", "none")):
            ends["all"] += times
    return ends["all"] == 2 * sum(result["completed"] for result in results)


def matrix_of(count):
    """Both ends of so many connections that the client closed by FIN, and the listener."""
    return {"none>listen": 1, "none>syn_sent": count, "syn_sent>established": count,
            "none>syn_received": count, "syn_received>established": count,
            "established>fin_wait_1": count, "established>close_wait": count,
            "fin_wait_1>fin_wait_2": count, "fin_wait_2>time_wait": count,
            "close_wait>last_ack": count, "last_ack>closed": count}


def lasted_sums(parts):
    """For each state, all counts of its histogram over some parts."""
    sums = {}
    for part in parts:
        for state, lasted in part["lasted"].items():
            into = sums.setdefault(state, Counter())
            into.update(lasted["below_2^n_ns"])
            into["count"] += lasted["count"]
    return sums


def check_parts_make_the_whole(transitions):
    ports = transitions["ports"]
    parts = [*ports["rows"], ports["rest"]]
    matrix = Counter()
    for part in parts:
        matrix.update(part["matrix"])
    assert dict(matrix) == transitions["matrix"]
    assert lasted_sums(parts) == lasted_sums([transitions])


def check_held(part, count, hold_ns):
    """Both ends were ESTABLISHED for the hold: none shorter, and most not much longer."""
    lasted = part["lasted"]["established"]
    assert lasted["count"] == sum(lasted["below_2^n_ns"].values()) == count
    assert all(1 << int(power) > hold_ns for power in lasted["below_2^n_ns"]), lasted
    assert hold_ns * 31 / 32 <= lasted["p50_ns"] < 5 * hold_ns, lasted
    assert lasted["p50_ns"] <= lasted["p90_ns"] <= lasted["p99_ns"] <= lasted["max_ns"]


def test_two_named_ports_are_told_apart_to_the_unit(stage):
    watch = start(stage, "--port", str(SHORT_PORT), "--port", str(LONG_PORT))
    short, long = churn(stage)
    document = watch.stop()
    assert document["ports_by"] == "port"
    transitions = document["transitions"]
    ports = transitions["ports"]
    assert [row["port"] for row in ports["rows"]] == [SHORT_PORT, LONG_PORT]
    for row, result, hold_ns in zip(ports["rows"], (short, long), (SHORT_NS, LONG_NS)):
        count = result["completed"]
        assert count == result["attempted"] > 0
        assert row["matrix"] == matrix_of(count)
        check_held(row, 2 * count, hold_ns)
        for state, times in (("syn_sent", count), ("close_wait", count), ("last_ack", count)):
            assert row["lasted"][state]["count"] == times
    assert ports["rest"] == {"matrix": {}, "lasted": {}} and ports["without_place"] == 0
    check_parts_make_the_whole(transitions)
    last = watch.rows()[-1]
    for number, result in ((1, short), (2, long)):
        assert last[f"port_{number}"] == str((SHORT_PORT, LONG_PORT)[number - 1])
        for name in ("step_none_to_syn_sent", "step_last_ack_to_closed", "lasted_close_wait_count"):
            assert last[f"port_{number}_{name}"] == str(result["completed"])
    assert int(last["step_none_to_syn_sent"]) == short["completed"] + long["completed"]
    assert last["port_rest_step_none_to_syn_sent"] == "0"
    lines = watch.process.stdout.splitlines()
    title = next(i for i, line in enumerate(lines) if line.startswith("by port "))
    for line, row in zip(lines[title + 1:], ports["rows"]):
        count = str(row["matrix"]["none>syn_sent"] * 2)
        assert line.split()[:3] == [str(row["port"]), count, count]


def test_at_full_speed_no_transition_goes_to_the_wrong_port(stage):
    watch = start(stage, "--port", str(SHORT_PORT), "--port", str(LONG_PORT))
    results = churn(stage, release=True, loads=((FAST_COUNT, "0"), (FAST_COUNT, "0")))
    transitions = watch.stop()["transitions"]
    for row, result in zip(transitions["ports"]["rows"], results):
        assert row["matrix"] == matrix_of(result["completed"])
        assert row["lasted"]["established"]["count"] == 2 * result["completed"]
    check_parts_make_the_whole(transitions)


def test_a_recording_has_the_ports_and_replays_to_the_same(stage):
    watch = start(stage, "--local-port", str(SHORT_PORT), "--local-port", str(LONG_PORT))
    short, long = churn(stage, wait=False)
    document = watch.stop()
    assert document["ports_by"] == "local-port"
    for row, result in zip(document["transitions"]["ports"]["rows"], (short, long)):
        assert row["matrix"]["none>syn_received"] == result["completed"]
        assert "none>syn_sent" not in row["matrix"]
    again = {kind: stage.folder / f"again.{kind}" for kind in ("json", "csv")}
    done = stage.run(STAT, "--replay", watch.paths["rec"], "--speed", "max",
                     "--json", again["json"], "--csv", again["csv"])
    assert done.returncode == 0, done.stderr
    replayed = json.loads(again["json"].read_text(encoding="utf-8"))
    assert replayed["transitions"] == document["transitions"]
    assert replayed["ports_by"] == document["ports_by"]
    # Without columns for owners, which are by this run's --top and --by, and not by the recording's.
    def without_owners(path):
        return [{k: v for k, v in row.items() if not k.startswith("owner_")} for row in read_csv(path)]
    assert without_owners(again["csv"]) == without_owners(watch.paths["csv"])
    done = stage.run(STAT, "--replay", watch.paths["rec"], "--speed", "max", "--view", "live")
    assert re.search(r"^by local-port +opened/s +ended/s +ESTAB p50", done.stdout, re.M)


def test_a_recording_of_before_there_were_ports_still_replays(stage):
    """A head and a tick as version 1 had them at first."""
    head = {"format": "finwait.recording", "version": 1, "finwait": "0.1.0", "kernel": "6.1.0",
            "method": "procfs", "by": "", "missing": "", "started_wall_ns": 1, "interval_ns": 10 ** 9,
            "budget_permille": 10, "time_wait_max": 0}
    tick = {"tick": 0, "elapsed_ns": 0, "wall_ns": 1, "values": {}, "notes": [],
            "transitions": {"at_ns": 5, "matrix": {"none>syn_sent": 7},
                            "lasted": {"syn_sent": {"count": 7, "p50_ns": 9, "below_2^n_ns": {"4": 7}}}}}
    path = stage.file("old.rec", "".join(json.dumps(line) + "\n" for line in (
        head, tick, {"end": {"ticks_missed": 0}})).encode())
    done = stage.run(STAT, "--replay", path, "--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["transitions"]["matrix"] == {"none>syn_sent": 7}
    assert "ports" not in document["transitions"] and "ports_by" not in document
    done = stage.run(STAT, "--replay", path, "--csv", "-")
    assert "port_" not in done.stdout.splitlines()[0]


def test_by_local_port_gives_each_service_a_row_and_its_clients_none(stage):
    watch = start(stage, "--by", "local-port")
    short, long = churn(stage, wait=False)
    wait_until(lambda: len(read_rows(watch)) == 2, "both services")
    document = watch.stop()
    transitions = document["transitions"]
    rows = {row["port"]: row for row in transitions["ports"]["rows"]}
    assert document["ports_by"] == "local-port" and transitions["ports"]["without_place"] == 0
    for port, result, hold_ns in ((SHORT_PORT, short, SHORT_NS), (LONG_PORT, long, LONG_NS)):
        assert rows[port]["matrix"]["none>syn_received"] == result["completed"]
        assert "none>syn_sent" not in rows[port]["matrix"]
        check_held(rows[port], result["completed"], hold_ns)
    # Their clients, and whoever scraped: each came from a port of its own.
    rest = transitions["ports"]["rest"]["matrix"]
    assert rest["none>syn_sent"] >= short["completed"] + long["completed"]
    assert "none>syn_received" not in rest
    assert watch.rows()[-1]["port_rest_step_none_to_syn_sent"] == str(rest["none>syn_sent"])


def read_rows(watch):
    """The ports of the newest whole tick of the recording."""
    lines = [line for line in watch.paths["rec"].read_text(encoding="utf-8").splitlines(True)
             if line.endswith("\n") and '"tick"' in line]
    tick = json.loads(lines[-1])
    return [row for row in tick["transitions"]["ports"]["rows"]
            if row["port"] in (SHORT_PORT, LONG_PORT)]


def test_metrics_have_a_port_in_place_of_the_whole(stage):
    watch = start(stage, "--port", f"{SHORT_PORT}-{LONG_PORT}")
    short, long = churn(stage)
    samples = values(scrape(STAT_AT)[1])
    for port, result in ((SHORT_PORT, short), (LONG_PORT, long)):
        count = result["completed"]
        for step, times in matrix_of(count).items():
            before, after = step.split(">")
            name = f'finwait_tcp_transitions_total{{from="{before}",to="{after}",port="{port}"}}'
            assert samples[name] == times
        name = f'finwait_tcp_state_duration_seconds_count{{state="established",port="{port}"}}'
        assert samples[name] == 2 * count
    below = {name: count for name, count in samples.items() if name.startswith(
        f'finwait_tcp_state_duration_seconds_bucket{{state="established",port="{LONG_PORT}"')}
    edges = {float(name.split('le="')[1].split('"')[0]): count for name, count in below.items()}
    assert all(count == 0 for edge, count in edges.items() if edge < LONG_NS / 1e9)
    assert edges[float("inf")] == 2 * long["completed"]
    grouped = [name for name in samples
               if name.startswith(("finwait_tcp_transitions", "finwait_tcp_state_duration"))]
    assert grouped and all('port="' in name for name in grouped)
    kind, plain = scrape(STAT_AT, "text/plain")
    assert kind.startswith("text/plain")
    done = subprocess.run([prometheus_program("promtool"), "check", "metrics"], input=plain, text=True,
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    watch.stop()


def test_once_and_a_stack_have_no_transitions_by_port(stage):
    """A single count has had no time for any; a stack says that it tells its states as a whole."""
    done = stage.run(STAT, "--once", "--port", "1-2", "--json", "-")
    assert done.returncode == 0 and "transitions" not in json.loads(done.stdout)
    for arguments in (("--by", "local-port"), ("--port", "1-2")):
        done = stage.run(STAT, "--stack", Path("/nowhere"), *arguments)
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert "a stack tells its states as a whole" in done.stderr
