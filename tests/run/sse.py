#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""GET /events: who may, what comes, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt
from lib.case import World, case, main
from lib.sse import (Parser, Stream, address, error_of, open_stream, position,
    post, refused_stream, reply_of, stream)
from lib.tap import Failed, check, has, same, show, wait_for
from lib.web import request
from lib.ws import Closed

PAGE = "https://shop.example"
OTHER = "https://elsewhere.example"


@case
def parser(w):
    """the reader of the tests reads as the HTML standard says"""
    p = Parser()
    text = "\ufeff: hi\r\rretry: 10\nretry: 1x\ndata: a\r\ndata:b\rdata\n" \
        "\nid: 1\nevent: e\ndata: c\u00e9\n\nevent: lost\n\ndata: d\n\n" \
        "id\ndata: f\r\n\r\nid: 7\n\ndata: cut"
    for size in (1, 2, 3, 1000):
        p, got, data = Parser(), [], text.encode()
        for i in range(0, len(data), size):
            got += p.feed(data[i:i + size])
        same([(e.event, e.data, e.last) for e in got],
            [("message", "a\nb\n", ""), ("e", "c\u00e9", "1"),
            ("message", "d", "1"), ("message", "f", "")],
            "events in pieces of %d" % size)
        same((p.retry, p.comments, p.moves, p.last), (10, 1, ["7"], "7"),
            "the rest")


@case
def headers(w):
    """a stream: 200, text/event-stream, not to be cached or buffered"""
    s = stream(w, "ann")
    h = s.response.headers
    same(h.get("content-type", "").split(";")[0], "text/event-stream", "type")
    check("no-store" in h.get("cache-control", "")
        or "no-cache" in h.get("cache-control", ""), "cached: %s" % h)
    same(h.get("x-accel-buffering"), "no", "buffering")
    check("content-length" not in h, "a length: %s" % h)
    same(s.parser.retry, 1000, "retry")


@case
def welcome(w):
    """the welcome is first, with the rooms, and its id"""
    s = stream(w, "ann", ["open:1", "open:2"])
    has(s.welcome, {"user": "ann"}, "welcome")
    same(sorted(s.welcome["rooms"]), ["open:1", "open:2", "user:ann"], "rooms")
    same(position(s.last), (s.welcome["epoch"], s.welcome["id"]), "id")
    same(w.root("SELECT tag FROM pgpush.terms "
        "ORDER BY n DESC LIMIT 1")[0][0],
        s.welcome["epoch"], "epoch")
    t = stream(w, "ann", ["open:1"])
    check(t.session != s.session, "the same session twice")


@case
def rooms_once(w):
    """a room named twice, or one of the greeting, is there once"""
    s = stream(w, "ann", ["open:1", "open:1", "user:ann"])
    same(sorted(s.welcome["rooms"]), ["open:1", "user:ann"], "rooms")
    w.emit("open:1", "x", {})
    s.event("x", "open:1")
    w.nothing(s, "open:1")


@case
def tokens(w):
    """Authorization or ?token=; no token, a bad and an expired one: 401"""
    stream(w, "ann")
    stream(w, None, token=None, query={"token": w.token("ann")})
    good = w.token("ann")
    for token in ("x", "a.b.c", good[:-3], good + "x",
            w.token("ann", secret=jwt.OTHER_SECRET),
            w.token("ann", exp=-10), w.token("ann", exp=None),
            jwt.mint({"nobody": 1})):
        same(refused_stream(w, 401, token=token), "unauthorized", "code")
        same(refused_stream(w, 401, query={"token": token}), "unauthorized",
            "code in the query")
    same(refused_stream(w, 401), "unauthorized", "without")
    for value in ("Basic YTpi", "Bearer", "Bearer ", good):
        same(refused_stream(w, 401, headers={"Authorization": value}),
            "unauthorized", value)
    # The header counts, the query is not asked then.
    refused_stream(w, 401, token="bad", query={"token": good})


@case
def no_cookie(w):
    """without origins a cookie is no token"""
    same(refused_stream(w, 401, headers={"Cookie": "token="
        + w.token("ann")}), "unauthorized", "code")
    same(error_of(post(w.daemon.port, {"event": "silent"}, headers={"Cookie":
        "token=" + w.token("ann")}), 401), "unauthorized", "code of send")


