#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Reactions, moderation and call signalling, at two daemons."""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

import psycopg2

from lib import database
from lib.case import case, main
from lib.client import Client
from lib.market import (ADMIN, CLIENT, MODERATOR, PERFORMER, STRANGER, enter,
    iso, mute_row, new_dispute, new_id, new_order, post_dispute_message,
    post_message)
from lib.nodes import Node
from lib.tap import check, has, same, wait_for

BELLS = ("user_presence", "notification", "new_notification",
    "order_message", "dispute_opened", "dispute_message")
SENTENCE = "You are muted in this chat"


def at(w, node, user, *rooms, deaf=BELLS):
    """A client at another daemon, in the chats of these (kind, id)."""
    c = Client(node.port, deaf=deaf)
    w.clients.append(c)
    node.clients.append(c)
    c.auth(w.token(user))
    for kind, ident in rooms:
        enter(c, kind, ident)
    return c


def here(w, user, *rooms, deaf=BELLS):
    """The same at the world's own daemon."""
    c = w.client(user, deaf=deaf)
    for kind, ident in rooms:
        enter(c, kind, ident)
    return c


def second(w):
    """One more daemon of this world, as a context."""
    return Node(w, "second", jwt_user_claim="id")


def reaction(emoji, *users):
    return {"emoji": emoji, "count": len(users), "userIds": list(users)}


def refusal(c, event, data, code, message=None, **more):
    """The handler's error; its message."""
    error = c.refused(code, type="send", event=event, data=data, **more)
    if message is not None:
        same(error["message"], message, "message of " + event)
    return error["message"]


def says(w, text, *args):
    """What the database says to the API: (SQLSTATE, message)."""
    try:
        w.api(text, *args)
    except psycopg2.Error as e:
        return e.pgcode, e.diag.message_primary
    return None, None


def quiet(w, room, *clients):
    """Nothing is on its way to any of these, who are all in the room."""
    tag = new_id()
    w.signal(room, "sentinel", {"tag": tag})
    w.emit(room, "sentinel", {"tag": tag})
    for c in clients:
        for _ in (1, 2):
            c.event("sentinel", room, {"tag": tag})


# Reactions

@case
def reactions(w):
    """a reaction is put, seen by all at two daemons, and taken back"""
    order = new_order(w)
    room = "order:" + order
    message = post_message(w, order)["messageId"]
    with second(w) as node:
        a, b = here(w, CLIENT, ("order", order)), at(w, node, PERFORMER,
            ("order", order))
        for emoji, on, want in (("\U0001f44d", True,
                [reaction("\U0001f44d", PERFORMER)]),
                ("\U0001f389", True, [reaction("\U0001f44d", PERFORMER),
                    reaction("\U0001f389", PERFORMER)]),
                ("\U0001f44d", False, [reaction("\U0001f389", PERFORMER)]),
                ("\U0001f389", False, [])):
            has(b.do("toggle_reaction", {"messageId": message, "emoji":
                emoji}), {"ok": True, "data": {"messageId": message,
                "emoji": emoji, "reacted": on}}, "reply")
            for c in (a, b):
                f = c.event("message_reaction", room, {"orderId": order,
                    "messageId": message, "reactions": want})
                check(isinstance(f["id"], int), "it is durable")
        w.nothing(a, room)


@case
def reactions_meet(w):
    """two react in transactions that overlap: the last event has both"""
    order = new_order(w)
    message = post_message(w, order)["messageId"]
    a = here(w, CLIENT, ("order", order))
    conns = [w.db.connect("app_api", autocommit=False) for _ in (1, 2)]
    for conn, user in zip(conns, (CLIENT, PERFORMER)):
        with conn.cursor() as cur:
            cur.execute("INSERT INTO message_reactions (message_id, user_id, "
                "emoji) VALUES (%s, %s, '\U0001f602')", (message, user))
    seen = []
    for conn in conns:
        conn.commit()
        conn.close()
        seen.append(a.event("message_reaction")["data"]["reactions"])
    same([r[0]["count"] for r in seen], [1, 2], "counts")
    same(sorted(seen[1][0]["userIds"]), sorted([CLIENT, PERFORMER]), "users")
    w.nothing(a, "order:" + order)


