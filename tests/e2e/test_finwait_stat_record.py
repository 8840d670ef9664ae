"""finwait-stat's files: CSV, recordings and their replay, whole and cut short."""
import csv
import json
import signal
import socket
import time
from pathlib import Path

import pytest
from conftest import program
from terminal import Terminal

STAT = program("finwait-stat")
PORT = 17331


@pytest.fixture(name="recorded")
def fixture_recorded(stage):
    """A run of five ticks with a listener and two connections, written in every way."""
    listener = stage.also_close(socket.socket())
    listener.bind(("127.0.0.1", PORT))
    listener.listen(8)
    for _ in range(2):
        stage.also_close(socket.create_connection(("127.0.0.1", PORT)))
    paths = {kind: stage.folder / f"run.{kind}" for kind in ("csv", "json", "rec")}
    done = stage.run(STAT, "--interval", "50ms", "--count", "4", "--budget", "50%",
                     "--csv", paths["csv"], "--json", paths["json"], "--record", paths["rec"])
    assert done.returncode == 0, done.stderr
    return paths


def replay(stage, path, *arguments, code=0):
    done = stage.run(STAT, "--replay", path, "--speed", "max", *arguments)
    assert done.returncode == code, done.stderr
    return done


def read_csv(path):
    with open(path, newline="", encoding="ascii") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_row_per_tick_and_stable_columns(recorded):
    rows = read_csv(recorded["csv"])
    assert len(rows) == 6  # before the first tick, four ticks, the end
    assert list(rows[0])[:17] == [
        "elapsed_sec", "unix_sec", "late_sec", "census_number", "census_age_sec", "census_cpu_sec",
        "state_established", "state_syn_sent", "state_syn_received", "state_fin_wait_1",
        "state_fin_wait_2", "state_time_wait", "state_closed", "state_close_wait", "state_last_ack",
        "state_listen", "state_closing"]
    names = list(rows[0])
    assert names[names.index("time_wait_plateau") - 1:][:3] == \
        ["time_wait_lifetime_sec", "time_wait_plateau", "peak_established"]
    assert rows[0]["elapsed_sec"] == "0.000000" and rows[0]["active_opens"] == "0"
    assert rows[-1]["state_established"] == "4" and rows[-1]["state_listen"] == "1"
    times = [float(row["elapsed_sec"]) for row in rows]
    assert times == sorted(times)


def test_csv_goes_to_stdout_alone(stage):
    done = stage.run(STAT, "--interval", "20ms", "--count", "2", "--csv", "-")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and lines[0].startswith("elapsed_sec,")
    assert {len(row) for row in csv.reader(lines)} == {lines[0].count(",") + 1}


def test_a_replay_gives_the_same_csv_json_and_lines(stage, recorded):
    again = {kind: stage.folder / f"again.{kind}" for kind in ("csv", "json")}
    replay(stage, recorded["rec"], "--csv", again["csv"], "--json", again["json"])
    assert again["csv"].read_bytes() == recorded["csv"].read_bytes()
    first, second = (json.loads(paths["json"].read_text()) for paths in (recorded, again))
    for document in (first, second):
        for key in ("options", "written_wall_ns"):
            del document[key]
    assert first == second
    assert first["is_whole"] and first["kernel_deltas"] == second["kernel_deltas"]


def test_a_replay_of_a_replay_s_recording_is_refused(stage, recorded):
    done = stage.run(STAT, "--replay", recorded["rec"], "--record", stage.folder / "x.rec")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_a_replay_keeps_the_recording_s_time_and_speed(stage, recorded):
    rows = read_csv(recorded["csv"])
    seconds = float(rows[-1]["elapsed_sec"])
    begun = time.monotonic()
    stage.run(STAT, "--replay", recorded["rec"], "--view", "lines")
    assert time.monotonic() - begun >= seconds
    begun = time.monotonic()
    stage.run(STAT, "--replay", recorded["rec"], "--view", "lines", "--speed", "0.25")
    assert time.monotonic() - begun >= 4 * seconds


def test_a_replay_drives_the_live_view(stage, recorded):
    terminal = stage.also_close(Terminal([STAT, "--replay", recorded["rec"], "--speed", "0.1"]))
    terminal.wait_for_text("[replay]")
    terminal.type("p")
    terminal.wait_for_text("[paused]")
    shown = terminal.lines[0]
    terminal.read(1.0)
    assert terminal.lines[0] == shown
    terminal.type("p")
    terminal.wait_for(lambda t: t.lines[0] != shown, "going on")
    assert terminal.wait() == 0
    assert terminal.is_restored
    assert any(line.startswith("TIME_WAIT: ") for line in terminal.lines)


