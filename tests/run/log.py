#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What the log says, and that it can hold up nobody."""

import fcntl
import os
import re
import select
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt
from lib.case import World, case, main
from lib.tap import check, same, wait_for

BAD = 2000              # tokens, some 130 bytes of log each


def lines(world, *words):
    """The log's lines that have all these words."""
    return [line for line in world.daemon.log().splitlines()
        if all(word in line for word in words)]


def refuse(w, n):
    """So many connections that show a bad token."""
    for i in range(n):
        c = w.open()
        c.send(type="auth", token="bad%d" % i)
        c.closes(4401)
        w.drop(c)


@case
def stalled(w):
    """a reader of standard error that stalls stops nothing, and is told"""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    world = World("app", start=False, log_rate=0)
    world.daemon.start(ready=False, stderr=into)
    os.close(into)
    text = b""
    # Until it listens, the reader reads.
    while b"msg=listening" not in text:
        check(select.select([out], [], [], 60)[0], "it is not ready")
        text += os.read(out, 65536)
    refuse(world, BAD)
    same(world.get("/healthz").status, 200, "status behind a full pipe")
    c = world.client("ann", ["open:stalled"])
    world.nothing(c, "open:stalled")
    text = b""
    while select.select([out], [], [], 0)[0]:
        text += os.read(out, 65536)
    refuse(world, 1)
    text += os.read(out, 65536)
    match = re.search(rb'msg="log lines dropped" count=(\d+)', text)
    check(match and int(match.group(1)) > BAD / 2, "the gap is not said: %r"
        % text[-600:])
    # Full again: it must still end.
    refuse(world, 200)
    world.daemon.signal(signal.SIGTERM)
    same(world.daemon.wait(), 0, "status after SIGTERM")
    world.daemon.process = None
    os.close(out)
    world.close()


@case
def limited(w):
    """more lines of a kind than log_rate are left out, said once, counted"""
    world = World("app", log_level="info", log_rate=10)
    refuse(world, 100)
    wait_for(lambda: lines(world, "left out\" kind=token count="),
        "the end of the limit")
    told = lines(world, "msg=\"token refused\"")
    begun = lines(world, "some are left out", "kind=token")
    ended = lines(world, "lines left out\" kind=token")
    check(begun and len(begun) == len(ended), "begun %d times, ended %d"
        % (len(begun), len(ended)))
    held = sum(int(re.search(r"count=(\d+)", x).group(1)) for x in ended)
    same(len(told) + held, 100, "lines said and lines left out")
    same(world.close(), [], "end of the daemon")


@case
def life(w):
    """starting, being ready, leading and stopping are a line each"""
    world = World("app", log_level="info", origins="https://life.example")
    wait_for(lambda: lines(world, "feed=leader"), "leading")
    world.daemon.stop()
    for words in (["msg=start ", "version=", "pid=",
            "origins=\"https://life.example\""], ["msg=listening", "address="],
            ["msg=ready"], ["feed=leader"], ["msg=signal"], ["msg=draining"],
            ["msg=stopped"]):
        same(len(lines(world, *words)), 1, "lines with %s" % words)
    check(jwt.SECRET not in world.daemon.log(), "a secret in the log")
    check("msg=stopped" in world.daemon.log().splitlines()[-1],
        "it does not end with that")
    world.close()


@case
def one_life(w):
    """one connection's life can be followed by its number, at level info"""
    world = World("app", log_level="info")
    c = world.client("ann", ["open:life"])
    c.refused("forbidden", type="join", room="secret:life")
    c.refused("not_found", type="send", event="nosuch", data={})
    c.goodbye()
    wait_for(lambda: lines(world, "msg=closed"), "the end in the log")
    ours = lines(world, "user=\"ann\"")
    number = re.search(r"conn=(\d+) ", ours[0]).group(0)
    for words in (["msg=welcome"], ["command refused", "forbidden"],
            ["command refused", "not_found"], ["msg=closed", "code=1000"]):
        found = lines(world, number, "peer=127.0.0.1:", "user=\"ann\"",
            *words)
        same(len(found), 1, "lines with %s in %s" % (words, ours))
    same(world.close(), [], "end of the daemon")


@case
def refusals(w):
    """everybody who is turned away has a line with address and reason"""
    world = World("app", log_level="info", log_rate=0, max_connections=1,
        auth_timeout="500ms", origins="https://good.example")
    c = world.client("ann")
    for i in range(100):
        same(world.get("/events?room=open:x&token=x").status, 200, "status")
    same(world.get("/ws").status, 426, "status of a request without upgrade")
    same(world.get("/nothing").status, 404, "status of no path")
    same(world.get("/send").status, 405, "status of a GET for POST")
    same(world.get("/events", headers={"Origin": "https://bad.example"}
        ).status, 403, "status of another origin")
    world.drop(c)
    wait_for(lambda: lines(world, "why=\"peer hung up\"", "user=\"ann\""),
        "the end of a cut connection")
    d = world.open(headers={"Origin": "https://bad.example"})
    d.closes(4403)
    world.drop(d)
    e = world.open()
    e.closes(4408)
    for n, words in ((100, ["status=503", "too many connections"]),
            (1, ["status=426"]), (1, ["status=404"]), (1, ["status=405"]),
            (1, ["status=403", "origin not allowed"]),
            (1, ["code=4403", "origin not allowed"]), (1, ["code=4408"])):
        same(len(lines(world, "conn=", "peer=127.0.0.1:", *words)), n,
            "lines with %s" % words)
    same(world.close(), [], "end of the daemon")


@case
def planted(w):
    """no token, secret, password or message gets into the log, at any level"""
    text = "planted-message-6b1f"
    tokens = [w.token("pl%d" % i) for i in range(5)]
    c = w.client("pl0", ["open:pl"], token=tokens[0])
    d = w.open(headers={"Authorization": "Bearer " + tokens[1]})
    d.greeted()
    e = w.open(protocols=["pgpush.v1", "bearer." + tokens[2]])
    e.greeted()
    w.get("/events?room=open:pl&token=" + tokens[3][:-3] + "xxx")
    w.get("/nonsense?token=" + tokens[4])
    w.get("/ws?token=" + tokens[4])
    bad = tokens[4][:-4] + "AAAA"
    for how in ({"headers": {"Authorization": "Bearer " + bad}},
            {"protocols": ["pgpush.v1", "bearer." + bad]}):
        f = w.open(**how)
        f.closes(4401)
    c.do("echo", {"text": text})
    c.call(type="send", event="fail", data={"text": text}, ref=99)
    w.emit("open:pl", "news", {"text": text})
    c.event("news")
    w.signal("open:pl", "blip", {"text": text})
    c.event("blip")
    w.drop(c)
    log = w.daemon.log()
    for secret in tokens + [bad, jwt.SECRET, text] + \
            [t.split(".")[2] for t in tokens]:
        check(secret not in log, "%s... is in the log" % secret[:20])
    for name in ("password=", "Authorization"):
        check(name not in log, "%s is in the log" % name)


@case
def signals(w):
    """signals without a meaning are ignored"""
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP,
            signal.SIGPIPE, signal.SIGALRM):
        w.daemon.signal(number)
    c = w.client("sig", ["open:sig"])
    w.nothing(c, "open:sig")


if __name__ == "__main__":
    main()
