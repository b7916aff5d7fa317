#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""send: what a client's frame does, and what it gets for it."""

import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, has, same, show, wait_for


def calls(w, user, event="echo"):
    return w.root("SELECT count(*) FROM app.calls WHERE user_id = %s AND "
        "event = %s", user, event)[0][0]


@case
def reply(w):
    """the handler gets user, room, data and ctx; its reply comes back"""
    c = w.client("ann", ["open:1"])
    r = c.do("echo", {"a": [1, None, "\u00e9"]}, room="open:1")
    has(r, {"ok": True}, "reply")
    has(r["data"], {"user": "ann", "room": "open:1",
        "data": {"a": [1, None, "\u00e9"]}, "guc_user": "ann",
        "guc_session": c.session}, "what the handler saw")


@case
def without_data_and_room(w):
    """data and room may be left out where the handler does not need them"""
    c = w.client("ann")
    r = c.do("echo")
    has(r, {"ok": True}, "reply")
    same(r["data"]["room"], None, "room")


@case
def nothing_to_say(w):
    """a handler that returns NULL: ok, data null"""
    c = w.client("ann")
    has(c.do("silent", {"x": 1}), {"ok": True, "data": None}, "reply")


@case
def refs(w):
    """a ref of any text or number comes back as it was"""
    c = w.client("ann")
    for ref in (0, -1, 1.5, "", "x", "\u00e9", 2 ** 53, "a" * 100):
        c.send(type="send", event="silent", ref=ref)
        same(c.next(type="reply")["ref"], ref, "ref")


@case
def without_ref(w):
    """without a ref a success is silent, an error is not"""
    c = w.client("noref", ["open:noref"])
    c.tell("silent", {})
    c.tell("whatever", {})
    r = c.next(type="reply", ok=False)
    same(r["ref"], None, "ref")
    c.error(r, "not_found")
    wait_for(lambda: calls(w, "noref", "silent") == 1, "the silent call")
    w.nothing(c, "open:noref")


@case
def unknown(w):
    """an event that no handler is registered for: not_found"""
    c = w.client("ann", ["open:1"])
    for event in ("nothing", "Echo", "echo ", "", "\u00e9", "a" * 150):
        code = ("not_found", "bad_request") if event in ("", "a" * 150) \
            else "not_found"
        c.refused(code, type="send", event=event, room="open:1", data={})


@case
def disconnect_is_ours(w):
    """a client cannot send the event disconnect"""
    c = w.client("liar")
    c.refused(("not_found", "forbidden", "bad_request"), type="send",
        event="disconnect", data={"rooms": ["open:1"]})
    same(calls(w, "liar", "disconnect"), 0, "calls")


@case
def failing(w):
    """a handler that fails: internal, and the database's text stays inside"""
    c = w.client("ann")
    error = c.refused("internal", type="send", event="fail", data={})
    check("secret" not in show(error), "leaks: %s" % show(error))
    has(c.do("silent"), {"ok": True}, "the next call")


@case
def refusing(w):
    """a handler's own error has its code and its words"""
    c = w.client("ann")
    error = c.refused("forbidden", type="send", event="refuse", data={})
    same(error["message"], "not today", "message")


@case
def members_only(w):
    """a handler for members refuses who is not in the room"""
    c = w.client("out", ["open:rest"])
    d = w.client("in", ["open:members"])
    c.refused("forbidden", type="send", event="typing", room="open:members",
        data={"on": True})
    c.refused(("bad_request", "forbidden"), type="send", event="typing",
        data={"on": True})
    w.nothing(d, "open:members")
    c.join("open:members")
    has(c.do("typing", {"on": True}, "open:members"), {"ok": True}, "member")
    d.event("typing", "open:members", {"user": "out", "on": True})
    c.leave("open:members")
    c.refused("forbidden", type="send", event="typing", room="open:members",
        data={"on": True})


