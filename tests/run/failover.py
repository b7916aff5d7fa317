#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Failover: the primary goes, its asynchronous replica is promoted.

The daemons know both servers by their connection string, the one that may be
written to is theirs.  Another timeline is another epoch.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import cluster as clusters
from lib import database
from lib.case import World, case, main
from lib.nodes import Node, events_of, follows, leader
from lib.tap import check, has, same, wait_for

JUMP = 1000000


class Pair:
    """A primary, its replica, and a daemon that knows both.

    As a context; .w is the world, .r the replica.
    """

    def __init__(self, replica_first=False, **settings):
        self.w = World("app", own=True, start=False, **settings)
        self.r = clusters.replica(self.w.cluster)
        self.both = [self.w.cluster, self.r]
        if replica_first:
            self.both.reverse()
        self.w.daemon.settings["database"] = self.dsn()
        self.w.daemon.settings["reconnect_max"] = "500ms"

    def dsn(self):
        return clusters.dsn_of(self.both, self.w.db.name, "push_daemon",
            target_session_attrs="read-write", connect_timeout=5)

    def __enter__(self):
        self.w.daemon.start()
        return self

    def __exit__(self, kind, *unused):
        trouble = self.w.close()
        self.r.close()
        if kind is None:
            same(trouble, [], "end of the daemon")

    def node(self, name):
        return Node(self.w, name, self.dsn(), reconnect_max="500ms")

    def fail(self, mode="fast", lost=False):
        """The primary stops, the replica is promoted and written to.

        Unless lost, the replica has everything before.
        """
        if not lost:
            self.r.wait_replayed(self.w.cluster)
        self.w.cluster.stop(mode)
        self.r.promote()
        follows(self.w, self.r)

    def epoch(self):
        return self.w.root("SELECT tag FROM pgpush.terms "
            "ORDER BY n DESC LIMIT 1")[0][0]


def pour(w, room, first, count):
    w.sql("SELECT pgpush.emit(%s, 'n', jsonb_build_object('n', i)) "
        "FROM generate_series(%s, %s) i", room, first, first + count - 1)


def numbers(c, room, first, count):
    """The next events, which must be these; their ids."""
    ids = [c.event("n", room, {"n": n})["id"]
        for n in range(first, first + count)]
    same(ids, sorted(set(ids)), "ids")
    return ids


def resets(c, rooms):
    """A reset for each of these rooms, once, and nothing else: by room."""
    out = {}
    while len(out) < len(rooms):
        f = c.next(type="reset")
        check(f["room"] in rooms and f["room"] not in out,
            "not a room to reset, or twice: %s" % f)
        out[f["room"]] = f
    return out


def moved(w, room, n):
    wait_for(lambda: [d for _, d in events_of(w, room) if d["n"] == n],
        "event %d in the log" % n)


def nothing(w, c):
    w.nothing(c, "user:" + c.user)


def servers(p):
    """How many of the daemon's backends the two servers have."""
    return [database.admin(c, "SELECT count(*) FROM pg_stat_activity WHERE "
        "usename = 'push_daemon'")[0][0] for c in (p.w.cluster, p.r)]


@case
def clean(unused):
    """nothing lost: every subscription is reset, the ids jump, all goes on"""
    with Pair() as p, p.node("second") as second:
        c = p.w.client("one", ["open:x", "open:y"])
        d = second.client("two", ["open:x"])
        old = c.welcome["epoch"]
        pour(p.w, "open:x", 0, 10)
        last = numbers(c, "open:x", 0, 10)[-1]
        numbers(d, "open:x", 0, 10)
        p.fail()
        got = resets(c, ["open:x", "open:y", "user:one"])
        got.update(resets(d, ["open:x", "user:two"]))
        new = wait_for(lambda: p.epoch() != old and p.epoch(), "an epoch")
        for f in got.values():
            same(f["epoch"], new, "epoch of a reset")
            check(f["id"] >= last + JUMP, "position %d after %d"
                % (f["id"], last))
        pour(p.w, "open:x", 10, 20)
        ids = numbers(c, "open:x", 10, 20)
        same(numbers(d, "open:x", 10, 20), ids, "ids at the other daemon")
        check(ids[0] > got["open:x"]["id"], "an id that is not new")
        p.w.daemon.wait_ready()
        second.wait_ready()
        has(c.do("echo", {"x": 1}), {"ok": True}, "a send afterwards")
        nothing(p.w, c)
        nothing(p.w, d)


