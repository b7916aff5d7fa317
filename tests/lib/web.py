# SPDX-License-Identifier: ISC
"""HTTP by hand, so that bad requests can be sent as well as good ones."""

import socket
import time

from .tap import LIMIT, Failed


class Response:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers      # names in lower case
        self.body = body

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:200])


def parse_head(head):
    """Status and headers from the bytes before the empty line."""
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or \
            not parts[1].isdigit():
        raise Failed("not a status line: %r" % lines[0])
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise Failed("not a header: %r" % line)
        headers[name.strip().lower()] = value.strip()
    return int(parts[1]), headers


def read_response(sock, limit=LIMIT, method="GET", data=b""):
    """One response from the socket; None if it closes without a byte."""
    end = time.monotonic() + limit

    def more():
        nonlocal data
        left = end - time.monotonic()
        if left <= 0:
            raise Failed("no whole response in %g s, only %r"
                % (limit, data[:300]))
        sock.settimeout(left)
        try:
            chunk = sock.recv(65536)
        except socket.timeout:
            raise Failed("no whole response in %g s, only %r"
                % (limit, data[:300]))
        except ConnectionResetError:
            chunk = b""
        data += chunk
        return bool(chunk)

    while b"\r\n\r\n" not in data:
        if not more():
            if not data:
                return None
            raise Failed("closed in the middle of a head: %r" % data[:300])
    head, _, data = data.partition(b"\r\n\r\n")
    status, headers = parse_head(head)
    if method == "HEAD" or status in (101, 204, 304):
        return Response(status, headers, data)
    if "content-length" in headers:
        length = int(headers["content-length"])
        while len(data) < length:
            if not more():
                raise Failed("body cut: %d of %d bytes" % (len(data), length))
        return Response(status, headers, data[:length])
    while more():
        pass
    return Response(status, headers, data)


def connect(port, timeout=LIMIT):
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(port, path, method="GET", headers=(), timeout=LIMIT):
    """One request on a connection of its own."""
    text = "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % (method, path, port)
    for name, value in dict(headers).items():
        text += "%s: %s\r\n" % (name, value)
    return raw(port, (text + "\r\n").encode("latin-1"), method, timeout)


def raw(port, data, method="GET", timeout=LIMIT):
    """Any bytes, and what comes back: a Response, or None if closed."""
    with connect(port, timeout) as sock:
        try:
            sock.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass
        return read_response(sock, timeout, method)
