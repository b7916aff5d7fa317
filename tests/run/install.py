#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Installing: pgpushd migrate and psql, again, at once, a copy without rows.

tests/sql/schema.out is the dump of a fresh install: tables, views, sequences,
triggers and their rights.  Functions are left out; each stands once in sql/code
anyway.  To write it anew: PGPUSH_SCHEMA_OUT=write tests/check THIS_FILE.
"""

import os
import re
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import database
from lib.case import case, main, the_cluster
from lib.tap import check, same

SCHEMA = os.path.join(database.SRCDIR, "tests", "sql", "schema.out")
count = 0


def make(install=None):
    """A new database, with pgpush in it if install is a function."""
    global count
    count += 1
    name = "i%d_%d" % (os.getpid(), count)
    database.template(the_cluster(), "plain")       # the roles
    database.make_empty(the_cluster(), name)
    if install is not None:
        install(the_cluster(), name)
    return name


def drop(*names):
    for name in names:
        database.admin(the_cluster(), "DROP DATABASE %s WITH (FORCE)" % name)


def dump(name, *options):
    """pg_dump of the schemas, without what is different each time."""
    cluster = the_cluster()
    done = subprocess.run([os.path.join(cluster.bin, "pg_dump"), "-s", "-n",
        "pgpush*", "-d", cluster.dsn(name, "postgres", tcp=False)]
        + list(options), stdout=subprocess.PIPE, check=True)
    text = done.stdout.decode()
    text = re.sub(r"\\(un)?restrict .*\n", "", text)
    return re.sub(r"-- Dumped .*\n", "", text)


def without_code(text):
    """A dump without pgpush.code(), which psql does not make."""
    parts = text.split("\n--\n-- Name: ")
    return "\n--\n-- Name: ".join(p for p in parts
        if not p.startswith(("code()", "FUNCTION code()")))


def tables(name):
    """The dump without functions."""
    parts = dump(name).split("\n--\n-- Name: ")
    return "\n--\n-- Name: ".join(p for p in parts
        if "; Type: FUNCTION;" not in p.split("\n")[0]
        and not p.startswith("FUNCTION "))


def rows(name, query):
    return database.admin(the_cluster(), query, name)


def differences(one, other):
    """The first lines that differ."""
    import difflib
    return "\n".join(list(difflib.unified_diff(one.splitlines(),
        other.splitlines(), lineterm="", n=2))[:40])


def equal(got, want, what):
    check(got == want, "%s:\n%s" % (what, differences(want, got)))


def state(name):
    return rows(name, "SELECT array_agg(number ORDER BY number), "
        "(SELECT epoch FROM pgpush.epoch), (SELECT id FROM pgpush.floor) "
        "FROM pgpush.migrations")


def migrate(name, *options):
    """pgpushd migrate with options: its status and what it printed."""
    conf = os.path.join(the_cluster().work("install"), "pgpushd.conf")
    with open(conf, "w") as f:
        f.write("database = %s\nsql_dir = %s\n" % (the_cluster().dsn(name,
            "pgpush_owner"), os.path.join(database.SRCDIR, "sql")))
    done = subprocess.run([database.pgpushd(), "migrate", "-c", conf]
        + list(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=database.clean_environment(), timeout=60)
    return done.returncode, done.stdout.decode(errors="replace")


@case
def schema(w):
    """a fresh install is what tests/sql/schema.out says"""
    name = make(database.install_by_migrate)
    text = tables(name)
    if os.environ.get("PGPUSH_SCHEMA_OUT") == "write":
        with open(SCHEMA, "w") as f:
            f.write(text)
    # pg_dump's form is that of the version the file was written with.
    if int(rows(name, "SHOW server_version_num")[0][0]) // 10000 == 15:
        with open(SCHEMA) as f:
            equal(text, f.read(), "the schema; if you meant to change it, see "
                "the top of this test")
    drop(name)


@case
def psql(w):
    """psql makes what migrate makes"""
    one, other = make(database.install_by_migrate), \
        make(database.install_by_psql)
    equal(without_code(dump(other)), without_code(dump(one)), "by psql")
    same([r[0] for r in state(one)], [r[0] for r in state(other)], "numbers")
    drop(one, other)


@case
def twice(w):
    """a second time, by migrate or psql, changes nothing"""
    name = make(database.install_by_migrate)
    text, was = dump(name), state(name)
    numbers = [int(os.path.basename(p)[:3])
        for p in database.sql_files("tables")]
    same(was[0][0], numbers, "numbers")
    database.install_by_migrate(the_cluster(), name)
    equal(dump(name), text, "after migrate")
    for path in database.sql_files("tables"):
        try:
            database.psql(the_cluster(), name, "pgpush_owner", path=path)
        except database.Failed as e:
            check("migrations_pkey" in str(e), str(e))
        else:
            raise AssertionError("psql applied %s twice" % path)
    equal(dump(name), text, "after psql")
    same(state(name), was, "numbers, epoch and floor")
    drop(name)


@case
def at_once(w):
    """two at once make one schema"""
    name = make()
    printed = [None, None]

    def one(i):
        printed[i] = migrate(name)
    threads = [threading.Thread(target=one, args=(i,)) for i in (0, 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    # The one that finds a number taken says so and ends.
    check(0 in [p[0] for p in printed], str(printed))
    same(migrate(name)[0], 0, "once more")
    fresh = make(database.install_by_migrate)
    equal(dump(name), dump(fresh), "made by two")
    drop(name, fresh)


@case
def copy(w):
    """migrate mends a copy of the schema without rows, owners and rights"""
    fresh = make(database.install_by_migrate)
    name = make()
    text = dump(fresh, "-x", "-O")
    check(not re.search("^GRANT", text, re.M), "a dump with rights")
    database.psql(the_cluster(), name, "pgpush_owner", text)
    same(rows(name, "SELECT count(*) FROM pgpush.migrations"), [(0,)], "rows")
    status, printed = migrate(name)
    same(status, 0, "status of migrate, which printed " + printed)
    check("tables/" not in printed, "it applied " + printed)
    equal(dump(name), dump(fresh), "mended")
    same(state(name)[0][0], state(fresh)[0][0], "numbers")
    check(state(name)[0][1], "an epoch")
    same(state(name)[0][2], 0, "floor")
    drop(name, fresh)


@case
def status(w):
    """migrate --status tells what is missing, and changes nothing"""
    name = make()
    code, text = migrate(name, "--status")
    same(code, 1, "status of an empty database; printed " + text)
    check("missing tables/001_" in text and "missing code/" in text, text)
    same(rows(name, "SELECT to_regnamespace('pgpush')::text"), [(None,)],
        "schema")
    database.install_by_migrate(the_cluster(), name)
    code, text = migrate(name, "--status")
    same(code, 0, "status after migrate; printed " + text)
    check("missing" not in text and "applied code/" in text, text)
    rows(name, "CREATE OR REPLACE FUNCTION pgpush.code() RETURNS text LANGUAGE "
        "sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT ''x'''")
    code, text = migrate(name, "--status")
    same(code, 1, "status with other code; printed " + text)
    check("differs code/" in text, text)
    drop(name)


@case
def newer(w):
    """a database of a later version is refused"""
    name = make(database.install_by_migrate)
    rows(name, "INSERT INTO pgpush.migrations (number) VALUES (900)")
    code, text = migrate(name)
    same(code, 1, "status")
    check("900" in text and "another version" in text, text)
    drop(name)


@case
def rights(w):
    """migrate says what is missing when it may not create"""
    name = make()
    try:
        database.install_by_migrate(the_cluster(), name, "app_api")
    except database.Failed as e:
        check("permission denied" in str(e), str(e))
    else:
        raise AssertionError("app_api may install")
    drop(name)


@case
def without_createrole(w):
    """an owner without CREATEROLE installs where the roles are there"""
    name = make()
    rows(name, "DO $$ BEGIN CREATE ROLE plain_owner LOGIN; EXCEPTION WHEN "
        "duplicate_object THEN NULL; END $$")
    rows(name, "GRANT CREATE ON DATABASE %s TO plain_owner" % name)
    database.install_by_migrate(the_cluster(), name, "plain_owner")
    same(rows(name, "SELECT DISTINCT pg_get_userbyid(proowner)::text FROM "
        "pg_proc WHERE pronamespace = 'pgpush'::regnamespace"),
        [("plain_owner",)], "owner")
    drop(name)


@case
def sql_ascii(w):
    """a database without an encoding is refused with a sentence"""
    name = "a%d" % os.getpid()
    database.template(the_cluster(), "plain")
    database.admin(the_cluster(), "CREATE DATABASE %s TEMPLATE template0 "
        "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'" % name)
    database.grant(the_cluster(), name)
    code, text = migrate(name)
    same(code, 1, "status")
    check("encoding" in text and "UTF-8" in text, text)
    drop(name)


main(world=False)
