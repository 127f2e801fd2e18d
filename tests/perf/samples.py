# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Documents and results directories, made up, for the tests of perf/bench."""

import copy
import json
import pathlib

FIGURES = {"n": 5, "min": 90, "median": 100, "mean": 101.5, "p90": 110, "p99": 120, "p999": 130, "max": 140}


def row(median=100, status="ok", unit="ns", faults=None, **key):
    if status != "ok":
        return {"key": key, "status": status, "unit": unit, "why": f"made up: {status}"}
    figures = {k: v if k == "n" else v * median // 100 for k, v in FIGURES.items()}
    extra = {} if faults is None else {"extra": {"faults_per_op": faults}}
    return {"key": key, "status": "ok", "unit": unit, **figures, **extra}


def write_row(median, reg="hot", size=8, side="remote", **more):
    return row(median, op="WRITE", reg=reg, mem="anon", side=side, size=size, **more)


def document(rows, program="odp_lat", device="hodp0", clock="icount", peer=None):
    return copy.deepcopy({
        "schema": "hmm_odp-perf/1", "program": program, "command": [program], "complete": True, "device": device,
        **({"peer": peer} if peer else {}),
        "vendor_id": 0, "vendor_part_id": 0, "kernel": "7.3.4", "date": "2026-11-23T01:02:03Z", "cpus": 1,
        "clock": clock, "clock_cost": 61, "rows": rows})


def results(directory, documents, complete=True, **states):
    """A results directory of {step name: document}; @states: others' state by name."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    steps = []
    for name, text in documents.items():
        (directory / f"{name}.json").write_text(json.dumps(text))
        steps.append({"name": name, "mode": name.split("-")[0], "state": "done", "why": None, "command": "odp_lat",
                      "device": text["device"], "estimate": 1, "status": 0, "seconds": 1.0})
    for name, state in states.items():
        steps.append({"name": name.replace("_", "-").replace("-at-", "."), "mode": "icount", "state": state,
                      "why": f"made up: {state}", "command": "odp_lat", "device": "hodp0", "estimate": 1,
                      "status": None, "seconds": None})
    (directory / "run.json").write_text(json.dumps({
        "schema": "hmm_odp-bench/1", "commit": "0123456789ab", "dirty": False, "level": "quick", "built": None,
        "date": "2026-11-23T01:02:03Z", "host_cpus": 2, "complete": complete, "trouble": [], "steps": steps}))
    return directory
