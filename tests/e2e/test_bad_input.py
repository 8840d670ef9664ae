"""Bad input gets exit code 2 and one clear line on stderr that names what was wrong, no more."""
import subprocess

import pytest

from conftest import program

SERVER, LOADGEN, STAT = "finwait-server", "finwait-loadgen", "finwait-stat"
TO = ("--target", "127.0.0.1:7000")

# Program, arguments, and the words that the line must hold.
CASES = (
    (SERVER, ("--listne", "127.0.0.1:0"), ("--listne", "--listen")),
    (SERVER, ("--engine", "uirng"), ("--engine", "uirng", "uring", "epoll")),
    (SERVER, ("--listen", "127.0.0.1:70000"), ("--listen", "70000")),
    (SERVER, ("--listen", "127.0.0.1"), ("--listen", "127.0.0.1")),
    (SERVER, ("--listen", "::1:7000"), ("--listen", "::1:7000")),
    (SERVER, ("--listen", "somewhere:7000"), ("--listen", "somewhere")),
    (SERVER, ("--listen", "127.0.0.1:7000", "--listen", "127.0.0.1:7000"), ("--listen", "twice")),
    (SERVER, ("--listen",), ("--listen",)),
    (SERVER, ("--backlog", "0"), ("--backlog", "0")),
    (SERVER, ("--backlog", "-1"), ("--backlog", "-1")),
    (SERVER, ("--conns-max", "0"), ("--conns-max", "0")),
    (SERVER, ("--conns-max", "5M"), ("--conns-max", "5M")),
    (SERVER, ("--cpus", "1-0"), ("--cpus", "1-0")),
    (SERVER, ("--cpus", "999"), ("--cpus", "999")),
    (SERVER, ("--close", "rst"), ("--close", "--closes-after")),
    (SERVER, ("--closes-after", "64B", "--close", "slam"), ("--close", "slam", "half")),
    (SERVER, ("--closes-after", "64"), ("--closes-after", "64")),
    (SERVER, ("--closes-after", "64parsec"), ("--closes-after", "64parsec")),
    (SERVER, ("--closes-after", "0B"), ("--closes-after", "0")),
    (SERVER, ("--closes-after", "64B", "--respond", "/dev/null"), ("--closes-after", "--respond")),
    (SERVER, ("--respond", "/nowhere/at/all"), ("/nowhere/at/all",)),
    (SERVER, ("--idle-timeout", "5"), ("--idle-timeout", "5")),
    (SERVER, ("--idle-timeout", "5parsec"), ("--idle-timeout", "5parsec")),
    (SERVER, ("--quickack", "maybe"), ("--quickack", "maybe", "on", "off")),
    (SERVER, ("--without-feature", "magic"), ("--without-feature", "magic", "accept-multishot")),
    (SERVER, ("--fastopen=yes",), ("--fastopen",)),
    (SERVER, ("--json", "/nowhere/at/all.json"), ("/nowhere/at/all.json",)),
    (SERVER, ("stray",), ("stray",)),
    (LOADGEN, (), ("--target",)),
    (LOADGEN, ("--count", "5"), ("--target",)),
    (LOADGEN, (*TO, "--durration", "5s"), ("--durration", "--duration")),
    (LOADGEN, ("--target", "127.0.0.1:70000"), ("--target", "70000")),
    (LOADGEN, ("--target", "127.0.0.1:0"), ("--target", "127.0.0.1:0")),
    (LOADGEN, ("--target", "127.0.0.256:7000"), ("--target", "127.0.0.256")),
    (LOADGEN, ("--target", "8.8.8.8:80"), ("8.8.8.8", "refused", "--allow-target")),
    (LOADGEN, ("--target", "[2001:4860:4860::8888]:80"),
     ("2001:4860:4860::8888", "--allow-target")),
    (LOADGEN, ("--target", "0.0.0.0:80"), ("0.0.0.0",)),
    (LOADGEN, (*TO, "--target", "1.1.1.1:80"), ("1.1.1.1", "--allow-target")),
    (LOADGEN, ("--target", "8.8.8.8:80", "--allow-target", "8.8.0.0/33"),
     ("--allow-target", "8.8.0.0/33")),
    (LOADGEN, ("--target", "8.8.8.8:80", "--allow-target", "8.8.4.0/24"),
     ("8.8.8.8", "--allow-target")),
    (LOADGEN, (*TO, "--rate", "0"), ("--rate", "0")),
    (LOADGEN, (*TO, "--rate", "10/fortnight"), ("--rate", "10/fortnight")),
    (LOADGEN, (*TO, "--rate", "ten"), ("--rate", "ten")),
    (LOADGEN, (*TO, "--rate", "10/s", "--in-flight", "5"), ("--rate", "--in-flight")),
    (LOADGEN, (*TO, "--in-flight", "0"), ("--in-flight", "0")),
    (LOADGEN, (*TO, "--in-flight", "10", "--conns-max", "5"), ("--in-flight", "--conns-max")),
    (LOADGEN, (*TO, "--duration", "10"), ("--duration", "10")),
    (LOADGEN, (*TO, "--duration", "0"), ("--duration", "--count")),
    (LOADGEN, (*TO, "--count", "0"), ("--count", "0")),
    (LOADGEN, (*TO, "--count", "1.5"), ("--count", "1.5")),
    (LOADGEN, (*TO, "--payload", "0"), ("--payload", "0")),
    (LOADGEN, (*TO, "--payload", "17MiB"), ("--payload", "17MiB", "16")),
    (LOADGEN, (*TO, "--payload", "1XB"), ("--payload", "1XB")),
    (LOADGEN, (*TO, "--payload", "5", "--send", "/dev/null", "--expect", "1"),
     ("--payload", "--send")),
    (LOADGEN, (*TO, "--send", "/dev/null"), ("--send", "--expect")),
    (LOADGEN, (*TO, "--expect", "5"), ("--send", "--expect")),
    (LOADGEN, (*TO, "--send", "/nowhere/at/all", "--expect", "5"), ("/nowhere/at/all",)),
    (LOADGEN, (*TO, "--send", "/etc/hostname", "--expect", "soon"), ("--expect", "soon")),
    (LOADGEN, (*TO, "--send", "/etc/hostname", "--expect", "0"), ("--expect", "0")),
    (LOADGEN, (*TO, "--send", "/etc/hostname", "--expect", "until-close", "--closer", "client"),
     ("until-close", "--closer")),
    (LOADGEN, (*TO, "--send", "/etc/hostname", "--expect", "until-close", "--echoes", "2"),
     ("until-close", "--echoes")),
    (LOADGEN, (*TO, "--hold", "1s", "--closer", "server"), ("--hold", "--closer")),
    (LOADGEN, (*TO, "--hold", "1s", "--close", "half"), ("--hold", "half")),
    (LOADGEN, (*TO, "--closer", "nobody"), ("--closer", "nobody", "client", "server", "both")),
    (LOADGEN, (*TO, "--close", "slam"), ("--close", "slam", "fin-no-timewait")),
    (LOADGEN, (*TO, "--timeout", "0"), ("--timeout", "0")),
    (LOADGEN, (*TO, "--ports", "70000"), ("--ports", "70000")),
    (LOADGEN, (*TO, "--ports", "20000-10000"), ("--ports", "20000-10000")),
    (LOADGEN, (*TO, "--ports", "0-100"), ("--ports", "0-100")),
    (LOADGEN, (*TO, "--sources", "127.0.0.9-127.0.0.2"), ("--sources", "127.0.0.9-127.0.0.2")),
    (LOADGEN, (*TO, "--sources", "127.0.0.0/40"), ("--sources", "127.0.0.0/40")),
    (LOADGEN, (*TO, "--sources", "::1"), ("--sources", "family")),
    (LOADGEN, (*TO, "--sources", "127.0.0.2-::1"), ("--sources", "127.0.0.2-::1")),
    (LOADGEN, (*TO, "--engine", "warp"), ("--engine", "warp", "uring", "epoll")),
    (LOADGEN, (*TO, "--cpus", "999"), ("--cpus", "999")),
    (LOADGEN, (*TO, "--without-feature", "magic"), ("--without-feature", "magic")),
    (LOADGEN, (*TO, "--fail-if", "connect.p99 5ms"), ("--fail-if", "connect.p99 5ms")),
    (LOADGEN, (*TO, "--fail-if", "latency.p99>5ms"), ("--fail-if", "latency")),
    (LOADGEN, (*TO, "--fail-if", "connect.p99>5parsec"), ("--fail-if", "5parsec")),
    (LOADGEN, (*TO, "--json", "/nowhere/at/all.json"), ("/nowhere/at/all.json",)),
    (LOADGEN, (*TO, "--hgrm", "/nowhere/at/all"), ("/nowhere/at/all",)),
    (STAT, ("--port", "70000"), ("--port", "70000")),
    (STAT, ("--intervall", "1s"), ("--intervall", "--interval")),
    (STAT, ("--interval", "1"), ("--interval", "1")),
    (STAT, ("--count", "0"), ("--count", "0")),
    (STAT, ("--once", "--count", "2"), ("--once", "--count")),
    (STAT, ("--port", "9000-8000"), ("--port", "9000-8000")),
)


def run(name, *arguments):
    return subprocess.run([program(name), *arguments], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("name, arguments, words", CASES,
                         ids=[f"{name[8:]} {' '.join(arguments)}" for name, arguments, _ in CASES])
def test_bad_input_is_one_line_and_exit_code_2(name, arguments, words):
    done = run(name, *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), done.stderr
    assert done.stderr.startswith(f"{name}: ")
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize("name", (SERVER, LOADGEN, STAT))
def test_help_version_and_man_page_go_to_stdout(name):
    for option, word in (("--help", "--json"), ("--version", name), ("--man", ".TH")):
        done = run(name, option)
        assert (done.returncode, done.stderr) == (0, ""), option
        assert word in done.stdout


@pytest.mark.parametrize("name", (SERVER, LOADGEN, STAT))
def test_a_line_of_help_fits_100_columns(name):
    assert max(map(len, run(name, "--help").stdout.splitlines())) <= 100
