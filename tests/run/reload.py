#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""SIGHUP: new settings, whole or not at all, and nobody is disconnected."""

import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt, web
from lib.case import case, main
from lib.cluster import free_port
from lib.tap import check, same, wait_for

STATUS = free_port()
OTHER = "another secret of 32 bytes or more"


def lines(world, *words):
    return [line for line in world.daemon.log().splitlines()
        if all(word in line for word in words)]


def reload(world, word, **settings):
    """With these settings; until the log has one line more with the word."""
    before = len(lines(world, word))
    world.daemon.settings.update(settings)
    world.daemon.write_conf()
    world.daemon.signal(signal.SIGHUP)
    wait_for(lambda: len(lines(world, word)) == before + 1, word)
    return lines(world, word)[-1]


def metric(name):
    text = web.request(STATUS, "/metrics").body.decode()
    return [float(line.split()[1]) for line in text.splitlines()
        if line.startswith(name + " ")][0]


@case
def takes(w):
    """a secret, origins and limits change at once; who is there stays"""
    c = w.client("ann", ["open:re"])
    line = reload(w, "msg=reloaded", jwt_secret=OTHER, max_message="1k",
        origins="https://new.example", node="other")
    check('needs_restart="node"' in line, line)
    old = w.open()
    old.send(type="auth", token=w.token("bob"))
    old.closes(4401)
    new = w.open(headers={"Origin": "https://new.example"})
    new.auth(jwt.mint({"sub": "bob"}, OTHER))
    same(new.welcome["user"], "bob", "user")
    bad = w.open(headers={"Origin": "https://old.example"})
    bad.closes(4403)
    w.emit("open:re", "x", {})
    c.event("x")
    new.send(type="send", event="echo", data="x" * 2000, ref=1)
    new.closes(1009)
    same(metric("pgpush_config_last_reload_successful"), 1, "metric")


@case
def refuses(w):
    """a bad file changes nothing, is said once, and shows in a metric"""
    c = w.client("ann", ["open:bad"], token=jwt.mint({"sub": "ann"}, w.daemon
        .settings["jwt_secret"]))
    good = dict(w.daemon.settings)
    for bad in ({"max_rooms": "many"}, {"jwt_secret": "short"},
            {"no_such": "1"}, {"database": "nonsense"}):
        line = reload(w, "reload refused", max_message="2k", **bad)
        check(list(bad)[0] in line, line)
        same(metric("pgpush_config_last_reload_successful"), 0, "metric")
        w.daemon.settings.clear()
        w.daemon.settings.update(good)
    w.emit("open:bad", "x", {})
    c.event("x")
    c.send(type="send", event="echo", data="x" * 1500, ref=1)
    c.closes(1009)
    reload(w, "msg=reloaded", max_message="64k")
    same(metric("pgpush_config_last_reload_successful"), 1, "metric")


@case
def log_level(w):
    """the level of the log changes"""
    done = 'pgpush_config_reloads_total{result="done"}'

    def level(name):
        before = metric(done)
        w.daemon.settings["log_level"] = name
        w.daemon.write_conf()
        w.daemon.signal(signal.SIGHUP)
        wait_for(lambda: metric(done) == before + 1, "the reload")

    def visit(user):
        c = w.client(user, token=jwt.mint({"sub": user},
            w.daemon.settings["jwt_secret"]))
        c.goodbye()
        w.drop(c)
    level("error")
    visit("quiet")
    level("info")
    visit("loud")
    wait_for(lambda: lines(w, "msg=closed", 'user="loud"'), "lines")
    check(not lines(w, 'user="quiet"'), "lines of level info")


if __name__ == "__main__":
    main(status_listen="127.0.0.1:%d" % STATUS)