@case
def reactions_by_hand(w):
    """many reactions in one statement are one event for each message"""
    order = new_order(w)
    messages = [post_message(w, order)["messageId"] for _ in range(3)]
    a = here(w, CLIENT, ("order", order))
    w.api("INSERT INTO message_reactions (message_id, user_id, emoji) "
        "SELECT m, u, e FROM unnest(%s::uuid[]) m, unnest(%s::uuid[]) u, "
        "(SELECT emoji AS e FROM reaction_emojis) e", messages,
        [CLIENT, PERFORMER, ADMIN])
    for message in messages:
        data = a.event("message_reaction")["data"]
        same(data["messageId"], message, "message")
        same([r["count"] for r in data["reactions"]], [3] * 8, "counts")
    w.api("DELETE FROM messages WHERE order_id = %s", order)
    w.nothing(a, "order:" + order, "nothing when the messages go")


@case
def reactions_refused(w):
    """who may not react, to what, with what; nobody hears of it"""
    order = new_order(w)
    message = post_message(w, order)["messageId"]
    a, s = here(w, CLIENT, ("order", order)), here(w, STRANGER)
    emoji = "\U0001f44d"
    refusal(s, "toggle_reaction", {"messageId": message, "emoji": emoji},
        "forbidden", "Access denied to this order chat")
    for data in ({}, {"messageId": message}, {"messageId": "x", "emoji":
            emoji}, {"messageId": message, "emoji": "<b>"}, []):
        refusal(a, "toggle_reaction", data, "bad_request")
    refusal(a, "toggle_reaction", {"messageId": new_id(), "emoji": emoji},
        "not_found", "Message not found")
    w.api("UPDATE messages SET deleted = true WHERE id = %s", message)
    a.event("message_delete")
    refusal(a, "toggle_reaction", {"messageId": message, "emoji": emoji},
        "not_found", "Message not found")
    w.nothing(a, "order:" + order)


@case
def dispute_reactions(w):
    """a moderator reacts in his dispute, and not in its order"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    message = post_dispute_message(w, dispute)
    m, a = here(w, MODERATOR, ("dispute", dispute)), here(w, CLIENT,
        ("dispute", dispute))
    has(m.do("toggle_reaction", {"messageId": message, "emoji":
        "\U0001f64f"}), {"ok": True}, "reply")
    for c in (m, a):
        c.event("dispute_message_reaction", "dispute:" + dispute,
            {"disputeId": dispute, "orderId": order, "messageId": message,
            "reactions": [reaction("\U0001f64f", MODERATOR)]})
    refusal(m, "toggle_reaction", {"messageId": post_message(w, order)
        ["messageId"], "emoji": "\U0001f64f"}, "forbidden")
    w.nothing(a, "dispute:" + dispute)


@case
def reaction_with_a_key(w):
    """a toggle that is repeated after a cut, with its key, toggles once"""
    order = new_order(w)
    message = post_message(w, order)["messageId"]
    a = here(w, CLIENT, ("order", order))
    for _ in (1, 2):
        has(a.do("toggle_reaction", {"messageId": message, "emoji":
            "\U0001f44e"}, key="k"), {"ok": True, "data": {"messageId":
            message, "emoji": "\U0001f44e", "reacted": True}}, "reply")
    a.event("message_reaction")
    w.nothing(a, "order:" + order)


# Moderation

def expect_refused(w, order, user, other):
    """The API's INSERT of a message of the muted; what it is told."""
    code, message = says(w, "INSERT INTO messages (order_id, sender_id, "
        "receiver_id, content) VALUES (%s, %s, %s, 'x')", order, user, other)
    same(code, "MUTED", "SQLSTATE")
    return message


