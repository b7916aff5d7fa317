#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Bad input of every kind: its stated error, and nothing else breaks.

After each a second client in the room must still get the next event.
"""

import json
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import case, main
from lib.tap import Failed, check, has, same, show
from lib.ws import (BINARY, CLOSE, CONT, PING, PONG, TEXT, Closed,
    frame_bytes)

ROOM = "open:bad"
NTH = [0]
PIN = b'{"type":"ping"}'


def witness(w):
    """The client that must notice nothing."""
    for c in w.clients:
        if c.user == "witness":
            return c
    return w.client("witness", [ROOM])


def unharmed(w, what):
    """The next event arrives at the witness."""
    seer = witness(w)
    NTH[0] += 1
    w.emit(ROOM, "still", {"n": NTH[0]})
    try:
        seer.event("still", ROOM, {"n": NTH[0]})
    except Failed as e:
        raise Failed("after %s: %s" % (what, e))
    check(w.daemon.alive(), "the daemon has ended after %s" % what)


def closes_with(w, code, raw, what):
    """These bytes from an authenticated client, and this close code."""
    witness(w)
    c = w.client("bad", [ROOM])
    try:
        c.send_raw(raw)
    except OSError:
        pass                # it may have closed before it got all
    try:
        c.closes(code)
    except (Failed, Closed) as e:
        raise Failed("%s: %s" % (what, e))
    w.drop(c)
    unharmed(w, what)


def text(payload, **how):
    return frame_bytes(TEXT, payload if isinstance(payload, bytes)
        else payload.encode(), **how)


NOT_FRAMES = (
    "", " ", "hello", "{", "}", '{"type":"ping"', '{"type":"ping"}}',
    '{"type":"ping"} {"type":"ping"}', "{'type':'ping'}", '{type:"ping"}',
    '{"type":"ping",}', '{"type":"ping" "ref":1}', '{"type":"\\x"}',
    "[]", '[{"type":"ping"}]', '"ping"', "1", "-",
    "null", "true", "NaN", "nul", '{"a":01}', '{"a":1e}', '{"a":"\t"}',
    '\ufeff{"type":"ping"}', "[" * 20000, '{"a":' * 5000,
    "\0", '{"type":"ping"}\0',
)


@case
def no_json(w):
    """what is not JSON or not an object is closed with 4400"""
    for payload in NOT_FRAMES:
        closes_with(w, 4400, text(payload), show(repr(payload), 60))


@case
def binary(w):
    """a binary message is closed with 4400"""
    for payload in (b"", b"\0\1\2", PIN, bytes(range(256)) * 16):
        closes_with(w, 4400, frame_bytes(BINARY, payload),
            "binary %r" % payload[:20])


FRAMING = (
    (1002, "unmasked", text(PIN, mask=False)),
    (1002, "unmasked close", frame_bytes(CLOSE, b"\x03\xe8", mask=False)),
    (1002, "RSV1", text(PIN, rsv=4)),
    (1002, "RSV2", text(PIN, rsv=2)),
    (1002, "RSV3", text(PIN, rsv=1)),
    (1002, "RSV on a ping", frame_bytes(PING, b"", rsv=4)),
    (1002, "opcode 3", frame_bytes(3, b"x")),
    (1002, "opcode 7", frame_bytes(7, b"x")),
    (1002, "opcode 11", frame_bytes(11, b"x")),
    (1002, "opcode 15", frame_bytes(15, b"")),
    (1002, "a ping of 126 bytes", frame_bytes(PING, b"x" * 126)),
    (1002, "a close of 126 bytes", frame_bytes(CLOSE, b"\x03\xe8"
        + b"x" * 124)),
    (1002, "a ping in fragments", frame_bytes(PING, b"x", fin=False)),
    (1002, "a close in fragments", frame_bytes(CLOSE, b"", fin=False)),
    (1002, "a continuation of nothing", frame_bytes(CONT, PIN)),
    (1002, "text in the middle of text", text(b'{"type"', fin=False)
        + text(PIN)),
    (1002, "binary in the middle of text", text(b'{"type"', fin=False)
        + frame_bytes(BINARY, PIN)),
    (1002, "16 bits for a short length", text(PIN, width=16)),
    (1002, "64 bits for a short length", text(PIN, width=64)),
    (1002, "64 bits for a length of 16", text(b'"' + b"x" * 998 + b'"',
        width=64)),
    (1002, "a negative length", text(b"", length=1 << 63, width=64)),
    (1002, "a close of one byte", frame_bytes(CLOSE, b"\x03")),
    (1002, "close 0", frame_bytes(CLOSE, b"\x00\x00")),
    (1002, "close 999", frame_bytes(CLOSE, b"\x03\xe7")),
    (1002, "close 1004", frame_bytes(CLOSE, b"\x03\xec")),
    (1002, "close 1005", frame_bytes(CLOSE, b"\x03\xed")),
    (1002, "close 1006", frame_bytes(CLOSE, b"\x03\xee")),
    (1002, "close 1015", frame_bytes(CLOSE, b"\x03\xf7")),
    (1002, "close 1016", frame_bytes(CLOSE, b"\x03\xf8")),
    (1002, "close 2999", frame_bytes(CLOSE, b"\x0b\xb7")),
    (1002, "close 5000", frame_bytes(CLOSE, b"\x13\x88")),
    (1002, "close 65535", frame_bytes(CLOSE, b"\xff\xff")),
    (1007, "close with a reason that is no UTF-8", frame_bytes(CLOSE,
        b"\x03\xe8\xff\xfe")),
    (1009, "max_message and a byte", text(b'{"type":"ping","x":"'
        + b"x" * (65536 - 21) + b'"}')),
    (1009, "a megabyte", text(b'{"x":"' + b"x" * 1000000 + b'"}')),
    (1009, "a length of 2^62, and none of it", text(b"", length=1 << 62)),
    (1009, "65 fragments of a kilobyte", text(b'{"x":"', fin=False)
        + frame_bytes(CONT, b"x" * 1024, fin=False) * 65),
)


@case
def framing(w):
    """each offence against RFC 6455 has its close code"""
    for code, what, raw in FRAMING:
        closes_with(w, code, raw, what)


NOT_UTF8 = (
    b"\xff", b"\xfe", b"\x80", b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80",
    b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80",
    b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xc3", b"\xe2\x82",
    b"\xf0\x9f\x98", b"\xc3(", b"abc\xed\xa0\xbdabc",
)


@case
def bad_utf8(w):
    """text that is not UTF-8 is closed with 1007, also across fragments"""
    for bad in NOT_UTF8:
        payload = b'{"type":"ping","x":"' + bad + b'"}'
        closes_with(w, 1007, text(payload), repr(bad))
        cut = 20 + len(bad) // 2
        closes_with(w, 1007, text(payload[:cut], fin=False)
            + frame_bytes(CONT, payload[cut:]), "in fragments %r" % bad)
    closes_with(w, 1007, text(b'{"type":"ping"}\xe2\x82'), "cut at the end")
    closes_with(w, 1007, text(b'{"\xff', fin=False), "seen before its end")


BAD_FIELDS = (
    {}, {"type": None}, {"type": 1}, {"type": []}, {"type": {}},
    {"type": ""}, {"type": "nothing"}, {"type": "JOIN"}, {"type": "event"},
    {"type": "welcome"}, {"type": "reply"},
    {"type": "join"}, {"type": "join", "room": None},
    {"type": "join", "room": 1}, {"type": "join", "room": []},
    {"type": "join", "room": {}}, {"type": "join", "room": ""},
    {"type": "join", "room": "open:x", "since": "1"},
    {"type": "join", "room": "open:x", "since": -1},
    {"type": "join", "room": "open:x", "since": 1, "epoch": 1},
    {"type": "leave"}, {"type": "leave", "room": 1},
    {"type": "leave", "room": None},
    {"type": "send"}, {"type": "send", "event": None},
    {"type": "send", "event": 1}, {"type": "send", "event": []},
    {"type": "send", "event": "echo", "room": 1},
    {"type": "send", "event": "echo", "room": []},
    {"type": "send", "event": "echo", "key": 1},
    {"type": "send", "event": "echo", "key": {}},
)


@case
def bad_fields(w):
    """an unknown type or a bad field: bad_request, and the session stays"""
    witness(w)
    c = w.client("bad", [ROOM])
    for i, frame in enumerate(BAD_FIELDS):
        c.send(**dict(frame, ref=i))
        r = c.next(type="reply")
        has(r, {"ref": i, "ok": False}, show(frame))
        c.error(r, "bad_request")
        unharmed(w, show(frame))
        c.event("still", ROOM)
    c.send(type="nothing")
    has(c.next(type="reply"), {"ref": None, "ok": False}, "without a ref")


UNFIT = (
    ('"type":"send","event":"echo","data":"\\ud800"', "data"),
    ('"type":"send","event":"echo","data":{"a":["\\ude00\\ud83d"]}', "data"),
    ('"type":"send","event":"echo","data":{"\\u0000":1}', "data"),
    ('"type":"send","event":"echo","data":[1e99999]', "data"),
    ('"type":"send","event":"echo","data":[%s1]' % ("1e308," * 300), "data"),
    ('"type":"send","event":"echo","data":1e-20000', "data"),
    ('"type":"send","event":"\\ud800"', "event"),
    ('"type":"join","room":"open:\\u0000"', "room"),
    ('"type":"\\ud800"', "type"),
)


@case
def unfit(w):
    """what the database would refuse: bad_request with its ref, no close"""
    c = w.client("bad", [ROOM])
    for i, (members, wrong) in enumerate(UNFIT):
        c.send_raw(text('{%s,"ref":%d}' % (members, i)))
        r = c.next(type="reply")
        has(r, {"ref": i, "ok": False}, members[:100])
        c.error(r, "bad_request")
        check(r["error"]["message"].endswith(": " + wrong), show(r))
    unharmed(w, "what is unfit")


@case
def bad_refs(w):
    """a ref that is neither text nor number: bad_request with ref null"""
    c = w.client("bad", [ROOM])
    for ref in ([], {}, True, [1], {"a": 1}):
        c.send(type="ping", ref=ref)
        r = c.next(type="reply")
        has(r, {"ref": None, "ok": False}, "ref %s" % show(ref))
        c.error(r, "bad_request")
    unharmed(w, "bad refs")


@case
def extra_members(w):
    """members that nobody knows are no offence"""
    c = w.client("bad", [ROOM])
    has(c.call(type="ping", later="x", more=[1, {"a": None}]), {"ok": True},
        "reply")


@case
def doubled(w):
    """a member given twice is either refused or one of the two"""
    witness(w)
    c = w.client("bad")
    c.send_text('{"type":"ping","type":"join","room":"open:x","ref":1}')
    try:
        r = c.next()
        same(r["type"], "reply", "type")
    except Failed as e:
        if "4400" not in str(e):
            raise
    unharmed(w, "a member twice")


@case
def odd_names(w):
    """a room or an id full of SQL and of controls is only a name"""
    witness(w)
    c = w.client("bad", [ROOM])
    for name in ("'; DROP TABLE pgpush.log; --", "$$", "%s%s%n", "\\", "{}",
            "\r\n\r\n", "\x01\x02", "../../etc/passwd", "\u202e", "a" * 150):
        c.call(type="join", room="open:" + name)
        c.call(type="join", room=name)
        c.call(type="send", event=name, data={name: name})
        unharmed(w, repr(name))
        c.until(event="still")
    same(w.root("SELECT to_regclass('pgpush.log') IS NOT NULL")[0][0], True,
        "pgpush.log is there")


@case
def cut_anywhere(w):
    """a connection cut at any byte of a frame harms nobody"""
    witness(w)
    token = w.token("bad")
    frame = text(json.dumps({"type": "auth", "token": token}))
    for n in list(range(0, 16)) + [len(frame) // 2, len(frame) - 1]:
        c = w.open()
        c.send_raw(frame[:n])
        w.drop(c)
    unharmed(w, "cut frames")


@case
def noise(w):
    """random bytes after the handshake harm nobody"""
    witness(w)
    rng = random.Random(20260101)
    for n in range(150):
        c = w.open()
        if n % 2:
            c.auth(w.token("noise"))
        data = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300)))
        if n % 3 == 0:
            data = frame_bytes(rng.choice((0, 1, 2, 8, 9, 10)), data,
                fin=rng.random() < 0.7)
        try:
            c.send_raw(data)
            c.send_close(1000)
        except OSError:
            pass
        w.drop(c)
    unharmed(w, "noise")


@case
def mutations(w):
    """good frames with a byte changed are answered or closed, never worse"""
    witness(w)
    rng = random.Random(7)
    good = [b'{"type":"join","room":"open:mut","since":3,"ref":1}',
        b'{"type":"send","event":"echo","data":{"a":[1,2]},"key":"k","ref":2}',
        b'{"type":"leave","room":"open:mut","ref":3}']
    c = None
    for n in range(300):
        if c is None:
            c = w.client("mut")
        frame = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 4)):
            frame[rng.randrange(len(frame))] = rng.choice(
                b'"{}[]:,\\x019 \x00ae')
        c.send_frame(TEXT, bytes(frame))
        c.send_frame(TEXT, b'{"type":"ping","ref":"sync"}')
        try:
            c.until(type="reply", ref="sync")
        except Failed as e:
            if "4400" not in str(e):
                raise Failed("after %r: %s" % (bytes(frame), e))
            w.drop(c)
            c = None
    unharmed(w, "mutations")


@case
def flood_of_pongs(w):
    """many unasked pongs, pings and empty fragments are borne"""
    witness(w)
    c = w.client("pongs")
    c.send_raw(frame_bytes(PONG, b"x" * 125) * 2000)
    c.send_raw(text(b'{"type":', fin=False) + frame_bytes(CONT, b"",
        fin=False) * 5000 + frame_bytes(CONT, b'"ping","ref":1}'))
    has(c.reply(1), {"ok": True}, "reply")
    unharmed(w, "pongs")


if __name__ == "__main__":
    main()
