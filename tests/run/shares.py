#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""The share of one user, one address, and of who has not said its name.

Beyond each limit there is a stated answer, and others are not touched.
"""

import json
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.bystander import Gate, prepare, wait_hanging
from lib.case import World, case, main
from lib.client import Client
from lib.nodes import reads
from lib.sse import open_stream, post, reply_of, stream
from lib.tap import Failed, check, diag, has, same, show, wait_for
from lib.ws import PING, Closed, frame_bytes

# The settings' names, in one place.
PER_USER = "max_per_user"               # connections of one user
PER_ADDRESS = "max_per_address"         # connections of one address
NAMELESS = "max_unauthenticated"        # connections without a user, in all
SESSION_BYTES = "max_pending"           # bytes of one session's commands
USER_BYTES = "max_pending_user"         # the same of all of a user's sessions

POLICY = 1008


def refused(w, source=None, user=None):
    """Whether a connection from there is refused, by status or by close."""
    c = Client(w.daemon.port, source=source)
    w.clients.append(c)
    if c.response.status != 101:
        check(c.response.status in (429, 503), "status %r" % c.response)
        return True
    if user is not None:
        c.send(type="auth", token=w.token(user))
    try:
        c.next(5, type="welcome")
    except Failed:
        if isinstance(sys.exc_info()[1].__context__, Closed):
            closed = sys.exc_info()[1].__context__
            check(closed.code in (POLICY, 1013), str(closed))
            return True
        raise
    return False


def world(**settings):
    # What hangs does so until the end of the test.
    settings.setdefault("lock_timeout", "5m")
    settings.setdefault("rule_timeout", "5m")
    w = World("app", **settings)
    prepare(w)
    return w


# ---- connections -----------------------------------------------------------

@case
def per_user(unused):
    """connections of one user: refused beyond the limit, others are not"""
    w = world(**{PER_USER: 3})
    mine = [w.client("many") for _ in range(3)]
    check(refused(w, user="many"), "a fourth connection was let in")
    w.client("other")
    for c in mine:
        has(c.call(type="ping"), {"ok": True}, "reply")
    mine[0].goodbye()
    wait_for(lambda: not refused(w, user="many"), "room for another")
    s = open_stream(w, "many")
    check(s.status in (429, 503) or closes_soon(s), "a stream beyond the "
        "limit was let in: %s" % show(s.welcome))
    same(w.close(), [], "end of the daemon")


def closes_soon(s):
    try:
        f = s.next(10)
    except (Closed, Failed):
        return True
    return f["type"] == "close"


@case
def streams_per_user(unused):
    """streams count as connections of their user"""
    w = world(**{PER_USER: 3})
    for _ in range(3):
        stream(w, "many")
    check(refused(w, user="many"), "a fourth connection was let in")
    w.client("other")
    same(w.close(), [], "end of the daemon")


@case
def per_address(unused):
    """connections of one address: refused beyond the limit, others are not"""
    w = world(**{PER_ADDRESS: 3})
    for i in range(3):
        w.client("user%d" % i, source="127.0.0.2")
    check(refused(w, "127.0.0.2", "another"), "a fourth was let in")
    w.client("other", source="127.0.0.3")
    same(w.close(), [], "end of the daemon")


@case
def nameless(unused):
    """who shows no token keeps nobody out, however many come again"""
    w = world(**{NAMELESS: 10, "max_connections": 50, "auth_timeout": "5m"})
    crowd = []
    for i in range(200):
        try:
            c = Client(w.daemon.port)
            crowd.append(c)
        except (Failed, OSError):
            pass
    w.clients += crowd
    for i in range(10):
        w.client("honest%d" % i)
    header = w.open(headers={"Authorization": "Bearer " + w.token("h")})
    header.greeted()
    stream(w, "streaming")
    same(w.close(), [], "end of the daemon")


@case
def nameless_requests(unused):
    """nor do connections that have sent no whole request"""
    w = world(**{NAMELESS: 10, "max_connections": 50, "auth_timeout": "5m"})
    socks = []
    for i in range(200):
        s = socket.create_connection(("127.0.0.1", w.daemon.port))
        s.sendall(b"GET /ws HT")
        socks.append(s)
    for i in range(10):
        w.client("honest%d" % i)
    for s in socks:
        s.close()
    same(w.close(), [], "end of the daemon")


# ---- messages --------------------------------------------------------------

def pings(client, n):
    """Send so many pings at once; how many replies were good, and whether the
    connection was closed for it."""
    for i in range(n):
        client.send(type="ping", ref="p%d" % i)
    good = 0
    try:
        for i in range(n):
            good += client.reply("p%d" % i)["ok"]
    except (Failed, Closed):
        return good, True
    return good, False


@case
def rate_over_connections(unused):
    """message_rate holds for all connections of a user together"""
    w = world(message_rate=2)           # five seconds' worth is ten
    other = w.client("other")
    began = time.monotonic()
    cs = [w.client("fast") for _ in range(5)]
    for c in cs:
        for i in range(8):
            try:
                c.send(type="ping", ref="p%d" % i)
            except OSError:
                pass
    good = 0
    for c in cs:
        try:
            for i in range(8):
                good += c.reply("p%d" % i, 10)["ok"]
        except (Failed, Closed, OSError):
            pass
    most = 10 + 2 * (time.monotonic() - began) + 1
    check(good <= most, "%d pings of one user were answered, at most %d may"
        % (good, most))
    has(other.call(type="ping"), {"ok": True}, "the other's ping")
    same(w.close(), [], "end of the daemon")


@case
def rate_over_posts(unused):
    """message_rate holds for a user's POSTs"""
    w = world(message_rate=2)
    token = w.token("poster")
    began = time.monotonic()
    good = limited = 0
    for i in range(40):
        r = post(w.daemon.port, {"event": "silent", "data": {}}, token)
        if r.status == 429:
            limited += 1
            continue
        f = reply_of(r)
        good += f["ok"]
        if not f["ok"]:
            same(f["error"]["code"], "rate_limited", "error")
            limited += 1
    most = 10 + 2 * (time.monotonic() - began) + 1
    check(good <= most, "%d POSTs of one user were done, at most %d may be"
        % (good, most))
    check(limited > 0, "nothing was rate_limited")
    other = reply_of(post(w.daemon.port, {"event": "silent", "data": {}},
        w.token("other")))
    has(other, {"ok": True}, "the other's POST")
    same(w.close(), [], "end of the daemon")