@case
def mute(w):
    """a mute takes effect at once at another daemon, and so does its end"""
    order = new_order(w)
    room = "order:" + order
    message = post_message(w, order)["messageId"]
    with second(w) as node:
        admin = here(w, ADMIN)
        a, b = here(w, CLIENT, ("order", order)), at(w, node, PERFORMER,
            ("order", order))
        has(b.do("order_typing", {"orderId": order, "isTyping": True}),
            {"ok": True}, "typing")
        a.event("order_typing")
        reply = admin.do("mute_user", {"orderId": order, "userId": PERFORMER,
            "minutes": 5, "reason": "rude"})
        has(reply, {"ok": True}, "reply")
        want = {"room": room, "userId": PERFORMER, "by": ADMIN, "reason":
            "rude", "until": iso(w.api("SELECT until FROM room_mutes WHERE "
            "room = %s", room)[0][0])}
        same(reply["data"], want, "reply")
        for c in (a, b):
            got = {f["event"]: f["data"] for f in (c.next(type="event"),
                c.next(type="event"))}
            same(got, {"user_muted": want, "order_typing": {"orderId":
                order, "userId": PERFORMER, "isTyping": False}}, "events")
        text = expect_refused(w, order, PERFORMER, CLIENT)
        check(text.startswith(SENTENCE + " until 20") and
            text.endswith(" UTC"), text)
        for event, data in (("order_typing", {"orderId": order,
                "isTyping": True}), ("toggle_reaction", {"messageId":
                message, "emoji": "\U0001f44d"}), ("call_offer", {"orderId":
                order, "callId": "c", "sdp": "v=0"})):
            refusal(b, event, data, "muted", text)
        w.nothing(a, room, "nothing of the muted")
        # He reads, here and in the list of messages.
        w.emit(room, "still", {})
        b.until(event="still")
        a.until(event="still")
        same(b.do("mark_messages_read", {"orderId": order})["data"]["marked"],
            1, "messages read")
        a.event("messages_read")
        has(admin.do("unmute_user", {"room": room, "userId": PERFORMER}),
            {"ok": True}, "reply")
        for c in (a, b):
            has(c.event("user_unmuted", room)["data"], {"userId": PERFORMER,
                "by": ADMIN}, "user_unmuted")
        has(b.do("order_typing", {"orderId": order, "isTyping": True}),
            {"ok": True}, "typing")
        a.event("order_typing")
        post_message(w, order, PERFORMER, CLIENT)
        w.nothing(a, room)


@case
def mute_expires(w):
    """a mute that is over is told when it is; a longer one is not ended"""
    order = new_order(w)
    room = "order:" + order
    admin, a = here(w, ADMIN), here(w, CLIENT, ("order", order))
    for user, minutes in ((PERFORMER, 0.1), (CLIENT, 0.1), (CLIENT, 60)):
        has(admin.do("mute_user", {"room": room, "userId": user, "minutes":
            minutes}), {"ok": True}, "reply")
        has(a.event("user_muted", room)["data"], {"userId": user}, "muted")
    f = a.event("user_unmuted", room)
    has(f["data"], {"userId": PERFORMER, "by": None, "until": iso(w.api(
        "SELECT until FROM room_mutes WHERE room = %s AND user_id = %s",
        room, PERFORMER)[0][0])}, "user_unmuted")
    post_message(w, order, PERFORMER, CLIENT)
    expect_refused(w, order, CLIENT, PERFORMER)
    same([r[0] for r in w.root("SELECT arg ->> 'userId' FROM pgpush.held "
        "WHERE room = %s", room)], [CLIENT], "whose end is held")
    w.nothing(a, room)


@case
def mute_for_good(w):
    """muted for good; again for a year; both daemons live with that"""
    order = new_order(w)
    room = "order:" + order
    admin, a = here(w, ADMIN), here(w, CLIENT, ("order", order))
    for minutes in (None, 525600):
        has(admin.do("mute_user", {"room": room, "userId": CLIENT, "minutes":
            minutes}), {"ok": True}, "reply")
        f = a.event("user_muted", room)
        same(f["data"]["until"] is None, minutes is None, "until")
        text = expect_refused(w, order, CLIENT, PERFORMER)
        same(text == SENTENCE, minutes is None, text)
    w.nothing(a, room)


