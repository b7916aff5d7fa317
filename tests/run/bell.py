#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The mover and the bell: every commit delivered once, whatever the state.

The leader is armed when it holds the bell's lock (K) exclusively, polling when
it holds only its own (L).
"""

import os
import random
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.tap import Failed, check, same, wait_for

LOCK = "SELECT %s FROM pg_locks WHERE locktype = 'advisory' AND classid = " \
    "'pgpush.outbox'::regclass AND objid = %d AND granted " \
    "AND mode = 'ExclusiveLock' AND database = (SELECT oid FROM pg_database " \
    "WHERE datname = current_database())"


def leads(w):
    return w.root(LOCK % ("pid", 0))


def armed(w):
    return w.root(LOCK % ("pid", 1))


class Writers:
    """Writers that commit events and know which.

    Each has its own numbers; what it rolled back it must never see again.
    """

    def __init__(self, w, rooms, writers, each, pause=None):
        self.w = w
        self.rooms = rooms
        self.each = each
        self.pause = pause
        self.committed = []         # (writer, n, rooms), in commit order
        self.problems = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.write, args=(i,))
            for i in range(writers)]

    def start(self):
        for t in self.threads:
            t.start()
        return self

    def wait(self):
        for t in self.threads:
            t.join()
        if self.problems:
            raise self.problems[0]

    def write(self, me):
        rng = random.Random(1000 + me)
        try:
            conn = self.w.db.connect(autocommit=False)
            with conn.cursor() as cur:
                for n in range(self.each):
                    self.one(conn, cur, me, n, rng)
            conn.close()
        except Exception as e:
            self.problems.append(e)

    def emit(self, cur, rooms, me, n, bad=False):
        for room in rooms:
            cur.execute("SELECT pgpush.emit(%s, 'w', jsonb_build_object("
                "'by', %s, 'n', %s, 'bad', %s))", (room, me, n, bad))

    def one(self, conn, cur, me, n, rng):
        rooms = rng.sample(self.rooms, rng.choice((1, 1, 2, 3)))
        how = rng.random()
        if how < 0.1:
            self.emit(cur, rooms, me, n, True)
            conn.rollback()
        if how < 0.2:
            cur.execute("SAVEPOINT s")
            self.emit(cur, rooms, me, n, True)
            cur.execute("ROLLBACK TO s")
        self.emit(cur, rooms, me, n)
        if how > 0.97:
            self.pause_for(rng.random() * 0.2)      # held open for a while
        conn.commit()
        with self.lock:
            self.committed.append((me, n, rooms))
        if self.pause:
            self.pause_for(rng.random() * self.pause)

    @staticmethod
    def pause_for(seconds):
        threading.Event().wait(seconds)

    def expected(self, room):
        return sorted((me, n) for me, n, rooms in self.committed
            if room in rooms)


def compare(w, writers, readers):
    """Every reader has every committed event of its room, once, in order."""
    for room, reader in readers.items():
        want = writers.expected(room)
        reader.wait(lambda e: len(e) >= len(want), "all events of " + room)
    for room, reader in readers.items():
        nothing_more(w, reader, room)
        events = [e for e in reader.stop() if e["event"] == "w"]
        ids = [e["id"] for e in events]
        check(ids == sorted(set(ids)), "ids in %s out of order or twice"
            % room)
        check(not [e for e in events if e["data"]["bad"]],
            "rolled back events in " + room)
        got = sorted((e["data"]["by"], e["data"]["n"]) for e in events)
        same(got == writers.expected(room), True, "%s: %d events of %d"
            % (room, len(got), len(writers.expected(room))))
        last = {}
        for e in events:
            by, n = e["data"]["by"], e["data"]["n"]
            check(n > last.get(by, -1), "writer %d out of order in %s"
                % (by, room))
            last[by] = n
        log = [r[0] for r in w.root("SELECT id FROM pgpush.log WHERE room = "
            "%s AND event = 'w' ORDER BY id", room)]
        check(log == ids, "the log of %s differs from what came" % room)


def nothing_more(w, reader, room):
    """A last event: what was to come has come before it."""
    tag = os.urandom(4).hex()
    w.emit(room, "end", {"tag": tag})
    reader.wait(lambda e: e and e[-1]["event"] == "end"
        and e[-1]["data"]["tag"] == tag, "the end of " + room)


def rooms_of(name, n=4):
    return ["open:%s%d" % (name, i) for i in range(n)]


def readers_of(w, rooms):
    return {room: Reader(w.client("reader", [room])) for room in rooms}


@case
def idle_is_armed(w):
    """one daemon leads; when it is quiet it is armed"""
    wait_for(lambda: len(leads(w)) == 1, "a leader")
    wait_for(lambda: len(armed(w)) == 1, "the leader to be armed")
    same(leads(w), armed(w), "who leads and who is armed")


@case
def rings_when_armed(w):
    """a commit while it is armed rings the bell, with the table's name"""
    wait_for(lambda: armed(w), "the leader to be armed")
    w.sql("CREATE TABLE app.bells (id int)")
    w.sql("SELECT * FROM pgpush.attach('app.bells', 'open:bells', columns => "
        "ARRAY['id'])")
    c = w.client("ann", ["open:bells"])
    listener = w.db.connect("app_api")
    with listener.cursor() as cur:
        cur.execute("LISTEN pgpush")

    def rings():
        # It may have woken up again, for reasons of its own.
        wait_for(lambda: armed(w), "the leader to be armed")
        w.sql("INSERT INTO app.bells VALUES (1)")
        c.event("bells.insert")
        listener.poll()
        return [n.payload for n in listener.notifies if '"bell"' in n.payload]
    heard = wait_for(rings, "a bell")
    check('"bells"' in heard[0], "whose bell: %s" % heard)
    listener.close()


