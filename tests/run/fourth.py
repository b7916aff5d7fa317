#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tests/lines.c, a dialect made of one file and one row of a table."""

import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database, web
from lib.case import case, main
from lib.tap import Failed, check, same

database.pgpushd = lambda: os.path.join(database.BUILDDIR, "tests", "lines")


class Lines:
    """A stream of lines: the session's, or a new session."""

    def __init__(self, w, user, session=None):
        self.w = w
        self.token = w.token(user)
        self.sock = web.connect(w.daemon.port)
        self.data = b""
        path = "/lines" + ("?session=" + session if session else "")
        self.sock.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n"
            "Authorization: Bearer %s\r\n\r\n" % (path, self.token)).encode())
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        self.status = web.parse_head(head)[0]
        self.session = session
        if session is None:
            self.session = self.line().split()[1]

    def more(self):
        self.sock.settimeout(web.LIMIT)
        try:
            chunk = self.sock.recv(65536)
        except socket.timeout:
            raise Failed("no line, only %r" % self.data[-300:])
        if not chunk:
            raise Failed("the stream has ended: %r" % self.data[-300:])
        self.data += chunk

    def line(self):
        while b"\n" not in self.data:
            self.more()
        line, _, self.data = self.data.partition(b"\n")
        return line.decode()

    def command(self, text, token=None):
        return web.raw(self.w.daemon.port, ("POST /lines?session=%s HTTP/1.1"
            "\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
            "Content-Length: %d\r\n\r\n%s" % (self.session,
            token or self.token, len(text), text)).encode(), "POST")

    def ok(self, text):
        r = self.command(text)
        answer = r.body.decode()
        check(r.status == 200 and answer.startswith("ok "),
            "%s: %d %r" % (text, r.status, answer))
        return answer.split(None, 1)[1].strip()

    def close(self):
        self.sock.close()


@case
def events(w):
    """events are lines; each reply is the answer to its own request"""
    s = Lines(w, "a")
    check(s.ok("join open:one").startswith("open:one "), "joined")
    w.emit("open:one", "news", {"n": 1})
    same(s.line(), 'event open:one news {"n": 1}', "the event")
    same(s.ok('send echo {"x":19.990}').count("19.990"), 1, "the echo")
    r = s.command("join closed:one")
    check(r.body.startswith(b"error forbidden "), "refused: %r" % r)
    check(s.command("nothing").body.startswith(b"error bad_request "), "verb")
    s.ok("leave open:one")
    s.ok("join open:two")
    w.emit("open:one", "news", {"n": 2})
    w.emit("open:two", "news", {"n": 3})
    same(s.line(), 'event open:two news {"n": 3}', "after leaving")
    s.close()


@case
def carried_on(w):
    """the session survives its connection, and another goes on with it"""
    s = Lines(w, "a")
    s.ok("join open:on")
    w.emit("open:on", "news", {"n": 1})
    s.line()
    s.close()
    for n in range(2, 30):
        w.emit("open:on", "news", {"n": n})
    check(s.ok("ping") != "", "a command while nobody carries it")
    again = Lines(w, "a", session=s.session)
    same(again.status, 200, "another connection")
    for n in range(2, 30):
        same(again.line(), 'event open:on news {"n": %d}' % n, "event")
    w.emit("open:on", "news", {"n": 30})
    same(again.line(), 'event open:on news {"n": 30}', "a live one")
    same(Lines(w, "b", session=s.session).status, 404, "another user")
    again.close()


@case
def beside(w):
    """an event is text once for each dialect: native, SSE and lines agree"""
    s = Lines(w, "a")
    s.ok("join open:all")
    c = w.client("b", ["open:all"])
    for n in range(50):
        w.emit("open:all", "news", {"n": n})
    for n in range(50):
        same(s.line(), 'event open:all news {"n": %d}' % n, "lines")
        c.event("news", "open:all", {"n": n})
    s.close()


main(kind="app")
