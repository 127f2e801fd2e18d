# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""Run named steps in a guest, follow them, and say what became of each.

guest/run boots a guest for one command. Whoever has several uses a session,
which boots as many guests, one after the other, as its steps need.

Words:
  step      a command with a name and a limit. A mark before and after it goes
            to the output, to follow it, and to the kernel log, for the blame.
  report    what guest/judge-log finds in the kernel log
  verdict   what became of a step:
              ended      it has an exit status (124 or 137: past its limit)
              reported   it ended, and the kernel reported something meanwhile
              crashed    the guest died while it ran
              hung       the guest had to be ended while it ran
              unreached  no guest got as far as any step

A crash, a hang or a report costs the guest; the steps that are left run in a
fresh one. A step in which rxe's ODP crashed the kernel (status 95 of guest/run)
is run again: that is rxe's fault and says nothing of hmm_odp.

No guest outlives the process that started it: program() ends them, after Ctrl-C,
TERM and HUP, too, and so does SIGKILL.
"""

import contextlib
import os
import pathlib
import queue
import re
import shlex
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
MARK = "#hodp-step"
RXE_DIED, TIMED_OUT = 95, 124  # statuses of guest/run
SENTENCE = {0: "the guest ended early", RXE_DIED: "rxe's ODP crashed the kernel",
            96: "the guest died", 97: "the guest could not be set up", 98: "the module could not be taken out",
            99: "the kernel log holds a warning or worse", TIMED_OUT: "the guest hung"}
OUTSIDE = 600  # seconds without a step: boot, teardown
GRACE = 120    # seconds for the guest to end a step itself that is past its limit
MOST = 10      # seconds by the clock for each second of CPU time that a step may have
ASLEEP = 0.05  # CPU time per time, at least

_lock, _live, _ended = threading.Lock(), set(), False


# --- processes ------------------------------------------------------------------


def signals():
    """TERM and HUP end a program as Ctrl-C does, and Ctrl-C one that is in the background."""
    def interrupt(number, frame):
        raise KeyboardInterrupt(signal.Signals(number).name)
    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, interrupt)


def start(command, **more):
    """A child with a process group of its own, which does not outlive us."""
    with _lock:
        if _ended:
            raise SystemExit(130)
        process = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *map(str, command)], cwd=TOP,
                                   stdin=subprocess.DEVNULL, start_new_session=True, **more)
        _live.add(process)
    return process


def stop(process):
    """End a child and what it started."""
    for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with _lock:
        _live.discard(process)


def call(command, **more):
    """Run a command to its end; its exit status."""
    process = start(command, **more)
    try:
        return process.wait()
    finally:
        stop(process)


def end_all():
    """End all children, of all threads; none can be started any more."""
    global _ended
    with _lock:
        _ended, live = True, list(_live)
    for process in live:
        stop(process)


def program(main):
    """Be a program: main()'s exit status, or 130 if it is interrupted. No child outlives it."""
    signals()
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print(f"{os.path.relpath(sys.argv[0], TOP)}: interrupted", file=sys.stderr)
        sys.exit(130)
    finally:
        end_all()


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


