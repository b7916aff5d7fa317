#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The program's options, its configuration, ways to the database."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import cluster as clusters, database, jwt
from lib.case import World, case, main, the_cluster
from lib.daemon import REPORT
from lib.tap import check, has, same, show, wait_for


def run(*args, env=None):
    """pgpushd with these arguments: (status, what it printed)."""
    done = subprocess.run([database.pgpushd()] + list(args),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60,
        env=dict(database.clean_environment(), **(env or {})))
    text = done.stdout.decode(errors="replace")
    check(not REPORT.search(text), "a sanitizer's report: " + text)
    return done.returncode, text


def conf(text, mode=0o600):
    path = os.path.join(the_cluster().work("conf"), "pgpushd.conf")
    with open(path, "w") as f:
        os.chmod(path, mode)
        f.write(text)
    return path


GOOD = """# A comment
; another
listen = 127.0.0.1:8081, [::1]:8082

database = host=127.0.0.1 dbname=x
jwt_secret = %s
max_message = 128k
auth_timeout = 500ms
ping_interval = 1s
""" % jwt.SECRET


@case
def version(w):
    """-V says a version and ends with 0"""
    status, text = run("-V")
    same(status, 0, "status")
    check(re.search(r"pgpushd.*\d", text), "printed %r" % text)


@case
def helps(w):
    """--version and --help say so and end with 0"""
    same(run("--version"), run("-V"), "--version")
    for how in ("-h", "--help"):
        status, text = run(how)
        same(status, 0, "status of " + how)
        check("usage:" in text and "--status" in text, "printed %r" % text)


@case
def usage(w):
    """an unknown option or argument ends with a usage and not with 0"""
    for args in (["-Z"], ["-c"], ["nonsense"], ["migrate", "twice"]):
        status, text = run(*args)
        check(status not in (0, 99) and status > 0, "%s: status %s" % (args,
            status))
        check(text.strip(), "%s: nothing printed" % args)


@case
def checks(w):
    """-n says configuration OK, and needs no database"""
    status, text = run("-c", conf(GOOD), "-n")
    same(status, 0, "status; printed " + text)
    check("configuration OK" in text, "printed %r" % text)


BAD = (
    ("no_such_key = 1", "no_such_key"),
    ("[section]", "section"),
    ("max_message", "max_message"),
    ("max_message = many", "max_message"),
    ("max_message = -1", "max_message"),
    ("max_message = 99999999999999999999", "max_message"),
    ("ping_interval = 5 parsecs", "ping_interval"),
    ("log_level = loud", "log_level"),
    ("listen = nowhere", "listen"),
    ("listen = 127.0.0.1:99999", "listen"),
    ("origins = https://a.example/", "origins"),
    ("origins = https://a.example:443", "origins"),
    ("follow_dsn = nonsense", "follow_dsn"),
    ("follow_dsn = host=x nonsense=1", "follow_dsn"),
    ("jwt_algorithms = none", "jwt_algorithms"),
    ("= 5", ""),
    ("max_rooms = 1 2", "max_rooms"),
)


@case
def mistakes(w):
    """a mistake names the file, the line, the key, and what was found"""
    for line, key in BAD:
        path = conf(GOOD + line + "\n")
        number = GOOD.count("\n") + 1
        status, text = run("-c", path, "-n")
        check(status != 0, "%r is taken" % line)
        check("configuration OK" not in text, "%r: %s" % (line, text))
        check(path in text, "%r: no file in %s" % (line, show(text)))
        check(re.search(r"\b%d\b" % number, text), "%r: no line %d in %s"
            % (line, number, show(text)))
        check(key in text, "%r: no key in %s" % (line, show(text)))


@case
def mistakes_of_one_kind(w):
    """a listen address that this host has not, or twice, and a conninfo with a
    mistake are found before the start, with file and line"""
    for old, line, words in (
            ("listen = 127.0.0.1:8081, [::1]:8082",
            "listen = 127.0.0.1:8081, 192.0.2.77:8082", "192.0.2.77"),
            ("listen = 127.0.0.1:8081, [::1]:8082",
            "listen = 127.0.0.1:8081 127.0.0.1:8081", "twice"),
            ("database = host=127.0.0.1 dbname=x",
            "database = host=127.0.0.1 databse=x", "databse"),
            ("database = host=127.0.0.1 dbname=x",
            "database = host=127.0.0.1 password=topsecret more", "")):
        check(old in GOOD, old)
        text = GOOD.replace(old, line)
        path = conf(text)
        number = text[:text.index(line)].count("\n") + 1
        status, said = run("-c", path, "-n")
        check(status == 1 and "configuration OK" not in said, "%r: %s"
            % (line, said))
        check("%s:%d: %s" % (path, number, line.split(" ")[0]) in said and
            words in said, "%r: %s" % (line, said))
        check("topsecret" not in said, said)


@case
def warnings(w):
    """-n warns of a file of secrets that everybody can read, and of too few
    descriptors"""
    status, text = run("-c", conf(GOOD, 0o644), "-n")
    check(status == 0 and "every user" in text, text)
    status, text = run("-c", conf(GOOD, 0o640), "-n")
    check(status == 0 and "warning" not in text, text)
    status, text = run("-c", conf(GOOD + "max_connections = 1000000\n"), "-n")
    check(status == 0 and "max_connections" in text and "descriptors" in text,
        text)