@case
def mute_by_row(w):
    """a row written by the API does the same, and so does its deletion"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    room = "dispute:" + dispute
    a = here(w, CLIENT, ("dispute", dispute))
    mute_row(w, CLIENT, "now() + interval '1 hour'", ADMIN, "x",
        dispute=dispute)
    has(a.event("user_muted", room)["data"], {"userId": CLIENT, "by": ADMIN,
        "reason": "x"}, "user_muted")
    refusal(a, "dispute_typing", {"disputeId": dispute, "isTyping": True},
        "muted")
    same(says(w, "INSERT INTO dispute_messages (dispute_id, sender_id) "
        "VALUES (%s, %s)", dispute, CLIENT)[0], "MUTED", "SQLSTATE")
    w.api("DELETE FROM room_mutes WHERE room = %s", room)
    has(a.event("user_unmuted", room)["data"], {"userId": CLIENT, "by":
        None}, "user_unmuted")
    post_dispute_message(w, dispute)
    w.nothing(a, room)


@case
def moderator(w):
    """a moderator, who is not in the order's room, mutes and removes there"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    message = post_message(w, order)["messageId"]
    shown = post_dispute_message(w, dispute)
    with second(w) as node:
        m = at(w, node, MODERATOR, ("dispute", dispute))
        a = here(w, CLIENT, ("order", order), ("dispute", dispute))
        has(m.do("mute_user", {"orderId": order, "userId": CLIENT,
            "minutes": 1}), {"ok": True}, "mute in the order")
        has(a.event("user_muted", "order:" + order)["data"], {"by":
            MODERATOR}, "user_muted")
        has(m.do("remove_message", {"messageId": message}), {"ok": True,
            "data": {"messageId": message, "orderId": order}}, "remove")
        a.event("message_delete", "order:" + order, {"orderId": order,
            "messageId": message, "senderId": CLIENT, "receiverId":
            PERFORMER})
        has(m.do("remove_message", {"messageId": shown}), {"ok": True,
            "data": {"messageId": shown, "disputeId": dispute}}, "remove")
        for c in (a, m):
            c.event("dispute_message_delete", "dispute:" + dispute,
                {"disputeId": dispute, "orderId": order, "messageId": shown,
                "senderId": CLIENT})
        other = new_order(w)
        for data in ({"orderId": other, "userId": CLIENT, "minutes": 1},
                {"orderId": order, "userId": ADMIN, "minutes": 1},
                {"orderId": order, "userId": MODERATOR, "minutes": 1},
                {"orderId": order, "userId": STRANGER, "minutes": 1}):
            refusal(m, "mute_user", data, "forbidden")
        refusal(m, "remove_message", {"messageId": post_message(w, other)
            ["messageId"]}, "forbidden")
        w.nothing(m, "dispute:" + dispute)


@case
def nobody_else(w):
    """parties and strangers neither mute nor remove; admins are not muted"""
    order = new_order(w)
    room = "order:" + order
    message = post_message(w, order)["messageId"]
    a = here(w, CLIENT, ("order", order))
    for user in (CLIENT, PERFORMER, STRANGER):
        c = here(w, user)
        for over in (CLIENT, PERFORMER, ADMIN):
            for event in ("mute_user", "unmute_user"):
                refusal(c, event, {"room": room, "userId": over, "minutes":
                    1}, "forbidden")
        refusal(c, "remove_message", {"messageId": message}, "forbidden")
    admin = here(w, ADMIN)
    refusal(admin, "mute_user", {"room": room, "userId": ADMIN, "minutes":
        1}, "forbidden", "You cannot mute or unmute yourself")
    refusal(admin, "unmute_user", {"room": room, "userId": CLIENT},
        "not_found", "This user is not muted here")
    for data in ({}, {"room": room}, {"userId": CLIENT, "minutes": 1},
            {"room": "x", "userId": CLIENT, "minutes": 1},
            {"room": room, "userId": CLIENT},
            {"room": room, "userId": CLIENT, "minutes": "1"}, []):
        refusal(admin, "mute_user", data, "bad_request")
    same(w.api("SELECT count(*) FROM room_mutes WHERE room = %s",
        room)[0][0], 0, "mutes")
    w.nothing(a, room)


