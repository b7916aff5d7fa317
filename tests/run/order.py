#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Commands of one session take effect in the order they came.

The property: random bursts of joins, leaves, sends that join and leave, sends
for members, repeated keys and refreshes, with revokes between the bursts.  A
model that does one command after the other says what each reply must be, and
in which rooms the session is at the end.  The seed is printed; give one as
PGPUSH_ORDER_SEED to see its sequence again.
"""

import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.tap import Failed, check, diag, has, same, show
from lib.ws import TEXT, frame_bytes

SEQUENCES = int(os.environ.get("PGPUSH_ORDER_SEQUENCES", "60"))
TURNS = 5               # bursts of a sequence
BURST = 14              # frames of a burst, at most

SETUP = """
CREATE FUNCTION app.chat_in(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF room LIKE 'closed:%' AND NOT EXISTS (SELECT FROM app.members m
      WHERE m.room = chat_in.room AND m.user_id = chat_in.user_id) THEN
    RETURN '{"error": {"code": "forbidden", "message": "not yours"}}';
  END IF;
  RETURN jsonb_build_object('join', jsonb_build_array(room));
END $$;
CREATE FUNCTION app.chat_out(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT jsonb_build_object('leave', jsonb_build_array(room)) $$;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
SELECT pgpush.on('join_open_chat', 'app.chat_in(text,text,jsonb,jsonb)',
  room => 'open:{id}', member => false, "grant" => true);
SELECT pgpush.on('leave_open_chat', 'app.chat_out(text,text,jsonb,jsonb)',
  room => 'open:{id}', member => false);
SELECT pgpush.on('join_closed_chat', 'app.chat_in(text,text,jsonb,jsonb)',
  room => 'closed:{id}', member => false, "grant" => true);
SELECT pgpush.on('leave_closed_chat', 'app.chat_out(text,text,jsonb,jsonb)',
  room => 'closed:{id}', member => false);
SELECT pgpush.on('say_closed', 'app.silent(text,text,jsonb,jsonb)',
  room => 'closed:{id}');
"""


def prepare(w):
    if not hasattr(w, "ordered"):
        w.db.psql(SETUP, "app_owner")
        w.ordered = True
    return w


def burst(client, frames):
    """All frames in one segment, so that the daemon reads them in a turn."""
    client.send_raw(b"".join(frame_bytes(TEXT, json.dumps(f).encode())
        for f in frames))


def rooms_of(w, client, rooms):
    """In which of these rooms the session is: those it hears."""
    heard = set()
    for room in sorted(rooms):
        w.emit(room, "where")
    w.emit("user:" + client.user, "end")
    for f in client.until(type="event", event="end"):
        if f.get("event") == "where":
            heard.add(f["room"])
    return heard


# ---- by hand ---------------------------------------------------------------

@case
def leave_and_join_by_handlers(w):
    """leave_order_chat and join_order_chat in one turn: the client is in"""
    prepare(w)
    for i in range(5):
        c = w.client("render%d" % i)
        has(c.do("join_open_chat", {"id": "r"}), {"ok": True}, "first join")
        burst(c, [{"type": "send", "event": "leave_open_chat",
            "data": {"id": "r"}, "ref": "out"},
            {"type": "send", "event": "join_open_chat", "data": {"id": "r"},
            "ref": "in"}])
        has(c.reply("out"), {"ok": True}, "leave")
        has(c.reply("in"), {"ok": True}, "join")
        same(rooms_of(w, c, {"open:r"}), {"open:r"}, "rooms, time %d" % i)


@case
def many_renders(w):
    """ten times leave and join in one turn, and last a leave: it is out"""
    prepare(w)
    c = w.client("renders")
    has(c.do("join_open_chat", {"id": "rr"}), {"ok": True}, "first join")
    frames = [{"type": "send", "event": e + "_open_chat",
        "data": {"id": "rr"}, "ref": e + str(i)}
        for i in range(10) for e in ("leave", "join")]
    burst(c, frames + [{"type": "send", "event": "leave_open_chat",
        "data": {"id": "rr"}, "ref": "last"}])
    has(c.reply("last"), {"ok": True}, "the last leave")
    same(rooms_of(w, c, {"open:rr"}), set(), "rooms")


@case
def send_leave_then_join(w):
    """a send that leaves, then the frame join: the client is in"""
    prepare(w)
    for i in range(5):
        c = w.client("mixed%d" % i, ["open:m"])
        burst(c, [{"type": "send", "event": "leave_open_chat",
            "data": {"id": "m"}, "ref": "out"},
            {"type": "join", "room": "open:m", "ref": "in"}])
        has(c.reply("in"), {"ok": True, "room": "open:m"}, "join")
        has(c.reply("out"), {"ok": True}, "leave")
        same(rooms_of(w, c, {"open:m"}), {"open:m"}, "rooms, time %d" % i)


@case
def send_join_then_leave(w):
    """a send that joins, then the frame leave: the client is out"""
    prepare(w)
    for event, data in (("join_open_chat", {"id": "l"}),
            ("enter", {"rooms": ["open:l"]})):
        c = w.client("outside")
        burst(c, [{"type": "send", "event": event, "data": data, "ref": "in"},
            {"type": "leave", "room": "open:l", "ref": "out"}])
        has(c.reply("in"), {"ok": True}, "join")
        has(c.reply("out"), {"ok": True}, "leave")
        same(rooms_of(w, c, {"open:l"}), set(), "rooms after " + event)


@case
def send_leave_then_say(w):
    """a send that leaves, then one for members: it is refused"""
    prepare(w)
    c = w.client("said", ["open:s"])
    burst(c, [{"type": "send", "event": "quit", "ref": "out",
        "data": {"rooms": ["open:s"]}},
        {"type": "send", "event": "say", "data": {"id": "s", "text": "x"},
        "ref": "say"}])
    has(c.reply("out"), {"ok": True}, "leave")
    c.error(c.reply("say"), "forbidden")


@case
def send_join_then_say(w):
    """a send that joins, then one for members: it is done"""
    prepare(w)
    c = w.client("heard")
    burst(c, [{"type": "send", "event": "enter", "ref": "in",
        "data": {"rooms": ["open:h"]}},
        {"type": "send", "event": "say", "data": {"id": "h", "text": "x"},
        "ref": "say"}])
    has(c.reply("in"), {"ok": True}, "join")
    has(c.reply("say"), {"ok": True}, "say")


@case
def joined_behind_another(w):
    """joins of a room that a handler joined, behind one that is refused"""
    prepare(w)
    c = w.client("behind")
    c.do("enter", {"rooms": ["closed:mine"]})
    burst(c, [{"type": "join", "room": "closed:first", "ref": "first"},
        {"type": "join", "room": "closed:not", "ref": "not"},
        {"type": "join", "room": "closed:mine", "ref": "mine"}])
    for ref in ("first", "not"):
        c.error(c.reply(ref), "forbidden")
    has(c.reply("mine"), {"ok": True}, "join of a room that it is in")


# ---- at random -------------------------------------------------------------

OPEN = ["open:%d" % i for i in range(3)]
CLOSED = ["closed:%d" % i for i in range(3)]
ROOMS = OPEN + CLOSED


class Model:
    """What the commands do if one is done after the other."""

    def __init__(self, allowed):
        self.rooms = set()
        self.allowed = set(allowed)     # closed rooms the rule admits to
        self.keys = {}                  # rooms that a send with it joined

    def may(self, room):
        return room in OPEN or room in self.allowed

    def join(self, room):
        if room not in self.rooms and not self.may(room):
            return "forbidden"
        self.rooms.add(room)
        return None

    def do(self, f):
        """Do a frame; the error code of its reply, None if it is ok."""
        if f["type"] == "join":
            return self.join(f["room"])
        if f["type"] == "leave":
            self.rooms.discard(f["room"])
            return None
        if f["type"] != "send":
            return None
        return getattr(self, "do_" + f["event"].split("_")[0])(f)

    def do_join(self, f):               # join_open_chat, join_closed_chat
        room = room_in(f)
        if not self.may(room):
            return "forbidden"
        self.rooms.add(room)
        return None

    def do_leave(self, f):
        self.rooms.discard(room_in(f))
        return None

    def do_say(self, f):
        return None if room_in(f) in self.rooms else "forbidden"

    def do_enter(self, f):
        key = f.get("key")
        if key in self.keys:
            self.rooms |= {r for r in self.keys[key] if self.may(r)}
        else:
            self.rooms |= set(f["data"]["rooms"])
            if key is not None:
                self.keys[key] = set(f["data"]["rooms"])
        return None

    def do_quit(self, f):
        self.rooms -= set(f["data"]["rooms"])
        return None

    def do_fail(self, f):
        return "internal"

    def do_silent(self, f):
        return None


def room_in(f):
    if f["event"] == "say":
        return "open:" + f["data"]["id"]
    kind = "closed" if "closed" in f["event"] else "open"
    return "%s:%s" % (kind, f["data"]["id"])


def frame(rng, w, user, model_keys):
    """One random frame."""
    what = rng.choices(("join", "leave", "chat_in", "chat_out", "say",
        "say_closed", "enter", "quit", "fail", "silent", "ping", "auth"),
        (5, 5, 5, 5, 3, 2, 3, 3, 1, 1, 1, 1))[0]
    room = rng.choice(ROOMS)
    kind, number = room.split(":")
    if what in ("join", "leave"):
        return {"type": what, "room": room}
    if what == "ping":
        return {"type": "ping"}
    if what == "auth":
        return {"type": "auth", "token": w.token(user)}
    f = {"type": "send", "event": what, "data": {}}
    if what in ("chat_in", "chat_out"):
        f["event"] = "%s_%s_chat" % ({"chat_in": "join",
            "chat_out": "leave"}[what], kind)
        f["data"] = {"id": number}
    elif what == "say":
        f["data"] = {"id": rng.choice(OPEN).split(":")[1], "text": "x"}
    elif what == "say_closed":
        f["data"] = {"id": rng.choice(CLOSED).split(":")[1]}
    elif what == "enter":
        f["data"] = {"rooms": rng.sample(ROOMS, rng.randrange(1, 3))}
        if rng.random() < 0.5:
            key = "key%d" % rng.randrange(4)
            f["key"] = user + key
            f["data"] = model_keys.setdefault(key, f["data"])
    elif what == "quit":
        f["data"] = {"rooms": rng.sample(ROOMS, rng.randrange(1, 3))}
    return f


def told(rooms, frames, sent):
    """The rooms that the session was told it is in, after these frames."""
    for f in frames:
        if f["type"] == "joined":
            rooms.add(f["room"])
        elif f["type"] == "left":
            rooms.discard(f["room"])
        elif f["type"] == "reply" and f["ok"] and f["ref"] in sent:
            kind = sent[f["ref"]]["type"]
            if kind == "join":
                rooms.add(f["room"])
            elif kind == "leave":
                rooms.discard(f["room"])
    return rooms


def revoke(w, rng, c, model, told_rooms):
    """Change the rights in a room, as a DBA would; wait until it is known."""
    room = rng.choice(ROOMS)
    if room in CLOSED:
        model.allowed ^= {room}
        if room in model.allowed:
            w.sql("INSERT INTO app.members VALUES (%s, %s)", room, c.user)
        else:
            w.sql("DELETE FROM app.members WHERE room = %s AND user_id = %s",
                room, c.user)
    w.sql("SELECT pgpush.revoke(%s, %s)", room, c.user)
    w.emit("user:" + c.user, "end")
    told(told_rooms, c.until(type="event", event="end"), {})
    model.rooms.discard(room)
    return "revoke " + room


def sequence(w, seed):
    rng = random.Random(seed)
    user = "order%d" % seed
    allowed = rng.sample(CLOSED, 2)
    for room in allowed:
        w.sql("INSERT INTO app.members VALUES (%s, %s)", room, user)
    c = w.client(user)
    model, told_rooms, keys, history = Model(allowed), set(), {}, []
    for turn in range(TURNS):
        frames = [frame(rng, w, user, keys)
            for _ in range(rng.randrange(2, BURST + 1))]
        want, sent = {}, {}
        for i, f in enumerate(frames):
            f["ref"] = "%d.%d" % (turn, i)
            want[f["ref"]] = model.do(f)
            sent[f["ref"]] = f
        history += frames
        burst(c, frames)
        got = []
        missing = set(want)
        while missing:
            f = c.next()
            got.append(f)
            if f["type"] == "reply":
                missing.discard(f["ref"])
                code = None if f["ok"] else f["error"]["code"]
                if code != want[f["ref"]]:
                    raise Failed("%s was answered %s, the model says %s; "
                        "before it: %s" % (show(sent[f["ref"]]), code,
                        want[f["ref"]], brief(history)))
        told(told_rooms, got, sent)
        check(told_rooms == model.rooms, "told to be in %s, the model is in "
            "%s after: %s" % (sorted(told_rooms), sorted(model.rooms),
            brief(history)))
        heard = rooms_of(w, c, ROOMS)
        check(heard == model.rooms, "hears %s, the model is in %s after: %s"
            % (sorted(heard), sorted(model.rooms), brief(history)))
        if rng.random() < 0.6:
            history.append(revoke(w, rng, c, model, told_rooms))
    w.drop(c)


def brief(history):
    """The last frames, so that a reader sees what happened."""
    out = []
    for f in history[-BURST - 1:]:
        if isinstance(f, str):
            out.append(f)
        elif f["type"] == "send":
            out.append("%s %s%s" % (f["event"], json.dumps(f["data"]),
                " key " + f["key"] if "key" in f else ""))
        else:
            out.append("%s %s" % (f["type"], f.get("room", "")))
    return "; ".join(out)


@case
def as_the_model(w):
    """rooms and replies of random sequences are those of the model"""
    prepare(w)
    seed = int(os.environ.get("PGPUSH_ORDER_SEED")
        or random.SystemRandom().randrange(1, 1000000))
    diag("seed %d" % seed)
    bad = []
    for i in range(1 if os.environ.get("PGPUSH_ORDER_SEED") else SEQUENCES):
        try:
            sequence(w, seed + i)
        except Failed as e:
            bad.append(seed + i)
            if len(bad) <= 2:
                diag("PGPUSH_ORDER_SEED=%d: %s" % (seed + i, e))
    check(not bad, "%d of %d sequences are wrong, seeds %s" % (len(bad),
        SEQUENCES, bad[:10]))


if __name__ == "__main__":
    main(message_rate=0, log_level="info")
