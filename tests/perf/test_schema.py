# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""perf/bench/schema_check.py: what it must let pass, and what not."""

import json
import re
import subprocess
import sys

import samples
import schema_check
from tools import HERE, Case

CHECKER = HERE.parents[1] / "perf/bench/schema_check.py"


def good():
    rows = [samples.write_row(100, faults=0.5), samples.write_row(1, status="wrong", size=4096),
            samples.write_row(1, status="unsupported", size=8192)]
    rows[0]["note"] = "faults: counters"
    return samples.document(rows)


def change(function):
    document = good()
    function(document)
    return document


BAD_DOCUMENTS = {
    "another schema": lambda d: d.update(schema="hmm_odp-perf/2"),
    "no rows": lambda d: d.pop("rows"),
    "rows no list": lambda d: d.update(rows={}),
    "an unknown field": lambda d: d.update(colour="red"),
    "complete is no truth value": lambda d: d.update(complete=1),
    "no date": lambda d: d.update(date="yesterday"),
    "another clock": lambda d: d.update(clock="cycles"),
    "no CPU": lambda d: d.update(cpus=0),
    "an empty command": lambda d: d.update(command=[]),
    "device is a number": lambda d: d.update(device=0),
}
BAD_ROWS = {
    "no key": lambda r: r.pop("key"),
    "an empty key": lambda r: r.update(key={}),
    "a fraction in the key": lambda r: r["key"].update(size=1.5),
    "an unknown status": lambda r: r.update(status="fine"),
    "an unknown unit": lambda r: r.update(unit="us"),
    "an unknown field": lambda r: r.update(p95=1),
    "ok with a reason": lambda r: r.update(why="because"),
    "ok without figures": lambda r: [r.pop(f) for f in schema_check.FIGURES] and r.pop("extra"),
    "a figure is missing": lambda r: r.pop("p99"),
    "percentiles out of order": lambda r: r.update(p90=1),
    "no samples": lambda r: r.update(n=0),
    "the mean outside": lambda r: r.update(mean=1e9),
    "a figure is a text": lambda r: r.update(median="100"),
    "fewer samples than n": lambda r: r.update(samples=[90, 140]),
    "samples with other ends": lambda r: r.update(samples=[1, 2, 3, 4, 5]),
    "ok with wrong bytes": lambda r: r["extra"].update(wrong_bytes=1),
    "extra is a text": lambda r: r.update(extra={"faults_per_op": "1"}),
    "wrong with a figure": lambda r: r.update(status="wrong", why="bytes"),
    "failed without a reason": lambda r: [r.pop(f) for f in schema_check.FIGURES] and r.update(status="failed"),
}


class Schema(Case):
    def test_good(self):
        """schema: documents that conform"""
        self.assertEqual(schema_check.problems(good()), [])
        self.assertEqual(schema_check.problems(change(lambda d: d.update(device=None, rows=[]))), [])
        self.assertEqual(schema_check.problems(change(
            lambda d: d["rows"][0].update(samples=[90, 140, 100, 100, 100]))), [])

    def test_bad_documents(self):
        """schema: each broken document is noticed"""
        for words, function in BAD_DOCUMENTS.items():
            with self.subTest(words):
                self.assertNotEqual(schema_check.problems(change(function)), [])

    def test_bad_rows(self):
        """schema: each broken row is noticed"""
        for words, function in BAD_ROWS.items():
            with self.subTest(words):
                self.assertNotEqual(schema_check.problems(change(lambda d: function(d["rows"][0]))), [])

    def test_same_key(self):
        """schema: a key that is there twice is noticed"""
        found = schema_check.problems(change(lambda d: d["rows"].append(d["rows"][0])))
        self.assertIn("the same key as row 0", " ".join(found))

    def test_documentation(self):
        """schema: perf/schema.md names the fields that the checker knows"""
        text = (HERE.parents[1] / "perf/schema.md").read_text()
        for name in {**schema_check.DOCUMENT, **schema_check.ROW, **schema_check.OPTIONAL}:
            with self.subTest(name):
                self.assertRegex(text, rf'["`]{re.escape(name)}["`]')
        examples = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
        document = json.loads(examples[0].replace("…", examples[1]))
        self.assertEqual(schema_check.problems(document), [])

    def test_program(self):
        """schema: the checker's exit status and sentences"""
        path = self.tmp / "a.json"

        def status(text):
            path.write_text(text)
            return subprocess.run([sys.executable, CHECKER, path], capture_output=True, text=True)
        self.assertEqual(status(json.dumps(good())).returncode, 0)
        bad = status(json.dumps(change(BAD_DOCUMENTS["no date"])))
        self.assertEqual(bad.returncode, 1)
        self.assertIn('"date"', bad.stdout)
        self.assertEqual(status("{").returncode, 1)
        path.unlink()
        self.assertEqual(subprocess.run([sys.executable, CHECKER, path], capture_output=True).returncode, 1)
