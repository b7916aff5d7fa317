#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Requests one behind the other on a connection; bodies in chunks."""

import email.utils
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import web
from lib.case import World, case, main
from lib.tap import check, same

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


class Http:
    """One connection, and the answers that come on it."""

    def __init__(self, w):
        self.sock = web.connect(w.daemon.port)
        self.data = b""

    def send(self, data):
        self.sock.sendall(data)

    def answer(self, method="GET"):
        r = None
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, _, rest = self.data.partition(b"\r\n\r\n")
        status, headers = web.parse_head(head)
        n = 0 if method == "HEAD" else int(headers.get("content-length", 0))
        while len(rest) < n:
            self.more()
            rest = self.data.partition(b"\r\n\r\n")[2]
        self.data = rest[n:]
        r = web.Response(status, headers, rest[:n])
        return r

    def more(self):
        self.sock.settimeout(web.LIMIT)
        chunk = self.sock.recv(65536)
        check(chunk, "closed after %r" % self.data[-200:])
        self.data += chunk

    def ended(self):
        """The daemon has closed it, after these bytes."""
        self.sock.settimeout(web.LIMIT)
        try:
            while True:
                chunk = self.sock.recv(65536)
                if not chunk:
                    return self.data
                self.data += chunk
        except ConnectionResetError:
            return self.data


def post(w, body, chunks=None, user="a", close=False):
    """The bytes of POST /send; in chunks of that many bytes."""
    head = "POST /send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n" \
        "Content-Type: application/json\r\n" % w.token(user)
    if close:
        head += "Connection: close\r\n"
    body = json.dumps(body).encode()
    if chunks is None:
        return (head + "Content-Length: %d\r\n\r\n" % len(body)).encode() \
            + body
    out = (head + "Transfer-Encoding: chunked\r\n\r\n").encode()
    for i in range(0, len(body), chunks):
        part = body[i:i + chunks]
        out += b"%x;x=y\r\n%s\r\n" % (len(part), part)
    return out + b"0\r\nX-Trailer: z\r\n\r\n"


def echo(n):
    return {"event": "echo", "data": {"n": n}, "ref": n}


def echoed(r, n):
    same(r.status, 200, "status of %r" % r)
    reply = json.loads(r.body)
    same(reply["ref"], n, "ref")
    check(reply["ok"], "reply %r" % reply)
    same(reply["data"]["data"], {"n": n}, "what came back")


@case
def kept(w):
    """a connection serves one request after the other, deferred ones too"""
    h = Http(w)
    for i in range(3):
        h.send(GET)
        same(h.answer().status, 200, "GET %d" % i)
        h.send(post(w, echo(i)))
        echoed(h.answer(), i)
    h.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
    same(h.answer().status, 404, "no such path")
    h.send(GET.replace(b"GET", b"HEAD"))
    same(h.answer("HEAD").body, b"", "HEAD")
    h.send(post(w, echo(9), close=True))
    r = h.answer()
    echoed(r, 9)
    same(r.headers.get("connection"), "close", "Connection")
    same(h.ended(), b"", "after that")


@case
def pipelined(w):
    """requests sent together are answered in their order"""
    h = Http(w)
    h.send(b"".join(post(w, echo(n)) + GET for n in range(20)))
    for n in range(20):
        echoed(h.answer(), n)
        same(h.answer().body, b"ok\n", "GET behind %d" % n)
    one = b"".join(GET + post(w, echo(n), chunks=3) for n in range(3))
    for i in range(0, len(one), 7):
        h.send(one[i:i + 7])
    for n in range(3):
        same(h.answer().status, 200, "GET before %d" % n)
        echoed(h.answer(), n)


@case
def flood(w):
    """a client that asks without end and reads nothing takes no memory"""
    h = Http(w)
    h.sock.setblocking(False)
    sent = 0
    try:
        while sent < 200000000:
            sent += h.sock.send(GET * 1000)
    except BlockingIOError:
        pass
    check(sent < 100000000, "%d bytes were taken" % sent)
    h.sock.setblocking(True)
    same(h.answer().status, 200, "the first answer")
    w.get("/healthz")


@case
def chunked(w):
    """a body in chunks is a body, up to the limit"""
    for size in (1, 2, 7, 1000):
        h = Http(w)
        h.send(post(w, echo(size), chunks=size))
        echoed(h.answer(), size)
    h = Http(w)
    h.send(post(w, {"event": "echo", "data": "x" * 70000}, chunks=1000))
    same(h.answer().status, 413, "over max_message")
    h.ended()
    h = Http(w)
    h.send(post(w, echo(1)).replace(b"Content-Length",
        b"Transfer-Encoding: chunked\r\nContent-Length"))
    same(h.answer().status, 400, "both lengths")
    h.ended()


@case
def dated(w):
    """each answer has its Date; 426 names its Upgrade"""
    h = Http(w)
    h.send(GET)
    date = email.utils.parsedate_to_datetime(h.answer().headers["date"])
    check(abs(date.timestamp() - time.time()) < 60, "Date %r" % date)
    h.send(b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    r = h.answer()
    same((r.status, r.headers.get("upgrade")), (426, "websocket"), "answer")
    check("Upgrade" in r.headers.get("connection", ""), "Connection: %r"
        % r.headers)


@case
def old(w):
    """HTTP/1.0: kept if asked to be, else closed"""
    h = Http(w)
    h.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    same(h.answer().headers.get("connection"), "keep-alive", "Connection")
    h.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    same(h.answer().headers.get("connection"), "close", "Connection")
    h.ended()


@case
def idle(w):
    """one that asks no more is closed after auth_timeout"""
    other = World("app", auth_timeout="1s")
    h = Http(other)
    h.send(GET)
    same(h.answer().status, 200, "status")
    same(h.ended(), b"", "and nothing more")
    same(other.close(), [], "end of the daemon")


main(kind="app")
