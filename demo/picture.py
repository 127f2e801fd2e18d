# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The picture of a report: SVG, drawn by hand, so that nothing but Python is
needed and its text stays text.

Panels: are the bytes right; how long and how fast (a dot per device on a
logarithmic axis, a line between them is the ratio), on one device and across a
network; what works at all.
"""

import math
from xml.sax.saxutils import escape

import words

WIDTH, MARGIN = 1240, 40
INK, FAINT, GRID, PAPER = "#1f2933", "#66727f", "#e3e8ed", "#ffffff"
COLOURS = ("#0b6e99", "#d9730d", "#6b7280")
GOOD, BAD, NONE = "#2e8b57", "#c0392b", "#b6bec6"
MARK_COLOURS = {"ok": GOOD, "wrong": BAD, "unsupported": NONE, "failed": BAD}
MARK_WORDS = {"ok": "works", "wrong": "WRONG BYTES", "unsupported": "not supported", "failed": "FAILED"}
# Where a refusal is right, "works" would be the wrong word.
STORY_WORDS = MARK_WORDS | {"ok": "as it should"}
MEMORIES = ("pinned", "ODP", "DAX file")


class Canvas:
    def __init__(self):
        self.items = []

    def text(self, x, y, text, size=13, colour=INK, anchor="start", bold=False):
        weight = ' font-weight="bold"' if bold else ""
        self.items.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
                          f'text-anchor="{anchor}"{weight}>{escape(text)}</text>')

    def rect(self, x, y, width, height, colour, radius=0):
        self.items.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
                          f'rx="{radius}" fill="{colour}"/>')

    def line(self, x1, y1, x2, y2, colour=GRID, width=1):
        self.items.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
                          f'stroke="{colour}" stroke-width="{width}"/>')

    def dot(self, x, y, colour, radius=5):
        self.items.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def svg(self, height):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
                f'width="{WIDTH}" height="{height:.0f}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
                f'<rect width="100%" height="100%" fill="{PAPER}"/>\n' + "\n".join(self.items) + "\n</svg>\n")


def section(report, start):
    return next((s["rows"] for s in report.sections if s["title"].startswith(start)), [])


def draw_bytes(canvas, report, start, title, y):
    """One bar per device: right transfers against wrong ones."""
    row = next((r for r in section(report, start) if r.get("memory") == "odp"), None)
    if not row:
        return y
    canvas.text(MARGIN, y, title.format(row["what"]), 16, bold=True)
    y += 16
    left, width = MARGIN + 80, WIDTH - 2 * MARGIN - 80
    for device, c in row["cells"].items():
        canvas.text(MARGIN, y + 20, device, 14, bold=True)
        if "right" in c:
            share = c["right"] / max(1, c["transfers"])
            canvas.rect(left, y + 3, width, 24, BAD, 3)
            canvas.rect(left, y + 3, width * share, 24, GOOD, 3)
        else:
            canvas.rect(left, y + 3, width, 24, NONE, 3)
        # On the wider part, so that it is always readable.
        at = left + 10 if c.get("right", 0) * 2 > c.get("transfers", 1) else left + width - 10
        canvas.text(at, y + 20, c["text"], 13, PAPER, "start" if at < WIDTH / 2 else "end", bold=True)
        y += 32
    return y + 34


def ticks(low, high):
    return [10.0 ** e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def draw_dots(canvas, rows, devices, title, unit, x, y, width):
    """A logarithmic axis; rows of dots grouped by size."""
    canvas.text(x, y, title, 16, bold=True)
    values = [c["value"] for r in rows for c in r["cells"].values() if c.get("value")]
    if not values:
        canvas.text(x, y + 30, "no figures", 13, FAINT)
        return y + 50
    marks = ticks(min(values), max(values))
    low, high = math.log10(marks[0]), math.log10(marks[-1])
    left, right = x + 140, x + width - 62

    def at(value):
        return left + (right - left) * (math.log10(value) - low) / max(1e-9, high - low)

    sizes = list(dict.fromkeys(r["size"] for r in rows))
    top, bottom = y + 34, y + 34 + sum(20 * sum(r["size"] == s for r in rows) + 12 for s in sizes)
    for mark in marks:
        canvas.line(at(mark), top - 6, at(mark), bottom - 8)
        canvas.text(at(mark), top - 12, f"{mark:,.0f}" if mark >= 1 else f"{mark:g}", 11, FAINT, "middle")
    canvas.text(right + 62, top - 12, "ratio", 11, FAINT, "end")
    y = top
    for size in sizes:
        group = sorted((r for r in rows if r["size"] == size), key=lambda r: MEMORIES.index(r["memory"]))
        for i, row in enumerate(group):
            if not i:
                canvas.text(x, y + 12, row["what"].split(",")[0], 13, bold=True)
            canvas.text(left - 12, y + 12, row["memory"], 12, FAINT, "end")
            found = [(d, c["value"]) for d, c in row["cells"].items() if c.get("value")]
            if len(found) > 1:
                canvas.line(at(found[0][1]), y + 8, at(found[1][1]), y + 8, "#c3ccd5", 2)
            for device, value in reversed(found):
                canvas.dot(at(value), y + 8, COLOURS[devices.index(device) % 3])
            if "ratio" in row:
                canvas.text(right + 62, y + 12, words.ratio(row["ratio"]), 12, INK, "end")
            y += 20
        y += 12
    canvas.text(left, y + 6, unit, 11, FAINT)
    return y + 34


def draw_matrix(canvas, report, title, rows, names, x, y, width):
    canvas.text(x, y, title, 16, bold=True)
    columns = [x + width - 122 * (len(report.devices) - i) for i in range(len(report.devices))]
    for device, at in zip(report.devices, columns):
        canvas.text(at + 58, y, device, 13, FAINT, "middle", bold=True)
    y += 12
    for row in rows:
        canvas.text(x, y + 15, row["what"], 12)
        for (_, c), at in zip(row["cells"].items(), columns):
            canvas.rect(at + 2, y + 1, 114, 19, MARK_COLOURS[c["mark"]], 3)
            canvas.text(at + 59, y + 15, names[c["mark"]], 11, INK if c["mark"] == "unsupported" else PAPER,
                        "middle", bold=True)
        y += 23
    return y + 20


def draw(report):
    canvas, devices = Canvas(), report.devices
    y = MARGIN + 8
    canvas.text(MARGIN, y, "hmm_odp beside rxe: RDMA to memory that is never pinned", 22, bold=True)
    x = WIDTH - MARGIN
    for device, colour in reversed(list(zip(devices, COLOURS))):
        canvas.text(x, y, device, 15, colour, "end", bold=True)
        x -= 11 * len(device) + 8
        canvas.dot(x, y - 5, colour, 6)
        x -= 22
    canvas.text(MARGIN, y + 22, f"Linux {report.raw['kernel']}, one guest of {report.raw['cpus']} CPUs. "
                "Times of an emulated machine are noisy: look at the ratios (hodp0 / rxe0) only.", 12, FAINT)
    y = draw_bytes(canvas, report, "Bytes", "Are the bytes right? {}, each compared byte by byte", y + 62)
    half = (WIDTH - 2 * MARGIN - 40) / 2
    second = MARGIN + half + 40
    y = max(draw_dots(canvas, section(report, "Latency"), devices, "Latency of an RDMA WRITE (ib_write_lat)",
                      "µs, typical; further left is better", MARGIN, y, half),
            draw_dots(canvas, section(report, "Bandwidth"), devices, "Bandwidth of RDMA WRITE (ib_write_bw)",
                      "MiB/s, average; further right is better", second, y, half))
    y = max(draw_matrix(canvas, report, "What works with ODP", section(report, "What"), MARK_WORDS, MARGIN, y, half),
            draw_matrix(canvas, report, "A file on a DAX filesystem", section(report, "A DAX"), STORY_WORDS, second, y, half))
    y = draw_bytes(canvas, report, "Across a network: bytes", "Across a network (two namespaces): {}", y + 14)
    y = max(draw_dots(canvas, section(report, "Across a network: latency"), devices, "Latency across the network",
                      "µs, typical; further left is better", MARGIN, y, half),
            draw_dots(canvas, section(report, "Across a network: bandwidth"), devices, "Bandwidth across the network",
                      "MiB/s, average; further right is better", second, y, half))
    y = max(draw_matrix(canvas, report, "Bytes across the network", section(report, "Across a network: bytes"),
                        MARK_WORDS, MARGIN, y, half),
            draw_matrix(canvas, report, "A DAX file at the far end", section(report, "Across a network: a DAX"),
                        STORY_WORDS, second, y, half))
    return canvas.svg(y)
