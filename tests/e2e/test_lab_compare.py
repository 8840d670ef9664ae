"""finwait-lab compare: trials of the kernel's rows, their tables and JSON; bad input; nothing left behind."""
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT, program, release_program
from harness import processes_with, wait_until

SHORT = ("--pairs", "1", "--seconds", "0.3", "--memory-conns", "0")
INTERVALS = ("completed_per_sec", "ratio_to_kernel", "ratio_to_tuned_kernel", "ns_per_packet",
             "cpu_ns_per_conn", "cpu_error_ns_per_conn", "softirq_ns_per_conn", "segments_per_conn",
             "bytes_per_conn", "connect_p50_ns", "echo_p99_ns", "client_time_wait",
             "server_time_wait", "memory_bytes_per_time_wait", "memory_bytes_per_conn")

# Arguments, and the words that the one line must hold.
BAD_INPUT = (
    (("--client", "kernel-tcp"), ("--client", "kernel-tcp", "stack-packet")),
    (("--server", "stack"), ("--server", "stack")),
    (("--closer", "peer"), ("--closer", "peer")),
    (("--close", "fin,gently"), ("--close", "gently", "fin-no-timewait")),
    (("--rows", "kernel,mine"), ("--rows", "mine")),
    (("--pairs", "0"), ("--pairs", "0")),
    (("--pairs", "1001"), ("--pairs", "1001")),
    (("--seconds", "fast"), ("--seconds", "fast")),
    (("--seconds", "60"), ("--seconds", "60")),
    (("--warm-up", "10m"), ("--warm-up", "10m")),
    (("--layout", "heap"), ("--layout", "heap", "apart")),
    (("--offloads", "on"), ("--offloads", "on", "as-is")),
    (("--reference", "stack"), ("--reference", "stack")),
    (("--json", "/nowhere/at/all.json", "--client", "kernel-uring"), ("/nowhere/at/all.json",)),
    (("--bin-dir", "/nowhere", "--client", "kernel-uring"), ("--bin-dir", "/nowhere")),
    (("stray",), ("stray",)),
)


def compare(*arguments, binary=program, timeout=170):
    return subprocess.run([binary("finwait-lab"), "compare", *arguments], capture_output=True, text=True,
                          timeout=timeout, check=False)