@case
def resumed(unused):
    """after it what was heard before is resumed, what never was is reset"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        ids = numbers(c, "open:x", 0, 10)
        old = c.epoch
        p.fail()
        at = resets(c, ["open:x", "user:one"])["open:x"]
        pour(p.w, "open:x", 10, 10)
        later = numbers(c, "open:x", 10, 10)
        p.w.daemon.wait_ready()
        for n, since in enumerate((ids[3], ids[-1], ids[-1] + 1,
                ids[-1] + 2 * JUMP)):
            d = p.w.client("d%d" % since)
            same(d.welcome["epoch"], at["epoch"], "epoch of the welcome")
            check(d.welcome["id"] >= later[-1], "position of the welcome")
            d.join("open:x", since=since, epoch=old)
            if n < 2:
                first = (4, 10)[n]
                same(numbers(d, "open:x", first, 20 - first)[-10:], later,
                    "what was missed")
            else:
                f = d.next(type="reset", room="open:x", epoch=at["epoch"])
                check(f["id"] >= later[-1], "position of the reset: %s" % f)
            nothing(p.w, d)
        e = p.w.client("e")
        same(e.join("open:x", since=at["id"], epoch=at["epoch"]), at["id"],
            "reply to a join in the new epoch")
        same(numbers(e, "open:x", 10, 10), later, "what was missed")
        nothing(p.w, e)
        f = p.w.client("f")
        check(f.join("open:x") >= later[-1], "reply to a join without since")
        g = p.w.client("g", auth={"since": ids[-1] + 1, "epoch": old})
        g.next(type="reset", room="user:g", epoch=at["epoch"])
        nothing(p.w, g)


@case
def lost_tail(unused):
    """ids that clients have seen and that are lost are never given again"""
    with Pair(ring_events=64) as p:
        c = p.w.client("one", ["open:x"])
        old = c.welcome["epoch"]
        pour(p.w, "open:x", 0, 10)
        numbers(c, "open:x", 0, 10)
        p.r.wait_replayed(p.w.cluster)
        p.r.stop_receiving()
        pour(p.w, "open:x", 10, 300)
        lost = numbers(c, "open:x", 10, 300)
        p.fail("immediate", lost=True)
        pour(p.w, "open:x", 1000, 5)
        at = resets(c, ["open:x", "user:one"])["open:x"]
        check(at["id"] > lost[-1], "the reset's position was given before")
        first = wait_for(lambda: p.w.root("SELECT id FROM pgpush.log WHERE "
            "event = 'n' AND data->>'n' = '1000'"), "the first new one")[0][0]
        check(first > lost[-1], "an id given twice: %d" % first)
        same(p.w.root("SELECT count(*) FROM pgpush.log WHERE id BETWEEN %s "
            "AND %s", lost[0], lost[-1])[0][0], 0, "rows with lost ids")
        pour(p.w, "open:x", 1005, 5)
        moved(p.w, "open:x", 1009)
        after = [d["n"] for i, d in events_of(p.w, "open:x", at["id"])]
        same(after[-5:], list(range(1005, 1010)), "events after the reset")
        for n in after:
            c.event("n", "open:x", {"n": n})
        nothing(p.w, c)
        # One that was away meanwhile, while events come.
        p.w.daemon.wait_ready()
        d = p.w.open()
        d.auth(p.w.token("two"), since=lost[5], epoch=old)
        d.send(type="join", room="open:x", since=lost[-1], epoch=old, ref="j")
        pour(p.w, "open:x", 1010, 200)
        seen = d.until(room="open:x", type="reset")
        same([f for f in seen if f["type"] == "event"], [],
            "events before the reset")
        check([f for f in seen if f["type"] == "reset"
            and f["room"] == "user:two"], "no reset of the room it greets")
        pour(p.w, "open:x", 1210, 1)
        moved(p.w, "open:x", 1210)
        rest = [x["n"] for i, x in events_of(p.w, "open:x", seen[-1]["id"])]
        for n in rest:
            d.event("n", "open:x", {"n": n})
        nothing(p.w, d)


@case
def dup_after(unused):
    """a happening told before is told once more in the new epoch"""
    with Pair() as p:
        c = p.w.client("one", ["open:x", "open:y"])
        happen(p.w, "open:x")
        c.event("h", "open:x")
        p.fail()
        resets(c, ["open:x", "open:y", "user:one"])
        happen(p.w, "open:y")
        happen(p.w, "open:x")
        c.event("h", "open:y")
        nothing(p.w, c)


def happen(w, room):
    """One and the same happening, told in this room."""
    w.sql("SELECT pgpush.emit(%s, 'h', '{}', dup => 'the same')", room)


@case
def the_one_it_reads(unused):
    """the replica that a daemon reads is promoted: it goes on, and is reset"""
    with Pair() as p, Node(p.w, "reads", p.dsn(), reconnect_max="500ms",
            follow_dsn=p.r.dsn(p.w.db.name, "push_daemon")) as f:
        c = f.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        last = numbers(c, "open:x", 0, 10)[-1]
        p.r.wait_replayed(p.w.cluster)
        p.r.stop_receiving()
        pour(p.w, "open:x", 500, 10)
        p.fail("immediate", lost=True)
        at = resets(c, ["open:x", "user:one"])["open:x"]
        check(at["id"] >= last + JUMP, "position %d after %d"
            % (at["id"], last))
        same(at["epoch"], p.epoch(), "epoch of the reset")
        pour(p.w, "open:x", 10, 10)
        numbers(c, "open:x", 10, 10)
        f.wait_ready()
        check(leader(p.w) not in (None, "reads"), "who leads")
        nothing(p.w, c)


@case
def standby_first(unused):
    """a standby that comes first among the hosts is passed over"""
    with Pair(replica_first=True) as p:
        c = p.w.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        numbers(c, "open:x", 0, 10)
        wait_for(lambda: leader(p.w), "a leader on the primary")
        wait_for(lambda: servers(p)[1] == 0, "no connection to the standby")
        check(servers(p)[0] >= 3, "connections to the primary: %d"
            % servers(p)[0])


@case
def there_and_back(unused):
    """the old primary comes back as a standby, and is made primary again"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        one = numbers(c, "open:x", 0, 10)
        p.fail()
        first = resets(c, ["open:x", "user:one"])["open:x"]
        pour(p.w, "open:x", 10, 10)
        two = numbers(c, "open:x", 10, 10)
        back = as_standby(p.w.cluster, p.r)
        p.w.daemon.wait_ready()
        same(servers(p)[0], 0, "connections to the standby")
        p.w.between()
        p.w.daemon.restart()
        wait_for(lambda: leader(p.w), "a leader")
        same(servers(p)[0], 0, "connections to the standby")
        c = p.w.client("one", auth={"since": two[-1],
            "epoch": first["epoch"]})
        same(c.join("open:x", since=two[-1], epoch=first["epoch"]), two[-1],
            "a resume in the same epoch")
        back.wait_replayed(p.r)
        p.r.stop()
        back.promote()
        follows(p.w, back)
        second = resets(c, ["open:x", "user:one"])["open:x"]
        check(second["epoch"] != first["epoch"], "the same epoch")
        check(second["id"] >= two[-1] + JUMP, "position %d after %d"
            % (second["id"], two[-1]))
        pour(p.w, "open:x", 20, 10)
        three = numbers(c, "open:x", 20, 10)
        same(one + two + three, sorted(set(one + two + three)), "all ids")


