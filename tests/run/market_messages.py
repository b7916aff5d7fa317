#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The marketplace's order chat: each row of the tables, end to end."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.market import (ADMIN, CLIENT, PERFORMER, STRANGER, TIME, attach_file,
    enter, insert_message, iso, message_data, new_dispute, new_order,
    notify, post_message)
from lib.tap import check, has, same, show

# What the API also writes for a message; only one test looks at them.
BELLS = ("user_presence", "notification", "new_notification")


def chat(w, *users, order=None):
    """A new order and clients in its chat, deaf to what is not the chat."""
    order = order or new_order(w)
    clients = []
    for user in users:
        c = w.client(user, deaf=BELLS)
        enter(c, "order", order)
        clients.append(c)
    return [order, "order:" + order] + clients


@case
def by_hand(w):
    """a message written in psql arrives whole, at the sender too"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    message, created = insert_message(w, order, content="h\u00e9 \U0001f600")
    for c in (a, b):
        f = c.event("order_message", room, message_data(order, message,
            CLIENT, PERFORMER, "h\u00e9 \U0001f600", [], created))
        check(isinstance(f["id"], int), "it is durable")
        check(TIME.match(f["data"]["createdAt"]), "time as on the wire")
    w.nothing(a, room)


@case
def with_attachments(w):
    """a message with attachments, as the API writes it, is one event"""
    order, room, a, b, admin = chat(w, CLIENT, PERFORMER, ADMIN)
    want = post_message(w, order, files=["a.png", "b.pdf", "c d.txt"])
    w.emit(room, "end", {})
    for c in (a, b, admin):
        c.event("order_message", room, want)
        c.event("end", room)


@case
def before_the_answer(w):
    """order_message is in the outbox or delivered when the API answers"""
    order, room, a = chat(w, CLIENT)
    for i in range(10):
        want = post_message(w, order, content="m%d" % i,
            files=["f%d" % i] * (i % 3))
        same(w.root("SELECT count(*) FROM pgpush.held WHERE key = %s AND NOT "
            "EXISTS (SELECT FROM pgpush.outbox o WHERE o.key = held.key AND "
            "o.event = '')", "%s:%s" % (room, PERFORMER))[0][0], 0,
            "held and not released")
        a.event("order_message", room, want)
    w.nothing(a, room)


@case
def several_held(w):
    """several messages held under one key are released together, in order"""
    order, room, a = chat(w, CLIENT)
    first = insert_message(w, order, content="one")
    second = insert_message(w, order, content="two")
    back = insert_message(w, order, PERFORMER, CLIENT, "back")
    notify(w, PERFORMER, related=order)
    got = [a.event("order_message", room)["data"] for _ in range(3)]
    mine = [d["messageId"] for d in got if d["receiverId"] == PERFORMER]
    same(mine, [first[0], second[0]], "messages to the performer")
    check(back[0] in [d["messageId"] for d in got], "the message back")
    w.nothing(a, room)


@case
def other_notifications_release_nothing(w):
    """a notification of another type, order or user releases nothing"""
    order, room, a = chat(w, CLIENT)
    other = new_order(w)
    conn = w.db.connect("postgres", autocommit=False)
    with conn.cursor() as cur:
        def released():
            cur.execute("SELECT count(*) FROM pgpush.outbox WHERE event = '' "
                "AND key = %s", ("%s:%s" % (room, PERFORMER),))
            return cur.fetchone()[0]
        cur.execute("INSERT INTO messages (order_id, sender_id, receiver_id, "
            "content) VALUES (%s, %s, %s, 'x')", (order, CLIENT, PERFORMER))
        same(released(), 0, "releases after the message")
        for user, kind, related in ((PERFORMER, "order", order),
                (PERFORMER, "message", other), (CLIENT, "message", order),
                (PERFORMER, "message", None)):
            cur.execute("INSERT INTO notifications (user_id, type, content, "
                "related_id) VALUES (%s, %s, '', %s)", (user, kind, related))
            same(released(), 0, "releases after %s" % ((user, kind, related),))
        cur.execute("INSERT INTO notifications (user_id, type, content, "
            "related_id) VALUES (%s, 'message', '', %s)", (PERFORMER, order))
        same(released(), 1, "releases after the right one")
    conn.commit()
    conn.close()
    a.event("order_message", room)
    w.nothing(a, room)


@case
def late_attachment(w):
    """an attachment after the release sends message_edit with all of them"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    want = post_message(w, order, files=["one"])
    for c in (a, b):
        c.event("order_message", room, want)
    second = attach_file(w, want["messageId"], "two")
    for c in (a, b):
        f = c.event("message_edit", room)
        same(f["data"]["attachments"], want["attachments"] + [second],
            "attachments")
        has(f["data"], {"orderId": order, "messageId": want["messageId"],
            "senderId": CLIENT, "receiverId": PERFORMER, "content": "hello",
            "edited": False}, "data")
    w.nothing(a, room)


