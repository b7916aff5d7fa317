#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Joining, leaving, resuming, resetting; revocation in its place."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.tap import Failed, check, has, same, show, wait_for


def ids(frames):
    return [f["id"] for f in frames]


def fill(w, room, n, start=0):
    """n numbered events in one transaction each; the client sees them all."""
    for i in range(start, start + n):
        w.emit(room, "n", {"n": i})


@case
def live(w):
    """after the reply to a join events come, with room, id and data"""
    c = w.client("a")
    at = c.join("open:live")
    w.emit("open:live", "news", {"text": "h\u00e9llo \U0001f600 \"\\\n"})
    f = c.event("news", "open:live", {"text": "h\u00e9llo \U0001f600 \"\\\n"})
    check(f["id"] > at, "event %d after position %d" % (f["id"], at))
    same(sorted(f), ["data", "event", "id", "room", "type"], "members")


@case
def other_rooms(w):
    """events of rooms one is not in do not come"""
    c = w.client("a", ["open:mine"])
    w.emit("open:other", "news", {})
    w.emit("open:min", "news", {})
    w.emit("open:mine2", "news", {})
    w.emit("user:b", "news", {})
    w.nothing(c, "open:mine")


@case
def rules(w):
    """a rule lets in or refuses; no rule, no entry"""
    w.sql("INSERT INTO app.members VALUES ('closed:1', 'in')")
    w.client("in").join("closed:1")
    c = w.client("out", ["open:r"])
    c.refused("forbidden", type="join", room="closed:1")
    c.refused("forbidden", type="join", room="norule:1")
    c.refused("forbidden", type="join", room="user:in")
    c.refused("forbidden", type="join", room="open:a:b")
    c.refused("forbidden", type="join", room="xopen:a")
    c.refused("forbidden", type="join", room="open:")
    c.refused("forbidden", type="join", room="unknown:1")
    w.emit("closed:1", "secret", {})
    w.emit("norule:1", "secret", {})
    w.nothing(c, "open:r", "nothing of rooms that refused")


@case
def broken_rule(w):
    """a rule that fails refuses, and its text does not reach the client"""
    c = w.client("a", ["open:b"])
    error = c.refused("forbidden", type="join", room="broken:1")
    check("secret" not in error["message"], "leaks: %s" % show(error))
    w.nothing(c, "open:b")


@case
def rule_changes(w):
    """a rule made while the daemon runs counts at once"""
    c = w.client("a", ["open:c"])
    c.refused("forbidden", type="join", room="fresh:1")
    w.sql("SELECT pgpush.allow('fresh:{id}', 'app.yes(text,jsonb,jsonb)')")
    c.join("fresh:1")


@case
def bad_names(w):
    """a room name that cannot be is a bad request, not a fault"""
    c = w.client("a", ["open:d"])
    for room in ("", "open:" + "x" * 300, "open:" + "\u00e9" * 100):
        c.refused("bad_request", type="join", room=room)
    c.refused(("bad_request", "forbidden"), type="join", room="open:a\0b")
    c.join("open:" + "x" * 195)
    odd = "open:'\"\\; DROP TABLE x --\u00e9\U0001f600{id}%s"
    c.join(odd)
    w.emit(odd, "odd", {})
    c.event("odd", odd)
    w.nothing(c, "open:d")


@case
def twice(w):
    """a second join of the same room answers, and nothing comes twice"""
    c = w.client("a", ["open:twice"])
    c.join("open:twice")
    w.emit("open:twice", "one", {})
    f = c.event("one")
    same(c.join("open:twice") >= f["id"], True, "position after the event")
    w.nothing(c, "open:twice")


@case
def leaving(w):
    """after the reply to a leave nothing of the room comes"""
    c = w.client("a", ["open:leave", "open:stay"])
    c.leave("open:leave")
    w.emit("open:leave", "gone", {})
    w.signal("open:leave", "gone", {})
    w.nothing(c, "open:stay")
    c.leave("open:leave")
    c.leave("open:never")


