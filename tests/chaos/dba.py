# SPDX-License-Identifier: ISC
"""What a DBA, and bad luck, do to the daemons meanwhile."""

import random
import threading

import psycopg2

from lib.tap import Failed

from guests import BIG, CLOSED, ROOMS, USERS


class Dba(threading.Thread):
    """One thing after the other, each some milliseconds after the last."""

    WEIGHTS = (
        ("emit", 30), ("bulk", 6), ("big", 6), ("signal", 10), ("revoke", 8),
        ("revoke_all", 2), ("kick", 5), ("rule", 4), ("handler", 3),
        ("notify", 4), ("kill_one", 2), ("kill_leader", 1), ("epoch", 1),
        ("lock_rules", 2), ("lock_rows", 3), ("member", 6),
    )

    def __init__(self, w, seed):
        super().__init__(daemon=True)
        self.w = w
        self.rng = random.Random("%s-dba" % seed)
        self.stopping = threading.Event()
        self.counts = {}
        self.problems = []

    def run(self):
        names, weights = zip(*self.WEIGHTS)
        while not self.stopping.wait(self.rng.random() * 0.06):
            name = self.rng.choices(names, weights)[0]
            try:
                getattr(self, name)()
                self.counts[name] = self.counts.get(name, 0) + 1
            except (psycopg2.Error, Failed) as e:
                self.problems.append("%s: %s" % (name, str(e).strip()))

    def stop(self):
        self.stopping.set()
        self.join(60)

    def room(self):
        return self.rng.choice(ROOMS + CLOSED)

    def user(self):
        return "u%d" % self.rng.randrange(USERS)

    def emit(self):
        self.w.emit(self.room(), "news", {"n": 1})

    def bulk(self):
        self.w.sql("SELECT pgpush.emit('open:r' || i %% 20, 'bulk', "
            "to_jsonb(i)) FROM generate_series(1, %s) i",
            self.rng.randrange(1, 2000))

    def big(self):
        self.w.emit(BIG, "big", "b" * self.rng.randrange(1, 60000))

    def signal(self):
        self.w.signal(self.room(), "blip", {})

    def revoke(self):
        self.w.sql("SELECT pgpush.revoke(%s, %s)", self.room(), self.user())

    def revoke_all(self):
        self.w.sql("SELECT pgpush.revoke(%s, NULL)", self.room())

    def kick(self):
        self.w.sql("SELECT pgpush.kick(%s)", self.user())

    def member(self):
        self.w.sql("INSERT INTO app.members VALUES (%s, %s) ON CONFLICT "
            "DO NOTHING", self.rng.choice(CLOSED), self.user())

    def rule(self):
        self.w.sql("SELECT pgpush.allow(%s, 'app.yes(text,jsonb,jsonb)')",
            "rule%d:{id}" % self.rng.randrange(20))

    def handler(self):
        self.w.sql("SELECT pgpush.on(%s, 'app.echo(text,text,jsonb,jsonb)', "
            "member => false)", "more%d" % self.rng.randrange(20))

    def notify(self):
        self.w.root("SELECT pg_notify('pgpush', %s)", self.rng.choice((
            "", "{", "[]", '{"bell":1}', '{"room":"open:r1","event":"x"}',
            '{"room":1}', '{"rooms":["open:r1"],"event":"y","data":[1e308]}',
            "x" * 7000)))

    def kill_one(self):
        self.w.root("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND usename = 'push_daemon' "
            "ORDER BY random() LIMIT 1")

    def kill_leader(self):
        self.w.root("SELECT pg_terminate_backend(l.pid) FROM pg_locks l WHERE "
            "l.locktype = 'advisory' AND l.classid = 'pgpush.outbox'::regclass"
            " AND l.objid = 0 AND l.granted AND l.database = (SELECT oid FROM "
            "pg_database WHERE datname = current_database())")

    def epoch(self):
        """As after a failover: another timeline, and a new leader sees it."""
        self.w.root("UPDATE pgpush.epoch SET timeline = 'chaos'")
        self.kill_leader()

    def hold(self, statement):
        conn = self.w.db.connect("postgres", autocommit=False)
        try:
            conn.cursor().execute(statement)
            self.stopping.wait(self.rng.random() * 0.5)
        finally:
            conn.close()

    def lock_rules(self):
        self.hold("LOCK TABLE app.members IN ACCESS EXCLUSIVE MODE")

    def lock_rows(self):
        self.hold("SELECT FROM app.rows WHERE id < 5 FOR UPDATE")

