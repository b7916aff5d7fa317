#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""PostgreSQL goes and comes back: clients stay, nothing is missing."""

import os
import resource
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import daemon as daemons
from lib.case import World, case, main
from lib.tap import Failed, check, has, same, wait_for


@case
def away(w):
    """while it is away: not ready, alive, sends and joins unavailable"""
    c = w.client("ann", ["open:away"])
    w.emit("open:away", "before", {})
    c.event("before")
    w.cluster.stop()
    try:
        w.daemon.wait_status("/readyz", 503)
        same(w.get("/healthz").status, 200, "/healthz")
        c.refused("unavailable", type="send", event="echo", data={})
        c.refused("unavailable", type="join", room="open:other")
        has(c.call(type="ping"), {"ok": True}, "reply to ping")
        has(c.call(type="leave", room="open:none"), {"ok": True}, "leave")
        d = w.open()
        d.send(type="auth", token="garbage")
        d.closes(4401)
    finally:
        w.cluster.start()
    w.daemon.wait_ready()
    w.emit("open:away", "after", {})
    c.event("after", "open:away")
    has(c.do("echo", {"x": 1}), {"ok": True}, "send afterwards")
    c.join("open:other")
    w.nothing(c, "open:other")


@case
def welcome_while_away(w):
    """who comes while it is away is told to try later, or waits"""
    w.cluster.stop()
    try:
        w.daemon.wait_status("/readyz", 503)
        c = w.open()
        c.send(type="auth", token=w.token("late"))
        wait_for(lambda: w.get("/healthz").status == 200, "an answer")
    finally:
        w.cluster.start()
    w.daemon.wait_ready()
    try:
        c.greeted()
    except Failed as e:
        check("1013" in str(e) or "4408" in str(e), str(e))
    w.client("later").position()


@case
def without_descriptors(w):
    """connections without number, while it is away, leave it the descriptors
    to come back with"""
    other = World("app", own=True, start=False, auth_timeout="5m",
        reconnect_max="1s")
    began = daemons.die_with_parent

    def few():
        began()
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    daemons.die_with_parent = few
    try:
        other.daemon.start()
    finally:
        daemons.die_with_parent = began
    c = other.client("ann", ["open:few"])
    count = "SELECT count(*) FROM pg_stat_activity WHERE usename = " \
        "'push_daemon'"
    had = other.root(count)[0][0]
    crowd = []
    try:
        other.cluster.stop()
        other.daemon.wait_status("/readyz", 503)
        for _ in range(120):
            crowd.append(socket.create_connection(("127.0.0.1",
                other.daemon.port)))
        wait_for(lambda: "cannot accept" in other.daemon.log(),
            "nobody to be let in any more")
        other.cluster.start()
        wait_for(lambda: other.root(count)[0][0] >= had,
            "its connections", 30)
        other.emit("open:few", "x", {})
        c.event("x", limit=30)
    finally:
        for s in crowd:
            s.close()
    same(other.close(), [], "end of the daemon")


def restart(w, mode):
    """Events before, during and after a restart, and one client throughout."""
    room = "open:" + mode
    c = w.client("ann", [room])
    d = w.client("bob", [room])
    n = 0
    for turn in range(3):
        for _ in range(50):
            w.emit(room, "n", {"n": n})
            n += 1
        if turn < 2:
            w.cluster.restart(mode)
    got = [c.event("n", room) for _ in range(n)]
    same([f["data"]["n"] for f in got], list(range(n)), "events")
    ids = [f["id"] for f in got]
    same(ids, sorted(set(ids)), "ids")
    same([d.event("n", room)["data"]["n"] for _ in range(n)],
        list(range(n)), "events of the other")
    w.daemon.wait_ready()
    w.nothing(c, room)
    e = w.client("eve")
    e.join(room, since=ids[10])
    same([e.event("n")["data"]["n"] for _ in range(n - 11)],
        list(range(11, n)), "resumed")
    has(c.do("echo", {"x": mode}), {"ok": True}, "send afterwards")


@case
def fast(w):
    """two fast restarts with events around them"""
    restart(w, "fast")


@case
def immediate(w):
    """two crashes (restart -m immediate) with events around them"""
    restart(w, "immediate")


@case
def listed_again(w):
    """after a crash the UNLOGGED tables are filled again"""
    c = w.client("ann")
    wait_for(lambda: w.root("SELECT FROM pgpush.connections WHERE session = "
        "%s", c.session), "the connection to be listed")
    w.cluster.restart("immediate")
    w.daemon.wait_ready()
    wait_for(lambda: w.root("SELECT FROM pgpush.connections WHERE session = "
        "%s", c.session), "the connection to be listed again")
    check(w.root("SELECT count(*) FROM pgpush.nodes")[0][0] == 1, "one node")


@case
def before_it(w):
    """a daemon started while PostgreSQL is away is ready when it comes"""
    w.between()
    w.daemon.stop()
    w.cluster.stop()
    try:
        w.daemon.start(ready=False)
        w.daemon.wait_status("/healthz", 200)
        same(w.get("/readyz").status, 503, "/readyz")
    finally:
        w.cluster.start()
    w.daemon.wait_ready()
    c = w.client("ann", ["open:early"])
    w.nothing(c, "open:early")


@case
def many_resume(w):
    """two hundred clients resuming at once after a restart get all of it"""
    w.emit("open:herd", "n", {"n": -1})
    for n in range(20):
        w.emit("open:herd", "n", {"n": n})
    w.between()
    w.daemon.stop()
    for n in range(20, 40):
        w.emit("open:herd", "n", {"n": n})
    w.daemon.start()
    first = wait_for(lambda: w.root("SELECT id FROM pgpush.log WHERE "
        "room = 'open:herd' AND data->>'n' = '-1'"), "the move")[0][0]
    clients = [w.open() for _ in range(200)]
    for i, c in enumerate(clients):
        c.send(type="auth", token=w.token("h%d" % i))
        c.send(type="join", room="open:herd", since=first, ref="j")
    for c in clients:
        c.greeted()
        has(c.next(type="reply", ref="j"), {"ok": True}, "reply")
        same([c.event("n")["data"]["n"] for _ in range(40)], list(range(40)),
            "events")


if __name__ == "__main__":
    main(own=True)