@case
def template(w):
    """a room from the data: it is the room, and a frame's own must equal it"""
    c = w.client("ann", ["open:t1", "open:t2"])
    has(c.do("say", {"id": "t1", "text": "hi"}), {"ok": True, "data": "said"},
        "without a room")
    c.event("said", "open:t1", {"user": "ann", "text": "hi"})
    has(c.do("say", {"id": "t1", "text": "ho"}, "open:t1"), {"ok": True},
        "with the same room")
    c.event("said", "open:t1", {"user": "ann", "text": "ho"})
    c.refused(("bad_request", "forbidden"), type="send", event="say",
        room="open:t2", data={"id": "t1", "text": "x"})
    for data in ({}, {"id": None}, {"id": {}}, {"id": []}, [], "x", 5, None):
        c.refused("bad_request", type="send", event="say", data=data)
    c.refused(("bad_request", "forbidden"), type="send", event="say",
        data={"id": "t3", "text": "not in it"})
    c.refused(("bad_request", "forbidden"), type="send", event="say",
        data={"id": "t1:x", "text": "a template's part holds no colon"})
    w.nothing(c, "open:t1")


@case
def minus_the_sender(w):
    """others means every socket but the sender's, for events and signals"""
    c = w.client("ann", ["open:o"])
    same_user = w.client("ann", ["open:o"])
    d = w.client("bob", ["open:o"])
    has(c.do("typing", {"on": True}, "open:o"), {"ok": True}, "typing")
    has(c.do("say", {"id": "o", "text": "x", "others": True}), {"ok": True},
        "say")
    for x in (same_user, d):
        got = {x.next(type="event", room="open:o")["event"]
            for _ in range(2)}
        same(got, {"typing", "said"}, "events")
    w.nothing(c, "open:o")
    has(c.do("say", {"id": "o", "text": "y"}), {"ok": True}, "say to all")
    for x in (c, d):
        x.until(event="said", data={"user": "ann", "text": "y"})


@case
def typing_has_no_id(w):
    """an ephemeral event has no id"""
    c = w.client("ann", ["open:eph"])
    d = w.client("bob", ["open:eph"])
    c.do("typing", {"on": False}, "open:eph")
    f = d.event("typing", "open:eph")
    check("id" not in f, "it has: %s" % show(f))


@case
def whispers(w):
    """emit goes to the sending socket alone, without room and id"""
    c = w.client("ann", ["open:w"])
    d = w.client("ann", ["open:w"])
    ref = c.ref()
    c.send(type="send", event="whisper", data={"x": 1}, ref=ref)
    frames = [c.next() for _ in range(3)]
    events = [f for f in frames if f["type"] == "event"]
    same([(f["event"], f["data"]) for f in events],
        [("whispered", {"x": 1}), ("again", {})], "events")
    for f in events:
        check("id" not in f and "room" not in f, "has more: %s" % show(f))
    has([f for f in frames if f["type"] == "reply"][0], {"ok": True,
        "ref": ref}, "reply")
    w.nothing(d, "open:w")


@case
def joining(w):
    """rooms a handler joins are told before the reply, and are live"""
    c = w.client("ann")
    ref = c.ref()
    c.send(type="send", event="enter", data={"rooms": ["hall:1", "hall:2"]},
        ref=ref)
    frames = c.until(type="reply", ref=ref)
    has(frames[-1], {"ok": True, "data": "in"}, "reply")
    joined = [f for f in frames if f["type"] == "joined"]
    same([f["room"] for f in joined], ["hall:1", "hall:2"], "rooms joined")
    for f in joined:
        check(isinstance(f["id"], int), "no id in %s" % show(f))
    w.emit("hall:1", "x", {})
    c.event("x", "hall:1")
    ref = c.ref()
    c.send(type="send", event="enter", data={"rooms": ["hall:1"]}, ref=ref)
    frames = c.until(type="reply", ref=ref)
    same([f["type"] for f in frames], ["joined", "reply"],
        "told again when already in it")
    w.nothing(c, "hall:1")
    ref = c.ref()
    c.send(type="send", event="quit", data={"rooms": ["hall:1"]}, ref=ref)
    frames = c.until(type="reply", ref=ref)
    has(frames[0], {"type": "left", "room": "hall:1", "reason": "left"},
        "first frame")
    has(frames[-1], {"ok": True, "data": "out"}, "reply")
    w.emit("hall:1", "x", {})
    w.nothing(c, "hall:2")


