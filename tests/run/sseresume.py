#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Streams that are cut, or do not read: Last-Event-ID resumes all rooms."""

import os
import signal
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.nodes import Node, wait_leader
from lib.sse import Stream, address, again, position, stream
from lib.tap import check, same, show, wait_for

ROOMS = ["open:a", "open:b", "open:c"]


def pour(w, first, count, size=10, rooms=ROOMS):
    """n in the order of the ids, over the rooms by turns and by runs."""
    w.sql("SELECT pgpush.emit((%s::text[])[1 + (i / (1 + i %% 5)) %% %s], "
        "'n', jsonb_build_object('n', i, 'x', repeat('x', %s))) "
        "FROM generate_series(%s, %s) i", rooms, len(rooms), size, first,
        first + count - 1)


def moved(w, count, rooms=ROOMS):
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = "
        "ANY(%s)", rooms)[0][0] >= count, "%d events in the log" % count, 60)


def read_by(w):
    """Until the daemon itself has read all that is in the log."""
    last = w.root("SELECT max(id) FROM pgpush.log")[0][0]
    c = w.client("probe")
    wait_for(lambda: c.position() >= last, "the feed to have read it all")
    w.drop(c)
    return last


def nothing(w, s):
    w.nothing(s, "user:" + s.user)


def numbers(s, first, last):
    """Stream itself checks that the ids grow."""
    for n in range(first, last):
        f = s.event("n")
        if f["data"]["n"] != n:
            same(f["data"]["n"], n, "event of %s" % f["room"])


def cut_after_a_hundred(w):
    """The position before a hundred events that a stream had until its end."""
    s = stream(w, "ann", ROOMS)
    begin = s.last
    pour(w, 0, 100)
    numbers(s, 0, 100)
    w.drop(s)
    return begin


def resumed(w, **settings):
    """Two thousand events in three rooms, and a cut after every hundred."""
    other = World("app", **settings)
    s = stream(other, "ann", ROOMS)
    begin = s.last
    pour(other, 0, 2000)
    moved(other, 2000)
    read_by(other)
    at = 0
    while at < 2000:
        numbers(s, at, at + 97 if at + 97 < 2000 else 2000)
        at = min(at + 97, 2000)
        other.drop(s)
        # What it had read, but not been asked for, is not had.
        last = "%s.%d" % (s.epoch, other.root("SELECT id FROM pgpush.log "
            "WHERE data->>'n' = %s", str(at - 1))[0][0])
        s = stream(other, "ann", ROOMS, last=last)
        same(position(s.last) >= position(last), True, "position")
    other.nothing(s, "open:a")
    s = stream(other, "ann", ROOMS, last=begin)
    numbers(s, 0, 2000)
    same(other.close(), [], "end of the daemon")


@case
def from_ring(w):
    """cut again and again: all once and in order, out of memory"""
    resumed(w)


@case
def from_log(w):
    """the same out of the log, in small reads"""
    resumed(w, ring_events=16, catchup_limit=50)


@case
def from_both(w):
    """many streams resume from everywhere while more is written"""
    other = World("app", ring_events=200, catchup_limit=100)
    s = stream(other, "ann", ROOMS)
    epoch = s.epoch
    pour(other, 0, 3000)
    moved(other, 3000)
    ids = [i for i, in other.root("SELECT id FROM pgpush.log WHERE room = "
        "ANY(%s) ORDER BY id", ROOMS)]
    numbers(s, 0, 3000)
    done = threading.Event()
    poured = [3000]

    def writer():
        conn = other.db.connect()
        with conn.cursor() as cur:
            while not done.is_set() and poured[0] < 9000:
                n = poured[0]
                cur.execute("SELECT pgpush.emit((%s::text[])[1 + i %% 3], "
                    "'n', jsonb_build_object('n', i)) FROM "
                    "generate_series(%s, %s) i", (ROOMS, n, n + 4))
                poured[0] += 5
        conn.close()
    thread = threading.Thread(target=writer)
    thread.start()
    streams = []
    try:
        for i in range(60):
            first = 1 + (i * 47) % 2999
            streams.append((first, stream(other, "u%d" % i, ROOMS,
                last="%s.%d" % (epoch, ids[first - 1]))))
    finally:
        done.set()
        thread.join()
    streams.append((3000, s))
    for first, t in streams:
        numbers(t, first, poured[0])
        nothing(other, t)
    same(other.close(), [], "end of the daemon")


