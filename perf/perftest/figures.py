# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""What perftest says, as figures."""

import collections
import json
import math


def last_words(text):
    """What perftest said in the end, without its frames and tables."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and line.strip("-* ") and "Waiting for client" not in line
             and "allocated mmap buffer" not in line and not line.startswith(("#", "Device not recognized"))]
    return "; ".join(dict.fromkeys(lines[-3:])) or "it said nothing"


def from_json(path):
    try:
        return json.loads(path.read_text())["results"]
    except (OSError, ValueError, KeyError):
        return None


def from_table(text, latency):
    """The last table of the output, by the place of its columns."""
    names = (["MsgSize", "n_iterations", "t_min", "t_max", "t_typical", "t_avg", "t_stdev", "percentile_99",
              "percentile_99.9"] if latency else ["MsgSize", "n_iterations", "BW_peak", "BW_average", "MsgRate"])
    for line in reversed(text.splitlines()):
        words = line.split()
        try:
            values = [float(w) for w in words[:len(names)]]
        except ValueError:
            continue
        if len(values) == len(names):
            return dict(zip(names, values))
    return None


def samples_of(text):
    """The lines "NUMBER, MICROSECONDS" that -U prints, in nanoseconds."""
    found = []
    for line in text.splitlines():
        number, comma, value = line.partition(", ")
        if comma and number.isdigit():
            try:
                found.append(round(float(value) * 1000))
            except ValueError:
                pass
    return found


def percentile(ordered, share):
    """The smallest sample that @share of them do not exceed."""
    return ordered[max(math.ceil(len(ordered) * share - 1e-9), 1) - 1]


def figures(samples):
    ordered = sorted(samples)
    return {"n": len(ordered), "min": ordered[0], "median": percentile(ordered, 0.5),
            "mean": sum(ordered) / len(ordered), "p90": percentile(ordered, 0.9), "p99": percentile(ordered, 0.99),
            "p999": percentile(ordered, 0.999), "max": ordered[-1]}


def histogram(samples, width=50):
    """A line for each power of two of nanoseconds."""
    counts = collections.Counter(max(s, 1).bit_length() - 1 for s in samples)
    most = max(counts.values())
    lines = []
    for b in range(min(counts), max(counts) + 1):
        bar = "#" * math.ceil(counts[b] * width / most)
        lines.append(f"    {(1 << b) / 1000:>12.3f} usec {counts[b]:>8} {bar}".rstrip())
    return "\n".join(lines)


def columns(results):
    """perftest's own columns, in its own units, under names without dots."""
    names = {"t_min": "t_min_usec", "t_max": "t_max_usec", "t_typical": "t_typical_usec", "t_avg": "t_avg_usec",
             "t_stdev": "t_stdev_usec", "percentile_99": "p99_usec", "percentile_99.9": "p999_usec",
             "n_iterations": "iterations", "BW_peak": "peak_MiB_s", "BW_average": "average_MiB_s",
             "MsgRate": "msg_rate_Mpps"}
    found = {new: results[old] for old, new in names.items() if old in results}
    if not found.get("peak_MiB_s", 1):
        del found["peak_MiB_s"]  # it takes none of more than 20,000 iterations
    return found