@case
def joining_what_is_no_room(w):
    """of the rooms a handler joins those whose names are none are left out,
    and the log says so"""
    c = w.client("ann")
    ref = c.ref()
    c.send(type="send", event="enter", ref=ref,
        data={"rooms": ["hall:\t", "hall:3", "", "x" * 201]})
    frames = c.until(type="reply", ref=ref)
    has(frames[-1], {"ok": True, "data": "in"}, "reply")
    same([f["room"] for f in frames[:-1]], ["hall:3"], "rooms joined")
    wait_for(lambda: w.daemon.log().count('msg="bad room in an answer"') == 3,
        "three lines of the log")


@case
def once_by_key(w):
    """a send repeated with its key runs once and is answered twice"""
    c = w.client("key1")
    first = c.do("echo", {"n": 1}, key="k-1")
    again = c.do("echo", {"n": 1}, key="k-1")
    same(again["data"], first["data"], "the second answer")
    w.drop(c)
    d = w.client("key1")
    same(d.do("echo", {"n": 1}, key="k-1")["data"], first["data"],
        "the answer on another connection")
    same(calls(w, "key1"), 1, "calls")
    d.do("echo", {"n": 1}, key="k-2")
    same(calls(w, "key1"), 2, "calls with another key")
    e = w.client("key2")
    e.do("echo", {"n": 1}, key="k-1")
    same(calls(w, "key2"), 1, "calls of another user with the same key")


@case
def once_at_once(w):
    """the same key from twenty sockets at once runs once"""
    clients = [w.client("crowd") for _ in range(20)]
    for c in clients:
        c.send(type="send", event="echo", data={"n": 1}, key="one", ref=9)
    answers = [c.next(type="reply", ref=9) for c in clients]
    for a in answers:
        same(a["data"], answers[0]["data"], "answers")
    same(calls(w, "crowd"), 1, "calls")


@case
def failure_is_not_kept(w):
    """the answer of a handler that failed is not kept under its key"""
    w.sql("""CREATE FUNCTION app.moody(user_id text, room text, data jsonb,
            ctx jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
          IF NOT EXISTS (SELECT FROM app.members m
                         WHERE m.room = 'good') THEN
            RAISE EXCEPTION 'in a bad mood';
          END IF;
          RETURN '{"reply": "fine"}';
        END $$""")
    w.sql("REVOKE EXECUTE ON FUNCTION app.moody FROM PUBLIC")
    w.sql("SELECT pgpush.on('moody', 'app.moody(text,text,jsonb,jsonb)', "
        "member => false)")
    c = w.client("ann", ["open:moody"])
    w.emit("open:moody", "after the rule", {})
    c.event("after the rule")
    c.refused("internal", type="send", event="moody", data={}, key="m")
    w.sql("INSERT INTO app.members VALUES ('good', 'mood')")
    has(c.do("moody", {}, key="m"), {"ok": True, "data": "fine"}, "reply")


@case
def crowd(w):
    """many sends from many sockets: every one has its own answer"""
    clients = [w.client("u%d" % i) for i in range(20)]
    for n in range(20):
        for i, c in enumerate(clients):
            c.send(type="send", event="echo", data={"n": n, "i": i}, ref=n)
    for i, c in enumerate(clients):
        seen = {}
        for _ in range(20):
            f = c.next(type="reply", ok=True)
            seen[f["ref"]] = f["data"]
        for n in range(20):
            has(seen[n], {"user": "u%d" % i, "data": {"n": n, "i": i},
                "guc_session": c.session}, "answer %d" % n)


