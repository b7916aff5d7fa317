# SPDX-License-Identifier: ISC
"""The servers, the daemons, the clients and the writers of a run."""

import os
import random
import signal
import time

import psycopg2

from lib import cluster as clusters
from lib import database, nodes
from lib.daemon import Daemon
from lib.tap import Failed

from crowd import CrowdProxy
from writers import TeamProxy, end_prepared

ROOMS = ["fault:%d" % k for k in range(12)]
QUIET = ["fault:quiet%d" % k for k in range(3)]
BACKLOG = "fault:backlog"
WRITERS = 7
MAX_EVENT = 20 * 1024

# Small bounds, so that rings are left and outputs are full soon; a heartbeat
# that cannot hide a lost bell; and a leader that changes its state often.
SETTINGS = {
    "heartbeat": "1h", "ping_interval": "3s", "output_high": "64k",
    "max_event": "20k", "ring_events": 512, "ring_bytes": "512k",
    "move_limit": 2000, "catchup_limit": 300, "reconnect_max": "1s",
    "arm_below": 40, "poll_bells": 2, "move_interval": "2ms",
    "drain_timeout": "1s", "retain": "24h", "presence_grace": "1h",
    "log_level": "debug" if "PGPUSH_FAULT_LOGS" in os.environ else "info",
}


def say(text, *args):
    print("# " + (text % args if args else text), flush=True)


