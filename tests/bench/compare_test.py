"""Shows what bench/compare computes: orders, intervals, verdicts, rates, and what it takes from others."""
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
import compare_cells  # noqa: E402 found by the line above
import compare_run  # noqa: E402
import compare_stats  # noqa: E402
import compare_trial  # noqa: E402
from compare_stats import Interval, Target  # noqa: E402


class BlockOrder(unittest.TestCase):
    def test_neighbouring_pairs_are_mirrored(self):
        order = compare_stats.block_order(20, random.Random(5))
        for first, second in zip(order[::2], order[1::2]):
            self.assertEqual(first, second[::-1])

    def test_an_odd_number_of_pairs_is_kept(self):
        self.assertEqual(len(compare_stats.block_order(7, random.Random(1))), 7)

    def test_both_kinds_of_block_occur(self):
        order = compare_stats.block_order(40, random.Random(2))
        self.assertEqual(set(order[::2]), {"AB", "BA"})

    def test_a_cell_has_its_order_whatever_else_runs(self):
        one = compare_stats.block_order(9, compare_stats.seeded(3, "floor", "apart fin"))
        again = compare_stats.block_order(9, compare_stats.seeded(3, "floor", "apart fin"))
        self.assertEqual(one, again)


class Bootstrap(unittest.TestCase):
    def test_equal_ratios_leave_no_doubt(self):
        interval = compare_stats.bootstrap([0.98] * 7, random.Random(1))
        self.assertEqual(interval, Interval(0.98, 0.98, 0.98))

    def test_the_interval_holds_the_median_and_stays_within_the_ratios(self):
        ratios = [0.90, 0.97, 0.99, 1.00, 1.01, 1.03, 1.10]
        interval = compare_stats.bootstrap(ratios, random.Random(1))
        self.assertEqual(interval.median, 1.00)
        self.assertLess(interval.low, 1.00)
        self.assertGreater(interval.high, 1.00)
        self.assertGreaterEqual(interval.low, 0.90)
        self.assertLessEqual(interval.high, 1.10)

    def test_the_interval_is_that_of_the_median_of_seven(self):
        # The bootstrap of a median of 7 can be computed: P(median = k-th smallest) is known, and its
        # 2.5% and 97.5% quantiles are the 2nd and the 6th value.
        interval = compare_stats.bootstrap([1, 2, 3, 4, 5, 6, 7], random.Random(4))
        self.assertEqual((interval.low, interval.median, interval.high), (2, 4, 6))

    def test_more_pairs_make_the_interval_narrower(self):
        rng = random.Random(9)
        ratios = [rng.gauss(1.0, 0.05) for _ in range(60)]
        few = compare_stats.bootstrap(ratios[:8], random.Random(1))
        many = compare_stats.bootstrap(ratios, random.Random(1))
        self.assertLess(many.high - many.low, few.high - few.low)

    def test_quantiles_lie_between_neighbours_by_proportion(self):
        self.assertEqual(compare_stats.quantile([0, 10], 0.25), 2.5)
        self.assertEqual(compare_stats.quantile([0, 5, 10], 1.0), 10)


class Verdict(unittest.TestCase):
    def assert_verdict(self, low, high, target, expected):
        self.assertEqual(compare_stats.judge(Interval(low, (low + high) / 2, high), target), expected)

    def test_the_lower_end_decides(self):
        target = Target("at-least", 0.95)
        self.assert_verdict(0.95, 0.99, target, "met")
        self.assert_verdict(0.949, 0.99, target, "open")
        self.assert_verdict(0.90, 0.949, target, "missed")

    def test_above_means_above(self):
        target = Target("above", 1.0)
        self.assert_verdict(1.001, 1.2, target, "met")
        self.assert_verdict(1.0, 1.2, target, "open")
        self.assert_verdict(0.9, 1.0, target, "missed")

    def test_equal_means_that_the_interval_holds_the_value(self):
        target = Target("equal", 1.0)
        self.assert_verdict(0.98, 1.02, target, "met")
        self.assert_verdict(1.01, 1.02, target, "missed")

    def test_without_a_target_there_is_no_verdict(self):
        self.assert_verdict(0.5, 0.6, compare_stats.NO_TARGET, "-")


class SteadyRate(unittest.TestCase):
    def test_start_and_end_do_not_count(self):
        # Nothing for 1 s, 2 s of growth that is slow at first, 100/s after that, then nothing again.
        samples = [(t / 10, 0) for t in range(10)]
        samples += [(1 + t / 10, t) for t in range(5)]
        samples += [(1.5 + t / 10, 5 + 10 * t) for t in range(16)]
        samples += [(3.1 + t / 10, 155) for t in range(10)]
        self.assertAlmostEqual(compare_stats.steady_rate(samples, 0.5), 100)

    def test_a_counter_that_stands_still_has_no_rate(self):
        self.assertIsNone(compare_stats.steady_rate([(t, 7) for t in range(10)], 0.5))

    def test_a_run_shorter_than_its_warm_up_has_no_rate(self):
        self.assertIsNone(compare_stats.steady_rate([(t / 10, t) for t in range(4)], 0.5))


