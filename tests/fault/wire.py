# SPDX-License-Identifier: ISC
"""Connections that never block: bytes in, messages out."""

import base64
import json
import os
import socket
import struct

from lib.sse import Parser, address
from lib.web import parse_head

CONNECT, UPGRADE, OPEN = "connect", "upgrade", "open"
CHUNK = 262144
BEARER = "Authorization: Bearer %s\r\n"


class Ended(Exception):
    """The connection is over; code is None if no close frame came.  status:
    of an answer that was none of those wished for."""

    def __init__(self, code=None, reason="", status=None):
        super().__init__("%s %s" % (code, reason))
        self.code = code
        self.reason = reason
        self.status = status


def frame(opcode, payload):
    """A client's frame.  Its mask is all zero: a test hides nothing."""
    n = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, 0x80 | n) if n < 126 else \
        struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, n)
    return head + b"\0\0\0\0" + payload


class Connection:
    """From connect() to the end.  The owner watches fileno() and calls
    readable() and writable(); both raise Ended."""

    def __init__(self, port, request, rcvbuf=None):
        self.state = CONNECT
        self.data = bytearray()
        self.out = bytearray(request.encode())
        self.hello = None
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if rcvbuf is not None:      # before connect: it sets the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect_ex(("127.0.0.1", port))

    def fileno(self):
        return self.sock.fileno()

    def wants_write(self):
        return self.state == CONNECT or bool(self.out)

    def writable(self):
        if self.state == CONNECT:
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise Ended()
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.state = UPGRADE
        try:
            if self.out:
                del self.out[:self.sock.send(self.out)]
        except BlockingIOError:
            pass
        except OSError:
            raise Ended()

    def chunk(self):
        """Read once; None if there is nothing, b"" at the end."""
        try:
            return self.sock.recv(CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            raise Ended()

    def goodbye(self):
        pass

    def shut(self):
        self.sock.close()


class Link(Connection):
    """A WebSocket."""

    def __init__(self, port, path="/ws", token=None, rcvbuf=None):
        super().__init__(port, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
            "Sec-WebSocket-Protocol: pgpush.v1\r\n%s\r\n" % (path, port,
            base64.b64encode(os.urandom(16)).decode(),
            "" if token is None else BEARER % token), rcvbuf)

    def send(self, **what):
        self.out += frame(1, json.dumps(what).encode())

    def readable(self):
        """Read once; the whole messages that are there now."""
        chunk = self.chunk()
        if chunk is None:
            return []
        if not chunk:
            raise Ended()
        self.data += chunk
        if self.state != OPEN and not self.upgraded():
            return []
        return self.messages()

    def upgraded(self):
        end = self.data.find(b"\r\n\r\n")
        if end == -1:
            return False
        if not self.data.startswith(b"HTTP/1.1 101 "):
            raise Ended(None, bytes(self.data[:60]).decode("latin-1"))
        del self.data[:end + 4]
        self.state = OPEN
        return True

    def messages(self):
        data, at, found = self.data, 0, []
        while len(data) - at >= 2:
            b0, n, head = data[at], data[at + 1], 2
            if n == 126:
                if len(data) - at < 4:
                    break
                n, head = struct.unpack_from("!H", data, at + 2)[0], 4
            elif n == 127:
                if len(data) - at < 10:
                    break
                n, head = struct.unpack_from("!Q", data, at + 2)[0], 10
            if len(data) - at < head + n:
                break
            payload = bytes(data[at + head:at + head + n])
            at += head + n
            if b0 == 0x81:
                found.append(payload)
            else:
                self.control(b0, payload, found)
        del data[:at]
        return found

    def control(self, b0, payload, found):
        if b0 == 0x89:
            self.out += frame(10, payload)
        elif b0 == 0x88:
            found.append(Ended(
                struct.unpack("!H", payload[:2])[0] if payload else 1005,
                payload[2:].decode()))
        elif b0 != 0x8a:
            found.append(Ended(None, "an odd frame %02x" % b0))

    def goodbye(self):
        """A close frame, as far as it goes without waiting."""
        try:
            self.sock.send(frame(8, struct.pack("!H", 1000)))
        except OSError:
            pass


class EventLink(Connection):
    """A stream of server-sent events; last is its Last-Event-ID."""

    def __init__(self, port, rooms, token, last=None, rcvbuf=None):
        super().__init__(port, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s"
            "%s\r\n" % (address(rooms), port, BEARER % token,
            "" if last is None else "Last-Event-ID: %s\r\n" % last), rcvbuf)
        self.parser = Parser()

    def readable(self):
        """Read once; the events that are whole now."""
        chunk = self.chunk()
        if chunk is None:
            return []
        if not chunk:
            raise Ended()
        if self.state != OPEN:
            self.data += chunk
            if not self.begun():
                return []
            chunk = bytes(self.data)
        return self.parser.feed(chunk)

    def begun(self):
        """Whether the head is there; it is taken off."""
        head, end, rest = bytes(self.data).partition(b"\r\n\r\n")
        if not end:
            return False
        status, _ = parse_head(head)
        if status != 200:
            raise Ended(None, rest.decode("latin-1"), status)
        self.state = OPEN
        self.data = bytearray(rest)
        return True


class PostLink(Connection):
    """POST /send of one frame."""

    def __init__(self, port, token, what):
        body = json.dumps(what)
        super().__init__(port, "POST /send HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            "%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (port, BEARER % token, len(body.encode()), body))

    def readable(self):
        """Status and frame, once both are there; None before."""
        chunk = self.chunk()
        if chunk is None:
            return None
        self.data += chunk
        head, end, body = bytes(self.data).partition(b"\r\n\r\n")
        if end:
            status, headers = parse_head(head)
            if len(body) >= int(headers["content-length"]):
                return status, json.loads(body)
        if not chunk:
            raise Ended()
        return None
