#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A reader that does not read: it costs little, delays nobody, loses nothing."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.tap import check, same, wait_for

EVENTS = 20000
SIZE = 1000


def pour(w, room, first, count, size=SIZE):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i, 'x', "
        "repeat('x', %s))) FROM generate_series(%s, %s) i", room, size, first,
        first + count - 1)


def moved(w, room, count):
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = %s",
        room)[0][0] == count, "%d events in the log" % count, 60)


@case
def gets_it_all(w):
    """clients that read nothing get all of it, in order, when they read"""
    slow = [w.client("slow%d" % i, ["open:slow"], rcvbuf=4096)
        for i in range(10)]
    quick = w.client("quick", ["open:slow"])
    reader = Reader(quick)
    before = w.daemon.rss_kb()
    pour(w, "open:slow", 0, EVENTS)
    reader.wait(lambda e: len(e) >= EVENTS, "all events at the quick one")
    moved(w, "open:slow", EVENTS)
    w.client("other").position()
    grown = w.daemon.rss_kb() - before
    check(grown < 100 * 1024, "memory grew by %d kB for %d kB waiting at ten "
        "readers" % (grown, 10 * EVENTS * SIZE // 1024))
    pour(w, "open:slow", EVENTS, 100)
    for c in slow:
        last = 0
        for i in range(EVENTS + 100):
            f = c.event("n", "open:slow")
            if f["data"]["n"] != i or f["id"] <= last:
                same(f["data"]["n"], i, "event")
            last = f["id"]
        w.emit("user:" + c.user, "end", {})
        c.event("end")
    same([e["data"]["n"] for e in reader.stop()[:EVENTS]],
        list(range(EVENTS)), "events of the quick one")


@case
def by_turns(w):
    """a client that reads by fits and starts misses nothing"""
    c = w.client("fits", ["open:fits"], rcvbuf=4096)
    n = at = 0
    for turn in range(8):
        pour(w, "open:fits", n, 1500)
        n += 1500
        moved(w, "open:fits", n)
        for _ in range(700 + 100 * turn):
            same(c.event("n")["data"]["n"], at, "event")
            at += 1
    while at < n:
        same(c.event("n")["data"]["n"], at, "event")
        at += 1
    w.nothing(c, "open:fits")


@case
def replies_while_behind(w):
    """one who is behind in one room still gets replies and leaves it"""
    c = w.client("behind", ["open:behind", "open:calm"], rcvbuf=4096)
    pour(w, "open:behind", 0, 5000)
    moved(w, "open:behind", 5000)
    c.send(type="leave", room="open:behind", ref="bye")
    c.send(type="ping", ref="ping")
    seen = c.until(type="reply", ref="bye")
    numbers = [f["data"]["n"] for f in seen[:-1] if f["type"] == "event"]
    same(numbers, list(range(len(numbers))), "events before the leave")
    c.until(type="reply", ref="ping")
    w.emit("open:behind", "no", {})
    w.nothing(c, "open:calm")


@case
def gone_while_behind(w):
    """clients that go while they are behind leave nothing behind"""
    before = w.daemon.descriptors()
    for _ in range(3):
        clients = [w.client("gone", ["open:gone"], rcvbuf=4096)
            for _ in range(5)]
        pour(w, "open:gone", 0, 4000)
        for c in clients:
            w.drop(c)
    wait_for(lambda: w.daemon.descriptors() <= before + 2,
        "the descriptors to be given back")
    w.client("after").position()


def stuck(w):
    """Until the daemon reads no more of the log: nobody takes anything."""
    seen = []

    def same_for_long():
        seen.append(w.daemon.log().count('msg="catch-up"'))
        return len(seen) > 20 and seen[-1] > 0 and len(set(seen[-20:])) == 1
    wait_for(same_for_long, "the reader to take no more")


@case
def quiet_while_full(w):
    """a quiet room of a slow reader is not reset because the log was purged"""
    other = World("app", output_high="16k", ring_events=1)
    c = other.client("ann", ["open:busy", "open:quiet"], rcvbuf=4096)
    other.emit("open:quiet", "n", {"n": 0})
    c.event("n", "open:quiet")
    pour(other, "open:busy", 0, 20000)
    stuck(other)
    other.emit("open:quiet", "n", {"n": 1})
    other.emit("open:busy", "end", {})
    last = "SELECT max(id) FROM pgpush.log"
    moved(other, "open:busy", 20001)
    probe = other.client("probe")
    wait_for(lambda: probe.position() >= other.root(last)[0][0],
        "the feed to have read it all")
    other.root("SELECT pgpush.purge('-1 s', (SELECT count(*) FROM pgpush.log "
        "WHERE id < (SELECT max(id) FROM pgpush.log WHERE room = "
        "'open:quiet'))::int)")
    seen = c.until(type="event", room="open:quiet")
    resets = [f["room"] for f in seen if f["type"] == "reset"]
    check("open:quiet" not in resets, "the quiet room was reset")
    same(seen[-1]["data"], {"n": 1}, "the event")
    same(other.close(), [], "end of the daemon")


@case
def small_mark(w):
    """with a small high-water mark nearly all comes from the log, in order"""
    other = World("app", output_high="16k", catchup_limit=50, ring_events=64,
        ring_bytes="64k")
    clients = [other.client("m%d" % i, ["open:mark"], rcvbuf=4096)
        for i in range(4)]
    for turn in range(5):
        pour(other, "open:mark", turn * 1000, 1000)
    for c in clients:
        for i in range(5000):
            same(c.event("n", "open:mark")["data"]["n"], i, "event")
        other.emit("user:" + c.user, "end", {})
        c.event("end")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
