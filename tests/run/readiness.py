#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""When the daemon listens, and how it leaves."""

import json
import os
import signal
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import web
from lib.case import World, case, main
from lib.cluster import free_port
from lib.daemon import Daemon
from lib.tap import Failed, check, same, wait_for

STARTS = 6


def ask(port, path="/readyz"):
    """The status, or None where nobody listens."""
    try:
        response = web.request(port, path, timeout=10)
    except (OSError, Failed):
        return None
    return response and response.status


@case
def listens_when_ready(w):
    """the first connection that a starting daemon accepts finds it ready"""
    world = World("app", start=False)
    for _ in range(STARTS):
        world.daemon.start(ready=False)
        status = None
        end = time.monotonic() + 60
        while status is None and time.monotonic() < end:
            status = ask(world.daemon.port)
        same(status, 200, "the first answer")
        world.daemon.stop()
    same(world.close(), [], "end of the daemon")


@case
def status_listens_at_once(w):
    """status_listen answers before the daemon is ready, and only about health"""
    port = free_port()
    world = World("app", start=False, status_listen="127.0.0.1:%d" % port,
        reuse_port="yes", database="host=127.0.0.1 port=1 dbname=none")
    world.daemon.start(ready=False)
    wait_for(lambda: ask(port, "/healthz") == 200, "/healthz to answer")
    same(ask(port), 503, "/readyz without a database")
    same(ask(port, "/ws"), 404, "/ws on status_listen")
    same(ask(world.daemon.port), None, "the clients' port")
    same(world.close(), [], "end of the daemon")


@case
def a_sibling_starts(w):
    """a second daemon on the port costs no connection of the first's"""
    world = World("app", reuse_port="yes")
    other = Daemon(world.cluster, world.daemon.settings["database"],
        reuse_port="yes")
    other.port = world.daemon.port
    other.settings["listen"] = world.daemon.settings["listen"]
    counts = {}
    done = threading.Event()

    def knock():
        while not done.is_set():
            status = ask(world.daemon.port)
            counts[status] = counts.get(status, 0) + 1
    threads = [threading.Thread(target=knock) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(3):
        other.start(ready=False)
        wait_for(lambda: "msg=listening" in other.log(), "it to listen")
        other.kill()
        os.unlink(other.logfile)
    done.set()
    for t in threads:
        t.join()
    # kill -9 may cut connections; not being ready may not be seen.
    check(503 not in counts, "answers: %s" % counts)
    check(counts.get(200, 0) > 100, "answers: %s" % counts)
    same(world.close(), [], "end of the daemon")


@case
def tells_the_manager(w):
    """systemd is told of being ready, alive, reloading and stopping"""
    world = World("app", start=False)
    path = os.path.join(world.cluster.work("notify"), "socket")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(60)

    def until(word):
        while True:
            got = manager.recv(1000).decode()
            if word in got:
                return got
    world.daemon.environment["NOTIFY_SOCKET"] = path
    world.daemon.start(ready=False)
    until("READY=1")
    same(ask(world.daemon.port), 200, "/readyz when it says ready")
    until("WATCHDOG=1")
    world.daemon.signal(signal.SIGHUP)
    check("MONOTONIC_USEC=" in until("RELOADING=1"), "no time")
    until("READY=1")
    world.daemon.signal(signal.SIGTERM)
    until("STOPPING=1")
    same(world.daemon.wait(), 0, "exit status")
    world.daemon.process = None
    manager.close()
    same(world.close(), [], "end of the daemon")


@case
def lame_duck(w):
    """for shutdown_delay it is not ready and serves; a second signal ends that"""
    world = World("app", shutdown_delay="1h", drain_timeout="5m")
    c = world.client("ann", ["open:lame"])
    world.daemon.signal(signal.SIGTERM)
    wait_for(lambda: ask(world.daemon.port) == 503, "/readyz to fail")
    same(ask(world.daemon.port, "/healthz"), 200, "/healthz")
    d = world.client("bob", ["open:lame"])
    world.emit("open:lame", "x", {})
    c.event("x")
    d.event("x")
    world.daemon.signal(signal.SIGTERM)
    c.closes(1012)
    d.closes(1012)
    c.shut()
    d.shut()
    same(world.daemon.wait(), 0, "exit status")
    world.daemon.process = None
    same(world.close(), [], "end of the daemon")


@case
def answers_first(w):
    """what a send or a POST has begun is answered before its client is sent
    away"""
    world = World("app", drain_timeout="5m")
    world.sql("CREATE FUNCTION slow(u text, room text, data jsonb, ctx jsonb)"
        " RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER"
        " SET search_path = pg_catalog AS $$ BEGIN PERFORM pg_sleep(2);"
        " RETURN '{\"reply\": {\"done\": true}}'; END $$")
    world.sql("REVOKE ALL ON FUNCTION slow FROM PUBLIC")
    world.sql("SELECT pgpush.on('slow', 'slow(text,text,jsonb,jsonb)', "
        "member => false)")
    c = world.client("ann")
    wait_for(lambda: c.call(type="send", event="slow", data={})["ok"],
        "the handler to be known")
    c.send(type="send", event="slow", data={}, ref=77)
    answers = []

    def post():
        body = json.dumps({"event": "slow", "data": {}}).encode()
        head = ("POST /send HTTP/1.1\r\nHost: x\r\nContent-Type: "
            "application/json\r\nAuthorization: Bearer %s\r\n"
            "Content-Length: %d\r\n\r\n" % (world.token("bob"), len(body)))
        answers.append(web.raw(world.daemon.port, head.encode() + body,
            "POST"))
    t = threading.Thread(target=post)
    t.start()
    wait_for(lambda: world.root("SELECT FROM pg_stat_activity WHERE query ~ "
        "'handle' AND wait_event = 'PgSleep'"), "the handler to run")
    wait_for(lambda: 'path="/send"' in world.daemon.log(), "the POST to come")
    world.daemon.signal(signal.SIGTERM)
    same(c.reply(77)["ok"], True, "the answer of the send")
    c.closes(1012)
    c.shut()
    t.join()
    same(answers[0] and answers[0].status, 200, "status of the POST: %s"
        % answers)
    same(world.daemon.wait(), 0, "exit status")
    world.daemon.process = None
    same(world.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(world=False)