@pytest.mark.parametrize("arguments, words", BAD_INPUT)
def test_bad_input_gets_one_line(arguments, words):
    done = compare(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


def check_cell(cell):
    for key in INTERVALS:
        interval = cell[key]
        assert set(interval) == {"median", "low", "high"}, key
        if interval["median"] is not None:
            assert interval["low"] <= interval["median"] <= interval["high"], (key, interval)
    assert cell["completed_per_sec"]["median"] > 0 and cell["failed"]["median"] == 0
    assert cell["client_time_wait"] == cell["client_time_wait_expected"]
    assert cell["server_time_wait"] == cell["server_time_wait_expected"]
    assert cell["error"] is None


def test_kernel_rows_have_figures_ratios_and_time_wait_where_it_belongs(tmp_path):
    path = tmp_path / "compare.json"
    done = compare("--client", "kernel-epoll", "--closer", "client,server", "--close", "fin,rst", *SHORT,
                   "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema"] == "finwait.compare/1"
    assert document["sysctls"]["net.ipv4.tcp_congestion_control"] in ("cubic", "reno")
    assert "tx-checksum" in document["offloads"]
    cells = {(cell["closer"], cell["close"], cell["row"]): cell for cell in document["cells"]}
    assert len(cells) == 12
    for (closer, close, row), cell in cells.items():
        check_cell(cell)
        assert cell["client"] == cell["server"] == ("kernel-epoll" if row == "cell" else "kernel-uring")
        closed = cell["client_time_wait"]["median"], cell["server_time_wait"]["median"]
        assert [side > 0 for side in closed] == [close == "fin" and closer == side
                                                 for side in ("client", "server")]
        if row == "kernel":
            assert cell["ratio_to_kernel"] == {"median": 1.0, "low": 1.0, "high": 1.0}
        rate = cell["completed_per_sec"]["median"]
        kernel = cells[(closer, close, "kernel")]["completed_per_sec"]["median"]
        assert cell["ratio_to_kernel"]["median"] == pytest.approx(rate / kernel)
    assert cells[("client", "fin", "kernel")]["segments_per_conn"]["median"] == pytest.approx(10, abs=0.3)
    assert cells[("client", "fin", "tuned")]["segments_per_conn"]["median"] == pytest.approx(7, abs=0.5)
    for text in ("The client closes first, by fin", "The server closes first, by rst",
                 "kernel-uring, tuned", "1 of 1"):
        assert text in done.stdout


def test_the_stack_stands_beside_the_kernel_at_either_end(tmp_path):
    path = tmp_path / "compare.json"
    kinds = "kernel-epoll,stack-packet"
    done = compare("--client", kinds, "--server", kinds, "--rows", "cell,eager", "--closer", "client,server",
                   *SHORT, "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    cells = {(cell["client"], cell["server"], cell["closer"], cell["row"]): cell
             for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    assert len(cells) == 10
    for (_, _, closer, _), cell in cells.items():
        check_cell(cell)
        assert cell[f"{closer}_time_wait"]["median"] > 0
    # Counted on the link: the stack's 7 segments, and 10 once it is made to send the kernel's; 6 when the
    # server closes, since its FIN rides on the echo.
    for closer, row, segments in (("client", "cell", 7), ("client", "eager", 10), ("server", "cell", 6)):
        cell = cells[("stack-packet", "stack-packet", closer, row)]
        assert cell["segments_per_conn"]["median"] == pytest.approx(segments, abs=0.1), (closer, row)


def test_what_the_programs_note_is_explained_once(tmp_path):
    path = tmp_path / "compare.json"
    done = compare("--client", "stack-packet", "--rows", "cell,eager", "--pairs", "2", "--seconds", "0.3",
                   "--memory-conns", "0", "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in (first, second):
        note = next(note for note in cell["notes"] if note["text"] == "note, client: time-wait-abandoned")
        assert note["trials"] == 2 and note["sentence"].startswith("The stack ended with ")
    # By code with each row, in words once for both.
    assert done.stdout.count("note, client: time-wait-abandoned (2 of 2 trials)") == 2
    text = " ".join(done.stdout.split())
    assert text.count("note, client: time-wait-abandoned: The stack ended with ") == 1
    assert "--linger-time-wait goes on until TIME_WAIT has drained." in text


def test_where_both_close_the_sides_of_time_wait_are_not_foretold(tmp_path):
    path = tmp_path / "compare.json"
    done = compare("--client", "kernel-epoll,stack-packet", "--rows", "cell", "--closer", "both", *SHORT,
                   "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "closing table" not in done.stdout
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        assert cell["client_time_wait_expected"]["median"] is None
        closed = cell["client_time_wait"]["median"] + cell["server_time_wait"]["median"]
        completed = cell["completed_per_sec"]["median"] * 0.3
        assert 0.9 * completed < closed <= 2.1 * completed
        assert not [note for note in cell["notes"] if "TIME_WAIT" in note["text"]]


def test_after_a_warm_up_only_the_rest_is_measured(tmp_path):
    path = tmp_path / "compare.json"
    done = compare("--client", "stack-packet", "--rows", "tuned,cell,null", "--pairs", "1", "--seconds", "2",
                   "--warm-up", "2s", "--memory-conns", "0", "--json", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after 2.0 s of the same load: shorter than TIME_WAIT's 60 s" in done.stdout
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["warm_up_seconds"] == 2
    assert "Null: canned segments without TCP, always the 7 of a client's close by FIN" in done.stdout
    for cell in document["cells"]:
        rate = cell["completed_per_sec"]["median"]
        assert rate > 0 and cell["failed"]["median"] == 0
        # The link's packets of the measured part alone: as many a connection as without a warm-up.
        assert cell["segments_per_conn"]["median"] == pytest.approx(7, rel=0.1), cell["row"]
        if cell["row"] != "null":
            waiting = cell["client_time_wait"]["median"]
            assert waiting == pytest.approx(cell["client_time_wait_expected"]["median"], rel=0.05)
            assert waiting > 1.2 * 2 * rate  # the warm-up's are among them


def test_memory_of_held_connections_and_offloads_turned_off(tmp_path):
    release_program("finwait-server")  # sanitized programs do not know their own memory
    path = tmp_path / "compare.json"
    done = compare("--rows", "kernel,cell", "--pairs", "1", "--seconds", "0.3", "--memory-conns", "2000",
                   "--offloads", "off", "--json", str(path), binary=release_program)
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(path.read_text(encoding="utf-8"))
    assert " on" not in document["offloads"].replace("rx-checksum on", "")
    if Path("/proc/slabinfo").exists() and os.access("/proc/slabinfo", os.R_OK):
        held = document["cells"][0]["memory_bytes_per_conn"]["median"]
        assert 5000 < held < 20000, held  # FACTS: some 8 kB in the kernel, and the programs' own
    stack = document["cells"][1]["memory_bytes_per_conn"]["median"]
    assert stack is not None and 200 < stack < 20000, (stack, done.stdout)


def test_a_row_whose_program_fails_says_so_and_the_others_stand(tmp_path):
    path = tmp_path / "compare.json"
    for name in ("finwait-server", "finwait-loadgen"):
        real = program(name)
        (tmp_path / name).write_text(
            f'#!/bin/sh\ncase "$*" in *epoll*) echo no epoll here >&2; exit 3;; esac\nexec {real} "$@"\n',
            encoding="ascii")
        (tmp_path / name).chmod(0o755)
    done = compare("--client", "kernel-epoll", "--rows", "kernel,cell", *SHORT, "--bin-dir",
                   str(tmp_path), "--json", str(path))
    assert done.returncode == 4
    assert "kernel-epoll failed: finwait-server ended with code 3: no epoll here" in done.stdout
    kernel, epoll = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert kernel["valid"] and not epoll["valid"]
    assert epoll["completed_per_sec"]["median"] is None and "no epoll here" in epoll["error"]


def test_a_machine_that_is_busy_with_something_else_is_named(tmp_path):
    path = tmp_path / "compare.json"
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        done = compare("--client", "kernel-epoll", "--rows", "cell", *SHORT, "--json", str(path))
    finally:
        spinner.kill()
        spinner.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trial: the machine was busy with something else before it (1 of 1 trials)" in done.stdout
    cell = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert cell["busy_cpus_before"]["median"] > 0.5
    assert any("busy with something else" in note["text"] for note in cell["notes"])


def start_long(mark, *arguments):
    return subprocess.Popen(
        [program("finwait-lab"), "compare", "--client", "kernel-epoll", "--seconds", "0.3",
         "--memory-conns", "0", "--pairs", "500", *arguments],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ, FINWAIT_TEST_MARK=mark))


def test_ctrl_c_prints_what_is_there_and_leaves_nothing(tmp_path):
    mark = f"compare-{os.getpid()}-{time.monotonic_ns()}"
    path = tmp_path / "compare.json"
    process = start_long(mark, "--json", str(path))
    while "2 of 500" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert "kernel-uring, tuned" in rest and "Interrupted" in rest
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["interrupted"] and document["cells"][0]["completed_per_sec"]["median"] > 0
    wait_until(lambda: not processes_with(mark), "all of the comparison's processes to be gone")


def test_a_killed_comparison_leaves_no_process():
    mark = f"compare-{os.getpid()}-{time.monotonic_ns()}"
    process = start_long(mark)
    while "1 of 500" not in process.stdout.readline():
        pass
    process.kill()
    process.wait(timeout=60)
    process.stdout.close()
    wait_until(lambda: not processes_with(mark), "all of the comparison's processes to be gone")


def test_the_two_bootstraps_agree():
    """The lab's statistics are in C, bench/compare's in Python; of seven values both give 2nd and 6th."""
    sys.path.insert(0, str(ROOT / "bench"))
    from compare_stats import bootstrap, seeded  # pylint: disable=import-outside-toplevel
    interval = bootstrap([1.7, 1.1, 1.2, 1.6, 1.3, 1.5, 1.4], seeded(1, "agree"))
    assert interval == pytest.approx((1.2, 1.4, 1.6))
