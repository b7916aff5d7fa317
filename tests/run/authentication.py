#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Who it is: three ways to say it, and every way to say it wrongly."""

import os
import subprocess
import select
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import jwt
from lib.case import World, case, main
from lib.tap import Failed, check, has, same, show


@case
def by_frame(w):
    """a token in the first frame; the welcome has all it must have"""
    c = w.client("ann")
    has(c.welcome, {"user": "ann", "rooms": ["user:ann"]}, "welcome")
    check(isinstance(c.welcome["id"], int), "id in %s" % show(c.welcome))
    check(isinstance(c.welcome["epoch"], str) and c.welcome["epoch"],
        "epoch in %s" % show(c.welcome))
    same(c.welcome["ping"], 25, "ping in the welcome")
    same(c.welcome["epoch"], w.root("SELECT tag FROM pgpush.terms "
        "ORDER BY n DESC LIMIT 1")[0][0],
        "epoch in the welcome")
    d = w.client("ann")
    check(c.session != d.session, "two sessions of one name")


@case
def by_header(w):
    """a token as Authorization: Bearer"""
    c = w.open(headers={"Authorization": "Bearer " + w.token("hal")})
    has(c.greeted(), {"user": "hal", "rooms": ["user:hal"]}, "welcome")


@case
def by_subprotocol(w):
    """a token in the list of subprotocols, and it is not the one chosen"""
    c = w.open(protocols=["pgpush.v1", "bearer." + w.token("sue")])
    same(c.protocol, "pgpush.v1", "subprotocol")
    has(c.greeted(), {"user": "sue"}, "welcome")


@case
def greeted_rooms_live(w):
    """events of the greeted rooms come without a join"""
    c = w.client("gus")
    w.emit("user:gus", "hello", {"n": 1})
    c.event("hello", "user:gus", {"n": 1})


@case
def greeted_rooms_resume(w):
    """since in the auth frame and in the query resumes the greeted rooms"""
    c = w.client("res")
    w.emit("user:res", "one", {})
    first = c.event("one")["id"]
    epoch = c.welcome["epoch"]
    w.drop(c)
    w.emit("user:res", "two", {})
    w.emit("user:res", "three", {})
    c = w.client("res", auth={"since": first, "epoch": epoch})
    c.event("two", "user:res")
    c.event("three", "user:res")
    w.drop(c)
    c = w.open("/ws?since=%d&epoch=%s" % (first, epoch), protocols=[
        "pgpush.v1", "bearer." + w.token("res")])
    c.greeted()
    c.event("two", "user:res")
    c.event("three", "user:res")
    w.nothing(c, "user:res")
    w.drop(c)
    c = w.client("res", auth={"since": first, "epoch": "another"})
    frame = c.next(type="reset", room="user:res")
    same(frame["epoch"], epoch, "epoch of the reset")
    w.nothing(c, "user:res")


@case
def claims_reach_rules(w):
    """rules and handlers see the claims and the session"""
    c = w.client("cla", token=w.token("cla", claims={"role": "cook",
        "nested": {"x": [1, "\u00e9"]}}))
    c.join("role:cook")
    c.refused("forbidden", type="join", room="role:king")
    ctx = c.do("echo", {})["data"]["ctx"]
    has(ctx["claims"], {"role": "cook", "sub": "cla",
        "nested": {"x": [1, "\u00e9"]}}, "claims")
    same(ctx["session"], c.session, "session in ctx")


@case
def fractions(w):
    """exp, nbf and iat may have fractions"""
    now = time.time()
    c = w.open()
    c.auth(jwt.mint({"sub": "frac", "nbf": now - 0.5, "iat": now - 0.25,
        "exp": now + 100.75}, exp=None))
    same(c.welcome["user"], "frac", "user")


