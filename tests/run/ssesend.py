#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""POST /send: a frame as a request, for a stream or by itself."""

import json
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt, web
from lib.case import World, case, main
from lib.sse import (error_of, post, post_bytes, reply_of,
    stream)
from lib.tap import check, has, same, show, wait_for


def calls(w, user, event="echo"):
    return w.root("SELECT count(*) FROM app.calls WHERE user_id = %s AND "
        "event = %s", user, event)[0][0]


def send(w, user, event, data=None, **more):
    """Without a session; the reply."""
    return reply_of(post(w.daemon.port, dict({"event": event, "data": data},
        **more), w.token(user)))


def no_time_out(r):
    """Whatever it is, it is an answer, not the end of the patience."""
    check(r is not None and b"in time" not in r.body, "answered %r" % r)
    return r


@case
def alone(w):
    """without a session: the handler runs for the user, its reply is the
    answer"""
    r = send(w, "alone", "echo", {"a": [1, None, "\u00e9"]})
    has(r, {"ok": True, "ref": 0}, "reply")
    has(r["data"], {"user": "alone", "data": {"a": [1, None, "\u00e9"]},
        "room": None, "guc_user": "alone"}, "what the handler saw")
    has(send(w, "alone", "silent"), {"ok": True, "data": None}, "silent")
    same(send(w, "alone", "silent", type="send", ref="x")["ref"], "x", "ref")


@case
def for_a_stream(w):
    """with a session: it is the stream's, in the handler's eyes too"""
    s = stream(w, "ann", ["open:1"])
    r = s.do("echo", {"n": 1})
    has(r["data"], {"user": "ann", "guc_session": s.session}, "it saw")
    r = send(w, "ann", "echo")
    check(r["data"]["guc_session"] != s.session, "the session of another")
    w.nothing(s, "open:1")          # the answer is not told there as well


@case
def refs(w):
    """a ref of any text or number comes back as it was; 0 if there is none"""
    s = stream(w, "ann")
    for ref in (0, -1, 1.5, "", "x", "\u00e9", 2 ** 53, "a" * 100, "[1]",
            "null"):
        same(s.do("silent", ref=ref)["ref"], ref, "ref")
        same(send(w, "ann", "silent", ref=ref)["ref"], ref, "ref, alone")
    for frame in ({"type": "ping"}, {"event": "silent"}, {"event": "none"},
            {"type": "join", "room": "open:1"},
            {"type": "leave", "room": "open:1"}):
        same(reply_of(s.post(**frame))["ref"], 0, "ref of %s" % frame)
        same(reply_of(s.post(ref=None, **frame))["ref"], 0, "null of %s"
            % frame)


@case
def errors(w):
    """errors of the protocol are replies with status 200"""
    s = stream(w, "ann", ["open:1"])
    s.refused("not_found", event="nothing")
    s.refused("bad_request", event=5)
    s.refused("bad_request", type="send")
    s.refused("bad_request", type="join", room="")
    s.refused("forbidden", type="join", room="closed:1")
    s.refused("forbidden", event="refuse")
    error = s.refused("internal", event="fail", data={})
    check("secret" not in show(error), "leaks: %s" % show(error))
    s.refused("bad_request", event="echo", key=5)
    for event, code in (("nothing", "not_found"), ("refuse", "forbidden"),
            ("fail", "internal")):
        r = send(w, "ann", event, {})
        same(r["error"]["code"], code, "alone: " + event)
    for kind in ("join", "leave", "ping", "auth"):
        r = reply_of(post(w.daemon.port, {"type": kind, "room": "open:1",
            "token": w.token("ann")}, w.token("ann")))
        same(r["error"]["code"], "bad_request", kind + " without a session")
    w.nothing(s, "open:1")


