#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The marketplace's orders, disputes and notifications, row to socket."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.market import (ADMIN, CLIENT, MODERATOR, PERFORMER, STRANGER, enter,
    iso, new_dispute, new_id, new_order, no_event, notify)
from lib.tap import check, has, same, show


@case
def order_status(w):
    """a row of order_status_history is order_status_update in the order"""
    order = new_order(w)
    a, b = w.client(CLIENT), w.client(PERFORMER)
    for c in (a, b):
        room = enter(c, "order", order)
    for by in (PERFORMER, None):
        row = w.api("INSERT INTO order_status_history (order_id, status, "
            "changed_by) VALUES (%s, 'done', %s) RETURNING changed_at", order,
            by)[0][0]
        for c in (a, b):
            f = c.event("order_status_update", room, {"orderId": order,
                "status": "done", "updatedBy": by, "updatedAt": iso(row)})
            check(isinstance(f["id"], int), "it is durable")
    w.api("UPDATE orders SET status = 'done', price = 7, updated_at = now() "
        "WHERE id = %s", order)
    w.api("UPDATE order_status_history SET status = 'x' WHERE order_id = %s",
        order)
    w.nothing(a, room, "nothing of orders.status itself")


@case
def dispute_opened(w):
    """a new dispute is told to the order and to the admins, each once"""
    order = new_order(w)
    a, admin, both = w.client(CLIENT), w.client(ADMIN), w.client(ADMIN)
    room = enter(a, "order", order)
    enter(both, "order", order)
    row = w.api("INSERT INTO disputes (order_id, client_id, performer_id, "
        "reason) VALUES (%s, %s, %s, 'too \"late\"') RETURNING id, "
        "created_at", order, CLIENT, PERFORMER)[0]
    want = {"disputeId": row[0], "orderId": order, "clientId": CLIENT,
        "performerId": PERFORMER, "reason": "too \"late\"",
        "createdAt": iso(row[1])}
    a.event("dispute_opened", room, want)
    admin.event("dispute_opened", "admin:notifications", want)
    both.event("dispute_opened", data=want)
    no_event(w, both, ADMIN, "nothing a second time")
    no_event(w, a, CLIENT)


@case
def dispute_message(w):
    """a dispute's message with its attachments, one transaction, one event"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    clients = [w.client(u) for u in (CLIENT, PERFORMER, MODERATOR, ADMIN)]
    for c in clients:
        room = enter(c, "dispute", dispute)
    conn = w.db.connect("app_api", autocommit=False)
    files = []
    with conn.cursor() as cur:
        cur.execute("INSERT INTO dispute_messages (dispute_id, sender_id, "
            "content) VALUES (%s, %s, 'look') RETURNING id, created_at",
            (dispute, CLIENT))
        message, created = cur.fetchone()
        for name, size in (("a.png", 10), ("b.png", None)):
            cur.execute("INSERT INTO dispute_message_attachments (message_id,"
                " file_name, file_url, file_size, mime_type) VALUES (%s, %s, "
                "'/f', %s, 'image/png') RETURNING id", (message, name, size))
            files.append({"id": cur.fetchone()[0], "fileName": name,
                "fileUrl": "/f", "fileSize": size, "mimeType": "image/png"})
    conn.commit()
    conn.close()
    for c in clients:
        c.event("dispute_message", room, {"disputeId": dispute, "orderId":
            order, "messageId": message, "senderId": CLIENT, "content":
            "look", "attachments": files, "createdAt": iso(created)})
    w.nothing(clients[0], room)


@case
def plain_dispute_message(w):
    """a dispute's message without attachments comes at its commit"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    c = w.client(MODERATOR)
    room = enter(c, "dispute", dispute)
    row = w.api("INSERT INTO dispute_messages (dispute_id, sender_id, "
        "content) VALUES (%s, %s, 'x') RETURNING id", dispute, PERFORMER)
    f = c.event("dispute_message", room)
    has(f["data"], {"messageId": row[0][0], "attachments": [], "senderId":
        PERFORMER}, "data")
    w.nothing(c, room)


