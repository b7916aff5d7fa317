#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Retention: the purge, its floor, and those who come back to it."""

import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.nodes import Node, events_of, wait_leader
from lib.tap import Failed, check, same, show, wait_for
from lib.ws import Closed

_early = []             # a world that purges while the other cases run


def pour(w, room, first, count):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i)) "
        "FROM generate_series(%s, %s) i", room, first, first + count - 1)


def moved(w, room, count):
    """Until so many of its events are in the log; their ids."""
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = %s",
        room)[0][0] >= count, "%d events in the log" % count, 60)
    return [i for i, _ in events_of(w, room)]


def purge(w, batch=5000):
    """One batch of what is older than now; how many rows."""
    return w.root("SELECT pgpush.purge('0 s', %s)", batch)[0][0]


def purge_all(w):
    while purge(w):
        pass


def floor(w):
    return w.root("SELECT id FROM pgpush.floor")[0][0]


def top(w):
    """The newest id there ever was."""
    return w.root("SELECT greatest((SELECT max(id) FROM pgpush.log), "
        "(SELECT id FROM pgpush.floor))")[0][0]


def nothing(w, c):
    w.nothing(c, "user:" + c.user)


@case
def started(w):
    """a daemon that retains for a second is started; see the last case"""
    other = World("app", retain="1s", ring_events=1)
    _early.append(other)
    c = other.client("early", ["open:early"])
    pour(other, "open:early", 0, 100)
    same(c.event("n")["data"]["n"], 0, "its first event")


@case
def batches(w):
    """in batches; at no moment is a row gone that is above the floor"""
    pour(w, "open:batch", 0, 3000)
    ids = moved(w, "open:batch", 3000)
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.outbox")[0][0] == 0,
        "an empty outbox")
    problems, states, done = [], [], threading.Event()

    def look():
        try:
            conn = w.db.connect("postgres")
            with conn.cursor() as cur:
                while not done.is_set():
                    cur.execute("SELECT (SELECT id FROM pgpush.floor), "
                        "(SELECT count(*) FROM pgpush.log l, pgpush.floor f "
                        "WHERE l.id > f.id AND room = 'open:batch'), "
                        "(SELECT count(*) FROM pgpush.log l, pgpush.floor f "
                        "WHERE l.id <= f.id)")
                    states.append(cur.fetchone())
            conn.close()
        except Exception as e:
            problems.append(e)

    thread = threading.Thread(target=look)
    thread.start()
    wait_for(lambda: states, "a look")
    sizes = []
    try:
        while True:
            sizes.append(purge(w, 50))
            if sizes[-1] == 0:
                break
    finally:
        done.set()
        thread.join()
    same(problems, [], "trouble while looking")
    check(max(sizes) <= 50, "a batch of %d" % max(sizes))
    check(sum(sizes) >= 3000, "only %d rows purged" % sum(sizes))
    check(len(set(s[0] for s in states)) > 1, "it saw only %d states"
        % len(set(s[0] for s in states)))
    for at, above, below in states:
        want = sum(1 for i in ids if i > at)
        if (above, below) != (want, 0):
            raise Failed("floor %d: %d rows of %d above it, %d below"
                % (at, above, want, below))


@case
def edge(w):
    """a resume at the floor goes on; one id below it is reset"""
    purge_all(w)
    pour(w, "open:edge", 0, 20)
    ids = moved(w, "open:edge", 20)
    epoch = w.client("any").welcome["epoch"]
    n = w.root("SELECT count(*) FROM pgpush.log WHERE id <= %s", ids[9])[0][0]
    same(purge(w, n), n, "rows purged")
    same(floor(w), ids[9], "the floor")
    at = w.client("at")
    same(at.join("open:edge", since=ids[9], epoch=epoch), ids[9], "reply")
    for i in range(10, 20):
        same(at.event("n", "open:edge", {"n": i})["id"], ids[i], "its id")
    nothing(w, at)
    above = w.client("above")
    above.join("open:edge", since=ids[18], epoch=epoch)
    above.event("n", "open:edge", {"n": 19})
    nothing(w, above)
    for since in (ids[9] - 1, ids[0], 0):
        below = w.client("below%d" % since)
        below.join("open:edge", since=since, epoch=epoch)
        f = below.next(type="reset", room="open:edge", epoch=epoch)
        check(f["id"] >= ids[19], "position of the reset: %s" % show(f))
        nothing(w, below)
        w.drop(below)


