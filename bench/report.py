# SPDX-License-Identifier: ISC
"""RESULTS.md and growth.svg, from the newest complete run in var/bench."""

import glob
import json
import os
import statistics

from place import HERE, VAR

PEERS = ["limit", "socketio", "ws", "nchan", "nats", "pgpushd", "pgpushd-io"]
TITLES = ["limit", "socket.io + pg", "ws + pg", "nchan", "NATS", "pgpushd",
    "pgpushd, Socket.IO"]

# Row, what it is, format of a figure, what pgpushd must reach, what bounds it.
COMPARED = [
    ("fanout1k", "fan-out, one room of 1000, 32 events in flight; CPU-µs per "
        "delivery", "%.2f", ("≤", 0.50),
        "the copy of the frames into each socket, which the limit at 32 "
        "frames in a send() shows"),
    ("fanout10k", "the same, one room of 10,000", "%.2f", ("≤", 0.40),
        "the copy into each socket, with the sockets of 10,000 connections "
        "no longer in the processor's caches, as the limit shows"),
    ("single1k", "one event in flight, room of 1000; CPU-µs per delivery",
        "%.1f", ("≤", 6.2), "one send() for each delivery: the limit"),
    ("single10k", "the same, room of 10,000", "%.1f", ("≤", 7.5),
        "one send() for each delivery: the limit"),
    ("pairs", "5000 connections in 2500 rooms of two, 2500 events in flight; "
        "CPU-µs per event (two deliveries, the read from the database "
        "included)", "%.1f", ("≤", 14), "two send() for each event, which wake "
        "a reader that sleeps, as the limit at this rate shows"),
    ("pairs_few", "the same, 256 in flight", "%.1f", None, ""),
    ("memory", "memory per idle connection in two rooms, of 10,000; KB of RSS",
        "%.1f", ("≤", 2.0), "the session, its two memberships, and what libc "
        "adds to each piece"),
    ("handshake", "handshake with token check (pgpushd: and greet and one "
        "join, without PostgreSQL's own time); CPU-µs", "%.0f", ("≤", 60),
        "accept, six reads and writes, and two queries for each connection"),
    ("latency_p50", "INSERT → client, 100 events/s, room of 100; ms, median",
        "%.2f", ("≤", 0.9), "two transactions one after the other, the "
        "writer's and the move; and up to move_interval more for as long as "
        "the leader polls"),
    ("latency_p99", "the same, 99 %", "%.2f", ("≤", 3),
        "who else wants the processors"),
]
OWN = [
    ("connect", "connect + greet + authorised join, of 10,000 clients; per "
        "second", "%.0f", ("≥", 5000), "both cores are busy: PostgreSQL with "
        "two queries for each, the daemon, and the load client"),
    ("writers_fast", "32 writers, one-row INSERT, flush of 0.15 ms; % of the "
        "tps without trigger", "%.0f", ("≥", 70), "the processor, for the "
        "flush is short: two functions in PL/pgSQL and a second INSERT for "
        "each row"),
    ("writers_slow", "the same, flush of 1 ms", "%.0f", ("≥", 70),
        "the processor: the trigger's own work for each row"),
    ("drain", "a backlog of 200,000 events; per second", "%.0f",
        ("≥", 30000), "the move: one backend of PostgreSQL"),
    ("resume", "10,000 clients back after a restart, 20 missed events each; "
        "s until the last has all", "%.2f", ("≤", 5),
        "the catch-up reads of 10,000 rooms, on the same two cores"),
]
RATES = ["fanout1k", "fanout10k", "single1k", "single10k", "pairs",
    "pairs_few", "handshake"]


def median(samples, key="value"):
    return statistics.median(s[key] for s in samples)


def met(target, value):
    return value <= target[1] if target[0] == "≤" else value >= target[1]


def cell(samples, form, key="value"):
    """The median, and the range if there were several."""
    values = [s[key] for s in samples or [] if key in s]
    if not values:
        return ""
    text = form % statistics.median(values)
    if len(values) > 1:
        text += " (%s–%s)" % (form % min(values), form % max(values))
    return text


