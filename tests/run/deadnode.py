#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""A daemon that hangs: another ends its connections and leads.

A hung daemon is one that is stopped with SIGSTOP.  The server may wait for it
in the middle of an answer; no timeout of the server's ends that.
"""

import os
import signal
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.client import Reader
from lib.nodes import Node, events_of, leader, wait_leader
from lib.tap import check, same, wait_for

DEAD = 60               # seconds in which another must have taken over


class Writer(threading.Thread):
    """Commits one event after the other; none may wait or fail.

    A commit that takes longer than the timeouts of its session fails.
    """

    def __init__(self, w, room):
        super().__init__(daemon=True)
        self.room = room
        self.conn = w.db.connect()
        self.count = 0
        self.problem = None
        self.stopping = threading.Event()
        self.start()

    def run(self):
        try:
            with self.conn.cursor() as cur:
                # Who waits for the one that hangs waits for ten seconds.
                cur.execute("SET lock_timeout = '5s'")
                cur.execute("SET statement_timeout = '8s'")
                while not self.stopping.wait(0.01):
                    cur.execute("SELECT pgpush.emit(%s, 'n', "
                        "jsonb_build_object('n', %s))",
                        (self.room, self.count))
                    self.count += 1
        except Exception as e:
            self.problem = e

    def goes_on(self, more=20):
        """It commits, now."""
        at = self.count + more
        wait_for(lambda: self.problem or self.count >= at,
            "the writer to commit")
        check(self.problem is None, "a commit failed: %s" % self.problem)

    def stop(self):
        self.stopping.set()
        self.join()
        self.conn.close()
        check(self.problem is None, "a commit failed: %s" % self.problem)


def connected(node):
    """Its backends, when all have been stamped."""
    node.stamped()
    wait_for(lambda: node.backends() and 0 not in node.backends(),
        "all its connections")
    return node.backends()


def alive(w, pids):
    """Which of these backends are there."""
    return [row[0] for row in w.root("SELECT pid FROM pg_stat_activity WHERE "
        "pid = ANY (%s) ORDER BY pid", pids)]


def listed(w, c):
    return w.root("SELECT node FROM pgpush.connections WHERE session = %s",
        c.session)


def online(w, user):
    return w.root("SELECT online FROM pgpush.presence WHERE user_id = %s",
        user) == [(True,)]


def blocked(w, node):
    """The server waits for it in the middle of an answer."""
    return w.root("SELECT FROM pg_stat_activity WHERE pid = ANY (%s) "
        "AND wait_event = 'ClientWrite'", node.pids)


def stop_midway(w, node):
    """Stop it while the server sends it more than the sockets hold.

    Its move waits for a lock on the log, which is taken away after the stop,
    and then sees what was committed meanwhile.  From the beginning of its move
    on it does not say that it lives: so all that takes long is done before.
    """
    bulk = w.db.connect(autocommit=False)
    bulk.cursor().execute("SELECT pgpush.emit('open:bulk', 'b', "
        "jsonb_build_object('x', repeat('x', 15000))) "
        "FROM generate_series(1, 2000)")
    lock = w.db.connect("postgres", autocommit=False)
    lock.cursor().execute("LOCK TABLE pgpush.log IN SHARE MODE")
    wait_for(lambda: w.root("SELECT FROM pg_locks WHERE pid = ANY (%s) AND "
        "relation = 'pgpush.log'::regclass AND NOT granted", node.pids),
        "its move")
    bulk.commit()
    node.signal(signal.SIGSTOP)
    lock.rollback()
    for conn in (bulk, lock):
        conn.close()
    wait_for(lambda: blocked(w, node), "the server to wait for it")


def whole(w, reader, room, event="n"):
    """It has every event of the room once and in order."""
    reader.wait(lambda e: e and e[-1]["event"] == "end", "the last event")
    want = [i for i, _ in events_of(w, room, event=event)]
    got = [e["id"] for e in reader.events if e["event"] == event]
    same(got == want, True, "%s: %d events, %d in the log, in its order"
        % (reader.client.user, len(got), len(want)))
    same(reader.other, [], "other frames")


def other_program(w):
    """A connection of the daemons' role that is no daemon's."""
    conn = w.db.connect("push_daemon")
    return conn, conn.info.backend_pid


def hang(tcp, backlog):
    """The leader hangs, another leads; it goes on, and nothing is missing."""
    w = World("app", start=False, presence_grace="500ms")
    w.daemon.start()
    w.daemon.stop()             # a port, a database; the nodes are ours
    dsn = w.db.dsn("push_daemon", tcp=tcp)
    with Node(w, "a", dsn, presence_grace="500ms", move_limit=30000,
            move_bytes="64M") as a:
        wait_leader(w, "a")
        with Node(w, "b", dsn, presence_grace="500ms") as b:
            hang_pair(w, a, b, backlog)
    same(w.close(), [], "end of the daemon")


def hang_pair(w, a, b, backlog):
    stranger, stranger_pid = other_program(w)
    room = "open:hang"
    ca = a.client("onlya", [room])
    readers = [Reader(ca), Reader(b.client("onlyb", [room]))]
    wait_for(lambda: listed(w, ca) == [("a",)], "it to be listed")
    wait_for(lambda: online(w, "onlya") and online(w, "onlyb"), "both online")
    a.pids = connected(a)
    before_b = connected(b)
    writer = Writer(w, room)
    writer.goes_on()
    if backlog:
        stop_midway(w, a)
    else:
        a.signal(signal.SIGSTOP)
    writer.goes_on()
    wait_leader(w, "b", DEAD)
    writer.goes_on()
    at = len(readers[1].events)
    readers[1].wait(lambda e: len(e) >= at + 20, "events at the other node")
    wait_for(lambda: not alive(w, a.pids), "its connections to end", DEAD)
    wait_for(lambda: a.seen() is None, "it to be forgotten", DEAD)
    wait_for(lambda: not listed(w, ca), "its client to be forgotten")
    wait_for(lambda: not online(w, "onlya"), "its user to be offline")
    check(online(w, "onlyb"), "the other's user is offline")
    same(b.backends(), before_b, "the other's connections")
    same(alive(w, [stranger_pid]), [stranger_pid], "another program's")
    stranger.close()
    a.signal(signal.SIGCONT)
    wait_for(lambda: a.seen() is not None, "it to be back", DEAD)
    same(leader(w), "b", "who leads")
    writer.goes_on()
    writer.stop()
    w.emit(room, "end", {})
    for reader in readers:
        whole(w, reader, room)
        reader.stop()
    wait_for(lambda: listed(w, ca) == [("a",)], "it to be listed again", DEAD)
    wait_for(lambda: online(w, "onlya"), "its user to be online again")
    a.wait_ready()
    same(leader(w), "b", "who leads at the end")
    w.emit(room, "last", {})
    ca.event("last")


@case
def leader_tcp(unused):
    """the leader hangs: another leads; when it goes on nothing is missing"""
    hang(tcp=True, backlog=False)


@case
def leader_unix_midway(unused):
    """the same over a Unix socket, the server blocked sending to it"""
    hang(tcp=False, backlog=True)


@case
def leader_tcp_midway(unused):
    """the same over TCP, the server blocked sending to it"""
    hang(tcp=True, backlog=True)


@case
def follower(unused):
    """a follower hangs: it is forgotten, and comes back; nobody else notices"""
    w = World("app", presence_grace="500ms", node="lead")
    wait_leader(w, "lead")
    wait_for(lambda: w.root("SELECT FROM pgpush.nodes WHERE "
        "0 <> ALL (backends)"), "all its connections")
    mine = w.root("SELECT backends FROM pgpush.nodes WHERE node = 'lead'")
    with Node(w, "f", w.db.dsn("push_daemon", tcp=False)) as f:
        c = f.client("onlyf", ["open:f"])
        readers = [Reader(c), Reader(w.client("here", ["open:f"]))]
        wait_for(lambda: listed(w, c) == [("f",)], "it to be listed")
        f.pids = connected(f)
        writer = Writer(w, "open:f")
        writer.goes_on()
        f.signal(signal.SIGSTOP)
        wait_for(lambda: not alive(w, f.pids), "its connections to end", DEAD)
        wait_for(lambda: f.seen() is None, "it to be forgotten", DEAD)
        wait_for(lambda: not listed(w, c), "its client to be forgotten")
        same(leader(w), "lead", "who leads")
        f.signal(signal.SIGCONT)
        writer.goes_on()
        writer.stop()
        w.emit("open:f", "end", {})
        for reader in readers:
            whole(w, reader, "open:f")
            reader.stop()
        wait_for(lambda: listed(w, c) == [("f",)], "it to be listed again",
            DEAD)
        same(w.root("SELECT backends FROM pgpush.nodes WHERE node = 'lead'"),
            mine, "the leader's connections")
    same(w.close(), [], "end of the daemon")


@case
def short_pause(unused):
    """a leader that hangs for less is left alone and goes on leading"""
    w = World("app")
    with Node(w, "f") as f:
        first = wait_for(lambda: leader(w), "a leader")
        check(first != "f", "the one that came later leads")
        wait_for(lambda: w.root("SELECT FROM pgpush.nodes WHERE node = %s "
            "AND 0 <> ALL (backends)", first), "all its connections")
        mine = w.root("SELECT backends FROM pgpush.nodes WHERE node = %s",
            first)[0][0]
        c = f.client("there", ["open:short"])
        w.daemon.signal(signal.SIGSTOP)
        try:
            w.emit("open:short", "n", {})
            wait_for(lambda: w.root("SELECT FROM pgpush.nodes WHERE node = %s "
                "AND seen < now() - interval '5 s'", first), "an old stamp")
            same(alive(w, mine), sorted(mine), "its connections")
        finally:
            w.daemon.signal(signal.SIGCONT)
        c.event("n", "open:short")
        same(leader(w), first, "who leads")
        w.emit("open:short", "n", {})
        c.event("n", "open:short")
        same(alive(w, mine), sorted(mine), "its connections")
    same(w.close(), [], "end of the daemon")


GHOST = "INSERT INTO pgpush.nodes (node, seen, started, backends, version) " \
    "VALUES ('ghost', now() - interval %s, now() - interval '2 hours', %s, 'x')"


def no_ghost(w):
    wait_for(lambda: not w.root("SELECT FROM pgpush.nodes WHERE node = "
        "'ghost'"), "the ghost to be forgotten", DEAD)


@case
def reused(unused):
    """process ids that others have by now are not a dead daemon's"""
    w = World("app", node="lead")
    with Node(w, "f") as f:
        wait_leader(w, "lead")
        mine = connected(f) + w.root("SELECT backends FROM pgpush.nodes "
            "WHERE node = 'lead'")[0][0]
        stranger, pid = other_program(w)
        api = w.db.connect("app_api")
        everybody = [pid, api.info.backend_pid] + mine
        w.root(GHOST, "1 hour", everybody)
        no_ghost(w)
        # One that is dead for so short a time is there for two seconds yet.
        stranger.close()
        stranger, pid = other_program(w)
        everybody[0] = pid
        w.root(GHOST, "10.1 s", everybody[:2])
        no_ghost(w)
        same(alive(w, everybody), sorted(everybody), "the connections")
        for conn in (stranger, api):
            with conn.cursor() as cur:
                cur.execute("SELECT 1")
            conn.close()
        same(leader(w), "lead", "who leads")
    same(w.close(), [], "end of the daemon")


@case
def other_database(unused):
    """nor are those of a daemon on another database of the server"""
    w = World("app", node="lead")
    other = World("app", node="other")
    wait_leader(w, "lead")
    wait_leader(other, "other")
    wait_for(lambda: other.root("SELECT 0 <> ALL (backends) FROM "
        "pgpush.nodes") == [(True,)], "all its connections")
    theirs = other.root("SELECT backends FROM pgpush.nodes")[0][0]
    # Old enough to be a dead daemon's, by their age.
    wait_for(lambda: not w.root("SELECT FROM pg_stat_activity WHERE pid = "
        "ANY (%s) AND backend_start > now() - interval '12 s'", theirs),
        "the connections to be old", DEAD)
    w.root(GHOST, "10.1 s", theirs)
    no_ghost(w)
    same(alive(w, theirs), sorted(theirs), "the other's connections")
    for x in (w, other):
        same(x.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(world=False)
