"""What the long runs share: running the programs in namespaces of the lab's, and checks that say what they saw."""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(os.environ["FINWAIT_RELEASE_BIN_DIR"])


class Checks:
    """Collects what was to be shown; each line is printed with what was seen."""

    def __init__(self):
        self.failed = 0

    def that(self, holds, text):
        print(f"   {'ok  ' if holds else 'FAIL'}  {text}", flush=True)
        self.failed += not holds

    def exit_code(self):
        return 1 if self.failed else 0


def choose(names, known):
    """The parts that were asked for, all of them without a name. A name that is not known ends the run."""
    for name in names:
        if name not in known:
            print(f'unknown part "{name}"; use {", ".join(known)}', file=sys.stderr)
            sys.exit(2)
    return list(names or known)


def words(*arguments):
    return " ".join(str(argument) for argument in arguments)


def run_pair(server_options, client_options, seconds, lab_options=()):
    """Runs both programs over veth in fresh namespaces; returns the two reports."""
    with tempfile.TemporaryDirectory() as folder:
        server_json, client_json = Path(folder, "server.json"), Path(folder, "client.json")
        server = words(BIN / "finwait-server", "--listen 10.9.0.1:7000 --cpus 1 --states --quiet --json",
                       server_json, server_options)
        client = words(BIN / "finwait-loadgen", "--target 10.9.0.1:7000 --sources 10.10.0.0/16 --cpus 0",
                       "--states --quiet --json", client_json, client_options)
        subprocess.run([BIN / "finwait-lab", "pair", *lab_options, "--server", server,
                        "--client", client], timeout=seconds + 60, check=False,
                       stdin=subprocess.DEVNULL)
        return (json.loads(server_json.read_text(encoding="utf-8")),
                json.loads(client_json.read_text(encoding="utf-8")))


def run_alone(server_options, client_options, seconds):
    """Runs both programs over loopback in one fresh namespace; returns the client's report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "client.json")
        server = words(BIN / "finwait-server", "--cpus 1 --quiet", server_options)
        client = words(BIN / "finwait-loadgen", "--target 127.0.0.1:7000 --cpus 0 --states --quiet",
                       "--json", report, client_options)
        script = (f"{server} & server=$!; sleep 0.5; {client}; kill $server; wait $server")
        subprocess.run([BIN / "finwait-lab", "run", "--", "sh", "-c", script], timeout=seconds + 60,
                       check=False, stdin=subprocess.DEVNULL)
        return json.loads(report.read_text(encoding="utf-8"))


def check_named(report, name):
    """The report's cross-check of that name."""
    return next(check for check in report["checks"] if check["name"] == name)
