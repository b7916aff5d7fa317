#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The mover gets past any row that can exist in the outbox."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, same


def raw(w, room, text):
    """The data of the next event, its JSON as it stands in the database."""
    w.sql("INSERT INTO pgpush.outbox (room, event, data) VALUES (%s, 'raw', "
        "%s::json)", room, text)


@case
def any_json(w):
    """JSON that jsonb would refuse or change arrives as it was written"""
    c = w.client("ann", ["open:json"])
    for text, value in (('"\\u0000"', "\0"), ('"\\ud800"', "\ud800"),
            ("1e999999", float("inf")), ('{"a":1,"a":2}', {"a": 2}),
            ("[" * 500 + "]" * 500, None), ('"\u2028\u2029</script>"',
            "\u2028\u2029</script>"), ("{ }", {}), ("null", None)):
        raw(w, "open:json", text)
        f = c.event("raw", "open:json")
        if value is not None or text == "null":
            same(f["data"], value, "data")
    w.nothing(c, "open:json")


@case
def json_resumed(w):
    """and so it does when it is read from the log"""
    c = w.client("bob", ["open:again"])
    since = c.position()
    raw(w, "open:again", '"\\u0000"')
    raw(w, "open:again", "1e999999")
    first = [c.event("raw")["data"] for _ in range(2)]
    d = w.client("bob2")
    d.join("open:again", since=since)
    same([d.event("raw")["data"] for _ in range(2)], first, "data")


@case
def long_room(w):
    """a room name over 200 bytes is counted, and what follows arrives"""
    c = w.client("cid", ["open:long"])
    w.sql("INSERT INTO pgpush.outbox (room, event, data) VALUES "
        "('open:long', 'one', '1'), (repeat('r', 100000), 'long', '2'), "
        "('open:long', 'two', '3')")
    c.event("one")
    c.event("two")
    same(w.root("SELECT rows FROM pgpush.lost WHERE event = 'long'"), [(1,)],
        "what is counted")


@case
def no_room(w):
    """neither a row without a room nor one without an event stops anything"""
    c = w.client("dan", ["open:none"])
    w.sql("INSERT INTO pgpush.outbox (room, event, data) VALUES "
        "(NULL, 'x', '1'), ('open:none', NULL, '2'), (NULL, NULL, NULL), "
        "('open:none', 'end', NULL)")
    same(c.event("")["data"], 2, "data of the one without an event")
    same(c.event("end")["data"], None, "data of the one without data")


@case
def lost_rows(w):
    """rows that could not be told are a resync of their room"""
    c = w.client("eve", ["open:lost"])
    w.sql("INSERT INTO pgpush.outbox (room, event, lost) VALUES "
        "('open:lost', 'many', 70000), ('', 'nowhere', 5)")
    c.event("resync", "open:lost", {"event": "many", "count": 70000})
    w.emit("open:lost", "end")
    c.event("end")
    same(w.root("SELECT event, rows FROM pgpush.lost WHERE event IN ('many', "
        "'nowhere') ORDER BY event"), [("many", 70000), ("nowhere", 5)],
        "what is counted")


@case
def odd_holds(w):
    """holds with nonsense in every column stop nothing"""
    c = w.client("fay", ["open:odd"])
    w.sql("INSERT INTO pgpush.outbox (room, event, key, about, render, arg, due)"
        " VALUES ('open:odd', 'a', repeat('k', 100000), repeat('a', 100000), "
        "repeat('f', 100000), NULL, '178000000 years'), ('open:odd', 'b', '', '',"
        " '', '1', '-178000000 years'), (NULL, 'c', 'k', NULL, NULL, NULL, "
        "NULL), (repeat('r', 3000), 'd', 'k', NULL, 'x(', NULL, NULL)")
    w.sql("INSERT INTO pgpush.outbox (key) VALUES (repeat('k', 100000)), "
        "(repeat('q', 100000)), ('')")
    w.emit("open:odd", "end")
    same(sorted(c.event("resync")["data"]["event"] for _ in range(2)),
        ["a", "b"], "resyncs")
    c.event("end")


@case
def large(w):
    """large data is read from the log, too large is a resync, in order"""
    c = w.client("gus", ["open:large"])
    w.sql("INSERT INTO pgpush.outbox (room, event, data) "
        "SELECT 'open:large', 'n', json_build_object('n', i, 'pad', repeat('x', "
        "CASE i % 4 WHEN 1 THEN 20000 WHEN 2 THEN 5000000 ELSE 5 END)) "
        "FROM generate_series(1, 12) i")
    for i in range(1, 13):
        f = c.next(type="event", room="open:large")
        if i % 4 == 2:
            same(f["event"], "resync", "event %d" % i)
            check(f["data"]["bytes"] > 5000000, "its bytes")
        else:
            same(f["data"]["n"], i, "event")


@case
def no_translation(w):
    """a byte that is no character of UTF-8 becomes a resync of its room"""
    other = World("win1252")
    c = other.client("ann", ["open:win"])
    bad = "convert_from('\\x81', 'WIN1252')"
    other.sql("SELECT pgpush.emit('open:win', 'good', "
        "to_jsonb(convert_from('\\xe9', 'WIN1252')))")
    same(c.event("good")["data"], "\u00e9", "a letter that both have")
    other.sql("SELECT pgpush.emit('open:win', 'bad', to_jsonb(%s)), "
        "pgpush.emit('open:' || %s, 'room', '1'), "
        "pgpush.emit('open:win', 'name' || %s, '2'), "
        "pgpush.emit('open:win', 'end', '3')" % (bad, bad, bad))
    c.event("resync", "open:win", {"event": "bad", "count": 1})
    c.event("resync", "open:win", {"event": "", "count": 1})
    same(c.event("end")["data"], 3, "what follows")
    other.emit("open:win", "more", 4)
    c.event("more")
    same(other.root("SELECT sum(rows)::int FROM pgpush.lost"), [(3,)],
        "what is counted")
    check("became a resync" in other.daemon.log(),
        "no line in the daemon's log")
    same(other.close(), [], "end of the daemon")


main(kind="app")
