# SPDX-License-Identifier: ISC
"""A client of the second dialect: a stream of server-sent events, and a
request for each join and leave.

It has one position for all rooms, Last-Event-ID: whatever that says is had.
The answers of its requests and the stream overtake each other, so what comes
of a room while a join is under way waits for the answer.
"""

import json

from clients import Client
from record import BANNED, IN, JOINING, LEAVING, OUT, Segment, mark_of
from wire import Ended, EventLink, PostLink

SILENCE = 8.0           # there is a heartbeat every three seconds
TEAR = 0.1              # of all resets


class Ask:
    """A request under way, as the crowd's loop sees it."""

    stalled = False
    mask = 0

    def __init__(self, client, then, **frame):
        self.client = client
        self.then = then
        self.of = client.link
        frame["session"] = client.session
        self.link = PostLink(client.crowd.ports[client.daemon], client.token,
            frame)
        client.crowd.watch(self)
        client.crowd.later(30, lambda: self.link and self.end(None))

    def ready(self, mask_read, mask_write):
        answer = None
        try:
            if mask_write:
                self.link.writable()
            if mask_read:
                answer = self.link.readable()
            if answer is None:
                self.client.crowd.rewatch(self)
                return
        except Ended:
            pass
        self.end(answer)

    def end(self, answer):
        """answer: status and frame, or None; to him whom it concerns."""
        self.client.crowd.unwatch(self)
        self.link.shut()
        self.link = None
        if self.client.link is self.of:
            self.then(answer)


