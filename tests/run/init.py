#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""pgpushd init: from an empty database to a daemon that pushes a row."""

import os
import re
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import cluster as clusters, database, jwt
from lib.case import case, main
from lib.client import Client
from lib.cluster import free_port
from lib.tap import check, same, wait_for
from lib.web import request

NAME = "init_test"
CONF = "etc/pgpush/pgpushd.conf"
cluster = None          # its own: roles belong to the cluster


def the_cluster():
    global cluster
    if cluster is None:
        cluster = clusters.make()
    return cluster


def init(*arguments):
    """Its status and what it printed."""
    done = subprocess.run([database.pgpushd(), "init"] + list(arguments),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60, env=dict(
            database.clean_environment(), PGPUSH_SQL_DIR=os.path.join(
                database.SRCDIR, "sql")))
    return done.returncode, done.stdout.decode(errors="replace")


def query(text, *args):
    return database.admin(the_cluster(), text, NAME)


@case
def from_nothing(w):
    """it makes roles, schema and settings, and a daemon starts on them"""
    c = the_cluster()
    work = c.work("init")
    conf = os.path.join(work, CONF)
    database.admin(c, "CREATE DATABASE " + NAME)
    arguments = ["--database", c.dsn(NAME, "postgres"), "-c", conf]
    status, said = init(*arguments)
    same(status, 0, "status; it said: " + said)
    check("made    role pgpush_owner" in said, said)
    check("applied code/" in said, said)
    same(query("SELECT nspowner::regrole::text FROM pg_namespace "
        "WHERE nspname = 'pgpush'"), [("pgpush_owner",)], "owner")
    same(query("SELECT rolcreaterole, rolsuper FROM pg_roles "
        "WHERE rolname IN ('pgpush_owner', 'pgpushd')"), [(False, False)] * 2,
        "rights of the roles")
    same(stat.S_IMODE(os.stat(conf).st_mode), 0o600, "mode of the file")
    with open(conf) as f:
        text = f.read()
    for secret in re.findall(r"password='(\w+)'|jwt_secret = (\w+)", text):
        check("".join(secret) not in said, "it printed a secret: " + said)

    before = text
    status, said = init(*arguments)
    same(status, 0, "status of a second time; it said: " + said)
    check("made" not in said, "it made something twice: " + said)
    with open(conf) as f:
        same(f.read(), before, "the file after a second time")
    pushes(conf, text)


def pushes(conf, text):
    """A daemon with that file sends an event to a client."""
    port = free_port()
    query("CREATE FUNCTION public.hello(u text, c jsonb) RETURNS text[] "
        "LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
        "AS $$ SELECT ARRAY['user:' || u] $$; "
        "REVOKE ALL ON FUNCTION public.hello(text, jsonb) FROM PUBLIC; "
        "SELECT pgpush.greet('public.hello(text,jsonb)')")
    daemon = subprocess.Popen([database.pgpushd(), "-c", conf],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env=dict(database.clean_environment(),
            PGPUSH_LISTEN="127.0.0.1:%d" % port))

    def ready():
        try:
            return request(port, "/readyz").status == 200
        except OSError:
            check(daemon.poll() is None, "the daemon has ended")
    try:
        wait_for(ready, "the daemon to be ready")
        secret = re.search(r"jwt_secret = (\w+)", text).group(1)
        client = Client(port, "/ws")
        client.auth(jwt.mint({"sub": "7"}, secret=secret))
        query("SELECT pgpush.emit('user:7', 'news', '{\"n\": 1}')")
        client.event("news", "user:7", {"n": 1})
        client.shut()
    finally:
        daemon.terminate()
        log = daemon.communicate(timeout=60)[1].decode(errors="replace")
    same(daemon.returncode, 0, "status of the daemon; its log: " + log[-2000:])
    check(secret not in log, "the secret is in the log")


@case
def no_database(w):
    """without a database it says which argument is missing"""
    status, said = init()
    same(status, 1, "status")
    check("--database" in said, said)


@case
def bad_database(w):
    """a bad connection string and a server that is away are named"""
    work = the_cluster().work("init3")
    conf = os.path.join(work, "pgpushd.conf")
    status, said = init("--database", "nonsense here", "-c", conf)
    same(status, 1, "status")
    check("connection string" in said, said)
    status, said = init("--database", "host=127.0.0.1 port=%d"
        % free_port(), "-c", conf)
    same(status, 1, "status")
    check("role pgpush_owner" in said, said)
    check(not os.path.exists(conf), "a file was written")


if __name__ == "__main__":
    try:
        main(world=False)
    finally:
        if cluster is not None:
            cluster.close()
