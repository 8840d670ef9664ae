"""The stack as an ordinary user has it: in a user namespace, with no right on the machine at all."""
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import program

NOBODY = 65534
NETWORK = """
ip link set lo up
ip link add veth0 type veth peer name veth1
ip link set veth0 up
mkfifo ready go
unshare -n sh -c 'ip link set lo up; echo > ready; read line < go; ip link set veth1 up; exec "$@"' \\
    sh "$SERVER" --engine stack --link "$KIND:veth1" --address 10.9.0.1/24 --cpus 0 \\
    --closes-after 64B --json server.json 2> server.err &
read line < ready
ip link set veth1 netns $!
echo > go
tries=0
until grep -q 'finwait-server: ' server.err || [ $tries = 300 ]; do tries=$((tries + 1)); sleep 0.1; done
grep -q listening server.err || { wait $!; exit $?; }
"$LOADGEN" --engine stack --link packet:veth0 --address 10.9.0.2/24 --cpus 0 --count 50 \\
    --target 10.9.0.1:7000 --closer server --json client.json 2> client.err || exit $?
kill -TERM $!
wait $!
"""


def as_nobody():
    """Words before a command that take all rights from it; none where whoever runs the tests has
    just one user, and no rights, anyway."""
    words = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    can = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if can else []


@pytest.fixture
def user():
    """Runs the script as nobody, in a folder of nobody's with the programs in it."""
    with tempfile.TemporaryDirectory(prefix="finwait-user-") as name:
        folder = Path(name)
        words = as_nobody()
        for binary in ("finwait-server", "finwait-loadgen"):
            shutil.copy(program(binary), folder / binary)
        if words:
            os.chown(folder, NOBODY, NOBODY)

        def run(kind):
            environment = {**os.environ, "KIND": kind, "SERVER": str(folder / "finwait-server"),
                           "LOADGEN": str(folder / "finwait-loadgen")}
            done = subprocess.run([*words, "unshare", "-Urn", "sh", "-c", NETWORK], cwd=folder,
                                  env=environment, timeout=90, check=False, capture_output=True,
                                  text=True)
            return done, folder
        yield run


def result_of(folder, name):
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def test_an_ordinary_user_runs_both_programs_over_packet_links(user):
    done, folder = user("packet")
    assert done.returncode == 0, (done.stderr, (folder / "server.err").read_text(),
                                  (folder / "client.err").read_text())
    client, server = result_of(folder, "client"), result_of(folder, "server")
    assert client["completed"] == server["completed"] == 50
    assert client["failed"] == server["failed"] == 0
    assert server["time_wait"]["measured"] == 50
    assert (folder / "server.json").stat().st_uid != 0 or not as_nobody()


def test_an_ordinary_users_xdp_link_is_refused_in_a_line_that_names_packet(user):
    done, folder = user("xdp")
    text = (folder / "server.err").read_text(encoding="utf-8")
    assert done.returncode == 2 and text.count("\n") == 1, text
    assert text.startswith("finwait-server: ") and "packet:veth1" in text