@case
def failures_in_a_crowd(w):
    """one handler that fails does not spoil those of the same batch"""
    clients = [w.client("v%d" % i) for i in range(12)]
    for i, c in enumerate(clients):
        c.send(type="send", event="fail" if i % 3 == 0 else "echo",
            data={"i": i}, ref=1)
    for i, c in enumerate(clients):
        f = c.next(type="reply", ref=1)
        if i % 3 == 0:
            c.error(f, "internal")
        else:
            same(f["data"]["data"], {"i": i}, "answer")


@case
def odd_data(w):
    """data of any JSON value goes in and comes out; NUL is refused"""
    c = w.client("ann", ["open:odd"])
    for data in (True, 0, -1.5, "text", [], [[]], {"": ""}, {"a": {"b": []}},
            {"big": 2 ** 53}, "\u2028\ud7ff\ue000\U0010ffff",
            {"'; DROP": "\"\\\n\t"}):
        r = c.do("echo", data)
        has(r, {"ok": True}, "reply")
        same(r["data"]["data"], data, "data")
    for number in (2 ** 64, 10 ** 40, -2 ** 63 - 1):
        r = c.do("echo", {"big": number})
        if r["ok"]:
            same(float(r["data"]["data"]["big"]), float(number), "number")
        else:
            c.error(r, "bad_request")
    c.refused(("bad_request", "internal"), type="send", event="echo",
        data={"x": "a\0b"})
    c.send(type="send", event="echo", data={"a\0b": 1}, ref="nul")
    c.error(c.next(type="reply", ok=False), ("bad_request", "internal"))
    big = {"text": "x" * 60000}
    same(c.do("echo", big)["data"]["data"], big, "60 kB of data")
    w.nothing(c, "open:odd")


@case
def bad_keys(w):
    """a key that is no text is a bad request"""
    c = w.client("badkey")
    for key in (5, {}, [], True):
        c.refused("bad_request", type="send", event="echo", data={}, key=key)
    same(calls(w, "badkey"), 0, "calls")


@case
def too_slow(w):
    """a handler over handler_timeout is ended and answered; others go on"""
    other = World("app", handler_timeout="2s")
    c = other.client("slow", ["open:slow"])
    d = other.client("quick")
    other.emit("open:slow", "x", {})
    c.event("x")
    c.send(type="send", event="slow", data={"seconds": 60}, ref="s")
    c.error(c.reply("s"), ("unavailable", "internal"))
    has(d.do("silent", {}), {"ok": True}, "a call afterwards")
    has(c.do("slow", {"seconds": 0}), {"ok": True, "data": "done"},
        "the same handler in time")
    same(other.close(), [], "end of the daemon")


@case
def events_pass_a_slow_handler(w):
    """while a handler runs, events and joins are not held up"""
    other = held_up_world()
    c = other.client("ann", ["open:pass"])
    d = other.client("bob")
    hold_up(other, c, {}, ref="s")
    other.emit("open:pass", "passes", {})
    d.join("open:pass")
    c.send(type="ping", ref="p")
    same({f.get("event") or f.get("ref") for f in (c.next(), c.next())},
        {"passes", "p"}, "what came before the handler's answer")
    other.root("SELECT pg_advisory_unlock(%s)", LATCH)
    has(c.reply("s"), {"ok": True}, "the handler's answer")
    same(other.close(), [], "end of the daemon")


@case
def gone_in_the_middle(w):
    """a client that goes while its handler runs breaks nothing"""
    for _ in range(5):
        c = w.client("gone", ["open:gone"])
        c.send(type="send", event="slow", data={"seconds": 0.1}, ref=1)
        c.send(type="send", event="enter", data={"rooms": ["hall:9"]}, ref=2)
        c.send(type="join", room="open:more", since=0, ref=3)
        w.drop(c)
    d = w.client("stays", ["open:gone"])
    has(d.do("silent", {}), {"ok": True}, "a call afterwards")
    w.nothing(d, "open:gone")