def limit_cell(rows, form, key="value"):
    """The limit has up to three: 1, 8 and 32 frames in a send()."""
    if "limit" in rows:
        text = cell(rows["limit"], form, key)
        if "limit_paced" in rows:
            text += "<br>%s at pgpushd's rate" % cell(rows["limit_paced"],
                form, key)
        return text
    return "<br>".join("%s at %d" % (cell(rows["limit%d" % k], form, key), k)
        for k in (1, 8, 32) if "limit%d" % k in rows)


def table(head, lines):
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return ["| %s |" % " | ".join(line) for line in [head, rule] + lines] \
        + [""]


def must(target):
    return "%s %g" % target if target else ""


def verdict(target, samples):
    if not target:
        return ""
    if not samples:
        return "not measured"
    return "✓" if met(target, median(samples)) else "**miss**"


def compared(rows):
    lines = []
    for row, what, form, target, _ in COMPARED:
        found = rows.get(row, {})
        lines.append([what, limit_cell(found, form)]
            + [cell(found.get(p), form) for p in PEERS[1:]]
            + [must(target), verdict(target, found.get("pgpushd"))])
    return table(["workload"] + TITLES + ["must be", ""], lines)


def own(rows):
    lines = []
    for row, what, form, target, _ in OWN:
        found = rows.get(row, {})
        lines.append([what, cell(found.get("pgpushd"), form),
            cell(found.get("inline"), form), must(target),
            verdict(target, found.get("pgpushd"))])
    return table(["workload", "pgpushd", "NOTIFY in the trigger", "must be",
        ""], lines)


def missed(rows):
    """What was missed, by how much, and why."""
    lines = []
    for row, what, form, target, bound in COMPARED + OWN:
        samples = rows.get(row, {}).get("pgpushd")
        if not samples or not target or met(target, median(samples)):
            continue
        value = median(samples)
        lines.append("- %s: %s, must be %s %g, which is %.0f %% off. What "
            "bounds it: %s." % (what, form % value, target[0], target[1],
            100 * abs(value - target[1]) / target[1], bound))
    return (["## What was missed", ""] + lines if lines else
        ["Every line was met."]) + [""]


def rates(rows):
    names = {row: what.split(";")[0] for row, what, *_ in COMPARED}
    lines = [[names[row] + ("; new ones" if row == "handshake" else
        "; events" if row.startswith("pairs") else "; deliveries"),
        limit_cell(rows.get(row, {}), "%.0f", "rate")]
        + [cell(rows.get(row, {}).get(p), "%.0f", "rate") for p in PEERS[1:]]
        for row in RATES]
    return table(["per second"] + TITLES, lines)


def joins(rows):
    """What one client costs that comes, and one that comes back."""
    lines = [[what, cell(rows.get(row, {}).get("pgpushd"), "%.0f", key),
        cell(rows.get(row, {}).get("pgpushd"), "%.0f", "database_us")]
        for row, what, key in (("connect", "connect, greet, join", "cpu_us"),
            ("resume", "the same, and 20 events missed", "cpu_us"))]
    return table(["CPU-µs for one client", "pgpushd", "PostgreSQL"], lines)


def writers(rows):
    lines = []
    for row, flush in (("writers_fast", "0.15 ms"), ("writers_slow", "1 ms")):
        found = rows.get(row, {})
        lines.append([flush, cell(found.get("pgpushd"), "%.0f", "bare"),
            cell(found.get("pgpushd"), "%.0f", "rate"),
            cell(found.get("inline"), "%.0f", "rate")])
    return table(["tps, by flush", "no trigger", "pgpush.attach",
        "NOTIFY in the trigger"], lines)


# ---- curves ----------------------------------------------------------------

