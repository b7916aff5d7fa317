# SPDX-License-Identifier: ISC
"""Where a run takes place: the cluster, the load client, the feeder."""

import fcntl
import mmap
import os
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(HERE)
VAR = os.path.join(os.environ.get("PUSH_VAR") or os.path.join(TOP, "var"),
    "bench")
sys.path.insert(0, os.path.join(TOP, "tests"))

from lib import cluster as clusters                         # noqa: E402
from lib import database, jwt                               # noqa: E402
from lib.daemon import die_with_parent                      # noqa: E402

LIMIT = 90              # seconds for an answer of a program of ours
TOKENS = 20000

# flush.c is the disk: so fsync is on, and costs what it is told to.
SETTINGS = """
fsync = on
full_page_writes = on
wal_sync_method = fdatasync
max_wal_size = '8GB'
checkpoint_timeout = '1h'
shared_buffers = '512MB'
timezone = 'UTC'
"""


class Trouble(Exception):
    """A figure that would not be worth anything."""


def cpu_s(pid):
    """User and system time of a process, all its threads."""
    return time.clock_gettime((~pid << 3) | 2)


def children(pid):
    """The processes that a process has made."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    if int(f.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(name))
            except OSError:
                pass
    return found


def rss_kb(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def end(process, limit=30):
    """SIGTERM, and SIGKILL if that does not help."""
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def spawn(command, logname, env=None, **more):
    """A program whose errors go to a log of that name."""
    with open(os.path.join(VAR, "log", logname), "ab") as log:
        return subprocess.Popen(command, stderr=log, env=env,
            preexec_fn=die_with_parent, **more)


def tail(logname):
    with open(os.path.join(VAR, "log", logname), errors="replace") as f:
        return f.read()[-2000:]


class Place:
    """One cluster for the whole run, with a disk of known speed."""

    def __init__(self):
        os.makedirs(os.path.join(VAR, "log"), exist_ok=True)
        self.lock = open(os.path.join(VAR, "lock"), "w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("bench: another run is under way in " + VAR)
        for name in os.listdir(os.path.join(VAR, "log")):
            os.unlink(os.path.join(VAR, "log", name))
        self.fifo = os.path.join(VAR, "credits")
        if os.path.exists(self.fifo):
            os.unlink(self.fifo)
        os.mkfifo(self.fifo)
        self.tokens = os.path.join(VAR, "tokens")
        with open(self.tokens, "w") as f:
            for k in range(TOKENS):
                f.write(jwt.mint({"sub": str(k), "name": "User %d" % k,
                    "role": "client"}, exp=24 * 3600) + "\n")
        self.cluster = self.make_cluster()
        self.db = database.Database(self.cluster)
        self.version = self.sql("SHOW server_version")[0][0]
        database.psql(self.cluster, self.db.name, "app_owner",
            path=os.path.join(HERE, "app.sql"))

    def make_cluster(self):
        path = os.path.join(VAR, "flush")
        with open(path, "wb") as f:
            f.write(bytes(mmap.PAGESIZE))
        with open(path, "r+b") as f:
            self.delay = mmap.mmap(f.fileno(), mmap.PAGESIZE)
        os.environ["PGPUSH_BENCH_FLUSH"] = path
        os.environ["LD_PRELOAD"] = os.path.join(VAR, "flush.so")
        try:
            return clusters.make(SETTINGS, VAR)
        finally:
            del os.environ["LD_PRELOAD"]

    def flush_us(self, us):
        """How long a flush takes from now on."""
        self.delay[:4] = struct.pack("=I", us)

    def dsn(self, user):
        return self.db.dsn(user, tcp=False)

    def sql(self, text, *args):
        return self.db.query("postgres", text, *args)

    def postmaster(self):
        with open(os.path.join(self.cluster.data, "postmaster.pid")) as f:
            return int(f.readline())

    def backends(self):
        """PostgreSQL's processes, and the CPU seconds of each."""
        return {pid: cpu_s(pid) for pid in children(self.postmaster())}

    def used_s(self, before):
        """What those that are there now have used since."""
        return sum(s - before.get(pid, 0)
            for pid, s in self.backends().items())

    def clean(self):
        """As after the installation: nothing kept by the last workload."""
        self.sql("TRUNCATE bench.events, bench.notified, bench.silent")
        self.sql("TRUNCATE pgpush.log")
        self.sql("UPDATE pgpush.floor SET id = 0")
        self.sql("SELECT setval('pgpush.log_id_seq', 1)")
        self.sql("DELETE FROM pgpush.outbox")   # of a daemon that was killed
        self.sql("VACUUM pgpush.outbox")
        self.sql("CHECKPOINT")

    def close(self):
        self.db.close()
        self.cluster.close()


def answer(process, what, logname):
    """The lines up to the one that is a dot, as numbers."""
    found = {}
    while True:
        line = process.stdout.readline().decode()
        if not line:
            raise Trouble("%s ended: %s" % (what, tail(logname)))
        if line == ".\n":
            return found
        key, _, value = line.strip().partition(" ")
        found[key] = float(value)


class Load:
    """The load client with its connections; setup has what that has cost."""

    def __init__(self, place, server, connections, group=None, more=(),
            strict=True, parallel=128):
        command = [os.path.join(VAR, "wsload"),
            "--connections", str(connections),
            "--group", str(group or connections), "--tokens", place.tokens,
            "--parallel", str(parallel), "--credit-to", place.fifo]
        for pid in server.pids():
            command += ["--pid", "server=%d" % pid]
        self.fanout = group or connections
        self.process = spawn(command + list(more) + server.load_args(),
            "wsload", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            self.setup = answer(self.process, "wsload", "wsload")
            if strict and self.setup["failed"]:
                raise Trouble("%d of %d connections to %s failed: %s" % (
                    self.setup["failed"], connections, server.name,
                    tail("wsload")))
        except BaseException:
            self.close()
            raise

    def measure(self, **numbers):
        line = "measure " + " ".join("%s=%s" % pair
            for pair in numbers.items()) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        return answer(self.process, "wsload", "wsload")

    def close(self):
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        end(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Feed:
    """The feeder; sends what the load client asks for, or at a rate."""

    def __init__(self, place, server, rooms=1, batch=1, size=300, rate=None,
            seconds=120):
        command = [os.path.join(VAR, "feed"), "--prefix", "room:",
            "--rooms", str(rooms), "--batch", str(batch),
            "--pad", str(max(1, size - server.overhead)),
            "--seconds", str(seconds)]
        command += ["--rate", str(rate)] if rate else ["--from", place.fifo]
        self.process = None
        drain(place.fifo)
        if server.feed_args() is None:      # it is its own feeder
            return
        self.process = spawn(command + server.feed_args(), "feed",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.close()
            raise Trouble("feed: " + tail("feed"))

    def close(self):
        if self.process is None:
            return
        died = self.process.poll()
        end(self.process)
        if died:
            raise Trouble("feed ended by itself: " + tail("feed"))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def drain(fifo):
    """Nothing that was asked for by somebody else."""
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        while os.read(fd, 65536):
            pass
    except BlockingIOError:
        pass
    os.close(fd)
