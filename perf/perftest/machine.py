# SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
"""The machine that run_perftest runs on: devices, files, other processes."""

import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

STATX_ATTR_DAX = 0x200000
PR_SET_PDEATHSIG = 1


class Impossible(Exception):
    """The whole run cannot be: one sentence with the remedy."""


def read_text(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def devices():
    try:
        return sorted(os.listdir("/sys/class/infiniband"))
    except OSError:
        return []


def gid_index(device, port):
    """The RoCEv2 GID of an IPv4 address, as perftest wants it; None: no RoCE."""
    base = pathlib.Path(f"/sys/class/infiniband/{device}/ports/{port}")
    if not base.is_dir():
        raise Impossible(f"{device} has no port {port}: give one of "
                         f"{', '.join(sorted(os.listdir(base.parent)))} with -i")
    if read_text(base / "link_layer") == "InfiniBand":
        return None
    for i in range(256):
        if not (base / "gids" / str(i)).exists():
            break
        if (read_text(base / "gids" / str(i)).startswith("0000:0000:0000:0000:0000:ffff:")
                and read_text(base / "gid_attrs/types" / str(i)) == "RoCE v2"):
            return i
    raise Impossible(f"{device} has no RoCEv2 GID of an IPv4 address: give its netdev an address, or take another "
                     "GID with -x")


def faults(device, port):
    """The device's page faults so far; None: it does not count them."""
    base = f"/sys/class/infiniband/{device}"
    for d in (f"{base}/ports/{port}/hw_counters", f"{base}/hw_counters"):
        for name in ("page_faults", "odp_faults"):
            text = read_text(f"{d}/{name}")
            if text.isdigit():
                # The kernel refreshes them every few milliseconds only.
                time.sleep(0.05)
                return int(read_text(f"{d}/{name}"))
    return None


def is_dax(path):
    """Has this file DAX in effect? The statx() system call says so."""
    answer = ctypes.create_string_buffer(256)
    statx = getattr(ctypes.CDLL(None), "statx", None)
    if not statx or statx(-100, os.fsencode(path), 0, 1, answer):
        return False
    return bool(int.from_bytes(answer.raw[8:16], sys.byteorder) & STATX_ATTR_DAX)


def beside(name):
    """One of our other programs; None: it is not built."""
    here = pathlib.Path(__file__).resolve().parent
    for d in (pathlib.Path(sys.argv[0]).parent, here, here.parents[1] / "build/perf"):
        if os.access(d / name, os.X_OK) and (d / name).is_file():
            return str(d / name)
    return shutil.which(name)


def vendor(device):
    """vendor_id and vendor_part_id, as ibv_devinfo tells them; 0 without it."""
    ids = {"vendor_id": 0, "vendor_part_id": 0}
    try:
        text = subprocess.run(["ibv_devinfo", "-d", device], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ids
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name in ids:
            ids[name] = int(value.strip(), 0)
    return ids


# --- processes -----------------------------------------------------------------


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Processes:
    """Those of one run: none of them is left when it ends, however it ends."""

    def __init__(self, directory):
        self.directory = directory
        self.all = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for p in self.all.values():
            if p.poll() is None:
                p.kill()
        for p in self.all.values():
            p.wait()

    def start(self, name, command):
        # A file, not a pipe: nobody has to empty it, and it is whole at the end.
        with open(self.directory / f"{name}.out", "wb") as out:
            p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 preexec_fn=die_with_parent)
        self.all[name] = p
        return p

    def output(self, name):
        return (self.directory / f"{name}.out").read_text(errors="replace")

    def end(self, name, patience):
        """Wait for it; kill it if it takes too long. Its status, None if killed."""
        try:
            return self.all[name].wait(patience)
        except subprocess.TimeoutExpired:
            self.all[name].kill()
            self.all[name].wait()
            return None


def free_port():
    with socket.socket() as s:
        s.bind(("", 0))
        return s.getsockname()[1]


def listens(port):
    wanted = f":{port:04X}"
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in read_text(path).splitlines()[1:]:
            words = line.split()
            if words[1].endswith(wanted) and words[3] == "0A":
                return True
    return False