@case
def users(w):
    """a user whom the greeting does not know: 403"""
    same(refused_stream(w, 403, "nobody1"), "forbidden", "code")
    same(refused_stream(w, 403, "nobody1", ["open:1"]), "forbidden", "code")


@case
def forbidden_rooms(w):
    """one forbidden room: 403 for all of it, and nothing of any leaks"""
    w.emit("closed:1", "secret", {"x": "secret"})
    for rooms in (["closed:1"], ["open:1", "closed:1"], ["user:bob"],
            ["broken:1"], ["unknown:1"], ["role:admin"], ["no rule"]):
        s = open_stream(w, "ann", rooms, last="x.0")
        same(error_of(s.response, 403), "forbidden", str(rooms))
        check(b"secret" not in s.response.body, "leaks: %r" % s.response)
    w.sql("INSERT INTO app.members VALUES ('closed:1', 'mel')")
    s = stream(w, "mel", ["closed:1"])
    w.emit("closed:1", "x", {})
    s.until(type="event", event="x", room="closed:1")   # after the secret, if
                                    # that was moved only now
    s = stream(w, None, ["role:admin"], token=w.token("ann",
        claims={"role": "admin"}))
    w.emit("role:admin", "x", {})
    s.event("x", "role:admin")


@case
def bad_rooms(w):
    """a name that no room can have, or a query that is none: 400"""
    for room in ("", "a\nb", "\x7f", "a\x1fb", "x" * 201, "\x01"):
        same(refused_stream(w, 400, "ann", [room]), "bad_request",
            repr(room))
    for query in ("room=%", "room=%4", "room=%zz", "room=%ff",
            "room=open:1&room=%c3", "room=a%00b", "room=", "room"):
        same(error_of(Stream(w.daemon.port, "/events?" + query,
            w.token("ann")).response, 400), "bad_request", query)
    s = stream(w, "ann", ["open:" + "x" * 195])
    same(len(s.welcome["rooms"]), 2, "rooms")
    s = stream(w, "ann", ["open:\u00e9 &=+%"])
    w.emit("open:\u00e9 &=+%", "x", {})
    s.event("x", "open:\u00e9 &=+%")


@case
def too_many_rooms(w):
    """more rooms than a session may have: 400; as many are fine"""
    other = World("app", max_rooms=5)
    stream(other, "ann", ["open:%d" % i for i in range(4)])
    same(refused_stream(other, 400, "ann", ["open:%d" % i
        for i in range(6)]), "bad_request", "code")
    same(refused_stream(other, 400, "ann", ["open:%d" % i
        for i in range(300)]), "bad_request", "code")
    same(other.close(), [], "end of the daemon")


@case
def methods(w):
    """another method than GET is 405, with what is allowed"""
    token = {"Authorization": "Bearer " + w.token("ann")}
    for method in ("HEAD", "POST", "PUT", "DELETE", "PATCH", "FOO"):
        r = request(w.daemon.port, "/events", method, token)
        same(r.status, 405, method)
        check("GET" in r.headers.get("allow", ""), "Allow: %s" % r.headers)
        if method == "POST":
            error_of(r, 405)
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        r = request(w.daemon.port, "/send", method, token)
        same(r.status, 405, method + " /send")
        check("POST" in r.headers.get("allow", ""), "Allow: %s" % r.headers)
    for path in ("/events/", "/event", "/send/", "/Events"):
        same(request(w.daemon.port, path, headers=token).status, 404, path)


def preflight(port, path, origin, method="POST"):
    return request(port, path, "OPTIONS", {"Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization,content-type"})


def words(r, name):
    return {x.strip().lower() for x in r.headers.get(name, "").split(",")}