@case
def fewer_rooms(w):
    """a room that is not asked for again is not told, another one is new"""
    s = stream(w, "ann", ["open:f1", "open:f2"])
    w.emit("open:f1", "x", {"n": 1})
    s.event("x")
    w.drop(s)
    for room in ("open:f1", "open:f2", "open:f3"):
        w.emit(room, "x", {"n": 2})
    read_by(w)
    t = again(w, s, ["open:f2", "open:f3"])
    t.event("x", "open:f2")
    t.event("x", "open:f3")         # one position for all
    w.nothing(t, "open:f2")


@case
def in_the_address(w):
    """since and epoch in the address do the same; the header counts before"""
    s = stream(w, "ann", ["open:q"])
    for n in range(5):
        w.emit("open:q", "x", {"n": n})
    ids = [s.event("x")["id"] for _ in range(5)]
    for user, last, query, want in (
            ("q1", None, {"since": ids[1], "epoch": s.epoch}, (2, 3, 4)),
            ("q2", None, {"since": ids[2]}, (3, 4)),
            ("q3", "%s.%d" % (s.epoch, ids[3]), {"since": 0,
            "epoch": s.epoch}, (4,))):
        t = stream(w, user, ["open:q"], last=last, query=query)
        for n in want:
            t.event("x", data={"n": n})
        nothing(w, t)


def resets(s, rooms):
    """A reset for each room, and Last-Event-ID does not move before the last
    of them: who is cut meanwhile would never hear of the others.

    Read byte by byte, to see what a cut at any place leaves.
    """
    left = set(rooms)
    while left:
        data = s.sock.recv(1)
        check(data, "ended")
        s.take(data)
        while s.frames:
            f = s.frames.pop(0)
            if f["type"] == "welcome":
                continue
            same(f["type"], "reset", "type of %s" % show(f))
            left.remove(f["room"])
            if left:
                check(s.last in ("", s.sent), "Last-Event-ID is %s, with %s "
                    "to come" % (s.last, left))
    while s.last in ("", s.sent):
        s.take(s.sock.recv(1))
    same(position(s.last), (f["epoch"], f["id"]), "Last-Event-ID in the end")


def raw_stream(w, rooms, last):
    """A stream of which nothing but the head is read."""
    class Slow(Stream):
        def begin(self, timeout):
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += self.sock.recv(1)
            check(data.startswith(b"HTTP/1.1 200 "), "%r" % data)
    s = Slow(w.daemon.port, address(rooms), w.token("ann"), last=last)
    s.sent = last
    w.clients.append(s)
    return s


@case
def not_a_position(w):
    """an id that cannot be read, or of another epoch: reset in each room"""
    rooms = ["open:r1", "open:r2"]
    s = stream(w, "ann", rooms)
    w.emit("open:r1", "x", {})
    s.event("x")
    for last in ("junk", "1", ".", ".5", s.epoch, s.epoch + ".",
            s.epoch + ".x", s.epoch + ".-1", s.epoch + ".5x",
            s.epoch + "." + "9" * 30, "x" * 300, "other." + str(s.at)):
        t = stream(w, "ann", rooms, last=last)
        seen = [t.next(type="reset") for _ in range(3)]
        same({f["room"] for f in seen}, set(rooms + ["user:ann"]), last)
        same({f["epoch"] for f in seen}, {s.epoch}, "epoch")
        w.nothing(t, "open:r1")
    for query in ({"since": "x"}, {"since": "-1"}, {"since": "1", "epoch":
            "other"}, {"since": "9" * 30}):
        t = stream(w, "ann", rooms, query=query)
        for _ in range(3):
            t.next(type="reset")
        w.nothing(t, "open:r1")