@case
def edit(w):
    """a new content is one message_edit, with its attachments"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    want = post_message(w, order, files=["f"])
    for c in (a, b):
        c.event("order_message", room)
    updated = iso(w.api("UPDATE messages SET content = 'better', edited = "
        "true WHERE id = %s RETURNING updated_at", want["messageId"])[0][0])
    for c in (a, b):
        c.event("message_edit", room, {"orderId": order, "messageId":
            want["messageId"], "senderId": CLIENT, "receiverId": PERFORMER,
            "content": "better", "attachments": want["attachments"],
            "updatedAt": updated, "edited": True})
    w.nothing(a, room)


@case
def edit_while_held(w):
    """an UPDATE of a message still held releases it first"""
    order, room, a = chat(w, CLIENT)
    message, _ = insert_message(w, order)
    w.api("UPDATE messages SET content = 'at once' WHERE id = %s", message)
    f = a.event("order_message", room)
    same(f["data"]["messageId"], message, "messageId")
    g = a.event("message_edit", room)
    same(g["data"]["content"], "at once", "content")
    w.nothing(a, room)


@case
def delete(w):
    """deleted becoming true is message_delete, and no message_edit beside"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    want = post_message(w, order, files=["f"])
    for c in (a, b):
        c.event("order_message", room)
    w.api("UPDATE messages SET deleted = true, content = '' WHERE id = %s",
        want["messageId"])
    for c in (a, b):
        c.event("message_delete", room, {"orderId": order, "messageId":
            want["messageId"], "senderId": CLIENT, "receiverId": PERFORMER})
    w.api("UPDATE messages SET content = 'x' WHERE id = %s",
        want["messageId"])
    w.api("UPDATE messages SET deleted = true WHERE id = %s",
        want["messageId"])
    w.nothing(a, room, "nothing more of a deleted message")


@case
def silent_updates(w):
    """read, updated_at, type and edited alone send nothing"""
    order, room, a = chat(w, CLIENT)
    want = post_message(w, order)
    a.event("order_message", room)
    for change in ("read = true", "updated_at = now()", "type = 'file'",
            "edited = true", "content = content", "deleted = false"):
        w.api("UPDATE messages SET " + change + " WHERE id = %s",
            want["messageId"])
    w.nothing(a, room)


@case
def read_by_event(w):
    """mark_messages_read: read_at is set, the others hear it once"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    again = w.client(PERFORMER, deaf=BELLS)
    enter(again, "order", order)
    for i in range(5):
        want = post_message(w, order, content=str(i))
        for c in (a, b, again):
            c.event("order_message", room, want)
    mine = post_message(w, order, PERFORMER, CLIENT)
    for c in (a, b, again):
        c.event("order_message", room, mine)
    has(b.do("mark_messages_read", {"orderId": order}), {"ok": True}, "reply")
    at = w.root("SELECT read_at FROM messages WHERE order_id = %s AND "
        "sender_id = %s", order, CLIENT)
    same(len({r[0] for r in at}), 1, "one time for all")
    want = {"orderId": order, "readBy": PERFORMER, "readAt": iso(at[0][0])}
    a.event("messages_read", room, want)
    again.event("messages_read", room, want)
    same(w.root("SELECT read_at FROM messages WHERE id = %s",
        mine["messageId"])[0][0], None, "read_at of the reader's own message")
    has(b.do("mark_messages_read", {"orderId": order}), {"ok": True},
        "again, with nothing to read")
    w.nothing(b, room, "nothing at the reader's own socket")


@case
def read_by_hand(w):
    """500 messages marked read by one UPDATE are one event"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    w.db.psql("INSERT INTO messages (order_id, sender_id, receiver_id, "
        "content) SELECT '%s', '%s', '%s', i::text FROM "
        "generate_series(1, 500) i" % (order, CLIENT, PERFORMER))
    for c in (a, b):
        for i in range(1, 501):
            same(c.event("order_message", room)["data"]["content"], str(i),
                "content")
    w.api("UPDATE messages SET read = true, read_at = now() WHERE order_id = "
        "%s", order)
    for c in (a, b):
        f = c.event("messages_read", room)
        has(f["data"], {"orderId": order, "readBy": PERFORMER}, "data")
        check(TIME.match(f["data"]["readAt"]), "readAt: %s" % show(f))
    w.api("UPDATE messages SET read_at = now() WHERE order_id = %s", order)
    w.nothing(a, room, "nothing when read again")


