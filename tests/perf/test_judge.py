# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""perf/bench/judge.py and the programs on it: compare, gate, repeat."""

import json
import subprocess
import sys

import judge
import samples
from results import Results
from tools import HERE, Case

BENCH = HERE.parents[1] / "perf/bench"
QUIET = {"classes": {}, "p90": 0.0}
STEP = "icount-lat"
SMALL, LARGE = 8, 4096


class Compare(Case):
    def changes(self, then, now, noise=QUIET, device="hodp0"):
        runs = [Results(samples.results(self.tmp / str(i), {f"{STEP}.{device}": samples.document(rows, device=device)}))
                for i, rows in enumerate((then, now))]
        return judge.compare(*runs, noise)[0]

    def kinds(self, *args, **more):
        return [c.kind for c in self.changes(*args, **more)]

    def test_threshold(self):
        """compare: a change counts beyond 3 %, in both directions"""
        for now, due in ((10000, []), (10300, []), (10301, ["dearer"]), (9700, []), (9699, ["cheaper"])):
            with self.subTest(now):
                self.assertEqual(self.kinds([samples.write_row(10000)], [samples.write_row(now)]), due)

    def test_noise(self):
        """compare: twice the noise of the row's class is the threshold, if more"""
        noise = {"classes": {"odp_lat/WRITE/hot/anon/remote": 0.05}, "p90": 0.0}
        self.assertEqual(self.kinds([samples.write_row(10000)], [samples.write_row(11000)], noise), [])
        self.assertEqual(self.kinds([samples.write_row(10000)], [samples.write_row(11001)], noise), ["dearer"])
        cold = [samples.write_row(10000, reg="cold")], [samples.write_row(11000, reg="cold")]
        self.assertEqual(self.kinds(*cold, noise), ["dearer"])

    def test_floor(self):
        """compare: a few instructions are no change"""
        self.assertEqual(self.kinds([samples.write_row(100)], [samples.write_row(120)]), [])
        self.assertEqual(self.kinds([samples.write_row(100)], [samples.write_row(121)]), ["dearer"])

    def test_high_is_good(self):
        """compare: of bandwidth, less is dearer"""
        def bandwidth(n):
            return [samples.row(n, unit="MB/s", op="WRITE", size=8)]
        self.assertEqual(self.kinds(bandwidth(1000), bandwidth(900)), ["dearer"])
        self.assertEqual(self.kinds(bandwidth(1000), bandwidth(1100)), ["cheaper"])

    def test_faults(self):
        """compare: a fault more is dearer"""
        found = self.changes([samples.write_row(100, faults=0.0)], [samples.write_row(100, faults=1.0)])
        self.assertEqual([(c.kind, c.figure) for c in found], [("dearer", "faults_per_op")])
        self.assertIn("from 0", found[0].words())

    def test_status(self):
        """compare: rows that break, mend, or are lost"""
        ok, wrong = [samples.write_row(100)], [samples.write_row(100, status="wrong")]
        self.assertEqual(self.kinds(ok, wrong), ["broken"])
        self.assertEqual(self.kinds(wrong, ok), ["mended"])
        self.assertEqual(self.kinds(wrong, wrong), [])
        self.assertEqual(self.kinds(ok, []), ["lost"])

    def test_other_plan(self):
        """compare: rows of a step that the other run has not are not lost"""
        a = Results(samples.results(self.tmp / "a", {f"{STEP}.hodp0": samples.document([samples.write_row(100)])}))
        b = Results(samples.results(self.tmp / "b", {"icount-x.hodp0": samples.document([samples.write_row(100)])}))
        self.assertEqual(judge.compare(a, b, QUIET), ([], 0))

    def test_wall(self):
        """compare: wall times are not judged"""
        runs = [Results(samples.results(self.tmp / str(n), {"wall-lat.hodp0": samples.document(
            [samples.write_row(n)], clock="wall")})) for n in (100, 10000)]
        self.assertEqual(judge.compare(*runs, QUIET), ([], 0))

    def program(self, then, now, device="hodp0"):
        for name, rows in (("a", then), ("b", now)):
            samples.results(self.tmp / name, {f"{STEP}.{device}": samples.document(rows, device=device)})
        return subprocess.run([sys.executable, BENCH / "compare", self.tmp / "a", self.tmp / "b"],
                              capture_output=True, text=True)

    def test_program(self):
        """compare: its exit status, and what it says"""
        def rows(n):
            return [samples.row(n, what="made-up", size=8)]
        same, dearer = self.program(rows(1000), rows(1000)), self.program(rows(1000), rows(2000))
        cheaper = self.program(rows(2000), rows(1000))
        self.assertEqual([p.returncode for p in (same, dearer, cheaper)], [0, 1, 0])
        self.assertIn("dearer   odp_lat hodp0 made-up 8 B: 1,000 to 2,000, +100.0 %", dearer.stdout)
        self.assertIn("cheaper", cheaper.stdout)
        self.assertEqual(self.program(rows(1), []).returncode, 2, "nothing in common")

    def test_control(self):
        """compare: if rxe's rows moved, nothing is claimed"""
        def rows(n):
            return [samples.row(n, what="made-up", size=8)]
        moved = self.program(rows(1000), rows(2000), device="rxe0")
        self.assertEqual(moved.returncode, 2)
        self.assertIn("control", moved.stdout)

    def test_not_registered(self):
        """compare: what is not registered is the control, on any device"""
        rows = [samples.row(1000, event="munmap", reg=reg, size=8) for reg in ("none", "odp")]
        results = Results(samples.results(self.tmp / "r", {"icount-inval.hodp0": samples.document(
            rows, program="odp_inval")}))
        self.assertEqual([judge.ours(r) for r in results.rows], [False, True])

    def test_no_base(self):
        """compare: a BASE that is nothing gets one sentence"""
        for words in ([], ["no-such-revision"]):
            done = subprocess.run([sys.executable, BENCH / "compare", *words], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)


