# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Results on disk, as perf/bench/run leaves them and the others read them.

A results directory holds

  run.json     what was run: commit, level, and every step of the plan with its
               state: "done", "failed", "crashed", "timeout" or "missing"
  STEP.json    the document of the step's program (perf/schema.md)
  STEP.log     what it printed

A step is a line of plan.tsv on one device: icount-lat-hot.hodp0; or on the two
ends of a network: icount-lat-wire.hodpA+hodpB.
"""

import json
import pathlib
import subprocess
import sys

import schema_check

RUN_SCHEMA = "hmm_odp-bench/1"
TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build"
BENCH = BUILD / "bench"


def die(text):
    """One sentence with the remedy; status 2: nothing was found out."""
    name = pathlib.Path(sys.argv[0]).name
    print(f"perf/bench/{name}: error: {text}", file=sys.stderr)
    sys.exit(2)


def arguments(doc):
    """The words of the command line; --help prints @doc and ends."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(doc)
        sys.exit(0)
    return sys.argv[1:]


def measure(out, *options):
    """The quick plan's instruction counts into @out; a row that is wrong shows there."""
    status = subprocess.run([TOP / "perf/bench/run", "--quick", "--mode", "icount", "--no-report", "--out", out,
                             *options]).returncode
    if status not in (0, 1):
        sys.exit(status)


def markdown(lines, left):
    """A table of texts; the first @left columns are aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*lines)]

    def one(row):
        return "| " + " | ".join(c.ljust(w) if i < left else c.rjust(w)
                                 for i, (c, w) in enumerate(zip(row, widths))) + " |"
    rule = "|" + "|".join("-" * (w + 1) + ("-" if i < left else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([one(lines[0]), rule, *map(one, lines[1:])])


class Row:
    """A measurement with where it comes from."""

    def __init__(self, step, document, row):
        self.file = step["name"]
        self.step = step["name"].rsplit(".", 1)[0]
        self.program = document["program"]
        self.device = "+".join(d for d in (document["device"], document.get("peer")) if d) or None
        self.clock = document["clock"]
        self.key = row["key"]
        self.row = row
        self.status = row["status"]

    def ident(self):
        return (self.clock, self.step, self.program, self.device or "-", tuple(sorted(self.key.items())))

    def wire(self):
        """Did it go over a network?"""
        return "+" in (self.device or "")

    def ours(self):
        """Is hmm_odp in it?"""
        return "hodp" in (self.device or "")

    def row_class(self):
        """What rows of the same kind and any size have in common."""
        words = [v for v in self.key.values() if isinstance(v, str) and v]
        return "/".join([self.program, *["wire"] * self.wire(), *words])

    def words(self):
        key = " ".join(size_words(v) if k in SIZE_KEYS else v if isinstance(v, str) else f"{k}={v}"
                       for k, v in self.key.items())
        return f"{self.program} {self.device or ''} {key}".replace("  ", " ")

    def value(self):
        return self.row.get("median")

    def extra(self, name):
        return self.row.get("extra", {}).get(name)


SIZE_KEYS = ("size", "length", "bytes")


def size_words(size):
    if not isinstance(size, int):
        return str(size)
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << shift and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} B"


class Results:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        path = self.directory / "run.json"
        try:
            self.run = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            die(f"{directory} holds no results: make some with perf/bench/run --out {directory}")
        except ValueError as error:
            die(f"{path} is damaged ({error}): run perf/bench/run again")
        if self.run.get("schema") != RUN_SCHEMA:
            die(f"{path} is of schema {self.run.get('schema')}, not {RUN_SCHEMA}: run perf/bench/run again")
        self.steps = self.run["steps"]
        self.rows, self.documents = [], {}
        for step in self.steps:
            self.load(step)

    def load(self, step):
        path = self.directory / (step["name"] + ".json")
        if not path.exists():
            return
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            step["trouble"] = f"{path.name} is no JSON: {error}"
            return
        found = schema_check.problems(document)
        if found:
            step["trouble"] = f"{path.name}: {found[0]}" + (f" and {len(found) - 1} more" if found[1:] else "")
            return
        self.documents[step["name"]] = document
        self.rows += [Row(step, document, row) for row in document["rows"]]

    def undone(self):
        """(step, sentence) for all of which there are no results or not all."""
        for step in self.steps:
            why = step.get("trouble") or step.get("why")
            if step["state"] != "done" or why:
                yield step, why or step["state"]

    def find(self, program, device, clock="icount", **key):
        """The rows that have all of @key."""
        return [r for r in self.rows if r.program == program and r.clock == clock and r.device == device and
                all(r.key.get(k) == v for k, v in key.items())]

    def title(self):
        return self.run["commit"] + ("-dirty" if self.run["dirty"] else "")
