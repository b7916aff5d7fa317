#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Attached tables that are altered while sessions are open: every write tells.

No daemon runs: what is told is read from the outbox.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database
from lib.case import case, main, the_cluster
from lib.tap import check, same

db = None
count = 0


class Table:
    """A table of the application, attached, and an open session that writes."""

    def __init__(self, **call):
        global db, count
        db = db or database.Database(the_cluster(), "app")
        count += 1
        self.name = "app%d" % count
        self.owner("CREATE SCHEMA %s; GRANT USAGE ON SCHEMA %s TO app_api; "
            "CREATE TABLE %s.t (id int PRIMARY KEY, room int, word text, "
            "at date DEFAULT '2026-01-02')" % ((self.name,) * 3))
        self.owner("GRANT ALL ON %s.t TO app_api" % self.name)
        self.attach(**call)
        self.session = db.connect("app_api")
        self.written = 0
        self.table = self.name + ".t"

    def owner(self, text):
        db.query("app_owner", text)

    def attach(self, data="json_build_object('id', new.id, 'word', new.word)",
            when="old.id IS NULL OR new.room = old.room", **more):
        call = dict(data=data, when=when, **more)
        self.owner("SELECT pgpush.attach('%s.t', 'r:{room}', "
            "'{\"insert\":\"i\",\"update\":\"u\",\"delete\":\"d\"}', %s)"
            % (self.name, ", ".join('"%s" => %s' % (k,
                "$$%s$$" % v if isinstance(v, str) else v)
                for k, v in call.items())))

    def write(self, insert="INSERT INTO %s (id, room) VALUES (%d, 1)", n=1):
        """n rows inserted, updated and deleted in the open session."""
        with self.session.cursor() as cur:
            del self.session.notices[:]
            first = self.written + 1
            for _ in range(n):
                self.written += 1
                cur.execute(insert % (self.table, self.written))
            cur.execute("UPDATE %s SET room = room WHERE id BETWEEN %d AND %d"
                % (self.table, first, self.written))
            cur.execute("DELETE FROM %s WHERE id BETWEEN %d AND %d"
                % (self.table, first, self.written))
        return first

    def told(self):
        """What was told since the last call: (event, room, data)."""
        return db.query("postgres", "WITH d AS (DELETE FROM pgpush.outbox "
            "WHERE kind = 'event' RETURNING *) SELECT event, room, data::text "
            "FROM d WHERE lost IS NULL ORDER BY id")

    def check(self, what, n=1, rooms=("r:1",), **how):
        """Write, and see that each row told three times."""
        self.told()
        first = self.write(n=n, **how)
        told = self.told()
        for event in "iud":
            got = sorted(t[2] for t in told if t[0] == event)
            same(len(got), n, "events %s after %s (%s; %s)" % (event, what,
                told, self.session.notices))
        check({t[1] for t in told} <= set(rooms), "rooms after %s: %s"
            % (what, told))
        ids = [t[2] for t in told if '"id" : %d' % first in t[2]
            or '"id": %d' % first in t[2]]
        same(len(ids), 3, "events of the first row after %s" % what)


ALTERED = (
    ("int to bigint in data", "ALTER TABLE {t} ALTER id TYPE bigint"),
    ("int to bigint in room and when", "ALTER TABLE {t} ALTER room TYPE "
        "bigint"),
    ("a column added", "ALTER TABLE {t} ADD more int DEFAULT 7"),
    ("a column dropped", "ALTER TABLE {t} DROP at"),
    ("a column of the data renamed", "ALTER TABLE {t} RENAME word TO wort"),
    ("the room's column renamed", "ALTER TABLE {t} RENAME room TO raum"),
    ("text to varchar", "ALTER TABLE {t} ALTER wort TYPE varchar(10)"),
    ("RENAME TABLE", "ALTER TABLE {t} RENAME TO t2"),
    ("SET SCHEMA", "CREATE SCHEMA {s}b; GRANT USAGE ON SCHEMA {s}b TO "
        "app_api; ALTER TABLE {s}.t2 SET SCHEMA {s}b"),
)


def walk(**call):
    t = Table(**call)
    t.check("nothing")
    t.check("nothing, three rows", n=3)
    insert = "INSERT INTO %s (id, room) VALUES (%d, 1)"
    for what, sql in ALTERED:
        t.owner(sql.format(t=t.table, s=t.name))
        if "raum" in sql:
            insert = insert.replace("room", "raum")
        if "t2" in sql:
            t.table = t.name + ".t2"
        if "SET SCHEMA" in sql:
            t.table = "%sb.t2" % t.name
        for n in (1, 3):
            t.check(what, n=n, insert=insert) if "raum" not in insert else \
                check_raum(t, what, n, insert)