class Gate(Case):
    def gate(self, small=150, large=250, reg=110, more=(), drop=None):
        def write(n, **key):
            return samples.write_row(n, side="both", **key)

        def reg_row(length, n, pages="reserved"):
            return samples.row(n, sweep="length", what="reg", reg="odp", pages=pages, length=length)
        documents = {
            "icount-lat.hodp0": samples.document([write(small), write(large, size=LARGE), *more]),
            "icount-lat.rxe0": samples.document([write(1000, reg="pinned"), write(1000, reg="pinned", size=LARGE)],
                                                device="rxe0"),
            # Another shape, which has no bound: it must not be taken for the
            # other.
            "icount-reg-present.hodp0": samples.document([reg_row(1 << 30, 1000, "present")], program="odp_reg"),
            "icount-reg.hodp0": samples.document([reg_row(2 << 20, 100), reg_row(1 << 30, reg)], program="odp_reg"),
        }
        documents.pop(drop, None)
        samples.results(self.tmp / "r", documents)
        done = subprocess.run([sys.executable, BENCH / "gate", self.tmp / "r"], capture_output=True, text=True)
        return done.returncode, done.stdout

    def test_bounds(self):
        """gate: at each bound, and beyond it"""
        cases = [("at the bounds", 0, {}), ("8 B beyond", 1, {"small": 151}), ("4 KiB beyond", 1, {"large": 251}),
                 ("registration beyond", 1, {"reg": 111}),
                 ("a wrong row", 1, {"more": [samples.write_row(1, status="wrong", size=64)]}),
                 ("a failed row", 1, {"more": [samples.write_row(1, status="failed", size=64)]}),
                 ("what is not supported", 0, {"more": [samples.write_row(1, status="unsupported", size=64)]}),
                 ("rxe not measured", 1, {"drop": "icount-lat.rxe0"}),
                 ("registration not measured", 1, {"drop": "icount-reg.hodp0"})]
        for words, due, args in cases:
            with self.subTest(words):
                status, text = self.gate(**args)
                self.assertEqual(status, due, text)

    def test_tap(self):
        """gate: prints TAP"""
        self.assertRegex(self.gate()[1], r"(?s)^ok 1 - WRITE 8 B.*\n1\.\.\d+\n$")


class Repeat(Case):
    def runs(self, *medians):
        found = []
        for i, values in enumerate(medians):
            rows = [samples.write_row(n, size=8 << j) for j, n in enumerate(values)]
            found.append(Results(samples.results(self.tmp / str(i), {f"{STEP}.hodp0": samples.document(rows)})))
        return found

    def test_spread(self):
        """repeat: the spread of a class is that of its worst row"""
        found = judge.repeatability(self.runs((10000, 20000), (10000, 21000), (10000, 20000)))
        self.assertEqual(found["classes"], {"odp_lat/WRITE/hot/anon/remote": 0.05})
        self.assertEqual((found["rows"], found["within_3_percent"], found["runs"]), (2, 1, 3))

    def test_small(self):
        """repeat: a few instructions are no spread"""
        self.assertEqual(judge.repeatability(self.runs((100,), (120,)))["classes"],
                         {"odp_lat/WRITE/hot/anon/remote": 0.0})

    def test_committed(self):
        """repeat: perf/bench/repeatability.json is there, and nine rows of ten agree within 3 %"""
        noise = json.loads(judge.REPEATABILITY.read_text())
        self.assertGreaterEqual(noise["runs"], 3)
        self.assertGreaterEqual(noise["within_3_percent"], 0.9 * noise["rows"])
        self.assertTrue(noise["classes"])
