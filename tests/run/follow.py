#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""follow_dsn: a daemon that reads the log of a streaming replica.

The world's own daemon leads on the primary; "replica" is the one that
follows.  While the replay is paused the two databases differ, so that it can
be seen which of them something came from.
"""

import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import cluster as clusters
from lib import database
from lib.case import case, main
from lib.nodes import (FOLLOWERS, LEADER, Node, events_of, leader, locks,
    reads, wait_leader)
from lib.sse import stream
from lib.tap import check, has, same, wait_for


def follower(w, r, name="replica", **settings):
    return Node(w, name, follow_dsn=r.dsn(w.db.name, "push_daemon"),
        **settings)


def pour(w, room, first, count):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i)) "
        "FROM generate_series(%s, %s) i", room, first, first + count - 1)


def moved(w, room, count):
    wait_for(lambda: len(events_of(w, room)) >= count,
        "%d events in the log" % count)
    return [row[0] for row in events_of(w, room)]


def numbers(c, room, first, count):
    """The next events, which must be these; their ids."""
    out = []
    for n in range(first, first + count):
        out.append(c.event("n", room, {"n": n})["id"])
    check(out == sorted(set(out)), "ids out of order: %s" % out)
    return out


def heartbeats(s, count):
    """So many ids alone are read, of a stream to which nothing else comes."""
    end = len(s.parser.moves) + count
    while len(s.parser.moves) < end:
        chunk = s.chunk(30)
        check(chunk, "no heartbeat")
        s.take(chunk)


def nothing(w, c):
    """By way of a room in which no other client is."""
    w.nothing(c, "user:" + c.user)


@case
def never_leads(w):
    """alone it holds no leader's lock; a daemon that starts later leads"""
    with clusters.replica(w.cluster) as r:
        w.daemon.stop()
        with follower(w, r, heartbeat="200ms") as f:
            c = f.client("ann", ["open:alone"])
            wait_for(lambda: locks(w, FOLLOWERS), "it to be a follower")
            w.emit("open:alone", "n", {"n": 0})
            for _ in range(6):
                f.stamped()
                same(locks(w, LEADER), [], "who holds the leader's lock")
            same([m for _, m in locks(w, FOLLOWERS)], ["ShareLock"],
                "the followers' lock")
            same(w.root("SELECT count(*) FROM pgpush.outbox")[0][0], 1,
                "rows that wait for a leader")
            w.daemon.start()
            wait_for(lambda: locks(w, LEADER), "a leader")
            check(leader(w) != "replica", "it leads")
            numbers(c, "open:alone", 0, 1)
            pour(w, "open:alone", 1, 50)
            numbers(c, "open:alone", 1, 50)
            check(leader(w) not in (None, "replica"), "who leads")


@case
def in_order(w):
    """its clients get what the leader's get: the same ids, in order"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        here = w.client("here", ["open:a", "open:b"])
        there = f.client("there", ["open:a", "open:b"])
        for i in range(20):
            pour(w, "open:a", 2 * i, 1)
            pour(w, "open:b", 50 * i, 50)
        pour(w, "open:a", 40, 400)
        got = []
        for c in (here, there):
            frames = [c.event("n") for _ in range(1420)]
            got.append([(x["room"], x["id"], x["data"]["n"])
                for x in frames])
        for room in ("open:a", "open:b"):
            want = [(room, i, d["n"]) for i, d in events_of(w, room)]
            for rows in got:
                same([x for x in rows if x[0] == room] == want, True,
                    "%s as it is in the log" % room)
        nothing(w, here)
        nothing(w, there)


@case
def paused(w):
    """replay paused: nothing comes, joins work; resumed: all of it, once"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        here = w.client("here", ["open:pause"])
        there = f.client("there", ["open:pause"])
        pour(w, "open:pause", 0, 5)
        numbers(there, "open:pause", 0, 5)
        numbers(here, "open:pause", 0, 5)
        r.pause_replay()
        pour(w, "open:pause", 5, 20)
        ids = numbers(here, "open:pause", 5, 20)
        check(there.position() < ids[0], "it says that it is further")
        # A signal comes from the primary, and so is the next to come.
        w.signal("open:pause", "blip", {})
        there.event("blip")
        same(there.kept, [], "what came meanwhile")
        r.resume_replay()
        numbers(there, "open:pause", 5, 20)
        nothing(w, there)
        check(there.position() >= ids[-1], "it says that it is behind")