@case
def resume(w):
    """since gives what came after it, once and in order, then live"""
    c = w.client("a", ["open:resume"])
    fill(w, "open:resume", 10)
    all_ids = ids(c.until(event="n", data={"n": 9}))
    for k in (0, 4, 8, 9):
        d = w.client("b")
        same(d.join("open:resume", since=all_ids[k]), all_ids[k],
            "id in the reply")
        got = [d.event("n", "open:resume")["data"]["n"]
            for _ in range(9 - k)]
        same(got, list(range(k + 1, 10)), "since %d" % all_ids[k])
        w.nothing(d, "user:b")
        w.drop(d)
    d = w.client("b")
    d.join("open:resume", since=all_ids[4], epoch=d.welcome["epoch"])
    fill(w, "open:resume", 1, 10)
    got = [f["data"]["n"] for f in d.until(event="n", data={"n": 10})
        if f["event"] == "n"]
    same(got, list(range(5, 11)), "with the epoch, then live")


@case
def resume_from_zero(w):
    """since 0 gives the whole log of the room"""
    w.emit("open:zero", "n", {"n": 0})
    w.emit("open:zero", "n", {"n": 1})
    c = w.client("a")
    c.join("open:zero", since=0)
    c.event("n", data={"n": 0})
    c.event("n", data={"n": 1})
    w.nothing(c, "open:zero")


@case
def another_epoch(w):
    """since of another epoch: reset, and the room is live"""
    first = w.client("b", ["open:epoch"])
    w.emit("open:epoch", "old", {})
    first.event("old")
    c = w.client("a")
    at = c.position()
    ref = c.ref()
    c.send(type="join", room="open:epoch", since=0, epoch="another", ref=ref)
    frames = c.until(type="reset")
    has(frames[-1], {"room": "open:epoch", "epoch": c.welcome["epoch"]},
        "reset")
    check(frames[-1]["id"] >= at, "reset at %r, position was %d"
        % (frames[-1].get("id"), at))
    check(all(f["type"] != "event" for f in frames), "events before reset: "
        + show(frames))
    c.kept += [f for f in frames if f["type"] == "reply"]
    has(c.reply(ref), {"ok": True, "room": "open:epoch"}, "reply")
    w.nothing(c, "open:epoch", "nothing old")


@case
def below_the_floor(w):
    """since below the floor: reset, and the room is live"""
    other = World("app")
    a = other.client("a", ["open:floor"])
    fill(other, "open:floor", 5)
    first = ids(a.until(event="n", data={"n": 4}))[0]
    other.root("UPDATE pgpush.log SET at = at - interval '2 days'")
    check(other.root("SELECT pgpush.purge('1 day')")[0][0] >= 5, "purged")
    other.emit("open:floor", "kept", {})
    kept = a.event("kept")["id"]
    other.between()
    other.daemon.restart()      # or its memory would still have them
    floor = other.root("SELECT id FROM pgpush.floor")[0][0]
    c = other.client("b")
    c.join("open:floor", since=floor)
    c.event("kept", "open:floor")
    for since in (0, first, floor - 1):
        c = other.client("b")
        c.send(type="join", room="open:floor", since=since, ref="j")
        frames = c.until(type="reset", room="open:floor")
        check(frames[-1]["id"] >= kept, "reset at %s" % show(frames[-1]))
        check(not [f for f in frames if f["type"] == "event"],
            "events before the reset: %s" % show(frames))
        c.kept += [f for f in frames if f["type"] == "reply"]
        has(c.reply("j"), {"ok": True}, "reply")
        other.nothing(c, "user:b")
        other.emit("open:floor", "live", {})
        kept = c.event("live", "open:floor")["id"]
    same(other.close(), [], "end of the daemon")


