# SPDX-License-Identifier: ISC
"""The writers: one process, a thread and a connection each.

What a writer commits it commits together with rows of fault.facts, so that it
need not know what became of a transaction whose answer never came.  A writer's
count s only grows, so that its transactions and their rows have an order.  A
prepared transaction is a writer of its own, since others overtake it.
"""

import collections
import multiprocessing
import random
import threading
import time

import psycopg2
import psycopg2.errors

from crowd import die_with_parent

PREPARED = 1000         # numbers of prepared transactions begin here
HELD = 1000000          # and of held events
SERIALIZABLE = (3, 4)   # writers
BIG = 24000             # bytes: over max_event as faults.py sets it
GONE = (psycopg2.OperationalError, psycopg2.InterfaceError)


class Writer(threading.Thread):
    def __init__(self, team, number):
        super().__init__(daemon=True)
        self.team = team
        self.number = number
        self.rng = random.Random("%s-writer-%d" % (team.seed, number))
        self.s = 0
        self.conn = None
        self.cur = None

    def connect(self):
        self.conn = psycopg2.connect(self.team.dsn,
            application_name="fault writer")
        self.conn.autocommit = False
        self.cur = self.conn.cursor()
        if self.number == 2:
            # What it commits a crash may undo, but never what was pushed.
            self.cur.execute("SET synchronous_commit = off")
        if self.number in SERIALIZABLE:
            self.cur.execute("SET default_transaction_isolation = "
                "'serializable'")
        self.conn.commit()

    def drop(self):
        if self.conn is not None:
            try:
                self.conn.close()
            except psycopg2.Error:
                pass
        self.conn = None

    def run(self):
        while not self.team.stop.is_set():
            if self.team.pause.is_set():
                self.team.idle(self)
                continue
            try:
                if self.conn is None:
                    self.connect()
                self.one()
            except psycopg2.errors.SerializationFailure:
                # Of the facts and items, which are read as well.
                self.team.count("serialization failure")
                self.conn.rollback()
            except GONE:
                self.team.count("commit unknown or refused")
                self.drop()
                self.wait(self.rng.uniform(0.05, 0.3))
            except psycopg2.Error as e:
                self.team.trouble.append("writer %d: %s %s" % (self.number,
                    e.pgcode, str(e).strip()))
                self.drop()
                self.wait(0.5)
        self.drop()

    def wait(self, seconds):
        self.team.stop.wait(seconds)

    # -- transactions

    def say(self, room, pad=None, dup=None):
        self.s += 1
        if pad is None:
            pad = self.rng.choice((20, 60, 100, 200, 200, 400, 3000))
        self.cur.execute("SELECT fault.say(%s, %s, %s, %s, %s)", (room,
            self.number, self.s, pad, dup))

    def room(self):
        return self.rng.choice(self.team.rooms)

    def some(self, least=2, most=4):
        return self.rng.sample(self.team.rooms, self.rng.randint(least, most))

    def one(self):
        """A transaction of any kind, and a pause after it."""
        kinds = ((30, self.single), (15, self.several), (10, self.savepoint),
            (8, self.roll_back), (6, self.add), (5, self.change),
            (3, self.hold), (6, self.twin), (1, self.big), (6, self.user),
            (2, self.silent), (8, self.keep_back), (3, self.poison))
        pick = self.rng.choices([k for _, k in kinds],
            [weight for weight, _ in kinds])[0]
        pick()
        self.team.count(pick.__name__)
        self.wait(self.rng.expovariate(1.0 / self.team.rest))

    def single(self):
        self.say(self.room())
        self.conn.commit()

    def several(self):
        for room in self.some():
            for _ in range(self.rng.randint(1, 3)):
                self.say(room)
        self.conn.commit()

    def savepoint(self):
        self.say(self.room())
        self.cur.execute("SAVEPOINT a")
        for room in self.some():
            self.say(room)
        self.cur.execute("SAVEPOINT b")
        self.say(self.room())
        self.cur.execute(self.rng.choice(("ROLLBACK TO a", "ROLLBACK TO b",
            "RELEASE a")))
        if self.rng.random() < 0.5:
            self.say(self.room())
        self.conn.commit()

    def roll_back(self):
        for room in self.some():
            self.say(room)
        self.conn.rollback()

    def add(self):
        count = self.rng.choice((20, 60, 200, 300))
        self.cur.execute("SELECT fault.add(%s, %s, %s, %s, %s)",
            (self.some(1, 3), self.number, self.s + 1, count,
            self.rng.choice((10, 100))))
        self.s += count
        self.conn.commit()

    def change(self):
        self.s += 1
        self.cur.execute("SELECT fault.change(%s, %s, %s, %s)",
            (self.some(1, 3), self.number, self.s,
            self.rng.choice((5, 50, 300))))
        self.conn.commit()

    def hold(self):
        """Open for about a second, with events before and after."""
        for room in self.some():
            self.say(room)
        self.wait(self.rng.uniform(0.7, 1.3))
        self.say(self.room())
        self.conn.commit()

    def twin(self):
        """One happening in two rooms."""
        dup = "%d-%d-%d" % (self.number, self.s, self.rng.getrandbits(40))
        for room in self.some(2, 2):
            self.say(room, dup=dup)
        self.conn.commit()

    def big(self):
        self.say(self.room(), BIG)
        self.conn.commit()

    def user(self):
        self.say("user:" + self.rng.choice(self.team.users))
        self.conn.commit()

    def keep_back(self):
        """An event of its own writer, as it takes its place later."""
        number = self.team.next_held()
        key = "key%d" % self.rng.randrange(20)
        self.cur.execute("SELECT fault.keep_back(%s, %s, 1, %s, %s)",
            (self.room(), number, key, self.rng.choice(("0", "20 ms", "1 s"))))
        self.say(self.room())
        self.conn.commit()
        if self.rng.random() < 0.7:
            self.cur.execute("SELECT pgpush.release(%s)", (key,))
            self.say(self.room())
            self.conn.commit()

    def poison(self):
        self.cur.execute("SELECT fault.poison()")
        self.say(self.room())
        self.conn.commit()

    def silent(self):
        """Without a bell: it comes with the next one's."""
        self.cur.execute("SET LOCAL pgpush.bell = off")
        self.say(self.room())
        self.conn.commit()


