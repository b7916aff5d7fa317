#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The feed in odd company: rows locked, rows purged, nodes forgotten."""

import os
import subprocess
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database
from lib.case import World, case, main
from lib.client import Client
from lib.daemon import Daemon
from lib.nodes import Node, wait_leader
from lib.sse import stream
from lib.tap import check, has, same, wait_for


def connections(w):
    return w.root("SELECT count(*) FROM pgpush.connections")[0][0]


@case
def forgotten(w):
    """a node that was taken for dead writes its connections again"""
    w.client("ann")
    wait_for(lambda: connections(w) == 1, "the connection")
    w.root("WITH n AS (DELETE FROM pgpush.nodes) "
        "DELETE FROM pgpush.connections")
    wait_for(lambda: connections(w) == 1, "the connection again")


@case
def written_once(w):
    """one that is known does not write them again each second"""
    session = w.client("ann").session
    row = "SELECT xmin::text FROM pgpush.connections WHERE session = '%s'" \
        % session
    wait_for(lambda: w.root(row), "the connection")
    stamp = "SELECT xmin::text FROM pgpush.nodes"
    before = w.root(row)
    for _ in range(3):
        seen = w.root(stamp)
        wait_for(lambda: w.root(stamp) != seen, "a stamp")
    same(w.root(row), before, "the row's transaction")


def renders(w, name, body):
    """A function that a held event may name."""
    w.root("CREATE FUNCTION app.%s(arg jsonb) RETURNS jsonb LANGUAGE sql "
        "SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
        "AS '%s'" % (name, body))
    w.root("GRANT EXECUTE ON FUNCTION app.%s(jsonb) TO pgpush_owner" % name)


@case
def due_at_last(w):
    """due is an upper bound, whatever other transactions are open"""
    c = w.client("held", ["open:held"])
    renders(w, "render", "SELECT arg")
    w.root("SELECT pgpush.hold('k', 'open:held', 'kept', "
        "'app.render(jsonb)', '{\"a\":1}', '300 ms')")
    with w.db.connect("postgres", autocommit=False) as conn:
        cur = conn.cursor()
        cur.execute("SELECT pgpush.release('k'), pgpush.hold('k', 'open:held',"
            " 'never', 'app.render(jsonb)', '{}')")
        c.event("kept", data={"a": 1})
        conn.rollback()
    conn.close()


@case
def slow_render(w):
    """a render that takes too long becomes a resync and stops nobody else"""
    c = w.client("slow", ["open:slow"])
    renders(w, "slow", "SELECT to_jsonb(pg_sleep(60)::text)")
    w.root("SELECT pgpush.hold('s', 'open:slow', 'late', 'app.slow(jsonb)', "
        "'{}', '1 h')")
    w.root("SELECT pgpush.emit('open:slow', 'before', '1'), "
        "pgpush.release('s'), pgpush.emit('open:slow', 'after', '2')")
    c.event("before", data=1)
    c.event("resync", data={"event": "late", "count": 1})
    c.event("after", data=2)
    same(w.root("SELECT event, rows FROM pgpush.lost"), [("late", 1)],
        "what is counted")


@case
def bells_without_end(w):
    """a release takes its place although bells ask for moves all the time"""
    other = World("app", poll_bells=64, poll_window="1ms")
    c = other.client("deaf", ["open:bells"])
    renders(other, "ringing", "SELECT arg")
    ring = ["psql", "-X", "-q", "-d", other.db.dsn("app_owner", tcp=False),
        "-c", "DO $$ BEGIN LOOP NOTIFY pgpush, '{\"bell\":\"x\"}'; COMMIT; "
        "END LOOP; END $$"]
    # Rows that it cannot see yet make each move take long enough for a bell.
    conn = other.db.connect("postgres", autocommit=False)
    conn.cursor().execute("INSERT INTO pgpush.outbox (room) "
        "SELECT 'open:none' FROM generate_series(1, 200000)")
    ringers = [subprocess.Popen(ring) for _ in range(2)]
    try:
        other.root("SELECT pgpush.hold('b', 'open:bells', 'kept', "
            "'app.ringing(jsonb)', '1', '1 h')")
        for i in range(20):
            other.root("SELECT pgpush.release('b'), "
                "pgpush.emit('open:bells', 'n', '%d')" % i)
        c.event("kept", data=1)
        for i in range(20):
            c.event("n", data=i)
    finally:
        for ringer in ringers:
            ringer.kill()
            ringer.wait()
        conn.close()
    same(other.close(), [], "end of the daemon")


