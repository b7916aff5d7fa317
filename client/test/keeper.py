#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Worlds (a database and a daemon each) for the tests in JavaScript.

Reads one command per line, {"id", "do", "world", …}, and answers each with
{"id", "ok", "value"}.  Everything ends with the standard input.
"""

import atexit
import json
import os
import signal
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "tests"))

from lib import case, jwt                                   # noqa: E402

worlds = {}


def make(name, kind="app", own=False, settings=None):
    world = worlds[name] = case.World(kind=kind, own=own, **(settings or {}))
    return world.daemon.port


def plain(rows):
    return json.loads(json.dumps(rows, default=str))


def run(do, world=None, **args):
    if do == "make":
        return make(world, **args)
    w = worlds[world]
    daemon, cluster = w.daemon, w.cluster
    if do == "sql":
        return plain(w.sql(args["text"], *args.get("args", [])))
    if do == "root":
        return plain(w.root(args["text"], *args.get("args", [])))
    if do == "api":
        return plain(w.api(args["text"], *args.get("args", [])))
    if do == "token":
        return w.token(args["user"], exp=args.get("exp", 3600),
            claims=args.get("claims") or {})
    if do == "bad_token":
        return jwt.mint({"sub": args["user"]}, secret=jwt.OTHER_SECRET)
    if do == "finish":
        worlds.pop(world)
        return w.close()
    steps = {
        "kill": daemon.kill, "start": daemon.start, "stop": daemon.stop,
        "restart": daemon.restart, "tail": daemon.tail,
        "rss": daemon.rss_kb,
        "set": lambda: daemon.settings.update(args["settings"]),
        "term": lambda: daemon.signal(signal.SIGTERM),
        "pause": lambda: daemon.signal(signal.SIGSTOP),
        "continue": lambda: daemon.signal(signal.SIGCONT),
        "pg_stop": cluster.stop, "pg_start": cluster.start,
        "ready": daemon.wait_ready,
    }
    value = steps[do]()
    return value if isinstance(value, (str, int, list)) else None


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, case.on_signal)
    atexit.register(case.cleanup)
    for line in sys.stdin:
        order = json.loads(line)
        number = order.pop("id")
        try:
            answer = {"ok": True, "value": run(**order)}
        except Exception as e:
            answer = {"ok": False, "value": "%s: %s" % (order["do"], e)}
        print(json.dumps(dict(answer, id=number)), flush=True)


main()
