"""OpenMetrics, as the real Prometheus scrapes them from finwait-stat and finwait-server."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from cable import Cable
from conftest import ROOT, program
from harness import first_cpu, wait_until

STAT = program("finwait-stat")
SERVER = program("finwait-server")
STAT_AT, SERVER_AT, PROMETHEUS_AT = "127.0.0.1:9464", "127.0.0.1:9465", "127.0.0.1:9090"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0"


def prometheus_program(name):
    """Debian's program, from the system or from where tests/packages unpacked it."""
    unpacked = ROOT / "build-asan" / "prometheus" / "usr" / "bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    assert found, f"{name} is not there; tests/packages test gets it"
    return found


def scrape(address, accept=OPEN_METRICS):
    request = urllib.request.Request(f"http://{address}/metrics", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def values(text):
    """The samples by their name and labels as they are written."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    samples = dict(line.rsplit(" ", 1) for line in lines)
    assert len(samples) == len(lines), "a series is there twice"
    return {name: float(value) for name, value in samples.items()}


def is_listening(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False


def start_stat(stage, *arguments, at=STAT_AT):
    process = stage.spawn(STAT, "--metrics", at, "--interval", "200ms", "--budget", "20%",
                          "--view", "lines", *arguments)
    wait_until(lambda: is_listening(at), "the exporter")
    return process


class Prometheus:
    """A Prometheus of the test's own, which knows its two targets and keeps its data in the folder."""

    def __init__(self, stage):
        config = stage.file("prometheus.yml", f"""
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - {{job_name: stat, static_configs: [{{targets: ['{STAT_AT}']}}]}}
  - {{job_name: server, static_configs: [{{targets: ['{SERVER_AT}']}}]}}
""".encode())
        self.process = stage.spawn(
            prometheus_program("prometheus"), f"--config.file={config}",
            f"--storage.tsdb.path={stage.folder / 'tsdb'}", f"--web.listen-address={PROMETHEUS_AT}")
        wait_until(lambda: is_listening(PROMETHEUS_AT), "Prometheus")

    def get(self, path, **arguments):
        query = urllib.parse.urlencode(arguments)
        with urllib.request.urlopen(f"http://{PROMETHEUS_AT}/api/v1/{path}?{query}",
                                    timeout=20) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def query(self, text):
        """The value of an expression that gives one series, or None."""
        try:
            result = self.get("query", query=text)["result"]
        except urllib.error.HTTPError as error:
            assert error.code == 503, error.read()  # it is still starting
            return None
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, text, expected):
        wait_until(lambda: self.query(text) == expected, f"{text} = {expected}")


def test_prometheus_scrapes_a_run_and_answers_what_the_run_says(stage):
    prometheus = Prometheus(stage)
    server = stage.server("--metrics", SERVER_AT, "--cpus", first_cpu())
    stat = start_stat(stage, "--port", str(server.port))
    scrape(STAT_AT)  # it listens before it counts, and answers only then
    client = stage.loadgen("--rate", "200/s", "--duration", "6s", target=server.address,
                           may_be_late=True)
    prometheus.wait_for('up{job="stat"}', 1)
    prometheus.wait_for('up{job="server"}', 1)
    completed = client["completed"]
    prometheus.wait_for("finwait_server_completed_total", completed)
    prometheus.wait_for("finwait_server_open_connections", 0)
    prometheus.wait_for("finwait_server_connection_lifetime_seconds_count", completed)
    prometheus.wait_for('finwait_server_connection_lifetime_seconds_bucket{le="+Inf"}', completed)
    if "finwait_tcp_transitions" in scrape(STAT_AT)[1]:
        of_state = '{state="syn_received"}'
        prometheus.wait_for(f"finwait_tcp_state_duration_seconds_count{of_state}", completed)
        prometheus.wait_for('finwait_tcp_transitions_total{from="syn_received",to="established"}',
                            completed)
    median = prometheus.query(
        "histogram_quantile(0.5, finwait_server_connection_lifetime_seconds_bucket)")
    assert 1e-6 < median < 1
    assert prometheus.query("max_over_time(rate(finwait_server_accepted_total[2s])[30s:500ms])") > 50
    # The port's own, to the unit; the rest of the namespace has Prometheus' connections too.
    prometheus.wait_for('sum(finwait_tcp_connections{job="stat",state="time_wait"})', completed)
    for name in ('finwait_tcp_connections{job="server",state="time_wait",family="ipv4"}',
                 'finwait_tcp_time_wait{job="server"}', 'finwait_tcp_time_wait{job="stat"}',
                 'finwait_tcp_time_wait_made_total{job="stat"}'):
        prometheus.wait_for(f"{name} >= bool {completed}", 1)
        assert prometheus.query(name) < completed + 200
    prometheus.wait_for('finwait_tcp_connections{job="stat",state="listen",family="ipv4"}', 1)
    # Prometheus and the two exporters listen too.
    prometheus.wait_for('finwait_tcp_connections{job="server",state="listen",family="ipv4"}', 4)
    local = f'local="{server.address}"'
    assert prometheus.query(f"finwait_tcp_listen_backlog_connections{{{local}}}") == 4096
    types = {name: entries[0]["type"] for name, entries in prometheus.get("metadata").items()}
    assert types["finwait_tcp_connections"] == "gauge"
    assert types["finwait_server_completed"] == "counter"
    assert types["finwait_server_turn_seconds"] == "histogram"
    stat.signal(signal.SIGTERM)
    assert stat.wait() == 0
    assert server.stop()["completed"] == completed