@case
def idle_sessions(w):
    """a database that ends sessions that rest does not end the daemon's"""
    other = World("app", start=False)
    other.root("ALTER DATABASE %s SET idle_session_timeout = '300ms'"
        % other.db.name)
    other.daemon.start()
    rest = "SELECT count(*) FROM pg_stat_activity WHERE usename = " \
        "'push_daemon' AND datname = current_database() AND " \
        "clock_timestamp() - state_change > interval '900 ms'"
    wait_for(lambda: other.root(rest)[0][0] >= 3, "sessions that rest")
    c = other.client("idle", ["open:idle"])
    for i in range(3):
        same(c.do("echo", {"x": i})["ok"], True, "a send")
    same(other.close(), [], "end of the daemon")


@case
def purged_while_away(w):
    """who missed rows that were purged is sent away, to be reset"""
    other = World("app", reconnect_min="500ms", reconnect_max="500ms")
    c = other.client("away", ["open:away"])
    other.emit("open:away", "one", {})
    c.event("one")
    other.daemon.wait_status("/readyz", 200)
    since = c.position()
    # All at once: the daemon sees the log before or after, not in between.
    other.db.psql("""
        BEGIN;
        INSERT INTO pgpush.log (id, kind, room, event, data, bytes, at)
          SELECT nextval('pgpush.log_id_seq'), 'event', 'open:away', 'lost',
            '{}', 2, now() FROM generate_series(1, 5);
        UPDATE pgpush.floor SET id = (SELECT max(id) FROM pgpush.log);
        DELETE FROM pgpush.log;
        SELECT pg_terminate_backend(backends[1]) FROM pgpush.nodes;
        COMMIT;""")
    check(c.closes(1012).startswith("retry="), "no retry")
    other.daemon.wait_ready()
    c = other.client("away")
    c.join("open:away", since=since)
    c.next(type="reset", room="open:away")
    other.emit("open:away", "two", {})
    c.event("two")
    same(other.close(), [], "end of the daemon")


def stamps_beside(w, c, rows):
    """The node slow, whose client c is, reads so many rows; its stamps."""
    stamps = set()
    w.sql("SELECT pgpush.emit('open:stamps', 'n', jsonb_build_object("
        "'of', %s)) FROM generate_series(1, %s)", rows, rows)
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log "
        "WHERE data ->> 'of' = %s", str(rows))[0][0] >= rows, "the move", 300)
    top = w.root("SELECT max(id) FROM pgpush.log")[0][0]

    def has_read_all():
        seen = w.root("SELECT seen FROM pgpush.nodes WHERE node = 'slow'")
        if c.position() >= top:
            return True
        stamps.update(seen)
        return False
    wait_for(has_read_all, "it to have read all", 300)
    return stamps