def as_standby(cluster, primary):
    """A primary that has stopped comes back as the other's standby."""
    source = "host=%s port=%d user=postgres" % (primary.dir, primary.port)
    with open(os.path.join(cluster.data, "postgresql.auto.conf"), "a") as f:
        f.write("primary_conninfo = '%s'\n" % source)
    with open(os.path.join(cluster.data, "standby.signal"), "w"):
        pass
    cluster.start()
    back = clusters.Replica(cluster.where)
    back.receiving()
    return back


@case
def comes_back_as_it_was(unused):
    """the old primary started again as it was: nobody goes back to it"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        numbers(c, "open:x", 0, 10)
        p.fail()
        new = resets(c, ["open:x", "user:one"])["open:x"]["epoch"]
        p.w.daemon.wait_ready()
        p.w.cluster.start()
        # Somebody still writes to it.
        database.admin(p.w.cluster, "SELECT pgpush.emit('open:x', 'stray', "
            "'{}')", p.w.db.name)
        pour(p.w, "open:x", 10, 10)
        numbers(c, "open:x", 10, 10)
        has(c.do("echo", {"x": "after"}), {"ok": True}, "a send")
        same(p.w.root("SELECT count(*) FROM app.calls WHERE data = "
            "'{\"x\":\"after\"}'")[0][0], 1, "calls on the new primary")
        nothing(p.w, c)
        same(servers(p)[0], 0, "connections to the old primary")
        d = p.w.client("two", ["open:x"])
        same(d.welcome["epoch"], new, "the epoch of who comes now")


@case
def one_server(unused):
    """a connection lost then does not go to the old primary by itself"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        p.fail()
        resets(c, ["open:x", "user:one"])
        p.w.daemon.wait_ready()
        p.w.cluster.start()
        pids = p.w.root("SELECT pid FROM pg_stat_activity WHERE usename = "
            "'push_daemon' ORDER BY pid")
        for pid, in pids:
            p.w.root("SELECT pg_terminate_backend(%s)", pid)
            wait_for(lambda: not p.w.root("SELECT FROM pg_stat_activity "
                "WHERE pid = %s", pid), "the backend to end")
            p.w.daemon.wait_ready()
            # One that has found the old one is refused when it has been asked.
            wait_for(lambda: 0 in servers(p), "all to be with one primary")