def flood(client, n):
    """WebSocket pings without reading between them; the close they get."""
    data = frame_bytes(PING, b"x" * 8) * 50
    client.sock.settimeout(5)
    try:
        for i in range(n // 50):
            client.send_raw(data)
    except OSError:
        pass                # it has been closed: see why
    try:
        return client.recv_close(10).code
    except Failed:
        return "no close"
    except OSError:
        return None


@case
def ping_flood(unused):
    """pings of the WebSocket count: closed with 1008"""
    w = world(message_rate=20)
    c = w.client("pinger")
    code = flood(c, 2000)
    check(code in (POLICY, None), "2000 pings at once: %s" % code)
    same(w.close(), [], "end of the daemon")


@case
def anonymous_ping_flood(unused):
    """they count before anybody has shown a token, too"""
    w = world(message_rate=20, auth_timeout="5m")
    c = w.open()
    code = flood(c, 2000)
    check(code in (POLICY, None), "2000 pings at once: %s" % code)
    same(w.close(), [], "end of the daemon")


@case
def few_pings(unused):
    """a ping now and then is answered"""
    w = world(message_rate=20)
    c = w.client("calm")
    for i in range(20):
        c.send_frame(PING, b"%d" % i)
    has(c.call(type="ping"), {"ok": True}, "reply")
    same(c.pongs, [b"%d" % i for i in range(20)], "pongs")
    same(w.close(), [], "end of the daemon")


# ---- numbers ---------------------------------------------------------------

def numbers(w, data):
    c = w.client("numbers")
    text = '{"type":"send","event":"silent","ref":"n","data":%s}' % data
    check(len(text) < 65536, "it must fit into max_message")
    c.send_text(text)
    return c.reply("n")


@case
def numbers_that_blow_up(w):
    """numbers that are longer than max_message when written out:
    bad_request"""
    prepared(w)
    c = w.client("few")
    for one in ("1e308", "-1e308", "1e-300", "1E+300"):
        text = "[%s]" % ",".join([one] * (60000 // (len(one) + 1)))
        c.error(numbers(w, text), "bad_request")
    n = w.root("SELECT count(*) FROM app.calls WHERE user_id = 'numbers'")
    same(n[0][0], 0, "handlers that ran")


@case
def numbers_in_a_post(w):
    """the same in a POST"""
    prepared(w)
    body = '{"event":"silent","data":[%s]}' % ",".join(["1e308"] * 10000)
    reply = reply_of(post(w.daemon.port, body, w.token("numbers")))
    check(not reply["ok"], "it was done")
    same(reply["error"]["code"], "bad_request", "code")


@case
def large_numbers(w):
    """a few such numbers are as good as any"""
    prepared(w)
    for one in ("1e308", "[1e308,-1e-300]", '{"a":1.5e300}'):
        has(numbers(w, one), {"ok": True}, "send of " + one)
    text = "[%s]" % ",".join(["12345.678"] * 6000)
    has(numbers(w, text), {"ok": True}, "send of many plain numbers")


def prepared(w):
    if not hasattr(w, "is_prepared"):
        prepare(w)
        w.is_prepared = True


# ---- bytes -----------------------------------------------------------------

BIG = json.dumps(["x" * 60000])


def park(c, n, room):
    """A join that hangs, and behind it n large sends."""
    c.send(type="join", room=room, ref="join")
    for i in range(n):
        c.send_text('{"type":"send","event":"silent","ref":"b%d","data":%s}'
            % (i, BIG))
    c.send(type="ping", ref="end")
    c.reply("end")


def kept(c):
    """How many of the sends have not been refused."""
    return 100 - len([f for f in c.kept if f["type"] == "reply"
        and str(f["ref"]).startswith("b") and not f["ok"]])


@case
def bytes_of_a_session(unused):
    """commands that wait are bounded in bytes for each session: too_many"""
    w = world(**{SESSION_BYTES: "1M", "message_rate": 0})
    with Gate(w):
        c = w.client("hostile")
        before = w.daemon.rss_kb()
        park(c, 100, "hangs:1")
        n = kept(c)
        check(1 <= n <= 18, "%d sends of 60 kB wait, 1 MB may" % n)
        c.error([f for f in c.kept if f.get("ref") == "b99"][0], "too_many")
        diag("%d sends wait; memory grew by %d kB" % (n,
            w.daemon.rss_kb() - before))
    c.reply("b0")
    same(w.close(), [], "end of the daemon")


@case
def bytes_of_a_user(unused):
    """and for each user: another's are not refused"""
    w = world(**{SESSION_BYTES: "2M", USER_BYTES: "4M", "message_rate": 0})
    with Gate(w):
        cs = [w.client("hostile") for _ in range(6)]
        other = w.client("hostile-other")
        for c in cs:
            park(c, 100, "hangs:1")
        n = sum(kept(c) for c in cs)
        check(1 <= n <= 70, "%d sends of 60 kB wait, 4 MB may" % n)
        park(other, 10, "hangs:1")
        same(kept(other), 100, "sends of another that wait, of 100")
    other.reply("b0")
    same(w.close(), [], "end of the daemon")


@case
def bytes_under_way(unused):
    """sends that wait for their turn at a handler count as well"""
    w = world(**{SESSION_BYTES: "1M", "message_rate": 0,
        "handler_timeout": "5m"})
    with Gate(w):
        c = w.client("hostile")
        c.send(type="send", event="hang", data={}, ref="hang")
        for i in range(100):
            c.send_text('{"type":"send","event":"silent","ref":"b%d",'
                '"data":%s}' % (i, BIG))
        c.send(type="ping", ref="end")
        c.reply("end")
        n = kept(c)
        check(1 <= n <= 18, "%d sends of 60 kB wait, 1 MB may" % n)
    has(c.reply("b0"), {"ok": True}, "the first")
    same(w.close(), [], "end of the daemon")


# ---- streams ---------------------------------------------------------------

def gone(w, user):
    return not w.root("SELECT FROM pgpush.connections WHERE user_id = %s",
        user)


@case
def stream_that_only_sends(unused):
    """a full stream is closed after stall_timeout although its client sends
    bytes"""
    w = world(stall_timeout="1s", output_high="4k", ping_interval="1s")
    s = stream(w, "sender", ["open:full"], rcvbuf=4096)
    wait_for(lambda: not gone(w, "sender"), "the connection to be known")
    stop = threading.Event()

    def talk():
        while not stop.wait(0.1):
            try:
                s.sock.sendall(b"x")
            except OSError:
                return
    t = threading.Thread(target=talk, daemon=True)
    t.start()
    try:
        for i in range(60):
            w.emit("open:full", "n", "x" * 100000)
        wait_for(lambda: gone(w, "sender"), "the stream to be closed", 20)
    finally:
        stop.set()
        t.join()
    same(w.close(), [], "end of the daemon")


@case
def emits_to_a_full_stream(unused):
    """what handlers emit to a stream that is not read is bounded"""
    w = world(stall_timeout="5m", message_rate=0, output_high="64k")
    s = stream(w, "emits", ["open:emits"], rcvbuf=4096)
    before = w.daemon.rss_kb()
    for i in range(400):
        r = s.post(type="send", event="whisper", data="y" * 60000)
        if r is None or r.status != 200:
            break               # closed, or refused: as good
    grown = w.daemon.rss_kb() - before
    diag("memory grew by %d kB after %d sends of 60 kB" % (grown, i + 1))
    check(grown < 20 * 1024, "memory grew by %d kB" % grown)
    same(w.close(), [], "end of the daemon")


@case
def emits_to_a_full_socket(unused):
    """the same for a WebSocket that is not read"""
    w = world(stall_timeout="5m", message_rate=0, output_high="64k")
    c = w.client("emits", rcvbuf=4096)
    before = w.daemon.rss_kb()
    c.sock.settimeout(2)
    sent = 0
    try:
        for i in range(400):
            c.send(type="send", event="whisper", data="y" * 60000)
            sent += 1
    except OSError:
        pass                    # it is not read from either
    grown = w.daemon.rss_kb() - before
    diag("memory grew by %d kB after %d sends of 60 kB" % (grown, sent))
    check(grown < 40 * 1024, "memory grew by %d kB" % grown)
    same(w.close(), [], "end of the daemon")


# ---- reads -----------------------------------------------------------------

@case
def reads_of_a_user(unused):
    """a stranger's missed event is not read after all that one user missed"""
    w = world(message_rate=0, catchup_concurrent=2, catchup_limit=100)
    w.sql("SELECT pgpush.emit('open:long' || i % 60, 'n', "
        "to_jsonb(repeat('x', 100))) FROM generate_series(0, 59999) i")
    w.emit("open:late", "n", 1)
    row = wait_for(lambda: w.root("SELECT min(id), max(id) FROM pgpush.log "
        "HAVING count(*) > 60000"), "the log to be long")[0]
    cs = [w.client("hostile") for _ in range(20)]
    late = w.client("late")
    for k, c in enumerate(cs):
        for i in range(3):
            c.send(type="join", room="open:long%d" % (3 * k + i),
                since=row[0])
    late.send(type="join", room="open:late", since=row[1] - 1, ref="l")
    has(late.reply("l"), {"ok": True}, "join")
    late.event("n", "open:late", 1)
    done = len([r for r in reads(w.daemon) if r[0] != "open:late"])
    diag("%d reads of one user before a stranger's" % done)
    check(done < 20, "%d reads of one user came before a stranger's" % done)
    same(w.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