class Preparer(Writer):
    """Prepares transactions and ends them later, whatever happened since."""

    def connect(self):
        super().connect()
        self.conn.autocommit = True
        self.cur.execute("SET pgpush.bell = off")

    def one(self):
        self.number = self.team.next_prepared()
        gid = "fault-%d" % self.number
        self.cur.execute("BEGIN")
        for room in self.some():
            self.say(room)
        self.cur.execute("PREPARE TRANSACTION %s", (gid,))
        self.team.count("prepare")
        self.wait(self.rng.choice((0.1, 0.5, 3.0)))
        how = "COMMIT" if self.rng.random() < 0.7 else "ROLLBACK"
        self.cur.execute(how + " PREPARED %s", (gid,))

    def drop(self):
        """After a cut: one that is left is ended as well."""
        super().drop()
        if self.team.stop.is_set() or self.team.pause.is_set():
            return
        try:
            self.connect()
            end_prepared(self.cur, "fault-%d" % self.number, self.rng)
        except psycopg2.Error:
            super().drop()


def end_prepared(cur, like, rng):
    cur.execute("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s "
        "AND database = current_database()", (like,))
    for (gid,) in cur.fetchall():
        cur.execute(rng.choice(("COMMIT", "ROLLBACK")) + " PREPARED %s",
            (gid,))


class Team:
    """All writers, and the pipe to who started them."""

    def __init__(self, pipe, dsn, rooms, users, seed, how_many, rest):
        self.pipe = pipe
        self.dsn = dsn
        self.rooms = rooms
        self.users = users
        self.seed = seed
        self.rest = rest            # seconds, the mean pause
        self.stop = threading.Event()
        self.pause = threading.Event()
        self.pause.set()
        self.trouble = []
        self.counts = collections.Counter()
        self.lock = threading.Lock()
        self.prepared = PREPARED
        self.held = HELD
        self.resting = set()
        self.threads = [Writer(self, k) for k in range(1, how_many)] \
            + [Preparer(self, how_many)]

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def next_prepared(self):
        self.prepared += 1          # one thread does that
        return self.prepared

    def next_held(self):
        with self.lock:
            self.held += 1
            return self.held

    def idle(self, writer):
        with self.lock:
            self.resting.add(writer)
        writer.drop()
        time.sleep(0.01)

    def run(self):
        for thread in self.threads:
            thread.start()
        while True:
            command = self.pipe.recv()
            if command[0] == "pause":
                # Answer when nobody is in a transaction any more.
                with self.lock:
                    self.resting.clear()
                self.pause.set()
                while len(self.resting) < len(self.threads):
                    time.sleep(0.01)
                self.pipe.send(("paused", dict(self.counts), self.trouble))
            elif command[0] == "go":
                self.rest = command[1]
                self.pause.clear()
            else:
                return


def child(pipe, *how):
    die_with_parent()
    try:
        Team(pipe, *how).run()
    except EOFError:
        pass


class TeamProxy:
    def __init__(self, *how):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=child, args=(theirs,) + how,
            daemon=True)
        self.process.start()
        theirs.close()

    def go(self, rest):
        self.pipe.send(("go", rest))

    def pause(self, limit=60):
        """None writes any more; (counts, what went wrong)."""
        self.pipe.send(("pause",))
        if not self.pipe.poll(limit):
            raise RuntimeError("the writers do not come to rest")
        return self.pipe.recv()[1:]

    def end(self):
        self.process.kill()
        self.process.join()
