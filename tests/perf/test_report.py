# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""perf/bench/report: nothing is dropped, nothing is dressed up."""

import importlib
import os
import re
import subprocess
import sys

import layers
import samples
import tables
from results import Results
from tools import HERE, Case

REPORT = HERE.parents[1] / "perf/bench/report"


class Report(Case):
    def results(self, **states):
        limit = [samples.row(50, op="process_vm_writev", mem="anon", size=8),
                 samples.row(70, op="first_touch", mem="anon", size=8)]
        hodp = [samples.write_row(200, faults=0.0), samples.write_row(600, reg="cold", faults=1.0),
                samples.write_row(1, reg="implicit", status="failed")]
        rxe = [samples.write_row(1000), samples.write_row(1, reg="cold", status="wrong"),
               samples.write_row(1, reg="implicit", status="unsupported")]
        hodp[1]["samples"] = [540, 840, 600, 610, 620]
        return Results(samples.results(self.tmp / "r", {
            "icount-limit": samples.document(limit, program="odp_limit", device=None),
            "icount-lat.hodp0": samples.document(hodp), "icount-lat.rxe0": samples.document(rxe, device="rxe0"),
            "wall-lat.hodp0": samples.document([samples.write_row(777)], clock="wall"),
            "wall-lat.rxe0": samples.document([samples.write_row(1554)], clock="wall", device="rxe0"),
        }, **states))

    def lines(self):
        head, *found = tables.table(self.results())
        return [dict(zip(head, line)) for line in found]

    def line(self, what, clock="icount"):
        return next(x for x in self.lines() if what in x["what"] and x["clock"] == clock)

    def test_figures(self):
        """report: figures, ratios, faults and the limit"""
        hot, cold = self.line("hot"), self.line("cold")
        self.assertEqual((hot["hmm_odp"], hot["hmm_odp / rxe"], hot["limit"], hot["hmm_odp / limit"]),
                         ("200", "0.200", "50", "4.000"))
        self.assertEqual((cold["limit"], cold["hmm_odp / limit"]), ("120", "5.000"))
        self.assertEqual(cold["faults/op hmm_odp"], "1")

    def test_wrong(self):
        """report: wrong, failed and unsupported rows are shown, without ratio"""
        cold, implicit = self.line("cold"), self.line("implicit")
        self.assertEqual((cold["rxe"], cold["hmm_odp / rxe"]), ("WRONG", ""))
        self.assertEqual((implicit["hmm_odp"], implicit["rxe"]), ("failed", "not supported"))

    def test_wall(self):
        """report: of wall times only the ratio is shown"""
        wall = self.line("hot", "wall")
        self.assertEqual((wall["hmm_odp"], wall["rxe"], wall["hmm_odp / rxe"]), ("ok", "ok", "0.500"))

    def test_siw(self):
        """report: siw has a column of its own, only where it was measured"""
        self.assertNotIn("siw", tables.table(self.results())[0])
        found = Results(samples.results(self.tmp / "s", {
            "icount-lat.hodp0": samples.document([samples.write_row(200, reg="pinned"), samples.write_row(300)]),
            "icount-lat.siw0": samples.document([samples.write_row(4000, reg="pinned"), samples.write_row(
                1, status="unsupported")], device="siw0")}))
        head, *lines = tables.table(found)
        self.assertEqual([(dict(zip(head, x))["hmm_odp"], dict(zip(head, x))["siw"]) for x in lines],
                         [("200", "4,000"), ("300", "not supported")])

    def test_network(self):
        """report: the ends of a network have lines of their own, TCP is their limit"""
        def lat(near, far, median, reg="pinned"):
            return samples.document([samples.write_row(median, reg=reg)], device=near, peer=far)
        found = Results(samples.results(self.tmp / "n", {
            "icount-limit-wire.near+far": samples.document([samples.row(40, op="tcp", mem="anon", size=8)],
                                                           program="odp_limit", device=None),
            "icount-limit": samples.document([samples.row(50, op="process_vm_writev", mem="anon", size=8)],
                                             program="odp_limit", device=None),
            "icount-lat.hodp0": samples.document([samples.write_row(20, reg="pinned")]),
            "icount-lat-wire.hodpA+hodpB": lat("hodpA", "hodpB", 100), "icount-lat-wire.rxeA+rxeB": lat("rxeA", "rxeB", 400),
            "icount-lat-wire.hodpM+rxeM": lat("hodpM", "rxeM", 200),
            "icount-lat-wire.rxeM+hodpM": lat("rxeM", "hodpM", 300)}))
        head, *lines = tables.table(found)
        wire = [line for line in (dict(zip(head, x)) for x in lines) if line["program"] == "odp_lat, network"]
        self.assertEqual([tuple(x[c] for c in (
            "hmm_odp", "rxe", "hmm_odp to rxe", "rxe to hmm_odp", "limit", "hmm_odp / rxe", "hmm_odp / limit"))
            for x in wire], [("100", "400", "200", "300", "40", "0.250", "2.500")])
        local = [line for line in (dict(zip(head, x)) for x in lines) if line["program"] == "odp_lat"]
        self.assertEqual([(x["hmm_odp"], x["limit"], x["rxe to hmm_odp"]) for x in local], [("20", "50", "")])
        self.assertEqual(len({r.ident() for r in found.rows}), len(found.rows))

    def test_all_rows(self):
        """report: no row is dropped"""
        self.assertEqual(len(self.lines()), 2 + 3 + 1)

    def test_missing(self):
        """report: a step without results is named with its reason"""
        text = tables.report_md(self.results(icount_reg_at_hodp0="crashed"), [])
        self.assertIn("icount-reg.hodp0: made up: crashed", text)

    def test_program(self):
        """report: report.md and report.html are written, the HTML needs nothing else"""
        directory = self.results().directory
        done = subprocess.run([sys.executable, REPORT, "--no-plots", directory], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("WRONG", (directory / "report.md").read_text())

    def test_html(self):
        """report: the HTML holds its plots, says WRONG, and needs nothing else"""
        results = self.results()
        done = subprocess.run([sys.executable, REPORT, results.directory], capture_output=True, text=True)
        if os.geteuid() and "needs root" in done.stderr:
            self.skipTest("python3-matplotlib is not installed: run perf/bench/report as root")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual((results.directory / "report.html").read_text().count("<svg"), 3)
        importlib.invalidate_caches()
        import page
        text = page.html(results, [(True, "a bound")])
        self.assertEqual(re.findall(r"""(?:src|href)=["'](?!data:|#)[^"']*""", text), [])
        self.assertNotIn("@import", text)
        self.assertGreaterEqual(text.count("<svg"), 3)
        for word in ("WRONG", "not supported", "BROKEN"):
            self.assertIn(word, text)

    def test_damaged(self):
        """report: a document that breaks the schema is named, its rows are not used"""
        directory = self.results().directory
        (directory / "icount-lat.rxe0.json").write_text("{")
        results = Results(directory)
        self.assertIn("no JSON", dict((s["name"], why) for s, why in results.undone())["icount-lat.rxe0"])
        self.assertEqual([r for r in results.rows if r.device == "rxe0" and r.clock == "icount"], [])

    def test_nothing(self):
        """report: a directory without results gets one sentence"""
        self.assertIn("holds no results", self.dies(Results, self.tmp))


class Layers(Case):
    def test_layers(self):
        """profile: functions land in their layers"""
        for function, module, due in (
                ("xas_load", "vmlinux", "kernel: look-ups (xarray, maple tree)"), ("hmm_range_fault", "vmlinux",
                                                                                  "kernel: HMM, notifiers"),
                ("entry_SYSCALL_64", "vmlinux", "kernel: system call entry"), ("uverbs_x", "ib_uverbs",
                                                                              "module ib_uverbs"),
                ("__schedule", "vmlinux", "kernel: scheduler"), ("zap_pte_range", "vmlinux",
                                                                 "kernel: memory management")):
            with self.subTest(function):
                self.assertEqual(layers.layer(function, module), due)
