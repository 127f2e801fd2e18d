#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""schema_check.py FILE...: are these documents what perf/schema.md says?

Prints one line per fault, "FILE: WHERE: WHAT", and exits with 1 if there is
any. Beside names and types it holds a document to what a figure must be:
percentiles in order, as many samples as "n" says, a figure only where the
status is "ok", a reason where it is not, no key twice.

problems(document) is for other programs.
"""

import datetime
import json
import pathlib
import sys

SCHEMA = "hmm_odp-perf/1"
STATUSES = ("ok", "wrong", "unsupported", "failed")
UNITS = ("ns", "MB/s", "ops/s", "bytes")
FIGURES = ("n", "min", "median", "mean", "p90", "p99", "p999", "max")
ORDER = ("min", "median", "p90", "p99", "p999", "max")


def is_whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value):
    return is_whole(value) or isinstance(value, float) and value == value


def is_text(value):
    return isinstance(value, str) and value != ""


def natural(value):
    return is_whole(value) and value >= 0


def is_date(value):
    try:
        datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ")
    except (TypeError, ValueError):
        return False
    return True


# name: (test, what it must be)
DOCUMENT = {
    "schema": (lambda v: v == SCHEMA, f'"{SCHEMA}"'),
    "program": (is_text, "a text"),
    "command": (lambda v: isinstance(v, list) and v and all(isinstance(w, str) for w in v), "a list of texts"),
    "complete": (lambda v: isinstance(v, bool), "true or false"),
    "device": (lambda v: v is None or is_text(v), "a text or null"),
    "vendor_id": (natural, "a whole number"),
    "vendor_part_id": (natural, "a whole number"),
    "kernel": (is_text, "a text"),
    "date": (is_date, "a UTC time like 2026-11-23T01:02:03Z"),
    "cpus": (lambda v: natural(v) and v > 0, "a whole number above 0"),
    "clock": (lambda v: v in ("icount", "wall"), '"icount" or "wall"'),
    "clock_cost": (natural, "a whole number"),
    "rows": (lambda v: isinstance(v, list), "a list"),
}
ROW = {
    "key": (lambda v: isinstance(v, dict) and v and all(isinstance(x, str) or is_whole(x) for x in v.values()),
            "texts and whole numbers by name"),
    "status": (lambda v: v in STATUSES, "one of " + ", ".join(STATUSES)),
    "unit": (lambda v: v in UNITS, "one of " + ", ".join(UNITS)),
}
DOCUMENT_OPTIONAL = {"peer": (is_text, "a text")}
OPTIONAL = {
    "why": (is_text, "a text"),
    "note": (is_text, "a text"),
    "extra": (lambda v: isinstance(v, dict) and all(is_number(x) for x in v.values()), "numbers by name"),
    "samples": (lambda v: isinstance(v, list) and all(is_number(x) and x >= 0 for x in v), "a list of numbers"),
    "n": (natural, "a whole number"),
    **{name: (is_number, "a number") for name in FIGURES[1:]},
}


def fields(thing, must, may):
    """What is missing, unknown or of the wrong type."""
    if not isinstance(thing, dict):
        return ["is no object"]
    found = [f'"{name}" is missing' for name in must if name not in thing]
    for name, value in thing.items():
        test, words = must.get(name) or may.get(name) or (None, None)
        if not test:
            found.append(f'"{name}" is not in the schema')
        elif not test(value):
            found.append(f'"{name}" is {json.dumps(value)[:60]}, not {words}')
    return found


def row_problems(row):
    found = fields(row, ROW, OPTIONAL)
    if found:
        return found
    figures = [name for name in FIGURES if name in row]
    if row["status"] != "ok":
        if "why" not in row:
            found.append(f'"{row["status"]}" without "why"')
        if figures or "samples" in row:
            found.append(f'"{row["status"]}" with figures: ' + ", ".join(figures or ["samples"]))
        return found
    if "why" in row:
        found.append('"ok" with "why"')
    if not figures:
        return found if row.get("extra") else found + ['"ok" with neither figures nor "extra"']
    if len(figures) != len(FIGURES):
        return found + ["figures are missing: " + ", ".join(n for n in FIGURES if n not in row)]
    values = [row[name] for name in ORDER]
    if values != sorted(values):
        found.append("not in order: " + " <= ".join(ORDER))
    if not row["n"]:
        found.append('"n" is 0')
    if not row["min"] <= row["mean"] <= row["max"]:
        found.append('"mean" is not between "min" and "max"')
    if "samples" in row and len(row["samples"]) != row["n"]:
        found.append(f'{len(row["samples"])} samples, "n" is {row["n"]}')
    if row.get("samples") and (min(row["samples"]), max(row["samples"])) != (row["min"], row["max"]):
        found.append("the samples' ends are not min and max")
    if row.get("extra", {}).get("wrong_bytes"):
        found.append('"ok" with wrong bytes')
    return found


def problems(document):
    """All faults of a document, as sentences; none: it conforms."""
    found = fields(document, DOCUMENT, DOCUMENT_OPTIONAL)
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        return found
    seen = {}
    for i, row in enumerate(document["rows"]):
        where = f"row {i}"
        if isinstance(row, dict) and isinstance(row.get("key"), dict):
            text = json.dumps(row["key"], sort_keys=True)
            where += " " + text
            if text in seen:
                found.append(f"{where}: the same key as row {seen[text]}")
            seen.setdefault(text, i)
        found += [f"{where}: {p}" for p in row_problems(row)]
    return found


def check_file(path):
    try:
        document = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]
    except ValueError as error:
        return [f"is no JSON: {error}"]
    return problems(document)


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0 if len(sys.argv) > 1 else 2
    bad = 0
    for path in sys.argv[1:]:
        for text in check_file(path):
            print(f"{path}: {text}")
            bad += 1
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
