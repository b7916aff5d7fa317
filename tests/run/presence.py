#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Who is there: first connection, last disconnection, with a grace."""

import os
import re
import sys
from datetime import datetime

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.market import (ADMIN, CLIENT, DISPUTE, MODERATOR, ORDER, PERFORMER,
    STRANGER, TIME, enter)
from lib.tap import check, same, show, wait_for

GRACE = "3s"


def watcher(w, user=ADMIN):
    """A client that hears of everybody, once what is old has come."""
    c = w.client(user, deaf=())
    c.until(event="user_presence", data=lambda d: d["userId"] == user
        and d["isOnline"])
    return c


def come(c, user):
    f = c.event("user_presence", data={"userId": user, "isOnline": True})
    check("id" not in f, "presence has an id")


def gone(c, user):
    f = c.event("user_presence")
    same((f["data"]["userId"], f["data"]["isOnline"]), (user, False), "who")
    check(TIME.match(f["data"].get("lastSeen", "")), "lastSeen in %s"
        % show(f))
    check("id" not in f, "presence has an id")


def settled(w):
    """Nobody is online: what the case before left has been told."""
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.presence WHERE "
        "online")[0][0] == 0, "everybody to be offline")
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.connections")[0][0]
        == 0, "no connection to be listed")


@case
def first_and_last(w):
    """the first socket of a user is told, further ones not, the last is"""
    settled(w)
    a = watcher(w)
    one = w.client(CLIENT, deaf=())
    come(a, CLIENT)
    two = w.client(CLIENT, deaf=())
    w.nothing(a, "user:" + ADMIN, "nothing of a second socket")
    w.drop(one)
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.connections WHERE "
        "user_id = %s", CLIENT)[0][0] == 1, "the first socket to be gone")
    w.nothing(a, "user:" + ADMIN, "nothing of one of two")
    w.drop(two)
    gone(a, CLIENT)
    w.nothing(a, "user:" + ADMIN)


@case
def reload(w):
    """a page that is reloaded within the grace is not told"""
    settled(w)
    a = watcher(w)
    c = w.client(CLIENT, deaf=())
    come(a, CLIENT)
    for _ in range(5):
        w.drop(c)
        c = w.client(CLIENT, deaf=())
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.connections WHERE "
        "user_id = %s", CLIENT)[0][0] == 1, "one socket to be listed")
    w.nothing(a, "user:" + ADMIN)
    w.drop(c)
    gone(a, CLIENT)


@case
def parties(w):
    """the other parties of an order and a dispute hear it, strangers do not"""
    settled(w)
    order = w.client(PERFORMER, deaf=())
    enter(order, "order", ORDER)
    moderator = w.client(MODERATOR, deaf=())
    enter(moderator, "dispute", DISPUTE)
    stranger = w.client(STRANGER, deaf=())
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.presence WHERE "
        "online")[0][0] == 3, "all three to be online")
    # A signal, as what they were told of each other: it comes after that.
    for c in (order, moderator, stranger):
        w.signal("user:" + c.user, "start", {})
        c.until(event="start")
    c = w.client(CLIENT, deaf=())
    for x in (order, moderator):
        x.event("user_presence", data={"userId": CLIENT,
            "isOnline": True})
        w.nothing(x, "user:" + x.user, "each socket once")
    w.nothing(stranger, "user:" + STRANGER)
    w.drop(c)
    for x in (order, moderator):
        gone(x, CLIENT)
    w.nothing(stranger, "user:" + STRANGER)


@case
def each_socket_once(w):
    """an admin in an order's chat hears of its client once"""
    settled(w)
    a = watcher(w)
    enter(a, "order", ORDER)
    c = w.client(CLIENT, deaf=())
    come(a, CLIENT)
    w.nothing(a, "user:" + ADMIN, "once")
    w.drop(c)
    gone(a, CLIENT)


@case
def listed(w):
    """pgpush.connections lists who is there, pgpush.presence since when"""
    settled(w)
    c = w.client(CLIENT, deaf=())
    row = wait_for(lambda: w.root("SELECT session, user_id, address FROM "
        "pgpush.connections"), "the connection to be listed")[0]
    same((row[0], row[1]), (c.session, CLIENT), "session and user")
    check("127.0.0.1" in row[2], "address %r" % row[2])
    wait_for(lambda: w.root("SELECT FROM pgpush.presence WHERE user_id = %s "
        "AND online", CLIENT), "the user to be online")
    w.drop(c)
    wait_for(lambda: not w.root("SELECT FROM pgpush.connections"),
        "the connection to be gone from the list")


@case
def daemon_killed(w):
    """after kill -9 of the daemon its users are offline, or back unnoticed"""
    settled(w)
    c = w.client(CLIENT, deaf=())
    p = w.client(PERFORMER, deaf=())
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.presence WHERE "
        "online")[0][0] == 2, "both to be online")
    w.daemon.kill()
    for x in (c, p):
        w.drop(x)
    w.daemon.start()
    c = w.client(CLIENT, deaf=())
    wait_for(lambda: w.root("SELECT array_agg(user_id) FROM pgpush.presence "
        "WHERE online")[0][0] == [CLIENT], "the performer to be offline", 120)


@case
def backends_gone(w):
    """a lost database connection does not make anybody go offline"""
    settled(w)
    a = watcher(w)
    c = w.client(CLIENT, deaf=())
    come(a, CLIENT)
    pids = [row[0] for row in w.root("SELECT pid FROM pg_stat_activity WHERE "
        "usename = 'push_daemon' AND datname = current_database()")]
    w.root("SELECT pg_terminate_backend(p) FROM unnest(%s) p", pids)
    wait_for(lambda: not w.root("SELECT FROM pg_stat_activity WHERE pid = "
        "ANY (%s)", pids), "the backends to end")
    w.daemon.wait_ready()
    w.emit("user:" + ADMIN, "after", {})
    a.event("after")
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.connections")[0][0]
        == 2, "both to be listed again")
    w.nothing(a, "user:" + ADMIN)
    w.drop(c)
    gone(a, CLIENT)


def failures(daemon):
    """When it could not write who is connected, in seconds."""
    return [datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ").timestamp()
        for time in re.findall(r"^time=(\S+) .*msg=\"statement failed\" "
        r"stmt=\"?sessions\b", daemon.log(), re.M)]


@case
def cannot_write(w):
    """while the rows cannot be written it tries again each second"""
    other = World("app")
    function = "FUNCTION pgpush.sessions_write"
    other.root("REVOKE EXECUTE ON %s FROM pgpush_daemon" % function)
    stays = other.client("stays")

    def come_and_go():
        other.drop(other.client("passes"))
        return len(failures(other.daemon)) >= 4
    wait_for(come_and_go, "four failures")
    times = failures(other.daemon)
    for i in range(1, len(times)):
        check(times[i] - times[i - 1] > 0.5, "failed at %s" % times)
    other.root("GRANT EXECUTE ON %s TO pgpush_daemon" % function)
    wait_for(lambda: other.root("SELECT user_id FROM pgpush.connections")
        == [("stays",)], "the connection to be listed")
    stays.position()
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(kind="market", presence_grace=GRACE)
