"""finwait-floor: does what it counts, closes as told, refuses what makes no sense."""
import json
import subprocess

import pytest
from conftest import program

IN_FLIGHT = 8


def in_namespace(*command):
    """Runs in a fresh namespace; the last lines are the kernel's counters afterwards."""
    script = ('ip link set lo up && "$@" && grep ^Tcp: /proc/net/snmp && '
              'grep ^TcpExt: /proc/net/netstat && grep ^TCP: /proc/net/sockstat')
    done = subprocess.run(["unshare", "-n", "sh", "-c", script, "sh", *command],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    counters = {}
    for names, values in ((1, 2), (3, 4)):
        counters.update(zip(lines[names].split()[1:], map(int, lines[values].split()[1:])))
    sockstat = lines[5].split()[1:]
    counters.update(zip(sockstat[::2], map(int, sockstat[1::2])))
    return json.loads(lines[0]), counters


@pytest.mark.parametrize("close", ["fin", "close", "rst"])
@pytest.mark.parametrize("layout", ["apart", "pair"])
@pytest.mark.parametrize("mode", ["uring", "blocking"])
def test_it_counts_what_the_kernel_counts(mode, layout, close):
    result, kernel = in_namespace(
        program("finwait-floor"), "--mode", mode, "--layout", layout, "--close", close,
        "--in-flight", str(IN_FLIGHT), "--duration", "300ms")
    in_flight = IN_FLIGHT * (2 if layout == "pair" else 1)
    completed = result["completed"]
    assert completed > 0 and result["failed"] == 0
    assert completed <= kernel["ActiveOpens"] <= completed + in_flight
    # What was in flight at the end is neither complete nor closed as told.
    if close == "rst":
        assert kernel["tw"] <= in_flight
        assert completed <= kernel["OutRsts"] <= completed + 2 * in_flight
    else:
        assert completed - in_flight <= kernel["tw"] <= completed + in_flight
        assert kernel["OutRsts"] <= 2 * in_flight


@pytest.mark.parametrize("variant", ["direct", "direct,multishot", "direct,unlinked,skip", "direct,ahead",
                                     "direct,install", "multishot", "poll-first", "own-buffer", "wait",
                                     "server-plain"])
def test_every_variant_does_the_same(variant):
    for close in ("fin", "close"):
        result, kernel = in_namespace(program("finwait-floor"), "--variant", variant, "--close", close,
                                      "--duration", "200ms")
        assert result["failed"] == 0
        assert 0 < result["completed"] <= kernel["PassiveOpens"] <= result["completed"] + 32


@pytest.mark.parametrize("arguments, words", [
    (["--mode", "fast"], "uring or blocking"),
    (["--layout", "x"], "apart or pair"),
    (["--close", "half"], "fin, close or rst"),
    (["--in-flight", "0"], "1 to 4096"),
    (["--in-flight", "65", "--mode", "blocking"], "fewer processes"),
    (["--duration", "3x"], "3s or 500ms"),
    (["--port", "70000"], "1 to 65535"),
    (["--variant", "direct,nonsense"], "--help"),
    (["--server-only", "--client-only"], "exclude each other"),
    (["stray"], "not an option"),
])
def test_bad_usage_is_one_line_and_exit_2(arguments, words):
    done = subprocess.run([program("finwait-floor"), *arguments], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_client_without_a_server_counts_failures():
    done = subprocess.run([program("finwait-floor"), "--client-only", "--port", "9", "--duration",
                           "100ms"], capture_output=True, text=True, timeout=60, check=False)
    result = json.loads(done.stdout)
    assert result["completed"] == 0 and result["failed"] > 0