@case
def stamps_while_reading(w):
    """a follower with much to read still says that it is alive"""
    slow = Daemon(w.cluster, w.db.dsn("push_daemon"), node="slow",
        move_limit=1)
    slow.start()
    try:
        wait_for(lambda: w.root("SELECT FROM pgpush.nodes "
            "WHERE node = 'slow'"), "its node")
        c = Client(slow.port)
        c.auth(w.token("stamps"))
        # Until reading takes it as long as three stamps.
        stamps, rows = set(), 40000
        while len(stamps) < 3:
            check(rows <= 200000, "it has stamped %d times while it read "
                "%d rows" % (len(stamps), rows // 2))
            stamps = stamps_beside(w, c, rows)
            rows *= 2
        c.shut()
    finally:
        trouble = slow.finish()
    same(trouble, [], "end of the daemon")


@case
def left_before_an_epoch(w):
    """a rejoin goes on from its position if an epoch has lost nothing"""
    other = World("app")
    c = other.client("leaver", ["open:epoch"])
    other.emit("open:epoch", "one", {})
    c.event("one")
    c.leave("open:epoch")
    other.root("UPDATE pgpush.epoch SET timeline = 'of before'")
    other.root("SELECT pg_terminate_backend(backends[1]) FROM pgpush.nodes")
    c.until(type="reset", room="user:leaver")
    c.send(type="join", room="open:epoch", ref="again")
    c.reply("again")
    other.emit("open:epoch", "two", {})
    c.event("two", "open:epoch")
    same(other.close(), [], "end of the daemon")


@case
def stream_left_before_an_epoch(w):
    """a stream that rejoins begins at the present, in whatever epoch"""
    other = World("app")
    s = stream(other, "leaver", ["open:epoch"])
    other.emit("open:epoch", "one", {})
    s.event("one")
    has(s.call(type="leave", room="open:epoch"), {"ok": True}, "leave")
    other.root("UPDATE pgpush.epoch SET timeline = 'of before'")
    other.root("SELECT pg_terminate_backend(backends[1]) FROM pgpush.nodes")
    s.until(type="reset", room="user:leaver")
    s.join("open:epoch")
    other.nothing(s, "open:epoch")
    same(other.close(), [], "end of the daemon")


@case
def another_database(w):
    """in a database of which nothing is known everybody has to come again"""
    other = World("app")
    c = other.client("moved", ["open:moved"])
    other.emit("open:moved", "one")
    since = c.event("one")["id"]
    epoch = c.welcome["epoch"]
    # One in which the ids are smaller.
    other.db.psql("""
        BEGIN;
        UPDATE pgpush.epoch SET epoch = 'another';
        DELETE FROM pgpush.log;
        SELECT setval('pgpush.log_id_seq', 1, false);
        SELECT pg_terminate_backend(backends[1]) FROM pgpush.nodes;
        COMMIT;""")
    check(c.closes(1012).startswith("retry="), "no retry")
    other.daemon.wait_ready()
    c = other.client("moved")
    c.join("open:moved", since=since, epoch=epoch)
    c.next(type="reset", room="open:moved")
    other.emit("open:moved", "two")
    c.event("two", "open:moved")
    same(other.close(), [], "end of the daemon")


@case
def revoked_in_the_next_epoch(w):
    """who lost his right while a daemon was away, in a new epoch, is out"""
    other = World("app", node="first")
    wait_leader(other, "first")
    with Node(other, "second") as second:
        c = second.client("ann", ["open:lost", "open:kept"])
        second.stamped()
        pids = second.backends()
        second.signal(signal.SIGSTOP)
        other.root("SELECT pg_terminate_backend(p) FROM unnest(%s) p", pids)
        other.root("UPDATE pgpush.epoch SET timeline = 'of before'")
        other.root("SELECT pg_terminate_backend(backends[1]) "
            "FROM pgpush.nodes WHERE node = 'first'")
        wait_for(lambda: other.root("SELECT FROM pgpush.log "
            "WHERE kind = 'epoch'"), "the epoch")
        other.sql("SELECT pgpush.revoke('open:lost', 'ann')")
        other.emit("open:lost", "secret")
        other.emit("open:kept", "missed")
        wait_for(lambda: other.root("SELECT FROM pgpush.log "
            "WHERE event = 'missed'"), "the move")
        second.signal(signal.SIGCONT)
        frames = c.until(type="event", event="missed")
        check([f for f in frames if f["type"] == "left"
            and f["room"] == "open:lost"], "not put out: %s" % frames)
        same([f["room"] for f in frames if f["type"] == "event"],
            ["open:kept"], "rooms of events")
        other.emit("open:lost", "secret")
        other.nothing(c, "open:kept")
    same(other.close(), [], "end of the daemon")


@case
def happens_again(w):
    """a happening of the epoch that is over comes again in the next one"""
    other = World("app")
    c = other.client("again", ["open:h1", "open:h2"])
    both = "SELECT pgpush.emit('open:h1', 'n', '1', dup => 'same'), " \
        "pgpush.emit('open:h2', 'n', '1', dup => 'same')"
    other.sql(both)
    c.event("n", "open:h1")
    other.root("UPDATE pgpush.epoch SET timeline = 'of before'")
    other.root("SELECT pg_terminate_backend(backends[1]) FROM pgpush.nodes")
    c.until(type="reset", room="open:h1")
    other.sql(both)
    c.until(type="event", room="open:h1", dup="same")
    other.nothing(c, "open:h2")
    same(other.close(), [], "end of the daemon")


@case
def large_numbers(w):
    """a signal or a reply with an integer of over 64 bits arrives"""
    c = w.client("large", ["open:large"])
    w.signal("open:large", "large", {"n": 10 ** 20})
    c.event("large", data={"n": 10 ** 20})
    w.sql("CREATE FUNCTION app.large(user_id text, room text, data jsonb, "
        "ctx jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER "
        "SET search_path = pg_catalog, pg_temp "
        "AS 'SELECT jsonb_build_object(''reply'', 1e20::numeric)'")
    w.sql("REVOKE EXECUTE ON FUNCTION app.large FROM PUBLIC")
    w.sql("SELECT pgpush.on('large', 'app.large(text,text,jsonb,jsonb)', "
        "member => false)")
    wait_for(lambda: c.do("large").get("data") == 10 ** 20, "the reply")


@case
def installed_later(w):
    """a daemon that ran before pgpush was installed works afterwards"""
    other = World("plain", start=False)
    name = other.db.name + "_late"
    database.admin(other.cluster, "CREATE DATABASE %s TEMPLATE template0"
        % name)
    try:
        database.grant(other.cluster, name)
        other.daemon.settings["database"] = other.cluster.dsn(name,
            "push_daemon")
        other.daemon.start(ready=False)
        wait_for(lambda: "cannot use the database" in other.daemon.log(),
            "the daemon to try")
        database.install_by_psql(other.cluster, name)
        other.daemon.wait_ready()
        other.client("late")
        wait_for(lambda: "1" in database.psql(other.cluster, name,
            "postgres", "SELECT 'n=' || count(*) FROM pgpush.connections "
            "WHERE user_id = 'late'"), "the connection")
        same(other.close(), [], "end of the daemon")
    finally:
        database.admin(other.cluster, "DROP DATABASE %s WITH (FORCE)" % name)


if __name__ == "__main__":
    main()
