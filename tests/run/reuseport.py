#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Several daemons of one machine on one port."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Client
from lib.cluster import free_port
from lib.daemon import Daemon
from lib.tap import Failed, check, same, wait_for
from lib.ws import Closed

CLIENTS = 24


class Pair:
    """Two daemons of one database that share a port.

    Each has a port of its own too, or nobody could ask for it in particular.
    """

    def __init__(self, **settings):
        self.shared = free_port()
        self.w = World("app", start=False)
        self.a = self.w.daemon
        self.b = Daemon(self.w.cluster, self.w.db.dsn("push_daemon"))
        for daemon, node in ((self.a, "a"), (self.b, "b")):
            daemon.settings.update(settings, node=node,
                listen="127.0.0.1:%d, 127.0.0.1:%d" % (self.shared,
                daemon.port))

    def client(self, user):
        c = Client(self.shared)
        self.w.clients.append(c)
        c.auth(self.w.token(user))
        return c

    def again(self, user):
        """A client comes back as soon as it is let in."""
        def attempt():
            try:
                return self.client(user)
            except (OSError, Failed, Closed):
                return None
        return wait_for(attempt, "%s to be let in again" % user)

    def where(self, c):
        """The node that a client is on."""
        return wait_for(lambda: self.w.root("SELECT node FROM "
            "pgpush.connections WHERE session = %s", c.session),
            "the connection to be listed")[0][0]

    def close(self):
        self.w.between()
        same(self.b.finish(), [], "end of the second daemon")
        same(self.w.close(), [], "end of the first daemon")


def crowd(pair, prefix):
    """Clients until both daemons have some; a list of (client, node)."""
    found = []
    while len(found) < CLIENTS or len({node for _, node in found}) < 2:
        check(len(found) < 200, "all 200 clients are on one daemon")
        c = pair.client("%s%d" % (prefix, len(found)))
        c.join("open:pool")
        found.append((c, pair.where(c)))
    return found


@case
def both_serve(w):
    """both daemons get connections, and events reach the clients of both"""
    pair = Pair(reuse_port="yes")
    pair.a.start()
    pair.b.start()
    found = crowd(pair, "u")
    pair.w.emit("open:pool", "hello", {"n": 1})
    for c, node in found:
        c.event("hello", "open:pool", {"n": 1})
    same({d.answers("/readyz") for d in (pair.a, pair.b)}, {200}, "readyz")
    pair.close()


def pour(w, first, count):
    """Numbers as events, each in a transaction of its own."""
    for n in range(first, first + count):
        w.emit("open:pool", "n", n)


def hear(pair, c, node, last, upto):
    """All numbers after an id and up to the last; on a new connection when
    the old one is sent away."""
    user, got = c.user, []
    while not got or got[-1] != upto:
        try:
            frame = c.next(type="event", event="n")
        except Failed as e:
            check(node == "b" and "1012 'retry=" in str(e), str(e))
            c, node = pair.again(user), "a"
            c.join("open:pool", since=last)
            continue
        got.append(frame["data"])
        last = frame["id"]
    return got


@case
def one_ends(w):
    """one is drained and ended: its clients go to the other, nothing lost"""
    pair = Pair(reuse_port="yes", drain_timeout="5m")
    pair.a.start()
    pair.b.start()
    found = crowd(pair, "v")
    pair.w.emit("open:pool", "n", 0)
    last = found[0][0].event("n", data=0)["id"]
    for c, _ in found[1:]:
        c.event("n", data=0)
    pour(pair.w, 1, 300)
    pair.b.signal(signal.SIGTERM)
    pour(pair.w, 301, 300)
    for c, node in found:
        same(hear(pair, c, node, last, 600), list(range(1, 601)), "events")
    same(pair.b.wait(), 0, "exit status")
    pair.b.process = None
    wait_for(lambda: pair.w.root("SELECT DISTINCT node FROM "
        "pgpush.connections") == [("a",)], "all to be on the other one")
    for _ in range(20):
        pair.client("late")
    pair.close()


@case
def comes_back(w):
    """a second one that starts later gets its share, and takes nobody away"""
    pair = Pair(reuse_port="yes")
    pair.a.start()
    first = [pair.client("w%d" % i) for i in range(5)]
    for c in first:
        c.join("open:pool")
        same(pair.where(c), "a", "node")
    pair.b.start()
    found = crowd(pair, "x")
    pair.w.emit("open:pool", "hello", {})
    for c in first + [c for c, _ in found]:
        c.event("hello", "open:pool")
    pair.close()


def refused(daemon, port):
    """The daemon must not start, and say which address it cannot have."""
    daemon.start(ready=False)
    same(daemon.wait(), 1, "exit status")
    check("listen: 127.0.0.1:%d: " % port in daemon.log(), daemon.tail())
    daemon.process = None


@case
def without_the_setting(w):
    """unless both say reuse_port the second is refused and names the address"""
    for first, second in (("no", "no"), ("no", "yes"), ("yes", "no")):
        pair = Pair()
        pair.a.settings["reuse_port"] = first
        pair.b.settings["reuse_port"] = second
        pair.a.start()
        refused(pair.b, pair.shared)
        pair.client("ann").position()
        pair.close()


if __name__ == "__main__":
    main(world=False)
