#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""pgpush.connections: the sessions that are there, and their rooms."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib.case import World, case, main
from lib.tap import check, same, wait_for


def rooms_of(w, user):
    """The rooms of the user's connections, sorted, each as a list."""
    return [sorted(r[0]) for r in w.root("SELECT rooms FROM pgpush.connections"
        " WHERE user_id = %s ORDER BY session", user)]


def shows(w, user, *rooms):
    """Wait until the user's one connection is in just these rooms."""
    want = [sorted(rooms + ("user:" + user,))]
    wait_for(lambda: rooms_of(w, user) == want,
        "%s in %s, not %s" % (user, want, rooms_of(w, user)))


@case
def joins_and_leaves(w):
    """a join, a leave and a revoke show in the connection's row"""
    c = w.client("ann", ["open:a", "open:b"])
    shows(w, "ann", "open:a", "open:b")
    c.leave("open:a")
    shows(w, "ann", "open:b")
    w.sql("SELECT pgpush.revoke('open:b', 'ann')")
    c.next(type="left", room="open:b")
    shows(w, "ann")


@case
def odd_names(w):
    """a room's name with quotes, commas and braces is kept as it is"""
    room = 'open:"{a},\\b'
    w.client("odd", [room])
    shows(w, "odd", room)


@case
def what_it_says(w):
    """a row says the dialect, the address and the node"""
    w.client("who")
    row = wait_for(lambda: w.root("SELECT dialect, address, node "
        "FROM pgpush.connections WHERE user_id = 'who'"), "a row")[0]
    same(row[0], "native", "dialect")
    check(row[1].startswith("127.0.0.1:"), "address %s" % row[1])
    same(w.root("SELECT count(*) FROM pgpush.nodes WHERE node = %s",
        row[2])[0][0], 1, "nodes of that name")


@case
def presence_is_not_told(w):
    """a change of rooms is no change of presence"""
    c = w.client("calm")
    shows(w, "calm")
    wait_for(lambda: not w.root("SELECT FROM pgpush.presence_todo"),
        "the leader to have looked")
    w.root("CREATE TABLE public.told (user_id text)")
    w.root("CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN INSERT INTO public.told VALUES (NEW.user_id); "
        "RETURN NEW; END $$")
    w.root("GRANT INSERT ON public.told TO PUBLIC")
    w.root("CREATE TRIGGER note BEFORE INSERT ON pgpush.presence_todo "
        "FOR EACH ROW EXECUTE FUNCTION public.note()")
    c.join("open:calm")
    shows(w, "calm", "open:calm")
    same(w.root("SELECT user_id FROM public.told"), [], "users told of")
    w.root("DROP TRIGGER note ON pgpush.presence_todo")


@case
def after_a_crash(w):
    """after a crash of the server the rows come again, with their rooms"""
    other = World("app", own=True)
    other.client("back", ["open:x"])
    shows(other, "back", "open:x")
    other.cluster.restart("immediate")
    other.daemon.wait_ready()
    shows(other, "back", "open:x")
    same(other.close(), [], "end of the daemon")


if __name__ == "__main__":
    main()