@case
def goodbye(w):
    """the handler of disconnect runs once, with the rooms that were joined"""
    c = w.client("bye", ["open:b1", "open:b2"])
    session = c.session
    w.drop(c)
    wait_for(lambda: calls(w, "bye", "disconnect") == 1,
        "the call of disconnect")
    data, ctx = w.root("SELECT data, ctx FROM app.calls WHERE user_id = "
        "'bye'")[0]
    same(sorted(data["rooms"]), ["open:b1", "open:b2", "user:bye"], "rooms")
    same(ctx["session"], session, "session")
    d = w.client("polite", ["open:b1"])
    d.goodbye()
    wait_for(lambda: calls(w, "polite", "disconnect") == 1,
        "the call after a close")


@case
def handlers_change(w):
    """a handler registered, replaced and forgotten while the daemon runs"""
    c = w.client("ann", ["open:hc"])
    before = calls(w, "ann")
    c.refused("not_found", type="send", event="later", data={})
    w.sql("SELECT pgpush.on('later', 'app.silent(text,text,jsonb,jsonb)', "
        "member => false)")
    w.emit("open:hc", "on", {})
    c.event("on")
    has(c.do("later", {}), {"ok": True, "data": None}, "the new handler")
    w.sql("SELECT pgpush.on('later', 'app.echo(text,text,jsonb,jsonb)', "
        "member => false)")
    w.emit("open:hc", "again", {})
    c.event("again")
    has(c.do("later", {}), {"ok": True}, "the other handler")
    same(calls(w, "ann", "echo"), before + 1, "its calls")


# An advisory lock that holds a handler up; no other test's.
LATCH = 4712

HELD_UP = """
CREATE FUNCTION app.held_up(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id, room, data)
    VALUES ('held_up', user_id, room, data);
  PERFORM pg_advisory_xact_lock_shared(%d);
  RETURN jsonb_build_object('join', data->'rooms', 'reply', '"in"'::jsonb);
END $$""" % LATCH


def held_up_world(**rule):
    """A world whose handler held_up waits for the latch."""
    other = World("app", handler_timeout="1m", lock_timeout="1m",
        rule_timeout="1m")
    other.sql(HELD_UP)
    other.sql("REVOKE EXECUTE ON FUNCTION app.held_up FROM PUBLIC")
    other.sql("SELECT pgpush.on('held_up', "
        "'app.held_up(text,text,jsonb,jsonb)', member => false%s)"
        % "".join(", %s => %s" % item for item in rule.items()))
    watch = other.client("watch", ["open:watch"])
    other.passed = lambda: pass_feed(other, watch)
    other.passed()
    return other


def pass_feed(w, watch):
    """Until all that was committed has passed the daemon's feed."""
    w.emit("open:watch", "mark", {})
    watch.event("mark")


def hold_up(other, c, data, **more):
    """c's call of held_up runs, and waits for the latch."""
    other.root("SELECT pg_advisory_lock(%s)", LATCH)
    c.send(type="send", event="held_up", data=data, **more)
    wait_for(lambda: other.root("SELECT FROM pg_locks WHERE objid = %s AND "
        "NOT granted", LATCH), "the handler to wait")


def while_held_up(other, c, data, statement, *args, **more):
    """Run a statement while c's call of held_up is held up; what c gets."""
    ref = c.ref()
    hold_up(other, c, data, ref=ref, **more)
    other.sql(statement, *args)
    other.passed()
    other.root("SELECT pg_advisory_unlock(%s)", LATCH)
    return c.until(type="reply", ref=ref)


def rooms_joined(frames):
    has(frames[-1], {"ok": True, "data": "in"}, "reply")
    return [f["room"] for f in frames if f["type"] == "joined"]


@contextlib.contextmanager
def reload_held_up(other, event):
    """A handler has been registered, but its loading is held up: behind the
    writing of a new client's row."""
    conn = other.db.connect("postgres", autocommit=False)
    try:
        conn.cursor().execute("LOCK TABLE pgpush.connections IN SHARE MODE")
        other.client("newcomer")
        wait_for(lambda: other.root("SELECT FROM pg_locks WHERE relation = "
            "'pgpush.connections'::regclass AND NOT granted"),
            "the writing to wait")
        other.sql("SELECT pgpush.on(%s, 'app.echo(text,text,jsonb,jsonb)', "
            "member => false)", event)
        other.passed()
        yield
    finally:
        conn.close()


