#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The share of one client of Socket.IO, and of who has not said its name."""

import json
import os
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.bystander import prepare
from lib.case import World, case, main
from lib.tap import Failed, check, diag, has, same, show, wait_for
from lib.web import connect, read_response
from lib.ws import BINARY, TEXT, Closed, WebSocket, frame_bytes

PATH = "/socket.io/?EIO=4&transport="
MB = 1024


class Sio(WebSocket):
    """A socket of Socket.IO over a WebSocket, by hand."""

    def __init__(self, w):
        super().__init__(w.daemon.port, PATH + "websocket")
        w.clients.append(self)
        check(self.response.status == 101, "handshake: %r" % self.response)
        check(self.recv_text().startswith("0{"), "no open packet")

    def connect(self, token, nsp=""):
        self.send_text("40%s%s" % (nsp, json.dumps({"token": token})))
        text = self.packet()
        check(text.startswith("40"), "CONNECT is answered %s" % show(text))

    def packet(self, limit=60):
        """The next packet but pings."""
        end = time.monotonic() + limit
        while True:
            text = self.recv_text(max(0.001, end - time.monotonic()))
            if text == "2":
                self.send_text("3")
            else:
                return text

    def ack(self, number, limit=60):
        """The arguments of the ack with this number."""
        while True:
            text = self.packet(limit)
            if text.startswith("43%d[" % number):
                return json.loads(text[2 + len(str(number)):])


class Polling:
    """The same by long-polling, on one connection for its requests."""

    def __init__(self, w):
        self.port = w.daemon.port
        body = self.request("GET", PATH + "polling").body
        self.sid = json.loads(body[1:])["sid"]
        self.path = PATH + "polling&sid=" + self.sid

    def request(self, method, path, body=b""):
        with connect(self.port) as s:
            s.sendall(("%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain"
                "; charset=UTF-8\r\nContent-Length: %d\r\n\r\n" % (method,
                path, len(body))).encode() + body)
            r = read_response(s, method=method)
        if r is None:
            raise Failed("no answer to %s" % path)
        return r

    def get(self):
        return self.request("GET", self.path).body.decode().split("\x1e")

    def post(self, *packets):
        return self.request("POST", self.path, "\x1e".join(packets).encode())

    def connect(self, token):
        self.post("40" + json.dumps({"token": token}))
        first = self.get()[0]
        check(first.startswith("40"), "CONNECT is answered %s" % show(first))


def lives(w):
    """The daemon serves somebody else."""
    has(w.client("bystander").do("echo", {}), {"ok": True}, "a bystander")


def grows(w, before, limit, what):
    grown = w.daemon.rss_kb() - before
    diag("memory grew by %d kB: %s" % (grown, what))
    check(grown < limit * MB, "memory grew by %d kB: %s" % (grown, what))


@case
def acks_unread(w):
    """nor can acks to one that has connected"""
    other = World("app", message_rate=0, log_level="info")
    p = Polling(other)
    p.connect(other.token("sio"))
    data = json.dumps("d" * 50000)
    before = other.daemon.rss_kb()
    n = 0
    for i in range(1200):
        try:
            if p.post('42%d["echo",%s]' % (i, data)).status != 200:
                break
        except Failed:
            break
        n += 1
    grows(other, before, 40, "%d acks of 50 kB, never fetched" % n)
    lives(other)
    same(other.close(), [], "end of the daemon")


@case
def tokens_guessed(w):
    """CONNECT after CONNECT with a bad token is not verified for ever"""
    c = Sio(w)
    c.sock.settimeout(20)
    text = b"".join(frame_bytes(TEXT, b'40{"token":"no.good.%d"}' % i)
        for i in range(5000))
    refused = 0
    try:
        c.send_raw(text)
        while refused < 5000:
            if c.packet(10).startswith("44"):
                refused += 1
    except (Closed, OSError):
        pass
    check(refused <= 1500, "%d tokens of one connection were looked at"
        % refused)
    lives(w)


@case
def handshakes(unused):
    """polling handshakes without CONNECT leave room for who has a token"""
    w = World("app", max_connections=50, auth_timeout="5m")
    n = 0
    for i in range(60):
        try:
            Polling(w)
            n += 1
        except (Failed, ValueError, KeyError):
            break           # refused: as it should be
    lives(w)
    c = Sio(w)
    c.connect(w.token("honest"))
    same(w.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(log_level="info")
