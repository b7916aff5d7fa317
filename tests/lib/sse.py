# SPDX-License-Identifier: ISC
"""A reader of server-sent events, and the POST beside them.

Parser follows the HTML standard, section 9.2.6, "Interpreting an event
stream".  Stream is a GET /events that believes nothing: an event whose lines
and data disagree, or that is not after all others by its id, fails the test.
"""

import codecs
import json
import socket
import time
from urllib.parse import quote

from . import web
from .client import Client
from .tap import LIMIT, Failed, show
from .ws import Closed


class Event:
    """One event, as an EventSource would dispatch it; without data one that it
    would not, an id alone."""

    def __init__(self, event, data, last, had_id):
        self.event = event
        self.data = data
        self.last = last            # the Last-Event-ID after it
        self.had_id = had_id        # it had an id line of its own


class Parser:
    """Bytes in, events out.  What makes no event is counted."""

    def __init__(self):
        self.decode = codecs.getincrementaldecoder("utf-8")("strict").decode
        self.text = ""
        self.begun = False
        self.last = ""              # Last-Event-ID
        self.buffer = ""            # the id to be, at the next empty line
        self.retry = None           # ms
        self.comments = 0
        self.moves = []             # ids that came without an event
        self.clear()

    def clear(self):
        self.data = []
        self.type = ""
        self.had_id = False

    def feed(self, data):
        """The events that these bytes complete."""
        return [e for e in self.all(data) if e.data is not None]

    def all(self, data):
        """The same, and between them the ids alone."""
        self.text += self.decode(data)
        if not self.begun and self.text:
            self.begun = True
            self.text = self.text[self.text[0] == "\ufeff":]
        found = []
        at = 0
        cr = self.text.find("\r")
        while True:
            if -1 < cr < at:
                cr = self.text.find("\r", at)
            n = self.text.find("\n", at)
            end = min(n, cr) if n != -1 and cr != -1 else max(n, cr)
            # A CR that is last may be half of a CRLF.
            if end == -1 or end == cr == len(self.text) - 1:
                break
            line = self.text[at:end]
            at = end + (2 if self.text.startswith("\r\n", end) else 1)
            if line:
                self.field(line)
            else:
                found += self.dispatch()
        self.text = self.text[at:]
        return found

    def field(self, line):
        name, _, value = line.partition(":")
        if value.startswith(" "):
            value = value[1:]
        if name == "":
            self.comments += 1
        elif name == "event":
            self.type = value
        elif name == "data":
            self.data.append(value)
        elif name == "id" and "\0" not in value:
            self.buffer = value
            self.had_id = True
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def dispatch(self):
        self.last = self.buffer
        found = []
        if self.data:
            found.append(Event(self.type or "message", "\n".join(self.data),
                self.last, self.had_id))
        elif self.had_id:
            self.moves.append(self.last)
            found.append(Event(None, None, self.last, True))
        self.clear()
        return found


def position(text):
    """Epoch and number of an id."""
    epoch, dot, number = text.rpartition(".")
    if not dot or not epoch or not number.isdigit():
        raise Failed("not an id: %r" % text)
    return epoch, int(number)


def address(rooms=(), **query):
    """/events with these rooms; a query member that is None is left out."""
    parts = ["room=" + quote(r, safe=":") for r in rooms]
    parts += ["%s=%s" % (k, quote(str(v), safe="")) for k, v in query.items()
        if v is not None]
    return "/events" + ("?" + "&".join(parts) if parts else "")


def bearer(token):
    return {} if token is None else {"Authorization": "Bearer " + token}


