# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""One row: a server and a client of perftest, and what runs beside them."""

import collections
import json
import os
import shutil
import tempfile
import time

from figures import columns, figures, from_json, from_table, last_words, percentile, samples_of
from machine import Processes, beside, faults, free_port, gid_index, is_dax, listens

OPERATIONS = {"write": "WRITE", "read": "READ", "send": "SEND", "atomic": "FAA"}
KEYS = ("program", "odp", "mem", "evict", "size")
MIB = 1048576
EVICTED_SECONDS = 1  # what a run with an evictor should take, so that it has its turns
EVICTED_MOST = 100000  # iterations
GRACE = 5  # seconds for one end after the other has ended
HALVES = ("ib_write_lat", "ib_send_lat")  # they tell half of a round trip
NOT_VERIFIED = "bytes not verified by perftest"
REFUSED = ("Couldn't allocate MR", "Failed to create MR", "not supported", "doesn't support")

Row = collections.namedtuple("Row", KEYS)


class Unsupported(Exception):
    """This row cannot be here."""


class Failed(Exception):
    """This row should have been."""


class Wrong(Exception):
    """This row's bytes are wrong."""


def in_our_words(said):
    """A sentence of the evictor's, with run_perftest's options."""
    return (said.replace("--how", "--evict").replace("take --file", "use --mem file")
            .replace("use a larger buffer", "give a larger --size, from 1M on"))


