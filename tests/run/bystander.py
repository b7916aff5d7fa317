#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Nobody waits for a stranger: hostile patterns, and a bystander's answers.

Each row of PATTERNS is a way to keep the daemon or the database busy.  Each
runs in a world of its own beside an application that writes.  A pattern is a
context; it gives a function that tells what went too far meanwhile, or None.
"""

import contextlib
import os
import random
import select
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.bystander import (Application, Bystander, Gate, Mob, RowLock,
    prepare, wait_hanging)
from lib.case import World, case, main
from lib.nodes import Node, reads
from lib.sse import address, bearer
from lib.tap import Failed, check, diag, same, show, wait_for
from lib.web import connect

PATTERNS = []


def pattern(**settings):
    """Register one, with the settings of its daemon."""
    kinds = settings.pop("kinds", Bystander.KINDS)
    # What hangs does so until the bystander has been answered.
    settings.setdefault("lock_timeout", "5m")
    settings.setdefault("rule_timeout", "5m")

    def register(function):
        PATTERNS.append((function, settings, kinds))
        return function
    return register


@contextlib.contextmanager
def mob():
    m = Mob()
    try:
        yield m
    finally:
        m.stop()


# ---- handlers --------------------------------------------------------------

@pattern()
@contextlib.contextmanager
def many_sends(w):
    """one user's 256 sends of a 25 ms handler"""
    with mob() as m:
        c = w.client("hostile")
        for i in range(256):
            c.send(type="send", event="nap", data={"seconds": 0.025},
                ref="h%d" % i)
        m.add(c)
        wait_for(lambda: m.answers()[0] >= 1 or m.answers()[0] >= 256,
            "the first of the many")
        before = m.answers()[0]

        def still():
            n = m.answers()[0] - before
            if n > 64:
                return "%d of the stranger's sends had been answered" % n
        yield still


@pattern(handler_timeout="5m")
@contextlib.contextmanager
def forgotten_row_lock(w):
    """a row that somebody locked and forgot, three users' handlers at it"""
    with RowLock(w, 1) as lock, mob() as m:
        for i in range(3):
            c = m.add(w.client("hostile%d" % i))
            for n in range(10):
                c.send(type="send", event="touch", data={"row": 1},
                    ref="h%d" % n)
        wait_hanging(w)

        def still():
            if sum(m.answers()):
                return "the row's lock was gone"
        yield still
        lock.release()


@pattern(handler_timeout="5m")
@contextlib.contextmanager
def many_who_hang(w):
    """ten users known to be slow hang in their handlers"""
    with Gate(w) as gate, mob() as m:
        clients = [w.client("hostile%d" % i) for i in range(10)]
        quick = w.client("quick")
        for c in clients:       # each passes handler_slow, by itself
            check(c.do("nap", {"seconds": 0.4})["ok"], "a long nap")
            check(quick.do("nap", {"seconds": 0})["ok"], "a short nap")
        for c in clients:
            for n in range(20):
                c.send(type="send", event="hang", data={},
                    ref="h%d" % n)
            m.add(c)
        wait_hanging(w)

        def still():
            if sum(m.answers()):
                return "the gate was open"
        yield still
        gate.release()


@pattern(handler_timeout="1s")
@contextlib.contextmanager
def many_who_hang_again(w):
    """twelve users, each with handlers that hang until their timeout"""
    with Gate(w), mob() as m:
        clients = [w.client("hostile%d" % i) for i in range(12)]
        for c in clients:
            for n in range(20):
                c.send(type="send", event="hang", data={},
                    ref="h%d" % n)
            m.add(c)
        wait_hanging(w)
        before = m.answers()

        def still():
            # One was under way, one more may have had its turn.
            n = max(a - b for a, b in zip(m.answers(), before))
            if n > 2:
                return "a stranger had hung %d times" % n
        yield still


@pattern(handler_queue=500, handler_timeout="5m")
@contextlib.contextmanager
def one_fills_the_queue(w):
    """one user's connections send as much as the queue of all holds"""
    with Gate(w) as gate, mob() as m:
        for i in range(3):
            c = w.client("hostile")
            for n in range(250):
                c.send(type="send", event="hang", data={},
                    ref="h%d" % n)
            c.position()
            m.add(c)
        wait_hanging(w)
        good = sum(m.good())

        def still():
            if sum(m.good()) > good:
                return "the gate was open"
        yield still
        gate.release()


# ---- rules and greetings ---------------------------------------------------

@pattern(auth_timeout="60s")
@contextlib.contextmanager
def slow_rule(w):
    """a rule that hangs for one user, at 30 joins"""
    with Gate(w) as gate, mob() as m:
        c = w.client("hostile")
        for n in range(30):
            c.send(type="join", room="hangs:%d" % n, ref="h%d" % n)
        m.add(c)
        wait_hanging(w)

        def still():
            if sum(m.good()):
                return "the gate was open"
        yield still
        gate.release()


