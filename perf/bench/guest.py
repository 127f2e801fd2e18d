# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The guest, from outside: boot it, let it go through steps, follow it.

The steps run one after the other from one shell program. A line with MARK
before and after each goes to the output, to follow it, and to the kernel log,
to blame the right step for a warning. The results come by the shared directory,
row by row, so that nothing is lost when the guest dies.
"""

import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import time

from results import TOP

MARK = "#hodp-bench"
# Two NUMA nodes, since pages migrate between them; the kernel's own balancing
# would take pages away at times of its choice.
MACHINE = ["--mem", "4G", "--pmem", "512M", "--append", "numa=fake=2 numa_balancing=disable"]
OPTIONS = {"icount": ["--icount", *MACHINE], "wall": ["--smp", "2", *MACHINE]}
BOOT_LIMIT, SETUP_LIMIT = 300, 120  # seconds, generous: another may use the host
ASLEEP = 0.05  # CPU time of time
RXE_DIED, AGAIN = 95, 2  # a status of guest/run; how often a step is run again then
MOST = 10  # times a step's limit, by the clock
SENTENCE = {96: "the guest died while it ran", 97: "the guest could not be set up",
            95: "rxe's ODP crashed the kernel, again and again", 98: "the module could not be taken out afterwards",
            99: "the kernel log holds a warning or worse", 124: "the guest hung while it ran"}


def signals():
    """TERM and HUP end a run as Ctrl-C does, and Ctrl-C one that is in the background."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupt)


def limit(step):
    """When a step counts as hung, in seconds of the host's CPU time."""
    return 60 + 6 * step.estimate


def used(process):
    """Seconds of CPU time of what runs in the session of @process: QEMU, mostly."""
    ticks = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[3]) == process.pid:
            ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def patience(step, cpu):
    """
    How many more seconds for a step that has taken @cpu; 0: it hangs. A host
    that others use gives the guest less than what passes by the clock, so only
    what the guest got counts. One that gets next to nothing sleeps.
    """
    passed = time.monotonic() - step.begun
    if cpu >= limit(step) or cpu < passed * ASLEEP or passed >= MOST * limit(step):
        return 0
    return max(limit(step) - cpu, 1)


def command_line(step):
    """What the guest's shell runs for a step."""
    words = [step.command]
    if step.device != "-":
        words += ["-d", step.device]
    words += ["--clock", step.mode, "--out_json", f"/share/{step.name}.json", "--file-dir", "/var/tmp"]
    return " ".join(words) + ' ${HODP_DAX_EXT4:+--dax-dir "$HODP_DAX_EXT4"}'


def script(steps):
    lines = ["cd /root", "export PATH=/src/build/bench/bin:/src/perf/perftest:$PATH"]
    if any(s.device == "siw0" for s in steps):
        lines.append("/src/perf/bench/build-siw --guest")
    for s in steps:
        lines += [f"echo '{MARK} begin {s.name}'; echo '{MARK} begin {s.name}' > /dev/kmsg",
                  f"({command_line(s)}) > /share/{s.name}.log 2>&1 < /dev/null",
                  f"rc=$?; echo \"{MARK} end {s.name} $rc\"; echo \"{MARK} end {s.name} $rc\" > /dev/kmsg"]
    return "\n".join(lines + ["exit 0", ""])


