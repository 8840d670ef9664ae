"""What a comparison computes: the order of its trials, the interval of a ratio, the verdict.

METHOD: trials come in blocks A B B A or B A A B, which of the two by chance, so that a machine that
drifts favours neither side. Neighbours form a pair, a pair gives a ratio, and the median of the ratios
comes with a bootstrap interval. A target is met when the interval's lower end meets it.
"""
import random
import statistics
from typing import NamedTuple

RESAMPLES = 10000
CONFIDENCE = 0.95


def block_order(pairs, rng):
    """The order within each pair, "AB" or "BA": two neighbouring pairs are one block, mirrored."""
    order = []
    while len(order) < pairs:
        first = rng.choice(["AB", "BA"])
        order += [first, first[::-1]]
    return order[:pairs]


def quantile(ordered, fraction):
    """A quantile of sorted values, between neighbours by proportion."""
    position = fraction * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


class Interval(NamedTuple):
    low: float
    median: float
    high: float


def bootstrap(ratios, rng, resamples=RESAMPLES):
    """The median and its bootstrap interval: the percentiles of medians of resampled ratios."""
    medians = sorted(
        statistics.median(rng.choices(ratios, k=len(ratios))) for _ in range(resamples))
    tail = (1 - CONFIDENCE) / 2
    return Interval(quantile(medians, tail), statistics.median(ratios), quantile(medians, 1 - tail))


class Target(NamedTuple):
    """What a ratio should be: "at-least" or "above" a value, "equal" to it, or nothing in particular."""
    kind: str
    value: float

    def __str__(self):
        signs = {"at-least": ">=", "above": ">", "equal": "="}
        return f"{signs[self.kind]} {self.value:.2f}" if self.kind in signs else "-"


NO_TARGET = Target("none", 0.0)


def judge(interval, target):
    """"met", "missed" when the whole interval is on the wrong side, else "open"; "-" without a target."""
    if target.kind == "none":
        return "-"
    if target.kind == "equal":
        return "met" if interval.low <= target.value <= interval.high else "missed"
    above = target.kind == "above"
    if interval.low > target.value or (not above and interval.low == target.value):
        return "met"
    if interval.high < target.value or (above and interval.high == target.value):
        return "missed"
    return "open"


def seeded(seed, *names):
    """A generator of its own for each cell: leaving a cell out changes no other."""
    return random.Random(":".join([str(seed), *names]))


def steady_rate(samples, warm_up):
    """Events a second of a counter over its steady part, or None.

    `samples` are (seconds, count) pairs. The part begins `warm_up` after the first growth and ends before
    the last sample that grew, so that neither a program's start nor its end counts.
    """
    grew = [i for i in range(1, len(samples)) if samples[i][1] > samples[i - 1][1]]
    if not grew:
        return None
    begin = samples[grew[0]][0] + warm_up
    steady = [sample for sample in samples[:grew[-1]] if sample[0] >= begin]
    if len(steady) < 2 or steady[-1][0] <= steady[0][0]:
        return None
    return (steady[-1][1] - steady[0][1]) / (steady[-1][0] - steady[0][0])