@case
def one_after_the_other(w):
    """armed: three hundred single commits, each delivered before the next"""
    c = w.client("ann", ["open:single"])
    for i in range(300):
        w.emit("open:single", "n", {"n": i})
        c.event("n", "open:single", {"n": i})
    w.nothing(c, "open:single")


@case
def under_load(w):
    """polling: many writers flat out, every commit once and in order"""
    rooms = rooms_of("load")
    readers = readers_of(w, rooms)
    writers = Writers(w, rooms, 8, 400).start()
    polled = False
    while any(t.is_alive() for t in writers.threads):
        polled = polled or not armed(w)
        threading.Event().wait(0.01)
    writers.wait()
    compare(w, writers, readers)
    check(polled, "it never polled under load")
    wait_for(lambda: armed(w), "the leader to be armed again")


@case
def now_and_then(w):
    """armed and polling by turns: writers that pause, nothing lost between"""
    rooms = rooms_of("turn")
    readers = readers_of(w, rooms)
    writers = Writers(w, rooms, 6, 150, pause=0.06).start()
    writers.wait()
    compare(w, writers, readers)


@case
def backends_terminated(w):
    """the daemon's backends terminated under load: nothing lost, none twice"""
    other = World("app")
    rooms = rooms_of("term")
    readers = readers_of(other, rooms)
    writers = Writers(other, rooms, 4, 500, pause=0.02).start()
    rng = random.Random(3)
    killed = 0
    while any(t.is_alive() for t in writers.threads):
        rows = other.root("SELECT pid FROM pg_stat_activity WHERE usename = "
            "'push_daemon' AND datname = current_database()")
        if rows and rng.random() < 0.5:
            rows = rows if rng.random() < 0.5 else [rng.choice(rows)]
            for row in rows:
                other.root("SELECT pg_terminate_backend(%s)", row[0])
                killed += 1
        threading.Event().wait(0.3)
    writers.wait()
    compare(other, writers, readers)
    check(killed >= 3, "only %d backends were terminated" % killed)
    other.daemon.wait_ready()
    same(other.close(), [], "end of the daemon")


@case
def killed_and_started(w):
    """the daemon killed in the middle: a resume has it all, none twice"""
    other = World("app")
    room = "open:killed"
    writers = Writers(other, [room, "open:k2", "open:k3"], 3, 400, 0.01)
    writers.start()
    got, last = [], 0
    for turn in range(4):
        c = other.client("ann")
        c.join(room, since=last)
        for _ in range(60):
            try:
                f = c.next(5, type="event")
            except Failed:
                break               # the writers may have ended
            got.append(f)
            last = f["id"]
        other.daemon.kill()
        other.drop(c)
        other.daemon.start()
    writers.wait()
    other.emit(room, "end", {})
    c = other.client("ann")
    c.join(room, since=last)
    got += c.until(type="event", event="end")[:-1]
    ids = [f["id"] for f in got]
    check(ids == sorted(set(ids)), "ids out of order or twice")
    same(sorted((f["data"]["by"], f["data"]["n"]) for f in got)
        == writers.expected(room), True, "all of %d events, got %d"
        % (len(writers.expected(room)), len(got)))
    same(other.close(), [], "end of the daemon")


