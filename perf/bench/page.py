# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""report.html: one file that needs nothing else."""

import html as escape_of

import plots
import tables

STYLE = """
body { background: #fff; color: #1a1a1a; font: 15px/1.5 "DejaVu Sans", Verdana, sans-serif; margin: 2em auto;
       max-width: 1200px; padding: 0 1.5em; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; } h2 { font-size: 1.2em; margin: 2em 0 0.2em; }
p { margin: 0.3em 0 0.8em; max-width: 60em; }
dl { display: grid; grid-template-columns: max-content auto; gap: 0 1em; } dt { color: #555; } dd { margin: 0; }
table { border-collapse: collapse; font-size: 12.5px; } .wide { overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: 2px 8px; text-align: left; white-space: nowrap; }
th { background: #f3f3f3; position: sticky; top: 0; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
td.wrong, .broken { color: #c1121f; font-weight: bold; } td.none { color: #777; }
svg { display: block; height: auto; } nav a { margin-right: 1em; }
"""


def text(s):
    return escape_of.escape(str(s))


def facts(results):
    items = "".join(f"<dt>{text(name)}</dt><dd>{text(words)}</dd>" for name, words in tables.facts(results))
    return f"<dl>{items}</dl>"


def listing(items):
    return "<ul>" + "".join(f"<li{c}>{text(t)}</li>" for c, t in items) + "</ul>" if items else ""


def undone(results):
    items = [("", f"{s['name']}: {why}") for s, why in results.undone()] + \
        [("", f"the guest: {t}") for t in results.run["trouble"]]
    return "<h2>Steps without results, or without all of them</h2>" + listing(items) if items else ""


def bounds(verdicts):
    items = [(' class="broken"' if broken else "", ("BROKEN: " if broken else "kept: ") + words)
             for broken, words in verdicts]
    return "<h2>Bounds</h2>" + listing(items) if items else ""


def cell(i, value):
    kind = "n" if i >= tables.LEFT else ""
    if value == tables.WORDS["wrong"] or value == tables.WORDS["failed"]:
        kind = "wrong"
    elif value == tables.WORDS["unsupported"]:
        kind = "none"
    return f'<td class="{kind}">{text(value)}</td>'


def full_table(results):
    head, *rows = tables.table(results)
    lines = ["<tr>" + "".join(f"<th>{text(h)}</th>" for h in head) + "</tr>"]
    lines += ["<tr>" + "".join(cell(i, c) for i, c in enumerate(row)) + "</tr>" for row in rows]
    return '<h2 id="table">All figures</h2><p>Medians. Lines of clock "wall": ratios only.</p>' \
        '<div class="wide"><table>' + "\n".join(lines) + "</table></div>"


def why(results):
    items = [(' class="broken"' if word == "WRONG" else "", f"{word}, {device}, {len(rows)} rows: {reason}")
             for word, device, reason, rows in tables.reasons(results)]
    return '<h2 id="why">Why figures are missing</h2>' + listing(items) if items else ""


def html(results, verdicts):
    drawn = plots.all_plots(results)
    links = "".join(f'<a href="#plot-{i}">{text(title)}</a>' for i, (title, _, _) in enumerate(drawn))
    body = [f"<h1>hmm_odp, measured</h1>{facts(results)}",
            "<p>Figures are instructions of an emulated CPU, which repeat, where nothing else is said; \"limit\" is "
            "what the kernel takes for the same bytes without RDMA, in the same guest. A row whose bytes were wrong "
            "has no figure and is shown as WRONG. docs/performance.md says what each figure means.</p>",
            f'<nav>{links}<a href="#table">All figures</a></nav>', undone(results), bounds(verdicts)]
    body += [f'<h2 id="plot-{i}">{text(title)}</h2><p>{text(words)}</p>{picture}'
             for i, (title, words, picture) in enumerate(drawn)]
    body += [full_table(results), why(results)]
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>hmm_odp, measured</title>'
            f"<style>{STYLE}</style></head><body>" + "\n".join(body) + "</body></html>\n")
