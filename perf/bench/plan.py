# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The plan (plan.tsv), and how long what is left of it will take."""

import pathlib
import re

from results import die

MODES = ("icount", "wall")
LEVELS = ("quick", "full")
# Two ends of a network, and their wire (guest/wires): devices, of which the first
# asks; or namespaces, for TCP between them.
PAIRS = {"hodpA+hodpB": "hodp", "rxeA+rxeB": "rxe", "hodpM+rxeM": "mix", "rxeM+hodpM": "mix", "near+far": "hodp"}
FAR_ADDRESS = "10.82.0.2"  # of the wire "hodp"
DEVICES = ("hodp0", "rxe0", "siw0", *PAIRS, "-")
PLAN = pathlib.Path(__file__).with_name("plan.tsv")
# Of a guest's way up and down again, on the machine of the estimates.
BOOT_SECONDS = {"icount": 20, "wall": 16}


class Step:
    def __init__(self, base, mode, levels, device, estimate, command):
        self.base, self.mode, self.levels = base, mode, levels
        self.device, self.estimate, self.command = device, estimate, command
        self.name = f"{mode}-{base}" + ("" if device == "-" else f".{device}")
        self.state, self.why, self.status, self.seconds = "missing", None, None, None

    def words(self):
        """What the guest runs: the program and its device, or devices."""
        if self.device == "-":
            return [self.command]
        near, _, far = self.device.partition("+")
        if not far:
            return [self.command, "-d", near]
        command = ["/src/guest/wires", PAIRS[self.device], "--", self.command]
        if near == "near":
            return [*command, "--netns", "near,far", "--address", FAR_ADDRESS]
        return [*command, "-d", near, "--peer", far]

    def entry(self):
        """Its part of run.json."""
        return {"name": self.name, "mode": self.mode, "device": None if self.device == "-" else self.device,
                "command": self.command, "estimate": self.estimate, "state": self.state, "why": self.why,
                "status": self.status, "seconds": self.seconds}


def parse(text, path="plan.tsv"):
    """All steps of a plan's text; a sentence naming the line if it is not one."""
    steps, names = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [c.strip() for c in re.split(r"\t+", line.strip())]
        where = f"{path}:{number}: "
        if len(cells) != 5:
            die(where + "want name, mode, levels, devices and command, separated by tabs")
        base, mode, levels, devices, command = cells
        levels = levels.split(",")
        if mode not in MODES or not set(levels) <= set(LEVELS):
            die(where + f"mode is one of {', '.join(MODES)}, levels are some of {', '.join(LEVELS)}")
        for item in devices.split(","):
            device, _, seconds = item.partition(":")
            if device not in DEVICES or not seconds.isdigit() or seconds == "0":
                die(where + f'"{item}" is not DEVICE:SECONDS with a device of {" ".join(DEVICES)}')
            step = Step(base, mode, levels, device, int(seconds), command)
            if step.name in names:
                die(where + f"there is a step {step.name} already")
            names.add(step.name)
            steps.append(step)
    return steps


def choose(level, modes=MODES, devices=None, only=None, path=PLAN):
    """The steps of @level; the steps of one mode follow each other."""
    steps = [s for s in parse(path.read_text(encoding="utf-8"), path.name) if level in s.levels]
    steps = [s for s in steps if s.mode in modes and (not devices or s.device in devices)]
    if only:
        steps = [s for s in steps if re.search(only, s.name)]
    return sorted(steps, key=lambda s: MODES.index(s.mode))


def boots(steps):
    """How many modes are among @steps, in seconds of booting."""
    return sum(BOOT_SECONDS[m] for m in {s.mode for s in steps})


def left(steps, running=None, since=0.0):
    """
    Seconds that the rest of @steps will take. The estimates are corrected by
    what has passed: a machine that took twice as long so far will go on so.
    """
    passed = [s for s in steps if s.seconds is not None and s.state == "done"]
    due = sum(s.estimate for s in passed)
    factor = sum(s.seconds for s in passed) / due if due >= 5 else 1.0
    rest = [s for s in steps if s.seconds is None and s is not running]
    started = {s.mode for s in steps if s.seconds is not None} | ({running.mode} if running else set())
    seconds = sum(s.estimate for s in rest) * factor + boots([s for s in rest if s.mode not in started]) * factor
    if running:
        seconds += max(running.estimate * factor - since, 0)
    return seconds


def clock_words(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
