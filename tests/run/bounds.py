#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What a client can make the daemon keep: bounded, whatever it sends.

What grows least comes first: memory that was given back hides what is lost.
"""

import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, has, same, wait_for
from lib.ws import PING, TEXT, frame_bytes

MB = 1024


def pour(client, data, total):
    """Send data over and over, without reading; how many bytes went out
    before the daemon would take no more, total at most."""
    client.sock.settimeout(1.0)
    sent = 0
    try:
        while sent < total:
            sent += client.sock.send(data)
    except socket.timeout:
        pass
    return sent


def grows(w, client, data, total=48 << 20):
    before = w.daemon.rss_kb()
    sent = pour(client, data, total)
    grown = w.daemon.rss_kb() - before
    check(grown < 24 * MB, "memory grew by %d kB for %d kB taken in"
        % (grown, sent // 1024))


@case
def join_and_leave(w):
    """joining and leaving while nothing can be read leaves nothing behind"""
    c = w.client("restless", ["open:restless"])
    other = w.client("keeps", ["open:restless"])
    w.sql("SELECT pgpush.emit('open:restless', 'n', to_jsonb(i)) "
        "FROM generate_series(1, 5000) i")
    for i in range(5000):
        c.event("n")
    first = w.root("SELECT min(id) FROM pgpush.log "
        "WHERE room = 'open:restless'")[0][0]
    text = b"".join(frame_bytes(TEXT, json.dumps(f).encode()) for f in (
        {"type": "leave", "room": "open:restless"},
        {"type": "join", "room": "open:restless", "since": first}))
    with w.db.connect("postgres", autocommit=False) as conn:
        conn.cursor().execute("LOCK pgpush.floor IN ACCESS EXCLUSIVE MODE")
        c.send_raw(text * 20)
        c.position()
        before = w.daemon.rss_kb()
        for i in range(800):
            c.send_raw(text * 400)
            c.position()
            c.kept = []
        grown = w.daemon.rss_kb() - before
        conn.rollback()
    conn.close()
    check(grown < 20 * MB, "memory grew by %d kB" % grown)


@case
def pings_unread(w):
    """one who sends pings and reads nothing costs a bounded number of bytes"""
    c = w.client("pinger", rcvbuf=4096)
    grows(w, c, frame_bytes(PING, b"x" * 125, key=b"\0\0\0\0") * 400)


@case
def replies_unread(w):
    """one who asks and does not read the replies costs a bounded number"""
    c = w.client("asker", rcvbuf=4096)
    text = json.dumps({"type": "ping", "ref": "x" * 150}).encode()
    grows(w, c, frame_bytes(TEXT, text, key=b"\0\0\0\0") * 400)


@case
def reads_after_all(w):
    """one who asks much before he reads gets every reply, in order"""
    c = w.client("patient", rcvbuf=4096)
    c.sock.setblocking(False)
    frames = b"".join(frame_bytes(TEXT, json.dumps({"type": "ping",
        "ref": "%d:%s" % (i, "x" * 150)}).encode()) for i in range(20000))
    at = got = 0
    end = time.monotonic() + 300
    while got < 20000:
        check(time.monotonic() < end, "%d replies, %d of %d bytes sent"
            % (got, at, len(frames)))
        try:
            at += c.sock.send(frames[at:at + 65536])
            c.sock.setblocking(False)
        except (BlockingIOError, socket.timeout):
            reply = c.read()
            same(reply["ref"].split(":")[0], str(got), "reply")
            got += 1
            c.sock.setblocking(False)
        if at == len(frames):
            break
    while got < 20000:
        same(c.read()["ref"].split(":")[0], str(got), "reply")
        got += 1


@case
def joins_at_once(w):
    """joins under way count against max_rooms"""
    other = World("app", max_rooms=10, message_rate=0, lock_timeout="1m",
        rule_timeout="1m")
    c = other.client("joiner")
    with other.db.connect("postgres", autocommit=False) as conn:
        # The rules cannot be read, so all are under way at once.
        conn.cursor().execute("LOCK pgpush.rules IN ACCESS EXCLUSIVE MODE")
        for i in range(50):
            c.send(type="join", room="open:%d" % i, ref=i)
        c.position()
        conn.rollback()
    conn.close()
    for i in range(9):
        has(c.reply(i), {"ok": True}, "join %d" % i)
    for i in range(9, 50):
        c.error(c.reply(i), "too_many")
    same(other.close(), [], "end of the daemon")


@case
def sends_at_once(w):
    """sends under way are bounded per session, in number and in memory"""
    other = World("app", message_rate=0, handler_timeout="5m",
        lock_timeout="5m")
    c = other.client("sender")
    d = other.client("other")
    conn = other.db.connect(autocommit=False)   # until then no handler ends
    conn.cursor().execute("LOCK TABLE app.calls IN EXCLUSIVE MODE")
    c.send(type="send", event="silent", data={}, ref="first")
    wait_for(lambda: other.root("SELECT FROM pg_locks WHERE NOT granted AND "
        "relation = 'app.calls'::regclass AND database = (SELECT oid FROM "
        "pg_database WHERE datname = current_database())"),
        "the handler to wait")
    before = other.daemon.rss_kb()
    big = json.dumps([0] * 30000, separators=(",", ":"))
    for i in range(300):
        c.send_text('{"type":"send","event":"silent","ref":%d,"data":%s}'
            % (i, big))
    c.error(c.reply(299), "too_many")
    grown = other.daemon.rss_kb() - before
    check(grown < 128 * MB, "memory grew by %d kB" % grown)
    conn.rollback()
    conn.close()
    has(d.do("echo", {}), {"ok": True}, "the other's send")
    has(c.reply("first"), {"ok": True}, "the first")
    has(c.reply(0), {"ok": True}, "the first of many")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(message_rate=0)
