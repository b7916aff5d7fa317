#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The examples of pgpush-proxy(7), as they stand there: real proxies in front
of two daemons."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Client
from lib.cluster import free_port
from lib.daemon import Daemon, die_with_parent
from lib.database import SRCDIR
from lib.sse import stream
from lib.tap import Failed, check, same, wait_for
from lib.web import request
from lib.ws import Closed

PAGE = os.path.join(SRCDIR, "man", "pgpush-proxy.7")


def example(name):
    """The literal text below that heading of the page."""
    with open(PAGE) as f:
        text = f.read()
    block = re.search(r"^\.Ss %s\n\.Bd -literal.*?\n(.*?)^\.Ed" % name, text,
        re.M | re.S)
    check(block, "the page has no example for %s" % name)
    return block.group(1).replace("\\e", "\\").replace("\\&", "")


class Front:
    """Two daemons, and the proxy of that name in front of them."""

    def __init__(self, name):
        self.w = World("app")
        self.a = self.w.daemon
        self.b = Daemon(self.w.cluster, self.w.db.dsn("push_daemon")).start()
        self.port = free_port()
        text = example(name)
        for before, after in (("8080", self.port), ("8081", self.a.port),
                ("8082", self.b.port)):
            check("127.0.0.1:" + before in text, "no port %s" % before)
            text = text.replace("127.0.0.1:" + before,
                "127.0.0.1:%d" % after)
        self.dir = self.w.cluster.work(name)
        self.process = subprocess.Popen(self.command(name, text),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=open(os.path.join(self.dir, "err"), "w"),
            preexec_fn=die_with_parent)
        wait_for(self.is_ready, "%s to listen" % name)

    def command(self, name, text):
        conf = os.path.join(self.dir, "conf")
        if name == "nginx":
            paths = "".join("%s_temp_path %s;\n" % (kind, os.path.join(
                self.dir, kind)) for kind in ("client_body", "proxy",
                "fastcgi", "uwsgi", "scgi"))
            user = "user root;\n" if os.geteuid() == 0 else ""
            text = "%sdaemon off;\nworker_processes 1;\npid %s;\n" \
                "error_log stderr;\nevents {}\nhttp {\naccess_log off;\n" \
                "%s%s}\n" % (user, os.path.join(self.dir, "pid"), paths, text)
            command = [program("nginx"), "-c", conf, "-p", self.dir, "-e",
                "stderr"]
        else:
            command = [program(name.lower()), "-db", "-f", conf]
        with open(conf, "w") as f:
            f.write(text)
        return command

    def is_ready(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.dir, "err")) as f:
                raise Failed("the proxy ended: " + f.read())
        try:
            # A request that is refused for its token has come through.
            return request(self.port, "/events?room=open:x").status == 401
        except OSError:
            return False

    def client(self, user, *rooms):
        """A client through the proxy, as soon as it is let in."""
        def attempt():
            try:
                c = Client(self.port)
                self.w.clients.append(c)
                c.auth(self.w.token(user))
                return c
            except (OSError, Failed, Closed):
                return None
        c = wait_for(attempt, "%s to come through the proxy" % user)
        for room in rooms:
            c.join(room)
        return c

    def close(self):
        self.process.terminate()
        self.process.wait(60)
        trouble = self.b.finish()
        same(trouble + self.w.close(), [], "end of the daemons")


def program(name):
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    check(path, "%s is not installed" % name)
    return path


def works(name):
    """Both ways of listening, and a daemon that stops."""
    front = Front(name)
    try:
        c = front.client("ann", "open:p")
        s = stream(front.w, "bob", ["open:p"], port=front.port)
        front.w.emit("open:p", "news", {"n": 1})
        c.event("news", "open:p", {"n": 1})
        s.event("news", "open:p", {"n": 1})

        front.a.stop()
        c = front.client("cleo", "open:p")
        front.w.emit("open:p", "news", {"n": 2})
        c.event("news", "open:p", {"n": 2})
        front.a.start()
        front.b.stop()
        c = front.client("dora", "open:p")
        front.w.emit("open:p", "news", {"n": 3})
        c.event("news", "open:p", {"n": 3})
        front.b.start()
    finally:
        front.close()


@case
def nginx(w):
    """nginx: WebSocket and a stream, while one daemon after the other stops"""
    works("nginx")


@case
def haproxy(w):
    """HAProxy: the same"""
    works("HAProxy")


if __name__ == "__main__":
    main(world=False)
