# SPDX-License-Identifier: ISC
"""A PostgreSQL cluster for the length of a test run.

The cluster belongs to a keeper: this very file, run as a program of its own
session.  It makes the cluster, says in one line of JSON where it is, and waits
for the end of its standard input.  However the process that asked for the
cluster ends, by its last line, by a signal or by kill -9, the pipe closes and
the keeper stops the server and removes every file.

Everything a test writes lies below the cluster's directory and goes with it.
"""

import errno
import fcntl
import json
import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

VARIABLE = "PGPUSH_TEST_CLUSTER"

SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
max_connections = 200
max_prepared_transactions = 10
max_wal_size = '2GB'
wal_keep_size = '1GB'
shared_buffers = '64MB'
autovacuum = on
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
lc_messages = 'C'
timezone = 'Asia/Kathmandu'
"""

# What a replica has besides: it is quick to connect again.
REPLICA = """
hot_standby = on
wal_retrieve_retry_interval = '100ms'
"""

# A zone with 5:45 of offset: a time that is printed in the server's zone
# instead of UTC is wrong in every digit.


_reserved = []          # sockets whose names are ports that we have chosen


def reserve(port):
    """Whether no other test has chosen it; none will while we live.

    Between the choice and the bind, and while what listens there is stopped,
    the port itself is free for anybody.
    """
    s = socket.socket(socket.AF_UNIX)
    try:
        s.bind("\0pgpush-test-port-%d" % port)
    except OSError as e:
        s.close()
        return e.errno != errno.EADDRINUSE  # there may be no such names
    _reserved.append(s)
    return True


def free_port():
    """A port nobody listens on, below the range for outgoing connections.

    It stays ours until this process ends.
    """
    rng = random.Random(os.urandom(8))
    for _ in range(1000):
        port = rng.randrange(20000, 32000)
        if not reserve(port):
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port between 20000 and 32000")


def bindir():
    """The newest PostgreSQL's own programs."""
    given = os.environ.get("PGPUSH_PG_BINDIR")
    if given:
        return given
    base = "/usr/lib/postgresql"
    found = []
    if os.path.isdir(base):
        for name in os.listdir(base):
            path = os.path.join(base, name, "bin")
            if os.path.exists(os.path.join(path, "initdb")):
                found.append((float(re.sub(r"[^0-9.]", "", name) or 0), path))
    if found:
        return max(found)[1]
    initdb = shutil.which("initdb")
    if initdb is None:
        raise RuntimeError("no initdb: is PostgreSQL's server installed?")
    return os.path.dirname(os.path.realpath(initdb))


def as_postgres(command):
    """The command as somebody PostgreSQL's programs agree to run for."""
    if os.geteuid() != 0:
        return command
    return ["runuser", "-u", "postgres", "--"] + command


