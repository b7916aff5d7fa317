# SPDX-License-Identifier: ISC
"""One WebSocket connection that never blocks: bytes in, messages out."""

import base64
import json
import os
import socket
import struct

CONNECT, UPGRADE, OPEN = "connect", "upgrade", "open"
CHUNK = 262144


class Ended(Exception):
    """The connection is over; code is None if no close frame came."""

    def __init__(self, code=None, reason=""):
        super().__init__("%s %s" % (code, reason))
        self.code = code
        self.reason = reason


def frame(opcode, payload):
    """A client's frame.  Its mask is all zero: a test hides nothing."""
    n = len(payload)
    head = struct.pack("!BB", 0x80 | opcode, 0x80 | n) if n < 126 else \
        struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, n)
    return head + b"\0\0\0\0" + payload


class Link:
    """From connect() to the end.  The owner watches fileno() and calls
    readable() and writable(); both raise Ended."""

    def __init__(self, port, path="/ws", token=None, rcvbuf=None):
        self.state = CONNECT
        self.data = bytearray()
        self.out = bytearray()
        self.sock = socket.socket()
        self.sock.setblocking(False)
        if rcvbuf is not None:      # before connect: it sets the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.connect_ex(("127.0.0.1", port))
        self.out += ("GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n"
            "Sec-WebSocket-Protocol: pgpush.v1\r\n%s\r\n" % (path, port,
            base64.b64encode(os.urandom(16)).decode(),
            "" if token is None else "Authorization: Bearer %s\r\n" % token
            )).encode()

    def fileno(self):
        return self.sock.fileno()

    def wants_write(self):
        return self.state == CONNECT or bool(self.out)

    def send(self, **what):
        self.out += frame(1, json.dumps(what).encode())

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

    def readable(self):
        """Read once; the whole messages that are there now."""
        try:
            chunk = self.sock.recv(CHUNK)
        except BlockingIOError:
            return []
        except OSError:
            raise Ended()
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

    def shut(self):
        self.sock.close()