@case
def join_and_leave(w):
    """joins and leaves rooms for the stream"""
    s = stream(w, "ann", ["open:1"])
    w.emit("open:j", "before", {})
    at = s.join("open:j")
    check(at >= s.welcome["id"], "the id %d" % at)
    check(s.join("open:j") >= at, "joined again, further back")
    w.emit("open:j", "x", {})
    s.until(event="x", room="open:j", id=lambda i: i > at)
    has(s.call(type="leave", room="open:j"), {"ok": True, "room": "open:j"},
        "leave")
    w.emit("open:j", "y", {})
    w.nothing(s, "open:1")
    s.join("open:j")
    w.emit("open:j", "z", {})
    s.until(type="event", event="z", room="open:j")
    has(s.call(type="leave", room="open:none"), {"ok": True}, "of none")


@case
def joins_in_a_crowd(w):
    """thirty joins at once: each is answered, each room is live"""
    s = stream(w, "ann")
    answers = {}

    def join(i):
        answers[i] = reply_of(s.post(type="join", room="open:cr%d" % i,
            ref=i), i)
    threads = [threading.Thread(target=join, args=(i,)) for i in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for i in range(30):
        has(answers[i], {"ok": True, "room": "open:cr%d" % i}, "answer")
        w.emit("open:cr%d" % i, "n", {"i": i})
    for i in range(30):
        s.event("n", "open:cr%d" % i, {"i": i})


@case
def max_rooms(w):
    """a join too many is refused, the stream stays"""
    other = World("app", max_rooms=4)
    s = stream(other, "ann", ["open:1"])
    s.join("open:2")
    s.join("open:3")
    s.refused("too_many", type="join", room="open:4")
    other.nothing(s, "open:1")
    same(other.close(), [], "end of the daemon")


@case
def handlers_join(w):
    """a handler puts the stream into rooms and out of them: it is told"""
    s = stream(w, "ann")
    r = s.do("enter", {"rooms": ["hall:1", "hall:2"]})
    has(r, {"ok": True, "data": "in"}, "reply")
    for room in ("hall:1", "hall:2"):
        f = s.next(type="joined", room=room)
        check(isinstance(f["id"], int), "no id in %s" % show(f))
    w.emit("hall:2", "x", {})
    s.event("x", "hall:2")
    has(s.do("quit", {"rooms": ["hall:1"]}), {"ok": True, "data": "out"},
        "reply")
    s.next(type="left", room="hall:1", reason="left")
    w.emit("hall:1", "x", {})
    w.nothing(s, "hall:2")


@case
def alone_joins_nothing(w):
    """without a session the rooms that a handler gives are passed over"""
    s = stream(w, "pass", ["open:1"])
    has(send(w, "pass", "enter", {"rooms": ["hall:3"]}), {"ok": True,
        "data": "in"}, "reply")
    has(send(w, "pass", "quit", {"rooms": ["open:1"]}), {"ok": True,
        "data": "out"}, "reply")
    has(send(w, "pass", "whisper", {}), {"ok": True, "data": None}, "whisper")
    w.emit("hall:3", "x", {})
    w.nothing(s, "open:1")
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.connections WHERE "
        "user_id = 'pass'")[0][0] == 1, "no session to be left of it")


@case
def whispers(w):
    """what a handler says to the caller alone comes in the stream"""
    s = stream(w, "ann", ["open:1"])
    other = stream(w, "ann", ["open:w2"])
    has(s.do("whisper", {"x": 1}), {"ok": True, "data": None}, "reply")
    for name, data in (("whispered", {"x": 1}), ("again", {})):
        f = s.event(name, data=data)
        check("id" not in f and "room" not in f, "has more: %s" % show(f))
    w.nothing(other, "open:w2")