@case
def prepared(w):
    """PREPARE TRANSACTION with pgpush.bell off: delivered after the commit"""
    c = w.client("ann", ["open:2pc"])
    conn = w.db.connect()
    with conn.cursor() as cur:
        cur.execute("SET pgpush.bell = off")
        cur.execute("BEGIN")
        cur.execute("SELECT pgpush.emit('open:2pc', 'first', '{}')")
        cur.execute("PREPARE TRANSACTION 'one'")
        cur.execute("BEGIN")
        cur.execute("SELECT pgpush.emit('open:2pc', 'second', '{}'), "
            "pgpush.signal('open:2pc'::text, 'blip', '{}')")
        cur.execute("PREPARE TRANSACTION 'two'")
        cur.execute("BEGIN")
        cur.execute("SELECT pgpush.emit('open:2pc', 'never', '{}')")
        cur.execute("PREPARE TRANSACTION 'three'")
        w.nothing(c, "open:2pc")
        cur.execute("COMMIT PREPARED 'two'")
        c.event("second")
        f = c.event("blip")
        check("id" not in f, "a signal has an id")
        cur.execute("ROLLBACK PREPARED 'three'")
        cur.execute("COMMIT PREPARED 'one'")
        c.event("first")
    conn.close()
    w.nothing(c, "open:2pc")


@case
def without_a_bell(w):
    """a session with the bell off is still heard, by the heartbeat"""
    c = w.client("ann", ["open:mute"])
    conn = w.db.connect()
    with conn.cursor() as cur:
        cur.execute("SET pgpush.bell = off")
        for i in range(3):
            cur.execute("SELECT pgpush.emit('open:mute', 'n', %s::jsonb)",
                (str(i),))
            c.event("n", data=i)
    conn.close()


class Gate:
    """Stops the leader in the middle of a move, its snapshot taken.

    A trigger that belongs to the test waits for a lock that the test takes
    and gives up.
    """

    KEY = 4711

    def __init__(self, w):
        self.w = w
        w.root("CREATE FUNCTION app.gate() RETURNS trigger LANGUAGE plpgsql "
            "SECURITY DEFINER AS $$ BEGIN PERFORM "
            "pg_advisory_xact_lock_shared(%d); RETURN NULL; END $$" % self.KEY)
        w.root("CREATE TRIGGER gate BEFORE DELETE ON pgpush.outbox "
            "FOR EACH STATEMENT EXECUTE FUNCTION app.gate()")
        self.conn = w.db.connect("postgres")
        self.cur = self.conn.cursor()

    def shut(self):
        self.cur.execute("SELECT pg_advisory_lock(%s)", (self.KEY,))

    def waits(self):
        return self.w.root("SELECT FROM pg_locks WHERE locktype = 'advisory' "
            "AND objid = %d AND NOT granted" % self.KEY)

    def open(self):
        self.cur.execute("SELECT pg_advisory_unlock(%s)", (self.KEY,))


@case
def no_bell_is_lost(w):
    """what commits between the last move and the lock comes all the same"""
    # With no heartbeat to come to the rescue: only "move once more" does.
    other = World("app", heartbeat="1h", poll_bells=2, poll_window="10s",
        arm_below=40)
    c = other.client("ann", ["open:lone"])
    gate = Gate(other)
    hits = 0
    for i in range(2000):
        for k in range(3):          # makes it poll
            other.emit("open:lone", "burst", {"n": i, "k": k})
        c.until(type="event", event="burst", data={"n": i, "k": 2})
        gate.shut()
        wait_for(lambda: gate.waits() or armed(other), "a move, or the arm")
        hit = gate.waits() and not armed(other)
        if hit:                     # it moves, and finds nothing
            other.emit("open:lone", "n", {"n": i})
        gate.open()
        if hit:
            c.until(type="event", event="n", data={"n": i})
        hits += bool(hit)
        if hits == 30:
            break
    check(hits == 30, "the leader was polling %d times" % hits)
    gate.conn.close()
    same(other.close(), [], "end of the daemon")