@case
def members_only(w):
    """who is not in the chat can mark nothing as read"""
    order, room, a = chat(w, CLIENT)
    want = post_message(w, order)
    a.event("order_message", room)
    for user in (STRANGER, PERFORMER):
        c = w.client(user)
        c.refused("forbidden", type="send", event="mark_messages_read",
            data={"orderId": order})
    same(w.root("SELECT read_at FROM messages WHERE id = %s",
        want["messageId"])[0][0], None, "read_at")
    w.nothing(a, room)


@case
def typing(w):
    """order_typing goes to the others in the chat, on, off and on"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    again = w.client(CLIENT, deaf=BELLS)
    enter(again, "order", order)
    for on in (True, False, True, True):
        has(a.do("order_typing", {"orderId": order, "isTyping": on}),
            {"ok": True}, "reply")
        for c in (b, again):
            f = c.event("order_typing", room, {"orderId": order, "userId":
                CLIENT, "isTyping": on})
            check("id" not in f, "typing has an id")
    w.nothing(a, room, "nothing at the sender's socket")


@case
def typing_ends(w):
    """typing ends when the socket of who types goes, however it goes"""
    order, room, b = chat(w, PERFORMER)
    for how in ("cut", "close", "leave"):
        a = w.client(CLIENT, deaf=BELLS)
        enter(a, "order", order)
        a.do("order_typing", {"orderId": order, "isTyping": True})
        b.event("order_typing", room, {"orderId": order, "userId": CLIENT,
            "isTyping": True})
        if how == "cut":
            w.drop(a)
        elif how == "close":
            a.goodbye()
        else:
            a.do("leave_order_chat", {"orderId": order})
            w.drop(a)
        b.event("order_typing", room, {"orderId": order, "userId": CLIENT,
            "isTyping": False})
    w.nothing(b, room, "one end for each")


@case
def typing_rejected(w):
    """typing of who is not in the chat, or with bad data, reaches nobody"""
    order, room, b = chat(w, PERFORMER)
    c = w.client(CLIENT)
    c.refused("forbidden", type="send", event="order_typing",
        data={"orderId": order, "isTyping": True})
    enter(c, "order", order)
    for data in ({}, {"orderId": order, "isTyping": "maybe"},
            {"orderId": "x", "isTyping": True}, {"isTyping": True},
            {"orderId": None, "isTyping": True}, []):
        c.refused(("bad_request", "forbidden", "not_found"), type="send",
            event="order_typing", data=data)
    w.nothing(b, room)


@case
def messages_through_the_api(w):
    """order_message and dispute_message from a client do nothing"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    before = w.root("SELECT count(*) FROM messages")[0][0]
    for event in ("order_message", "dispute_message"):
        a.do(event, {"orderId": order, "content": "x", "disputeId": order})
    w.nothing(b, room)
    same(w.root("SELECT count(*) FROM messages")[0][0], before, "messages")


@case
def rolled_back(w):
    """a message that is rolled back is neither held nor sent"""
    order, room, a = chat(w, CLIENT)
    conn = w.db.connect("app_api", autocommit=False)
    with conn.cursor() as cur:
        cur.execute("INSERT INTO messages (order_id, sender_id, receiver_id, "
            "content) VALUES (%s, %s, %s, 'x')", (order, CLIENT, PERFORMER))
        cur.execute("INSERT INTO notifications (user_id, type, related_id) "
            "VALUES (%s, 'message', %s)", (PERFORMER, order))
        conn.rollback()
    conn.close()
    w.nothing(a, room)