def lines_of(process):
    """Its output's lines by a queue, then None: so one can wait with a limit."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line.rstrip("\r\n"))
        lines.put(None)
    threading.Thread(target=read, daemon=True).start()
    return lines


# --- the kernel log ---------------------------------------------------------------


def blame(log):
    """
    (step's name or None, whether it was running then, line) of the first report
    in a kernel log; None if it has none. A report after a step counts as that
    step's when it ran no more.
    """
    try:
        lines = pathlib.Path(log).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return None
    bad = subprocess.run([TOP / "guest/judge-log", log], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    if not bad:
        return None
    first, name, running = bad.split("\n")[0].rstrip(), None, False
    for line in map(str.rstrip, lines):
        if line == first:
            break
        mark = re.search(rf"{MARK} (begin|end) (\S+)", line)
        if mark:
            name, running = mark.group(2), mark.group(1) == "begin"
    return name, running, re.sub(r"^\[[^\]]*\]\s*", "", first)


# --- steps ------------------------------------------------------------------------


class Step:
    def __init__(self, name, command, limit=None, cpu=None, log=None, before=None):
        """
        @limit: seconds until the guest ends it (timeout(1)).
        @cpu: or seconds of the host's CPU time until the guest is ended. A host
        that others use gives the guest less than what passes by the clock, so
        only what the guest got counts.
        @log: a file for its output. @before: a command ahead of it; if that fails,
        the guest is given up and the step is done in the next one.
        """
        self.name, self.command, self.limit, self.cpu, self.log, self.before = name, command, limit, cpu, log, before
        self.died = 0  # how often rxe's ODP crashed the kernel in it
        self.reset()

    def reset(self):
        self.verdict = self.status = self.why = self.report = None
        self.after = []  # what went wrong with the guest once it was over
        self.begun = self.seconds = 0.0

    def most(self):
        """Seconds by the clock after which it hangs."""
        return MOST * self.cpu if self.cpu else self.limit + GRACE

    def left(self, cpu):
        """How many more seconds for one that has taken @cpu; 0: it hangs."""
        passed = time.monotonic() - self.begun
        if not self.cpu:
            return max(self.most() - passed, 0)
        # One that gets next to nothing sleeps.
        if cpu >= self.cpu or cpu < passed * ASLEEP or passed >= self.most():
            return 0
        return max(self.cpu - cpu, 1)


def script(steps, setup):
    """The shell program that runs the steps, one after the other."""
    lines = [setup,
             f'mark() {{ echo; echo "{MARK} $*"; echo "{MARK} $*" > /dev/kmsg; }}',
             # As the console has it, without debugging messages.
             "quiet() { dmesg -l emerg,alert,crit,err,warn,notice,info > /tmp/hodp-dmesg; "
             "/src/guest/judge-log /tmp/hodp-dmesg > /dev/null; }"]
    for s in steps:
        if s.before:
            lines.append(f"{{ {s.before}; }} && quiet || exit 0")
        limit = f"timeout -k 10 {s.limit} " if s.limit else ""
        lines += [f"mark begin {s.name}",
                  f"{limit}bash -c {shlex.quote(s.command)} < /dev/null 2>&1",
                  f"mark end {s.name} $?",
                  "quiet || exit 0"]
    return "\n".join([*lines, "exit 0"])


class Session:
    """
    Steps and the guests that they run in. @name: of the logs in @logs; @setup:
    shell lines ahead of the steps; @wrap: a command that runs the shell program
    which it is given. Callers override the hooks.
    """

    again = 2    # how often a step is run again because of rxe
    chances = 1  # boots in a row that may reach no step

    def __init__(self, steps, options, logs, name, setup="cd /src", wrap=None):
        self.steps, self.options, self.logs, self.name = steps, options, pathlib.Path(logs), name
        self.setup, self.wrap = setup, wrap
        self.boots = self.idle = 0
        self.trouble = []  # sentences about the guests themselves
        self.said = []     # what a guest said outside of steps, the last lines

    # Hooks.

    def begin(self, step):
        """It begins."""

    def line(self, step, text):
        """It said something."""

    def end(self, step):
        """It is over."""

    def final(self, step):
        """Its guest is gone: the verdict stands."""

    def repeat(self, step, line):
        """May it be run again? @line: what rxe's crash left in the log."""
        print(f"    rxe's ODP crashed the guest's kernel in {step.name}: running that again"
              + (f" ({line})" if line else ""), flush=True)
        return True

    def run(self):
        todo = self.steps
        while todo:
            todo = self.boot(todo)
        return self

    def boot(self, steps):
        """One guest; returns the steps that are left."""
        self.boots += 1
        name = self.name + (f"-{self.boots}" if self.boots > 1 else "")
        self.kernel_log = self.logs / f"{name}.kernel.log"
        self.kernel_log.unlink(missing_ok=True)
        self.said = []
        program = script(steps, self.setup)
        # The guest's own limit is only for when nobody watches it any more.
        total = int(sum(s.most() for s in steps)) + 2 * OUTSIDE
        process = start([TOP / "guest/run", *self.options, "--timeout", total, "--log", self.kernel_log, "--",
                         f"{self.wrap} {shlex.quote(program)}" if self.wrap else program],
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        try:
            with open(self.logs / f"{name}.log", "w", encoding="utf-8", buffering=1) as log:
                current, hung = self.follow(process, {s.name: s for s in steps}, log)
            process.wait()
        finally:
            stop(process)
        return self.judge(steps, current, process.returncode, hung)

    def follow(self, process, by_name, log):
        """Go with a guest until it ends: (step that was running or None, whether it hung)."""
        lines, current, before, hung, out = lines_of(process), None, 0.0, False, None
        deadline = time.monotonic() + OUTSIDE
        while True:
            try:
                line = lines.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                more = current.left(used(process) - before) if current and not hung else 0
                if not more:
                    if hung:
                        return current, hung
                    hung, more = True, GRACE
                    overdue(process)
                deadline = time.monotonic() + more
                continue
            if line is None:
                return current, hung
            log.write(line + "\n")
            words = line.split()
            if words[:2] == [MARK, "begin"]:
                current = by_name[words[2]]
                current.begun, before = time.monotonic(), used(process)
                deadline = current.begun + (current.cpu or current.most())
                out = open(current.log or os.devnull, "w", encoding="utf-8", buffering=1)
                self.begin(current)
            elif words[:2] == [MARK, "end"] and current:
                current.status = int(words[3])
                self.conclude(current, "ended")
                out.close()
                current, deadline = None, time.monotonic() + OUTSIDE
            elif current:
                out.write(line + "\n")
                self.line(current, line)
            else:
                self.said = (self.said + [line])[-30:]

    def conclude(self, step, verdict, why=None):
        step.verdict, step.why = verdict, why
        step.seconds = time.monotonic() - step.begun
        self.end(step)

    def judge(self, steps, current, status, hung):
        """What the end of a guest means for the steps; returns those that are left."""
        name, running, line = blame(self.kernel_log) or (None, False, None)
        sentence = SENTENCE.get(status, f"guest/run exited with {status}")
        reached = [s for s in steps if s.verdict or s is current]
        if not reached:
            return self.nothing(steps, sentence if line is None else f"{sentence}: {line}")
        self.idle = 0
        culprit = next((s for s in steps if s.name == name), None)
        last, repeated = current or reached[-1], None
        if status == RXE_DIED:
            step = culprit or last
            step.died += 1
            if step.died <= self.again and self.repeat(step, line):
                repeated = step
                repeated.reset()
        if current and current is not repeated:
            if culprit is current:
                current.report = line
            self.conclude(current, "hung" if hung or status == TIMED_OUT else "crashed",
                          f"{sentence} while it ran" + (f": {line}" if culprit is current else ""))
        if line and culprit and running and culprit not in (current, repeated):
            culprit.verdict, culprit.report, culprit.why = "reported", line, f"kernel log: {line}"
        elif status and not (current or repeated):
            # Before the first step, between two, or at the end.
            why = sentence if line is None else f"kernel log: {line}"
            self.trouble.append(why)
            (culprit or last).after.append(why)
        for s in steps:
            if s.verdict:
                self.final(s)
        return [s for s in steps if not s.verdict]

    def nothing(self, steps, why):
        """A guest reached no step: a further one would most likely go the same way."""
        self.idle += 1
        if self.idle < self.chances:
            return steps
        self.trouble += [why, *self.said[-12:]]
        for s in steps:
            s.verdict, s.why = "unreached", why
            self.final(s)
        return []


def overdue(process):
    """As if the limit of guest/run were over: it ends the guest and judges the log."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.send_signal(signal.SIGUSR1)
        process.wait(30)
    stop(process)