@case
def cut_in_resets(w):
    """who is cut between two resets is told all of them again"""
    s = stream(w, "ann", ["open:r1", "open:r2"])
    rooms = ["open:r1", "open:r2", "user:ann"]
    t = raw_stream(w, rooms[:2], "other.1")
    resets(t, rooms)
    w.nothing(t, "open:r1")
    same(position(t.last)[0], s.epoch, "epoch")


@case
def joined_meanwhile(w):
    """a room that is joined before the others are up to date waits for them,
    whatever position the join gives"""
    other = World("app", ring_events=16)
    old = cut_after_a_hundred(other)
    # A number of 0, of a connection that was not there yet at the last stamp,
    # would be this test's own process group.
    reads = wait_for(lambda: other.root("SELECT backends[3] FROM pgpush.nodes "
        "WHERE 0 <> ALL (backends)"), "all its connections")[0][0]
    os.kill(reads, signal.SIGSTOP)
    try:
        t = stream(other, "ann", ROOMS, last=old)
        begin = t.at
        for i, more in enumerate(({}, {"since": 0}, {"epoch": "other"},
                {"since": 0, "epoch": "other"})):
            room = "open:late%d" % i
            check(t.join(room, **more) > begin, "where it begins")
            other.emit(room, "n", {"n": 100 + i})
        read_by(other)
    finally:
        os.kill(reads, signal.SIGCONT)
    numbers(t, 0, 104)
    same(other.close(), [], "end of the daemon")


@case
def below_the_floor(w):
    """a position that the log has forgotten: reset in each room, then all
    that comes"""
    other = World("app", ring_events=1)
    old = cut_after_a_hundred(other)
    other.sql("SELECT pgpush.emit('open:noise', 'x', '{}')")
    moved(other, 1, ["open:noise"])
    read_by(other)
    while other.root("SELECT pgpush.purge('-1 s')")[0][0]:
        pass
    t = raw_stream(other, ROOMS, old)
    resets(t, ROOMS + ["user:ann"])
    pour(other, 100, 50)
    numbers(t, 100, 150)
    same(other.close(), [], "end of the daemon")


@case
def heartbeat(w):
    """in quiet rooms the heartbeat moves Last-Event-ID: a purge does not
    matter to who was there"""
    other = World("app", ping_interval="1s", ring_events=1)
    s = stream(other, "ann", ROOMS)
    for n in range(50):
        other.emit("open:noise", "x", {"n": n})
    moved(other, 50, ["open:noise"])
    last = read_by(other)
    s.moved_to(last)
    check(s.parser.moves, "no id alone")
    same(s.frames, [], "frames")
    other.drop(s)
    while other.root("SELECT pgpush.purge('-1 s')")[0][0]:
        pass
    floor = other.root("SELECT id FROM pgpush.floor")[0][0]
    check(floor > s.welcome["id"], "the floor is %d only" % floor)
    other.emit("open:b", "x", {})
    t = again(other, s, ROOMS)
    t.event("x", "open:b")
    same(other.close(), [], "end of the daemon")


@case
def heartbeat_is_no_gap(w):
    """Last-Event-ID is never ahead of an event that has not come"""
    other = World("app", ping_interval="100ms", output_high="8k",
        ring_events=32, catchup_limit=20)
    s = stream(other, "ann", ROOMS, rcvbuf=4096)
    # Stream fails on an event that is not after the last id, heartbeats
    # included.
    for turn in range(10):
        pour(other, turn * 300, 300, 300)
        numbers(s, turn * 300, turn * 300 + 250)
        numbers(s, turn * 300 + 250, turn * 300 + 300)
        s.moved_to(other.root("SELECT max(id) FROM pgpush.log")[0][0])
    same(other.close(), [], "end of the daemon")


