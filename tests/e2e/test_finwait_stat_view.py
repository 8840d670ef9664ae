"""finwait-stat's live view on a terminal: what a person sees, at several sizes, and how it ends."""
import re
import signal
import socket

import pytest
from conftest import program
from terminal import Terminal

PORT = 17321
STATES = ("LISTEN", "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2", "CLOSING",
          "TIME_WAIT", "CLOSE_WAIT", "LAST_ACK")


@pytest.fixture(name="view")
def fixture_view(stage):
    """Starts the view on a terminal of a size, in a namespace of the test's own."""
    def start(*arguments, rows=24, columns=80, **environment):
        command = [program("finwait-stat"), "--interval", "100ms", "--budget", "50%", *arguments]
        return stage.also_close(Terminal(command, rows, columns, **environment))
    return start


def listen(stage, backlog=3, port=PORT):
    listener = stage.also_close(socket.socket())
    listener.bind(("127.0.0.1", port))
    listener.listen(backlog)
    return listener


def connect(stage, count):
    for _ in range(count):
        client = stage.also_close(socket.socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", PORT))


@pytest.mark.parametrize("rows, columns", [(24, 80), (43, 132), (24, 100)])
def test_every_part_is_on_the_screen(stage, view, rows, columns):
    listen(stage)
    connect(stage, 3)
    terminal = view(rows=rows, columns=columns)
    terminal.wait_for(lambda t: re.search(r"^ESTABLISHED +6 ", t.text, re.M), "six ESTABLISHED")
    assert terminal.lines[0].lstrip().startswith("finwait-stat")
    assert "census: " in terminal.lines[1] and "budget 50.0%" in terminal.lines[1]
    for state in STATES:
        assert any(line.startswith(state + " ") for line in terminal.lines), state
    terminal.wait_for(lambda t: next(line for line in t.lines if line.startswith("ESTABLISHED"))
                      .count("\u2588") == columns - 55, "a bar across the rest of the line")
    queue = next(line for line in terminal.lines if line.startswith(f"127.0.0.1:{PORT}"))
    assert queue.split()[1:4] == ["3", "3", "0"]
    assert "q quit" in terminal.lines[-1]
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.is_restored


def test_a_full_queue_and_its_drops_are_shown_in_words(stage, view):
    listen(stage, backlog=1)
    terminal = view()
    terminal.wait_for_text(f"127.0.0.1:{PORT}")
    connect(stage, 6)
    terminal.wait_for(lambda t: re.search(rf"127.0.0.1:{PORT} +2 +1 +[1-9]", t.text), "drops")
    terminal.wait_for_text(f"127.0.0.1:{PORT}: the accept queue is full")


def test_counts_go_on_from_a_census_by_exact_transitions(stage):
    """The budget has room for one census; what comes then is shown nonetheless, where BPF may be used."""
    listen(stage)
    command = [program("finwait-stat"), "--interval", "100ms", "--budget", "0.1%"]
    terminal = stage.also_close(Terminal(command))
    terminal.wait_for(lambda t: re.search(r"^LISTEN +1 ", t.text, re.M), "the first census")
    terminal.wait_for(lambda t: re.search(r"^census: .* [0-9.]+ s old", t.text, re.M), "an older census")
    if " counted " in terminal.lines[2]:
        pytest.skip("no exact transitions here: " + terminal.text)
    connect(stage, 3)
    terminal.wait_for(lambda t: re.search(r"^ESTABLISHED +6 ", t.text, re.M), "six ESTABLISHED")
    assert re.search(r" now ", terminal.lines[2])
    stage.closers.pop().close()
    terminal.wait_for(lambda t: re.search(r"^ESTABLISHED +4 ", t.text, re.M), "four ESTABLISHED")
    terminal.wait_for(lambda t: re.search(r"^CLOSE_WAIT +1 ", t.text, re.M), "one CLOSE_WAIT")


def test_it_follows_the_terminal_s_size(stage, view):
    listen(stage)
    connect(stage, 2)
    terminal = view()
    terminal.wait_for_text("q quit")
    for rows, columns in ((43, 132), (10, 40), (50, 200), (2, 3), (24, 80)):
        terminal.resize(rows, columns)
        if columns >= 80:
            terminal.wait_for(lambda t: "q quit" in t.lines[-1], "keys in the last line")
            terminal.wait_for(lambda t, c=columns: any(
                line.startswith("ESTABLISHED") and line.count("\u2588") == c - 55
                for line in t.lines), "a bar of the new width")
        else:
            terminal.read(0.5)
            assert terminal.process.poll() is None
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.is_restored


def test_keys_pause_sort_and_help(stage, view):
    listen(stage)
    terminal = view()
    terminal.wait_for_text("sort by: most")
    terminal.type("s")
    terminal.wait_for_text("sort by: drops, TIME_WAIT")
    terminal.type("s")
    terminal.wait_for_text("sort by: name")
    terminal.type("p")
    terminal.wait_for_text("[paused]")
    before = terminal.lines[0]
    terminal.read(0.5)
    assert terminal.lines[0] == before
    terminal.type("p")
    terminal.wait_for(lambda t: t.lines[0] != before and "[paused]" not in t.text, "going on")
    terminal.type("h")
    terminal.wait_for_text("this help")
    terminal.type("h")
    terminal.wait_for(lambda t: "this help" not in t.text, "the states again")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signals_give_the_terminal_back(view, number):
    terminal = view()
    terminal.wait_for_text("q quit")
    terminal.process.send_signal(number)
    assert terminal.wait() == 0
    assert terminal.is_restored
    assert "TIME_WAIT: 0 live" in terminal.text


def test_ctrl_c_ends_it(view):
    terminal = view()
    terminal.wait_for_text("q quit")
    terminal.type("\x03")
    assert terminal.wait() == 0
    assert terminal.is_restored


def test_a_crash_gives_the_terminal_back(view):
    terminal = view()
    terminal.wait_for_text("q quit")
    terminal.process.send_signal(signal.SIGABRT)
    assert terminal.wait() == -signal.SIGABRT
    assert terminal.raw.rstrip().endswith(b"\x1b[?1049l\x1b[?25h")
    assert terminal.is_restored


def test_colors_are_there_on_a_terminal_and_not_with_no_color(stage, view):
    listen(stage)
    connect(stage, 2)
    colored = view()
    colored.wait_for_text("q quit")
    assert colored.has_colors
    plain = view(NO_COLOR="1")
    plain.wait_for_text("q quit")
    plain.wait_for(lambda t: re.search(r"^ESTABLISHED +4 ", t.text, re.M), "states")
    assert not plain.has_colors
    unset = view(NO_COLOR="")
    unset.wait_for_text("q quit")
    assert unset.has_colors


def test_bars_are_ascii_where_the_locale_is(stage, view):
    listen(stage)
    connect(stage, 2)
    terminal = view(LC_ALL="C")
    terminal.wait_for(lambda t: re.search(r"^ESTABLISHED +4 .*#{25}", t.text, re.M), "a bar of #")


def test_a_terminal_that_cannot_be_driven_gets_lines(view):
    for name in ("dumb", "no-such-terminal", None):
        terminal = view("--count", "2", TERM=name)
        assert terminal.wait() == 0
        assert "\x1b" not in terminal.raw.decode()
        assert "ESTABLISHED" in terminal.text


def test_a_live_view_that_was_asked_for_and_cannot_be_is_exit_code_3(view):
    terminal = view("--view", "live", TERM="no-such-terminal")
    assert terminal.wait() == 3
    assert terminal.stderr.count("\n") == 1
    assert "TERM=no-such-terminal" in terminal.stderr


def test_without_a_terminal_the_view_is_frames_of_plain_text(stage):
    listen(stage)
    done = stage.run(program("finwait-stat"), "--view", "live", "--interval", "50ms", "--count", "2")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout and done.stdout.isascii()
    assert done.stdout.count("census: ") == 4  # before the first tick, two ticks, and the end
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_keys_come_from_the_terminal_when_stdin_is_something_else(stage):
    command = ["sh", "-c", f"exec {program('finwait-stat')} --interval 100ms </dev/null"]
    terminal = stage.also_close(Terminal(command))
    terminal.wait_for_text("q quit")
    terminal.type("q")
    assert terminal.wait() == 0
    assert terminal.is_restored
