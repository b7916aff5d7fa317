#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""RFC 6455 as the daemon speaks it: fragments, control frames, closing."""

import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import Failed, check, has, same, wait_for
from lib.ws import CLOSE, CONT, PING, PONG, TEXT, Closed, frame_bytes


def ask(ref):
    return b'{"type":"ping","ref":"%s"}' % ref.encode()


@case
def fragments(w):
    """a message in fragments of every size is one message"""
    c = w.client("frag")
    payload = ask("f")
    for size in (1, 2, 3, 7, len(payload) - 1):
        pieces = [payload[i:i + size] for i in range(0, len(payload), size)]
        for i, piece in enumerate(pieces):
            c.send_frame(TEXT if i == 0 else CONT, piece,
                fin=i == len(pieces) - 1)
        has(c.reply("f"), {"ok": True}, "reply to fragments of %d" % size)
    c.send_raw(frame_bytes(TEXT, b"", fin=False)
        + frame_bytes(CONT, b"", fin=False)
        + frame_bytes(CONT, payload, fin=False) + frame_bytes(CONT, b""))
    has(c.reply("f"), {"ok": True}, "reply to empty fragments")


@case
def control_between(w):
    """control frames between fragments are answered at once"""
    c = w.client("between")
    c.send_frame(TEXT, ask("x")[:5], fin=False)
    c.send_frame(PING, b"one")
    f = c.recv_frame()
    same((f.opcode, f.payload), (PONG, b"one"), "answer to the first ping")
    c.send_frame(CONT, ask("x")[5:9], fin=False)
    c.send_frame(PING, b"two")
    c.send_frame(PONG, b"unasked")
    f = c.recv_frame()
    same((f.opcode, f.payload), (PONG, b"two"), "answer to the second ping")
    c.send_frame(CONT, ask("x")[9:])
    has(c.reply("x"), {"ok": True}, "reply")


@case
def pings(w):
    """a ping is answered by a pong with its payload, 0 to 125 bytes"""
    c = w.client("pinger")
    for payload in (b"", b"x", bytes(range(125)), b"\xff\xfe"):
        c.send_frame(PING, payload)
        f = c.recv_frame()
        same((f.opcode, f.payload), (PONG, payload), "pong")
    for i in range(100):
        c.send_frame(PING, b"%d" % i)
    c.send_text(ask("after"))
    has(c.reply("after"), {"ok": True}, "reply after a hundred")
    same(c.pongs[-1], b"99", "the last pong")


@case
def close_handshake(w):
    """a close is answered by its code and the stream ends"""
    for code in (1000, 1001, 1003, 1007, 1011, 3000, 4000, 4999):
        c = w.client("closer")
        c.send_close(code, "bye \u00e9")
        closed = c.recv_close()
        same(closed.code, code, "code in answer to %d" % code)
        w.drop(c)
    c = w.client("closer")
    c.send_close(None)
    check(c.recv_close().code in (1000, 1005), "answer to an empty close")
    c = w.client("closer")
    c.send_close(1000, "x" * 123)
    same(c.recv_close().code, 1000, "answer to a reason of 123 bytes")


@case
def nothing_after_close(w):
    """what comes after a client's close is not looked at"""
    c = w.client("closer", ["open:close"])
    c.send_raw(frame_bytes(CLOSE, b"\x03\xe8")
        + frame_bytes(TEXT, b'{"type":"send","event":"echo"}')
        + b"\xff" * 50)
    c.close_sent = True
    same(c.recv_close().code, 1000, "answer")
    same(w.root("SELECT count(*) FROM app.calls WHERE user_id = 'closer' "
        "AND event = 'echo'")[0][0], 0, "calls")


@case
def close_in_a_message(w):
    """a close between fragments closes"""
    c = w.client("closer")
    c.send_frame(TEXT, b'{"type"', fin=False)
    c.send_close(1000)
    same(c.recv_close().code, 1000, "answer")


@case
def impolite(w):
    """a client that closes its half, or resets, is forgotten"""
    before = w.daemon.descriptors()
    for i in range(20):
        c = w.client("impolite", ["open:imp"])
        if i % 2:
            c.sock.shutdown(1)
            try:
                c.recv_close()
            except Closed:
                pass
        w.drop(c)
    wait_for(lambda: w.daemon.descriptors() <= before + 2,
        "the descriptors to be given back")


@case
def byte_by_byte(w):
    """frames that come a byte at a time are read"""
    c = w.client("slowly")
    c.send_bytes(frame_bytes(TEXT, ask("b")) + frame_bytes(PING, b"p")
        + frame_bytes(TEXT, ask("c"), width=7))
    has(c.reply("b"), {"ok": True}, "first reply")
    has(c.reply("c"), {"ok": True}, "second reply")
    same(c.pongs, [b"p"], "pongs")