class Place:
    def __init__(self, seed, daemons, clients):
        self.seed = seed
        self.rng = random.Random("%s-place" % seed)
        self.crowd = self.team = self.replica = self.db = None
        self.daemons = []
        self.floors = []                # (when a purge began, the floor)
        self.cluster = clusters.make()
        self.db = database.Database(self.cluster, "app")
        database.psql(self.cluster, self.db.name, "app_owner",
            path=os.path.join(os.path.dirname(os.path.abspath(__file__)),
                "schema.sql"))
        self.db.psql("CREATE TRIGGER fault_keep AFTER DELETE ON pgpush.log "
            "REFERENCING OLD TABLE AS purged FOR EACH STATEMENT "
            "EXECUTE FUNCTION fault.keep()")
        self.db.psql("CREATE TRIGGER fault_keep AFTER INSERT ON pgpush.terms "
            "FOR EACH ROW EXECUTE FUNCTION fault.keep_tag()")
        self.replica = clusters.replica(self.cluster)
        for k in range(daemons):
            self.daemons.append(self.daemon(k, k == daemons - 1 and k > 1))
        self.plans = [self.plan(k) for k in range(clients)]
        self.crowd = CrowdProxy([d.port for d in self.daemons], self.plans,
            seed)
        self.team = TeamProxy(self.dsn("app_owner"), ROOMS,
            ["u%d" % k for k in range(0, clients, 3)], seed, WRITERS, 0.2)
        self.s = 0                      # what the program itself has written

    def dsn(self, user, unix=False):
        """Wherever one can write: on the primary, later on the replica."""
        both = (self.cluster, self.replica)
        return "host=%s port=%s dbname=%s user=%s connect_timeout=5 " \
            "target_session_attrs=read-write" % (
            ",".join(c.dir if unix else "127.0.0.1" for c in both),
            ",".join(str(c.port) for c in both), self.db.name, user)

    def daemon(self, k, follows):
        """The first two are on the Unix socket, the last one on a replica."""
        more = dict(SETTINGS, node="d%d" % k)
        if follows:
            more["follow_dsn"] = self.replica.dsn(self.db.name, "push_daemon")
        d = Daemon(self.cluster, self.dsn("push_daemon", unix=k < 2), **more)
        d.name = "d%d" % k
        d.follows = follows
        return d.start()

    def plan(self, k):
        """The rooms of a client."""
        rooms = self.rng.sample(ROOMS, self.rng.randint(2, 4))
        if k % 2 == 0:
            rooms.append(QUIET[k % len(QUIET)])
        if k % 10 == 0:
            rooms.append(BACKLOG)
        return rooms

    # -- SQL, wherever the primary is

    def root(self, text, *args, limit=60):
        """As the superuser; the server may be away for a moment."""
        end = time.monotonic() + limit
        while True:
            try:
                return self.db.query("postgres", text, *args)
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def leader(self):
        try:
            return nodes.leader(self)
        except Failed:
            return None                 # one goes, another comes

    def until(self, what, limit, ask):
        """Whether it becomes true in time."""
        end = time.monotonic() + limit
        while not ask():
            if time.monotonic() > end:
                say("not in %g s: %s", limit, what)
                return False
            time.sleep(0.05)
        return True

    def write(self, room, conn=None):
        """An event of the program's own; (s, room), which names it."""
        self.s += 1
        text = "SELECT fault.say(%s, 0, %s, 50)"
        if conn is None:
            self.root(text, room, self.s)
        else:
            conn.cursor().execute(text, (room, self.s))
        return self.s, room

    def expect(self, room):
        """Before write(): be told when all members of the room have it."""
        self.crowd.tell("expect", self.s + 1, room)

    def arrived(self, key, limit):
        """None, or who is missing."""
        if self.crowd.answer(limit, "expect", *key):
            return None
        return self.crowd.ask("missing", *key)[0]

    def purge(self, retain):
        began = time.monotonic()
        while self.root("SELECT pgpush.purge(%s)", retain)[0][0] > 0:
            pass
        floor = self.root("SELECT id FROM pgpush.floor")[0][0]
        self.floors.append((began, floor))
        return floor

    def drain_outbox(self):
        """All that is committed is in the log.  Nobody else may write."""
        conn = self.db.connect("app_owner")
        end_prepared(conn.cursor(), "fault-%", self.rng)
        conn.cursor().execute("SELECT pgpush.ring('fault')")
        conn.close()
        return self.until("an empty outbox", 60, lambda: not self.root(
            "SELECT FROM pgpush.outbox UNION ALL SELECT FROM pgpush.held "
            "LIMIT 1"))

    def settle(self, limit=180):
        """All clients are in all their rooms; who is not, if not."""
        self.crowd.tell("settle")
        if self.crowd.answer(limit, "settle"):
            return None
        return self.crowd.ask("unsettled")[0]

    def fail_over(self):
        """From now on SQL goes to the replica, which is none any more; the
        last id it knew of."""
        self.cluster.stop("immediate")
        top = database.admin(self.replica, "SELECT greatest((SELECT max(id) "
            "FROM pgpush.log), (SELECT id FROM pgpush.floor))", self.db.name)
        self.replica.promote()
        nodes.follows(self, self.replica)
        return top[0][0]

    def copy_directory(self):
        """The primary's data directory as it is now."""
        copy = self.replica.data + ".copy"
        self.replica.stop()
        clusters.run_quiet(["cp", "-a", self.replica.data, copy], "cp")
        self.replica.start()
        return copy

    def put_back(self, copy):
        """An older directory takes the place of the primary's."""
        self.replica.stop("immediate")
        clusters.run_quiet(["rm", "-rf", self.replica.data], "rm")
        clusters.run_quiet(["mv", copy, self.replica.data], "mv")
        self.replica.start()

    def memory(self):
        return self.daemons[0].rss_kb()

    def show_logs(self):
        for d in self.daemons:
            say("log of %s:", d.name)
            for line in d.tail(60).splitlines():
                say("%s", line)

    def close(self):
        """What was wrong with the end of the daemons."""
        trouble = []
        for child in (self.crowd, self.team):
            if child is not None:
                child.end()
        for d in self.daemons:
            if d.process is not None:
                try:
                    d.signal(signal.SIGCONT)
                except ProcessLookupError:
                    pass
            trouble += ["%s: %s" % (d.name, t) for t in d.finish()]
        self.keep_logs()
        for c in (self.replica, self.cluster):
            if c is not None:
                c.close()
        return trouble

    def keep_logs(self):
        where = os.environ.get("PGPUSH_FAULT_LOGS")
        if not where:
            return
        os.makedirs(where, exist_ok=True)
        for d in self.daemons:
            with open(os.path.join(where, d.name), "w") as f:
                f.write(d.log())
        for c, name in ((self.cluster, "primary"), (self.replica, "replica")):
            if c is not None:
                with open(os.path.join(where, name), "w") as f:
                    f.write(c.log())
