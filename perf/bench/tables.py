# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The results as one table: a line per measurement, a column per device.

  limit   what the kernel takes for the same bytes without RDMA, measured in
          the same run by odp_limit: a copy between processes; if the pages
          were away, the CPU's own first touch of them, too. Across a network: a
          message by TCP, and a byte back

Wall times of an emulated machine are good as ratios within one run and for
nothing else: their lines have ratios only. A row without a figure says why:
"WRONG" (the bytes were wrong), "not supported", "failed".
"""

from results import SIZE_KEYS, markdown, size_words

UNITS = {("ns", "icount"): "instr.", ("ns", "wall"): "ns"}
COPIES = {"READ": "process_vm_readv", "SEND": "process_vm_writev", "WRITE": "process_vm_writev",
          "WRITE_WITH_IMM": "process_vm_writev"}
WORDS = {"wrong": "WRONG", "unsupported": "not supported", "failed": "failed"}
HEAD = ["clock", "program", "what", "size", "unit", "hmm_odp", "rxe", "limit", "hmm_odp / rxe", "hmm_odp / limit",
        "faults/op hmm_odp", "faults/op rxe"]
LEFT = 5  # columns of words
# What a device is, or the two ends of a network.
ROLES = {"hodp0": "hmm_odp", "rxe0": "rxe", "siw0": "siw", "hodpA+hodpB": "hmm_odp", "rxeA+rxeB": "rxe",
         "hodpM+rxeM": "hmm_odp to rxe", "rxeM+hodpM": "rxe to hmm_odp"}
OPTIONAL = ("siw", "hmm_odp to rxe", "rxe to hmm_odp")  # columns only where there is something in them
OTHERS = HEAD.index("limit")  # where more devices' columns go


class Limits:
    """What odp_limit found, by clock."""

    def __init__(self, results):
        self.rows = {}
        for r in results.rows:
            if r.program == "odp_limit" and r.status == "ok":
                self.rows[r.clock, r.key.get("op"), r.key.get("mem"), r.key.get("size")] = r.value()

    def get(self, clock, op, mem, size):
        return self.rows.get((clock, op, mem, size))

    def of(self, row):
        """The limit of a row of odp_lat; None: there is none."""
        if row.program != "odp_lat" or row.row["unit"] != "ns" or row.key.get("op") not in COPIES:
            return None
        size, mem = row.key.get("size"), row.key.get("mem")
        if row.wire():
            return self.get(row.clock, "tcp", mem, size)
        copy = self.get(row.clock, COPIES[row.key["op"]], mem, size)
        if copy is None or row.key.get("reg") != "cold":
            return copy
        touch = self.get(row.clock, "first_touch", mem, size)
        return None if touch is None else copy + touch


class Line:
    """One measurement on all devices, by role."""

    def __init__(self, row):
        self.clock, self.key, self.step = row.clock, row.key, row.step
        self.program = row.program + (", network" if row.wire() else "")
        self.unit = row.row["unit"]
        self.by_role = {}

    def add(self, row):
        self.by_role[ROLES.get(row.device, row.device or "-")] = row

    def figure(self, role):
        row = self.by_role.get(role)
        return row.value() if row and row.status == "ok" else None

    def what(self):
        return " ".join(v if isinstance(v, str) else f"{k}={v:,}"
                        for k, v in self.key.items() if k not in SIZE_KEYS)

    def size(self):
        return next((size_words(v) for k, v in self.key.items() if k in SIZE_KEYS), "")


def lines(results):
    """All rows, those of one measurement together, in the order of the plan."""
    found = {}
    for r in results.rows:
        ident = (r.clock, r.step, r.program, tuple(r.key.items()))
        found.setdefault(ident, Line(r)).add(r)
    return list(found.values())


def cell(line, role):
    row = line.by_role.get(role)
    if row is None:
        return ""
    if row.status != "ok":
        return WORDS[row.status]
    if line.clock == "wall":
        return "ok"
    return number(row.value())


def number(value):
    if value is None:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.2f}"
    return f"{int(value):,}"


def ratio(a, b):
    return f"{a / b:.3f}" if a and b else ""


def faults(line, role):
    row = line.by_role.get(role)
    value = row.extra("faults_per_op") if row and row.status == "ok" else None
    return "" if value is None else f"{value:.3g}"


def table(results):
    """The head and the lines, as texts."""
    limits = Limits(results)
    more = [role for role in OPTIONAL if any(ROLES.get(r.device) == role for r in results.rows)]
    found = [[*HEAD[:OTHERS], *more, *HEAD[OTHERS:]]]
    for line in lines(results):
        ours, rxe = line.figure("hmm_odp"), line.figure("rxe")
        first = next(iter(line.by_role.values()))
        bare = "-" in line.by_role
        limit = line.figure("-") if bare else limits.of(first)
        found.append([line.clock, line.program, line.what(), line.size(), UNITS.get((line.unit, line.clock), line.unit),
                      cell(line, "hmm_odp"), cell(line, "rxe"), *(cell(line, role) for role in more),
                      cell(line, "-") if bare else "" if line.clock == "wall" else number(limit),
                      ratio(ours, rxe), "" if bare else ratio(ours, limit),
                      faults(line, "hmm_odp"), faults(line, "rxe")])
    return found


def facts(results):
    """(name, text) of what a reader must know of the run."""
    run = results.run
    yield "commit", results.title()
    yield "plan", run["level"] + ("" if run["complete"] else ", interrupted: what was finished is here")
    yield "date", run["date"]
    kernels = sorted({d["kernel"] for d in results.documents.values()})
    yield "guest", ", ".join(f"Linux {k}" for k in kernels) or "nothing was measured"
    yield "steps", f"{sum(s['state'] == 'done' for s in results.steps)} of {len(results.steps)} finished"


def reasons(results):
    """(status, device, why, rows): every reason why a figure is missing."""
    found = {}
    for r in results.rows:
        if r.status != "ok":
            found.setdefault((WORDS[r.status], r.device or "-", r.row["why"]), []).append(r)
    return sorted(((*k, v) for k, v in found.items()), key=lambda x: (x[0] != "WRONG", x[0], x[1], -len(x[3])))


def report_md(results, verdicts):
    text = ["# hmm_odp, measured", ""]
    text += [f"- {name}: {words}" for name, words in facts(results)]
    undone = list(results.undone())
    if undone:
        text += ["", "Steps without results, or without all of them:", ""]
        text += [f"- {s['name']}: {why}" for s, why in undone]
    text += [f"- the guest: {t}" for t in results.run["trouble"]]
    if verdicts:
        text += ["", "Bounds (perf/bench/gate):", ""]
        text += [f"- {'BROKEN' if broken else 'kept'}: {words}" for broken, words in verdicts]
    text += ["", "Figures are medians; `instr.` are instructions of an emulated CPU, which repeat. Lines of clock",
             "`wall` are times of an emulated machine: ratios only. \"limit\" is what the kernel takes for the same",
             "bytes without RDMA. See docs/performance.md.", ""]
    text += [markdown(table(results), LEFT), ""]
    why = reasons(results)
    if why:
        text += ["Why figures are missing:", ""]
        text += [f"- {word}, {device}, {len(rows)} rows: {reason}" for word, device, reason, rows in why[:60]]
    return "\n".join(text) + "\n"
