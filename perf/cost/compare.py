#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""compare.py [--assert] DIRECTORY: the instruction counts of hmm_odp beside
those of rxe and beside what the kernel takes without RDMA.

Reads hodp0.json and rxe0.json of odp_cost, prints one table and writes it as
cost.md. With --assert the exit status is 1 if a bound of BOUNDS is broken, or
if hmm_odp moved a wrong byte. Only counts of instructions are compared: they
repeat; times of an emulated machine do not.
"""

import json
import pathlib
import sys

KIB, GIB = 1024, 1 << 30

# (words, value, of what, times)
BOUNDS = [
    ("WRITE 4 KiB hot, of rxe's", ("hodp0", "write", "hot", 4 * KIB), ("rxe0", "write", "hot", 4 * KIB), 0.25),
    ("WRITE 8 B hot, of rxe's", ("hodp0", "write", "hot", 8), ("rxe0", "write", "hot", 8), 0.15),
    ("reg_mr 1 GiB, of its own 2 MiB", ("hodp0", "reg", "odp", GIB), ("hodp0", "reg", "odp", 2 << 20), 1.1),
]


def load(directory):
    """{(device, op, memory, size): row}, and the devices in order."""
    rows, devices = {}, []
    for device in ("hodp0", "rxe0"):
        path = directory / f"{device}.json"
        if path.exists():
            devices.append(device)
            for row in json.loads(path.read_text())["rows"]:
                rows[device, row["op"], row["memory"], row["size"]] = row
    return rows, devices


def size_words(size):
    for unit, name in ((GIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB")):
        if size >= unit:
            return f"{size // unit} {name}"
    return f"{size} B" if size else ""


def cell(row):
    if row is None:
        return "–"
    if "refused" in row:
        return f"refused ({row['refused']})"
    return f"{row['median']:,}" + (f" WRONG ({row['wrong']} B)" if row["wrong"] else "")


def ratio(a, b):
    if not a or not b or "median" not in a or "median" not in b or not b["median"]:
        return "–"
    return f"{a['median'] / b['median']:.3f}"


def limit_of(rows, device, op, memory, size):
    """What the same bytes take without RDMA: a copy; if cold, a first touch too."""
    if op not in ("write", "read"):
        return None
    copy = rows.get((device, "process_vm_writev", "limit", size))
    touch = rows.get((device, "first_touch", "limit", size))
    if not copy or not touch:
        return None
    return {"median": copy["median"] + (touch["median"] if memory == "cold" else 0)}


def table(rows, devices):
    keys = []
    for _, *key in rows:
        if tuple(key) not in keys:
            keys.append(tuple(key))
    first = devices[0]
    lines = [["operation", "memory", "size", *devices, "hodp0 / rxe0", f"{first} / limit"]]
    for op, memory, size in keys:
        of = [rows.get((d, op, memory, size)) for d in devices]
        both = ratio(*of) if len(of) == 2 and memory != "limit" else "–"
        lines.append([op, memory, size_words(size), *map(cell, of), both,
                      ratio(of[0], limit_of(rows, first, op, memory, size))])
    return lines


def render(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = 3  # words left, numbers right

    def one(line):
        return "| " + " | ".join(
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ("-" if i < left else ":") for i, w in enumerate(widths)) + "|"
    return "\n".join([one(lines[0]), rule, *map(one, lines[1:])])


def check(rows):
    """[(broken, sentence)] for every bound, and for wrong bytes."""
    verdicts = []
    for words, a, b, times in BOUNDS:
        value, base = rows.get(a, {}).get("median"), rows.get(b, {}).get("median")
        if not value or not base:
            verdicts.append((True, f"{words}: not measured"))
            continue
        verdicts.append((value > times * base, f"{words}: {value:,} / {base:,} = {value / base:.3f}, bound {times}"))
    wrong = [r for (device, *_), r in rows.items() if device == "hodp0" and r.get("wrong")]
    verdicts.append((bool(wrong), f"hmm_odp rows with wrong bytes: {len(wrong)}"))
    return verdicts


def main():
    args = [a for a in sys.argv[1:] if a != "--assert"]
    if len(args) != 1:
        sys.exit(__doc__)
    directory = pathlib.Path(args[0])
    rows, devices = load(directory)
    if not devices:
        sys.exit(f"compare.py: no results in {directory}: run perf/cost/run")
    text = ("Instructions, medians (virtual time of an icount guest). \"limit\": process_vm_writev of the same bytes;\n"
            "for cold rows plus the CPU's own first touch of the pages.\n\n" + render(table(rows, devices)))
    print(text)
    (directory / "cost.md").write_text("# Instruction counts\n\n" + text + "\n")
    if "--assert" not in sys.argv:
        return 0
    print()
    verdicts = check(rows)
    for broken, sentence in verdicts:
        print(("BROKEN  " if broken else "ok      ") + sentence)
    return int(any(broken for broken, _ in verdicts))


if __name__ == "__main__":
    sys.exit(main())
