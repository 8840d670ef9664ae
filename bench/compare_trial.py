"""One trial: a server and a client, run inside a network namespace that was made for it alone.

Reads what to run as JSON from standard input (see `spec` in compare_run.py) and prints what came of it as
JSON. It runs as a process of its own, since a process cannot leave the namespace that it has entered.
"""
import ctypes
import fcntl
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from compare_stats import steady_rate

SAMPLE_SEC = 0.05
WARM_UP_SEC = 0.5
LISTEN_SEC = 5.0  # for a server to listen
STOP_SEC = 8.0  # for a program to end by itself
VALID_EXITS = (0, 3)  # 3: a run whose generator was the limit, which at full rate is expected
STATE_LISTEN = "0A"
RESPONSE_BODY = b"x" * 63 + b"\n"
RESPONSE = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n"
            b"Connection: close\r\n\r\n" + RESPONSE_BODY)
REQUEST = b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n"

PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41


class TrialFailed(Exception):
    """The trial gave no figure; the text says why."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP_RUNNING))


def is_listening(port):
    with open("/proc/net/tcp", encoding="ascii") as table:
        return any(f":{port:04X} 00000000:0000 {STATE_LISTEN} " in line for line in table)


def tcp_counters():
    """The Tcp line of /proc/net/snmp, by name."""
    with open("/proc/net/snmp", encoding="ascii") as file:
        names, values = [line.split()[1:] for line in file if line.startswith("Tcp:")]
    return dict(zip(names, map(int, values)))


def machine_busy_sec():
    """CPU time of the whole machine, what the hypervisor took away included."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def own_cpu_sec():
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return [usage.ru_utime + usage.ru_stime for usage in parts]


class Programs:
    """Starts programs and ends those that still run, by their ids."""

    def __init__(self, directory):
        self.directory = directory
        self.started = []

    def start(self, command):
        path = os.path.join(self.directory, f"output{len(self.started)}")
        with open(path, "wb") as output, open(path + ".errors", "wb") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
                                       preexec_fn=die_with_parent)
        process.output = path
        self.started.append(process)
        return process

    def stop(self, process):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def stop_all(self):
        for process in reversed(self.started):
            self.stop(process)


def said(process):
    """What a program printed, its complaints first; the last lines."""
    text = ""
    for path in (process.output + ".errors", process.output):
        with open(path, encoding="utf-8", errors="replace") as file:
            text += file.read()
    return " | ".join(text.strip().splitlines()[-4:]) or "it said nothing"


def wait_for_listener(process, port):
    deadline = time.monotonic() + LISTEN_SEC
    while not is_listening(port):
        if process.poll() is not None:
            raise TrialFailed(f"the server ended with {process.returncode}: {said(process)}")
        if time.monotonic() > deadline:
            raise TrialFailed(f"the server does not listen on port {port}: {said(process)}")
        time.sleep(0.01)


def sample_while(process, seconds):
    """Reads the kernel's count of accepted connections until a program has ended."""
    samples = []
    deadline = time.monotonic() + seconds + STOP_SEC
    while process.poll() is None:
        if time.monotonic() > deadline:
            raise TrialFailed(f"the client does not end: {said(process)}")
        samples.append((time.monotonic(), tcp_counters()["PassiveOpens"]))
        time.sleep(SAMPLE_SEC)
    return samples


def read_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def claim_from_json(text):
    result = json.loads(text)
    return {"rate": result["completed_per_sec"], "completed": result["completed"],
            "failed": result["failed"]}


def number_after(pattern, text, default=None):
    match = re.search(pattern, text)
    return float(match.group(1)) if match else default


def claim_of_ab(text):
    return {"rate": number_after(r"Requests per second:\s+([\d.]+)", text),
            "completed": number_after(r"Complete requests:\s+(\d+)", text),
            "failed": number_after(r"Failed requests:\s+(\d+)", text, 0)}


def claim_of_wrk(text):
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {"rate": number_after(r"Requests/sec:\s+([\d.]+)", text),
            "completed": number_after(r"(\d+) requests in", text),
            "failed": sum(map(int, errors.groups())) if errors else 0}


def read_claim(kind, client, json_path):
    """What the client says that it did."""
    readers = {"json": (claim_from_json, json_path), "stdout-json": (claim_from_json, client.output),
               "ab": (claim_of_ab, client.output), "wrk": (claim_of_wrk, client.output)}
    reader, path = readers[kind]
    try:
        claim = reader(read_text(path))
    except (OSError, ValueError, KeyError) as error:
        raise TrialFailed(f"the client's figures cannot be read ({error}): {said(client)}") from error
    if not claim["rate"]:
        raise TrialFailed(f"the client completed nothing: {said(client)}")
    return claim


def fill(command, places):
    """Fills in the places of a command line, such as {json}."""
    def one(word):
        for name, value in places.items():
            word = word.replace("{" + name + "}", value)
        return word
    return [one(word) for word in command]


def run(spec, programs):
    directory = programs.directory
    places = {"seconds": f"{spec['seconds']:g}", "whole_seconds": str(max(1, round(spec["seconds"])))}
    for name, content in (("json", None), ("server_json", None), ("response", RESPONSE),
                          ("request", REQUEST)):
        places[name] = os.path.join(directory, name)
        if content is not None:
            with open(places[name], "wb") as file:
                file.write(content)
    start, busy = time.monotonic(), machine_busy_sec()
    if spec["server"]:
        server = programs.start(fill(spec["server"], places))
        wait_for_listener(server, spec["port"])
    client = programs.start(fill(spec["client"], places))
    samples = sample_while(client, spec["seconds"])
    if client.returncode not in VALID_EXITS:
        raise TrialFailed(f"the client ended with {client.returncode}: {said(client)}")
    claim = read_claim(spec["claim"], client, places["json"])
    counters = tcp_counters()
    programs.stop_all()
    children, itself = own_cpu_sec()
    other = machine_busy_sec() - busy - children - itself
    return {"rate": claim["rate"], "completed": claim["completed"], "failed": claim["failed"],
            "kernel_rate": steady_rate(samples, WARM_UP_SEC), "counters": counters,
            "cpu_us_per_conn": children * 1e6 / max(counters["PassiveOpens"], 1),
            "other_load": max(other, 0.0) / (time.monotonic() - start), "client_exit": client.returncode}


def main():
    spec = json.load(sys.stdin)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    die_with_parent()
    with tempfile.TemporaryDirectory(prefix="finwait-compare-") as directory:
        programs = Programs(directory)
        try:
            raise_loopback()
            result = run(spec, programs)
        except (TrialFailed, OSError) as error:
            result = {"error": str(error)}
        finally:
            programs.stop_all()
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
