#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""mpi.py PROGRAM OUT.json DEVICE...: Open MPI's MPI_Put under ODP on each device.

PROGRAM is demo/mpi_bytes.c, which compares every byte of the window.
Writes to OUT.json after each device, since the kernel may not outlive rxe's ODP.
Nothing is judged here; report.py judges.
"""

import json
import pathlib
import re
import subprocess
import sys

RANKS, LIMIT = 2, 45  # seconds
# Two ranks on one machine would use shared memory; GID 0, since UCX 1.18 on
# the IPv4 GID drops datagrams of all devices but one (openucx/ucx#9207).
SETTINGS = {"UCX_TLS": "rc_v,ud_v,self", "UCX_IB_GID_INDEX": "0", "UCX_REG_NONBLOCK_MEM_TYPES": "host"}
WORDS = ("malloc", "free()", "corrupt", "signal", "double free", "assert", "error")


def last_words(text):
    """The line that says most about an end before its time."""
    lines = [re.sub(r"^\[[^\]]*\]\s*", "", line).strip(" *") for line in text.splitlines()]
    for word in WORDS:
        for line in lines:
            if word in line.lower():
                return line
    return ""


def put(program, device):
    settings = SETTINGS | {"UCX_NET_DEVICES": f"{device}:1"}
    command = ["env", *(f"{k}={v}" for k, v in settings.items()), "timeout", "-k", "5", str(LIMIT), "mpirun.openmpi",
               "--allow-run-as-root", "--oversubscribe", "-np", str(RANKS), "--mca", "pml", "ucx", "--mca", "osc", "ucx",
               program, "put"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    results = re.findall(r"^(ok|not ok) \d+ - .*", done.stdout, re.MULTILINE)
    wrong = sum(map(int, re.findall(r"# (\d+) wrong bytes", done.stdout)))
    return {"device": device, "command": " ".join(command), "status": done.returncode, "right": results.count("ok"),
            "not_right": results.count("not ok"), "wrong_bytes": wrong, "hung": done.returncode in (124, 137),
            "complete": bool(re.search(r"^1\.\.[1-9]", done.stdout, re.MULTILINE)),
            "words": last_words(done.stdout), "output": done.stdout.splitlines()[-60:]}


def into(raw_path, found, died, why, devices):
    """
    Add what was found to RAW.json, outside of the guest. @died: rxe's ODP crashed
    its kernel; @why: what else is wrong with it, or None.
    """
    raw = json.loads(raw_path.read_text())
    rows = json.loads(found.read_text()) if found.exists() else []
    missing = [d for d in devices if d not in [r["device"] for r in rows]]
    # After its row, too, the kernel may have complained of rxe's ODP.
    if died:
        why = None
        rows = [r for r in rows if r["device"] != "rxe0"]
        rows.append({"device": "rxe0", "crashed": True, "words": ""})
    elif missing:
        why = why or f"no results of {', '.join(missing)}"
    raw["mpi"] = rows
    raw["steps"].append({"title": "Open MPI's MPI_Put under ODP", "error": why, "seconds": None})
    raw_path.write_text(json.dumps(raw, indent=1) + "\n")


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    rows = []
    for device in sys.argv[3:]:
        rows.append(put(sys.argv[1], device))
        row = rows[-1]
        print(f"        {device}: {row['right']} Puts right, {row['not_right']} not: {row['wrong_bytes']:,} wrong bytes"
              + (f"; {row['words']}" if row["words"] else "") + ("; it hangs" if row["hung"] else ""), flush=True)
        pathlib.Path(sys.argv[2]).write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