@case
def any_origin(w):
    """without origins any page may read, but not with a cookie"""
    for path, method in (("/events", "GET"), ("/send", "POST")):
        r = preflight(w.daemon.port, path, PAGE, method)
        same(r.status, 204, "preflight of " + path)
        same(r.headers.get("access-control-allow-origin"), "*", "origin")
        check("access-control-allow-credentials" not in r.headers,
            "credentials: %s" % r.headers)
        check(method.lower() in words(r, "access-control-allow-methods"),
            "methods: %s" % r.headers)
        for name in ("authorization", "content-type", "last-event-id"):
            check(name in words(r, "access-control-allow-headers"),
                "%s is not in %s" % (name, r.headers))
    s = stream(w, "ann", headers={"Origin": PAGE})
    same(s.response.headers.get("access-control-allow-origin"), "*", "stream")
    r = post(w.daemon.port, {"event": "silent"}, w.token("ann"),
        {"Origin": PAGE})
    has(reply_of(r), {"ok": True}, "send")
    same(r.headers.get("access-control-allow-origin"), "*", "send")
    s = open_stream(w, headers={"Origin": PAGE})
    same(error_of(s.response, 401), "unauthorized", "code")
    same(s.response.headers.get("access-control-allow-origin"), "*",
        "a refusal, too, can be read by the page")


def page_of(other, r, what):
    same(r.headers.get("access-control-allow-origin"), PAGE, what)
    same(r.headers.get("access-control-allow-credentials"), "true", what)
    check("origin" in words(r, "vary"), "Vary of %s: %s" % (what, r.headers))


@case
def listed_origins(w):
    """with origins those listed may, with credentials; others get 403"""
    other = World("app", origins=PAGE + " https://second.example")
    port, token = other.daemon.port, other.token("ann")
    for path in ("/events", "/send"):
        r = preflight(port, path, PAGE)
        same(r.status, 204, "preflight")
        page_of(other, r, "preflight of " + path)
        r = preflight(port, path, OTHER)
        same(r.status, 403, "preflight of another")
        check("access-control-allow-origin" not in r.headers,
            "%s" % r.headers)
    s = stream(other, "ann", headers={"Origin": PAGE})
    page_of(other, s.response, "stream")
    s = open_stream(other, "ann", headers={"Origin": OTHER})
    same(error_of(s.response, 403), "forbidden", "another origin")
    check("access-control-allow-origin" not in s.response.headers, "allowed")
    error_of(post(port, {"event": "echo"}, token, {"Origin": OTHER}), 403)
    error_of(post(port, {"event": "echo"}, token, {"Origin": "null"}), 403)
    error_of(post(port, {"event": "echo"}, token, {"Origin": PAGE + ".ru"}),
        403)
    same(other.root("SELECT count(*) FROM app.calls WHERE event = 'echo'"),
        [(0,)], "calls")
    r = post(port, {"event": "echo"}, token, {"Origin": PAGE})
    has(reply_of(r), {"ok": True}, "send")
    page_of(other, r, "send")
    stream(other, "ann")            # no browser: no Origin
    same(other.close(), [], "end of the daemon")


@case
def cookies(w):
    """with origins the cookie counts, also in what curl sends; a page that
    is not listed cannot use it"""
    other = World("app", origins=PAGE)
    port = other.daemon.port
    cookie = {"Cookie": "a=b; token=%s; c=d" % other.token("ann")}
    s = stream(other, None, headers=cookie)
    same(s.user, "ann", "user")
    s = stream(other, None, headers=dict(cookie, Origin=PAGE))
    page_of(other, s.response, "stream")
    same(refused_stream(other, 403, headers=dict(cookie, Origin=OTHER)),
        "forbidden", "another page")
    error_of(post(port, {"event": "echo"}, headers=dict(cookie,
        Origin=OTHER)), 403)
    same(other.root("SELECT count(*) FROM app.calls"), [(0,)], "calls")
    has(reply_of(post(port, {"event": "silent"}, headers=dict(cookie,
        Origin=PAGE))), {"ok": True}, "send")
    for bad in ("xtoken=%s", "tokenx=%s", "token%s", "Token=%s"):
        refused_stream(other, 401, headers={"Cookie":
            bad % other.token("ann")})
    refused_stream(other, 401, headers={"Cookie": "token="})
    # What is shown counts before what is sent along.
    s = stream(other, "bob", headers=cookie)
    same(s.user, "bob", "user")
    same(other.close(), [], "end of the daemon")


