#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Which history a position is of: restores, older directories, leaders."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import cluster as clusters
from lib.case import World, case, main
from lib.daemon import Daemon
from lib.tap import check, same, wait_for


def newest(w):
    return w.root("SELECT max(id) FROM pgpush.log")[0][0]


def numbers(c, n):
    return [c.event("n")["data"] for _ in range(n)]


def emit_many(w, room, first, last):
    for i in range(first, last + 1):
        w.emit(room, "n", i)


def back(c, room, since, epoch):
    """What a client that comes back is told first: reset, or nothing."""
    c.join(room, since=since, epoch=epoch)


@case
def restored(w):
    """after a restore into the same cluster clients are reset, and hear all"""
    other = World("app", reconnect_min="50ms", reconnect_max="200ms")
    c = other.client("ann", ["open:r"])
    emit_many(other, "open:r", 1, 10)
    numbers(c, 10)
    other.root("CREATE TABLE public.copy AS TABLE pgpush.log")
    then = newest(other)
    emit_many(other, "open:r", 11, 20)
    numbers(c, 10)
    since, epoch = c.position(), c.epoch
    # As pg_restore does: the log and its sequence are those of the copy.
    other.db.psql("BEGIN; DELETE FROM pgpush.log; "
        "INSERT INTO pgpush.log SELECT * FROM public.copy; "
        "SELECT setval('pgpush.log_id_seq', %d); COMMIT;" % then)
    check(c.closes(1012).startswith("retry="), "no retry")
    other.daemon.wait_ready()
    d = other.client("ann")
    back(d, "open:r", since, epoch)
    d.next(type="reset", room="open:r")
    emit_many(other, "open:r", 21, 32)
    same(numbers(d, 12), list(range(21, 33)), "events after the restore")
    e = other.client("eve")             # who had not heard what is lost
    back(e, "open:r", then, epoch)
    same(numbers(e, 12), list(range(21, 33)), "events since the copy")
    other.drop(d)
    other.drop(e)
    same(other.close(), [], "end of the daemon")


@case
def directory_put_back(w):
    """an older data directory that has overtaken a client resets it"""
    other = World("app", own=True, reconnect_min="50ms", reconnect_max="200ms")
    c = other.client("ann", ["open:d"])
    emit_many(other, "open:d", 1, 5)
    numbers(c, 5)
    copy = other.cluster.data + ".copy"
    other.drop(c)
    other.daemon.stop()
    other.cluster.stop()
    shutil.copytree(other.cluster.data, copy, symlinks=True)
    for root, dirs, files in os.walk(copy):
        for name in dirs + files:
            s = os.lstat(os.path.join(root.replace(copy, other.cluster.data),
                name))
            os.lchown(os.path.join(root, name), s.st_uid, s.st_gid)
    s = os.stat(other.cluster.data)
    os.chown(copy, s.st_uid, s.st_gid)
    os.chmod(copy, s.st_mode & 0o777)
    other.cluster.start()
    other.daemon.start()
    c = other.client("ann", ["open:d"])
    emit_many(other, "open:d", 6, 15)
    numbers(c, 10)
    since, epoch = c.position(), c.epoch
    other.drop(c)
    other.daemon.stop()
    other.cluster.stop()
    shutil.rmtree(other.cluster.data)
    os.rename(copy, other.cluster.data)
    other.cluster.start()
    other.daemon.start()
    # The same ids are given again, for other events.
    emit_many(other, "open:d", 101, 130)
    wait_for(lambda: newest(other) > since, "the ids to overtake")
    d = other.client("ann")
    back(d, "open:d", since, epoch)
    d.next(type="reset", room="open:d")
    other.emit("open:d", "end")
    d.event("end")
    other.drop(d)
    same(other.close(), [], "end of the daemon")


@case
def forged(w):
    """a position beyond the newest id resets that subscription alone"""
    a = w.client("good", ["open:f"])
    b = w.client("forger", ["open:other"])
    w.emit("open:f", "n", 1)
    a.event("n")
    back(b, "open:f", 10 ** 15, b.epoch)
    b.next(type="reset", room="open:f")
    w.emit("open:f", "n", 2)
    w.emit("open:other", "n", 3)
    same(a.event("n")["data"], 2, "the other's event")
    same(sorted(numbers(b, 2)), [2, 3], "the forger's events")
    w.nothing(a, "open:f")


@case
def leaders_change(w):
    """who resumes after another leader with the tag that he was told goes on
    without a reset"""
    first = World("app", reconnect_min="50ms", reconnect_max="200ms")
    second = Daemon(first.cluster, first.db.dsn("push_daemon"))
    second.start()
    c = first.client("ann", ["open:l"])
    emit_many(first, "open:l", 1, 3)
    numbers(c, 3)
    old = c.epoch
    # The first one's session ends: it or the other leads anew.
    first.root("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype "
        "= 'advisory' AND objid = 0 AND classid = 'pgpush.outbox'::regclass")
    wait_for(lambda: first.root("SELECT count(*) FROM pgpush.terms")[0][0] > 1,
        "another term")
    emit_many(first, "open:l", 4, 6)
    numbers(c, 3)
    check(c.epoch != old, "the tag is the old one")
    since, tag = c.position(), c.epoch
    first.drop(c)
    emit_many(first, "open:l", 7, 9)
    d = first.client("ann2")
    back(d, "open:l", since, tag)
    same(numbers(d, 3), [7, 8, 9], "events after the leave")
    e = first.client("eve")
    back(e, "open:l", since, old)
    e.next(type="reset", room="open:l")
    f = first.client("fay")
    back(f, "open:l", since, "nobodystag")
    f.next(type="reset", room="open:l")
    second.stop()
    same(first.close(), [], "end of the daemon")


@case
def restarted(w):
    """a daemon that restarts, VACUUM FULL and a dump's sequence: no reset"""
    other = World("app")
    c = other.client("ann", ["open:s"])
    emit_many(other, "open:s", 1, 3)
    numbers(c, 3)
    since, epoch = c.position(), c.epoch
    other.drop(c)
    for what in ("restart", "vacuum"):
        if what == "vacuum":
            other.db.psql("VACUUM FULL pgpush.log")
        other.daemon.restart()
        d = other.client("ann")
        back(d, "open:s", since, epoch)
        other.emit("open:s", "n", what)
        same(d.event("n")["data"], what, "event after " + what)
        other.drop(d)
        c = other.client("ann", ["open:s"])
        since, epoch = c.position(), c.epoch
        other.drop(c)
    same(other.close(), [], "end of the daemon")


main(kind="app", ping_interval="1h")
