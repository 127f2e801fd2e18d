# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""perf/perftest/figures.py: what perftest prints, as figures."""

import pathlib
import sys
import tempfile

from tools import HERE, Case

sys.path.append(str(HERE.parents[1] / "perf/perftest"))
import figures  # noqa: E402

LATENCY = """
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]   ...   99% percentile[usec]
#, usec
1, 299.214
2, 15.8376
3, 5.874
4, 3.93414
------------------------------------------------------------------------------
 64      5          3.56           15.84        3.63     \t       3.79        \t0.49   \t\t15.84   \t\t16.25
------------------------------------------------------------------------------
"""
BANDWIDTH = """
 #bytes     #iterations    BW peak[MiB/sec]    BW average[MiB/sec]   MsgRate[Mpps]
 4096       50               757.38             126.03 \t\t     0.032264
------------------------------------------------------------------------------
"""
REFUSED = """
************************************
* Waiting for client to connect... *
************************************
Device not recognized to implement inline feature. Disabling it
Couldn't allocate MR
failed to create mr
Failed to create MR
allocated mmap buffer of size 8192 at 0x7eff5acf3000
"""


class Perftest(Case):
    def test_samples(self):
        """run_perftest: all of perftest's samples, in nanoseconds and in their order"""
        self.assertEqual(figures.samples_of(LATENCY), [299214, 15838, 5874, 3934])
        self.assertEqual(figures.samples_of(BANDWIDTH), [])

    def test_table(self):
        """run_perftest: the columns of perftest's tables"""
        found = figures.from_table(LATENCY, True)
        self.assertEqual((found["MsgSize"], found["t_typical"], found["percentile_99.9"]), (64, 3.63, 16.25))
        found = figures.from_table(BANDWIDTH, False)
        self.assertEqual((found["n_iterations"], found["BW_average"], found["MsgRate"]), (50, 126.03, 0.032264))
        self.assertIsNone(figures.from_table(REFUSED, False))
        self.assertIsNone(figures.from_table("", True))

    def test_json(self):
        """run_perftest: perftest's JSON, and what is none"""
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d, "p.json")
            self.assertIsNone(figures.from_json(path))
            path.write_text('{"test_info": {}, "results": {"MsgRate": 0.5, "BW_peak": 0.00}}', encoding="utf-8")
            self.assertEqual(figures.columns(figures.from_json(path)), {"msg_rate_Mpps": 0.5})
            for text in ('{"test_info": {}, "results": {"MsgRate": nan-', "{}", ""):
                path.write_text(text, encoding="utf-8")
                self.assertIsNone(figures.from_json(path), text)

    def test_percentiles(self):
        """run_perftest: nearest rank, as perf/lib does it"""
        f = figures.figures(list(range(1000, 0, -1)))
        self.assertEqual([f[n] for n in ("n", "min", "median", "p90", "p99", "p999", "max")],
                         [1000, 1, 500, 900, 990, 999, 1000])
        self.assertEqual(f["mean"], 500.5)
        f = figures.figures([7])
        self.assertEqual((f["median"], f["p999"], f["max"]), (7, 7, 7))
        self.assertEqual(figures.figures([1, 2, 3])["median"], 2)

    def test_histogram(self):
        """run_perftest: a histogram counts each sample once"""
        lines = figures.histogram([0, 1, 4096, 8191, 8192, 70000]).splitlines()
        self.assertEqual([int(line.split()[2]) for line in lines if int(line.split()[2])], [2, 2, 1, 1])
        self.assertEqual(len(lines), 17)

    def test_last_words(self):
        """run_perftest: what perftest said, without its frames"""
        self.assertEqual(figures.last_words(REFUSED),
                         "Couldn't allocate MR; failed to create mr; Failed to create MR")
        self.assertEqual(figures.last_words(""), "it said nothing")
