# SPDX-License-Identifier: ISC
"""A client: what it does with its rooms, and the record of what came.

It behaves as pgpush-protocol(7) asks, but for one thing: it drops nothing.
Whatever arrives is recorded, also what it has had, to be judged later.
"""

import collections
import json
import random

from lib import jwt
from record import BANNED, IN, JOINING, LEAVING, OUT, Room, Segment, mark_of
from wire import OPEN, Ended, Link

KEPT = 4.0              # seconds: a daemon keeps a position for 5
PATIENCE = 6.0          # without an answer to a ping
TRY = 8.0               # to be welcome


class Client:
    def __init__(self, crowd, number, rooms, seed):
        self.crowd = crowd
        self.number = number
        self.user = "u%d" % number
        self.rng = random.Random("%s-client-%d" % (seed, number))
        self.own = "user:" + self.user
        self.rooms = {name: Room(name) for name in rooms + [self.own]}
        self.token = jwt.mint({"sub": self.user}, exp=7200)
        self.rcvbuf = 8192 if number % 4 == 1 else None
        self.patient = number % 2 == 0
        self.link = None
        self.conn = 0               # how many connections so far
        self.daemon = None
        self.epoch = None           # of this connection
        self.live = False
        self.waiting = False        # for the answer to a ping
        self.stalled = False
        self.resets = []            # (room, when, pos, epoch, id, epoch)
        self.resumes = []           # (room, when, pos, start, epoch)
        self.notes = []             # what must not happen
        self.did = collections.deque(maxlen=300)    # (when, conn, what)
        self.disorder = []          # (conn, room, id, larger id before it)

    # -- coming and going

    def note(self, text, *args):
        self.notes.append("client %d conn %d daemon %s: %s" % (self.number,
            self.conn, self.daemon, text % args))

    def log(self, text, *args):
        self.did.append((self.crowd.now(), self.conn, text % args))

    def home(self):
        return self.number % len(self.crowd.ports)

    def connect(self, daemon=None):
        if self.link is not None:
            return
        self.daemon = self.rng.randrange(len(self.crowd.ports)) \
            if daemon is None else daemon
        self.conn += 1
        self.live = self.waiting = self.stalled = False
        path, token = "/ws", None
        own = self.rooms[self.own].now
        if self.conn % 2:
            token = self.token
            if own:
                path += "?since=%d&epoch=%s" % (own.pos, own.tag)
        self.rooms[self.own].since = own.pos if own else None
        self.link = Link(self.crowd.ports[self.daemon], path, token,
            self.rcvbuf)
        self.link.hello = None if token else dict(type="auth",
            token=self.token, **({"since": own.pos, "epoch": own.tag}
            if own else {}))
        self.log("to daemon %d, since %s", self.daemon, own and own.pos)
        self.crowd.watch(self)
        self.later(TRY, lambda: self.live or self.cut(0.1))

    def sync(self):
        """Before the record is read."""

    def later(self, seconds, what):
        """Call what() then, if this is still the same connection."""
        link = self.link
        self.crowd.later(seconds,
            lambda: self.link is link and what())

    def cut(self, delay=None, daemon=None, goodbye=False):
        """Away, without a word unless goodbye; and back after a delay."""
        if self.link is None:
            return
        self.log("cut")
        self.crowd.unwatch(self)
        if goodbye:
            self.link.goodbye()
        self.link.shut()
        self.link = None
        self.live = self.stalled = False
        for room in self.rooms.values():
            if room.state != BANNED:
                room.state = OUT
            room.odd = None
        if delay is None:
            delay = self.rng.uniform(0.02, 0.4)
        self.crowd.later(delay, lambda: self.connect(daemon))

    def ended(self, end):
        delay = None
        if end.code == 1012 and end.reason.startswith("retry="):
            delay = int(end.reason[6:]) / 1000
        elif end.code in (1013, None):
            delay = self.rng.uniform(0.1, 0.5)
        elif end.code not in (1001, 1005, 1012, 4408):
            # 4408: it stood still, or all of us did.
            self.note("closed with %s %s", end.code, end.reason)
        self.crowd.count("closed %s" % (end.code or "without a word"))
        self.log("closed %s %s", end.code, end.reason)
        self.cut(delay)

    # -- what comes

    def ready(self, mask_read, mask_write):
        try:
            if mask_write:
                self.link.writable()
            if mask_read:
                self.read()
        except Ended as end:
            self.ended(end)
            return
        if self.link is not None:
            self.crowd.rewatch(self)

    def read(self):
        link = self.link
        was = link.state
        messages = link.readable()
        if link.state == OPEN and was != OPEN and link.hello is not None:
            link.send(**link.hello)
        for message in messages:
            if isinstance(message, Ended):
                raise message
            f = json.loads(message)
            getattr(self, "got_" + f["type"], self.got_other)(f)
            if self.link is not link:
                return

    def got_other(self, f):
        self.note("an unknown frame %s", f)

    def got_welcome(self, f):
        self.log("%s", f)
        self.live = True
        self.epoch = f["epoch"]
        if f["rooms"] != [self.own]:
            self.note("welcome to %s", f["rooms"])
        self.entered(self.rooms[self.own], f["id"])
        for room in self.rooms.values():
            if room.state == OUT:
                self.join(room)
        self.later(self.rng.uniform(0.2, 1.0), self.ping)

    def join(self, room, resume=True):
        if room.state != OUT or not self.live:
            return
        room.state = JOINING
        frame = {"type": "join", "room": room.name, "ref": room.name}
        room.since = None
        if room.now and resume:
            now = room.now
            room.since = now.pos
            frame.update(since=now.pos, epoch=now.tag)
            if not now.ids:
                self.resumes.append((room.name, self.crowd.now(), now.pos,
                    now.start, now.epoch))
        self.log("%s", frame)
        self.link.send(**frame)

    def entered(self, room, ident):
        """In, complete up to ident."""
        room.state = IN
        now = room.now
        if now is None:
            room.segments.append(Segment(self.epoch, ident))
        elif room.since is not None:
            if ident != room.since:
                room.odd = (room.since, now.tag, ident, self.epoch)
        elif self.crowd.now() - room.asked > KEPT:
            # The position was forgotten meanwhile.
            room.segments.append(Segment(self.epoch, ident))
        elif ident > now.pos:
            now.pos = ident         # what it left with: no gap before it
        if not room.odd:
            room.now.tag = self.epoch

    def got_reply(self, f):
        ref = f["ref"]
        if ref == "ping":
            self.waiting = False
            self.got_at(f)
            return
        self.log("%s", f)
        room = self.rooms.get(ref)
        if room is None:
            self.note("a reply to nothing: %s", f)
        elif not f["ok"]:
            self.refused(room, f["error"])
        elif room.state == LEAVING:
            room.state = OUT
            self.join(room, self.rng.random() < 0.5)
        elif room.state == JOINING:
            self.entered(room, f["id"])
        else:
            self.note("a reply in state %s: %s", room.state, f)

    def refused(self, room, error):
        room.state = OUT
        if error["code"] == "forbidden":
            room.state = BANNED
            room.banned = self.conn
        elif error["code"] in ("unavailable", "internal"):
            self.crowd.count("join " + error["code"])
            self.later(self.rng.uniform(0.1, 0.5), lambda: self.join(room))
        else:
            self.note("join of %s: %s", room.name, error)

    def got_left(self, f):
        room = self.rooms[f["room"]]
        self.log("%s", f)
        self.crowd.count("left")
        if room.state == LEAVING:
            return
        if room.state != IN:
            self.note("left in state %s: %s", room.state, f)
        room.state = OUT
        self.join(room)

    def got_event(self, f):
        ident = f.get("id")
        room = self.rooms.get(f.get("room"))
        if ident is None:
            return
        if room is None or room.state not in (IN, LEAVING):
            self.note("event %s for %s, which is %s", ident, f.get("room"),
                room and room.state)
            return
        if room.odd:
            self.note("room %s: since and epoch, id and epoch of the reply"
                " are %s, and no reset came", room.name, room.odd)
            room.odd = None
        data = f["data"]
        now = room.now
        if ident <= now.pos and ident not in now.ids[-100:]:
            self.note("room %s: event %d after position %d", room.name,
                ident, now.pos)
        now.ids.append(ident)
        now.marks.append(mark_of([f["event"], data]))
        now.conns.append(self.conn)
        if ident > now.pos:
            now.pos = ident
        self.crowd.delivered(self, room, data)

    def got_reset(self, f):
        room = self.rooms[f["room"]]
        now = room.now
        room.odd = None
        self.log("at %d in %s: %s", now.pos, now.epoch, f)
        self.epoch = f["epoch"]
        self.resets.append((room.name, self.crowd.now(), now.pos, now.tag,
            f["id"], f["epoch"]))
        room.segments.append(Segment(f["epoch"], f["id"]))

    def got_at(self, f):
        self.epoch = f.get("epoch", self.epoch)
        for room in self.rooms.values():
            if room.state in (IN, LEAVING) and not room.odd:
                room.now.tag = self.epoch
            if room.state == IN and f["id"] > room.now.pos and not room.odd:
                room.now.pos = f["id"]

    # -- pings, and what it does of its own will

    def ping(self):
        if not self.live:
            return
        if self.waiting and not self.patient and not self.stalled:
            if self.crowd.now() - self.pinged > PATIENCE:
                self.crowd.count("gave up")
                self.cut()
                return
        elif not self.waiting:
            self.waiting = True
            self.pinged = self.crowd.now()
            self.link.send(type="ping", ref="ping")
            self.crowd.rewatch(self)
        self.later(self.rng.uniform(0.5, 1.5), self.ping)

    def stall(self, seconds):
        """Read nothing for a while."""
        if self.link is None or self.stalled:
            return
        self.log("reads nothing for %.1f s", seconds)
        self.stalled = True
        self.crowd.rewatch(self)
        self.later(seconds, self.go_on)

    def go_on(self):
        self.stalled = False
        self.pinged = self.crowd.now()
        self.crowd.rewatch(self)

    def rejoin(self):
        """Leave a room and join it at once, half of the time by position."""
        room = self.rooms[self.rng.choice(sorted(self.rooms))]
        if not self.live or room.name == self.own or room.state != IN:
            return
        room.state = LEAVING
        room.asked = self.crowd.now()
        self.log("leaves %s", room.name)
        self.link.send(type="leave", room=room.name, ref=room.name)
        self.crowd.rewatch(self)