@case
def rights(w):
    """who may join is asked of the primary, not of the replica"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        w.sql("INSERT INTO app.members VALUES ('closed:r', 'old')")
        r.wait_replayed(w.cluster)
        r.pause_replay()
        w.sql("INSERT INTO app.members VALUES ('closed:r', 'new')")
        w.sql("DELETE FROM app.members WHERE user_id = 'old'")
        f.client("new", ["closed:r"])
        f.client("old").refused("forbidden", type="join", room="closed:r")
        r.resume_replay()


@case
def ahead(w):
    """a position beyond its own is good: live from there, nothing twice"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        here = w.client("here", ["open:ahead"])
        r.pause_replay()
        pour(w, "open:ahead", 0, 20)
        ids = numbers(here, "open:ahead", 0, 20)
        last = f.client("last")
        same(last.join("open:ahead", since=ids[-1],
            epoch=last.welcome["epoch"]), ids[-1], "where it starts")
        some = f.client("some")
        same(some.join("open:ahead", since=ids[4]), ids[4],
            "where it starts")
        none = f.client("none", ["open:ahead"])
        pour(w, "open:ahead", 20, 5)
        numbers(here, "open:ahead", 20, 5)
        r.resume_replay()
        numbers(last, "open:ahead", 20, 5)
        numbers(some, "open:ahead", 5, 20)
        numbers(none, "open:ahead", 0, 25)
        for c in (last, some, none):
            nothing(w, c)


@case
def stream_ahead(w):
    """a stream that is ahead of it: Last-Event-ID never goes back, nor by a
    room that is joined meanwhile; live from there, nothing twice"""
    with clusters.replica(w.cluster) as r, \
            follower(w, r, ping_interval="100ms") as f:
        here = stream(w, "ann", ["open:sse"])
        r.pause_replay()
        pour(w, "open:late", 0, 5)
        pour(w, "open:sse", 0, 20)
        last = numbers(here, "open:sse", 0, 20)[-1]
        there = stream(w, "ann", ["open:sse"], port=f.port, last=here.last)
        # Stream itself fails on an id below one that it has had.
        heartbeats(there, 3)
        check(there.join("open:late") >= last, "where the room begins")
        heartbeats(there, 3)
        same(there.at, last, "Last-Event-ID")
        pour(w, "open:late", 5, 5)
        pour(w, "open:sse", 20, 5)
        r.resume_replay()
        numbers(there, "open:late", 5, 5)
        numbers(there, "open:sse", 20, 5)
        nothing(w, there)


@case
def catch_up(w):
    """who comes back is served from the replica's log"""
    with clusters.replica(w.cluster) as r, \
            follower(w, r, ring_events=16, catchup_limit=100) as f:
        since = w.client("before").welcome["id"]
        pour(w, "open:old", 0, 500)
        moved(w, "open:old", 500)
        pour(w, "open:mark", 0, 1)
        mark = moved(w, "open:mark", 1)[0]
        r.wait_replayed(w.cluster)
        c = f.client("ann")
        wait_for(lambda: c.position() >= mark, "it to have read all")
        r.pause_replay()
        w.root("DELETE FROM pgpush.log WHERE room = 'open:old'")
        c.join("open:old", since=since)
        numbers(c, "open:old", 0, 500)
        check(reads(f, room="open:old"), "it was not read from the log")
        at = database.admin(r, "SELECT count(*) FROM pg_stat_activity "
            "WHERE usename = 'push_daemon'")[0][0]
        check(at >= 1, "it has no connection to the replica")
        r.resume_replay()
        nothing(w, c)


