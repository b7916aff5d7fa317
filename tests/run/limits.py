#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What one client may ask of the daemon, and what happens beyond it."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, has, same
from lib.web import request
from lib.ws import TEXT, Closed, frame_bytes


@case
def too_fast(w):
    """message_rate: rate_limited, then 1008; who asks little is not touched"""
    other = World("app", message_rate="2")
    quiet = other.client("quiet", ["open:rate"])
    c = other.client("fast", ["open:rate"])
    began = time.monotonic()
    c.send_raw(b"".join(frame_bytes(TEXT, b'{"type":"ping","ref":%d}' % ref)
        for ref in range(100)))
    answers = []
    try:
        while True:
            answers.append(c.read())
    except Closed as e:
        same(e.code, 1008, "close code")
    same([f["ref"] for f in answers], list(range(len(answers))), "refs")
    good = [f for f in answers if f["ok"]]
    bad = [f for f in answers if not f["ok"]]
    # Five seconds' worth is ten, of which auth and join were two; and two more
    # for each second that it took.
    most = 10 + 2 * (time.monotonic() - began)
    check(6 <= len(good) <= most, "%d pings were answered" % len(good))
    check(len(bad) >= 6, "%d pings were refused" % len(bad))
    for f in bad:
        has(f["error"], {"code": "rate_limited"}, "error")
    check(all(f["ok"] for f in answers[:6]), "first the good")
    other.nothing(quiet, "open:rate")
    same(other.close(), [], "end of the daemon")


@case
def any_rate(w):
    """message_rate = 0: as fast as may be"""
    other = World("app", message_rate="0")
    c = other.client("fast")
    for ref in range(3000):
        c.send(type="ping", ref=ref)
    for ref in range(3000):
        has(c.next(type="reply"), {"ok": True, "ref": ref}, "reply")
    same(other.close(), [], "end of the daemon")


@case
def connections(w):
    """max_connections: 503 beyond it, and room again when one has gone"""
    other = World("app", max_connections="2")
    a, b = other.client("a"), other.client("b")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    same(request(other.daemon.port, "/ws", headers=upgrade).status, 503,
        "status")
    same(request(other.daemon.port, "/healthz").status, 200, "healthz")
    b.goodbye()
    other.client("c")
    has(a.call(type="ping"), {"ok": True}, "reply")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
