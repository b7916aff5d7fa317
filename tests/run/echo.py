#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tests/echo PORT: the connection code echoes text and binary, to 16 MB."""

import atexit
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database
from lib.case import case, main
from lib.cluster import free_port
from lib.daemon import REPORT, die_with_parent
from lib.tap import Failed, check, same, wait_for
from lib.ws import BINARY, CONT, PING, TEXT, WebSocket, frame_bytes

MB = 1 << 20


class Echo:
    """The program, started when first needed."""

    def __init__(self):
        self.process = None
        self.port = 0

    def start(self):
        if self.process is not None:
            return
        self.port = free_port()
        self.process = subprocess.Popen([os.path.join(database.BUILDDIR,
            "tests", "echo"), str(self.port)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent)
        atexit.register(self.process.kill)

        def answers():
            check(self.process.poll() is None, "tests/echo has ended")
            try:
                self.open().shut()
                return True
            except (OSError, Failed):
                return False
        wait_for(answers, "tests/echo to answer")

    def open(self):
        ws = WebSocket(self.port, "/ws", timeout=60)
        same(ws.response.status, 101, "handshake")
        return ws


echo = Echo()


def back(ws, opcode, payload, what=""):
    """The echo must be the same kind with the same bytes."""
    got = ws.recv_message(60)
    if opcode == TEXT:
        payload = payload.decode()
    if got[0] != opcode or got[1] != payload:
        raise Failed("%s: %d bytes of kind %d came back as %d bytes of "
            "kind %d" % (what, len(payload), opcode, len(got[1]), got[0]))


@case
def small(w):
    """text and binary of every length class"""
    echo.start()
    ws = echo.open()
    for n in (0, 1, 2, 7, 124, 125, 126, 127, 128, 255, 256, 65534, 65535,
            65536, 65537, 200000):
        for opcode in (TEXT, BINARY):
            payload = (b"0123456789" * (n // 10 + 1))[:n]
            ws.send_frame(opcode, payload)
            back(ws, opcode, payload, "%d bytes" % n)
    payload = bytes(range(256)) * 50
    ws.send_frame(BINARY, payload)
    back(ws, BINARY, payload, "every byte")


@case
def large(w):
    """text and binary of 1, 4 and 16 MB"""
    echo.start()
    ws = echo.open()
    for n in (MB, 4 * MB, 16 * MB):
        payload = os.urandom(n)
        ws.send_frame(BINARY, payload)
        back(ws, BINARY, payload, "binary %d" % n)
        payload = ("\u00e9\U0001f600x" * (n // 7)).encode()
        ws.send_frame(TEXT, payload)
        back(ws, TEXT, payload, "text %d" % n)


@case
def large_in_pieces(w):
    """16 MB in fragments of 64 bytes to 4 MB, pings between"""
    echo.start()
    payload = os.urandom(16 * MB)
    for size in (1 << 12, 1 << 16, 1 << 20, 1 << 22):
        ws = echo.open()
        for at in range(0, len(payload), size):
            ws.send_frame(BINARY if at == 0 else CONT,
                payload[at:at + size], fin=at + size >= len(payload))
            if at % (4 * MB) == 0:
                ws.send_frame(PING, b"p")
        back(ws, BINARY, payload, "fragments of %d" % size)
        check(ws.pongs, "no pong")
        ws.shut()
    payload = payload[:256 * 1024]
    ws = echo.open()
    for at in range(0, len(payload), 64):
        ws.send_frame(BINARY if at == 0 else CONT, payload[at:at + 64],
            fin=at + 64 >= len(payload))
    back(ws, BINARY, payload, "fragments of 64")


@case
def chopped(w):
    """the same frame in writes of every size"""
    echo.start()
    ws = echo.open()
    frame = frame_bytes(TEXT, b"x" * 1000)
    for step in (1, 2, 3, 13, 14, 15, 500, 1007):
        ws.send_bytes(frame, step)
        back(ws, TEXT, b"x" * 1000, "steps of %d" % step)


@case
def bursts(w):
    """ten thousand small messages come back in order"""
    echo.start()
    ws = echo.open()
    for base in range(0, 10000, 500):
        ws.send_raw(b"".join(frame_bytes(TEXT, b"%d" % i)
            for i in range(base, base + 500)))
        for i in range(base, base + 500):
            back(ws, TEXT, b"%d" % i, "message %d" % i)


@case
def masks(w):
    """every kind of masking key unmasks"""
    echo.start()
    ws = echo.open()
    rng = random.Random(1)
    for key in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04",
            os.urandom(4)):
        for n in list(range(0, 40)) + [1021, 1022, 1023]:
            payload = bytes(rng.randrange(256) for _ in range(n))
            ws.send_frame(BINARY, payload, key=key)
            back(ws, BINARY, payload, "key %r, %d bytes" % (key, n))


GOOD = ("", "\u03ba\u1f79\u03c3\u03bc\u03b5", "\0", "\x7f", "\x80", "\u07ff",
    "\u0800", "\ud7ff", "\ue000", "\ufffd", "\uffff", "\U00010000",
    "\U0010ffff", "\ufeff", "\U0001f468\u200d\U0001f469")
BAD = (b"\x80", b"\xbf", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf",
    b"\xf8\x88\x80\x80\x80", b"\xfe", b"\xff", b"\xed\xa0\x80",
    b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xf4\x90\x80\x80", b"\xc2", b"\xe1\x80",
    b"\xf1\x80\x80", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
    b"edited")


@case
def good_utf8(w):
    """text at the edges of UTF-8, whole and cut at each byte"""
    echo.start()
    ws = echo.open()
    for text in GOOD:
        payload = text.encode()
        ws.send_frame(TEXT, payload)
        back(ws, TEXT, payload, repr(text))
        for cut in range(len(payload) + 1):
            ws.send_frame(TEXT, payload[:cut], fin=False)
            ws.send_frame(CONT, payload[cut:])
            back(ws, TEXT, payload, "%r cut at %d" % (text, cut))


@case
def bad_utf8(w):
    """what is not UTF-8 is closed with 1007; binary may hold it"""
    echo.start()
    for bad in BAD:
        for frames in (frame_bytes(TEXT, bad), frame_bytes(TEXT, b"ok" + bad),
                frame_bytes(TEXT, bad[:1], fin=False)
                + frame_bytes(CONT, bad[1:])):
            ws = echo.open()
            ws.send_raw(frames)
            same(ws.recv_close().code, 1007, "code for %r" % bad)
            ws.shut()
        ws = echo.open()
        ws.send_frame(BINARY, bad)
        back(ws, BINARY, bad, repr(bad))
        ws.shut()


@case
def too_big(w):
    """a byte over 16 MB is closed with 1009"""
    echo.start()
    ws = echo.open()
    try:
        ws.send_frame(BINARY, bytes(16 * MB + 1))
    except OSError:
        pass
    check(ws.recv_close(30).code in (1009, None), "not closed with 1009")
    ws = echo.open()
    ws.send_raw(frame_bytes(BINARY, b"", length=16 * MB + 1))
    same(ws.recv_close().code, 1009, "code by the header alone")


@case
def a_reader_that_waits(w):
    """who sends without reading gets all of it back later"""
    echo.start()
    ws = echo.open()
    payload = bytes(100000)
    sent = 0
    ws.sock.settimeout(3)
    try:
        for _ in range(100):
            ws.send_frame(BINARY, payload)
            sent += 1
    except (TimeoutError, OSError):
        pass                    # it stopped reading: that is its right
    check(sent > 0, "nothing could be sent")
    if sent == 100:
        for i in range(sent):
            back(ws, BINARY, payload, "message %d" % i)


@case
def the_end(w):
    """the program ends on SIGTERM with status 0 and without a report"""
    echo.start()
    ws = echo.open()
    ws.send_close(1000)
    same(ws.recv_close().code, 1000, "answer to a close")
    echo.process.terminate()
    try:
        text = echo.process.communicate(timeout=30)[0].decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise Failed("tests/echo does not end on SIGTERM")
    check(not REPORT.search(text), "a report:\n" + text[-4000:])
    same(echo.process.returncode, 0, "exit status")


if __name__ == "__main__":
    main(world=False)
