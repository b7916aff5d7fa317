# SPDX-License-Identifier: ISC
"""A WebSocket, a stream and a POST for a program with very many of them."""

import asyncio
import base64
import json
import os
import struct

from lib.ws import CLOSE, PING, PONG, TEXT, frame_bytes

LIMIT = 60.0            # seconds for what must come


class Gone(Exception):
    """The daemon ended the connection, or never let it in."""

    def __init__(self, code, reason=""):
        super().__init__("%s %s" % (code, reason))
        self.code = code        # a close code, an HTTP status, or None
        self.reason = reason


async def dial(port, rng):
    """A connection from some address of the loopback network."""
    try:
        return await asyncio.wait_for(asyncio.open_connection("127.0.0.1",
            port, local_addr=("127.0.0.%d" % rng.randrange(1, 250), 0),
            limit=8 << 20), LIMIT)
    except (OSError, asyncio.TimeoutError) as e:
        raise Gone(None, str(e))


async def head(reader):
    """Status and header lines of a response."""
    try:
        text = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError,
            OSError) as e:
        raise Gone(None, type(e).__name__)
    lines = text.decode("latin-1").split("\r\n")
    return int(lines[0].split(" ")[1]), lines[1:]


class Socket:
    """A WebSocket of the native protocol."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port, rng, path="/ws", protocols="pgpush.v1",
            headers=""):
        reader, writer = await dial(port, rng)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(("GET %s HTTP/1.1\r\nHost: chaos\r\nUpgrade: websocket"
            "\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n%s"
            "\r\n" % (path, key, protocols, headers)).encode())
        s = cls(reader, writer)
        try:
            status, _ = await head(reader)
            if status != 101:
                raise Gone(status)
        except BaseException:
            s.cut()
            raise
        return s

    def send(self, **frame):
        self.raw(frame_bytes(TEXT, json.dumps(frame).encode()))

    def raw(self, data):
        if not self.writer.is_closing():
            self.writer.write(data)

    async def read(self, limit=LIMIT):
        """The next frame of the protocol; None if none comes in time."""
        try:
            return await asyncio.wait_for(self.message(), limit)
        except asyncio.TimeoutError:
            return None
        except (asyncio.IncompleteReadError, OSError) as e:
            raise Gone(None, type(e).__name__)

    async def message(self):
        # Cancelled between two reads it would lose its place: it peeks.
        while True:
            opcode, payload = await self.frame()
            if opcode == PING:
                self.raw(frame_bytes(PONG, payload))
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else None
                self.raw(frame_bytes(CLOSE, payload[:2]))
                raise Gone(code, payload[2:].decode())
            elif opcode == TEXT:
                return json.loads(payload)

    async def frame(self):
        """One WebSocket frame, taken only when it is there as a whole."""
        buf = self.reader._buffer
        while True:
            need = 2
            if len(buf) >= 2:
                n, at = buf[1] & 0x7f, 2
                if n == 126:
                    at = 4
                    n = struct.unpack_from("!H", buf, 2)[0] \
                        if len(buf) >= 4 else 0
                elif n == 127:
                    at = 10
                    n = struct.unpack_from("!Q", buf, 2)[0] \
                        if len(buf) >= 10 else 0
                need = at + n
                if len(buf) >= need:
                    data = await self.reader.readexactly(need)
                    return data[0] & 0x0f, data[at:]
            if self.reader.at_eof():
                raise asyncio.IncompleteReadError(bytes(buf), need)
            await self.reader._wait_for_data("frame")

    def cut(self):
        self.writer.transport.abort()


class Lines:
    """A stream of server-sent events: the data of each as JSON."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port, rng, path, token):
        reader, writer = await dial(port, rng)
        writer.write(("GET %s HTTP/1.1\r\nHost: chaos\r\nAuthorization: "
            "Bearer %s\r\n\r\n" % (path, token)).encode())
        s = cls(reader, writer)
        try:
            status, _ = await head(reader)
            if status != 200:
                raise Gone(status)
        except BaseException:
            s.cut()
            raise
        return s

    async def read(self, limit=LIMIT):
        try:
            return await asyncio.wait_for(self.event(), limit)
        except asyncio.TimeoutError:
            return None
        except (asyncio.IncompleteReadError, OSError) as e:
            raise Gone(None, type(e).__name__)

    async def event(self):
        while True:
            line = await self.reader.readuntil(b"\n")
            if line.startswith(b"data:"):
                frame = json.loads(line[5:])
                if frame.get("type") == "close":
                    raise Gone(frame["code"], frame["reason"])
                return frame

    def cut(self):
        self.writer.transport.abort()


async def post(port, rng, body, token):
    """POST /send: status and body; Gone if there is no answer."""
    reader, writer = await dial(port, rng)
    try:
        data = json.dumps(body).encode()
        writer.write(("POST /send HTTP/1.1\r\nHost: chaos\r\nContent-Type: "
            "application/json\r\nContent-Length: %d\r\nAuthorization: Bearer "
            "%s\r\nConnection: close\r\n\r\n" % (len(data), token)).encode()
            + data)
        status, lines = await head(reader)
        length = [x for x in lines if x.lower().startswith("content-length:")]
        if not length:
            return status, b""
        return status, await asyncio.wait_for(reader.readexactly(
            int(length[0].split(":")[1])), LIMIT)
    except (asyncio.IncompleteReadError, OSError, asyncio.TimeoutError) as e:
        raise Gone(None, type(e).__name__)
    finally:
        writer.transport.abort()
