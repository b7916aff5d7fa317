# SPDX-License-Identifier: ISC
"""A WebSocket client written from RFC 6455 for tests.

It can say everything, also what no client may say, and it believes nothing:
a frame from the server that is masked, has a reserved bit, is longer than its
length needs, or is text that is not UTF-8 fails the test.
"""

import base64
import hashlib
import os
import socket
import struct
import time

from . import web
from .tap import LIMIT, Failed, show

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def mask_bytes(key, data):
    """Payload xor key, quickly also for many megabytes."""
    n = len(data)
    if n == 0:
        return b""
    pad = (key * (n // 4 + 1))[:n]
    return (int.from_bytes(data, "little")
        ^ int.from_bytes(pad, "little")).to_bytes(n, "little")


def frame_bytes(opcode, payload=b"", fin=True, mask=True, rsv=0, length=None,
        width=None, key=None):
    """A frame.  length lies about the payload's, width (7, 16 or 64) forces
    how it is written, mask=False leaves the mask out."""
    n = len(payload) if length is None else length
    out = bytearray([(0x80 if fin else 0) | (rsv << 4) | opcode])
    if width is None:
        width = 7 if n < 126 else 16 if n < 65536 else 64
    bit = 0x80 if mask else 0
    if width == 7:
        out.append(bit | n)
    elif width == 16:
        out.append(bit | 126)
        out += struct.pack("!H", n)
    else:
        out.append(bit | 127)
        out += struct.pack("!Q", n)
    if mask:
        key = os.urandom(4) if key is None else key
        out += key
        payload = mask_bytes(key, payload)
    return bytes(out) + payload


class Frame:
    def __init__(self, fin, opcode, payload):
        self.fin = fin
        self.opcode = opcode
        self.payload = payload


class Closed(Exception):
    """The server ended it: a close frame, or the end of the stream."""

    def __init__(self, code, reason=""):
        super().__init__("closed by the server: %s %r" % (code, reason))
        self.code = code        # None: no close frame came
        self.reason = reason


class WebSocket:
    """A connection, upgraded unless the server says no (then .response)."""

    def __init__(self, port, path="/ws", protocols=None, headers=(),
            timeout=LIMIT, request=None, rcvbuf=None, source=None,
            wrap=None):
        """wrap: puts TLS around the socket."""
        self.sock = socket.socket()
        if rcvbuf is not None:      # before connect: it sets the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source is not None:      # an address of the loopback network
            self.sock.bind((source, 0))
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if wrap is not None:
            self.sock = wrap(self.sock)
        self.data = bytearray()
        self.pongs = []             # payloads of pongs that came
        self.pings = 0
        self.answer_pings = True
        self.close_sent = False
        self.key = base64.b64encode(os.urandom(16)).decode()
        self.response = None
        self.protocol = None
        if request is None:
            request = self.request(port, path, protocols, headers)
        self.sock.sendall(request)
        self.handshake(protocols, timeout)

    def request(self, port, path, protocols, headers):
        """The upgrade; a header given as None is left out."""
        lines = {
            "Host": "127.0.0.1:%d" % port,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key,
            "Sec-WebSocket-Version": "13",
        }
        if protocols:
            lines["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        lines.update(dict(headers))
        text = "GET %s HTTP/1.1\r\n" % path
        for name, value in lines.items():
            if value is not None:
                text += "%s: %s\r\n" % (name, value)
        return (text + "\r\n").encode("latin-1")

    def handshake(self, protocols, timeout):
        response = web.read_response(self.sock, timeout)
        if response is None:
            raise Failed("closed without an answer to the handshake")
        self.response = response
        if response.status != 101:
            return
        h = response.headers
        accept = base64.b64encode(hashlib.sha1(self.key.encode()
            + GUID).digest()).decode()
        if h.get("upgrade", "").lower() != "websocket" or \
                "upgrade" not in h.get("connection", "").lower() or \
                h.get("sec-websocket-accept") != accept:
            raise Failed("a bad handshake: %r" % h)
        if "sec-websocket-extensions" in h:
            raise Failed("an extension nobody asked for: %r" % h)
        self.protocol = h.get("sec-websocket-protocol")
        if self.protocol is not None and \
                self.protocol not in (protocols or []):
            raise Failed("a subprotocol nobody asked for: %r" % self.protocol)
        self.data += response.body

    # -- out

    def send_raw(self, data):
        self.sock.sendall(data)

    def send_frame(self, opcode, payload=b"", **how):
        self.send_raw(frame_bytes(opcode, payload, **how))

    def send_text(self, text):
        self.send_frame(TEXT, text.encode() if isinstance(text, str) else text)

    def send_bytes(self, data, step=1):
        """The same bytes in pieces of their own segments."""
        for i in range(0, len(data), step):
            self.send_raw(data[i:i + step])

    def send_close(self, code=1000, reason=""):
        self.close_sent = True
        payload = b"" if code is None else struct.pack("!H", code) \
            + reason.encode()
        self.send_frame(CLOSE, payload)

    # -- in

    def fill(self, end):
        left = end - time.monotonic()
        if left <= 0:
            raise socket.timeout()
        self.sock.settimeout(left)
        try:
            chunk = self.sock.recv(262144)
        except (ConnectionResetError, BrokenPipeError):
            chunk = b""
        if not chunk:
            raise Closed(None, "end of stream")
        self.data += chunk

    def need(self, n, end):
        while len(self.data) < n:
            self.fill(end)

    def recv_frame(self, limit=LIMIT, end=None):
        """The next frame as it is; Failed if none comes, Closed at the end."""
        end = time.monotonic() + limit if end is None else end
        try:
            self.need(2, end)
            b0, b1 = self.data[0], self.data[1]
            n, at = b1 & 0x7f, 2
            if b0 & 0x70:
                raise Failed("reserved bits from the server: %02x" % b0)
            if b1 & 0x80:
                raise Failed("a masked frame from the server")
            if n == 126:
                self.need(4, end)
                n, at = struct.unpack_from("!H", self.data, 2)[0], 4
                if n < 126:
                    raise Failed("a length of %d in 16 bits" % n)
            elif n == 127:
                self.need(10, end)
                n, at = struct.unpack_from("!Q", self.data, 2)[0], 10
                if n < 65536:
                    raise Failed("a length of %d in 64 bits" % n)
            self.need(at + n, end)
        except socket.timeout:
            raise Failed("no frame from the server in %g s%s" % (limit,
                ", only %r" % bytes(self.data[:80]) if self.data else ""))
        payload = bytes(self.data[at:at + n])
        del self.data[:at + n]
        frame = Frame(bool(b0 & 0x80), b0 & 0x0f, payload)
        if frame.opcode >= 8 and (n > 125 or not frame.fin):
            raise Failed("a control frame of %d bytes, fin %r"
                % (n, frame.fin))
        if frame.opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            raise Failed("opcode %d from the server" % frame.opcode)
        return frame

    def recv_message(self, limit=LIMIT):
        """(opcode, payload) of the next whole message.

        Pings are answered and pongs kept on the way.  A close frame is
        answered, and raised as Closed.
        """
        end = time.monotonic() + limit
        opcode, parts = None, []
        while True:
            f = self.recv_frame(limit, end)
            if f.opcode == PING:
                self.pings += 1
                if self.answer_pings:
                    self.send_frame(PONG, f.payload)
                continue
            if f.opcode == PONG:
                self.pongs.append(f.payload)
                continue
            if f.opcode == CLOSE:
                raise self.closed_by(f.payload)
            if (f.opcode == CONT) != (opcode is not None):
                raise Failed("a fragment out of place: opcode %d" % f.opcode)
            if opcode is None:
                opcode = f.opcode
            parts.append(f.payload)
            if f.fin:
                break
        payload = b"".join(parts)
        if opcode == TEXT:
            try:
                payload = payload.decode()
            except UnicodeDecodeError:
                raise Failed("text that is not UTF-8: %r" % payload[:80])
        return opcode, payload

    def closed_by(self, payload):
        if len(payload) == 1:
            raise Failed("a close frame of one byte")
        code = struct.unpack("!H", payload[:2])[0] if payload else 1005
        reason = payload[2:].decode()
        if not self.close_sent:
            try:
                self.send_close(code if payload else None)
            except OSError:
                pass
        return Closed(code, reason)

    def recv_text(self, limit=LIMIT):
        opcode, payload = self.recv_message(limit)
        if opcode != TEXT:
            raise Failed("a binary message: %r" % payload[:80])
        return payload

    def recv_close(self, limit=LIMIT):
        """Everything up to the close: Closed.  Then the stream must end."""
        end = time.monotonic() + limit
        try:
            while True:
                self.recv_message(max(0.001, end - time.monotonic()))
        except Closed as closed:
            if closed.code is not None:
                self.recv_end(max(1.0, end - time.monotonic()))
            return closed

    def recv_end(self, limit=LIMIT):
        """The end of the TCP stream, and not one byte before it."""
        self.sock.settimeout(limit)
        try:
            chunk = bytes(self.data) or self.sock.recv(4096)
        except ConnectionResetError:
            return
        except socket.timeout:
            raise Failed("the server keeps the connection after its close")
        if chunk:
            raise Failed("bytes after the close frame: %s" % show(repr(chunk)))

    def shut(self):
        """Gone without a word."""
        try:
            self.sock.close()
        except OSError:
            pass