class Stream:
    """A stream, unless the status is not 200: then .response has it all.

    next(), event() and until() give native frames as those of Client do, and
    close frames too; the end of the stream is a Closed without a code.
    """

    next = Client.next
    event = Client.event
    until = Client.until

    def __init__(self, port, path, token=None, last=None, headers=(),
            rcvbuf=None, timeout=LIMIT):
        self.port = port
        self.token = token
        self.kept = []
        self.frames = []
        self.parser = Parser()
        self.welcome = self.session = self.user = self.epoch = None
        self.top = 0                # the largest id in this epoch
        self.ids = []               # of events, with their epochs
        self.refs = 0
        self.ended = False
        self.sock = socket.socket()
        if rcvbuf is not None:      # before connect: it sets the window
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        lines = {"Host": "127.0.0.1:%d" % port, "Accept": "text/event-stream"}
        lines.update(bearer(token))
        if last is not None:
            lines["Last-Event-ID"] = last
        lines.update(dict(headers))
        self.sock.sendall(("GET %s HTTP/1.1\r\n%s\r\n" % (path, "".join(
            "%s: %s\r\n" % (k, v) for k, v in lines.items()
            if v is not None))).encode("latin-1"))
        self.begin(timeout)

    def begin(self, timeout):
        """Read the head; of an answer that is no stream all of it."""
        data, end = b"", time.monotonic() + timeout
        while b"\r\n\r\n" not in data:
            chunk = self.chunk(max(0.001, end - time.monotonic()))
            if not chunk:
                raise Failed("closed without an answer: %r" % data)
            data += chunk
        head, _, rest = data.partition(b"\r\n\r\n")
        status, headers = web.parse_head(head)
        if status == 200:
            self.response = web.Response(status, headers, b"")
            self.take(rest)
        else:
            self.response = web.read_response(self.sock, timeout, "GET", data)
            self.ended = True

    @property
    def status(self):
        return self.response.status

    @property
    def last(self):
        """What an EventSource would send as Last-Event-ID."""
        return self.parser.last

    @property
    def at(self):
        """The number in it."""
        return position(self.last)[1]

    def fileno(self):
        return self.sock.fileno()

    # -- in

    def chunk(self, limit):
        self.sock.settimeout(limit)
        try:
            return self.sock.recv(65536)
        except socket.timeout:
            return None
        except ConnectionResetError:
            return b""

    def take(self, data):
        for event in self.parser.all(data):
            if event.data is None:
                self.judge_move(position(event.last)[1])
            else:
                self.frames.append(self.judge(event))

    def judge(self, event):
        """The frame of an event whose lines and data agree."""
        try:
            f = json.loads(event.data)
        except ValueError:
            raise Failed("data is not JSON: %s" % show(event.data))
        name = f["event"] if f.get("type") == "event" \
            else "pgpush:" + str(f.get("type"))
        if event.event != name.replace("\n", " ").replace("\r", " "):
            raise Failed("event %r has data %s" % (event.event, show(f)))
        if f["type"] == "event":
            self.judge_id(event, f)
        elif f["type"] == "reset":
            self.top = f["id"]
        elif f["type"] == "welcome" and event.had_id:
            self.judge_move(position(event.last)[1])
        return f

    def judge_move(self, number):
        """An id that is no event's: who comes back with it has had all."""
        if number < self.top:
            raise Failed("id %d alone after %d" % (number, self.top))
        self.top = number

    def judge_id(self, event, f):
        if event.had_id != ("id" in f):
            raise Failed("an id line: %s, an id in the data: %s"
                % (event.had_id, show(f)))
        if "id" not in f:
            return
        epoch, number = position(event.last)
        if number != f["id"]:
            raise Failed("id %s of %s" % (event.last, show(f)))
        if number <= self.top:
            raise Failed("id %d after %d: %s" % (number, self.top, show(f)))
        self.top = number
        self.ids.append(event.last)

    def read(self, limit=LIMIT):
        """The next frame."""
        end = time.monotonic() + limit
        while not self.frames:
            if self.ended:
                raise Closed(None, "the stream has ended")
            left = end - time.monotonic()
            chunk = self.chunk(left) if left > 0 else None
            if chunk is None:
                raise Failed("no frame in %g s" % limit)
            self.ended = not chunk
            self.take(chunk)
        return self.frames.pop(0)

    def greeted(self):
        """The first event, which must be the welcome."""
        self.welcome = self.next(type="welcome")
        for key in ("session", "user", "rooms", "id", "epoch", "ping"):
            if key not in self.welcome:
                raise Failed("no %s in %s" % (key, show(self.welcome)))
        self.session = self.welcome["session"]
        self.user = self.welcome["user"]
        self.epoch = self.welcome["epoch"]
        return self.welcome

    def closes(self, code, limit=LIMIT):
        """pgpush:close with this code must be next, and the end; its
        reason."""
        f = self.next(limit, type="close", code=code)
        self.over(limit)
        return f["reason"]

    def over(self, limit=LIMIT):
        """Nothing more may come but the end."""
        try:
            f = self.next(limit)
        except Failed as e:
            if "the stream has ended" not in str(e):
                raise
        else:
            raise Failed("after the close came %s" % show(f))

    def moved_to(self, number, limit=LIMIT):
        """Read until Last-Event-ID is there, or beyond; frames are kept."""
        end = time.monotonic() + limit
        while self.at < number:
            left = end - time.monotonic()
            chunk = self.chunk(left) if left > 0 else None
            if not chunk:
                raise Failed("Last-Event-ID is %s, not yet %d: %s"
                    % (self.last, number, "ended" if chunk == b""
                    else "no more came"))
            self.take(chunk)

    # -- out

    def ref(self):
        self.refs += 1
        return self.refs

    def post(self, **frame):
        """POST /send for this stream; the answer."""
        frame.setdefault("session", self.session)
        return post(self.port, frame, self.token)

    def call(self, **frame):
        """A frame that must be answered 200; its reply."""
        frame.setdefault("ref", self.ref())
        return reply_of(self.post(**frame), frame["ref"])

    do = Client.do

    def join(self, room, **more):
        reply = self.call(type="join", room=room, **more)
        if reply.get("ok") is not True or reply.get("room") != room or \
                not isinstance(reply.get("id"), int):
            raise Failed("reply to join %s: %s" % (room, show(reply)))
        return reply["id"]

    def refused(self, code, **frame):
        """A frame that must be answered by this error."""
        reply = self.call(**frame)
        if reply["ok"]:
            raise Failed("not refused: %s" % show(reply))
        return self.error(reply, code)

    error = Client.error

    def shut(self):
        self.sock.close()