@case
def slow(w):
    """streams that do not read fall behind as a whole, cost little, and get
    all of it, once and in order"""
    other = World("app", output_high="64k", ring_bytes="1M")
    slow = [stream(other, "slow%d" % i, ROOMS, rcvbuf=4096)
        for i in range(10)]
    quick = Reader(stream(other, "quick", ROOMS))
    before = other.daemon.rss_kb()
    for turn in range(6):
        pour(other, turn * 2000, 2000, 1000)
    quick.wait(lambda e: len(e) >= 12000, "all at the quick one")
    other.client("other").position()
    grown = other.daemon.rss_kb() - before
    check(grown < 60 * 1024, "memory grew by %d kB" % grown)
    same([e["data"]["n"] for e in quick.stop()], list(range(12000)),
        "events of the quick one")
    pour(other, 12000, 100)
    for s in slow:
        numbers(s, 0, 12100)
        nothing(other, s)
    same(other.close(), [], "end of the daemon")


@case
def by_turns(w):
    """one that reads by fits and starts misses nothing"""
    other = World("app", output_high="16k", ring_events=64, catchup_limit=70)
    s = stream(other, "fits", ROOMS, rcvbuf=4096)
    n = at = 0
    for turn in range(6):
        pour(other, n, 1500, 500)
        n += 1500
        moved(other, n)
        numbers(s, at, at + 700 + 100 * turn)
        at += 700 + 100 * turn
    numbers(s, at, n)
    other.nothing(s, "open:a")
    same(other.close(), [], "end of the daemon")


@case
def joins_while_behind(w):
    """a stream that is behind joins and leaves rooms by POST: nothing of the
    others is lost or told twice"""
    other = World("app", output_high="16k", ring_events=64, catchup_limit=50)
    s = stream(other, "ann", ROOMS, rcvbuf=4096)
    pour(other, 0, 4000, 300)
    moved(other, 4000)
    read_by(other)
    ident = s.join("open:late")
    other.emit("open:late", "late", {"n": 1})
    s.call(type="leave", room="open:c")
    got = s.until(type="event", event="late")
    want = other.root("SELECT room, (data->>'n')::int FROM pgpush.log WHERE "
        "event = 'n' ORDER BY id")
    seen = [(f["room"], f["data"]["n"]) for f in got[:-1]]
    for room in ROOMS[:2]:
        same([x for x in seen if x[0] == room], [x for x in want
            if x[0] == room], "events of " + room)
    left = [x for x in seen if x[0] == "open:c"]
    same(left, [x for x in want if x[0] == "open:c"][:len(left)],
        "events of the room that was left")
    check(got[-1]["id"] > ident, "the id of the join is beyond")
    other.nothing(s, "open:late")
    same(other.close(), [], "end of the daemon")


@case
def postgres_restarted(w):
    """PostgreSQL goes and comes back: the stream stays and misses nothing"""
    other = World("app", own=True)
    s = stream(other, "ann", ROOMS)
    at = 0
    for mode in ("fast", "immediate"):
        pour(other, at, 200)
        other.cluster.restart(mode)
        pour(other, at + 200, 200)
        numbers(s, at, at + 400)
        at += 400
        other.daemon.wait_ready()
    t = again(other, s, ROOMS)
    pour(other, at, 10)
    numbers(t, at, at + 10)
    same(other.close(), [], "end of the daemon")


@case
def killed(w):
    """the daemon is killed again and again while it tells: no gap, nothing
    twice"""
    other = World("app", ring_events=64)
    s = stream(other, "ann", ROOMS)
    at = 0
    for turn in range(4):
        pour(other, turn * 1000, 1000)
        for _ in range(137 * (turn + 1)):
            same(s.event("n")["data"]["n"], at, "event")
            at += 1
        last = "%s.%d" % (s.epoch, other.root("SELECT id FROM pgpush.log "
            "WHERE data->>'n' = %s", str(at - 1))[0][0])
        other.daemon.kill()
        other.drop(s)
        other.daemon.start()
        s = stream(other, "ann", ROOMS, last=last)
    numbers(s, at, 4000)
    other.nothing(s, "open:a")
    same(other.close(), [], "end of the daemon")