@pattern(auth_timeout="60s")
@contextlib.contextmanager
def slow_rule_many_sessions(w):
    """a rule that hangs for one user, who has ten connections"""
    with Gate(w) as gate, mob() as m:
        for c in [w.client("hostile") for i in range(10)]:
            for n in range(10):
                c.send(type="join", room="hangs:%d" % n, ref="h%d" % n)
            m.add(c)
        wait_hanging(w)

        def still():
            if sum(m.good()):
                return "the gate was open"
        yield still
        gate.release()


@pattern(auth_timeout="60s")
@contextlib.contextmanager
def rule_of_100ms(w):
    """a rule that takes 100 ms for one user, at 90 joins"""
    with mob() as m:
        c = w.client("hostile")
        for n in range(90):
            c.send(type="join", room="naps:%d" % n, ref="h%d" % n)
        m.add(c)
        wait_for(lambda: m.answers()[0] >= 1, "the first join")
        before = m.answers()[0]

        def still():
            n = m.answers()[0] - before
            if n > 30:
                return "%d of the stranger's joins had been answered" % n
        yield still


@pattern(auth_timeout="60s")
@contextlib.contextmanager
def waiting_alter_table(w):
    """a table of a rule is locked by an ALTER TABLE that waits"""
    reader = w.db.connect("app_owner", autocommit=False)
    alter = w.db.connect("app_owner")
    with mob() as m:
        try:
            clients = [w.client("hostile%d" % i) for i in range(3)]
            reader.cursor().execute("SELECT FROM app.people")
            pid = begin_alter(w, alter)
            for c in clients:
                for n in range(10):
                    c.send(type="join", room="person:%d" % n,
                        ref="h%d" % n)
                m.add(c)
            wait_hanging(w)

            def still():
                if sum(m.good()):
                    return "the table was free"
            yield still
            w.root("SELECT pg_terminate_backend(%s)", pid)
        finally:
            reader.close()
            alter.close()


def begin_alter(w, conn):
    """Send an ALTER TABLE that must wait; the process it waits in."""
    pid = conn.get_backend_pid()

    def run():
        try:
            conn.cursor().execute("ALTER TABLE app.people ADD more int")
        except Exception:
            pass            # it is terminated
    threading.Thread(target=run, daemon=True).start()
    wait_for(lambda: w.root("SELECT FROM pg_stat_activity WHERE pid = %s AND "
        "wait_event_type = 'Lock'", pid), "the ALTER TABLE to wait")
    return pid


@pattern(auth_timeout="60s")
@contextlib.contextmanager
def slow_greeting(w):
    """a greeting that hangs for one user, who logs in ten times"""
    with Gate(w) as gate, mob() as m:
        for i in range(10):
            c = w.open()
            c.send(type="auth", token=w.token("slowgreet"))
            m.add(c)
        wait_hanging(w)

        def still():
            if any(r.other for r in m.readers):
                return "the gate was open"
        yield still
        gate.release()


@pattern(auth_timeout="60s")
@contextlib.contextmanager
def stream_of_100_rooms(w):
    """one user's streams of 90 rooms each whose rule takes 100 ms"""
    path = address(["naps:%d" % i for i in range(90)])
    socks = []
    for i in range(4):
        s = connect(w.daemon.port)
        s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n"
            % (path, bearer(w.token("hostile"))["Authorization"])).encode())
        socks.append(s)
    wait_for(lambda: w.root("SELECT FROM pg_stat_activity WHERE datname = "
        "current_database() AND usename = 'push_daemon' AND wait_event = "
        "'PgSleep'"), "the rule to run")

    def still():
        ready, _, _ = select.select(socks, [], [], 0)
        if len(ready) == len(socks):
            return "all streams had been answered"
    try:
        yield still
    finally:
        for s in socks:
            s.close()


# ---- what the leader runs --------------------------------------------------

@pattern()
@contextlib.contextmanager
def slow_present(w):
    """the function that hears who came hangs"""
    w.sql("SELECT pgpush.present('app.seen(text,boolean,timestamptz)')")
    with Gate(w) as gate, mob() as m:
        for i in range(10):
            m.add(w.client("hostile%d" % i))
        wait_hanging(w)
        yield None
        gate.release()


# ---- connections and bytes -------------------------------------------------

@pattern(max_connections=50, auth_timeout="5m")
@contextlib.contextmanager
def handshakes_without_token(w):
    """50 handshakes that never show a token, where 50 may connect"""
    socks = []
    try:
        for i in range(50):
            try:
                socks.append(w.open())
            except Exception:
                pass        # refused: as it should be
        yield None
    finally:
        for s in socks:
            s.shut()


