"""finwait-stat against sockets that python made, in the tests' namespace, told apart by port."""
import json
import signal
import socket
import subprocess

import pytest
from conftest import program
from harness import wait_until
from kernel import Counters

PORT = 17311
FIN_WAIT_2 = 5  # as Linux numbers it in TCP_INFO's first byte


def run(*arguments, code=0):
    done = subprocess.run([program("finwait-stat"), *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done


def totals(document):
    return {state: count for state, count in document["total"].items() if count}


def wait_for_state(sock, state):
    """The peer's kernel may delay the ACK that leads to a state; none is promised when a call returns."""
    wait_until(lambda: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == state,
               f"TCP state {state}")


class Population:
    """Per family: a listener, 5 connections, 3 half-closed, 4 in TIME_WAIT."""

    expected = {"listen": 2, "established": 20, "fin_wait_2": 6, "close_wait": 6, "time_wait": 8}
    of_server = {"listen": 2, "established": 10, "close_wait": 6}

    def __init__(self):
        self.sockets = []
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            self.listen(family, address)
            for _ in range(5):
                self.connect(family, address)
            for _ in range(3):
                client, _ = self.connect(family, address)
                client.shutdown(socket.SHUT_WR)
                wait_for_state(client, FIN_WAIT_2)
            for _ in range(4):
                client, server = self.connect(family, address)
                client.shutdown(socket.SHUT_WR)
                assert server.recv(1) == b""
                wait_for_state(client, FIN_WAIT_2)
                server.close()
                assert client.recv(1) == b""
                client.close()

    def listen(self, family, address):
        self.listener = socket.socket(family)
        if family == socket.AF_INET6:
            self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.listener.bind((address, PORT))
        self.listener.listen(16)
        self.sockets.append(self.listener)

    def connect(self, family, address):
        client = socket.create_connection((address, PORT))
        server, _ = self.listener.accept()
        assert client.family == family
        self.sockets += [client, server]
        return client, server


def close_open(population):
    """Resets what is open, so that no TIME_WAIT is left for another test."""
    for each in population.sockets:
        if each.fileno() >= 0:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            each.close()


@pytest.fixture(scope="module", name="population")
def make_population():
    population = Population()
    yield population
    close_open(population)


def test_once_equals_what_is_there(population):
    document = json.loads(run("--once", "--port", str(PORT), "--json", "-").stdout)
    assert document["schema"] == "finwait.stat/1"
    assert totals(document) == population.expected
    assert {s: c for s, c in document["ipv6"].items() if c} == \
        {s: c // 2 for s, c in population.expected.items()}
    assert document["lines_malformed"] == 0
    assert document["options"]["port"] == str(PORT)


@pytest.mark.parametrize("method", ["procfs", "sock_diag", "bpf"])
def test_every_method_gives_the_same_numbers(population, method):
    done = subprocess.run([program("finwait-stat"), "--once", "--port", str(PORT), "--method", method,
                           "--json", "-"], capture_output=True, text=True, timeout=60, check=False)
    if method == "bpf" and done.returncode != 0:
        assert done.stderr.startswith("finwait-stat: bpf: ") and "use another method" in done.stderr
        pytest.skip(done.stderr)
    document = json.loads(done.stdout)
    assert document["census_method"] == method
    assert totals(document) == population.expected


def test_local_and_remote_port_divide_the_ends(population):
    document = json.loads(run("--once", "--local-port", str(PORT), "--json", "-").stdout)
    assert totals(document) == population.of_server
    document = json.loads(run("--once", "--remote-port", str(PORT), "--json", "-").stdout)
    rest = {s: c - population.of_server.get(s, 0) for s, c in population.expected.items()}
    assert totals(document) == {s: c for s, c in rest.items() if c}


def test_the_table_has_the_same_numbers(population):
    lines = run("--once", "--port", f"{PORT}-{PORT}").stdout.splitlines()
    table = {line.split()[0].lower(): line.split()[1:] for line in lines[1:12]}
    for state, count in population.expected.items():
        assert table[state] == [str(count // 2), str(count // 2), str(count)]


def test_lines_end_at_the_count_and_json_has_them_all(population, tmp_path):
    path = tmp_path / "stat.json"
    lines = run("--port", str(PORT), "--interval", "50ms", "--count", "4", "--budget", "50%",
                "--json", str(path)).stdout.splitlines()
    assert "CLOSE_WAIT" in lines[0] and "SYN_SENT" not in lines[0]
    assert lines[-1].startswith("TIME_WAIT: ")
    document = json.loads(path.read_text())
    assert len(document["ticks"]) >= 5
    assert document["tick_errors"] == document["census_errors"] == 0
    final = document["censuses"][-1]
    assert final["is_final"]
    assert totals(final) == population.expected
    assert document["ticks"][-1]["time_wait"] >= population.expected["time_wait"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_cleanly_with_a_last_line(population, number):
    with subprocess.Popen([program("finwait-stat"), "--port", str(PORT), "--interval", "50ms"],
                          stdout=subprocess.PIPE, text=True) as process:
        assert "ESTABLISHED" in process.stdout.readline()
        process.stdout.readline()
        process.send_signal(number)
        rest = process.stdout.read().splitlines()
        assert process.wait(timeout=60) == 0
    assert rest[-1].startswith("TIME_WAIT: ")
    columns = rest[-2].split()
    assert str(population.expected["established"]) in columns


def test_new_drops_of_a_full_listener_are_shown(tmp_path):
    path = tmp_path / "stat.json"
    counters = Counters()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", PORT + 1))
        listener.listen(0)
        clients = [socket.socket() for _ in range(8)]
        with subprocess.Popen([program("finwait-stat"), "--interval", "200ms", "--json", str(path)],
                              stdout=subprocess.PIPE, text=True) as process:
            for _ in range(2):  # the head and the first line: it has begun to count
                assert process.stdout.readline()
            for client in clients:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", PORT + 1))
            wait_until(lambda: counters.delta("TcpExt.ListenDrops") >= 7, "7 dropped SYNs")
            process.send_signal(signal.SIGINT)
            process.stdout.read()
            assert process.wait(timeout=60) == 0
        for client in clients:
            client.close()
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["kernel_deltas"]["TcpExt.ListenDrops"] >= 7
    assert document["ticks"][-1]["listen_drops"] == \
        document["kernel_deltas"]["TcpExt.ListenDrops"]
    assert document["censuses"][-1]["total"]["syn_sent"] == 7


@pytest.mark.parametrize("arguments, word", [
    (["--port", "70000"], "70000"),
    (["--port", "90-80"], "90-80"),
    (["--interval", "0"], "--interval"),
    (["--budget", "3"], "--budget"),
    (["--once", "--count", "3"], "--once"),
    (["--nonsense"], "--nonsense"),
    (["extra"], "extra"),
])
def test_bad_input_gets_one_line_and_exit_code_2(arguments, word):
    done = run(*arguments, code=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert word in done.stderr


def test_a_file_that_cannot_be_written_is_exit_code_3(tmp_path):
    done = run("--once", "--json", str(tmp_path / "no" / "such" / "folder"), code=3)
    assert "No such file" in done.stderr


def test_a_full_disk_is_exit_code_3():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([program("finwait-stat"), "--once"], stdout=full, timeout=60,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert "standard output" in done.stderr
