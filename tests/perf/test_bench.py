# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""perf/bench: the plan, and how the runner lives with a guest that crashes."""

import os
import time
from unittest import mock

import guest
import plan
from guest import session
from tools import HERE, Case

LINE = "lat\ticount\tquick,full\thodp0:10,rxe0:20\todp_lat -s 8\n"

# In the place of guest/run: says what a guest says, by the steps' names.
FAKE = """#!/bin/bash
while [ "$1" != --log ]; do
	[ "$1" != --share ] || share=$2
	shift
done
log=$2
echo x >> "$share/boots"
echo "[ 1.0] hodp-guest: ready" > "$log"
for s in $(sed -n "s/^mark begin //p" <<< "${@: -1}"); do
	echo "#hodp-step begin $s" | tee -a "$log"
	case $s in
	*crash*) echo "[ 2.0] BUG: made up" >> "$log"; exit 96 ;;
	*rxe-always*) exit 95 ;;
	*rxe-once*) [ $(wc -l < "$share/boots") -gt 1 ] || exit 95 ;;
	*hang*) sleep 1000 ;;
	*spin*) while :; do :; done ;;
	*slow*) sleep 5 ;;
	*warn*) echo "[ 2.0] WARNING: made up" >> "$log"; warned=99 ;;
	esac
	case $s in *fail*) echo "no such device" > "$share/$s.log"; rc=2 ;; *) rc=1 ;; esac
	echo "#hodp-step end $s $rc" | tee -a "$log"
done
exit ${warned:-0}
"""


class Plan(Case):
    def test_parse(self):
        """plan: a line is a step per device"""
        steps = plan.parse("# comment\n\n" + LINE)
        self.assertEqual([(s.name, s.device, s.estimate) for s in steps],
                         [("icount-lat.hodp0", "hodp0", 10), ("icount-lat.rxe0", "rxe0", 20)])

    def test_bad_lines(self):
        """plan: a bad line is named"""
        for bad in ("lat\ticount\tquick\thodp0:1\n", LINE.replace("icount", "cycles"), LINE.replace("quick", "short"),
                    LINE.replace(":10", ""), LINE.replace("rxe0", "mlx5_0"), LINE + LINE):
            with self.subTest(bad):
                self.assertIn("plan.tsv:", self.dies(plan.parse, bad))

    def test_pairs(self):
        """plan: two ends of a network are made, and the program gets both"""
        steps = plan.parse(LINE.replace("hodp0:10,rxe0:20", "hodpA+hodpB:1,rxeM+hodpM:1,near+far:1,-:1"))
        self.assertEqual([guest.command_line(s).split(" --clock")[0] for s in steps], [
            "/src/guest/wires hodp -- odp_lat -s 8 -d hodpA --peer hodpB",
            "/src/guest/wires mix -- odp_lat -s 8 -d rxeM --peer hodpM",
            "/src/guest/wires hodp -- odp_lat -s 8 --netns near,far --address 10.82.0.2", "odp_lat -s 8"])
        self.assertEqual(steps[0].name, "icount-lat.hodpA+hodpB")

    def test_real(self):
        """plan: plan.tsv is well-formed, and each instrument is in it"""
        steps = plan.parse(plan.PLAN.read_text())
        programs = {s.command.split()[0] for s in steps}
        self.assertLessEqual({"odp_lat", "odp_bw", "odp_inval", "odp_reg", "odp_scale", "odp_limit", "run_perftest"},
                             programs)

    def test_limits(self):
        """plan: quick takes 8 minutes at most, full 40, by their estimates"""
        for level, most in (("quick", 8), ("full", 40)):
            steps = [s for s in plan.choose(level) if s.device != "siw0"]
            total = sum(s.estimate for s in steps) + plan.boots(steps)
            self.assertLessEqual(total, most * 60, level)
            self.assertEqual({s.mode for s in steps}, set(plan.MODES))

    def test_left(self):
        """plan: what is left follows what has passed"""
        steps = [s for s in plan.parse(LINE)]
        self.assertEqual(plan.left(steps), 30 + plan.BOOT_SECONDS["icount"])
        self.assertEqual(plan.left(steps, steps[0], 4), 26)
        steps[0].state, steps[0].seconds = "done", 20.0
        self.assertEqual(plan.left(steps), 40)
        steps[1].state, steps[1].seconds = "done", 20.0
        self.assertEqual(plan.left(steps), 0)