class StreamClient(Client):
    def __init__(self, *args):
        super().__init__(*args)
        self.cursor = None          # epoch and number of Last-Event-ID
        self.top = 0                # the largest id in this history
        self.pending = {}           # name: what came before a join's answer
        self.suspect = None         # the room that may be the forbidden one
        self.turn = 0
        self.torn = False           # to be cut after a reset

    # -- coming and going

    def connect(self, daemon=None):
        if self.link is not None:
            return
        self.daemon = self.rng.randrange(len(self.crowd.ports)) \
            if daemon is None else daemon
        self.conn += 1
        self.live = self.stalled = self.torn = False
        self.session = None
        asked = []
        for room in self.rooms.values():
            if room.state != BANNED:
                room.state = JOINING
                asked.append(room)
        self.suspect = asked[self.turn % len(asked)] if self.turn else None
        self.asked = [r for r in asked if r is not self.suspect]
        for room in self.asked:
            self.go_on_from(room)
        self.top = self.cursor[1] if self.cursor else 0
        self.heard = self.crowd.now()
        self.log("to daemon %d, since %s, in %s", self.daemon, self.cursor,
            [r.name for r in self.asked])
        self.link = EventLink(self.crowd.ports[self.daemon],
            [r.name for r in self.asked if r.name != self.own], self.token,
            self.cursor and "%s.%d" % self.cursor, self.rcvbuf)
        self.crowd.watch(self)
        self.later(8.0, lambda: self.live or self.cut(0.1))
        self.later(1.0, self.ping)

    def go_on_from(self, room):
        """It was complete up to the cursor, or begins there."""
        now = room.now
        if now is None or self.cursor is None:
            return
        epoch, number = self.cursor
        if now.stale == self.cursor:
            return                  # it will be reset again
        if room.was != IN or now.pos > number:
            room.segments.append(Segment(epoch, number))
        else:
            now.pos = number
            now.tag = epoch
            if not now.ids:
                self.resumes.append((room.name, self.crowd.now(), now.pos,
                    now.start, now.epoch))

    def cut(self, *args, **how):
        if self.link is not None:
            self.sync()
            self.pending = {}
            for room in self.rooms.values():
                if room.state != JOINING or self.live:
                    room.was = room.state
        super().cut(*args, **how)

    def sync(self):
        """All rooms that it is in are complete up to the cursor."""
        if not self.live or not self.cursor:
            return
        for room in self.rooms.values():
            now = room.now
            if room.state == IN and now.pos < self.cursor[1] and \
                    not room.odd and now.stale != self.cursor:
                now.pos = self.cursor[1]
                now.tag = self.cursor[0]

    def ended(self, end):
        if end.status == 403:
            self.crowd.count("forbidden stream")
            self.turn += 1          # the next time without another room
            self.cut(0.05)
            return
        if end.status not in (None, 200):
            self.note("answered %s %s", end.status, end.reason)
        if end.code is None and self.link.parser.retry and not self.live:
            self.crowd.count("put off")
        super().ended(end)

    def ping(self):
        """No pings here: look whether the stream has a heartbeat."""
        if not self.patient and not self.stalled and \
                self.crowd.now() - self.heard > SILENCE:
            self.crowd.count("gave up")
            self.cut()
            return
        self.later(1.0, self.ping)

    def go_on(self):
        self.heard = self.crowd.now()
        super().go_on()

    # -- what comes

    def read(self):
        link = self.link
        events = link.readable()
        self.heard = self.crowd.now()
        for event in events:
            f = json.loads(event.data)
            name = f["event"] if f["type"] == "event" \
                else "pgpush:" + f["type"]
            if event.event != name:
                self.note("event %s with %s", event.event, f)
            getattr(self, "got_" + f["type"], self.got_other)(f)
            if event.last:
                self.move(event.last)
            if self.torn:
                self.cut()          # in the middle of what has come
            if self.link is not link:
                return
        if link.parser.last:
            self.move(link.parser.last)

    def move(self, last):
        epoch, _, number = last.rpartition(".")
        cursor = epoch, int(number)
        if cursor == self.cursor:
            return
        if self.cursor and self.cursor[0] == epoch and \
                cursor[1] < self.cursor[1] and cursor[1] < self.top:
            self.note("Last-Event-ID goes back from %s to %s", self.cursor,
                cursor)
        self.cursor = cursor

    def got_welcome(self, f):
        self.log("%s", f)
        self.live = True
        self.session = f["session"]
        self.epoch = f["epoch"]
        want = {r.name for r in self.asked}
        if set(f["rooms"]) != want:
            self.note("welcome to %s, not %s", f["rooms"], sorted(want))
        if self.suspect is not None:
            self.suspect.state = BANNED
        self.turn = 0
        for room in self.asked:
            room.state = IN
            if room.now is None:
                room.segments.append(Segment(self.epoch, self.cursor[1]
                    if self.cursor else f["id"]))

    def got_reset(self, f):
        self.sync()                 # what was had before it
        self.torn = self.rng.random() < TEAR
        super().got_reset(f)
        self.rooms[f["room"]].now.stale = self.cursor
        self.top = f["id"]

    def got_event(self, f):
        ident = f.get("id")
        room = self.rooms.get(f.get("room"))
        if ident is None:
            return
        if room is None or \
                room.state == BANNED and room.banned != self.conn:
            self.note("event %s for %s", ident, f.get("room"))
            return
        if ident <= self.top:
            self.disorder.append((self.conn, room.name, ident, self.top))
        self.top = max(self.top, ident)
        self.crowd.delivered(self, room, f["data"])
        if room.name in self.pending:
            self.pending[room.name].append(f)
        else:
            self.keep(room, f)

    def keep(self, room, f):
        ident = f["id"]
        if room.odd:
            self.note("room %s: since and epoch, id and epoch of the welcome"
                " are %s, and no reset came", room.name, room.odd)
            room.odd = None
        now = room.now
        if ident <= now.start and len(room.segments) > 1:
            now = room.segments[-2]     # sent before the leave, read late
        if ident <= now.pos and ident not in now.ids[-100:]:
            self.note("room %s: event %d after position %d", room.name,
                ident, now.pos)
        now.ids.append(ident)
        now.marks.append(mark_of([f["event"], f["data"]]))
        now.conns.append(self.conn)
        now.pos = max(now.pos, ident)

    def got_close(self, f):
        raise Ended(f["code"], f["reason"])

    def got_joined(self, f):
        self.note("joined without a handler: %s", f)

    def got_reply(self, f):
        self.note("a reply in the stream: %s", f)

    def got_left(self, f):
        room = self.rooms[f["room"]]
        self.log("%s", f)
        self.crowd.count("left")
        if room.name in self.pending:
            self.pending[room.name].append(f)
        elif room.state == IN:
            self.sync()
            room.state = OUT
            self.join(room)
        elif room.state != LEAVING:
            self.note("left in state %s: %s", room.state, f)

    # -- requests

    def join(self, room, resume=True):
        if room.state != OUT or not self.live:
            return
        room.state = JOINING
        self.log("joins %s", room.name)
        self.pending[room.name] = []
        Ask(self, lambda answer: self.joined(room, answer), type="join",
            room=room.name, ref=room.name)

    def joined(self, room, answer):
        waiting = self.pending.pop(room.name)
        self.log("%s, %d frames waiting", answer, len(waiting))
        if answer is None or answer[0] != 200:
            # Whether it joined is not known.
            if answer is not None and answer[0] not in (404, 503):
                self.note("join of %s: %s", room.name, answer)
            self.crowd.count("join without an answer")
            self.cut()
            return
        f = answer[1]
        if not f["ok"]:
            self.refused(room, f["error"])
            for f in waiting:           # sent before the leave, read late
                if f["type"] == "event":
                    self.keep(room, f)
            return
        room.state = IN
        room.segments.append(Segment(self.epoch, f["id"]))
        for f in waiting:
            if f["type"] == "left":
                self.got_left(f)
            elif room.name in self.pending:
                self.pending[room.name].append(f)
            else:
                self.keep(room, f)

    def rejoin(self):
        """Leave a room and join it at once; it starts at the present."""
        room = self.rooms[self.rng.choice(sorted(self.rooms))]
        if not self.live or room.name == self.own or room.state != IN:
            return
        self.sync()
        self.log("leaves %s", room.name)
        room.state = LEAVING
        Ask(self, lambda answer: self.has_left(room, answer), type="leave",
            room=room.name, ref=room.name)

    def has_left(self, room, answer):
        if answer is None or answer[0] != 200 or not answer[1]["ok"]:
            self.crowd.count("leave without an answer")
            self.cut()
            return
        room.state = OUT
        self.join(room)
