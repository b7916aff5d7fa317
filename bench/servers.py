# SPDX-License-Identifier: ISC
"""pgpushd and its peers: how each is started, asked, and fed."""

import json
import os
import resource
import shutil
import socket
import subprocess
import time

from place import HERE, VAR, Trouble, children, clusters, database, end, \
    jwt, rss_kb, spawn, tail
from lib.daemon import Daemon

WSLOAD_TOKEN = ["--header", "Authorization: Bearer %t"]


def listening(port, process, logname, limit=20):
    """Until somebody listens on the port."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Trouble("%s does not listen: %s" % (logname, tail(logname)))


class Server:
    """What each of them has; start() comes first, stop() last."""

    name = title = ""
    overhead = 55           # bytes of a message that are not the padding
    limits = ("",)          # the variants that are measured

    def __init__(self, place):
        self.place = place
        self.port = clusters.free_port()
        self.process = None

    def start(self, connections=0, group=0, size=300, batch=1):
        """The numbers are for those that need them beforehand."""

    def ready(self, command, env=None):
        self.process = spawn(command, self.name, env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.stop()
            raise Trouble("%s: %s" % (self.name, tail(self.name)))

    def pids(self):
        return [self.process.pid]

    def url(self, path):
        return "ws://127.0.0.1:%d%s" % (self.port, path)

    def rss_kb(self):
        return sum(rss_kb(pid) for pid in self.pids())

    def stop(self):
        end(self.process)
        self.process = None

    @staticmethod
    def version():
        return ""


class Pgpushd(Server):
    name = title = "pgpushd"
    overhead = 105
    table = "bench.events"

    def __init__(self, place):
        super().__init__(place)
        self.more = {}
        self.since = None       # (id, epoch): where clients go on

    def start(self, connections=0, group=0, size=300, batch=1):
        settings = {"log_level": "info", "max_connections": 0}
        settings.update(self.more)
        self.daemon = Daemon(self.place.cluster,
            self.place.dsn("push_daemon"), **settings)
        self.port = self.daemon.port
        self.daemon.start()
        self.process = self.daemon.process

    def load_args(self):
        join = {"type": "join", "room": "room:%g", "ref": 1}
        if self.since:
            join["since"], join["epoch"] = self.since
        return WSLOAD_TOKEN + ["--send", json.dumps(join),
            "--expect", '"ref":1,"ok":true', self.url("/ws")]

    def feed_args(self):
        return ["--to", self.place.dsn("app_owner"), "--table", self.table]

    def stop(self):
        if self.process is not None:
            self.process.kill()         # not the goodbye to thousands
            self.process.wait()
            self.process = self.daemon.process = None
            shutil.rmtree(self.daemon.dir, ignore_errors=True)

    @staticmethod
    def version():
        return subprocess.run([database.pgpushd(), "-V"],
            stdout=subprocess.PIPE).stdout.decode().strip()


class PgpushdIo(Pgpushd):
    """The same daemon for clients of Socket.IO."""

    name = title = "pgpushd-io"
    overhead = 90

    def load_args(self):
        return ["--socketio", '40{"token":"%t"}',
            "--send", '420["join","room:%g"]', "--expect", '"joined"',
            self.url("/socket.io/?EIO=4&transport=websocket")]


class Node(Server):
    """A driver in peers/ that LISTENs."""

    script = ""

    def start(self, connections=0, group=0, size=300, batch=1):
        env = dict(database.clean_environment(), PORT=str(self.port),
            SECRET=jwt.SECRET, PGHOST=self.place.cluster.dir,
            PGPORT=str(self.place.cluster.port),
            PGDATABASE=self.place.db.name, PGUSER="app_owner",
            NODE_ENV="production")
        self.ready(["node", os.path.join(HERE, "peers", self.script)], env)

    def feed_args(self):
        return ["--to", self.place.dsn("app_owner"), "--table",
            "bench.notified"]


class Ws(Node):
    name = "ws"
    title = "ws + pg"
    script = "ws.js"
    overhead = 65

    def load_args(self):
        return WSLOAD_TOKEN + ["--send", '{"join":"room:%g"}',
            "--expect", '"joined"', self.url("/")]


class SocketIo(Node):
    name = "socketio"
    title = "socket.io + pg"
    script = "socketio.js"
    overhead = 72

    def load_args(self):
        return ["--socketio", '40{"token":"%t"}',
            "--send", '420["join","room:%g"]', "--expect", '"joined"',
            self.url("/socket.io/?EIO=4&transport=websocket")]


NGINX = """
load_module %(modules)s/ngx_nchan_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile %(files)d;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log error;
events { worker_connections %(files)d; }
http {
  access_log off;
  client_body_temp_path %(dir)s/body;
  proxy_temp_path %(dir)s/proxy;
  fastcgi_temp_path %(dir)s/fastcgi;
  uwsgi_temp_path %(dir)s/uwsgi;
  scgi_temp_path %(dir)s/scgi;
  client_max_body_size 1m;
  client_body_buffer_size 128k;
  keepalive_requests 100000000;
  nchan_shared_memory_size 512M;
  server {
    listen 127.0.0.1:%(port)d backlog=4096;
    location = /pub {
      nchan_publisher http;
      nchan_channel_id $arg_id;
      nchan_message_buffer_length 0;
      nchan_message_timeout 10s;
    }
    location = /one {
      nchan_subscriber websocket;
      nchan_channel_id $arg_b;
      nchan_subscriber_first_message newest;
    }
    location = /two {
      nchan_subscriber websocket;
      nchan_channel_id $arg_a $arg_b;
      nchan_subscriber_first_message newest;
    }
  }
}
"""


class Nchan(Server):
    """Twice as quick with one channel for a client, and without a buffer."""

    name = title = "nchan"
    path = "/one"

    def start(self, connections=0, group=0, size=300, batch=1):
        self.dir = os.path.join(VAR, "nchan")
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        conf = os.path.join(self.dir, "nginx.conf")
        with open(conf, "w") as f:
            f.write(NGINX % {"dir": self.dir, "port": self.port,
                "modules": "/usr/lib/nginx/modules",
                "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1]})
            if os.geteuid() == 0:
                f.write("user root;\n")
        self.process = spawn([shutil.which("nginx", path="/usr/sbin:/usr/bin")
            or "nginx", "-c", conf, "-p", self.dir], self.name,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        listening(self.port, self.process, self.name)
        until = time.monotonic() + 20
        while not self.pids():          # the master listens before it forks
            if time.monotonic() > until:
                raise Trouble("nginx has no worker: " + tail(self.name))
            time.sleep(0.02)

    def pids(self):
        """The one worker; the master only waits."""
        return children(self.process.pid)

    def load_args(self):
        return [self.url(self.path + "?a=user:%d&b=room:%g")]

    def feed_args(self):
        return ["--to", "nchan:%d" % self.port]

    @staticmethod
    def version():
        return package("libnginx-mod-nchan")


NATS = """
listen: 127.0.0.1:%(port)d
max_connections: 65536
write_deadline: "30s"
authorization { token: bench }
websocket { listen: "127.0.0.1:%(ws)d", no_tls: true }
"""


class Nats(Server):
    name = "nats"
    title = "NATS"

    def start(self, connections=0, group=0, size=300, batch=1):
        self.feed_port = clusters.free_port()
        conf = os.path.join(VAR, "nats.conf")
        with open(conf, "w") as f:
            f.write(NATS % {"port": self.feed_port, "ws": self.port})
        self.process = spawn(["nats-server", "-c", conf], self.name,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        listening(self.port, self.process, self.name)

    def load_args(self):
        return ["--multi", "--send", 'CONNECT {"verbose":false,'
            '"auth_token":"bench"}\r\nSUB user:%d 1\r\nSUB room:%g 2\r\n'
            'PING\r\n', "--expect", "PONG", self.url("/")]

    def feed_args(self):
        return ["--to", "nats:%d" % self.feed_port]

    @staticmethod
    def version():
        return package("nats-server")


class Limit(Server):
    """send() of ready frames and nothing else."""

    name = "limit"
    title = "limit"

    def start(self, connections=0, group=0, size=300, batch=1):
        self.ready([os.path.join(VAR, "limit"), str(self.port),
            str(connections), str(group or connections), str(size),
            str(batch), self.place.fifo])

    def load_args(self):
        return [self.url("/")]

    def feed_args(self):
        return None


def package(name):
    """The version of a package of Debian's."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.decode()


ALL = [Limit, SocketIo, Ws, Nchan, Nats, Pgpushd, PgpushdIo]