# Calls

def call(order, **more):
    return dict({"orderId": order, "callId": "call-1"}, **more)


def tells(c, event, data):
    has(c.do(event, data), {"ok": True}, "reply to " + event)


@case
def calls(w):
    """a call from offer to end, at two daemons, in the order of its making"""
    order = new_order(w)
    room = "order:" + order
    with second(w) as node:
        a, tab = (here(w, CLIENT, ("order", order)) for _ in (1, 2))
        b = at(w, node, PERFORMER, ("order", order))
        # Large, so that it takes another way than what follows by itself.
        sdp = "v=0\r\n" + "a=\"\u00e9\"\r\n" * 3500
        sent = [("call_offer", call(order, sdp=sdp, video=True))]
        sent += [("call_candidate", call(order, candidate={"candidate":
            "candidate:%d" % i, "sdpMid": "0"})) for i in range(50)]
        sent += [("call_candidate", call(order, candidate=None))]
        for event, data in sent:
            a.tell(event, data)
        for c in (b, tab):
            for event, data in sent:
                f = c.event(event, room, dict(data, **{"from": CLIENT}))
                check("id" not in f, "it has an id")
        tells(b, "call_answer", call(order, sdp={"type": "answer", "sdp":
            "v=0"}))
        tells(b, "call_candidate", call(order, candidate="x"))
        tells(b, "call_end", call(order, reason="busy"))
        for c in (a, tab):
            for event, more in (("call_answer", {"sdp": {"type": "answer",
                    "sdp": "v=0"}}), ("call_candidate", {"candidate": "x"}),
                    ("call_end", {"reason": "busy"})):
                c.event(event, room, call(order, **{"from": PERFORMER},
                    **more))
        quiet(w, room, a, tab, b)       # nothing at the socket that sends
        same(w.root("SELECT count(*) FROM push_calls WHERE room = %s",
            room)[0][0], 0, "calls in progress")


@case
def calls_of_whom(w):
    """nobody calls in another's name, from outside, or without an id"""
    order = new_order(w)
    room = "order:" + order
    a, b = (here(w, u, ("order", order)) for u in (CLIENT, PERFORMER))
    tells(a, "call_offer", call(order, sdp="x", **{"from": PERFORMER,
        "user": ADMIN}))
    b.event("call_offer", room, call(order, sdp="x", user=ADMIN, **{"from":
        CLIENT}))
    admin, outside = here(w, ADMIN, ("order", order)), here(w, PERFORMER)
    for event in ("call_offer", "call_answer", "call_candidate", "call_end"):
        data = call(order, sdp="x", candidate="x")
        refusal(admin, event, data, "forbidden",
            "Only the client and the performer can call each other")
        refusal(outside, event, data, "forbidden")
        for wrong in (dict(data, callId=None), dict(data, callId=""),
                {"orderId": order}, dict(data, callId="x" * 101)):
            refusal(a, event, wrong, "bad_request")
        for wrong in ({}, dict(data, orderId="x"), dict(data, orderId=None)):
            refusal(a, event, wrong, ("bad_request", "forbidden"))
    refusal(b, "call_answer", call(order, sdp="x", callId="call-2"),
        "not_found", "The call is over")
    quiet(w, room, a, b)