def test_a_recording_cut_anywhere_shows_what_is_whole_and_names_the_rest(stage, recorded):
    """Every length between two lines, and within a line, for each line."""
    whole = recorded["rec"].read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 8  # head, six ticks, end
    cut_path = stage.folder / "cut.rec"
    begin = 0
    for number, line in enumerate(lines):
        for offset in (0, 1, len(line) // 2, len(line) - 1):
            cut_path.write_bytes(whole[:begin + offset])
            if number == 0:
                done = replay(stage, cut_path, "--csv", "-", code=2)
                assert "not a recording" in done.stderr
                continue
            done = replay(stage, cut_path, "--csv", "-", code=3)
            ticks = min(number - 1, 6)
            assert len(done.stdout.splitlines()) == (ticks + 1 if ticks else 0)
            assert f"cut short: {ticks} ticks are whole" in done.stderr
            assert ("ends within a line" in done.stderr) == (offset > 0)
            assert done.stderr.count("\n") == 1
        begin += len(line)
    json_path = stage.folder / "cut.json"
    replay(stage, cut_path, "--json", json_path, code=3)
    document = json.loads(json_path.read_text())
    assert len(document["ticks"]) == 6
    assert document["is_whole"] is False and document["kernel_deltas"] is None


def test_a_broken_line_in_the_middle_is_passed_over_and_named(stage, recorded):
    lines = recorded["rec"].read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:20] + b"\0" * 40 + b"\n"
    recorded["rec"].write_bytes(b"".join(lines))
    done = replay(stage, recorded["rec"], "--csv", "-", code=3)
    assert len(done.stdout.splitlines()) == 6
    assert "5 ticks are whole" in done.stderr and "the first is line 4, 61 bytes" in done.stderr


def test_a_killed_run_leaves_a_recording_of_its_whole_ticks(stage):
    path = stage.folder / "killed.rec"
    process = stage.spawn(STAT, "--interval", "20ms", "--record", path)
    while not path.exists() or path.read_bytes().count(b"\n") < 6:
        time.sleep(0.01)
    process.signal(signal.SIGKILL)
    process.process.wait()
    done = replay(stage, path, "--csv", "-", code=3)
    assert len(done.stdout.splitlines()) >= 6
    assert "cut short" in done.stderr


def test_a_recording_is_never_written_over(stage, recorded):
    before = recorded["rec"].read_bytes()
    done = stage.run(STAT, "--record", recorded["rec"], "--count", "1")
    assert done.returncode == 2 and "is there already" in done.stderr
    assert recorded["rec"].read_bytes() == before


def test_a_full_disk_ends_the_run_with_exit_code_3(stage):
    for option in ("--csv", "--record"):
        done = stage.run(STAT, option, "/dev/full", "--interval", "20ms", "--count", "3")
        assert done.returncode == 3, done.stderr
        # Beside it, only what this machine cannot tell.
        wrong = [line for line in done.stderr.splitlines() if line.startswith("finwait-stat: ")]
        assert len(wrong) == 1 and option in wrong[0], done.stderr


def bad(stage, *arguments):
    done = stage.run(STAT, *arguments)
    assert done.returncode == 2, (arguments, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1, (arguments, done.stderr)
    return done.stderr


def test_what_is_no_recording_is_refused(stage):
    cases = {
        "empty": b"", "noise": bytes(range(256)) * 8, "json": b"{}\n", "zeros": b"\0" * 4096,
        "later": b'{"format":"finwait.recording","version":2}\n',
        "long": b"x" * (3 << 20) + b"\n",
    }
    for name, content in cases.items():
        path = stage.file(name, content)
        assert path in bad(stage, "--replay", path)
    assert "No such file" in bad(stage, "--replay", stage.folder / "none")
    assert "version" in bad(stage, "--replay", stage.folder / "later")
    bad(stage, "--replay", "/")


@pytest.mark.parametrize("arguments, word", [
    (["--speed", "0"], "--speed"), (["--speed", "-1"], "--speed"), (["--speed", "fast"], "fast"),
    (["--speed", "nan"], "nan"), (["--speed", "1e9"], "1e9"), (["--csv", ""], "--csv"),
    (["--json", "-", "--csv", "-"], "stdout"), (["--view", "live", "--csv", "-"], "stdout"),
    (["--once", "--csv", "x"], "--csv"), (["--once", "--record", "x"], "--record"),
    (["--replay", "x", "--once"], "--once"), (["--replay", "x", "--port", "80"], "filters"),
    (["--view", "both"], "both"),
])
def test_bad_input_gets_one_line_and_exit_code_2(stage, arguments, word):
    assert word in bad(stage, *arguments)
    assert not Path("x").exists()
