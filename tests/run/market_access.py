#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Who may join what in the marketplace, by event and by join."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt
from lib.case import case, main
from lib.market import (ADMIN, CLIENT, DISPUTE, MODERATOR, OPEN_ORDER, ORDER,
    PERFORMER, STRANGER, enter, new_dispute, new_id, new_order, post_message,
    refused)
from lib.tap import check, has, same, show

NAMES = {CLIENT: "client", PERFORMER: "performer", ADMIN: "admin",
    STRANGER: "stranger", MODERATOR: "moderator"}
DENIED = "Access denied to this %s chat"


@case
def greeted(w):
    """everybody is in user:<id>, an admin in admin:notifications too"""
    for user in NAMES:
        c = w.client(user)
        want = {"user:" + user}
        if user == ADMIN:
            want.add("admin:notifications")
        same(set(c.welcome["rooms"]), want, "rooms of the " + NAMES[user])
        same(c.welcome["user"], user, "user")
        w.emit("user:" + user, "x", {})
        c.event("x", "user:" + user)


@case
def nobody(w):
    """a user that is not in the table, or is no uuid, is closed with 4403"""
    for user in (new_id(), "x", "", "1", "' OR true --", CLIENT + "x"):
        c = w.open()
        c.send(type="auth", token=w.token(user))
        closed = c.recv_close()
        check(closed.code == 4403 or (user == "" and closed.code == 4401),
            "%r: %s" % (user, closed))


@case
def role_of_the_table(w):
    """the role that counts is in users, not in the token"""
    c = w.client(STRANGER, token=jwt.mint({"id": STRANGER, "role": "admin"}))
    same(c.welcome["rooms"], ["user:" + STRANGER], "rooms")
    refused(c, "order", ORDER, DENIED % "order")
    c.refused("forbidden", type="join", room="admin:notifications")
    d = w.client(ADMIN, token=jwt.mint({"id": ADMIN, "role": "client"}))
    check("admin:notifications" in d.welcome["rooms"], "an admin is none")
    enter(d, "order", ORDER)


def chat(w, kind, id, allowed):
    """These enter, by the handler and by a join, and hear it; others do not."""
    room = kind + ":" + id
    for user in NAMES:
        for event in (True, False):
            c = w.client(user)
            may = user in allowed
            if may and event:
                same(enter(c, kind, id), room, "room")
            elif may:
                c.join(room)
            elif event:
                refused(c, kind, id, DENIED % kind)
            else:
                c.refused("forbidden", type="join", room=room)
            w.emit(room, "probe", {"user": user})
            w.emit("user:" + user, "end", {})
            got = [f["event"] for f in c.until(event="end")
                if f["type"] == "event"]
            same(got, ["probe", "end"] if may else ["end"],
                "events of the " + NAMES[user])


@case
def order_chat(w):
    """client, performer and admin enter an order's chat, others do not"""
    chat(w, "order", ORDER, (CLIENT, PERFORMER, ADMIN))


@case
def order_without_performer(w):
    """an order that nobody has yet is its client's alone"""
    enter(w.client(CLIENT), "order", OPEN_ORDER)
    enter(w.client(ADMIN), "order", OPEN_ORDER)
    for user in (PERFORMER, STRANGER):
        c = w.client(user)
        refused(c, "order", OPEN_ORDER, DENIED % "order")
        c.refused("forbidden", type="join", room="order:" + OPEN_ORDER)


@case
def dispute_chat(w):
    """client, performer, moderator and admin enter a dispute's chat"""
    chat(w, "dispute", DISPUTE, (CLIENT, PERFORMER, MODERATOR, ADMIN))


@case
def moderator_is_no_party(w):
    """a dispute's moderator does not enter the order's chat by it"""
    c = w.client(MODERATOR)
    enter(c, "dispute", DISPUTE)
    refused(c, "order", ORDER, DENIED % "order")


@case
def not_found(w):
    """an order or dispute that is not there is said not to be there"""
    c = w.client(CLIENT)
    refused(c, "order", new_id(), "Order not found")
    refused(c, "dispute", new_id(), "Dispute not found")
    refused(c, "order", DISPUTE, "Order not found")
    c.refused("forbidden", type="join", room="order:" + new_id())


