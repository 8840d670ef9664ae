"""account-probe as a process, and what each row of the close table must leave in its matrix."""
import json
import subprocess
import time

CLOSERS = ("client", "server", "both")
LIVE = ("established", "syn_sent", "fin_wait_1", "fin_wait_2", "close_wait", "last_ack", "closing",
        "syn_received")


class Probe:
    """The account of states of this thread's namespace, since the probe was started."""

    def __init__(self, path, command=()):
        self.process = subprocess.Popen([*command, path], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        first = self.process.stdout.readline()
        self.refusal = None if first == "ready\n" else self.process.communicate()[1].strip()

    def read(self, kind=""):
        """A reading; "light" leaves the account and the owners out."""
        self.process.stdin.write(kind + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def read_settled(self, seconds=30.0):
        """Reads until nothing moves and no connection is left, since FINs may be under way."""
        deadline = time.monotonic() + seconds
        while True:
            reading = self.read()
            left = sum(reading["rows"][state][3] for state in LIVE)
            if (left == 0 and reading["moved"] == 0) or time.monotonic() > deadline:
                return reading
            time.sleep(0.02)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(20)


def check_row(reading, closer, close, result):
    """What of the matrix does not agree with the load generator's own count; an empty list is what
    should come. Both ends are in the namespace."""
    count, steps = result["completed"], reading["transitions"]
    wrong = list(reading["differences"])

    def expect(what, seen, expected):
        if seen != expected:
            wrong.append(f"{what}: {seen} instead of {expected}")

    def step(*names):
        return sum(steps.get(name, 0) for name in names)

    expect("attempted", result["attempted"], count)
    for name in ("none>syn_sent", "syn_sent>established", "none>syn_received",
                 "syn_received>established"):
        expect(name, step(name), count)
    ends = sum(times for name, times in steps.items()
               if name.endswith((">closed", ">time_wait", ">none")) and not name.startswith("listen"))
    expect("ends of sockets", ends, 2 * count)
    if close == "rst":
        expect("established>closed", step("established>closed"), 2 * count)
        return wrong
    crossed = result["counters"]["loadgen"].get("fins_crossed") if closer == "both" else 0
    if crossed is None:  # the generator cannot know: the peer is elsewhere, or leaves no TIME_WAIT
        crossed = step("fin_wait_1>closing") // 2
    expect("established>fin_wait_1", step("established>fin_wait_1"), count + crossed)
    expect("established>close_wait", step("established>close_wait"), count - crossed)
    expect("fin_wait_1>closing", step("fin_wait_1>closing"), 2 * crossed)
    expect("ends of those who closed second",
           step("last_ack>closed", "close_wait>closed"), count - crossed)
    made = step("fin_wait_2>time_wait", "fin_wait_2>none", "closing>time_wait")
    if close == "fin-no-timewait":
        expect("closes into TIME_WAIT", made, step("closing>time_wait"))
    else:
        expect("closes into TIME_WAIT", made, count + crossed)
    expect("TIME_WAIT records made", reading["counters"]["time_wait_made"], made)
    return wrong


def owner_of_time_wait(reading, program):
    """How many TIME_WAIT records the processes of a name made, and in all."""
    made = {row["name"]: row["time_wait_made"] for row in reading["by_pid"]}
    own = sum(count for name, count in made.items() if name.startswith(program))
    return own, sum(made.values())