def check_raum(t, what, n, insert):
    """As Table.check where the column is called raum."""
    write = t.write

    def renamed(insert=insert, n=n):
        with t.session.cursor() as cur:
            del t.session.notices[:]
            first = t.written + 1
            for _ in range(n):
                t.written += 1
                cur.execute(insert % (t.table, t.written))
            cur.execute("UPDATE %s SET raum = raum WHERE id BETWEEN %d AND %d"
                % (t.table, first, t.written))
            cur.execute("DELETE FROM %s WHERE id BETWEEN %d AND %d"
                % (t.table, first, t.written))
        return first
    t.write = renamed
    try:
        t.check(what, n=n)
    finally:
        t.write = write


@case
def by_statement(w):
    """an open session goes on telling after each ALTER TABLE, by statement"""
    walk(each="row")


@case
def by_row(w):
    """and by row"""
    walk(each="change")


@case
def partition(w):
    """a table that becomes a partition, and is one no longer"""
    t = Table(each="row")
    t.check("nothing")
    t.owner("CREATE TABLE %s.p (LIKE %s.t) PARTITION BY LIST (room)"
        % (t.name, t.name))
    t.owner("GRANT ALL ON %s.p TO app_api" % t.name)
    t.owner("ALTER TABLE %s.p ATTACH PARTITION %s.t FOR VALUES IN (1)"
        % (t.name, t.name))
    t.check("becoming a partition")
    t.owner("ALTER TABLE %s.p DETACH PARTITION %s.t" % (t.name, t.name))
    t.check("being one no longer")
    t.owner("ALTER TABLE %s.p ATTACH PARTITION %s.t FOR VALUES IN (1)"
        % (t.name, t.name))
    t.owner("SELECT pgpush.detach('%s.t')" % t.name)
    same(db.query("postgres", "SELECT FROM pgpush.attached WHERE \"table\" = "
        "'%s.t'::regclass" % t.name), [], "after detach of a partition")


@case
def drop(w):
    """DROP TABLE leaves no function once somebody attaches or detaches"""
    t = Table()
    t.owner("DROP TABLE %s.t" % t.name)
    t.owner("SELECT pgpush.sweep()")
    same(db.query("postgres", "SELECT proname FROM pg_proc p WHERE "
        "pronamespace = 'pgpush_triggers'::regnamespace AND NOT EXISTS "
        "(SELECT FROM pg_trigger WHERE tgfoid = p.oid)"), [], "functions")


@case
def transactions(w):
    """a hundred rows in a transaction take one transaction number"""
    t = Table()
    conn = db.connect("app_api", autocommit=False)
    taken = []
    with conn.cursor() as cur:
        # Others of this server take numbers, too: the least of a few counts.
        for turn in range(5):
            cur.execute("SELECT pg_current_xact_id()::text::bigint")
            xid = cur.fetchone()[0]
            for i in range(100):
                cur.execute("INSERT INTO %s (id, room) VALUES (%d, 1)"
                    % (t.table, 1000 + 100 * turn + i))
            conn.commit()
            cur.execute("SELECT pg_current_xact_id()::text::bigint")
            taken.append(cur.fetchone()[0] - xid)
            conn.commit()
    check(min(taken) < 100, "numbers taken: %s" % taken)
    conn.close()


@case
def restore(w):
    """a restore without schema pgpush leaves writes working"""
    t = Table()
    other = database.Database(the_cluster(), "app")
    import subprocess
    text = subprocess.run([os.path.join(the_cluster().bin, "pg_dump"), "-n",
        t.name, "-n", "pgpush_triggers", "-d", db.dsn("postgres", tcp=False)],
        stdout=subprocess.PIPE, check=True).stdout.decode()
    other.query("postgres", "DROP SCHEMA pgpush CASCADE")
    other.query("postgres", "DROP SCHEMA IF EXISTS pgpush_triggers CASCADE")
    other.psql(text)
    other.query("app_api", "INSERT INTO %s (id, room) VALUES (1, 1)" % t.table)
    other.query("app_api", "INSERT INTO %s (id, room) VALUES (2, 1), (3, 1)"
        % t.table)
    same(other.query("postgres", "SELECT count(*) FROM %s" % t.table), [(3,)],
        "rows")
    other.close()


@case
def dump_as_owner(w):
    """pg_dump of the application's schemas by its own role works"""
    t = Table()
    import subprocess
    done = subprocess.run([os.path.join(the_cluster().bin, "pg_dump"), "-d",
        db.dsn("app_owner", tcp=False)], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    same((done.returncode, done.stderr.decode()), (0, ""), "pg_dump")
    check(t.table in done.stdout.decode(), "the table in the dump")


main(world=False)