@case
def quiet_room_after_purge(w):
    """a quiet room resumed from the last position is not reset by a purge"""
    other = World("app")
    a = other.client("a", ["open:quiet", "open:busy"])
    other.emit("open:quiet", "once", {})
    a.event("once")
    fill(other, "open:busy", 5)
    a.until(event="n", data={"n": 4})
    at = a.position()
    other.drop(a)
    other.root("UPDATE pgpush.log SET at = at - interval '2 days'")
    other.root("SELECT pgpush.purge('1 day')")
    other.emit("open:quiet", "twice", {})
    c = other.client("b")
    c.join("open:quiet", since=at)
    c.event("twice", "open:quiet")
    same(other.close(), [], "end of the daemon")


@case
def beyond(w):
    """since beyond the daemon's position: live from there"""
    a = w.client("a", ["open:beyond"])
    w.emit("open:beyond", "now", {})
    now = a.event("now")["id"]
    c = w.client("b")
    same(c.join("open:beyond", since=now + 3), now + 3, "id in the reply")
    fill(w, "open:beyond", 6)
    want = [i for i in ids(a.until(event="n", data={"n": 5}))
        if i > now + 3]
    same(ids(c.until(event="n", data={"n": 5})), want, "ids")


@case
def bad_since(w):
    """a since that is no position is a bad request"""
    c = w.client("a", ["open:e"])
    for since in ("x", "5", -1, 1.5, 1e30, [], {}, True):
        c.refused("bad_request", type="join", room="open:since", since=since)
    for epoch in (5, [], {}, True):
        c.refused("bad_request", type="join", room="open:since", since=0,
            epoch=epoch)
    w.emit("open:since", "x", {})
    w.nothing(c, "open:e")


@case
def pouring(w):
    """resuming again and again while events pour in: no gap, no overlap"""
    for settings in ({}, {"catchup_limit": 7, "ring_events": 16}):
        other = World("app", **settings)
        pour(other)
        same(other.close(), [], "end of the daemon")


def pour(w):
    count, room = 3000, "open:pour"
    problem = []

    def write():
        conn = w.db.connect()
        try:
            with conn.cursor() as cur:
                for i in range(count):
                    cur.execute("SELECT pgpush.emit(%s, 'n', "
                        "jsonb_build_object('n', %s))", (room, i))
        except Exception as e:
            problem.append(e)
        finally:
            conn.close()

    whole = w.client("whole", [room])
    reader = Reader(whole)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        got, last, stays = [], 0, 0
        c = w.client("hopper")
        while not got or got[-1]["data"]["n"] < count - 1:
            c.join(room, since=last)
            for _ in range(97):
                f = c.event("n", room)
                got.append(f)
                last = f["id"]
                if f["data"]["n"] == count - 1:
                    break
            stays += 1
            if stays % 3 == 0:
                w.drop(c)           # what was on its way is lost here
                c = w.client("hopper")
                continue
            c.send(type="leave", room=room, ref="bye")
            for f in c.kept + c.until(type="reply", ref="bye")[:-1]:
                if f["type"] == "event":
                    got.append(f)
                    last = f["id"]
            c.kept = []
        fresh = w.client("fresh")
        fresh.join(room, since=0)
        frames = fresh.until(event="n", data={"n": count - 1})
    finally:
        writer.join()
    if problem:
        raise problem[0]
    want = list(range(count))
    same([f["data"]["n"] for f in got], want, "the hopper's sequence")
    same(ids(got), sorted(set(ids(got))), "the hopper's ids")
    same([f["data"]["n"] for f in frames], want, "from the beginning")
    reader.wait(lambda e: len(e) >= count, "all events at the one who stayed")
    same([f["data"]["n"] for f in reader.stop()], want, "who stayed")
    w.nothing(whole, room)