@case
def membership(w):
    """a handler for members: the stream must be in the room; alone, the user
    must be one who may join it"""
    s = stream(w, "ann", ["open:rest"])
    d = stream(w, "bob", ["open:m"])
    s.refused("forbidden", event="typing", room="open:m", data={"on": True})
    s.join("open:m")
    has(s.do("typing", {"on": True}, "open:m"), {"ok": True}, "member")
    d.event("typing", "open:m", {"user": "ann", "on": True})
    has(send(w, "cy", "typing", {"on": True}, room="open:m"), {"ok": True},
        "alone")
    for x in (s, d):
        x.event("typing", "open:m", {"user": "cy", "on": True})
    r = send(w, "ann", "typing", {"on": True}, room="closed:m")
    same(r["error"]["code"], "forbidden", "alone, in a closed room")
    r = send(w, "ann", "typing", {"on": True})
    check(r["error"]["code"] in ("bad_request", "forbidden"), show(r))
    w.nothing(d, "open:m")


@case
def minus_the_sender(w):
    """others means all but the stream for which it was sent"""
    s = stream(w, "ann", ["open:o"])
    same_user = stream(w, "ann", ["open:o"])
    c = w.client("bob", ["open:o"])
    has(s.do("say", {"id": "o", "text": "x", "others": True}), {"ok": True},
        "say")
    for x in (same_user, c):
        x.event("said", "open:o")
    w.nothing(s, "open:o")
    has(c.do("say", {"id": "o", "text": "y", "others": True}), {"ok": True},
        "say of the other dialect")
    s.event("said", "open:o", {"user": "bob", "text": "y"})


@case
def whose_session(w):
    """a session of another user, of a WebSocket, or of nobody: 404"""
    s = stream(w, "ann", ["open:1"])
    frame = {"type": "ping", "session": s.session}
    same(reply_of(post(w.daemon.port, frame, w.token("ann")))["ok"], True,
        "another token of the same user")
    same(error_of(post(w.daemon.port, frame, w.token("bob")), 404),
        "not_found", "another user")
    for session in ("x", "A" * 22, w.client("ann").session):
        same(error_of(post(w.daemon.port, {"type": "ping", "session":
            session}, w.token("ann")), 404), "not_found", session[:30])
    w.drop(s)
    wait_for(lambda: post(w.daemon.port, frame, w.token("ann")).status == 404,
        "the session to be gone")


@case
def tokens(w):
    """no token, a bad or an expired one: 401, also with a session"""
    s = stream(w, "tok", ["open:1"])
    for more in ({}, {"session": s.session}):
        for token in (None, "x", w.token("tok", exp=-5), w.token("tok",
                secret=jwt.OTHER_SECRET)):
            same(error_of(post(w.daemon.port, dict({"event": "echo"},
                **more), token), 401), "unauthorized", str(token))
    same(error_of(post(w.daemon.port, {"event": "echo"}, w.token("nobody2")),
        403), "forbidden", "an unknown user")
    same(calls(w, "tok"), 0, "calls")


@case
def form(w):
    """another type than application/json: 415, and nothing runs"""
    body = '{"event":"echo"}'
    for kind in (None, "", "text/plain", "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x", "application/jsonp",
            "text/json", "text/plain; application/json"):
        r = post(w.daemon.port, body, w.token("form"), {"Content-Type": kind})
        error_of(r, 415)
    same(calls(w, "form"), 0, "calls")
    for kind in ("application/json", "Application/JSON; charset=utf-8",
            "application/json;charset=utf-8"):
        has(reply_of(post(w.daemon.port, body, w.token("form"),
            {"Content-Type": kind})), {"ok": True}, kind)