@case
def unknown_variable(w):
    """an unknown PGPUSH_ variable is an error that names it"""
    status, text = run("-c", conf(GOOD), "-n", env={"PGPUSH_MAX_ROOM": "5"})
    check(status == 1 and "PGPUSH_MAX_ROOM" in text, "status %d, printed %s"
        % (status, show(text)))


@case
def in_force(w):
    """-T prints what is in force, without secrets, as a file that can be
    read again"""
    path = conf(GOOD)
    status, text = run("-c", path, "-T", env={"PGPUSH_MAX_ROOMS": "5"})
    same(status, 0, "status; printed " + text)
    for line in ("max_rooms = 5", "max_message = 128k", "retain = 24h",
            "# ^ from the environment", "# ^ from %s, line 7" % path):
        check(line in text.splitlines(), "no line %r in %s" % (line, text))
    check(jwt.SECRET not in text and "dbname=x" not in text, text)
    status, again = run("-c", conf(text), "-T")
    same(status, 0, "status; printed " + again)
    check("max_rooms = 5" in again.splitlines(), again)


@case
def short_secret(w):
    """a short secret: the message says what to do, and a setting allows it"""
    status, text = run("-c", conf("jwt_secret = short\n"), "-n")
    check(status == 1 and "openssl rand" in text and "jwt_short_secret" in
        text, text)
    status, text = run("-c", conf("jwt_secret = short\n"
        "jwt_short_secret = yes\n"), "-n")
    check(status == 0 and "warning" in text, text)
    world = World("app", jwt_secret="secretkey", jwt_short_secret="yes")
    c = world.open()
    c.auth(jwt.mint({"sub": "ann"}, "secretkey"))
    same(c.welcome["user"], "ann", "user")
    same(world.close(), [], "end of the daemon")


@case
def no_file(w):
    """a file that is not there, or a secret too short, is an error"""
    status, text = run("-c", "/nonexistent/pgpushd.conf", "-n")
    check(status != 0 and "/nonexistent/pgpushd.conf" in text,
        "status %d, printed %s" % (status, show(text)))
    status, text = run("-c", conf("jwt_secret = short\n"), "-n")
    check(status != 0, "a short secret is taken")
    check("short" not in text.replace("jwt_short_secret", ""), "it prints "
        "the secret: %s" % show(text))
    status, text = run("-c", conf("database = dbname=x\n"), "-n")
    check(status != 0, "no key at all is taken")


@case
def environment(w):
    """PGPUSH_<KEY> overrides the file, and a bad one is an error"""
    path = conf(GOOD)
    status, text = run("-c", path, "-n", env={"PGPUSH_MAX_ROOMS": "5"})
    same(status, 0, "status; printed " + text)
    status, text = run("-c", path, "-n", env={"PGPUSH_MAX_ROOMS": "x"})
    check(status != 0 and re.search("max_rooms", text, re.I),
        "status %d, printed %s" % (status, show(text)))
    status, text = run("-c", conf(GOOD.replace(jwt.SECRET, "short")), "-n",
        env={"PGPUSH_JWT_SECRET": jwt.SECRET})
    same(status, 0, "status with the secret overridden; printed " + text)


@case
def empty_database(w):
    """a daemon on a database without pgpush is alive, not ready, and says why"""
    cluster = the_cluster()
    database.template(cluster, "plain")
    name = "e%d" % os.getpid()
    database.make_empty(cluster, name)
    world = World("app", start=False, database=cluster.dsn(name,
        "push_daemon"))
    world.daemon.start(ready=False)
    world.daemon.wait_status("/healthz", 200)
    same(world.get("/readyz").status, 503, "/readyz")
    wait_for(lambda: "pgpush" in world.daemon.log(), "a word in the log")
    same(world.close(), [], "end of the daemon")
    database.admin(cluster, "DROP DATABASE %s WITH (FORCE)" % name)


@case
def unix_socket(w):
    """the database over a Unix socket"""
    world = World("app", start=False)
    world.daemon.settings["database"] = world.db.dsn("push_daemon", tcp=False)
    world.daemon.start()
    c = world.client("ann", ["open:unix"])
    world.nothing(c, "open:unix")
    has(c.do("echo", {"x": 1}), {"ok": True}, "send")
    same(world.close(), [], "end of the daemon")


@case
def by_name(w):
    """the database by host name, and several listeners"""
    port = clusters.free_port()
    world = World("app", start=False)
    world.daemon.settings["database"] = world.db.dsn("push_daemon").replace(
        "127.0.0.1", "localhost")
    world.daemon.settings["listen"] += ", 127.0.0.1:%d" % port
    world.daemon.start()
    c = world.client("ann", ["open:name"])
    world.daemon.port = port
    d = world.client("bob", ["open:name"])
    world.emit("open:name", "x", {})
    c.event("x")
    d.event("x")
    same(world.close(), [], "end of the daemon")


@case
def port_taken(w):
    """a port that is taken is an error at the start that names it"""
    world = World("app")
    path = conf("listen = 127.0.0.1:%d\ndatabase = %s\njwt_secret = %s\n"
        % (world.daemon.port, world.db.dsn("push_daemon"), jwt.SECRET))
    status, text = run("-c", path)
    check(status != 0, "it starts on a taken port")
    check(str(world.daemon.port) in text, "printed %s" % show(text))
    same(world.close(), [], "end of the daemon")


if __name__ == "__main__":
    main(world=False)
