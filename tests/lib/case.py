# SPDX-License-Identifier: ISC
"""A file of tests: cases run one after the other against one world.

    @case
    def what_it_shows(w):
        \"\"\"the sentence that becomes the name of the point\"\"\"

    main(kind="app")

A case that returns is a point passed; one that raises is a point failed.  The
cases of a file share the world (a database and a daemon), and must therefore
use rooms and users of their own.  The file's last point is that every daemon
ended as it should, without a word from a sanitizer.
"""

import atexit
import inspect
import json
import os
import resource
import signal
import sys
import time
import traceback

from . import cluster as clusters
from . import daemon as daemons
from . import database, jwt, tap, web
from .client import Client
from .daemon import Daemon
from .tap import Failed, show

_cases = []
_cluster = None
_worlds = []


def case(function):
    """Register a test; its docstring is its name."""
    _cases.append(function)
    return function


def the_cluster():
    global _cluster
    if _cluster is None:
        _cluster = clusters.get()
        os.environ.setdefault(clusters.VARIABLE, json.dumps(_cluster.where))
    return _cluster


class World:
    """A database, a daemon on it, and the clients a case has opened.

    kind: plain, app (tests/lib/app.sql) or market.  own: a PostgreSQL of its
    own, for a test that stops it.  Everything else is the daemon's settings.
    """

    def __init__(self, kind="app", own=False, start=True, cluster_settings="",
            **settings):
        self.kind = kind
        self.own = own
        self.clients = []
        self.daemon = self.db = None
        self.cluster = clusters.make(cluster_settings) if own \
            else the_cluster()
        _worlds.append(self)
        self.db = database.Database(self.cluster, kind)
        if kind == "market":
            settings.setdefault("jwt_user_claim", "id")
        self.daemon = Daemon(self.cluster, self.db.dsn("push_daemon"),
            **settings)
        if start:
            self.daemon.start()

    # -- SQL

    def sql(self, text, *args):
        """As the application's owner, who is a pgpush_admin."""
        return self.db.query("app_owner", text, *args)

    def api(self, text, *args):
        """As the application at run time, without a right on pgpush."""
        return self.db.query("app_api", text, *args)

    def root(self, text, *args):
        """As the superuser."""
        return self.db.query("postgres", text, *args)

    def emit(self, room, event="news", data=None):
        self.sql("SELECT pgpush.emit(%s, %s, %s::jsonb)", room, event,
            json.dumps({} if data is None else data))

    def signal(self, room, event="blip", data=None):
        self.sql("SELECT pgpush.signal(%s::text, %s, %s::jsonb)", room, event,
            json.dumps({} if data is None else data))

    # -- clients

    def token(self, user, **how):
        """A token for this user in the claim this world's daemon reads."""
        claims = how.pop("claims", {})
        claim = self.daemon.settings.get("jwt_user_claim", "sub")
        return jwt.mint(dict({claim: user}, **claims), **how)

    def open(self, path="/ws", **how):
        """A connection that has not said who it is."""
        if self.kind == "market":
            how.setdefault("deaf", ("user_presence",))
        client = Client(self.daemon.port, path, **how)
        self.clients.append(client)
        if client.response.status != 101:
            raise Failed("handshake: %r" % client.response)
        return client

    def client(self, user, rooms=(), token=None, auth=None, **how):
        """A client that is welcome, in these rooms."""
        client = self.open(**how)
        client.auth(token or self.token(user), **(auth or {}))
        for room in rooms:
            client.join(room)
        return client

    def drop(self, client):
        """Cut the connection without a goodbye."""
        client.shut()
        self.clients.remove(client)

    # -- what must and must not come

    def nothing(self, client, room, what="nothing"):
        """Prove that nothing is on its way to this client.

        A sentinel event and a sentinel signal to one of its rooms must be
        the next two things that come, in either order.
        """
        tag = os.urandom(6).hex()
        self.signal(room, "sentinel", {"tag": tag, "n": 1})
        self.emit(room, "sentinel", {"tag": tag, "n": 2})
        for _ in (1, 2):
            frame = client.next()
            if frame.get("event") != "sentinel" or \
                    frame["data"]["tag"] != tag:
                raise Failed("expected %s, got %s" % (what, show(frame)))

    def get(self, path, **how):
        return web.request(self.daemon.port, path, **how)

    def between(self):
        """After each case: no client stays, and the daemon lives."""
        for client in self.clients:
            client.shut()
        self.clients = []

    def close(self):
        self.between()
        trouble = self.daemon.finish() if self.daemon else []
        if self.db:
            self.db.close()
        if self.own:
            self.cluster.close()
        if self in _worlds:
            _worlds.remove(self)
        return trouble


