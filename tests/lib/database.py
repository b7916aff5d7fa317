# SPDX-License-Identifier: ISC
"""A fresh database for a test, with pgpush in it.

Nothing here is done by a superuser that a hosted PostgreSQL would not allow:
  pgpush_owner  owns schema pgpush; CREATE on the database, and CREATEROLE
  app_owner     owns the application's tables and functions; a pgpush_admin
  app_api       the application at run time: rights on its tables, none on pgpush
  push_daemon   what pgpushd logs in as; IN ROLE pgpush_daemon

Each kind of database is made once per cluster as a template and copied:
  plain   pgpush only
  app     with tests/lib/app.sql, one rule and one handler of every kind
  win1252 the same in that encoding
  market  with the marketplace's tables and triggers/, and a few people
  super   pgpush only, owned by the superuser: for tests/sql, which make their
          own functions as whoever runs them
"""

import glob
import os
import subprocess
import tempfile
import time

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.sql

from .tap import LIMIT, Failed

SRCDIR = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILDDIR = os.path.realpath(os.environ.get("PGPUSH_BUILDDIR") or SRCDIR)

# So that a time or a uuid compares as the text the database prints.
psycopg2.extensions.register_type(psycopg2.extensions.new_type(
    (2950,), "UUID", psycopg2.STRING))

CLIENT = "10000000-0000-4000-8000-000000000001"
PERFORMER = "10000000-0000-4000-8000-000000000002"
ADMIN = "10000000-0000-4000-8000-000000000003"
STRANGER = "10000000-0000-4000-8000-000000000004"
MODERATOR = "10000000-0000-4000-8000-000000000005"
ORDER = "20000000-0000-4000-8000-000000000001"
ORDER2 = "20000000-0000-4000-8000-000000000002"
OPEN_ORDER = "20000000-0000-4000-8000-000000000003"
DISPUTE = "30000000-0000-4000-8000-000000000001"

WIN1252 = "ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C'"

PEOPLE = """
INSERT INTO users (id, name, email, role) VALUES
  ('%s', 'Clara Client', 'client@demo.test', 'client'),
  ('%s', 'Peer Performer', 'performer@demo.test', 'performer'),
  ('%s', 'Ada Admin', 'admin@demo.test', 'admin'),
  ('%s', 'Sam Stranger', 'stranger@demo.test', 'client'),
  ('%s', 'Mo Moderator', 'moderator@demo.test', 'performer');
""" % (CLIENT, PERFORMER, ADMIN, STRANGER, MODERATOR) + """
INSERT INTO orders (id, client_id, performer_id, title, status, price) VALUES
  ('%s', '%s', '%s', 'A logo', 'in_progress', 100),
  ('%s', '%s', '%s', 'A page', 'in_progress', 200);
""" % (ORDER, CLIENT, PERFORMER, ORDER2, CLIENT, PERFORMER) + """
INSERT INTO orders (id, client_id, title, status, price) VALUES
  ('%s', '%s', 'Nobody has it yet', 'open', 300);
INSERT INTO disputes (id, order_id, client_id, performer_id, moderator_id,
    reason, status)
  VALUES ('%s', '%s', '%s', '%s', '%s', 'late', 'open');
""" % (OPEN_ORDER, CLIENT, DISPUTE, ORDER, CLIENT, PERFORMER, MODERATOR)