class Claims(unittest.TestCase):
    def test_ab_is_read(self):
        text = ("Concurrency Level:      32\nComplete requests:      34371\nFailed requests:        3\n"
                "Requests per second:    11456.83 [#/sec] (mean)\n")
        self.assertEqual(compare_trial.claim_of_ab(text),
                         {"rate": 11456.83, "completed": 34371.0, "failed": 3.0})

    def test_wrk_is_read_with_and_without_errors(self):
        text = "  29571 requests in 3.01s, 3.50MB read\n{}Requests/sec:   9824.25\n"
        errors = "  Socket errors: connect 1, read 20, write 300, timeout 4000\n"
        self.assertEqual(compare_trial.claim_of_wrk(text.format("")),
                         {"rate": 9824.25, "completed": 29571.0, "failed": 0})
        self.assertEqual(compare_trial.claim_of_wrk(text.format(errors))["failed"], 4321)

    def test_a_report_of_ours_is_read(self):
        text = '{"completed_per_sec": 47.5, "completed": 95, "failed": 1}'
        self.assertEqual(compare_trial.claim_from_json(text),
                         {"rate": 47.5, "completed": 95, "failed": 1})


class Cells(unittest.TestCase):
    def setUp(self):
        self.known = {comparison.name: comparison for comparison in compare_cells.comparisons()}

    def test_floor_and_engines_cover_both_layouts_and_three_closes(self):
        wanted = {f"{layout} {close}" for layout in ("apart", "pair") for close in ("fin", "close", "rst")}
        for name in ("floor", "engines"):
            self.assertEqual({cell.name for cell in self.known[name].cells}, wanted)

    def test_both_sides_have_as_many_connections_in_flight(self):
        for cell in self.known["floor"].cells:
            clients = 2 if cell.name.startswith("pair") else 1
            ours, floor = cell.a.client, cell.b.client
            self.assertEqual(int(ours[ours.index("--in-flight") + 1]),
                             clients * int(floor[floor.index("--in-flight") + 1]))

    def test_tools_meet_the_very_server_that_we_meet(self):
        for name in ("ab", "wrk"):
            for cell in self.known[name].cells:
                self.assertEqual(cell.a.server, cell.b.server)
                self.assertEqual(cell.measure, "kernel")

    def test_every_place_in_a_command_is_filled(self):
        places = {name: "x" for name in ("seconds", "whole_seconds", "json", "server_json", "response",
                                         "request")}
        for comparison in self.known.values():
            for cell in comparison.cells:
                for contender in (cell.a, cell.b):
                    words = [*contender.server, *contender.client]
                    self.assertNotIn("{", "".join(compare_trial.fill(words, places)))


class CellResult(unittest.TestCase):
    def trial(self, rate, **more):
        return dict({"rate": rate, "kernel_rate": rate, "completed": rate, "failed": 0,
                     "cpu_us_per_conn": 30.0, "other_load": 0.0}, **more)

    def result(self, a, b):
        comparison = next(c for c in compare_cells.comparisons() if c.name == "floor")
        return compare_run.cell_result(comparison, comparison.cells[0], {"A": a, "B": b},
                                       random.Random(1))

    def test_the_ratio_is_that_of_pairs(self):
        # The machine halves its speed midway; both sides feel it alike.
        b = [self.trial(rate) for rate in (100, 100, 100, 100, 50, 50, 50)]
        a = [self.trial(trial["rate"] * 0.98) for trial in b]
        result = self.result(a, b)
        self.assertAlmostEqual(result["ratio"], 0.98)
        self.assertEqual(result["verdict"], "met")

    def test_fewer_than_seven_pairs_give_no_verdict(self):
        trials = [self.trial(100)] * 6
        self.assertEqual(self.result(trials, trials)["verdict"], "too few pairs")

    def test_what_spoils_a_figure_is_noted(self):
        good = [self.trial(100)] * 7
        self.assertEqual(self.result(good, good)["notes"], [])
        failing = [self.trial(100, failed=2)] * 7
        self.assertIn("14 failures", self.result(failing, good)["notes"][0])
        boasting = [self.trial(150, kernel_rate=100)] * 7
        self.assertIn("the kernel accepted 100/s", self.result(boasting, good)["notes"][0])
        disturbed = [self.trial(100, other_load=0.5)] * 7
        self.assertIn("50% of a CPU", self.result(good, disturbed)["notes"][0])


if __name__ == "__main__":
    unittest.main()
