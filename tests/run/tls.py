#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""TLS: what is spoken, tickets, and that nothing else changes."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import web
from lib.case import World, case, main, the_cluster
from lib.cluster import free_port
from lib.tap import Failed, check, same, wait_for

DIR = the_cluster().work("tls")
PORT = free_port()


def path(name):
    return os.path.join(DIR, name)


def certificate(name, subject):
    """A self-signed P-256 certificate and its key."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
        "/CN=" + subject, "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", path(name + ".key"), "-out", path(name + ".pem")],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for kind in ("key", "pem"):
        shutil.copy(path("%s.%s" % (name, kind)), path("in-force." + kind))


def context(name="first", **how):
    c = ssl.create_default_context(cafile=path(name + ".pem"))
    c.check_hostname = False
    c.set_alpn_protocols(["http/1.1"])
    for key, value in how.items():
        setattr(c, key, value)
    return c


def connect(c, session=None):
    sock = socket.create_connection(("127.0.0.1", PORT), 30)
    return c.wrap_socket(sock, session=session)


def talk(sock):
    """A request, by which a ticket has come too."""
    sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    same(web.read_response(sock, 30).status, 200, "status")
    session = sock.session
    sock.close()
    return session


def client(w, user, rooms=()):
    w.daemon.port, plain = PORT, w.daemon.port
    try:
        return w.client(user, rooms, wrap=context().wrap_socket)
    finally:
        w.daemon.port = plain


@case
def versions(w):
    """TLS 1.2 and 1.3 with ALPN http/1.1; 1.1 is refused"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        sock = connect(context(minimum_version=version,
            maximum_version=version))
        same(sock.selected_alpn_protocol(), "http/1.1", "ALPN")
        talk(sock)
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d"
        % PORT, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=60)
    check(done.returncode != 0, "TLS 1.1 is spoken")


@case
def events(w):
    """a WebSocket over TLS gets events, small and large, in order"""
    c = client(w, "ann", ["open:tls"])
    w.emit("open:tls", "small", {"n": 1})
    c.event("small", data={"n": 1})
    for i in range(30):
        w.emit("open:tls", "large", {"i": i, "x": "y" * 50000})
    for i in range(30):
        same(c.event("large")["data"]["i"], i, "event")
    c.do("echo", {"text": "z" * 40000})
    c.goodbye()
    w.drop(c)


@case
def slow(w):
    """a reader that stops and goes on loses nothing"""
    c = client(w, "slow", ["open:slow"])
    for i in range(100):
        w.emit("open:slow", "n", {"i": i, "x": "y" * 30000})
    wait_for(lambda: w.root("SELECT count(*) FROM pgpush.log WHERE room = "
        "'open:slow'")[0][0] >= 100, "the events to be moved")
    for i in range(100):
        same(c.event("n")["data"]["i"], i, "event")
    w.drop(c)


@case
def tickets(w):
    """a session ticket saves the handshake, once more after a restart"""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        c = context(minimum_version=version, maximum_version=version)
        first = connect(c)
        check(not first.session_reused, "it remembers")
        session = talk(first)
        again = connect(c, session)
        check(again.session_reused, "%s: the ticket is not taken" % version)
        talk(again)
        w.daemon.restart()
        after = connect(c, session)
        check(after.session_reused, "%s: not after a restart" % version)
        talk(after)


@case
def renewed(w):
    """SIGHUP brings another certificate; whoever is connected stays"""
    c = client(w, "ann", ["open:renew"])
    certificate("second", "second.example")

    def is_new():
        try:
            talk(connect(context("second")))
            return True
        except ssl.SSLCertVerificationError:
            return False
    check(not is_new(), "the new certificate before the signal")
    w.daemon.signal(signal.SIGHUP)
    wait_for(is_new, "the new certificate")
    w.emit("open:renew", "x", {})
    c.event("x")
    w.drop(c)
    certificate("first", "first.example")
    w.daemon.signal(signal.SIGHUP)
    wait_for(lambda: w.daemon.log().count("msg=reloaded") >= 2, "the first")


@case
def strangers(w):
    """plain HTTP on the TLS port, half a hello and rubbish end, with a line"""
    sock = web.connect(PORT)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        while sock.recv(1000):
            pass
    except ConnectionResetError:
        pass
    wait_for(lambda: "handshake failed" in w.daemon.log(), "a line")
    same(w.daemon.answers("/healthz"), 200, "/healthz")


@case
def checked(w):
    """-n reads the certificate and the key"""
    conf = path("conf")
    for cert, key, word in (("nowhere.pem", "first.key", "certificate"),
            ("first.pem", "nowhere.key", "key")):
        with open(conf, "w") as f:
            f.write("tls_listen = 127.0.0.1:1\ntls_certificate_file = %s\n"
                "tls_key_file = %s\njwt_secret = %s\n" % (path(cert),
                path(key), "x" * 32))
        os.chmod(conf, 0o600)
        done = subprocess.run([os.path.join(os.environ.get(
            "PGPUSH_BUILDDIR") or ".", "src", "pgpushd"), "-n", "-c", conf],
            env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        check(done.returncode == 1 and word in done.stdout.decode(),
            done.stdout)


with open(path("tickets"), "wb") as f:
    f.write(os.urandom(48))
os.chmod(path("tickets"), 0o600)
certificate("first", "first.example")

if __name__ == "__main__":
    main(tls_listen="127.0.0.1:%d" % PORT, tls_certificate_file=path(
        "in-force.pem"), tls_key_file=path("in-force.key"),
        tls_ticket_secret_file=path("tickets"))
