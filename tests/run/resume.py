#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Many resume at once: all get theirs, the database is asked little.

The reads of the log that the daemon makes for them are told from its own log.
A lock on pgpush.log holds them back until all who shall take part are there;
who may join is answered meanwhile.
"""

import json
import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.nodes import events_of, reads
from lib.tap import Failed, check, same, show, wait_for
from lib.ws import TEXT, frame_bytes


def pour(w, room, first, count):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i)) "
        "FROM generate_series(%s, %s) i", room, first, first + count - 1)


def moved(w, room, count):
    """Until so many of its events are in the log; their ids."""
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = %s",
        room)[0][0] >= count, "%d events in the log" % count, 60)
    return [i for i, _ in events_of(w, room)]


def nothing(w, c):
    w.nothing(c, "user:" + c.user)


class Held:
    """As a context: nobody reads the log."""

    def __init__(self, w):
        self.w = w

    def __enter__(self):
        self.conn = self.w.db.connect("postgres", autocommit=False)
        with self.conn.cursor() as cur:
            cur.execute("LOCK TABLE pgpush.log IN ACCESS EXCLUSIVE MODE")
        return self

    def __exit__(self, *unused):
        self.conn.rollback()
        self.conn.close()


def joins(c, room, since):
    """A join that is answered; what it resumes comes later."""
    same(c.join(room, since=since), since, "reply to a join")


def numbers(c, room, first, last):
    for n in range(first, last):
        c.event("n", room, {"n": n})


@case
def herd(w):
    """three hundred after a restart, each from elsewhere: few reads, all of it
    for everybody"""
    other = World("app", ring_events=64)
    pour(other, "open:herd", 0, 2000)
    pour(other, "open:noise", 0, 500)
    moved(other, "open:noise", 500)
    other.daemon.stop()
    pour(other, "open:herd", 2000, 300)
    other.daemon.start()
    ids = moved(other, "open:herd", 2300)
    start = len(other.daemon.log())
    clients = [other.client("h%d" % i) for i in range(300)]
    with Held(other):
        for i, c in enumerate(clients):
            c.first = (i * 7) % 2200
            c.send(type="join", room="open:herd", since=ids[c.first - 1]
                if c.first else ids[0] - 1, ref="j")
        for c in clients:
            c.next(type="reply", ref="j", ok=True)
    for c in clients:
        numbers(c, "open:herd", c.first, 2300)
        same(c.kept, [], "more")
    n = len(reads(other.daemon, start, "open:herd"))
    check(1 <= n <= 30, "%d reads for 300 clients" % n)
    members = [m for _, _, _, m in reads(other.daemon, start, "open:herd")]
    check(max(members) > 100, "members of the reads: %s" % members)
    pour(other, "open:herd", 2300, 1)
    for c in clients:
        numbers(c, "open:herd", 2300, 2301)
    same(other.close(), [], "end of the daemon")


@case
def herd_while_pouring(w):
    """a hundred resume while the room goes on: without a gap or an overlap"""
    other = World("app", ring_events=64, catchup_limit=100)
    pour(other, "open:pour", 0, 2000)
    ids = moved(other, "open:pour", 2000)
    clients = [other.client("p%d" % i) for i in range(100)]
    done = threading.Event()
    poured = [2000]

    def writer():
        conn = other.db.connect()
        with conn.cursor() as cur:
            while not done.is_set() and poured[0] < 10000:
                cur.execute("SELECT pgpush.emit('open:pour', 'n', "
                    "jsonb_build_object('n', i)) FROM generate_series(%s, %s)"
                    " i", (poured[0], poured[0] + 4))
                poured[0] += 5
        conn.close()

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for i, c in enumerate(clients):
            c.first = 1 + (i * 13) % 1900
            joins(c, "open:pour", ids[c.first - 1])
    finally:
        done.set()
        thread.join()
    for c in clients:
        numbers(c, "open:pour", c.first, poured[0])
        nothing(other, c)
    same(other.close(), [], "end of the daemon")


@case
def least_first(w):
    """who lacks little is not held up by who lacks much, in another room or in
    the same"""
    other = World("app", ring_events=64, catchup_limit=100,
        catchup_concurrent=1)
    for n in range(0, 3000, 500):
        pour(other, "open:much", n, 500)
    pour(other, "open:little", 0, 300)
    little = moved(other, "open:little", 300)
    much = moved(other, "open:much", 3000)
    pour(other, "open:noise", 0, 100)
    moved(other, "open:noise", 100)
    big = other.client("big")
    same_room = other.client("same")
    small = [other.client("small%d" % i) for i in range(5)]
    wait_for(lambda: small[0].position() > little[-1], "it to have read all")
    start = len(other.daemon.log())
    with Held(other):
        joins(big, "open:much", much[0] - 1)
        for c in small:
            joins(c, "open:little", little[199])
        joins(same_room, "open:much", much[-150])
    for c in small:
        numbers(c, "open:little", 200, 300)
    numbers(same_room, "open:much", 2851, 3000)
    numbers(big, "open:much", 0, 3000)
    rows = reads(other.daemon, start)
    rooms = [row[0] for row in rows]
    check("open:little" in rooms, "no read of the room of those who lack "
        "little: %s" % show(str(rows)))
    check(rooms.count("open:much") >= 20, "few reads of the other: %s"
        % show(str(rows)))
    last = max(i for i, room in enumerate(rooms) if room == "open:little")
    check(last <= 5, "the last read for those who lack little is number %d of "
        "%d" % (last + 1, len(rows)))
    near = [i for i, row in enumerate(rows) if row[0] == "open:much"
        and row[1] >= much[-150]]
    check(near and near[0] <= 7, "the first read for the one who lacks little "
        "in the same room is number %s of %d" % (near[:1], len(rows)))
    same(other.close(), [], "end of the daemon")


@case
def farthest_too(w):
    """in a room in which somebody always lacks little, who lacks much gets on
    as well"""
    other = World("app", ring_events=64, catchup_limit=10,
        catchup_concurrent=1)
    for n in range(0, 3000, 500):
        pour(other, "open:both", n, 500)
    ids = moved(other, "open:both", 3000)
    far = other.client("far")
    near = other.client("near")
    wait_for(lambda: near.position() >= ids[-1], "it to have read all")
    start = len(other.daemon.log())
    with Held(other):
        joins(near, "open:both", ids[1999])
        joins(far, "open:both", ids[0] - 1)
    numbers(near, "open:both", 2000, 3000)
    numbers(far, "open:both", 0, 3000)
    rows = reads(other.daemon, start)
    turns = [i for i, row in enumerate(rows) if row[1] < ids[1999]
        and row[0] == "open:both"]
    # Whoever came first, the first read may have been for the far one.
    check(len([i for i in turns if 0 < i <= 40]) >= 3, "the reads for the one "
        "who lacks much are the numbers %s of %d" % (turns[:9], len(rows)))
    check(len([i for i in turns if i <= 40]) <= 10, "who lacks much is not "
        "behind the other: %s of %d" % (turns[:9], len(rows)))
    same(other.close(), [], "end of the daemon")


@case
def none_from_the_log(w):
    """with a ring of the usual size a restarted daemon reads nothing for a
    hundred who missed recent events"""
    rooms = ["open:warm%d" % i for i in range(5)]
    for i in range(200):
        for room in rooms:
            w.emit(room, "n", {"n": i})
    ids = dict((room, moved(w, room, 200)) for room in rooms)
    w.daemon.restart()
    start = len(w.daemon.log())
    clients = [w.client("w%d" % i) for i in range(100)]
    for i, c in enumerate(clients):
        c.room = rooms[i % 5]
        c.first = 1 + i
        c.send(type="join", room=c.room, since=ids[c.room][i], ref="j")
    for c in clients:
        c.next(type="reply", ref="j", ok=True)
        numbers(c, c.room, c.first, 200)
    for room in rooms:
        w.emit(room, "n", {"n": 200})
    for c in clients:
        numbers(c, c.room, 200, 201)
    same(reads(w.daemon, start), [], "reads of the log")


def room_of(i):
    return "open:many%d" % i


@case
def twenty_rooms(w):
    """clients in twenty rooms each resume all of them while events pour in"""
    other = World("app", ring_events=256)
    rooms = [room_of(i) for i in range(40)]
    other.sql("SELECT pgpush.emit('open:many' || i % 40, 'n', "
        "jsonb_build_object('n', i / 40)) FROM generate_series(0, 3999) i")
    ids = {}
    for room in rooms:
        ids[room] = moved(other, room, 100)
    done = threading.Event()
    problems = []

    def writer(me):
        try:
            conn = other.db.connect()
            with conn.cursor() as cur:
                for n in range(1500):
                    if done.is_set():
                        break
                    cur.execute("SELECT pgpush.emit(%s, 'w', '{}'), "
                        "pgpush.emit(%s, 'w', '{}')", (rooms[(7 * n + me)
                        % 40], rooms[(11 * n + me) % 40]))
            conn.close()
        except Exception as e:
            problems.append(e)

    threads = [threading.Thread(target=writer, args=(i,)) for i in (0, 20)]
    for t in threads:
        t.start()
    readers = []
    try:
        for i in range(20):
            c = other.client("t%d" % i)
            c.since = {}
            for k in range(20):
                room = rooms[(2 * i + k) % 40]
                c.since[room] = ids[room][(17 * i + 5 * k) % 100]
                c.send(type="join", room=room, since=c.since[room], ref=k)
            readers.append(Reader(c))
    finally:
        for t in threads:
            t.join()
    same(problems, [], "the writers")
    for i in range(40):
        other.emit(rooms[i], "end", {})
    for reader in readers:
        reader.wait(lambda e: sum(1 for x in e if x["event"] == "end") >= 20,
            "the ends")
        reader.stop()
    log = dict((room, [i for i, _ in events_of(other, room)])
        for room in rooms)
    for reader in readers:
        for room, since in reader.client.since.items():
            got = [e["id"] for e in reader.events if e["room"] == room]
            want = [i for i in log[room] if i > since]
            same(got == want, True, "%s in %s: %d events, %d in the log, "
                "in its order" % (reader.client.user, room, len(got),
                len(want)))
        same(sorted(f["ref"] for f in reader.other), list(range(20)),
            "replies")
    same(other.close(), [], "end of the daemon")


HAPPENINGS = "SELECT pgpush.emit(room, 'h', jsonb_build_object('h', i), " \
    "dup => 'h' || i) FROM generate_series(%s, %s) i, " \
    "unnest(ARRAY['open:da', 'open:db']) room"


def once(c, first, last, ends=2):
    """Each happening once, up to the ends of both rooms."""
    got, left = [], ends
    while left:
        f = c.next(type="event")
        if f["event"] == "end":
            left -= 1
        else:
            got.append(f["data"]["h"])
    missing = set(range(first, last + 1)) - set(got)
    check(not missing, "%s: %d happenings never came: %s" % (c.user,
        len(missing), sorted(missing)[:5]))
    twice = len(got) - len(set(got))
    check(twice == 0, "%s: %d happenings came twice" % (c.user, twice))


def end_both(w):
    w.emit("open:da", "end", {})
    w.emit("open:db", "end", {})


@case
def dup_resumed(w):
    """3000 happenings in two rooms, resumed in both: each once, in few reads"""
    other = World("app", ring_events=64)
    since = other.client("first").welcome["id"]
    for n in range(0, 3000, 500):
        other.sql(HAPPENINGS + " ORDER BY i, room", n, n + 499)
    moved(other, "open:db", 3000)
    clients = [other.client("dup%d" % i) for i in range(4)]
    for i, c in enumerate(clients):
        rooms = ["open:da", "open:db"]
        if i % 2:
            rooms.reverse()
        for room in rooms:
            c.send(type="join", room=room, since=since, ref=room)
        for room in rooms:
            same(c.reply(room)["id"], since, "reply")
    end_both(other)
    for c in clients:
        once(c, 0, 2999)
        nothing(other, c)
    n = len(reads(other.daemon))
    check(4 <= n <= 200, "%d reads of the log for 4 clients" % n)
    # One who has got half of them live and comes back for the rest.
    c = other.client("half", ["open:da", "open:db"])
    other.sql(HAPPENINGS + " ORDER BY i, room", 3000, 3099)
    for h in range(3000, 3100):
        f = c.event("h", data={"h": h})
    since = c.position()
    other.drop(c)
    other.sql(HAPPENINGS + " ORDER BY i, room", 3100, 4099)
    c = other.client("half")
    c.join("open:da", since=since)
    c.join("open:db", since=since)
    end_both(other)
    once(c, 3100, 4099)
    same(other.close(), [], "end of the daemon")


@case
def dup_restarted(w):
    """the same with a ring that holds them, after a restart"""
    other = World("app")
    since = other.client("first").welcome["id"]
    other.sql(HAPPENINGS + " ORDER BY i, room", 0, 999)
    moved(other, "open:db", 1000)
    other.between()
    other.daemon.restart()
    clients = [other.client("ring%d" % i) for i in range(3)]
    for c in clients:
        c.join("open:db", since=since)
        c.join("open:da", since=since)
    end_both(other)
    for c in clients:
        once(c, 0, 999)
    same(other.close(), [], "end of the daemon")


@case
def dup_bulk(w):
    """500 happenings in one transaction, all in one room and then all in the
    other: each once, live and resumed"""
    other = World("app", ring_events=64, catchup_limit=100)
    live = other.client("live", ["open:da", "open:db"])
    only = other.client("only", ["open:db"])
    since = other.client("since").welcome["id"]
    with other.db.connect(autocommit=False) as conn:
        cur = conn.cursor()
        cur.execute(HAPPENINGS + " ORDER BY room, i", (0, 499))
        conn.commit()
    conn.close()
    ids = moved(other, "open:db", 500)
    check(ids[0] > moved(other, "open:da", 500)[-1], "first one, then the "
        "other")
    end_both(other)
    once(live, 0, 499)
    once(only, 0, 499, 1)
    for rooms in (("open:da", "open:db"), ("open:db", "open:da")):
        c = other.client("resumed" + rooms[0][-1])
        for room in rooms:
            c.join(room, since=since)
        once(c, 0, 499)
        nothing(other, c)
    same(other.close(), [], "end of the daemon")


@case
def dup_slow(w):
    """a reader that falls behind in the midst of it gets each once, too"""
    other = World("app", ring_events=64, output_high="16k")
    c = other.client("slow", ["open:da", "open:db"], rcvbuf=4096)
    for n in range(0, 5000, 500):
        other.sql(HAPPENINGS + " ORDER BY i, room", n, n + 499)
    moved(other, "open:db", 5000)
    end_both(other)
    once(c, 0, 4999)
    nothing(other, c)
    same(other.close(), [], "end of the daemon")


NEAR = 1000             # events between two rows that are told as one


@case
def dup_sparse(w):
    """happenings that lie far apart in the log are read in few reads"""
    other = World("app", ring_events=64)
    other.root("INSERT INTO pgpush.log (id, kind, room, event, data, dup, "
        "bytes, at) SELECT i, 'event', CASE mod(i, 500) WHEN 0 THEN 'open:da' "
        "WHEN 1 THEN 'open:db' ELSE 'open:noise' END, 'n', "
        "jsonb_build_object('n', i / 500), CASE WHEN mod(i, 500) < 2 "
        "THEN 'd' || i / 500 END, 8, now() "
        "FROM generate_series(1000, 50999) i")
    other.root("SELECT setval('pgpush.log_id_seq', 51000)")
    other.daemon.restart()
    c = other.client("sparse")
    start = len(other.daemon.log())
    with Held(other):
        for room in ("open:da", "open:db"):
            c.send(type="join", room=room, since=999, ref=room)
        for room in ("open:da", "open:db"):
            c.reply(room)
    same(sorted(c.next(type="event")["data"]["n"] for _ in range(100)),
        list(range(2, 102)), "happenings")
    nothing(other, c)
    rows = reads(other.daemon, start)
    check(len(rows) <= 6, "%d reads" % len(rows))
    same(other.close(), [], "end of the daemon")


class Crowd:
    """Happenings in rooms at random, and sessions in rooms at random."""

    def __init__(self, w, seed):
        self.w = w
        self.rng = random.Random(seed)
        self.rooms = ["open:c%d" % i for i in range(6)]
        self.h = 0
        self.members = []

    def tell(self, count):
        """So many, in one transaction, told room by room or one by one."""
        rows = []
        for _ in range(count):
            for room in self.rng.sample(self.rooms, self.rng.randint(1, 4)):
                rows.append((room, self.h))
            self.h += 1
        if self.rng.random() < 0.5:
            rows.sort()
        self.w.sql("SELECT pgpush.emit(room, 'h', jsonb_build_object('h', h),"
            " dup => 'c' || h) FROM unnest(%s::text[], %s::int[]) "
            "WITH ORDINALITY u (room, h, i) ORDER BY i",
            [room for room, _ in rows], [h for _, h in rows])

    def member(self, i, since=None):
        """One in some rooms, from now on or from somewhere before."""
        rooms = self.rng.sample(self.rooms, self.rng.randint(2, 5))
        how = {"rcvbuf": 4096} if self.rng.random() < 0.3 else {}
        c = self.w.client("c%d" % i, **how)
        c.start = {}
        more = {} if since is None else {"since": since}
        # All in one: the daemon cannot know of a join that is yet to come.
        c.send_raw(b"".join(frame_bytes(TEXT, json.dumps(dict(type="join",
            room=room, ref=room, **more)).encode()) for room in rooms))
        for room in rooms:
            c.start[room] = c.reply(room)["id"]
        self.members.append(Reader(c))

    def ids(self):
        return [row[0] for row in self.w.root("SELECT id FROM pgpush.log "
            "WHERE room = ANY (%s) ORDER BY id", self.rooms)]

    def check(self, reader):
        """Each happening of its rooms once, each room in order."""
        rows = self.w.root("SELECT id, room, data->'h' FROM pgpush.log WHERE "
            "event = 'h' AND room = ANY (%s)", list(reader.client.start))
        log = dict((row[0], row) for row in rows
            if row[0] > reader.client.start[row[1]])
        want = set(h for _, _, h in log.values())
        got = [e for e in reader.events if e["event"] == "h"]
        last = {}
        for e in got:
            same(log.get(e["id"]), (e["id"], e["room"], e["data"]["h"]),
                "a row of the log")
            check(e["id"] > last.get(e["room"], 0), "%s: out of order in %s "
                "at %d" % (reader.client.user, e["room"], e["id"]))
            last[e["room"]] = e["id"]
        told, twice = {}, []
        for e in got:
            h = e["data"]["h"]
            if h in told and abs(e["id"] - told[h]) <= NEAR:
                twice.append((told[h], e["id"]))
            told[h] = e["id"]
        check(not twice, "%s: %d came twice: %s" % (reader.client.user,
            len(twice), twice[:5]))
        check(set(told) == want, "%s: %d of %d never came: %s"
            % (reader.client.user, len(want - set(told)), len(want),
            sorted(want - set(told))[:5]))


def crowd_of(seed, turns, most):
    """Happenings and members by this seed; all must have come right."""
    other = World("app", ring_events=200, catchup_limit=100,
        output_high="8k")
    crowd = Crowd(other, seed)
    for i in range(6):
        crowd.member(i)
    for turn in range(turns):
        crowd.tell(crowd.rng.choice((1, 5, 50, most)))
        if turn % 3 == 2:
            ids = crowd.ids()
            crowd.member(100 + turn, crowd.rng.choice(ids) if ids else 0)
    for room in crowd.rooms:
        other.emit(room, "end", {})
    for reader in crowd.members:
        reader.wait(lambda e: sum(1 for x in e if x["event"] == "end")
            == len(reader.client.start), "the ends")
        reader.stop()
        crowd.check(reader)
    same(other.close(), [], "end of the daemon")


@case
def dup_crowd(w):
    """happenings in up to four of six rooms, live, resumed and behind"""
    for seed in (1, 2):
        crowd_of(seed, 30, 200)


@case
def dup_crowd_bulk(w):
    """the same with 1500 in one transaction, room by room"""
    for seed in (3, 6):
        crowd_of(seed, 20, 1500)


if __name__ == "__main__":
    main()