@case
def prepared_without_lock(w):
    """a prepared transaction with the bell off keeps no leader awake"""
    w.sql("CREATE TABLE app.tpc (id int)")
    w.sql("SELECT * FROM pgpush.attach('app.tpc', 'open:tpc', columns => "
        "ARRAY['id'])")
    c = w.client("ann", ["open:tpc"])
    conn = w.db.connect()
    with conn.cursor() as cur:
        cur.execute("SET pgpush.bell = off")
        cur.execute("BEGIN")
        cur.execute("INSERT INTO app.tpc VALUES (1)")
        cur.execute("PREPARE TRANSACTION 'tpc'")
        wait_for(lambda: armed(w), "the leader to be armed")
        cur.execute("COMMIT PREPARED 'tpc'")
        c.event("tpc.insert")
    conn.close()


@case
def slow_disk(w):
    """where a flush takes long the leader does not wait for bells, which let
    only one writer commit at a time"""
    slow = World("app", own=True, cluster_settings="fsync = on\n"
        "commit_delay = 20000\ncommit_siblings = 0\n")
    wait_for(lambda: armed(slow), "the leader to be armed")
    enough = threading.Event()

    def write():
        conn = slow.db.connect()
        with conn.cursor() as cur:
            while not enough.is_set():
                cur.execute("SELECT pgpush.emit('open:slow', 'n', '{}')")
        conn.close()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        wait_for(lambda: "feed=polling was=armed" in slow.daemon.log(),
            "the leader to poll", 60)
    finally:
        enough.set()
        for t in threads:
            t.join()
    wait_for(lambda: armed(slow), "the leader to be armed again")
    same(slow.close(), [], "end of the daemon")


@case
def long_transaction(w):
    """a transaction open for long holds nothing up but its own events"""
    c = w.client("ann", ["open:long"])
    conn = w.db.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute("SELECT pgpush.emit('open:long', 'late', '{}')")
        for i in range(50):
            w.emit("open:long", "n", {"n": i})
            c.event("n", "open:long", {"n": i})
        conn.commit()
    conn.close()
    f = c.event("late")
    w.emit("open:long", "n", {})
    check(c.event("n")["id"] > f["id"], "ids in the order of delivery")


@case
def a_writer_never_waits(w):
    """triggers wait for no lock: a writer commits beside an open one"""
    conn = w.db.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute("SELECT pgpush.emit('open:wait', 'open', '{}')")
        second = w.db.connect()
        with second.cursor() as cur2:
            cur2.execute("SET lock_timeout = '1s'")
            cur2.execute("SELECT pgpush.emit('open:wait', 'beside', '{}')")
        second.close()
        conn.rollback()
    conn.close()


@case
def backlog_in_bytes(w):
    """a backlog of large events is moved in transactions of a bounded size"""
    other = World("app", move_limit=100, move_bytes="16k", start=False)
    other.sql("SELECT pgpush.emit('open:large', 'n', jsonb_build_object("
        "'n', i, 'x', repeat('x', 1000))) FROM generate_series(1, 900) i")
    other.daemon.start()
    wait_for(lambda: other.root("SELECT FROM pgpush.log "
        "WHERE data->>'n' = '900'"), "the last event")
    sizes = [n for n, in other.root("SELECT sum(bytes)::int FROM pgpush.log "
        "GROUP BY xmin::text")]
    check(max(sizes) <= 10 * 16384 + 1100, "bytes of the moves: %s" % sizes)
    check(max(sizes) > 2 * 16384, "no move was larger: %s" % sizes)
    same(other.close(), [], "end of the daemon")


@case
def backlog(w):
    """fifty thousand rows written while it was away are moved and resumed"""
    other = World("app")
    other.daemon.stop()
    other.sql("SELECT pgpush.emit('open:bl', 'n', to_jsonb(i)) FROM "
        "generate_series(1, 50000) i")
    other.daemon.start()
    c = other.client("ann")
    c.join("open:bl", since=0)
    for i in range(1, 50001):
        f = c.next()
        if f.get("data") != i:
            raise Failed("expected %d, got %s" % (i, f))
    other.nothing(c, "open:bl")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
