# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What two runs, or one, say about the code: without doing any of it.

  figure     a number of a row that has a better and a worse direction
  spread     (largest - smallest) / median of a figure over equal runs
  noise      the largest spread of the rows of a class (Row.row_class())
  threshold  what a change must exceed to count: 3 %, or twice the noise

Only instruction counts are judged: times of an emulated machine are not.
"""

import json
import pathlib
import statistics

from results import size_words

REPEATABILITY = pathlib.Path(__file__).with_name("repeatability.json")
LEAST = 0.03
TIMES_NOISE = 2
# A change smaller than this is none, whatever its share: a few instructions,
# a fault in a hundred operations.
FLOOR = {"ns": 20, "faults_per_op": 0.01}
BETTER_HIGH = ("MB/s", "ops/s")
KIB, MIB, GIB = 1024, 1 << 20, 1 << 30

# (words, row, row of which it is a share, most)
# rxe's pinned rows, not its hot ones: those move wrong bytes and give no figure.
WRITE = {"op": "WRITE", "mem": "anon", "side": "both"}
REGISTER = {"sweep": "length", "what": "reg", "reg": "odp", "pages": "reserved"}
BOUNDS = [
    ("WRITE 8 B hot, of rxe's pinned", ("odp_lat", "hodp0", {**WRITE, "reg": "hot", "size": 8}),
     ("odp_lat", "rxe0", {**WRITE, "reg": "pinned", "size": 8}), 0.15),
    ("WRITE 4 KiB hot, of rxe's pinned", ("odp_lat", "hodp0", {**WRITE, "reg": "hot", "size": 4 * KIB}),
     ("odp_lat", "rxe0", {**WRITE, "reg": "pinned", "size": 4 * KIB}), 0.25),
    ("registration of 1 GiB, of that of 2 MiB", ("odp_reg", "hodp0", {**REGISTER, "length": GIB}),
     ("odp_reg", "hodp0", {**REGISTER, "length": 2 * MIB}), 1.1),
]


def figures(row):
    """{name: (value, higher is better)}"""
    found = {}
    if row.status == "ok" and row.value() is not None:
        found["median"] = (row.value(), row.row["unit"] in BETTER_HIGH)
    if row.status == "ok" and row.extra("faults_per_op") is not None:
        found["faults_per_op"] = (row.extra("faults_per_op"), False)
    return found


def ours(row):
    """Is hmm_odp in it? odp_inval's range that is not registered is not."""
    return row.ours() and not (row.program == "odp_inval" and row.key.get("reg") == "none")


def floor(row, name="median"):
    return FLOOR.get(row.row["unit"] if name == "median" else name, 0)


def counted(results):
    """{ident: row} of the rows that are judged."""
    return {r.ident(): r for r in results.rows if r.clock == "icount"}


# --- repeatability -------------------------------------------------------------


def spreads(runs):
    """{ident: spread of the median} of the rows that all of @runs have."""
    tables = [counted(r) for r in runs]
    found = {}
    for ident in tables[0]:
        values = [t[ident].value() for t in tables if ident in t and t[ident].status == "ok"]
        if len(values) == len(tables) and None not in values:
            middle = statistics.median(values)
            wide = max(values) - min(values)
            found[ident] = 0.0 if wide <= floor(tables[0][ident]) or not middle else wide / middle
    return found


def repeatability(runs):
    """What repeatability.json holds."""
    spread, table = spreads(runs), counted(runs[0])
    classes = {}
    for ident, value in spread.items():
        name = table[ident].row_class()
        classes[name] = max(classes.get(name, 0.0), value)
    ordered = sorted(spread.values())
    return {"runs": len(runs), "commit": runs[0].title(), "date": runs[0].run["date"], "rows": len(ordered),
            "within_3_percent": sum(v <= LEAST for v in ordered),
            "p90": round(ordered[(len(ordered) * 9 + 9) // 10 - 1], 4) if ordered else None,
            "classes": {name: round(value, 4) for name, value in sorted(classes.items())}}


def load_noise(path=REPEATABILITY):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {"classes": {}, "p90": None}


def threshold(noise, row):
    """A class that was never measured gets what nine rows of ten keep."""
    known = noise["classes"].get(row.row_class(), noise.get("p90") or 0.0)
    return max(LEAST, TIMES_NOISE * known)


# --- two runs --------------------------------------------------------------------


class Change:
    """A row's figure then and now. kind: dearer, cheaper, broken, mended, lost."""

    def __init__(self, kind, row, figure=None, then=None, now=None, limit=None, why=None):
        self.kind, self.row, self.figure = kind, row, figure
        self.then, self.now, self.limit, self.why = then, now, limit, why

    def words(self):
        if self.kind in ("broken", "mended", "lost"):
            return f"{self.kind:8} {self.row.words()}: {self.why}"
        share = f"{(self.now / self.then - 1) * 100:+.1f} %" if self.then else "from 0"
        what = "" if self.figure == "median" else f" {self.figure}"
        return (f"{self.kind:8} {self.row.words()}{what}: {self.then:,} to {self.now:,}, {share} "
                f"(threshold {self.limit * 100:.1f} %)")


def change_of(noise, then, now):
    """The changes of one row."""
    if then.status == "ok" and now.status != "ok":
        return [Change("broken", now, why=f"{now.status}: {now.row['why']}")]
    if then.status != "ok" and now.status == "ok":
        return [Change("mended", now, why=f"was {then.status}: {then.row['why']}")]
    found, limit, before = [], threshold(noise, now), figures(then)
    for name, (value, high) in figures(now).items():
        if name not in before:
            continue
        old = before[name][0]
        if abs(value - old) <= floor(now, name) or abs(value - old) <= limit * old:
            continue
        kind = "dearer" if (value < old) == high else "cheaper"
        found.append(Change(kind, now, name, old, value, limit))
    return found


def compare(base, new, noise):
    """All changes from results @base to @new, and how many rows were compared."""
    then, now = counted(base), counted(new)
    both = {s["name"] for s in base.steps} & {s["name"] for s in new.steps}
    changes, rows = [], 0
    for ident, row in then.items():
        if ident in now:
            rows += 1
            changes += change_of(noise, row, now[ident])
        elif row.file in both:
            changes.append(Change("lost", row, why="was measured, is not any more"))
    return changes, rows


def is_control(change):
    """rxe and the kernel's own work: the same code then and now."""
    return not ours(change.row)


# --- one run ---------------------------------------------------------------------


def gate(results):
    """[(broken, sentence)]: what hmm_odp may cost, and that no byte is wrong."""
    verdicts = []
    for words, a, b, most in BOUNDS:
        values = []
        for program, device, key in (a, b):
            rows = [r for r in results.find(program, device, **key) if r.value()]
            values.append(rows[0].value() if rows else None)
        if None in values:
            missing = (a, b)[values.index(None)]
            key = " ".join(size_words(v) if k in ("size", "length") else str(v) for k, v in missing[2].items())
            verdicts.append((True, f"{words}: no figure of {missing[1]} ({missing[0]} {key})"))
            continue
        share = values[0] / values[1]
        verdicts.append((share > most, f"{words}: {values[0]:,} / {values[1]:,} = {share:.3f}, at most {most}"))
    mine = [r for r in results.rows if r.ours()]
    bad = [r for r in mine if r.status in ("wrong", "failed")]
    verdicts.append((not mine or bool(bad), f"hmm_odp: {len(mine)} rows, {len(bad)} wrong or failed"
                     + "".join(f"; {r.words()}: {r.row['why']}" for r in bad[:5])))
    return verdicts