@case
def drained(w):
    """what came before a stop is a beginning; the rest comes after it"""
    other = World("app", drain_timeout="5m")
    s = stream(other, "ann", ROOMS)
    pour(other, 0, 5000, 100)
    numbers(s, 0, 1)
    other.daemon.signal(signal.SIGTERM)
    seen = s.until(type="close")
    same(seen[-1]["code"], 1012, "code")
    s.over()
    s.shut()
    same([f["data"]["n"] for f in seen[:-1]], list(range(1, len(seen))),
        "events before the close")
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    other.daemon.start()
    t = again(other, s, ROOMS)
    numbers(t, len(seen), 5000)
    same(other.close(), [], "end of the daemon")


class Drip(threading.Thread):
    """A TCP proxy for one connection that passes every byte by itself."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.to = port
        self.start()

    def run(self):
        near, _ = self.listener.accept()
        far = socket.create_connection(("127.0.0.1", self.to))
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=self.drip, args=(far, near),
            daemon=True)
        back.start()
        self.drip(near, far)
        back.join()
        near.close()
        far.close()

    def drip(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data:
                    break
                for i in range(len(data)):
                    sink.sendall(data[i:i + 1])
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@case
def byte_by_byte(w):
    """through a proxy that passes byte by byte, there and back"""
    drip = Drip(w.daemon.port)
    s = stream(w, "drip", ROOMS, port=drip.port)
    pour(w, 0, 200)
    numbers(s, 0, 200)
    s.port = w.daemon.port
    same(s.do("echo", 1)["data"]["data"], 1, "echo")
    w.nothing(s, "open:a")
    s.sock.shutdown(socket.SHUT_RDWR)
    drip.join(10)
    check(not drip.is_alive(), "the daemon keeps the connection")
    t = again(w, s, ROOMS)
    w.nothing(t, "open:a")


@case
def dup_once(w):
    """a happening told in several rooms comes once, also when all of them
    are resumed"""
    other = World("app", ring_events=64, catchup_limit=100)
    s = stream(other, "ann", ROOMS)
    begin = s.last
    other.sql("SELECT pgpush.emit(r, 'n', jsonb_build_object('n', i), dup => "
        "'h' || i) FROM generate_series(0, 999) i, unnest(%s) r", ROOMS)
    other.emit("open:a", "end", {})
    for t in (s, stream(other, "ann", ROOMS, last=begin)):
        seen = t.until(type="event", event="end")[:-1]
        same([f["data"]["n"] for f in seen], list(range(1000)), "events")
    same(other.close(), [], "end of the daemon")


@case
def before_an_epoch(w):
    """an event read together with the next epoch comes before the reset"""
    other = World("app", node="first")
    wait_leader(other, "first")
    with Node(other, "second") as second:
        s = Stream(second.port, address(["open:a"]), other.token("ann"))
        s.greeted()
        old = position(s.last)[0]
        other.root("INSERT INTO pgpush.terms (tag, first) SELECT 'next', "
            "max(id) + 2 FROM (SELECT id FROM pgpush.log UNION ALL SELECT "
            "last_value FROM pgpush.log_id_seq) l")
        other.root("INSERT INTO pgpush.log (id, kind, room, event, data, bytes,"
            " at) SELECT nextval('pgpush.log_id_seq'), kind, room, 'n', data,"
            " 20, now() FROM (VALUES ('event', 'open:a', '{}'::jsonb),"
            " ('epoch', '', '{\"epoch\": \"next\"}')) v (kind, room, data)")
        other.root("NOTIFY pgpush_log")
        s.event("n", "open:a")
        check(position(s.ids[0])[0] in (old, "next"), "the event's epoch")
        same(s.until(type="reset", room="open:a")[-1]["epoch"], "next",
            "epoch of the reset")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(kind="app")
