# SPDX-License-Identifier: ISC
"""A bystander: a user whose join, send, event and login wait for no stranger.

A hostile pattern keeps the daemon or the database busy.  While it does, a
Bystander asks for one thing of each kind.  Nothing is judged by the clock: a
pattern holds a lock that ends only when the bystander has been answered, or
counts what was done for the hostile users in between.

The application writes all the time (Application).  None of its statements may
fail, and none may wait for a lock that one of the daemon's backends holds.
"""

import threading
import time

import psycopg2

from .client import Reader
from .tap import Failed, check, diag, show, wait_for

LIMIT = 25.0            # seconds for one answer to the bystander
GATE = 4711             # the advisory lock that hanging functions wait for

# One function of every kind that can hang or be slow.  app.gate() waits as
# long as the test holds the lock GATE.

SETUP = """
CREATE TABLE app.rows (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);
INSERT INTO app.rows SELECT generate_series(1, 40);
CREATE TABLE app.people (user_id text PRIMARY KEY);
CREATE TABLE app.ledger (id bigserial PRIMARY KEY, room text, body text);
GRANT SELECT, INSERT, UPDATE, DELETE ON app.rows, app.ledger TO app_api;
GRANT USAGE ON SCHEMA app TO app_api;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA app TO app_api;

CREATE FUNCTION app.gate() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS 'SELECT pg_advisory_xact_lock_shared(%(gate)d)';

CREATE FUNCTION app.touch(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  UPDATE app.rows r SET n = n + 1 WHERE r.id = (data->>'row')::int;
  RETURN '{"reply": "touched"}';
END $$;

CREATE FUNCTION app.nap(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pg_sleep((data->>'seconds')::float);
  RETURN '{"reply": "awake"}';
END $$;

CREATE FUNCTION app.hang(user_id text, room text, data jsonb, ctx jsonb)
RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM app.gate();
  RETURN '{"reply": "through"}';
END $$;

-- Its rule hangs for some users, and is quick for others.
CREATE FUNCTION app.rule_hangs(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF user_id LIKE 'hostile%%' THEN PERFORM app.gate(); END IF;
  RETURN true;
END $$;

CREATE FUNCTION app.rule_naps(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF user_id LIKE 'hostile%%' THEN PERFORM pg_sleep(0.1); END IF;
  RETURN true;
END $$;

CREATE FUNCTION app.person(user_id text, params jsonb, ctx jsonb)
RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT NOT EXISTS (SELECT FROM app.people p WHERE p.user_id = $1) $$;

CREATE FUNCTION app.greet_hangs(user_id text, ctx jsonb) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF user_id LIKE 'slowgreet%%' THEN PERFORM app.gate(); END IF;
  RETURN ARRAY['user:' || user_id];
END $$;

CREATE FUNCTION app.seen(user_id text, online boolean, last_seen timestamptz)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF user_id LIKE 'hostile%%' THEN PERFORM app.gate(); END IF;
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC;
SELECT pgpush.allow('hangs:{id}', 'app.rule_hangs(text,jsonb,jsonb)');
SELECT pgpush.allow('naps:{id}', 'app.rule_naps(text,jsonb,jsonb)');
SELECT pgpush.allow('person:{id}', 'app.person(text,jsonb,jsonb)');
SELECT pgpush.on('touch', 'app.touch(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('nap', 'app.nap(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.on('hang', 'app.hang(text,text,jsonb,jsonb)', member => false);
SELECT pgpush.greet('app.greet_hangs(text,jsonb)');
SELECT pgpush.attach('app.ledger', 'open:{room}', '{"insert": "entry"}',
  '{id,body}');
""" % {"gate": GATE}

# Backends of the application that wait for a lock of a daemon's backend.
BLOCKED = """
SELECT a.query, b.query
FROM pg_stat_activity a
  CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) p (pid)
  JOIN pg_stat_activity b ON b.pid = p.pid
WHERE a.datname = current_database() AND a.usename = 'app_api'
  AND a.wait_event_type = 'Lock' AND b.usename = 'push_daemon'
"""

# Backends of the daemon that wait for a lock.
WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND usename = 'push_daemon'
  AND wait_event_type = 'Lock'
"""


def prepare(w):
    """The functions above, in this world."""
    w.db.psql(SETUP, "app_owner")


class Gate:
    """As a context: what calls app.gate() hangs until its end."""

    def __init__(self, w):
        self.w = w
        self.open = False

    def __enter__(self):
        self.conn = self.w.db.connect("postgres")
        self.conn.cursor().execute("SELECT pg_advisory_lock(%d)" % GATE)
        return self

    def release(self):
        if not self.open:
            self.open = True
            self.conn.close()

    def __exit__(self, *unused):
        self.release()


class RowLock(Gate):
    """A row that somebody has locked and forgotten."""

    def __init__(self, w, row):
        super().__init__(w)
        self.row = row

    def __enter__(self):
        self.conn = self.w.db.connect("postgres", autocommit=False)
        self.conn.cursor().execute("SELECT FROM app.rows WHERE id = %s "
            "FOR UPDATE", (self.row,))
        return self


def waiting(w):
    return w.root(WAITING)[0][0]


def wait_hanging(w, n=1):
    """Until so many of the daemon's backends wait for a lock."""
    wait_for(lambda: waiting(w) >= n, "%d of its backends to hang" % n)


