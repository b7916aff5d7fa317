#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""SIGTERM: stop accepting, close with 1012, end within drain_timeout."""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import Failed, check, same, wait_for


def told(c):
    """1012 with a retry time in the reason."""
    reason = c.closes(1012)
    c.shut()                    # as a browser does at once
    match = re.match(r"^retry=(\d+)$", reason)
    check(match, "reason %r" % reason)
    return int(match.group(1))


@case
def told_to_retry(w):
    """every client is closed with 1012 and a retry time of its own"""
    other = World("app", drain_timeout="5m")
    clients = [other.client("d%d" % i, ["open:drain"]) for i in range(30)]
    silent = other.open()           # never says who it is
    other.daemon.signal(signal.SIGTERM)
    times = [told(c) for c in clients]
    check(len(set(times)) > 5, "retry times are not spread: %s" % times)
    silent.recv_close()
    silent.shut()
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def few(w):
    """a few clients are no herd: they soon come back, the end is soon"""
    other = World("app", drain_timeout="5m")
    clients = [other.client("f%d" % i) for i in range(10)]
    other.daemon.signal(signal.SIGTERM)
    times = [told(c) for c in clients]
    check(all(500 <= t < 1000 for t in times), "retry times %s" % times)
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def many(w):
    """the more clients, the longer the time over which they come back"""
    other = World("app", drain_timeout="5m", ping_interval="1h")
    count = 1200
    clients = [other.client("m%d" % i) for i in range(count)]
    other.daemon.signal(signal.SIGTERM)
    times = [told(c) for c in clients]
    check(all(500 <= t < 500 + count for t in times),
        "retry times from %d to %d" % (min(times), max(times)))
    late = sum(t >= 500 + count // 2 for t in times)
    check(count // 3 < late < count * 2 // 3,
        "%d of %d in the second half of the time" % (late, count))
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def stops_accepting(w):
    """a new connection is refused, or turned away, while it drains"""
    other = World("app", drain_timeout="5m")
    stuck = other.client("stuck", ["open:drain"])
    other.daemon.signal(signal.SIGTERM)

    def refused():
        try:
            response = other.get("/readyz", timeout=2)
            return response is None or response.status == 503
        except (OSError, Failed, AttributeError):
            return True
    wait_for(refused, "new connections to be refused")
    told(stuck)
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def in_spite_of_the_dead(w):
    """clients that neither read nor answer do not hold the end up"""
    other = World("app", drain_timeout="1s")
    dead = [other.client("dead", ["open:drain"], rcvbuf=4096)
        for _ in range(5)]
    other.sql("SELECT pgpush.emit('open:drain', 'fill', jsonb_build_object("
        "'x', repeat('x', 100000))) FROM generate_series(1, 100)")
    wait_for(lambda: other.root("SELECT count(*) FROM pgpush.log")[0][0]
        >= 100, "the events to be moved")
    other.daemon.signal(signal.SIGTERM)
    same(other.daemon.wait(), 0, "exit status")
    check(dead, "clients")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def without_clients(w):
    """a daemon without clients ends at once, on SIGINT too"""
    for number in (signal.SIGTERM, signal.SIGINT):
        other = World("app", drain_timeout="5m")
        other.daemon.signal(number)
        same(other.daemon.wait(), 0, "exit status")
        other.daemon.process = None
        same(other.close(), [], "end of the daemon")


@case
def node_is_gone(w):
    """after a clean end the node and its connections are gone at once"""
    other = World("app")
    c = other.client("ann")
    wait_for(lambda: other.root("SELECT FROM pgpush.connections"),
        "the connection to be listed")
    other.daemon.signal(signal.SIGTERM)
    told(c)
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.root("SELECT count(*) FROM pgpush.nodes")[0][0], 0, "nodes")
    same(other.root("SELECT count(*) FROM pgpush.connections")[0][0], 0,
        "connections")
    same(other.close(), [], "end of the daemon")


@case
def while_events_pour(w):
    """what came before the close is a beginning of the log, without a gap"""
    other = World("app", drain_timeout="5m")
    c = other.client("ann", ["open:pour"])
    other.sql("SELECT pgpush.emit('open:pour', 'n', to_jsonb(i)) FROM "
        "generate_series(1, 5000) i")
    c.event("n", data=1)
    other.daemon.signal(signal.SIGTERM)
    got = [1]
    try:
        while True:
            got.append(c.next(type="event")["data"])
    except Failed as e:
        check("1012" in str(e), str(e))
    c.shut()
    same(got, list(range(1, len(got) + 1)), "events before the close")
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    last = other.root("SELECT id FROM pgpush.log WHERE room = 'open:pour' "
        "AND data::text = %s", str(got[-1]))[0][0]
    other.daemon.start()
    d = other.client("ann")
    d.join("open:pour", since=last)
    for i in range(len(got) + 1, 5001):
        same(d.event("n")["data"], i, "after the restart")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(world=False)
