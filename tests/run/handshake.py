#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""HTTP: the paths there are, good and bad requests, the upgrade, origins."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import web
from lib.case import World, case, main
from lib.client import Client
from lib.tap import Failed, check, has, same, show, wait_for
from lib.ws import Closed, WebSocket, frame_bytes, TEXT


@case
def head(w):
    """HEAD is answered like GET, without the body"""
    with web.connect(w.daemon.port) as sock:
        sock.sendall(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\n\r\n")
        data = b""
        while True:
            more = sock.recv(4096)      # until the daemon has closed
            if not more:
                break
            data += more
    top, empty, body = data.partition(b"\r\n\r\n")
    check(top.startswith(b"HTTP/1.1 200 "), "answer %r" % data)
    check(b"Content-Length: 3" in top, "length in %r" % top)
    same(body, b"", "body")


@case
def health(w):
    """/healthz and /readyz answer 200, other paths 404"""
    same(w.get("/healthz").status, 200, "/healthz")
    same(w.get("/readyz").status, 200, "/readyz")
    same(w.get("/healthz?x=1").status, 200, "/healthz with a query")
    for path in ("/", "/nothing", "/healthz/", "/ws/x", "/%00", "//", "*"):
        check(w.get(path).status in (400, 404), "GET %s: %r" % (path,
            w.get(path)))


@case
def methods(w):
    """a method that a path does not know is refused"""
    for method in ("POST", "PUT", "DELETE", "BREW"):
        status = w.get("/healthz", method=method,
            headers={"Content-Length": "0"}).status
        check(status in (400, 404, 405, 501), "%s: %d" % (method, status))


@case
def keep_alive(w):
    """two requests in one segment, one byte by byte; a close is announced"""
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with web.connect(w.daemon.port) as s:
        s.sendall(one + last)
        data = b""
        while True:
            chunk = s.recv(65536)
            if not chunk:
                break
            data += chunk
    if b"connection: close" not in data.lower().partition(b"\r\n\r\n")[0]:
        same(data.count(b"HTTP/1.1 200"), 2, "answers to two at once")
    else:
        same(data.count(b"HTTP/1.1 200"), 1, "answers before a close")
    with web.connect(w.daemon.port) as s:
        for i in range(len(last)):
            s.sendall(last[i:i + 1])
        same(web.read_response(s).status, 200, "a request byte by byte")


@case
def http_1_0(w):
    """an HTTP/1.0 request is answered and the connection closed"""
    with web.connect(w.daemon.port) as s:
        s.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        data = b""
        while True:
            chunk = s.recv(4096)
            if not chunk:
                break
            data += chunk
    check(b" 200 " in data.split(b"\r\n")[0], "got %r" % data[:100])


BAD = (
    (b"\r\n\r\n\r\n", (400, None)),
    (b"garbage\r\n\r\n", (400,)),
    (b"GET\r\n\r\n", (400,)),
    (b"GET /healthz\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/1.1\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400,)),
    (b"GET  /healthz  HTTP/1.1\r\nHost: a\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", (505,)),
    (b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/1.1\nHost: a\n\n", (400,)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", (400,)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", (400,)),
    (b"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\n", (405,)),
    (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\nab", (400,)),
    (b"POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        (400,)),
    (b"POST /healthz HTTP/1.1\r\nHost: a\r\n"
        b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
    (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        (414, 431)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 70000
        + b"\r\n\r\n", (431,)),
    (b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        (431,)),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200) +
        b"\r\n\r\n", (400, None)),
    (bytes(range(256)) * 8 + b"\r\n\r\n", (400,)),
)


@case
def bad_requests(w):
    """each bad request gets its status, and the next one is served"""
    for data, statuses in BAD:
        response = web.raw(w.daemon.port, data)
        got = response.status if response is not None else None
        check(got in statuses, "%s: got %r, expected one of %r" % (
            show(repr(data), 90), got, statuses))
        same(w.get("/healthz").status, 200, "/healthz afterwards")


@case
def bad_upgrades(w):
    """an upgrade that is not one is refused with its status"""
    table = (
        ({"Sec-WebSocket-Version": "8"}, (426,)),
        ({"Sec-WebSocket-Version": None}, (426, 400)),
        ({"Sec-WebSocket-Key": None}, (400,)),
        ({"Sec-WebSocket-Key": "short"}, (400,)),
        ({"Sec-WebSocket-Key": "!" * 24}, (400,)),
        ({"Connection": "close"}, (400, 426)),
        ({"Upgrade": "h2c"}, (426, 400)),
        ({"Upgrade": None, "Connection": None}, (426, 400)),
        ({"Host": None}, (400,)),
    )
    for headers, statuses in table:
        s = WebSocket(w.daemon.port, headers=headers)
        s.shut()
        check(s.response.status in statuses, "%r: %r, expected %r" % (headers,
            s.response, statuses))
        if s.response.status == 426:
            has(s.response.headers, {"sec-websocket-version": "13"},
                "headers of 426")
    s = WebSocket(w.daemon.port, path="/elsewhere")
    s.shut()
    same(s.response.status, 404, "an upgrade of an unknown path")


@case
def spelling(w):
    """names and tokens of the handshake are read in any case and place"""
    s = WebSocket(w.daemon.port, headers={"Upgrade": None, "Connection": None,
        "uPGRADE": "WebSocket", "CONNECTION": "keep-alive, uPgRaDe"})
    s.shut()
    same(s.response.status, 101, "handshake")


@case
def subprotocol(w):
    """pgpush.v1 is chosen when offered, and nothing when it is not"""
    for offer, want in ((["pgpush.v1"], "pgpush.v1"),
            (["soap", "pgpush.v1"], "pgpush.v1"), (None, None),
            (["soap"], None)):
        c = w.open(protocols=offer)
        same(c.protocol, want, "protocol chosen of %r" % offer)
        c.auth(w.token("sub"))
        w.drop(c)


@case
def eager(w):
    """frames sent with the request, before its answer, are read"""
    token = w.token("eager")
    frame = frame_bytes(TEXT, ('{"type":"auth","token":"%s"}'
        % token).encode())
    ping = frame_bytes(TEXT, b'{"type":"ping","ref":"early"}')
    request = ("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: pgpush.v1\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()
    with web.connect(w.daemon.port) as sock:
        sock.sendall(request + frame + ping)
        data = b""
        sock.settimeout(60)
        while b'"early"' not in data:
            chunk = sock.recv(4096)
            check(chunk, "closed after %r" % data[-200:])
            data += chunk
    check(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in data, "no 101 in %r" % data[:300])
    check(b'"welcome"' in data, "no welcome in %r" % data)


@case
def origins(w):
    """with origins set only they may connect; others are closed with 4403"""
    other = World("app", origins="https://good.example, https://too.example")
    for origin in ("https://good.example", "https://too.example"):
        c = other.open(headers={"Origin": origin})
        c.auth(other.token("o"))
    for origin in ("https://evil.example", "https://good.example.evil.example",
            "http://good.example", "null", "https://good.example:444"):
        c = other.open(headers={"Origin": origin})
        c.closes(4403)
    same(other.close(), [], "end of the daemon")


@case
def any_origin(w):
    """without origins every page may connect"""
    w.client("o", headers={"Origin": "https://any.example"})


@case
def too_many(w):
    """over max_connections a new one is turned away, the others live on"""
    other = World("app", max_connections=4)
    clients = [other.client("m%d" % i, ["open:m"]) for i in range(4)]
    try:
        c = Client(other.daemon.port)
        other.clients.append(c)
        if c.response.status == 101:
            c.closes(1013)
        else:
            same(c.response.status, 503, "status of the fifth")
    except (Closed, ConnectionResetError):
        pass
    except Failed as e:
        if "closed without an answer" not in str(e):
            raise
    other.emit("open:m", "still", {})
    for c in clients:
        c.event("still", "open:m")
    same(other.close(), [], "end of the daemon")


@case
def slow_request(w):
    """a request that does not end is given up"""
    other = World("app", auth_timeout="3s")
    with web.connect(other.daemon.port) as s:
        s.sendall(b"GET /ws HTTP/1.1\r\nHos")
        s.settimeout(60)
        while s.recv(4096):
            pass
    c = other.client("patient")
    c.position()
    same(other.close(), [], "end of the daemon")


@case
def silent_connections(w):
    """a hundred connections that say nothing or go at once do no harm"""
    before = w.daemon.descriptors()
    socks = [web.connect(w.daemon.port) for _ in range(100)]
    for s in socks[::2]:
        s.sendall(b"GET /ws HT")
    for s in socks:
        s.close()
    w.client("after").position()
    wait_for(lambda: w.daemon.descriptors() <= before + 10,
        "the descriptors of closed connections to be given back")


if __name__ == "__main__":
    main()