@case
def a_new_handler_is_waited_for(w):
    """once pgpush.on has passed the feed, a send finds its handler"""
    other = held_up_world()
    d, gone = other.client("bob"), other.client("gone")
    with reload_held_up(other, "fresh"):
        d.send(type="send", event="fresh", data=1, ref=1)
        d.send(type="join", room="open:fresh", ref=3)
        d.send(type="send", event="silent", ref=2)
        d.send(type="send", event="nothing", ref=4)
        d.send(type="ping", ref=5)
        gone.send(type="send", event="fresh", data=1, ref=1)
        other.drop(gone)
        same(d.next()["ref"], 5, "answered at once")
    for ref in (1, 3, 2):
        f = d.next()
        has(f, {"ok": True, "ref": ref}, "reply %d" % ref)
    d.error(d.reply(4), "not_found")
    same((calls(other, "bob", "echo"), calls(other, "gone", "echo")), (1, 0),
        "calls")
    same(other.close(), [], "end of the daemon")


@case
def a_new_handler_is_not_waited_for_in_vain(w):
    """if the connection is lost meanwhile: unavailable; and the daemon ends as
    ever"""
    other = held_up_world()
    d = other.client("bob")
    with reload_held_up(other, "fresh"):
        d.send(type="send", event="fresh", data=1, ref=1)
        d.send(type="ping", ref=2)
        d.reply(2)
        other.root("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE "
            "relation = 'pgpush.connections'::regclass AND NOT granted")
        d.error(d.reply(1), "unavailable")
    wait_for(lambda: d.do("fresh", 1)["ok"], "the handlers")
    with reload_held_up(other, "fresher"):
        d.send(type="send", event="fresher", data=1, ref=1)
        d.send(type="ping", ref=2)
        d.reply(2)
        # The daemon ends while it waits; the lock would keep it.
    same(other.close(), [], "end of the daemon")


@case
def rights_change_meanwhile(w):
    """while a handler runs that returns join, only its rooms' revokes count"""
    other = held_up_world()
    n = 0
    for statement, lost in (
            ("SELECT pgpush.allow('held:{{id}}', 'app.yes(text,jsonb,jsonb)')",
                ()),
            ("SELECT pgpush.revoke('open:elsewhere', 'ann')", ()),
            ("SELECT pgpush.revoke('hall:{0}b', 'bob')", ()),
            ("SELECT pgpush.revoke('hall:{0}b', 'ann')", ("b",)),
            ("SELECT pgpush.revoke('hall:{0}b')", ("b",)),
            ("SELECT pgpush.revoke('hall:{0}' || x, 'ann') FROM "
                "unnest('{{a,b}}'::text[]) x", ("a", "b"))):
        n += 1
        c = other.client("ann", ["open:elsewhere"])
        rooms = ["hall:%d%s" % (n, x) for x in "abc"]
        frames = while_held_up(other, c, {"rooms": rooms},
            statement.format(n))
        left = [r for r in rooms if r[-1] not in lost]
        same(rooms_joined(frames), left, "rooms after " + statement)
        for room in rooms:
            other.emit(room, "x", {})
        for room in left:
            c.until(event="x", room=room)
        other.nothing(c, left[0] if left else "user:ann")
    same(calls(other, "ann", "held_up"), n, "calls")
    same(other.close(), [], "end of the daemon")


