# SPDX-License-Identifier: ISC
"""All clients in one process: their loop, their own faults, and the commands
of the program that started it.

A command is a tuple of its name and arguments; those that ask answer with a
tuple that begins with the same name.
"""

import collections
import ctypes
import heapq
import multiprocessing
import random
import selectors
import signal
import time
import traceback

from clients import Client
from record import BANNED, IN, OUT
from streams import StreamClient

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
LOOK = 0.02             # seconds between looks at whether all have settled


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Crowd:
    def __init__(self, pipe, ports, plans, seed):
        self.pipe = pipe
        self.ports = ports
        self.rng = random.Random("%s-crowd" % seed)
        self.selector = selectors.DefaultSelector()
        self.timers = []
        self.order = 0
        self.counts = collections.Counter()
        self.deliveries = 0
        self.stormy = 0.0           # own faults of each client, per second
        self.expected = {}          # (s, room): clients still to get it
        self.settling = None
        # A third of them have streams of server-sent events.
        self.clients = [(StreamClient if k % 3 == 2 else Client)(self, k,
            rooms, seed) for k, rooms in enumerate(plans)]
        self.running = True

    # -- for the clients

    now = staticmethod(time.monotonic)

    def count(self, what):
        self.counts[what] += 1

    def later(self, seconds, what):
        self.order += 1
        heapq.heappush(self.timers, (self.now() + seconds, self.order, what))

    def events_of(self, client):
        return (0 if client.stalled else READ) | \
            (WRITE if client.link.wants_write() else 0)

    def watch(self, client):
        client.mask = self.events_of(client)
        self.selector.register(client.link, client.mask, client)

    def rewatch(self, client):
        """After anything that may have changed what it waits for."""
        mask = self.events_of(client)
        if client.link.state != "connect" and client.link.out:
            try:
                client.link.writable()
            except Exception:
                pass                # read() will find the end
            mask = self.events_of(client)
        if mask == client.mask:
            return
        if client.mask and mask:
            self.selector.modify(client.link, mask, client)
        elif mask:
            self.selector.register(client.link, mask, client)
        else:
            self.selector.unregister(client.link)
        client.mask = mask

    def unwatch(self, client):
        if client.mask:
            self.selector.unregister(client.link)
        client.mask = 0

    def delivered(self, client, room, data):
        self.deliveries += 1
        if isinstance(data, dict) and "w" in data:
            if data["w"] == 0:
                room.said = data["s"]
                key = data["s"], room.name
                if key in self.expected:
                    self.expected[key].discard(client.number)
                    self.all_have(*key)

    def all_have(self, s, name):
        if not self.expected[s, name]:
            del self.expected[s, name]
            self.pipe.send(("expect", s, name))

    # -- faults of the clients' own making

    def storm(self):
        if self.stormy > 0:
            client = self.rng.choice(self.clients)
            what = self.rng.random()
            if client.link is None or client.stalled:
                pass
            elif what < 0.4:
                self.count("cut")
                client.cut(self.rng.choice((0.0, 0.1, 0.5, 2.0)))
            elif what < 0.5:
                self.count("goodbye")
                client.cut(self.rng.uniform(0.0, 1.0), goodbye=True)
            elif what < 0.8:
                self.count("stall")
                client.stall(self.rng.uniform(0.2, 5.0))
            else:
                client.rejoin()
        pause = self.rng.expovariate(max(0.5, self.stormy
            * len(self.clients)))
        self.later(min(pause, 1.0), self.storm)

    # -- commands

    def do_storm(self, rate):
        """Own faults of each client per second; 0: none."""
        self.stormy = rate
        if rate == 0:
            for client in self.clients:
                if client.stalled:
                    client.go_on()

    def do_cut(self, share):
        """A share of all at once."""
        for client in self.clients:
            if client.link is not None and self.rng.random() < share:
                self.count("cut")
                client.cut()

    def do_stall(self, name, seconds):
        """All members of a room."""
        for client in self.clients:
            if name in client.rooms and client.link is not None:
                self.count("stall")
                client.stall(seconds)

    def do_home(self):
        """Each to its own daemon, as at the beginning."""
        for client in self.clients:
            if client.link is None or client.daemon != client.home():
                client.cut(0.0, client.home())

    def do_settle(self):
        """Answer when each is welcome and in all its rooms."""
        self.settling = True
        self.look()

    def unsettled(self):
        return [(c.number, c.daemon, [r.name + " " + r.state
            for r in c.rooms.values() if r.state not in (IN, BANNED)])
            for c in self.clients if not c.live
            or any(r.state not in (IN, BANNED) for r in c.rooms.values())]

    def look(self):
        if not self.settling:
            return
        for client in self.clients:
            if client.live:
                for room in client.rooms.values():
                    if room.state == OUT:
                        client.join(room)
                self.rewatch(client)
        if self.unsettled():
            self.later(LOOK, self.look)
        else:
            self.settling = None
            self.pipe.send(("settle",))

    def do_unsettled(self):
        self.settling = None
        self.pipe.send(("unsettled", self.unsettled()))

    def do_expect(self, s, name):
        """Answer when all members of the room have got the event of the
        program's own count s.  It may have come before this command."""
        self.expected[s, name] = {c.number for c in self.clients
            if name in c.rooms and c.rooms[name].state != BANNED
            and c.rooms[name].said < s}
        self.all_have(s, name)

    def do_missing(self, s, name):
        """Who has not got it; nobody waits for it any more."""
        who = self.expected.pop((s, name), set())
        self.pipe.send(("missing", [(k, self.clients[k].daemon,
            self.clients[k].conn, self.clients[k].rooms[name].state,
            self.clients[k].rooms[name].now.pos
            if self.clients[k].rooms[name].now else None)
            for k in sorted(who)]))

    def do_count(self):
        self.pipe.send(("count", dict(self.counts), self.deliveries,
            sum(c.live for c in self.clients)))

    def do_dump(self):
        """The record of everything, once."""
        for client in self.clients:
            client.sync()
        self.pipe.send(("dump", [{"number": c.number, "user": c.user,
            "notes": c.notes, "did": list(c.did), "disorder": c.disorder,
            "resets": c.resets, "resumes": c.resumes, "rooms": {r.name:
            [(s.tag, s.start, s.pos, s.ids, s.marks, s.conns)
            for s in r.segments] for r in c.rooms.values()}}
            for c in self.clients]))

    def do_end(self):
        self.running = False

    # -- the loop

    def run(self):
        self.selector.register(self.pipe, READ, None)
        for client in self.clients:
            client.connect(client.home())
        self.storm()
        while self.running:
            wait = self.timers[0][0] - self.now() if self.timers else 1.0
            for key, mask in self.selector.select(max(0.0, wait)):
                if key.data is None:
                    command = self.pipe.recv()
                    getattr(self, "do_" + command[0])(*command[1:])
                elif key.data.link is key.fileobj:
                    key.data.ready(mask & READ, mask & WRITE)
            now = self.now()
            while self.timers and self.timers[0][0] <= now:
                heapq.heappop(self.timers)[2]()


