#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""From a committed row, an emit, a signal or a NOTIFY to the socket."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

import psycopg2

from lib.case import World, case, main
from lib.tap import check, same, show


def things(w):
    """A table that pushes, made once: bulk:things:<room>."""
    if w.sql("SELECT to_regclass('app.things') IS NOT NULL")[0][0]:
        return
    w.sql("CREATE TABLE app.things (id bigserial PRIMARY KEY, room text, "
        "name text, n int DEFAULT 0, secret text DEFAULT 'hidden', "
        "at timestamptz DEFAULT '2026-01-02 03:04:05.678Z')")
    w.sql("GRANT USAGE ON SCHEMA app TO app_api")
    w.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON app.things TO app_api")
    w.sql("GRANT USAGE ON SEQUENCE app.things_id_seq TO app_api")
    w.sql("SELECT * FROM pgpush.attach('app.things', 'bulk:things:{room}', "
        "columns => ARRAY['id', 'room', 'name', 'n'])")


@case
def each_operation(w):
    """INSERT, UPDATE and DELETE of an attached table, by a plain role"""
    things(w)
    c = w.client("ann", ["bulk:things:ops"])
    row = w.api("INSERT INTO app.things (room, name) VALUES ('ops', 'a') "
        "RETURNING id")[0][0]
    c.event("things.insert", "bulk:things:ops", {"id": row, "room": "ops",
        "name": "a", "n": 0})
    w.api("UPDATE app.things SET name = 'b' WHERE id = %s", row)
    c.event("things.update", "bulk:things:ops", [{"id": row, "room": "ops",
        "name": "b", "n": 0}])
    w.api("DELETE FROM app.things WHERE id = %s", row)
    f = c.event("things.delete", "bulk:things:ops")
    same([d["id"] for d in f["data"]], [row], "ids deleted")
    w.nothing(c, "bulk:things:ops")


@case
def named_operations(w):
    """only the operations named push, under the names given"""
    w.sql("CREATE TABLE app.named (id int PRIMARY KEY, room text)")
    w.sql("SELECT * FROM pgpush.attach('app.named', 'open:{room}', event => "
        "'{\"insert\": \"born\"}', columns => ARRAY['id'])")
    c = w.client("ann", ["open:named"])
    w.sql("INSERT INTO app.named VALUES (1, 'named')")
    c.event("born", "open:named", {"id": 1})
    w.sql("UPDATE app.named SET id = 2")
    w.sql("DELETE FROM app.named")
    w.nothing(c, "open:named")


@case
def condition(w):
    """when leaves rows out, others leaves the sender out, NULL rooms are skipped"""
    w.sql("CREATE TABLE app.cond (id int PRIMARY KEY, room text, "
        "public boolean)")
    w.sql("SELECT * FROM pgpush.attach('app.cond', 'open:{room}', columns => "
        "ARRAY['id'], \"when\" => 'public')")
    c = w.client("ann", ["open:cond"])
    w.sql("INSERT INTO app.cond VALUES (1, 'cond', false), (2, 'cond', true),"
        " (3, NULL, true), (4, 'cond', NULL)")
    c.event("cond.insert", "open:cond", {"id": 2})
    w.nothing(c, "open:cond")


@case
def five_hundred(w):
    """an UPDATE of 500 rows is one event"""
    things(w)
    c = w.client("ann", ["bulk:things:u1", "bulk:things:u2"])
    w.api("INSERT INTO app.things (room, name) SELECT 'u' || 1 + (i > 500)"
        "::int, i::text FROM generate_series(1, 510) i")
    for _ in range(510):
        c.event("things.insert")
    w.api("UPDATE app.things SET n = 1 WHERE room = 'u1'")
    f = c.event("things.update", "bulk:things:u1")
    same(sorted(int(d["name"]) for d in f["data"]), list(range(1, 501)),
        "rows of the event")
    w.nothing(c, "bulk:things:u1", "no second event")
    w.api("UPDATE app.things SET n = 2 WHERE room IN ('u1', 'u2')")
    got = {}
    for _ in (1, 2):
        f = c.event("things.update")
        got[f["room"]] = len(f["data"])
    same(got, {"bulk:things:u1": 500, "bulk:things:u2": 10},
        "one event for each room")
    w.nothing(c, "bulk:things:u2")