@case
def feed_first(unused):
    """the feed finds the new primary alone: the other connections follow"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        p.r.wait_replayed(p.w.cluster)
        p.r.promote()
        # So that nobody new takes the old one, where all are now.
        database.admin(p.w.cluster,
            "ALTER SYSTEM SET default_transaction_read_only = on")
        database.admin(p.w.cluster, "SELECT pg_reload_conf()")
        wait_for(lambda: database.admin(p.w.cluster,
            "SHOW default_transaction_read_only") == [("on",)], "a reload")
        database.admin(p.w.cluster, "SELECT pg_terminate_backend(backends[1])"
            " FROM pgpush.nodes", p.w.db.name)
        follows(p.w, p.r)
        resets(c, ["open:x", "user:one"])
        wait_for(lambda: servers(p)[0] == 0, "no connection to the old one")
        p.w.daemon.wait_ready()
        has(c.do("echo", {"x": "moved"}), {"ok": True}, "a send")
        same(p.w.root("SELECT count(*) FROM app.calls WHERE data = "
            "'{\"x\":\"moved\"}'")[0][0], 1, "calls on the new primary")
        nothing(p.w, c)


@case
def no_new_epoch(unused):
    """a restart, and a standby that is only restarted, reset nobody"""
    with Pair() as p:
        c = p.w.client("one", ["open:x"])
        pour(p.w, "open:x", 0, 10)
        ids = numbers(c, "open:x", 0, 10)
        old = c.epoch
        p.w.cluster.restart("immediate")
        p.r.restart()
        pour(p.w, "open:x", 10, 10)
        ids += numbers(c, "open:x", 10, 10)
        p.w.between()
        p.w.daemon.restart()
        d = p.w.client("two")
        d.join("open:x", since=ids[4], epoch=old)
        same(numbers(d, "open:x", 5, 15), ids[5:], "resumed")
        nothing(p.w, d)


if __name__ == "__main__":
    main(world=False)
