# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The steps of the plan in a guest, by guest/session.py.

The results come by the shared directory, row by row, so that nothing is lost
when the guest dies.
"""

import sys

from results import TOP

sys.path.append(str(TOP / "guest"))
import session  # noqa: E402

# Two NUMA nodes, since pages migrate between them; the kernel's own balancing
# would take pages away at times of its choice.
MACHINE = ["--mem", "4G", "--pmem", "512M", "--append", "numa=fake=2 numa_balancing=disable"]
OPTIONS = {"icount": ["--icount", *MACHINE], "wall": ["--smp", "2", *MACHINE]}


def run(main):
    """A program that runs guests: none of them is left when it is interrupted."""
    session.signals()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)


def limit(step):
    """When a step counts as hung, in seconds of the host's CPU time."""
    return 60 + 6 * step.estimate


def command_line(step):
    """What the guest's shell runs for a step."""
    words = step.words()
    words += ["--clock", step.mode, "--out_json", f"/share/{step.name}.json", "--file-dir", "/var/tmp"]
    return " ".join(words) + ' ${HODP_DAX_EXT4:+--dax-dir "$HODP_DAX_EXT4"}' + f" > /share/{step.name}.log 2>&1"


class Boots(session.Session):
    """The steps of one mode. @begin and @ended are called with each, and
    sentences about the guest itself go to @trouble."""

    def __init__(self, steps, out, built, begin, ended, trouble):
        mode, devices = steps[0].mode, {s.device for s in steps}
        options = [*OPTIONS[mode], "--share", out, *(["--rxe"] if "rxe0" in devices else [])]
        options += ["--built", built] if built else ["--no-build"]
        setup = ["cd /root", "export PATH=/src/build/bench/bin:/src/perf/perftest:$PATH"]
        setup += ["/src/perf/bench/build-siw --guest"] if "siw0" in devices else []
        super().__init__([session.Step(s.name, command_line(s), cpu=limit(s)) for s in steps], options, out, mode,
                         "\n".join(setup), "HODP_SWAP=512M exec /src/guest/memory bash -c")
        self.plan, self.begun, self.ended, self.trouble = {s.name: s for s in steps}, begin, ended, trouble

    def begin(self, step):
        self.begun(self.plan[step.name])

    def end(self, step):
        s = self.plan[step.name]
        s.status, s.seconds = step.status, round(step.seconds, 1)
        if step.verdict == "hung":
            s.state, s.why = "timeout", f"not done after {s.seconds:.0f} s"
        elif step.verdict == "crashed":
            s.state, s.why = "crashed", step.why
        elif step.status in (0, 1):
            s.state, s.why = "done", None
        else:
            s.state, s.why = "failed", f"exit status {step.status}: {self.last_words(s)}"
        self.ended(s)

    def final(self, step):
        s = self.plan[step.name]
        if step.verdict == "reported":
            s.state, s.why = "crashed", step.why
        elif step.verdict == "unreached":
            s.why, s.seconds = step.why, 0.0

    def last_words(self, step):
        try:
            text = (self.logs / (step.name + ".log")).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        said = [t for t in text.splitlines() if t.strip()]
        return said[-1].strip()[:200] if said else "it said nothing"
