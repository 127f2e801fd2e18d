#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""guest.py PROGRAMS OUT.json DEVICE...: the demo's part inside the guest.

Runs the steps one after the other, tells its progress, and writes what it saw
to OUT.json after each of them, so that a run which is cut short leaves what it
had. Nothing is judged here but whether a step could be done at all: report.py
judges. A step that raises is "failed" and the next one goes on.
"""

import json
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

KIB, MIB = 1024, 1024 * 1024
SIZES = (8, 4 * KIB, 64 * KIB, MIB)
# Few, because emulation is slow; fewer of the larger ones.
ITERATIONS = {
    "ib_write_lat": {8: 200, 4 * KIB: 200, 64 * KIB: 50, MIB: 10},
    "ib_write_bw": {8: 500, 4 * KIB: 300, 64 * KIB: 100, MIB: 10},
}
# Both sides of ib_write_lat spin. Where they, or a kernel worker and they, have
# to share a CPU, a latency is the scheduler's slice, of 2 to 4 ms: no property
# of the device. Such a row is measured again, on either device alike.
SLICE_US, SLICE_LARGEST = 1500, 64 * KIB
TRIES, MORE_TRIES = 3, 12  # of a row, and beyond the first of all rows
NETDEVS = {"hodp0": ("hmm_odp", "hodp-net0"), "rxe0": ("rxe", "hodp-net1")}
DAX = pathlib.Path("/mnt/dax")
TRANSFERS, CONTROL, SEED = 1000, 200, 2026
WIRE_TRANSFERS = 300
WIRES_PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "guest/wires"
PERFTEST_PORT = 18515
# The network: a device of the demo stands for these two ends, by guest/wires.
WIRES = {"hodp0": ("hodp", "hodpA", "hodpB"), "rxe0": ("rxe", "rxeA", "rxeB")}
# Both drivers: who asks, who answers; rxe's memory is pinned, for its ODP is wrong.
MIXED = {"hodp0": ("hodpM,rxeM", "odp,pinned"), "rxe0": ("rxeM,hodpM", "pinned,odp")}
WIRE_SIZES = {"ib_write_lat": (8, 64 * KIB), "ib_write_bw": (64 * KIB, MIB)}


class Failed(Exception):
    """A step cannot go on; the text says why."""


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"


def run(*command, timeout=60):
    """Run it and return what it printed; raise Failed if it did not succeed."""
    words = " ".join(map(str, command))
    try:
        done = subprocess.run(list(map(str, command)), timeout=timeout, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        raise Failed(f"{words}: not done after {timeout} s") from None
    except OSError as error:
        raise Failed(f"{words}: {error}") from None
    if done.returncode:
        raise Failed(f"{words}: status {done.returncode}, {last_line(done.stderr or done.stdout)}")
    return done.stdout


def run_json(*command, timeout=60):
    return json.loads(run(*command, timeout=timeout))


def wait_for(what, test, seconds=10):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise Failed(f"{what}: not there after {seconds} s")
        time.sleep(0.02)


def ipv4_gid(device):
    """The index of the GID of an IPv4 address."""
    gids = pathlib.Path(f"/sys/class/infiniband/{device}/ports/1/gids")
    for path in sorted(gids.iterdir(), key=lambda p: int(p.name)):
        if path.read_text().startswith("0000:0000:0000:0000:0000:ffff:") and "v2" in \
                (gids.parent / "gid_attrs/types" / path.name).read_text():
            return int(path.name)
    raise Failed(f"{device} has no RoCE v2 GID of an IPv4 address")


def listening(port):
    """Whether somebody listens on a TCP port."""
    return bool(run("ss", "-Htln", f"sport = :{port}"))


def two_sided(server, client, port=PERFTEST_PORT, timeout=30):
    """Run both sides of a test on this machine.

    Both spin while they wait, so each gets a CPU of its own: on one they would
    change places at each tick of the scheduler only.
    Returns (None, client's output), or (why it failed, all output)."""
    def start(command):
        cpu = len(sides) % os.cpu_count()
        return subprocess.Popen(list(map(str, ("taskset", "-c", cpu, *command))), text=True, errors="replace",
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    sides = []
    sides.append(start(server))
    try:
        wait_for("server", lambda: listening(port) or sides[0].poll() is not None)
        if sides[0].poll() is None:
            sides.append(start(client))
        end = time.monotonic() + timeout
        # The client first: when it is gone, the server ends by itself.
        outputs = [side.communicate(timeout=max(1, end - time.monotonic()))[0] for side in reversed(sides)]
    except subprocess.TimeoutExpired:
        return f"not done after {timeout} s", ""
    finally:
        for side in sides:
            if side.poll() is None:
                side.send_signal(signal.SIGKILL)
                side.wait()
    output = "\n".join(outputs)
    if len(sides) < 2 or any(side.returncode for side in sides):
        return complaint(output), output
    return None, outputs[0]


def complaint(output):
    """The line of a test's output that says most about a failure."""
    for line in output.splitlines():
        if any(word in line.lower() for word in ("couldn't", "failed", "error", "invalid", "cannot", "unable")):
            return line.strip()
    return last_line(output)


def says_nothing(row):
    """A run whose figure is none of the device's: a slice, or perftest's own 0."""
    if row["error"]:
        return False
    return not row["value"] or (row["test"] == "ib_write_lat" and row["size"] <= SLICE_LARGEST
                                and row["value"] > SLICE_US)


class Demo:
    def __init__(self, programs, out, devices):
        self.programs, self.out, self.devices = pathlib.Path(programs), out, devices
        self.gids = {}
        self.again = MORE_TRIES
        self.raw = {"kernel": platform.release(), "cpus": os.cpu_count(), "devices": devices, "steps": []}

    def save(self):
        pathlib.Path(self.out).write_text(json.dumps(self.raw, indent=1) + "\n")

    def note(self, text):
        print(f"        {text}", flush=True)

    # --- steps ---------------------------------------------------------------

    def make_devices(self):
        """rdma link delete, rdma link add"""
        links = self.raw["links"] = {}
        for device in self.devices:
            kind, netdev = NETDEVS[device]
            run("rdma", "link", "delete", device)
            command = ("rdma", "link", "add", device, "type", kind, "netdev", netdev)
            begin = time.monotonic()
            run(*command)
            gids = pathlib.Path(f"/sys/class/infiniband/{device}/ports/1/gids")
            wait_for(f"{device}: GID of the IPv4 address",
                     lambda: any("ffff:0a4d" in gid.read_text() for gid in gids.iterdir()))
            links[device] = {"command": " ".join(command), "seconds": round(time.monotonic() - begin, 3)}
            self.note(links[device]["command"])

    def crashed(self, device):
        """The tries that an earlier guest's kernel did not outlive, by demo/run."""
        path = pathlib.Path(self.out).with_name("crashed")
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.removeprefix(device + ": ") for line in lines if line.startswith(device + ": ")]

    def capabilities(self):
        """what each says of ODP, and what comes of it"""
        caps = self.raw["capabilities"] = {}
        for device in self.devices:
            caps[device] = run_json(self.programs / "odp_caps", device, "/var/tmp", *self.crashed(device))
            self.gids[device] = caps[device]["gid_index"]
            results = [t["result"] for t in caps[device]["tries"]]
            self.note(f"{device}: {results.count('works')} of {len(results)} kinds of use work")

    def pingpong(self):
        """ibv_rc_pingpong -o (explicit ODP), -o -P (prefetch), -O (implicit ODP)"""
        rows = self.raw["pingpong"] = []
        for options in (("-o",), ("-o", "-P"), ("-O",)):
            for device in self.devices:
                command = ("ibv_rc_pingpong", "-d", device, "-g", self.gids.get(device, 1), "-n", 100, *options)
                error, output = two_sided(command, (*command, "localhost"))
                rows.append({"device": device, "options": " ".join(options), "command": " ".join(map(str, command)),
                             "error": error, "result": "" if error else last_line(output)})
                self.note(f"{device} {' '.join(options):5} {rows[-1]['error'] or rows[-1]['result']}")

    def perftest_one(self, device, test, memory, size, wire):
        result = pathlib.Path("/tmp/perftest.json")
        result.unlink(missing_ok=True)
        command = ["-F", "-s", size, "-n", ITERATIONS[test][size]]
        if memory != "pinned" and memory != "DAX file, pinned":
            command.append("--odp")
        near, far = WIRES[device][1:] if wire else (device, device)
        server, client = ([test, "-d", d, "-x", self.gids.get(d, 1), *command] for d in (far, near))
        files = [["--mmap", DAX / f"perftest{i}"] if memory.startswith("DAX") else [] for i in (0, 1)]
        error, output = two_sided(server + files[0],
                                  [*client, *files[1], "--out_json", f"--out_json_file={result}", "localhost"])
        row = {"device": device, "test": test, "memory": memory, "size": size,
               "iterations": ITERATIONS[test][size], "command": " ".join(map(str, client))}
        if error is None:
            try:
                # perftest writes nan where it has too few samples.
                text = re.sub(r"-?\bnan\b", "null", result.read_text())
                found = json.loads(text)["results"]
            except (OSError, ValueError, KeyError) as problem:
                error = f"no result: {problem!r}"
            else:
                if test == "ib_write_lat":
                    row |= {"unit": "µs", "value": found["t_typical"], "min": found["t_min"]}
                else:
                    row |= {"unit": "MiB/s", "value": found["BW_average"], "messages": found["MsgRate"] * 1e6}
        if error or not row["value"]:
            row["output"] = output.splitlines()
        row["error"] = error
        return row

    def perftest_row(self, device, test, memory, size, wire=False):
        """The best of up to TRIES runs; almost always of one."""
        runs = [self.perftest_one(device, test, memory, size, wire)]
        while says_nothing(runs[-1]) and len(runs) < TRIES and self.again:
            self.again -= 1
            runs.append(self.perftest_one(device, test, memory, size, wire))
        # A run that fails stays a failure, whatever the others say.
        row = next((r for r in runs if r["error"]), None) or min(runs, key=lambda r: r["value"] or float("inf"))
        row["dropped"] = [{k: r.get(k) for k in ("value", "output")} for r in runs if r is not row]
        if not row["error"] and not row["value"]:
            row["error"] = f"{row['value']} {row['unit']} is no figure"
        to = self.raw["network"] if wire else self.raw
        to.setdefault("perftest", []).append(row)
        return row

    def perftest(self, test, memories, sizes=SIZES, wire=False):
        for size in sizes:
            for memory in memories:
                words = []
                for device in self.devices:
                    # perftest waits for bytes that rxe's ODP puts elsewhere.
                    if wire and device == "rxe0" and memory != "pinned":
                        continue
                    row = self.perftest_row(device, test, memory, size, wire)
                    words.append(f"{device} " + (row["error"] or f"{row['value']:g} {row['unit']}"))
                self.note(f"{size:>8} B {memory:8} " + ", ".join(words))

    def latency(self):
        """perftest latency: ib_write_lat, pinned and ODP"""
        self.perftest("ib_write_lat", ("pinned", "ODP"))

    def bandwidth(self):
        """perftest bandwidth: ib_write_bw, pinned and ODP"""
        self.perftest("ib_write_bw", ("pinned", "ODP"))

    def dax_perftest(self):
        """perftest on files of a DAX filesystem (ext4, dax=always)"""
        run("mkfs.ext4", "-q", "-b", "4096", "/dev/pmem0")
        DAX.mkdir(exist_ok=True)
        run("mount", "-o", "dax=always", "/dev/pmem0", DAX)
        for i in (0, 1):
            (DAX / f"perftest{i}").write_bytes(bytes(4 * MIB))
        for device in self.devices:
            row = self.perftest_row(device, "ib_write_lat", "DAX file, pinned", 4 * KIB)
            self.note(f"{device} pinned: " + (row["error"] or "registered, though nobody may pin it"))
        for test in ITERATIONS:
            self.perftest(test, ("DAX file",))

    def dax_story(self):
        """a DAX file: register, WRITE, read(2), truncate, extend, remount"""
        self.raw["dax"] = self.story({d: d for d in self.devices})

    def story(self, ends):
        """@ends: what dax_story gets, by device."""
        story = {}
        for device in self.devices:
            path, expected = DAX / f"story-{device}", pathlib.Path(f"/tmp/expected-{device}")
            story[device] = run_json(self.programs / "dax_story", ends[device], path, expected)
        run("umount", DAX)
        run("mount", "-o", "dax=always", "/dev/pmem0", DAX)
        for device in self.devices:
            got = (DAX / f"story-{device}").read_bytes()
            want = pathlib.Path(f"/tmp/expected-{device}").read_bytes()
            wrong = abs(len(got) - len(want)) + sum(a != b for a, b in zip(got, want))
            story[device]["steps"].append({
                "step": "unmount, mount, compare the file", "result": "wrong" if wrong else "ok",
                "detail": f"{wrong} of {len(want)} bytes wrong"})
            for step in story[device]["steps"]:
                self.note(f"{device}: {step['result']:6} {step['step']}: {step['detail']}")
        return story

    def byte_check(self):
        """1,000 random ODP transfers, every byte compared"""
        rows = self.raw["bytes"] = []
        for device in self.devices:
            for memory, transfers in (("odp", TRANSFERS), ("pinned", CONTROL)):
                row = run_json(self.programs / "byte_check", device, memory, transfers, SEED, timeout=90)
                rows.append(row)
                self.note(f"{device} {memory}: {row['right']} of {row['transfers']} right")
        counters = self.raw["counters"] = {}
        for device in self.devices:
            got = json.loads(run("rdma", "-j", "statistic", "show", "link", f"{device}/1") or "[]")
            counters[device] = got[0] if got else {}

    def first_program(self):
        """the first program of the README, on a DAX file"""
        rows = self.raw["first"] = []
        want = b"written by RDMA\n"
        for device in self.devices:
            path = DAX / f"first-{device}"
            path.write_bytes(bytes(4 * KIB))
            run(self.programs / "first", device, path)
            got = path.read_bytes()[:len(want)]
            rows.append({"device": device, "right": got == want})
            self.note(f"{device}: {got!r}")

    def network_bytes(self, what, ends, memory):
        rows = self.raw["network"].setdefault("bytes", [])
        for device in self.devices:
            row = run_json(self.programs / "byte_check", ends[device], memory[device], WIRE_TRANSFERS, SEED, timeout=90)
            rows.append(row | {"device": device, "ends": ends[device], "what": what})
            self.note(f"{ends[device]} {memory[device]}: {row['right']} of {row['transfers']} right")

    def network(self):
        """a network: two namespaces, perftest, a DAX file at the far end, every byte compared"""
        self.raw["network"] = {}
        both = len(self.devices) == 2
        wires = [WIRES[d][0] for d in self.devices] + ["mix"] * both
        run(WIRES_PROGRAM, *wires, "--", "true")
        for name in [n for d in self.devices for n in WIRES[d][1:]]:
            self.gids[name] = ipv4_gid(name)
        for test, sizes in WIRE_SIZES.items():
            self.perftest(test, ("pinned", "ODP", "DAX file"), sizes, wire=True)
        ends = {d: ",".join(WIRES[d][1:]) for d in self.devices}
        self.raw["network"]["dax"] = self.story(ends)
        for memory in ("odp", "pinned"):
            self.network_bytes(memory, ends, dict.fromkeys(self.devices, memory))
        if both:
            self.network_bytes("mixed", *({d: MIXED[d][i] for d in self.devices} for i in (0, 1)))

    STEPS = (make_devices, capabilities, pingpong, latency, bandwidth, dax_perftest, dax_story, byte_check,
             first_program, network)

    def all(self):
        for number, step in enumerate(self.STEPS, 1):
            # The last step is mpi.py's, in another guest.
            print(f"[{number}/{len(self.STEPS) + 1}] {step.__doc__}", flush=True)
            begin, error = time.monotonic(), None
            try:
                step(self)
            except (Failed, OSError, ValueError, KeyError) as problem:
                error = str(problem) or repr(problem)
                self.note(f"FAILED: {error}")
            self.raw["steps"].append({"title": step.__doc__, "error": error,
                                      "seconds": round(time.monotonic() - begin, 1)})
            self.save()


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    Demo(sys.argv[1], sys.argv[2], sys.argv[3:]).all()