@case
def other_cookie(w):
    """jwt_cookie names the cookie; empty: none"""
    other = World("app", origins=PAGE, jwt_cookie="sid")
    for name, good in (("sid", True), ("token", False)):
        s = open_stream(other, headers={"Cookie": "%s=%s" % (name,
            other.token("ann"))})
        same(s.status, 200 if good else 401, name)
        other.drop(s)
    other.daemon.settings["jwt_cookie"] = ""
    other.daemon.restart()
    for name in ("sid", "token", ""):
        refused_stream(other, 401, headers={"Cookie": "%s=%s" % (name,
            other.token("ann"))})
    same(other.close(), [], "end of the daemon")


@case
def events(w):
    """events of all rooms come in the order of their ids, each once, with
    ids of one epoch"""
    rooms = ["open:e%d" % i for i in range(4)]
    s = stream(w, "ann", rooms)
    w.sql("SELECT pgpush.emit('open:e' || i % 4, 'n', to_jsonb(i)) FROM "
        "generate_series(0, 999) i")
    # Stream fails if an id is not larger than the one before.
    for i in range(1000):
        s.event("n", "open:e%d" % (i % 4), i)
    same(position(s.last)[0], s.epoch, "epoch")
    w.emit("user:ann", "mine", {"x": 1})
    s.event("mine", "user:ann", {"x": 1})
    w.emit("open:e5", "not mine", {})
    w.nothing(s, "open:e0")


@case
def data(w):
    """data of any shape arrives as it is; line breaks are inside of JSON"""
    s = stream(w, "ann", ["open:d"])
    for value in (None, True, 0, "", "a\nb\r\nc\rd", [], {"\n": "\r"},
            {"e": "\u00e9\u2028\U0001f600"}, {"big": "x" * 300000}):
        w.sql("SELECT pgpush.emit('open:d', 'n', %s::jsonb)",
            json.dumps(value))
        f = s.event("n", "open:d")
        same(f["data"], value, "data")


@case
def names(w):
    """an event whose name has line breaks cannot break the stream"""
    s = stream(w, "ann", ["open:n"])
    bad = ["a\nb", "\n\ndata: {\"type\":\"event\"}\n\n", "\rid: x.99", "x\r\n",
        "pgpush:welcome", ":", " lead", "\u00e9"]
    for name in bad:
        for tell in (w.emit, w.signal):
            try:
                tell("open:n", name, {"x": 1})
            except Exception:
                continue            # the database takes no such name
            f = s.next(type="event", room="open:n")
            same(f["event"], name, "name")
    w.nothing(s, "open:n")


@case
def ephemeral(w):
    """a signal comes without an id, and leaves Last-Event-ID alone"""
    s = stream(w, "ann", ["open:s"])
    w.emit("open:s", "x", {})
    last = s.event("x")["id"]
    w.signal("open:s", "blip", {"y": 1})
    f = s.event("blip", "open:s", {"y": 1})
    check("id" not in f, "it has: %s" % show(f))
    same(s.at, last, "Last-Event-ID")
    w.nothing(s, "open:s")


@case
def resync(w):
    """an event that is too large is told as resync, with its id"""
    other = World("app", max_event="2k")
    s = stream(other, "ann", ["open:r"])
    other.emit("open:r", "big", {"x": "x" * 4000})
    f = s.event("resync", "open:r")
    check(f["data"]["bytes"] > 4000, "bytes: %s" % show(f))
    other.emit("open:r", "small", {})
    s.event("small", "open:r")
    same(other.close(), [], "end of the daemon")


@case
def both_dialects(w):
    """a stream and a WebSocket of one room are told the same"""
    s = stream(w, "ann", ["open:both"])
    c = w.client("bob", ["open:both"])
    for i in range(20):
        w.emit("open:both", "n", {"i": i})
        same(s.event("n"), c.event("n"), "frames")


@case
def revoke(w):
    """who is sent out of a room is told and gets nothing more of it"""
    w.sql("INSERT INTO app.members VALUES ('closed:rv', 'rev')")
    s = stream(w, "rev", ["closed:rv", "open:rv"])
    w.emit("closed:rv", "x", {})
    s.event("x", "closed:rv")
    w.sql("WITH d AS (DELETE FROM app.members WHERE user_id = 'rev') "
        "SELECT pgpush.revoke('closed:rv', 'rev')")
    w.emit("closed:rv", "secret", {})
    s.next(type="left", room="closed:rv", reason="revoked")
    w.nothing(s, "open:rv")
    same(refused_stream(w, 403, "rev", ["closed:rv"], last=s.last),
        "forbidden", "again")


