#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""/metrics: both formats, and that what is counted has happened."""

import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    ".."))

from lib import web
from lib.case import World, case, main
from lib.cluster import free_port
from lib.database import SRCDIR
from lib.tap import check, diag, same, wait_for

PORT = free_port()
OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(headers=()):
    response = web.request(PORT, "/metrics", headers=headers)
    same(response.status, 200, "status")
    return response, response.body.decode()


def values():
    """Every sample by its name with its labels."""
    return {name: float(value) for name, value in re.findall(
        r"^([^#\s]\S*) (\S+)$", scrape()[1], re.M)}


@case
def formats(w):
    """text 0.0.4 by default, OpenMetrics 1.0 if asked for, else nothing"""
    response, text = scrape()
    check(response.headers["content-type"].startswith(
        "text/plain; version=0.0.4"), response.headers)
    check("# TYPE pgpush_events_total counter" in text and
        "# EOF" not in text, text)
    response, text = scrape(OPEN)
    check(response.headers["content-type"].startswith(
        "application/openmetrics-text; version=1.0.0"), response.headers)
    check("# TYPE pgpush_events counter" in text and
        "# UNIT pgpush_sent_bytes bytes" in text and
        "# TYPE pgpush_build info" in text and text.endswith("\n# EOF\n"),
        text)
    same(w.get("/metrics").status, 404, "status on the clients' port")


@case
def promtool(w):
    """promtool finds nothing wrong"""
    if not shutil.which("promtool"):
        diag("no promtool here")
        return
    done = subprocess.run(["promtool", "check", "metrics"],
        input=scrape()[1].encode(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    same(done.returncode, 0, "status; it printed " + done.stdout.decode())


@case
def alerts(w):
    """the sample alerts are rules, and name only metrics that there are"""
    path = os.path.join(SRCDIR, "etc", "alerts.yml")
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "rules", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        same(done.returncode, 0, "status; it printed " + done.stdout.decode())
    with open(path) as f:
        named = set(re.findall(r"\bpgpush_[a-z_]+", f.read()))
    text = scrape()[1]
    for name in named:
        check(re.search(r"^%s[ {]" % name, text, re.M), "no " + name)
    check(len(named) > 5, "names: %s" % named)


@case
def openmetrics(w):
    """OpenMetrics: families in one piece, counters end in _total, one EOF"""
    families, current = set(), None
    text = scrape(OPEN)[1]
    for line in text.splitlines()[:-1]:
        match = re.match(r"# (?:HELP|TYPE|UNIT) (\S+)", line)
        if match:
            if match.group(1) != current:
                current = match.group(1)
                check(current not in families, "%s comes twice" % current)
                families.add(current)
            continue
        name = re.match(r"[a-z_]+", line).group(0)
        check(name.startswith(current), "%s in %s" % (name, current))
    for line in re.findall(r"^# TYPE (\S+) counter$", text, re.M):
        check(re.search(r"^%s_total[ {]" % line, text, re.M), line)
    same(text.count("# EOF"), 1, "ends")


@case
def counts(w):
    """what happens is counted"""
    before = values()
    c = w.client("ann", ["open:met"])
    d = w.client("bob", ["open:met"])
    for i in range(5):
        w.emit("open:met", "n", i)
    for i in range(5):
        c.event("n")
        d.event("n")
    c.do("echo", {})
    c.refused("forbidden", type="join", room="secret:x")
    bad = w.open()
    bad.send(type="auth", token="x")
    bad.closes(4401)

    def grown(name, n):
        now = values()
        check(name in now, "no %s" % name)
        return now[name] - before.get(name, 0) == n
    for name, n in (('pgpush_events_total{kind="event"}', 5),
            ('pgpush_deliveries_total{dialect="native"}', 10),
            ('pgpush_sessions{dialect="native"}', 2),
            ('pgpush_refusals_total{reason="token"}', 1),
            ('pgpush_refusals_total{reason="room"}', 1),
            ("pgpush_handler_seconds_count", 1),
            ("pgpush_greet_seconds_count", 2),
            ("pgpush_rule_seconds_count", 3)):
        wait_for(lambda: grown(name, n), "%s to grow by %d, from %s to %s"
            % (name, n, before.get(name), values().get(name)))
    now = values()
    for name in ("pgpush_ready", 'pgpush_role{role="armed"}'):
        wait_for(lambda: values()[name] == 1, name)
    check(now["process_resident_memory_bytes"] > 1e6, "memory")
    check(3 < now["process_open_fds"] < 1000, "descriptors")
    check(now["pgpush_position"] >= 5, "position")
    w.drop(c)
    w.drop(d)
    wait_for(lambda: values()['pgpush_sessions{dialect="native"}'] == 0,
        "the sessions to be gone")


if __name__ == "__main__":
    main(status_listen="127.0.0.1:%d" % PORT)