def cleanup():
    """Whatever is left, when the file ends early."""
    for world in list(_worlds):
        if world.daemon and world.daemon.alive():
            world.daemon.kill()
        if world.own:
            world.cluster.close()
    if _cluster is not None:
        _cluster.close()


def on_signal(number, frame):
    sys.exit(128 + number)


def name_of(function):
    text = inspect.getdoc(function) or function.__name__.replace("_", " ")
    return " ".join(text.split("\n\n")[0].split())


def show_logs(of):
    """What these daemons wrote last, and their servers about our databases."""
    ours = "@d%d_" % os.getpid()
    for d in of:
        tap.diag("log of the daemon at port %d:\n%s" % (d.port, d.tail()))
    for cluster in {id(d.cluster): d.cluster for d in of}.values():
        lines = [x for x in cluster.log().splitlines() if ours in x]
        tap.diag("log of the server at port %d:\n%s" % (cluster.port,
            "\n".join(lines[-20:])))


def run_case(function, world):
    """One case; True if it passed."""
    before = tap._failed
    start = time.monotonic()
    had = len(daemons.made)
    try:
        function(world)
    except Exception as e:
        tap.ok(False, name_of(function))
        if isinstance(e, Failed):
            where = traceback.extract_tb(e.__traceback__)
            here = [f for f in where
                if f.filename == inspect.getfile(function)]
            tap.diag(e)
            for f in here:
                tap.diag("line %d: %s" % (f.lineno, f.line))
        else:
            tap.diag("".join(traceback.format_exception(e)))
    else:
        if tap._failed == before:
            tap.ok(True, name_of(function))
    if tap._failed != before:
        show_logs(([world.daemon] if world else []) + daemons.made[had:])
    if os.environ.get("PGPUSH_TEST_TIMES"):
        tap.diag("%.2f s" % (time.monotonic() - start))
    return tap._failed == before


def main(world=True, **how):
    """Run the file's cases; never returns.

    With arguments on the command line only the cases of these names.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    # For who has very many clients; a login has 1024.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    atexit.register(cleanup)
    if not os.access(database.pgpushd(), os.X_OK):
        tap.bail("%s is not there: build first, or set PGPUSH_BUILDDIR"
            % database.pgpushd())
        sys.exit(2)
    wanted = sys.argv[1:]
    shared = None
    for function in _cases:
        if wanted and function.__name__ not in wanted:
            continue
        if world and shared is None:
            try:
                shared = World(**how)
            except Exception as e:
                tap.ok(False, "a database and a daemon for the test")
                tap.diag("".join(traceback.format_exception(e)))
                break
        good = run_case(function, shared)
        if shared is None:
            continue
        shared.between()
        if not shared.daemon.alive():
            if good:
                tap.ok(False, "the daemon lives after %s"
                    % function.__name__)
            tap.diag("the daemon has ended; its log:\n"
                + shared.daemon.tail(80))
            shared.daemon.stop()
            shared.daemon.start()
    for left in list(_worlds):
        finish(left)
    status = tap.plan()
    sys.stdout.flush()
    sys.exit(status)


def finish(world):
    """Close a world; a point for how its daemon ended."""
    trouble = world.close()
    tap.ok(not trouble, "the daemon ends on SIGTERM with status 0 and "
        "without a report")
    for line in trouble:
        tap.diag(line)
