# SPDX-License-Identifier: ISC
"""Tokens, good ones and bad ones, made by hand."""

import base64
import hashlib
import hmac
import json
import time

SECRET = "a secret of the tests, long enough for HS256 to be content"
OTHER_SECRET = "a secret of somebody else, just as long as the right one is"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mint(claims, secret=SECRET, header=None, exp=3600):
    """A token with these claims, exp seconds from now unless None.

    The header is {"alg": "HS256", "typ": "JWT"} unless given; alg none gets
    an empty signature, HS384 and HS512 their own.
    """
    claims = dict(claims)
    now = int(time.time())
    claims.setdefault("iat", now)
    if exp is not None:
        claims.setdefault("exp", now + exp)
    header = header or {"alg": "HS256", "typ": "JWT"}
    body = "%s.%s" % (b64(json.dumps(header).encode()),
        b64(json.dumps(claims).encode()))
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384,
        "HS512": hashlib.sha512}.get(header.get("alg"))
    if digest is None:
        return body + "."
    return "%s.%s" % (body,
        b64(hmac.new(secret.encode(), body.encode(), digest).digest()))