@case
def ring_and_floor(w):
    """what is purged but still in memory: all of it, or a reset"""
    other = World("app")
    pour(other, "open:ring", 0, 50)
    ids = moved(other, "open:ring", 50)
    c = other.client("ring")
    wait_for(lambda: c.position() >= ids[-1], "it to have read all")
    purge_all(other)
    c.join("open:ring", since=ids[4])
    f = c.next(type=lambda t: t in ("event", "reset"))
    if f["type"] == "event":
        same(f["data"]["n"], 5, "first event")
        for i in range(6, 50):
            c.event("n", "open:ring", {"n": i})
    nothing(other, c)
    same(other.close(), [], "end of the daemon")


@case
def quiet(w):
    """a quiet room resumed from the position of a ping: no reset"""
    c = w.client("quiet", ["open:quiet", "open:loud"])
    epoch = c.welcome["epoch"]
    pour(w, "open:quiet", 0, 1)
    old = c.event("n", "open:quiet")["id"]
    pour(w, "open:loud", 0, 200)
    for i in range(200):
        c.event("n", "open:loud", {"n": i})
    at = c.position()
    check(at >= moved(w, "open:loud", 200)[-1], "position %d" % at)
    w.drop(c)
    purge_all(w)
    check(old < floor(w) <= at, "floor %d" % floor(w))
    d = w.client("quiet", auth={"since": at, "epoch": epoch})
    same(d.join("open:quiet", since=at, epoch=epoch), at, "reply")
    pour(w, "open:quiet", 1, 1)
    d.event("n", "open:quiet", {"n": 1})
    nothing(w, d)
    e = w.client("stale")
    e.join("open:quiet", since=old, epoch=epoch)
    e.next(type="reset", room="open:quiet")


@case
def quiet_at(w):
    """the same from the last at, which comes with every ping"""
    other = World("app", ping_interval="1s", ring_events=1)
    c = other.client("at", ["open:quiet"])
    pour(other, "open:loud", 0, 100)
    last = moved(other, "open:loud", 100)[-1]
    while c.at < last:
        other.signal("open:quiet", "tick")
        c.event("tick")
    other.drop(c)
    purge_all(other)
    check(floor(other) >= last, "nothing was purged")
    d = other.client("at", auth={"since": c.at})
    same(d.join("open:quiet", since=c.at), c.at, "reply")
    nothing(other, d)
    same(other.close(), [], "end of the daemon")


def all_or_reset(w, c, room, want):
    """What a resume got, up to the event "end": [] if all of it.

    want: (id, n) of every event after its position, the end's last.  All of
    them, in order; or, from some point on, those after a reset's id.
    """
    rest, was_reset = list(want), []
    while rest:
        f = c.next()
        if f["type"] == "reset":
            same(f["room"], room, "room of a reset")
            was_reset.append(f["id"])
            rest = [x for x in want if x[0] > f["id"]]
        elif (f["type"], f.get("room")) != ("event", room) or \
                (f["id"], f["data"].get("n")) != rest[0]:
            raise Failed("%s: got %s, expected %s, %d left" % (c.user,
                show(f), rest[0], len(rest)))
        else:
            rest.pop(0)
    return was_reset


@case
def race(w):
    """fifty clients resume while it is purged: each gets all or a reset"""
    other = World("app", ring_events=16, catchup_limit=20)
    pour(other, "open:race", 0, 3000)
    ids = moved(other, "open:race", 3000)
    rows = [(i, n) for n, i in enumerate(ids)]
    stop = threading.Event()
    problems = []

    def purger():
        try:
            conn = other.db.connect("postgres")
            with conn.cursor() as cur:
                n = 1
                while n and not stop.wait(0.005):
                    cur.execute("SELECT pgpush.purge('0 s', 100)")
                    n = cur.fetchone()[0]
            conn.close()
        except Exception as e:
            problems.append(e)

    clients = [other.client("r%d" % i) for i in range(50)]
    thread = threading.Thread(target=purger)
    thread.start()
    try:
        for i, c in enumerate(clients):
            c.since = ids[(i * 997) % 2900]
            c.send(type="join", room="open:race", since=c.since, ref="j")
        for c in clients:
            c.next(type="reply", ref="j", ok=True)
        thread.join(60)
    finally:
        stop.set()
        thread.join()
    same(problems, [], "the purge")
    other.emit("open:race", "end", {"n": "end"})
    rows.append((wait_for(lambda: other.root("SELECT id FROM pgpush.log WHERE "
        "event = 'end'"), "the end in the log")[0][0], "end"))
    for c in clients:
        was = all_or_reset(other, c, "open:race",
            [x for x in rows if x[0] > c.since])
        check(len(was) <= 2, "%d resets" % len(was))
        nothing(other, c)
    same(other.close(), [], "end of the daemon")