@case
def kick(w):
    """who is kicked: every room, the close with 4403, the end"""
    s = stream(w, "kicked", ["open:k"])
    w.sql("SELECT pgpush.kick('kicked')")
    seen = s.until(type="close")
    same(seen[-1]["code"], 4403, "code")
    check(all(f["type"] == "left" for f in seen[:-1]), show(seen))
    s.over()
    same(s.parser.retry, 1000, "retry")


@case
def expiry(w):
    """a token that ends: expiring, then the close with 4401"""
    s = stream(w, None, ["open:x"], token=w.token("ann", exp=6))
    f = s.next(type="expiring")
    check(0 <= f["in"] <= 6 + 5, show(f))    # jwt_leeway
    same(s.closes(4401), "token expired", "reason")


@case
def fresh_token(w):
    """a fresh token by POST keeps the stream; a bad one changes nothing"""
    s = stream(w, None, ["open:x"], token=w.token("ann", exp=8))
    s.next(type="expiring")
    old, fresh = s.token, w.token("ann", exp=3600)
    r = s.call(type="auth", token=fresh)
    has(r, {"ok": True}, "reply to auth")
    check(isinstance(r.get("exp"), int), show(r))
    s.refused("unauthorized", type="auth", token="x")

    def old_is_over():
        return post(w.daemon.port, {"event": "silent"}, old).status == 401
    wait_for(old_is_over, "the first token to end")
    w.nothing(s, "open:x")


@case
def another_user(w):
    """the token of another user ends the stream, and the request is
    answered"""
    s = stream(w, "ann", ["open:x"])
    r = s.post(type="auth", token=w.token("bob"), ref="a")
    check(r.status in (200, 403, 404, 503), "answered %r" % r)
    check(b"in time" not in r.body, "only in the end: %r" % r)
    same(s.closes(4403), "another user", "reason")


@case
def listed(w):
    """presence and pgpush.connections know a stream as any client"""
    s = stream(w, "present", ["open:p"])
    rows = wait_for(lambda: w.root("SELECT session FROM pgpush.connections "
        "WHERE user_id = 'present'"), "the connection to be listed")
    same(rows, [(s.session,)], "sessions")
    wait_for(lambda: w.root("SELECT online FROM pgpush.presence WHERE "
        "user_id = 'present'") == [(True,)], "the user to be online")
    w.drop(s)
    wait_for(lambda: not w.root("SELECT FROM pgpush.connections WHERE "
        "user_id = 'present'"), "the connection to be gone")
    data, ctx = wait_for(lambda: w.root("SELECT data, ctx FROM app.calls "
        "WHERE user_id = 'present' AND event = 'disconnect'"),
        "the call of disconnect")[0]
    same(sorted(data["rooms"]), ["open:p", "user:present"], "rooms")
    same(ctx["session"], s.session, "session")


def put_off(s):
    """A stream that is told to come back later, and then ends."""
    if s.status != 200:
        same(s.status, 503, "status")
        return
    try:
        same(s.read().get("code"), 1013, "code of the only frame")
        s.over()
    except Closed:
        pass
    check(s.parser.retry is not None and s.parser.retry >= 500,
        "retry: %s" % s.parser.retry)


@case
def full(w):
    """beyond max_connections a stream is put off, not refused; a place that
    is left is taken"""
    other = World("app", max_connections=3)
    held = [stream(other, "u%d" % i) for i in range(3)]
    put_off(open_stream(other, "late"))
    other.drop(held.pop())

    def again():
        s = open_stream(other, "late")
        if s.status == 200 and s.response:
            try:
                s.greeted()
                return True
            except Failed:
                pass
        return False
    wait_for(again, "the place that was left")
    same(other.close(), [], "end of the daemon")


