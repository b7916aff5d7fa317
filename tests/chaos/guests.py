# SPDX-License-Identifier: ISC
"""Who comes: honest clients, clients that leave rudely, and vandals.

Every guest looks at what it gets: the frames' types, that ids of a room only
grow within an epoch, that nothing comes of a room it is not in, and that each
reply is to a command and comes once.
"""

import asyncio
import json
import os
import random

from lib import jwt
from lib.ws import BINARY, PING, TEXT, frame_bytes

from wire import Gone, Lines, Socket, dial, post

ROOMS = ["open:r%d" % k for k in range(20)]
CLOSED = ["closed:c%d" % k for k in range(5)]
BIG = "open:big"
USERS = 100
TYPES = {"welcome", "reply", "event", "joined", "left", "reset", "at",
    "expiring"}
CLOSES = {None, 1000, 1001, 1002, 1007, 1008, 1009, 1012, 1013, 4400, 4401,
    4403, 4408}
STATUSES = {400, 401, 403, 404, 408, 413, 415, 426, 429, 431, 503}


class Tally:
    """What all guests did and saw."""

    def __init__(self):
        self.problems = []
        self.counts = {}

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n

    def problem(self, text, *args):
        self.count("problem")
        if len(self.problems) < 20:
            self.problems.append(text % args)


class View:
    """What one session has been told, and whether it can be true."""

    def __init__(self, tally):
        self.tally = tally
        self.rooms = {}         # room: the last id
        self.asked = {}         # ref: the command
        self.welcomed = False

    def wrong(self, why, f):
        self.tally.problem("%s: %s", why, json.dumps(f)[:300])

    def see(self, f):
        kind = f.get("type")
        self.tally.count(kind)
        if kind not in TYPES:
            self.wrong("an unknown frame", f)
        elif kind == "welcome":
            if self.welcomed:
                self.wrong("a second welcome", f)
            self.welcomed = True
            self.rooms.update((r, f["id"]) for r in f["rooms"])
        elif kind == "joined":
            self.rooms.setdefault(f["room"], f["id"])
        elif kind == "left":
            self.rooms.pop(f["room"], None)
        elif kind == "reset":
            if f["room"] in self.rooms:
                self.rooms[f["room"]] = f["id"]
        elif kind == "reply":
            self.reply(f)
        elif kind == "event":
            self.event(f)

    def reply(self, f):
        if f["ref"] is None:
            return              # an error of a command without a ref
        cmd = self.asked.pop(f["ref"], None)
        if cmd is None:
            self.wrong("a reply to nothing, or the second", f)
        elif f["ok"] and cmd["type"] == "join":
            self.rooms.setdefault(cmd["room"], f["id"])
        elif f["ok"] and cmd["type"] == "leave":
            self.rooms.pop(cmd["room"], None)

    def event(self, f):
        room = f.get("room")
        if room is None:
            return
        if room not in self.rooms:
            self.wrong("an event of a room it is not in", f)
        elif "id" in f:
            if f["id"] <= self.rooms[room]:
                self.wrong("not after %d" % self.rooms[room], f)
            self.rooms[room] = f["id"]


def token(rng, user=None):
    return jwt.mint({"sub": user or "u%d" % rng.randrange(USERS)})


def command(rng, refs):
    """Some command, good or not."""
    room = rng.choice(ROOMS + CLOSED + ["none:1"])
    f = rng.choice((
        {"type": "join", "room": room},
        {"type": "join", "room": room, "since": rng.randrange(100000)},
        {"type": "join", "room": BIG, "since": 0},
        {"type": "leave", "room": room},
        {"type": "leave", "room": BIG},
        {"type": "send", "event": "echo", "data": {"n": 1}},
        {"type": "send", "event": "silent", "data": {}, "key": "k%d"
            % rng.randrange(50)},
        {"type": "send", "event": "say", "data": {"id": room.split(":")[1],
            "text": "x"}},
        {"type": "send", "event": "typing", "room": room, "data": {"on": 1}},
        {"type": "send", "event": "enter", "data": {"rooms": [room]}},
        {"type": "send", "event": "quit", "data": {"rooms": [room]}},
        {"type": "send", "event": "whisper", "data": "w" * 1000},
        {"type": "send", "event": "fail"},
        {"type": "send", "event": "touch", "data": {"row":
            rng.randrange(1, 20)}},
        {"type": "send", "event": "nap", "data": {"seconds": 0.02}},
        {"type": "send", "event": "nothing"},
        {"type": "ping"},
        {"type": "ping"},
        {"type": "who knows"},
        {"type": "join"},
    )).copy()
    f["ref"] = refs
    return f