@case
def dispute_status(w):
    """a changed status of a dispute, by its moderator"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    c = w.client(PERFORMER)
    room = enter(c, "dispute", dispute)
    at = w.api("UPDATE disputes SET status = 'in_review', updated_at = now() "
        "WHERE id = %s RETURNING updated_at", dispute)[0][0]
    c.event("dispute_status_update", room, {"disputeId": dispute, "orderId":
        order, "status": "in_review", "updatedBy": MODERATOR, "updatedAt":
        iso(at)})
    w.api("UPDATE disputes SET status = 'in_review', reason = 'other', "
        "updated_at = now() WHERE id = %s", dispute)
    w.nothing(c, room, "nothing when the status stays")
    quiet = new_dispute(w, order, None)
    room = enter(c, "dispute", quiet)
    w.api("UPDATE disputes SET status = 'resolved' WHERE id = %s", quiet)
    has(c.event("dispute_status_update", room)["data"], {"status": "resolved",
        "updatedBy": None}, "without a moderator")


@case
def dispute_typing(w):
    """dispute_typing goes to the others, and ends when the socket goes"""
    dispute = new_dispute(w, new_order(w))
    a, b = w.client(CLIENT), w.client(MODERATOR)
    room = enter(a, "dispute", dispute)
    enter(b, "dispute", dispute)
    for on in (True, False, True):
        has(b.do("dispute_typing", {"disputeId": dispute, "isTyping": on}),
            {"ok": True}, "reply")
        f = a.event("dispute_typing", room, {"disputeId": dispute, "userId":
            MODERATOR, "isTyping": on})
        check("id" not in f, "typing has an id")
    w.nothing(b, room, "nothing at the sender")
    w.drop(b)
    # The sentinel came here too.
    a.until(event="dispute_typing", room=room, data={"disputeId": dispute,
        "userId": MODERATOR, "isTyping": False})
    c = w.client(STRANGER)
    c.refused("forbidden", type="send", event="dispute_typing",
        data={"disputeId": dispute, "isTyping": True})
    w.nothing(a, room)


@case
def leave_dispute(w):
    """leave_dispute_chat ends it"""
    dispute = new_dispute(w, new_order(w))
    c = w.client(CLIENT)
    room = enter(c, "dispute", dispute)
    has(c.do("leave_dispute_chat", {"disputeId": dispute}), {"ok": True},
        "leave")
    c.kept = []
    w.emit(room, "secret", {})
    no_event(w, c, CLIENT)


@case
def notification(w):
    """a notification comes under both names, to its user alone"""
    a, b, other = w.client(PERFORMER), w.client(PERFORMER), w.client(CLIENT)
    related = new_id()
    for args in (("order", "Your order \u00e9", related), ("system", "", None)):
        want = notify(w, PERFORMER, *args)
        for c in (a, b):
            got = {}
            for _ in (1, 2):
                f = c.next(type="event", room="user:" + PERFORMER)
                check(isinstance(f["id"], int), "it is durable")
                got[f["event"]] = f["data"]
            same(got, {"notification": want, "new_notification": want},
                "notification")
    w.api("UPDATE notifications SET read = true WHERE user_id = %s",
        PERFORMER)
    w.api("DELETE FROM notifications WHERE user_id = %s", PERFORMER)
    no_event(w, a, PERFORMER, "nothing of read and deleted ones")
    no_event(w, other, CLIENT, "nothing of others")


@case
def notification_later(w):
    """a notification written while its user was away comes when resuming"""
    c = w.client(PERFORMER)
    at, epoch = c.position(), c.welcome["epoch"]
    w.drop(c)
    want = notify(w, PERFORMER, "order", "while away")
    c = w.client(PERFORMER, auth={"since": at, "epoch": epoch})
    got = {f["event"]: f["data"] for f in (c.next(type="event"),
        c.next(type="event"))}
    same(got, {"notification": want, "new_notification": want}, "events")
    no_event(w, c, PERFORMER)


@case
def rolled_back(w):
    """what is rolled back sends nothing, in any of these tables"""
    order = new_order(w)
    dispute = new_dispute(w, order)
    c = w.client(CLIENT)
    enter(c, "order", order)
    enter(c, "dispute", dispute)
    conn = w.db.connect("app_api", autocommit=False)
    with conn.cursor() as cur:
        cur.execute("INSERT INTO order_status_history (order_id, status) "
            "VALUES (%s, 'x')", (order,))
        cur.execute("INSERT INTO dispute_messages (dispute_id, sender_id) "
            "VALUES (%s, %s)", (dispute, CLIENT))
        cur.execute("UPDATE disputes SET status = 'resolved' WHERE id = %s",
            (dispute,))
        cur.execute("INSERT INTO notifications (user_id, type) VALUES "
            "(%s, 'x')", (CLIENT,))
        cur.execute("INSERT INTO disputes (order_id, client_id, performer_id,"
            " reason) VALUES (%s, %s, %s, '')", (order, CLIENT, PERFORMER))
        conn.rollback()
    conn.close()
    no_event(w, c, CLIENT)


@case
def cascade(w):
    """a deleted dispute or user takes its rows along without an event"""
    dispute = new_dispute(w, new_order(w))
    c = w.client(CLIENT)
    enter(c, "dispute", dispute)
    w.api("INSERT INTO dispute_messages (dispute_id, sender_id, content) "
        "VALUES (%s, %s, 'x')", dispute, CLIENT)
    c.event("dispute_message")
    w.api("DELETE FROM disputes WHERE id = %s", dispute)
    w.emit("user:" + CLIENT, "end", {})
    frames = c.until(event="end")[:-1]
    same([f for f in frames if f["type"] == "event"], [], "events")


@case
def triggers_need_no_rights(w):
    """the application's role has no right on pgpush, and all this worked"""
    same(w.api("SELECT has_schema_privilege('pgpush', 'USAGE')")[0][0], False,
        "USAGE on pgpush")


@case
def with_pgpush_switched_off(w):
    """the API's statements work the same while no daemon runs"""
    w.between()
    w.daemon.stop()
    order = new_order(w)
    want = notify(w, CLIENT, "order", "stored")
    w.api("INSERT INTO order_status_history (order_id, status, changed_by) "
        "VALUES (%s, 'late', %s)", order, CLIENT)
    w.daemon.start()
    c = w.client(CLIENT, auth={"since": 0})
    frames = c.until(event="notification", data=want)
    check(frames, show(frames))
    c.join("order:" + order, since=0)
    has(c.until(event="order_status_update")[-1]["data"], {"status": "late"},
        "status")


if __name__ == "__main__":
    main(kind="market")
