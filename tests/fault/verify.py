# SPDX-License-Identifier: ISC
"""What came compared with what was: the table, the log, the clients' records.

An epoch is a History: the log of it, complete although parts were purged, and
the facts, which are the truth about what was committed.
"""

import bisect
import collections
import json

from record import mark_of

SHOWN = 20              # complaints of one kind that are printed


class Findings:
    def __init__(self):
        self.lost = self.duplicated = self.reordered = 0
        self.leaked = self.deliveries = 0
        self.problems = []
        self.shown = collections.defaultdict(list)      # by kind

    def say(self, kind, text, *args):
        if len(self.shown[kind]) < SHOWN:
            self.shown[kind].append(text % args if args else text)
            print("# %s: %s" % (kind.upper(), self.shown[kind][-1]),
                flush=True)

    def total(self):
        return self.lost + self.duplicated + self.reordered + self.leaked \
            + len(self.problems)

    def add_lost(self, text, *args):
        self.lost += 1
        self.say("lost", text, *args)

    def add_duplicated(self, text, *args):
        self.duplicated += 1
        self.say("duplicated", text, *args)

    def add_reordered(self, text, *args):
        self.reordered += 1
        self.say("reordered", text, *args)

    def add_leaked(self, text, *args):
        self.leaked += 1
        self.say("leaked", text, *args)

    def problem(self, text, *args):
        self.problems.append(text % args if args else text)
        self.say("problem", text, *args)

    def good(self):
        return self.deliveries > 0 and not self.total()


class History:
    """The log and the facts of one epoch, read when nobody writes."""

    def __init__(self, query, max_event):
        self.tags = [t for t, in query("SELECT tag FROM fault.tags ORDER BY n")]
        self.epoch = self.tags[-1]
        self.floor = query("SELECT id FROM pgpush.floor")[0][0]
        self.facts = query("SELECT n, room, w, s FROM fault.facts")
        self.rows = query("SELECT id, kind, room, event, data::text, user_id,"
            " dup, bytes FROM fault.log ORDER BY id")
        self.top = self.rows[-1][0] if self.rows else self.floor
        self.rooms = collections.defaultdict(list)      # ids
        self.marks = {}
        self.dups = {}                  # id: of which happening
        self.of_dup = collections.defaultdict(list)     # [(id, room)]
        self.evicted = {}               # (user, room): id of the ban
        for ident, kind, room, event, text, user, dup, size in self.rows:
            if kind == "event":
                data = json.loads(text)
                if size > max_event:
                    event, data = "resync", {"bytes": size}
                self.rooms[room].append(ident)
                self.marks[ident] = mark_of([event, data])
                if dup:
                    self.dups[ident] = dup
                    self.of_dup[dup].append((ident, room))
            elif kind == "revoke" and "deleted" in text:
                self.evicted[user, room] = ident

    def events(self):
        return sum(len(ids) for ids in self.rooms.values())

    def check(self, found):
        """The log has each committed event once, and in order."""
        facts = {(n, room): (w, s) for n, room, w, s in self.facts}
        last, seen = {}, set()
        for ident, kind, room, event, text, _, _, _ in self.rows:
            if kind != "event" or room == "fault:none":
                continue
            data = json.loads(text)
            if isinstance(data, list):
                data = data[0]
            key = (data["n"], room)
            if key not in facts:
                found.problem("log %d: n=%s in %s was never committed",
                    ident, data["n"], room)
                continue
            if key in seen:
                found.add_duplicated("log %d: n=%s in %s again", ident, *key)
            seen.add(key)
            w, s = facts[key]
            if s < last.get(w, 0):
                found.add_reordered("log %d: writer %d's %d after its %d",
                    ident, w, s, last[w])
            last[w] = s
        for key in sorted(set(facts) - seen):
            found.add_lost("n=%d in %s was committed and is not in the log",
                *key)