@pytest.mark.parametrize("name", ["stat", "server"])
def test_the_text_passes_promtool_and_both_formats_agree(stage, name):
    if name == "stat":
        address = STAT_AT
        start_stat(stage)
    else:
        address = SERVER_AT
        stage.server("--metrics", SERVER_AT)
    wait_until(lambda: "finwait_tcp_connections{" in scrape(address)[1], "a census")
    kind, plain = scrape(address, "text/plain")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    done = subprocess.run([prometheus_program("promtool"), "check", "metrics"], input=plain,
                          text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    kind, text = scrape(address)
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert text.endswith("# EOF\n") and text.count("# EOF") == 1
    assert set(values(text)) == set(values(plain))


def test_counters_of_a_server_never_fall_while_it_drains(stage):
    server = stage.server("--metrics", SERVER_AT, "--drain", "20s")
    with server.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        assert values(scrape(SERVER_AT)[1])["finwait_server_open_connections"] == 1
        server.signal(signal.SIGTERM)
        wait_until(lambda: not is_listening(server.address), "the drain")
        drained = values(scrape(SERVER_AT)[1])
        assert drained["finwait_server_accepted_total"] >= 1
    assert server.wait() == 0


def test_a_replay_is_scraped_too(stage):
    path = stage.folder / "run.rec"
    assert stage.run(STAT, "--interval", "100ms", "--count", "5", "--record", path).returncode == 0
    stage.spawn(STAT, "--replay", path, "--speed", "0.01", "--metrics", STAT_AT, "--view", "lines")
    wait_until(lambda: is_listening(STAT_AT), "the exporter")
    assert "finwait_tcp_active_opens_total" in scrape(STAT_AT)[1]


def test_many_scrapes_at_once_are_answered_or_refused_and_do_no_harm(stage):
    process = start_stat(stage)
    idle = [stage.also_close(socket.create_connection(("127.0.0.1", 9464))) for _ in range(40)]
    for sock in idle[:20]:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")  # and never the rest
    time.sleep(0.2)
    for sock in idle:
        sock.close()
    wait_until(lambda: scrape(STAT_AT)[1].endswith("# EOF\n"), "an answer")
    noise = socket.create_connection(("127.0.0.1", 9464))
    noise.sendall(os.urandom(70000))
    noise.close()
    assert scrape(STAT_AT)[1].endswith("# EOF\n")
    process.signal(signal.SIGTERM)
    assert process.wait() == 0


@pytest.mark.parametrize("name", ["finwait-stat", "finwait-server"])
@pytest.mark.parametrize("arguments, word", [
    (["--metrics", "0.0.0.0:9464"], "--metrics-allow-remote"),
    (["--metrics", "[::]:9464"], "--metrics-allow-remote"),
    (["--metrics", "10.0.0.1:9464"], "not a loopback address"),
    (["--metrics", "9464"], "9464"),
    (["--metrics", "127.0.0.1:0"], "127.0.0.1:0"),
    (["--metrics", ""], "--metrics"),
])
def test_bad_addresses_get_one_line_and_exit_code_2(stage, name, arguments, word):
    done = stage.run(program(name), *arguments)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.count("\n") == 1 and word in done.stderr


@pytest.mark.parametrize("command", [[STAT, "--count", "1"], [SERVER, "--listen", "127.0.0.1:0"]])
def test_an_address_in_use_is_exit_code_3(stage, command):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 9464))
        taken.listen(1)
        done = stage.run(*command, "--metrics", STAT_AT)
    assert done.returncode == 3
    assert f"--metrics {STAT_AT}: cannot listen there" in done.stderr


def test_remote_addresses_are_taken_when_allowed(stage):
    start_stat(stage, "--metrics-allow-remote", at="0.0.0.0:9464")
    assert scrape(STAT_AT)[1].endswith("# EOF\n")


def test_metrics_of_a_stack_are_alike_to_the_kernels_with_its_own_beside(stage):
    """The server's, and finwait-stat's of the same stack."""
    cable = Cable(stage)
    path = stage.folder / "stack"
    server = cable.server("stack", "--metrics", SERVER_AT, "--closes-after", "64B",
                          "--stack-socket", str(path))
    cable.loadgen("stack", "--count", "40", "--closer", "server")
    state = 'finwait_tcp_connections{state="time_wait",family="ipv4"}'
    stat = start_stat(stage, "--stack", str(path))
    with cable.there():
        wait_until(lambda: values(scrape(SERVER_AT)[1]).get(state) == 40, "the stack's states")
        ours = values(scrape(SERVER_AT)[1])
    wait_until(lambda: values(scrape(STAT_AT)[1]).get(state) == 40, "finwait-stat to see them")
    theirs = values(scrape(STAT_AT)[1])
    expected = {"finwait_tcp_passive_opens_total": 40, "finwait_tcp_time_wait_made_total": 40,
                "finwait_tcp_time_wait": 40,
                'finwait_tcp_connections{state="listen",family="ipv4"}': 1}
    assert {name: ours.get(name) for name in expected} == expected
    assert {name: theirs.get(name) for name in expected} == expected
    assert ours["finwait_stack_time_wait_started_total"] == 40
    assert ours["finwait_stack_memory_time_wait_records"] == 40
    assert ours["finwait_ether_arp_requests_sent_total"] > 0
    assert ours["finwait_link_frames_received_total"] >= 40 * 3
    stat.signal(signal.SIGINT)
    assert stat.wait() == 0
    server.stop()