@case
def calls_of_windows(w):
    """of two windows that answer the first has the call"""
    order = new_order(w)
    room = "order:" + order
    a = here(w, CLIENT, ("order", order))
    one, two = (here(w, PERFORMER, ("order", order)) for _ in (1, 2))
    wait_for(lambda: w.root("SELECT FROM pgpush.connections WHERE session = "
        "%s", one.session), "the session in pgpush.connections")
    tells(a, "call_offer", call(order, sdp="x"))
    for c in (one, two):
        c.event("call_offer", room)
    tells(one, "call_answer", call(order, sdp="one"))
    for c in (a, two):
        c.event("call_answer", room, call(order, sdp="one", **{"from":
            PERFORMER}))
    refusal(two, "call_answer", call(order, sdp="two"), "conflict",
        "The call is held in another window")
    w.nothing(a, room)


@case
def calls_end(w):
    """a call ends when a socket it is held at goes, however it goes"""
    order = new_order(w)
    room = "order:" + order
    with second(w) as node:
        for how in ("caller", "callee", "goodbye"):
            a, b = here(w, CLIENT, ("order", order)), at(w, node, PERFORMER,
                ("order", order))
            tab = at(w, node, PERFORMER, ("order", order))
            tells(a, "call_offer", call(order, sdp="x"))
            b.event("call_offer")
            tells(b, "call_answer", call(order, sdp="x"))
            a.event("call_answer")
            w.drop(tab)                 # holds nothing
            if how == "caller":
                w.drop(a)
            elif how == "callee":
                w.drop(b)
            else:
                a.goodbye()
            b, a, who = (a, b, PERFORMER) if how == "callee" \
                else (b, a, CLIENT)
            b.event("call_end", room, call(order, reason="gone", **{"from":
                who}))
            w.nothing(b, room, "one end")
            w.drop(b)


@case
def calls_of_the_muted(w):
    """a mute ends the call of the muted, who may only hang up"""
    order = new_order(w)
    room = "order:" + order
    a, b = (here(w, u, ("order", order)) for u in (CLIENT, PERFORMER))
    tells(a, "call_offer", call(order, sdp="x"))
    b.event("call_offer")
    mute_row(w, CLIENT, None, ADMIN, order=order)
    for c in (a, b):
        got = {f["event"]: f["data"] for f in (c.next(type="event"),
            c.next(type="event"))}
        same(got.get("call_end"), call(order, reason="muted", **{"from":
            CLIENT}), "call_end")
        check("user_muted" in got, "user_muted")
    for event in ("call_offer", "call_answer", "call_candidate"):
        refusal(a, event, call(order, sdp="x", candidate="x"), "muted",
            SENTENCE)
    tells(a, "call_end", call(order))
    b.event("call_end", room, call(order, reason="hangup", **{"from":
        CLIENT}))
    w.nothing(b, room)


# The whole

@case
def cascade(w):
    """an order deleted with its reactions and mutes says nothing of them"""
    order = new_order(w)
    message = post_message(w, order)["messageId"]
    a = here(w, CLIENT, ("order", order))
    tells(a, "toggle_reaction", {"messageId": message, "emoji":
        "\U0001f44d"})
    a.event("message_reaction")
    mute_row(w, PERFORMER, "now() + interval '1 hour'", ADMIN, order=order)
    a.event("user_muted")
    w.api("DELETE FROM orders WHERE id = %s", order)
    w.nothing(a, "order:" + order)
    same(w.root("SELECT count(*) FROM room_mutes WHERE room = %s",
        "order:" + order)[0][0], 0, "mutes")


@case
def loaded_again(w):
    """the wiring can be loaded again, in any order, while clients are in"""
    order = new_order(w)
    a = here(w, CLIENT, ("order", order))
    paths = sorted(glob.glob(os.path.join(database.SRCDIR, "triggers",
        "*.sql")), reverse=True)
    check(len(paths) >= 7, "files: %d" % len(paths))
    for path in paths:
        database.psql(w.cluster, w.db.name, "app_owner", path=path)
    mute_row(w, CLIENT, None, ADMIN, order=order)
    a.event("user_muted")
    refusal(a, "order_typing", {"orderId": order, "isTyping": True},
        "muted")


if __name__ == "__main__":
    main(kind="market")