def pour_past(w, f, first):
    """Twenty events are written and purged while the daemon f is stopped."""
    f.signal(signal.SIGSTOP)
    wait_for(lambda: not w.root("SELECT FROM pg_stat_activity WHERE "
        "state <> 'idle' AND pid IN (SELECT unnest(backends) FROM "
        "pgpush.nodes WHERE node = %s)", f.name), "its reads to be over")
    pour(w, "open:over", first, 20)
    wait_for(lambda: [d for _, d in events_of(w, "open:over")
        if d["n"] == first + 19], "the move")
    purge_all(w)
    f.signal(signal.SIGCONT)


def sent_away(c, first):
    """Why, or None if it gets the twenty events."""
    for n in range(first, first + 20):
        try:
            f = c.read()
        except Closed as closed:
            same(closed.code, 1012, "code")
            return closed.reason
        same((f["type"], f["data"]["n"]), ("event", n), "frame")
    return None


@case
def overtaken(w):
    """a follower that the purge overtook sends its clients to be reset"""
    other = World("app", node="lead")
    wait_leader(other, "lead")
    with Node(other, "late", ring_events=1) as f:
        here = other.client("here", ["open:over"])
        c = f.client("there", ["open:over", "open:other"])
        epoch = c.welcome["epoch"]
        pour(other, "open:over", 0, 10)
        for d in (c, here):
            for i in range(10):
                since = d.event("n", "open:over", {"n": i})["id"]
        # A read that was on its way as it was stopped may still bring them.
        n, reason = 10, None
        while reason is None:
            check(n < 1000, "it was never overtaken")
            pour_past(other, f, n)
            reason = sent_away(c, n)
            n += 20
        check(reason.startswith("retry=") and reason[6:].isdigit(),
            "why it was closed: %r" % reason)
        gone = floor(other)
        wait_for(lambda: f.answers("/readyz") == 200, "it to be ready")
        c = f.client("there", auth={"since": since, "epoch": epoch})
        check(c.next(type="reset", room="user:there")["id"] >= gone,
            "position of the reset")
        c.join("open:over", since=since, epoch=epoch)
        check(c.next(type="reset", room="open:over", epoch=epoch)["id"]
            >= gone, "position of the reset")
        same(c.join("open:other", since=gone, epoch=epoch), gone,
            "a resume at the floor")
        pour(other, "open:over", n, 5)
        for i in range(n, n + 5):
            c.event("n", "open:over", {"n": i})
        for i in range(10, n + 5):
            here.event("n", "open:over", {"n": i})
        nothing(other, c)
        nothing(other, here)
    same(other.close(), [], "end of the daemon")


def sizes(w):
    """Bytes of the log and the outbox, each with its indexes, vacuumed."""
    for table in ("log", "outbox"):
        w.root("VACUUM pgpush." + table)
    return [w.root("SELECT pg_total_relation_size('pgpush.%s')" % table)[0][0]
        for table in ("log", "outbox")]


@case
def bounded(w):
    """200,000 events with a short retention: the tables stop growing"""
    # A server of its own: PostgreSQL 15 does not use pages of an index again
    # while a transaction from before is open in whatever database.
    other = World("app", own=True)
    seen = []
    total = 0
    for turn in range(10):
        for _ in range(10):
            pour(other, "open:bounded", total, 2000)
            total += 2000
        wait_for(lambda: other.root("SELECT count(*) FROM pgpush.outbox")
            [0][0] == 0 and top(other) >= total, "the move", 60)
        purge_all(other)
        seen.append(sizes(other))
    same(other.root("SELECT count(*) FROM pgpush.log")[0][0], 0,
        "rows that are left")
    for i, table in enumerate(("log", "outbox")):
        middle = max(s[i] for s in seen[:5])
        end = max(s[i] for s in seen[5:])
        check(end <= middle * 1.2, "the %s grows: %s" % (table,
            [s[i] for s in seen]))
    c = other.client("ann", ["open:bounded"])
    pour(other, "open:bounded", total, 1)
    c.event("n", data={"n": total})
    same(other.close(), [], "end of the daemon")


@case
def by_itself(w):
    """the leader purges what is older than retain, once a minute"""
    check(_early, "the first case must run as well")
    other = _early.pop()
    wait_for(lambda: floor(other) > 0, "the purge", 180)
    wait_for(lambda: other.root("SELECT count(*) FROM pgpush.log")[0][0] == 0,
        "an empty log", 180)
    c = other.client("late")
    c.join("open:early", since=1)
    c.next(type="reset", room="open:early")
    nothing(other, c)
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(ring_events=1)         # what is asked for is not in memory
