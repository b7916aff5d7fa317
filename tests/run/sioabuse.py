#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What a hostile Socket.IO client can do: nothing to anybody else."""

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


# ---- what breaks the protocol ----------------------------------------------

@case
def attachment_before_connect(w):
    """an event with an attachment before CONNECT ends the engine alone"""
    for packet in ('51-["x",{"_placeholder":true,"num":0}]',
            '51-/nowhere,["x",{"_placeholder":true,"num":0}]',
            '61-1[{"_placeholder":true,"num":0}]'):
        c = Sio(w)
        c.send_text("4" + packet)
        c.send_frame(BINARY, b"attached")
        c.recv_close()
        lives(w)


@case
def attachment_of_a_reserved_event(w):
    """a reserved event with an attachment ends the engine alone"""
    for name in ("disconnect", "connect", "newListener"):
        c = Sio(w)
        c.connect(w.token("sio"))
        c.send_text('451-["%s",{"_placeholder":true,"num":0}]' % name)
        c.send_frame(BINARY, b"attached")
        c.recv_close()
        lives(w)


@case
def attachment_of_one_kicked(w):
    """a kick between an event and its attachment ends the socket alone"""
    for i in range(5):
        c = Sio(w)
        c.connect(w.token("kicked%d" % i))
        c.send_text('451-["echo",{"_placeholder":true,"num":0}]')
        w.sql("SELECT pgpush.kick(%s)", "kicked%d" % i)
        check(c.packet() == "41", "no disconnect")
        c.send_frame(BINARY, b"attached")
        c.send_text("3")
        lives(w)


@case
def attachments_bad(w):
    """placeholders of no attachment, and attachments of nothing"""
    for packets in (
            ('451-["echo",{"_placeholder":true,"num":5}]', b"x"),
            ('451-["echo",{"_placeholder":true,"num":-1}]', b"x"),
            ('451-["echo",{"_placeholder":true,"num":1e308}]', b"x"),
            ('452-["echo",{"_placeholder":true,"num":0}]', b"x", '42["echo"]'),
            ('450-["echo"]', b"x"), (b"x",), ('459999-["echo"]',),
            ('451-{"a":1}', b"x"), ('451-[', b"x"), ('451-[]', b"x")):
        c = Sio(w)
        c.connect(w.token("sio"))
        for p in packets:
            if isinstance(p, bytes):
                c.send_frame(BINARY, p)
            else:
                c.send_text(p)
        try:
            c.recv_close(5)
        except Failed:
            pass            # it may live on
        lives(w)


@case
def deep(w):
    """arrays in arrays: refused, without an end of the stack"""
    for n in (2000, 30000):
        c = Sio(w)
        c.connect(w.token("sio"))
        c.send_text('421["echo",' + "[" * n + "]" * n + "]")
        try:
            check(c.packet(10).startswith("431["), "no ack")
        except Closed:
            pass
        lives(w)


# ---- memory ----------------------------------------------------------------

def grows(w, before, limit, what):
    grown = w.daemon.rss_kb() - before
    diag("memory grew by %d kB: %s" % (grown, what))
    check(grown < limit * MB, "memory grew by %d kB: %s" % (grown, what))


@case
def placeholders_that_blow_up(w):
    """one attachment named a thousand times does not become 80 MB"""
    c = Sio(w)
    c.connect(w.token("sio"))
    one = '{"_placeholder":true,"num":0}'
    before = w.daemon.rss_kb()
    text = '451-1["echo",[%s]]' % ",".join([one] * 1500)
    c.send_text(text)
    c.send_frame(BINARY, os.urandom(60000))
    c.recv_close()
    n = w.root("SELECT max(length(data::text)) FROM app.calls")[0][0] or 0
    check(n < 1 << 20, "a handler was given %d bytes" % n)
    grows(w, before, 60, "1500 placeholders of 60 kB")
    lives(w)


@case
def refusals_unread(w):
    """a polling client that never polls cannot make answers pile up"""
    p = Polling(w)
    packet = "40/" + "x" * 190 + ","
    body = [packet] * (60000 // (len(packet) + 1))
    before = w.daemon.rss_kb()
    n = 0
    for i in range(400):
        try:
            if p.post(*body).status != 200:
                break
        except Failed:
            break
        n += len(body)
    grows(w, before, 24, "%d refused namespaces, never fetched" % n)
    lives(w)


# ---- who has not said its name ---------------------------------------------

@case
def refused_for_ever(unused):
    """an engine none of whose sockets was let in ends in time"""
    w = World("app", auth_timeout="1s", socketio_connect_timeout="1s")
    c = Sio(w)
    c.send_text('40{"token":"no.good.token"}')
    check(c.packet().startswith("44"), "it was let in")
    try:
        c.packet(30)
        raise Failed("a packet came")
    except (Closed, Failed) as e:
        check(isinstance(e, Closed), "it is kept: %s" % e)
    same(w.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(log_level="info")
