#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""bench.py: the driver; bench/run has built what it needs, see README.md."""

import argparse
import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import growth                                               # noqa: E402
import report                                               # noqa: E402
import servers                                              # noqa: E402
import workloads                                            # noqa: E402
from place import TOP, VAR, Place                           # noqa: E402


WORKLOADS = dict(workloads.ALL, growth=growth.growth)


def run_text(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, cwd=TOP)
    return done.stdout.decode().strip()


def cpu_model():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


class Run:
    def __init__(self, args):
        self.quick = args.quick
        self.repeats = args.repeats or (1 if args.quick else 3)
        self.seconds = 1 if args.quick else 3
        self.warmup = 0.3 if args.quick else 0.5
        self.names = args.only.split(",") if args.only else \
            [s.name for s in servers.ALL]
        self.rows = {}
        self.series = {}
        self.trouble = []
        self.place = None
        self.load = os.getloadavg()[0]
        self.commit = run_text("git", "describe", "--always", "--dirty",
            "--abbrev=12")

    def kinds(self, but=None):
        return [s for s in servers.ALL if s.name in self.names
            and s.name != but]

    @contextlib.contextmanager
    def noting(self, name):
        """What goes wrong in the block is noted, and the next has its turn."""
        try:
            yield
        except Exception as e:          # half an hour must not be lost
            self.trouble.append("%s: %s" % (name, repr(e)))
            print("  trouble: %r" % e, flush=True)

    @contextlib.contextmanager
    def serving(self, kind, *numbers):
        """A server of this kind while the block runs."""
        server = kind(self.place)
        with self.noting(server.name):
            try:
                self.place.clean()
                server.start(*numbers)
                yield server
            finally:
                server.stop()

    def record(self, row, name, figures):
        self.rows.setdefault(row, {}).setdefault(name, []).append(figures)
        print("  %-12s %-10s %s" % (row, name, "  ".join("%s %.4g" % f
            for f in figures.items())), flush=True)

    def point(self, series, at, **figures):
        """One point of a curve."""
        self.series.setdefault(series, []).append(dict(figures, at=at))
        print("  %-12s %-10d %s" % (series, at, "  ".join("%s %.4g" % f
            for f in figures.items())), flush=True)

    def versions(self):
        found = {s.name: s.version() for s in servers.ALL}
        found["PostgreSQL"] = self.place.version
        found["node"] = run_text("node", "--version")
        for name in ("socket.io", "ws", "pg"):
            with open(os.path.join(HERE, "peers", "node_modules", name,
                    "package.json")) as f:
                found[name] = json.load(f)["version"]
        return {name: v for name, v in found.items() if v}

    def about(self):
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return {
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "commit": self.commit,
            "machine": "%d cores of %s, %.0f GiB, Linux %s" % (os.cpu_count(),
                cpu_model(), memory / 2 ** 30, platform.release()),
            "versions": self.versions(), "load": self.load,
            "quick": self.quick, "repeats": self.repeats,
            "seconds": self.seconds,
        }


def stop(number, frame):
    """All that was started ends on the way out."""
    raise KeyboardInterrupt


def main():
    p = argparse.ArgumentParser(prog="bench/run")
    p.add_argument("--quick", action="store_true",
        help="one short repeat, to see a change; no RESULTS.md")
    p.add_argument("--render", action="store_true",
        help="only write RESULTS.md anew from the last complete run")
    p.add_argument("--only", metavar="SERVER,...",
        help=" ".join(s.name for s in servers.ALL))
    p.add_argument("--repeats", type=int)
    p.add_argument("workload", nargs="*",
        help=" ".join(WORKLOADS))
    args = p.parse_args()
    for name in args.workload:
        if name not in WORKLOADS:
            p.error("no such workload: " + name)
    if args.render:
        return 0 if report.write() else 1
    signal.signal(signal.SIGTERM, stop)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    run = Run(args)
    began = time.monotonic()
    run.place = Place()
    try:
        for name in args.workload or WORKLOADS:
            for repeat in range(run.repeats):
                print("%s, %d of %d, at %d s" % (name, repeat + 1,
                    run.repeats, time.monotonic() - began), flush=True)
                WORKLOADS[name](run, repeat)
    finally:
        run.place.close()
    result = dict(run.about(), took_s=time.monotonic() - began,
        rows=run.rows, series=run.series, trouble=run.trouble)
    result["complete"] = not (args.quick or args.only or args.workload)
    with open(os.path.join(VAR, time.strftime("%Y%m%dT%H%M%S.json",
            time.gmtime())), "w") as f:
        json.dump(result, f, indent=1)
    if result["complete"]:
        report.write()
    for text in run.trouble:
        print("trouble: %s" % text, file=sys.stderr)
    return 1 if run.trouble else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