class Guest(Case):
    def setUp(self):
        super().setUp()
        top = self.tmp / "top"
        (top / "guest").mkdir(parents=True)
        (top / "guest/run").write_text(FAKE)
        (top / "guest/run").chmod(0o755)
        os.symlink(HERE.parents[1] / "guest/judge-log", top / "guest/judge-log")
        self.out = self.tmp / "out"
        self.out.mkdir()
        self.trouble = []
        patch = mock.patch.object(session, "TOP", top)
        patch.start()
        self.addCleanup(patch.stop)

    def go(self, *names):
        """Run to the end; {name: state}"""
        steps = plan.parse("".join(f"{n}\twall\tfull\t-:1\todp_lat\n" for n in names))
        ended = []
        guest.Boots(steps, self.out, None, lambda s: None, ended.append, self.trouble).run()
        self.boots = (self.out / "boots").read_text().count("x")
        self.steps = {s.name.removeprefix("wall-"): s for s in steps}
        self.assertEqual(len(ended), len(set(ended)))
        return {n: s.state for n, s in self.steps.items()}

    def test_good(self):
        """runner: the steps of a mode share a boot; status 1 is a result"""
        self.assertEqual(self.go("a", "b"), {"a": "done", "b": "done"})
        self.assertEqual((self.boots, self.trouble, self.steps["a"].status), (1, [], 1))

    def test_crash(self):
        """runner: a crash is that step's, and the rest goes on in a fresh boot"""
        self.assertEqual(self.go("a", "crash", "b"), {"a": "done", "crash": "crashed", "b": "done"})
        self.assertEqual(self.boots, 2)
        self.assertIn("BUG: made up", self.steps["crash"].why)

    def test_rxe(self):
        """runner: a step in which rxe's ODP crashes the kernel is run again, but not for ever"""
        self.assertEqual(self.go("a", "rxe-once", "b"), {"a": "done", "rxe-once": "done", "b": "done"})
        self.assertEqual(self.boots, 2)
        (self.out / "boots").unlink()
        self.assertEqual(self.go("a", "rxe-always", "b"), {"a": "done", "rxe-always": "crashed", "b": "done"})
        self.assertEqual(self.boots, 4)

    def test_hang(self):
        """runner: a step that hangs is ended, and the rest goes on"""
        with mock.patch.object(guest, "limit", lambda s: 2):
            begin = time.monotonic()
            self.assertEqual(self.go("hang", "b"), {"hang": "timeout", "b": "done"})
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(self.boots, 2)

    def test_spin(self):
        """runner: a step that computes for ever is ended, too"""
        with mock.patch.object(guest, "limit", lambda s: 2):
            self.assertEqual(self.go("spin", "b"), {"spin": "timeout", "b": "done"})

    def test_starved(self):
        """runner: a step that gets little CPU time has more of the clock's, but not for ever"""
        with mock.patch.object(guest, "limit", lambda s: 2), \
                mock.patch.object(session, "used", lambda process: 0.3 * time.monotonic()):
            self.assertEqual(self.go("slow", "hang"), {"slow": "done", "hang": "timeout"})

    def test_fail(self):
        """runner: a program that cannot run is named with what it said"""
        self.assertEqual(self.go("fail", "b"), {"fail": "failed", "b": "done"})
        self.assertIn("no such device", self.steps["fail"].why)

    def test_warning(self):
        """runner: a warning in the kernel log is the running step's"""
        self.assertEqual(self.go("a", "warn", "b"), {"a": "done", "warn": "crashed", "b": "done"})
        self.assertIn("WARNING: made up", self.steps["warn"].why)

    def test_no_guest(self):
        """runner: a guest that does not come up ends the run, with a reason"""
        (session.TOP / "guest/run").write_text("#!/bin/bash\necho boo\nexit 97\n")
        steps = plan.parse(LINE)
        guest.Boots(steps, self.out, None, None, None, self.trouble).run()
        self.assertEqual([s.state for s in steps], ["missing", "missing"])
        self.assertIn("set up", steps[0].why)

    def test_interrupt(self):
        """runner: an interruption leaves no process behind"""
        steps = plan.parse("hang\twall\tfull\t-:1\todp_lat\n")
        seen = []

        def begin(step):
            seen.append(step)
            raise KeyboardInterrupt
        made = []
        popen = session.subprocess.Popen

        def remember(*args, **more):
            made.append(popen(*args, **more))
            return made[-1]
        with mock.patch.object(session.subprocess, "Popen", remember), self.assertRaises(KeyboardInterrupt):
            guest.Boots(steps, self.out, None, begin, None, self.trouble).run()
        self.assertEqual(len(seen), 1)
        self.assertIsNotNone(made[0].poll())