@case
def one_transaction(w):
    """message, attachments and notification in one transaction: one event"""
    order, room, a = chat(w, CLIENT)
    conn = w.db.connect("app_api", autocommit=False)
    with conn.cursor() as cur:
        cur.execute("INSERT INTO messages (order_id, sender_id, receiver_id, "
            "content) VALUES (%s, %s, %s, 'x') RETURNING id",
            (order, CLIENT, PERFORMER))
        message = cur.fetchone()[0]
        for name in ("a", "b"):
            cur.execute("INSERT INTO message_attachments (message_id, "
                "file_url, file_name) VALUES (%s, '/', %s)", (message, name))
        cur.execute("INSERT INTO notifications (user_id, type, related_id) "
            "VALUES (%s, 'message', %s)", (PERFORMER, order))
    conn.commit()
    conn.close()
    f = a.event("order_message", room)
    same([x["fileName"] for x in f["data"]["attachments"]], ["a", "b"],
        "attachments")
    w.nothing(a, room)


@case
def cascade(w):
    """deleting an order with all below it sends no event"""
    order, room, a = chat(w, CLIENT)
    want = post_message(w, order, files=["f"])
    a.event("order_message", room, want)
    dispute = new_dispute(w, order)
    a.event("dispute_opened", room)
    w.api("INSERT INTO dispute_messages (dispute_id, sender_id, content) "
        "VALUES (%s, %s, 'x')", dispute, CLIENT)
    w.api("INSERT INTO order_status_history (order_id, status, changed_by) "
        "VALUES (%s, 'done', %s)", order, CLIENT)
    a.event("order_status_update", room)
    insert_message(w, order, content="held, and gone before it is due")
    w.api("DELETE FROM orders WHERE id = %s", order)
    w.emit("user:" + CLIENT, "end", {})
    frames = a.until(event="end")[:-1]
    for f in frames:
        check(f["type"] == "left" or f.get("event") == "order_message",
            "got %s" % show(f))
    check(len([f for f in frames if f["type"] == "event"]) <= 1,
        "events of a cascade: %s" % show(frames))


@case
def delete_rows(w):
    """a message row that is deleted sends nothing"""
    order, room, a = chat(w, CLIENT)
    want = post_message(w, order, files=["f"])
    a.event("order_message", room)
    w.api("DELETE FROM message_attachments WHERE message_id = %s",
        want["messageId"])
    w.api("DELETE FROM messages WHERE id = %s", want["messageId"])
    w.nothing(a, room)


@case
def leave_and_rejoin(w):
    """the old page leaves and rejoins on every render, and loses nothing"""
    order, room, a = chat(w, CLIENT)
    for i in range(5):
        has(a.do("leave_order_chat", {"orderId": order}), {"ok": True},
            "leave")
        want = post_message(w, order, content=str(i))
        ref = a.ref()
        a.send(type="send", event="join_order_chat", data={"orderId": order},
            ref=ref)
        frames = a.until(type="reply", ref=ref)
        has(frames[-1], {"ok": True}, "join")
        frames += a.until(event="order_message", room=room) if not [f for f
            in frames if f.get("event") == "order_message"] else []
        got = [f["data"] for f in frames if f.get("event") == "order_message"]
        same(got, [want], "messages of turn %d" % i)


@case
def other_chats(w):
    """a chat hears nothing of another order between the same people"""
    order, room, a = chat(w, CLIENT)
    other = new_order(w)
    post_message(w, other)
    w.nothing(a, room)


@case
def resume_chat(w):
    """a chat resumed by id has the messages written meanwhile"""
    order, room, a, b = chat(w, CLIENT, PERFORMER)
    want = post_message(w, order, content="0")
    last = a.event("order_message", room, want)["id"]
    w.drop(a)
    wants = [post_message(w, order, content=str(i), files=["x"])
        for i in range(1, 6)]
    a = w.client(CLIENT, deaf=BELLS)
    a.join(room, since=last)
    for want in wants:
        a.event("order_message", room, want)
    w.nothing(a, room)


if __name__ == "__main__":
    main(kind="market")