@case
def revoked(w):
    """a revoke and a kick act in order there, however late they are seen"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        w.sql("INSERT INTO app.members VALUES ('closed:k', 'out')")
        here = w.client("out", ["closed:k", "open:k"])
        there = f.client("out", ["closed:k", "open:k"])
        r.pause_replay()
        w.emit("closed:k", "before", {})
        w.sql("WITH gone AS (DELETE FROM app.members WHERE user_id = 'out') "
            "SELECT pgpush.revoke('closed:k', 'out')")
        w.emit("closed:k", "after", {})
        w.emit("open:k", "still", {})
        w.sql("SELECT pgpush.kick('out')")
        w.emit("open:k", "never", {})
        w.sql("SELECT pgpush.emit('open:k', 'n', '{}') "
            "FROM generate_series(1, 100)")
        for c in (here, there):
            if c is there:
                same(there.kept, [], "what came meanwhile")
                r.resume_replay()
            c.event("before", "closed:k")
            c.next(type="left", room="closed:k", reason="revoked")
            c.event("still", "open:k")
            c.until(type="left", reason="kicked", room="open:k")
            check("kicked" in c.closes(4403), "why it was closed")
        f.client("out").refused("forbidden", type="join", room="closed:k")


@case
def replica_away(w):
    """the replica stopped and started: clients stay, and miss nothing"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        c = f.client("ann", ["open:gone"])
        pour(w, "open:gone", 0, 10)
        numbers(c, "open:gone", 0, 10)
        r.stop()
        f.wait_status("/readyz", 503)
        same(f.answers("/healthz"), 200, "/healthz")
        pour(w, "open:gone", 10, 100)
        has(c.do("echo", {"x": 1}), {"ok": True}, "a send meanwhile")
        pour(w, "open:gone", 110, 100)
        moved(w, "open:gone", 210)
        r.start()
        f.wait_ready()
        numbers(c, "open:gone", 10, 200)
        nothing(w, c)
        r.restart("immediate")
        pour(w, "open:gone", 210, 100)
        numbers(c, "open:gone", 210, 100)
        f.wait_ready()
        nothing(w, c)


@case
def promoted(w):
    """one that was promoted gets nothing any more: the daemon is not ready"""
    with clusters.replica(w.cluster) as r:
        with follower(w, r, heartbeat="100ms") as f:
            c = f.client("ann", ["open:dead"])
            pour(w, "open:dead", 0, 3)
            numbers(c, "open:dead", 0, 3)
            r.promote()
            w.emit("open:dead", "n", {"n": 3})
            f.wait_status("/readyz", 503)
            check("the replica is late" in f.log(), "nothing in the log")
            same(f.answers("/healthz"), 200, "/healthz")


@case
def writes(w):
    """handlers and presence go through the primary"""
    with clusters.replica(w.cluster) as r, follower(w, r) as f:
        here = w.client("here", ["open:hand"])
        there = f.client("hand", ["open:hand"])
        has(there.do("say", {"id": "hand", "text": "hi"}, room="open:hand"),
            {"ok": True}, "reply to say")
        here.event("said", "open:hand", {"user": "hand", "text": "hi"})
        there.event("said", "open:hand", {"user": "hand", "text": "hi"})
        r.pause_replay()
        has(there.do("echo", {"x": 2}), {"ok": True}, "reply to echo")
        same(w.root("SELECT data FROM app.calls WHERE user_id = 'hand' AND "
            "event = 'echo'"), [({"x": 2},)], "what was written")
        wait_for(lambda: w.root("SELECT node FROM pgpush.connections WHERE "
            "session = %s", there.session) == [("replica",)],
            "its connection to be listed")
        wait_for(lambda: w.root("SELECT online FROM pgpush.presence WHERE "
            "user_id = 'hand'") == [(True,)], "its user to be online")
        r.resume_replay()


@case
def no_answer(w):
    """a replica that never answers: alive, not ready, and it says so"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(64)
        with Node(w, "deaf", start=False, reconnect_max="1s", follow_dsn="host="
                "127.0.0.1 port=%d dbname=x user=x connect_timeout=2"
                % s.getsockname()[1]) as f:
            f.start(ready=False)
            f.wait_status("/healthz", 200)
            wait_for(lambda: [x for x in f.log().splitlines()
                if " db=" in x and ("level=warning" in x
                    or "level=error" in x)], "a word in the log")
            same(f.answers("/readyz"), 503, "/readyz")
            same(f.answers("/healthz"), 200, "/healthz")
            wait_for(lambda: f.seen(), "its stamp")


if __name__ == "__main__":
    main(own=True)