def bad_tokens(w):
    good = w.token("bad")
    head, body, mark = good.split(".")
    other = jwt.b64(b'{"sub":"root","exp":9999999999}')
    no_sub = jwt.mint({"name": "x"})
    return (
        ("empty", ""),
        ("garbage", "garbage"),
        ("dots", ".."),
        ("two parts", head + "." + body),
        ("four parts", good + "." + mark),
        ("no signature", head + "." + body + "."),
        ("cut signature", good[:-4]),
        ("another body", head + "." + other + "." + mark),
        ("not base64", "!!!." + body + "." + mark),
        ("header not JSON", jwt.b64(b"x") + "." + body + "." + mark),
        ("foreign", w.token("bad", secret=jwt.OTHER_SECRET)),
        ("empty secret", w.token("bad", secret="")),
        ("alg none", w.token("bad", header={"alg": "none"})),
        ("alg None", w.token("bad", header={"alg": "None"})),
        ("alg none, signed", w.token("bad", header={"alg": "none"}) + mark),
        ("no alg", w.token("bad", header={"typ": "JWT"})),
        ("alg HS512", w.token("bad", header={"alg": "HS512"})),
        ("alg HS384", w.token("bad", header={"alg": "HS384"})),
        ("alg RS256", jwt.b64(b'{"alg":"RS256"}') + "." + body + "." + mark),
        ("expired", w.token("bad", exp=-10)),
        ("no exp", w.token("bad", exp=None)),
        ("exp is text", w.token("bad", claims={"exp": "9999999999"})),
        ("exp is null", w.token("bad", claims={"exp": None})),
        ("nbf to come", w.token("bad", claims={"nbf":
            int(time.time()) + 3600})),
        ("no user", no_sub),
        ("user is null", jwt.mint({"sub": None})),
        ("user is an object", jwt.mint({"sub": {"a": 1}})),
        ("user is empty", jwt.mint({"sub": ""})),
        ("body is an array", head + "." + jwt.b64(b"[1]") + "." + mark),
        ("huge", w.token("bad", claims={"x": "y" * 20000})),
    )


@case
def bad_by_frame(w):
    """every bad token in a frame is closed with 4401"""
    for what, token in bad_tokens(w):
        c = w.open()
        c.send(type="auth", token=token)
        try:
            c.closes(4401)
        except Failed as e:
            raise Failed("%s: %s" % (what, e))
        w.drop(c)
    w.client("good").position()


@case
def no_token_in_frame(w):
    """an auth frame without a token, or with one that is no text: 4401"""
    for more in ({}, {"token": None}, {"token": 5}, {"token": []},
            {"token": {"a": "b"}}):
        c = w.open()
        c.send(type="auth", **more)
        c.closes(4401)
        w.drop(c)


@case
def bad_by_header(w):
    """bad tokens in a header or subprotocol: 4401 where a page can see it"""
    for what, token in bad_tokens(w):
        if what in ("empty", "huge"):       # no header holds these
            continue
        c = w.open(protocols=["pgpush.v1", "bearer." + token])
        c.closes(4401)
        w.drop(c)
        c = w.open(headers={"Authorization": "Bearer " + token})
        c.closes(4401)
        w.drop(c)


@case
def before_auth(w):
    """anything else before auth is closed with 4401, what is no frame 4400"""
    for frame in ({"type": "join", "room": "open:x"}, {"type": "ping"},
            {"type": "send", "event": "echo"}, {"type": "what"}):
        c = w.open()
        c.send(**frame)
        c.closes(4401)
        w.drop(c)
    for text in ("hello", "[]", ""):
        c = w.open()
        c.send_text(text)
        c.closes(4400)
        w.drop(c)
    same(w.root("SELECT count(*) FROM app.calls WHERE user_id IS NULL")[0][0],
        0, "handlers run for nobody")


@case
def unknown_user(w):
    """a good token of a user that greet does not know: 4403"""
    c = w.open()
    c.send(type="auth", token=w.token("nobody at all"))
    c.closes(4403)
    c = w.open(headers={"Authorization": "Bearer " + w.token("nobody else")})
    c.closes(4403)


@case
def in_time(w):
    """who has not said who it is in auth_timeout is closed with 4408"""
    other = World("app", auth_timeout="3s")
    c = other.open()
    quiet = other.open()
    c.send_frame(9, b"a ping is not an answer")
    c.closes(4408)
    quiet.closes(4408)
    other.client("quick").position()
    same(other.close(), [], "end of the daemon")


@case
def refresh(w):
    """a later auth refreshes: a reply with exp; the session goes on"""
    c = w.client("fresh", ["open:fresh"])
    exp = int(time.time()) + 7200
    reply = c.call(type="auth", token=w.token("fresh", claims={"exp": exp},
        exp=None))
    has(reply, {"ok": True, "exp": exp}, "reply")
    w.emit("open:fresh", "on", {})
    c.event("on", "open:fresh")