def stop(process):
    """End guest/run; it takes QEMU along."""
    for s, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, s)
            process.wait(patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            pass


def lines_of(process):
    """Its output's lines by a queue, then None: so one can wait with a limit."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.rstrip("\r\n"))
        lines.put(None)
    threading.Thread(target=read, daemon=True).start()
    return lines


def blame(log):
    """(step name or None, line): who ran when the first bad line was logged."""
    bad = subprocess.run([TOP / "guest/judge-log", log], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    first, who = (bad.splitlines() or [None])[0], None
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in map(str.rstrip, f):
            if line == first:
                break
            mark = re.search(rf"{MARK} (begin|end) (\S+)", line)
            if mark:
                who = mark.group(2) if mark.group(1) == "begin" else None
    return who, re.sub(r"^\[[^\]]*\]\s*", "", first or "?")


def reason(step):
    """The last thing a step said."""
    try:
        said = [t for t in step.log.read_text(encoding="utf-8", errors="replace").splitlines() if t.strip()]
    except OSError:
        said = []
    return said[-1].strip()[:200] if said else "it said nothing"


def conclude(step, state, why=None):
    step.state, step.why = state, why
    step.seconds = round(time.monotonic() - step.begun, 1)


def follow(process, by_name, begin, ended):
    """
    Go with the guest until it ends. Returns (step that was running or None,
    the other words, whether a step took too long).
    """
    lines, current, said, before = lines_of(process), None, [], 0.0
    deadline = time.monotonic() + BOOT_LIMIT
    while True:
        try:
            line = lines.get(timeout=max(deadline - time.monotonic(), 0.01))
        except queue.Empty:
            more = patience(current, used(process) - before) if current else 0
            if more:
                deadline = time.monotonic() + more
                continue
            stop(process)
            return current, said, True
        if line is None:
            process.wait()
            return current, said, False
        words = line.split()
        if words[:2] == [MARK, "begin"]:
            current = by_name[words[2]]
            current.begun, before = time.monotonic(), used(process)
            deadline = current.begun + limit(current)
            begin(current)
        elif words[:2] == [MARK, "end"] and current:
            current.status = int(words[3])
            good = current.status in (0, 1)
            conclude(current, "done" if good else "failed",
                     None if good else f"exit status {current.status}: {reason(current)}")
            ended(current)
            current, deadline = None, time.monotonic() + SETUP_LIMIT
        else:
            said.append(line)


def boot(steps, out, built, begin, ended, trouble):
    """
    One boot for @steps; returns those that are still to do. @begin and @ended
    are called with each step; sentences about the guest itself go to @trouble.
    """
    mode = steps[0].mode
    log = pathlib.Path(out, f"{mode}.kernel.log")
    for n in range(2, 100):
        if not log.exists():
            break
        log = pathlib.Path(out, f"{mode}-{n}.kernel.log")
    (out / "steps.sh").write_text(script(steps), encoding="utf-8")
    for s in steps:
        s.log, s.begun = out / (s.name + ".log"), time.monotonic()
    # The guest's own limit is only for when nobody watches it any more.
    total = MOST * sum(map(limit, steps)) + BOOT_LIMIT + SETUP_LIMIT
    options = [*OPTIONS[mode], *(["--rxe"] if any(s.device == "rxe0" for s in steps) else [])]
    options += ["--built", str(built)] if built else ["--no-build"]
    command = ["setpriv", "--pdeathsig", "TERM", str(TOP / "guest/run"), *options, "--timeout", str(total),
               "--share", str(out), "--log", str(log), "--",
               "HODP_SWAP=512M exec /src/guest/memory bash /share/steps.sh"]
    process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace")
    try:
        current, said, hung = follow(process, {s.name: s for s in steps}, begin, ended)
    except BaseException:
        stop(process)
        raise
    return judge(steps, current, process.returncode, hung, said, log, ended, trouble)


def judge(steps, current, status, hung, said, log, ended, trouble):
    """What the guest's end means for the steps; returns those still to do."""
    sentence = SENTENCE.get(status, f"guest/run exited with {status}")
    who, line = blame(log) if log.exists() else (None, "?")
    again = current and status == RXE_DIED and current.again < AGAIN
    if again:
        current.again += 1
        print("again: rxe's ODP crashed the kernel", flush=True)
    elif current:
        if hung:
            conclude(current, "timeout", f"not done after {time.monotonic() - current.begun:.0f} s")
        else:
            conclude(current, "crashed", f"{sentence}: {line}" if line != "?" else sentence)
        ended(current)
    elif line != "?":
        named = [s for s in steps if s.name == who]
        if named:
            named[0].state, named[0].why = "crashed", f"kernel log: {line}"
        else:
            trouble.append(f"kernel log: {line}")
    elif status or hung:
        trouble.append(f"{steps[0].mode}: {sentence}")
    todo = [s for s in steps if s.seconds is None]
    if len(todo) == len(steps) and not again:
        # None had a chance: a further boot would go the same way.
        for s in todo:
            s.why, s.seconds = sentence, 0.0
        trouble += said[-10:]
        return []
    return todo