def run_quiet(command, what):
    done = subprocess.run(as_postgres(command), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/")
    if done.returncode != 0:
        raise RuntimeError("%s failed:\n%s" % (what,
            done.stdout.decode(errors="replace")))


class Cluster:
    """Where a cluster is and how to stop and start it."""

    def __init__(self, where, keeper=None):
        self.where = where
        self.dir = where["dir"]
        self.data = where["data"]
        self.port = where["port"]
        self.bin = where["bin"]
        self.keeper = keeper    # None: somebody else's

    def dsn(self, dbname, user, tcp=True):
        """A connection string; over the Unix socket if not tcp."""
        return "host=%s port=%d dbname=%s user=%s" % (
            "127.0.0.1" if tcp else self.dir, self.port, dbname, user)

    def pg_ctl(self, *args):
        command = [os.path.join(self.bin, "pg_ctl"), "-D", self.data, "-s",
            "-w", "-t", "180", "-l", os.path.join(self.dir, "postgres.log")]
        run_quiet(command + list(args), "pg_ctl " + args[0])

    def stop(self, mode="fast"):
        self.pg_ctl("stop", "-m", mode)

    def start(self):
        self.pg_ctl("start")

    def restart(self, mode="fast"):
        self.pg_ctl("restart", "-m", mode)

    def log(self):
        try:
            with open(os.path.join(self.dir, "postgres.log"),
                errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def lock(self):
        """A lock over all tests of this cluster, as a context."""
        return _Lock(os.path.join(self.dir, "lock"))

    def work(self, name):
        """A fresh directory below the cluster's."""
        return tempfile.mkdtemp(prefix=name + ".", dir=self.dir)

    def close(self):
        """Stop and remove it, if it is ours."""
        if self.keeper is not None:
            self.keeper.stdin.close()
            self.keeper.wait()
            self.keeper.stdout.close()
            self.keeper = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class Replica(Cluster):
    """A cluster that is a streaming replica of another, until promote()."""

    def __init__(self, where, keeper=None):
        super().__init__(where, keeper)
        self.source = self.ask("SHOW primary_conninfo")

    def ask(self, text, cluster=None):
        """One value, from a connection of its own to this cluster."""
        from . import database
        rows = database.admin(cluster or self, text)
        return rows[0][0] if rows else None

    def until(self, text, what, limit=60):
        """Until a query of one boolean says true."""
        from .tap import wait_for
        wait_for(lambda: self.ask(text), what, limit)

    def receiving(self):
        """Until it streams from its primary."""
        self.until("SELECT count(*) > 0 FROM pg_stat_wal_receiver WHERE "
            "status = 'streaming'", "the replica to stream")

    def stop_receiving(self):
        """Cut it off from its primary: what is written now it never sees."""
        self.set_source("")
        self.until("SELECT count(*) = 0 FROM pg_stat_wal_receiver",
            "the replica to be cut off")

    def receive_again(self):
        self.set_source(self.source)
        self.receiving()

    def set_source(self, conninfo):
        self.ask("ALTER SYSTEM SET primary_conninfo = '%s'"
            % conninfo.replace("'", "''"))
        self.ask("SELECT pg_reload_conf()")

    def wait_replayed(self, primary, limit=60):
        """Until it shows what the primary has committed up to now."""
        at = self.ask("SELECT pg_current_wal_lsn()", primary)
        self.until("SELECT pg_last_wal_replay_lsn() >= '%s'" % at,
            "the replica to replay up to " + at, limit)

    def pause_replay(self):
        """It goes on receiving, but shows nothing new."""
        self.ask("SELECT pg_wal_replay_pause()")
        self.until("SELECT pg_get_wal_replay_pause_state() = 'paused'",
            "the replay to pause")

    def resume_replay(self):
        self.ask("SELECT pg_wal_replay_resume()")

    def promote(self):
        """Make it a primary, on a new timeline, that can be written to."""
        self.pg_ctl("promote")
        self.until("SELECT NOT pg_is_in_recovery()", "the promotion")


class _Lock:
    def __init__(self, path):
        self.path = path
        self.file = None

    def __enter__(self):
        self.file = open(self.path, "a")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *unused):
        self.file.close()


def keep(order):
    """A keeper that has made what the order says: (where it is, keeper)."""
    keeper = subprocess.Popen([sys.executable, os.path.abspath(__file__)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        close_fds=True)
    keeper.stdin.write(json.dumps(order).encode() + b"\n")
    keeper.stdin.flush()
    line = keeper.stdout.readline()
    if not line:
        raise RuntimeError("no cluster: its keeper ended with status %s"
            % keeper.wait())
    return json.loads(line), keeper


def make(settings="", top="/tmp"):
    """A new cluster below that directory, with a keeper of its own."""
    return Cluster(*keep({"settings": settings, "top": top}))


def replica(primary, settings=""):
    """A new streaming replica, hot standby, with a keeper of its own."""
    r = Replica(*keep({"settings": settings, "primary": primary.where}))
    r.receiving()
    return r


def dsn_of(clusters, dbname, user, **more):
    """One connection string with several hosts, in this order."""
    text = "host=%s port=%s dbname=%s user=%s" % (
        ",".join("127.0.0.1" for _ in clusters),
        ",".join(str(c.port) for c in clusters), dbname, user)
    for key, value in more.items():
        text += " %s=%s" % (key, value)
    return text


def get():
    """The cluster of this run; a new one if there is none yet."""
    where = os.environ.get(VARIABLE)
    if where:
        return Cluster(json.loads(where))
    return make()


# ---- the keeper ------------------------------------------------------------

def keeper_make(order):
    top = tempfile.mkdtemp(prefix="pgpush-test.",
        dir=order.get("top", "/tmp"))
    where = {"dir": top, "data": os.path.join(top, "data"),
        "port": free_port(), "bin": bindir()}
    try:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(top, user.pw_uid, user.pw_gid)
        primary = order.get("primary")
        if primary is None:
            run_quiet([os.path.join(where["bin"], "initdb"), "-D",
                where["data"], "-U", "postgres", "-A", "trust", "-E", "UTF8",
                "--no-locale", "--no-sync"], "initdb")
        else:
            run_quiet([os.path.join(where["bin"], "pg_basebackup"), "-D",
                where["data"], "-R", "-X", "stream", "-c", "fast",
                "--no-sync", "-d", "host=%s port=%d user=postgres"
                % (primary["dir"], primary["port"])], "pg_basebackup")
        with open(os.path.join(where["data"], "postgresql.conf"), "a") as f:
            f.write(SETTINGS if primary is None else REPLICA)
            f.write("port = %d\n" % where["port"])
            f.write("unix_socket_directories = '%s'\n" % top)
            f.write(order["settings"])
        Cluster(where).start()
    except Exception:
        keeper_end(where)
        raise
    return where


def running(pid):
    """A process that has not ended; a zombie has."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def keeper_end(where):
    try:
        with open(os.path.join(where["data"], "postmaster.pid")) as f:
            pid = int(f.readline())
    except (OSError, ValueError):
        pid = 0
    if pid > 0:
        for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            try:
                os.kill(pid, sig)
                end = time.monotonic() + 10
                while running(pid) and time.monotonic() < end:
                    time.sleep(0.02)
            except ProcessLookupError:
                break
            if not running(pid):
                break
    shutil.rmtree(where["dir"], ignore_errors=True)


def keeper_main():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(sig, signal.SIG_IGN)
    where = keeper_make(json.loads(sys.stdin.readline()))
    try:
        print(json.dumps(where), flush=True)
        while sys.stdin.read(4096):
            pass
    except OSError:
        pass
    finally:
        keeper_end(where)


if __name__ == "__main__":
    keeper_main()