class Judge:
    """Compares one client's record with the histories."""

    def __init__(self, found, histories, floors):
        self.found = found
        self.histories = histories      # in their order
        self.floors = floors            # [(when the purge began, floor)]
        self.needed = self.needless = 0
        self.kept = 0       # quiet rooms that a purge overtook, and not "at"
        self.told = False   # what the first with a complaint did

    def history(self, tag, pos=0):
        """The first one that has the tag and reaches so far."""
        found = None
        for h in self.histories:
            if tag in h.tags:
                found = h
                if pos <= h.top:
                    break
        return found

    def client(self, record):
        before = self.found.total()
        self.compare(record)
        if self.found.total() > before and not self.told:
            self.told = True
            for when, conn, text in record["did"]:
                print("# client %d conn %d %.3f %s" % (record["number"], conn,
                    when, text), flush=True)

    def compare(self, record):
        self.record = record
        self.name = "client %d" % record["number"]
        for note in record["notes"]:
            self.found.problem(note)
        for conn, room, ident, top in record["disorder"]:
            self.found.add_reordered("%s conn %d: id %d in room %s after %d",
                self.name, conn, ident, room, top)
        self.had = {}                   # dup: [(id, connection)]
        for room, segments in record["rooms"].items():
            for segment in segments:
                self.remember(segment)
        for room, segments in record["rooms"].items():
            for segment in segments:
                self.segment(room, segment)
        for reset in record["resets"]:
            self.reset(*reset)
        for room, when, pos, start, epoch in record["resumes"]:
            self.kept += start < self.floor(when) <= pos
        self.twice()

    def remember(self, segment):
        epoch, _, pos, ids, _, conns = segment
        history = self.history(epoch, pos)
        for ident, conn in zip(ids, conns):
            dup = history and history.dups.get(ident)
            if dup:
                self.had.setdefault(dup, []).append((ident, conn))

    def twice(self):
        """One connection gets a happening once."""
        for dup, got in self.had.items():
            count = collections.Counter(conn for _, conn in set(got))
            for conn, times in count.items():
                if times > 1:
                    self.found.add_duplicated("%s conn %d: dup %s as %s",
                        self.name, conn, dup, sorted(i for i, _ in got))

    def segment(self, room, segment):
        epoch, start, pos, ids, marks, conns = segment
        self.found.deliveries += len(ids)
        history = self.history(epoch, pos)
        where = "%s room %s from %d to %d" % (self.name, room, start, pos)
        if history is None:
            self.found.problem("%s: the epoch %s is unknown", where, epoch)
            return
        want = history.rooms.get(room, [])
        want = want[bisect.bisect_right(want, start):
            bisect.bisect_right(want, pos)]
        seen, top = set(), start
        for ident, mark, conn in zip(ids, marks, conns):
            if ident in seen:
                self.found.add_duplicated("%s conn %d: id %d again", where,
                    conn, ident)
                continue
            if ident <= top:
                self.found.add_reordered("%s conn %d: id %d after %d", where,
                    conn, ident, top)
            seen.add(ident)
            top = max(top, ident)
            if mark != history.marks.get(ident):
                self.found.problem("%s conn %d: id %d %s", where, conn, ident,
                    "has other data than the log" if ident in history.marks
                    else "is not in the log")
        if seen != set(want):
            self.missing(where, history, room, segment, sorted(set(want)
                - seen))
            for ident in sorted(seen - set(want)):
                self.found.problem("%s: id %d does not belong there", where,
                    ident)
        evicted = history.evicted.get((self.record["user"], room))
        leaked = [i for i in ids if evicted is not None and i > evicted]
        if leaked:
            self.found.add_leaked("%s: evicted at %d, but had %s", where,
                evicted, leaked[:5])

    def missing(self, where, history, room, segment, ids):
        conns = dict(zip(segment[3], segment[5]))
        got = sorted(conns)
        for ident in ids:
            if not self.excused(history, room, ident, got, conns):
                near = bisect.bisect(got, ident)
                around = got[max(near - 1, 0):near + 1]
                dup = history.dups.get(ident)
                self.found.add_lost("%s: id %d, between %s, of conn %s%s",
                    where, ident, around, [conns[i] for i in around],
                    dup and "; its dup came as %s" % self.had.get(dup)
                    or "")

    def excused(self, history, room, ident, got, conns):
        """The same happening came in another room, on a connection that may
        have served this room at that place."""
        dup = history.dups.get(ident)
        near = bisect.bisect(got, ident)
        first = conns[got[near - 1]] if near else 0
        last = conns[got[near]] if near < len(got) else 1 << 40
        return dup is not None and any(first <= conn <= last
            for other, conn in self.had.get(dup, ()) if other != ident)

    def floor(self, when):
        """The highest that it can have been then."""
        return max((f for began, f in self.floors if began <= when),
            default=0)

    def reset(self, room, when, pos, epoch, ident, new):
        # An epoch jumps, and resets also who has lost nothing.  Back goes only
        # another history, or a daemon that lags and knows not yet of the tag.
        if self.history(epoch, pos) is not self.history(new, ident) or \
                ident - pos > 500000 or ident < pos:
            self.needed += 1
            return
        floor = self.floor(when)
        if pos < floor:
            self.needed += 1
            return
        self.needless += 1
        self.found.add_lost("%s room %s: a needless reset at %d to %d, the "
            "floor was at most %d", self.name, room, pos, ident, floor)