@case
def bodies(w):
    """a body that is no JSON object: 400; none, 400 or 411"""
    for body in (b"", b"[]", b"5", b"null", b"{", b"{}x", b'"x"', b"\xff",
            b'{"event":"\xff"}', b'{"event":"a\0"}', b"[" * 10000,
            b'{"a":' * 5000, b"\0"):
        same(error_of(post(w.daemon.port, body, w.token("body")), 400),
            "bad_request", repr(body[:20]))
    r = post(w.daemon.port, b"", w.token("body"), {"Content-Length": None})
    check(r.status in (400, 411), "answered %r" % r)
    for length in ("-1", "x", "1 2", "+5", "0x10", "9" * 30):
        r = post(w.daemon.port, b'{"event":"echo"}', w.token("body"),
            {"Content-Length": length})
        check(r is None or r.status in (400, 413), "%s: %r" % (length, r))
    r = web.raw(w.daemon.port, post_bytes(w.daemon.port, b'{"event":"echo"}',
        w.token("body"), {"content-length": "3"}), "POST")
    check(r is None or r.status == 400, "two lengths: %r" % r)
    r = post(w.daemon.port, b'10\r\n{"event":"echo"}\r\n0\r\n\r\n',
        w.token("body"), {"Content-Length": None, "Transfer-Encoding":
        "chunked"})
    check(r is None or r.status in (200, 400, 411, 501), "chunked: %r" % r)
    same(calls(w, "body"), 1 if r and r.status == 200 else 0, "calls")


@case
def sizes(w):
    """64 KiB and more: 413; just below: done"""
    text = '{"event":"echo","data":"%s"}'
    fill = 65536 - len(text) + 2
    has(reply_of(post(w.daemon.port, text % ("x" * fill), w.token("size"))),
        {"ok": True}, "64 KiB")
    for n in (fill + 1, 70000, 1000000):
        error_of(post(w.daemon.port, text % ("x" * n), w.token("size")), 413)
    r = post(w.daemon.port, b"", w.token("size"), {"Content-Length":
        "99999999"})
    error_of(r, 413)
    same(calls(w, "size"), 1, "calls")


@case
def pieces(w):
    """a body that comes byte by byte is a body"""
    data = post_bytes(w.daemon.port, {"event": "echo", "data": "\u00e9"},
        w.token("piece"))
    with web.connect(w.daemon.port) as sock:
        for i in range(len(data)):
            sock.send(data[i:i + 1])
        same(reply_of(web.read_response(sock))["data"]["data"], "\u00e9",
            "data")


@case
def cut_short(w):
    """a body that ends too early, or never comes, runs nothing"""
    other = World("app", auth_timeout="300ms")
    data = post_bytes(other.daemon.port, {"event": "echo"}, other.token("ann"))
    with web.connect(other.daemon.port) as sock:
        sock.send(data[:-1])
        sock.shutdown(socket.SHUT_WR)
        r = web.read_response(sock)
        check(r is None or r.status >= 400, "answered %r" % r)
    with web.connect(other.daemon.port) as sock:
        sock.send(data[:-1])
        r = web.read_response(sock)
        check(r is None or r.status >= 400, "answered %r" % r)
    same(calls(other, "ann"), 0, "calls")
    same(other.close(), [], "end of the daemon")


@case
def expect(w):
    """Expect: 100-continue is answered before the body is sent, or not
    needed"""
    data = post_bytes(w.daemon.port, {"event": "echo", "data": 1},
        w.token("expect"), {"Expect": "100-continue"})
    head, _, body = data.partition(b"\r\n\r\n")
    with web.connect(w.daemon.port) as sock:
        sock.sendall(head + b"\r\n\r\n")
        got = b""
        while b"\r\n\r\n" not in got:
            chunk = sock.recv(1000)
            check(chunk, "closed: %r" % got)
            got += chunk
        check(got.startswith(b"HTTP/1.1 100 "), "got %r" % got)
        sock.sendall(body)
        same(reply_of(web.read_response(sock))["data"]["data"], 1, "data")
    with web.connect(w.daemon.port) as sock:
        sock.sendall(head.replace(b"Content-Length: %d" % len(body),
            b"Content-Length: 99999999") + b"\r\n\r\n")
        same(web.read_response(sock).status, 413, "too long: not begun")


@case
def garbage(w):
    """what comes after the body in the same packet is no request"""
    for more in (b"x" * 5000, b"\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
            post_bytes(w.daemon.port, {"event": "echo"}, w.token("garb"))):
        r = web.raw(w.daemon.port, post_bytes(w.daemon.port, {"event":
            "silent"}, w.token("garb")) + more, "POST")
        has(reply_of(r), {"ok": True}, "reply before %r" % more[:20])
    same(calls(w, "garb"), 0, "calls")
    same(calls(w, "garb", "silent"), 4, "calls of the first")


