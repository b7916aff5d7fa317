#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Rights that end: a key, a kept answer or an old token brings none back."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.sse import stream
from lib.tap import check, has, same, show
from lib.ws import TEXT, frame_bytes

SETUP = """
CREATE FUNCTION app.let_in(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT jsonb_build_object('join', data->'answer', 'reply',
  '"in"'::jsonb) $$;
CREATE FUNCTION app.role_in(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
  SELECT CASE WHEN ctx->'claims'->>'role' = data->>'role'
    THEN jsonb_build_object('join', jsonb_build_array(room))
    ELSE '{"error": {"code": "forbidden", "message": "not your role"}}' END
$$;
CREATE FUNCTION app.greet_role(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT CASE WHEN ctx->'claims'->>'role' = 'boss' THEN ARRAY['bosses']
  ELSE '{}' END $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
SELECT pgpush.greet('app.greet_role(text,jsonb)');
SELECT pgpush.on('let_in', 'app.let_in(text,text,jsonb,jsonb)',
  member => false);
SELECT pgpush.on('role_in', 'app.role_in(text,text,jsonb,jsonb)',
  room => 'role:{role}', member => false, "grant" => true);
"""


def prepare(w):
    if not hasattr(w, "has_roles"):
        w.db.psql(SETUP, "app_owner")
        w.has_roles = True


def rooms_of(w, client, rooms):
    """Those of these rooms that the session hears, and what else came."""
    heard, other = set(), []
    for room in sorted(rooms):
        w.emit(room, "where")
    w.emit("user:" + client.user, "end")
    for f in client.until(type="event", event="end"):
        if f.get("event") == "where":
            heard.add(f["room"])
        elif f.get("event") != "end":
            other.append(f)
    return heard, other


def burst(client, frames):
    client.send_raw(b"".join(frame_bytes(TEXT, json.dumps(f).encode())
        for f in frames))


# ---- keys ------------------------------------------------------------------

def key_after_revoke(w, answer, room):
    prepare(w)
    user = "key-" + room
    w.sql("INSERT INTO app.members VALUES (%s, %s)", room, user)
    c = w.client(user)
    data = {"answer": answer}
    has(c.do("let_in", data, key="k"), {"ok": True, "data": "in"}, "the send")
    same(rooms_of(w, c, {room})[0], {room}, "rooms")
    w.sql("DELETE FROM app.members WHERE user_id = %s", user)
    w.sql("SELECT pgpush.revoke(%s, %s)", room, user)
    c.until(type="left", room=room)
    c.do("let_in", data, key="k")
    same(rooms_of(w, c, {room})[0], set(), "rooms after the repeat")
    other = w.client(user)          # another session of the user
    other.do("let_in", data, key="k")
    same(rooms_of(w, other, {room})[0], set(), "rooms of another session")


@case
def key_array(w):
    """a repeated key brings no revoked right back: join as an array"""
    key_after_revoke(w, ["closed:ka"], "closed:ka")


@case
def key_string(w):
    """a repeated key brings no revoked right back: join as a lone string"""
    key_after_revoke(w, "closed:ks", "closed:ks")


@case
def key_still_allowed(w):
    """a repeated key brings back a room that the user may still join"""
    prepare(w)
    for answer in (["open:kb"], "open:kb"):
        c = w.client("back%d" % len(answer))
        c.do("let_in", {"answer": answer}, key="k")
        d = w.client("back%d" % len(answer))
        has(d.do("let_in", {"answer": answer}, key="k"), {"ok": True},
            "repeat")
        same(rooms_of(w, d, {"open:kb"})[0], {"open:kb"}, "rooms")


@case
def key_with_fewer_claims(w):
    """a repeated key under a token with fewer rights brings back no room"""
    prepare(w)
    token = w.token("keyed", claims={"role": "boss"})
    c = w.client("keyed", token=token)
    c.do("let_in", {"answer": "role:boss"}, key="k")
    same(rooms_of(w, c, {"role:boss"})[0], {"role:boss"}, "rooms")
    d = w.client("keyed", token=w.token("keyed", claims={"role": "guest"}))
    d.do("let_in", {"answer": "role:boss"}, key="k")
    same(rooms_of(w, d, {"role:boss"})[0], set(), "rooms of the guest")