@case
def drain(w):
    """a stop: retry, the close with 1012, the end; no herd afterwards"""
    other = World("app", drain_timeout="5m")
    streams = [stream(other, "d%d" % i, ["open:d"]) for i in range(30)]
    other.daemon.signal(signal.SIGTERM)
    times = []
    for s in streams:
        reason = s.closes(1012)
        match = re.match(r"retry=(\d+)$", reason)
        check(match, "reason %r" % reason)
        same(s.parser.retry, int(match.group(1)), "the line retry")
        times.append(s.parser.retry)
        s.shut()                    # as a browser does at once
    check(len(set(times)) > 5 and min(times) >= 500, "times %s" % times)
    same(other.daemon.wait(), 0, "exit status")
    other.daemon.process = None
    same(other.close(), [], "end of the daemon")


@case
def no_database(w):
    """without the database a new stream is told to come back"""
    other = World("app", own=True)
    s = stream(other, "ann", ["open:1"])
    other.cluster.stop()
    other.daemon.wait_status("/readyz", 503)
    put_off(open_stream(other, "bob", ["open:1"]))
    other.cluster.start()
    other.daemon.wait_ready()
    other.emit("open:1", "x", {})
    s.event("x", "open:1")
    same(other.close(), [], "end of the daemon")


@case
def curl(w):
    """curl -N: what it prints is a stream, line by line as it comes"""
    token = w.token("ann")
    p = subprocess.Popen(["curl", "-sSN", "-H", "Authorization: Bearer "
        + token, "http://127.0.0.1:%d/events?room=open:curl"
        % w.daemon.port], stdout=subprocess.PIPE)
    try:
        reader, got = Parser(), []

        def more(count):
            while len(got) < count:
                data = os.read(p.stdout.fileno(), 65536)
                check(data, "curl has ended after %d events" % len(got))
                got.extend(reader.feed(data))
            return json.loads(got[count - 1].data)
        has(more(1), {"type": "welcome", "user": "ann"}, "first event")
        for i in range(3):
            w.emit("open:curl", "n", {"i": i})
            has(more(2 + i), {"event": "n", "data": {"i": i}}, "event")
        done = subprocess.run(["curl", "-sS", "-H", "Authorization: Bearer "
            + token, "-d", json.dumps({"event": "echo",
            "data": 5, "session": json.loads(got[0].data)["session"]}), "-H",
            "Content-Type: application/json", "http://127.0.0.1:%d/send"
            % w.daemon.port], stdout=subprocess.PIPE, timeout=60)
        f = json.loads(done.stdout)
        has(f, {"type": "reply", "ok": True, "ref": 0}, "reply")
        same(f["data"]["data"], 5, "data")
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


@case
def pieces(w):
    """a request that comes byte by byte is a request"""
    text = ("GET /events?room=open:pc HTTP/1.1\r\nHost: x\r\n"
        "Authorization: Bearer %s\r\n\r\n" % w.token("ann")).encode()
    sock = socket.create_connection(("127.0.0.1", w.daemon.port), 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(text)):
        sock.send(text[i:i + 1])
    p, data = Parser(), b""
    while b"pgpush:welcome" not in data or not data.endswith(b"\n\n"):
        chunk = sock.recv(65536)
        check(chunk, "closed: %r" % data)
        data += chunk
    same(p.feed(data.split(b"\r\n\r\n", 1)[1])[0].event, "pgpush:welcome",
        "first event")
    # What a client says after its request is nothing, and does no harm.
    sock.send(b"GET / HTTP/1.1\r\n\r\n" + b"x" * 1000)
    w.emit("open:pc", "x", {})
    data = b""
    while not data.endswith(b"\n\n"):
        chunk = sock.recv(65536)
        check(chunk, "closed: %r" % data)
        data += chunk
    sock.close()


@case
def gone(w):
    """streams that go in the middle leave no descriptor and no session"""
    before = w.daemon.descriptors()
    for i in range(20):
        s = open_stream(w, "gone", ["open:g"])
        w.emit("open:g", "x", {"i": i})
        w.drop(s)
    for i in range(10):             # away before the answer
        sock = socket.create_connection(("127.0.0.1", w.daemon.port), 10)
        sock.send(("GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s"
            "\r\n\r\n" % (address(["open:g"]), w.token("gone"))).encode())
        sock.close()
    wait_for(lambda: w.daemon.descriptors() <= before + 2,
        "the descriptors to be given back")
    wait_for(lambda: not w.root("SELECT FROM pgpush.connections WHERE "
        "user_id = 'gone'"), "no session to be left")


if __name__ == "__main__":
    main(kind="app")