class Runner:
    def __init__(self, options, directory):
        self.o = options
        self.directory = directory
        self.gid, self.far_gid = (
            options.gid_index if options.gid_index is not None else gid_index(device, options.port)
            for device in (options.device, options.peer))
        self.verified = {}
        self.pace = {}  # seconds of an iteration, by row without evictor

    # What makes a row impossible before anything is started.

    def directory_of(self, mem):
        if mem == "tmpfs":
            return "/dev/shm"
        if mem == "file":
            return self.o.file_dir
        if not self.o.dax_dir:
            raise Unsupported("no directory on a DAX file system: give one with --dax-dir")
        return self.o.dax_dir

    def files(self, mem, size, stack):
        """A file for each side; gone when @stack is. None: perftest's own buffer."""
        if mem == "anon":
            return None
        parent = self.directory_of(mem)
        try:
            base = stack(tempfile.mkdtemp(prefix="run_perftest.", dir=parent))
            paths = [f"{base}/server", f"{base}/client"]
            for path in paths:
                with open(path, "wb") as f:
                    os.posix_fallocate(f.fileno(), 0, max(4 * MIB, 4 * size))
        except OSError as e:
            raise Unsupported(f"no {mem} memory in {parent}: {e.strerror}: give another directory") from e
        if mem == "fsdax" and not is_dax(paths[0]):
            raise Unsupported(f"{parent} is not DAX: mount it with -o dax=always on pmem")
        return paths

    def refuse(self, row):
        if row.evict == "punch" and row.mem == "anon":
            raise Unsupported("holes are punched in files: use --mem tmpfs, file or fsdax")
        if row.evict == "punch" and row.program == "ib_write_lat":
            raise Unsupported("ib_write_lat waits for a byte in memory that punching destroys: use ib_write_bw")
        if row.mem == "fsdax" and row.evict not in ("none", "punch"):
            raise Unsupported("fsdax pages cannot be reclaimed or moved: use --evict punch")
        if row.evict != "none" and not beside("evictor"):
            raise Unsupported("evictor is not built: make -C perf evictor, and put it beside run_perftest")

    # The bytes.

    def verify(self, row):
        """Do its bytes arrive? A note; Failed with wrong=True if they do not."""
        program = beside("odp_lat")
        if self.o.no_verify or not program:
            return NOT_VERIFIED + ("" if self.o.no_verify else "; odp_lat is not built")
        op = OPERATIONS[row.program.split("_")[1]]
        what = (op, row.odp, row.mem, row.size)
        if what not in self.verified:
            self.verified[what] = self.ask_odp_lat(program, *what)
        status, why = self.verified[what]
        if status == "wrong":
            raise Wrong(f"odp_lat: {why}")
        if status == "ok":
            return f"{NOT_VERIFIED}; odp_lat found those of the same {op} right"
        return f"{NOT_VERIFIED}, nor by odp_lat: {why}"

    def ask_odp_lat(self, program, op, odp, mem, size):
        out = self.directory / "odp_lat.json"
        command = [program, "-d", self.o.device, "-i", str(self.o.port), "--op", op, "--reg",
                   "hot,cold" if odp == "yes" else "pinned", "--mem", mem, "-s", str(size), "-n", "2", "-w", "1",
                   "-p", str(free_port()), "--quiet", "--out_json", str(out), "--file-dir", self.o.file_dir]
        if self.o.gid_index is not None:
            command += ["-x", str(self.o.gid_index)]
        if self.o.peer != self.o.device:
            command += ["--peer", self.o.peer]
        if self.o.dax_dir:
            command += ["--dax-dir", self.o.dax_dir]
        out.unlink(missing_ok=True)
        with Processes(self.directory) as p:
            p.start("odp_lat", command)
            status = p.end("odp_lat", self.o.timeout)
            said = p.output("odp_lat").strip().splitlines()
        try:
            rows = json.loads(out.read_text())["rows"]
        except (OSError, ValueError, KeyError):
            return "failed", said[-1] if said else f"exit status {status}"
        for wanted in ("wrong", "failed", "unsupported"):
            for r in rows:
                if r["status"] == wanted:
                    return wanted, r["why"]
        return ("ok", "") if rows and status == 0 else ("failed", said[-1] if said else "no rows")

    # The run.

    def commands(self, row, files, port, iterations):
        """The server's and the client's."""
        c = ["-i", str(self.o.port), "-F", "-n", str(iterations), "-p", str(port)]
        if "atomic" not in row.program:
            c += ["-s", str(row.size)]
        if row.odp == "yes":
            c.append("--odp")
        if row.program.endswith("_lat"):
            c.append("-U")
        elif self.o.tx_depth:
            c += ["-t", str(self.o.tx_depth)]
        server, client = ([row.program, "-d", device, *([] if gid is None else ["-x", str(gid)]), *c]
                          for device, gid in ((self.o.peer, self.far_gid), (self.o.device, self.gid)))
        mmap = [[f"--mmap={f}"] for f in files] if files else [[], []]
        return server + mmap[0], client + mmap[1] + ["--out_json", f"--out_json_file={self.directory}/perftest.json",
                                                     "127.0.0.1"]

    def faults(self):
        """Of both devices; None: one does not count them."""
        counts = [faults(d, self.o.port) for d in {self.o.device, self.o.peer}]
        return None if None in counts else sum(counts)

    def start_server(self, p, command, port):
        p.start("server", command)
        end = time.monotonic() + self.o.timeout
        while not listens(port):
            if p.all["server"].poll() is not None:
                self.blame(p, "server")
            if time.monotonic() > end:
                raise Failed(f"the server does not listen after {self.o.timeout} s")
            time.sleep(0.01)

    def start_evictor(self, p, row, files):
        side = self.o.evict_side
        command = [beside("evictor"), "--pid", str(p.all[side].pid), "--how", row.evict, "--rate",
                   str(self.o.evict_rate), "--wait", str(self.o.timeout), "--quiet", "--out_json",
                   f"{self.directory}/evictor.json"]
        if self.o.evict_bytes != "all":
            command += ["--bytes", self.o.evict_bytes]
        # perftest's buffer is in the heap or in a mapping, as malloc() likes.
        command += ["--file", files[side == "client"]] if files else ["--range", "anonymous"]
        p.start("evictor", command)

    def blame(self, p, name):
        text = p.output(name)
        if name != "evictor" and any(r in text for r in REFUSED):
            raise Unsupported(f"{self.o.device} refuses this registration (perftest: {last_words(text)})")
        status = p.all[name].returncode
        raise Failed(f"the {name} ended with {status}: {last_words(text)}")

    def wait(self, p, row):
        """Until both ends have ended well."""
        end = time.monotonic() + self.o.timeout
        while True:
            ended = {n: q.poll() for n, q in p.all.items()}
            if ended.get("evictor") == 2 and ended["client"] is None:
                said = p.output("evictor").strip().removeprefix("evictor: ")
                raise Unsupported(in_our_words(said) or "the evictor ended without a word")
            for name in ("client", "server"):
                if ended[name]:
                    p.end("server" if name == "client" else "client", GRACE)
                    self.blame(p, name)
            if ended["client"] == 0:
                if p.end("server", GRACE) != 0:
                    raise Failed("the client ended and the server did not: " + last_words(p.output("server")))
                return
            if time.monotonic() > end:
                less = "fewer iterations with -n"
                if row.evict != "none":
                    less += ", a lower --evict-rate"
                raise Failed(f"the two ends were not ready after {self.o.timeout} s: give {less}, or more time with "
                             "--timeout")
            time.sleep(0.02)

    def evictions(self, p, row):
        """What the evictor did, for the row."""
        p.end("evictor", GRACE)
        try:
            done = json.loads((self.directory / "evictor.json").read_text())["rows"][0]
        except (OSError, ValueError, IndexError):
            raise Failed("the evictor: " + last_words(p.output("evictor"))) from None
        if done["status"] == "unsupported":
            raise Unsupported(in_our_words(done["why"]))
        if done["status"] != "ok":
            raise Failed(f"the evictor: {done['why']}: give more iterations with -n, or a higher --evict-rate")
        gone = done["extra"]["gone_pages"]
        if not gone and row.odp == "yes":
            raise Failed(f"no page went in {done['extra']['events']:g} evictions: give more iterations with -n, or a "
                         "higher --evict-rate")
        return {"evictions": done["extra"]["events"], "evicted_pages": gone}

    def once(self, row, files):
        latency = row.program.endswith("_lat")
        iterations = self.iterations(row)
        port = free_port()
        server, client = self.commands(row, files, port, iterations)
        for name in ("perftest.json", "evictor.json"):
            (self.directory / name).unlink(missing_ok=True)
        with Processes(self.directory) as p:
            self.start_server(p, server, port)
            before = self.faults()
            if row.evict != "none" and self.o.evict_side == "server":
                self.start_evictor(p, row, files)
            p.start("client", client)
            if row.evict != "none" and self.o.evict_side == "client":
                self.start_evictor(p, row, files)
            self.wait(p, row)
            extra = self.evictions(p, row) if row.evict != "none" else {}
            text = p.output("client")
        if before is not None:
            extra["faults_per_op"] = (self.faults() - before) / iterations
        results = from_json(self.directory / "perftest.json") or from_table(text, latency)
        if not results:
            raise Failed("neither perftest's JSON nor its table could be read: " + last_words(text))
        results, samples = (self.latency if latency else self.bandwidth)(results, text, row.size, iterations)
        self.remember_pace(row, results, samples)
        return results, samples, extra

    def iterations(self, row):
        """Enough for percentiles and for evictions, few enough for large sizes."""
        if self.o.iterations:
            return self.o.iterations
        n = max(100, min(1000, 64 * MIB // row.size))
        if row.evict == "none":
            return n
        # Without a row to go by: what a slow device takes.
        pace = self.pace.get(row._replace(evict="none"), 50e-6 + row.size / 1e8)
        return max(n, min(EVICTED_MOST, int(EVICTED_SECONDS / pace)))

    def remember_pace(self, row, results, samples):
        if row.program.endswith("_lat"):
            # A few samples of a starved process must not make it look slow.
            usual = min(sum(samples) / len(samples), 4 * percentile(sorted(samples), 0.5))
            self.pace[row] = usual * 1e-9 * (2 if row.program in HALVES else 1)
        else:
            self.pace[row] = 1e-6 / results["MsgRate"]

    @staticmethod
    def latency(results, text, _size, iterations):
        samples = samples_of(text)
        # perftest takes one sample less than it has iterations.
        if len(samples) < iterations - 1:
            raise Failed(f"perftest printed {len(samples)} samples of {iterations}")
        return results, samples

    @staticmethod
    def bandwidth(results, _text, size, _iterations):
        # From the message rate, which has more digits, and a MB of 10^6 bytes.
        if not results.get("MsgRate"):
            raise Failed("perftest tells no message rate: give more iterations with -n")
        return results, [results["MsgRate"] * size]

    def measure(self, row):
        """A row of the document."""
        made = []

        def remember(path):
            made.append(path)
            return path

        out = {"key": row._asdict(), "status": "ok", "unit": "ns" if row.program.endswith("_lat") else "MB/s"}
        try:
            self.refuse(row)
            files = self.files(row.mem, row.size, remember)
            note = self.verify(row)
            results, samples, extra = self.once(row, files)
            out.update(figures(samples))
            out["extra"] = {**columns(results), **extra}
            if row.program.endswith("_lat"):
                out["samples"] = samples
                if row.program in HALVES:
                    note = "half a round trip; " + note
            out["note"] = note
        except Unsupported as e:
            out.update(status="unsupported", why=str(e))
        except Wrong as e:
            out.update(status="wrong", why=str(e))
        except Failed as e:
            out.update(status="failed", why=str(e))
        finally:
            for path in made:
                shutil.rmtree(path, ignore_errors=True)
        return out