@case
def many_revokes_meanwhile(w):
    """any number of revokes passes while a handler runs, and none is lost"""
    other = held_up_world()
    c = other.client("ann")
    frames = while_held_up(other, c, {"rooms": ["hall:7", "hall:none"]},
        "SELECT pgpush.revoke('hall:' || i, 'ann') FROM "
        "generate_series(1, 9000) i")
    same(rooms_joined(frames), ["hall:none"], "after 9000")
    frames = while_held_up(other, c, {"rooms": ["hall:7"]},
        "SELECT pgpush.revoke('hall:' || i, 'ann') FROM "
        "generate_series(1, 12000) i")
    same(rooms_joined(frames), [], "after 12000")
    frames = while_held_up(other, c, {"rooms": ["hall:7"]}, "SELECT 1")
    same(rooms_joined(frames), ["hall:7"], "after none")
    same(other.close(), [], "end of the daemon")


@case
def grant_asks_again(w):
    """a handler with grant is asked again, also with a key"""
    other = held_up_world(**{'"grant"': "true"}, room="'hall:{id}'")
    c = other.client("ann")
    n = 0
    for statement, again in (
            ("SELECT pgpush.allow('held:{{id}}', 'app.yes(text,jsonb,jsonb)')",
                1),
            ("SELECT pgpush.revoke('open:elsewhere', 'ann')", 0),
            ("SELECT pgpush.revoke('hall:{0}', 'ann')", 1),
            ("SELECT pgpush.revoke('hall:{0}b')", 1)):
        n += 1
        before = calls(other, "ann", "held_up")
        frames = while_held_up(other, c, {"id": n,
            "rooms": ["hall:%d" % n, "hall:%db" % n]}, statement.format(n),
            key="key %d" % n)
        same(rooms_joined(frames), ["hall:%d" % n, "hall:%db" % n],
            "rooms after " + statement)
        same(calls(other, "ann", "held_up") - before, 1 + again, "calls")
    same(other.close(), [], "end of the daemon")


HELD_RULES = """
CREATE FUNCTION app.held_rule(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id) VALUES ('rule', user_id);
  PERFORM pg_advisory_xact_lock_shared(%d);
  RETURN true;
END $$;
CREATE FUNCTION app.held_greet(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  INSERT INTO app.calls (event, user_id) VALUES ('greet', user_id);
  PERFORM pg_advisory_xact_lock_shared(%d);
  RETURN ARRAY['hall:greet'];
END $$;
REVOKE EXECUTE ON FUNCTION app.held_rule, app.held_greet FROM PUBLIC;
SELECT pgpush.allow('held:{id}', 'app.held_rule(text,jsonb,jsonb)');
SELECT pgpush.greet('app.held_greet(text,jsonb)')""" % (LATCH, LATCH)


@case
def questions_asked_again(w):
    """a join or a greeting is asked again for its own rooms, not for others"""
    other = held_up_world()
    other.sql(HELD_RULES)
    other.passed()
    c = other.client("ann")
    token = other.token("eve")
    for event, frame, own in (
            ("rule", {"type": "join", "room": "held:1"}, "held:1"),
            ("greet", {"type": "auth", "token": token}, "hall:greet")):
        for statement, again in (
                ("SELECT pgpush.revoke('open:elsewhere')", 0),
                ("SELECT pgpush.revoke('%s', 'bob')" % own, 0),
                ("SELECT pgpush.revoke('%s')" % own, 1),
                ("SELECT pgpush.allow('%s:{id}', "
                    "'app.yes(text,jsonb,jsonb)')" % event, 1)):
            if event == "greet":
                c = other.open()
            user = c.user or "eve"
            before = calls(other, user, event)
            other.root("SELECT pg_advisory_lock(%s)", LATCH)
            c.send(**frame)
            wait_for(lambda: other.root("SELECT FROM pg_locks WHERE "
                "objid = %s AND NOT granted", LATCH), "the question to wait")
            other.sql(statement)
            other.passed()
            other.root("SELECT pg_advisory_unlock(%s)", LATCH)
            frames = c.until(type="welcome" if event == "greet" else "reply")
            same(calls(other, user, event) - before, 1 + again,
                "%s asked, after %s" % (event, statement))
            if event == "rule":
                has(frames[-1], {"ok": True}, "reply")
                c.leave("held:1")
                other.sql("SELECT pgpush.revoke('held:1', 'ann')")
                other.passed()      # forget what was granted
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
