# SPDX-License-Identifier: ISC
"""A client of the native protocol (pgpush-protocol(7))."""

import json
import threading
import time

from .tap import LIMIT, Failed, has, same, show
from .ws import Closed, WebSocket


def matches(frame, want):
    """Every member of want is in the frame; a function is asked."""
    for key, value in want.items():
        if callable(value):
            if key not in frame or not value(frame[key]):
                return False
        elif key not in frame or frame[key] != value:
            return False
    return True


class Client(WebSocket):
    """A connection and, after auth(), a session.

    `at` frames are remembered in .at and never returned; events named in
    .deaf are dropped, for tests to which presence is noise.
    """

    def __init__(self, port, path="/ws", protocols=("pgpush.v1",), deaf=(),
            **how):
        self.at = 0
        self.deaf = set(deaf)
        self.welcome = None
        self.session = None
        self.user = None
        self.refs = 0
        self.kept = []              # read past by reply(), still to be seen
        super().__init__(port, path, protocols=list(protocols or ()), **how)

    # -- out

    def send(self, **frame):
        """One JSON frame, as given."""
        self.send_text(json.dumps(frame))

    def ref(self):
        self.refs += 1
        return self.refs

    def call(self, **frame):
        """A frame with a ref; its reply, whatever it says."""
        ref = frame.setdefault("ref", self.ref())
        self.send(**frame)
        return self.reply(ref)

    def auth(self, token, **more):
        """The first frame, and the welcome it gets."""
        self.send(type="auth", token=token, **more)
        return self.greeted()

    def greeted(self):
        self.welcome = self.next(type="welcome")
        for key in ("session", "user", "rooms", "id", "epoch", "ping"):
            if key not in self.welcome:
                raise Failed("no %s in %s" % (key, show(self.welcome)))
        self.session = self.welcome["session"]
        self.epoch = self.welcome["epoch"]
        self.user = self.welcome["user"]
        return self.welcome

    def join(self, room, **more):
        """Join, which must succeed; the position it starts from."""
        reply = self.call(type="join", room=room, **more)
        has(reply, {"ok": True, "room": room}, "reply to join " + room)
        if not isinstance(reply.get("id"), int):
            raise Failed("no id in %s" % show(reply))
        return reply["id"]

    def leave(self, room):
        has(self.call(type="leave", room=room), {"ok": True, "room": room},
            "reply to leave " + room)

    def do(self, event, data=None, room=None, **more):
        """send with a ref; its reply."""
        frame = {"type": "send", "event": event}
        if data is not None:
            frame["data"] = data
        if room is not None:
            frame["room"] = room
        frame.update(more)
        return self.call(**frame)

    def tell(self, event, data=None, room=None):
        """send without a ref: no reply if it succeeds."""
        frame = {"type": "send", "event": event}
        if data is not None:
            frame["data"] = data
        if room is not None:
            frame["room"] = room
        self.send(**frame)

    # -- in

    def read(self, limit=LIMIT):
        """The next frame from the wire, nothing skipped but `at`."""
        end = time.monotonic() + limit
        while True:
            text = self.recv_text(max(0.001, end - time.monotonic()))
            try:
                frame = json.loads(text)
            except ValueError:
                raise Failed("not JSON: %s" % show(text))
            if not isinstance(frame, dict) or "type" not in frame:
                raise Failed("not a frame: %s" % show(text))
            if frame["type"] == "at":
                if frame["id"] < self.at:
                    raise Failed("at goes back from %d to %d"
                        % (self.at, frame["id"]))
                self.at = frame["id"]
                self.epoch = frame.get("epoch", self.epoch)
                continue
            if frame["type"] == "event" and frame.get("event") in self.deaf:
                continue
            return frame

    def next(self, limit=LIMIT, **want):
        """The next frame, which must match."""
        try:
            frame = self.kept.pop(0) if self.kept else self.read(limit)
        except Failed as e:
            raise Failed("%s; expected %s" % (e, show(str(want))))
        except Closed as e:
            raise Failed("%s; expected %s" % (e, show(str(want))))
        if not matches(frame, want):
            raise Failed("got %s, expected %s" % (show(frame),
                show(str(want))))
        return frame

    def event(self, event, room=None, data=None, **want):
        """The next frame, which must be this event."""
        want["event"] = event
        if room is not None:
            want["room"] = room
        frame = self.next(type="event", **want)
        if data is not None:
            same(frame.get("data"), data, "data of " + event)
        return frame

    def until(self, limit=LIMIT, **want):
        """All frames up to the first that matches, that one the last."""
        end = time.monotonic() + limit
        seen = []
        while True:
            try:
                frame = self.kept.pop(0) if self.kept else self.read(
                    max(0.001, end - time.monotonic()))
            except (Failed, Closed) as e:
                raise Failed("%s; expected %s; before it came %d: %s" % (e,
                    show(str(want)), len(seen), show(seen[-5:])))
            seen.append(frame)
            if matches(frame, want):
                return seen

    def reply(self, ref, limit=LIMIT):
        """The reply with this ref; what comes before it is kept."""
        for i, frame in enumerate(self.kept):
            if frame["type"] == "reply" and frame.get("ref") == ref:
                return self.kept.pop(i)
        end = time.monotonic() + limit
        while True:
            try:
                frame = self.read(max(0.001, end - time.monotonic()))
            except (Failed, Closed) as e:
                raise Failed("%s; expected the reply to %s; kept: %s" % (e,
                    show(ref), show(self.kept[-5:])))
            if frame["type"] == "reply" and frame.get("ref") == ref:
                if not isinstance(frame.get("ok"), bool):
                    raise Failed("a reply without ok: %s" % show(frame))
                return frame
            self.kept.append(frame)

    def refused(self, code, **frame):
        """Send a frame that must be answered by this error."""
        ref = frame.setdefault("ref", self.ref())
        self.send(**frame)
        reply = self.reply(ref)
        has(reply, {"ok": False}, "reply to %s" % show(frame))
        return self.error(reply, code)

    def error(self, reply, code):
        """The reply is an error with this code, and a message to read."""
        error = reply.get("error")
        codes = code if isinstance(code, tuple) else (code,)
        if not isinstance(error, dict) or error.get("code") not in codes:
            raise Failed("got %s, expected the error %s" % (show(reply),
                " or ".join(codes)))
        if not isinstance(error.get("message"), str) or not error["message"]:
            raise Failed("an error without a message: %s" % show(reply))
        return error

    def position(self):
        """Ping; the position the reply gives.

        Nothing of what is waiting is lost: the frames before it are kept.
        """
        reply = self.call(type="ping")
        has(reply, {"ok": True}, "reply to ping")
        return reply["id"]

    def closes(self, code, limit=LIMIT):
        """The connection must end with this code; the reason it gave."""
        closed = self.recv_close(limit)
        if closed.code != code:
            raise Failed("%s, expected %d" % (closed, code))
        return closed.reason

    def goodbye(self):
        """Close as a browser does, and see it answered."""
        self.send_close(1000)
        closed = self.recv_close()
        if closed.code != 1000:
            raise Failed("%s in answer to 1000" % closed)