@case
def bad_refresh(w):
    """a bad refresh is unauthorized and the old token stays in force"""
    c = w.client("stays", ["open:stays"])
    for token in ("garbage", w.token("stays", exp=-5),
            w.token("stays", secret=jwt.OTHER_SECRET), w.token("stays",
            header={"alg": "none"})):
        c.refused("unauthorized", type="auth", token=token)
    c.refused(("unauthorized", "bad_request"), type="auth")
    w.emit("open:stays", "on", {})
    c.event("on", "open:stays")


@case
def another_user(w):
    """a refresh as another user is closed with 4403"""
    c = w.client("one")
    c.send(type="auth", token=w.token("two"), ref=1)
    c.closes(4403)


@case
def expiring(w):
    """expiring comes before the end of the token, 4401 at the end"""
    c = w.client("brief", token=w.token("brief", exp=6))
    frame = c.next(type="expiring")
    check(isinstance(frame["in"], (int, float)) and 0 <= frame["in"] <= 60,
        "in is %r" % frame.get("in"))
    c.closes(4401)


@case
def refreshed_in_time(w):
    """a token refreshed in time does not end the session"""
    c = w.client("kept", ["open:kept"], token=w.token("kept", exp=6))
    end = time.time() + 7.5
    has(c.call(type="auth", token=w.token("kept")), {"ok": True}, "refresh")
    while time.time() < end:
        c.position()
        select.select([], [], [], 0.05)     # slower than message_rate
    w.emit("open:kept", "on", {})
    c.until(type="event", event="on", room="open:kept")


@case
def other_settings(w):
    """issuer, audience, user claim and leeway are looked at when set"""
    other = World("app", jwt_issuer="the-api", jwt_audience="push",
        jwt_user_claim="uid", jwt_leeway="30s")
    good = {"uid": 77, "iss": "the-api", "aud": "push"}
    c = other.client("77", token=jwt.mint(good))
    same(c.user, "77", "a number as user")
    other.client("77", token=jwt.mint(dict(good, aud=["x", "push"])))
    other.client("77", token=jwt.mint(good, exp=-5))
    for bad in (dict(good, iss="other"), dict(good, aud="other"),
            dict(good, aud=["x"]), {"uid": 77, "aud": "push"},
            {"uid": 77, "iss": "the-api"}):
        c = other.open()
        c.send(type="auth", token=jwt.mint(bad))
        c.closes(4401)
    c = other.open()
    c.send(type="auth", token=jwt.mint(good, exp=-60))
    c.closes(4401)
    same(other.close(), [], "end of the daemon")


@case
def public_key(w):
    """RS256 by a public key; the key's text is no secret for HS256"""
    base = w.cluster.work("keys")
    private, public = (os.path.join(base, n) for n in ("key", "pub"))
    for command in (["openssl", "genrsa", "-out", private, "2048"],
            ["openssl", "rsa", "-in", private, "-pubout", "-out", public]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
    other = World("app", jwt_secret=None, jwt_public_key_file=public,
        jwt_algorithms="RS256")
    body = "%s.%s" % (jwt.b64(b'{"alg":"RS256","typ":"JWT"}'), jwt.b64(
        b'{"sub":"rsa","exp":%d}' % (int(time.time()) + 60)))
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign",
        private], input=body.encode(), stdout=subprocess.PIPE,
        check=True).stdout
    c = other.client("rsa", token=body + "." + jwt.b64(signature))
    same(c.user, "rsa", "user")
    with open(public) as f:
        secret = f.read()
    for token in (jwt.mint({"sub": "rsa"}, secret=secret),
            jwt.mint({"sub": "rsa"}), body + ".",
            body + "." + jwt.b64(signature[:-1] + b"x")):
        c = other.open()
        c.send(type="auth", token=token)
        c.closes(4401)
    same(other.close(), [], "end of the daemon")


@case
def tokens_stay_secret(w):
    """no token and no secret is ever in the log"""
    token = w.token("logged")
    w.client("logged", token=token)
    bad = w.token("logged", secret=jwt.OTHER_SECRET)
    c = w.open()
    c.send(type="auth", token=bad)
    c.closes(4401)
    w.open(protocols=["pgpush.v1", "bearer." + token]).greeted()
    log = w.daemon.log()
    for text in (token, bad, jwt.SECRET):
        check(text not in log, "in the log: %s" % text)


if __name__ == "__main__":
    main()