def psql(cluster, dbname, user, text=None, path=None, variables=()):
    """Run SQL through psql, on its standard input: the server reads no file."""
    command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d",
        cluster.dsn(dbname, user, tcp=False)]
    for variable in variables:
        command += ["-v", variable]
    if path is not None:
        with open(path) as f:
            text = f.read()
    done = subprocess.run(command, input=text.encode(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=dict(os.environ, PGOPTIONS="-c client_min_messages=warning"))
    if done.returncode != 0:
        raise Failed("psql %s as %s: %s" % (path or "", user,
            done.stderr.decode(errors="replace").strip()))
    return done.stdout.decode()


def sql_files(folder):
    """The files of sql/tables or sql/code, in order."""
    return sorted(glob.glob(os.path.join(SRCDIR, "sql", folder, "*.sql")))


def pgpushd():
    """The daemon's program, wherever this build put it."""
    return os.path.join(BUILDDIR, "src", "pgpushd")


def admin(cluster, query, dbname="postgres"):
    """One statement as the superuser, outside a transaction.

    The server waits five seconds for those who use a database that is copied,
    renamed or dropped; a busy machine takes longer to end a process.
    """
    end = time.monotonic() + LIMIT
    conn = psycopg2.connect(cluster.dsn(dbname, "postgres", tcp=False))
    try:
        conn.autocommit = True
        while True:
            try:
                with conn.cursor() as cur:
                    cur.execute(query)
                    return cur.fetchall() if cur.description is not None \
                        else []
            except psycopg2.errors.ObjectInUse:
                if time.monotonic() > end:
                    raise
    finally:
        conn.close()


def exists(cluster, dbname):
    return bool(admin(cluster,
        "SELECT FROM pg_database WHERE datname = '%s'" % dbname))


def make_empty(cluster, dbname, options=""):
    """A database in which nothing of ours is yet, and the roles."""
    for role, rights in (("pgpush_owner", "LOGIN CREATEROLE"),
            ("app_owner", "LOGIN"), ("app_api", "LOGIN")):
        admin(cluster, "DO $$ BEGIN CREATE ROLE %s %s; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$"
            % (role, rights))
    admin(cluster, "CREATE DATABASE %s TEMPLATE template0 %s"
        % (dbname, options))
    grant(cluster, dbname)
    admin(cluster, "GRANT CREATE, USAGE ON SCHEMA public TO app_owner", dbname)


def grant(cluster, dbname):
    admin(cluster, "GRANT CREATE ON DATABASE %s TO pgpush_owner, app_owner"
        % dbname)


def install_by_psql(cluster, dbname, user="pgpush_owner"):
    for path in sql_files("tables"):
        psql(cluster, dbname, user, path=path)
    code = [open(path).read() for path in sql_files("code")]
    psql(cluster, dbname, user, "".join(["BEGIN;\n"] + code + ["COMMIT;\n"]))


def install_by_migrate(cluster, dbname, user="pgpush_owner"):
    """pgpushd migrate; returns what it printed."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write("database = %s\njwt_secret = none of this matters here, "
            "only its length\nsql_dir = %s\n" % (cluster.dsn(dbname, user),
            os.path.join(SRCDIR, "sql")))
        conf.flush()
        done = subprocess.run([pgpushd(), "migrate", "-c", conf.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=clean_environment(), timeout=60)
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise Failed("pgpushd migrate ended with %d: %s"
            % (done.returncode, text))
    return text


def clean_environment():
    """The environment without what would change a daemon's settings."""
    return {k: v for k, v in os.environ.items()
        if not k.startswith(("PGPUSH_", "PG"))}


def make_daemon_role(cluster):
    """After the first install: logins in the roles that it made."""
    admin(cluster, "DO $$ BEGIN CREATE ROLE push_daemon LOGIN IN ROLE "
        "pgpush_daemon; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    admin(cluster, "GRANT pgpush_admin TO app_owner")


def template(cluster, kind):
    """The name of the template for this kind, made if this is the first."""
    name = "t_" + kind
    with cluster.lock():
        if exists(cluster, name):
            return name
        making = name + "_making"
        admin(cluster, "DROP DATABASE IF EXISTS %s" % making)
        make_empty(cluster, making, WIN1252 if kind == "win1252" else "")
        if kind == "super":
            install_by_psql(cluster, making, "postgres")
        elif os.access(pgpushd(), os.X_OK):
            install_by_migrate(cluster, making)
        else:
            install_by_psql(cluster, making)
        make_daemon_role(cluster)
        if kind in ("app", "win1252"):
            psql(cluster, making, "app_owner", path=os.path.join(
                os.path.dirname(__file__), "app.sql"))
        elif kind == "market":
            load_market(cluster, making)
        admin(cluster, "ALTER DATABASE %s RENAME TO %s" % (making, name))
    return name


def load_market(cluster, dbname, people=True):
    """The marketplace's tables and wiring, as their owner makes them."""
    psql(cluster, dbname, "app_owner", path=os.path.join(SRCDIR, "demo", "db",
        "schema.sql"))
    for path in sorted(glob.glob(os.path.join(SRCDIR, "triggers", "*.sql"))):
        psql(cluster, dbname, "app_owner", path=path)
    psql(cluster, dbname, "app_owner", "GRANT SELECT, INSERT, UPDATE, DELETE "
        "ON ALL TABLES IN SCHEMA public TO app_api; "
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app_api;")
    if people:
        psql(cluster, dbname, "app_api", PEOPLE)


class Database:
    """One database and connections to it, closed and dropped together."""

    def __init__(self, cluster, kind="plain"):
        self.cluster = cluster
        source = template(cluster, kind)
        with cluster.lock():
            self.name = "d%d_%s" % (os.getpid(), os.urandom(4).hex())
            admin(cluster, "CREATE DATABASE %s TEMPLATE %s"
                % (self.name, source))
        grant(cluster, self.name)
        self.cached = {}

    def dsn(self, user, tcp=True):
        return self.cluster.dsn(self.name, user, tcp)

    def connect(self, user="app_owner", autocommit=True):
        """A new connection; the caller's to close."""
        conn = psycopg2.connect(self.dsn(user, tcp=False))
        conn.autocommit = autocommit
        return conn

    def query(self, user, text, *args):
        """One statement, committed; its rows if it has any.

        Reconnects once: the server may have been restarted by the test.
        """
        for attempt in (0, 1):
            conn = self.cached.get(user)
            if conn is None or conn.closed:
                conn = self.cached[user] = self.connect(user)
            try:
                with conn.cursor() as cur:
                    cur.execute(text, args or None)
                    return cur.fetchall() if cur.description is not None else []
            except (psycopg2.DatabaseError, psycopg2.InterfaceError) as e:
                lost = e.pgcode is None or e.pgcode.startswith("57P")
                if attempt or not lost:
                    raise
                conn.close()

    def psql(self, text, user="postgres"):
        return psql(self.cluster, self.name, user, text)

    def close(self):
        for conn in self.cached.values():
            conn.close()
        self.cached = {}
        try:
            admin(self.cluster, "DROP DATABASE IF EXISTS %s WITH (FORCE)"
                % self.name)
        except psycopg2.Error:
            pass            # a test left the server down: it goes as a whole


