# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The report's plots. Each function returns [(title, explanation, svg)].

One colour per device everywhere; the limit is grey. What gave no figure is
marked where the figure would be: WRONG in red, "not supported" in grey.
"""

import io
import re
from collections import defaultdict

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

from results import size_words  # noqa: E402
from tables import COPIES, WORDS, Limits  # noqa: E402

NAMES = {"hodp0": "hmm_odp", "rxe0": "rxe", "siw0": "siw", "hodpA+hodpB": "hmm_odp", "rxeA+rxeB": "rxe",
         "hodpM+rxeM": "hmm_odp to rxe", "rxeM+hodpM": "rxe to hmm_odp"}
COLOURS = {"hodp0": "#1764ab", "rxe0": "#d9730d", "siw0": "#6a3d9a", "limit": "#7a7a7a", "hodpA+hodpB": "#1764ab",
           "rxeA+rxeB": "#d9730d", "hodpM+rxeM": "#5aa9c7", "rxeM+hodpM": "#a6761d"}
MARKERS = {"hodp0": "o", "rxe0": "s", "siw0": "^", "limit": "", "hodpA+hodpB": "o", "rxeA+rxeB": "s",
           "hodpM+rxeM": ">", "rxeM+hodpM": "<"}
RED, GREY = "#c1121f", "#8a8a8a"
REGISTRATIONS = ("pinned", "hot", "touched", "prefetched", "cold", "implicit")

matplotlib.rcParams.update({
    "figure.facecolor": "white", "axes.facecolor": "white", "axes.grid": True, "grid.color": "#e3e3e3",
    "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False, "font.size": 9,
    "axes.titlesize": 10, "legend.frameon": False, "svg.fonttype": "path", "font.family": "DejaVu Sans",
})


def svg(figure, name):
    """As text for a page: no XML head, names of its own, a width that gives way."""
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    text = out.getvalue()
    text = text[text.index("<svg"):]
    # Every plot of a page has glyphs and clips by the same names.
    text = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:href="#|href="#|url\(#)', rf"\1{name}-", text)
    return re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%"', text, count=1)


def of(results, program, clock="icount", wire=False, **key):
    return [r for r in results.rows if r.program == program and r.clock == clock and r.wire() == wire and
            all(r.key.get(k) == v for k, v in key.items())]


def number_words(n, _=None):
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(n) >= limit:
            return f"{n / limit:g}{unit}"
    return f"{n:g}"


def thinned(xs):
    """Those of @xs (sizes) that can be written side by side."""
    least, found = (max(xs) / min(xs)) ** (1 / 13), []
    for x in sorted(xs):
        if not found or x >= found[-1] * least:
            found.append(x)
    return found


def log_axes(axes, xs):
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(thinned(xs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: size_words(int(v)).replace("iB", "").replace(" ", "")))
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(number_words))
    axes.tick_params(axis="x", labelrotation=45)


def line_with_faults(axes, rows, device, by="size"):
    """A line of the good rows; a mark at the top for each of the others."""
    rows = sorted(rows, key=lambda r: r.key[by])
    good = [r for r in rows if r.status == "ok"]
    axes.plot([r.key[by] for r in good], [r.value() for r in good], color=COLOURS[device], marker=MARKERS[device],
              markersize=4, linewidth=1.6, label=NAMES.get(device, device))
    height = {"hodp0": 0.68, "rxe0": 0.92}.get(device, 0.80)
    bad = [r for r in rows if r.status != "ok"]
    for r in bad:
        axes.plot([r.key[by]], [height], transform=axes.get_xaxis_transform(), marker="x", markersize=6,
                  color=RED if r.status == "wrong" else GREY, linestyle="", clip_on=False)
    for status in {r.status for r in bad}:
        some = [r for r in bad if r.status == status]
        right = len(rows) > 1 and rows.index(some[0]) >= len(rows) / 2
        axes.annotate(f"{NAMES.get(device, device)}: {WORDS[status]}", (some[-1 if right else 0].key[by], height),
                      xycoords=axes.get_xaxis_transform(), xytext=(4 if right else -4, 5), fontsize=7.5,
                      textcoords="offset points", ha="right" if right else "left",
                      color=RED if status == "wrong" else GREY, fontweight="bold" if status == "wrong" else None)


def devices(rows):
    return [d for d in NAMES if any(r.device == d for r in rows)]


def panels(count, height=3.0):
    columns = min(count, 3)
    lines = (count + columns - 1) // columns
    figure, axes = plt.subplots(lines, columns, figsize=(3.9 * columns, height * lines), squeeze=False, sharey=True)
    flat = list(axes.flat)
    for spare in flat[count:]:
        spare.set_visible(False)
    return figure, flat[:count]


def legend(figure, axes):
    handles, labels = {}, []
    for a in axes:
        for handle, label in zip(*a.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    labels = list(handles)
    figure.tight_layout()
    figure.legend([handles[x] for x in labels], labels, loc="lower center", bbox_to_anchor=(0.5, 1.0),
                  ncol=max(len(labels), 1))


def latency(results):
    """One figure per operation; a panel per registration."""
    limits, found = Limits(results), []
    rows = of(results, "odp_lat", mem="anon", side="remote")
    for op in ("WRITE", "READ", "SEND"):
        mine = [r for r in rows if r.key.get("op") == op]
        regs = [g for g in REGISTRATIONS if any(r.key["reg"] == g for r in mine)]
        if not regs:
            continue
        figure, axes = panels(len(regs))
        xs = sorted({r.key["size"] for r in mine})
        for axis, reg in zip(axes, regs):
            part = [r for r in mine if r.key["reg"] == reg]
            bare = [(r.key["size"], limits.of(r)) for r in part if limits.of(r)]
            if bare:
                axis.plot(*zip(*sorted(set(bare))), color=COLOURS["limit"], linestyle="--", label="limit")
            for device in devices(part):
                line_with_faults(axis, [r for r in part if r.device == device], device)
            log_axes(axis, xs)
            axis.set_title(reg)
            axis.margins(y=0.25)
        axes[0].set_ylabel("instructions")
        legend(figure, axes)
        found.append((f"{op}: latency against size",
                      "Median instructions from posting to the polled completion, anonymous memory, by registration of "
                      f"the remote side. Limit: {COPIES[op]} of the same bytes; cold: plus the CPU's own first touch.",
                      svg(figure, f"lat-{op.lower()}")))
    return found


def network(results):
    """A panel per operation and registration of the far end."""
    limits, rows = Limits(results), of(results, "odp_lat", wire=True, mem="anon", side="remote")
    groups = [(op, reg) for op in COPIES for reg in ("pinned", "hot", "cold")
              if any((r.key["op"], r.key["reg"]) == (op, reg) for r in rows)]
    if not groups:
        return []
    figure, axes = panels(len(groups))
    for axis, (op, reg) in zip(axes, groups):
        part = [r for r in rows if (r.key["op"], r.key["reg"]) == (op, reg)]
        tcp = sorted({(r.key["size"], limits.of(r)) for r in part if limits.of(r)})
        if tcp:
            axis.plot(*zip(*tcp), color=COLOURS["limit"], linestyle="--", label="TCP, message and a byte back")
        for device in devices(part):
            best = {r.key["size"]: r for r in part if r.device == device}
            line_with_faults(axis, list(best.values()), device)
        log_axes(axis, sorted({r.key["size"] for r in part}))
        axis.set_title(f"{op}, {reg}")
        axis.margins(y=0.25)
    axes[0].set_ylabel("instructions, both ends")
    legend(figure, axes)
    return [("Across a network: latency against size", "Median instructions of both ends, from posting to the polled "
             "completion, between two namespaces joined by veths (MTU 9000, path MTU 4096), by registration of the far "
             "end's memory. rxe's own memory is pinned.", svg(figure, "network"))]


def fault_cdf(results):
    """The distribution of single samples, cold."""
    rows = [r for r in of(results, "odp_lat", reg="cold") if r.status == "ok" and r.row.get("samples")]
    touch = [r for r in of(results, "odp_limit", op="first_touch", mem="anon") if r.row.get("samples")]
    if not rows:
        return []
    groups = sorted({(r.key["op"], r.key["mem"], r.key["size"]) for r in rows})[:6]
    figure, axes = panels(len(groups))
    for axis, (op, mem, size) in zip(axes, groups):
        for r in rows:
            if (r.key["op"], r.key["mem"], r.key["size"]) == (op, mem, size):
                step(axis, r.row["samples"], r.device, NAMES.get(r.device, r.device))
        for r in touch:
            if r.key["size"] == size and mem == "anon":
                step(axis, r.row["samples"], "limit", "limit: CPU's first touch")
        absent = [d for d in ("hodp0", "rxe0") if not any(
            r.device == d and (r.key["op"], r.key["mem"], r.key["size"]) == (op, mem, size) for r in rows)]
        for i, d in enumerate(absent):
            other = [r for r in of(results, "odp_lat", reg="cold", op=op, mem=mem, size=size) if r.device == d]
            axis.text(1, 1.02 + 0.08 * i, f"{NAMES[d]}: {WORDS[other[0].status] if other else 'not measured'}",
                      transform=axis.transAxes, ha="right", fontweight="bold", fontsize=8,
                      color=RED if other and other[0].status == "wrong" else GREY)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(number_words))
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
        axis.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        axis.set_title(f"{op} {size_words(size)}, {mem}", loc="left")
        axis.set_xlabel("instructions")
    axes[0].set_ylabel("share of samples")
    legend(figure, axes)
    return [("Cold operations: distribution", "Share of the samples that took at most so many instructions, the pages "
             "taken away before each. From all samples.", svg(figure, "cdf"))]


def step(axis, samples, device, label):
    values = sorted(samples)
    axis.step(values, [(i + 1) / len(values) for i in range(len(values))], where="post", color=COLOURS[device],
              linestyle="--" if device == "limit" else "-", label=label)


def grouped_bars(axis, groups, series, value, log=True):
    """@series: [(label, colour, hatch, {group: row or None})]"""
    width = 0.8 / max(len(series), 1)
    for i, (label, colour, hatch, rows) in enumerate(series):
        at = [g + (i - (len(series) - 1) / 2) * width for g in range(len(groups))]
        heights = [value(rows[g]) or 0 if rows.get(g) and rows[g].status == "ok" else 0 for g in groups]
        axis.bar(at, heights, width * 0.92, color=colour, hatch=hatch, edgecolor="white", label=label)
        for x, g in zip(at, groups):
            row = rows.get(g)
            if row is not None and row.status != "ok":
                axis.text(x, 0.02, WORDS[row.status], rotation=90, ha="center", va="bottom", fontsize=6.5,
                          transform=axis.get_xaxis_transform(), color=RED if row.status == "wrong" else GREY,
                          fontweight="bold" if row.status == "wrong" else None)
    axis.set_xticks(range(len(groups)), groups, rotation=30, ha="right")
    if log:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(number_words))


def faults(results):
    rows = of(results, "odp_lat", op="WRITE", mem="anon", side="remote")
    rows = [r for r in rows if r.status != "ok" or r.extra("faults_per_op") is not None]
    if not any(r.status == "ok" for r in rows):
        return []
    regs = [g for g in REGISTRATIONS if any(r.key["reg"] == g for r in rows)]
    shown = (8, 4 << 10, 64 << 10, 1 << 20, 4 << 20, 64 << 20)
    sizes = sorted({r.key["size"] for r in rows} & set(shown))
    figure, axes = panels(len(sizes), 2.6)
    touch = {r.key["size"]: r for r in of(results, "odp_limit", op="first_touch", mem="anon") if r.status == "ok"}
    for axis, size in zip(axes, sizes):
        series = []
        for device in devices(rows):
            mine = {r.key["reg"]: r for r in rows if r.device == device and r.key["size"] == size}
            series.append((NAMES[device], COLOURS[device], None, mine))
        if size in touch:
            series.append(("limit: CPU's first touch", COLOURS["limit"], None, {"cold": touch[size]}))
        grouped_bars(axis, regs, series, lambda r: r.extra("faults_per_op"), log=False)
        axis.set_yscale("symlog", linthresh=1)
        axis.yaxis.set_major_formatter(FuncFormatter(number_words))
        axis.set_title(size_words(size))
    axes[0].set_ylabel("page faults per WRITE")
    legend(figure, axes)
    return [("Page faults per operation", "By the device's counters where it has them, else by the process's (the rows' "
             "notes in the JSON say which); a fault can bring many pages.", svg(figure, "faults"))]


INVAL_LOOKS = {"none": ("not registered", "#bdbdbd"), "pinned": ("pinned", "#8ea6bd"), "odp-empty": (
    "ODP, no page known", "#74b3e0"), "odp": ("ODP, all pages known", "#1764ab")}


def added(axis, events, series):
    """Above each bar, what it takes more or less than the range that is not registered."""
    width = 0.8 / len(series)
    bare = next((rows for label, *_, rows in series if label == INVAL_LOOKS["none"][0]), {})
    for i, (label, _, _, rows) in enumerate(series):
        for g, event in enumerate(events):
            then, now = bare.get(event), rows.get(event)
            if not label.startswith("ODP") or not then or not now or not then.value() or not now.value():
                continue
            axis.annotate(f"{(now.value() / then.value() - 1) * 100:+.0f} %", (
                g + (i - (len(series) - 1) / 2) * width, now.value()), xytext=(0, 2), textcoords="offset points",
                rotation=90, fontsize=6.5, ha="center", va="bottom", color="#333333")
    axis.margins(y=0.15)


def invalidation(results):
    found = []
    rows = of(results, "odp_inval", load="idle")
    for mem in sorted({r.key["mem"] for r in rows}):
        mine = [r for r in rows if r.key["mem"] == mem]
        size = max(r.key["size"] for r in mine)
        mine = [r for r in mine if r.key["size"] == size]
        events = list(dict.fromkeys(r.key["event"] for r in mine))
        figure, axes = plt.subplots(len(devices(mine)), 1, figsize=(11.5, 3.0 * len(devices(mine))), squeeze=False,
                                    sharex=True, sharey=True)
        for axis, device in zip(axes.flat, devices(mine)):
            part = [r for r in mine if r.device == device]
            regs = list(dict.fromkeys(r.key["reg"] for r in part))
            series = []
            for i, reg in enumerate(regs):
                label, colour = INVAL_LOOKS.get(reg, (reg, plt.cm.Blues(0.3 + 0.2 * i)))
                series.append((label, colour, None, {r.key["event"]: r for r in part if r.key["reg"] == reg}))
            bare = {name: r for name in events for r in of(results, "odp_limit", mem=mem, size=size)
                    if r.status == "ok" and r.key["op"] == name}
            if bare:
                series.append(("limit (odp_limit)", COLOURS["limit"], "///", bare))
            grouped_bars(axis, events, series, lambda r: r.value())
            added(axis, events, series)
            axis.set_ylabel(f"{NAMES[device]}\ninstructions")
        legend(figure, axes.flat)
        found.append((f"Invalidation: {mem}, {size_words(size)}", "What the system call takes that takes pages or "
                      "rights away, by what the device knows of the range; above the bars, against the range that is "
                      "not registered.", svg(figure, f"inval-{mem}")))
    return found


def registration(results):
    by, groups = "length", defaultdict(list)
    for r in of(results, "odp_reg"):
        if r.row["unit"] == "ns" and r.key.get("sweep") in ("length", "prefetch") and r.key["reg"] != "implicit":
            told = r.key["sweep"] == "prefetch" or (r.key["reg"], r.key["pages"]) == ("odp", "present")
            pages = f", pages {r.key['pages']}" if told else ""
            groups[f"{r.key['what']} {r.key['reg']}{pages}"].append(r)
    groups = {k: v for k, v in groups.items() if len({r.key[by] for r in v}) > 1}
    if not groups:
        return []
    figure, axes = panels(len(groups))
    for axis, (name, part) in zip(axes, groups.items()):
        for device in devices(part):
            one = {}
            for r in part:
                if r.device == device:
                    one.setdefault(r.key[by], r)
            line_with_faults(axis, list(one.values()), device, by)
        shortest = min(r.key[by] for r in part)
        touch = {r.key["size"]: r.value() for r in of(results, "odp_limit", op="first_touch", mem="anon")
                 if r.status == "ok" and r.key["size"] >= shortest}
        if touch and ("prefetch" in name or "pinned" in name):
            axis.plot(*zip(*sorted(touch.items())), color=COLOURS["limit"], linestyle="--",
                      label="limit: CPU's first touch")
        log_axes(axis, sorted({r.key[by] for r in part}))
        axis.set_title(name)
        axis.margins(y=0.25)
    axes[0].set_ylabel("instructions")
    legend(figure, axes)
    return [("Registration against length", "Median instructions of one call. Reserved address space needs no memory, "
             "so on-demand registration can be of any length.", svg(figure, "reg"))]


def scaling(results):
    """Throughput against each number that varies, as a share of hmm_odp's first point."""
    rows = [r for r in of(results, "odp_scale", "wall") if r.row["unit"] in ("ops/s", "MB/s")] or \
        [r for r in of(results, "odp_scale") if r.row["unit"] in ("ops/s", "MB/s")]
    groups, varied = defaultdict(list), scale_axes(rows)
    for r in rows:
        if r.step in varied:
            words = " ".join(f"{k} {v}" for k, v in r.key.items() if isinstance(v, str) and (
                k in ("mrs", "storm") or v == "pinned"))
            groups[varied[r.step], words].append(r)
    groups = {k: v for k, v in groups.items() if len({r.key[k[0]] for r in v}) > 1}
    if not groups:
        return []
    figure, axes = panels(len(groups))
    for axis, ((by, words), part) in zip(axes, groups.items()):
        base = min((r for r in part if r.status == "ok" and r.device == "hodp0"), key=lambda r: r.key[by], default=None)
        unit = base.value() if base and base.value() else None
        for device in devices(part):
            good = sorted((r for r in part if r.device == device and r.status == "ok"), key=lambda r: r.key[by])
            if unit:
                axis.plot([r.key[by] for r in good], [r.value() / unit for r in good], color=COLOURS[device],
                          marker=MARKERS[device], label=NAMES[device])
            for r in part:
                if r.device == device and r.status != "ok":
                    axis.text(r.key[by], 0.02, f"{NAMES[device]}: {WORDS[r.status]}", rotation=90, fontsize=7,
                              transform=axis.get_xaxis_transform(), color=RED if r.status == "wrong" else GREY)
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axis.set_xticks(sorted({r.key[by] for r in part}))
        axis.set_title(f"{by}: {words}")
        axis.set_ylim(bottom=0)
    axes[0].set_ylabel("of hmm_odp's first point")
    legend(figure, axes)
    return [("Scaling", "Operations per second, as a share of what hmm_odp does with the smallest number. Two emulated "
             "CPUs: more threads than two cannot be faster.", svg(figure, "scale"))]


def scale_axes(rows):
    """{step: the number that its rows vary}; each step of the plan varies one."""
    found = {}
    for step_name in {r.step for r in rows}:
        mine = [r for r in rows if r.step == step_name]
        for name in ("qps", "threads", "procs"):
            if len({r.key.get(name) for r in mine}) > 1:
                found[step_name] = name
    return found


def all_plots(results):
    found = []
    for make in (latency, network, fault_cdf, faults, invalidation, registration, scaling):
        found += make(results)
    return found
