#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Clients that take nothing: who is kept, who is closed, and after what."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.nodes import reads
from lib.tap import check, same, wait_for
from lib.ws import PING, PONG

EVENTS = 12000          # of 1 kB: more than the kernel takes for one socket


def pour(w, room, first=0, count=EVENTS):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i, 'x', "
        "repeat('x', 1000))) FROM generate_series(%s, %s) i", room, first,
        first + count - 1)


def intervals(w, count):
    """Wait for so many pings at another client, the daemon's own clock."""
    clock = w.client("clock")
    while count > 0:
        frame = clock.recv_frame()
        if frame.opcode == PING:
            clock.send_frame(PONG, frame.payload)
            count -= 1
    w.drop(clock)


def closed(w, user, reason):
    """The user's connection must be closed for this reason."""
    wait_for(lambda: not listed(w, user), "%s to be closed" % user)
    check('why="%s"' % reason in w.daemon.log(), "not for this reason: %s"
        % [l for l in w.daemon.log().splitlines() if "state=clos" in l])


def listed(w, user):
    return w.root("SELECT FROM pgpush.connections WHERE user_id = %s", user)


def behind(w, user, room):
    """A client in the room that reads nothing, with much waiting for it.

    It joins after the events, and so is flooded soon.
    """
    pour(w, room)
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = %s",
        room)[0][0] == EVENTS, "the events in the log", 60)
    c = w.client(user, rcvbuf=4096)
    wait_for(lambda: listed(w, user), "%s to be listed" % user)
    c.join(room, since=0)
    return c


def flooded(w, user, room):
    """The same; it says that it lives until the daemon has no room for more,
    and so cannot seem dead before that."""
    began = len(w.daemon.log())
    c = behind(w, user, room)
    seen = []

    def full():
        c.send_frame(PONG, b"")
        seen.append(len(reads(w.daemon, began, room)))
        return len(seen) > 10 and seen[-1] > 0 and len(set(seen[-10:])) == 1
    wait_for(full, "the daemon to read no more for %s" % user)
    return c


@case
def kept(w):
    """one who stops reading in a busy room is kept, and gets it all"""
    c = flooded(w, "slow", "open:slow")
    intervals(w, 7)
    pour(w, "open:slow", EVENTS, 100)
    intervals(w, 2)
    check(listed(w, "slow"), "it was closed")
    for i in range(EVENTS + 100):
        same(c.event("n", "open:slow")["data"]["n"], i, "event")
    w.nothing(c, "open:slow")
    c.position()


@case
def closed_in_the_end(w):
    """one who never reads again is closed, and its descriptor given back"""
    other = World("app", ping_interval="1s", stall_timeout="4s",
        output_high="64k", ring_events=64)
    before = other.daemon.descriptors()
    flooded(other, "never", "open:never")
    closed(other, "never", "not reading")
    check("no sign of life" not in other.daemon.log(), "closed as dead")
    wait_for(lambda: other.daemon.descriptors() <= before,
        "the descriptor to be given back")
    other.nothing(other.client("quick", ["open:quick"]), "open:quick")
    same(other.close(), [], "end of the daemon")


@case
def soon(w):
    """a stall_timeout below ping_interval is kept to as well"""
    other = World("app", ping_interval="1h", stall_timeout="1s",
        output_high="64k")
    behind(other, "never", "open:never")
    closed(other, "never", "not reading")
    same(other.close(), [], "end of the daemon")


@case
def below_the_mark(w):
    """one who takes nothing, but is below the mark, is dead without pongs"""
    other = World("app", ping_interval="1s", stall_timeout="1h",
        output_high="1G")
    before = other.daemon.descriptors()
    behind(other, "dead", "open:dead")
    closed(other, "dead", "no sign of life")
    wait_for(lambda: other.daemon.descriptors() <= before,
        "the descriptor to be given back")
    same(other.close(), [], "end of the daemon")


@case
def every_second_ping(w):
    """one who answers only every second ping lives"""
    other = World("app", ping_interval="1s")
    c = other.client("lazy")
    for n in range(4):
        while True:
            frame = c.recv_frame()
            if frame.opcode == PING:
                break
        if n % 2 == 1:
            c.send_frame(PONG, frame.payload)
    c.position()
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(ping_interval="1s", stall_timeout="1h", output_high="64k",
        ring_events=64)