@case
def many_rooms(w):
    """over max_rooms: too_many, and the rooms one has stay"""
    other = World("app", max_rooms=4)
    c = other.client("a")
    joined = []
    for i in range(4):
        reply = c.call(type="join", room="open:%d" % i)
        if reply["ok"]:
            joined.append("open:%d" % i)
        else:
            c.error(reply, "too_many")
    check(len(joined) in (3, 4), "%d rooms joined" % len(joined))
    c.refused("too_many", type="join", room="open:more")
    c.leave(joined[0])
    c.join("open:more")
    other.nothing(c, "open:more")
    other.nothing(c, joined[1])
    same(other.close(), [], "end of the daemon")


@case
def positions(w):
    """at comes each ping interval, and a resume from it misses nothing"""
    other = World("app", ping_interval="1s")
    c = other.client("a", ["open:at"])
    a = other.client("b", ["open:else"])
    other.emit("open:else", "x", {})
    far = a.event("x")["id"]
    same(c.welcome["ping"], 1, "ping in the welcome")
    c.position()

    def reads():
        try:
            c.read(0.2)
        except Failed as e:
            if not str(e).startswith("no frame"):
                raise
        return c.at >= far
    wait_for(reads, "an at of %d or more" % far)
    same(other.close(), [], "end of the daemon")


@case
def ping_replies(w):
    """the reply to a ping has the position of all that was delivered"""
    c = w.client("a", ["open:ping"])
    w.emit("open:ping", "x", {})
    f = c.event("x")
    check(c.position() >= f["id"], "position below the last event")


@case
def revoke(w):
    """what is committed before a revoke comes, what is after does not"""
    a = w.client("ann", ["open:revoke", "open:rest"])
    b = w.client("bob", ["open:revoke"])
    w.sql("SELECT pgpush.emit('open:revoke', 'before', '{}'), "
        "pgpush.revoke('open:revoke', 'ann'), "
        "pgpush.emit('open:revoke', 'after', '{}')")
    a.event("before", "open:revoke")
    a.next(type="left", room="open:revoke", reason="revoked")
    b.event("before")
    b.event("after")
    w.emit("open:revoke", "later", {})
    w.signal("open:revoke", "later", {})
    w.nothing(a, "open:rest")
    c = w.client("ann")
    c.join("open:revoke")       # the rule still says yes


@case
def revoke_all(w):
    """a revoke without a user ends the room for everybody"""
    a = w.client("ann", ["open:all", "open:rest"])
    b = w.client("bob", ["open:all", "open:rest"])
    w.sql("SELECT pgpush.revoke('open:all', NULL, 'deleted')")
    for c in (a, b):
        c.next(type="left", room="open:all", reason="deleted")
    w.emit("open:all", "later", {})
    w.emit("open:rest", "end", {})
    for c in (a, b):
        c.event("end", "open:rest")


@case
def kick(w):
    """a kick ends every session of the user, after left for its rooms"""
    a = w.client("kim", ["open:kick"])
    b = w.client("kim", ["open:kick"])
    c = w.client("bob", ["open:kick"])
    w.sql("SELECT pgpush.emit('open:kick', 'before', '{}'), "
        "pgpush.kick('kim'), pgpush.emit('open:kick', 'after', '{}')")
    for x in (a, b):
        x.event("before")
        left = {x.next(type="left", reason="kicked")["room"]
            for _ in range(2)}
        same(left, {"open:kick", "user:kim"}, "rooms left")
        x.closes(4403)
    c.event("before")
    c.event("after")


@case
def evicted_while_behind(w):
    """a resume does not carry anything past a revoke"""
    other = World("app", catchup_limit=5, ring_events=4)
    fill(other, "open:ev", 200)
    other.sql("SELECT pgpush.revoke('open:ev', 'eve')")
    a = other.client("adam")
    a.join("open:ev", since=0)
    a.until(event="n", data={"n": 199})
    other.emit("open:ev", "mark", {})
    a.event("mark")                 # and so the revoke has passed
    e = other.client("eve")
    e.join("open:ev", since=0)      # a revoke is no ban: the rule decides
    e.until(event="mark")
    other.sql("SELECT pgpush.revoke('open:ev', 'eve')")
    e.next(type="left", room="open:ev", reason="revoked")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
