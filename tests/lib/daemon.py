# SPDX-License-Identifier: ISC
"""One pgpushd: its configuration, its process, its log."""

import ctypes
import os
import re
import signal
import subprocess
import time

from . import database
from .cluster import free_port
from .jwt import SECRET
from .tap import Failed, diag
from .web import request

READY = 60.0            # seconds: sanitizers make a start slow
STOP = 60.0

REPORT = re.compile(r"ERROR: \w*Sanitizer|SUMMARY: \w*Sanitizer"
    r"|: runtime error: |WARNING: \w*Sanitizer")
ASKED = re.compile(r'\bconn=(\d+) method="GET" path="/(?:readyz|healthz)"')
CONN = re.compile(r"\bconn=(\d+) ")


def die_with_parent():
    """Also after kill -9 of the test nothing stays behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


made = []               # all daemons of this process


class Daemon:
    """A daemon on a free port.  Settings are those of pgpushd.conf(5)."""

    def __init__(self, cluster, dsn, **settings):
        self.cluster = cluster
        self.dir = cluster.work("pgpushd")
        self.port = free_port()
        self.conf = os.path.join(self.dir, "pgpushd.conf")
        self.logfile = os.path.join(self.dir, "log")
        self.settings = {
            "listen": "127.0.0.1:%d" % self.port,
            "database": dsn,
            "jwt_secret": SECRET,
            "sql_dir": os.path.join(database.SRCDIR, "sql"),
            "log_level": "debug",
        }
        self.settings.update(settings)
        self.environment = {}
        self.process = None
        self.trouble = []       # ends that were not as they should be
        made.append(self)

    def write_conf(self):
        with open(self.conf, "w") as f:
            os.chmod(self.conf, 0o600)
            for key, value in self.settings.items():
                if value is not None:
                    f.write("%s = %s\n" % (key, value))

    def start(self, ready=True, stderr=None):
        """stderr: a descriptor in the place of the log file."""
        self.write_conf()
        env = database.clean_environment()
        env["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99:" \
            "quarantine_size_mb=8"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        env.update(self.environment)
        with open(self.logfile, "ab") as log:
            self.process = subprocess.Popen(
                [database.pgpushd(), "-c", self.conf],
                stdin=subprocess.DEVNULL, stdout=log,
                stderr=log if stderr is None else stderr, env=env,
                cwd=self.dir, preexec_fn=die_with_parent)
        if ready:
            self.wait_ready()
        return self

    def answers(self, path):
        """The status of a GET, None while nobody answers."""
        try:
            response = request(self.port, path, timeout=5)
        except (OSError, Failed):
            return None
        return response and response.status

    def wait_ready(self, limit=READY):
        self.wait_status("/readyz", 200, limit)

    def wait_status(self, path, status, limit=READY):
        end = time.monotonic() + limit
        while True:
            got = self.answers(path)
            if got == status:
                return
            if self.process.poll() is not None:
                raise Failed("the daemon ended with %s; its log ends:\n%s"
                    % (self.process.returncode, self.tail()))
            if time.monotonic() > end:
                raise Failed("%s answers %s, not %d, after %g s; the log "
                    "ends:\n%s" % (path, got, status, limit, self.tail()))
            time.sleep(0.02)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, limit=STOP):
        """Until it has ended; its exit status."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed("the daemon did not end within %g s; its log ends:\n"
                "%s" % (limit, self.tail()))

    def stop(self, limit=STOP):
        """SIGTERM, and what is wrong with the end is kept for finish()."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.trouble.append("it had ended by itself with status %d"
                % self.process.returncode)
        else:
            self.process.terminate()
            try:
                status = self.wait(limit)
                if status != 0:
                    self.trouble.append("exit status %d after SIGTERM"
                        % status)
            except Failed as e:
                self.trouble.append(str(e).splitlines()[0])
        self.process = None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        try:
            with open(self.logfile, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def tail(self, lines=40):
        """The end of its log, but for the test's asking whether it is ready."""
        text = self.log()
        asked = set(ASKED.findall(text))
        return "\n".join([line for line in text.splitlines()
            if not asked.intersection(CONN.findall(line))][-lines:])

    def rss_kb(self):
        """Resident memory, in kB."""
        with open("/proc/%d/status" % self.pid) as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def finish(self):
        """Stop it for good.  Returns what was wrong with it, best nothing."""
        self.stop()
        text = self.log()
        match = REPORT.search(text)
        if match:
            self.trouble.append("a sanitizer's report")
            diag(text[max(0, match.start() - 200):match.start() + 6000])
        return self.trouble