GARBAGE = (
    b"\x00" * 100, b"GET /ws HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01",
    b"GET " + b"a" * 20000, b"POST /send HTTP/1.1\r\nContent-Length: "
    b"99999999999\r\n\r\n", b"GET /events?room=%00 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\r\n" * 500,
    b"GET /events?room=open:1 HTTP/1.1\r\nAuthorization: Bearer x.y.z\r\n\r\n",
)
FRAMES = (
    frame_bytes(BINARY, b"x"), frame_bytes(TEXT, b"not json"),
    frame_bytes(TEXT, b"[]"), frame_bytes(TEXT, b"\xff\xfe"),
    frame_bytes(TEXT, b"{}", mask=False), frame_bytes(3, b"x"),
    frame_bytes(TEXT, b"x", rsv=4), frame_bytes(0, b"x"),
    frame_bytes(TEXT, b"{}", length=1 << 40, width=64),
    frame_bytes(PING, b"p" * 200), frame_bytes(8, b"x"),
    frame_bytes(TEXT, b'{"type":"auth","token":"a.b.c"}'),
    frame_bytes(TEXT, b"[" * 5000),
)


class Guests:
    """All of them: each lives one short life after the other."""

    def __init__(self, ports, seed, n):
        self.ports = ports
        self.seed = seed
        self.n = n
        self.tally = Tally()
        self.ending = False

    async def run(self, seconds):
        kinds = (self.socket,) * 12 + (self.stream,) * 3 + (self.poster,) * 2 \
            + (self.vandal,) * 2 + (self.staller,)
        tasks = [asyncio.create_task(self.live(kinds[k % len(kinds)], k))
            for k in range(self.n)]
        await asyncio.sleep(seconds)
        self.ending = True
        await asyncio.wait(tasks, timeout=90)
        for t in tasks:
            if not t.done():
                self.tally.problem("a guest does not end: %r", t)
                t.cancel()
            elif t.exception():
                self.tally.problem("a guest fails: %r", t.exception())

    async def live(self, life, k):
        rng = random.Random("%s-%d" % (self.seed, k))
        await asyncio.sleep(rng.random() * 3)
        while not self.ending:
            try:
                await life(rng)
            except Gone as e:
                self.tally.count("gone %s" % e.code)
                if e.code not in CLOSES | STATUSES:
                    self.tally.problem("ended with %s", e)
            except (ConnectionError, asyncio.TimeoutError) as e:
                self.tally.count(type(e).__name__)
            await asyncio.sleep(rng.random())

    # -- lives

    async def enter(self, rng):
        """A socket that has shown a token in one of three ways."""
        port = rng.choice(self.ports)
        how = rng.randrange(3)
        t = token(rng)
        if how == 0:
            s = await Socket.open(port, rng, headers="Authorization: Bearer "
                "%s\r\n" % t)
        elif how == 1:
            s = await Socket.open(port, rng, protocols="pgpush.v1, bearer."
                + t)
        else:
            s = await Socket.open(port, rng)
            s.send(type="auth", token=t)
        return s

    async def socket(self, rng):
        view = View(self.tally)
        s = await self.enter(rng)
        try:
            f = await s.read()
            if f is None:
                return self.tally.problem("no welcome in a minute")
            view.see(f)
            for turn in range(rng.randrange(1, 8)):
                for _ in range(rng.randrange(1, 12)):
                    ref = "%d.%d" % (turn, _)
                    cmd = command(rng, ref)
                    view.asked[ref] = cmd
                    s.send(**cmd)
                await self.hear(s, view, rng.random())
            await self.leave(rng, s, view)
        finally:
            s.cut()

    async def hear(self, s, view, seconds):
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            f = await s.read(left)
            if f is not None:
                view.see(f)

    async def leave(self, rng, s, view):
        """Properly, when all is answered; or not."""
        how = rng.randrange(5)
        if how == 0:
            return                      # cut
        if how == 1:
            s.raw(rng.choice(FRAMES))
        elif how == 2 and not self.ending:
            await asyncio.sleep(rng.random() * 3)   # reads nothing
            return
        end = asyncio.get_running_loop().time() + 45
        while view.asked and how != 1:
            f = await s.read(5)
            if f is not None:
                view.see(f)
            elif asyncio.get_running_loop().time() > end:
                return self.tally.problem("no reply to %s",
                    json.dumps(list(view.asked.values())[:3]))
        s.raw(frame_bytes(8, b"\x03\xe8"))
        while True:
            f = await s.read(30)
            if f is None:
                return self.tally.problem("a close is not answered")
            if how != 1:
                view.see(f)

    async def stream(self, rng):
        view = View(self.tally)
        rooms = rng.sample(ROOMS, rng.randrange(0, 5))
        t = token(rng)
        port = rng.choice(self.ports)
        s = await Lines.open(port, rng, "/events?" + "&".join("room=" + r
            for r in rooms), t)
        try:
            f = await s.read()
            if f is None or f.get("type") != "welcome":
                return self.tally.problem("no welcome of a stream: %s", f)
            view.see(f)
            for _ in range(rng.randrange(0, 5)):
                cmd = command(rng, "s")
                cmd["session"] = f["session"]
                await self.posted(port, rng, cmd, t)
                # It is answered before or after what it causes.
                view.rooms = Anything()
                await self.hear(s, view, rng.random())
        finally:
            s.cut()

    async def posted(self, port, rng, cmd, t):
        try:
            status, body = await post(port, rng, cmd, t)
        except Gone as e:
            return self.tally.count("POST %s" % e)
        self.tally.count("POST %d" % status)
        if status != 200 and status not in STATUSES:
            self.tally.problem("POST %s: %d", json.dumps(cmd)[:200], status)
        if status == 200 and json.loads(body)["type"] != "reply":
            self.tally.problem("POST is answered %s", body[:200])

    async def poster(self, rng):
        for _ in range(rng.randrange(1, 10)):
            await self.posted(rng.choice(self.ports), rng, command(rng, 1),
                token(rng))

    async def vandal(self, rng):
        if rng.random() < 0.5:
            reader, writer = await dial(rng.choice(self.ports), rng)
            writer.write(rng.choice(GARBAGE))
            if rng.random() < 0.3:
                writer.write(os.urandom(rng.randrange(3000)))
            await asyncio.sleep(rng.random())
            writer.transport.abort()
            return
        s = await Socket.open(rng.choice(self.ports), rng)
        try:
            if rng.random() < 0.7:
                s.send(type="auth", token=token(rng))
            for _ in range(rng.randrange(1, 4)):
                s.raw(rng.choice(FRAMES))
            while await s.read(2) is not None:
                pass
        finally:
            s.cut()

    async def staller(self, rng):
        """Joins the room with the large events and reads nothing."""
        s = await self.enter(rng)
        try:
            s.send(type="join", room=BIG, since=0)
            for _ in range(30):
                if self.ending:
                    break
                s.send(type="send", event="whisper", data="s" * 3000)
                await asyncio.sleep(0.1)
        finally:
            s.cut()


class Anything(dict):
    """The rooms of a session whose commands take another way."""

    def __contains__(self, room):
        return True

    def __getitem__(self, room):
        return -1