def child(pipe, ports, plans, seed):
    die_with_parent()
    try:
        Crowd(pipe, ports, plans, seed).run()
    except EOFError:
        pass
    except Exception:
        pipe.send(("died", traceback.format_exc()))


class Died(Exception):
    pass


class CrowdProxy:
    """The crowd as the program sees it."""

    def __init__(self, ports, plans, seed):
        context = multiprocessing.get_context("fork")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=child, args=(theirs, ports,
            plans, seed), daemon=True)
        self.process.start()
        theirs.close()
        self.had = collections.deque()

    def tell(self, *command):
        try:
            self.pipe.send(command)
        except BrokenPipeError:
            self.answer(10, "nothing more")     # why it died
            raise

    def answer(self, limit, *want):
        """The answer that begins so; None if it does not come in time."""
        for old in self.had:
            if old[:len(want)] == want:
                self.had.remove(old)
                return old
        end = time.monotonic() + limit
        while self.pipe.poll(max(0.0, end - time.monotonic())):
            try:
                got = self.pipe.recv()
            except EOFError:
                raise Died("without a word")
            if got[0] == "died":
                raise Died(got[1])
            if got[:len(want)] == want:
                return got
            self.had.append(got)
        return None

    def ask(self, *command, limit=60):
        self.tell(*command)
        got = self.answer(limit, command[0])
        if got is None:
            raise Died("no answer to %s in %d s" % (command[0], limit))
        return got[1:]

    def end(self):
        self.process.kill()
        self.process.join()