class Application:
    """Writes rows until the end, and looks who waits for whom.

    Its rows are touched by no handler of a pattern, so that it has nothing to
    wait for but locks that the daemon should not hold.
    """

    PACE = 0.004

    def __init__(self, w):
        self.w = w
        self.stopping = threading.Event()
        self.failures = []
        self.blocked = []
        self.worst = 0.0
        self.count = 0
        self.threads = [threading.Thread(target=f, daemon=True)
            for f in (self.write, self.sample)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *unused):
        self.stopping.set()
        for t in self.threads:
            t.join(60)

    def write(self):
        conn = self.w.db.connect("app_api")
        conn.cursor().execute("SET statement_timeout = '60s'")
        n = 0
        while not self.stopping.is_set():
            n += 1
            began = time.monotonic()
            try:
                with conn.cursor() as cur:
                    cur.execute("UPDATE app.rows SET n = n + 1 WHERE id = %s",
                        (30 + n % 10,))
                    cur.execute("INSERT INTO app.ledger (room, body) "
                        "VALUES ('noise', 'x')")
            except psycopg2.Error as e:
                self.failures.append(str(e).strip())
            self.worst = max(self.worst, time.monotonic() - began)
            self.count += 2
            self.stopping.wait(self.PACE)
        conn.close()

    def sample(self):
        conn = self.w.db.connect("postgres")
        while not self.stopping.is_set():
            with conn.cursor() as cur:
                cur.execute(BLOCKED)
                self.blocked += cur.fetchall()
            self.stopping.wait(0.01)
        conn.close()

    def judge(self):
        check(self.count > 0, "the application has written nothing")
        check(not self.failures, "%d application statements failed: %s"
            % (len(self.failures), show(self.failures[:3])))
        check(not self.blocked, "an application statement waited for the "
            "daemon: %s" % show(self.blocked[:3]))


class Bystander:
    """A user in a room, who asks for one thing of each kind."""

    KINDS = ("join", "send", "event", "login")

    def __init__(self, w, name="bystander"):
        self.w = w
        self.name = name
        self.rooms = 0
        self.joiner = w.client(name, ["open:" + name])
        self.sender = w.client(name + "2", ["open:" + name + "2"])
        self.hearer = w.client(name + "3", ["open:" + name + "3"])
        self.took = {}

    def one(self, kind, still):
        """Ask, wait for the answer, and see whether the pattern is there."""
        began = time.monotonic()
        try:
            getattr(self, kind)()
            problem = still() if still is not None else None
            if problem:
                self.late[kind] = "answered after %.2f s, when %s" % (
                    time.monotonic() - began, problem)
        except Exception as e:
            self.late[kind] = "after %.2f s %s" % (time.monotonic() - began,
                e)
        self.took[kind] = time.monotonic() - began

    def answer(self, reply, what):
        if not reply["ok"]:
            raise Failed("%s was answered %s" % (what, show(reply["error"])))

    def join(self):
        c = self.joiner
        self.rooms += 1
        ref = c.ref()
        c.send(type="join", room="open:%s-%d" % (self.name, self.rooms),
            ref=ref)
        self.answer(c.reply(ref, LIMIT), "join")

    def send(self):
        c = self.sender
        ref = c.ref()
        c.send(type="send", event="echo", data={}, ref=ref)
        self.answer(c.reply(ref, LIMIT), "send")

    def event(self):
        conn = self.w.db.connect("app_api")
        try:
            with conn.cursor() as cur:
                cur.execute("INSERT INTO app.ledger (room, body) "
                    "VALUES (%s, 'hello')", (self.name + "3",))
            self.hearer.next(LIMIT, type="event", event="entry")
        finally:
            conn.close()

    def login(self):
        c = self.w.open(timeout=LIMIT)
        c.send(type="auth", token=self.w.token(self.name + "4"))
        c.next(LIMIT, type="welcome")

    def served(self, still=None, kinds=KINDS):
        """All kinds are answered; after each the pattern must still be there.

        still() gives None, or what should not have happened yet.
        """
        self.late = {}
        threads = [threading.Thread(target=self.one, args=(kind, still),
            daemon=True) for kind in kinds]
        for t in threads:
            t.start()
        for t in threads:
            t.join(LIMIT + 30)
        late = {k: self.late.get(k, "no answer") for k in kinds
            if k in self.late or k not in self.took}
        diag("answered after: " + ", ".join("%s %.3f s" % (k, self.took[k])
            for k in kinds if k in self.took))
        if late:
            raise Failed("a bystander waited: " + "; ".join("%s: %s" % x
                for x in late.items()))


class Mob:
    """Hostile clients, with what they have been answered."""

    def __init__(self):
        self.clients = []
        self.readers = []

    def add(self, client):
        self.clients.append(client)
        self.readers.append(Reader(client))
        return client

    def answers(self):
        """How many replies each has had."""
        return [len([f for f in r.other if f["type"] == "reply"])
            for r in self.readers]

    def good(self):
        """How many of them say that something was done."""
        return [len([f for f in r.other if f["type"] == "reply"
            and f.get("ok")]) for r in self.readers]

    def codes(self):
        """The error codes among them, and how often each came."""
        out = {}
        for r in self.readers:
            for f in r.other:
                if f["type"] == "reply" and not f["ok"]:
                    code = f["error"]["code"]
                    out[code] = out.get(code, 0) + 1
        return out

    def stop(self):
        for r in self.readers:
            r.stopping = True
        for c in self.clients:
            c.shut()
        for r in self.readers:
            r.join(10)