class Reader(threading.Thread):
    """Reads a client's events in the background until told to stop.

    .events holds the event frames in the order they came, .other the rest.
    """

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.events = list(f for f in client.kept if f["type"] == "event")
        self.other = list(f for f in client.kept if f["type"] != "event")
        client.kept = []
        self.problem = None
        self.changed = threading.Condition()
        self.stopping = False
        self.start()

    def run(self):
        while not self.stopping:
            try:
                frame = self.client.read(0.2)
            except Failed as e:
                if str(e).startswith("no frame"):
                    continue
                self.end(e)
                return
            except (Closed, OSError) as e:
                self.end(e)
                return
            with self.changed:
                (self.events if frame["type"] == "event"
                    else self.other).append(frame)
                self.changed.notify_all()

    def end(self, problem):
        with self.changed:
            self.problem = problem
            self.changed.notify_all()

    def wait(self, question, what, limit=60):
        """Until question(events) is true."""
        end = time.monotonic() + limit
        with self.changed:
            while not question(self.events):
                left = end - time.monotonic()
                if left <= 0 or self.problem:
                    raise Failed("%s: %d events came, the last %s%s" % (what,
                        len(self.events), show(self.events[-1:]),
                        "; " + str(self.problem) if self.problem else ""))
                self.changed.wait(left)

    def stop(self):
        """No more reading; the events."""
        self.stopping = True
        self.join()
        return self.events