@pattern(message_rate=0, catchup_concurrent=1, log_level="debug")
@contextlib.contextmanager
def join_and_leave(w):
    """a user who joins from the beginning of a long room and leaves, often"""
    w.sql("SELECT pgpush.emit('open:long', 'n', to_jsonb(repeat('x', 200)))"
        " FROM generate_series(1, 20000) i")
    w.emit("open:late", "n", 1)
    # The application writes, too: the newest row may be another.
    row = wait_for(lambda: w.root("SELECT min(l.id), max(e.id) FROM "
        "pgpush.log l JOIN pgpush.log e ON e.room = 'open:late' WHERE "
        "l.room = 'open:long' HAVING count(*) > 0"), "the log to be long")[0]
    with mob() as m:
        c = w.client("hostile")
        late = w.client("late")
        for i in range(500):
            c.send(type="join", room="open:long", since=row[0], ref="h%d" % i)
            c.send(type="leave", room="open:long")
        m.add(c)
        late.send(type="join", room="open:late", since=row[1] - 1, ref="l")
        check(late.reply("l")["ok"], "the join of who was away")
        late.event("n", "open:late", 1)
        done = reads(w.daemon, room="open:long")
        diag("%d reads of the long room before" % len(done))
        check(len(done) < 10, "the read of a stranger's missed event came "
            "after %d reads for somebody who has left" % len(done))
        wait_for(lambda: m.answers()[0] >= 500, "the joins to be answered")
        yield None
        done = reads(w.daemon, room="open:long")
        diag("%d reads of the long room in all" % len(done))
        check(len(done) < 20, "%d reads for somebody who has left"
            % len(done))


# ---- the application's locks -----------------------------------------------

@case
def row_of_a_quick_handler(unused):
    """the API's UPDATE waits for no row that a finished handler has touched"""
    # They come so close together that they could share a transaction.
    w = World("app", handler_interval="500ms", handler_timeout="5m")
    prepare(w)
    quick, slow = w.client("quick"), w.client("slow")
    with Gate(w) as gate:
        quick.do("echo")        # begins the interval
        quick.send(type="send", event="touch", data={"row": 7}, ref="q")
        slow.send(type="send", event="hang", data={}, ref="s")
        wait_hanging(w)
        began = time.monotonic()
        conn = w.db.connect("app_api")
        conn.cursor().execute("SET statement_timeout = '25s'")
        try:
            conn.cursor().execute("UPDATE app.rows SET n = 0 WHERE id = 7")
        except Exception as e:
            raise Failed("the API's UPDATE waited %.1f s for a stranger's "
                "handler: %s" % (time.monotonic() - began, show(str(e))))
        finally:
            conn.close()
        check(quick.reply("q", 25)["ok"], "the quick handler")
        gate.release()
    check(slow.reply("s")["ok"], "the slow handler")
    same(w.close(), [], "end of the daemon")


@case
def two_daemons(unused):
    """one-row handlers at two daemons and the API's updates: no deadlock"""
    w = World("app")
    prepare(w)
    with Node(w, "other") as other:
        clients = [w.client("a%d" % i) for i in range(16)] \
            + [other.client("b%d" % i) for i in range(16)]
        with Updates(w) as api:
            bad, n = storm(clients, rounds=30)
    diag("%d of %d sends failed, %d of %d statements of the API" % (bad, n,
        len(api.failures), api.count))
    check(not bad, "%d of %d sends failed" % (bad, n))
    check(not api.failures, "%d of %d statements of the API failed: %s"
        % (len(api.failures), api.count, show(api.failures[:2])))
    same(w.close(), [], "end of the daemon")


class Updates:
    """The API updates two rows in a transaction, in the order of their ids:
    no two of its own transactions can lock each other out."""

    def __init__(self, w):
        self.w = w
        self.failures = []
        self.count = 0
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        self.thread.join(60)

    def run(self):
        rng = random.Random(2)
        conn = self.w.db.connect("app_api", autocommit=False)
        while not self.stopping.is_set():
            try:
                with conn.cursor() as cur:
                    for row in sorted(rng.sample(range(1, 9), 2)):
                        cur.execute("UPDATE app.rows SET n = n + 1 "
                            "WHERE id = %s", (row,))
                        self.count += 1
                conn.commit()
            except Exception as e:
                conn.rollback()
                self.failures.append(str(e).strip())
        conn.close()


def storm(clients, rounds):
    """All clients touch random rows; how many sends failed, of how many."""
    rng = random.Random(1)
    bad = n = 0
    for _ in range(rounds):
        for c in clients:
            c.send(type="send", event="touch", ref="t",
                data={"row": rng.randrange(1, 9)})
        for c in clients:
            n += 1
            bad += not c.reply("t")["ok"]
    return bad, n


def run(function, settings, kinds):
    def body(unused):
        w = World("app", **dict({"log_level": "info"}, **settings))
        prepare(w)
        by = Bystander(w)
        by.served(kinds=kinds)      # at rest
        with Application(w) as app:
            with function(w) as still:
                by.served(still, kinds)
        diag("the application: %d statements, the longest pair %.3f s"
            % (app.count, app.worst))
        app.judge()
        same(w.close(), [], "end of the daemon")
    body.__name__ = function.__name__
    body.__module__ = __name__
    body.__doc__ = "nobody waits for: " + function.__doc__
    return body


for row in PATTERNS:
    case(run(*row))


if __name__ == "__main__":
    main(world=False)
