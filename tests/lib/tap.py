# SPDX-License-Identifier: ISC
"""TAP, one line a point, and the exception by which a test ends early.

Points are numbered here and nowhere else; plan() prints how many there were,
so a file that dies before its end has no plan and is known to have died.
"""

import json
import sys
import threading
import time

LIMIT = 60.0            # seconds: how long a test waits for what must come

_count = 0
_failed = 0
_lock = threading.Lock()


class Failed(Exception):
    """What a test found is not what it must find."""


def show(value, limit=400):
    """A value as a reader of a failure wants it: short, on one line."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError):
        text = repr(value)
    text = text.replace("\n", "\\n")
    if len(text) > limit:
        text = "%s... (%d characters)" % (text[:limit], len(text))
    return text


def diag(text):
    """A comment in the TAP stream."""
    with _lock:
        for line in str(text).splitlines() or [""]:
            sys.stdout.write("# %s\n" % line)
        sys.stdout.flush()


def ok(condition, name):
    """One point.  Returns the condition, so that a caller may say more."""
    global _count, _failed
    with _lock:
        _count += 1
        if not condition:
            _failed += 1
        sys.stdout.write("%sok %d - %s\n" % ("" if condition else "not ",
            _count, name.replace("#", "\\#").replace("\n", " ")))
        sys.stdout.flush()
    return condition


def is_(got, want, name):
    """One point: got equals want; says both if not."""
    if not ok(got == want, name):
        diag("     got: %s" % show(got))
        diag("expected: %s" % show(want))
        return False
    return True


def check(condition, message):
    """End the test unless the condition holds."""
    if not condition:
        raise Failed(message)


def same(got, want, what):
    """End the test unless both are equal."""
    if got != want:
        raise Failed("%s: got %s, expected %s" % (what, show(got), show(want)))


def has(got, want, what="object"):
    """End the test unless every member of want is in got, and equal there."""
    if not isinstance(got, dict):
        raise Failed("%s: got %s, expected an object" % (what, show(got)))
    for key, value in want.items():
        if key not in got:
            raise Failed("%s: no %r in %s" % (what, key, show(got)))
        if got[key] != value:
            raise Failed("%s: %s is %s, expected %s, in %s" % (what, key,
                show(got[key]), show(value), show(got)))


def wait_for(question, what, limit=LIMIT):
    """Ask again and again until the answer is true; return it.

    This is for states that nobody announces: a row in a table, a line in a
    log.  What a client gets is awaited on its socket instead.
    """
    end = time.monotonic() + limit
    pause = 0.005
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed("waited %g s for %s" % (limit, what))
        threading.Event().wait(pause)
        pause = min(pause * 1.5, 0.1)


def bail(text):
    """Nothing more can be tested here."""
    with _lock:
        sys.stdout.write("Bail out! %s\n" % str(text).replace("\n", " "))
        sys.stdout.flush()


def plan():
    """The plan, last, and the exit status the file should have."""
    with _lock:
        sys.stdout.write("1..%d\n" % _count)
        sys.stdout.flush()
    return 1 if _failed or _count == 0 else 0
