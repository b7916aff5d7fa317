#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""What the daemon meets that is not as it should be: poolers, schemas of other
versions, TLS on a plain port."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database, web
from lib.case import World, case, main
from lib.cluster import free_port
from lib.daemon import die_with_parent
from lib.tap import check, diag, same, wait_for

CANNOT = "cannot use the database"


def lines(world, *words):
    return [line for line in world.daemon.log().splitlines()
        if all(word in line for word in words)]


def stays_away(world, words, port):
    """It is not ready, and says why once, however often it tries."""
    wait_for(lambda: lines(world, CANNOT), "a word in the log")
    wait_for(lambda: world.daemon.answers("/healthz") == 200, "/healthz")
    same(web.request(port, "/readyz").status, 503, "/readyz")
    found = lines(world, CANNOT)
    same(len(found), 1, "lines: %s" % found)
    for word in words:
        check(word in found[0], "no %r in %s" % (word, found[0]))
    said = [x for x in world.daemon.log().splitlines()
        if "level=warning" in x or "level=error" in x]
    same(said, found, "warnings and errors")


def wait_tries(world, n):
    """Until the server has seen so many logins of this daemon."""
    before = logins(world)
    wait_for(lambda: logins(world) >= before + n, "%d more tries" % n)


def logins(world):
    return world.root("SELECT sessions FROM pg_stat_database WHERE datname = "
        "current_database()")[0][0]


@case
def pooler(w):
    """behind a pooler it is not ready, and says so once"""
    if not shutil.which("pgbouncer"):
        diag("no pgbouncer here")
        return
    world = World("app", start=False, log_level="info", reconnect_max="500ms")
    folder = world.cluster.work("bouncer")
    port = free_port()
    conf = os.path.join(folder, "pgbouncer.ini")
    users = os.path.join(folder, "users.txt")
    with open(users, "w") as f:
        f.write('"push_daemon" ""\n')
    for mode in ("transaction", "session"):
        with open(conf, "w") as f:
            f.write("[databases]\n* = host=127.0.0.1 port=%d\n[pgbouncer]\n"
                "listen_addr = 127.0.0.1\nlisten_port = %d\n"
                "unix_socket_dir =\nauth_type = trust\nauth_file = %s\n"
                "pool_mode = %s\nignore_startup_parameters = "
                "extra_float_digits,options\n" % (world.cluster.port, port,
                users, mode))
        os.chmod(folder, 0o755)
        command = ["pgbouncer", conf]
        if os.getuid() == 0:
            command[1:1] = ["-u", "postgres"]
        bouncer = subprocess.Popen(command, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent)
        try:
            wait_for(lambda: listens(port), "pgbouncer to listen")
            world.daemon.settings["database"] = world.db.dsn(
                "push_daemon").replace("port=%d" % world.cluster.port,
                "port=%d" % port)
            world.daemon.start(ready=False)
            stays_away(world, ["pooler"], world.daemon.port)
            world.daemon.stop()
        finally:
            bouncer.terminate()
            bouncer.wait()
        os.unlink(world.daemon.logfile)
    same(world.close(), [], "end of the daemon")


def listens(port):
    try:
        web.connect(port, 1).close()
        return True
    except OSError:
        return False


@case
def schemas(w):
    """a schema that is missing or older is said once and waited for; one that
    is newer is said and used"""
    world = World("app", start=False, log_level="info", reconnect_max="200ms")
    known = len(database.sql_files("tables"))

    def number(n):
        world.root("COMMENT ON TABLE pgpush.migrations IS 'up to %d'" % n)
    world.root("ALTER SCHEMA pgpush RENAME TO elsewhere")
    world.daemon.start(ready=False)
    stays_away(world, ["no schema", "pgpushd migrate"], world.daemon.port)
    wait_tries(world, 12)
    stays_away(world, ["no schema", "pgpushd migrate"], world.daemon.port)
    world.root("ALTER SCHEMA elsewhere RENAME TO pgpush")
    world.daemon.wait_ready()
    world.daemon.stop()

    os.unlink(world.daemon.logfile)
    number(known - 1)
    world.daemon.start(ready=False)
    stays_away(world, ["older", "(%d)" % known, "pgpushd migrate"],
        world.daemon.port)
    number(known + 1)
    world.daemon.wait_ready()
    same(len(lines(world, "newer", "pgpushd migrate")), 1, "lines")
    c = world.client("ann", ["open:new"])
    world.nothing(c, "open:new")
    same(world.close(), [], "end of the daemon")


@case
def outage(w):
    """an outage is said once for each connection, and so is its end"""
    world = World("app", own=True, log_level="info", reconnect_max="200ms")
    had = {}
    for line in lines(world, "msg=connected"):
        name = re.search(r"db=(\S+)", line).group(1)
        had[name] = had.get(name, 0) + 1
    check({"feed", "query", "reads"} <= set(had), had)
    # Not "immediate": a sequence of a database just copied from its template
    # may go back then, and a statement fails.
    world.cluster.stop("fast")
    wait_for(lambda: world.daemon.answers("/readyz") == 503, "not ready")
    # Many tries find nobody.
    wait_for(lambda: len(lines(world, "connection lost")) >= sum(had.values()),
        "the loss")
    world.cluster.start()
    world.daemon.wait_ready()
    for name, n in had.items():
        same(len(lines(world, "db=%s " % name, "connection lost")), n,
            "losses of " + name)
        wait_for(lambda: len(lines(world, "db=%s " % name,
            "msg=connected")) == 2 * n, "connections of " + name)
    same(world.close(), [], "end of the daemon")


@case
def tls_on_plain(w):
    """a TLS hello on the plain port ends at once, with a line"""
    hello = bytes([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3])
    same(web.raw(w.daemon.port, hello, timeout=5), None, "answer")
    wait_for(lambda: lines(w, "TLS on a plain port"), "a line")


@case
def names_of_eventsource(w):
    """over SSE, events that an EventSource dispatches itself have another name"""
    with web.connect(w.daemon.port) as sock:
        sock.sendall(("GET /events?room=open:own&token=%s HTTP/1.1\r\n"
            "Host: x\r\n\r\n" % w.token("own")).encode())
        text = b""
        while b"pgpush:welcome" not in text:
            text += sock.recv(65536)
        for name in ("error", "open", "message", "errors"):
            w.emit("open:own", name, {"n": name})
        while b'"event":"errors"' not in text:
            got = sock.recv(65536)
            check(got, "the stream ended: %r" % text)
            text += got
    names = [x[7:] for x in text.decode().splitlines()
        if x.startswith("event: ") and "pgpush:" not in x]
    same(names, ["event:error", "event:open", "event:message", "errors"],
        "names")


if __name__ == "__main__":
    main()
