#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Rooms of very many: they hold nobody up, and their members miss nothing."""

import os
import socket
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, same

MANY = 1200
SO_TIMESTAMPNS = 35             # asm-generic/socket.h; struct timespec


def arrival(client):
    """When the bytes that are read next came to this machine's TCP, in ns."""
    _, notes, _, _ = client.sock.recvmsg(1, 64, socket.MSG_PEEK)
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("ll", data)
            return seconds * 10**9 + nanoseconds
    raise AssertionError("no time of arrival")


def stamped(w, user, room):
    c = w.client(user, [room])
    c.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return c


@case
def small_rooms_go_first(w):
    """an event for two overtakes one for many that was committed with it"""
    many = [stamped(w, "m%d" % i, "open:many") for i in range(MANY)]
    few = [stamped(w, "f%d" % i, "open:few") for i in range(2)]
    w.sql("SELECT pgpush.emit('open:many', 'news', '1'),"
        " pgpush.emit('open:few', 'news', '2')")
    last = max(arrival(c) for c in many)
    for c in few:
        check(arrival(c) < last, "it waited for all %d others" % MANY)
        same(c.event("news")["data"], 2, "event of the few")
    for c in many:
        same(c.event("news")["data"], 1, "event of the many")


@case
def in_order(w):
    """one in a large and in a small room gets both in order, all of it"""
    c = w.client("both", ["open:many2", "open:few2"])
    others = [w.client("o%d" % i, ["open:many2"]) for i in range(300)]
    w.sql("SELECT pgpush.emit(CASE WHEN mod(i, 3) = 0 THEN 'open:few2'"
        " ELSE 'open:many2' END, 'n', to_jsonb(i))"
        " FROM generate_series(1, 3000) i")
    got = {"open:few2": [], "open:many2": []}
    for _ in range(3000):
        f = c.event("n")
        got[f["room"]].append(f["data"])
    same(got["open:few2"], list(range(3, 3001, 3)), "the small room's")
    many = [i for i in range(1, 3001) if i % 3]
    same(got["open:many2"], many, "the large room's")
    for o in others[::50]:
        same([o.event("n")["data"] for _ in many], many, "another's")


@case
def some_go(w):
    """who goes or is sent away from a room of many: all until then, and the
    others all of it"""
    users = ["g%d" % i for i in range(600)]
    clients = [w.client(u, ["open:go"]) for u in users]
    kicked, cut, stay = clients[:50], clients[50:150], clients[150:]
    for c in cut[::2]:
        w.drop(c)
    w.sql("SELECT pgpush.emit('open:go', 'n', to_jsonb(i)),"
        " CASE i WHEN 20 THEN (SELECT count(pgpush.kick(u) IS NULL)"
        "  FROM unnest(%s) u) END FROM generate_series(1, 40) i",
        users[:len(kicked)])
    for c in cut[1::2]:
        w.drop(c)
    for c in kicked:
        same([c.event("n")["data"] for _ in range(20)],
            list(range(1, 21)), "events until the kick")
        same({f["type"] for f in c.until(type="left", room="open:go")},
            {"left"}, "what comes then")
        c.closes(4403)
    for c in stay:
        same([c.event("n")["data"] for _ in range(40)],
            list(range(1, 41)), "events")
    w.nothing(stay[0], "open:go")


@case
def runs_and_exceptions(w):
    """in a run of events, what is not for everybody is for the others"""
    a, b = (w.client(u, ["open:run"]) for u in ("a", "b"))
    w.root("INSERT INTO pgpush.outbox (room, event, data, origin, others, dup)"
        " SELECT 'open:run', 'n', to_json(i), %s, mod(i, 5) = 0,"
        "  CASE WHEN mod(i, 7) IN (0, 1) THEN 'd' || (i / 7) END"
        " FROM generate_series(1, 200) i ORDER BY i", a.session)
    w.emit("open:run", "n", 0)
    # 7k and 7k + 1 are one happening: who was given the first gets no second
    def due(skip):
        seen, out = set(), []
        for i in range(1, 201):
            if i % 5 == 0 and skip:
                continue
            if i % 7 in (0, 1):
                if i // 7 in seen:
                    continue
                seen.add(i // 7)
            out.append(i)
        return out + [0]
    for c, skip in ((a, True), (b, False)):
        want = due(skip)
        same([c.event("n")["data"] for _ in want], want, c.user)


main(kind="app", max_connections=3000, ping_interval="1h")
