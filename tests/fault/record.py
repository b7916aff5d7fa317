# SPDX-License-Identifier: ISC
"""What a client has had of a room.

The record of a room is a list of segments.  Within one there must be no gap: a
segment is begun by the first join and by each reset, and goes on over all cuts,
daemons and rejoins.
"""

import json
import zlib
from array import array

OUT, JOINING, IN, LEAVING, BANNED = "out", "joining", "in", "leaving", "banned"


def mark_of(data):
    """What two data that are equal have in common."""
    return zlib.crc32(json.dumps(data, sort_keys=True,
        separators=(",", ":")).encode())


class Segment:
    """A gapless part: the events of a room after start, in one history."""

    def __init__(self, epoch, start):
        self.epoch = epoch          # of the beginning
        self.tag = epoch            # of the position
        self.stale = None           # a stream's cursor of before the reset
        self.start = start
        self.pos = start            # complete up to here, as told by ids, at
        self.ids = array("q")
        self.marks = array("L")
        self.conns = array("L")     # by which connection each came


class Room:
    def __init__(self, name):
        self.name = name
        self.state = OUT
        self.was = OUT              # of a stream: when the last one ended
        self.segments = []
        self.since = None           # as sent with the join under way
        self.asked = 0.0            # when we left, to rejoin without since
        self.said = 0               # the program's own last event
        self.odd = None             # a reply that only a reset explains
        self.banned = 0             # the connection on which a join said so

    @property
    def now(self):
        return self.segments[-1] if self.segments else None