def post_bytes(port, body, token=None, headers=(), method="POST"):
    """The request as bytes.  A header given as None is left out."""
    if not isinstance(body, bytes):
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = {"Host": "127.0.0.1:%d" % port, "Content-Type":
        "application/json", "Content-Length": len(body)}
    lines.update(bearer(token))
    lines.update(dict(headers))
    head = "%s /send HTTP/1.1\r\n%s\r\n" % (method, "".join("%s: %s\r\n"
        % (k, v) for k, v in lines.items() if v is not None))
    return head.encode("latin-1") + body


def post(port, body, token=None, headers=(), timeout=LIMIT, method="POST"):
    """POST /send; the Response."""
    return web.raw(port, post_bytes(port, body, token, headers, method),
        method, timeout)


def reply_of(response, ref=None):
    """The reply frame that a POST was answered with."""
    if response is None or response.status != 200:
        raise Failed("answered %r" % response)
    if not response.headers.get("content-type", "").startswith(
            "application/json"):
        raise Failed("content type of %r" % response.headers)
    f = json.loads(response.body)
    if f.get("type") != "reply" or not isinstance(f.get("ok"), bool):
        raise Failed("not a reply: %s" % show(f))
    if ref is not None and f.get("ref") != ref:
        raise Failed("ref %s in %s" % (show(ref), show(f)))
    return f


def error_of(response, status):
    """The code of an error that is no reply."""
    if response is None or response.status != status:
        raise Failed("answered %r, expected %d" % (response, status))
    try:
        error = json.loads(response.body)["error"]
        if not isinstance(error["message"], str):
            raise Failed("no message in %r" % response)
        return error["code"]
    except (ValueError, KeyError, TypeError):
        raise Failed("no error in %r" % response)


def open_stream(w, user=None, rooms=(), token=None, port=None, query=None,
        **how):
    """A connection to this world's /events, whatever it is answered."""
    if token is None and user is not None:
        token = w.token(user)
    s = Stream(port or w.daemon.port, address(rooms, **(query or {})), token,
        **how)
    w.clients.append(s)
    return s


def stream(w, user, rooms=(), **how):
    """A stream that is welcome, in these rooms."""
    s = open_stream(w, user, rooms, **how)
    if s.status != 200:
        raise Failed("GET /events: %r" % s.response)
    s.greeted()
    return s


def again(w, s, rooms=(), **how):
    """A stream that goes on where this one was."""
    return stream(w, s.user, rooms, last=s.last, **how)


def refused_stream(w, status, *args, **how):
    """GET /events answered with this status; the error's code."""
    return error_of(open_stream(w, *args, **how).response, status)