@case
def hung_up(w):
    """a client that goes before the answer breaks nothing; its call runs
    once"""
    s = stream(w, "hang", ["open:h"])
    before = w.daemon.descriptors()
    for more in ({}, {"session": s.session}):
        for _ in range(5):
            with web.connect(w.daemon.port) as sock:
                sock.sendall(post_bytes(w.daemon.port, dict({"event": "slow",
                    "data": {"seconds": 0.05}}, **more), w.token("hang")))
    wait_for(lambda: calls(w, "hang", "slow") >= 5, "the stream's calls")
    has(s.do("silent"), {"ok": True}, "a call afterwards")
    wait_for(lambda: w.daemon.descriptors() <= before,
        "the descriptors to be given back")
    w.emit("open:h", "end", {})
    for f in s.until(event="end")[:-1]:
        has(f, {"type": "reply", "ref": 0}, "what nobody waited for")


@case
def stream_hung_up(w):
    """a stream that goes while its handler runs: the request is answered
    soon"""
    s = stream(w, "gone", ["open:h"])
    answer = []
    t = threading.Thread(target=lambda: answer.append(s.post(event="slow",
        data={"seconds": 1})))
    t.start()
    wait_for(lambda: w.root("SELECT FROM pg_stat_activity WHERE wait_event = "
        "'PgSleep' AND datname = current_database()"), "the handler to be "
        "running")
    w.sql("SELECT pgpush.kick('gone')")
    t.join()
    no_time_out(answer[0])


@case
def keys(w):
    """a send repeated with its key runs once, with and without a session"""
    s = stream(w, "key")
    first = s.do("echo", {"n": 1}, key="k")
    for again in (s.do("echo", {"n": 1}, key="k"), send(w, "key", "echo",
            {"n": 1}, key="k"), stream(w, "key").do("echo", {"n": 1},
            key="k"), w.client("key").do("echo", {"n": 1}, key="k")):
        same(again["data"], first["data"], "the answer")
    same(calls(w, "key"), 1, "calls")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(send(w, "many",
        "echo", {}, key="one"))) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(len({json.dumps(a["data"]) for a in answers}), 1, "answers")
    same(calls(w, "many"), 1, "calls at once")


@case
def crowd(w):
    """many requests at once for many streams: each has its own answer"""
    streams = [stream(w, "c%d" % i) for i in range(10)]
    answers = {}

    def ask(i):
        for n in range(20):
            answers[i, n] = streams[i].do("echo", {"i": i, "n": n}, ref=n)
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for (i, n), f in answers.items():
        has(f["data"], {"user": "c%d" % i, "data": {"i": i, "n": n},
            "guc_session": streams[i].session}, "answer")
    same(len(answers), 200, "answers")


@case
def too_slow(w):
    """a handler over its time is an error, and leaves the rest alone"""
    other = World("app", handler_timeout="2s")
    s = stream(other, "slow", ["open:1"])
    for answer in (s.do("slow", {"seconds": 60}), send(other, "slow", "slow",
            {"seconds": 60})):
        check(answer["error"]["code"] in ("internal", "unavailable"),
            show(answer))
    has(s.do("silent"), {"ok": True}, "a call afterwards")
    same(other.close(), [], "end of the daemon")


STUBBORN = """
CREATE FUNCTION app.stubborn(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_sleep(60);
  RETURN NULL;
EXCEPTION WHEN query_canceled THEN
  PERFORM pg_sleep(9);
  RETURN NULL;
END $$"""


