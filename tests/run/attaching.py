#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Attached tables that change while they are written to."""

import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.tap import same, wait_for

WRITERS = 4
CHANGES = 10            # of each kind
ROWS = 20000            # at most

ATTACH = "SELECT pgpush.attach('public.changing', 'open:{room}'," \
    " '{\"insert\":\"i\",\"update\":\"u\"}', '{id,word}'%s)"

# Each a transaction.
CHANGE = (
    "ALTER TABLE public.changing RENAME word TO wort",
    "ALTER TABLE public.changing RENAME wort TO word",
    "ALTER TABLE public.changing ADD more int DEFAULT 1",
    "ALTER TABLE public.changing DROP more",
    "ALTER TABLE public.changing ALTER word TYPE varchar",
    "ALTER TABLE public.changing ALTER word TYPE text",
    ATTACH % "",
    ATTACH % ", \"when\" => 'new.id >= 0'",
    "ALTER TABLE public.changing RENAME TO changed;"
    " ALTER TABLE public.changed RENAME TO changing",
)


class Writers:
    """They write until they are told to stop, and keep what was committed."""

    def __init__(self, w):
        self.w = w
        self.done = threading.Event()
        self.rows = [0] * WRITERS
        self.problems = []
        self.threads = [threading.Thread(target=self.write, args=(i,))
            for i in range(WRITERS)]
        for t in self.threads:
            t.start()

    def write(self, me):
        conn = self.w.db.connect("app_api")
        try:
            with conn.cursor() as cur:
                while not self.done.is_set() and self.rows[me] < ROWS:
                    cur.execute("INSERT INTO public.changing (id, room)"
                        " VALUES (%s, %s)", (self.rows[me], "w%d" % me))
                    self.rows[me] += 1
                    del conn.notices[:-50]
        except Exception as e:
            self.problems.append(e)
        self.problems += conn.notices
        conn.close()

    def stop(self):
        self.done.set()
        for t in self.threads:
            t.join()
        same(self.problems, [], "errors and warnings of writers")


@case
def altered_under_writers(w):
    """a table altered and attached anew under writers: every row, each once"""
    w.sql("CREATE TABLE public.changing (id int, room text,"
        " word text DEFAULT 'x')")
    w.sql("GRANT ALL ON public.changing TO app_api")
    w.sql(ATTACH % "")
    writers = Writers(w)
    try:
        for n in range(CHANGES):
            before = sum(writers.rows)
            for text in CHANGE:
                w.sql(text)
                wait_for(lambda: sum(writers.rows) > before + 20
                    or writers.problems, "writes between the changes")
                before = sum(writers.rows)
    finally:
        writers.stop()
    w.emit("open:end")
    wait_for(lambda: w.root("SELECT FROM pgpush.log WHERE room = 'open:end'"),
        "the move")
    for me, n in enumerate(writers.rows):
        got = w.root("SELECT array_agg((data ->> 'id')::int ORDER BY id),"
            " array_agg(DISTINCT data - 'id' ORDER BY data - 'id') FROM"
            " (SELECT id, room, event, data::jsonb FROM pgpush.log) l WHERE room = %s AND event = 'i'",
            "open:w%d" % me)[0]
        same(got[0], list(range(n)), "what writer %d sent" % me)
        same(got[1], [{"word": "x"}], "the words beside it")


@case
def altered_since_the_snapshot(w):
    """a transaction that does not see the change yet pushes all the same"""
    w.sql("CREATE TABLE public.old (id int, room text, word text, at int)")
    w.sql("GRANT ALL ON public.old TO app_api")
    w.sql("SELECT pgpush.attach('public.old', 'open:{room}', columns =>"
        " '{id,word,at}')")
    conn = w.db.connect("app_api", autocommit=False)
    with conn.cursor() as cur:
        cur.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cur.execute("SELECT 1")
        w.sql("ALTER TABLE public.old RENAME word TO wort")
        w.sql("ALTER TABLE public.old DROP at")
        cur.execute("INSERT INTO public.old VALUES (1, 'snap', 'x')")
        cur.execute("UPDATE public.old SET id = 2")
    conn.commit()
    same(conn.notices, [], "warnings of the writer")
    conn.close()
    w.emit("open:end", "snap")
    wait_for(lambda: w.root("SELECT FROM pgpush.log WHERE event = 'snap'"),
        "the move")
    same(w.root("SELECT event, data::jsonb FROM pgpush.log"
        " WHERE room = 'open:snap' ORDER BY id"), [("old.insert",
        {"id": 1, "word": "x"}),
        ("old.update", [{"id": 2, "word": "x"}])], "what was sent")


@case
def attached_side_by_side(w):
    """after DROP TABLE, who attaches does not wait for another who does"""
    w.sql("CREATE TABLE public.gone (id int);"
        " CREATE TABLE public.one (id int); CREATE TABLE public.two (id int)")
    attach = "SELECT pgpush.attach('public.%s', 'open:x'," \
        " '{\"insert\":\"i\"}', '{id}')"
    w.sql(attach % "gone")
    w.sql("DROP TABLE public.gone")
    first = w.db.connect(autocommit=False)
    with first.cursor() as cur:
        cur.execute(attach % "one")
        w.sql(attach % "two")
    first.rollback()
    first.close()
    w.sql(attach % "one")
    same(w.root("SELECT count(*) FROM pg_proc p WHERE pronamespace ="
        " 'pgpush_triggers'::regnamespace AND NOT EXISTS (SELECT FROM"
        " pg_trigger WHERE tgfoid = p.oid)"), [(0,)], "functions left over")


main(kind="app")
