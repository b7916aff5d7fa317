# SPDX-License-Identifier: ISC
"""More daemons on a world's database, and who of them leads."""

import re
import signal

from . import jwt
from .client import Client
from .daemon import Daemon
from .tap import Failed, check, same, wait_for

LOCKS = "SELECT l.pid, l.mode FROM pg_locks l WHERE l.locktype = 'advisory' " \
    "AND l.classid = 'pgpush.outbox'::regclass AND l.objid = %d " \
    "AND l.granted AND l.database = (SELECT oid FROM pg_database " \
    "WHERE datname = current_database())"

LEADER, BELL, FOLLOWERS = 0, 1, 2


class Node(Daemon):
    """One more daemon of a world, known by its name in pgpush.nodes.

    As a context: started, and at the end it must end as it should.
    """

    def __init__(self, w, name, dsn=None, start=True, **settings):
        self.w = w
        self.name = name
        self.clients = []
        super().__init__(w.db.cluster, dsn or w.db.dsn("push_daemon"),
            node=name, **settings)
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *unused):
        for c in self.clients:      # nobody to wait for
            c.shut()
        if self.process is not None:
            self.signal(signal.SIGCONT)
        trouble = self.finish()
        if kind is None:
            same(trouble, [], "end of the daemon " + self.name)

    def client(self, user, rooms=(), auth=None, **how):
        """A client that is welcome here, in these rooms."""
        c = Client(self.port, **how)
        self.w.clients.append(c)
        self.clients.append(c)
        if c.response.status != 101:
            raise Failed("handshake: %r" % c.response)
        c.auth(jwt.mint({"sub": user}), **(auth or {}))
        for room in rooms:
            c.join(room)
        return c

    def backends(self):
        """Its processes in PostgreSQL, as it has stamped them."""
        rows = self.w.root("SELECT backends FROM pgpush.nodes WHERE node = %s",
            self.name)
        return rows[0][0] if rows else []

    def leads(self):
        return leader(self.w) == self.name

    def stamped(self, times=1):
        """Wait for so many stamps of it."""
        for _ in range(times):
            before = self.seen()
            wait_for(lambda: self.seen() != before, "a stamp of " + self.name)

    def seen(self):
        rows = self.w.root("SELECT seen FROM pgpush.nodes WHERE node = %s",
            self.name)
        return rows[0][0] if rows else None


def locks(w, number):
    """Who holds one of the daemons' locks: (process, mode)."""
    return w.root(LOCKS % number)


def leader(w):
    """The name of the node that holds the leader's lock; None: nobody."""
    rows = w.root("SELECT n.node FROM (" + LOCKS % LEADER + ") l LEFT JOIN "
        "pgpush.nodes n ON l.pid = ANY (n.backends)")
    check(len(rows) <= 1, "more than one leader: %s" % rows)
    return rows[0][0] if rows else None


def wait_leader(w, name, limit=30):
    wait_for(lambda: leader(w) == name, "%s to lead" % name, limit)


def logged(daemon, since=0):
    """What it has written to its log after so many characters."""
    return daemon.log()[since:]


READ = re.compile(r'^.* msg="?catch-up"? .*$', re.M)


def pair(line, key):
    """The value of a key in a line of the log, None if it is not there."""
    match = re.search(r'\b%s=(?:"([^"]*)"|(\S*))' % key, line)
    if match is None:
        return None
    return match.group(1) if match.group(1) is not None else match.group(2)


def reads(daemon, since=0, room=None):
    """The catch-up reads in its log: [(room, from, upto, members)]."""
    out = []
    for line in READ.findall(logged(daemon, since)):
        row = (pair(line, "room"), int(pair(line, "from") or 0),
            int(pair(line, "upto") or 0), int(pair(line, "members") or 0))
        if room is None or row[0] == room:
            out.append(row)
    return out


def events_of(w, room, above=0, event=None):
    """The ids and data of a room in the log, in their order."""
    text = "SELECT id, data FROM pgpush.log WHERE room = %s AND id > %s " \
        "AND kind = 'event'"
    args = [room, above]
    if event is not None:
        text += " AND event = %s"
        args.append(event)
    return w.root(text + " ORDER BY id", *args)


def follows(w, r):
    """From now on the world's SQL goes to another cluster: its failover."""
    for conn in w.db.cached.values():
        conn.close()
    w.db.cached = {}
    w.db.cluster = r
