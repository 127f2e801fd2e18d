#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""report.py RAW.json DIRECTORY TROUBLE CRASHES: judge what the guest saw.
TROUBLE: what went wrong with the guest itself, or an empty string.
CRASHES: how often rxe crashed the guest's kernel before it came to this.

Makes report.json, report.md and report.svg in DIRECTORY and prints the table.
The exit status is 1 if a step failed or hmm_odp did not keep its word.

Words: a *row* is one thing that was tried, with one *cell* per device. A cell
has a mark:
  ok           it did what was asked; bytes, where any moved, were compared
  wrong        success was reported and the bytes were others, or the kernel
               crashed
  unsupported  the device refuses, or its requests fail, and says so
  failed       anything else
  left         not tried, for a reason that another row shows
What is wrong or unsupported on a device of SUBJECTS is a failure of the demo;
on its peers it is a finding. What failed is a failure anywhere.
"""

import json
import pathlib
import sys

import picture
import words

SUBJECTS = ("hodp0",)
MARKS = {"ok": "ok", "wrong": "WRONG", "unsupported": "not supported", "failed": "FAILED", "left": "not run"}
TEXT_WIDTH = 52  # of a cell on the terminal; report.md has it whole


def cell(mark, text="", **more):
    return {"mark": mark, "text": text, **more}


def find(rows, **wanted):
    return next((row for row in rows if all(row.get(k) == v for k, v in wanted.items())), None)


class Report:
    def __init__(self, raw, trouble, crashes):
        self.raw, self.devices, self.crashes = raw, raw["devices"], crashes
        self.sections = []
        self.step_failures = [f"step \"{s['title']}\": {s['error']}" for s in raw["steps"] if s["error"]]
        if trouble:
            self.step_failures.append(trouble)
        for title, fill in (("ODP capabilities", self.capabilities), ("What comes of them", self.tries),
                            ("ibv_rc_pingpong (100 messages; it does not look at them)", self.pingpong),
                            ("Latency (ib_write_lat, typical)", self.latency),
                            ("Bandwidth (ib_write_bw, average)", self.bandwidth),
                            ("A DAX file", self.dax), ("Bytes", self.bytes),
                            ("Across a network: latency (ib_write_lat, typical)", self.wire_latency),
                            ("Across a network: bandwidth (ib_write_bw, average)", self.wire_bandwidth),
                            ("Across a network: a DAX file at the far end", self.wire_dax),
                            ("Across a network: bytes", self.wire_bytes),
                            ("Open MPI 5 over UCX, 2 ranks", self.mpi)):
            rows = []
            fill(rows)
            self.sections.append({"title": title, "rows": rows})

    def add(self, rows, what, cells, **more):
        """A device without a cell has not come so far: that is a failure."""
        full = {d: cells.get(d) or cell("failed", "not reached") for d in self.devices}
        rows.append({"what": what, "cells": full, **more})

    # --- sections -------------------------------------------------------------

    def capabilities(self, rows):
        caps = self.raw.get("capabilities", {})

        def listed(c, key):
            if key == "general":
                return ", ".join(k for k in ("explicit", "implicit") if c[k]) or "none"
            return " ".join(c[key]) or "none"

        for key, what in (("general", "registration"), ("rc", "RC"), ("uc", "UC"), ("ud", "UD"), ("xrc", "XRC")):
            # What a device reports of itself is not a verdict.
            self.add(rows, what, {d: cell("ok", listed(c, key)) for d, c in caps.items()})

    def tries(self, rows):
        caps = self.raw.get("capabilities", {})
        marks = {"works": "ok", "wrong": "wrong", "unsupported": "unsupported", "error": "unsupported",
                 "crashed": "wrong"}
        for what in dict.fromkeys(t["what"] for c in caps.values() for t in c["tries"]):
            self.add(rows, what, {
                device: cell(marks.get(t["result"], "failed"), t["detail"] or t["result"])
                for device, c in caps.items() if (t := find(c["tries"], what=what))})

    def pingpong(self, rows):
        got = self.raw.get("pingpong", [])
        for options in dict.fromkeys(r["options"] for r in got):
            cells = {}
            for device in self.devices:
                r = find(got, device=device, options=options)
                if r and not r["error"]:
                    cells[device] = cell("ok", "done", result=r["result"])
                elif r:
                    # Both devices report explicit ODP.
                    mark = "failed" if options == "-o" else "unsupported"
                    cells[device] = cell(mark, r["error"])
            self.add(rows, options, cells)

    def perftest(self, rows, test, memories, got=None, left=None):
        """@left: why rows of a peer that is not a subject may be missing, but for pinned memory."""
        got = self.raw.get("perftest", []) if got is None else got
        got = [r for r in got if r["test"] == test]
        for memory in memories:
            # Where a peer may be left out, no size may be missing.
            for size in dict.fromkeys(r["size"] for r in got if left or r["memory"] == memory):
                cells = {}
                for device in self.devices:
                    r = find(got, device=device, memory=memory, size=size)
                    if r and r["error"]:
                        cells[device] = cell("failed", r["error"])
                    elif r:
                        cells[device] = cell("ok", f"{words.number(r['value'])} {r['unit']}", value=r["value"])
                    elif left and memory != "pinned" and device not in SUBJECTS:
                        cells[device] = cell("left", left)
                values = [cells.get(d, {}).get("value") for d in self.devices]
                more = {"ratio": values[0] / values[1]} if len(values) == 2 and all(values) else {}
                self.add(rows, f"{words.size(size)}, {memory}", cells, size=size, memory=memory, **more)

    def latency(self, rows):
        self.perftest(rows, "ib_write_lat", ("pinned", "ODP", "DAX file"))

    def bandwidth(self, rows):
        self.perftest(rows, "ib_write_bw", ("pinned", "ODP", "DAX file"))

    def dax(self, rows):
        refused = [r for r in self.raw.get("perftest", []) if r["memory"] == "DAX file, pinned"]
        if refused:
            self.add(rows, "perftest, pinned (must be refused)", {
                r["device"]: cell("ok" if r["error"] else "failed", r["error"] or "it was registered")
                for r in refused})
        self.story(rows, self.raw.get("dax", {}))

    def story(self, rows, story):
        for what in dict.fromkeys(s["step"] for d in story.values() for s in d["steps"]):
            self.add(rows, what, {device: cell(s["result"], s["detail"]) for device, d in story.items()
                                  if (s := find(d["steps"], step=what))})

    def bytes(self, rows):
        got = self.raw.get("bytes", [])
        for memory in ("odp", "pinned"):
            self.compared(rows, [r for r in got if r["memory"] == memory], memory,
                          f"random {'ODP' if memory == 'odp' else 'pinned'} transfers")
        faults = {d: c.get("page_faults") for d, c in self.raw.get("counters", {}).items()}
        self.add(rows, "page faults that the device has counted", {
            d: cell("unsupported", "no such counter") if n is None else cell("ok" if n else "failed", f"{n:,}")
            for d, n in faults.items()})
        self.add(rows, "the README's first program", {
            r["device"]: cell("ok" if r["right"] else "wrong", "the line is in the file" if r["right"] else
                              "success, but another line in the file") for r in self.raw.get("first", [])})

    def compared(self, rows, got, memory, what):
        """A row of byte_check's results."""
        cells = {}
        for r in got:
            wrong = r["wrong_bytes"] + r["stray_bytes"]
            mark = "ok" if r["right"] == r["transfers"] else "failed" if r["failed"] else "wrong"
            # Pinned memory is the check's control; rxe's ODP is in no other row.
            if mark == "wrong" and memory != "odp":
                mark = "failed"
            cells[r["device"]] = cell(mark, f"{r['right']} of {r['transfers']} right, {wrong:,} wrong bytes",
                                      right=r["right"], transfers=r["transfers"])
        transfers = next((r["transfers"] for r in got), 0)
        self.add(rows, f"{transfers:,} {what}", cells, memory=memory)

    # --- the network: a device stands for a pair of its kind ---------------------

    def wire(self, what, none):
        return self.raw.get("network", {}).get(what, none)

    def wire_perftest(self, rows, test):
        self.perftest(rows, test, ("pinned", "ODP", "DAX file"), self.wire("perftest", []),
                      "its ODP moves wrong bytes")

    def wire_latency(self, rows):
        self.wire_perftest(rows, "ib_write_lat")

    def wire_bandwidth(self, rows):
        self.wire_perftest(rows, "ib_write_bw")

    def wire_dax(self, rows):
        self.story(rows, self.wire("dax", {}))

    def wire_bytes(self, rows):
        kinds = {"odp": "random ODP transfers", "pinned": "random pinned transfers"}
        if len(self.devices) == 2:
            kinds["mixed"] = "transfers to the other driver, rxe pinned"
        for kind, what in kinds.items():
            self.compared(rows, [r for r in self.wire("bytes", []) if r["what"] == kind], kind, what)

    def mpi(self, rows):
        cells = {}
        for r in self.raw.get("mpi", []):
            said = f", {r['words']}" if r["words"] else ""
            if r.get("crashed"):
                cells[r["device"]] = cell("wrong", "the guest's kernel crashed")
            elif r["complete"] and r["right"] and not r["not_right"] and not r["status"]:
                cells[r["device"]] = cell("ok", f"{r['right']} of {r['right']} right, 0 wrong bytes")
            elif r["wrong_bytes"] or not r["hung"]:
                cells[r["device"]] = cell("wrong", f"{r['wrong_bytes']:,} wrong bytes{said}")
            else:
                cells[r["device"]] = cell("unsupported", f"it hangs{said}")
        self.add(rows, "MPI_Put under ODP, window compared", cells)

    # --- verdict --------------------------------------------------------------

    def judged(self, failures):
        for section in self.sections:
            for row in section["rows"]:
                for device, c in row["cells"].items():
                    if c["mark"] in ("ok", "left"):
                        continue
                    failed = c["mark"] == "failed" or device in SUBJECTS
                    if failed == failures:
                        yield f"{device}: {row['what']}: {MARKS[c['mark']]}, {c['text']}"

    def failures(self):
        return self.step_failures + list(self.judged(True))

    def findings(self):
        times = "once" if self.crashes == 1 else f"{self.crashes} times"
        crash = f"rxe0: its ODP crashed the guest's kernel, {times} in this demo"
        return [crash] * bool(self.crashes) + list(self.judged(False))

    # --- output ---------------------------------------------------------------

    def table(self):
        """Lines of cells, and None for a rule; the same for text and Markdown."""
        both = len(self.devices) == 2
        yield ["", *self.devices, *(["ratio"] if both else [])]
        for section in self.sections:
            yield None
            yield [f"**{section['title']}**", *([""] * (len(self.devices) + both))]
            for row in section["rows"]:
                line = [row["what"]]
                for c in row["cells"].values():
                    mark = "" if c["mark"] == "ok" else MARKS[c["mark"]]
                    line.append(": ".join(filter(None, (mark, c["text"]))) or "ok")
                if both:
                    line.append(words.ratio(row["ratio"]) if "ratio" in row else "")
                yield line

    def text(self):
        def short(c):
            return c.strip("*") if len(c) <= TEXT_WIDTH else c[:TEXT_WIDTH - 1] + "…"

        lines = list(self.table())
        rows = [list(map(short, line)) for line in lines if line]
        widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
        rule = "-" * (sum(widths) + 2 * len(widths) - 2)
        out = []
        for line in lines:
            if line is None:
                out.append(rule)
            else:
                out.append("  ".join(short(c).ljust(w) for c, w in zip(line, widths)).rstrip())
        return "\n".join(out)

    def markdown(self):
        lines = [line for line in self.table() if line]
        head, *rest = ["| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines]
        table = "\n".join([head, "|" + "---|" * len(lines[0]), *rest])

        def listing(title, items, none):
            return f"## {title}\n\n" + ("\n".join(f"- {i}" for i in items) if items else none)

        return "\n\n".join([
            "# hmm_odp beside rxe", self.about(), "![The figures](report.svg)", table,
            listing("Failures", self.failures(), "None."),
            listing("Findings about the peer", self.findings(), "None.")]) + "\n"

    def about(self):
        return (f"Guest: Linux {self.raw['kernel']}, {self.raw['cpus']} CPUs. Both sides of each test run in this one "
                "guest; hmm_odp moves data between queue pairs of one device without packets, rxe sends packets. "
                "\"Across a network\" the sides are devices in two network namespaces, joined by a pair of veths: two of "
                "hmm_odp in the column hodp0, two of rxe in rxe0; \"to the other driver\" the column's driver asks and the "
                "other one answers. "
                "On an emulated machine times are noisy: perftest's two processes spin on both CPUs and rxe's workers "
                "wait for them. Only the ratios of one run mean something, and those of latency to a factor of a few; "
                "for repeatable instruction counts run make bench. \"ratio\" is "
                f"{' / '.join(self.devices)}: smaller is better for latency, larger for bandwidth. perftest does not "
                "look at the bytes; the last sections do.")

    def json(self):
        return {"kernel": self.raw["kernel"], "devices": self.devices, "steps": self.raw["steps"],
                "sections": self.sections, "failures": self.failures(), "findings": self.findings()}


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    raw = json.loads(pathlib.Path(sys.argv[1]).read_text())
    out = pathlib.Path(sys.argv[2])
    report = Report(raw, sys.argv[3], int(sys.argv[4]))
    (out / "report.json").write_text(json.dumps(report.json(), indent=1, ensure_ascii=False) + "\n")
    (out / "report.md").write_text(report.markdown())
    (out / "report.svg").write_text(picture.draw(report))
    print()
    print(report.text())
    print()
    findings, failures = report.findings(), report.failures()
    print(f"{len(findings)} findings about {', '.join(d for d in report.devices if d not in SUBJECTS) or 'peers'}, "
          f"{len(failures)} failures")
    for failure in failures:
        print(f"FAILED  {failure}")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
