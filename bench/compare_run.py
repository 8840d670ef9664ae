"""Runs the trials of a comparison's cells, each in a network namespace of its own."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import compare_trial
from compare_cells import PORT
from compare_stats import block_order, bootstrap, judge, seeded

TRIAL = Path(__file__).with_name("compare_trial.py")
TRIAL_EXTRA_SEC = 40  # start, drain and time-outs of a trial that goes wrong
PAIRS_MIN = 7  # below that there is no verdict
# A client's own rate and the kernel's differ by start and end of the run; beyond this it counts
# something else than connections.
CLAIM_TOLERANCE = 0.05
# Of one CPU; what the kernel does after a program has ended comes to about half of that.
OTHER_LOAD_MAX = 0.25


class CannotRun(Exception):
    """No trial can be run here; the text says why."""


def namespace_way():
    """How to enter a network namespace of our own: as root, else as root of a user namespace."""
    for way in (["unshare", "-n"], ["unshare", "-rn"]):
        if subprocess.run([*way, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                          check=False).returncode == 0:
            return way
    raise CannotRun("no network namespace can be made here: neither unshare -n nor unshare -rn works")


class Runner:
    """Runs trials one after another; `close` ends the one that is under way."""

    def __init__(self, bin_dir, seconds):
        self.way = namespace_way()
        self.bin_dir = Path(bin_dir)
        self.seconds = seconds
        self.trial = None

    def resolve(self, command):
        """Finds our own programs in the build and all others on the PATH."""
        if not command:
            return []
        ours = self.bin_dir / command[0]
        path = str(ours) if ours.exists() else shutil.which(command[0])
        if path is None:
            raise CannotRun(f"{command[0]} is neither in {self.bin_dir} nor on the PATH")
        return [path, *command[1:]]

    def spec(self, contender):
        return {"server": self.resolve(list(contender.server)), "client": self.resolve(contender.client),
                "claim": contender.claim, "port": PORT, "seconds": self.seconds}

    def run(self, contender):
        """One trial; what compare_trial.py says, or {"error": text}."""
        spec = self.spec(contender)
        # A session of its own: Ctrl-C is for us, and we end the trial.
        self.trial = subprocess.Popen(
            [*self.way, sys.executable, str(TRIAL)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, start_new_session=True, preexec_fn=compare_trial.die_with_parent,
            env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"))
        try:
            output, _ = self.trial.communicate(json.dumps(spec), self.seconds + TRIAL_EXTRA_SEC)
        except subprocess.TimeoutExpired:
            return {"error": "the trial did not end"}
        finally:
            self.close()
        try:
            return json.loads(output)
        except ValueError:
            return {"error": "the trial ended without a result"}

    def close(self):
        if self.trial is not None and self.trial.poll() is None:
            self.trial.send_signal(signal.SIGTERM)
            try:
                self.trial.communicate(timeout=TRIAL_EXTRA_SEC)
            except subprocess.TimeoutExpired:
                self.trial.kill()
                self.trial.wait()
        self.trial = None


def rate_of(cell, trial):
    return trial["rate"] if cell.measure == "claim" else trial["kernel_rate"]


def median_of(trials, key):
    values = [trial[key] for trial in trials if trial.get(key) is not None]
    return statistics.median(values) if values else None


def side_summary(cell, contender, trials):
    return {"label": contender.label, "server": list(contender.server), "client": contender.client,
            "rate": statistics.median(rate_of(cell, trial) for trial in trials),
            "claimed_rate": median_of(trials, "rate"), "kernel_rate": median_of(trials, "kernel_rate"),
            "cpu_us_per_conn": median_of(trials, "cpu_us_per_conn"),
            "other_load": median_of(trials, "other_load"),
            "failed": sum(trial["failed"] for trial in trials), "trials": trials}


def notes_on(side):
    """What a reader should know before believing a figure."""
    notes = []
    if side["failed"]:
        notes.append(f"{side['label']}: {side['failed']:g} failures")
    if side["kernel_rate"] and abs(side["claimed_rate"] / side["kernel_rate"] - 1) > CLAIM_TOLERANCE:
        notes.append(f"{side['label']} says {side['claimed_rate']:.0f}/s, the kernel accepted "
                     f"{side['kernel_rate']:.0f}/s")
    if side["other_load"] > OTHER_LOAD_MAX:
        notes.append(f"{side['label']}: other work took {side['other_load']:.0%} of a CPU")
    return notes


def cell_result(comparison, cell, trials, rng):
    """What a cell's trials come to. `trials` has a list for "A" and for "B", pair by pair."""
    ratios = [rate_of(cell, a) / rate_of(cell, b) for a, b in zip(trials["A"], trials["B"])]
    interval = bootstrap(ratios, rng)
    a = side_summary(cell, cell.a, trials["A"])
    b = side_summary(cell, cell.b, trials["B"])
    verdict = judge(interval, comparison.target) if len(ratios) >= PAIRS_MIN else "too few pairs"
    return {"cell": cell.name, "measure": cell.measure, "target": str(comparison.target),
            "ratios": ratios, "ratio": interval.median, "low": interval.low, "high": interval.high,
            "verdict": verdict, "a": a, "b": b, "notes": notes_on(a) + notes_on(b)}


def run_cell(runner, comparison, cell, pairs, seed, progress):
    """All pairs of a cell. The first trial that fails ends it: its figure is missing for good."""
    if cell.missing:
        return {"cell": cell.name, "verdict": "not run", "error": f"{cell.missing} is not installed"}
    rng = seeded(seed, comparison.name, cell.name)
    trials = {"A": [], "B": []}
    for index, order in enumerate(block_order(pairs, rng)):
        for side in order:
            contender = cell.a if side == "A" else cell.b
            trial = runner.run(contender)
            if "error" not in trial and rate_of(cell, trial) is None:
                trial["error"] = "the run was too short for a rate"
            if "error" in trial:
                return {"cell": cell.name, "verdict": "failed",
                        "error": f"{contender.label}: {trial['error']}"}
            trial["order"] = order
            trials[side].append(trial)
        progress(f"{comparison.name} {cell.name}: pair {index + 1} of {pairs}: "
                 f"{rate_of(cell, trials['A'][-1]):.0f}/s to {rate_of(cell, trials['B'][-1]):.0f}/s")
    return cell_result(comparison, cell, trials, rng)
