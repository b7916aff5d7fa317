#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""tests/sioecho PORT: what breaks Socket.IO ends its own engine, no more."""

import atexit
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database
from lib.case import case, main
from lib.cluster import free_port
from lib.daemon import REPORT, die_with_parent
from lib.tap import Failed, check, diag, same, wait_for
from lib.web import connect, read_response
from lib.ws import BINARY, Closed, WebSocket

PATH = "/socket.io/?EIO=4&transport="


class Echo:
    """The program, started when first needed."""

    process = None

    def start(self):
        if self.process is not None:
            return
        self.port = free_port()
        self.process = subprocess.Popen([os.path.join(database.BUILDDIR,
            "tests", "sioecho"), str(self.port)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env=dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=8"),
            preexec_fn=die_with_parent)
        atexit.register(self.process.kill)

        def answers():
            check(self.process.poll() is None, "tests/sioecho has ended")
            try:
                self.open().shut()
                return True
            except (OSError, Failed):
                return False
        wait_for(answers, "tests/sioecho to answer")

    def open(self):
        ws = WebSocket(self.port, PATH + "websocket")
        same(ws.response.status, 101, "handshake")
        check(ws.recv_text().startswith("0{"), "no open packet")
        return ws

    def rss_kb(self):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(f.read().split("VmRSS:")[1].split()[0])

    def lives(self):
        """Somebody else is served."""
        ws = self.open()
        ws.send_text("40")
        check(packet(ws).startswith("40"), "CONNECT is not answered")
        same(packet(ws), '42["auth",{}]', "event")
        ws.shut()


echo = Echo()


def packet(ws, limit=60):
    """The next packet but pings, which are answered."""
    end = time.monotonic() + limit
    while True:
        text = ws.recv_text(max(0.001, end - time.monotonic()))
        if text != "2":
            return text
        ws.send_text("3")


def post(path, *packets):
    body = "\x1e".join(packets).encode()
    with connect(echo.port) as s:
        s.sendall(("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain"
            "\r\nContent-Length: %d\r\n\r\n" % (path, len(body))).encode()
            + body)
        return read_response(s, method="POST")


def poll(path):
    with connect(echo.port) as s:
        s.sendall(("GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path).encode())
        return read_response(s)


@case
def attachments(w):
    """an event with an attachment that must not come ends its engine alone"""
    echo.start()
    one = '{"_placeholder":true,"num":0}'
    for first, text in ((None, '451-["x",%s]' % one),
            (None, '451-/nowhere,["x",%s]' % one), (None, '461-7[%s]' % one),
            ("40", "451-[%s]" % one), ("40", '451-/custom,["x",%s]' % one)):
        ws = echo.open()
        if first is not None:
            ws.send_text(first)
            check(packet(ws).startswith("40"), "CONNECT is not answered")
        ws.send_text(text)
        ws.send_frame(BINARY, b"attached")
        ws.recv_close()
        echo.lives()


@case
def unread(w):
    """what waits for a client that never polls is bounded"""
    echo.start()
    path = PATH + "polling"
    sid = json.loads(poll(path).body[1:])["sid"]
    text = "40/" + "x" * 190 + ","
    before = echo.rss_kb()
    for i in range(200):
        if post(path + "&sid=" + sid, "3", *[text] * 4000).status != 200:
            break
    grown = echo.rss_kb() - before
    diag("memory grew by %d kB after %d POSTs" % (grown, i + 1))
    check(grown < 90 * 1024, "memory grew by %d kB" % grown)
    echo.lives()


@case
def never_let_in(w):
    """an engine that never has a connected socket ends, refused or not"""
    echo.start()
    for text in ('40{"refuse":1}', "40/nowhere,", None):
        ws = echo.open()
        if text is not None:
            ws.send_text(text)
            check(packet(ws).startswith("44"), "it was let in")
        try:
            packet(ws, 30)
        except Closed:
            continue
        raise Failed("after %s it is kept" % text)
    echo.lives()


@case
def ends(w):
    """it ends when told to, without a word from a sanitizer"""
    echo.start()
    echo.process.terminate()
    text = echo.process.communicate(timeout=60)[0].decode(errors="replace")
    check(not REPORT.search(text), "a report: %s" % text[:2000])
    same(echo.process.returncode, 0, "exit status")


if __name__ == "__main__":
    main(world=False)