@case
def no_answer(w):
    """when a handler holds all the others up for good: 503, and it works
    again afterwards"""
    other = World("app", handler_timeout="200ms")
    other.sql(STUBBORN)
    other.sql("REVOKE EXECUTE ON FUNCTION app.stubborn FROM PUBLIC")
    other.sql("SELECT pgpush.on('stubborn', 'app.stubborn(text,text,jsonb,"
        "jsonb)', member => false)")
    s = stream(other, "ann", ["open:1"])
    other.emit("open:1", "after the rule", {})
    s.event("after the rule")
    answers = []

    def ask(**frame):
        answers.append(post(other.daemon.port, frame, s.token, timeout=40))
    threads = [threading.Thread(target=ask, kwargs=frame) for frame in (
        {"event": "stubborn", "session": s.session},
        {"event": "silent", "session": s.session}, {"event": "silent"})]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for r in answers:
        if r.status == 200:
            check(reply_of(r)["ok"] or reply_of(r)["error"]["code"] in
                ("unavailable", "internal"), "%r" % r)
        else:
            same(error_of(r, 503), "unavailable", "code")
    check(any(r.status == 503 for r in answers), "answers: %r" % answers)
    wait_for(lambda: s.do("silent")["ok"], "handlers to run again")
    other.emit("open:1", "end", {})
    s.until(event="end")
    same(other.close(), [], "end of the daemon")


@case
def rate(w):
    """more than message_rate: rate_limited, and the stream goes on if it
    stops in time"""
    other = World("app", message_rate=2)
    s = stream(other, "fast", ["open:1"])
    codes = []
    # As many as it takes: it counts by the clock.
    while codes[-1:] in ([], ["ok"]) and len(codes) < 1000:
        r = s.call(type="ping")
        codes.append("ok" if r["ok"] else r["error"]["code"])
    same(codes[-1], "rate_limited", "code of number %d" % len(codes))
    check(len(codes) > 8, "five seconds' worth: %s" % codes)
    other.nothing(s, "open:1")
    same(other.close(), [], "end of the daemon")


@case
def flood(w):
    """who does not stop is sent away, and his requests are answered"""
    other = World("app", message_rate=2)
    s = stream(other, "flood")
    for _ in range(1000):
        r = no_time_out(s.post(type="ping"))
        if r.status != 200:
            break
    check(r.status in (404, 429, 503), "answered %r" % r)
    s.closes(1008)
    same(other.close(), [], "end of the daemon")


@case
def queue(w):
    """more than handler_queue: unavailable, at once"""
    other = World("app", handler_queue=2, handler_interval="0s")
    s = stream(other, "ann")
    answers = []

    def ask(i):
        answers.append(send(other, "u%d" % i, "slow", {"seconds": 1}))
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    codes = ["ok" if a["ok"] else a["error"]["code"] for a in answers]
    same(set(codes), {"ok", "unavailable"}, "codes")
    same(len(codes), 12, "answers")
    has(s.do("silent"), {"ok": True}, "a call afterwards")
    same(other.close(), [], "end of the daemon")


@case
def no_database(w):
    """without the database: unavailable, and it works again afterwards"""
    other = World("app", own=True)
    s = stream(other, "ann", ["open:1"])
    other.cluster.stop()
    other.daemon.wait_status("/readyz", 503)
    s.refused("unavailable", event="echo", data={})
    s.refused("unavailable", type="join", room="open:2")
    has(s.call(type="ping"), {"ok": True}, "ping")
    r = no_time_out(post(other.daemon.port, {"event": "echo"},
        other.token("ann")))
    if r.status == 200:
        same(reply_of(r)["error"]["code"], "unavailable", "code")
    else:
        same(error_of(r, 503), "unavailable", "code")
    other.cluster.start()
    other.daemon.wait_ready()
    wait_for(lambda: s.do("echo")["ok"], "handlers to run again")
    same(other.close(), [], "end of the daemon")


@case
def full(w):
    """when there is no place for more clients: 503 or done, never silence"""
    other = World("app", max_connections=2)
    for i in range(2):
        stream(other, "u%d" % i)
    r = post(other.daemon.port, {"event": "echo"}, other.token("u0"))
    check(r.status in (200, 503), "answered %r" % r)
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(kind="app")