# Series, the axis, and for each curve its key and name.
CURVES = [
    ("connections", "connections", [("memory_kb", "KB each"),
        ("handshake_us", "CPU-µs per handshake"),
        ("delivery_us", "CPU-µs per delivery")]),
    ("rooms", "rooms of one member", [("event_us", "CPU-µs per event")]),
    ("members", "members of the room", [("burst_us", "CPU-µs per delivery, "
        "32 events in flight"), ("single_us", "one in flight")]),
    ("payload", "bytes of a message", [("delivery_us", "CPU-µs per delivery"),
        ("limit_us", "the limit")]),
    ("log", "rows of the log", [("latency_ms", "ms from INSERT to client"),
        ("event_us", "daemon's CPU-µs per event, to 100 members"),
        ("resume_us", "PostgreSQL's CPU-µs per resume"),
        ("purge_ms", "ms per purge of 1000 rows")]),
    ("daemons", "daemons", [("database_us", "PostgreSQL's CPU-µs per event, "
        "writing it included"), ("daemon_us", "all daemons'")]),
]


def plot(series, path):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    matplotlib.rcParams.update({"svg.hashsalt": "pgpush", "font.size": 8})
    figure, grid = pyplot.subplots(2, 3, figsize=(12, 6.5))
    for axes, (name, what, curves) in zip(grid.flat, CURVES):
        points = sorted_points(series, name)
        for key, label in curves:
            some = [p for p in points if key in p]
            axes.plot([p["at"] for p in some], [p[key] for p in some],
                marker="o", markersize=3, label=label)
        axes.set_xscale("linear" if name == "daemons" else "log")
        if name in ("members", "payload", "log", "connections"):
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlabel(what)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def sorted_points(series, name):
    """The points of a series; figures of one place on the axis together."""
    points = {}
    for p in series.get(name, []):
        points.setdefault(p["at"], {}).update(p)
    return [points[at] for at in sorted(points)]


def growth(series):
    out = ["## As things grow", "", "![cost against growth](growth.svg)", "",
        "pgpushd alone, measured once each.", ""]
    for name, what, curves in CURVES:
        points = sorted_points(series, name)
        if points:
            out += table([what] + ["{:,}".format(p["at"]) for p in points],
                [[label] + ["%.3g" % p[key] if key in p and p[key] < 1000
                else "%.0f" % p[key] if key in p else "" for p in points]
                for key, label in curves])
    return out


# ---- the page --------------------------------------------------------------

def page(result):
    rows = result["rows"]
    out = ["# Results", "",
        "Written by `bench/run`; [README.md](README.md) says what each "
        "workload does.", "",
        "%s, commit %s. %s; its load average was %.1f before the run. "
        "Repeats: %d, of %g s, in turn; medians, and from the least to the "
        "most. The run took %.0f minutes." % (result["date"],
        result["commit"], result["machine"], result["load"],
        result["repeats"], result["seconds"], result["took_s"] / 60), "",
        "Versions: " + "; ".join("%s %s" % v
        for v in result["versions"].items()) + ".", "",
        "CPU time is that of the server's processes, user and system, as the "
        "kernel counts it in nanoseconds. PostgreSQL's own is not in it. "
        "Messages of 300 bytes.", ""]
    out += ["## Side by side", ""] + compared(rows)
    out += ["## What only pgpushd does", ""] + own(rows)
    out += missed(rows)
    out += ["## Rates", "", "Of the whole: server, load client, feeder and "
        "PostgreSQL share the cores.", ""] + rates(rows) + writers(rows) \
        + joins(rows)
    out += growth(result["series"])
    if result["trouble"]:
        out += ["## What went wrong", ""] + ["- " + " ".join(t.split())[:300]
            for t in result["trouble"]] + [""]
    return "\n".join(out)


def write():
    """From the newest complete run; False if there is none."""
    for path in sorted(glob.glob(os.path.join(VAR, "*.json")), reverse=True):
        with open(path) as f:
            result = json.load(f)
        if result["complete"]:
            break
    else:
        return False
    plot(result["series"], os.path.join(HERE, "growth.svg"))
    with open(os.path.join(HERE, "RESULTS.md"), "w") as f:
        f.write(page(result))
    return True