# ---- claims ----------------------------------------------------------------

def boss(w, user, rooms=("role:boss",)):
    prepare(w)
    return w.client(user, rooms, token=w.token(user,
        claims={"role": "boss"}))


def refresh(w, c, role):
    has(c.call(type="auth", token=w.token(c.user, claims={"role": role},
        exp=1800)), {"ok": True}, "refresh")


@case
def fewer_claims(w):
    """claims refreshed with fewer rights: the room is asked for again"""
    c = boss(w, "demoted")
    d = boss(w, "stays")
    refresh(w, c, "guest")
    has(c.next(type="left"), {"room": "role:boss"}, "left")
    same(rooms_of(w, c, {"role:boss"})[0], set(), "rooms")
    c.refused("forbidden", type="join", room="role:boss")
    same(rooms_of(w, d, {"role:boss"})[0], {"role:boss"}, "of the other")


@case
def fewer_claims_greeting(w):
    """the rooms of the greeting are asked for again, too"""
    c = boss(w, "greeted", [])
    check("bosses" in c.welcome["rooms"], "welcome: %s" % show(c.welcome))
    refresh(w, c, "guest")
    has(c.next(type="left"), {"room": "bosses"}, "left")
    same(rooms_of(w, c, {"bosses"})[0], set(), "rooms")


@case
def fewer_claims_grant(w):
    """grants are forgotten: a join by handler is asked for again"""
    c = boss(w, "granted", [])
    has(c.do("role_in", {"role": "boss"}), {"ok": True}, "join")
    c.leave("role:boss")
    refresh(w, c, "guest")
    c.until(type="left", room="bosses")
    c.refused("forbidden", type="send", event="role_in",
        data={"role": "boss"})


@case
def fewer_claims_handler(w):
    """a room that a handler joined is left if no rule admits any more"""
    c = boss(w, "handled", [])
    has(c.do("role_in", {"role": "boss"}), {"ok": True}, "join")
    refresh(w, c, "guest")
    left = set()
    while left != {"bosses", "role:boss"}:
        left.add(c.until(type="left")[-1]["room"])
    same(rooms_of(w, c, {"role:boss", "bosses"})[0], set(), "rooms")


@case
def fewer_claims_under_way(w):
    """a join under the old token, the new one behind it: the client is out"""
    for i in range(5):
        c = boss(w, "hurry", [])
        burst(c, [{"type": "join", "room": "role:boss", "ref": "j"},
            {"type": "auth", "token": w.token("hurry",
            claims={"role": "guest"}), "ref": "a"}])
        has(c.reply("j"), {"ok": True}, "join")
        has(c.reply("a"), {"ok": True}, "refresh")
        c.until(type="left", room="role:boss")
        same(rooms_of(w, c, {"role:boss"})[0], set(), "rooms, time %d" % i)


@case
def same_claims(w):
    """a refresh that changes only the times keeps the rooms, and tells none"""
    c = boss(w, "same")
    has(c.do("role_in", {"role": "boss"}), {"ok": True}, "grant")
    c.kept = []
    for i in range(3):
        refresh(w, c, "boss")
        heard, other = rooms_of(w, c, {"role:boss", "bosses"})
        same(heard, {"role:boss", "bosses"}, "rooms")
        same([f["type"] for f in other], [], "what else came")


@case
def more_claims(w):
    """claims refreshed with more rights: what was forbidden may be joined"""
    prepare(w)
    c = w.client("promoted", token=w.token("promoted",
        claims={"role": "guest"}))
    c.refused("forbidden", type="join", room="role:boss")
    refresh(w, c, "boss")
    c.join("role:boss")


@case
def fewer_claims_stream(w):
    """the same for a stream, whose token is refreshed by POST"""
    prepare(w)
    s = stream(w, "streamed", ["role:boss"], token=w.token("streamed",
        claims={"role": "boss"}))
    guest = w.token("streamed", claims={"role": "guest"})
    reply = s.call(type="auth", token=guest)
    has(reply, {"ok": True}, "refresh")
    left = set()
    while left != {"bosses", "role:boss"}:
        left.add(s.until(type="left")[-1]["room"])


if __name__ == "__main__":
    main(message_rate=0)
