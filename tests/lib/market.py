# SPDX-License-Identifier: ISC
"""The marketplace as its API writes it: one statement, one transaction."""

import datetime
import re
import uuid

from .database import (ADMIN, CLIENT, DISPUTE, MODERATOR, OPEN_ORDER, ORDER,
    ORDER2, PERFORMER, STRANGER)
from .tap import check, has, same, show

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
PARTIES = (CLIENT, PERFORMER, ADMIN)


def new_id():
    return str(uuid.uuid4())


def iso(time):
    """A time of the database as it must be on the wire: UTC, milliseconds."""
    time = time.astimezone(datetime.timezone.utc)
    return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S"),
        time.microsecond // 1000)


def new_order(w, client=CLIENT, performer=PERFORMER):
    """An order of its own for a test."""
    return w.api("INSERT INTO orders (client_id, performer_id, title, status) "
        "VALUES (%s, %s, 'An order', 'in_progress') RETURNING id", client,
        performer)[0][0]


def new_dispute(w, order, moderator=MODERATOR):
    return w.api("INSERT INTO disputes (order_id, client_id, performer_id, "
        "moderator_id, reason) SELECT id, client_id, performer_id, %s, "
        "'late' FROM orders WHERE id = %s RETURNING id", moderator,
        order)[0][0]


def insert_message(w, order, sender=CLIENT, receiver=PERFORMER,
        content="hello"):
    """The message's row: (id, created_at as on the wire)."""
    row = w.api("INSERT INTO messages (order_id, sender_id, receiver_id, "
        "content) VALUES (%s, %s, %s, %s) RETURNING id, created_at", order,
        sender, receiver, content)[0]
    return row[0], iso(row[1])


def attach_file(w, message, name="a.png"):
    """A message_attachments row; what the event shows of it."""
    url = "/files/" + name
    row = w.api("INSERT INTO message_attachments (message_id, file_url, "
        "file_name, file_size, file_type) VALUES (%s, %s, %s, 10, 'image/png')"
        " RETURNING id", message, url, name)
    return {"id": row[0][0], "fileUrl": url, "fileName": name}


def post_dispute_message(w, dispute, sender=CLIENT, content="hello"):
    """A dispute_messages row; its id."""
    return w.api("INSERT INTO dispute_messages (dispute_id, sender_id, "
        "content) VALUES (%s, %s, %s) RETURNING id", dispute, sender,
        content)[0][0]


def mute_row(w, user, until, by=None, reason="", order=None, dispute=None):
    """A room_mutes row as the API writes it; until: SQL, or None."""
    w.api("INSERT INTO room_mutes (order_id, dispute_id, user_id, until, "
        "\"by\", reason) VALUES (%%s, %%s, %%s, %s, %%s, %%s) "
        "ON CONFLICT (room, user_id) DO UPDATE SET until = excluded.until, "
        "\"by\" = excluded.\"by\", reason = excluded.reason"
        % (until or "NULL"), order, dispute, user, by, reason)


def notify(w, user, kind="message", content="You have a message",
        related=None):
    """A notifications row; what the event shows of it."""
    row = w.api("INSERT INTO notifications (user_id, type, content, "
        "related_id) VALUES (%s, %s, %s, %s) RETURNING id, created_at", user,
        kind, content, related)[0]
    return {"id": row[0], "userId": user, "type": kind, "content": content,
        "relatedId": related, "createdAt": iso(row[1])}


def post_message(w, order, sender=CLIENT, receiver=PERFORMER, content="hello",
        files=()):
    """All that the API does for POST message; the event's data."""
    message, created = insert_message(w, order, sender, receiver, content)
    attachments = [attach_file(w, message, name) for name in files]
    notify(w, receiver, related=order)
    return message_data(order, message, sender, receiver, content,
        attachments, created)


def message_data(order, message, sender, receiver, content, attachments,
        created):
    return {"orderId": order, "messageId": message, "senderId": sender,
        "receiverId": receiver, "content": content,
        "attachments": attachments, "createdAt": created}


def enter(c, kind, ident):
    """join_order_chat or join_dispute_chat as the old front end sends it."""
    room = "%s:%s" % (kind, ident)
    ref = c.ref()
    c.send(type="send", event="join_%s_chat" % kind,
        data={kind + "Id": ident}, ref=ref)
    frames = c.until(type="reply", ref=ref)
    has(frames[-1], {"ok": True}, "reply to join_%s_chat" % kind)
    joined = [f["room"] for f in frames if f["type"] == "joined"]
    check(room in joined, "%s not among the rooms joined: %s" % (room,
        show(joined)))
    told = [f for f in frames if f.get("event") == "joined_%s_chat" % kind]
    if not told:
        told = [c.next(type="event", event="joined_%s_chat" % kind)]
    same(told[0]["data"], {kind + "Id": ident}, "data of joined_%s_chat"
        % kind)
    return room


def refused(c, kind, ident, message):
    """The same, which must be refused with these words, told both ways."""
    ref = c.ref()
    c.send(type="send", event="join_%s_chat" % kind,
        data={kind + "Id": ident}, ref=ref)
    frames = c.until(type="reply", ref=ref)
    has(frames[-1], {"ok": False}, "reply for %s" % show(ident))
    same(frames[-1]["error"]["message"], message, "message of the error")
    told = [f for f in frames if f.get("event") == "error"]
    if not told:
        told = [c.next(type="event", event="error")]
    same(told[0]["data"], {"message": message}, "data of the event error")
    check(not [f for f in frames if f["type"] == "joined"],
        "joined something: %s" % show(frames))


def no_event(w, client, user, what="nothing"):
    """Nothing is on its way to this client, shown in the user's own room."""
    w.nothing(client, "user:" + user, what)


__all__ = ["ADMIN", "CLIENT", "DISPUTE", "MODERATOR", "OPEN_ORDER", "ORDER",
    "ORDER2", "PARTIES", "PERFORMER", "STRANGER", "TIME", "attach_file",
    "enter", "insert_message", "iso", "message_data", "mute_row",
    "new_dispute", "new_id", "new_order", "no_event", "notify",
    "post_dispute_message", "post_message", "refused"]