@case
def twenty_thousand(w):
    """an INSERT of 20,000 rows arrives whole and in order, live and later"""
    things(w)
    c = w.client("ann", ["bulk:things:many"])
    at = c.position()
    w.api("INSERT INTO app.things (room, name) SELECT 'many', i::text FROM "
        "generate_series(1, 20000) i")

    def all_of(client):
        ids, names = [], []
        for _ in range(20000):
            f = client.event("things.insert", "bulk:things:many")
            ids.append(f["id"])
            names.append(int(f["data"]["name"]))
        check(ids == sorted(set(ids)), "ids out of order or twice")
        check(names == list(range(1, 20001)), "rows out of order: %s..."
            % names[:10])
    all_of(c)
    w.nothing(c, "bulk:things:many")
    d = w.client("bob")
    d.join("bulk:things:many", since=at)
    all_of(d)


@case
def one_megabyte(w):
    """a payload of 1 MB arrives, by emit and from a row, live and later"""
    things(w)
    c = w.client("ann", ["open:mb", "bulk:things:mb"])
    at = c.position()
    text = "\u00e9" * 300000 + "x" * 448576
    w.emit("open:mb", "big", {"text": text})
    check(c.event("big", "open:mb")["data"] == {"text": text}, "text differs")
    w.api("INSERT INTO app.things (room, name) VALUES ('mb', %s)", text)
    check(c.event("things.insert")["data"]["name"] == text, "name differs")
    w.nothing(c, "open:mb")
    d = w.client("bob")
    d.join("open:mb", since=at)
    check(d.event("big", "open:mb")["data"] == {"text": text}, "text differs")
    d.event("sentinel", "open:mb")
    w.nothing(d, "open:mb")


@case
def too_large(w):
    """an event over max_event comes as resync, with its id and size"""
    other = World("app", max_event="100000")
    things(other)
    c = other.client("ann", ["open:large"])
    at = c.position()
    data = {"text": "x" * 200000}
    other.emit("open:large", "large", data)
    other.emit("open:large", "small", {"text": "x" * 90000})
    f = c.event("resync", "open:large")
    check(f["data"].get("bytes", 0) >= 200000, "data of resync: %s"
        % show(f["data"]))
    check(isinstance(f["id"], int), "id of resync")
    c.event("small")
    d = other.client("bob")
    d.join("open:large", since=at)
    g = d.event("resync", "open:large")
    same((g["id"], g["data"]), (f["id"], f["data"]), "resync when resuming")
    d.event("small")
    same(other.close(), [], "end of the daemon")


@case
def rolled_back(w):
    """ROLLBACK sends nothing, for events, signals, holds and revokes"""
    things(w)
    c = w.client("ann", ["bulk:things:rb", "open:rb"])
    conn = w.db.connect(autocommit=False)
    with conn.cursor() as cur:
        cur.execute("INSERT INTO app.things (room) VALUES ('rb')")
        cur.execute("SELECT pgpush.emit('open:rb', 'x', '{}'), "
            "pgpush.signal('open:rb'::text, 'x', '{}'), "
            "pgpush.revoke('open:rb', 'ann'), pgpush.kick('ann')")
        conn.rollback()
        w.nothing(c, "open:rb")
        cur.execute("INSERT INTO app.things (room, name) VALUES ('rb', '1')")
        cur.execute("SAVEPOINT s")
        cur.execute("INSERT INTO app.things (room, name) VALUES ('rb', '2')")
        cur.execute("SELECT pgpush.signal('open:rb'::text, 'x', '{}')")
        cur.execute("ROLLBACK TO s")
        cur.execute("INSERT INTO app.things (room, name) VALUES ('rb', '3')")
        w.nothing(c, "open:rb", "nothing before the commit")
        conn.commit()
    conn.close()
    same([c.event("things.insert")["data"]["name"] for _ in (1, 2)],
        ["1", "3"], "rows that were not rolled back")
    w.nothing(c, "bulk:things:rb")


@case
def failed_statement(w):
    """a statement that fails sends nothing of its rows"""
    things(w)
    c = w.client("ann", ["bulk:things:fs"])
    try:
        w.api("INSERT INTO app.things (room, name, n) SELECT 'fs', i::text, "
            "1 / (5 - i) FROM generate_series(1, 5) i")
        raise AssertionError("the statement did not fail")
    except psycopg2.Error:
        pass
    w.nothing(c, "bulk:things:fs")