@case
def all_at_once(w):
    """five hundred frames in one write are all answered, in order"""
    c = w.client("atonce")
    c.send_raw(b"".join(frame_bytes(TEXT, ask(str(i))) for i in range(500)))
    for i in range(500):
        same(c.next(type="reply")["ref"], str(i), "ref")


@case
def any_cut(w):
    """one stream of frames cut at random places is read the same"""
    rng = random.Random(42)
    c = w.client("cuts")
    for turn in range(5):
        stream = b""
        for i in range(30):
            payload = ask(str(i)) + b" " * rng.choice((0, 0, 100, 200, 3000))
            cut = rng.randrange(len(payload))
            if rng.random() < 0.5:
                stream += frame_bytes(TEXT, payload)
            else:
                stream += frame_bytes(TEXT, payload[:cut], fin=False)
                if rng.random() < 0.5:
                    stream += frame_bytes(PING, b"between")
                stream += frame_bytes(CONT, payload[cut:])
        at = 0
        while at < len(stream):
            n = rng.randrange(1, 2000)
            c.send_raw(stream[at:at + n])
            at += n
        for i in range(30):
            same(c.next(type="reply")["ref"], str(i), "ref")


def sized(n, ref):
    """A ping frame of exactly n bytes."""
    base = b'{"type":"ping","ref":"%s","x":""}' % ref.encode()
    return base[:-2] + b"x" * (n - len(base)) + base[-2:]


@case
def sizes(w):
    """messages of every length class up to max_message are read"""
    c = w.client("sizes")
    for n in (124, 125, 126, 127, 128, 1000, 4095, 4096, 4097, 16384, 32768,
            65534, 65535, 65536):
        payload = sized(n, "s")
        same(len(payload), n, "length made")
        c.send_text(payload)
        has(c.reply("s"), {"ok": True}, "reply to %d bytes" % n)
    half = sized(65536, "h")
    c.send_raw(frame_bytes(TEXT, half[:30000], fin=False)
        + frame_bytes(CONT, half[30000:]))
    has(c.reply("h"), {"ok": True}, "reply to the limit in two fragments")
    c.send_raw(frame_bytes(TEXT, sized(65537, "o")))
    c.closes(1009)


@case
def limit_is_a_setting(w):
    """max_message is obeyed where it is set"""
    other = World("app", max_message="1k")
    c = other.client("limit", token=other.token("limit"))
    c.send_text(sized(1024, "ok"))
    has(c.reply("ok"), {"ok": True}, "reply at the limit")
    c.send_text(sized(1025, "no"))
    c.closes(1009)
    same(other.close(), [], "end of the daemon")


@case
def utf8_across(w):
    """a character cut by fragments is whole again"""
    c = w.client("utf8")
    text = '{"type":"send","event":"echo","data":"\u00e9\u20ac\U0001f600",' \
        '"ref":"u"}'
    payload = text.encode()
    for cut in range(36, 47):
        c.send_frame(TEXT, payload[:cut], fin=False)
        c.send_frame(CONT, payload[cut:])
        r = c.reply("u")
        same(r["data"]["data"], "\u00e9\u20ac\U0001f600", "data")


@case
def server_pings(w):
    """the server pings; who answers stays, who does not is dropped"""
    other = World("app", ping_interval="2s")
    good = other.client("good", ["open:pings"])
    dead = other.client("dead", ["open:pings"])
    dead.answer_pings = False

    def reads(c):
        try:
            c.read(0.2)
        except Failed as e:
            if not str(e).startswith("no frame"):
                raise

    wait_for(lambda: (reads(good), good.pings >= 2)[1], "two pings")

    def dropped():
        reads(good)
        try:
            reads(dead)
        except Closed:
            return True
        return False

    wait_for(dropped, "the silent one to be dropped")
    check(dead.pings >= 1, "the dead one was never pinged")
    other.emit("open:pings", "x", {})
    good.event("x", "open:pings")
    same(other.close(), [], "end of the daemon")


@case
def big_event_out(w):
    """an event of every length class arrives in a good frame"""
    c = w.client("bigout", ["open:big"])
    for n in (0, 1, 50, 60, 70, 100, 1000, 65000, 65450, 65500, 65536, 70000,
            300000):
        w.emit("open:big", "b", {"x": "y" * n})
        same(len(c.event("b", "open:big")["data"]["x"]), n, "length")


if __name__ == "__main__":
    main()
