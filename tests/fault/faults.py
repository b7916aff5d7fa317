# SPDX-License-Identifier: ISC
"""The faults, one after the other in an order that the seed gives."""

import collections
import random
import signal
import time

import psycopg2

from place import BACKLOG, say

HANG = 13.0             # seconds: a leader is dead after 10
TAKE_OVER = 60.0


class Faults:
    def __init__(self, place, found, seed):
        self.place = place
        self.found = found
        self.rng = random.Random("%s-faults" % seed)
        self.counts = collections.Counter()
        self.banned = set()

    def plan(self, seconds):
        """What to do, in which order: each once in a round, more if there
        is time; three times an immediate restart."""
        must = ["restart"] * 3 + ["leader", "kill", "drain", "stop",
            "backends", "writers", "replica", "purge", "purge", "cut",
            "evict", "evict"]
        light = ["kill", "stop", "backends", "writers", "purge", "cut",
            "drain", "evict", "evict", "replica"]
        n = max(0, int(seconds / 2.6) - len(must) - 5)
        todo = must + [self.rng.choice(light) for _ in range(n)]
        todo += ["leader"] * int(seconds / 200)
        self.rng.shuffle(todo)
        return todo

    def run(self, seconds):
        end = time.monotonic() + seconds
        todo = self.plan(seconds)
        while todo:
            what = todo.pop(0)
            began = time.monotonic()
            getattr(self, "do_" + what)()
            left = end - time.monotonic()
            say("%s %.1f s; %d to do, %.0f s left", what,
                time.monotonic() - began, len(todo), left)
            if todo and left > 0:
                time.sleep(self.rng.uniform(0.2, 1.8)
                    * min(2.5, left / len(todo)))

    def any(self, but_first=True):
        return self.rng.choice(self.place.daemons[but_first:])

    # -- daemons; the first is never killed, its memory is watched

    def do_kill(self):
        d = self.any()
        d.kill()
        time.sleep(self.rng.uniform(0, 0.5))
        d.start(ready=False)
        self.counts["kill"] += 1

    def do_drain(self):
        d = self.any()
        d.wait_status("/healthz", 200)      # it may just have been started
        d.stop()
        d.start(ready=False)
        self.counts["drain"] += 1

    def do_stop(self):
        d = self.any(False)
        d.signal(signal.SIGSTOP)
        time.sleep(self.rng.uniform(0.2, 2.0))
        d.signal(signal.SIGCONT)
        self.counts["stop"] += 1

    def do_leader(self):
        """The leader hangs in the middle of a full move, on a Unix socket."""
        for _ in range(20):
            if self.hang_leader():
                self.counts["leader"] += 1
                return
        self.found.problem("the leader was never caught in a full move")

    def unix_leader(self):
        """The leading daemon; another is made to lead if it is on TCP."""
        for _ in range(30):
            if self.place.until("a leader", TAKE_OVER, self.place.leader):
                name = self.place.leader()
                for d in self.place.daemons[:2]:
                    if d.name == name:
                        return d
                self.place.root("SELECT pg_terminate_backend(l.pid) FROM "
                    "pg_locks l WHERE locktype = 'advisory' AND objid = 0 "
                    "AND classid = 'pgpush.outbox'::regclass")
                time.sleep(0.3)
        return None

    def hang_leader(self):
        d = self.unix_leader()
        if d is None:
            return False
        with self.place.db.connect("app_owner", autocommit=False) as writer, \
                self.place.db.connect("postgres", autocommit=False) as lock:
            self.place.s += 20000
            writer.cursor().execute("SELECT fault.add(%s, 0, %s, 20000, 100)",
                ([BACKLOG], self.place.s - 19999))
            lock.cursor().execute("LOCK TABLE pgpush.log IN SHARE MODE")
            waits = "SELECT pid FROM pg_stat_activity a JOIN pgpush.nodes n " \
                "ON a.pid = ANY (n.backends) WHERE n.node = '%s' " \
                "AND wait_event_type = 'Lock'" % d.name
            # A move that waits for the log, and will see the backlog.
            ok = self.place.until("a move", 10,
                lambda: self.place.root(waits))
            writer.commit()
            pid = self.place.root(waits) if ok else None
            if pid:
                d.signal(signal.SIGSTOP)
            lock.commit()
        writer.close()
        lock.close()
        if not pid:
            return False
        return self.hung(d, pid[0][0])

    def hung(self, d, pid):
        """It is stopped: another must lead after 10 seconds and a little."""
        began = time.monotonic()
        caught = self.place.until("%s's backend %d to block" % (d.name, pid),
            5, lambda: self.place.root("SELECT FROM pg_stat_activity WHERE "
            "pid = %s AND wait_event = 'ClientWrite'", pid))
        if caught:
            other = self.place.until("another leader", TAKE_OVER, lambda:
                self.place.leader() not in (None, d.name))
            if not other:
                self.found.problem("%s hangs, and no other leads after %g s",
                    d.name, TAKE_OVER)
            else:
                say("%s hung in a full move; %s leads after %.1f s", d.name,
                    self.place.leader(), time.monotonic() - began)
            while time.monotonic() - began < HANG:
                time.sleep(0.1)
        d.signal(signal.SIGCONT)
        return caught

    def do_crash(self):
        """The server and all daemons in one moment."""
        for d in self.place.daemons:
            d.kill()
        self.place.cluster.restart("immediate")
        for d in self.place.daemons:
            d.start(ready=False)
        self.counts["crash"] += 1

    # -- the database

    def do_restart(self):
        self.place.cluster.restart("immediate")
        self.counts["restart"] += 1

    def do_backends(self):
        self.place.root("SELECT pg_terminate_backend(pid) FROM "
            "pg_stat_activity WHERE usename = 'push_daemon' "
            "AND random() < 0.4")
        self.counts["backends"] += 1

    def do_writers(self):
        self.place.root("SELECT pg_terminate_backend(pid) FROM "
            "pg_stat_activity WHERE application_name = 'fault writer' "
            "AND random() < 0.6")
        self.counts["writers"] += 1

    def do_replica(self):
        self.place.replica.restart(self.rng.choice(("fast", "immediate")))
        self.counts["replica"] += 1

    def do_purge(self):
        """While many resume."""
        self.place.crowd.tell("cut", 0.3)
        floor = self.place.purge(self.rng.choice(("1 s", "2 s", "3 s")))
        self.counts["purge"] += 1
        say("purged up to %d", floor)

    # -- clients

    def do_cut(self):
        self.place.crowd.tell("cut", self.rng.choice((0.3, 0.7, 1.0)))
        self.counts["cut all"] += 1

    def do_evict(self):
        """One is banned for good, others only sent out; no fault as such."""
        clients = len(self.place.plans)
        victim = self.rng.randrange(2, clients)
        if victim not in self.banned and len(self.banned) < clients // 5:
            room = self.rng.choice([r for r in self.place.plans[victim]
                if r[6:].isdigit()])
            self.banned.add(victim)
            self.evict("SELECT fault.ban(%s, %s)", "u%d" % victim, room)
        for _ in range(3):
            k = self.rng.randrange(clients)
            self.evict("SELECT pgpush.revoke(%s, %s)",
                self.rng.choice(self.place.plans[k]), "u%d" % k)
        self.evict("SELECT pgpush.revoke(%s)", self.rng.choice(
            self.place.plans[0]))

    def evict(self, text, *args):
        """Perhaps twice, if the server goes in between: no harm."""
        try:
            self.place.db.query("app_owner", text, *args)
        except psycopg2.Error as e:
            say("not evicted: %s", str(e).strip())