@case
def one_transaction(w):
    """the events of one transaction come in the order they were made"""
    things(w)
    c = w.client("ann", ["bulk:things:tx", "open:tx"])
    conn = w.db.connect(autocommit=False)
    with conn.cursor() as cur:
        for i in range(20):
            cur.execute("INSERT INTO app.things (room, name) VALUES ('tx', "
                "%s)", (str(i),))
            cur.execute("SELECT pgpush.emit('open:tx', 'e', %s::jsonb)",
                (str(i),))
    conn.commit()
    conn.close()
    got, last = [], 0
    for i in range(40):
        f = c.next(type="event")
        check(f["id"] > last, "ids go up")
        last = f["id"]
        got.append(f["data"] if f["room"] == "open:tx"
            else int(f["data"]["name"]))
    same(got, [i // 2 for i in range(40)], "order")


@case
def while_stopped(w):
    """a write with the daemon stopped succeeds, and is delivered later"""
    other = World("app")
    things(other)
    c = other.client("ann", ["bulk:things:st"])
    other.api("INSERT INTO app.things (room, name) VALUES ('st', 'before')")
    last = c.event("things.insert")["id"]
    other.between()
    for how in ("stop", "kill"):
        getattr(other.daemon, how)()
        for name in ("one", "two"):
            other.api("INSERT INTO app.things (room, name) VALUES ('st', %s)",
                name)
        other.daemon.start()
        c = other.client("ann")
        c.join("bulk:things:st", since=last, epoch=c.welcome["epoch"])
        same([c.event("things.insert")["data"]["name"] for _ in (1, 2)],
            ["one", "two"], "rows written while it was away")
        last = c.position()
        other.nothing(c, "bulk:things:st")
        last = c.position()
        other.drop(c)
    same(other.close(), [], "end of the daemon")


@case
def by_hand(w):
    """NOTIFY by hand is a push, by any role, to a room or to several"""
    c = w.client("ann", ["open:h1", "open:h2"])
    d = w.client("bob", ["open:h2"])
    w.api("NOTIFY pgpush, '{\"room\": \"open:h1\", \"event\": \"shout\", "
        "\"data\": {\"text\": \"h\u00e9\"}}'")
    f = c.event("shout", "open:h1", {"text": "h\u00e9"})
    check("id" not in f, "an ephemeral event has an id")
    w.db.psql("NOTIFY pgpush, '{\"rooms\": [\"open:h1\", \"open:h2\"], "
        "\"event\": \"all\", \"data\": [1, 2]}'")
    c.event("all", data=[1, 2])
    d.event("all", "open:h2", [1, 2])
    w.nothing(c, "open:h1", "each socket once")
    w.nothing(d, "open:h2")


GARBAGE = (
    "x", "{", "[]", "[1]", "1", "null", '""', "{}", " ", "{\"room\": 5}",
    '{"room": "open:g"}', '{"event": "x"}', '{"event": "x", "data": 1}',
    '{"room": "open:g", "event": 5}', '{"room": [5], "event": "x"}',
    '{"rooms": 5, "event": "x"}', '{"rooms": [1], "event": "x"}',
    '{"rooms": {}, "event": "x"}', '{"rooms": [], "event": "x"}',
    '{"room": null, "event": "x"}', '{"presence": 5}', '{"presence": null}',
    '{"presence": "no such node:1"}', '{"bell": {}}', '{"bell": null}',
    '{"kind": "revoke", "room": "open:g", "user_id": "ann"}',
    '{"kick": "ann"}', '{"config": true}', '{"epoch": "x"}',
    '{"type": "event", "id": 5}', "[" * 7000, '{"a":' * 1400,
    '{"room": "open:g", "event": "\\ud800", "data": 1}',
    '{"room": "open:\\u0000g", "event": "x", "data": 1}',
    "\u00e9" * 3990, '{"room":"open:g","event":"x","data":{"a":1}',
    '{"room":"open:g","event":"x","data":{},"origin":5,"n":"x"} tail',
)


@case
def garbage(w):
    """a NOTIFY with garbage is survived and pushes nothing"""
    c = w.client("ann", ["open:g"])
    for payload in GARBAGE:
        w.root("SELECT pg_notify('pgpush', %s)", payload)
        w.root("SELECT pg_notify('pgpush_log', %s)", payload)
        w.nothing(c, "open:g", "nothing from " + show(payload))
    w.root("NOTIFY pgpush")
    w.nothing(c, "open:g")
    check(w.daemon.alive(), "the daemon has ended")


@case
def allowed_names(w):
    """notify_events limits the events taken from the channel, and only it"""
    other = World("app", notify_events="shout, typing")
    c = other.client("ann", ["open:nl"])
    other.api("NOTIFY pgpush, '{\"room\":\"open:nl\",\"event\":\"evil\"}'")
    other.api("NOTIFY pgpush, '{\"room\":\"open:nl\",\"event\":\"shout\"}'")
    c.event("shout", "open:nl")
    other.emit("open:nl", "any", {})
    c.event("any")
    same(other.close(), [], "end of the daemon")


@case
def large_signal(w):
    """a signal too large for NOTIFY arrives, without id, and only live"""
    c = w.client("ann", ["open:ls", "open:ls2"])
    at = c.position()
    for n in (7000, 7800, 7900, 8000, 8200, 20000, 500000):
        w.signal("open:ls", "wide", {"text": "x" * n})
        f = c.event("wide", "open:ls")
        same(len(f["data"]["text"]), n, "length")
        check("id" not in f, "a signal has an id")
    w.sql("SELECT pgpush.signal(ARRAY['open:ls', 'open:ls2'], 'wide', "
        "jsonb_build_object('text', repeat('y', 20000)))")
    c.event("wide")
    w.nothing(c, "open:ls", "each socket once")
    d = w.client("bob")
    d.join("open:ls", since=at)
    d.event("sentinel", "open:ls")
    w.nothing(d, "open:ls")


@case
def on_off_on(w):
    """equal signals of one transaction do not collapse"""
    c = w.client("ann", ["open:oo"])
    conn = w.db.connect(autocommit=False)
    with conn.cursor() as cur:
        for on in (True, False, True, True):
            cur.execute("SELECT pgpush.signal('open:oo'::text, 'typing', "
                "jsonb_build_object('on', %s))", (on,))
    conn.commit()
    conn.close()
    same([c.event("typing")["data"]["on"] for _ in range(4)],
        [True, False, True, True], "signals")
    w.nothing(c, "open:oo")


@case
def once_per_session(w):
    """of two rows with one dup a session gets the first only"""
    both = w.client("ann", ["open:d1", "open:d2"])
    second = w.client("bob", ["open:d2"])
    w.sql("SELECT pgpush.emit('open:d1', 'dup', '{\"n\": 1}', dup => 'x'), "
        "pgpush.emit('open:d2', 'dup', '{\"n\": 1}', dup => 'x')")
    both.event("dup", "open:d1", dup="x")
    second.event("dup", "open:d2", dup="x")
    w.sql("SELECT pgpush.emit('open:d2', 'dup', '{\"n\": 2}', dup => 'y')")
    both.event("dup", "open:d2", {"n": 2})
    w.nothing(both, "open:d1")


@case
def data_as_it_is(w):
    """the data goes through as PostgreSQL has it: numbers keep their digits"""
    c = w.client("ann", ["open:raw"])
    for text in ("12345678901234567890.12345678901234567890", "1e400",
            "-0.000000000000000000001", "null", "true", "[]", '""',
            '{"a": {"b": [1, [2, {"c": null}]]}}',
            '"\\u2028\\u2029</script>"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"'):
        stored = w.sql("SELECT %s::jsonb::text", text)[0][0]
        w.sql("SELECT pgpush.emit('open:raw', 'raw', %s::jsonb)", text)
        frame = c.recv_text()
        check('"event":"raw"' in frame.replace(" ", ""), "got %s"
            % show(frame))
        body = frame[frame.index('"data"'):].partition(":")[2].strip()
        check(body.startswith(stored), "data %s, not %s" % (show(body),
            stored))
        if text != "1e400":
            json.loads(frame)


@case
def odd_events(w):
    """event names and rooms with quotes and controls make good frames"""
    for event in ('"', "\\", "\n", "\u00e9", "\x01", "\u2028", "'", "{}"):
        # No room is named with a control character.
        room = "open:" + (event if event >= " " else "control")
        c = w.client("ann", [room])
        w.emit(room, event, {"e": event})
        c.event(event, room, {"e": event})
        w.signal(room, event, {"e": event})
        c.event(event, room, {"e": event})
        w.drop(c)


@case
def detach(w):
    """a detached table pushes no more"""
    w.sql("CREATE TABLE app.det (id int PRIMARY KEY, room text)")
    w.sql("SELECT * FROM pgpush.attach('app.det', 'open:{room}', columns => "
        "ARRAY['id'])")
    c = w.client("ann", ["open:det"])
    w.sql("INSERT INTO app.det VALUES (1, 'det')")
    c.event("det.insert")
    w.sql("SELECT pgpush.detach('app.det')")
    w.sql("INSERT INTO app.det VALUES (2, 'det')")
    w.nothing(c, "open:det")


@case
def outbox_is_emptied(w):
    """what was delivered has left the outbox and is in the log once"""
    c = w.client("ann", ["open:ob"])
    for i in range(20):
        w.emit("open:ob", "n", {"n": i})
    ids = [c.event("n")["id"] for _ in range(20)]
    same([r[0] for r in w.root("SELECT id FROM pgpush.log WHERE room = "
        "'open:ob' ORDER BY id")], ids, "ids in the log")
    same(w.root("SELECT count(*) FROM pgpush.outbox")[0][0], 0,
        "rows in the outbox")


if __name__ == "__main__":
    main()