@case
def bad_ids(w):
    """an id that is no uuid: failed to join, and nothing breaks"""
    c = w.client(CLIENT)
    for ident in ("", "x", "1", ORDER[:-1], ORDER + "0", "'; --",
            "order:" + ORDER, "\u00e9", "a" * 150):
        for kind in ("order", "dispute"):
            ref = c.ref()
            c.send(type="send", event="join_%s_chat" % kind,
                data={kind + "Id": ident}, ref=ref)
            frames = c.until(type="reply", ref=ref)
            has(frames[-1], {"ok": False}, "reply for %r" % ident)
            if ":" not in ident and ident:
                same(frames[-1]["error"]["message"],
                    "Failed to join %s chat" % kind, "words for %r" % ident)
            c.refused(("forbidden", "bad_request"), type="join",
                room="%s:%s" % (kind, ident))
    for data in ({}, {"orderId": None}, {"orderId": 5}, {"orderId": [ORDER]},
            {"orderId": {"id": ORDER}}, [], "x", None, {"disputeId": ORDER}):
        has(c.do("join_order_chat", data), {"ok": False},
            "reply for %s" % show(data))
    w.emit("user:" + CLIENT, "still", {})
    c.until(event="still")


@case
def other_rooms(w):
    """rooms of others, and rooms without a rule, let nobody in"""
    c = w.client(CLIENT)
    for room in ("user:" + PERFORMER, "user:" + STRANGER, "peer:" + STRANGER,
            "admin:notifications", "admin:x", "orders", "x:" + ORDER,
            "order:" + ORDER + ":x", "Order:" + ORDER, "chat:" + ORDER):
        c.refused("forbidden", type="join", room=room)
    c.join("user:" + CLIENT)
    s = w.client(STRANGER)
    for user in (CLIENT, PERFORMER, MODERATOR, ADMIN):
        s.refused("forbidden", type="join", room="peer:" + user)


@case
def granted_until_left(w):
    """who has left gets nothing, who joins again does"""
    order = new_order(w)
    c = w.client(PERFORMER)
    room = enter(c, "order", order)
    has(c.do("leave_order_chat", {"orderId": order}), {"ok": True}, "leave")
    c.kept = []
    w.emit(room, "secret", {})
    w.signal(room, "secret", {})
    w.nothing(c, "user:" + PERFORMER)


@case
def performer_changed(w):
    """an order given to another: the first hears no more, the new one does"""
    order = new_order(w)
    first = w.client(PERFORMER, deaf=("user_presence", "notification",
        "new_notification"))
    room = enter(first, "order", order)
    w.api("UPDATE orders SET performer_id = %s WHERE id = %s", MODERATOR,
        order)
    post_message(w, order, CLIENT, MODERATOR, "not for the first")
    w.emit("user:" + PERFORMER, "end", {})
    frames = first.until(event="end")[:-1]
    same([f for f in frames if f["type"] == "event"], [], "events")
    check([f for f in frames if f["type"] == "left" and f["room"] == room
        and f["reason"] == "revoked"], "no left: %s" % show(frames))
    refused(first, "order", order, DENIED % "order")
    enter(w.client(MODERATOR), "order", order)


@case
def moderator_changed(w):
    """a dispute given to another moderator: the first hears no more"""
    order = new_order(w)
    dispute = new_dispute(w, order, MODERATOR)
    first = w.client(MODERATOR)
    room = enter(first, "dispute", dispute)
    w.api("UPDATE disputes SET moderator_id = %s WHERE id = %s", ADMIN,
        dispute)
    w.emit(room, "secret", {})
    w.emit("user:" + MODERATOR, "end", {})
    frames = first.until(event="end")[:-1]
    same([f for f in frames if f["type"] == "event"], [], "events")
    check([f for f in frames if f["type"] == "left" and f["room"] == room],
        "no left: %s" % show(frames))


@case
def owner_only(w):
    """what the clients may do, the application's role may not by SQL"""
    for call in ("pgpush.emit('order:x', 'x', '{}')",
            "pgpush.revoke('order:x')", "pgpush.kick('x')",
            "pgpush.authorize('x', 'y', '{}')", "pgpush.handle('[]')"):
        try:
            w.api("SELECT " + call)
        except Exception as e:
            check("permission denied" in str(e), "%s: %s" % (call, e))
        else:
            raise AssertionError("app_api may call " + call)


if __name__ == "__main__":
    main(kind="market")
